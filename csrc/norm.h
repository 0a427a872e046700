/* Batch normalisation of x seen as (rows, channels, run), contiguous: statistics over rows and run, for each channel.
 *
 *   y = (x - mean) scale + beta,  scale = gamma rstd,  rstd = 1 / sqrt(var + eps),  var = mean of (x - mean)^2
 *
 * mean is a pair and the variance is of the deviations from it (two passes), so that nothing cancels but x - mean itself.
 * One block of channels at a time goes through all passes while it is in cache: with run == 1 a panel of adjacent channels,
 * a lane a channel; else one channel, whose runs are summed lane by lane. Lanes past the end hold zeros. */

/* Coefficients of a panel of channels, and sums over it. */
typedef struct {
  double hi[FASTACT_PANEL], lo[FASTACT_PANEL];
} FN(Panel);

static INLINE WPair FN(get)(const FN(Panel) *p, size_t j) { return (WPair){vload_f64(p->hi + j), vload_f64(p->lo + j)}; }
static INLINE void FN(put)(FN(Panel) *p, size_t j, WPair a) {
  vstore_f64(p->hi + j, a.hi);
  vstore_f64(p->lo + j, a.lo);
}

static INLINE WPair FN(deviation)(W x, WPair mean) {
#if REAL == 32
  return (WPair){(x - mean.hi) - mean.lo, vset_f64(0)};
#else
  WPair d = exact_sum_f64(x, -mean.hi);
  return fast_sum_f64(d.hi, d.lo - mean.lo); /* near the mean d is exact, a multiple of twice mean.lo or more, or 0 */
#endif
}

/* (x - mean) scale + beta */
static INLINE W FN(affine)(W x, WPair mean, WPair scale, W beta) {
  WPair d = FN(deviation)(x, mean);
#if REAL == 32
  return vfma_f64(d.hi, scale.hi, beta);
#else
  WPair y = pair_product_f64(d, scale), z = exact_sum_f64(y.hi, beta);
  return z.hi + (z.lo + y.lo);
#endif
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

/* A block of channels: `width` adjacent ones with run == 1, or one. */
typedef struct {
  size_t rows, channels, run, width;
} FN(Shape);

/* The sum of x; the first element of the block is at x. */
static INLINE void FN(sum)(const T *x, FN(Shape) s, FN(Panel) *sum) {
  WPair zero = {vset_f64(0), vset_f64(0)}, a[4] = {zero, zero, zero, zero};
  size_t stride = s.channels * s.run;
  if (s.run > 1) {
    for (size_t i = 0; i < s.rows; i++, x += stride) {
      size_t k = 0;
      for (; k + 4 * WIDTH <= s.run; k += 4 * WIDTH)
        for (int q = 0; q < 4; q++) a[q] = wplus(a[q], wload(x + k + q * WIDTH));
      for (; k < s.run; k += WIDTH) a[0] = wplus(a[0], wload_upto(x + k, s.run - k));
    }
    FN(put)(sum, 0, wtotal(wplus_pair(wplus_pair(a[0], a[1]), wplus_pair(a[2], a[3]))));
    return;
  }
  for (size_t j = 0; j < s.width; j += 4 * WIDTH) {
    for (int q = 0; q < 4; q++) a[q] = zero;
    if (j + 4 * WIDTH <= s.width)
      for (size_t i = 0; i < s.rows; i++)
        for (size_t q = 0; q < 4; q++) a[q] = wplus(a[q], wload(x + i * stride + j + q * WIDTH));
    else
      for (size_t i = 0; i < s.rows; i++)
        for (size_t q = 0; q < 4 && j + q * WIDTH < s.width; q++) {
          size_t c = j + q * WIDTH;
          a[q] = wplus(a[q], wload_upto(x + i * stride + c, s.width - c));
        }
    for (int q = 0; q < 4; q++) FN(put)(sum, j + q * WIDTH, a[q]);
  }
}

/* s + grad (x - mean), or s + (x - mean)^2 where grad is NULL, over a vector; beyond `left` lanes x is taken for the mean.
 */
static INLINE WPair FN(plus_term)(WPair s, const T *x, const T *grad, size_t left, WPair mean) {
  WPair d = FN(deviation)(wload_upto(x, left), mean), g = d;
  d = (WPair){wkeep(d.hi, left), wkeep(d.lo, left)};
  if (grad) g = (WPair){wload_upto(grad, left), vset_f64(0)};
  return wplus_product(s, g, d);
}

/* The sum of those. */
static INLINE void FN(sum_products)(const T *x, const T *grad, FN(Shape) s, const FN(Panel) *mean, FN(Panel) *sum) {
  WPair zero = {vset_f64(0), vset_f64(0)}, a[4] = {zero, zero, zero, zero}, m[4];
  size_t stride = s.channels * s.run;
  if (s.run > 1) {
    m[0] = FN(get)(mean, 0);
    for (size_t i = 0; i < s.rows; i++) {
      const T *p = x + i * stride, *g = grad ? grad + i * stride : NULL;
      size_t k = 0;
      for (; k + 4 * WIDTH <= s.run; k += 4 * WIDTH)
        for (size_t q = 0; q < 4; q++) {
          size_t e = k + q * WIDTH;
          a[q] = FN(plus_term)(a[q], p + e, g ? g + e : NULL, WIDTH, m[0]);
        }
      for (; k < s.run; k += WIDTH) a[0] = FN(plus_term)(a[0], p + k, g ? g + k : NULL, s.run - k, m[0]);
    }
    FN(put)(sum, 0, wtotal(wplus_pair(wplus_pair(a[0], a[1]), wplus_pair(a[2], a[3]))));
    return;
  }
  for (size_t j = 0; j < s.width; j += 4 * WIDTH) {
    for (size_t q = 0; q < 4; q++) {
      a[q] = zero;
      m[q] = j + q * WIDTH < s.width ? FN(get)(mean, j + q * WIDTH) : zero;
    }
    if (j + 4 * WIDTH <= s.width)
      for (size_t i = 0; i < s.rows; i++)
        for (size_t q = 0; q < 4; q++) {
          size_t e = i * stride + j + q * WIDTH;
          a[q] = FN(plus_term)(a[q], x + e, grad ? grad + e : NULL, WIDTH, m[q]);
        }
    else
      for (size_t i = 0; i < s.rows; i++)
        for (size_t q = 0; q < 4 && j + q * WIDTH < s.width; q++) {
          size_t c = j + q * WIDTH, e = i * stride + c;
          a[q] = FN(plus_term)(a[q], x + e, grad ? grad + e : NULL, s.width - c, m[q]);
        }
    for (int q = 0; q < 4; q++) FN(put)(sum, j + q * WIDTH, a[q]);
  }
}

/* y = (x - mean) scale + beta over part of a row; its channels, or its one, are at the front of the panels. */
static INLINE void FN(apply_part)(const T *x, T *y, size_t n, int one_channel, const FN(Panel) *mean, const FN(Panel) *scale,
                                  const FN(Panel) *beta) {
  for (size_t k = 0; k < n; k += WIDTH) {
    size_t j = one_channel ? 0 : k, left = n - k;
    W a = FN(affine)(wload_upto(x + k, left), FN(get)(mean, j), FN(get)(scale, j), FN(get)(beta, j).hi);
    wstore_upto(y + k, a, left);
  }
}

/* The same over a block, and where f has a kernel f(y) in its place, or grad * f'(y). */
static INLINE void FN(apply)(const T *x, const T *grad, T *y, FN(Shape) s, const FN(Panel) *mean, const FN(Panel) *scale,
                             const FN(Panel) *beta, const FN(Activation) *f) {
  T z[FASTACT_PANEL] ALIGNED;
  size_t length = s.run == 1 ? s.width : s.run;
  for (size_t i = 0; i < s.rows; i++) {
    size_t at = i * s.channels * s.run, end = at + length;
    if (!f->kernel) FN(apply_part)(x + at, y + at, length, s.run > 1, mean, scale, beta);
    for (size_t n; f->kernel && at < end; at += n) {
      n = end - at < FASTACT_PANEL ? end - at : FASTACT_PANEL;
      FN(apply_part)(x + at, z, n, s.run > 1, mean, scale, beta);
      FN(activate)(f, grad ? grad + at : NULL, z, y + at, n);
    }
  }
}

/* dx = k (grad - a - (x - mean) b) */
static INLINE void FN(apply_backward)(const T *grad, const T *x, T *dx, FN(Shape) s, const FN(Panel) *mean,
                                      const FN(Panel) *a, const FN(Panel) *b, const FN(Panel) *factor) {
  size_t length = s.run == 1 ? s.width : s.run, stride = s.channels * s.run;
  for (size_t i = 0; i < s.rows; i++, grad += stride, x += stride, dx += stride)
    for (size_t k = 0; k < length; k += WIDTH) {
      size_t j = s.run == 1 ? k : 0, left = length - k;
      W d = pair_round_f64(FN(deviation)(wload_upto(x + k, left), FN(get)(mean, j)));
      W rest = vfma_f64(-d, FN(get)(b, j).hi, wload_upto(grad + k, left) - FN(get)(a, j).hi);
      wstore_upto(dx + k, FN(get)(factor, j).hi * rest, left);
    }
}

/* A per-channel array, or its stand-in, at the channels of the block. */
static INLINE W FN(per_channel)(const void *array, double otherwise, size_t c, size_t left, FN(Shape) s) {
  if (!array) return vset_f64(otherwise);
  return s.run == 1 ? wload_upto((const T *)array + c, left) : vset_f64(((const T *)array)[c]);
}

static INLINE void FN(set_per_channel)(void *array, W a, size_t c, size_t left, FN(Shape) s) {
  wstore_upto((T *)array + c, a, s.run == 1 ? left : 1);
}

/* Blocks that stay in half a megabyte of cache, or where even narrow ones would not, the widest: they stream best. */
static FN(Shape) FN(first_block)(const fastact_norm *n) {
  size_t width = 1;
  if (n->run == 1) {
    width = ((size_t)1 << 18) / (n->rows * sizeof(T)) / WIDTH * WIDTH;
    if (width < 64 || width > FASTACT_PANEL) width = FASTACT_PANEL;
  }
  return (FN(Shape)){n->rows, n->channels, n->run, width};
}

#define EACH_BLOCK(n, s, c) \
  for (size_t c = 0, step_ = (s).width; \
       c < (n)->channels && ((s).width = (n)->channels - c < step_ ? (n)->channels - c : step_, 1); c += step_)

static void FN(batch_norm)(const fastact_norm *n) {
  FN(Panel) mean, square, scale, beta;
  unsigned flags = fpflags_get();
  double count = (double)n->rows * (double)n->run;
  FN(Shape) s = FN(first_block)(n);
  FN(Activation) f = FN(activation)(&n->activation, FASTACT_FORWARD);
  fastact_ran(STRING(ISA));
  EACH_BLOCK(n, s, c) {
    const T *x = (const T *)n->x + c * n->run;
    FN(sum)(x, s, &mean);
    for (size_t j = 0; j < s.width; j += WIDTH) FN(put)(&mean, j, wmean(FN(get)(&mean, j), count));
    FN(sum_products)(x, NULL, s, &mean, &square);
    for (size_t j = 0; j < s.width; j += WIDTH) {
      WPair rstd = FN(inverse_deviation)(wmean(FN(get)(&square, j), count), n->eps);
      W gamma = FN(per_channel)(n->gamma, 1, c + j, s.width - j, s);
      FN(put)(&scale, j, pair_product_f64(rstd, (WPair){gamma, vset_f64(0)}));
      FN(put)(&beta, j, (WPair){FN(per_channel)(n->beta, 0, c + j, s.width - j, s), vset_f64(0)});
      FN(set_per_channel)(n->mean, pair_round_f64(FN(get)(&mean, j)), c + j, s.width - j, s);
      FN(set_per_channel)(n->spread, pair_round_f64(rstd), c + j, s.width - j, s);
    }
    FN(apply)(x, NULL, (T *)n->out + c * n->run, s, &mean, &scale, &beta, &f);
  }
  fpflags_set(flags);
}

static void FN(batch_norm_inference)(const fastact_norm *n) {
  FN(Panel) mean, scale, beta;
  unsigned flags = fpflags_get();
  FN(Shape) s = FN(first_block)(n);
  FN(Activation) f = FN(activation)(&n->activation, FASTACT_FORWARD);
  W zero = vset_f64(0);
  fastact_ran(STRING(ISA));
  EACH_BLOCK(n, s, c) {
    for (size_t j = 0; j < s.width; j += WIDTH) {
      W var = FN(per_channel)(n->spread, 0, c + j, s.width - j, s);
      W gamma = FN(per_channel)(n->gamma, 1, c + j, s.width - j, s);
      FN(put)(&mean, j, (WPair){FN(per_channel)(n->mean, 0, c + j, s.width - j, s), zero});
      FN(put)(&scale, j, pair_product_f64(FN(inverse_deviation)((WPair){var, zero}, n->eps), (WPair){gamma, zero}));
      FN(put)(&beta, j, (WPair){FN(per_channel)(n->beta, 0, c + j, s.width - j, s), zero});
    }
    FN(apply)((const T *)n->x + c * n->run, NULL, (T *)n->out + c * n->run, s, &mean, &scale, &beta, &f);
  }
  fpflags_set(flags);
}

/* dbeta = sum grad, dgamma = rstd sum grad (x - mean), dx = gamma rstd (grad - dbeta/n - (x - mean) rstd dgamma/n); with an
 * activation the grad of these is grad * f'(y), which lies where dx will be. */
static void FN(batch_norm_backward)(const fastact_norm *n) {
  FN(Panel) mean, scale, beta, a, b, k;
  unsigned flags = fpflags_get();
  double count = (double)n->rows * (double)n->run;
  FN(Shape) s = FN(first_block)(n);
  FN(Activation) f = FN(activation)(&n->activation, FASTACT_BACKWARD);
  W zero = vset_f64(0);
  fastact_ran(STRING(ISA));
  EACH_BLOCK(n, s, c) {
    const T *x = (const T *)n->x + c * n->run, *grad = (const T *)n->grad + c * n->run;
    T *dx = (T *)n->out + c * n->run;
    for (size_t j = 0; j < s.width; j += WIDTH) {
      WPair rstd = {FN(per_channel)(n->spread, 0, c + j, s.width - j, s), zero};
      WPair gamma = {FN(per_channel)(n->gamma, 1, c + j, s.width - j, s), zero};
      FN(put)(&mean, j, (WPair){FN(per_channel)(n->mean, 0, c + j, s.width - j, s), zero});
      FN(put)(&scale, j, pair_product_f64(rstd, gamma));
      FN(put)(&beta, j, (WPair){FN(per_channel)(n->beta, 0, c + j, s.width - j, s), zero});
    }
    if (f.kernel) {
      FN(apply)(x, grad, dx, s, &mean, &scale, &beta, &f);
      grad = dx;
    }
    FN(sum)(grad, s, &a);
    FN(sum_products)(x, grad, s, &mean, &b);
    for (size_t j = 0; j < s.width; j += WIDTH) {
      W rstd = FN(per_channel)(n->spread, 0, c + j, s.width - j, s);
      W dbeta = pair_round_f64(FN(get)(&a, j)), dgamma = rstd * pair_round_f64(FN(get)(&b, j));
      FN(set_per_channel)(n->dgamma, dgamma, c + j, s.width - j, s);
      FN(set_per_channel)(n->dbeta, dbeta, c + j, s.width - j, s);
      FN(put)(&a, j, (WPair){dbeta / vset_f64(count), zero});
      FN(put)(&b, j, (WPair){rstd * dgamma / vset_f64(count), zero});
      FN(put)(&k, j, (WPair){pair_round_f64(FN(get)(&scale, j)), zero});
    }
    FN(apply_backward)(grad, x, dx, s, &mean, &a, &b, &k);
  }
  fpflags_set(flags);
}
#undef EACH_BLOCK
