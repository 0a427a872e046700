/* Vector operations, x86-64 baseline: SSE2, no fused multiply-add, no blend. */
#if REAL == 32
enum { LANES = 4 };
typedef __m128 V;
#define OP(name) _mm_##name##_ps
#define SHIFT _mm_slli_epi32
#define SHIFT_RIGHT _mm_srli_epi32
#define BITS _mm_castps_si128
#define FROM_BITS _mm_castsi128_ps
#define SET_BITS(u) _mm_castsi128_ps(_mm_set1_epi32((int)(u)))
#else
enum { LANES = 2 };
typedef __m128d V;
#define OP(name) _mm_##name##_pd
#define SHIFT _mm_slli_epi64
#define SHIFT_RIGHT _mm_srli_epi64
#define BITS _mm_castpd_si128
#define FROM_BITS _mm_castsi128_pd
#define SET_BITS(u) _mm_castsi128_pd(_mm_set1_epi64x((long long)(u)))
#endif
typedef V M;

static INLINE V vload(const T *p) { return OP(loadu)(p); }
static INLINE void vstore(T *p, V a) { OP(storeu)(p, a); }
static INLINE V vset(T a) { return OP(set1)(a); }
/* The second operand where either is NaN, so that vmin(bound, x) lets NaN through. */
static INLINE V vmin(V a, V b) { return OP(min)(a, b); }
static INLINE V vmax(V a, V b) { return OP(max)(a, b); }
static INLINE V vabs(V a) { return OP(andnot)(OP(set1)(C(-0.0)), a); }
static INLINE V vminus_abs(V a) { return OP(or)(OP(set1)(C(-0.0)), a); }
static INLINE V vcopysign(V a, V sign) {
  V bit = OP(set1)(C(-0.0));
  return OP(or)(OP(andnot)(bit, a), OP(and)(bit, sign));
}
static INLINE M vlt(V a, V b) { return OP(cmplt)(a, b); }
static INLINE M vordered(V a) { return OP(cmpord)(a, a); }
static INLINE int vall(M m) { return OP(movemask)(m) == (1 << LANES) - 1; }
static INLINE V vsel(M m, V a, V b) { return OP(or)(OP(and)(m, a), OP(andnot)(m, b)); }
static INLINE V vshift_to_exponent(V a) { return FROM_BITS(SHIFT(BITS(a), MANTISSA_BITS)); }
/* The biased exponent of a positive normal number, as a number. */
static INLINE V vexponent(V a) {
  V unit = vset(PICK(0x1p23f, 0x1p52));
  return OP(or)(FROM_BITS(SHIFT_RIGHT(BITS(a), MANTISSA_BITS)), unit) - unit;
}
static INLINE V vsqrt(V a) { return OP(sqrt)(a); }
static INLINE V FN(upper_half)(V a) { return OP(and)(a, SET_BITS(~(((U)1 << (MANTISSA_BITS + 2) / 2) - 1))); }

#if REAL == 64
/* float64 lanes over float32 memory, for wide.h, and the halves of a vector of float32, for in_double.h */
static INLINE V wload_f32(const float *p) {
  return _mm_cvtps_pd(_mm_castpd_ps(_mm_load_sd((const double *)(const void *)p)));
}
static INLINE void wstore_f32(float *p, V a) { _mm_store_sd((double *)(void *)p, _mm_castps_pd(_mm_cvtpd_ps(a))); }
static INLINE V widen_low(V_f32 a) { return _mm_cvtps_pd(a); }
static INLINE V widen_high(V_f32 a) { return _mm_cvtps_pd(_mm_movehl_ps(a, a)); }
static INLINE V_f32 narrow(V low, V high) { return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high)); }
#endif

#include "simd_without_fma.h"
#include "simd_without_permute.h"
#undef OP
#undef SHIFT
#undef SHIFT_RIGHT
#undef BITS
#undef FROM_BITS
#undef SET_BITS
