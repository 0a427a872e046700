/* aarch64. */
#include "isa_common.h"

#if defined(FASTACT_NEON)
#include <arm_neon.h>
#define ISA neon
#define SIMD "simd_neon.h"
#include BODY
#else
typedef int fastact_no_neon; /* ISO C wants a declaration */
#endif
