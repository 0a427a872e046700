"""Batch normalisation: forward, backward, inference and running statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import ArrayLike, NDArray

from fastact import _axis
from fastact._chosen import Activation, chosen
from fastact._layout import Layout, halves_through_float32, layout_of, parameter, real

__all__ = ["batch_norm", "batch_norm_backward", "batch_norm_inference", "update_running_stats"]

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


def check_eps(eps: float) -> float:
    eps = float(eps)
    if not 0 < eps < math.inf:
        raise ValueError(f"eps must be positive and finite, not {eps}")
    return eps


@halves_through_float32(place=0, rounded=1)
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
    x : array_like of float16, bfloat16, float32 or float64
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
        For complex and object input, and for what is no `activation`.
    ValueError
        If `axis` is out of range (`numpy.exceptions.AxisError`), repeated or empty, if `eps` is not
        positive, or if a shape does not fit. Nothing has been written then.

    Notes
    -----
    y = gamma (x - mean) rstd + beta, rstd = 1 / sqrt(var + eps), with the biased variance
    var = mean of (x - mean)^2, by Welford's method a block at a time, which loses no digits where
    the mean is large. float32 is computed in float64 throughout, float64 in pairs of float64: y is
    within 4 ULP. Half types are computed in float32 and rounded once; their statistics stay
    float32. The square of a deviation must not overflow float64.

    A channel of one element, or of equal ones, has variance 0: y is beta, and rstd is
    1 / sqrt(eps).

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
    eps, f = check_eps(eps), chosen(activation)
    y = layout.destination(x, out)
    mean, rstd = np.empty(layout.channels, x.dtype), np.empty(layout.channels, x.dtype)
    _axis.normalize(
        "forward",
        (1, *layout.shape, 1),
        layout.read(x),
        y,
        mean,
        rstd,
        f,
        gamma=gamma,
        beta=beta,
        eps=eps,
    )
    return layout.deliver(y, out), mean, rstd


@halves_through_float32(place=0, rounded=1)
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
    x : array_like of float16, bfloat16, float32 or float64
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
    eps, f = check_eps(eps), chosen(activation)
    y = layout.destination(x, out)
    _axis.normalize(
        "inference",
        (1, *layout.shape, 1),
        layout.read(x),
        y,
        mean,
        var,
        f,
        gamma=gamma,
        beta=beta,
        eps=eps,
    )
    return layout.deliver(y, out)


@halves_through_float32(place=1, rounded=3)
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
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Gradients of `batch_norm` with respect to x, gamma and beta.

    Parameters
    ----------
    grad : array_like of float16, bfloat16, float32 or float64
        Gradient with respect to what it returned, of the shape of `x`.
    x : array_like of float16, bfloat16, float32 or float64
        What `batch_norm` was given.
    mean, rstd : array_like
        What it returned.
    gamma, beta : array_like, optional
        What it was given; beta matters to an activation only.
    axis : int or tuple of int, default 0
        What it was given.
    activation : str, callable or None
        What it was given.
    out : ndarray, optional
        Where to put dx; of the shape and dtype of `x`, and may be `grad` or `x`.

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
    dx = gamma rstd (grad - dbeta / n - xhat dgamma / n). How far `mean` was rounded is found with
    these sums and made good, so that a mean of 1e4 at a spread of 1 costs no digits: against the
    exact gradient of x the error is at most 8 ULP (float32) or 1e-12 (float64) of a channel's
    largest entry. rstd is taken as it comes, and its rounding shows where dx is almost nothing
    beside its terms, as for two elements a channel: there these bounds are of the largest term.

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
    dx = layout.destination(x, out, grad)
    if f[0] >= 0 and np.may_share_memory(dx, x):
        dx = layout.new(x)  # grad * f'(y) is laid there while x is needed
    dgamma, dbeta = np.empty(layout.channels, x.dtype), np.empty(layout.channels, x.dtype)
    _axis.normalize(
        "backward",
        (1, *layout.shape, 1),
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
    return layout.deliver(dx, out), dgamma, dbeta


def update_running_stats(
    running_mean: NDArray[Any],
    running_var: NDArray[Any],
    mean: ArrayLike,
    rstd: ArrayLike,
    count: int,
    *,
    momentum: float,
    momentum_of: Literal["batch", "running"],
    unbiased: bool,
    eps: float = 1e-5,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Move running statistics, for `batch_norm_inference`, toward those of a batch, in place.

    Nothing has a default that two libraries disagree about:

    =========================  =========================================================
    PyTorch                    ``momentum=0.1, momentum_of="batch", unbiased=True``
    Keras, TensorFlow, Flax    ``momentum=0.99, momentum_of="running", unbiased=False``
    =========================  =========================================================

    Parameters
    ----------
    running_mean, running_var : ndarray of float32 or float64
        What is updated; one is usually begun with zeros and the other with ones.
    mean, rstd : array_like
        What `batch_norm` returned, of the same shape.
    count : int
        How many elements a channel had: N for (N, C), N H W for NCHW.
    momentum : float
        A weight from 0 to 1.
    momentum_of : {"batch", "running"}
        Whose weight it is: the new batch's, as in PyTorch, or the old value's, as in Keras.
    unbiased : bool
        Whether the variance of the batch is multiplied by count / (count - 1).
    eps : float, default 1e-5
        What `batch_norm` was given.

    Returns
    -------
    running_mean, running_var : ndarray
        The arrays that were given.

    Raises
    ------
    TypeError
        If a running array is not an ndarray of float32 or float64.
    ValueError
        If a shape does not fit, if `momentum` is not within [0, 1], if `momentum_of` is something
        else, or if an unbiased variance is asked of one element. Nothing has been written then.

    Notes
    -----
    running = (1 - w) running + w batch, where w is `momentum` or 1 - `momentum`; computed in
    float64. The variance of the batch is 1 / rstd^2 - eps, with no less than 0: of float32 it is
    known to 2^-22 of var + eps.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x = np.array([[1.0], [3.0]])
    >>> _, mean, rstd = fastact.batch_norm(x)
    >>> running = np.zeros(1), np.ones(1)
    >>> fastact.update_running_stats(
    ...     *running, mean, rstd, 2, momentum=0.1, momentum_of="batch", unbiased=True
    ... )
    (array([0.2]), array([1.1]))
    """
    for name, running in (("running_mean", running_mean), ("running_var", running_var)):
        if not isinstance(running, np.ndarray) or running.dtype not in (np.float32, np.float64):
            raise TypeError(f"{name} must be an ndarray of float32 or float64")
        if running.shape != running_mean.shape:
            raise ValueError(f"{name} must have the shape {running_mean.shape} of running_mean")
        if not running.flags.writeable:
            raise ValueError(f"{name} must be writable")
    float64 = np.dtype(np.float64)
    mean = parameter("mean", mean, running_mean.shape, float64, "running statistics")
    rstd = parameter("rstd", rstd, running_mean.shape, float64, "running statistics")
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be from 0 to 1, not {momentum}")
    if momentum_of not in ("batch", "running"):
        raise ValueError(f"momentum_of must be 'batch' or 'running', not {momentum_of!r}")
    if count < 1 + bool(unbiased):
        raise ValueError(f"count must be at least {1 + bool(unbiased)}, not {count}")
    var = np.maximum(1 / rstd**2 - check_eps(eps), 0)
    if unbiased:
        var *= count / (count - 1)
    weight = momentum if momentum_of == "batch" else 1 - momentum
    running_mean[...] = (1 - weight) * running_mean.astype(float64) + weight * mean
    running_var[...] = (1 - weight) * running_var.astype(float64) + weight * var
    return running_mean, running_var
