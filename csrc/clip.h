/* Measuring and clipping gradients: one read for a norm, one read and write to scale or clamp. */

/* scale x; with `zero`, 0 where x is not finite. Called with constants, of which the compiler leaves nothing. */
static INLINE W FN(scaled)(W x, double scale, int zero) {
  if (zero) x = vsel_f64(vlt_f64(vabs_f64(x), vset_f64(INFINITY)), x, vset_f64(0));
  if (scale != 1) x = x * vset_f64(scale);
  return x;
}

static INLINE W FN(plus_power)(W sum, W x, int ord) {
  if (ord == 2) return vfma_f64(x, x, sum);
  return sum + vabs_f64(x);
}

/* The sum of |scale x|^ord over a block, ord 1 or 2: float64 lanes of float32 neither overflow nor underflow. */
static INLINE double FN(block_sum)(const T *x, size_t n, int ord, double scale, int zero) {
  enum { SIDE = 8 };
  W s[SIDE];
  size_t k = 0;
  for (int q = 0; q < SIDE; q++) s[q] = vset_f64(0);
  for (; k + SIDE * WIDTH <= n; k += SIDE * WIDTH)
    for (int q = 0; q < SIDE; q++) s[q] = FN(plus_power)(s[q], FN(scaled)(wload(x + k + q * WIDTH), scale, zero), ord);
  for (; k < n; k += WIDTH) s[0] = FN(plus_power)(s[0], FN(scaled)(wload_upto(x + k, n - k), scale, zero), ord);
  for (int half = SIDE / 2; half; half /= 2)
    for (int q = 0; q < half; q++) s[q] = s[q] + s[q + half];
  double lanes[WIDTH], sum = 0;
  vstore_f64(lanes, s[0]);
  for (int q = 0; q < WIDTH; q++) sum += lanes[q];
  return sum;
}

/* The largest |x|; NaN where any is. vmax leaves NaN out, so it is kept apart. */
static INLINE double FN(block_max)(const T *x, size_t n, double scale, int zero) {
  enum { SIDE = 4 };
  W m[SIDE], nan[SIDE];
  size_t k = 0;
  for (int q = 0; q < SIDE; q++) m[q] = nan[q] = vset_f64(0);
  for (; k + SIDE * WIDTH <= n; k += SIDE * WIDTH)
    for (int q = 0; q < SIDE; q++) {
      W a = vabs_f64(FN(scaled)(wload(x + k + q * WIDTH), scale, zero));
      m[q] = vmax_f64(a, m[q]);
      nan[q] = vsel_f64(vordered_f64(a), nan[q], a);
    }
  for (; k < n; k += WIDTH) {
    W a = vabs_f64(FN(scaled)(wload_upto(x + k, n - k), scale, zero));
    m[0] = vmax_f64(a, m[0]);
    nan[0] = vsel_f64(vordered_f64(a), nan[0], a);
  }
  double lanes[WIDTH], bad[WIDTH], largest = 0;
  for (int q = 0; q < SIDE; q++) {
    vstore_f64(lanes, m[q]);
    vstore_f64(bad, nan[q]);
    for (int l = 0; l < WIDTH; l++) {
      if (isnan(bad[l])) return bad[l];
      if (lanes[l] > largest) largest = lanes[l];
    }
  }
  return largest;
}

/* Over a block: the sum of |scale x|^ord for ord 1 or 2, the largest |scale x| for ord 0. */
static double FN(measure_block)(const T *x, size_t n, int ord, double scale, int zero) {
  if (ord == 0) return FN(block_max)(x, n, scale, zero);
  if (scale != 1 || zero) return FN(block_sum)(x, n, ord, scale, zero);
  return ord == 2 ? FN(block_sum)(x, n, 2, 1, 0) : FN(block_sum)(x, n, 1, 1, 0);
}

/* The same over an array. Not finite where x is not, unless `zero` leaves such entries out, or where float64 overflows.
 * Sums of blocks are short, and are added with what that rounds away. */
static double FN(measure)(const void *array, size_t n, int ord, double scale, int zero) {
  enum { BLOCK = 512 * WIDTH };
  const T *x = array;
  unsigned flags = fpflags_get();
  double total = 0, rest = 0;
  fastact_ran(STRING(ISA));
  for (size_t i = 0; i < n; i += BLOCK) {
    double part = FN(measure_block)(x + i, n - i < BLOCK ? n - i : BLOCK, ord, scale, zero);
    if (ord == 0) {
      total = isnan(total) || part <= total ? total : part;
      continue;
    }
    double next = total + part;
    rest += total < part ? total - (next - part) : part - (next - total);
    total = next;
  }
  fpflags_set(flags);
  return isfinite(rest) ? total + rest : total;
}

/* out = factor x, rounded once in float32; with `zero`, 0 where x is not finite. out may be x. */
static void FN(rescale)(const void *array, void *out, size_t n, double factor, int zero) {
  const T *x = array;
  T *y = out;
  unsigned flags = fpflags_get();
  W by = vset_f64(factor), infinity = vset_f64(INFINITY);
  fastact_ran(STRING(ISA));
  for (size_t k = 0; k < n; k += WIDTH) {
    W a = wload_upto(x + k, n - k);
    if (zero) a = vsel_f64(vlt_f64(vabs_f64(a), infinity), a, vset_f64(0));
    wstore_upto(y + k, a * by, n - k);
  }
  fpflags_set(flags);
}

/* min(max(x, lower), upper) with NaN let through: operands x, lower, upper, out, as an elementwise kernel has them. */
static void FN(clamp)(char *const *operand, const ptrdiff_t *stride, size_t n) {
  unsigned flags = fpflags_get();
  int bounds_stay = stride[1] == 0 && stride[2] == 0;
  T bound[2];
  fastact_ran(STRING(ISA));
  for (size_t i = 0; i < n;) {
    T stage[3][LANES] = {{0}};
    size_t left = n - i < LANES ? n - i : LANES;
    memcpy(&bound[0], operand[1], sizeof(T));
    memcpy(&bound[1], operand[2], sizeof(T));
    if (bounds_stay && stride[0] == sizeof(T) && stride[3] == sizeof(T) && left == LANES) {
      V lower = vset(bound[0]), upper = vset(bound[1]);
      for (; i + LANES <= n; i += LANES)
        vstore((T *)operand[3] + i, vmin(upper, vmax(lower, vload((const T *)operand[0] + i))));
      continue;
    }
    for (int k = 0; k < 3; k++)
      for (size_t l = 0; l < left; l++) memcpy(&stage[k][l], operand[k] + (ptrdiff_t)(i + l) * stride[k], sizeof(T));
    vstore(stage[0], vmin(vload(stage[2]), vmax(vload(stage[1]), vload(stage[0]))));
    for (size_t l = 0; l < left; l++) memcpy(operand[3] + (ptrdiff_t)(i + l) * stride[3], &stage[0][l], sizeof(T));
    i += left;
  }
  fpflags_set(flags);
}
