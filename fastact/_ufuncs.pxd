"""What the other extension modules take from this one, which alone links the kernels."""

from fastact._kernels cimport fastact_kernels


cdef const fastact_kernels *active_kernels() noexcept nogil
cdef const double **parameters_of_thread() noexcept nogil
