"""What mean-field theory says of signals on their way through a wide random network.

Poole et al. 2016 and Schoenholz et al. 2017: before each activation the values of a wide layer are
normal, of a variance q that only depends on the layer before, and what a gradient's variance is
multiplied by on the way back depends on q alone::

    q[l + 1] = s E[f(sqrt(q[l]) z)^2]      s = n_in var(w)
    g[l] = t E[f'(sqrt(q[l]) z)^2] g[l + 1]    t = n_out var(w),   z ~ N(0, 1)
"""

from collections.abc import Sequence

import numpy as np

from fastact._gaussian import gaussian_mean
from fastact.lab.choices import Activation


def forward(activation: Activation, q: float, spreads: Sequence[float]) -> list[float]:
    """The variance before each activation: `q` at the first, and after each layer of weights.

    Parameters
    ----------
    activation : Activation
    q : float
        Variance of what the first activation gets.
    spreads : sequence of float
        n_in var(w) of each layer of weights after that.
    """
    variances = [q]
    for spread in spreads:
        variances.append(spread * _mean_square(activation.function(), variances[-1]))
    return variances


def backward(
    activation: Activation, variances: Sequence[float], spreads: Sequence[float], g: float = 1.0
) -> list[float]:
    """The variance of the gradient by what each activation gets.

    Parameters
    ----------
    activation : Activation
    variances : sequence of float
        Of what each activation gets, first layer first, as `forward` gives it.
    spreads : sequence of float
        n_out var(w) of the layer of weights after each activation.
    g : float
        Variance of the gradient that the last of these layers of weights sends down.
    """
    gradients = [g]
    derivative = activation.function("derivative")
    for q, spread in zip(reversed(variances), reversed(spreads), strict=True):
        gradients.append(spread * _mean_square(derivative, q) * gradients[-1])
    return gradients[:0:-1]


def _mean_square(f, q: float) -> float:
    with np.errstate(all="ignore"):
        return gaussian_mean(lambda z: np.square(f(np.sqrt(q) * z)))
