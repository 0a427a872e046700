/* Half types: 16 bits in memory, float32 in the kernels. Widening is exact; a result is rounded to the half type once, to
 * nearest, ties to even. Integer arithmetic but for exact steps and one rounding of float32, in loops without a branch, so
 * that compilers vectorise them and bits and flags are the same on every ISA. */

static INLINE uint32_t bits_of(float a) {
  uint32_t u;
  memcpy(&u, &a, sizeof u);
  return u;
}
static INLINE float float_of(uint32_t u) {
  float a;
  memcpy(&a, &u, sizeof a);
  return a;
}

/* Comparisons of magnitudes, below 2^31, are signed: SSE2 and AVX2 have no other. */
static INLINE uint32_t below(uint32_t a, uint32_t b) { return -(uint32_t)((int32_t)a < (int32_t)b); }
static INLINE uint32_t choose(uint32_t mask, uint32_t a, uint32_t b) { return (a & mask) | (b & ~mask); }

enum { F32_INFINITY = 0x7f800000, F32_MAGNITUDE = 0x7fffffff };

/* A result in the half type. overflow is not 0 where it is infinite and the number was not, underflow where it is tiny and
 * inexact: bits left over, not masks, whose disjunction clang does not vectorise. */
typedef struct {
  uint32_t half, overflow, underflow;
} Rounded;

/* ---- float16: 5 bits of exponent, 10 of fraction ---- */

enum {
  F16_REBIAS = (127 - 15) << 23,
  F16_TINY = (127 - 14) << 23, /* 2^-14, the smallest normal number */
  F16_OVER = (127 + 16) << 23, /* 2^16, the first power that is infinite */
  F16_HALF = (127 - 1) << 23   /* 1/2, whose unit in the last place is the smallest subnormal, 2^-24 */
};

static INLINE float widen_f16(uint32_t h) {
  uint32_t magnitude = h & 0x7fff;
  uint32_t subnormal = bits_of((float)(int32_t)magnitude * 0x1p-24f);
  uint32_t normal = (magnitude << 13) + F16_REBIAS + (F16_REBIAS & ~below(magnitude, 0x7c00)); /* twice for inf and NaN */
  return float_of(choose(below(magnitude, 0x400), subnormal, normal) | (h & 0x8000) << 16);
}

static INLINE Rounded narrow_f16(float a) {
  uint32_t u = bits_of(a), magnitude = u & F32_MAGNITUDE;
  uint32_t is_tiny = below(magnitude, F16_TINY), is_finite = below(magnitude, F32_INFINITY);
  uint32_t is_nan = below(F32_INFINITY, magnitude);
  uint32_t large = choose(below(magnitude, F16_OVER), magnitude, F16_OVER);
  uint32_t normal = (large - F16_REBIAS + 0xfff + (large >> 13 & 1)) >> 13;
  uint32_t small = choose(is_tiny, magnitude, F16_TINY);
  float moved = float_of(small) + 0.5f; /* the one rounding by float32, to the half type's place */
  uint32_t half = choose(is_nan, 0x7e00, choose(is_tiny, bits_of(moved) - F16_HALF, normal));
  return (Rounded){half | (u >> 16 & 0x8000), is_finite & (half + 0x400) & 0x8000,
                   is_tiny & (bits_of(moved - 0.5f) ^ small)};
}

/* ---- bfloat16: the upper half of a float32 ---- */

static INLINE float widen_bf16(uint32_t h) { return float_of(h << 16); }

static INLINE Rounded narrow_bf16(float a) {
  uint32_t u = bits_of(a), magnitude = u & F32_MAGNITUDE;
  uint32_t is_tiny = below(magnitude, 1 << 23), is_finite = below(magnitude, F32_INFINITY);
  uint32_t half = choose(below(F32_INFINITY, magnitude), 0x7fc0, (magnitude + 0x7fff + (magnitude >> 16 & 1)) >> 16);
  return (Rounded){half | (u >> 16 & 0x8000), is_finite & (half + 0x80) & 0x8000, is_tiny & magnitude & 0xffff};
}

/* ---- arrays of them ---- */

static INLINE void load_halves(float (*widen)(uint32_t), float *restrict to, const char *restrict from, ptrdiff_t stride,
                               size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint16_t half;
    memcpy(&half, from + (ptrdiff_t)i * stride, sizeof half);
    to[i] = widen(half);
  }
}

/* The flags that the rounding deserves. */
static INLINE unsigned store_halves(Rounded (*narrow)(float), char *restrict to, ptrdiff_t stride,
                                    const float *restrict from, size_t n) {
  uint32_t overflow = 0, underflow = 0;
  for (size_t i = 0; i < n; i++) {
    Rounded a = narrow(from[i]);
    uint16_t half = (uint16_t)a.half;
    memcpy(to + (ptrdiff_t)i * stride, &half, sizeof half);
    overflow |= a.overflow;
    underflow |= a.underflow;
  }
  return (overflow ? FLAG_OVERFLOW : 0) | (underflow ? FLAG_UNDERFLOW : 0);
}

/* Contiguous memory gets a loop of its own, which is the one that vectorises. */
#define HALF_TYPE(name) \
  static NOINLINE void CAT(load_##name, ISA)(float *to, const char *from, ptrdiff_t stride, size_t n) { \
    if (stride == 2) \
      load_halves(widen_##name, to, from, 2, n); \
    else \
      load_halves(widen_##name, to, from, stride, n); \
  } \
  static NOINLINE unsigned CAT(store_##name, ISA)(char *to, ptrdiff_t stride, const float *from, size_t n) { \
    return stride == 2 ? store_halves(narrow_##name, to, 2, from, n) : store_halves(narrow_##name, to, stride, from, n); \
  }
HALF_TYPE(f16)
HALF_TYPE(bf16)
#undef HALF_TYPE
