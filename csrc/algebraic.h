/* Activations of quotients and square roots. Rules are those of activations.h. */

#define Rise FN(Rise)
#define rise FN(rise)
#define rise_over_root FN(rise_over_root)
#define far_rise FN(far_rise)
#define far_slope FN(far_slope)
#define usual_squareplus FN(usual_squareplus)

/* x / (1 + |x|); f' = 1 / (1 + |x|)^2. Cut where f is 1 and f' is 0 to the last digit; f' is scaled until it is rounded. */
static INLINE VD FN(softsign)(V x) {
  V a = vmin(vset(PICK(0x1p80f, 0x1p600)), vabs(x));
  Pair b = exact_sum(vset(1), a);
  Inverse inverse = inverse_of(b);
  V r = inverse.r, e = inverse.e, q = a * r;
  V f = vfma(vfma_exact(-q, a, a) - q, r, q);
  Pair square = exact_product(r * vset(1 / SCALE_DOWN), r);
  V d = square.hi + vfma(square.hi, vfma(e, e, e + e), square.lo);
  return (VD){vcopysign(f, x), d * vset(SCALE_DOWN)};
}

/* Of a = |x| and s = sqrt(a^2 + b): h + rest = (s - a) / 2 = b / (2 (s + a)), and y, which is roughly 1 / s */
typedef struct {
  V h, rest, y;
} Rise;

/* A Newton step for h^2 + a h = b / 4, whose residual is exact but for a rounding of h^2. For a up to FAR, and a b that is
 * neither tiny nor huge. */
static INLINE Rise rise(V a, V b) {
  V q = vfma(a, a, b), y = vrsqrt(q), h = C(0.5) * b * vreciprocal(vfma(q, y, a));
  return (Rise){h, vresidual(h, h, vfma_exact(-a, h, C(0.25) * b)) * y, y};
}

/* h / s: the rough quotient and what the residual, which is exact, adds to it; s is a + 2 (h + rest) */
static INLINE Pair rise_over_root(V a, Rise r) {
  V rough = r.h * r.y, twice = rough + rough;
  Pair part = exact_product(rough, a), left = exact_sum(r.h, -part.hi);
  V residual = vresidual(twice, r.h, left.hi) + (left.lo - part.lo);
  return pair(rough, vfma(r.rest, C(1) - twice, residual) * r.y);
}

/* From here on s is a to the last digit: h = b / (4 a), and h / s = b / (4 a^2), which is rounded once also where subnormal
 */
#undef FAR
#define FAR PICK(0x1p60f, 0x1p480)
static INLINE V far_rise(V a, V b) { return C(0.25) * b / a; }
static INLINE V far_slope(V a, V b) {
  Inverse inverse = inverse_of(pair(vmin(vset(FAR), a * vset(1 / FAR)), vset(0)));
  return pair_round(pair_over(pair_over(pair(C(0.25) * b, vset(0)), inverse), inverse)) * vset(1 / FAR) * vset(1 / FAR);
}

/* max(x, 0) + h; f' = h / s left of 0 and 1 - h / s right of it */
static INLINE VD usual_squareplus(V x, V b) {
  V zero = vset(0), a = vabs(x), right = vmax(zero, x);
  M near = vlt(a, vset(FAR));
  Rise r = rise(a, b);
  Pair sum = exact_sum(right, r.h);
  V f = sum.hi + (sum.lo + r.rest), d = pair_round(rise_over_root(a, r));
  if (!vall(near)) {
    f = vsel(near, f, right + far_rise(a, b));
    d = vsel(near, d, unless_nan(x, far_slope(a, b)));
  }
  return (VD){f, vsel(vlt(x, zero), d, C(1) - d)};
}

/* (x + s) / 2. A b that is tiny or huge is scaled, and x with it; b = 0 is relu, but for f'(0) = 1/2. */
static INLINE VD FN(squareplus)(V x, V b) {
  V zero = vset(0), one = vset(1), tiny = vset(PICK(0x1p-100f, 0x1p-900)), huge = vset(PICK(0x1p100f, 0x1p900));
  M usual = vlt(vabs(b - vmin(huge, vmax(tiny, b))), vset(PICK(FLT_MIN, DBL_MIN)));
  VD y = usual_squareplus(x, b);
  if (!vall(usual)) {
    M positive = vlt(zero, b), small = vlt(b, one);
    V much = vset(PICK(0x1p50f, 0x1p400)), little = vset(PICK(0x1p-50f, 0x1p-400)), up = vsel(small, much, little);
    VD scaled = usual_squareplus(x * up, vsel(positive, b * up * up, one));
    V f = vsel(vlt(scaled.f, vset((T)INFINITY)), scaled.f * vsel(small, little, much), unless_nan(x, vmax(zero, x)));
    V step = vsel(vlt(x, zero), zero, vsel(vlt(zero, x), one, unless_nan(x, vset(C(0.5)))));
    y.f = vsel(usual, y.f, vsel(positive, f, vmax(zero, x)));
    y.d = vsel(usual, y.d, vsel(positive, scaled.d, step));
  }
  return y;
}

/* df/db = 1 / (4 s) */
static INLINE V FN(squareplus_parameter)(V x, V b) {
  Root r = root_of_sum(vmin(vset(PICK(FLT_MAX, DBL_MAX)), vabs(x)), b);
  Inverse inverse = inverse_of(r.s);
  V slope = C(0.25) * vfma(inverse.r, inverse.e, inverse.r) * r.scale;
  return vsel(vlt(vabs(x), vset((T)INFINITY)), slope, unless_nan(x, vset(0)));
}

/* x (1 + x / s) / 2, s = sqrt(1 + x^2). With a = |x|, d = (1 - a / s) / 2 and t = a / s = 1 - 2 d:
 *   left   f = -a d,     f' = d (2 d - t^2)
 *   right  f = a - a d,  f' = 1 - d (2 d - t^2) */
static INLINE VD FN(dish)(V x) {
  V zero = vset(0), one = vset(1), a = vabs(x);
  M negative = vlt(x, zero), near = vlt(a, vset(FAR));
  Pair d = rise_over_root(a, rise(a, one));
  d = fast_sum(d.hi, d.lo);
  V f = vfma_exact(-a, d.hi, vsel(negative, x * d.lo, x));

  Pair twice = pair_scaled(d, vset(2)), t = fast_sum(one, -twice.hi), square = exact_product(t.hi, t.hi);
  square.lo = vfma(t.hi + t.hi, t.lo - twice.lo, square.lo);
  Pair factor = exact_sum(twice.hi, -square.hi);
  factor.lo += twice.lo - square.lo;
  V rest = pair_round(pair_product(d, factor)), slope = vsel(negative, rest, one - rest);
  if (!vall(near)) {
    f = vsel(near, f, vmax(zero, x) - far_rise(a, one));
    slope = vsel(near, slope, vsel(negative, -far_slope(a, one), unless_nan(x, one)));
  }
  return (VD){vcopysign(f, x), slope};
}
