/* aarch64. */
#include "isa_common.h"

#if defined(FASTACT_NEON)
#include <arm_neon.h>
#define ISA neon
#define FUSED /* has a fused multiply-add */
#define SIMD "simd_neon.h"
#define WHOLE_STEPS(a) vreinterpretq_f32_u32(vshlq_n_u32(vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(~15u)), 19))
#include BODY
#else
typedef int fastact_no_neon; /* ISO C wants a declaration */
#endif
