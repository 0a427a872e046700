/* The elementary functions behind the activations, as activations of their own. Rules are those of activations.h. */

#define invalid_where FN(invalid_where)

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

/* exp(x) - 1 = (2^n - 1) + 2^n (exp(x) / 2^n - 1), and exp(x) where 1 is nothing beside it */
static INLINE VD FN(expm1)(V x) {
  V limit = vset(EXP_LIMIT), down;
  Exp e = exp_any(vmax(-limit, vmin(limit, x)), &down);
  V exp = pair_round(exp_mantissa(e)) * e.power * down;
  V power = vmax(vset(NEGLIGIBLE), e.power * down), s = e.s * power;
  Pair sum = exact_sum(power, vset(-1)), whole = exact_sum(sum.hi, s);
  V f = whole.hi + (whole.lo + vfma(e.lo, power, sum.lo));
  return (VD){vsel(vlt(vset(PICK(64.0f, 512.0)), x), exp, vcopysign(f, x)), exp};
}

/* log(1 + x); f' = 1 / (1 + x), scaled until it is rounded. A large argument is scaled for the logarithm too. */
static INLINE VD FN(log1p)(V x) {
  V one = vset(1), zero = vset(0), infinity = vset((T)INFINITY), minus_one = vset(-1), down = vset(SCALE_DOWN);
  V inside = vmax(minus_one, vmin(vset(PICK(FLT_MAX, DBL_MAX)), x));
  M large = vlt(vset(PICK(0x1p60f, 0x1p500)), inside), tiny = vlt(vabs(x), vset(PICK(0x1p-30f, 0x1p-60)));
  Pair u = exact_sum(one, inside);
  Ratio r = binary_ratio(pair_scaled(u, vsel(large, down, one)), pair(one, zero));
  r.k = r.k + vsel(large, vset(SCALE_BITS), zero);
  V f = vsel(vlt(x, infinity), vsel(tiny, x, pair_round(log_ratio(r))), x);
  Inverse inverse = inverse_of(pair_scaled(u, down));
  V d = vfma(inverse.r, inverse.e, inverse.r) * down;
  V nan = invalid_where(vlt(x, minus_one)) + invalid_where(vlt(vabs(x - minus_one), down));
  M defined = vlt(minus_one, x), pole = vordered(x), outside = vlt(x, minus_one);
  f = vsel(defined, f, vsel(outside, nan, vsel(pole, -infinity, x)));
  d = vsel(defined, vsel(vlt(x, infinity), d, zero), vsel(outside, nan, vsel(pole, infinity, x)));
  return (VD){f, d};
}

/* log(x / (1 - x)); f' = 1 / (x (1 - x)). A tiny x is scaled up, so that it may be subnormal. */
static INLINE VD FN(logit)(V x) {
  V one = vset(1), zero = vset(0), infinity = vset((T)INFINITY), up = vset(1 / SCALE_DOWN);
  V inside = vmax(zero, vmin(one, x));
  M tiny = vlt(inside, vset(SCALE_DOWN));
  Pair rest = exact_sum(one, -inside), p = pair(inside * vsel(tiny, up, one), zero);
  Ratio r = binary_ratio(p, rest);
  r.k = r.k - vsel(tiny, vset(SCALE_BITS), zero);
  V f = pair_round(log_ratio(r));
  Inverse inverse = inverse_of(pair_product(pair(inside * up, zero), rest));
  V d = vfma(inverse.r, inverse.e, inverse.r) * up;
  V in = within(x, zero, one, one, zero), nan = invalid_where(vlt(in, one));
  M defined = vlt(zero, in), below = vlt(x, zero), above = vlt(one, x);
  V end = vsel(vlt(x, vset(C(0.5))), -infinity, infinity);
  f = vsel(defined, f, vsel(below, nan, vsel(above, nan, unless_nan(x, end))));
  d = vsel(defined, d, vsel(below, nan, vsel(above, nan, unless_nan(x, infinity))));
  return (VD){f, d};
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
