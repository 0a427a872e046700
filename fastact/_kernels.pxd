"""csrc/kernels.h for Cython."""

from libc.stdint cimport int64_t


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
        FASTACT_NORM_SUMS

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

    enum:
        FASTACT_SOFTMAX
        FASTACT_SOFTMAX_BACKWARD
        FASTACT_LOG_SOFTMAX
        FASTACT_LOG_SOFTMAX_BACKWARD
        FASTACT_LOGSUMEXP
        FASTACT_SPARSEMAX
        FASTACT_SPARSEMAX_BACKWARD

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
        double *sums
        size_t samples
        size_t rows
        size_t channels
        size_t run
        size_t pool
        double eps
        int centred
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
    ctypedef enum fastact_measured "enum fastact_measured":
        FASTACT_PEAK
        FASTACT_SUM_MAGNITUDES
        FASTACT_SUM_SQUARES
        FASTACT_SUM
    ctypedef enum fastact_change "enum fastact_change":
        FASTACT_SCALE
        FASTACT_SHIFT
    ctypedef void (*fastact_measure)(
        const void *x, size_t rows, size_t channels, size_t run, fastact_measured what,
        const double *scale, int zero_nonfinite, double *hi, double *lo
    ) noexcept
    ctypedef void (*fastact_ce)(
        char **operands, const Py_ssize_t *outer, const Py_ssize_t *step, size_t lines, size_t n,
        int gradient
    ) noexcept
    ctypedef void (*fastact_bce)(
        char **operands, const Py_ssize_t *strides, size_t n, int row, int gradient
    ) noexcept
    ctypedef void (*fastact_change_channels)(
        const void *x, void *out, size_t rows, size_t channels, size_t run, const double *by,
        fastact_change how, int zero_nonfinite
    ) noexcept
    ctypedef void (*fastact_clamp)(
        const void *x, void *out, size_t n, double lower, double upper
    ) noexcept

    ctypedef enum fastact_cell "enum fastact_cell":
        FASTACT_LSTM
        FASTACT_LSTM_INFERENCE
        FASTACT_LSTM_BACKWARD
        FASTACT_GRU
        FASTACT_GRU_INFERENCE
        FASTACT_GRU_BACKWARD
    enum:
        FASTACT_CELL_OPERANDS
    ctypedef struct fastact_cells:
        void **at
        size_t *stride
        size_t rows
        size_t width
    ctypedef void (*fastact_cell_kernel)(const fastact_cells *) noexcept
    enum:
        FASTACT_CENSUS_PLACES_F32
        FASTACT_CENSUS_PLACES_F64
    ctypedef struct fastact_census:
        double rms
    ctypedef void (*fastact_census_of)(
        const void *x, size_t n, fastact_census *found, int64_t *histogram
    ) noexcept

    ctypedef struct fastact_axis_kernels:
        fastact_along[2] *along
        fastact_normalize *normalize
        fastact_normalize *normalize_inference
        fastact_normalize *normalize_backward
        fastact_bias_activation *bias_activation
        fastact_ce *cross_entropy
        fastact_bce *binary_cross_entropy
        fastact_measure *measure
        fastact_change_channels *change
        fastact_clamp *clamp
        fastact_cell_kernel (*cell)[2]
        fastact_census_of *census

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
