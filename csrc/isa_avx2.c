/* x86-64 with AVX2 and FMA. */
#include "isa_common.h"

#if defined(FASTACT_X86)
#include <immintrin.h>
TARGET_BEGIN("avx2,fma")
#define ISA avx2
#define SIMD "simd_avx2.h"
#define STREAM _mm256_stream_ps
#include BODY
TARGET_END
#else
typedef int fastact_no_avx2; /* ISO C wants a declaration */
#endif
