/* Sums over lines and columns of an array, and mean and variance made of them, for norm.h and bias.h.
 *
 * Welford's method, a block at a time: a block that is read once gives S = sum of x and Q = sum of (x - s)^2, where s is the
 * mean of all that came before it (for the first block, an element of it). With N elements before and n in the block,
 *
 *   dev = S - n s,   t = dev / (N + n),   mean = s + t,   m2 += Q - dev t
 *
 * Little cancels: in the first block Q - dev t is at least Q / n, and the Q of the others, as long as none is longer than
 * what came before it, add up to twice the final m2 at most. So float64 sums of float32 are right whatever the mean, the
 * spread and the order. */

/* Sums, coefficients or statistics of as many lines or columns. */
typedef struct {
  double hi[FASTACT_PANEL] ALIGNED, lo[FASTACT_PANEL] ALIGNED;
} FN(Panel);

static INLINE WPair FN(get)(const FN(Panel) *p, size_t j) { return (WPair){vload_f64(p->hi + j), vload_f64(p->lo + j)}; }
static INLINE void FN(put)(FN(Panel) *p, size_t j, WPair a) {
  vstore_f64(p->hi + j, a.hi);
  vstore_f64(p->lo + j, a.lo);
}

/* Of sums, which for float32 have no low part. */
static INLINE WPair FN(get_sum)(const FN(Panel) *p, size_t j) {
  return (WPair){vload_f64(p->hi + j), PICK(vset_f64(0), vload_f64(p->lo + j))};
}
static INLINE void FN(put_sum)(FN(Panel) *p, size_t j, WPair a) {
  vstore_f64(p->hi + j, a.hi);
  if (REAL == 64) vstore_f64(p->lo + j, a.lo);
}

static INLINE size_t FN(smaller)(size_t a, size_t b) { return a < b ? a : b; }

/* x - shift, exactly */
static INLINE WPair FN(deviation)(W x, W shift) {
#if REAL == 32
  return (WPair){x - shift, vset_f64(0)};
#else
  return exact_sum_f64(x, -shift);
#endif
}

/* What is added up: u; u d or, where there is no grad and u is x, d^2; d. A caller asks for the first `count` of them. */
typedef struct {
  WPair sum, product, offset;
} FN(Terms);

static INLINE FN(Terms) FN(plus_terms)(FN(Terms) s, int count, W u, WPair v, WPair d) {
  s.sum = wplus(s.sum, u);
  if (count > 1) s.product = wplus_product(s.product, v, d);
  if (count > 2) s.offset = wplus(s.offset, d.hi);
  return s;
}

static INLINE FN(Terms)
    FN(plus_terms_of)(FN(Terms) s, int count, const T *x, const T *grad, const T *gamma, size_t k, size_t left, W shift) {
  W a = wload_upto(x + k, left), u = grad ? wload_upto(grad + k, left) : a;
  WPair d = FN(deviation)(a, shift);
  if (left < WIDTH) d = (WPair){wkeep(d.hi, left), wkeep(d.lo, left)};
  if (gamma) u = u * wload_upto(gamma + k, left);
  return FN(plus_terms)(s, count, u, grad ? (WPair){u, vset_f64(0)} : d, d);
}

static INLINE FN(Terms) FN(plus_all)(FN(Terms) s, FN(Terms) t) {
  s.sum = wplus_pair(s.sum, t.sum);
  s.product = wplus_pair(s.product, t.product);
  s.offset = wplus_pair(s.offset, t.offset);
  return s;
}

/* `rows` pieces of `length` elements, `stride` apart. */
typedef struct {
  size_t rows, stride, length;
} FN(Stretch);

/* The sums over a line, still lane by lane; u is grad gamma where there is a gamma, which lies along a piece. */
static INLINE FN(Terms) FN(line_terms)(int count, const T *x, const T *grad, const T *gamma, FN(Stretch) line, W shift) {
  WPair zero = {vset_f64(0), vset_f64(0)};
  FN(Terms) a[4] = {{zero, zero, zero}, {zero, zero, zero}, {zero, zero, zero}, {zero, zero, zero}};
  for (size_t i = 0; i < line.rows; i++) {
    const T *p = x + i * line.stride, *g = grad ? grad + i * line.stride : NULL;
    size_t k = 0;
    for (; k + 4 * WIDTH <= line.length; k += 4 * WIDTH)
      for (size_t q = 0; q < 4; q++) a[q] = FN(plus_terms_of)(a[q], count, p, g, gamma, k + q * WIDTH, WIDTH, shift);
    for (; k + WIDTH <= line.length; k += WIDTH) a[0] = FN(plus_terms_of)(a[0], count, p, g, gamma, k, WIDTH, shift);
    if (k < line.length) a[1] = FN(plus_terms_of)(a[1], count, p, g, gamma, k, line.length - k, shift);
  }
  return FN(plus_all)(FN(plus_all)(a[0], a[1]), FN(plus_all)(a[2], a[3]));
}

/* The total of the lanes. */
typedef struct {
  double hi, lo;
} FN(Number);

static INLINE FN(Number) FN(total)(WPair s) {
  double hi[WIDTH], lo[WIDTH] = {0};
#if REAL == 32
  vstore_f64(hi, s.hi);
  for (int half = WIDTH / 2; half; half /= 2)
    for (int q = 0; q < half; q++) hi[q] += hi[q + half];
#else
  s = wtotal(s);
  vstore_f64(hi, s.hi);
  vstore_f64(lo, s.lo);
#endif
  return (FN(Number)){hi[0], lo[0]};
}

static INLINE void FN(put_total)(FN(Panel) *p, size_t k, WPair s) {
  FN(Number) a = FN(total)(s);
  p->hi[k] = a.hi;
  p->lo[k] = a.lo;
}

typedef struct {
  FN(Panel) mean, rstd;
} FN(Statistics);

/* Sums down each of `width` columns, with a shift a column, over `rows` rows (a constant), added to panels. */
static INLINE void FN(plus_rows_at)(int count, int rows, const T *x, const T *grad, size_t stride, size_t j, size_t left,
                                    const FN(Panel) *shift, FN(Panel) *const sums[3]) {
  FN(Terms) s = {.sum = FN(get_sum)(sums[0], j)};
  W at = vset_f64(0);
  if (count > 1) s.product = FN(get_sum)(sums[1], j);
  if (count > 2) s.offset = FN(get_sum)(sums[2], j);
  if (shift) at = vload_f64(shift->hi + j);
  for (int r = 0; r < rows; r++) {
    W a = wload_upto(x + (size_t)r * stride + j, left), u = grad ? wload_upto(grad + (size_t)r * stride + j, left) : a;
    WPair d = FN(deviation)(a, at);
    s = FN(plus_terms)(s, count, u, grad ? (WPair){u, vset_f64(0)} : d, d);
  }
  FN(put_sum)(sums[0], j, s.sum);
  if (count > 1) FN(put_sum)(sums[1], j, s.product);
  if (count > 2) FN(put_sum)(sums[2], j, s.offset);
}

static INLINE void FN(plus_rows)(int count, int rows, const T *x, const T *grad, size_t stride, size_t width,
                                 const FN(Panel) *shift, FN(Panel) *const sums[3]) {
  size_t j = 0;
  for (; j + WIDTH <= width; j += WIDTH) FN(plus_rows_at)(count, rows, x, grad, stride, j, WIDTH, shift, sums);
  if (j < width) FN(plus_rows_at)(count, rows, x, grad, stride, j, width - j, shift, sums);
}

/* The same over any number of rows; panels begin at zero. Four rows share the loads of the sums. */
static INLINE void FN(sum_columns)(int count, const T *x, const T *grad, size_t rows, size_t stride, size_t width,
                                   const FN(Panel) *shift, FN(Panel) *const sums[3]) {
  WPair zero = {vset_f64(0), vset_f64(0)};
  for (size_t j = 0; j < width; j += WIDTH)
    for (int k = 0; k < count; k++) FN(put)(sums[k], j, zero);
  for (size_t i = 0, n; i < rows; i += n) {
    const T *p = x + i * stride, *g = grad ? grad + i * stride : NULL;
    n = rows - i < 4 ? 1 : 4;
    if (n == 4)
      FN(plus_rows)(count, 4, p, g, stride, width, shift, sums);
    else
      FN(plus_rows)(count, 1, p, g, stride, width, shift, sums);
  }
}

/* Sums of all channels, to which parts are added as they come; vectors reach beyond the end. */
typedef struct {
  double *hi, *lo;
} FN(Sums);

static INLINE void FN(plus_sums)(const FN(Sums) *to, size_t c, WPair a) {
  WPair sum = wplus_pair((WPair){vload_f64(to->hi + c), vload_f64(to->lo + c)}, a);
  vstore_f64(to->hi + c, sum.hi);
  vstore_f64(to->lo + c, sum.lo);
}

static void FN(plus_panel)(const FN(Sums) *to, size_t c, const FN(Panel) *p, size_t n) {
  for (size_t j = 0; j < n; j += WIDTH) {
    WPair a = FN(get)(p, j);
    FN(plus_sums)(to, c + j, (WPair){wkeep(a.hi, n - j), wkeep(a.lo, n - j)});
  }
}

static void FN(plus_number)(const FN(Sums) *to, size_t c, FN(Number) a) {
  double hi[WIDTH] = {a.hi}, lo[WIDTH] = {a.lo};
  FN(plus_sums)(to, c, (WPair){vload_f64(hi), vload_f64(lo)});
}

/* hi alone where it is not finite: what an infinity leaves over is NaN. */
static void FN(store_sums)(const FN(Sums) *from, T *to, size_t channels) {
  for (size_t c = 0; c < channels; c += WIDTH) {
    W hi = vload_f64(from->hi + c), sum = hi + vload_f64(from->lo + c);
    wstore_upto(to + c, vsel_f64(vlt_f64(vabs_f64(hi), vset_f64(INFINITY)), sum, hi), channels - c);
  }
}

/* --- mean and variance --- */

/* Of as many lines or columns: mean, sum of (x - mean)^2, and the sum of x. */
typedef struct {
  FN(Panel) mean, m2, total;
} FN(Moments);

/* A block of n elements comes to N before it; S is in `sum`, Q in `square`. */
static void FN(plus_block)(FN(Moments) *m, const FN(Panel) *sum, const FN(Panel) *square, size_t width, double before,
                           double n) {
  for (size_t j = 0; j < width; j += WIDTH) {
    WPair s = FN(get)(sum, j), mean = FN(get)(&m->mean, j), p = exact_product_f64(mean.hi, vset_f64(n));
    W behind = mean.lo * vset_f64(before); /* mean.hi is what was subtracted */
    WPair dev = wsum(wsum(s, (WPair){-p.hi, -p.lo}), (WPair){behind, vset_f64(0)});
    WPair less = pair_product_f64(dev, wmean(dev, before + n));
    WPair more = wsum(FN(get)(square, j), (WPair){-less.hi, behind * mean.lo - less.lo});
    WPair total = wsum(FN(get)(&m->total, j), s);
    FN(put)(&m->m2, j, wsum(FN(get)(&m->m2, j), more));
    FN(put)(&m->total, j, total);
    FN(put)(&m->mean, j, wmean(total, before + n));
  }
}

enum { FN(BLOCK_ROWS) = 512, FN(PIECE) = 4096 }; /* rows of a block of columns; elements of a block of a line */

static void FN(column_moments)(const T *x, size_t rows, size_t stride, size_t width, FN(Moments) *m) {
  FN(Panel) sum, square;
  FN(Panel) *const sums[3] = {&sum, &square};
  WPair zero = {vset_f64(0), vset_f64(0)};
  for (size_t j = 0; j < width; j += WIDTH) {
    FN(put)(&m->mean, j, (WPair){wload_upto(x + j, width - j), zero.lo});
    FN(put)(&m->m2, j, zero);
    FN(put)(&m->total, j, zero);
  }
  for (size_t i = 0, n; i < rows; i += n) {
    n = FN(smaller)(FN(BLOCK_ROWS), rows - i);
    FN(sum_columns)(2, x + i * stride, NULL, n, stride, width, &m->mean, sums);
    FN(plus_block)(m, &sum, &square, width, (double)i, (double)n);
  }
}

/* Of lines `apart` elements apart; if not `centred` the mean is taken to be 0. */
static void FN(line_moments)(const T *x, size_t lines, size_t apart, FN(Stretch) line, int centred, FN(Moments) *m) {
  FN(Panel) sum, square;
  WPair zero = {vset_f64(0), vset_f64(0)};
  for (size_t p = 0; p < lines; p += WIDTH) {
    FN(put)(&m->mean, p, zero);
    FN(put)(&m->m2, p, zero);
    FN(put)(&m->total, p, zero);
    FN(put)(&sum, p, zero);
    FN(put)(&square, p, zero);
  }
  for (size_t p = 0; p < lines && centred; p++) m->mean.hi[p] = x[p * apart];
  FN(Stretch) piece = {.stride = line.stride};
  double before = 0;
  for (size_t i = 0; i < line.rows; i += piece.rows)
    for (size_t k = 0; k < line.length; k += piece.length) {
      piece.length = FN(smaller)(FN(PIECE), line.length - k);
      piece.rows = line.length < FN(PIECE) ? FN(smaller)(FN(PIECE) / line.length, line.rows - i) : 1;
      for (size_t p = 0; p < lines; p++) {
        const T *at = x + p * apart + i * line.stride + k;
        FN(Terms) s = FN(line_terms)(2, at, NULL, NULL, piece, vset_f64(m->mean.hi[p]));
        FN(put_total)(&sum, p, s.sum);
        FN(put_total)(&square, p, s.product);
      }
      double n = (double)piece.rows * (double)piece.length;
      if (centred)
        FN(plus_block)(m, &sum, &square, lines, before, n);
      else
        for (size_t p = 0; p < lines; p += WIDTH) FN(put)(&m->m2, p, wsum(FN(get)(&m->m2, p), FN(get)(&square, p)));
      before += n;
    }
}
