# cython: embedsignature=True
"""Kernels along an axis and over whole arrays, for `fastact._softmax`, `normalization` and `clipping`.

Thin on purpose: arguments are checked and made contiguous there, the kernels are C (csrc/).
"""

from cpython.mem cimport PyMem_Malloc
from fastact._kernels cimport (
    fastact_axis_kernels,
    fastact_bias,
    fastact_chosen,
    fastact_norm,
    fastact_normalize,
    FASTACT_AXIS_DTYPES,
    FASTACT_SPARE,
)
from fastact._ufuncs cimport active_kernels
cimport numpy as cnp

import numpy as np

cnp.import_array()
cnp.import_umath()

cdef int[2] type_numbers = [cnp.NPY_FLOAT32, cnp.NPY_FLOAT64]


cdef int dtype_index(cnp.ndarray a) except -1:
    """The kernels' number for the dtype of an array that they may read."""
    for k in range(<int>FASTACT_AXIS_DTYPES):
        if cnp.PyArray_TYPE(a) == type_numbers[k] and cnp.PyArray_ISBEHAVED_RO(a):
            return k
    raise TypeError(f"no kernel for dtype {a.dtype}")


# --- ufuncs --------------------------------------------------------------------------------------

cdef enum Kind:
    SOFTMAX
    SOFTMAX_BACKWARD
    CLAMP


cdef struct LoopData:
    Kind kind
    int dtype
    int masked_zero


cdef void loop(char **operands, cnp.npy_intp *shape, cnp.npy_intp *strides, void *data) noexcept nogil:
    cdef LoopData *d = <LoopData *>data
    cdef const fastact_axis_kernels *kernels = active_kernels().axis
    cdef const Py_ssize_t *outer = <const Py_ssize_t *>strides
    if d.kind == CLAMP:
        kernels.clamp[d.dtype](operands, outer, shape[0])
    elif d.kind == SOFTMAX:
        kernels.softmax[d.dtype](operands, outer, outer + 2, shape[0], shape[1], d.masked_zero)
    else:
        kernels.softmax_backward[d.dtype](operands, outer, outer + 3, shape[0], shape[1], 0)


cdef cnp.PyUFuncGenericFunction loops[2]
loops[0] = loops[1] = <cnp.PyUFuncGenericFunction>loop
keep_alive = []  # NumPy borrows the name and the signature of a ufunc


cdef make_ufunc(Kind kind, int masked_zero, str name, int nin, str signature):
    cdef LoopData *data = <LoopData *>PyMem_Malloc(FASTACT_AXIS_DTYPES * sizeof(LoopData))
    cdef void **pointers = <void **>PyMem_Malloc(FASTACT_AXIS_DTYPES * sizeof(void *))
    cdef char *types = <char *>PyMem_Malloc(FASTACT_AXIS_DTYPES * (nin + 1))
    if data == NULL or pointers == NULL or types == NULL:
        raise MemoryError
    for k in range(<int>FASTACT_AXIS_DTYPES):
        data[k] = LoopData(kind, k, masked_zero)
        pointers[k] = &data[k]
        for operand in range(nin + 1):
            types[k * (nin + 1) + operand] = <char>type_numbers[k]
    cdef bytes name_bytes = name.encode(), signature_bytes = signature.encode()
    keep_alive.append((name_bytes, signature_bytes))
    return cnp.PyUFunc_FromFuncAndDataAndSignature(
        loops, pointers, types, FASTACT_AXIS_DTYPES, nin, 1, cnp.PyUFunc_None, name_bytes, b"", 0,
        signature_bytes,
    )


softmax = make_ufunc(SOFTMAX, 0, "softmax", 1, "(n)->(n)")
softmax_masked_zero = make_ufunc(SOFTMAX, 1, "softmax_masked_zero", 1, "(n)->(n)")
softmax_backward = make_ufunc(SOFTMAX_BACKWARD, 0, "softmax_backward", 2, "(n),(n)->(n)")
clamp = make_ufunc(CLAMP, 0, "clamp", 3, "(),(),()->()")


# --- batch normalisation and bias, with an activation after them ------------------------------------

cdef void *data_or_null(cnp.ndarray a):
    return NULL if a is None else cnp.PyArray_DATA(a)


cdef int choose(fastact_chosen *to, tuple activation) except -1:
    to.row = activation[0]
    for k, parameter in enumerate(activation[1]):
        to.parameter[k] = parameter
    return 0


def batch_norm(
    str which, tuple shape, cnp.ndarray x, cnp.ndarray out, cnp.ndarray mean, cnp.ndarray spread,
    tuple activation, *, grad=None, gamma=None, beta=None, double eps=0, dgamma=None, dbeta=None
):
    """Run the kernel `which`: "forward", "inference" or "backward".

    Every array is contiguous in memory and of one dtype, or None where that kernel has no use for it.
    x, grad and out are seen as `shape` = (rows, channels, run). `activation` is a row of the table,
    -1 for none, and its parameters.
    """
    cdef int k = dtype_index(x)
    cdef const fastact_axis_kernels *kernels = active_kernels().axis
    cdef fastact_normalize kernel
    if which == "forward":
        kernel = kernels.batch_norm[k]
    elif which == "inference":
        kernel = kernels.batch_norm_inference[k]
    else:
        kernel = kernels.batch_norm_backward[k]
    cdef fastact_norm task = fastact_norm(
        x=data_or_null(x), grad=data_or_null(grad), gamma=data_or_null(gamma), beta=data_or_null(beta),
        out=data_or_null(out), mean=data_or_null(mean), spread=data_or_null(spread),
        dgamma=data_or_null(dgamma), dbeta=data_or_null(dbeta),
        rows=shape[0], channels=shape[1], run=shape[2], eps=eps,
    )
    choose(&task.activation, activation)
    with nogil:
        kernel(&task)


def bias_activation(
    tuple shape, cnp.ndarray x, cnp.ndarray bias, tuple activation, cnp.ndarray out, *, grad=None, dbias=None
):
    """Run the kernel, for the gradients where there is a `grad`; arguments as above, not empty."""
    cdef int k = dtype_index(x)
    cdef cnp.ndarray sums = None if grad is None else np.zeros(2 * (shape[1] + FASTACT_SPARE))
    cdef fastact_bias task = fastact_bias(
        x=data_or_null(x), grad=data_or_null(grad), bias=data_or_null(bias), out=data_or_null(out),
        dbias=data_or_null(dbias),
        sums=<double *>data_or_null(sums), rows=shape[0], channels=shape[1], run=shape[2],
    )
    choose(&task.activation, activation)
    with nogil:
        active_kernels().axis.bias_activation[k](&task)


# --- gradients -----------------------------------------------------------------------------------

def measure(cnp.ndarray x, int order, double scale=1.0, bint zero_nonfinite=False):
    """Sum of abs(scale * x) ** order for order 1 or 2, the largest abs(scale * x) for 0.

    x lies contiguous in memory, in any order of axes. `zero_nonfinite` leaves NaN and inf out.
    """
    cdef int k = dtype_index(x)
    cdef const void *data = cnp.PyArray_DATA(x)
    cdef size_t n = cnp.PyArray_SIZE(x)
    cdef double result
    with nogil:
        result = active_kernels().axis.measure[k](data, n, order, scale, zero_nonfinite)
    return result


def rescale(cnp.ndarray x, cnp.ndarray out, double factor, bint zero_nonfinite=False):
    """out = factor * x, for arrays of one dtype and one contiguous layout; out may be x."""
    cdef int k = dtype_index(x)
    cdef const void *data = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef size_t n = cnp.PyArray_SIZE(x)
    with nogil:
        active_kernels().axis.rescale[k](data, to, n, factor, zero_nonfinite)
