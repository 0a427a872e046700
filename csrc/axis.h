/* The body of every axis_*.c: what works along an axis or over whole arrays, for float32 and then for float64. */

#define REAL 32
#include "real.h"
#include SIMD
#include "pair.h"
#include "vmath.h"
#include "kernel.h"
#undef REAL

#define REAL 64
#include "real.h"
#include SIMD
#include "pair.h"
#include "vmath.h"
#include "kernel.h"
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

const fastact_axis_kernels CAT(fastact_axis_kernels, ISA) = {
    .softmax = {softmax_f32, softmax_f64},
    .softmax_backward = {softmax_backward_f32, softmax_backward_f64},
    .batch_norm = {batch_norm_f32, batch_norm_f64},
    .batch_norm_inference = {batch_norm_inference_f32, batch_norm_inference_f64},
    .batch_norm_backward = {batch_norm_backward_f32, batch_norm_backward_f64},
    .bias_activation = {bias_activation_f32, bias_activation_f64},
    .measure = {measure_f32, measure_f64},
    .rescale = {rescale_f32, rescale_f64},
    .clamp = {clamp_f32, clamp_f64},
};
