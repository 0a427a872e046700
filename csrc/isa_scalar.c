/* Plain C, for any machine and compiler. */
#include "isa_common.h"

#define ISA scalar
#define SIMD "simd_scalar.h"
#define WHOLE_STEPS(a) from_bits_f32((bits_f32(a) & ~15u) << 19)
#include BODY
