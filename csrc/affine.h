/* What is done to every element once its statistics are known, and its gradient, for norm.h:
 *
 *   y = (x - mean) rstd gamma + beta         dx = rstd (gamma grad - a - (x - mean) b)
 *
 * How statistics and gamma, beta lie beside the elements of a block of rows: */
#if REAL == 32
enum {
  BY_COLUMN, /* statistics, gamma and beta are of the columns */
  BY_ROW,    /* statistics are of the rows, gamma and beta of the columns */
  ALONE      /* there is one of each */
};
#endif

/* Where results outgrow the caches, a burst of them is made in a stage and goes past them from there (stream.h). What is
 * read next, where the walk is not that of memory, is fetched meanwhile, so that reading and writing take turns. */
typedef struct {
  int on;
  size_t ahead; /* elements from what is read to what is fetched; 0 for nothing */
} FN(Past);

enum { FN(BURST) = 1024 / sizeof(T) }; /* elements of a row */

/* Where a burst from column j on ends: with a cache line of y, or the row. */
static INLINE size_t FN(burst_end)(const T *y, size_t j, size_t width) {
  return j + FN(smaller)(width - j, FN(BURST) - (uintptr_t)(y + j) % LINE / sizeof(T));
}

static INLINE void FN(fetch_next)(FN(Past) past, const T *x, size_t n) {
  if (past.ahead) fetch((uintptr_t)x + past.ahead * sizeof(T), n * sizeof(T));
}

static INLINE void FN(stream_rows)(T *y, size_t stride, const T *stage, size_t rows, size_t n) {
  for (size_t r = 0; r < rows; r++) stream((char *)(y + r * stride), (const char *)(stage + r * FN(BURST)), n * sizeof(T));
}

/* The statistics of row r are at first + r step; those of column j at j. */
typedef struct {
  const FN(Statistics) *statistics;
  size_t first, step;
  const T *gamma, *beta; /* NULL for 1 and 0 */
  FN(Past) past;
} FN(Affine);

/* Of one element: float32 takes mean.lo off by `rest` = -mean.lo rstd. */
typedef struct {
  WPair mean, rstd;
  W rest;
} FN(Standard);

static INLINE FN(Standard) FN(standard)(WPair mean, WPair rstd) { return (FN(Standard)){mean, rstd, -(mean.lo * rstd.hi)}; }

static INLINE FN(Standard) FN(standard_of_row)(const FN(Statistics) *s, size_t k) {
  return FN(standard)((WPair){vset_f64(s->mean.hi[k]), vset_f64(s->mean.lo[k])},
                      (WPair){vset_f64(s->rstd.hi[k]), vset_f64(s->rstd.lo[k])});
}

static INLINE W FN(affine)(W x, FN(Standard) s, W gamma, W beta) {
#if REAL == 32
  return vfma_f64(vfma_f64(x - s.mean.hi, s.rstd.hi, s.rest), gamma, beta);
#else
  WPair d = exact_sum_f64(x, -s.mean.hi);
  d = fast_sum_f64(d.hi, d.lo - s.mean.lo); /* near the mean d is exact, a multiple of twice mean.lo or more, or 0 */
  WPair y = pair_product_f64(pair_product_f64(d, s.rstd), (WPair){gamma, vset_f64(0)}), z = exact_sum_f64(y.hi, beta);
  return z.hi + (z.lo + y.lo);
#endif
}

static INLINE W FN(of_columns)(const T *a, size_t j, size_t left, double otherwise) {
  return a ? wload_upto(a + j, left) : vset_f64(otherwise);
}

/* Some rows (a constant) at a vector of columns. */
static INLINE void FN(apply_at)(int by, int rows, const T *x, size_t stride, T *y, size_t to, size_t j, size_t left,
                                const FN(Affine) *f, const FN(Standard) *s, W gamma, W beta) {
  FN(Standard) column = s[0];
  if (by == BY_COLUMN) column = FN(standard)(FN(get)(&f->statistics->mean, j), FN(get)(&f->statistics->rstd, j));
  if (by != ALONE) {
    gamma = FN(of_columns)(f->gamma, j, left, 1);
    beta = FN(of_columns)(f->beta, j, left, 0);
  }
  W a[4]; /* all are loaded first: rows may lie 4 KiB apart, where a load looks as if it waited for the store before it */
  for (int r = 0; r < rows; r++) a[r] = wload_upto(x + (size_t)r * stride + j, left);
  for (int r = 0; r < rows; r++)
    wstore_upto(y + (size_t)r * to + j, FN(affine)(a[r], by == BY_ROW ? s[r] : column, gamma, beta), left);
}

/* Some rows, columns [from, end), which begin at y. */
static INLINE void FN(apply_rows)(int by, int rows, const T *x, size_t stride, T *y, size_t to, size_t from, size_t end,
                                  const FN(Affine) *f, size_t first) {
  FN(Standard) s[4];
  W gamma = vset_f64(f->gamma ? *f->gamma : 1), beta = vset_f64(f->beta ? *f->beta : 0);
  for (int r = 0; r < rows; r++) s[r] = FN(standard_of_row)(f->statistics, first + (size_t)r * f->step);
  size_t j = from;
  for (; j + WIDTH <= end; j += WIDTH) FN(apply_at)(by, rows, x, stride, y - from, to, j, WIDTH, f, s, gamma, beta);
  if (j < end) FN(apply_at)(by, rows, x, stride, y - from, to, j, end - j, f, s, gamma, beta);
}

/* y over a block of rows; four share what belongs to the columns. */
static INLINE void FN(apply)(int by, const T *x, size_t stride, T *y, size_t to, size_t rows, size_t width,
                             const FN(Affine) *f) {
  T stage[4 * FN(BURST)] ALIGNED;
  int past = f->past.on;
  for (size_t i = 0, n; i < rows; i += n) {
    const T *from = x + i * stride;
    T *row = y + i * to;
    size_t first = f->first + i * f->step;
    n = by == ALONE || rows - i < 4 ? 1 : 4;
    for (size_t j = 0, end; j < width; j = end) {
      end = past ? FN(burst_end)(row, j, width) : width;
      T *at = past ? stage : row + j;
      size_t step = past ? FN(BURST) : to;
      FN(fetch_next)(f->past, from + j, end - j);
      if (n == 4)
        FN(apply_rows)(by, 4, from, stride, at, step, j, end, f, first);
      else
        FN(apply_rows)(by, 1, from, stride, at, step, j, end, f, first);
      if (past) FN(stream_rows)(row + j, to, stage, n, end - j);
    }
  }
}

/* The same where an activation follows: f(y) in the place of y, or grad * f'(y). */
static INLINE void FN(apply_then)(const FN(Activation) *then, int by, const T *x, const T *grad, T *y, size_t stride,
                                  size_t rows, size_t width, const FN(Affine) *f) {
  T z[FASTACT_PANEL] ALIGNED;
  if (!then->kernel) {
    FN(apply)(by, x, stride, y, stride, rows, width, f);
    return;
  }
  FN(Affine) near = *f;
  near.past = (FN(Past)){0};
  for (size_t i = 0; i < rows; i++)
    for (size_t k = 0, n; k < width; k += n) {
      size_t at = i * stride + k;
      n = FN(smaller)(width - k, FASTACT_PANEL);
      FN(apply)(by, x + at, 0, z, 0, 1, n, &near);
      FN(activate)(then, grad ? grad + at : NULL, z, y + at, n);
    }
}

/* What dx is made of, for rows or columns as above; only mean has a low part, of which a and b know already. By rows,
 * what they add to dbeta and dgamma is added to two panels, `sums`. */
typedef struct {
  FN(Statistics) s;
  FN(Panel) a, b;
  const T *gamma;
  size_t first, step;
  FN(Panel) *sums;
  FN(Past) past;
} FN(Pull);

/* Of one element; z = (x - mean) rstd takes mean.lo off by `rest`. */
typedef struct {
  W mean, rstd, a, b, rest;
} FN(Pulled);

static INLINE FN(Pulled) FN(pulled_row)(const FN(Pull) *p, size_t k) {
  W rstd = vset_f64(p->s.rstd.hi[k]);
  return (FN(Pulled)){vset_f64(p->s.mean.hi[k]), rstd, vset_f64(p->a.hi[k]), vset_f64(p->b.hi[k]),
                      -(vset_f64(p->s.mean.lo[k]) * rstd)};
}

static INLINE FN(Pulled) FN(pulled_columns)(const FN(Pull) *p, size_t j) {
  return (FN(Pulled)){vload_f64(p->s.mean.hi + j), vload_f64(p->s.rstd.hi + j), vload_f64(p->a.hi + j),
                      vload_f64(p->b.hi + j), vset_f64(0)};
}

static INLINE void FN(pull_at)(int by, int rows, const T *grad, const T *x, size_t stride, T *dx, size_t to, size_t j,
                               size_t left, const FN(Pull) *pull, const FN(Pulled) *s, W gamma) {
  FN(Pulled) c = by == BY_COLUMN ? FN(pulled_columns)(pull, j) : s[0];
  WPair zero = {vset_f64(0), vset_f64(0)}, dbeta = zero, dgamma = zero;
  if (by != ALONE) gamma = FN(of_columns)(pull->gamma, j, left, 1);
  if (by == BY_ROW) dbeta = FN(get_sum)(pull->sums, j), dgamma = FN(get_sum)(pull->sums + 1, j);
  W d[4], g[4]; /* loaded first, as above */
  for (int r = 0; r < rows; r++) {
    size_t e = (size_t)r * stride + j;
    if (by == BY_ROW) c = s[r];
    d[r] = wload_upto(x + e, left) - c.mean;
    g[r] = wload_upto(grad + e, left);
  }
  for (int r = 0; r < rows; r++) {
    if (by == BY_ROW) {
      c = s[r];
      dbeta = wplus(dbeta, g[r]);
      dgamma = wplus_product(dgamma, (WPair){g[r], zero.lo}, (WPair){vfma_f64(d[r], c.rstd, c.rest), zero.lo});
    }
    W u = PICK(vfma_f64(gamma, g[r], -c.a), gamma * g[r] - c.a); /* u as A has it: of one element it leaves 0 */
    wstore_upto(dx + (size_t)r * to + j, c.rstd * vresidual_f64(d[r], c.b, u), left);
  }
  if (by == BY_ROW) FN(put_sum)(pull->sums, j, dbeta), FN(put_sum)(pull->sums + 1, j, dgamma);
}

static INLINE void FN(pull_rows)(int by, int rows, const T *grad, const T *x, size_t stride, T *dx, size_t to, size_t from,
                                 size_t end, const FN(Pull) *pull, size_t first) {
  FN(Pulled) s[4];
  W gamma = vset_f64(pull->gamma ? *pull->gamma : 1);
  for (int r = 0; r < rows; r++) s[r] = FN(pulled_row)(pull, first + (size_t)r * pull->step);
  size_t j = from;
  for (; j + WIDTH <= end; j += WIDTH) FN(pull_at)(by, rows, grad, x, stride, dx - from, to, j, WIDTH, pull, s, gamma);
  if (j < end) FN(pull_at)(by, rows, grad, x, stride, dx - from, to, j, end - j, pull, s, gamma);
}

/* dx over a block of rows, as y above; it may be grad or x. */
static INLINE void FN(pull)(int by, const T *grad, const T *x, T *dx, size_t stride, size_t rows, size_t width,
                            const FN(Pull) *pull) {
  T stage[4 * FN(BURST)] ALIGNED;
  int past = pull->past.on;
  for (size_t i = 0, n; i < rows; i += n) {
    const T *g = grad + i * stride, *from = x + i * stride;
    T *row = dx + i * stride;
    size_t first = pull->first + i * pull->step;
    n = by == ALONE || rows - i < 4 ? 1 : 4;
    for (size_t j = 0, end; j < width; j = end) {
      end = past ? FN(burst_end)(row, j, width) : width;
      T *at = past ? stage : row + j;
      size_t step = past ? FN(BURST) : stride;
      FN(fetch_next)(pull->past, g + j, end - j);
      FN(fetch_next)(pull->past, from + j, end - j);
      if (n == 4)
        FN(pull_rows)(by, 4, g, from, stride, at, step, j, end, pull, first);
      else
        FN(pull_rows)(by, 1, g, from, stride, at, step, j, end, pull, first);
      if (past) FN(stream_rows)(row + j, stride, stage, n, end - j);
    }
  }
}
