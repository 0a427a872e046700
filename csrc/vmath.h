/* The transcendental core: exp, expm1, log1p and Mills' ratio, each with its domain, its error and the reason it holds.
 * Coefficients are minimax fits by tools/minimax.py, which also prints their error. */

#define Exp FN(Exp)
#define exp_parts FN(exp_parts)
#define exp_pair FN(exp_pair)
#define expm1_pair FN(expm1_pair)
#define unscaled FN(unscaled)
#define polynomial FN(polynomial)
#define atanh_tail FN(atanh_tail)
#define mills_ratio FN(mills_ratio)

/* A result is kept scaled by 1 / SCALE_DOWN until the end, so that a subnormal one is rounded once, in the last product. */
#undef SCALE_DOWN
#define SCALE_DOWN PICK(0x1p-64f, 0x1p-512)

/* exp(-EXP_LIMIT), even times 1e3 (x < 0) is below half of the smallest subnormal, and still has an exponent field after
 * scaling. */
#undef EXP_LIMIT
#define EXP_LIMIT PICK(128.0f, 1000.0)

/* c[0] + c[1] x + ... + c[n-1] x^(n-1) */
static INLINE V polynomial(V x, const T *c, int n) {
  V y = vset(c[n - 1]);
  for (int k = n - 2; k >= 0; k--) y = vfma(y, x, vset(c[k]));
  return y;
}

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

/* e^r = 1 + r + r^2 q(r), |r| <= ln2/2: relative error 2^-28.0 (float32), 2^-57.3 (float64) */
#if REAL == 32
static const float exp_q_f32[] = {0x1p-1f, 0x1.5554ap-3f, 0x1.555688p-5f, 0x1.12321ap-7f, 0x1.6b72cp-10f};
#else
static const double exp_q_f64[] = {0x1p-1, 0x1.55555555554fep-3, 0x1.55555555530e6p-5, 0x1.111111112940ap-7, 0x1.6c16c17d2914bp-10, 0x1.a01a011920a7ep-13, 0x1.a019a9ce8dd6fp-16, 0x1.71df5971b5bc8p-19, 0x1.28a103a33636fp-22, 0x1.ad1df69036addp-26};
#endif

/* atanh(s) / s = 1 + w p(w), w = s^2 <= 1/9: relative error 2^-33.0, 2^-59.4 */
#if REAL == 32
static const float atanh_p_f32[] = {0x1.555558p-2f, 0x1.9996dap-3f, 0x1.2504bep-3f, 0x1.b733fp-4f, 0x1.f0696ep-4f};
#else
static const double atanh_p_f64[] = {0x1.5555555555535p-2, 0x1.99999999a0728p-3, 0x1.249249208e871p-3, 0x1.c71c741b0c357p-4, 0x1.745cb43b08572p-4, 0x1.3b1dd5e72b8d9p-4, 0x1.106814ba287b8p-4, 0x1.efd3057c8a8p-5, 0x1.55c965d9071aep-5, 0x1.5c6151569923ep-4};
#endif

/* (a + k) Phi(-a) / exp(-a^2/2) = Q0 + t q(t): relative error 2^-25.0, 2^-54.9 */
#undef MILLS_LIMIT
#undef MILLS_K
#undef MILLS_Q0
#define MILLS_LIMIT PICK(14.5f, 39.0)
#define MILLS_K PICK(2.0f, 4.0)
#define MILLS_Q0 PICK(0x1.5845dcp-1f, 0x1.82b4bb8c94dcep-1)
#if REAL == 32
static const float mills_q_f32[] = {-0x1.535baep-2f, 0x1.d7d9c6p-6f, 0x1.2cc978p-5f, -0x1.09a312p-11f, -0x1.b806d8p-8f, -0x1.bf4afap-10f, 0x1.928eaap-11f, 0x1.2b7fcp-14f, 0x1.06bd9p-13f, 0x1.098256p-10f, 0x1.346baep-13f, -0x1.8d6348p-11f, -0x1.ac1a36p-13f, 0x1.dcfbc6p-14f};
#else
static const double mills_q_f64[] = {-0x1.373e3a893c28ap-1, 0x1.8c6dbf2cfc1fep-2, -0x1.7dff2bff68363p-3, 0x1.eec4cc3e673dp-5, -0x1.ee276104a37c1p-8, -0x1.c8171a04e5dp-9, 0x1.ab825fca25a1dp-10, 0x1.17a4dbbc1e2b7p-13, -0x1.e4a424ce155d5p-13, -0x1.0086bbbc6f95ap-19, 0x1.26cfb575435f5p-15, 0x1.8a59bd013cab8p-21, -0x1.8cf97d8dc30dcp-18, -0x1.78524355bee05p-21, 0x1.0aa59e0183a2bp-20, 0x1.f49bd32a35248p-22, -0x1.c3324ec6c3824p-25, -0x1.e03ae860d215p-22, -0x1.e857b30b16414p-23, 0x1.f3db15b1ad13cp-22, 0x1.8d0b2aea3150fp-22, -0x1.6b92025a97df5p-22, -0x1.7ca3747f5e119p-22, 0x1.05f2ef70c27f4p-23, 0x1.a221615eac69ep-23, 0x1.223177e9cd416p-28, -0x1.92227316edfc1p-25, -0x1.b21e624b2c31bp-27};
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

/* exp of an argument = m * s * SCALE_DOWN, m in [0.7, 1.5], s a power of two */
typedef struct {
  Pair m;
  V s;
} Exp;

/* exp(x + lo) for |x| <= EXP_LIMIT, |lo| <= ulp(x); m is good to about 2^-5 ULP.
 * x = n ln2 + r, |r| <= ln2/2; n LN2_HI is exact, so r carries only the rounding of its low part, and that is kept in rl. */
static INLINE Exp exp_parts(V x, V lo) {
  V magic = vset(PICK(0x1.8p23f, 0x1.8p52) + (EXPONENT_BIAS + PICK(64, 512)));
  V biased = vfma(x, vset(LOG2E), magic), n = biased - magic;
  V r0 = vresidual(n, vset(LN2_HI), x), r1 = lo - n * vset(LN2_LO);
  Pair r = fast_sum(r0, r1);
  V p = r.hi * r.hi * polynomial(r.hi, FN(exp_q), COUNT(FN(exp_q)));
  Pair one = fast_sum(vset(1), r.hi);
  return (Exp){fast_sum(one.hi, one.lo + (p + vfma(r.lo, r.hi, r.lo))), vshift_to_exponent(biased)};
}

/* y * s * SCALE_DOWN, rounded once even where the result is subnormal */
static INLINE V unscaled(V y, V s) { return y * s * vset(SCALE_DOWN); }

static INLINE Pair exp_pair(Exp e) { return pair_scaled(pair_scaled(e.m, e.s), vset(SCALE_DOWN)); }

/* exp - 1. For a tiny argument m is 1 + argument, exactly, and the subtraction gives it back. */
static INLINE Pair expm1_pair(Exp e) {
  Pair m = exp_pair(e), y = fast_sum(vset(-1), m.hi);
  return fast_sum(y.hi, y.lo + m.lo);
}

/* (atanh(sqrt(w)) / sqrt(w) - 1) / w for w in [0, 1/9] */
static INLINE V atanh_tail(V w) { return polynomial(w, FN(atanh_p), COUNT(FN(atanh_p))); }

/* Mills' ratio of the normal distribution, Phi(-a) / exp(-a^2/2) = erfcx(a / sqrt 2) / 2, for a in [0, MILLS_LIMIT].
 * It is near 1/2 / (1 + 0.8 a); what is left of it after 1 / (a + k) is a slow function of t = (a - k) / (a + k). */
static INLINE Pair mills_ratio(V a) {
  V k = vset(MILLS_K);
  Pair u = pair_reciprocal(exact_sum(a, k));
  V t = vresidual(u.hi, C(2) * k, vset(1));
  Pair q = fast_sum(vset(MILLS_Q0), t * polynomial(t, FN(mills_q), COUNT(FN(mills_q))));
  return pair_product(u, q);
}
