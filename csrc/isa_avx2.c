/* x86-64 with AVX2 and FMA. */
#include "isa_common.h"

#if defined(FASTACT_X86)
#include <immintrin.h>
TARGET_BEGIN("avx2,fma")
#define ISA avx2
#define FUSED /* has a fused multiply-add */
#define SIMD "simd_avx2.h"
#define STREAM _mm256_stream_ps
#define WHOLE_STEPS(a) \
  _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(~15)), 19))
#include BODY
TARGET_END
#else
typedef int fastact_no_avx2; /* ISO C wants a declaration */
#endif
