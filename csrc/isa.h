/* The body of every isa_*.c: all kernels, for float32 and then for float64, and the table that points to them. */
#define STRING_(a) #a
#define STRING(a) STRING_(a)

#define REAL 32
#include "real.h"
#include SIMD
#include "pair.h"
#include "vmath.h"
#include "half.h"
#include "stream.h"
#include "elementwise.h"
#include "driver.h"
#undef REAL

#define REAL 64
#include "real.h"
#include SIMD
#include "pair.h"
#include "vmath.h"
#include "elementwise.h"
#include "driver.h"
#undef REAL

/* From here on both types have their vectors, so that float32 can be summed in float64. */
#include "wide.h"

#define REAL 32
#include "real.h"
#include "wide_sums.h"
#include "activate.h"
#include "softmax.h"
#include "norm.h"
#include "bias.h"
#include "clip.h"
#undef REAL

#define REAL 64
#include "real.h"
#include "wide_sums.h"
#include "activate.h"
#include "softmax.h"
#include "norm.h"
#include "bias.h"
#include "clip.h"
#undef REAL

const fastact_kernels CAT(fastact_kernels, ISA) = {
    .isa = STRING(ISA),
    .elementwise = {elementwise_f32, elementwise_f64, elementwise_f16, elementwise_bf16},
    .softmax = {softmax_f32, softmax_f64},
    .softmax_backward = {softmax_backward_f32, softmax_backward_f64},
    .batch_norm = {batch_norm_f32, batch_norm_f64},
    .batch_norm_inference = {batch_norm_inference_f32, batch_norm_inference_f64},
    .batch_norm_backward = {batch_norm_backward_f32, batch_norm_backward_f64},
    .bias_activation = {bias_activation_f32, bias_activation_f64},
    .measure = {measure_f32, measure_f64},
    .rescale = {rescale_f32, rescale_f64},
    .clamp = {clamp_f32, clamp_f64},
    .streaming = {streaming_f32, streaming_f64, elementwise_f16, elementwise_bf16},
};
