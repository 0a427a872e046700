/* The element type of this pass: every kernel file is included once with REAL 32 and once with REAL 64. No include guard. */
#undef T
#undef U
#undef SUFFIX
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef PICK
#if REAL == 32
#define T float
#define U uint32_t
#define SUFFIX f32
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define PICK(f32, f64) (f32) /* the constant of this type */
#else
#define T double
#define U uint64_t
#define SUFFIX f64
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define PICK(f32, f64) (f64)
#endif

#ifndef FN
#define CAT_(a, b) a##_##b
#define CAT(a, b) CAT_(a, b)
#define FN(name) CAT(name, SUFFIX) /* FN(tanh) is tanh_f32 or tanh_f64 */
#define C(number) ((T)(number))
#if defined(__GNUC__) || defined(__clang__)
#define INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define ALIGNED __attribute__((aligned(64)))
#else
#define INLINE inline
#define NOINLINE
#define ALIGNED
#endif

/* Names of this pass, so that formulas read without suffixes. */
#define V FN(V) /* a vector of T */
#define M FN(M) /* a mask of as many lanes */
#define LANES FN(LANES)
#define vload FN(vload)
#define vstore FN(vstore)
#define vset FN(vset)
#define vfma FN(vfma)
#define vfma_once FN(vfma_once)
#define vfma_always FN(vfma_always)
#define vfma_exact FN(vfma_exact)
#define vresidual FN(vresidual)
#define vreciprocal FN(vreciprocal)
#define vrsqrt FN(vrsqrt)
#define vmin FN(vmin)
#define vmax FN(vmax)
#define vabs FN(vabs)
#define vminus_abs FN(vminus_abs)
#define vcopysign FN(vcopysign)
#define vlt FN(vlt)
#define vordered FN(vordered)
#define vall FN(vall)
#define vsel FN(vsel)
#define vshift_to_exponent FN(vshift_to_exponent)
#define vexponent FN(vexponent)
#define vsqrt FN(vsqrt)
#define VD FN(VD)
#endif
