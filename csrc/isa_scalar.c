/* Plain C, for any machine and compiler. */
#include "isa_common.h"

#define ISA scalar
#define SIMD "simd_scalar.h"
#include BODY
