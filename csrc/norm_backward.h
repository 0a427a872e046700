/* The gradients of norm.h, over the same walk. With d = x - mean, u = gamma grad and n elements to a mean:
 *
 *   dbeta = sum grad,  dgamma = rstd sum grad d,  dx = rstd (u - A / n - d rstd^2 B / n),  A = sum u,  B = sum u d
 *
 * mean comes rounded to the type; how far off it is, sum d / n, is added up with the rest and made good. With an activation
 * grad stands for grad * f'(y), which is first laid where dx will be. */

/* The arrays of sums over all channels. */
static FN(Sums) FN(sums_of)(const fastact_norm *n, size_t which) {
  double *hi = n->sums + 2 * which * (n->channels + FASTACT_SPARE);
  return (FN(Sums)){hi, hi + n->channels + FASTACT_SPARE};
}

/* dx's coefficients at lines or columns from A, B and sum d. Returns how far off the mean is. */
static INLINE W FN(pull_from)(FN(Pull) *p, size_t j, W mean, W rstd, WPair A, WPair B, WPair offset, W count, int centred) {
  W off = pair_round_f64(offset) / count, zero = vset_f64(0);
  if (!centred) off = zero, A = (WPair){zero, zero};
  W a = pair_round_f64(A) / count;
  W b = rstd * rstd * (vresidual_f64(off, pair_round_f64(A), B.hi) + B.lo) / count;
  FN(put)(&p->s.mean, j, (WPair){mean, off});
  FN(put)(&p->s.rstd, j, (WPair){rstd, zero});
  FN(put)(&p->a, j, (WPair){vresidual_f64(off, b, a), zero});
  FN(put)(&p->b, j, (WPair){b, zero});
  return off;
}

/* dx on top of grad * f'(y) is in the caches. */
static FN(Past) FN(past_of_pull)(const fastact_norm *n, const FN(Activation) *f, size_t ahead) {
  return f->kernel ? (FN(Past)){0, 0} : FN(past_of)(n, ahead);
}

static INLINE void FN(begin_pull)(FN(Pull) *p, const T *gamma, FN(Past) past) {
  p->gamma = gamma;
  p->first = p->step = 0;
  p->sums = NULL;
  p->past = past;
}

/* --- by columns --- */

static void FN(pull_columns)(const fastact_norm *n, const FN(Activation) *f, size_t sample, size_t c, size_t width) {
  FN(Statistics) given;
  FN(Panel) sum, product, offset;
  FN(Panel) *const sums[3] = {&sum, &product, &offset};
  FN(Pull) pull;
  FN(Sums) dbeta = FN(sums_of)(n, 0), dgamma = FN(sums_of)(n, 1);
  size_t at = sample * n->rows * n->channels + c;
  const T *x = (const T *)n->x + at, *grad = (const T *)n->grad + at;
  const T *gamma = n->gamma ? (const T *)n->gamma + c : NULL;
  T *dx = (T *)n->out + at;
  FN(begin_pull)(&pull, gamma, FN(past_of_pull)(n, f, 0));
  FN(given_statistics)(n, sample * n->channels + c, width, &given);
  if (f->kernel) {
    FN(apply_given)(n, c, width, 0, n->rows, &given, f);
    grad = dx;
  }
  FN(sum_columns)(3, x, grad, n->rows, n->channels, width, &given.mean, sums);
  for (size_t j = 0; j < width; j += WIDTH) {
    W mean = FN(get)(&given.mean, j).hi, rstd = FN(get)(&given.rstd, j).hi, count = vset_f64((double)n->rows);
    WPair s0 = FN(get)(&sum, j), s1 = FN(get)(&product, j);
    WPair g = {FN(of_columns)(gamma, j, width - j, 1), vset_f64(0)};
    W off =
        FN(pull_from)(&pull, j, mean, rstd, pair_product_f64(s0, g), pair_product_f64(s1, g), FN(get)(&offset, j), count, 1);
    W about = vresidual_f64(off, pair_round_f64(s0), s1.hi) + s1.lo;
    FN(put)(&product, j, (WPair){rstd * about, vset_f64(0)});
  }
  FN(plus_panel)(&dbeta, c, &sum, width);
  FN(plus_panel)(&dgamma, c, &product, width);
  FN(pull)(BY_COLUMN, grad, x, dx, n->channels, n->rows, width, &pull);
}

/* --- by lines with a run of each channel --- */

static void FN(pull_runs)(const fastact_norm *n, const FN(Activation) *f, size_t p, size_t c) {
  FN(Pull) pull;
  FN(Sums) dbeta = FN(sums_of)(n, 0), dgamma = FN(sums_of)(n, 1);
  double *s0 = n->sums + 4 * (n->channels + FASTACT_SPARE), *s1 = s0 + n->channels + FASTACT_SPARE;
  size_t stride = n->channels * n->run, at = p * n->pool * n->run;
  const T *x = (const T *)n->x + at, *grad = (const T *)n->grad + at, *gamma = n->gamma;
  T *dx = (T *)n->out + at;
  FN(Stretch) line = {n->rows, stride, n->run};
  double mean = n->mean ? ((const T *)n->mean)[p] : 0, rstd = ((const T *)n->spread)[p], A = 0, B = 0, D = 0;
  double count = (double)n->rows * (double)n->pool * (double)n->run;
  FN(begin_pull)(&pull, NULL, FN(past_of_pull)(n, f, n->pool * n->run));
  if (f->kernel) {
    FN(Statistics) given;
    FN(given_statistics)(n, c, 1, &given);
    FN(apply_given)(n, c, 1, 0, n->rows, &given, f);
    grad = dx;
  }
  for (size_t k = 0; k < n->pool; k++) {
    FN(Terms) s = FN(line_terms)(3, x + k * n->run, grad + k * n->run, NULL, line, vset_f64(mean));
    FN(Number) sum = FN(total)(s.sum), product = FN(total)(s.product), offset = FN(total)(s.offset);
    double scale = gamma ? gamma[c + k] : 1;
    s0[k] = sum.hi + sum.lo;
    s1[k] = product.hi + product.lo;
    A += scale * s0[k];
    B += scale * s1[k];
    D += offset.hi + offset.lo;
  }
  WPair zero = {vset_f64(0), vset_f64(0)};
  FN(pull_from)(&pull, 0, vset_f64(mean), vset_f64(rstd), (WPair){vset_f64(A), zero.lo}, (WPair){vset_f64(B), zero.lo},
                (WPair){vset_f64(D), zero.lo}, vset_f64(count), n->centred);
  for (size_t k = 0; k < n->pool; k++) {
    FN(plus_number)(&dbeta, c + k, (FN(Number)){s0[k], 0});
    FN(plus_number)(&dgamma, c + k, (FN(Number)){rstd * (s1[k] - pull.s.mean.lo[0] * s0[k]), 0});
    pull.gamma = gamma ? gamma + c + k : NULL;
    FN(pull)(ALONE, grad + k * n->run, x + k * n->run, dx + k * n->run, stride, n->rows, n->run, &pull);
  }
}

/* --- by lines of one element of each channel --- */

/* Samples from i on, `rows` of them, and groups from q on, `width` of them: dx, and what they add to dgamma and dbeta. */
static void FN(pull_layers)(const fastact_norm *n, size_t i, size_t rows, size_t q, size_t width) {
  FN(Panel) A, B, D;
  FN(Pull) pull;
  FN(Sums) dbeta = FN(sums_of)(n, 0), dgamma = FN(sums_of)(n, 1);
  size_t groups = n->channels / n->pool, at = i * n->channels + q * n->pool, lines = rows * width;
  const T *x = (const T *)n->x + at, *grad = (const T *)n->grad + at;
  T *dx = (T *)n->out + at;
  double mean[WIDTH] = {0}, rstd[WIDTH] = {0};
  FN(Stretch) line = {1, 0, n->pool};
  for (size_t p = 0; p < lines; p++) {
    size_t r = p / width, k = p % width, from = r * n->channels + k * n->pool, lane = p % WIDTH;
    const T *gamma = n->gamma ? (const T *)n->gamma + (q + k) * n->pool : NULL;
    mean[lane] = n->mean ? ((const T *)n->mean)[(i + r) * groups + q + k] : 0;
    rstd[lane] = ((const T *)n->spread)[(i + r) * groups + q + k];
    W shift = vset_f64(mean[lane]);
    FN(Terms) s = gamma ? FN(line_terms)(3, x + from, grad + from, gamma, line, shift)
                        : FN(line_terms)(3, x + from, grad + from, NULL, line, shift);
    FN(put_total)(&A, p, s.sum);
    FN(put_total)(&B, p, s.product);
    FN(put_total)(&D, p, s.offset);
    if (lane + 1 == WIDTH || p + 1 == lines) {
      size_t j = p - lane;
      FN(pull_from)(&pull, j, vload_f64(mean), vload_f64(rstd), FN(get)(&A, j), FN(get)(&B, j), FN(get)(&D, j),
                    vset_f64((double)n->pool), n->centred);
    }
  }
  FN(Panel) added[2];
  pull.step = width;
  pull.sums = added;
  pull.past = FN(past_of)(n, n->pool > FASTACT_PANEL ? FASTACT_PANEL : 0); /* the next panel */
  for (size_t k = 0; k < width; k++)
    for (size_t c = k * n->pool, end = c + n->pool, panel; c < end; c += panel) {
      size_t channel = q * n->pool + c;
      panel = FN(smaller)(end - c, FASTACT_PANEL);
      pull.first = k;
      pull.gamma = n->gamma ? (const T *)n->gamma + channel : NULL;
      memset(added, 0, sizeof added);
      FN(pull)(BY_ROW, grad + c, x + c, dx + c, n->channels, rows, panel, &pull);
      FN(plus_panel)(&dbeta, channel, &added[0], panel);
      FN(plus_panel)(&dgamma, channel, &added[1], panel);
    }
}

/* As many samples at a time as stay in cache; where few do, so many that the sums of the channels are seldom added to. */
static void FN(pull_all_layers)(const fastact_norm *n) {
  size_t groups = n->channels / n->pool, width = FN(smaller)(groups, FASTACT_PANEL);
  size_t rows = FN(NEAR) / (2 * sizeof(T) * width * n->pool);
  if (rows < 8) rows = 64;
  rows = FN(smaller)(rows, FASTACT_PANEL / width);
  for (size_t i = 0; i < n->samples; i += rows)
    for (size_t q = 0; q < groups; q += width)
      FN(pull_layers)(n, i, FN(smaller)(rows, n->samples - i), q, FN(smaller)(width, groups - q));
}

static void FN(normalize_backward)(const fastact_norm *n) {
  unsigned flags = fpflags_get();
  FN(Activation) f = FN(activation)(&n->activation, FASTACT_BACKWARD);
  FN(Sums) dbeta = FN(sums_of)(n, 0), dgamma = FN(sums_of)(n, 1);
  size_t groups = n->channels / n->pool;
  fastact_ran(STRING(ISA));
  if (FN(by_columns)(n)) {
    for (size_t i = 0; i < n->samples; i++)
      for (size_t c = 0, width = FN(panel_width)(n); c < n->channels; c += width)
        FN(pull_columns)(n, &f, i, c, FN(smaller)(width, n->channels - c));
  } else if (n->run == 1) {
    FN(pull_all_layers)(n);
  } else {
    for (size_t p = 0; p < n->samples * groups; p++) FN(pull_runs)(n, &f, p, p % groups * n->pool);
  }
  if (n->dbeta) FN(store_sums)(&dbeta, n->dbeta, n->channels);
  FN(store_sums)(&dgamma, n->dgamma, n->channels);
  stream_end();
  fpflags_set(flags);
}
