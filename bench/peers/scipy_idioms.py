"""What those who have SciPy write instead, where it has a primitive for it.

The functions of the table are written when they are first asked for, as in `fastact.lab.idioms`.
"""

import math
from functools import cache, partial
from inspect import unwrap

import numpy as np
from scipy import special

from fastact.lab.from_table import function, functions

FORMULAS = {"sigmoid": "expit(x)", "log_sigmoid": "log_expit(x)", "logit": "log_odds(x)"}
PRIMITIVES = {
    "expit": special.expit,
    "log_expit": special.log_expit,
    "log_odds": special.logit,
    "erf": special.erf,
    "erfc": special.erfc,
}
if hasattr(special, "softplus"):
    FORMULAS["softplus"] = "log1p_exp(beta * x) / beta"
    PRIMITIVES["log1p_exp"] = special.softplus
UFUNCS = {
    "sigmoid": special.expit,
    "log_sigmoid": special.log_expit,
    "logit": special.logit,
    "erf": special.erf,
    "erfc": special.erfc,
    "expm1": special.expm1,
    "log1p": special.log1p,
}


def calls(cell, arguments, out):
    idiom = find(cell.function)
    made = {"": partial(idiom, *arguments, **cell.keywords)} if idiom else {}
    if cell.function in UFUNCS:
        made[" out="] = partial(idiom, *arguments, out=out)
    return made


@cache
def find(name):
    """A function by fastact's name, or None where SciPy has nothing for it."""
    if name in UFUNCS or name in WRITTEN:
        return UFUNCS.get(name) or WRITTEN[name]
    if name in functions():
        made = function(name, FORMULAS, {"np": np, **PRIMITIVES}, arrays=True)
        if not PRIMITIVES.keys().isdisjoint(unwrap(made).__code__.co_names):
            return made
    return None


def softmax(x, axis=-1):
    return special.softmax(x, axis=axis)


def gelu(x):
    return x * special.ndtr(x)


def gelu_derivative(x):
    return special.ndtr(x) + x * np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)


def gelu_backward(grad, x):
    return grad * gelu_derivative(x)


def gelu_with_derivative(x):
    cdf = special.ndtr(x)
    return x * cdf, cdf + x * np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)


WRITTEN = {
    f.__name__: f for f in (softmax, gelu, gelu_derivative, gelu_backward, gelu_with_derivative)
}
