/* The body of every axis_*.c: what works along an axis or over whole arrays, for float32 and then for float64. */

#define REAL 32
#include "real.h"
#include SIMD
#include "pair.h"
#include "vmath.h"
#include "stream.h"
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
#include "lines.h"
#include "exp_sum.h"
#include "softmax.h"
#include "moments.h"
#include "affine.h"
#include "norm.h"
#include "norm_backward.h"
#include "bias.h"
#include "cross_entropy.h"
#include "binary_cross_entropy.h"
#include "clip.h"
#include "activations.h"
#include "cell.h"
#include "census.h"
#undef REAL

#define REAL 64
#include "real.h"
#include "wide_sums.h"
#include "activate.h"
#include "lines.h"
#include "exp_sum.h"
#include "softmax.h"
#include "moments.h"
#include "affine.h"
#include "norm.h"
#include "norm_backward.h"
#include "bias.h"
#include "cross_entropy.h"
#include "binary_cross_entropy.h"
#include "clip.h"
#include "activations.h"
#include "cell.h"
#include "census.h"
#undef REAL

const fastact_axis_kernels CAT(fastact_axis_kernels, ISA) = {
    .along = {[FASTACT_SOFTMAX] = {softmax_f32, softmax_f64},
              [FASTACT_SOFTMAX_BACKWARD] = {softmax_backward_f32, softmax_backward_f64},
              [FASTACT_LOG_SOFTMAX] = {log_softmax_f32, log_softmax_f64},
              [FASTACT_LOG_SOFTMAX_BACKWARD] = {log_softmax_backward_f32, log_softmax_backward_f64},
              [FASTACT_LOGSUMEXP] = {logsumexp_f32, logsumexp_f64},
              [FASTACT_SPARSEMAX] = {sparsemax_f32, sparsemax_f64},
              [FASTACT_SPARSEMAX_BACKWARD] = {sparsemax_backward_f32, sparsemax_backward_f64}},
    .normalize = {normalize_f32, normalize_f64},
    .normalize_inference = {normalize_inference_f32, normalize_inference_f64},
    .normalize_backward = {normalize_backward_f32, normalize_backward_f64},
    .bias_activation = {bias_activation_f32, bias_activation_f64},
    .cross_entropy = {cross_entropy_f32, cross_entropy_f64},
    .binary_cross_entropy = {binary_cross_entropy_f32, binary_cross_entropy_f64},
    .measure = {measure_f32, measure_f64},
    .change = {change_channels_f32, change_channels_f64},
    .clamp = {clamp_f32, clamp_f64},
    .cell = {[FASTACT_LSTM] = {lstm_f32, lstm_f64},
             [FASTACT_LSTM_INFERENCE] = {lstm_inference_f32, lstm_inference_f64},
             [FASTACT_LSTM_BACKWARD] = {lstm_backward_f32, lstm_backward_f64},
             [FASTACT_GRU] = {gru_f32, gru_f64},
             [FASTACT_GRU_INFERENCE] = {gru_inference_f32, gru_inference_f64},
             [FASTACT_GRU_BACKWARD] = {gru_backward_f32, gru_backward_f64}},
    .census = {census_f32, census_f64},
};
