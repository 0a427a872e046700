# cython: embedsignature=True
"""Trees of gradients and the kernels over them, for `fastact._tree` and `_units`: what must not cost much an array."""

from fastact._kernels cimport (
    fastact_axis_kernels,
    fastact_change,
    fastact_measured,
    FASTACT_PEAK,
    FASTACT_SCALE,
    FASTACT_SHIFT,
    FASTACT_SUM,
    FASTACT_SUM_MAGNITUDES,
    FASTACT_SUM_SQUARES,
)
from fastact._ufuncs cimport active_kernels
from libc.math cimport isfinite
cimport numpy as cnp

import numpy as np

cdef extern from "fpflags.h" nogil:
    unsigned fpflags_get()
    void fpflags_set(unsigned flags)

cnp.import_array()

# --- trees ---------------------------------------------------------------------------------------

cdef enum:
    DEEPEST = 500  # a tree that is nested deeper holds itself


def flatten(tree):
    """What a tree holds, in order."""
    cdef list leaves = []
    walk(tree, leaves, 0)
    return leaves


cdef int walk(object tree, list leaves, int depth) except -1:
    if cnp.PyArray_CheckExact(tree):
        leaves.append(tree)
    elif depth > DEEPEST:
        raise RecursionError(f"a tree of arrays is nested more than {DEEPEST} times: does it hold itself?")
    elif isinstance(tree, dict):
        for child in tree.values():
            walk(child, leaves, depth + 1)
    elif isinstance(tree, (list, tuple)):
        for child in tree:
            walk(child, leaves, depth + 1)
    else:
        leaves.append(tree)
    return 0


def as_arrays(list leaves):
    """The same list where all of them are arrays, else one that has them as arrays."""
    for leaf in leaves:
        if not cnp.PyArray_CheckExact(leaf):
            return list(map(np.asarray, leaves))
    return leaves


cdef inline bint is_taken(cnp.ndarray a):
    cdef int number = cnp.PyArray_TYPE(a)
    if number == cnp.NPY_FLOAT32 or number == cnp.NPY_FLOAT64 or number == cnp.NPY_FLOAT16:
        return True
    return a.dtype.name == "bfloat16"


def first_not_taken(list arrays):
    """The first whose dtype gradients do not have; None if all do."""
    cdef Py_ssize_t k
    for k in range(len(arrays)):
        if not is_taken(arrays[k]):
            return k
    return None


def first_misfit(list arrays, list leaves):
    """The first leaf that is not for what is computed of the array: None if all are."""
    cdef Py_ssize_t k
    cdef cnp.ndarray a, target
    for k in range(len(arrays)):
        if not isinstance(leaves[k], cnp.ndarray):
            return k
        a, target = arrays[k], leaves[k]
        if not cnp.PyArray_ISWRITEABLE(target):
            return k
        if a is not target and not (cnp.PyArray_SAMESHAPE(a, target) and a.dtype == target.dtype):
            return k
    return None


# --- kernels -------------------------------------------------------------------------------------

cdef inline int kernel_of(cnp.ndarray a) noexcept:
    """The kernels' number for its dtype, or -1 where they cannot take its memory as it lies."""
    cdef int number = cnp.PyArray_TYPE(a)
    if not cnp.PyArray_CHKFLAGS(a, cnp.NPY_ARRAY_ALIGNED) or cnp.PyArray_ISBYTESWAPPED(a):
        return -1
    if not (cnp.PyArray_IS_C_CONTIGUOUS(a) or cnp.PyArray_IS_F_CONTIGUOUS(a)):
        return -1
    return 0 if number == cnp.NPY_FLOAT32 else 1 if number == cnp.NPY_FLOAT64 else -1


def all_plain(list arrays):
    """Whether kernels take their memory as it lies: float32 or float64, native, aligned, without gaps."""
    for a in arrays:
        if kernel_of(a) < 0:
            return False
    return True


cdef enum:
    BIG = 8192  # elements for which others may have Python meanwhile


MEASURED = {
    "peak": FASTACT_PEAK,
    1: FASTACT_SUM_MAGNITUDES,
    2: FASTACT_SUM_SQUARES,
    "sum": FASTACT_SUM,
}
CHANGES = {"scale": FASTACT_SCALE, "shift": FASTACT_SHIFT}


cdef double *doubles(cnp.ndarray a):
    return NULL if a is None else <double *>cnp.PyArray_DATA(a)


def measure(
    list arrays, list shapes, cnp.ndarray starts, Py_ssize_t units, what, *, cnp.ndarray scale=None,
    bint zero_nonfinite=False
):
    """Sums over units, or the largest abs(x) of each.

    arrays are plain. The k-th is seen as shapes[k] = (rows, channels, run), or with shapes None as one channel; its
    channels are the units from starts[k] on.
    """
    cdef Py_ssize_t k, first
    cdef int which
    cdef size_t rows = 1, channels = 1, run
    cdef cnp.ndarray a
    cdef fastact_measured measured = MEASURED[what]
    cdef const fastact_axis_kernels *kernels = active_kernels().axis
    cdef cnp.ndarray sums = np.zeros((2, units))
    cdef double *hi = <double *>cnp.PyArray_DATA(sums)
    cdef double *lo = hi + units
    cdef const double *by = doubles(scale)
    cdef const double *factor
    cdef const Py_ssize_t *start = <const Py_ssize_t *>cnp.PyArray_DATA(starts)
    cdef const void *data
    cdef unsigned flags = fpflags_get()
    for k in range(len(arrays)):
        a = arrays[k]
        which, data, run = kernel_of(a), cnp.PyArray_DATA(a), cnp.PyArray_SIZE(a)
        if shapes is not None:
            rows, channels, run = shapes[k]
        first = start[k]
        factor = by + first if by != NULL else NULL
        if rows * channels * run < BIG:
            kernels.measure[which](
                data, rows, channels, run, measured, factor, zero_nonfinite, hi + first, lo + first
            )
        else:
            with nogil:
                kernels.measure[which](
                    data, rows, channels, run, measured, factor, zero_nonfinite, hi + first, lo + first
                )
    for k in range(units):
        if isfinite(lo[k]):
            hi[k] += lo[k]
    fpflags_set(flags)
    return sums[0]


cdef inline bint lie_alike(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether the kernels can go from a to b element by element."""
    cdef char *first = <char *>cnp.PyArray_DATA(a)
    cdef char *second = <char *>cnp.PyArray_DATA(b)
    cdef Py_ssize_t bytes = cnp.PyArray_NBYTES(a)
    if a is b:
        return kernel_of(a) >= 0
    if kernel_of(a) < 0 or kernel_of(a) != kernel_of(b) or not (
        (cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_IS_C_CONTIGUOUS(b))
        or (cnp.PyArray_IS_F_CONTIGUOUS(a) and cnp.PyArray_IS_F_CONTIGUOUS(b))
    ):
        return False
    return first == second or first + bytes <= second or second + bytes <= first


def change(
    list arrays, list targets, list shapes, cnp.ndarray starts, cnp.ndarray by, how, *, bint zero_nonfinite=False
):
    """target = by * x, or x - by; which of them were left alone, since their targets lie otherwise.

    As above. From the last array to the first, since of what was measured the caches still hold the end.
    """
    cdef Py_ssize_t k
    cdef int which
    cdef size_t rows = 1, channels = 1, run
    cdef cnp.ndarray a, target
    cdef fastact_change change = CHANGES[how]
    cdef const fastact_axis_kernels *kernels = active_kernels().axis
    cdef const double *number
    cdef const Py_ssize_t *start = <const Py_ssize_t *>cnp.PyArray_DATA(starts)
    cdef const void *data
    cdef void *to
    cdef unsigned flags = fpflags_get()
    cdef list left = []
    for k in range(len(arrays) - 1, -1, -1):
        a, target = arrays[k], targets[k]
        if not lie_alike(a, target):
            left.append(k)
            continue
        which, data, run = kernel_of(a), cnp.PyArray_DATA(a), cnp.PyArray_SIZE(a)
        to, number = cnp.PyArray_DATA(target), doubles(by) + start[k]
        if shapes is not None:
            rows, channels, run = shapes[k]
        if rows * channels * run < BIG:
            kernels.change[which](data, to, rows, channels, run, number, change, zero_nonfinite)
        else:
            with nogil:
                kernels.change[which](data, to, rows, channels, run, number, change, zero_nonfinite)
    fpflags_set(flags)
    return left


def clamp(list arrays, list targets, double lower, double upper):
    """target = min(max(x, lower), upper), with the bounds rounded to the dtype. Returns what `change` returns."""
    cdef Py_ssize_t k, which
    cdef cnp.ndarray a, target
    cdef const fastact_axis_kernels *kernels = active_kernels().axis
    cdef const void *data
    cdef void *to
    cdef size_t n
    cdef unsigned flags = fpflags_get()
    cdef list left = []
    for k in range(len(arrays)):
        a, target = arrays[k], targets[k]
        which, data, to, n = kernel_of(a), cnp.PyArray_DATA(a), cnp.PyArray_DATA(target), cnp.PyArray_SIZE(a)
        if not lie_alike(a, target):
            left.append(k)
        elif n < BIG:
            kernels.clamp[which](data, to, n, lower, upper)
        else:
            with nogil:
                kernels.clamp[which](data, to, n, lower, upper)
    fpflags_set(flags)
    return left


def any_begin_alike(list arrays):
    """Whether two of them begin at the same place: a table of places, each where it is first free from its hash on."""
    cdef size_t place, slot, mask = 15
    cdef Py_ssize_t k
    while mask < 2 * <size_t>len(arrays):
        mask = 2 * mask + 1
    cdef cnp.ndarray table = np.zeros(mask + 1, np.uintp)
    cdef size_t *taken = <size_t *>cnp.PyArray_DATA(table)
    for k in range(len(arrays)):
        place = <size_t>cnp.PyArray_DATA(<cnp.ndarray>arrays[k])
        slot = (place >> 4 ^ place >> 12) & mask
        while taken[slot]:
            if taken[slot] == place:
                return True
            slot = (slot + 1) & mask
        taken[slot] = place
    return False


def are_same(list arrays, list targets):
    """Whether these are those."""
    cdef Py_ssize_t k
    for k in range(len(arrays)):
        if arrays[k] is not targets[k]:
            return False
    return True
