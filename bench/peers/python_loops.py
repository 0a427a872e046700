"""Pure Python: the `math` module and one float at a time, over lists.

The same names and arguments as fastact's, with lists in place of arrays; what a script without
NumPy would do, and the baseline at small sizes, where a call costs more than its arithmetic. The
functions of the table are written from its formulas when they are first asked for.
"""

import math
from functools import partial
from operator import mul

import numpy as np

from fastact.lab.from_table import function, functions

LARGEST = 100  # a loop a thousand times slower than the array code says nothing at 1 M


def calls(cell, arguments, out):
    if cell.size > LARGEST or cell.keywords:
        return {}
    return {"": partial(_find(cell.function), *map(_lists, arguments))}


def _lists(argument):
    """Arrays as the (nested) lists of floats that a script without NumPy would hold."""
    if isinstance(argument, list):
        return [_lists(item) for item in argument]
    return argument.tolist() if isinstance(argument, np.ndarray) else argument


def _find(name):
    if name not in functions():
        return globals()[name]
    made = function(name, {}, vars(math), arrays=False)
    return _loop(made, functions()[name][0].kind == "parameter_gradient")


def _loop(of_floats, is_sum):
    """A function of floats over lists of them; a list for each of its results."""

    def over_lists(*arguments):
        results = list(map(of_floats, *arguments))
        if is_sum:
            return sum(results)
        return tuple(zip(*results, strict=True)) if isinstance(results[0], tuple) else results

    return over_lists


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
