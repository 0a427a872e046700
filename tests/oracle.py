"""What every activation must return, to more digits than any kernel has.

Two independent references an op, under the op's name in `ORACLES`:

* `exact(name, x, *params)` -> (f, f') as mpmath numbers, good to 100 bits and more, the derivative
  by mpmath's own numerical differentiation of f, never by a second hand formula;
* `Oracle.bulk(x, *params)` -> (f, f') in float64 for millions of float32 inputs, from hand formulas
  chosen for the tails; `test_oracle.py` holds them to `exact`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mpmath import mp
from scipy import special

INFINITY = 1e100  # stands in for inf inside `bulk`: far beyond float32, yet its cube is finite


@dataclass(frozen=True)
class Oracle:
    """One activation: `branch(x, *params)` is the smooth mpmath function that f is around x."""

    branch: Callable
    bulk: Callable
    parameters: tuple[tuple[float, ...], ...] = ()  # parameter sets to test beside the default


ORACLES: dict[str, Oracle] = {}


def exact(name, x, *params):
    """f(x) and f'(x) of activation `name`, at a precision that grows until f' keeps its digits."""
    x, params = mp.convert(x), [mp.convert(p) for p in params]
    f = ORACLES[name].branch(x, *params)
    bits = 200 + max(0, int(mp.mag(x)) if x else 0)  # x + h must differ from x
    with mp.workprec(bits):
        slope = mp.diff(f, x)
        value = f(x)
        cancelled = mp.mag(value) - mp.mag(slope) if value and slope else mp.inf
    if cancelled > 60:  # f is nearly flat: a difference of f needs the digits f' lost
        with mp.workprec(bits + 1300):
            slope = mp.diff(f, x)
    return value, slope


def limit(name, sign, *params):
    """(f, f') at sign * inf as floats: taken so far out that float64 sees the limit itself."""
    value, slope = exact(name, sign * mp.mpf(2) ** 1100, *params)
    return float(value), float(slope)


def smooth(f):
    """The branch of an activation that is one formula everywhere."""
    return lambda x, *params: lambda t: f(t, *params)


def oracle(name, branch, parameters=()):
    """Register the decorated bulk function and its mpmath `branch` under `name`."""

    def register(bulk):
        def guarded(x, *params):
            with np.errstate(all="ignore"):
                return bulk(np.clip(np.asarray(x, np.float64), -INFINITY, INFINITY), *params)

        ORACLES[name] = Oracle(branch, guarded, parameters)
        return bulk

    return register


# Piecewise activations. At a kink the branch is the one PyTorch differentiates.


@oracle("relu", lambda x: (lambda t: t) if x > 0 else (lambda t: mp.zero))
def relu(x):
    return np.where(np.isnan(x), x, np.maximum(x, 0)), np.where(np.isnan(x), x, x > 0)


def leaky_relu_branch(x, negative_slope):
    return (lambda t: t) if x > 0 else (lambda t: negative_slope * t)


@oracle("leaky_relu", leaky_relu_branch, ((0.2,), (1.5,), (-0.5,)))
def leaky_relu(x, negative_slope):
    slope = np.where(x > 0, 1.0, negative_slope)
    return slope * x, np.where(np.isnan(x), x, slope)


def elu_branch(x, alpha):
    return (lambda t: t) if x > 0 else (lambda t: alpha * mp.expm1(t))


@oracle("elu", elu_branch, ((1.7,), (-0.3,)))
def elu(x, alpha):
    negative = np.minimum(x, 0)
    positive = x > 0
    return (
        np.where(positive, x, alpha * np.expm1(negative)),
        np.where(positive, 1.0, alpha * np.exp(negative)),
    )


def selu_constants():
    """scale and alpha for mean 0 and variance 1, in closed form (Klambauer et al. 2017).

    PyTorch's 32-digit decimals are these numbers.
    """
    a, b = mp.erfc(1 / mp.sqrt(2)), mp.erfc(mp.sqrt(2))
    alpha = -mp.sqrt(2 / mp.pi) / (a * mp.sqrt(mp.e) - 1)
    variance = 2 * b * mp.e**2 + mp.pi * a**2 * mp.e - 2 * (2 + mp.pi) * a * mp.sqrt(mp.e)
    scale = (1 - a * mp.sqrt(mp.e)) * mp.sqrt(2 * mp.pi) / mp.sqrt(variance + mp.pi + 2)
    return scale, alpha


with mp.workprec(3400):  # the most `exact` ever works in
    SCALE, ALPHA = selu_constants()


def selu_branch(x):
    return (lambda t: SCALE * t) if x > 0 else (lambda t: SCALE * ALPHA * mp.expm1(t))


@oracle("selu", selu_branch)
def selu(x):
    f, slope = elu(x, float(ALPHA))
    return float(SCALE) * f, float(SCALE) * slope


# Smooth activations.


@oracle("sigmoid", smooth(lambda x: 1 / (1 + mp.exp(-x))))
def sigmoid(x):
    return special.expit(x), special.expit(x) * special.expit(-x)


@oracle("tanh", smooth(mp.tanh))
def tanh(x):
    return np.tanh(x), 4 * special.expit(2 * x) * special.expit(-2 * x)


@oracle("gelu", smooth(lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2))
def gelu(x):
    # Left of 0, Phi = bell * erfcx / 2 keeps its digits where erfc's argument would lose them.
    z = x / np.sqrt(2)
    bell = np.exp(-x * x / 2)
    left = special.erfcx(np.maximum(-z, 0)) / 2 + x / np.sqrt(2 * np.pi)
    phi = np.where(x < 0, bell * special.erfcx(np.maximum(-z, 0)) / 2, special.erfc(-z) / 2)
    return x * phi, np.where(x < 0, bell * left, phi + x * bell / np.sqrt(2 * np.pi))


def gelu_tanh_exact(x):
    u = mp.sqrt(2 / mp.pi) * (x + mp.mpf(44715) / 10**6 * x**3)
    return x / (1 + mp.exp(-2 * u))  # (1 + tanh u) / 2, without its cancellation


@oracle("gelu_tanh", smooth(gelu_tanh_exact))
def gelu_tanh(x):
    u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    du = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    s = special.expit(2 * u)
    return x * s, s * (1 + 2 * x * du * special.expit(-2 * u))


@oracle("silu", smooth(lambda x: x / (1 + mp.exp(-x))))
def silu(x):
    s = special.expit(x)
    return x * s, s * (1 + x * special.expit(-x))


def softplus_exact(x, beta):
    return mp.log1p(mp.exp(beta * x)) / beta


@oracle("softplus", smooth(softplus_exact), ((2.7,), (0.3,), (-1.3,)))
def softplus(x, beta):
    z = beta * x
    return (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / beta, special.expit(z)


@oracle("log_sigmoid", smooth(lambda x: -mp.log1p(mp.exp(-x))))
def log_sigmoid(x):
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))), special.expit(-x)


@oracle("mish", smooth(lambda x: x * mp.tanh(mp.log1p(mp.exp(x)))))
def mish(x):
    # tanh(softplus x) = n(n+2) / (n(n+2) + 2) with n = e^x; right of 0, the same in m = e^-x.
    m = np.exp(-np.abs(x))
    left = m * (m + 2) + 2
    right = 1 + 2 * m + 2 * m * m
    t = np.where(x < 0, m * (m + 2) / left, (1 + 2 * m) / right)
    slope_left = m * ((m + 2) * left + 4 * x * (1 + m)) / left**2
    slope_right = t + 4 * x * m * m * (1 + m) / right**2
    return x * t, np.where(x < 0, slope_left, slope_right)


# Derivatives from the output y: exact already as written, so one function serves both references.
FROM_OUTPUT = {
    "sigmoid_from_output": lambda y: y * (1 - y),
    "tanh_from_output": lambda y: (1 - y) * (1 + y),
}
