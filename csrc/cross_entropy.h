/* Cross-entropy of a line of logits x against weights of its classes, and its gradient. Lines are passed over as in lines.h.
 *
 *   loss = sum_c a_c (lse - x_c) + b (lse - x_l)        dx_c = scale ((A + b) p_c - a_c - [c = l] b)
 *
 * lse = peak + log(1 + o), o = what exp(x - peak) adds up to beside one of the largest; p = softmax(x), A = sum a, and l is
 * the label. Class indices have the label alone ("hard"), probabilities the a_c, and label smoothing both.
 *
 * Nothing cancels where a line is classified well, p_l near 1: lse - x_c = (peak - x_c) + log(1 + o) is a sum of what is not
 * negative, and p - 1 at the peak is -o / (1 + o). */

/* What is read a line at a time: the label, negative for a line that is left out, and its weight b; and the scale of the
 * gradient. */
typedef struct {
  const char *label, *weight, *scale;
  ptrdiff_t label_step, weight_step;
} FN(Answers);

/* a b, and 0 where a is 0, whatever b is */
static INLINE V FN(share)(V a, V b) { return vsel(vlt(vset(0), vabs(a)), a * b, a); }

/* a (peak - x) */
static INLINE V FN(distance_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  FN(plus_product)(sums, vset(1), FN(share)(in[1], known->peak - in[0]));
  return in[0];
}

/* dx where the label is all there is, from exp: scale b p */
static INLINE V FN(hard_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  (void)sums;
  return FN(share)(known->hi, in[0]);
}

static INLINE Pair FN(exp_beside)(V x, V peak) { return FN(exp_pair)(FN(scaled_exp)(x, FN(reference)(peak))); }

/* scale ((A + b) p - c) for the weight c of a class; (A + b) p is a pair, as it may cancel, and known at the peak. */
static INLINE V FN(slope)(V x, Pair c, FN(KnownV) known) {
  Pair p = pair_product(FN(exp_beside)(x, known.peak), pair(known.hi, known.lo));
  V inside = (p.hi - c.hi) + (p.lo - c.lo), at_peak = (known.count - c.hi) + (known.rest - c.lo);
  return FN(share)(known.scale, vsel(vlt(x, known.peak), inside, at_peak));
}

static INLINE V FN(soft_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  (void)sums;
  return FN(slope)(in[0], pair(in[1], vset(0)), *known);
}

/* Of each line in a panel: its label, that label's x, a and b, and what becomes of its dx. */
typedef struct {
  int64_t label[FN(LINES)];
  T x[FN(LINES)], a[FN(LINES)], b[FN(LINES)], kept[FN(LINES)], dx[FN(LINES)];
} FN(Labelled);

static INLINE char *FN(element)(const FN(Lines) *s, int k, int64_t i, size_t line) {
  return s->at[k] + (ptrdiff_t)i * s->step[k] + line * sizeof(T);
}

/* Lanes after the last line are like it. */
static void FN(read_labels)(const FN(Lines) *s, int soft, FN(Labelled) *of) {
  const FN(Answers) *answers = s->context;
  for (size_t lane = 0; lane < (s->width + LANES - 1) / LANES * LANES; lane++) {
    size_t line = lane < s->width ? lane : s->width - 1;
    of->x[lane] = of->a[lane] = of->b[lane] = of->kept[lane] = 0;
    memcpy(&of->label[lane], answers->label + (ptrdiff_t)(s->first + line) * answers->label_step, sizeof(int64_t));
    if (of->label[lane] < 0) continue;
    memcpy(&of->b[lane], answers->weight + (ptrdiff_t)(s->first + line) * answers->weight_step, sizeof(T));
    memcpy(&of->x[lane], FN(element)(s, 0, of->label[lane], line), sizeof(T));
    if (soft) memcpy(&of->a[lane], FN(element)(s, 1, of->label[lane], line), sizeof(T));
    of->kept[lane] = 1;
  }
}

/* What `slope` wants of lines, from what is known of their others, A + b and the scale. */
static INLINE void FN(ready_for_slope)(FN(Known) *known, size_t j, FN(KnownV) others, Pair both, V scale) {
  Pair top = FN(exp_beside)(others.peak, others.peak);
  V more = others.count - vset(1);
  Pair beside = exact_sum(others.hi, more * top.hi);
  beside.lo = beside.lo + vfma(more, top.lo, others.lo);
  Pair all = exact_sum(beside.hi, top.hi);
  all.lo = all.lo + (beside.lo + top.lo);
  Inverse inverse = inverse_of(all);
  Pair factor = pair_product(both, pair(inverse.r, inverse.r * inverse.e)), at_peak = pair_product(factor, top);
  factor = fast_sum(factor.hi, factor.lo);
  Pair most = pair(both.hi, both.lo - pair_round(beside) * factor.hi); /* p is 1 less what the others have */
  at_peak = pair_select(vlt(beside.hi, top.hi), most, at_peak);
  vstore(known->hi + j, factor.hi);
  vstore(known->lo + j, factor.lo);
  vstore(known->count + j, at_peak.hi);
  vstore(known->rest + j, at_peak.lo);
  vstore(known->scale + j, scale);
}

/* Of the lines in a panel; once at least, as compilers like to know. */
#define EACH_VECTOR(j, s) for (size_t j = 0; j == 0 || j < (s)->width; j += LANES)

/* Operands of lines: x, with `soft` a, loss (one a line), with `gradient` dx. */
static INLINE unsigned FN(cross_entropy_lines)(FN(Going) pass, const FN(Lines) *s, int soft, int gradient) {
  FN(Known) known;
  FN(Labelled) of;
  int loss_at = 1 + soft, dx_at = 2 + soft;
  T distance[FN(LINES)], hi[FN(LINES)], lo[FN(LINES)], scale; /* sum a (peak - x) and A */
  memcpy(&scale, ((const FN(Answers) *)s->context)->scale, sizeof scale);
  T *const first[] = {known.hi, known.lo, known.count, known.scale, known.rest};
  for (int k = 0; k < 5; k++) vstore(first[k], vset(0)); /* a pass over a lone line reads them before they are known */
  FN(read_labels)(s, soft, &of);
  pass(PASS_PEAK, s, &known);
  if (soft) {
    pass((FN(Pass)){FN(distance_step), {0, 1}, -1, FN(SUM), 0}, s, &known);
    EACH_VECTOR(j, s) vstore(distance + j, vload(known.hi + j));
    pass((FN(Pass)){FN(sum_step), {1, -1}, -1, FN(SUM), 0}, s, &known);
    EACH_VECTOR(j, s) {
      vstore(hi + j, vload(known.hi + j));
      vstore(lo + j, vload(known.lo + j));
    }
  }
  int kept_exp = gradient && !soft;
  pass((FN(Pass)){FN(others_step), {0, -1}, kept_exp ? dx_at : -1, FN(BOUNDED) | FN(PAIRED) | FN(COUNT), -INFINITY}, s,
       &known);
  EACH_VECTOR(j, s) {
    FN(KnownV) others = FN(known)(&known, j);
    V zero = vset(0), b = vload(of.b + j), x = vload(of.x + j);
    M kept = vlt(zero, vload(of.kept + j));
    Pair log = FN(log_of_sum)(others), both = pair(b, zero);
    V loss = FN(share)(b, (others.peak - x) + log.hi + log.lo);
    if (soft) {
      V a = vload(hi + j);
      loss = loss + (vload(distance + j) + FN(share)(a, log.hi + log.lo));
      both = exact_sum(a, b);
      both.lo = both.lo + vload(lo + j);
    }
    FN(store_upto)((T *)s->at[loss_at] + j, vsel(kept, loss, zero), s->width - j);
    if (gradient) FN(ready_for_slope)(&known, j, others, both, vsel(kept, vset(scale), zero));
    if (gradient) vstore(of.dx + j, FN(slope)(x, exact_sum(vload(of.a + j), b), FN(known)(&known, j)));
    if (kept_exp) vstore(known.hi + j, FN(share)(vload(known.scale + j), vload(known.hi + j)));
  }
  if (!gradient) return 0;
  if (soft)
    pass((FN(Pass)){FN(soft_step), {0, 1}, dx_at, 0, 0}, s, &known);
  else
    pass((FN(Pass)){FN(hard_step), {dx_at, -1}, dx_at, 0, 0}, s, &known);
  for (size_t line = 0; line < s->width; line++)
    if (of.label[line] >= 0) memcpy(FN(element)(s, dx_at, of.label[line], line), &of.dx[line], sizeof(T));
  return 0;
}

#undef EACH_VECTOR

#define CROSS_ENTROPY(name, soft, gradient) \
  static unsigned FN(name##_line)(const FN(Lines) *s) { return FN(cross_entropy_lines)(FN(pass_line), s, soft, gradient); } \
  static unsigned FN(name##_panel)(const FN(Lines) *s) { return FN(cross_entropy_lines)(FN(pass_panel), s, soft, gradient); }
CROSS_ENTROPY(hard_loss, 0, 0)
CROSS_ENTROPY(hard_loss_with_gradient, 0, 1)
CROSS_ENTROPY(soft_loss, 1, 0)
CROSS_ENTROPY(soft_loss_with_gradient, 1, 1)
#undef CROSS_ENTROPY

static void FN(cross_entropy)(char *const *operand, const ptrdiff_t *outer, const ptrdiff_t *step, size_t lines, size_t n,
                              int gradient) {
  static const FN(Kind) kind[] = {{FN(hard_loss_panel), FN(hard_loss_line), 2, 0, 0},
                                  {FN(hard_loss_with_gradient_panel), FN(hard_loss_with_gradient_line), 3, 0, 1},
                                  {FN(soft_loss_panel), FN(soft_loss_line), 3, 0, 0},
                                  {FN(soft_loss_with_gradient_panel), FN(soft_loss_with_gradient_line), 4, 0, 1}};
  enum { X, CLASSES, LABEL, WEIGHT, SCALE, LOSS, DX, COUNTED };
  const ptrdiff_t steps[COUNTED] = {[X] = step[0], [CLASSES] = step[1], [DX] = gradient ? step[2] : 0};
  int soft = step[1] != 0, which = 2 * soft + gradient, k = 0, used[] = {X, CLASSES, LOSS, DX};
  char *at[FN(OPERANDS)];
  ptrdiff_t between[FN(OPERANDS)], along[FN(OPERANDS)];
  for (int u = 0; u < 3 + gradient; u++) {
    if (used[u] == CLASSES && !soft) continue;
    at[k] = operand[used[u]], between[k] = outer[used[u]], along[k++] = steps[used[u]];
  }
  FN(Answers) answers = {operand[LABEL], operand[WEIGHT], operand[SCALE], outer[LABEL], outer[WEIGHT]};
  FN(along)(&kind[which], at, between, along, lines, n, 0, &answers);
}
