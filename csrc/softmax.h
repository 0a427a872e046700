/* Softmax and its kin along an axis, forward and backward. Lines are passed over as in lines.h.
 *
 *   softmax       y = exp(x - max x) / sum exp(x - max x)       dx = y (grad - sum grad y)
 *   log_softmax   y = x - max x - log(sum exp(x - max x))       dx = grad - exp(y) sum grad
 *   logsumexp     y = max x + log(sum exp(x - max x))
 *   sparsemax     y = max(x - t, 0), t so that they sum to 1    dx = grad - mean grad where y > 0, else 0 */

/* --- softmax --- */

/* y = exp(x - peak) / sum, rounded once: a rounded 1 / sum would cost another ULP. */
static INLINE V FN(weigh_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  (void)sums;
#if REAL == 32 && !defined(FUSED)
  W y[FN(HALVES)];
  for (int k = 0; k < FN(HALVES); k++) y[k] = FN(half)(in[0], k) * (FN(half)(known->hi, k) + FN(half)(known->lo, k));
  return narrow(y[0], y[FN(HALVES) - 1]);
#else
  return pair_times(pair(known->hi, known->lo), in[0]);
#endif
}

/* The flags that lines deserve whose sums are not finite. */
static INLINE unsigned FN(deserved)(const FN(Lines) *s, const FN(Known) *known) {
  unsigned deserved = 0;
  for (size_t j = 0; j < s->width; j++)
    if (!isfinite(known->hi[j]) || !isfinite(known->lo[j])) deserved |= FN(line_flags)(s, j);
  return deserved;
}

static INLINE void FN(put_pair)(FN(Known) *known, size_t j, Pair a) {
  vstore(known->hi + j, a.hi);
  vstore(known->lo + j, a.lo);
}

static INLINE unsigned FN(softmax_lines)(FN(Going) pass, const FN(Lines) *s) {
  FN(Known) known;
  pass(PASS_PEAK, s, &known);
  pass((FN(Pass)){FN(exp_step), {0, -1}, 1, FN(BOUNDED), -INFINITY}, s, &known);
  for (size_t j = 0; j < s->width; j += LANES) {
    FN(put_pair)(&known, j, FN(weight)(FN(known)(&known, j), s->masked_zero));
  }
  pass((FN(Pass)){FN(weigh_step), {1, -1}, 1, 0, 0}, s, &known);
  return FN(deserved)(s, &known);
}

/* sum grad y - the grad of what has more than half of y, if anything has: with y - 1 in place of y there, which is exact. So
 * the sum keeps the digits in which it differs from that grad. */
static INLINE V FN(dot_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  V zero = vset(0);
  M most = vlt(vset(C(0.5)), in[1]);
  (void)known;
  FN(plus_product)(sums, in[0], vsel(most, in[1] - vset(1), in[1]));
  sums->count = sums->count + vsel(most, in[0], zero);
  return in[0];
}

/* hi + lo with nothing left over where hi is not finite */
static INLINE void FN(drop_rest)(FN(Known) *known, size_t j) {
  V hi = vload(known->hi + j), lo = vload(known->lo + j);
  vstore(known->lo + j, vsel(vlt(vabs(hi), vset(INFINITY)), lo, vset(0)));
}

/* y (grad - dot): where grad and dot agree in many digits, their difference is exact before the rest of dot is subtracted. A
 * dot that overflowed or met inf has no rest. */
static INLINE V FN(pull_back_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  (void)sums;
  return in[1] * ((in[0] - known->hi) - known->lo);
}

/* sum grad y as it stands, for lines in which the grad taken apart is not finite. */
static INLINE V FN(plain_dot_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  (void)known;
  FN(plus_product)(sums, in[0], in[1]);
  return in[0];
}

static INLINE unsigned FN(softmax_backward_lines)(FN(Going) pass, const FN(Lines) *s) {
  FN(Known) known, plain;
  V infinity = vset(INFINITY);
  int finite = 1;
  pass((FN(Pass)){FN(dot_step), {0, 1}, -1, FN(SUM) | FN(COUNT), 0}, s, &known);
  for (size_t j = 0; j < s->width; j += LANES) finite &= vall(vlt(vabs(vload(known.count + j)), infinity));
  if (!finite) pass((FN(Pass)){FN(plain_dot_step), {0, 1}, -1, FN(SUM), 0}, s, &plain);
  for (size_t j = 0; j < s->width; j += LANES) {
    FN(KnownV) k = FN(known)(&known, j);
    Pair dot = exact_sum(k.count, k.hi);
    dot = fast_sum(dot.hi, dot.lo + k.lo);
    if (!finite) dot.hi = vsel(vlt(vabs(k.count), infinity), dot.hi, vload(plain.hi + j));
    FN(put_pair)(&known, j, dot);
    FN(drop_rest)(&known, j);
  }
  pass((FN(Pass)){FN(pull_back_step), {0, 1}, 2, 0, 0}, s, &known);
  return FN(deserved)(s, &known);
}

/* --- its logarithm --- */

static INLINE V FN(log_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  (void)sums;
  return ((in[0] - known->peak) - known->hi) - known->lo;
}

static INLINE unsigned FN(log_softmax_lines)(FN(Going) pass, const FN(Lines) *s) {
  FN(Known) known;
  V infinity = vset(INFINITY), zero = vset(0);
  pass(PASS_PEAK, s, &known);
  pass(PASS_OTHERS, s, &known);
  for (size_t j = 0; j < s->width; j += LANES) {
    FN(KnownV) others = FN(known)(&known, j);
    Pair log = FN(log_of_sum)(others);
    log.hi = vsel(vlt(others.peak, infinity), log.hi, infinity - others.peak);
    FN(put_pair)(&known, j, log);
    if (s->masked_zero) /* -inf - 0 */
      vstore(known.peak + j, vsel(vlt(-infinity, others.peak), others.peak, zero));
  }
  pass((FN(Pass)){FN(log_step), {0, -1}, 1, 0, 0}, s, &known);
  return FN(deserved)(s, &known);
}

static INLINE V FN(sum_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  (void)known;
  FN(plus)(sums, in[0]);
  return in[0];
}

/* grad - exp(y) sum, the base of exp apart from the rest: so 1 - exp(y) keeps its digits where exp(y) is near 1 and grad is
 * the sum, as for a class that is known well. exp(y) is scaled, and so is the sum. */
static INLINE V FN(log_pull_back_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  FN(Scaled) e = FN(scaled_exp)(in[1], FN(reference)(vset(0)));
  V hi = known->hi * e.power, lo = known->lo * e.power;
  (void)sums;
  return vfma(-e.rest, hi, vfma(-e.hi, lo, vfma(-e.base, hi, in[0])));
}

static INLINE unsigned FN(log_softmax_backward_lines)(FN(Going) pass, const FN(Lines) *s) {
  FN(Known) known;
  V scale = vset(PICK(0x1p-25f, 0x1p-54));
  pass((FN(Pass)){FN(sum_step), {0, -1}, -1, FN(SUM), 0}, s, &known);
  for (size_t j = 0; j < s->width; j += LANES) {
    FN(drop_rest)(&known, j);
    FN(put_pair)(&known, j, pair_scaled(pair(vload(known.hi + j), vload(known.lo + j)), scale));
  }
  pass((FN(Pass)){FN(log_pull_back_step), {0, 1}, 2, 0, 0}, s, &known);
  return FN(deserved)(s, &known);
}

static INLINE unsigned FN(logsumexp_lines)(FN(Going) pass, const FN(Lines) *s) {
  FN(Known) known;
  pass(PASS_PEAK, s, &known);
  pass(PASS_OTHERS, s, &known);
  for (size_t j = 0; j < s->width; j += LANES) {
    FN(KnownV) others = FN(known)(&known, j);
    Pair log = FN(log_of_sum)(others), sum = exact_sum(others.peak, log.hi);
    V y = sum.hi + vsel(vlt(vabs(sum.hi), vset(INFINITY)), sum.lo + log.lo, vset(0));
    FN(store_upto)((T *)s->at[1] + j, y, s->width - j);
    vstore(known.hi + j, y);
  }
  return 0;
}

/* --- sparsemax --- */

/* x - peak - t as hi + lo; nothing is left over of what is not finite. */
static INLINE Pair FN(above)(V x, const FN(KnownV) *known) {
  Pair d = exact_sum(x, -known->peak);
  V hi = d.hi - known->hi, lo = d.lo - known->lo;
  return pair(hi, vsel(vordered(lo), lo, vset(0)));
}

/* Of those above t: their sum, which begins at the peak, and their number. NaN is kept. */
static INLINE V FN(support_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  Pair d = FN(above)(in[0], known);
  V zero = vset(0), over = pair_round(d);
  M inside = vlt(zero, over);
  FN(plus)(sums, vsel(inside, in[0] - known->peak, vmin(zero, vabs(over))));
  sums->count = sums->count + vsel(inside, vset(1), zero);
  return in[0];
}

static INLINE V FN(sparse_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  (void)sums;
  return vmax(vset(0), pair_round(FN(above)(in[0], known)));
}

/* t = (sum - 1) / count, or the sum, which is 0 or NaN, where nothing is above t. */
static INLINE void FN(put_threshold)(FN(Known) *known, size_t j) {
  FN(KnownV) k = FN(known)(known, j);
  V zero = vset(0), one = vset(1);
  Pair sum = exact_sum(k.hi, -one);
  sum.lo = sum.lo + k.lo;
  Pair t = pair_quotient(sum, pair(vmax(one, k.count), zero));
  M any = vlt(zero, k.count);
  t = pair(t.hi, vsel(vordered(t.lo), t.lo, zero));
  FN(put_pair)(known, j, pair_select(any, fast_sum(t.hi, t.lo), pair(k.hi, zero)));
}

/* Newton's iteration for t from below (Michelot 1986): those that are not above t never are again, and it ends when they
 * stay the same. It begins with all that are less than 1 below the peak, which those above t are. */
static INLINE unsigned FN(sparsemax_lines)(FN(Going) pass, const FN(Lines) *s) {
  FN(Known) known;
  T before[FN(LINES)];
  V infinity = vset(INFINITY), zero = vset(0);
  int shrinks = 1;
  pass(PASS_PEAK, s, &known);
  for (size_t j = 0; j < s->width; j += LANES) {
    V peak = vload(known.peak + j);
    if (s->masked_zero) vstore(known.peak + j, vsel(vlt(-infinity, peak), peak, zero));
    FN(put_pair)(&known, j, pair(vset(-1), zero));
    vstore(before + j, infinity);
  }
  while (shrinks) {
    shrinks = 0;
    pass((FN(Pass)){FN(support_step), {0, -1}, -1, FN(SUM) | FN(COUNT), -INFINITY}, s, &known);
    for (size_t j = 0; j < s->width; j += LANES) {
      V count = vload(known.count + j);
      T lanes[LANES];
      vstore(lanes, vsel(vlt(count, vload(before + j)), vset(1), zero));
      for (size_t k = 0; k < LANES && j + k < s->width; k++) shrinks |= lanes[k] != 0;
      vstore(before + j, count);
      FN(put_threshold)(&known, j);
    }
  }
  pass((FN(Pass)){FN(sparse_step), {0, -1}, 1, 0, 0}, s, &known);
  return FN(deserved)(s, &known);
}

static INLINE V FN(support_sum_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  V zero = vset(0);
  M inside = vlt(zero, in[1]);
  (void)known;
  FN(plus)(sums, vsel(inside, in[0], zero));
  sums->count = sums->count + vsel(inside, vset(1), zero);
  return in[0];
}

static INLINE V FN(sparse_pull_back_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  V zero = vset(0);
  (void)sums;
  return vsel(vlt(zero, in[1]), (in[0] - known->hi) - known->lo, vmin(zero, vabs(in[1])));
}

static INLINE unsigned FN(sparsemax_backward_lines)(FN(Going) pass, const FN(Lines) *s) {
  FN(Known) known;
  pass((FN(Pass)){FN(support_sum_step), {0, 1}, -1, FN(SUM) | FN(COUNT), 0}, s, &known);
  for (size_t j = 0; j < s->width; j += LANES) {
    FN(KnownV) k = FN(known)(&known, j);
    FN(put_pair)(&known, j, pair_quotient(exact_sum(k.hi, k.lo), pair(vmax(vset(1), k.count), vset(0))));
    FN(drop_rest)(&known, j);
  }
  pass((FN(Pass)){FN(sparse_pull_back_step), {0, 1}, 2, 0, 0}, s, &known);
  return FN(deserved)(s, &known);
}

#define ALONG(name, operands, light) \
  static unsigned FN(name##_line)(const FN(Lines) *s) { return FN(name##_lines)(FN(pass_line), s); } \
  static unsigned FN(name##_panel)(const FN(Lines) *s) { return FN(name##_lines)(FN(pass_panel), s); } \
  static void FN(name)(char *const *operand, const ptrdiff_t *outer, const ptrdiff_t *step, size_t lines, size_t n, \
                       int masked_zero) { \
    static const FN(Kind) kind = {FN(name##_panel), FN(name##_line), operands, light, 0}; \
    FN(along)(&kind, operand, outer, step, lines, n, masked_zero, NULL); \
  }
ALONG(softmax, 2, 0)
ALONG(softmax_backward, 3, 1)
ALONG(log_softmax, 2, 1)
ALONG(log_softmax_backward, 3, 0)
ALONG(logsumexp, 2, 0)
ALONG(sparsemax, 2, 0)
ALONG(sparsemax_backward, 3, 1)
#undef ALONG
