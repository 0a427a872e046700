/* Activations of quotients and square roots. Rules are those of activations.h. */

/* x / (1 + |x|); f' = 1 / (1 + |x|)^2. Cut where f is 1 and f' is 0 to the last digit; f' is scaled until it is rounded. */
static INLINE VD FN(softsign)(V x) {
  V limit = vset(PICK(0x1p80f, 0x1p600)), inside = vmax(-limit, vmin(limit, x));
  Inverse inverse = inverse_of(exact_sum(vset(1), vabs(inside)));
  Pair f = pair_over(pair(inside, vset(0)), inverse);
  Pair d = pair_over(pair_over(pair(vset(1 / SCALE_DOWN), vset(0)), inverse), inverse);
  return (VD){vcopysign(pair_round(f), x), pair_round(d) * vset(SCALE_DOWN)};
}

/* With a = |x| and s = sqrt(a^2 + b):
 *   left   f = b / (2 (s + a)),  f' = b / (2 s (s + a))
 *   right  f = (s + a) / 2,      f' = 1 - b / (2 s (s + a)) */
static INLINE VD FN(squareplus)(V x, V b) {
  V largest = vset(PICK(FLT_MAX, DBL_MAX)), a = vmin(largest, vabs(x)), zero = vset(0);
  M negative = vlt(x, zero), positive = vlt(zero, b);
  Root r = root_of_sum(a, b);
  Inverse twice = inverse_of(pair_scaled(r.sum, vset(2)));
  M first = vlt(vset(1), b); /* a large b is scaled before it is divided, a small one after */
  V before = vsel(first, r.scale, vset(1)), after = vsel(first, vset(1), r.scale);
  Pair left = pair_over(pair(b * before, zero), twice), small = pair_quotient(left, r.s);
  V right = C(0.25) * pair_round(r.sum) * (C(2) * r.back), rest = after * r.scale;
  V f = vsel(positive, vsel(negative, pair_round(left) * after, right), vmax(zero, x));
  V tail = pair_round(small) * after * r.scale;
  Pair rise = fast_sum(vset(1), -small.hi * rest);
  rise.lo -= small.lo * rest;
  V flat = vsel(negative, zero, vsel(vlt(zero, x), vset(1), vset(C(0.5)))); /* b = 0 */
  V d = vsel(positive, vsel(negative, tail, pair_round(rise)), flat);
  return (VD){vsel(vlt(largest, vabs(x)), vmax(zero, x), unless_nan(x, f)), unless_nan(x, d)};
}

/* df/db = 1 / (4 s) */
static INLINE V FN(squareplus_parameter)(V x, V b) {
  Root r = root_of_sum(vmin(vset(PICK(FLT_MAX, DBL_MAX)), vabs(x)), b);
  Inverse inverse = inverse_of(r.s);
  V slope = C(0.25) * vfma(inverse.r, inverse.e, inverse.r) * r.scale;
  return vsel(vlt(vabs(x), vset((T)INFINITY)), slope, unless_nan(x, vset(0)));
}

/* x (1 + x / s) / 2, s = sqrt(1 + x^2). With a = |x|, t = a / s and 1 - t = 1 / (s (s + a)):
 *   left   f = x (1 - t) / 2,          f' = (1 - t) (1 - t - t^2) / 2
 *   right  f = x (1 - (1 - t) / 2),    f' = 1 - (1 - t) (1 - t - t^2) / 2 */
static INLINE VD FN(dish)(V x) {
  V largest = vset(PICK(FLT_MAX, DBL_MAX)), inside = vmax(-largest, vmin(largest, x)), a = vabs(inside), one = vset(1);
  M negative = vlt(x, vset(0));
  Root r = root_of_sum(a, one);
  V square = r.scale * r.scale;
  Pair small = pair_quotient(pair_quotient(pair(one, vset(0)), r.s), r.sum); /* (1 - t) / scale^2 */
  Pair half = pair_scaled(small, vset(C(0.5))), beside_one = pair_scaled(half, square);
  Pair right = fast_sum(one, -beside_one.hi);
  right.lo -= beside_one.lo;
  V f = vsel(negative, pair_times(half, inside * r.scale) * r.scale, pair_times(right, inside));

  Pair t = pair_over(pair(a * r.scale, vset(0)), inverse_of(r.s)), tt = pair_product(t, t);
  Pair drop = pair_scaled(small, square), factor = exact_sum(drop.hi, -tt.hi);
  factor.lo += drop.lo - tt.lo;
  Pair h = pair_product(half, factor), rest = pair_scaled(h, square), rise = fast_sum(one, -rest.hi);
  V d = vsel(negative, pair_round(h) * r.scale * r.scale, pair_round(pair(rise.hi, rise.lo - rest.lo)));
  return (VD){vsel(vlt(largest, vabs(x)), vsel(negative, vset(C(-0.0)), x), vcopysign(f, x)), d};
}
