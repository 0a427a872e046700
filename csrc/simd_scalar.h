/* Vector operations, scalar backend: one lane in plain C11, for compilers and machines without a SIMD backend. */
#include <string.h>

enum { LANES = 1 };
typedef T V;
typedef int M;

static INLINE V vload(const T *p) { return *p; }
static INLINE void vstore(T *p, V a) { *p = a; }
static INLINE V vset(T a) { return a; }
/* The second operand where either is NaN, as on x86, so that vmin(bound, x) lets NaN through. */
static INLINE V vmin(V a, V b) { return a < b ? a : b; }
static INLINE V vmax(V a, V b) { return a > b ? a : b; }
static INLINE M vlt(V a, V b) { return a < b; }
static INLINE M vordered(V a) { return a == a; }
static INLINE int vall(M m) { return m; }
static INLINE V vsel(M m, V a, V b) { return m ? a : b; }

static INLINE U FN(bits)(V a) {
  U u;
  memcpy(&u, &a, sizeof u);
  return u;
}
static INLINE V FN(from_bits)(U u) {
  V a;
  memcpy(&a, &u, sizeof a);
  return a;
}
#define SIGN_BIT ((U)1 << (8 * sizeof(T) - 1))
static INLINE V vabs(V a) { return FN(from_bits)(FN(bits)(a) & ~SIGN_BIT); }
static INLINE V vminus_abs(V a) { return FN(from_bits)(FN(bits)(a) | SIGN_BIT); }
static INLINE V vcopysign(V a, V sign) { return FN(from_bits)((FN(bits)(a) & ~SIGN_BIT) | (FN(bits)(sign) & SIGN_BIT)); }
#undef SIGN_BIT
static INLINE V vshift_to_exponent(V a) { return FN(from_bits)(FN(bits)(a) << MANTISSA_BITS); }
/* The biased exponent of a positive normal number, as a number. */
static INLINE V vexponent(V a) { return (V)(FN(bits)(a) >> MANTISSA_BITS); }
static INLINE V vsqrt(V a) { return PICK(sqrtf, sqrt)(a); }
static INLINE V FN(upper_half)(V a) { return FN(from_bits)(FN(bits)(a) & ~(((U)1 << (MANTISSA_BITS + 2) / 2) - 1)); }

#if REAL == 64
/* float64 lanes over float32 memory, for wide.h, and the halves of a vector of float32, for in_double.h */
static INLINE V wload_f32(const float *p) { return *p; }
static INLINE void wstore_f32(float *p, V a) { *p = (float)a; }
static INLINE V widen_low(V_f32 a) { return a; }
static INLINE V widen_high(V_f32 a) { return a; }
static INLINE V_f32 narrow(V low, V high) {
  (void)high;
  return (float)low;
}
#endif

#include "simd_without_fma.h"
#include "simd_without_permute.h"
