/* The body of every isa_*.c: the elementwise kernels, for float32 and then for float64, and the table of all kernels. */

#define REAL 32
#include "real.h"
#include SIMD
#include "pair.h"
#include "vmath.h"
#undef REAL

#define REAL 64
#include "real.h"
#include SIMD
#include "pair.h"
#include "vmath.h"
#undef REAL

/* From here on both types have their vectors, so that float32 can be computed in float64. */
#define REAL 32
#include "real.h"
#include "half.h"
#include "stream.h"
#include "kernel.h"
#include "elementwise.h"
#include "driver.h"
#undef REAL

#define REAL 64
#include "real.h"
#include "kernel.h"
#include "elementwise.h"
#include "driver.h"
#undef REAL

extern const fastact_axis_kernels CAT(fastact_axis_kernels, ISA);

const fastact_kernels CAT(fastact_kernels, ISA) = {
    .isa = STRING(ISA),
    .elementwise = {elementwise_f32, elementwise_f64, elementwise_f16, elementwise_bf16},
    .streaming = {streaming_f32, streaming_f64, elementwise_f16, elementwise_bf16},
    .axis = &CAT(fastact_axis_kernels, ISA),
};
