/* Vector operations, AVX-512 (F, DQ, BW, VL). */
#if REAL == 32
enum { LANES = 16 };
typedef __m512 V;
typedef __mmask16 M;
#define OP(name) _mm512_##name##_ps
#define COMPARE _mm512_cmp_ps_mask
#define SHIFT(a, k) _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), k))
#define SHIFT_RIGHT(a, k) _mm512_castsi512_ps(_mm512_srli_epi32(_mm512_castps_si512(a), k))
#else
enum { LANES = 8 };
typedef __m512d V;
typedef __mmask8 M;
#define OP(name) _mm512_##name##_pd
#define COMPARE _mm512_cmp_pd_mask
#define SHIFT(a, k) _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(a), k))
#define SHIFT_RIGHT(a, k) _mm512_castsi512_pd(_mm512_srli_epi64(_mm512_castpd_si512(a), k))
#endif

static INLINE V vload(const T *p) { return OP(loadu)(p); }
static INLINE void vstore(T *p, V a) { OP(storeu)(p, a); }
static INLINE V vset(T a) { return OP(set1)(a); }
static INLINE V vfma(V a, V b, V c) { return OP(fmadd)(a, b, c); }
static INLINE V vresidual(V a, V b, V c) { return OP(fnmadd)(a, b, c); } /* c - a*b, rounded once */
static INLINE V vfma_once(V a, V b, V c) { return vfma(a, b, c); }
static INLINE V vfma_always(V a, V b, V c) { return vfma(a, b, c); }
static INLINE V vfma_exact(V a, V b, V c) { return vfma(a, b, c); }
#if REAL == 32
static INLINE V vreciprocal(V a) { return _mm512_rcp14_ps(a); }
static INLINE V vrsqrt(V a) { return _mm512_rsqrt14_ps(a); }
#else
static INLINE V vreciprocal(V a) {
  V r = _mm512_rcp14_pd(a);
  return vfma(r, vresidual(r, a, vset(1)), r);
}
static INLINE V vrsqrt(V a) {
  V r = _mm512_rsqrt14_pd(a);
  return vfma(C(0.5) * r, vresidual(r * a, r, vset(1)), r);
}
#endif
/* The second operand where either is NaN, so that vmin(bound, x) lets NaN through. */
static INLINE V vmin(V a, V b) { return OP(min)(a, b); }
static INLINE V vmax(V a, V b) { return OP(max)(a, b); }
static INLINE V vabs(V a) { return OP(abs)(a); }
static INLINE V vminus_abs(V a) { return OP(or)(OP(set1)(C(-0.0)), a); }
static INLINE V vcopysign(V a, V sign) {
  V bit = OP(set1)(C(-0.0));
  return OP(or)(OP(andnot)(bit, a), OP(and)(bit, sign));
}
static INLINE M vlt(V a, V b) { return COMPARE(a, b, _CMP_LT_OQ); }
static INLINE M vordered(V a) { return COMPARE(a, a, _CMP_ORD_Q); }
static INLINE int vall(M m) { return m == (1 << LANES) - 1; }
static INLINE V vsel(M m, V a, V b) { return OP(mask_blend)(m, b, a); }
static INLINE V vshift_to_exponent(V a) { return SHIFT(a, MANTISSA_BITS); }
/* The biased exponent of a positive normal number, as a number. */
static INLINE V vexponent(V a) {
  V unit = vset(PICK(0x1p23f, 0x1p52));
  return OP(or)(SHIFT_RIGHT(a, MANTISSA_BITS), unit) - unit;
}
static INLINE V vsqrt(V a) { return OP(sqrt)(a); }

#if REAL == 32
/* table[slot mod 16], slot being the number in the lowest bits */
static INLINE V vlookup(const T *table, V slot) { return _mm512_permutexvar_ps(_mm512_castps_si512(slot), vload(table)); }
static INLINE V vslot(V a) { return SHIFT_RIGHT(a, 21); } /* the exponent and two bits of the fraction */
#endif

#if REAL == 64
/* float64 lanes over float32 memory, for wide.h, and the halves of a vector of float32, for in_double.h */
static INLINE V wload_f32(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
static INLINE void wstore_f32(float *p, V a) { _mm256_storeu_ps(p, _mm512_cvtpd_ps(a)); }
static INLINE V widen_low(V_f32 a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
static INLINE V widen_high(V_f32 a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }
static INLINE V_f32 narrow(V low, V high) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}
#endif

#undef OP
#undef COMPARE
#undef SHIFT
#undef SHIFT_RIGHT
