/* The elementary functions behind the activations, as activations of their own. Rules are those of activations.h. */

#define invalid_where FN(invalid_where)
#define log_and_inverse FN(log_and_inverse)
#define log_odds FN(log_odds)

/* NaN where `outside` is set, with the flag of an invalid operation; 0 elsewhere */
static INLINE V invalid_where(M outside) { return vsel(outside, vset((T)INFINITY), vset(0)) * vset(0); }

/* exp(x), for which x may be tiny: no square of r */
static INLINE VD FN(exp)(V x) {
  V limit = vset(EXP_LIMIT), inside = vmax(-limit, vmin(limit, x));
  M negative = vlt(inside, vset(0));
  V scale = vsel(negative, vset(SCALE_BITS), vset(-SCALE_BITS)),
    down = vsel(negative, vset(SCALE_DOWN), vset(1 / SCALE_DOWN));
  Reduced n = reduced(inside, NULL, scale);
  V s = vfma(n.r * horner(n.r, FN(exp_q), COUNT(FN(exp_q)), 0, 1), n.r, n.r);
  V y = vfma(n.power, s, n.power) * down;
  return (VD){y, y};
}

/* exp(x) - 1 = (2^n - 1) + 2^n (exp(x) / 2^n - 1), and exp(x) where 1 is nothing beside it, which is rare */
static INLINE VD FN(expm1)(V x) {
  V zero = vset(0), large = vset(PICK(64.0f, 512.0)), exp = FN(exp)(x).f;
  Exp e = exp_short(vmin(large, vmax(vset(PICK(-32.0f, -64.0)), x)), &zero, zero);
  Pair sum = exact_sum(e.power, vset(-1)), whole = fast_sum(sum.hi, e.power * e.s);
  V f = vcopysign(whole.hi + (whole.lo + vfma(e.lo, e.power, sum.lo)), x);
  return (VD){vall(vlt(x, large)) ? f : vsel(vlt(large, x), exp, f), exp};
}

/* log(2^more u) and 1 / u, u = u.hi + u.lo positive and of middling size */
static INLINE VD log_and_inverse(Pair u, V more) {
  Binade b = binade(u.hi);
  Inverse inverse = inverse_of(u);
  return (VD){pair_round(log_sum(b.k + more, pair(u.hi * b.down - C(1), u.lo * b.down))),
              vfma(inverse.r, inverse.e, inverse.r)};
}

/* log(1 + x); f' = 1 / (1 + x). The huge are scaled for both. */
static INLINE VD FN(log1p)(V x) {
  V one = vset(1), zero = vset(0), infinity = vset((T)INFINITY), huge = vset(PICK(0x1p100f, 0x1p900)),
    down = vset(SCALE_DOWN);
  Pair u = exact_sum(one, x);
  VD y = log_and_inverse(u, zero);
  y.f = vcopysign(y.f, x);
  if (vall(vlt(zero, u.hi)) && vall(vlt(x, huge))) return y;

  V largest = vset(PICK(FLT_MAX, DBL_MAX)), minus_one = vset(-1), inside = vmin(largest, vmax(huge, x));
  VD far = log_and_inverse(pair(inside * down, zero), vset(SCALE_BITS));
  M is_far = vlt(huge, inside), finite = vlt(x, infinity), above = vlt(minus_one, x), below = vlt(x, minus_one),
    number = vordered(x);
  y.f = vsel(is_far, vsel(finite, far.f, x), y.f);
  y.d = vsel(is_far, vsel(finite, far.d * down, zero), y.d);
  V nan = invalid_where(below) + invalid_where(vlt(vabs(x - minus_one), down));
  y.f = vsel(above, y.f, vsel(below, nan, vsel(number, -infinity, x)));
  y.d = vsel(above, y.d, vsel(below, nan, vsel(number, infinity, x)));
  return y;
}

/* log(2^more p / rest), whose numerator p / 2^k - rest is exact, and 1 / (p rest); rest = 1 - x */
static INLINE VD log_odds(V p, Pair rest, V more) {
  V r = vreciprocal(rest.hi);
  Binade b = binade(p * r);
  Pair top = fast_sum(p * b.down - rest.hi, -rest.lo);
  V z = top.hi * r, left = (vresidual(z, rest.lo, vresidual(z, rest.hi, top.hi)) + top.lo) * r;
  Pair product = exact_product(p, rest.hi);
  Inverse inverse = inverse_of(pair(product.hi, vfma(p, rest.lo, product.lo)));
  return (VD){pair_round(log_sum(b.k + more, pair(z, left))), vfma(inverse.r, inverse.e, inverse.r)};
}

/* log(x / (1 - x)); f' = 1 / (x (1 - x)). A tiny x is scaled up, so that it may be subnormal. */
static INLINE VD FN(logit)(V x) {
  V one = vset(1), zero = vset(0), infinity = vset((T)INFINITY), tiny = vset(PICK(0x1p-60f, 0x1p-500)),
    up = vset(1 / SCALE_DOWN);
  VD y = log_odds(x, exact_sum(one, -x), zero);
  if (vall(vlt(tiny, x)) && vall(vlt(x, one))) return y;

  VD far = log_odds(vmin(tiny, x) * up, pair(one, zero), vset(-SCALE_BITS));
  V in = within(x, zero, one, one, zero), nan = invalid_where(vlt(in, one));
  M usual = vlt(tiny, x), defined = vlt(zero, in), below = vlt(x, zero), above = vlt(one, x);
  V end = vsel(vlt(x, vset(C(0.5))), -infinity, infinity);
  y.f = vsel(defined, vsel(usual, y.f, far.f), vsel(below, nan, vsel(above, nan, unless_nan(x, end))));
  y.d = vsel(defined, vsel(usual, y.d, far.d * up), vsel(below, nan, vsel(above, nan, unless_nan(x, infinity))));
  return y;
}

/* Beyond it exp(-a^2) and erfc(a) underflow; MILLS_LIMIT / sqrt2 is more. */
#undef ERFC_LIMIT
#define ERFC_LIMIT PICK(10.3125f, 27.5)

#define Complement FN(Complement)
#define complement FN(complement)

/* erfc(a) = 2 exp(-a^2) M(sqrt2 a), M being Mills' ratio: the tail that erf and erfc share, over the power of e; and
 * exp(-a^2) */
typedef struct {
  Exp e;
  Pair tail;
} Complement;

static INLINE Complement complement(V a) {
  a = vmax(vset(SQUARE_TINY), a);
  Pair square = exact_product(a, a), argument = pair_product(pair(vset(SQRT2), vset(SQRT2_LO)), pair(a, vset(0)));
  Exp e = exp_where(vlt(a, vset(ERFC_LIMIT)), -square.hi, -square.lo);
  return (Complement){e, pair_product(exp_mantissa(e), pair_scaled(mills_ratio(argument.hi, &argument.lo), vset(2)))};
}

/* 2 / sqrt(pi) exp(-x^2) */
#define bell FN(bell)
static INLINE V bell(Exp e) {
  Pair d = pair_product(exp_mantissa(e), pair(vset(TWO_OVER_SQRT_PI), vset(TWO_OVER_SQRT_PI_LO)));
  return unscaled(pair_round(d), e.power);
}

/* erf(x). float32: sixteen polynomials; float64: a series left of 1/2, 1 - erfc(|x|) right of it */
static INLINE VD FN(erf)(V x) {
  Complement c = complement(vmin(vset(ERFC_LIMIT), vabs(x)));
#if REAL == 32
  V a = vmin(vset(ERF_LIMIT), vabs(x)), place = vfma(a, vset(ERF_SCALE), vset(0x1.8p23f));
  V f = piecewise(FN(erf_pieces), COUNT(FN(erf_pieces)), place, a, vlt(place, vset(0x1.8p23f + 2)));
#else
  V a = vmin(vset(ERFC_LIMIT), vabs(x)), half = vset(C(0.5)), one = vset(1);
  Pair tail = pair_scaled(c.tail, power_beside_one(c.e)), large = fast_sum(one, -tail.hi);
  V small = pair_times(erf_small(vmax(vset(TINY), vmin(half, a))), a * vset(1 / SCALE_DOWN)) * vset(SCALE_DOWN);
  V f = vsel(vlt(a, half), small, large.hi + (large.lo - tail.lo));
#endif
  return (VD){vcopysign(f, x), bell(c.e)};
}

/* erfc(x), and 2 - erfc(|x|) left of 0 */
static INLINE VD FN(erfc)(V x) {
  V a = vmin(vset(ERFC_LIMIT), vabs(x));
  Complement c = complement(a);
  Pair tail = pair_scaled(c.tail, power_beside_one(c.e)), left = fast_sum(vset(2), -tail.hi);
  V f = vsel(vlt(x, vset(0)), left.hi + (left.lo - tail.lo), unscaled(pair_round(c.tail), c.e.power));
  return (VD){f, -bell(c.e)};
}
