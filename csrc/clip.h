/* Gradients, seen as (rows, channels, run), contiguous: a channel is what is measured, scaled or shifted by itself; the
 * whole array, where there is one. One read to measure, one read and write to change; everything is computed in float64
 * lanes, where squares of float32 neither overflow nor underflow, and rounded to the type once. Whoever calls these restores
 * the floating-point flags. */

/* wload_upto for the numbers of channels. */
static INLINE W FN(numbers)(const double *p, size_t left) {
  double lanes[WIDTH] = {0};
  if (left >= WIDTH) return vload_f64(p);
  memcpy(lanes, p, left * sizeof(double));
  return vload_f64(lanes);
}

static INLINE W FN(finite_or_zero)(W x) { return vsel_f64(vlt_f64(vabs_f64(x), vset_f64(INFINITY)), x, vset_f64(0)); }

/* sum + what is asked for of scale x. Called with constants, of which the compiler leaves nothing. */
static INLINE W FN(plus_measured)(W sum, W x, W scale, enum fastact_measured what, int scaled, int zero) {
  if (zero) x = FN(finite_or_zero)(x);
  if (scaled) x = x * scale;
  if (what == FASTACT_SUM_SQUARES) return vfma_f64(x, x, sum);
  return sum + (what == FASTACT_SUM_MAGNITUDES ? vabs_f64(x) : x);
}

/* The last n modulo WIDTH of n elements, with zeros in the other lanes. */
static INLINE W FN(remainder)(const T *x, size_t n) {
  static const double is_rest[16] = {[8] = 1, 1, 1, 1, 1, 1, 1, 1};
  if (n < WIDTH) return wload_upto(x, n);
  W keep = vload_f64(is_rest + 8 - WIDTH + n % WIDTH);
  return vsel_f64(vlt_f64(vset_f64(0), keep), wload(x + n - WIDTH), vset_f64(0));
}

/* Over a block that is short enough for its rounding errors not to matter. */
static INLINE double FN(block_sum)(const T *x, size_t n, double scale, enum fastact_measured what, int scaled, int zero) {
  enum { SIDE = 8 };
  W s[SIDE], by = vset_f64(scale), sum = vset_f64(0);
  size_t k = 0;
  if (n >= SIDE * WIDTH) {
    for (int q = 0; q < SIDE; q++) s[q] = sum;
    for (; k + SIDE * WIDTH <= n; k += SIDE * WIDTH)
      for (int q = 0; q < SIDE; q++) s[q] = FN(plus_measured)(s[q], wload(x + k + q * WIDTH), by, what, scaled, zero);
    for (int half = SIDE / 2; half; half /= 2)
      for (int q = 0; q < half; q++) s[q] = s[q] + s[q + half];
    sum = s[0];
  }
  for (; k + WIDTH <= n; k += WIDTH) sum = FN(plus_measured)(sum, wload(x + k), by, what, scaled, zero);
  if (k < n) sum = FN(plus_measured)(sum, FN(remainder)(x, n), by, what, scaled, zero);
  double lanes[WIDTH];
  vstore_f64(lanes, sum);
  for (int half = WIDTH / 2; half; half /= 2)
    for (int q = 0; q < half; q++) lanes[q] += lanes[q + half];
  return lanes[0];
}

/* The largest |x| so far; and their sum, which is NaN if and only if any was: vmax leaves NaN out. */
typedef struct {
  V peak, sum;
} FN(Peak);

static INLINE FN(Peak) FN(plus_peak)(FN(Peak) p, V x, int zero) {
  V a = vabs(x);
  if (zero) a = vsel(vlt(a, vset(INFINITY)), a, vset(0));
  return (FN(Peak)){vmax(a, p.peak), p.sum + a};
}

/* The largest |x|; NaN where any is. Nothing is rounded, so that lanes of the type itself do. */
static INLINE double FN(block_peak)(const T *x, size_t n, int zero) {
  enum { SIDE = 4 };
  FN(Peak) p[SIDE];
  T rest[LANES] = {0}, peaks[LANES], sums[LANES], peak = 0, sum = 0;
  size_t k = 0;
  for (int q = 0; q < SIDE; q++) p[q] = (FN(Peak)){vset(0), vset(0)};
  for (; k + SIDE * LANES <= n; k += SIDE * LANES)
    for (int q = 0; q < SIDE; q++) p[q] = FN(plus_peak)(p[q], vload(x + k + q * LANES), zero);
  for (; k + LANES <= n; k += LANES) p[0] = FN(plus_peak)(p[0], vload(x + k), zero);
  memcpy(rest, x + k, (n - k) * sizeof(T));
  p[1] = FN(plus_peak)(p[1], vload(rest), zero);
  for (int q = 0; q < SIDE; q++) {
    vstore(peaks, p[q].peak);
    vstore(sums, p[q].sum);
    for (int l = 0; l < LANES; l++) {
      sum += sums[l];
      if (peaks[l] > peak) peak = peaks[l];
    }
  }
  return isnan(sum) ? sum : peak;
}

/* The common cases without what they have no use for. */
static double FN(measure_block)(const T *x, size_t n, double scale, enum fastact_measured what, int zero) {
  if (what == FASTACT_PEAK) return zero ? FN(block_peak)(x, n, 1) : FN(block_peak)(x, n, 0);
  if (scale != 1 || zero) return FN(block_sum)(x, n, scale, what, 1, zero);
  if (what == FASTACT_SUM_SQUARES) return FN(block_sum)(x, n, 1, FASTACT_SUM_SQUARES, 0, 0);
  return FN(block_sum)(x, n, 1, what, 0, 0);
}

/* To hi + lo comes the sum of a block, with what adding it rounds away; to a peak comes another. */
static INLINE void FN(accumulate)(double *hi, double *lo, double part, enum fastact_measured what) {
  if (what == FASTACT_PEAK) {
    if (!isnan(*hi) && !(part <= *hi)) *hi = part;
    return;
  }
  double next = *hi + part, b = next - *hi; /* Knuth's two-sum */
  *lo += (*hi - (next - b)) + (part - b);
  *hi = next;
}

/* Columns and rows of a block; rows shorter than NARROW are taken several at a time, as one. */
enum { FN(COLUMNS) = 1024, FN(COLUMN) = 512, FN(NARROW) = 64 };

/* Where the v-th vector of a row of `width` columns lies: the last one may lie on the one before it. */
static INLINE size_t FN(column)(size_t v, size_t width) { return v + WIDTH <= width || width < WIDTH ? v : width - WIDTH; }

/* Sums, or peaks, of a block of columns; those of the v-th vector are at v, wherever it lies. Four rows at a time, so that
 * the sums are not read and written for each. */
static INLINE void FN(block_columns)(const T *x, size_t rows, size_t channels, size_t width, const double *scale,
                                     double *sum, enum fastact_measured what, int scaled, int zero) {
  enum { SIDE = 4 };
  for (size_t r = 0; r < rows; r += SIDE, x += SIDE * channels)
    for (size_t v = 0; v < width; v += WIDTH) {
      size_t j = FN(column)(v, width), side = rows - r < SIDE ? rows - r : SIDE;
      W s = vload_f64(sum + v), by = scaled ? FN(numbers)(scale + j, width - j) : s;
      for (size_t q = 0; q < side; q++) {
        W a = wload_upto(x + q * channels + j, width - j);
        if (what != FASTACT_PEAK) {
          s = FN(plus_measured)(s, a, by, what, scaled, zero);
          continue;
        }
        a = vabs_f64(zero ? FN(finite_or_zero)(a) : a);
        s = vsel_f64(vordered_f64(s), vsel_f64(vlt_f64(a, s), s, a), s); /* NaN stays */
      }
      vstore_f64(sum + v, s);
    }
}

/* Columns j, j + period, ... belong to the channel j. */
static void FN(measure_columns)(const T *x, size_t rows, size_t columns, size_t period, enum fastact_measured what,
                                const double *scale, int zero, double *hi, double *lo) {
  for (size_t c = 0; c < columns; c += FN(COLUMNS))
    for (size_t r = 0; r < rows; r += FN(COLUMN)) {
      double sum[FN(COLUMNS) + WIDTH] = {0};
      const T *block = x + r * columns + c;
      size_t width = FN(smaller)(columns - c, FN(COLUMNS)), height = FN(smaller)(rows - r, FN(COLUMN));
      if (what == FASTACT_SUM_SQUARES && !scale && !zero)
        FN(block_columns)(block, height, columns, width, NULL, sum, FASTACT_SUM_SQUARES, 0, 0);
      else if (scale)
        FN(block_columns)(block, height, columns, width, scale + c, sum, what, 1, zero);
      else
        FN(block_columns)(block, height, columns, width, NULL, sum, what, 0, zero);
      for (size_t j = 0; j < width; j++) {
        size_t v = j / WIDTH * WIDTH, channel = (c + j) % period;
        FN(accumulate)(hi + channel, lo + channel, sum[v + j - FN(column)(v, width)], what);
      }
    }
}

static void FN(measure)(const void *array, size_t rows, size_t channels, size_t run, enum fastact_measured what,
                        const double *scale, int zero, double *hi, double *lo) {
  enum { BLOCK = 512 * WIDTH };
  const T *x = array;
  fastact_ran(STRING(ISA));
  if (!rows || !channels || !run) return;
  if (channels == 1) { /* then rows are a run */
    run *= rows;
    rows = 1;
  } else if (run == 1) {
    size_t side = channels < FN(NARROW) &&!scale ? FN(NARROW) / channels : 1, folded = rows / side;
    FN(measure_columns)(x, folded, channels * side, channels, what, scale, zero, hi, lo);
    x += folded * channels * side;
    FN(measure_columns)(x, rows % side, channels, channels, what, scale, zero, hi, lo);
    return;
  }
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < channels; c++, x += run)
      for (size_t k = 0; k < run; k += BLOCK) {
        double part = FN(measure_block)(x + k, FN(smaller)(BLOCK, run - k), scale ? scale[c] : 1, what, zero);
        FN(accumulate)(hi + c, lo + c, part, what);
      }
}

static INLINE W FN(change)(W x, W by, enum fastact_change how, int zero) {
  if (zero) x = FN(finite_or_zero)(x);
  return how == FASTACT_SCALE ? x * by : x - by;
}

/* n elements, each with a number of its own or (step 0) all with one. The last vector may lie on the one before it, and in
 * place it must be read before that is written. */
static INLINE void FN(change_run)(const T *x, T *y, size_t n, const double *by, size_t step, enum fastact_change how,
                                  int zero) {
  if (n < WIDTH) {
    W b = step ? FN(numbers)(by, n) : vset_f64(*by);
    wstore_upto(y, FN(change)(wload_upto(x, n), b, how, zero), n);
    return;
  }
  size_t end = n - WIDTH, k = 0;
  W b = vset_f64(*by), last = FN(change)(wload(x + end), step ? vload_f64(by + end) : b, how, zero);
  for (; k < end; k += WIDTH) wstore(y + k, FN(change)(wload(x + k), step ? vload_f64(by + k) : b, how, zero));
  wstore(y + end, last);
}

/* factor x, in lanes of the type itself: float32 takes the factor in two parts, so that the product is rounded once there as
 * well. For finite x, unless the factor is 0, 1 or NaN. */
static void FN(scale_run)(const T *x, T *y, size_t n, double factor) {
  T high = (T)factor, stage[LANES] = {0};
  Pair by = pair(vset(high), vset((T)(factor - high)));
#define SCALED(from) PICK(pair_times(by, vload(from)), by.hi *vload(from))
  if (n < LANES) {
    memcpy(stage, x, n * sizeof(T));
    vstore(stage, SCALED(stage));
    memcpy(y, stage, n * sizeof(T));
    return;
  }
  size_t end = n - LANES, k = 0;
  V last = SCALED(x + end);
  for (; k + 4 * LANES <= end; k += 4 * LANES)
    for (size_t q = 0; q < 4; q++) vstore(y + k + q * LANES, SCALED(x + k + q * LANES));
  for (; k < end; k += LANES) vstore(y + k, SCALED(x + k));
  vstore(y + end, last);
#undef SCALED
}

/* Whether that is meant for a factor: its parts, and their products with what is not tiny, are to be normal numbers. Without
 * a fused multiply-add, which short vectors stand for, float64 lanes are faster. */
static INLINE int FN(has_parts)(double factor) {
  return sizeof(V) > 16 && fabs(factor) > 0x1p-90 && fabs(factor) < 0x1p90 && factor != 1;
}

/* n elements in rows of `channels`; where these are few, several rows are one. */
static void FN(change_columns)(const T *x, T *y, size_t n, size_t channels, const double *by, enum fastact_change how,
                               int zero) {
  double tile[FN(NARROW)];
  size_t length = channels;
  if (channels < FN(NARROW)) {
    for (length = 0; length + channels <= FN(NARROW); length += channels) memcpy(tile + length, by, channels * sizeof *by);
    by = tile;
  }
  for (size_t k = 0; k < n; k += length) FN(change_run)(x + k, y + k, FN(smaller)(length, n - k), by, 1, how, zero);
}

/* out = by x, or x - by; with `zero`, x is 0 where it is not finite. out may be x, and is not written where nothing changes.
 */
static void FN(change_channels)(const void *array, void *out, size_t rows, size_t channels, size_t run, const double *by,
                                enum fastact_change how, int zero) {
  const T *x = array;
  T *y = out;
  fastact_ran(STRING(ISA));
  if (!rows || !channels || !run) return;
  if (channels == 1) {
    run *= rows;
    rows = 1;
  }
  if (run == 1 && channels > 1) {
    FN(change_columns)(x, y, rows * channels, channels, by, how, zero);
    return;
  }
  int idle = x == y && !zero;
  double neutral = how == FASTACT_SCALE;
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < channels; c++, x += run, y += run) {
      if (idle && by[c] == neutral) continue;
      if (how == FASTACT_SCALE && !zero && FN(has_parts)(by[c]))
        FN(scale_run)(x, y, run, by[c]);
      else
        FN(change_run)(x, y, run, by + c, 0, how, zero);
    }
}

/* min(max(x, lower), upper), with NaN let through. out may be x, and then only blocks are written where something changes.
 */
static void FN(clamp)(const void *array, void *out, size_t n, double least, double most) {
  enum { SIDE = 8 };
  const T *x = array;
  T *y = out, rest[LANES] = {0};
  V lower = vset((T)least), upper = vset((T)most), one = vset(1);
  size_t k = 0;
  fastact_ran(STRING(ISA));
  for (; k + SIDE * LANES <= n; k += SIDE * LANES) {
    V a[SIDE], outside = vset(0);
    for (int q = 0; q < SIDE; q++) {
      a[q] = vload(x + k + q * LANES);
      outside = vsel(vlt(a[q], lower), one, vsel(vlt(upper, a[q]), one, outside));
    }
    if (x == y && vall(vlt(outside, one))) continue;
    for (int q = 0; q < SIDE; q++) vstore(y + k + q * LANES, vmin(upper, vmax(lower, a[q])));
  }
  for (; k < n; k += LANES) {
    size_t bytes = FN(smaller)(LANES, n - k) * sizeof(T);
    memcpy(rest, x + k, bytes);
    vstore(rest, vmin(upper, vmax(lower, vload(rest))));
    memcpy(y + k, rest, bytes);
  }
}
