"""Pure Python: the `math` module and one float at a time, over lists.

The same names and arguments as fastact's, with lists in place of arrays; what a script without
NumPy would do, and the baseline at small sizes, where a call costs more than its arithmetic.
"""

import math
from operator import mul

from fastact.lab.idioms import SELU_ALPHA, SELU_SCALE


def _loops(f, df):
    """The four forms over lists, of a function and its derivative of one float."""

    def forward(x):
        return [f(v) for v in x]

    def derivative(x):
        return [df(v) for v in x]

    def backward(grad, x):
        return [g * df(v) for g, v in zip(grad, x, strict=True)]

    def with_derivative(x):
        return forward(x), derivative(x)

    return forward, derivative, backward, with_derivative


def _sigmoid(x):
    return 1 / (1 + math.exp(-x))


def _softplus(x):
    return math.log1p(math.exp(x))


def _silu_derivative(x):
    s = _sigmoid(x)
    return s * (1 + x * (1 - s))


def _mish_derivative(x):
    t = math.tanh(_softplus(x))
    return t + x * (1 - t * t) * _sigmoid(x)


def _normal_cdf(x):
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def _gelu_tanh_inner(x):
    return math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def _gelu_tanh_derivative(x):
    t = _gelu_tanh_inner(x)
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope


def sigmoid_from_output(y):
    return [v * (1 - v) for v in y]


def tanh_from_output(y):
    return [1 - v * v for v in y]


relu, relu_derivative, relu_backward, relu_with_derivative = _loops(
    lambda x: x if x > 0 else 0.0, lambda x: 1.0 if x > 0 else 0.0
)
leaky_relu, leaky_relu_derivative, leaky_relu_backward, leaky_relu_with_derivative = _loops(
    lambda x: x if x > 0 else 0.01 * x, lambda x: 1.0 if x > 0 else 0.01
)
elu, elu_derivative, elu_backward, elu_with_derivative = _loops(
    lambda x: x if x > 0 else math.exp(x) - 1, lambda x: 1.0 if x > 0 else math.exp(x)
)
selu, selu_derivative, selu_backward, selu_with_derivative = _loops(
    lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * (math.exp(x) - 1)),
    lambda x: SELU_SCALE * (1 if x > 0 else SELU_ALPHA * math.exp(x)),
)
sigmoid, sigmoid_derivative, sigmoid_backward, sigmoid_with_derivative = _loops(
    _sigmoid, lambda x: _sigmoid(x) * (1 - _sigmoid(x))
)
tanh, tanh_derivative, tanh_backward, tanh_with_derivative = _loops(
    math.tanh, lambda x: 1 - math.tanh(x) ** 2
)
gelu, gelu_derivative, gelu_backward, gelu_with_derivative = _loops(
    lambda x: x * _normal_cdf(x),
    lambda x: _normal_cdf(x) + x * math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
)
gelu_tanh, gelu_tanh_derivative, gelu_tanh_backward, gelu_tanh_with_derivative = _loops(
    lambda x: 0.5 * x * (1 + _gelu_tanh_inner(x)), _gelu_tanh_derivative
)
silu, silu_derivative, silu_backward, silu_with_derivative = _loops(
    lambda x: x * _sigmoid(x), _silu_derivative
)
softplus, softplus_derivative, softplus_backward, softplus_with_derivative = _loops(
    _softplus, _sigmoid
)
log_sigmoid, log_sigmoid_derivative, log_sigmoid_backward, log_sigmoid_with_derivative = _loops(
    lambda x: -_softplus(-x), lambda x: _sigmoid(-x)
)
mish, mish_derivative, mish_backward, mish_with_derivative = _loops(
    lambda x: x * math.tanh(_softplus(x)), _mish_derivative
)


# ---------------------------------------------------------------- along an axis, rows of floats


def softmax(x):
    rows = []
    for row in x:
        largest = max(row)
        exponentials = [math.exp(v - largest) for v in row]
        total = sum(exponentials)
        rows.append([e / total for e in exponentials])
    return rows


def softmax_backward(grad, y):
    rows = []
    for g_row, y_row in zip(grad, y, strict=True):
        product = sum(map(mul, g_row, y_row))
        rows.append([y_value * (g - product) for g, y_value in zip(g_row, y_row, strict=True)])
    return rows


def batch_norm(x, gamma, beta, eps=1e-5):
    columns = list(zip(*x, strict=True))
    mean = [sum(column) / len(column) for column in columns]
    var = [
        sum((v - m) ** 2 for v in column) / len(column)
        for column, m in zip(columns, mean, strict=True)
    ]
    rstd = [1 / math.sqrt(v + eps) for v in var]
    return _scale_and_shift(x, mean, rstd, gamma, beta), mean, rstd


def batch_norm_inference(x, mean, var, gamma, beta, eps=1e-5):
    return _scale_and_shift(x, mean, [1 / math.sqrt(v + eps) for v in var], gamma, beta)


def _scale_and_shift(x, mean, rstd, gamma, beta):
    channels = list(zip(mean, rstd, gamma, beta, strict=True))
    return [
        [(v - m) * r * g + b for v, (m, r, g, b) in zip(row, channels, strict=True)] for row in x
    ]


def batch_norm_backward(grad, x, mean, rstd, gamma):
    n, dx, dgamma, dbeta = len(x), [], [], []
    columns = zip(zip(*grad, strict=True), zip(*x, strict=True), mean, rstd, gamma, strict=True)
    for grad_column, x_column, m, r, scale in columns:
        x_hat = [(v - m) * r for v in x_column]
        dbeta.append(sum(grad_column))
        dgamma.append(sum(map(mul, grad_column, x_hat)))
        dx.append(
            [
                scale * r * (g - dbeta[-1] / n - v * dgamma[-1] / n)
                for g, v in zip(grad_column, x_hat, strict=True)
            ]
        )
    return [list(row) for row in zip(*dx, strict=True)], dgamma, dbeta


# ---------------------------------------------------------------- gradients, a list of lists


def global_norm(grads):
    return math.sqrt(sum(v * v for g in grads for v in g))


def clip_by_value(grads, low, high):
    return [[min(max(v, low), high) for v in g] for g in grads]


def clip_by_norm(grads, max_norm):
    return [_shrink(g, max_norm, global_norm([g])) for g in grads]


def clip_by_global_norm(grads, max_norm):
    norm = global_norm(grads)
    return [_shrink(g, max_norm, norm) for g in grads], norm


def _shrink(g, max_norm, norm):
    return [v * (max_norm / norm) for v in g] if norm > max_norm else g
