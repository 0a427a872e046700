"""Batch normalisation: forward, backward and inference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import ArrayLike, NDArray

from fastact import _axis
from fastact._chosen import Activation, chosen
from fastact._layout import Layout, layout_of, real

__all__ = ["batch_norm", "batch_norm_backward", "batch_norm_inference"]

Axis = int | Sequence[int]


def _layout(x: NDArray[Any], axis: Axis) -> Layout:
    """How the kernels see x where statistics are taken over `axis`."""
    if axis is None:
        raise TypeError("axis must be an int or a tuple of int, not None")
    reduced = normalize_axis_tuple(axis, x.ndim, "axis")
    if not reduced:
        raise ValueError("axis must name at least one axis to reduce")
    if math.prod(x.shape[a] for a in reduced) == 0:
        raise ValueError(f"axis {axis} has no elements to reduce: x has shape {x.shape}")
    return layout_of(x, tuple(a for a in range(x.ndim) if a not in reduced))


def _check_eps(eps: float) -> float:
    eps = float(eps)
    if not 0 < eps < math.inf:
        raise ValueError(f"eps must be positive and finite, not {eps}")
    return eps


def batch_norm(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    *,
    axis: Axis = 0,
    eps: float = 1e-5,
    activation: Activation | None = None,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Normalise each channel to mean 0 and variance 1 over a batch, then scale and shift it.

    Parameters
    ----------
    x : array_like of float32 or float64
        The batch. Integers become float64 (small ones float32).
    gamma, beta : array_like, optional
        Scale and shift, of the shape of the kept axes; 1 and 0 where not given.
    axis : int or tuple of int, default 0
        What is reduced, as in `numpy.mean`: 0 for (N, C), (0, 2, 3) for NCHW, (0, 1, 2) for NHWC.
    eps : float, default 1e-5
        Added to the variance; positive.
    activation : str, callable or None
        What is applied to y, in the same pass; as in `bias_activation`.
    out : ndarray, optional
        Where to put y; of the shape and dtype of `x`, and may be `x`.

    Returns
    -------
    y : ndarray
        Of the shape and dtype of `x`; f(y) where there is an `activation`.
    mean, rstd : ndarray
        Of the shape of the kept axes, for `batch_norm_backward`.

    Raises
    ------
    TypeError
        For complex, object and float16 input, and for what is no `activation`.
    ValueError
        If `axis` is out of range (`numpy.exceptions.AxisError`), repeated or empty, if `eps` is not
        positive, or if a shape does not fit. Nothing has been written then.

    Notes
    -----
    y = gamma (x - mean) rstd + beta, rstd = 1 / sqrt(var + eps), with the biased variance
    var = mean of (x - mean)^2, in two passes that lose no digits where the mean is large. float32
    is computed in float64 throughout, float64 in pairs of float64: y is within 4 ULP. The square of
    a deviation must not overflow float64.

    x is read where it lies if it has no gaps and the kept axes lie together in memory, and copied
    first if not. y is rounded to the dtype before an activation is applied: the bits are those of
    two steps. A channel that holds NaN or infinity is NaN. No floating-point warnings.

    Source: Ioffe and Szegedy 2015, "Batch Normalization".

    Examples
    --------
    >>> import numpy as np, fastact
    >>> y, mean, rstd = fastact.batch_norm(np.array([[1.0, 10.0], [3.0, 30.0]]), eps=1e-12)
    >>> y.round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> mean, rstd.round(3)
    (array([ 2., 20.]), array([1. , 0.1]))
    """
    x = real("x", x)
    layout = _layout(x, axis)
    gamma = layout.optional("gamma", gamma, x.dtype)
    beta = layout.optional("beta", beta, x.dtype)
    eps, f = _check_eps(eps), chosen(activation)
    y = layout.destination(x, out)
    mean, rstd = np.empty(layout.channels, x.dtype), np.empty(layout.channels, x.dtype)
    _axis.batch_norm(
        "forward", layout.shape, layout.read(x), y, mean, rstd, f, gamma=gamma, beta=beta, eps=eps
    )
    return layout.deliver(y, out), mean, rstd


def batch_norm_inference(
    x: ArrayLike,
    mean: ArrayLike,
    var: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    *,
    axis: Axis = 0,
    eps: float = 1e-5,
    activation: Activation | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Normalise with statistics that were gathered before, as a trained network does.

    Parameters
    ----------
    x : array_like of float32 or float64
        The batch.
    mean, var : array_like
        Of the shape of the kept axes; no variance may be negative.
    gamma, beta : array_like, optional
        Scale and shift, of the shape of the kept axes; 1 and 0 where not given.
    axis : int or tuple of int, default 0
        What the statistics were taken over, as in `batch_norm`.
    eps : float, default 1e-5
        Added to the variance; positive.
    activation : str, callable or None
        What is applied to y, in the same pass; as in `bias_activation`.
    out : ndarray, optional
        Where to put y; of the shape and dtype of `x`, and may be `x`.

    Returns
    -------
    ndarray
        y = gamma (x - mean) / sqrt(var + eps) + beta, or f(y), of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        As `batch_norm`, and if a variance is negative.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.batch_norm_inference(np.array([[1.0], [3.0]]), [2.0], [4.0], eps=1e-12)
    array([[-0.5],
           [ 0.5]])
    """
    x = real("x", x)
    layout = _layout(x, axis)
    mean, var = layout.per_channel("mean", mean, x.dtype), layout.per_channel("var", var, x.dtype)
    gamma = layout.optional("gamma", gamma, x.dtype)
    beta = layout.optional("beta", beta, x.dtype)
    if (var < 0).any():
        raise ValueError("var must not be negative")
    eps, f = _check_eps(eps), chosen(activation)
    y = layout.destination(x, out)
    _axis.batch_norm(
        "inference", layout.shape, layout.read(x), y, mean, var, f, gamma=gamma, beta=beta, eps=eps
    )
    return layout.deliver(y, out)


def batch_norm_backward(
    grad: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    gamma: ArrayLike | None = None,
    *,
    beta: ArrayLike | None = None,
    axis: Axis = 0,
    activation: Activation | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Gradients of `batch_norm` with respect to x, gamma and beta.

    Parameters
    ----------
    grad : array_like of float32 or float64
        Gradient with respect to what it returned, of the shape of `x`.
    x : array_like of float32 or float64
        What `batch_norm` was given.
    mean, rstd : array_like
        What it returned.
    gamma, beta : array_like, optional
        What it was given; beta matters to an activation only.
    axis : int or tuple of int, default 0
        What it was given.
    activation : str, callable or None
        What it was given.

    Returns
    -------
    dx : ndarray
        Of the shape and dtype of `x`.
    dgamma, dbeta : ndarray
        Of the shape of the kept axes.

    Raises
    ------
    TypeError, ValueError
        As `batch_norm`.

    Notes
    -----
    With n elements a channel and xhat = (x - mean) rstd: dbeta = sum grad, dgamma = sum grad xhat,
    dx = gamma rstd (grad - dbeta / n - xhat dgamma / n).

    With an activation grad stands for grad * f'(gamma xhat + beta), which is computed first, and
    rounded to the dtype; where two calls are wanted, that is ``f_backward(grad, y)`` with the y of
    `batch_norm_inference` or of a `batch_norm` without activation.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x = np.array([[1.0], [3.0], [8.0]])
    >>> y, mean, rstd = fastact.batch_norm(x)
    >>> grad = np.array([[1.0], [0.0], [0.0]])
    >>> dx, dgamma, dbeta = fastact.batch_norm_backward(grad, x, mean, rstd)
    >>> dbeta, bool(abs(dx.sum()) < 1e-15)
    (array([1.]), True)
    """
    x, grad = real("x", x), real("grad", grad)
    layout = _layout(x, axis)
    grad = layout.alike("grad", grad, x)
    mean, rstd = (
        layout.per_channel("mean", mean, x.dtype),
        layout.per_channel("rstd", rstd, x.dtype),
    )
    gamma = layout.optional("gamma", gamma, x.dtype)
    beta = layout.optional("beta", beta, x.dtype)
    f = chosen(activation)
    dx = layout.new(x)
    dgamma, dbeta = np.empty(layout.channels, x.dtype), np.empty(layout.channels, x.dtype)
    _axis.batch_norm(
        "backward",
        layout.shape,
        layout.read(x),
        dx,
        mean,
        rstd,
        f,
        grad=layout.read(grad),
        gamma=gamma,
        beta=beta,
        dgamma=dgamma,
        dbeta=dbeta,
    )
    return layout.back(dx), dgamma, dbeta
