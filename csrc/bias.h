/* f(x + bias) and its gradients, in one pass over x seen as (rows, channels, run), contiguous, with a bias for each channel.
 *
 * Memory is taken in its order, a chunk that stays in L2 at a time, of (rows, channels, run): whole rows, else whole
 * channels of a row, else part of a run. In it a block of x + bias at a time goes into a stage in L1, and through the
 * activation to where it belongs; then the columns of the chunk are added up, as in moments.h. */

enum { FN(BLOCK) = 4096 / sizeof(T), FN(CACHED) = 32768 / sizeof(T) };

typedef struct {
  const T *bias;
  size_t channels, run;
  T tile[FN(BLOCK)]; /* the bias along as many rows as a block holds */
  size_t tile_size;  /* 0 where a row is longer */
} FN(Shift);

/* Part of x: `width` channels of some rows, or one of them in part. */
typedef struct {
  size_t rows, channels, run, width;
} FN(Chunk);

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

/* Adds up the channels from c on, over a chunk. */
static void FN(plus_chunk)(const FN(Sums) *to, const T *dx, FN(Chunk) s, size_t c) {
  FN(Panel) sum;
  FN(Panel) *const sums[3] = {&sum};
  size_t stride = s.channels * s.run, end = c + s.width;
  if (s.run > 1)
    for (; c < end; c++, dx += s.run) {
      FN(Stretch) line = {s.rows, stride, s.run};
      FN(plus_number)(to, c, FN(total)(FN(line_terms)(1, dx, NULL, NULL, line, vset_f64(0)).sum));
    }
  for (size_t n; c < end; c += n, dx += n) {
    n = FN(smaller)(end - c, FASTACT_PANEL);
    FN(sum_columns)(1, dx, NULL, s.rows, stride, n, NULL, sums);
    FN(plus_panel)(to, c, &sum, n);
  }
}

/* The first chunk; the last ones may be smaller. */
static FN(Chunk) FN(first_chunk)(const fastact_bias *b) {
  size_t run = FN(smaller)(b->run, FN(CACHED)), width = FN(smaller)(FN(CACHED) / run, b->channels), rows = 1;
  if (width == b->channels && run == b->run) rows = FN(smaller)(FN(CACHED) / (width * run), b->rows);
  return (FN(Chunk)){rows, b->channels, run, width};
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
  FN(Chunk) first = FN(first_chunk)(&b), s = first;
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
