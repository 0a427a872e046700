"""csrc/kernels.h for Cython."""


cdef extern from "kernels.h" nogil:
    ctypedef enum fastact_form "enum fastact_form":
        FASTACT_FORWARD
        FASTACT_DERIVATIVE
        FASTACT_BACKWARD
        FASTACT_WITH_DERIVATIVE

    enum:
        FASTACT_F32
        FASTACT_F64
        FASTACT_F16
        FASTACT_BF16
        FASTACT_DTYPES
        FASTACT_AXIS_DTYPES
        FASTACT_SPARE

    enum:
        FASTACT_MAX_PARAMETERS
        FASTACT_MAX_OPERANDS

    ctypedef enum fastact_kind "enum fastact_kind":
        FASTACT_ACTIVATION
        FASTACT_GATE
        FASTACT_FROM_OUTPUT
        FASTACT_PARAMETER_GRADIENT

    ctypedef struct fastact_parameter:
        const char *name
        double fallback
        const char *meaning

    ctypedef struct fastact_peers:
        const char *torch
        const char *jax
        const char *keras
        const char *onnx
        const char *tensorflow

    ctypedef struct fastact_activation:
        const char *name
        fastact_kind kind
        int parameters
        const char *summary
        const char *formula
        const char *derivative
        const char *kinks
        const char *source
        const char *note
        fastact_parameter *parameter
        const double *domain
        int roots
        const double *root
        const double *ulp
        fastact_peers peers

    int fastact_nin(const fastact_activation *row, fastact_form form)
    int fastact_nout(const fastact_activation *row, fastact_form form)

    const fastact_activation *fastact_activations
    const int fastact_activation_count

    ctypedef void (*fastact_elementwise)(
        int row, fastact_form form, char **operands, const Py_ssize_t *strides, size_t n
    ) noexcept

    ctypedef void (*fastact_along)(
        char **operands, const Py_ssize_t *outer, const Py_ssize_t *step, size_t lines, size_t n,
        int masked_zero
    ) noexcept
    ctypedef struct fastact_chosen:
        int row
        double *parameter
    ctypedef struct fastact_norm:
        const void *x
        const void *grad
        const void *gamma
        const void *beta
        void *out
        void *mean
        void *spread
        void *dgamma
        void *dbeta
        size_t rows
        size_t channels
        size_t run
        double eps
        fastact_chosen activation
    ctypedef struct fastact_bias:
        const void *x
        const void *grad
        const void *bias
        void *out
        void *dbias
        double *sums
        size_t rows
        size_t channels
        size_t run
        fastact_chosen activation
    ctypedef void (*fastact_bias_activation)(const fastact_bias *) noexcept
    ctypedef void (*fastact_normalize)(const fastact_norm *) noexcept
    ctypedef double (*fastact_measure)(
        const void *x, size_t n, int order, double scale, int zero_nonfinite
    ) noexcept
    ctypedef void (*fastact_rescale)(
        const void *x, void *out, size_t n, double factor, int zero_nonfinite
    ) noexcept
    ctypedef void (*fastact_clamp)(
        char **operands, const Py_ssize_t *strides, size_t n
    ) noexcept

    ctypedef struct fastact_axis_kernels:
        fastact_along *softmax
        fastact_along *softmax_backward
        fastact_normalize *batch_norm
        fastact_normalize *batch_norm_inference
        fastact_normalize *batch_norm_backward
        fastact_bias_activation *bias_activation
        fastact_measure *measure
        fastact_rescale *rescale
        fastact_clamp *clamp

    ctypedef struct fastact_kernels:
        const char *isa
        fastact_elementwise *elementwise
        const fastact_axis_kernels *axis

    const fastact_kernels *fastact_active()
    int fastact_select(const char *isa)
    const char *fastact_isa_built(int k)
    int fastact_isa_available(int k)
    const char *fastact_last_isa()


cdef extern from "threads.h" nogil:
    ctypedef struct fastact_settings:
        size_t stream_bytes
        int cpus
        int threads
        double grain
    fastact_settings fastact_setting

    void fastact_call(
        int dtype, int row, fastact_form form, char **operands, const Py_ssize_t *strides, size_t n
    ) noexcept
    int fastact_threads()
    int fastact_peak_threads()
    const char *fastact_openmp()
