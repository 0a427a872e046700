"""NumPy as people write it: fastact's functions as one-liners and three-liners of plain NumPy.

The names, the arguments and what comes back are fastact's own, so that a network takes either
module as its back end: ``backend = fastact`` or ``backend = fastact.lab.idioms``. They are what
articles, course notes and answers to questions teach, in good faith: vectorised, dtype kept, the
maximum subtracted in softmax. Their weak tails are theirs, too, and left as they are.

The functions of the table are written from its formulas (from_table.py) when they are first asked
for, with the formulas below where people write another.

What they do not have is what the idioms never had: ``out=``, ``where=``, checks of the arguments,
and any norm but the Euclidean one in `clip_by_norm` and `clip_by_global_norm`.
"""

import math
import sys

import numpy as np

from fastact.lab.from_table import function, functions

FORMULAS = {
    "leaky_relu": "max(x, negative_slope * x)",  # for slopes up to 1
    "leaky_relu_parameter": "min(x, 0)",
    "tanh_from_output": "1 - y**2",
}


def __getattr__(name):
    if name not in functions():
        raise AttributeError(f"no idiom {name!r}")
    globals()[name] = function(name, FORMULAS, globals(), arrays=True)
    return globals()[name]


def _each(function):
    """Without SciPy this is the erf there is: a Python call an element, the slowest line here."""
    of_doubles = np.vectorize(function, otypes=[np.float64])
    return lambda x: of_doubles(x).astype(x.dtype)


erf, erfc = _each(math.erf), _each(math.erfc)


# ---------------------------------------------------------------- along an axis


def softmax(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def softmax_backward(grad, y, axis=-1):
    return y * (grad - np.sum(grad * y, axis=axis, keepdims=True))


def _function(name):
    return getattr(sys.modules[__name__], name)


def bias_activation(x, bias, activation):
    return _function(activation)(x + bias)


def bias_activation_backward(grad, x, bias, activation):
    dx = _function(f"{activation}_backward")(grad, x + bias)
    return dx, np.sum(dx, axis=tuple(range(x.ndim - 1)))


def batch_norm(x, gamma=None, beta=None, *, axis=0, eps=1e-5, activation=None):
    mean = np.mean(x, axis=axis)
    rstd = 1 / np.sqrt(np.var(x, axis=axis) + eps)
    y = _scale_and_shift(x, mean, rstd, gamma, beta, axis)
    return (y if activation is None else _function(activation)(y)), mean, rstd


def batch_norm_inference(x, mean, var, gamma=None, beta=None, *, axis=0, eps=1e-5, activation=None):
    y = _scale_and_shift(x, mean, 1 / np.sqrt(var + eps), gamma, beta, axis)
    return y if activation is None else _function(activation)(y)


def _scale_and_shift(x, mean, rstd, gamma, beta, axis):
    y = (x - np.expand_dims(mean, axis)) * np.expand_dims(rstd, axis)
    if gamma is not None:
        y = y * np.expand_dims(gamma, axis)
    if beta is not None:
        y = y + np.expand_dims(beta, axis)
    return y


def batch_norm_backward(grad, x, mean, rstd, gamma=None, *, beta=None, axis=0, activation=None):
    if activation is not None:
        y = _scale_and_shift(x, mean, rstd, gamma, beta, axis)
        grad = _function(f"{activation}_backward")(grad, y)
    n = x.size // mean.size
    mean, rstd = np.expand_dims(mean, axis), np.expand_dims(rstd, axis)
    x_hat = (x - mean) * rstd
    dbeta = np.sum(grad, axis=axis)
    dgamma = np.sum(grad * x_hat, axis=axis)
    mean_grad, mean_product = np.expand_dims(dbeta, axis) / n, np.expand_dims(dgamma, axis) / n
    dx = rstd * (grad - mean_grad - x_hat * mean_product)
    if gamma is not None:
        dx = np.expand_dims(gamma, axis) * dx
    return dx, dgamma, dbeta


# ---------------------------------------------------------------- gradients


def _leaves(grads):
    """The arrays of an array, a list, a tuple or a (nested) dict of arrays."""
    if isinstance(grads, np.ndarray):
        return [grads]
    children = grads.values() if isinstance(grads, dict) else grads
    return [leaf for child in children for leaf in _leaves(child)]


def _map(function, grads):
    """The same structure with every array replaced by what `function` makes of it."""
    if isinstance(grads, dict):
        return {key: _map(function, child) for key, child in grads.items()}
    if isinstance(grads, (list, tuple)):
        return type(grads)(_map(function, child) for child in grads)
    return function(grads)


def global_norm(grads, ord=2):
    return float(np.linalg.norm([np.linalg.norm(g.ravel(), ord) for g in _leaves(grads)], ord))


def clip_by_value(grads, min, max):
    return _map(lambda g: np.clip(g, min, max), grads)


def clip_by_norm(grads, max_norm, axis=None):
    def clip(g):
        norm = np.sqrt(np.sum(g**2, axis=axis, keepdims=True))
        return np.where(norm > max_norm, g * (max_norm / norm), g)

    return _map(clip, grads)


def clip_by_global_norm(grads, max_norm):
    norm = global_norm(grads)
    if norm > max_norm:
        grads = _map(lambda g: g * (max_norm / norm), grads)
    return grads, norm
