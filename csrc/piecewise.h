/* Activations of pieces of lines and parabolas. Rules are those of activations.h. */

#define unless_nan FN(unless_nan)
#define within FN(within)
#define Crossing FN(Crossing)
#define crossing FN(crossing)
#define where_between FN(where_between)

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

/* Where slope * x + offset meets a bound: the largest number up to there and the least from there on, one and the same if it
 * is a number. */
typedef struct {
  V below, above;
} Crossing;

/* The quotient is mended until it is next to the exact one, and then on which side it is is told by its residual, which is
 * exact. What does not vary is computed once for all x. */
static INLINE Crossing crossing(V slope, V offset, V bound) {
  V infinity = vset((T)INFINITY), zero = vset(0);
  Pair rise = exact_sum(bound, -offset);
  V up = vsel(vlt(vabs(rise.hi), vset(PICK(0x1p-60f, 0x1p-500))), vset(1 / SCALE_DOWN), vset(1)), steep = slope * up;
  rise = pair_scaled(rise, up);
  V q = rise.hi / steep, near = q + (vresidual(q, steep, rise.hi) + rise.lo) / steep;
  near = vsel(vlt(vabs(near), infinity), near, q);
  V side = (vresidual(near, steep, rise.hi) + rise.lo) * vcopysign(vset(1), slope);
  V step = vfma(vabs(near), vset(PICK(0x1.000002p-24f, 0x1.0000000000001p-53)), vset(PICK(FLT_TRUE_MIN, DBL_TRUE_MIN)));
  return (Crossing){vsel(vlt(side, zero), near - step, near), vsel(vlt(zero, side), near + step, near)};
}

/* d where slope * x + offset is between two bounds, else 0: told by x, in exact arithmetic */
static INLINE V where_between(V x, V slope, V offset, V low, V high, V d) {
  M falling = vlt(slope, vset(0));
  Crossing left = crossing(slope, offset, vsel(falling, high, low)),
           right = crossing(slope, offset, vsel(falling, low, high));
  return unless_nan(x, within(x, left.below, right.above, d, vset(0)));
}

/* min(max(slope * x + offset, min_val), max_val); without an offset 0 keeps its sign */
static INLINE VD FN(clipped_linear)(V x, V slope, V offset, V min_val, V max_val) {
  V signed_offset = vsel(vlt(vabs(offset), vset(PICK(FLT_TRUE_MIN, DBL_TRUE_MIN))), vset(C(-0.0)), offset);
  V y = vfma_exact(slope, x, signed_offset);
  return (VD){vmin(max_val, vmax(min_val, y)), where_between(x, slope, offset, min_val, max_val, slope)};
}

/* min(max(alpha * x + beta, 0), 1). Where alpha is 1/6 rounded it stands for 1/6: what it lacks is added, and where the line
 * begins is told with 6 alpha and 6 beta. */
static INLINE VD FN(hard_sigmoid)(V x, V alpha, V beta) {
  V zero = vset(0), one = vset(1), six = vset(6);
  M sixth = vlt(vabs(alpha - vset(SIXTH)), vset(PICK(FLT_MIN, DBL_MIN)));
  V reach = vsel(sixth, vset(1 / SCALE_DOWN), zero), inside = vmin(reach, vmax(-reach, x));
  V slope = vsel(sixth, one, alpha), offset = vsel(sixth, six * beta, beta), high = vsel(sixth, six, one);
  V y = vfma(inside, vset(SIXTH_LO), vfma_exact(alpha, x, beta)), y6 = x + vsel(sixth, offset, vset((T)INFINITY));
  return (VD){vmin(one, vmax(zero, vmin(y6, y))), where_between(x, slope, offset, zero, high, alpha)};
}

/* x relu6(x + 3) / 6; f' = x / 3 + 1/2 between the kinks. f is the same on either side of its least at -3/2: so z is the one
 * of x and -3 - x that is right of there, where z / 2 + z^2 / 6 does not cancel. */
static INLINE VD FN(hard_swish)(V x) {
  V three = vset(3), inside = vmax(-three, x), z = vmax(-three - inside, inside);
  V f = vfma_exact(z, pair_times(pair(vset(SIXTH), vset(SIXTH_LO)), z), C(0.5) * z);
  V d = vfma(x, vset(THIRD_LO), vfma_exact(x, vset(THIRD), vset(C(0.5))));
  V last = vset(PICK(0x1.7ffffep+1f, 0x1.7ffffffffffffp+1)); /* before 3 */
  return (VD){vsel(vlt(three, x), x, vcopysign(f, x)), vsel(vlt(x, -last), vset(0), vsel(vlt(last, x), vset(1), d))};
}

/* x if x >= 1 else (x + 1)^2 / 4 if x > -1 else 0; f' = (x + 1) / 2 between */
static INLINE VD FN(sparse_plus)(V x) {
  V one = vset(1), inside = vmax(-one, x);
  Pair y = fast_sum(one, inside);
  V half = C(0.5) * y.hi;
  return (VD){vsel(vlt(one, x), x, vfma_exact(half, half, half * y.lo)), C(0.5) * (vmin(one, inside) + one)};
}

/* min(max((x + 1) / 2, 0), 1) */
static INLINE VD FN(sparse_sigmoid)(V x) {
  V one = vset(1), inside = vmax(-one, vmin(one, x)), d = within(x, -one, one, vset(C(0.5)), vset(0));
  return (VD){C(0.5) * (inside + one), unless_nan(x, d)};
}
