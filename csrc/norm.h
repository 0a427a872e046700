/* Normalisation of x, contiguous and seen as (samples, rows, channels, run): statistics of each sample over rows, run and
 * `pool` adjacent channels, and a scale and a shift for each channel.
 *
 *   y = (x - mean) rstd gamma + beta,  rstd = 1 / sqrt(var + eps),  var = mean of (x - mean)^2
 *
 *                              samples, rows, channels, run       pool
 *   batch_norm   (N, C)             1     N       C      1          1     by columns
 *                NCHW               1     N       C      HW         1     by lines
 *   instance_norm, group_norm       N     1       C      HW     1, C / G  by lines
 *   layer_norm, rms_norm            N     1       C      1          C     by lines
 *
 * By columns, rows of a panel of channels are read in their order, a lane a channel. A line is what lies together of one
 * mean. Either way all passes over a panel or some lines are made while they are in cache, if they fit. */

enum { FN(NEAR) = 1 << 18 }; /* bytes that are sure to stay in L2 */

/* Statistics of one element each are by columns too, but for rms_norm. */
static INLINE int FN(by_columns)(const fastact_norm *n) {
  return n->run == 1 && (n->rows > 1 || (n->pool == 1 && n->centred));
}

/* How results are written, where the next line or panel is read `ahead` elements on, or 0. */
static FN(Past) FN(past_of)(const fastact_norm *n, size_t ahead) {
  size_t arrays = n->grad ? 3 : 2, size = n->samples * n->rows * n->channels * n->run * sizeof(T);
  FN(Past) past = {CAN_STREAM && arrays * size > fastact_setting.stream_bytes && n->out != n->x && n->out != n->grad, ahead};
  if (!past.on) past.ahead = 0;
  return past;
}

/* 1 / sqrt(var + eps): one Newton step from the rounded value gives the rest of the pair. */
static INLINE WPair FN(inverse_deviation)(WPair var, double eps) {
  WPair d = exact_sum_f64(var.hi, vset_f64(eps));
  d.lo = d.lo + var.lo;
  W one = vset_f64(1), r = one / vsqrt_f64(d.hi);
  WPair p = exact_product_f64(r, r);
  W left = vresidual_f64(p.hi, d.hi, one) - (p.hi * d.lo + p.lo * d.hi);
  return (WPair){r, vset_f64(0.5) * r * left};
}

/* The statistics of `width` lines or columns, also into the arrays of them from `at` on. */
static void FN(finish)(const fastact_norm *n, const FN(Moments) *m, double count, size_t at, size_t width,
                       FN(Statistics) *s) {
  for (size_t j = 0; j < width; j += WIDTH) {
    WPair mean = FN(get)(&m->mean, j), rstd = FN(inverse_deviation)(wmean(FN(get)(&m->m2, j), count), n->eps);
    FN(put)(&s->mean, j, mean);
    FN(put)(&s->rstd, j, rstd);
    if (n->mean) wstore_upto((T *)n->mean + at + j, pair_round_f64(mean), width - j);
    wstore_upto((T *)n->spread + at + j, pair_round_f64(rstd), width - j);
  }
}

/* A line of statistics over all its channels: a run of each, or one element of each. */
static INLINE void FN(apply_line)(const fastact_norm *n, const T *x, const T *grad, T *y, FN(Affine) f, size_t c,
                                  size_t channels, const FN(Activation) *then) {
  size_t stride = n->channels * n->run;
  for (size_t k = 0; k < channels; k++) {
    f.gamma = n->gamma ? (const T *)n->gamma + c + k : NULL;
    f.beta = n->beta ? (const T *)n->beta + c + k : NULL;
    if (n->run == 1) { /* then they lie side by side */
      FN(apply)(BY_ROW, x, stride, y, stride, n->rows, channels, &f);
      return;
    }
    size_t at = k * n->run;
    FN(apply_then)(then, ALONE, x + at, grad ? grad + at : NULL, y + at, stride, n->rows, n->run, &f);
  }
}

static void FN(normalize_lines)(const fastact_norm *n, const FN(Activation) *then) {
  FN(Moments) m;
  FN(Statistics) s;
  FN(Affine) f = {.statistics = &s, .step = 1, .gamma = n->gamma, .beta = n->beta};
  size_t groups = n->channels / n->pool, lines = n->samples * groups, apart = n->pool * n->run;
  FN(Stretch) line = {n->rows, n->channels * n->run, apart};
  size_t near = FN(NEAR) / (n->rows * apart * sizeof(T)), width = FN(smaller)(near ? near : 1, FASTACT_PANEL);
  double count = (double)n->rows * (double)apart;
  f.past = FN(past_of)(n, n->run > 1 ? width * apart : 0);
  for (size_t p = 0; p < lines; p += width) {
    const T *x = (const T *)n->x + p * apart;
    T *y = (T *)n->out + p * apart;
    if (width > lines - p) width = lines - p;
    FN(line_moments)(x, width, apart, line, n->centred, &m);
    FN(finish)(n, &m, count, p, width, &s);
    if (n->run == 1 && groups == 1)
      FN(apply)(BY_ROW, x, apart, y, apart, width, apart, &f);
    else
      for (size_t k = 0; k < width; k++) {
        FN(Affine) one = {.statistics = &s, .first = k, .past = f.past};
        FN(apply_line)(n, x + k * apart, NULL, y + k * apart, one, (p + k) % groups * n->pool, n->pool, then);
      }
  }
}

/* Panels of columns that stay in cache are the narrower the more rows there are. */
static size_t FN(panel_width)(const fastact_norm *n) { return FN(smaller)(n->channels, FASTACT_PANEL); }

static FN(Affine) FN(affine_at)(const fastact_norm *n, const FN(Statistics) *s, size_t c) {
  return (FN(Affine)){.statistics = s,
                      .gamma = n->gamma ? (const T *)n->gamma + c : NULL,
                      .beta = n->beta ? (const T *)n->beta + c : NULL,
                      .past = FN(past_of)(n, 0)};
}

static void FN(normalize_columns)(const fastact_norm *n, const FN(Activation) *then) {
  FN(Moments) m;
  FN(Statistics) s;
  for (size_t i = 0; i < n->samples; i++)
    for (size_t c = 0, width = FN(panel_width)(n); c < n->channels; c += width) {
      if (width > n->channels - c) width = n->channels - c;
      size_t at = i * n->rows * n->channels + c;
      const T *x = (const T *)n->x + at;
      FN(Affine) f = FN(affine_at)(n, &s, c);
      FN(column_moments)(x, n->rows, n->channels, width, &m);
      FN(finish)(n, &m, (double)n->rows, i * n->channels + c, width, &s);
      FN(apply_then)(then, BY_COLUMN, x, NULL, (T *)n->out + at, n->channels, n->rows, width, &f);
    }
}

static void FN(normalize)(const fastact_norm *n) {
  unsigned flags = fpflags_get();
  FN(Activation) then = FN(activation)(&n->activation, FASTACT_FORWARD);
  fastact_ran(STRING(ISA));
  if (FN(by_columns)(n))
    FN(normalize_columns)(n, &then);
  else
    FN(normalize_lines)(n, &then);
  stream_end();
  fpflags_set(flags);
}

/* --- with statistics that are known --- */

/* Those of batch_norm (one sample, pool 1) for a panel of channels: spread is the variance, or where eps is 0 rstd. */
static void FN(given_statistics)(const fastact_norm *n, size_t c, size_t width, FN(Statistics) *s) {
  WPair zero = {vset_f64(0), vset_f64(0)};
  for (size_t j = 0; j < width; j += WIDTH) {
    W spread = wload_upto((const T *)n->spread + c + j, width - j);
    WPair rstd = {spread, zero.lo};
    if (n->eps > 0) rstd = FN(inverse_deviation)(rstd, n->eps);
    FN(put)(&s->rstd, j, rstd);
    FN(put)(&s->mean, j, n->mean ? (WPair){wload_upto((const T *)n->mean + c + j, width - j), zero.lo} : zero);
  }
}

/* f(y), or where there is a grad that times f'(y), for a panel of channels of batch_norm. */
static void FN(apply_given)(const fastact_norm *n, size_t c, size_t width, size_t row, size_t rows, const FN(Statistics) *s,
                            const FN(Activation) *then) {
  size_t stride = n->channels * n->run, at = row * stride + c * n->run;
  const T *x = (const T *)n->x + at, *grad = n->grad ? (const T *)n->grad + at : NULL;
  T *y = (T *)n->out + at;
  FN(Affine) f = FN(affine_at)(n, s, c);
  if (n->run == 1) {
    FN(apply_then)(then, BY_COLUMN, x, grad, y, stride, rows, width, &f);
    return;
  }
  for (size_t k = 0; k < width; k++) {
    f = FN(affine_at)(n, s, c + k);
    f.first = k;
    FN(apply_then)(then, ALONE, x + k * n->run, grad ? grad + k * n->run : NULL, y + k * n->run, stride, rows, n->run, &f);
  }
}

static void FN(normalize_inference)(const fastact_norm *n) {
  FN(Statistics) s;
  unsigned flags = fpflags_get();
  FN(Activation) then = FN(activation)(&n->activation, FASTACT_FORWARD);
  fastact_ran(STRING(ISA));
  for (size_t c = 0, width = FN(panel_width)(n); c < n->channels; c += width) {
    if (width > n->channels - c) width = n->channels - c;
    FN(given_statistics)(n, c, width, &s);
    FN(apply_given)(n, c, width, 0, n->rows, &s, &then);
  }
  stream_end();
  fpflags_set(flags);
}
