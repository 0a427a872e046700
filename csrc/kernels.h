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
enum fastact_dtype { FASTACT_F32, FASTACT_F64, FASTACT_DTYPES };

#define FASTACT_MAX_PARAMETERS 2
#define FASTACT_MAX_OPERANDS (2 + FASTACT_MAX_PARAMETERS + 2) /* grad, x, parameters, f, f' */

/* One row of activations.def, as Python reads it. */
typedef struct {
  const char *name, *summary, *formula, *derivative, *kinks, *source;
  int from_output; /* 1: a FROM_OUTPUT row, which has the forward form only */
  int parameters;
  const char *parameter[FASTACT_MAX_PARAMETERS];
  double fallback[FASTACT_MAX_PARAMETERS]; /* the parameters' defaults */
  double root;                             /* NaN: f' crosses no zero */
  double ulp[4];                           /* float32 f, f', float64 f, f' */
} fastact_activation;

extern const fastact_activation fastact_activations[];
extern const int fastact_activation_count;

/* Operands are inputs (grad, x, parameters), then outputs; strides are in bytes and may be 0 or negative. */
typedef void (*fastact_elementwise)(int row, enum fastact_form form, char *const *operands, const ptrdiff_t *strides,
                                    size_t n);

/* `lines` lines of n elements along an axis: operands are inputs, then the output; `outer` bytes lie between lines and
 * `step` bytes between the elements of one. */
typedef void (*fastact_along)(char *const *operands, const ptrdiff_t *outer, const ptrdiff_t *step, size_t lines, size_t n,
                              int masked_zero);

/* Batch normalisation: x, grad and out are contiguous (rows, channels, run), the others (channels), gamma and beta may be
 * NULL; out may be x or grad. mean and spread (rstd, or for inference the variance) are written by the forward pass only. */
typedef struct {
  const void *x, *grad, *gamma, *beta;
  void *out, *mean, *spread, *dgamma, *dbeta;
  size_t rows, channels, run;
  double eps;
} fastact_norm;
typedef void (*fastact_normalize)(const fastact_norm *);

#define FASTACT_PANEL 256 /* channels taken together where run is 1 */

typedef struct {
  const char *isa;
  fastact_elementwise elementwise[FASTACT_DTYPES];
  fastact_along softmax[FASTACT_DTYPES], softmax_backward[FASTACT_DTYPES];
  fastact_normalize batch_norm[FASTACT_DTYPES], batch_norm_inference[FASTACT_DTYPES], batch_norm_backward[FASTACT_DTYPES];
  double (*measure[FASTACT_DTYPES])(const void *x, size_t n, int ord, double scale, int zero_nonfinite);
  void (*rescale[FASTACT_DTYPES])(const void *x, void *out, size_t n, double factor, int zero_nonfinite);
  void (*clamp[FASTACT_DTYPES])(char *const *operands, const ptrdiff_t *strides, size_t n);
} fastact_kernels;

/* dispatch.c */
const fastact_kernels *fastact_active(void);
int fastact_select(const char *isa);  /* 0, or -1 where this machine or this build cannot run it */
const char *fastact_isa_built(int k); /* names in ascending order of width, NULL past the last */
int fastact_isa_available(int k);     /* 1 where this CPU can run the k-th of them */
const char *fastact_last_isa(void);   /* the ISA whose kernels ran last, as they wrote it themselves */
void fastact_ran(const char *isa);

#endif
