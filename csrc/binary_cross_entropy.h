/* Binary cross-entropy from logits x and targets t, with p the weight of the positive class and w that of the element:
 *
 *   loss = w ((1 - t) softplus(x) + p t softplus(-x))        dx = scale w ((1 - t) sigmoid(x) - p t sigmoid(-x))
 *
 * L = softplus(-|x|) and s = sigmoid(-|x|) are right in their tails, and softplus(|x|) = |x| + L, sigmoid(|x|) = 1 - s. So
 * for t in [0, 1] the loss is a sum of what is not negative, and neither it nor the gradient of a hard target (0 or 1)
 * cancels. */

/* Operands of the kernel, those of a block in L1 */
enum {
  FN(LOGIT),
  FN(TARGET),
  FN(POSITIVE),
  FN(WEIGHT),
  FN(SCALE),
  FN(INPUTS),
  FN(LOSS) = FN(INPUTS),
  FN(DLOGIT),
  FN(BCE_OPERANDS),
  FN(BCE_BLOCK) = 256
};

/* A block of whole vectors. log_sigmoid(|x|) and its derivative are -L and s. */
static INLINE void FN(bce_block)(const FN(Kernel) log_sigmoid, const T *const *in, T *const *out, size_t n, int gradient) {
  T a[FN(BCE_BLOCK)] ALIGNED, minus_l[FN(BCE_BLOCK)] ALIGNED, s[FN(BCE_BLOCK)] ALIGNED;
  const T *argument = a;
  T *const values[] = {minus_l, s};
  const size_t step = 1;
  for (size_t i = 0; i < n; i += LANES) vstore(a + i, vabs(vload(in[FN(LOGIT)] + i)));
  log_sigmoid(&argument, &step, values, n);
  for (size_t i = 0; i < n; i += LANES) {
    V x = vload(in[FN(LOGIT)] + i), t = vload(in[FN(TARGET)] + i), w = vload(in[FN(WEIGHT)] + i);
    V positive = vload(in[FN(POSITIVE)] + i) * t, negative = vset(1) - t;
    M left = vlt(x, vset(0));
    V near = vsel(left, negative, positive), far = vsel(left, positive, negative), both = near + far;
    vstore(out[0] + i, w * (FN(share)(far, vload(a + i)) - both * vload(minus_l + i)));
    if (!gradient) continue;
    V slope = vfma(-both, vload(s + i), far);
    vstore(out[1] + i, vsel(left, -slope, slope) * w * vload(in[FN(SCALE)] + i));
  }
}

/* n elements: operands are inputs, loss and with `gradient` dx, as an elementwise loop has them; `row` is log_sigmoid's. */
static void FN(binary_cross_entropy)(char *const *operand, const ptrdiff_t *stride, size_t n, int row, int gradient) {
  T stage[FN(BCE_OPERANDS)][FN(BCE_BLOCK)] ALIGNED = {{0}};
  const T *in[FN(INPUTS)];
  T *out[] = {stage[FN(LOSS)], stage[FN(DLOGIT)]};
  const FN(Kernel) log_sigmoid = CAT(FN(kernels), ISA)[row][gradient ? FASTACT_WITH_DERIVATIVE : FASTACT_FORWARD];
  unsigned flags = fpflags_get();
  fastact_ran(STRING(ISA));
  for (size_t first = 0, count; first < n; first += count) {
    count = n - first < FN(BCE_BLOCK) ? n - first : FN(BCE_BLOCK);
    for (int k = 0; k < FN(INPUTS); k++) {
      const char *from = operand[k] + (ptrdiff_t)first * stride[k];
      int direct = stride[k] == sizeof(T) && count % LANES == 0;
      in[k] = direct ? (const T *)(const void *)from : stage[k];
      if (direct || (first && stride[k] == 0)) continue;
      size_t wanted = stride[k] ? count : FN(BCE_BLOCK);
      for (size_t i = 0; i < wanted; i++) memcpy(&stage[k][i], from + (ptrdiff_t)i * stride[k], sizeof(T));
    }
    FN(bce_block)(log_sigmoid, in, out, (count + LANES - 1) / LANES * LANES, gradient);
    for (int k = 0; k <= gradient; k++) {
      char *to = operand[FN(LOSS) + k] + (ptrdiff_t)first * stride[FN(LOSS) + k];
      for (size_t i = 0; i < count; i++) memcpy(to + (ptrdiff_t)i * stride[FN(LOSS) + k], &out[k][i], sizeof(T));
    }
  }
  fpflags_set(flags);
}
