# cython: embedsignature=True
"""Calls of recurrent cells, for `fastact.cells`: arguments are checked here, the kernels are csrc/cell.h.

Compiled, since for a small cell the checks take as long as the step.
"""

from math import prod

from fastact._kernels cimport (
    fastact_cell,
    fastact_cells,
    FASTACT_F32,
    FASTACT_F64,
    FASTACT_GRU,
    FASTACT_GRU_BACKWARD,
    FASTACT_GRU_INFERENCE,
    FASTACT_LSTM,
    FASTACT_LSTM_BACKWARD,
    FASTACT_LSTM_INFERENCE,
)
from fastact._ufuncs cimport active_kernels
cimport numpy as cnp

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fastact._layout import is_half, real

cnp.import_array()

LSTM, LSTM_INFERENCE, LSTM_BACKWARD = FASTACT_LSTM, FASTACT_LSTM_INFERENCE, FASTACT_LSTM_BACKWARD
GRU, GRU_INFERENCE, GRU_BACKWARD = FASTACT_GRU, FASTACT_GRU_INFERENCE, FASTACT_GRU_BACKWARD


cdef cnp.ndarray real_or_half(str name, cnp.ndarray a):
    return a.astype(np.float32) if is_half(a) else real(name, a)


cdef bint overlap(cnp.ndarray a, cnp.ndarray b):
    """Whether two contiguous arrays share memory."""
    cdef size_t first = <size_t>cnp.PyArray_DATA(a), second = <size_t>cnp.PyArray_DATA(b)
    return first < second + cnp.PyArray_NBYTES(b) and second < first + cnp.PyArray_NBYTES(a)


cdef cnp.ndarray unharmed(cnp.ndarray a, list outputs):
    """An input, or a copy of it if an output would overwrite what is still to be read."""
    cdef cnp.ndarray out
    for out in outputs:
        in_place = cnp.PyArray_DATA(a) == cnp.PyArray_DATA(out) and a.size == out.size
        if overlap(a, out) and not in_place:
            return a.copy()
    return a


cdef void enlist(fastact_cells *cells, int *operands, cnp.ndarray a) noexcept:
    """The operands that lie side by side in the rows of an array."""
    cdef char *data = <char *>cnp.PyArray_DATA(a)
    cdef size_t row = <size_t>cnp.PyArray_SIZE(a) // cells.rows, k
    for k in range(row // cells.width):
        cells.at[operands[0]] = data + k * cells.width * cnp.PyArray_ITEMSIZE(a)
        cells.stride[operands[0]] = row
        operands[0] += 1


cdef int step(fastact_cell cell, size_t rows, size_t width, list inputs, list outputs) except -1:
    """Every array has `rows` rows of one or more operands, each of `width` elements."""
    cdef fastact_cells cells
    cdef int operands = 0, k
    cdef cnp.ndarray a
    for k in range(1, len(outputs)):
        for a in outputs[:k]:
            if overlap(a, outputs[k]):
                raise ValueError("outputs must not share memory")
    cells.rows, cells.width = rows, width
    inputs = [unharmed(a, outputs) for a in inputs]
    for a in inputs + outputs:
        enlist(&cells, &operands, a)
    k = FASTACT_F64 if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT64 else FASTACT_F32
    with nogil:
        active_kernels().axis.cell[<int>cell][k](&cells)


cdef class Call:
    """What a kernel reads and writes: arrays of some blocks of one shape along an axis.

    The array `a` and its number of `blocks` say what that shape and the dtypes are.
    """

    cdef readonly object working  # the dtype of the kernel
    cdef object dtype  # of results
    cdef tuple before, behind
    cdef Py_ssize_t units
    cdef list inputs, outputs, results  # the kernel's, and of outputs the user's

    def __init__(self, str name, a, Py_ssize_t blocks, axis):
        cdef cnp.ndarray array = np.asarray(a)
        self.working = real_or_half(name, array[:0] if array.ndim else array).dtype
        self.dtype = array.dtype if is_half(array) else self.working
        cdef tuple shape = (<object>array).shape
        cdef Py_ssize_t place = normalize_axis_index(axis, len(shape), "axis")
        self.units = shape[place] // blocks
        if shape[place] % blocks:
            raise ValueError(
                f"{name} must have {blocks} gates along axis {axis}, each as long as the others: "
                f"{shape[place]} is no multiple of {blocks}"
            )
        self.before, self.behind = shape[:place], shape[place + 1:]
        self.inputs, self.outputs, self.results = [], [], []

    cdef tuple shape(self, Py_ssize_t blocks):
        return (*self.before, blocks * self.units, *self.behind)

    def read(self, str name, a, Py_ssize_t blocks=1):
        """Add an input."""
        cdef cnp.ndarray array = np.asarray(a)
        cdef tuple shape = self.shape(blocks)
        if (<object>array).shape != shape:
            raise ValueError(f"{name} must have the shape {shape}, not {(<object>array).shape}")
        self.inputs.append(np.ascontiguousarray(real_or_half(name, array), self.working))

    def write(self, str name, out, Py_ssize_t blocks=1, dtype=None):
        """Add an output, `out` or a new array."""
        cdef tuple shape = self.shape(blocks)
        dtype = self.dtype if dtype is None else dtype
        if out is None:
            out = np.empty(shape, dtype)
        elif not isinstance(out, np.ndarray):
            raise TypeError(f"{name} must be an ndarray, not {type(out).__name__}")
        elif out.shape != shape or out.dtype != dtype:
            raise ValueError(
                f"{name} must have shape {shape} and dtype {dtype}, not {out.shape} and {out.dtype}"
            )
        elif not cnp.PyArray_ISWRITEABLE(out):
            raise ValueError(f"{name} must be writable")
        direct = cnp.PyArray_ISCARRAY(out) and dtype == self.working
        self.outputs.append(out if direct else np.empty(shape, self.working))
        self.results.append(out)

    def run(self, fastact_cell cell):
        """Run a kernel and give its outputs."""
        cdef Py_ssize_t rows = prod(self.before), width = self.units * prod(self.behind)
        if rows * width:
            step(cell, rows, width, self.inputs, self.outputs)
        for made, result in zip(self.outputs, self.results):
            if made is not result:
                result[...] = made
        return tuple(self.results)
