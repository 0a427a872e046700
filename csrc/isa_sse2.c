/* The x86-64 baseline. */
#include "isa_common.h"

#if defined(FASTACT_X86)
#include <immintrin.h>
#define ISA sse2
#define SIMD "simd_sse2.h"
#define STREAM _mm_stream_ps
#define WHOLE_STEPS(a) _mm_castsi128_ps(_mm_slli_epi32(_mm_and_si128(_mm_castps_si128(a), _mm_set1_epi32(~15)), 19))
#include BODY
#else
typedef int fastact_no_sse2; /* ISO C wants a declaration */
#endif
