/* Softmax along an axis, forward and backward.
 *
 *   y = exp(x - max x) / sum exp(x - max x)         dx = y (grad - sum grad y)
 *
 * The difference x - max is an exact pair, and so is the sum of what exp gives; y is then e / sum, rounded twice.
 *
 * A line is what one result is computed over: n elements along the axis. Lines that lie side by side in memory (any axis but
 * the last) are taken a panel at a time, a lane a line. Short lines are first laid side by side, a vector of them at a time.
 * A long line by itself is taken a vector at a time, directly where it is contiguous and through a stage where it is not.
 * So a short line gives the same bits in every layout; in a long one the order of the sum may differ, by 2^-47 of it. */

enum { FN(LINES) = 512, FN(SHORT) = 64, FN(CHUNK) = 1024, FN(OPERANDS) = 3 };

/* Lines of n elements: element i is `step` bytes further for each operand, inputs first, output last. */
typedef struct {
  char *at[FN(OPERANDS)];
  ptrdiff_t step[FN(OPERANDS)];
  size_t n, width; /* lines side by side */
  int masked_zero;
} FN(Lines);

static INLINE V FN(load_upto)(const T *p, size_t left, T padding) {
  T lanes[LANES];
  if (left >= LANES) return vload(p);
  for (size_t k = 0; k < LANES; k++) lanes[k] = k < left ? p[k] : padding;
  return vload(lanes);
}

static INLINE void FN(store_upto)(T *p, V a, size_t left) {
  T lanes[LANES];
  if (left >= LANES) {
    vstore(p, a);
  } else {
    vstore(lanes, a);
    memcpy(p, lanes, left * sizeof(T));
  }
}

static INLINE Pair FN(plus)(Pair s, Pair a) {
  Pair t = exact_sum(s.hi, a.hi);
  return pair(t.hi, s.lo + (t.lo + a.lo));
}

/* exp(x - offset), for x <= offset; NaN where the difference is. Below half of the smallest subnormal it is 0 without being
 * computed: underflow is slow, and -inf, as in a mask, is common. */
static INLINE Pair FN(shifted_exp)(V x, V offset) {
  Pair d = exact_sum(x, -offset), zero = pair(vset(0), vset(0));
  M vanishes = vlt(d.hi, vset(PICK(-104.0f, -746.0)));
  d = pair_select(vanishes, zero, d); /* of a difference that overflows, d.lo is NaN */
  Exp e = exp_parts(d.hi, &d.lo);
  Pair m = exp_mantissa(e);
  return pair_select(vanishes, zero, pair(unscaled(m.hi, e.power), unscaled(m.lo, e.power)));
}

/* What to subtract: the largest element, or 0 where all are -inf or NaN. */
static INLINE V FN(offset)(V peak) { return vsel(vlt(vset(-INFINITY), peak), peak, vset(0)); }

/* 1 / sum. A sum of zero is a line of -inf: NaN, or with `masked_zero` 0. */
static INLINE Pair FN(weight)(Pair sum, int masked_zero) {
  Inverse inverse = inverse_of(exact_sum(sum.hi, sum.lo));
  Pair r = pair(inverse.r, inverse.r * inverse.e);
  if (masked_zero) r = pair_select(vlt(sum.hi, vset(C(0.5))), pair(vset(0), vset(0)), r);
  return r;
}

/* y (grad - dot); a dot that overflowed or met inf has no low part. */
static INLINE V FN(pull_back)(V grad, V y, Pair dot) {
  Pair d = exact_sum(grad, -dot.hi);
  V lo = d.lo - dot.lo;
  return y * (d.hi + vsel(vordered(lo), lo, vset(0)));
}

/* The flags a line deserves: NaN or inf without one in the inputs. */
static unsigned FN(line_flags)(const FN(Lines) *s, int inputs, size_t line) {
  unsigned deserved = 0;
  for (size_t i = 0; i < s->n; i++)
    for (int k = 0; k <= inputs; k++) {
      T a;
      memcpy(&a, s->at[k] + (ptrdiff_t)i * s->step[k] + line * sizeof(T), sizeof a);
      if (k < inputs && (isnan(a) || (inputs > 1 && isinf(a)))) return 0;
      if (k == inputs && isnan(a)) deserved |= FLAG_INVALID;
      if (k == inputs && isinf(a)) deserved |= FLAG_OVERFLOW;
    }
  return deserved;
}

/* --- lines side by side --- */

static unsigned FN(softmax_panel)(const FN(Lines) *s) {
  T peak[FN(LINES)], hi[FN(LINES)], lo[FN(LINES)];
  unsigned deserved = 0;
  for (size_t j = 0; j < s->width; j += LANES) {
    vstore(peak + j, vset(-INFINITY));
    vstore(hi + j, vset(0));
    vstore(lo + j, vset(0));
  }
  for (size_t i = 0; i < s->n; i++) {
    const T *x = (const T *)(s->at[0] + (ptrdiff_t)i * s->step[0]);
    for (size_t j = 0; j < s->width; j += LANES)
      vstore(peak + j, vmax(FN(load_upto)(x + j, s->width - j, 0), vload(peak + j)));
  }
  for (size_t i = 0; i < s->n; i++) {
    const T *x = (const T *)(s->at[0] + (ptrdiff_t)i * s->step[0]);
    T *y = (T *)(s->at[1] + (ptrdiff_t)i * s->step[1]);
    for (size_t j = 0; j < s->width; j += LANES) {
      Pair e = FN(shifted_exp)(FN(load_upto)(x + j, s->width - j, 0), FN(offset)(vload(peak + j)));
      Pair sum = FN(plus)(pair(vload(hi + j), vload(lo + j)), e);
      vstore(hi + j, sum.hi);
      vstore(lo + j, sum.lo);
      FN(store_upto)(y + j, e.hi, s->width - j);
    }
  }
  for (size_t j = 0; j < s->width; j += LANES) {
    Pair r = FN(weight)(pair(vload(hi + j), vload(lo + j)), s->masked_zero);
    vstore(hi + j, r.hi);
    vstore(lo + j, r.lo);
  }
  for (size_t i = 0; i < s->n; i++) {
    T *y = (T *)(s->at[1] + (ptrdiff_t)i * s->step[1]);
    for (size_t j = 0; j < s->width; j += LANES)
      FN(store_upto)(y + j, pair_times(pair(vload(hi + j), vload(lo + j)), FN(load_upto)(y + j, s->width - j, 0)),
                     s->width - j);
  }
  for (size_t j = 0; j < s->width; j++)
    if (!isfinite(hi[j])) deserved |= FN(line_flags)(s, 1, j);
  return deserved;
}

static unsigned FN(softmax_backward_panel)(const FN(Lines) *s) {
  T hi[FN(LINES)], lo[FN(LINES)];
  unsigned deserved = 0;
  for (size_t j = 0; j < s->width; j += LANES) {
    vstore(hi + j, vset(0));
    vstore(lo + j, vset(0));
  }
  for (size_t i = 0; i < s->n; i++) {
    const T *grad = (const T *)(s->at[0] + (ptrdiff_t)i * s->step[0]);
    const T *y = (const T *)(s->at[1] + (ptrdiff_t)i * s->step[1]);
    for (size_t j = 0; j < s->width; j += LANES) {
      V g = FN(load_upto)(grad + j, s->width - j, 0);
      Pair dot = FN(plus)(pair(vload(hi + j), vload(lo + j)), exact_product(g, FN(load_upto)(y + j, s->width - j, 0)));
      vstore(hi + j, dot.hi);
      vstore(lo + j, dot.lo);
    }
  }
  for (size_t i = 0; i < s->n; i++) {
    const T *grad = (const T *)(s->at[0] + (ptrdiff_t)i * s->step[0]);
    const T *y = (const T *)(s->at[1] + (ptrdiff_t)i * s->step[1]);
    T *dx = (T *)(s->at[2] + (ptrdiff_t)i * s->step[2]);
    for (size_t j = 0; j < s->width; j += LANES) {
      size_t left = s->width - j;
      V g = FN(load_upto)(grad + j, left, 0);
      FN(store_upto)(dx + j, FN(pull_back)(g, FN(load_upto)(y + j, left, 0), pair(vload(hi + j), vload(lo + j))), left);
    }
  }
  for (size_t j = 0; j < s->width; j++)
    if (!isfinite(lo[j])) deserved |= FN(line_flags)(s, 2, j);
  return deserved;
}

/* --- one long line --- */

/* `count` elements of operand k from i on, whole vectors: where they are, or gathered on the stage. */
static T *FN(fetch)(const FN(Lines) *s, int k, size_t i, size_t count, T *stage) {
  char *from = s->at[k] + (ptrdiff_t)i * s->step[k];
  if (s->step[k] == sizeof(T)) return (T *)from;
  for (size_t q = 0; q < count; q++) memcpy(stage + q, from + (ptrdiff_t)q * s->step[k], sizeof(T));
  return stage;
}

/* Where to write them, and sending them on from the stage. */
static INLINE T *FN(target)(const FN(Lines) *s, int k, size_t i, T *stage) {
  return s->step[k] == sizeof(T) ? (T *)s->at[k] + i : stage;
}

static void FN(put_back)(const FN(Lines) *s, int k, size_t i, size_t count, const T *stage) {
  char *to = s->at[k] + (ptrdiff_t)i * s->step[k];
  if (s->step[k] == sizeof(T)) return;
  for (size_t q = 0; q < count; q++) memcpy(to + (ptrdiff_t)q * s->step[k], stage + q, sizeof(T));
}

/* The elements after the last whole vector, filled up with `padding`. */
static INLINE V FN(fetch_tail)(const FN(Lines) *s, int k, T padding) {
  T lanes[LANES];
  size_t first = s->n / LANES * LANES;
  vstore(lanes, vset(padding));
  for (size_t i = first; i < s->n; i++) memcpy(lanes + i - first, s->at[k] + (ptrdiff_t)i * s->step[k], sizeof(T));
  return vload(lanes);
}

static INLINE void FN(put_tail)(const FN(Lines) *s, int k, V a) {
  T lanes[LANES];
  size_t first = s->n / LANES * LANES;
  vstore(lanes, a);
  for (size_t i = first; i < s->n; i++) memcpy(s->at[k] + (ptrdiff_t)i * s->step[k], lanes + i - first, sizeof(T));
}

static INLINE size_t FN(chunk)(const FN(Lines) *s, size_t i) {
  size_t left = s->n / LANES * LANES - i;
  return left < FN(CHUNK) ? left : FN(CHUNK);
}

static V FN(across_max)(V a) {
  T lanes[LANES];
  vstore(lanes, a);
  for (int half = LANES / 2; half; half /= 2)
    for (int q = 0; q < half; q++) lanes[q] = lanes[q] > lanes[q + half] ? lanes[q] : lanes[q + half];
  return vset(lanes[0]);
}

static Pair FN(across_sum)(Pair a) {
  T hi[LANES], lo[LANES];
  WPair s = {vset_f64(0), vset_f64(0)};
  vstore(hi, a.hi);
  vstore(lo, a.lo);
  for (int q = 0; q < LANES; q += WIDTH) s = wplus(wplus(s, wload(hi + q)), wload(lo + q));
  double lanes[2][WIDTH];
  s = wtotal(s);
  vstore_f64(lanes[0], s.hi);
  vstore_f64(lanes[1], s.lo);
  T sum = (T)(lanes[0][0] + lanes[1][0]);
  return pair(vset(sum), vset((T)((lanes[0][0] - sum) + lanes[1][0])));
}

static unsigned FN(softmax_line)(const FN(Lines) *s) {
  T stage[FN(CHUNK)] ALIGNED, stage_y[FN(CHUNK)] ALIGNED;
  size_t whole = s->n / LANES * LANES;
  V tail = FN(fetch_tail)(s, 0, -INFINITY), low = vset(-INFINITY), peak[4] = {low, low, low, vmax(tail, low)};
  for (size_t i = 0, count; i < whole; i += count) {
    const T *x = FN(fetch)(s, 0, i, count = FN(chunk)(s, i), stage);
    size_t q = 0;
    for (; q + 4 * LANES <= count; q += 4 * LANES)
      for (int k = 0; k < 4; k++) peak[k] = vmax(vload(x + q + k * LANES), peak[k]);
    for (; q < count; q += LANES) peak[0] = vmax(vload(x + q), peak[0]);
  }
  V offset = FN(offset)(FN(across_max)(vmax(vmax(peak[0], peak[1]), vmax(peak[2], peak[3]))));

  Pair last = FN(shifted_exp)(tail, offset), sum = last;
  for (size_t i = 0, count; i < whole; i += count) {
    const T *x = FN(fetch)(s, 0, i, count = FN(chunk)(s, i), stage);
    T *y = FN(target)(s, 1, i, stage_y);
    for (size_t q = 0; q < count; q += LANES) {
      Pair e = FN(shifted_exp)(vload(x + q), offset);
      sum = FN(plus)(sum, e);
      vstore(y + q, e.hi);
    }
    FN(put_back)(s, 1, i, count, y);
  }

  Pair r = FN(weight)(FN(across_sum)(sum), s->masked_zero);
  for (size_t i = 0, count; i < whole; i += count) {
    T *y = FN(fetch)(s, 1, i, count = FN(chunk)(s, i), stage_y);
    for (size_t q = 0; q < count; q += LANES) vstore(y + q, pair_times(r, vload(y + q)));
    FN(put_back)(s, 1, i, count, y);
  }
  FN(put_tail)(s, 1, pair_times(r, last.hi));
  vstore(stage, r.hi);
  return isfinite(stage[0]) ? 0 : FN(line_flags)(s, 1, 0);
}

static unsigned FN(softmax_backward_line)(const FN(Lines) *s) {
  T stage_g[FN(CHUNK)] ALIGNED, stage_y[FN(CHUNK)] ALIGNED, stage[FN(CHUNK)] ALIGNED;
  size_t whole = s->n / LANES * LANES;
  V g_tail = FN(fetch_tail)(s, 0, 0), y_tail = FN(fetch_tail)(s, 1, 0);
  Pair dot = exact_product(g_tail, y_tail);
  for (size_t i = 0, count; i < whole; i += count) {
    const T *g = FN(fetch)(s, 0, i, count = FN(chunk)(s, i), stage_g), *y = FN(fetch)(s, 1, i, count, stage_y);
    for (size_t q = 0; q < count; q += LANES) dot = FN(plus)(dot, exact_product(vload(g + q), vload(y + q)));
  }
  dot = FN(across_sum)(dot);
  for (size_t i = 0, count; i < whole; i += count) {
    const T *g = FN(fetch)(s, 0, i, count = FN(chunk)(s, i), stage_g), *y = FN(fetch)(s, 1, i, count, stage_y);
    T *dx = FN(target)(s, 2, i, stage);
    for (size_t q = 0; q < count; q += LANES) vstore(dx + q, FN(pull_back)(vload(g + q), vload(y + q), dot));
    FN(put_back)(s, 2, i, count, dx);
  }
  FN(put_tail)(s, 2, FN(pull_back)(g_tail, y_tail, dot));
  vstore(stage, dot.lo);
  return isfinite(stage[0]) ? 0 : FN(line_flags)(s, 2, 0);
}

/* --- which way --- */

typedef unsigned (*FN(LineKernel))(const FN(Lines) *);

/* Short lines laid side by side on a stage, a vector of them. */
static unsigned FN(short_lines)(FN(LineKernel) panel, const FN(Lines) *s, const ptrdiff_t *outer, int operands) {
  T stage[FN(OPERANDS)][FN(SHORT) *LANES] ALIGNED;
  FN(Lines) t = {.n = s->n, .width = s->width, .masked_zero = s->masked_zero};
  for (int k = 0; k < operands; k++) {
    t.at[k] = (char *)stage[k];
    t.step[k] = LANES * sizeof(T);
    if (k + 1 == operands) break;
    for (size_t line = 0; line < s->width; line++)
      for (size_t i = 0; i < s->n; i++)
        memcpy(&stage[k][i * LANES + line], s->at[k] + (ptrdiff_t)line * outer[k] + (ptrdiff_t)i * s->step[k], sizeof(T));
    for (size_t line = s->width; line < LANES; line++)
      for (size_t i = 0; i < s->n; i++) stage[k][i * LANES + line] = 0;
  }
  unsigned deserved = panel(&t);
  int k = operands - 1;
  for (size_t line = 0; line < s->width; line++)
    for (size_t i = 0; i < s->n; i++)
      memcpy(s->at[k] + (ptrdiff_t)line * outer[k] + (ptrdiff_t)i * s->step[k], &stage[k][i * LANES + line], sizeof(T));
  return deserved;
}

static void FN(along)(FN(LineKernel) panel, FN(LineKernel) line, int operands, char *const *operand, const ptrdiff_t *outer,
                      const ptrdiff_t *step, size_t lines, size_t n, int masked_zero) {
  FN(Lines) s = {.n = n, .masked_zero = masked_zero};
  unsigned before = fpflags_get(), deserved = 0;
  int side_by_side = lines > 1;
  for (int k = 0; k < operands; k++) {
    s.step[k] = step[k];
    side_by_side &= outer[k] == sizeof(T);
  }
  /* A panel that stays in cache through its passes, if any does. */
  size_t room = ((size_t)1 << 18) / (n * sizeof(T) + 1) / LANES * LANES;
  size_t most = !side_by_side ? (n <= FN(SHORT) ? LANES : 1) : room < 8 * LANES || room > FN(LINES) ? FN(LINES) : room;
  fastact_ran(STRING(ISA));
  for (size_t first = 0; first < lines; first += s.width) {
    s.width = lines - first < most ? lines - first : most;
    for (int k = 0; k < operands; k++) s.at[k] = operand[k] + (ptrdiff_t)first * outer[k];
    if (side_by_side)
      deserved |= panel(&s);
    else if (n <= FN(SHORT))
      deserved |= FN(short_lines)(panel, &s, outer, operands);
    else
      deserved |= line(&s);
  }
  fpflags_set(before | deserved);
}

static void FN(softmax)(char *const *operand, const ptrdiff_t *outer, const ptrdiff_t *step, size_t lines, size_t n,
                        int masked_zero) {
  FN(along)(FN(softmax_panel), FN(softmax_line), 2, operand, outer, step, lines, n, masked_zero);
}

static void FN(softmax_backward)(char *const *operand, const ptrdiff_t *outer, const ptrdiff_t *step, size_t lines, size_t n,
                                 int masked_zero) {
  FN(along)(FN(softmax_backward_panel), FN(softmax_backward_line), 3, operand, outer, step, lines, n, masked_zero);
}
