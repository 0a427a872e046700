/* x86-64 with AVX-512 F, DQ, BW and VL. */
#include "isa_common.h"

#if defined(FASTACT_X86)
#include <immintrin.h>
TARGET_BEGIN("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl")
#define ISA avx512
#define FUSED /* has a fused multiply-add */
#define SIMD "simd_avx512.h"
#define STREAM _mm512_stream_ps
#define WHOLE_STEPS(a) \
  _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(~15)), 19))
#include BODY
TARGET_END
#else
typedef int fastact_no_avx512; /* ISO C wants a declaration */
#endif
