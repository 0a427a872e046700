/* What depends on a fused multiply-add, for backends that have none. */

static INLINE V vfma(V a, V b, V c) { return a * b + c; }

/* c - a*b with a*b exact (Dekker 1971): the halves' products fit in T. Meant for c near a*b. */
static INLINE V vresidual(V a, V b, V c) {
  V ah = FN(upper_half)(a), al = a - ah, bh = FN(upper_half)(b), bl = b - bh;
  return (((c - ah * bh) - ah * bl) - al * bh) - al * bl;
}

/* a*b + c, rounded once */
static INLINE V vfma_once(V a, V b, V c) {
  V p = a * b;
  return p + (c - vresidual(a, b, p));
}

static INLINE V vreciprocal(V a) { return vset(1) / a; }
