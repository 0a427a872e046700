/* Vector operations, AVX2 with FMA. */
#if REAL == 32
enum { LANES = 8 };
typedef __m256 V;
#define OP(name) _mm256_##name##_ps
#define SHIFT(a, k) _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a), k))
#define SHIFT_RIGHT(a, k) _mm256_castsi256_ps(_mm256_srli_epi32(_mm256_castps_si256(a), k))
#else
enum { LANES = 4 };
typedef __m256d V;
#define OP(name) _mm256_##name##_pd
#define SHIFT(a, k) _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(a), k))
#define SHIFT_RIGHT(a, k) _mm256_castsi256_pd(_mm256_srli_epi64(_mm256_castpd_si256(a), k))
#endif
typedef V M;

static INLINE V vload(const T *p) { return OP(loadu)(p); }
static INLINE void vstore(T *p, V a) { OP(storeu)(p, a); }
static INLINE V vset(T a) { return OP(set1)(a); }
static INLINE V vfma(V a, V b, V c) { return OP(fmadd)(a, b, c); }
static INLINE V vresidual(V a, V b, V c) { return OP(fnmadd)(a, b, c); } /* c - a*b, rounded once */
static INLINE V vfma_once(V a, V b, V c) { return vfma(a, b, c); }
static INLINE V vfma_always(V a, V b, V c) { return vfma(a, b, c); }
static INLINE V vfma_exact(V a, V b, V c) { return vfma(a, b, c); }
static INLINE V vreciprocal(V a) { return vset(1) / a; }
static INLINE V vrsqrt(V a) { return vset(1) / OP(sqrt)(a); }
/* The second operand where either is NaN, so that vmin(bound, x) lets NaN through. */
static INLINE V vmin(V a, V b) { return OP(min)(a, b); }
static INLINE V vmax(V a, V b) { return OP(max)(a, b); }
static INLINE V vabs(V a) { return OP(andnot)(OP(set1)(C(-0.0)), a); }
static INLINE V vminus_abs(V a) { return OP(or)(OP(set1)(C(-0.0)), a); }
static INLINE V vcopysign(V a, V sign) {
  V bit = OP(set1)(C(-0.0));
  return OP(or)(OP(andnot)(bit, a), OP(and)(bit, sign));
}
static INLINE M vlt(V a, V b) { return OP(cmp)(a, b, _CMP_LT_OQ); }
static INLINE M vordered(V a) { return OP(cmp)(a, a, _CMP_ORD_Q); }
static INLINE int vall(M m) { return OP(movemask)(m) == (1 << LANES) - 1; }
static INLINE V vsel(M m, V a, V b) { return OP(blendv)(b, a, m); }
static INLINE V vshift_to_exponent(V a) { return SHIFT(a, MANTISSA_BITS); }
/* The biased exponent of a positive normal number, as a number. */
static INLINE V vexponent(V a) {
  V unit = vset(PICK(0x1p23f, 0x1p52));
  return OP(or)(SHIFT_RIGHT(a, MANTISSA_BITS), unit) - unit;
}
static INLINE V vsqrt(V a) { return OP(sqrt)(a); }

#if REAL == 32
/* table[slot mod 16], slot being the number in the lowest bits */
static INLINE V vlookup(const T *table, V slot) {
  __m256i k = _mm256_castps_si256(slot);
  V low = _mm256_permutevar8x32_ps(vload(table), k), high = _mm256_permutevar8x32_ps(vload(table + 8), k);
  return vsel(SHIFT(slot, 28), high, low);
}
static INLINE V vslot(V a) { return SHIFT_RIGHT(a, 21); } /* the exponent and two bits of the fraction */
#endif

#if REAL == 64
/* float64 lanes over float32 memory, for wide.h, and the halves of a vector of float32, for in_double.h */
static INLINE V wload_f32(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
static INLINE void wstore_f32(float *p, V a) { _mm_storeu_ps(p, _mm256_cvtpd_ps(a)); }
static INLINE V widen_low(V_f32 a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
static INLINE V widen_high(V_f32 a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
static INLINE V_f32 narrow(V low, V high) { return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low)); }
#endif

#undef OP
#undef SHIFT
#undef SHIFT_RIGHT
