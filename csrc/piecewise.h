/* Activations of pieces of lines and parabolas. Rules are those of activations.h. */

#define unless_nan FN(unless_nan)
#define within FN(within)
#define Line FN(Line)
#define line FN(line)
#define between FN(between)

/* What is not x's own NaN. */
static INLINE V unless_nan(V x, V y) { return vsel(vordered(x), y, x); }

/* a where low < x < high, else b */
static INLINE V within(V x, V low, V high, V a, V b) { return vsel(vlt(low, x), vsel(vlt(x, high), a, b), b); }

/* x */
static INLINE VD FN(identity)(V x) { return (VD){x, unless_nan(x, vset(1))}; }

/* max(x, 0) */
static INLINE VD FN(relu)(V x) {
  V zero = vset(0);
  V d = vsel(vlt(zero, x), vset(1), zero);
  return (VD){vmax(zero, x), unless_nan(x, d)};
}

/* min(max(x, min_val), max_val) */
static INLINE VD FN(hardtanh)(V x, V min_val, V max_val) {
  V d = within(x, min_val, max_val, vset(1), vset(0));
  return (VD){vmin(max_val, vmax(min_val, x)), unless_nan(x, d)};
}

/* min(max(x, 0), 6) */
static INLINE VD FN(relu6)(V x) { return FN(hardtanh)(x, vset(0), vset(6)); }

/* x if x > 0 else negative_slope * x */
static INLINE VD FN(leaky_relu)(V x, V negative_slope) {
  V zero = vset(0);
  V d = vsel(vlt(zero, x), vset(1), negative_slope), left = negative_slope * vmin(zero, x); /* no flags from the right */
  return (VD){vsel(vlt(x, zero), left, x), unless_nan(x, d)};
}

/* grad * this is the gradient of the slopes: min(x, 0) */
static INLINE V FN(leaky_relu_parameter)(V x, V negative_slope) {
  (void)negative_slope;
  return vmin(vset(0), x);
}

/* x if x > threshold else value; x where they are equal, so that -0 and NaN stay */
static INLINE VD FN(threshold)(V x, V threshold, V value) {
  M above = vlt(threshold, x);
  V below = vsel(vlt(x, value), value, vsel(vlt(value, x), value, x));
  return (VD){vsel(above, x, below), unless_nan(x, vsel(above, vset(1), vset(0)))};
}

/* x if |x| > lambd else 0 */
static INLINE VD FN(hardshrink)(V x, V lambd) {
  M outside = vlt(lambd, vabs(x));
  V zero = vset(0), d = vsel(outside, vset(1), zero);
  return (VD){vsel(outside, x, unless_nan(x, vcopysign(zero, x))), unless_nan(x, d)};
}

/* x - lambd if x > lambd else x + lambd if x < -lambd else 0 */
static INLINE VD FN(softshrink)(V x, V lambd) {
  M right = vlt(lambd, x), left = vlt(x, -lambd);
  V zero = vset(0), one = vset(1);
  V f = vsel(right, x - lambd, vsel(left, x + lambd, vcopysign(zero, x)));
  return (VD){unless_nan(x, f), unless_nan(x, vsel(right, one, vsel(left, one, zero)))};
}

/* slope * x + offset, and whether that is inside of its bounds: 1 or 0 */
typedef struct {
  Pair y;
  V inside;
} Line;

/* y is the exact value's pair. A value that rounds to a bound is inside if what was rounded away says so; a product that
 * underflows leaves only its sign to say it. */
static INLINE Line line(V x, V slope, V offset, V low, V high) {
  Pair product = exact_product(slope, x), sum = exact_sum(product.hi, offset);
  M tiny = vlt(vabs(product.hi), vset(PICK(0x1p-100f, 0x1p-960))), finite = vlt(vabs(sum.hi), vset((T)INFINITY));
  V zero = vset(0), one = vset(1);
  V rest = vsel(finite, vsel(tiny, zero, sum.lo + product.lo), zero), y = sum.hi + rest;
  V side = vsel(tiny, vcopysign(one, slope) * x, (sum.hi - y) + rest);
  V above = vsel(vlt(low, y), one, vsel(vlt(y, low), zero, vsel(vlt(zero, side), one, zero)));
  V below = vsel(vlt(y, high), one, vsel(vlt(high, y), zero, vsel(vlt(side, zero), one, zero)));
  return (Line){pair(y, vsel(finite, (sum.hi - y) + rest, zero)), above * below};
}

/* min(max(slope * x + offset, min_val), max_val) */
static INLINE VD FN(clipped_linear)(V x, V slope, V offset, V min_val, V max_val) {
  Line l = line(x, slope, offset, min_val, max_val);
  V zero = vset(0), y = vsel(vlt(zero, vabs(x)), l.y.hi, vsel(vlt(zero, vabs(l.y.hi)), l.y.hi, x)); /* 0 has the sign of x */
  return (VD){vmin(max_val, vmax(min_val, y)), unless_nan(x, vsel(vlt(vset(0), l.inside), slope, vset(0)))};
}

/* min(max(alpha * x + beta, 0), 1). Where alpha is 1/6 rounded it stands for 1/6, and all is done with 6 alpha and 6 beta.
 */
static INLINE VD FN(hard_sigmoid)(V x, V alpha, V beta) {
  V zero = vset(0), one = vset(1), six = vset(6), alpha_minus = vabs(alpha - vset(SIXTH));
  M sixth = vlt(alpha_minus, vset(PICK(FLT_MIN, DBL_MIN)));
  V slope = vsel(sixth, one, alpha), offset = vsel(sixth, six * beta, beta), high = vsel(sixth, six, one);
  Line l = line(x, slope, offset, zero, high);
  Pair scale = pair_select(sixth, pair(vset(SIXTH), vset(SIXTH_LO)), pair(one, zero));
  V clamped = vmin(high, vmax(zero, l.y.hi)), rest = vsel(vlt(zero, l.inside), l.y.lo, zero);
  V f = vsel(vlt(clamped, high), pair_round(pair_product(scale, pair(clamped, rest))), one);
  return (VD){unless_nan(x, f), unless_nan(x, vsel(vlt(zero, l.inside), alpha, zero))};
}

/* x relu6(x + 3) / 6; f' = x / 3 + 1/2 between the kinks */
static INLINE VD FN(hard_swish)(V x) {
  V three = vset(3), inside = vmax(-three, vmin(three, x));
  Pair f = pair_product(exact_sum(inside, three), pair(vset(SIXTH), vset(SIXTH_LO)));
  Pair slope = exact_product(inside, vset(THIRD)), d = exact_sum(vset(C(0.5)), slope.hi);
  d.lo += vfma(inside, vset(THIRD_LO), slope.lo);
  V right = vsel(vlt(x, three), pair_round(d), vset(1));
  V left = vcopysign(pair_times(f, inside), x);
  return (VD){vsel(vlt(three, x), x, left), unless_nan(x, vsel(vlt(-three, x), right, vset(0)))};
}

/* x if x >= 1 else (x + 1)^2 / 4 if x > -1 else 0; f' = (x + 1) / 2 between */
static INLINE VD FN(sparse_plus)(V x) {
  V one = vset(1), inside = vmax(-one, vmin(one, x));
  Pair y = exact_sum(inside, one);
  V d = C(0.5) * pair_round(y);
  return (VD){vsel(vlt(one, x), x, C(0.25) * pair_round(pair_product(y, y))), d};
}

/* min(max((x + 1) / 2, 0), 1) */
static INLINE VD FN(sparse_sigmoid)(V x) {
  V one = vset(1), inside = vmax(-one, vmin(one, x)), d = within(x, -one, one, vset(C(0.5)), vset(0));
  return (VD){C(0.5) * (inside + one), unless_nan(x, d)};
}
