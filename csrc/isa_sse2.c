/* The x86-64 baseline. */
#include "isa_common.h"

#if defined(FASTACT_X86)
#include <immintrin.h>
#define ISA sse2
#define SIMD "simd_sse2.h"
#define STREAM _mm_stream_ps
#include BODY
#else
typedef int fastact_no_sse2; /* ISO C wants a declaration */
#endif
