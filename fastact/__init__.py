"""fastact: activation functions and the backprop kernels around them, for plain NumPy arrays.

Every activation of `fastact.ops()` is here under four names: ``NAME(x)``, ``NAME_derivative(x)``,
``NAME_backward(grad, x)`` = grad * f'(x), and ``NAME_with_derivative(x)``.
"""

from fastact._activations import FUNCTIONS as _FUNCTIONS
from fastact._activations import Op, ops
from fastact._config import get_config, get_isa, isa, isas, last_isa, set_isa, show_config
from fastact._parametric import Parameter, ParametricUfunc

globals().update(_FUNCTIONS)

__all__ = [
    "Op",
    "Parameter",
    "ParametricUfunc",
    "get_config",
    "get_isa",
    "isa",
    "isas",
    "last_isa",
    "ops",
    "set_isa",
    "show_config",
    *_FUNCTIONS,
]
