/* Walks float32 bit patterns through kernels and the oracle, and counts: errors in units in the last place (ULP), NaNs and
 * signs that are wrong, IEEE flags that are spurious or missing. The oracle is asked once for all ISAs.
 *
 * An ULP is tests/ulp.py's: subnormals count in the smallest subnormal, infinity is the number that would follow the
 * largest, and within ROOT_REACH of a root of f' an ULP of f' is at least that of 1/16. */
#include <fenv.h>
#include <float.h>
#include <stdint.h>
#include <string.h>

#include "../csrc/kernels.h"
#include "oracle.h"

enum { BLOCK = 2048 };
enum { LOWEST = 1023 - 126, COARSE = 1023 - 4, HIGHEST = 1023 + 127 }; /* exponents of FLT_MIN, 1/16, FLT_MAX in a double */
#define ROOT_REACH 0.5
#define INFINITE 0x1p128                                /* where infinity counts */
#define MAYBE_TINY (FLT_MIN + 4 * (double)FLT_TRUE_MIN) /* a kernel may be off by a few ULP */
#define SURELY_HUGE (INFINITE * (1 + 0x1p-22))
#define MAYBE_HUGE (INFINITE * (1 - 0x1p-22))

typedef struct {
  double max_ulp;
  float at, got, nan_at, sign_at; /* where the largest error is and what was returned there; the first faults */
  uint64_t over_1, nan_faults, sign_faults;
} Tally;

enum { INVALID = 1, DIVIDE = 2, OVERFLOW = 4, UNDERFLOW = 8 }; /* flags, the same on every machine */

typedef struct {
  const fastact_kernels *kernels;
  Tally tally[2];            /* f and f' */
  uint64_t flag_faults;      /* blocks */
  uint32_t flag_block;       /* the pattern that the first of them begins with */
  int32_t spurious, missing; /* its flags */
} Run;

typedef struct {
  const char *oracle;
  int32_t row, parameters, roots, runs;
  float parameter[FASTACT_MAX_PARAMETERS];
  double oracle_parameter[FASTACT_MAX_PARAMETERS]; /* the same, unless an error is planted */
  double root[4];
  uint64_t first, count, stride, block; /* patterns first, first + stride, ...; flags are read once a block */
  Run *run;
} Proof;

/* What one output should be, prepared for comparing. */
typedef struct {
  double value[BLOCK], per_ulp[BLOCK]; /* clipped to INFINITE; ULPs in 1 */
  int64_t sign_counts[BLOCK];          /* -1 where it does */
  int may_raise, must_raise;
} Reference;

static int64_t bits_of(double y) {
  int64_t bits;
  memcpy(&bits, &y, sizeof bits);
  return bits;
}

static double double_of(int64_t bits) {
  double y;
  memcpy(&y, &bits, sizeof y);
  return y;
}

/* The flags that f(x) = y deserves at least, and at most: where rounding decides, or y may be exact, both are right. */
static void judge_flags(Reference *r, float x, double y, enum exactness exactness) {
  double size = fabs(y);
  int must = 0, may = 0;
  if (x != x || (isinf(x) && y == y)) return;
  if (y != y) {
    must = INVALID;
  } else if (isinf(y)) {
    must = DIVIDE;
  } else if (size > MAYBE_HUGE) {
    may = OVERFLOW;
    must = size > SURELY_HUGE ? OVERFLOW : 0;
  } else if (size < MAYBE_TINY && y != 0 && (exactness == ROUNDED || y != (float)y)) {
    may = UNDERFLOW;
  }
  r->must_raise |= must;
  r->may_raise |= must | may;
}

static void prepare(const Proof *proof, Reference *r, int derivative, enum exactness exactness, const float *x, size_t n) {
  int64_t coarse[BLOCK], extreme = 0;
  memset(coarse, 0, n * sizeof *coarse);
  if (derivative)
    for (int k = 0; k < proof->roots; k++)
      for (size_t i = 0; i < n; i++) coarse[i] |= -(int64_t)(fabs(x[i] - proof->root[k]) <= ROOT_REACH);
  for (size_t i = 0; i < n; i++) {
    double y = r->value[i], size = fabs(y);
    extreme |= -(int64_t)!(size >= MAYBE_TINY && size <= MAYBE_HUGE) & -(int64_t)(y != 0);
  }
  r->may_raise = r->must_raise = 0;
  if (extreme)
    for (size_t i = 0; i < n; i++) judge_flags(r, x[i], r->value[i], exactness);
  for (size_t i = 0; i < n; i++) {
    double y = r->value[i];
    int64_t exponent = bits_of(y) >> 52 & 0x7ff, least = coarse[i] ? COARSE : LOWEST;
    exponent = exponent < least ? least : exponent;
    exponent = exponent > HIGHEST ? HIGHEST : exponent;
    r->per_ulp[i] = double_of((2 * 1023 + FLT_MANT_DIG - 1 - exponent) << 52);
    int64_t zero = -(int64_t)(y == 0), sign_of_zero = -(int64_t)(!derivative && x[i] == 0);
    r->sign_counts[i] = -(int64_t)(y == y) & ~coarse[i] & (~zero | sign_of_zero);
    y = y > INFINITE ? INFINITE : y;
    r->value[i] = y < -INFINITE ? -INFINITE : y;
  }
}

static void compare(Tally *tally, const Reference *r, const float *x, const float *got, size_t n) {
  static const int64_t one = (int64_t)1023 << 52; /* 1.0: doubles that are not negative are ordered as their bits are */
  int64_t error[BLOCK], worst = 0, over = 0, nans = 0, signs = 0;
  for (size_t i = 0; i < n; i++) {
    double y = got[i], wanted = r->value[i];
    signs -= (bits_of(y) ^ bits_of(wanted)) >> 63 & r->sign_counts[i] & -(int64_t)(y == y);
    nans += (y != y) != (wanted != wanted);
    y = y > INFINITE ? INFINITE : y;
    y = y < -INFINITE ? -INFINITE : y;
    double ulps = fabs(y - wanted) * r->per_ulp[i];
    error[i] = bits_of(ulps) & -(int64_t)(ulps == ulps);
    over += error[i] > one;
    worst = error[i] > worst ? error[i] : worst;
  }
  tally->over_1 += (uint64_t)over;
  if (worst > bits_of(tally->max_ulp))
    for (size_t i = 0; i < n; i++)
      if (error[i] == worst) {
        tally->max_ulp = double_of(worst);
        tally->at = x[i], tally->got = got[i];
        break;
      }
  for (size_t i = n; nans && i--;)
    if (!tally->nan_faults && (got[i] != got[i]) != (r->value[i] != r->value[i])) tally->nan_at = x[i];
  for (size_t i = n; signs && i--;)
    if (!tally->sign_faults && r->sign_counts[i] && !signbit(got[i]) != !signbit(r->value[i])) tally->sign_at = x[i];
  tally->nan_faults += (uint64_t)nans;
  tally->sign_faults += (uint64_t)signs;
}

static int raised_flags(void) {
  int flags = fetestexcept(FE_ALL_EXCEPT);
  return (flags & FE_INVALID ? INVALID : 0) | (flags & FE_DIVBYZERO ? DIVIDE : 0) | (flags & FE_OVERFLOW ? OVERFLOW : 0) |
         (flags & FE_UNDERFLOW ? UNDERFLOW : 0);
}

static void run_block(const Proof *proof, Run *run, const Reference *reference, uint32_t pattern, float *x, size_t n) {
  float out[2][BLOCK] __attribute__((aligned(64)));
  char *operands[FASTACT_MAX_OPERANDS] = {(char *)x};
  ptrdiff_t strides[FASTACT_MAX_OPERANDS] = {sizeof(float)};
  int k = 1;
  for (int p = 0; p < proof->parameters; p++) operands[k] = (char *)&proof->parameter[p], strides[k++] = 0;
  for (int o = 0; o < 2; o++) operands[k] = (char *)out[o], strides[k++] = sizeof(float);

  feclearexcept(FE_ALL_EXCEPT);
  run->kernels->elementwise[FASTACT_F32](proof->row, FASTACT_WITH_DERIVATIVE, operands, strides, n);
  int raised = raised_flags();
  int spurious = raised & ~(reference[0].may_raise | reference[1].may_raise);
  int missing = (reference[0].must_raise | reference[1].must_raise) & ~raised;
  if ((spurious | missing) && !run->flag_faults++)
    run->flag_block = pattern, run->spurious = spurious, run->missing = missing;
  for (int o = 0; o < 2; o++) compare(&run->tally[o], &reference[o], x, out[o], n);
}

static const Oracle *find(const char *name) {
  for (int k = 0; k < oracle_count; k++)
    if (strcmp(oracles[k].name, name) == 0) return &oracles[k];
  return NULL;
}

/* Adds to what the runs have counted; -1 where there is no such oracle. */
int prove(const Proof *proof) {
  const Oracle *oracle = find(proof->oracle);
  if (!oracle) return -1;

  static _Thread_local Reference reference[2];
  float x[BLOCK] __attribute__((aligned(64)));
  for (uint64_t done = 0; done < proof->count; done += proof->block) {
    size_t n = proof->count - done < proof->block ? proof->count - done : proof->block;
    uint32_t pattern = (uint32_t)(proof->first + done * proof->stride);
    for (size_t i = 0; i < n; i++) {
      uint32_t bits = pattern + (uint32_t)i * (uint32_t)proof->stride;
      memcpy(&x[i], &bits, sizeof bits);
    }
    oracle->sweep(x, n, proof->oracle_parameter, reference[0].value, reference[1].value);
    for (int k = 0; k < 2; k++) prepare(proof, &reference[k], k, oracle->exactness, x, n);
    for (int r = 0; r < proof->runs; r++) run_block(proof, &proof->run[r], reference, pattern, x, n);
  }
  return 0;
}

/* Adds to the tallies of every run what others have computed from x: f and f' of each run in turn, NULL for what it lacks.
 */
int judge(const Proof *proof, const float *x, size_t n, const float *const *got) {
  const Oracle *oracle = find(proof->oracle);
  if (!oracle) return -1;

  static _Thread_local Reference reference[2];
  for (size_t done = 0, part; done < n; done += part) {
    part = n - done < BLOCK ? n - done : BLOCK;
    oracle->sweep(x + done, part, proof->oracle_parameter, reference[0].value, reference[1].value);
    for (int k = 0; k < 2; k++) prepare(proof, &reference[k], k, oracle->exactness, x + done, part);
    for (int r = 0; r < proof->runs; r++)
      for (int k = 0; k < 2; k++)
        if (got[2 * r + k]) compare(&proof->run[r].tally[k], &reference[k], x + done, got[2 * r + k] + done, part);
  }
  return 0;
}

/* The oracle alone; -1 where there is none of that name. */
int ask(const char *name, const float *x, size_t n, const double *parameter, double *f, double *d) {
  const Oracle *oracle = find(name);
  if (oracle) oracle->sweep(x, n, parameter, f, d);
  return oracle ? 0 : -1;
}

/* The name of the k-th oracle; NULL past the last. */
const char *oracle_name(int k) { return k < oracle_count ? oracles[k].name : NULL; }
