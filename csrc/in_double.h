/* float32 formulas evaluated in float64 lanes. Half as many lanes, and still fewer operations: nothing need be carried as a
 * pair, scaled away from subnormals or kept from cancelling, and the result is rounded once, where it becomes float32 again.
 * What is here has the accuracy that float32 needs, some 2^-28. */

typedef V_f64 W;
typedef M_f64 WMask;
typedef struct {
  W f, d;
} WD;

/* A formula of x and up to two more operands, on both halves of float32 vectors. */
typedef WD (*WideFormula)(W x, W p, W q);

static INLINE VD in_double(WideFormula formula, V x, V p, V q) {
  WD low = formula(widen_low(x), widen_low(p), widen_low(q)), high = low;
  if (LANES > 1) high = formula(widen_high(x), widen_high(p), widen_high(q));
  return (VD){narrow(low.f, high.f), narrow(low.d, high.d)};
}

static INLINE W wset(double a) { return vset_f64(a); }
static INLINE W wfma(W a, W b, W c) { return vfma_f64(a, b, c); }

/* Beyond it exp stays a float64, and is 0 or infinite as a float32. */
#define WIDE_LIMIT 700.0
/* min(max(x, -WIDE_LIMIT), WIDE_LIMIT); NaN passes */
static INLINE W wide_clamp(W x) { return vmax_f64(wset(-WIDE_LIMIT), vmin_f64(wset(WIDE_LIMIT), x)); }

/* e^r = 1 + r + r^2 q(r), |r| <= ln2/2: relative error of e^r - 1 2^-26.1, of e^r 2^-27.7 */
static const double wide_exp_q[] = {0x1.fffffebac3badp-2, 0x1.5554ad72a0ed3p-3, 0x1.5556788e452e7p-5, 0x1.1229c0b706a61p-7,
                                    0x1.6beb559c0cdd4p-10};

/* exp(x) = power (1 + s) for |x| <= WIDE_LIMIT */
typedef struct {
  W s, power;
} WideExp;

static INLINE WideExp wide_exp_parts(W x) {
  W magic = wset(0x1.8p52 + 1023), biased = wfma(x, wset(0x1.71547652b82fep+0), magic), n = biased - magic;
  W r = wfma(n, wset(-0x1.62e42fefa39efp-1), x), r2 = r * r;
  W even = wfma(wset(wide_exp_q[1]), r, wset(wide_exp_q[0])), odd = wfma(wset(wide_exp_q[3]), r, wset(wide_exp_q[2]));
  W q = wfma(wfma(wset(wide_exp_q[4]), r2, odd), r2, even);
  return (WideExp){wfma(q, r2, r), vshift_to_exponent_f64(biased)};
}

static INLINE W wide_exp(W x) {
  WideExp e = wide_exp_parts(x);
  return wfma(e.power, e.s, e.power);
}

/* exp(x) - 1 keeps the digits of a tiny x. */
static INLINE W wide_expm1(WideExp e) { return wfma(e.power, e.s, e.power - wset(1)); }

/* log(1 + z) = 2 atanh(z / (2 + z)) for z in [0, 1]; the series is vmath.h's for float32 */
static INLINE W wide_log1p(W z) {
  W s = z * vreciprocal_f64(wset(2) + z), w = s * s;
  W tail = wset(atanh_p_f32[COUNT(atanh_p_f32) - 1]);
  for (int k = COUNT(atanh_p_f32) - 2; k >= 0; k--) tail = wfma(tail, w, wset(atanh_p_f32[k]));
  W twice = s + s;
  return wfma(twice * w, tail, twice);
}
