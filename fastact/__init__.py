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
from fastact._softmax import softmax, softmax_backward
from fastact._threads import get_num_threads, set_num_threads, threads
from fastact.clipping import clip_by_global_norm, clip_by_norm, clip_by_value, global_norm
from fastact.fused import bias_activation, bias_activation_backward
from fastact.normalization import batch_norm, batch_norm_backward, batch_norm_inference

globals().update(_FUNCTIONS)

__all__ = [
    "Op",
    "Parameter",
    "ParametricUfunc",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_inference",
    "bias_activation",
    "bias_activation_backward",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "get_config",
    "get_isa",
    "get_num_threads",
    "global_norm",
    "init",
    "isa",
    "isas",
    "last_isa",
    "ops",
    "set_isa",
    "set_num_threads",
    "show_config",
    "softmax",
    "softmax_backward",
    "threads",
    *_FUNCTIONS,
]
