/* f and f' of every activation, beside its formula. Each function returns both: a kernel that stores one of them leaves the
 * other to dead-code elimination, and one that stores both shares the exponential.
 *
 * Rules that all of them keep: derivatives come from x, never from y; exponents are negative, so that nothing overflows and
 * the left tail keeps its digits down to the last subnormal; NaN passes every clamp (vmin and vmax return their second
 * operand where one is NaN); a result is rounded to T once, from a Pair. */

#define Logistic FN(Logistic)
#define logistic FN(logistic)
#define logistic_value FN(logistic_value)
#define Sides FN(Sides)
#define logistic_sides FN(logistic_sides)
#define logistic_beside_one FN(logistic_beside_one)
#define logistic_slope FN(logistic_slope)
#define exp_left FN(exp_left)
#define gated FN(gated)
#define exp_away FN(exp_away)
#define half_log1p FN(half_log1p)

#if REAL == 32
#include "in_double.h"
#endif

#include "piecewise.h"

#include "algebraic.h"
#include "primitives.h"

/* ---- exponential left branch ---- */

/* exp(min(x, 0)) */
static INLINE Exp exp_left(V x) { return exp_parts(vmax(vset(-EXP_LIMIT), vmin(vset(0), x)), NULL); }

#if REAL == 32
/* The left branch. */
static INLINE WD elu_in_double(W x, W alpha, W q) {
  (void)q;
  WideExp e = wide_exp_parts(vmax_f64(wset(-WIDE_LIMIT), vmin_f64(wset(0), x)));
  return (WD){alpha * wide_expm1(e), alpha * wfma(e.power, e.s, e.power)};
}
#endif

/* x if x > 0 else alpha * expm1(x) */
static INLINE VD FN(elu)(V x, V alpha) {
#if REAL == 32
  VD left = in_double(elu_in_double, x, alpha, alpha);
  return (VD){vsel(vlt(x, vset(0)), left.f, x), vsel(vlt(vset(0), x), vset(1), left.d)};
#else
  Exp e = exp_left(x);
  Pair left = one_minus_exp(e, plus_exp(1, e));
  return (VD){vsel(vlt(x, vset(0)), pair_times(left, -alpha), x),
              vsel(vlt(vset(0), x), vset(1), unscaled_any(pair_times(exp_mantissa(e), alpha), e.power))};
#endif
}

/* df/dalpha = expm1(min(x, 0)) */
static INLINE V FN(elu_parameter)(V x, V alpha) {
  (void)alpha;
  Exp e = exp_left(x);
  return vsel(vlt(x, vset(0)), -pair_round(one_minus_exp(e, plus_exp(1, e))), unless_nan(x, vset(0)));
}

#if REAL == 32
/* The left branch. */
static INLINE WD celu_in_double(W x, W alpha, W q) {
  (void)q;
  W v = vmin_f64(wset(0), x) * (wset(1) / alpha), known = vsel_f64(vlt_f64(wset(0), alpha), alpha, wset(NAN));
  WideExp e = wide_exp_parts(vmax_f64(wset(-WIDE_LIMIT), v));
  W f = vsel_f64(vlt_f64(wset(-0x1p-40), v), x, known * wide_expm1(e));
  return (WD){f, vsel_f64(vordered_f64(known), wfma(e.power, e.s, e.power), known)};
}
#endif

/* x if x > 0 else alpha * expm1(v), v = x / alpha, which is x where v is tiny; an alpha that is not positive has no f */
static INLINE VD FN(celu)(V x, V alpha) {
#if REAL == 32
  VD left = in_double(celu_in_double, x, alpha, alpha);
  return (VD){vsel(vlt(x, vset(0)), left.f, x), vsel(vlt(vset(0), x), vset(1), left.d)};
#else
  V zero = vset(0), largest = vset(PICK(FLT_MAX, DBL_MAX)), r = vmin(largest, vset(1) / alpha);
  Pair v = pair_over(pair(vmax(-largest, vmin(zero, x)), zero), inverse_from(r, pair(alpha, zero)));
  M finite = vlt(vset(-EXP_LIMIT), v.hi), tiny = vlt(vset(PICK(-0x1p-40f, -0x1p-80)), v.hi);
  V lo = vsel(finite, v.lo, zero), known = vsel(vlt(zero, alpha), alpha, vset((T)NAN));
  Exp e = exp_parts(vmax(vset(-EXP_LIMIT), v.hi), NULL);
  Pair m = exp_mantissa(e), minus_f = one_minus_exp(e, plus_exp(1, e));
  m.lo = vfma(m.hi, lo, m.lo);
  minus_f.lo -= m.hi * lo * power_beside_one(e);
  V left = vsel(tiny, x, pair_times(minus_f, -known)), d = unscaled(pair_round(m), e.power);
  return (VD){vsel(vlt(x, zero), left, x), vsel(vlt(zero, x), vset(1), unless_nan(known, unless_nan(x, d)))};
#endif
}

#if REAL == 32
static INLINE WD selu_in_double(W x, W p, W q) {
  (void)p, (void)q;
  W zero = wset(0), scale = wset(1.0507009873554804934), slope = wset(1.7580993408473768599);
  WideExp e = wide_exp_parts(vmax_f64(wset(-WIDE_LIMIT), vmin_f64(zero, x)));
  return (WD){vsel_f64(vlt_f64(x, zero), slope * wide_expm1(e), scale * x),
              vsel_f64(vlt_f64(zero, x), scale, slope * wfma(e.power, e.s, e.power))};
}
#endif

/* scale * (x if x > 0 else alpha * expm1(x)) */
static INLINE VD FN(selu)(V x) {
#if REAL == 32
  return in_double(selu_in_double, x, x, x);
#else
  V scale = vset(SELU_SCALE);
  Pair slope = pair(vset(SELU_SCALE_ALPHA), vset(SELU_SCALE_ALPHA_LO));
  Exp e = exp_left(x);
  Pair minus_expm1 = pair_scaled(one_minus_exp(e, plus_exp(1, e)), vset(1 / SCALE_DOWN));
  V left = -pair_round(pair_product(minus_expm1, slope)) * vset(SCALE_DOWN);
  V rough = scale * x, right = vcopysign(pair_times(pair(scale, vset(SELU_SCALE_LO)), x), x);
  V d = unscaled(pair_round(pair_product(exp_mantissa(e), slope)), e.power);
  return (VD){vsel(vlt(x, vset(0)), left, vsel(vlt(rough, vset((T)INFINITY)), right, rough)),
              vsel(vlt(vset(0), x), scale, d)};
#endif
}

/* ---- the logistic function and what it gates ---- */

/* sigmoid(-|v|) = 1 / (1 + exp(|v|)) = y * SCALE_DOWN keeps the digits of both tails; sigmoid(|v|) is 1 - it. */
typedef struct {
  M negative; /* v < 0 */
  Inverse y;
} Logistic;

/* of v + *lo; lo is NULL, or 0 where |v| > EXP_LIMIT */
static INLINE Logistic logistic(V v, const V *lo) {
  M negative = vlt(v, vset(0));
  V away = lo ? vsel(negative, -*lo, *lo) : v;
  V limit = vset(EXP_LIMIT), a = vabs(v);
  Inverse y = inverse_of(one_plus_exp(vmin(limit, vmax(vset(TINY), a)), lo ? &away : NULL));
  y.r = vsel(vlt(a, limit), y.r, vset(0)); /* what would underflow */
  return (Logistic){negative, y};
}

static INLINE V logistic_value(Logistic l) {
  V y = vfma(l.y.r, l.y.e, l.y.r) * vset(SCALE_DOWN);
  return vsel(l.negative, y, C(1) - y);
}

/* sigmoid(-|v|) at least NEGLIGIBLE, for use beside 1, but for its factor 1 + e */
static INLINE V logistic_beside_one(Logistic l) { return vmax(vset(NEGLIGIBLE / SCALE_DOWN), l.y.r) * vset(SCALE_DOWN); }

/* sigmoid(-|v|) sigmoid(|v|) = r (1 + e) (1 - small (1 + e)), over SCALE_DOWN */
static INLINE V logistic_slope(Logistic l) {
  V small = logistic_beside_one(l), e = l.y.e;
  return vfma_always(l.y.r, vfma(e, vfma(-e, small, vfma(vset(-2), small, vset(1))), -small), l.y.r);
}

/* sigmoid(-|v|) / SCALE_DOWN; the same unscaled, at least NEGLIGIBLE, for use beside 1; sigmoid(|v|) */
typedef struct {
  Pair lower, small, upper;
} Sides;

static INLINE Sides logistic_sides(Logistic l) {
  V beside_one = logistic_beside_one(l);
  Pair small = pair(beside_one, beside_one * l.y.e), upper = fast_sum(vset(1), -small.hi);
  return (Sides){pair(l.y.r, l.y.r * l.y.e), small, pair(upper.hi, upper.lo - small.lo)};
}

/* 1 / (1 + exp(-x)); f' = sigmoid(-|x|) sigmoid(|x|), which is even: the tails agree to the last digit */
static INLINE VD FN(sigmoid)(V x) {
  Logistic l = logistic(x, NULL);
  return (VD){logistic_value(l), logistic_slope(l) * vset(SCALE_DOWN)};
}

static INLINE V FN(sigmoid_from_output)(V y) { return y * (C(1) - y); }

/* float32: sixteen polynomials. float64, with E = exp(2|x|): (E - 1) / (E + 1). f' = 4 sigmoid'(2x) */
static INLINE VD FN(tanh)(V x) {
  Logistic l = logistic(C(2) * x, NULL);
  V d = logistic_slope(l) * vset(4 * SCALE_DOWN);
#if REAL == 32
  V a = vmin(vset(TANH_LIMIT), vabs(x)), place = vfma(a, vset(TANH_SCALE), vset(1));
  V f = piecewise(FN(tanh_pieces), COUNT(FN(tanh_pieces)), vslot(place), a, vlt(place, vset(2)));
#else
  Exp z = exp_parts(vmax(vset(-EXP_LIMIT), C(2) * vminus_abs(x)), NULL);
  Pair sum = plus_exp(1, z);
  V f = pair_round(pair_over(one_minus_exp(z, sum), inverse_of(sum)));
#endif
  return (VD){vcopysign(f, x), d};
}

/* x - tanh(x), a series of x^3 where |x| < 15/16; f' = tanh(x)^2, where tanh(x) = x - f keeps the digits of a small x */
static INLINE VD FN(tanhshrink)(V x) {
  V a = vabs(x), seam = vset(C(0.9375)), inside = vmin(seam, a);
  V up = vset(1 / SCALE_DOWN), down = vset(SCALE_DOWN), root_up = vset(PICK(0x1p32f, 0x1p256));
  M small = vlt(a, seam);
  Exp z = exp_parts(vmax(vset(-EXP_LIMIT), C(-2) * a), NULL);
  Pair d = plus_exp(1, z), t = pair_over(one_minus_exp(z, d), inverse_of(d)), difference = exact_sum(a, -t.hi);
  Pair w = exact_product(inside, inside), bend = precise_polynomial(w, FN(tanhshrink_p), COUNT(FN(tanhshrink_p)));
  Pair series = fast_sum(vset(THIRD), bend.hi);
  series.lo += bend.lo + vset(THIRD_LO);
  V left = pair_times(pair_product(series, w), inside * up) * down;
  V right = vsel(vlt(a, vset((T)INFINITY)), difference.hi + (difference.lo - t.lo), a);
  t = pair_scaled(pair_select(small, fast_sum(a, -left), t), root_up);
  return (VD){vcopysign(vsel(small, left, unless_nan(x, right)), x), pair_round(pair_product(t, t)) * down};
}

static INLINE V FN(tanh_from_output)(V y) { return (C(1) - y) * (C(1) + y); }

/* f = x sigmoid(v) and f' = sigmoid(v) (1 + w sigmoid(-v)), where w = x dv/dx; with r (1 + e) = sigmoid(-|v|),
 * f = x r (1 + e) left of 0 and x - x r (1 + e) right of it */
static INLINE VD gated(V x, Pair v, Pair w) {
  Logistic l = logistic(v.hi, &v.lo);
  V up = vset(1 / SCALE_DOWN), down = vset(SCALE_DOWN);
  V base = vsel(l.negative, vset(0), x * up);
  Pair part = exact_product(vsel(l.negative, x, -x), l.y.r), sum = fast_sum(base, part.hi);
  V f = (sum.hi + (sum.lo + vfma(part.hi, l.y.e, part.lo))) * down;

  Sides s = logistic_sides(l);
  Pair gate = pair_select(l.negative, s.lower, pair_scaled(s.upper, up));
  Pair other = pair_product(w, pair_select(l.negative, s.upper, s.small));
  Pair one_and = exact_sum(vset(1), other.hi);
  one_and.lo += other.lo;
  Pair slope = pair_product(gate, one_and);
  V d = pair_round(slope);
  d = vsel(vlt(vset(0), vabs(d)), d, slope.hi); /* which has the sign of a slope that underflows to 0 */
  return (VD){f, d * down};
}

#if REAL == 32
/* In double, where exp(-v) does not overflow. x is at least -WIDE_LIMIT. */
static INLINE WD wide_gated(W x, W v, W w) {
  W z = wide_exp(-v), y = vreciprocal_f64(wset(1) + z);
  return (WD){x * y, y * wfma(w, z * y, wset(1))};
}

static INLINE WD silu_in_double(W x, W p, W q) {
  (void)p, (void)q;
  W v = wide_clamp(x);
  return wide_gated(vmax_f64(wset(-WIDE_LIMIT), x), v, v);
}

static INLINE WD quick_gelu_in_double(W x, W p, W q) {
  (void)p, (void)q;
  W inside = vmax_f64(wset(-WIDE_LIMIT / 2), x), v = wset(1.702) * vmin_f64(wset(WIDE_LIMIT / 2), inside);
  return wide_gated(inside, v, v);
}

static INLINE WD gelu_tanh_in_double(W x, W p, W q) {
  (void)p, (void)q;
  W limit = wset(11.625), above = vmax_f64(-limit, x), inside = vmin_f64(limit, above);
  W square = inside * inside, k = wset(2 * 0.79788456080286535588), c = wset(2 * 0.79788456080286535588 * 0.044715);
  return wide_gated(above, inside * wfma(c, square, k), inside * wfma(C(3) * c, square, k));
}
#endif

/* x * sigmoid(x) */
static INLINE VD FN(silu)(V x) {
#if REAL == 32
  return in_double(silu_in_double, x, x, x);
#else
  V limit = vset(EXP_LIMIT), inside = vmax(-limit, vmin(limit, x));
  Pair v = pair(unless_tiny(inside), vset(0));
  VD y = gated(inside, v, v);
  y.f = vsel(vlt(limit, x), x, vcopysign(y.f, x));
  return y;
#endif
}

#if REAL == 32
static INLINE WD swish_in_double(W x, W beta, W q) {
  (void)q;
  W v = beta * x, inside = wide_clamp(v);
  WD y = wide_gated(x, inside, inside);
  y.f = vsel_f64(vlt_f64(v, wset(-WIDE_LIMIT)), vcopysign_f64(wset(0), x), y.f);
  return y;
}
#endif

/* x sigmoid(v), v = beta x; where v saturates x, which may be infinite, is not used */
static INLINE VD FN(swish)(V x, V beta) {
#if REAL == 32
  return in_double(swish_in_double, x, beta, beta);
#else
  V limit = vset(EXP_LIMIT), zero = vset(0);
  Pair v = exact_product(beta, unless_tiny(x));
  M saturated = vlt(limit, vabs(v.hi));
  v = pair(vmax(-limit, vmin(limit, v.hi)), vsel(saturated, zero, v.lo));
  VD y = gated(vsel(saturated, zero, x), v, v);
  y.f = vsel(vlt(v.hi, limit), vcopysign(y.f, x), x);
  return y;
#endif
}

/* df/dbeta = x^2 sigmoid(v) sigmoid(-v), v = beta x */
static INLINE V FN(swish_parameter)(V x, V beta) {
  Pair v = exact_product(beta, x);
  M saturated = vlt(vset(EXP_LIMIT), vabs(v.hi));
  V lo = vsel(saturated, vset(0), v.lo), inside = vsel(saturated, vset(0), x);
  Sides s = logistic_sides(logistic(v.hi, &lo));
  return unless_nan(x, vabs(pair_times(pair_product(s.lower, s.upper), inside) * inside) * vset(SCALE_DOWN));
}

/* x sigmoid(1.702 x) */
static INLINE VD FN(quick_gelu)(V x) {
#if REAL == 32
  return in_double(quick_gelu_in_double, x, x, x);
#else
  V limit = vset(PICK(75.25f, 588.0)), inside = vmax(-limit, vmin(limit, x));
  Pair v = pair_product(pair(vset(QUICK), vset(QUICK_LO)), pair(unless_tiny(inside), vset(0)));
  VD y = gated(inside, v, v);
  y.f = vsel(vlt(limit, x), x, vcopysign(y.f, x));
  return y;
#endif
}

/* x sigmoid(v), v = k x + c x^3, so that x dv/dx = k x + 3 c x^3; k = 2 sqrt(2/pi), c = 0.044715 k */
static INLINE VD FN(gelu_tanh)(V x) {
#if REAL == 32
  return in_double(gelu_tanh_in_double, x, x, x);
#else
  V limit = vset(PICK(11.625f, 24.0)), inside = vmax(-limit, vmin(limit, x)), bent = unless_tiny(inside);
  Pair k = pair(vset(GELU_K), vset(GELU_K_LO)), c = pair(vset(GELU_C), vset(GELU_C_LO)), x1 = pair(bent, vset(0));
  Pair cxx = pair_product(exact_product(bent, bent), c);
  Pair sum = exact_sum(k.hi, cxx.hi), cxx3 = exact_product(cxx.hi, vset(3)), sum3 = exact_sum(k.hi, cxx3.hi);
  sum.lo += k.lo + cxx.lo;
  sum3.lo += vfma(vset(3), cxx.lo, k.lo + cxx3.lo);
  VD y = gated(inside, pair_product(sum, x1), pair_product(sum3, x1));
  y.f = vsel(vlt(limit, x), x, vcopysign(y.f, x));
  return y;
#endif
}

/* ---- softplus ---- */

/* z = exp(-|v + *lo|); on the right, where it is added to v, never below exp(-40) */
static INLINE Exp exp_away(V v, const V *lo) {
  V argument = vmax(vset(-EXP_LIMIT), vmin(v, vmax(vset(-40), -v)));
  V away = lo ? vsel(vlt(v, vset(0)), *lo, -*lo) : v;
  return exp_parts(argument, lo ? &away : NULL);
}

/* log1p(z) / 2 = atanh(z / (2 + z)), over the power of z, for z in (0, 1] */
static INLINE Pair half_log1p(Exp z) {
  Pair ratio = pair_quotient(exp_mantissa(z), plus_exp(2, z));
  V s = pair_round(ratio), t = s * power_beside_one(z), w = t * t;
  return pair(ratio.hi, vfma(s * w, atanh_tail(w), ratio.lo));
}

#if REAL == 32
static INLINE WD softplus_in_double(W x, W beta, W q) {
  (void)q;
  W v = beta * x, zero = wset(0), z = wide_exp(-vmin_f64(wset(WIDE_LIMIT), vabs_f64(v))), y = vreciprocal_f64(wset(1) + z);
  return (WD){(vmax_f64(zero, v) + wide_log1p(z)) * (wset(1) / beta), vsel_f64(vlt_f64(v, zero), z * y, y)};
}
#endif

/* log1p(exp(v)) / beta = max(v, 0) / beta + log1p(exp(-|v|)) / beta, v = beta x; f' = sigmoid(v) */
static INLINE VD FN(softplus)(V x, V beta) {
#if REAL == 32
  return in_double(softplus_in_double, x, beta, beta);
#else
  Pair v = exact_product(beta, x);
  v.lo = vsel(vlt(vabs(v.hi), vset(EXP_LIMIT)), v.lo, vset(0));
  Exp z = exp_away(v.hi, &v.lo);
  V largest = vset(PICK(FLT_MAX, DBL_MAX)), r = vmax(-largest, vmin(largest, vset(1) / beta));
  Pair half = pair_over(half_log1p(z), inverse_from(r, pair(beta, vset(0))));
  V left = unscaled_any(pair_round(half), C(2) * z.power);
  Pair right = exact_sum(x, half.hi * (C(2) * power_beside_one(z)));
  V f = right.hi + vfma(half.lo, C(2) * power_beside_one(z), right.lo);
  return (VD){vsel(vlt(v.hi, vset(0)), left, vsel(vlt(v.hi, vset(EXP_LIMIT)), f, x)), logistic_value(logistic(v.hi, &v.lo))};
#endif
}

/* df/dbeta = -(log1p(z) + |v| z / (1 + z)) / beta^2, z = exp(-|v|), v = beta x */
static INLINE V FN(softplus_parameter)(V x, V beta) {
  V limit = vset(EXP_LIMIT), b = vabs(beta), v = vmin(limit, vabs(x) * b);
  Pair exact = exact_product(vabs(x), b);
  V lo = vsel(vlt(v, limit), -exact.lo, vset(0));
  Exp z = exp_parts(-v, &lo);
  Pair other = pair_over(exp_mantissa(z), inverse_of(plus_exp(1, z)));
  V sum = C(2) * pair_round(half_log1p(z)) + pair_times(other, v);
  return unless_nan(x, -unscaled_any(sum / b / b, z.power));
}

#if REAL == 32
static INLINE WD log_sigmoid_in_double(W x, W p, W q) {
  (void)p, (void)q;
  W f = vmin_f64(wset(0), x) - wide_log1p(wide_exp(-vmin_f64(wset(WIDE_LIMIT), vabs_f64(x))));
  return (WD){f, f};
}
#endif

/* -log1p(exp(-x)) = -softplus(-x); f' = sigmoid(-x) */
static INLINE VD FN(log_sigmoid)(V x) {
#if REAL == 32
  V f = in_double(log_sigmoid_in_double, x, x, x).f;
#else
  Exp z = exp_away(-x, NULL);
  Pair half = half_log1p(z);
  V power = C(2) * power_beside_one(z), right = unscaled(pair_round(half), C(2) * z.power);
  Pair left = exact_sum(-x, half.hi * power);
  V f = -vsel(vlt(x, vset(0)), vsel(vlt(vset(-EXP_LIMIT), x), left.hi + vfma(half.lo, power, left.lo), -x), right);
#endif
  return (VD){f, logistic_value(logistic(-x, NULL))};
}

/* ---- mish ---- */

/* x tanh(log1p(exp(x))). With z = exp(-|x|):
 *   left   f = x z h / q,  f' = z (h q + 4 x (1 + z)) / q^2,    h = 2 + z,  q = 2 + z (2 + z)
 *   right  f = x h / q,    f' = (h q + 4 x z^2 (1 + z)) / q^2,  h = 1 + 2z, q = 1 + 2z (1 + z) */
#if REAL == 32
/* In double, with z = exp(x) and n = z (2 + z): f = x n / (n + 2), f' = (n + 4 x z (1 + z) / (n + 2)) / (n + 2) */
static INLINE WD mish_in_double(W x, W p, W q) {
  (void)p, (void)q;
  W above = vmax_f64(wset(-WIDE_LIMIT), x), inside = vmin_f64(wset(WIDE_LIMIT / 8), above);
  W z = wide_exp(inside), n = wfma(z, z, z + z), r = vreciprocal_f64(n + wset(2));
  return (WD){above * (n * r), r * wfma(C(4) * inside * z, (wset(1) + z) * r, n)};
}
#endif

static INLINE VD FN(mish)(V x) {
#if REAL == 32
  return in_double(mish_in_double, x, x, x);
#else
  V limit = vset(EXP_LIMIT), inside = vmax(-limit, vmin(limit, x));
  M negative = vlt(x, vset(0));
  Exp e = exp_parts(-vmax(vset(TINY), vabs(inside)), NULL);
  Pair m = exp_mantissa(e);
  V one = vset(1), two = vset(2), head = vsel(negative, two, one), power = vsel(negative, e.power, vset(1 / SCALE_DOWN));
  Pair z = pair_scaled(m, power_beside_one(e)), z2 = pair_scaled(z, vsel(negative, one, two)), z1 = plus_exp(1, e);
  Pair h = pair_sum(pair(head, vset(0)), z2);
  Pair q = pair_sum(pair(head, vset(0)), pair_product(z2, pair_select(negative, h, z1)));
  Inverse inverse = inverse_of(q);
  Pair top = pair_select(negative, m, pair(one, vset(0)));
  V f = pair_times(pair_over(pair_product(h, top), inverse), inside);

  Pair zz = pair_product(z, z), gate = pair_product(z1, pair(C(4) * inside, vset(0)));
  gate = pair_select(negative, gate, pair_product(gate, zz));
  Pair hq = pair_product(h, q), sum = exact_sum(hq.hi, gate.hi);
  sum.lo += hq.lo + gate.lo;
  V d = pair_round(pair_over(pair_over(pair_product(sum, top), inverse), inverse));
  return (VD){vsel(vlt(limit, x), x, vcopysign(unscaled(f, power), x)), unscaled(d, power)};
#endif
}

/* ---- gelu ---- */

/* x Phi(x). With a = |x|, e = exp(-a^2/2) and Mills' ratio M(a) = Phi(-a) / e:
 *   left   f = x e M,        f' = e (M - a / sqrt(2 pi))
 *   right  f = x (1 - e M),  f' = 1 - e (M - a / sqrt(2 pi)) */
static INLINE VD FN(gelu)(V x) {
  V limit = vset(MILLS_LIMIT), inside = vmax(-limit, vmin(limit, x)), a = vmax(vset(SQUARE_TINY), vabs(inside));
  M negative = vlt(x, vset(0));
  V zero = vset(0), up = vset(1 / SCALE_DOWN), down = vset(SCALE_DOWN);
  Pair half_square = exact_product(a, C(0.5) * a);
  Exp e = exp_where(vlt(a, limit), -half_square.hi, -half_square.lo);
  Pair m = exp_mantissa(e), mills = mills_ratio(a, NULL);

  Pair tail = pair_scaled(pair_product(m, mills), e.power);
  V side = vsel(negative, inside, -inside);
  Pair part = exact_product(side, tail.hi), sum = fast_sum(vsel(negative, zero, inside * up), part.hi);
  V f = (sum.hi + (sum.lo + vfma(side, tail.lo, part.lo))) * down;

  Pair density = pair_product(pair(vset(INV_SQRT_2PI), vset(INV_SQRT_2PI_LO)), pair(-a, zero));
  Pair bend = exact_sum(mills.hi, density.hi);
  bend.lo += mills.lo + density.lo;
  Pair left = pair_product(m, bend), rest = pair_scaled(left, e.power), right = fast_sum(up, -rest.hi);
  right.lo -= rest.lo;
  V d = vsel(negative, pair_round(left) * e.power, pair_round(right)) * down;
  return (VD){vsel(vlt(limit, x), x, vcopysign(f, x)), d};
}
