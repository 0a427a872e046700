/* f(x + bias) and its gradients, in one pass over x seen as (rows, channels, run), contiguous, with a bias for each channel.
 *
 * Memory is taken in its order, a chunk that stays in L2 at a time, of (rows, channels, run): whole rows, else whole
 * channels of a row, else part of a run. In it a block of x + bias at a time goes into a stage in L1, and through the
 * activation to where it belongs; then the columns of the chunk are added up, as in norm.h. */

enum { FN(BLOCK) = 4096 / sizeof(T), FN(CACHED) = 32768 / sizeof(T) };

typedef struct {
  const T *bias;
  size_t channels, run;
  T tile[FN(BLOCK)]; /* the bias along as many rows as a block holds */
  size_t tile_size;  /* 0 where a row is longer */
} FN(Shift);

static size_t FN(smaller)(size_t a, size_t b) { return a < b ? a : b; }

static void FN(lay_tile)(FN(Shift) *s, size_t rows) {
  size_t row = s->channels * s->run, size = 0;
  for (size_t left = FN(smaller)(FN(BLOCK) / row, rows); left; left--)
    if (s->run == 1) {
      memcpy(s->tile + size, s->bias, row * sizeof(T));
      size += row;
    } else {
      for (size_t c = 0; c < s->channels; c++)
        for (size_t k = 0; k < s->run; k++) s->tile[size++] = s->bias[c];
    }
  s->tile_size = size;
}

/* z = x + bias for n elements from place `at` on, which begins a tile if there is one. */
static void FN(shift)(const FN(Shift) *s, const T *x, size_t at, T *z, size_t n) {
  if (s->tile_size) {
    for (size_t i = 0; i < n; i++) z[i] = x[i] + s->tile[i];
    return;
  }
  size_t c = at / s->run % s->channels, k = at % s->run, length;
  for (size_t first = 0; first < n; first += length) {
    length = FN(smaller)(n - first, s->run == 1 ? s->channels - c : s->run - k);
    const T *from = x + first, *bias = s->bias + c, one = *bias;
    T *to = z + first;
    if (s->run == 1)
      for (size_t i = 0; i < length; i++) to[i] = from[i] + bias[i];
    else
      for (size_t i = 0; i < length; i++) to[i] = from[i] + one;
    c = s->run == 1 || c + 1 == s->channels ? 0 : c + 1;
    k = 0;
  }
}

/* Sums of the channels, as hi + lo. */
typedef struct {
  double *hi, *lo;
} FN(Sums);

static void FN(plus_sums)(const FN(Sums) *to, size_t c, WPair a, size_t left) {
  WPair sum = {vload_f64(to->hi + c), vload_f64(to->lo + c)};
  sum = wplus_pair(sum, (WPair){wkeep(a.hi, left), wkeep(a.lo, left)});
  vstore_f64(to->hi + c, sum.hi);
  vstore_f64(to->lo + c, sum.lo);
}

/* Adds up `width` channels from c on, over a chunk. */
static void FN(plus_chunk)(const FN(Sums) *to, const T *dx, FN(Shape) s, size_t c) {
  FN(Panel) sum;
  size_t end = c + s.width;
  if (s.run > 1)
    for (s.width = 1; c < end; c++, dx += s.run) {
      FN(sum)(dx, s, &sum);
      FN(plus_sums)(to, c, FN(get)(&sum, 0), 1);
    }
  for (; c < end; c += s.width, dx += s.width) {
    s.width = FN(smaller)(end - c, FASTACT_PANEL);
    FN(sum)(dx, s, &sum);
    for (size_t j = 0; j < s.width; j += WIDTH) FN(plus_sums)(to, c + j, FN(get)(&sum, j), s.width - j);
  }
}

/* hi alone where it is not finite: what an infinity leaves over is NaN. */
static void FN(store_sums)(const FN(Sums) *from, T *dbias, size_t channels) {
  for (size_t c = 0; c < channels; c += WIDTH) {
    W hi = vload_f64(from->hi + c), sum = hi + vload_f64(from->lo + c);
    wstore_upto(dbias + c, vsel_f64(vlt_f64(vabs_f64(hi), vset_f64(INFINITY)), sum, hi), channels - c);
  }
}

/* The first chunk; the last ones may be smaller. */
static FN(Shape) FN(first_chunk)(const fastact_bias *b) {
  size_t run = FN(smaller)(b->run, FN(CACHED)), width = FN(smaller)(FN(CACHED) / run, b->channels), rows = 1;
  if (width == b->channels && run == b->run) rows = FN(smaller)(FN(CACHED) / (width * run), b->rows);
  return (FN(Shape)){rows, b->channels, run, width};
}

/* out = f(x + bias), or with grad: out = grad * f'(x + bias) and dbias, its sum over rows and run. */
static void FN(bias_activation)(const fastact_bias *given) {
  fastact_bias b = *given;
  if (b.channels == 1) { /* then rows are a run */
    b.run *= b.rows;
    b.rows = 1;
  }
  T z[FN(BLOCK)] ALIGNED, *out = b.out;
  const T *x = b.x, *grad = b.grad;
  unsigned flags = fpflags_get();
  FN(Shape) first = FN(first_chunk)(&b), s = first;
  FN(Shift) shift = {.bias = b.bias, .channels = b.channels, .run = b.run};
  FN(Sums) sums = {b.sums, grad ? b.sums + b.channels + FASTACT_SPARE : NULL};
  FN(Activation) f = FN(activation)(&b.activation, grad ? FASTACT_BACKWARD : FASTACT_FORWARD);
  fastact_ran(STRING(ISA));
  FN(lay_tile)(&shift, b.rows);
  size_t block = shift.tile_size ? shift.tile_size : FN(BLOCK);
  for (size_t r = 0; r < b.rows; r += first.rows)
    for (size_t c = 0; c < b.channels; c += first.width)
      for (size_t k = 0; k < b.run; k += first.run) {
        s.rows = FN(smaller)(first.rows, b.rows - r);
        s.width = FN(smaller)(first.width, b.channels - c);
        s.run = FN(smaller)(first.run, b.run - k);
        size_t start = (r * b.channels + c) * b.run + k, end = start + s.rows * s.width * s.run;
        for (size_t at = start, n; at < end; at += n) {
          n = FN(smaller)(block, end - at);
          FN(shift)(&shift, x + at, at, z, n);
          FN(activate)(&f, grad ? grad + at : NULL, z, out + at, n);
        }
        if (grad) FN(plus_chunk)(&sums, out + start, s, c);
      }
  if (grad) FN(store_sums)(&sums, b.dbias, b.channels);
  fpflags_set(flags);
}
