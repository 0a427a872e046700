"""What the other extension modules take from this one, which alone links the kernels."""

from fastact._kernels cimport fastact_form, fastact_kernels


cdef const fastact_kernels *active_kernels() noexcept nogil
cdef const double **parameters_of_thread() noexcept nogil

# What a ufunc of this package carries for each dtype: F32_LOOP and F64_LOOP are places in its `data`.
cdef enum:
    F32_LOOP = 1
    F64_LOOP = 2

cdef struct LoopData:
    int row
    fastact_form form
    int dtype
    int operands

cdef void call_kernel(const LoopData *loop, char **operands, const Py_ssize_t *strides, size_t n) noexcept nogil
