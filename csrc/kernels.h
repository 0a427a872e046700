/* What every ISA provides, and what the dispatcher and Python call: the table of kernels, without Python. */
#ifndef FASTACT_KERNELS_H
#define FASTACT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define FASTACT_X86 1
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define FASTACT_NEON 1
#endif

#ifdef __FAST_MATH__
#error "fastact must be built without -ffast-math: its error bounds rest on IEEE arithmetic"
#endif

enum fastact_form { FASTACT_FORWARD, FASTACT_DERIVATIVE, FASTACT_BACKWARD, FASTACT_WITH_DERIVATIVE, FASTACT_FORMS };
enum fastact_dtype {
  FASTACT_F32,
  FASTACT_F64,
  FASTACT_F16,
  FASTACT_BF16,
  FASTACT_DTYPES,
  FASTACT_AXIS_DTYPES = FASTACT_F16 /* softmax, norms and clipping have the first two */
};

#define FASTACT_MAX_PARAMETERS 4
#define FASTACT_MAX_ROOTS 2
#define FASTACT_MAX_OPERANDS (2 + FASTACT_MAX_PARAMETERS + 2) /* grad, x, parameters, two outputs */

enum fastact_kind {
  FASTACT_ACTIVATION,        /* f(x, parameters), all four forms */
  FASTACT_GATE,              /* x * act(gate): forward, and a backward that gives (dx, dgate) */
  FASTACT_FROM_OUTPUT,       /* f' in terms of y = f(x): forward, and a backward that gives grad * f' */
  FASTACT_PARAMETER_GRADIENT /* grad * df/dparameter: backward only */
};

typedef struct {
  const char *name;
  double fallback;
  const char *meaning;
} fastact_parameter;

/* What others call it; NULL where they have none. */
typedef struct {
  const char *torch, *jax, *keras, *onnx, *tensorflow;
} fastact_peers;

/* One row of activations.def, as Python reads it; what a row leaves out is 0. */
typedef struct {
  const char *name;
  enum fastact_kind kind;
  int parameters; /* how many operands follow x */
  const char *summary, *formula, *derivative, *kinks, *source, *note;
  fastact_parameter parameter[FASTACT_MAX_PARAMETERS];
  int exact; /* how many parameters, from the first, stand for their defaults where they are these rounded to the dtype */
  double domain[2]; /* {0, 0}: every number */
  int roots;        /* how often f' crosses zero, and where, at the default parameters */
  double root[FASTACT_MAX_ROOTS];
  double ulp[4]; /* float32 f, f', float64 f, f' */
  fastact_peers peers;
} fastact_activation;

extern const fastact_activation fastact_activations[];
extern const int fastact_activation_count;

/* How many inputs and outputs a row has in one of its forms. */
static inline int fastact_nin(const fastact_activation *row, enum fastact_form form) {
  return 1 + (form == FASTACT_BACKWARD) + row->parameters;
}
static inline int fastact_nout(const fastact_activation *row, enum fastact_form form) {
  return form == FASTACT_WITH_DERIVATIVE || (row->kind == FASTACT_GATE && form == FASTACT_BACKWARD) ? 2 : 1;
}

/* Whether f is restricted to a domain. */
static inline int fastact_has_ends(const fastact_activation *row) { return row->domain[0] < row->domain[1]; }

/* Operands are inputs (grad, x, parameters), then outputs; strides are in bytes and may be 0 or negative. */
typedef void (*fastact_elementwise)(int row, enum fastact_form form, char *const *operands, const ptrdiff_t *strides,
                                    size_t n);

enum fastact_softmax {
  FASTACT_SOFTMAX,
  FASTACT_SOFTMAX_BACKWARD,
  FASTACT_LOG_SOFTMAX,
  FASTACT_LOG_SOFTMAX_BACKWARD,
  FASTACT_LOGSUMEXP,
  FASTACT_SPARSEMAX,
  FASTACT_SPARSEMAX_BACKWARD,
  FASTACT_SOFTMAXES
};
/* `lines` lines of n elements along an axis: operands are inputs, then the output; `outer` bytes lie between lines and
 * `step` bytes between the elements of one. */
typedef void (*fastact_along)(char *const *operands, const ptrdiff_t *outer, const ptrdiff_t *step, size_t lines, size_t n,
                              int masked_zero);

/* An activation that another kernel applies to its results: a row of the table and its parameters. */
typedef struct {
  int row; /* negative for none */
  double parameter[FASTACT_MAX_PARAMETERS];
} fastact_chosen;

/* Normalisation: x, grad and out are contiguous (samples, rows, channels, run); out may be x or grad. Statistics are taken
 * over rows, run and `pool` channels that lie together, more than one only where rows or run count; with `centred` 0 the
 * mean is taken to be 0. mean and spread (rstd, or for inference the variance) are (samples, channels / pool) and written by
 * the forward pass only; gamma and beta (may be NULL), dgamma and dbeta are (channels). y is put through `activation`. */
typedef struct {
  const void *x, *grad, *gamma, *beta;
  void *out, *mean, *spread, *dgamma, *dbeta;
  double *sums; /* for the gradients: FASTACT_NORM_SUMS (channels + SPARE) zeros */
  size_t samples, rows, channels, run, pool;
  double eps;
  int centred;
  fastact_chosen activation;
} fastact_norm;
typedef void (*fastact_normalize)(const fastact_norm *);

/* f(x + bias), and its gradients where there is a grad: x, grad and out as above and not empty, bias and dbias (channels);
 * out may be x. */
#define FASTACT_SPARE 16 /* elements between arrays that vectors read beyond the end of */
typedef struct {
  const void *x, *grad, *bias;
  void *out, *dbias;
  double *sums; /* for dbias: 2 (channels + SPARE) zeros */
  size_t rows, channels, run;
  fastact_chosen activation;
} fastact_bias;

/* Steps of recurrent cells, cell.h: rows of `width` elements of each operand, inputs first, `stride` elements apart. */
enum fastact_cell {
  FASTACT_LSTM,
  FASTACT_LSTM_INFERENCE, /* saves nothing */
  FASTACT_LSTM_BACKWARD,
  FASTACT_GRU,
  FASTACT_GRU_INFERENCE,
  FASTACT_GRU_BACKWARD,
  FASTACT_CELLS
};
#define FASTACT_CELL_OPERANDS 13
typedef struct {
  void *at[FASTACT_CELL_OPERANDS];
  size_t stride[FASTACT_CELL_OPERANDS], rows, width;
} fastact_cells;

/* Operands are x, weights of its classes (a step of 0 for none), label, its weight, scale of the gradient; loss, and with
 * `gradient` dx. */
typedef void (*fastact_ce)(char *const *operands, const ptrdiff_t *outer, const ptrdiff_t *step, size_t lines, size_t n,
                           int gradient);

/* Elementwise: x, target, weight of the positive class, weight, scale of the gradient; loss, and with `gradient` dx. `row`
 * is that of log_sigmoid. */
typedef void (*fastact_bce)(char *const *operands, const ptrdiff_t *strides, size_t n, int row, int gradient);

#define FASTACT_PANEL 1024  /* channels or lines taken together */
#define FASTACT_NORM_SUMS 6 /* arrays of numbers of the channels */

/* Gradients, contiguous as (rows, channels, run). Flags are the caller's to restore.
 *
 * measure adds to hi + lo of each channel the sum of what is asked for of scale[channel] x, or puts the largest |x| into hi,
 * which nothing scales. A NULL scale is 1. */
enum fastact_measured { FASTACT_PEAK, FASTACT_SUM_MAGNITUDES, FASTACT_SUM_SQUARES, FASTACT_SUM };
typedef void (*fastact_measure)(const void *x, size_t rows, size_t channels, size_t run, enum fastact_measured what,
                                const double *scale, int zero_nonfinite, double *hi, double *lo);
/* out = by[channel] x, or x - by[channel]. out may be x. */
enum fastact_change { FASTACT_SCALE, FASTACT_SHIFT };
typedef void (*fastact_change_channels)(const void *x, void *out, size_t rows, size_t channels, size_t run, const double *by,
                                        enum fastact_change how, int zero_nonfinite);
/* What a census finds; rms, norm and largest |x| are of the finite entries. The histogram of |x| by exponents has a place
 * for each power of two from the smallest subnormal number on. */
#define FASTACT_CENSUS_WHOLE 65536 /* entries; the histogram of a longer array is of a sample */
#define FASTACT_CENSUS_PLACES_F32 277
#define FASTACT_CENSUS_PLACES_F64 2098
typedef struct {
  double rms, norm, largest;
  int64_t zeros, subnormal, nan, positive_infinity, negative_infinity;
  int64_t first_nonfinite; /* where in memory, -1 for nowhere */
  int64_t sampled;         /* whether the histogram is */
  double squares[3];       /* sums for rms and norm: of large blocks scaled down, others, small ones scaled up */
} fastact_census;

/* axis_*.c */
typedef struct {
  fastact_along along[FASTACT_SOFTMAXES][FASTACT_AXIS_DTYPES];
  fastact_normalize normalize[FASTACT_AXIS_DTYPES], normalize_inference[FASTACT_AXIS_DTYPES],
      normalize_backward[FASTACT_AXIS_DTYPES];
  void (*bias_activation[FASTACT_AXIS_DTYPES])(const fastact_bias *);
  fastact_ce cross_entropy[FASTACT_AXIS_DTYPES];
  fastact_bce binary_cross_entropy[FASTACT_AXIS_DTYPES];
  void (*cell[FASTACT_CELLS][FASTACT_AXIS_DTYPES])(const fastact_cells *);
  fastact_measure measure[FASTACT_AXIS_DTYPES];
  fastact_change_channels change[FASTACT_AXIS_DTYPES];
  void (*clamp[FASTACT_AXIS_DTYPES])(const void *x, void *out, size_t n, double lower, double upper);
  void (*census[FASTACT_AXIS_DTYPES])(const void *x, size_t n, fastact_census *found, int64_t *histogram); /* zeros */
} fastact_axis_kernels;

/* isa_*.c */
typedef struct {
  const char *isa;
  fastact_elementwise elementwise[FASTACT_DTYPES];
  fastact_elementwise streaming[FASTACT_DTYPES]; /* the same, with results that go past the caches where they may */
  const fastact_axis_kernels *axis;
} fastact_kernels;

/* dispatch.c */
const fastact_kernels *fastact_active(void);
int fastact_select(const char *isa);  /* 0, or -1 where this machine or this build cannot run it */
const char *fastact_isa_built(int k); /* names in ascending order of width, NULL past the last */
int fastact_isa_available(int k);     /* 1 where this CPU can run the k-th of them */
const char *fastact_last_isa(void);   /* the ISA whose kernels ran last, as they wrote it themselves */
void fastact_ran(const char *isa);

#endif
