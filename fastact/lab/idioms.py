"""NumPy as people write it: fastact's functions as one-liners and three-liners of plain NumPy.

The names, the arguments and what comes back are fastact's own, so that a network takes either
module as its back end: ``backend = fastact`` or ``backend = fastact.lab.idioms``. They are what
articles, course notes and answers to questions teach, in good faith: vectorised, dtype kept, the
maximum subtracted in softmax. Their weak tails are theirs, too, and left as they are.

What they do not have is what the idioms never had: ``out=``, ``where=``, checks of the arguments,
and any norm but the Euclidean one in `clip_by_norm` and `clip_by_global_norm`.
"""

import math

import numpy as np

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772

# Without SciPy this is the erf there is: a Python call an element, and the slowest line here.
_erf_of_doubles = np.vectorize(math.erf, otypes=[np.float64])


def erf(x):
    return _erf_of_doubles(x).astype(x.dtype)


def forms(function, derivative):
    """The backward pass and the with_derivative form, which everyone writes the same way."""

    def backward(grad, x, *parameters, **keywords):
        return grad * derivative(x, *parameters, **keywords)

    def with_derivative(x, *parameters, **keywords):
        return function(x, *parameters, **keywords), derivative(x, *parameters, **keywords)

    backward.__name__ = f"{function.__name__}_backward"
    with_derivative.__name__ = f"{function.__name__}_with_derivative"
    return backward, with_derivative


# ---------------------------------------------------------------- activations


def relu(x):
    return np.maximum(x, 0)


def relu_derivative(x):
    return (x > 0).astype(x.dtype)


relu_backward, relu_with_derivative = forms(relu, relu_derivative)


def leaky_relu(x, negative_slope=0.01):
    return np.maximum(x, negative_slope * x)


def leaky_relu_derivative(x, negative_slope=0.01):
    return np.where(x > 0, 1, negative_slope).astype(x.dtype)


leaky_relu_backward, leaky_relu_with_derivative = forms(leaky_relu, leaky_relu_derivative)


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(x) - 1))


def elu_derivative(x, alpha=1.0):
    return np.where(x > 0, 1, alpha * np.exp(x))


elu_backward, elu_with_derivative = forms(elu, elu_derivative)


def selu(x):
    return SELU_SCALE * elu(x, SELU_ALPHA)


def selu_derivative(x):
    return SELU_SCALE * elu_derivative(x, SELU_ALPHA)


selu_backward, selu_with_derivative = forms(selu, selu_derivative)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sigmoid_derivative(x):
    return sigmoid_from_output(sigmoid(x))


def sigmoid_from_output(y):
    return y * (1 - y)


sigmoid_backward, sigmoid_with_derivative = forms(sigmoid, sigmoid_derivative)


def tanh(x):
    return np.tanh(x)


def tanh_derivative(x):
    return tanh_from_output(np.tanh(x))


def tanh_from_output(y):
    return 1 - y**2


tanh_backward, tanh_with_derivative = forms(tanh, tanh_derivative)


def gelu(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def gelu_derivative(x):
    cdf = 0.5 * (1 + erf(x / math.sqrt(2)))
    return cdf + x * np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)


gelu_backward, gelu_with_derivative = forms(gelu, gelu_derivative)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def gelu_tanh_derivative(x):
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * slope


gelu_tanh_backward, gelu_tanh_with_derivative = forms(gelu_tanh, gelu_tanh_derivative)


def silu(x):
    return x * sigmoid(x)


def silu_derivative(x):
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


silu_backward, silu_with_derivative = forms(silu, silu_derivative)


def softplus(x, beta=1.0):
    return np.log1p(np.exp(beta * x)) / beta


def softplus_derivative(x, beta=1.0):
    return sigmoid(beta * x)


softplus_backward, softplus_with_derivative = forms(softplus, softplus_derivative)


def log_sigmoid(x):
    return -np.log1p(np.exp(-x))


def log_sigmoid_derivative(x):
    return 1 - sigmoid(x)


log_sigmoid_backward, log_sigmoid_with_derivative = forms(log_sigmoid, log_sigmoid_derivative)


def mish(x):
    return x * np.tanh(softplus(x))


def mish_derivative(x):
    t = np.tanh(softplus(x))
    return t + x * (1 - t**2) * sigmoid(x)


mish_backward, mish_with_derivative = forms(mish, mish_derivative)


# ---------------------------------------------------------------- along an axis


def softmax(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def softmax_backward(grad, y, axis=-1):
    return y * (grad - np.sum(grad * y, axis=axis, keepdims=True))


def batch_norm(x, gamma=None, beta=None, *, axis=0, eps=1e-5):
    mean = np.mean(x, axis=axis)
    rstd = 1 / np.sqrt(np.var(x, axis=axis) + eps)
    return _scale_and_shift(x, mean, rstd, gamma, beta, axis), mean, rstd


def batch_norm_inference(x, mean, var, gamma=None, beta=None, *, axis=0, eps=1e-5):
    return _scale_and_shift(x, mean, 1 / np.sqrt(var + eps), gamma, beta, axis)


def _scale_and_shift(x, mean, rstd, gamma, beta, axis):
    y = (x - np.expand_dims(mean, axis)) * np.expand_dims(rstd, axis)
    if gamma is not None:
        y = y * np.expand_dims(gamma, axis)
    if beta is not None:
        y = y + np.expand_dims(beta, axis)
    return y


def batch_norm_backward(grad, x, mean, rstd, gamma=None, *, axis=0):
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
