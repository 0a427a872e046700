"""csrc/kernels.h for Cython."""


cdef extern from "kernels.h" nogil:
    ctypedef enum fastact_form "enum fastact_form":
        FASTACT_FORWARD
        FASTACT_DERIVATIVE
        FASTACT_BACKWARD
        FASTACT_WITH_DERIVATIVE

    enum:
        FASTACT_DTYPES

    ctypedef struct fastact_activation:
        const char *name
        const char *summary
        const char *formula
        const char *derivative
        const char *kinks
        const char *source
        int from_output
        int parameters
        const char **parameter
        const double *fallback
        double root
        const double *ulp

    const fastact_activation *fastact_activations
    const int fastact_activation_count

    ctypedef void (*fastact_elementwise)(
        int row, fastact_form form, char **operands, const Py_ssize_t *strides, size_t n
    ) noexcept

    ctypedef struct fastact_kernels:
        const char *isa
        fastact_elementwise *elementwise

    const fastact_kernels *fastact_active()
    int fastact_select(const char *isa)
    const char *fastact_isa_built(int k)
    int fastact_isa_available(int k)
    const char *fastact_last_isa()
