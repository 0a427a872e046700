/* What every activation should return for a float32 x, in double precision: f and f' from the C library, to a relative error
 * of 1e-13 wherever a float32 can see it (tests/test_prove.py holds each entry to that, against exact values).
 *
 * An entry is ORACLE(name, EXACT or ROUNDED) { ... }, in x and the parameters p; registering itself, it is listed nowhere
 * else. EXACT says that a result below the smallest normal float32 is the true value, not a rounding of it. Entries
 * never see NaN; of an infinite x they see BEYOND. A product of two floats is exact in double; no formula is the kernels'.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <math.h>
#include <stddef.h>

typedef struct {
  double f, d;
} Both;
typedef void (*Sweep)(const float *x, size_t n, const double *p, double *f, double *d);
enum exactness { ROUNDED, EXACT };
typedef struct {
  const char *name;
  enum exactness exactness;
  Sweep sweep;
} Oracle;
static Oracle oracles[128];
static int oracle_count;

#define UNUSED __attribute__((unused))
#define BEYOND 1e60 /* stands in for infinity: no float32 is as large, and its cube is finite */

/* The limit that a value taken at BEYOND stands for. */
static inline double limit(double y) { return fabs(y) > 1e40 ? copysign(INFINITY, y) : fabs(y) < 1e-40 ? 0 : y; }

#define ORACLE(name, how_exact) \
  static inline Both oracle_##name(double x, const double *p UNUSED); \
  static void sweep_##name(const float *x, size_t n, const double *p, double *f, double *d) { \
    for (size_t i = 0; i < n; i++) { \
      Both both = {NAN, NAN}; \
      if (isinf(x[i])) { \
        both = oracle_##name(copysign(BEYOND, x[i]), p); \
        both = (Both){limit(both.f), limit(both.d)}; \
      } else if (x[i] == x[i]) { \
        both = oracle_##name(x[i], p); \
      } \
      f[i] = x[i] == 0 && both.f == 0 ? x[i] : both.f; /* -0 keeps its sign */ \
      d[i] = both.d; \
    } \
  } \
  __attribute__((constructor)) static void register_##name(void) { \
    oracles[oracle_count++] = (Oracle){#name, how_exact, sweep_##name}; \
  } \
  static inline Both oracle_##name(double x, const double *p UNUSED)

/* ---- shared pieces ---- */

/* fmin and fmax without their rules for NaN, which would make them calls */
static inline double least(double a, double b) { return a < b ? a : b; }
static inline double most(double a, double b) { return a > b ? a : b; }
static inline double clamp(double t, double low, double high) { return least(most(t, low), high); }

/* exp(t), except that it never quite reaches 0 or infinity: signs survive, and infinity is left to poles */
static inline double grow(double t) { return t < -700 ? 0x1p-1010 : t > 700 ? 0x1p1010 : exp(t); }

static inline double logistic(double t) {
  double e = grow(-fabs(t));
  return t < 0 ? e / (1 + e) : 1 / (1 + e);
}

static inline double log1p_exp(double t) { return most(t, 0) + log1p(grow(-fabs(t))); }

/* x sigmoid(t) and its derivative, x dt/dx being given */
static inline Both gated(double x, double t, double x_dt) {
  double s = logistic(t);
  return (Both){x * s, s * (1 + x_dt * logistic(-t))};
}

/* slope x + offset between two bounds; inside or not is told from the exact sum */
static inline Both clipped(double x, double slope, double offset, double low, double high) {
  double a = slope * x, sum = a + offset, b = sum - a, rest = (a - (sum - b)) + (offset - b);
  int above = sum > low || (sum == low && rest > 0), below = sum < high || (sum == high && rest < 0);
  return (Both){clamp(sum, low, high), above && below ? slope : 0};
}

/* ---- piecewise linear ---- */

ORACLE(identity, EXACT) { return (Both){x, 1}; }
ORACLE(relu, EXACT) { return x > 0 ? (Both){x, 1} : (Both){0, 0}; }
ORACLE(relu6, EXACT) { return clipped(x, 1, 0, 0, 6); }
ORACLE(leaky_relu, EXACT) { return x > 0 ? (Both){x, 1} : (Both){p[0] * x, p[0]}; }
ORACLE(threshold, EXACT) { return x > p[0] ? (Both){x, 1} : (Both){p[1], 0}; }
ORACLE(hardtanh, EXACT) { return clipped(x, 1, 0, p[0], p[1]); }
ORACLE(clipped_linear, EXACT) { return clipped(x, p[0], p[1], p[2], p[3]); }
ORACLE(hardshrink, EXACT) { return fabs(x) > p[0] ? (Both){x, 1} : (Both){0, 0}; }
ORACLE(softshrink, EXACT) { return fabs(x) > p[0] ? (Both){x - copysign(p[0], x), 1} : (Both){0, 0}; }

/* An alpha that is the float32 nearest to 1/6 stands for 1/6. */
ORACLE(hard_sigmoid, ROUNDED) {
  if (p[0] != (double)(1.0f / 6)) return clipped(x, p[0], p[1], 0, 1);
  Both six = clipped(x, 1, 6 * p[1], 0, 6);
  return (Both){six.f / 6, six.d / 6};
}

/* ---- piecewise quadratic ---- */

ORACLE(hard_swish, ROUNDED) {
  if (x <= -3) return (Both){0, 0};
  return x >= 3 ? (Both){x, 1} : (Both){x * (x + 3) / 6, (2 * x + 3) / 6};
}

ORACLE(sparse_plus, ROUNDED) {
  if (x <= -1) return (Both){0, 0};
  return x >= 1 ? (Both){x, 1} : (Both){(x + 1) * (x + 1) / 4, (x + 1) / 2};
}

ORACLE(sparse_sigmoid, ROUNDED) { return (Both){clamp((x + 1) / 2, 0, 1), fabs(x) < 1 ? 0.5 : 0}; }

/* ---- exponential left branch ---- */

ORACLE(elu, ROUNDED) { return x > 0 ? (Both){x, 1} : (Both){p[0] * expm1(x), p[0] * grow(x)}; }
ORACLE(celu, ROUNDED) { return x > 0 ? (Both){x, 1} : (Both){p[0] * expm1(x / p[0]), grow(x / p[0])}; }
ORACLE(selu, ROUNDED) {
  const double scale = 1.05070098735548049, scale_alpha = 1.75809934084737686;
  return x > 0 ? (Both){scale * x, scale} : (Both){scale_alpha * expm1(x), scale_alpha * grow(x)};
}

/* ---- the logistic function and what it gates ---- */

ORACLE(sigmoid, ROUNDED) { return (Both){logistic(x), logistic(x) * logistic(-x)}; }
ORACLE(silu, ROUNDED) { return gated(x, x, x); }
ORACLE(swish, ROUNDED) { return gated(x, p[0] * x, p[0] * x); }
ORACLE(quick_gelu, ROUNDED) { return gated(x, 1.702 * x, 1.702 * x); }
ORACLE(softplus, ROUNDED) { return (Both){log1p_exp(p[0] * x) / p[0], logistic(p[0] * x)}; }
ORACLE(log_sigmoid, ROUNDED) { return (Both){-log1p_exp(-x), logistic(-x)}; }

/* (1 + tanh(u)) / 2 = sigmoid(2u), 2u = k x + c x^3 */
ORACLE(gelu_tanh, ROUNDED) {
  const double k = 2 * M_2_SQRTPI * M_SQRT1_2, c = 0.044715 * k;
  return gated(x, x * (k + c * (x * x)), x * (k + 3 * c * (x * x)));
}

ORACLE(mish, ROUNDED) {
  double t = tanh(log1p_exp(x));
  return (Both){x * t, t + x * logistic(x) * (1 - t * t)};
}

/* ---- hyperbolic tangent ---- */

/* 1 - tanh(x)^2 = 4 sigmoid(2x) sigmoid(-2x) */
ORACLE(tanh, ROUNDED) { return (Both){tanh(x), 4 * logistic(2 * x) * logistic(-2 * x)}; }

/* x - tanh(x) = (x cosh(x) - sinh(x)) / cosh(x); the terms of that numerator's series have one sign */
ORACLE(tanhshrink, ROUNDED) {
  double t = tanh(x), xx = x * x, term = x * xx / 6, sum = 0;
  if (fabs(x) > 1) return (Both){x - t, t * t};
  for (int k = 1; k < 12; k++) {
    sum += 2 * k * term;
    term *= xx / ((2 * k + 2) * (2 * k + 3));
  }
  return (Both){sum / cosh(x), t * t};
}

/* ---- error function ---- */

static inline double bell(double x) { return grow(-x * x / 2); }

/* x Phi(x); f' = Phi(x) + x phi(x) */
ORACLE(gelu, ROUNDED) {
  double t = most(-36, x), phi = erfc(-t * M_SQRT1_2) / 2; /* both are 0 to a float32 long before */
  return (Both){x * phi, phi + t * bell(t) * (M_2_SQRTPI * M_SQRT1_2 / 2)};
}

ORACLE(erf, ROUNDED) { return (Both){erf(x), M_2_SQRTPI * grow(-x * x)}; }
ORACLE(erfc, ROUNDED) { return (Both){erfc(least(26, x)), -M_2_SQRTPI * grow(-x * x)}; }

/* ---- exponential and logarithms ---- */

ORACLE(exp, ROUNDED) { return (Both){grow(x), grow(x)}; }
ORACLE(expm1, ROUNDED) { return (Both){expm1(least(700, x)), grow(x)}; }

ORACLE(log1p, ROUNDED) {
  if (x < -1) return (Both){NAN, NAN};
  return (Both){x == BEYOND ? INFINITY : log1p(x), 1 / (1 + x)};
}

/* log(x / (1 - x)), which is 2 atanh(2x - 1) where that is small */
ORACLE(logit, ROUNDED) {
  if (x < 0 || x > 1) return (Both){NAN, NAN};
  double f = fabs(x - 0.5) < 0.25 ? 2 * atanh(2 * x - 1) : log(x) - log1p(-x);
  return (Both){f, 1 / fabs(x * (1 - x))}; /* of +inf also at -0 */
}

/* ---- algebraic ---- */

ORACLE(softsign, ROUNDED) {
  double s = 1 / (1 + fabs(x));
  return (Both){x * s, s * s};
}

/* With r = sqrt(x^2 + b), x + r is b / (r - x): no difference where x < 0. */
ORACLE(squareplus, ROUNDED) {
  double r = sqrt(x * x + p[0]), sum = x < 0 ? p[0] / (r - x) : x + r;
  return (Both){sum / 2, x == 0 ? 0.5 : sum / (2 * r)};
}

/* With r = sqrt(1 + x^2) and h = (1 + x/r) / 2: f = x h, f' = h (6h - 4h^2 - 1), as x^3/r^3 = (2h - 1)^3. */
ORACLE(dish, ROUNDED) {
  double r = sqrt(1 + x * x), h = (x < 0 ? 1 / (r - x) : x + r) / (2 * r);
  return (Both){x * h, h * (6 * h - 4 * h * h - 1)};
}

#endif
