/* Lines of numbers along an axis, and passes over them.
 *
 * A line is what one result is computed over: n elements along the axis. Lines that lie side by side in memory (any axis but
 * the last) are taken a panel at a time, a lane a line. Short lines are first laid side by side, a vector of them at a time.
 * A long line by itself is taken a vector at a time, directly where it is contiguous and through a stage where it is not.
 *
 * A pass sends every vector of one or two operands through a step, which may add to sums and may give a vector to be
 * written. The same step serves a panel, where its coefficients are of the lines in its lanes, and a lone line, where they
 * are the same in every lane. */

enum {
  FN(LINES) = 1024,            /* lines in a panel, at most */
  FN(SHORT) = 64,              /* elements of a short line, at most */
  FN(CHUNK) = 64 * (int)LANES, /* elements of a lone line on a stage */
  FN(GROUP) = 4,               /* vectors of a lone line that a pass takes together, */
  FN(ROWS) = 4,                /* and rows of a panel */
  FN(OPERANDS) = 4
};

/* Lines of n elements: element i is `step` bytes further for each operand, inputs first, then outputs. An output may
 * have one element a line (step 0). */
typedef struct {
  char *at[FN(OPERANDS)];
  ptrdiff_t step[FN(OPERANDS)];
  size_t n, width; /* lines side by side */
  int inputs, operands, masked_zero;
  size_t first;        /* which of all lines the first of these is */
  const void *context; /* what else a kernel has to know */
  int far;             /* more than what is in cache anyway */
  int streamed;        /* the output, which is contiguous, goes past the caches */
} FN(Lines);

/* What is known of each line: the largest element, a sum as hi + lo, how many elements are the largest. Of a lone line the
 * first vector holds it in every lane. */
typedef struct {
  T peak[FN(LINES)], hi[FN(LINES)], lo[FN(LINES)], count[FN(LINES)];
  T scale[FN(LINES)], rest[FN(LINES)]; /* for a kernel of its own */
} FN(Known);

typedef struct {
  V peak, hi, lo, count, scale, rest;
} FN(KnownV);

static INLINE FN(KnownV) FN(known)(const FN(Known) *k, size_t j) {
  return (FN(KnownV)){vload(k->peak + j),  vload(k->hi + j),    vload(k->lo + j),
                      vload(k->count + j), vload(k->scale + j), vload(k->rest + j)};
}

/* --- memory --- */

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

/* How much of a lone line to take from element i on: whole vectors, until less than one is left. */
static INLINE size_t FN(part_size)(const FN(Lines) *s, size_t i) {
  size_t left = s->n - i;
  return left >= FN(CHUNK) ? FN(CHUNK) : left > LANES ? left / LANES * LANES : left;
}

static INLINE int FN(lies_there)(const FN(Lines) *s, int k, size_t count) {
  return s->step[k] == sizeof(T) && count % LANES == 0;
}

/* `count` elements of operand k from i on as whole vectors: where they are, or gathered and filled up on the stage. */
static INLINE const T *FN(part)(const FN(Lines) *s, int k, size_t i, size_t count, T padding, T *stage) {
  const char *from = s->at[k] + (ptrdiff_t)i * s->step[k];
  if (FN(lies_there)(s, k, count)) return (const T *)from;
  for (size_t q = 0; q < count; q++) memcpy(stage + q, from + (ptrdiff_t)q * s->step[k], sizeof(T));
  for (size_t q = count; q % LANES; q++) stage[q] = padding;
  return stage;
}

/* Where to write them, and sending them on from the stage. */
static INLINE T *FN(room)(const FN(Lines) *s, int k, size_t i, size_t count, T *stage) {
  if (s->streamed) return stage;
  return FN(lies_there)(s, k, count) ? (T *)s->at[k] + i : stage;
}

static INLINE void FN(send)(const FN(Lines) *s, int k, size_t i, size_t count, const T *stage) {
  char *to = s->at[k] + (ptrdiff_t)i * s->step[k];
  if (s->streamed) {
    stream(to, (const char *)stage, count * sizeof(T));
    return;
  }
  if (FN(lies_there)(s, k, count)) return;
  for (size_t q = 0; q < count; q++) memcpy(to + (ptrdiff_t)q * s->step[k], stage + q, sizeof(T));
}

/* --- sums --- */

/* What a pass adds up, lane by lane. float32 goes to float64 lanes; float64 keeps what each addition rounds away. */
typedef struct {
  V peak, count, coarse, fine; /* coarse and fine: see plus_bounded */
  WPair wide[2];               /* the first and second half of the lanes; float64 has the first alone */
} FN(Tally);

enum { FN(HALVES) = (int)LANES > (int)WIDTH ? 2 : 1 };
enum {
  FN(PEAK) = 1,
  FN(SUM) = 2,
  FN(COUNT) = 4,
  FN(BOUNDED) = 8 | FN(SUM),
  FN(PAIRED) = 16
}; /* what of it a pass adds to */

/* exp_sum.h scales the largest exp of a line to about this */
#undef BULK
#define BULK PICK(0x1p25f, 0x1p54)

static INLINE FN(Tally) FN(no_tally)(void) {
  W zero = vset_f64(0);
  return (FN(Tally)){vset(-INFINITY), vset(0), vset(BULK), vset(0), {{zero, zero}, {zero, zero}}};
}

#if REAL == 32
static INLINE W FN(half)(V a, int k) { return k ? widen_high(a) : widen_low(a); }
#else
static INLINE W FN(half)(V a, int k) { return (void)k, a; }
#endif

/* sum + a */
static INLINE void FN(plus)(FN(Tally) *s, V a) {
  for (int k = 0; k < FN(HALVES); k++) s->wide[k] = wplus(s->wide[k], FN(half)(a, k));
}

/* sum + a b */
static INLINE void FN(plus_product)(FN(Tally) *s, V a, V b) {
  W zero = vset_f64(0);
  for (int k = 0; k < FN(HALVES); k++)
    s->wide[k] = wplus_product(s->wide[k], (WPair){FN(half)(a, k), zero}, (WPair){FN(half)(b, k), zero});
}

/* sum + (base + rest) power, 0 <= base power < 2 BULK, without float64 lanes: coarse begins with BULK, so that no term is of
 * a higher binade than it and what it rounds away is known exactly (Dekker 1971). That and the rest are added up in fine. */
static INLINE void FN(plus_bounded)(FN(Tally) *s, V base, V rest, V power) {
  V coarse = vfma(base, power, s->coarse), lost = vfma(base, power, s->coarse - coarse);
  s->coarse = coarse;
  s->fine = s->fine + vfma(rest, power, lost);
}

/* The fine parts of two tallies after few terms. They are added up by pairs where they may be all there is of a sum. */
static INLINE V FN(take_fine)(FN(Tally) *s, FN(Tally) *t) {
  V fine = s->fine + t->fine;
  s->fine = t->fine = vset(0);
  return fine;
}

/* All of two tallies and what was taken of them goes to float64. */
static INLINE void FN(settle)(FN(Tally) *s, FN(Tally) *t, V *taken, size_t count) {
  V begun = vset(BULK);
  FN(plus)(s, s->coarse - begun);
  FN(plus)(s, t->coarse - begun);
  s->coarse = t->coarse = begun;
  taken[count++] = FN(take_fine)(s, t);
  for (; count > 1; count = (count + 1) / 2) {
    for (size_t k = 0; k < count / 2; k++) taken[k] = taken[2 * k] + taken[2 * k + 1];
    if (count % 2) taken[count / 2] = taken[count - 1];
  }
  FN(plus)(s, taken[0]);
}

/* --- passes --- */

/* One vector of each input; what it gives is written if the pass has an output. */
typedef V (*FN(Step))(const V *in, const FN(KnownV) *known, FN(Tally) *sums);

/* A pass over the operands `in` (the second -1 for none) to `out` (-1 for none), adding up `what`. Its arguments but the
 * lines and their coefficients are constants. */
typedef struct {
  FN(Step) step;
  int in[2], out, what;
  T padding;
} FN(Pass);

/* Puts what `both` makes of all of `count` lanes in the first. The bounds are constants, so that no loop is left of it. */
#undef HALVE
#undef FOLD
#undef LARGER
#undef ADDED
#define HALVE(lanes, count, half, both) \
  for (int q = 0; q < (half) && 2 * (half) <= (int)(count); q++) lanes[q] = both(lanes[q], lanes[q + (half)])
#define FOLD(lanes, count, both) \
  do { \
    HALVE(lanes, count, 8, both); \
    HALVE(lanes, count, 4, both); \
    HALVE(lanes, count, 2, both); \
    HALVE(lanes, count, 1, both); \
  } while (0)
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define ADDED(a, b) ((a) + (b))

static INLINE V FN(lane_max)(V a) {
  T lanes[LANES];
  vstore(lanes, a);
  FOLD(lanes, LANES, LARGER);
  return vset(lanes[0]);
}

static INLINE V FN(lane_sum)(V a) {
  T lanes[LANES];
  vstore(lanes, a);
  FOLD(lanes, LANES, ADDED);
  return vset(lanes[0]);
}

/* hi + lo as a pair of T; nothing is left over of what is not finite. */
typedef struct {
  T hi, lo;
} FN(Split);

static INLINE FN(Split) FN(split)(double hi, double lo) {
  if (!isfinite(lo)) return (FN(Split)){(T)(isnan(hi) ? lo : hi), 0};
  T nearest = (T)(hi + lo);
  return (FN(Split)){nearest, isfinite(nearest) ? (T)((hi - nearest) + lo) : 0};
}

static INLINE FN(Split) FN(lane_total)(const FN(Tally) *s) {
  double hi[WIDTH], lo[WIDTH];
#if REAL == 32
  W sum = s->wide[0].hi;
  if (FN(HALVES) > 1) sum = sum + s->wide[1].hi;
  vstore_f64(hi, sum);
  FOLD(hi, WIDTH, ADDED);
  lo[0] = 0;
#else
  WPair sum = wtotal(s->wide[0]);
  vstore_f64(hi, sum.hi);
  vstore_f64(lo, sum.lo);
#endif
  return FN(split)(hi[0], lo[0]);
}

static INLINE void FN(merge)(FN(Tally) *a, const FN(Tally) *b) {
  a->peak = vmax(a->peak, b->peak);
  a->count = a->count + b->count;
  for (int k = 0; k < FN(HALVES); k++) a->wide[k] = wplus_pair(a->wide[k], b->wide[k]);
}

static INLINE void FN(pass_line)(FN(Pass) p, const FN(Lines) *s, FN(Known) *known) {
  T stage[3][FN(CHUNK)] ALIGNED;
  V taken[FN(CHUNK) / FN(GROUP) / (int)LANES + 1];
  FN(Tally) sums[2] = {FN(no_tally)(), FN(no_tally)()};
  int bounded = (p.what & FN(BOUNDED)) == FN(BOUNDED);
  FN(KnownV) c = FN(known)(known, 0);
  for (size_t i = 0, count; i < s->n; i += count) {
    count = FN(part_size)(s, i);
    const T *a = FN(part)(s, p.in[0], i, count, p.padding, stage[0]), *b = NULL;
    if (p.in[1] >= 0) b = FN(part)(s, p.in[1], i, count, p.padding, stage[1]);
    T *out = p.out >= 0 ? FN(room)(s, p.out, i, count, stage[2]) : NULL;
    size_t q = 0, groups = 0;
    for (; q + FN(GROUP) *LANES <= count; q += FN(GROUP) *LANES) {
      V in[FN(GROUP)][2], y[FN(GROUP)]; /* all loads before any store, so that the compiler may mix the steps */
      for (size_t g = 0; g < FN(GROUP); g++) {
        in[g][0] = vload(a + q + g * LANES);
        in[g][1] = p.in[1] >= 0 ? vload(b + q + g * LANES) : vset(0);
      }
      for (size_t g = 0; g < FN(GROUP); g++) y[g] = p.step(in[g], &c, &sums[g % 2]);
      if (p.what & FN(PAIRED)) taken[groups++] = FN(take_fine)(&sums[0], &sums[1]);
      if (p.out >= 0)
        for (size_t g = 0; g < FN(GROUP); g++) vstore(out + q + g * LANES, y[g]);
    }
    for (; q < count; q += LANES) {
      V in[2] = {vload(a + q), p.in[1] >= 0 ? vload(b + q) : vset(0)}, y = p.step(in, &c, &sums[0]);
      if (p.out >= 0) vstore(out + q, y);
    }
    if (bounded) FN(settle)(&sums[0], &sums[1], taken, groups);
    if (p.out >= 0) FN(send)(s, p.out, i, count, out);
  }
  if (p.what) FN(merge)(&sums[0], &sums[1]);
  if (p.what & FN(PEAK)) vstore(known->peak, FN(lane_max)(sums[0].peak));
  if (p.what & FN(COUNT)) vstore(known->count, FN(lane_sum)(sums[0].count));
  if (p.what & FN(SUM)) {
    FN(Split) sum = FN(lane_total)(&sums[0]);
    vstore(known->hi, vset(sum.hi));
    vstore(known->lo, vset(sum.lo));
  }
}

/* How: over a lone line or over a panel. What comes of a sum is in `known`. */
typedef void (*FN(Going))(FN(Pass), const FN(Lines) *, FN(Known) *);

/* Sums of a panel between rows. */
typedef struct {
  double hi[FN(LINES)], lo[FN(LINES)];
} FN(PanelTally);

/* The processor foresees a row of a panel, but not which comes next. */
#undef SOON
#ifdef __GNUC__
#define SOON(p) __builtin_prefetch(p, 0, 2)
#else
#define SOON(p) ((void)(p))
#endif

/* `rows` rows from `row` on, of the lines from j on: a vector of them, of which the first `left` are there. */
static INLINE void FN(step_rows)(FN(Pass) p, const FN(Lines) *s, size_t row, size_t rows, size_t j, size_t left,
                                 FN(Known) *known, FN(PanelTally) *panel) {
  const char *a = s->at[p.in[0]] + (ptrdiff_t)row * s->step[p.in[0]] + j * sizeof(T), *b = NULL;
  if (p.in[1] >= 0) b = s->at[p.in[1]] + (ptrdiff_t)row * s->step[p.in[1]] + j * sizeof(T);
  char *out = p.out >= 0 ? s->at[p.out] + (ptrdiff_t)row * s->step[p.out] + j * sizeof(T) : NULL;
  FN(KnownV) c = FN(known)(known, j);
  FN(Tally) sums = FN(no_tally)(), other = sums; /* the second for half of the terms of a bounded sum */
  V taken[4 + 1];
  size_t groups = 0;
  int bounded = (p.what & FN(BOUNDED)) == FN(BOUNDED);
  if (p.what & FN(PEAK)) sums.peak = c.peak;
  if (p.what & FN(COUNT)) sums.count = c.count;
  if (p.what & FN(SUM))
    for (int k = 0; k < FN(HALVES); k++) {
      sums.wide[k].hi = vload_f64(panel->hi + j + k * WIDTH);
      if (REAL == 64) sums.wide[k].lo = vload_f64(panel->lo + j + k * WIDTH);
    }
  for (size_t r = 0; r < rows; r += FN(GROUP)) {
    V in[FN(GROUP)][2], y[FN(GROUP)];
    size_t group = rows < FN(GROUP) ? rows : FN(GROUP);
    for (size_t g = 0; g < group; g++) {
      ptrdiff_t at = (ptrdiff_t)(r + g), soon = at + (ptrdiff_t)rows;
      if (s->far) {
        SOON(a + soon * s->step[p.in[0]]);
        if (p.in[1] >= 0) SOON(b + soon * s->step[p.in[1]]);
        if (p.out >= 0) SOON(out + soon * s->step[p.out]);
      }
      in[g][0] = FN(load_upto)((const T *)(a + at * s->step[p.in[0]]), left, 0);
      in[g][1] = p.in[1] >= 0 ? FN(load_upto)((const T *)(b + at * s->step[p.in[1]]), left, 0) : vset(0);
    }
    for (size_t g = 0; g < group; g++) y[g] = p.step(in[g], &c, bounded && g % 2 ? &other : &sums);
    if (p.what & FN(PAIRED)) taken[groups++] = FN(take_fine)(&sums, &other);
    if (p.out >= 0)
      for (size_t g = 0; g < group; g++) FN(store_upto)((T *)(out + (ptrdiff_t)(r + g) * s->step[p.out]), y[g], left);
  }
  if (p.what & FN(PEAK)) vstore(known->peak + j, sums.peak);
  if (p.what & FN(COUNT)) vstore(known->count + j, sums.count + other.count);
  if (bounded) FN(settle)(&sums, &other, taken, groups);
  if (p.what & FN(SUM))
    for (int k = 0; k < FN(HALVES); k++) {
      vstore_f64(panel->hi + j + k * WIDTH, sums.wide[k].hi);
      if (REAL == 64) vstore_f64(panel->lo + j + k * WIDTH, sums.wide[k].lo);
    }
}

/* The same of all lines. */
static INLINE void FN(step_band)(FN(Pass) p, const FN(Lines) *s, size_t row, size_t rows, FN(Known) *known,
                                 FN(PanelTally) *panel) {
  size_t j = 0;
  for (; j + LANES <= s->width; j += LANES) FN(step_rows)(p, s, row, rows, j, LANES, known, panel);
  if (j < s->width) FN(step_rows)(p, s, row, rows, j, s->width - j, known, panel);
}

static INLINE void FN(pass_panel)(FN(Pass) p, const FN(Lines) *s, FN(Known) *known) {
  FN(PanelTally) panel;
  int bounded = (p.what & FN(BOUNDED)) == FN(BOUNDED);
  size_t rows = bounded ? 4 * FN(ROWS) : FN(ROWS); /* more where there is more to be loaded and stored */
  size_t i = 0;
  for (size_t j = 0; j < s->width; j += LANES) {
    if (p.what & FN(PEAK)) vstore(known->peak + j, vset(-INFINITY));
    if (p.what & FN(COUNT)) vstore(known->count + j, vset(0));
    for (size_t k = j; k < j + LANES; k += WIDTH) {
      vstore_f64(panel.hi + k, vset_f64(0));
      vstore_f64(panel.lo + k, vset_f64(0));
    }
  }
  for (; i + rows <= s->n; i += rows) FN(step_band)(p, s, i, rows, known, &panel);
  for (; i < s->n; i++) FN(step_band)(p, s, i, 1, known, &panel);
  if (p.what & FN(SUM))
    for (size_t j = 0; j < s->width; j++) {
      FN(Split) sum = FN(split)(panel.hi[j], panel.lo[j]);
      known->hi[j] = sum.hi;
      known->lo[j] = sum.lo;
    }
}

/* --- which way --- */

/* What is done with lines, given how a pass goes over them; the flags that the results deserve. */
typedef unsigned (*FN(LineKernel))(const FN(Lines) *);

/* The flags a line deserves: NaN or inf without one in the inputs. */
static unsigned FN(line_flags)(const FN(Lines) *s, size_t line) {
  unsigned deserved = 0;
  int inputs = s->inputs;
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

/* Short lines laid side by side on a stage, a vector of them. */
static unsigned FN(short_lines)(FN(LineKernel) panel, const FN(Lines) *s, const ptrdiff_t *outer) {
  T stage[FN(OPERANDS)][FN(SHORT) *LANES] ALIGNED;
  FN(Lines) t = *s;
  for (int k = 0; k < s->operands; k++) {
    t.at[k] = (char *)stage[k];
    t.step[k] = s->step[k] ? LANES * sizeof(T) : 0;
    if (k >= s->inputs) continue;
    for (size_t line = 0; line < s->width; line++)
      for (size_t i = 0; i < s->n; i++)
        memcpy(&stage[k][i * LANES + line], s->at[k] + (ptrdiff_t)line * outer[k] + (ptrdiff_t)i * s->step[k], sizeof(T));
    for (size_t line = s->width; line < LANES; line++)
      for (size_t i = 0; i < s->n; i++) stage[k][i * LANES + line] = 0;
  }
  unsigned deserved = panel(&t);
  for (int k = s->inputs; k < s->operands; k++)
    for (size_t line = 0; line < s->width; line++)
      for (size_t i = 0; i < (s->step[k] ? s->n : 1); i++)
        memcpy(s->at[k] + (ptrdiff_t)line * outer[k] + (ptrdiff_t)i * s->step[k], &stage[k][i * LANES + line], sizeof(T));
  return deserved;
}

/* What a kernel is made of. */
typedef struct {
  FN(LineKernel) panel, line;
  int operands;
  int light;        /* so little arithmetic that the memory is what takes the time */
  int more_outputs; /* besides the last operand */
} FN(Kind);

/* A lone line's output is streamed where the operands do not fit in the caches and it is not one of them. */
static int FN(streams)(const FN(Kind) *kind, char *const *operand, const ptrdiff_t *step, size_t lines, size_t n) {
  int last = kind->operands - 1;
  if (!CAN_STREAM || !kind->light || step[last] != sizeof(T)) return 0;
  for (int k = 0; k < last; k++)
    if (operand[k] == operand[last]) return 0;
  return lines * n * sizeof(T) * (size_t)kind->operands > fastact_setting.stream_bytes;
}

static void FN(along)(const FN(Kind) *kind, char *const *operand, const ptrdiff_t *outer, const ptrdiff_t *step,
                      size_t lines, size_t n, int masked_zero, const void *context) {
  FN(Lines) s = {.n = n, .operands = kind->operands, .masked_zero = masked_zero, .context = context};
  unsigned before = fpflags_get(), deserved = 0;
  int side_by_side = lines > 1;
  s.inputs = s.operands - 1 - kind->more_outputs;
  for (int k = 0; k < s.operands; k++) {
    s.step[k] = step[k];
    side_by_side &= outer[k] == sizeof(T);
  }
  int lone = !side_by_side && n > FN(SHORT);
  /* A panel that stays in cache through its passes, if one does that is wide enough. */
  size_t room = ((size_t)1 << 18) / (n * sizeof(T) + 1) / LANES * LANES;
  size_t most = lone ? 1 : !side_by_side ? LANES : room < 8 * LANES || room > FN(LINES) ? FN(LINES) : room;
  s.far = lines * n * sizeof(T) > (size_t)1 << 20;
  s.streamed = lone && FN(streams)(kind, operand, step, lines, n);
  fastact_ran(STRING(ISA));
  for (s.first = 0; s.first < lines; s.first += s.width) {
    s.width = lines - s.first < most ? lines - s.first : most;
    for (int k = 0; k < s.operands; k++) s.at[k] = operand[k] + (ptrdiff_t)s.first * outer[k];
    if (side_by_side)
      deserved |= kind->panel(&s);
    else if (lone)
      deserved |= kind->line(&s);
    else
      deserved |= FN(short_lines)(kind->panel, &s, outer);
  }
  if (s.streamed) stream_end();
  fpflags_set(before | deserved);
}
