/* x86-64 with AVX-512 F, DQ, BW and VL. */
#include "isa_common.h"

#if defined(FASTACT_X86)
#include <immintrin.h>
TARGET_BEGIN("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl")
#define ISA avx512
#define SIMD "simd_avx512.h"
#define STREAM _mm512_stream_ps
#include BODY
TARGET_END
#else
typedef int fastact_no_avx512; /* ISO C wants a declaration */
#endif
