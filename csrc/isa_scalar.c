/* Plain C, for any machine and compiler. */
#include "isa_common.h"

#define ISA scalar
#define SIMD "simd_scalar.h"
#define WIDEN_LOW(a) ((double)(a))
#define WIDEN_HIGH(a) 0.0
#define WHOLE_STEPS(a) from_bits_f32((bits_f32(a) & ~15u) << 19)
#include BODY
