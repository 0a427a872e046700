/* f and f' of every activation, beside its formula. Each function returns both: a kernel that stores one of them leaves the
 * other to dead-code elimination, and one that stores both shares the exponential.
 *
 * Rules that all of them keep: derivatives come from x, never from y; exponents are negative, so that nothing overflows and
 * the left tail keeps its digits down to the last subnormal; NaN passes every clamp (vmin and vmax return their second
 * operand where one is NaN); a result is rounded to T once, from a Pair. */

#define Logistic FN(Logistic)
#define logistic FN(logistic)
#define logistic_value FN(logistic_value)
#define logistic_slope FN(logistic_slope)
#define gated FN(gated)
#define log1p_exp FN(log1p_exp)
#define add_log1p_exp FN(add_log1p_exp)

/* ---- piecewise linear ---- */

/* max(x, 0) */
static INLINE VD FN(relu)(V x) {
  V zero = vset(0);
  V d = vsel(vlt(zero, x), vset(1), zero);
  return (VD){vmax(zero, x), vsel(vordered(x), d, x)};
}

/* x if x > 0 else negative_slope * x */
static INLINE VD FN(leaky_relu)(V x, V negative_slope) {
  M positive = vlt(vset(0), x);
  V d = vsel(positive, vset(1), negative_slope);
  return (VD){vsel(positive, x, negative_slope * x), vsel(vordered(x), d, x)};
}

/* ---- exponential left branch ---- */

/* x if x > 0 else alpha * expm1(x) */
static INLINE VD FN(elu)(V x, V alpha) {
  Exp e = exp_parts(vmax(vset(-EXP_LIMIT), vmin(vset(0), x)), vset(0));
  return (VD){vsel(vlt(x, vset(0)), pair_times(expm1_pair(e), alpha), x),
              vsel(vlt(vset(0), x), vset(1), unscaled(pair_times(e.m, alpha), e.s))};
}

/* scale * (x if x > 0 else alpha * expm1(x)) */
static INLINE VD FN(selu)(V x) {
  Pair scale = pair(vset(SELU_SCALE), vset(SELU_SCALE_LO));
  Pair slope = pair(vset(SELU_SCALE_ALPHA), vset(SELU_SCALE_ALPHA_LO));
  Exp e = exp_parts(vmax(vset(-EXP_LIMIT), vmin(vset(0), x)), vset(0));
  V left = pair_round(pair_product(slope, expm1_pair(e)));
  V right = vfma(x, scale.hi, x * scale.lo);
  return (VD){vsel(vlt(x, vset(0)), left, right),
              vsel(vlt(vset(0), x), scale.hi, unscaled(pair_round(pair_product(slope, e.m)), e.s))};
}

/* ---- the logistic function and what it gates ---- */

/* With z = exp(-|v|): sigmoid(v) = 1 / (1 + z) on the right, z / (1 + z) on the left. */
typedef struct {
  M negative; /* v < 0 */
  Pair m;     /* z = m * s * SCALE_DOWN */
  V s;
  Pair z, d;   /* d = 1 + z */
  Pair top;    /* m on the left, 1 on the right */
  V top_scale; /* s on the left, 1 / SCALE_DOWN on the right */
} Logistic;

/* of v + lo, |v| <= EXP_LIMIT or lo == 0 */
static INLINE Logistic logistic(V v, V lo) {
  M negative = vlt(v, vset(0));
  Exp e = exp_parts(-vmin(vset(EXP_LIMIT), vabs(v)), vsel(negative, lo, -lo));
  Pair z = exp_pair(e), one = pair(vset(1), vset(0));
  Logistic l = {negative, e.m, e.s, z, pair_sum(one, z), pair_select(negative, e.m, one),
                vsel(negative, e.s, vset(1 / SCALE_DOWN))};
  return l;
}

static INLINE V logistic_value(Logistic l) { return unscaled(pair_round(pair_quotient(l.top, l.d)), l.top_scale); }

/* z / (1 + z)^2, which is even: the tails agree to the last digit */
static INLINE Pair logistic_slope(Pair m, Pair d) {
  Pair r = pair_reciprocal(d);
  return pair_product(pair_product(r, r), m);
}

/* 1 / (1 + exp(-x)) */
static INLINE VD FN(sigmoid)(V x) {
  Logistic l = logistic(x, vset(0));
  return (VD){logistic_value(l), unscaled(pair_round(logistic_slope(l.m, l.d)), l.s)};
}

static INLINE V FN(sigmoid_from_output)(V y) { return y * (C(1) - y); }

/* With z = exp(-2|x|): -expm1(-2|x|) / (1 + z), whose numerator is exact for small x; f' = 4 z / (1 + z)^2 */
static INLINE VD FN(tanh)(V x) {
  Exp e = exp_parts(C(-2) * vmin(vset(EXP_LIMIT / 2), vabs(x)), vset(0));
  Pair d = pair_sum(pair(vset(1), vset(0)), exp_pair(e));
  V y = pair_round(pair_quotient(expm1_pair(e), d));
  return (VD){vcopysign(y, x), unscaled(C(4) * pair_round(logistic_slope(e.m, d)), e.s)};
}

static INLINE V FN(tanh_from_output)(V y) { return (C(1) - y) * (C(1) + y); }

/* f = x sigmoid(v) and f' = sigmoid(v) + w sigmoid(v) sigmoid(-v), where w = x dv/dx. With z = exp(-|v|):
 * f' = (1 + z + w z) / (1 + z)^2 on the right, z (1 + z + w) / (1 + z)^2 on the left. */
static INLINE VD gated(V x, Pair v, Pair w) {
  Logistic l = logistic(v.hi, v.lo);
  V f = unscaled(pair_times(pair_quotient(l.top, l.d), x), l.top_scale);
  Pair gate = pair_select(l.negative, w, pair_product(w, l.z));
  Pair sum = exact_sum(l.d.hi, gate.hi), r = pair_reciprocal(l.d);
  sum = fast_sum(sum.hi, sum.lo + (l.d.lo + gate.lo));
  V d = pair_round(pair_product(pair_product(sum, l.top), pair_product(r, r)));
  return (VD){f, unscaled(d, l.top_scale)};
}

/* x * sigmoid(x) */
static INLINE VD FN(silu)(V x) {
  V limit = vset(EXP_LIMIT), inside = vmax(-limit, vmin(limit, x));
  Pair v = pair(inside, vset(0));
  VD y = gated(inside, v, v);
  y.f = vsel(vlt(limit, x), x, y.f);
  return y;
}

/* x sigmoid(v), v = k x + c x^3, so that x dv/dx = k x + 3 c x^3; k = 2 sqrt(2/pi), c = 0.044715 k */
static INLINE VD FN(gelu_tanh)(V x) {
  V limit = vset(PICK(11.0f, 22.0)), inside = vmax(-limit, vmin(limit, x));
  Pair k = pair(vset(GELU_K), vset(GELU_K_LO)), c = pair(vset(GELU_C), vset(GELU_C_LO));
  Pair cxx = pair_product(exact_product(inside, inside), c);
  Pair cxx3 = pair_product(cxx, pair(vset(3), vset(0))), x1 = pair(inside, vset(0));
  Pair sum = exact_sum(k.hi, cxx.hi), sum3 = exact_sum(k.hi, cxx3.hi);
  sum = fast_sum(sum.hi, sum.lo + (k.lo + cxx.lo));
  sum3 = fast_sum(sum3.hi, sum3.lo + (k.lo + cxx3.lo));
  VD y = gated(inside, pair_product(sum, x1), pair_product(sum3, x1));
  y.f = vsel(vlt(limit, x), x, y.f);
  return y;
}

/* ---- softplus ---- */

/* log1p(exp(-a)) = 2 atanh(z / (2 + z)) = L * s * SCALE_DOWN, for z = exp(-a) in (0, 1] */
static INLINE Pair log1p_exp(Logistic l) {
  Pair ratio = pair_quotient(l.m, pair_sum(pair(vset(2), vset(0)), l.z));
  V t = unscaled(ratio.hi, l.s), w = t * t;
  return fast_sum(C(2) * ratio.hi, C(2) * vfma(ratio.hi * w, atanh_tail(w), ratio.lo));
}

/* L * s * SCALE_DOWN, plus x where `positive` */
static INLINE V add_log1p_exp(M positive, V x, Pair L, V s) {
  Pair tail = pair_scaled(pair_scaled(L, s), vset(SCALE_DOWN));
  Pair sum = exact_sum(x, tail.hi);
  return vsel(positive, sum.hi + (sum.lo + tail.lo), unscaled(pair_round(L), s));
}

/* log1p(exp(v)) / beta, v = beta x: x + log1p(exp(-v)) / beta on the right; f' = sigmoid(v) */
static INLINE VD FN(softplus)(V x, V beta) {
  V limit = vset(EXP_LIMIT);
  Pair v = exact_product(beta, x);
  v.lo = vsel(vlt(vabs(v.hi), limit), v.lo, vset(0));
  Logistic l = logistic(v.hi, v.lo);
  Pair L = pair_product(log1p_exp(l), pair_reciprocal(pair(beta, vset(0))));
  V f = add_log1p_exp(vlt(vset(0), v.hi), x, L, l.s);
  return (VD){vsel(vlt(limit, v.hi), x, f), logistic_value(l)};
}

/* -log1p(exp(-x)) = -softplus(-x); f' = sigmoid(-x) */
static INLINE VD FN(log_sigmoid)(V x) {
  Logistic l = logistic(-x, vset(0));
  V f = add_log1p_exp(vlt(x, vset(0)), -x, log1p_exp(l), l.s);
  return (VD){-vsel(vlt(x, vset(-EXP_LIMIT)), -x, f), logistic_value(l)};
}

/* ---- mish ---- */

/* x tanh(log1p(exp(x))). With z = exp(-|x|):
 *   left   f = x z h / q,  f' = z (h q + 4 x (1 + z)) / q^2,    h = 2 + z,  q = 2 + 2z + z^2
 *   right  f = x h / q,    f' = (h q + 4 x z^2 (1 + z)) / q^2,  h = 1 + 2z, q = 1 + 2z + 2z^2 */
static INLINE VD FN(mish)(V x) {
  V limit = vset(EXP_LIMIT), inside = vmax(-limit, vmin(limit, x));
  Logistic l = logistic(inside, vset(0));
  Pair one = pair(vset(1), vset(0)), two = pair(vset(2), vset(0));
  Pair z2 = pair_scaled(l.z, vset(2)), zz = pair_product(l.z, l.z);
  Pair h = pair_select(l.negative, pair_sum(two, l.z), pair_sum(one, z2));
  Pair q = pair_select(l.negative, pair_sum(two, pair_sum(z2, zz)), pair_sum(one, pair_sum(z2, pair_scaled(zz, vset(2)))));
  Pair top = pair_product(h, l.top);
  V f = unscaled(pair_times(pair_quotient(top, q), inside), l.top_scale);

  Pair gate = pair_product(pair_product(pair(C(4) * inside, vset(0)), l.d), pair_select(l.negative, one, zz));
  Pair hq = pair_product(h, q), sum = exact_sum(hq.hi, gate.hi), r = pair_reciprocal(q);
  sum = fast_sum(sum.hi, sum.lo + (hq.lo + gate.lo));
  V d = pair_round(pair_product(pair_product(sum, l.top), pair_product(r, r)));
  return (VD){vsel(vlt(limit, x), x, f), unscaled(d, l.top_scale)};
}

/* ---- gelu ---- */

/* x Phi(x). With a = |x|, e = exp(-a^2/2) and Mills' ratio M(a) = Phi(-a) / e:
 *   left   f = x e M,        f' = e (M - a / sqrt(2 pi))
 *   right  f = x (1 - e M),  f' = 1 - e (M - a / sqrt(2 pi)) */
static INLINE VD FN(gelu)(V x) {
  V limit = vset(MILLS_LIMIT), inside = vmax(-limit, vmin(limit, x)), a = vabs(inside);
  M negative = vlt(x, vset(0));
  Pair half_square = exact_product(a, C(0.5) * a);
  Exp e = exp_parts(-half_square.hi, -half_square.lo);
  V s = vsel(negative, e.s, vset(1 / SCALE_DOWN)), right_scale = vset(SCALE_DOWN) * e.s;
  Pair one = pair(vset(1), vset(0)), mills = mills_ratio(a);

  Pair tail = pair_product(e.m, mills);
  Pair upper = pair_scaled(tail, -right_scale);
  V f = unscaled(pair_times(pair_select(negative, tail, pair_sum(one, upper)), inside), s);

  Pair density = pair_product(pair(vset(INV_SQRT_2PI), vset(INV_SQRT_2PI_LO)), pair(-a, vset(0)));
  Pair sum = exact_sum(mills.hi, density.hi);
  sum = fast_sum(sum.hi, sum.lo + (mills.lo + density.lo));
  Pair left = pair_product(e.m, sum);
  V d = pair_round(pair_select(negative, left, pair_sum(one, pair_scaled(left, -right_scale))));
  return (VD){vsel(vlt(limit, x), x, f), unscaled(d, s)};
}
