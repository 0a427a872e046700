/* Vector operations, aarch64 NEON. */

/* arm_neon.h has functions of these names, for shorter vectors. */
#define vfma_f32 simd_fma_f32
#define vfma_f64 simd_fma_f64
#define vmin_f32 simd_min_f32
#define vmin_f64 simd_min_f64
#define vmax_f32 simd_max_f32
#define vmax_f64 simd_max_f64
#define vabs_f32 simd_abs_f32
#define vsqrt_f32 simd_sqrt_f32
#define vsqrt_f64 simd_sqrt_f64
#define vabs_f64 simd_abs_f64

#if REAL == 32
enum { LANES = 4 };
typedef float32x4_t V;
typedef uint32x4_t M;
#define OP(name) name##_f32
#define Q(name) name##q_f32
#define BITS vreinterpretq_u32_f32
#define FROM_BITS vreinterpretq_f32_u32
#define SHIFT vshlq_n_u32
#define SHIFT_RIGHT vshrq_n_u32
#define OR vorrq_u32
#define SET_BITS vdupq_n_u32
#define MASK_WORDS(m) (m)
#else
enum { LANES = 2 };
typedef float64x2_t V;
typedef uint64x2_t M;
#define OP(name) name##_f64
#define Q(name) name##q_f64
#define BITS vreinterpretq_u64_f64
#define FROM_BITS vreinterpretq_f64_u64
#define SHIFT vshlq_n_u64
#define SHIFT_RIGHT vshrq_n_u64
#define OR vorrq_u64
#define SET_BITS vdupq_n_u64
#define MASK_WORDS vreinterpretq_u32_u64
#endif

static INLINE V vload(const T *p) { return Q(vld1)(p); }
static INLINE void vstore(T *p, V a) { Q(vst1)(p, a); }
static INLINE V vset(T a) { return OP(vdupq_n)(a); }
static INLINE V vfma(V a, V b, V c) { return Q(vfma)(c, a, b); }
static INLINE V vresidual(V a, V b, V c) { return Q(vfms)(c, a, b); } /* c - a*b, rounded once */
static INLINE V vfma_once(V a, V b, V c) { return vfma(a, b, c); }
static INLINE V vfma_always(V a, V b, V c) { return vfma(a, b, c); }
static INLINE V vfma_exact(V a, V b, V c) { return vfma(a, b, c); }
static INLINE V vreciprocal(V a) { return vset(1) / a; }
static INLINE V vrsqrt(V a) { return vset(1) / Q(vsqrt)(a); }
static INLINE M vlt(V a, V b) { return Q(vclt)(a, b); }
static INLINE M vordered(V a) { return Q(vceq)(a, a); }
static INLINE int vall(M m) { return vminvq_u32(MASK_WORDS(m)) != 0; }
static INLINE V vsel(M m, V a, V b) { return Q(vbsl)(m, a, b); }
/* The second operand where either is NaN or both are zeros, so that vmin(bound, x) lets NaN and -0 through. */
static INLINE V vmin(V a, V b) { return vsel(vlt(a, b), a, b); }
static INLINE V vmax(V a, V b) { return vsel(vlt(b, a), a, b); }
static INLINE V vabs(V a) { return Q(vabs)(a); }
static INLINE V vminus_abs(V a) { return -Q(vabs)(a); }
static INLINE V vcopysign(V a, V sign) { return vsel(SET_BITS((U)1 << (8 * sizeof(T) - 1)), sign, a); }
static INLINE V vshift_to_exponent(V a) { return FROM_BITS(SHIFT(BITS(a), MANTISSA_BITS)); }
/* The biased exponent of a positive normal number, as a number. */
static INLINE V vexponent(V a) {
  V unit = vset(PICK(0x1p23f, 0x1p52));
  return FROM_BITS(OR(SHIFT_RIGHT(BITS(a), MANTISSA_BITS), BITS(unit))) - unit;
}
static INLINE V vsqrt(V a) { return Q(vsqrt)(a); }

#if REAL == 64
/* float64 lanes over float32 memory, for wide.h, and the halves of a vector of float32, for in_double.h */
static INLINE V wload_f32(const float *p) { return vcvt_f64_f32(vld1_f32(p)); }
static INLINE void wstore_f32(float *p, V a) { vst1_f32(p, vcvt_f32_f64(a)); }
static INLINE V widen_low(V_f32 a) { return vcvt_f64_f32(vget_low_f32(a)); }
static INLINE V widen_high(V_f32 a) { return vcvt_high_f64_f32(a); }
static INLINE V_f32 narrow(V low, V high) { return vcvt_high_f32_f64(vcvt_f32_f64(low), high); }
#endif

#undef OP
#undef Q
#undef BITS
#undef FROM_BITS
#undef SHIFT
#undef SHIFT_RIGHT
#undef OR
#undef SET_BITS
#undef MASK_WORDS

#include "simd_without_permute.h"
