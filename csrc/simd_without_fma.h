/* What depends on a fused multiply-add, for backends that have none. */

static INLINE V vfma(V a, V b, V c) { return a * b + c; }

/* c - a*b with a*b exact (Dekker 1971): the halves' products fit in T. Meant for c near a*b. */
static INLINE V vresidual(V a, V b, V c) {
  V ah = FN(upper_half)(a), al = a - ah, bh = FN(upper_half)(b), bl = b - bh;
  return (((c - ah * bh) - ah * bl) - al * bh) - al * bl;
}

/* a*b + c for a small c, rounded once; scaled up where the rounding of a*b would be that of a subnormal number */
static INLINE V vfma_once(V a, V b, V c) {
  V up = vset(PICK(0x1p64f, 0x1p512)), down = vset(PICK(0x1p-64f, 0x1p-512)), one = vset(1);
  M tiny = vlt(vabs(a * b), vset(PICK(0x1p-100f, 0x1p-960)));
  V scale = vsel(tiny, up, one), scaled = a * scale, p = scaled * b;
  return (p + (c * scale - vresidual(scaled, b, p))) * vsel(tiny, down, one);
}

/* a*b + c, rounded once but for a rounding of what is left over */
static INLINE V vfma_always(V a, V b, V c) {
  V p = a * b, rest = -vresidual(a, b, p), sum = p + c, from_c = sum - p;
  return sum + (((p - (sum - from_c)) + (c - from_c)) + rest);
}

/* a*b + c, rounded once, whatever cancels: the sum's error is Knuth's, that of the product a's halves'. A product so small
 * that its residual underflows, or that overflows, stands for itself. */
static INLINE V vfma_exact(V a, V b, V c) {
  V p = a * b, sum = p + c, from_c = sum - p, infinity = vset((T)INFINITY), ah = FN(upper_half)(a);
  V whole = sum + (((p - (sum - from_c)) + (c - from_c)) - vresidual(a - ah, b, vresidual(ah, b, p)));
  return vsel(vlt(vset(PICK(0x1p-100f, 0x1p-960)), vabs(p)), vsel(vlt(vabs(sum), infinity), whole, sum), sum);
}

static INLINE V vreciprocal(V a) { return vset(1) / a; }
static INLINE V vrsqrt(V a) { return vset(1) / vsqrt(a); }
