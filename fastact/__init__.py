"""fastact: activation functions and the backprop kernels around them, for plain NumPy arrays.

Every activation of `fastact.ops()` is here under four names: ``NAME(x)``, ``NAME_derivative(x)``,
``NAME_backward(grad, x)`` = grad * f'(x), and ``NAME_with_derivative(x)``.
"""

from fastact import init
from fastact._activations import FUNCTIONS as _FUNCTIONS
from fastact._activations import Op, ops
from fastact._call import ParametricUfunc
from fastact._config import get_config, get_isa, isa, isas, last_isa, set_isa, show_config
from fastact._parametric import Parameter
from fastact._softmax import (
    log_softmax,
    log_softmax_backward,
    logsumexp,
    logsumexp_backward,
    softmax,
    softmax_backward,
    softmin,
    softmin_backward,
    sparsemax,
    sparsemax_backward,
)
from fastact._threads import get_num_threads, set_num_threads, threads
from fastact.cells import gru_cell, gru_cell_backward, lstm_cell, lstm_cell_backward
from fastact.clipping import (
    adaptive_clip,
    clip_by_block_rms,
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
    clip_per_example,
    global_norm,
)
from fastact.conditioning import centralize_gradients, normalize_gradients, zero_nonfinite
from fastact.diagnostics import GradientMonitor, GradientReport, gradient_report
from fastact.fused import bias_activation, bias_activation_backward
from fastact.losses import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_with_gradient,
    cross_entropy,
    cross_entropy_with_gradient,
)
from fastact.normalization import (
    batch_norm,
    batch_norm_backward,
    batch_norm_inference,
    update_running_stats,
)
from fastact.sample_normalization import (
    group_norm,
    group_norm_backward,
    instance_norm,
    instance_norm_backward,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)

globals().update(_FUNCTIONS)

__all__ = [
    "GradientMonitor",
    "GradientReport",
    "Op",
    "Parameter",
    "ParametricUfunc",
    "adaptive_clip",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_inference",
    "bias_activation",
    "bias_activation_backward",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_with_gradient",
    "centralize_gradients",
    "clip_by_block_rms",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "clip_per_example",
    "cross_entropy",
    "cross_entropy_with_gradient",
    "get_config",
    "get_isa",
    "get_num_threads",
    "global_norm",
    "gradient_report",
    "group_norm",
    "group_norm_backward",
    "gru_cell",
    "gru_cell_backward",
    "init",
    "instance_norm",
    "instance_norm_backward",
    "isa",
    "isas",
    "last_isa",
    "layer_norm",
    "layer_norm_backward",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "logsumexp_backward",
    "lstm_cell",
    "lstm_cell_backward",
    "normalize_gradients",
    "ops",
    "rms_norm",
    "rms_norm_backward",
    "set_isa",
    "set_num_threads",
    "show_config",
    "softmax",
    "softmax_backward",
    "softmin",
    "softmin_backward",
    "sparsemax",
    "sparsemax_backward",
    "threads",
    "update_running_stats",
    "zero_nonfinite",
    *_FUNCTIONS,
]
