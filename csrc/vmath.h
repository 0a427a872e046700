/* The transcendental core: exp, expm1, logarithms, erf, Mills' ratio and square roots, each with its domain, its error and
 * the reason it holds. Coefficients are minimax fits by tools/minimax.py, which also prints their error. */

#define Exp FN(Exp)
#define exp_reduced FN(exp_reduced)
#define Reduced FN(Reduced)
#define reduced FN(reduced)
#define exp_short FN(exp_short)
#define exp_scaled FN(exp_scaled)
#define exp_parts FN(exp_parts)
#define exp_any FN(exp_any)
#define exp_where FN(exp_where)
#define Binade FN(Binade)
#define binade FN(binade)
#define log1p_bend FN(log1p_bend)
#define log_sum FN(log_sum)
#define erf_small FN(erf_small)
#define Root FN(Root)
#define root_of_sum FN(root_of_sum)
#define one_plus_exp FN(one_plus_exp)
#define exp_mantissa FN(exp_mantissa)
#define power_beside_one FN(power_beside_one)
#define plus_exp FN(plus_exp)
#define one_minus_exp FN(one_minus_exp)
#define unscaled FN(unscaled)
#define unscaled_any FN(unscaled_any)
#define unless_tiny FN(unless_tiny)
#define horner FN(horner)
#define polynomial FN(polynomial)
#define precise_polynomial FN(precise_polynomial)
#define atanh_tail FN(atanh_tail)
#define mills_ratio FN(mills_ratio)

/* A result is kept scaled by 1 / SCALE_DOWN until the end, so that a subnormal one is rounded once, in the last product. */
#undef SCALE_BITS
#undef SCALE_DOWN
#define SCALE_BITS PICK(64, 512)
#define SCALE_DOWN PICK(0x1p-64f, 0x1p-512)

/* exp(-EXP_LIMIT), even times 1e3 (x < 0) is below half of the smallest subnormal, and still has an exponent field after
 * scaling. */
#undef EXP_LIMIT
#define EXP_LIMIT PICK(128.0f, 1000.0)

/* Subnormal numbers cost processors dozens of times the usual, also where they make no difference. So where x stands beside
 * 1, what is this small is left out: its square, as a pair, would hold subnormals. */
#undef TINY
#define TINY PICK(0x1p-39f, 0x1p-400)
/* The same for what is squared on the way to an exponent, and squared again in it. */
#undef SQUARE_TINY
#define SQUARE_TINY PICK(0x1p-30f, 0x1p-200)
static INLINE V unless_tiny(V x) { return vsel(vlt(vabs(x), vset(TINY)), vset(0), x); }

/* c[from] + c[from + by] x + c[from + 2 by] x^2 + ... */
static INLINE V horner(V x, const T *c, int n, int from, int by) {
  int k = from + (n - 1 - from) / by * by;
  V y = vset(c[k]);
  for (k -= by; k >= from; k -= by) y = vfma(y, x, vset(c[k]));
  return y;
}

/* c[0] + c[1] x + ... + c[n-1] x^(n-1). Long ones in two or four chains, since the processor waits for a chain's links; the
 * first terms of the longest stay in one, since there the roundings count. */
static INLINE V polynomial(V x, const T *c, int n) {
  if (n < 6) return horner(x, c, n, 0, 1);
  V x2 = x * x;
  if (n < 12) return vfma(horner(x2, c, n, 1, 2), x, horner(x2, c, n, 0, 2));
  V x4 = x2 * x2;
  V even = vfma(horner(x4, c, n, 5, 4), x2, horner(x4, c, n, 3, 4)),
    odd = vfma(horner(x4, c, n, 6, 4), x2, horner(x4, c, n, 4, 4));
  V y = vfma(odd, x, even);
  for (int k = 2; k >= 0; k--) y = vfma(y, x, vset(c[k]));
  return y;
}

/* x (c[0] + c[1] x + ...) for x = hi + lo: the first coefficient's sum and product are exact, since their roundings count */
static INLINE Pair precise_polynomial(Pair x, const T *c, int n) {
  Pair sum = fast_sum(vset(c[0]), x.hi * polynomial(x.hi, c + 1, n - 1)), product = exact_product(x.hi, sum.hi);
  return pair(product.hi, vfma(x.lo, vset(c[0]), vfma(x.hi, sum.lo, product.lo)));
}

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

#include "pieces.h"

/* e^r = 1 + r + r^2 q(r), |r| <= ln2/2: relative error 2^-33.2 (float32), 2^-63.7 (float64) */
#if REAL == 32
static const float exp_q_f32[] = {0x1p-1f, 0x1.555554p-3f, 0x1.5554e6p-5f, 0x1.111308p-7f, 0x1.6d4f7cp-10f, 0x1.9e0c6cp-13f};
#else
static const double exp_q_f64[] = {0x1p-1,
                                   0x1.555555555555bp-3,
                                   0x1.5555555555537p-5,
                                   0x1.111111110ed7p-7,
                                   0x1.6c16c16c2421cp-10,
                                   0x1.a01a01b33e5ddp-13,
                                   0x1.a01a0160d52a3p-16,
                                   0x1.71ddf07678282p-19,
                                   0x1.27e56e5da170dp-22,
                                   0x1.af6bb20172602p-26,
                                   0x1.1e962eeaf1403p-29};
#endif

/* atanh(s) / s = 1 + w p(w), w = s^2 <= 1/9: relative error 2^-33.0, 2^-59.4 */
#if REAL == 32
static const float atanh_p_f32[] = {0x1.555558p-2f, 0x1.9996dap-3f, 0x1.2504bep-3f, 0x1.b733fp-4f, 0x1.f0696ep-4f};
#else
static const double atanh_p_f64[] = {0x1.5555555555535p-2, 0x1.99999999a0728p-3, 0x1.249249208e871p-3, 0x1.c71c741b0c357p-4,
                                     0x1.745cb43b08572p-4, 0x1.3b1dd5e72b8d9p-4, 0x1.106814ba287b8p-4, 0x1.efd3057c8a8p-5,
                                     0x1.55c965d9071aep-5, 0x1.5c6151569923ep-4};
#endif

/* log(1 + z) = z + z^2 q(z), sqrt(1/2) <= 1 + z <= sqrt(2): relative error 2^-30.2 */
#if REAL == 32
static const float log_q_f32[] = {-0x1p-1f,       0x1.555546p-2f,  -0x1.000002p-2f, 0x1.99a55ep-3f,  -0x1.555e42p-3f,
                                  0x1.232c14p-3f, -0x1.fbd856p-4f, 0x1.e7516ap-4f,  -0x1.dffe34p-4f, 0x1.1587bcp-4f};
#endif

/* erf(x) / x = 2 / sqrt(pi) + w p(w), w = x^2 <= 1/4: relative error 2^-65 */
#if REAL == 64
static const double erf_p_f64[] = {
    -0x1.812746b0379e7p-2, 0x1.ce2f21a042c7bp-4,  -0x1.b82ce31290e75p-6, 0x1.565bcd11dae1p-8,    -0x1.c02db5a258418p-11,
    0x1.f9a39ecae807cp-14, -0x1.f4e77a1d261ap-17, 0x1.bc22813ec9b14p-20, -0x1.807e2ca1f6095p-23, 0x1.c3f2d1bb2405ap-26};
#endif

/* (x - tanh x) / x^3 = 1/3 + w p(w), w = x^2 <= 1: relative error 2^-30.4, 2^-62.7 */
#if REAL == 32
static const float tanhshrink_p_f32[] = {-0x1.11110ep-3f, 0x1.ba1a26p-5f,  -0x1.662f5ep-6f,  0x1.211b0ep-7f,
                                         -0x1.c6d09ap-9f, 0x1.42c17cp-10f, -0x1.5a82e8p-12f, 0x1.86852ep-15f};
#else
static const double tanhshrink_p_f64[] = {
    -0x1.1111111111111p-3,  0x1.ba1ba1ba1b9a8p-5,   -0x1.664f4882bd6d4p-6,  0x1.226e355da1769p-7,   -0x1.d6d3d0af96ac4p-9,
    0x1.7da3606d7dbecp-10,  -0x1.3557eeff6d332p-11, 0x1.f579590e7ecb1p-13,  -0x1.96601b69b7908p-14, 0x1.48d8cbeed8ca3p-15,
    -0x1.085f5d36f3903p-16, 0x1.9f7ceda91532bp-18,  -0x1.33426a2f06aeep-19, 0x1.8fce687afd756p-21,  -0x1.9db5231afce79p-23,
    0x1.240d61369efc8p-25,  -0x1.9a5cd9a41cc4p-29};
#endif

/* (a + 1.5) Phi(-a) / exp(-a^2/2) = Q0 + t q(t), t = (a - m) / (a + 1.5), m chosen so that Q0 is representable: relative
 * error 2^-57.6 */
#undef MILLS_LIMIT
#undef MILLS_M
#undef MILLS_Q0
#define MILLS_LIMIT PICK(14.625f, 39.0)
#define MILLS_M 2.6875
#define MILLS_Q0 0x1.1da79c6916fb4p-1
#if REAL == 64
static const double mills_q_f64[] = {
    -0x1.454520ab7b1ap-3,   -0x1.173483405ce5bp-6,  0x1.d990f4478ad1p-7,    0x1.342122d13a9cap-8,   -0x1.151ec8c0fab96p-10,
    -0x1.3eaa1692e3cf5p-10, -0x1.22365e8a702b3p-12, 0x1.2848333a0dc47p-13,  0x1.20e7df8ed6aa5p-13,  0x1.55fcbbfbfc4b2p-15,
    -0x1.9dc7fb04cf672p-17, -0x1.4015e2dfd2045p-16, -0x1.308d874b9cc5dp-17, -0x1.34a91dc9a7da7p-21, 0x1.4069dcc2bf297p-19,
    0x1.06c6dde771238p-19,  0x1.87c914536ea2fp-21,  -0x1.22e49239655f8p-24, -0x1.487dd34b08e0bp-22, -0x1.06994cf193dcep-22,
    -0x1.b9d05ab0a5cep-24,  0x1.9f66c72442db2p-27,  0x1.eb8af14d50b6ep-25,  0x1.5e0113279330bp-25,  0x1.f489bf3913389p-28,
    -0x1.2fb148e82c2d5p-27, -0x1.ef1b8334b4e52p-28, -0x1.ef753f657901p-30,  0x1.faf94c3af3fb3p-32,  0x1.06737236a95a7p-31,
    0x1.51e81617433a5p-33,  0x1.abb63085b4229p-36,  0x1.c10f37592878fp-40};
#endif

/* Constants as hi, or hi + lo to twice the precision. n LN2_HI is exact for every exponent n. */
#undef LOG2E
#undef LN2_HI
#undef LN2_LO
#undef INV_SQRT_2PI
#undef INV_SQRT_2PI_LO
#undef SELU_SCALE
#undef SELU_SCALE_LO
#undef SELU_SCALE_ALPHA
#undef SELU_SCALE_ALPHA_LO
#undef GELU_K
#undef GELU_K_LO
#undef GELU_C
#undef GELU_C_LO
#undef SQRT2
#undef SQRT2_LO
#undef TWO_OVER_SQRT_PI
#undef TWO_OVER_SQRT_PI_LO
#undef QUICK
#undef QUICK_LO
#undef THIRD
#undef THIRD_LO
#undef SIXTH
#undef SIXTH_LO
#define LOG2E PICK(0x1.715476p+0f, 0x1.71547652b82fep+0)
#define LN2_HI PICK(0x1.62e4p-1f, 0x1.62e42fefa38p-1)
#define LN2_LO PICK(0x1.7f7d1cp-20f, 0x1.ef35793c7673p-45)
#define INV_SQRT_2PI PICK(0x1.988454p-2f, 0x1.9884533d43651p-2)
#define INV_SQRT_2PI_LO PICK(-0x1.857936p-27f, -0x1.cbc0d30ebfd15p-56)
#define SELU_SCALE PICK(0x1.0cfabep+0f, 0x1.0cfabd6a91132p+0)
#define SELU_SCALE_LO PICK(-0x1.2adddap-25f, 0x1.6fc7d272f2695p-55)
#define SELU_SCALE_ALPHA PICK(0x1.c212ccp+0f, 0x1.c212cc640f031p+0)
#define SELU_SCALE_ALPHA_LO PICK(0x1.903c0cp-26f, 0x1.05161b045a1fep-56)
#define GELU_K PICK(0x1.988454p+0f, 0x1.9884533d43651p+0) /* 2 sqrt(2/pi) */
#define GELU_K_LO PICK(-0x1.857936p-25f, -0x1.cbc0d30ebfd15p-54)
#define GELU_C PICK(0x1.2444f2p-4f, 0x1.2444f2a4d8b4bp-4) /* 0.044715 GELU_K */
#define GELU_C_LO PICK(0x1.49b16ap-29f, -0x1.6c843a29d1c7p-61)

#define SQRT2 PICK(0x1.6a09e6p+0f, 0x1.6a09e667f3bcdp+0)
#define SQRT2_LO PICK(0x1.9fcef4p-26f, -0x1.bdd3413b26456p-54)
#define TWO_OVER_SQRT_PI PICK(0x1.20dd76p+0f, 0x1.20dd750429b6dp+0)
#define TWO_OVER_SQRT_PI_LO PICK(-0x1.f7ac92p-25f, 0x1.1ae3a914fed8p-56)
#define QUICK PICK(0x1.b3b646p+0f, 0x1.b3b645a1cac08p+0) /* 1.702 */
#define QUICK_LO PICK(-0x1.78d4fep-26f, 0x1.89374bc6a7efap-55)
#define THIRD PICK(0x1.555556p-2f, 0x1.5555555555555p-2)
#define THIRD_LO PICK(-0x1.555556p-27f, 0x1.5555555555555p-56)
#define SIXTH PICK(0x1.555556p-3f, 0x1.5555555555555p-3)
#define SIXTH_LO PICK(-0x1.555556p-28f, 0x1.5555555555555p-57)

/* exp of an argument = (1 + s + lo) * power / 2^scale, 0.7 < 1 + s < 1.5; s keeps the digits of a tiny argument */
typedef struct {
  V s, lo, power;
} Exp;

/* exp(x + *lo), lo NULL or |*lo| <= ulp(x), where n = x / ln2 leaves 2^(n + scale) an exponent field.
 * x = n ln2 + r, |r| <= ln2/2, n LN2_HI exact; the rounding of r, which `precise` keeps too, costs at most 2^-2 ULP of exp,
 * that of s is kept in lo. */
static INLINE Exp exp_reduced(V x, const V *lo, V scale, int precise) {
  V magic = vset(PICK(0x1.8p23f, 0x1.8p52) + (T)EXPONENT_BIAS) + scale;
  V biased = vfma(x, vset(LOG2E), magic), n = biased - magic;
  V from = vfma(n, vset(-LN2_HI), x), r = vfma(n, vset(-LN2_LO), from);
  Pair whole = pair(r, vset(0));
  if (lo) whole = exact_sum(r, *lo);
  if (precise) whole.lo = vfma(n, vset(-LN2_LO), from - r);
  r = whole.hi;
  V bent = unless_tiny(r);
  Pair s = fast_sum(r, bent * bent * polynomial(bent, FN(exp_q), COUNT(FN(exp_q))));
  if (lo || precise) s.lo = s.lo + whole.lo;
  return (Exp){s.hi, s.lo, vshift_to_exponent(biased)};
}

/* x + *lo = n ln2 + r + lo, and power = 2^(n + scale); r alone costs at most 2^-2 ULP of exp */
typedef struct {
  V r, lo, power;
} Reduced;

static INLINE Reduced reduced(V x, const V *lo, V scale) {
  V magic = vset(PICK(0x1.8p23f, 0x1.8p52) + (T)EXPONENT_BIAS) + scale;
  V biased = vfma(x, vset(LOG2E), magic), n = biased - magic, from = vfma(n, vset(-LN2_HI), x);
  V r = vfma(n, vset(-LN2_LO), from), rest = vfma(n, vset(-LN2_LO), from - r);
  if (lo) rest = rest + *lo;
  return (Reduced){r, rest, vshift_to_exponent(biased)};
}

/* exp_scaled for an x that is 0 or not tiny; without lo, s is rounded, which costs another 2^-2 ULP */
static INLINE Exp exp_short(V x, const V *lo, V scale) {
  Reduced n = reduced(x, lo, scale);
  V square = n.r * n.r, q = polynomial(n.r, FN(exp_q), COUNT(FN(exp_q)));
  if (!lo) return (Exp){vfma(square, q, n.r), vset(0), n.power};
  Pair s = fast_sum(n.r, square * q);
  return (Exp){s.hi, s.lo + vfma(n.lo, s.hi, n.lo), n.power};
}

static INLINE Exp exp_scaled(V x, const V *lo, V scale) { return exp_reduced(x, lo, scale, 0); }

/* exp(x + *lo) for -EXP_LIMIT <= x <= 0, with power scaled by 1 / SCALE_DOWN; 0 at -EXP_LIMIT, so that nothing underflows */
static INLINE Exp exp_parts(V x, const V *lo) {
  Exp e = exp_scaled(x, lo, vset(SCALE_BITS));
  e.power = vsel(vlt(vset(-EXP_LIMIT), x), e.power, vset(0));
  return e;
}

/* exp(x + lo) for an x <= 0 that is 0 or not tiny; 0 where it is not `finite`; power is scaled by 1 / SCALE_DOWN */
static INLINE Exp exp_where(M finite, V x, V lo) {
  Exp e = exp_short(x, &lo, vset(SCALE_BITS));
  e.power = vsel(finite, e.power, vset(0));
  return e;
}

/* exp(x) for |x| <= EXP_LIMIT and NaN, with power scaled by 1 / *down, a power of two that keeps it in range */
static INLINE Exp exp_any(V x, V *down) {
  M negative = vlt(x, vset(0));
  *down = vsel(negative, vset(SCALE_DOWN), vset(1 / SCALE_DOWN));
  return exp_reduced(x, NULL, vsel(negative, vset(SCALE_BITS), vset(-SCALE_BITS)), 1);
}

/* y * power * SCALE_DOWN, rounded once even where the result is subnormal */
static INLINE V unscaled(V y, V power) { return y * power * vset(SCALE_DOWN); }

/* The same for y of any magnitude: a large one is scaled down first. */
static INLINE V unscaled_any(V y, V power) {
  M small = vlt(vabs(y), vset(1));
  V down = vset(SCALE_DOWN);
  return y * vsel(small, power, down) * vsel(small, down, power);
}

/* 1 + s + lo */
static INLINE Pair exp_mantissa(Exp e) {
  Pair m = fast_sum(vset(1), e.s);
  return pair(m.hi, m.lo + e.lo);
}

/* Nothing beside 1, even times 1e2; what is smaller would only cost the time of subnormal operands, squared and split. */
#undef NEGLIGIBLE
#define NEGLIGIBLE PICK(0x1p-38f, 0x1p-200)

/* power * SCALE_DOWN where exp stands beside 1 */
static INLINE V power_beside_one(Exp e) { return vmax(vset(NEGLIGIBLE / SCALE_DOWN), e.power) * vset(SCALE_DOWN); }

/* c + exp for c = 1 or 2 */
static INLINE Pair plus_exp(T c, Exp e) {
  V power = power_beside_one(e), hi = vfma(power, e.s, vset(c) + power);
  return pair(hi, vfma(power, e.s, power - (hi - vset(c))));
}

/* SCALE_DOWN (1 + exp(x + *lo)) for TINY <= x <= EXP_LIMIT, scaled because exp overflows before its reciprocal is zero */
static INLINE Pair one_plus_exp(V x, const V *lo) {
  Exp z = exp_short(x, lo, vset(-SCALE_BITS));
  Pair sum = fast_sum(z.power, vset(SCALE_DOWN));
  V hi = vfma(z.power, z.s, sum.hi);
  return pair(hi, sum.lo + vfma(z.power, z.lo, vfma(z.power, z.s, sum.hi - hi)));
}

/* 1 - exp from d = 1 + exp: 2 - d is exact, and what d left over holds the digits of a tiny argument */
static INLINE Pair one_minus_exp(Exp e, Pair d) {
  Pair y = fast_sum(vset(2) - d.hi, -d.lo);
  return pair(y.hi, vresidual(power_beside_one(e), e.lo, y.lo));
}

/* (atanh(sqrt(w)) / sqrt(w) - 1) / w for w in [0, 1/9] */
static INLINE V atanh_tail(V w) { return polynomial(w, FN(atanh_p), COUNT(FN(atanh_p))); }

/* For a positive normal y: the k that brings y / 2^k between sqrt(1/2) and sqrt(2), and 2^-k */
typedef struct {
  V k, down;
} Binade;

static INLINE Binade binade(V y) {
  V k = vexponent(y * vset(C(0.70710678))) - vset(EXPONENT_BIAS - 1);
  return (Binade){k, vshift_to_exponent(vset(PICK(0x1.8p23f, 0x1.8p52) + (T)EXPONENT_BIAS) - k)};
}

/* log(1 + z) - z for z in [sqrt(1/2) - 1, sqrt(2) - 1]: a polynomial in float32; in float64 z is the rest of 2 s, and the
 * series is atanh(s)'s, s = z / (2 + z) */
static INLINE V log1p_bend(V z) {
#if REAL == 32
  V square = z * z;
  return vfma(square * z, polynomial(z, FN(log_q) + 1, COUNT(FN(log_q)) - 1), C(-0.5) * square);
#else
  V below = vset(2) + z, r = vreciprocal(below), q = z * r, s = vfma(q, vresidual(r, below, vset(1)), q), w = s * s;
  V half_square = C(0.5) * z * z;
  return vfma(s, vfma(C(2) * w, atanh_tail(w), half_square), -half_square);
#endif
}

/* log(2^k (1 + z.hi + z.lo)): k ln2 + z.hi is exact in two parts, and what the bend misses of z is not lost */
static INLINE Pair log_sum(V k, Pair z) {
  Pair sum = fast_sum(k * vset(LN2_HI), z.hi), whole = fast_sum(z.hi, z.lo);
  V rest = vfma(-whole.hi, whole.lo, sum.lo + vfma(k, vset(LN2_LO), z.lo));
  return pair(sum.hi, log1p_bend(whole.hi) + rest);
}

#if REAL == 64
/* erf(x) / x for |x| <= 1/2 */
static INLINE Pair erf_small(V x) {
  V w = x * x;
  Pair y = fast_sum(vset(TWO_OVER_SQRT_PI), w * polynomial(w, erf_p_f64, COUNT(erf_p_f64)));
  return pair(y.hi, y.lo + vset(TWO_OVER_SQRT_PI_LO));
}
#endif

/* s = sqrt(a^2 + b) and what follows from it, all times `scale`, a power of two that keeps squares in range */
typedef struct {
  Pair s;        /* scale sqrt(a^2 + b) */
  Pair sum;      /* scale (sqrt(a^2 + b) + a) */
  V scale, back; /* and 1 / scale */
} Root;

/* For a, b >= 0: one Newton step of the square root, whose residual is exact. */
static INLINE Root root_of_sum(V a, V b) {
  V large = vmax(vsqrt(b), a), one = vset(1), up = vset(1 / SCALE_DOWN), down = vset(SCALE_DOWN);
  M tiny = vlt(large, vset(PICK(0x1p-32f, 0x1p-256))), huge = vlt(vset(PICK(0x1p32f, 0x1p256)), large);
  V up_far = vset(PICK(0x1p80f, 0x1p640)), down_far = vset(PICK(0x1p-80f, 0x1p-640));
  V scale = vsel(tiny, up, vsel(huge, down_far, one)), back = vsel(tiny, down, vsel(huge, up_far, one));
  V scaled = a * scale;
  Pair square = exact_product(scaled, scaled), q = exact_sum(square.hi, b * scale * scale);
  q.lo += square.lo;
  V s = vsqrt(q.hi), half = C(0.5) / s;
  Pair root = fast_sum(s, vsel(vlt(vset(0), s), (vresidual(s, s, q.hi) + q.lo) * half, vset(0)));
  Pair sum = exact_sum(root.hi, scaled);
  return (Root){root, pair(sum.hi, sum.lo + root.lo), scale, back};
}

/* Mills' ratio of the normal distribution, Phi(-a) / exp(-a^2/2) = erfcx(a / sqrt 2) / 2, for a + *lo in [0, MILLS_LIMIT],
 * lo NULL or |*lo| <= ulp(a). float32: sixteen polynomials. float64: what is left of it after 1 / (a + 1.5) is a slow
 * function of t. */
static INLINE Pair mills_ratio(V a, const V *lo) {
#if REAL == 32
  Piece y = piece(FN(mills_pieces), COUNT(FN(mills_pieces)), vslot(a + vset(1)), a);
  V hi = vfma(y.t, y.p, y.c), rest = -vresidual(y.t, y.p, hi - y.c);
  return pair(hi, lo ? vfma(*lo, y.p, rest) : rest);
#else
  Pair shifted = exact_sum(a, vset(C(1.5)));
  if (lo) shifted.lo = shifted.lo + *lo;
  Inverse inverse = inverse_of(shifted);
  Pair from = exact_sum(a, vset(-MILLS_M));
  if (lo) from.lo = from.lo + *lo;
  Pair t = pair_over(from, inverse);
  Pair slow = precise_polynomial(fast_sum(t.hi, t.lo), FN(mills_q), COUNT(FN(mills_q))),
       sum = fast_sum(vset(MILLS_Q0), slow.hi);
  sum.lo += slow.lo;
  return pair_over(sum, inverse);
#endif
}
