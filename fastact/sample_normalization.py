"""Normalisation of each sample by itself: layer_norm, rms_norm, group_norm, instance_norm."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple
from numpy.typing import ArrayLike, NDArray

from fastact import _axis
from fastact._layout import Ordered, halves_through_float32, parameter, real
from fastact.normalization import Axis, check_eps

__all__ = [
    "group_norm",
    "group_norm_backward",
    "instance_norm",
    "instance_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "rms_norm",
    "rms_norm_backward",
]


class _Samples(Ordered):
    """How the kernels see x, and the shapes of statistics and of gamma and beta."""

    def __init__(
        self,
        shape: tuple[int, ...],
        order: tuple[int, ...],
        seen: tuple[int, int, int, int, int],
        statistics: tuple[int, ...],
        parameters: tuple[int, ...],
    ) -> None:
        super().__init__(shape, order)
        self.seen = seen  # (samples, rows, channels, run, pool), as `_axis.normalize` has it
        self.statistics = statistics
        self.parameters = parameters

    def statistic(self, name: str, a: ArrayLike, x: NDArray[Any]) -> NDArray[Any]:
        return parameter(name, a, self.statistics, x.dtype, "statistics")

    def optional(self, name: str, a: ArrayLike | None, x: NDArray[Any]) -> NDArray[Any] | None:
        return None if a is None else parameter(name, a, self.parameters, x.dtype, "parameters")


def _last(shape: tuple[int, ...], axes: tuple[int, ...]) -> _Samples:
    """Statistics over some axes, of which each element has parameters of its own."""
    others = tuple(a for a in range(len(shape)) if a not in axes)
    outer, inner = tuple(shape[a] for a in others), tuple(shape[a] for a in axes)
    n = prod(inner)
    return _Samples(shape, (*others, *axes), (prod(outer), 1, n, 1, n), outer, inner)


def _layers(x: NDArray[Any], axis: Axis) -> _Samples:
    if axis is None:
        raise TypeError("axis must be an int or a tuple of int, not None")
    axes = tuple(sorted(normalize_axis_tuple(axis, x.ndim, "axis")))
    if not axes:
        raise ValueError("axis must name at least one axis to normalise over")
    if prod(x.shape[a] for a in axes) == 0:
        raise ValueError(f"axis {axis} has no elements to normalise: x has shape {x.shape}")
    return _cached_last(x.shape, axes)


def _grouped(shape: tuple[int, ...], channel: int, groups: int, channels_last: bool) -> _Samples:
    space = tuple(a for a in range(1, len(shape)) if a != channel)
    n, c, size = shape[0], shape[channel], prod(shape[a] for a in space)
    if channels_last:
        return _Samples(shape, (0, *space, channel), (n, size, c, 1, 1), (n, groups), (c,))
    return _Samples(shape, (0, channel, *space), (n, 1, c, size, c // groups), (n, groups), (c,))


def _groups(x: NDArray[Any], groups: int | None, channel_axis: int) -> _Samples:
    """Statistics of groups of channels of each sample; `groups` None for one a channel."""
    channel = normalize_axis_index(channel_axis, x.ndim, "channel_axis")
    if channel == 0:
        raise ValueError("channel_axis must not be 0: the first axis is that of the samples")
    channels = x.shape[channel]
    if groups is None:
        groups = channels
    elif groups < 1 or channels % groups:
        raise ValueError(f"groups must divide the {channels} channels, not be {groups}")
    if x.size == 0 and x.shape[0] and channels:
        raise ValueError(f"there are no elements to normalise: x has shape {x.shape}")
    # One channel a group can be read as NHWC has it; more of them are brought together first.
    last = groups == channels and x.strides[channel] == x.itemsize and x.ndim > 2
    return _cached_grouped(x.shape, channel, groups, last)


# The arrays of a network come in the same few shapes step by step.
_cached_last = lru_cache(maxsize=256)(_last)
_cached_grouped = lru_cache(maxsize=256)(_grouped)


def _forward(
    seen_as: _Samples,
    x: NDArray[Any],
    gamma: ArrayLike | None,
    beta: ArrayLike | None,
    eps: float,
    out: NDArray[Any] | None,
    centred: bool = True,
) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any]]:
    scale, shift = seen_as.optional("gamma", gamma, x), seen_as.optional("beta", beta, x)
    eps = check_eps(eps)
    y = seen_as.destination(x, out)
    mean = np.empty(seen_as.statistics, x.dtype) if centred else None
    rstd = np.empty(seen_as.statistics, x.dtype)
    _axis.normalize(
        "forward",
        seen_as.seen,
        seen_as.read(x),
        y,
        mean,
        rstd,
        gamma=scale,
        beta=shift,
        eps=eps,
        centred=centred,
    )
    return seen_as.deliver(y, out), mean, rstd


def _backward(
    seen_as: _Samples,
    grad: ArrayLike,
    x: NDArray[Any],
    mean: ArrayLike | None,
    rstd: ArrayLike,
    gamma: ArrayLike | None,
    out: NDArray[Any] | None,
    centred: bool = True,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    given = seen_as.alike("grad", real("grad", grad), x)
    about = seen_as.statistic("mean", mean, x) if centred else None  # type: ignore[arg-type]
    spread = seen_as.statistic("rstd", rstd, x)
    scale = seen_as.optional("gamma", gamma, x)
    dx = seen_as.destination(x, out, given)
    dgamma = np.empty(seen_as.parameters, x.dtype)
    dbeta = np.empty(seen_as.parameters, x.dtype) if centred else None
    _axis.normalize(
        "backward",
        seen_as.seen,
        seen_as.read(x),
        dx,
        about,
        spread,
        grad=seen_as.read(given),
        gamma=scale,
        centred=centred,
        dgamma=dgamma,
        dbeta=dbeta,
    )
    return seen_as.deliver(dx, out), dgamma, dbeta


@halves_through_float32(place=0, rounded=1)
def layer_norm(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    *,
    axis: Axis = -1,
    eps: float = 1e-5,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Normalise each sample to mean 0 and variance 1 over some axes, then scale and shift it.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
        The samples. Integers become float64 (small ones float32).
    gamma, beta : array_like, optional
        Scale and shift, of the shape of the axes in `axis`; 1 and 0 where not given.
    axis : int or tuple of int, default -1
        What is normalised over: -1 for (N, C), (1, 2, 3) for all of a sample of NCHW. The last axes
        in memory are read where they lie; x is copied first for others.
    eps : float, default 1e-5
        Added to the variance; positive.
    out : ndarray, optional
        Where to put y; of the shape and dtype of `x`, and may be `x`.

    Returns
    -------
    y : ndarray
        Of the shape and dtype of `x`.
    mean, rstd : ndarray
        Of the shape of the other axes, for `layer_norm_backward`; float32 for half types.

    Raises
    ------
    TypeError
        For complex and object input, and if `axis` is None.
    ValueError
        If `axis` is out of range (`numpy.exceptions.AxisError`), repeated or empty, if `eps` is not
        positive, or if a shape does not fit. Nothing has been written then.

    Notes
    -----
    y = gamma (x - mean) rstd + beta, rstd = 1 / sqrt(var + eps), var = mean of (x - mean)^2, to
    4 ULP and as `batch_norm` computes it. Where all elements are equal y is beta. No floating-point
    warnings.

    Source: Ba, Kiros and Hinton 2016, "Layer Normalization".

    Examples
    --------
    >>> import numpy as np, fastact
    >>> y, mean, rstd = fastact.layer_norm(np.array([[1.0, 3.0], [10.0, 30.0]]), eps=1e-12)
    >>> y.round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    >>> mean, rstd.round(3)
    (array([ 2., 20.]), array([1. , 0.1]))
    """
    x = real("x", x)
    y, mean, rstd = _forward(_layers(x, axis), x, gamma, beta, eps, out)
    return y, mean, rstd  # type: ignore[return-value]


@halves_through_float32(place=1, rounded=3)
def layer_norm_backward(
    grad: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    gamma: ArrayLike | None = None,
    *,
    axis: Axis = -1,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Gradients of `layer_norm` with respect to x, gamma and beta.

    Parameters
    ----------
    grad : array_like of float16, bfloat16, float32 or float64
        Gradient with respect to y, of the shape of `x`.
    x, gamma, axis
        What `layer_norm` was given.
    mean, rstd : array_like
        What it returned.
    out : ndarray, optional
        Where to put dx; of the shape and dtype of `x`, and may be `grad` or `x`.

    Returns
    -------
    dx : ndarray
        Of the shape and dtype of `x`.
    dgamma, dbeta : ndarray
        Of the shape of the axes in `axis`, summed over the others.

    Raises
    ------
    TypeError, ValueError
        As `layer_norm`.

    Notes
    -----
    With xhat = (x - mean) rstd and u = gamma grad: dbeta = sum grad, dgamma = sum grad xhat,
    dx = rstd (u - mean(u) - xhat mean(u xhat)). Accuracy as `batch_norm_backward` has it.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x = np.array([[1.0, 3.0, 8.0]])
    >>> y, mean, rstd = fastact.layer_norm(x)
    >>> dx, dgamma, dbeta = fastact.layer_norm_backward(np.eye(1, 3), x, mean, rstd)
    >>> dbeta, bool(abs(dx.sum()) < 1e-15)
    (array([1., 0., 0.]), True)
    """
    x = real("x", x)
    dx, dgamma, dbeta = _backward(_layers(x, axis), grad, x, mean, rstd, gamma, out)
    return dx, dgamma, dbeta  # type: ignore[return-value]


@halves_through_float32(place=0, rounded=1)
def rms_norm(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    *,
    axis: Axis = -1,
    eps: float = 1e-5,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Divide each sample by its root mean square over some axes, then scale it.

    Parameters
    ----------
    x, axis, out
        As in `layer_norm`.
    gamma : array_like, optional
        Scale, of the shape of the axes in `axis`; 1 where not given.
    eps : float, default 1e-5
        Added to the mean square; positive. (PyTorch's default is that of the dtype, 1.2e-7.)

    Returns
    -------
    y : ndarray
        Of the shape and dtype of `x`.
    rstd : ndarray
        Of the shape of the other axes, for `rms_norm_backward`; float32 for half types.

    Raises
    ------
    TypeError, ValueError
        As `layer_norm`.

    Notes
    -----
    y = gamma x rstd, rstd = 1 / sqrt(mean of x^2 + eps), to 4 ULP: float32 is computed in float64,
    float64 in pairs. A sample of zeros stays zeros. No floating-point warnings.

    Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".

    Examples
    --------
    >>> import numpy as np, fastact
    >>> y, rstd = fastact.rms_norm(np.array([[3.0, 4.0]]), eps=1e-12)
    >>> y.round(3), (1 / rstd**2).round(3)
    (array([[0.849, 1.131]]), array([12.5]))
    """
    x = real("x", x)
    y, _, rstd = _forward(_layers(x, axis), x, gamma, None, eps, out, centred=False)
    return y, rstd


@halves_through_float32(place=1, rounded=2)
def rms_norm_backward(
    grad: ArrayLike,
    x: ArrayLike,
    rstd: ArrayLike,
    gamma: ArrayLike | None = None,
    *,
    axis: Axis = -1,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Gradients of `rms_norm` with respect to x and gamma.

    Parameters
    ----------
    grad : array_like of float16, bfloat16, float32 or float64
        Gradient with respect to y, of the shape of `x`.
    x, gamma, axis
        What `rms_norm` was given.
    rstd : array_like
        What it returned.
    out : ndarray, optional
        Where to put dx; of the shape and dtype of `x`, and may be `grad` or `x`.

    Returns
    -------
    dx : ndarray
        Of the shape and dtype of `x`.
    dgamma : ndarray
        Of the shape of the axes in `axis`, summed over the others.

    Raises
    ------
    TypeError, ValueError
        As `layer_norm`.

    Notes
    -----
    With u = gamma grad: dgamma = sum grad x rstd, dx = rstd (u - x rstd^2 mean(u x)).

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x = np.array([[3.0, 4.0]])
    >>> y, rstd = fastact.rms_norm(x)
    >>> dx, dgamma = fastact.rms_norm_backward(np.ones((1, 2)), x, rstd)
    >>> bool(abs((dx * x).sum()) < 1e-5), dgamma.round(3)
    (True, array([0.849, 1.131]))
    """
    x = real("x", x)
    seen_as = _layers(x, axis)
    dx, dgamma, _ = _backward(seen_as, grad, x, None, rstd, gamma, out, centred=False)
    return dx, dgamma


@halves_through_float32(place=0, rounded=1)
def group_norm(
    x: ArrayLike,
    groups: int,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    *,
    channel_axis: int = 1,
    eps: float = 1e-5,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Normalise groups of channels of each sample, then scale and shift each channel.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
        The samples along the first axis: (N, C), (N, C, L), NCHW, or with `channel_axis` -1 NHWC.
    groups : int
        How many groups of adjacent channels there are; a divisor of C.
    gamma, beta : array_like, optional
        Scale and shift of the channels, of shape (C,); 1 and 0 where not given.
    channel_axis : int, default 1
        The axis of the channels; not the first.
    eps : float, default 1e-5
        Added to the variance; positive.
    out : ndarray, optional
        Where to put y; of the shape and dtype of `x`, and may be `x`.

    Returns
    -------
    y : ndarray
        Of the shape and dtype of `x`.
    mean, rstd : ndarray
        Of shape (N, groups), for `group_norm_backward`; float32 for half types.

    Raises
    ------
    TypeError
        For complex and object input.
    ValueError
        If `groups` does not divide the channels, if `channel_axis` is 0 or out of range
        (`numpy.exceptions.AxisError`), if `eps` is not positive, if there is nothing to normalise,
        or if a shape does not fit. Nothing has been written then.

    Notes
    -----
    The formula and its accuracy are those of `layer_norm`, over a group's channels and all places.
    NCHW is read where it lies; NHWC is copied first, unless each channel is a group.

    Source: Wu and He 2018, "Group Normalization".

    Examples
    --------
    >>> import numpy as np, fastact
    >>> y, mean, rstd = fastact.group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), 2, eps=1e-12)
    >>> y.round(3), mean
    (array([[-1.,  1., -1.,  1.]]), array([[ 2., 20.]]))
    """
    x = real("x", x)
    y, mean, rstd = _forward(_groups(x, groups, channel_axis), x, gamma, beta, eps, out)
    return y, mean, rstd  # type: ignore[return-value]


@halves_through_float32(place=1, rounded=3)
def group_norm_backward(
    grad: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    groups: int,
    gamma: ArrayLike | None = None,
    *,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Gradients of `group_norm` with respect to x, gamma and beta.

    Parameters
    ----------
    grad : array_like of float16, bfloat16, float32 or float64
        Gradient with respect to y, of the shape of `x`.
    x, groups, gamma, channel_axis
        What `group_norm` was given.
    mean, rstd : array_like
        What it returned.
    out : ndarray, optional
        Where to put dx; of the shape and dtype of `x`, and may be `grad` or `x`.

    Returns
    -------
    dx : ndarray
        Of the shape and dtype of `x`.
    dgamma, dbeta : ndarray
        Of shape (C,).

    Raises
    ------
    TypeError, ValueError
        As `group_norm`.

    Notes
    -----
    The formula and its accuracy are those of `layer_norm_backward`, over a group's channels and
    all places.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x = np.array([[1.0, 3.0, 10.0, 30.0]])
    >>> y, mean, rstd = fastact.group_norm(x, 2)
    >>> dx, dgamma, dbeta = fastact.group_norm_backward(np.ones((1, 4)), x, mean, rstd, 2)
    >>> bool(abs(dx).max() < 1e-15), dbeta
    (True, array([1., 1., 1., 1.]))
    """
    x = real("x", x)
    seen_as = _groups(x, groups, channel_axis)
    dx, dgamma, dbeta = _backward(seen_as, grad, x, mean, rstd, gamma, out)
    return dx, dgamma, dbeta  # type: ignore[return-value]


@halves_through_float32(place=0, rounded=1)
def instance_norm(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    *,
    channel_axis: int = 1,
    eps: float = 1e-5,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Normalise each channel of each sample, then scale and shift it.

    `group_norm` with a group a channel; mean and rstd are of shape (N, C).

    Parameters
    ----------
    x, gamma, beta, channel_axis, eps, out
        As in `group_norm`. NCHW and NHWC are read where they lie.

    Returns
    -------
    y, mean, rstd : ndarray
        As of `group_norm`, for `instance_norm_backward`.

    Raises
    ------
    TypeError, ValueError
        As `group_norm`.

    Notes
    -----
    Source: Ulyanov, Vedaldi and Lempitsky 2016, "Instance Normalization".

    Examples
    --------
    >>> import numpy as np, fastact
    >>> y, mean, rstd = fastact.instance_norm(np.array([[[1.0, 3.0], [10.0, 30.0]]]), eps=1e-12)
    >>> y.round(3), mean
    (array([[[-1.,  1.],
            [-1.,  1.]]]), array([[ 2., 20.]]))
    """
    x = real("x", x)
    y, mean, rstd = _forward(_groups(x, None, channel_axis), x, gamma, beta, eps, out)
    return y, mean, rstd  # type: ignore[return-value]


@halves_through_float32(place=1, rounded=3)
def instance_norm_backward(
    grad: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    gamma: ArrayLike | None = None,
    *,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Gradients of `instance_norm` with respect to x, gamma and beta.

    `group_norm_backward` with a group a channel.

    Parameters
    ----------
    grad, x, mean, rstd, gamma, channel_axis, out
        As in `group_norm_backward`.

    Returns
    -------
    dx, dgamma, dbeta : ndarray
        As of `group_norm_backward`.

    Raises
    ------
    TypeError, ValueError
        As `group_norm`.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x = np.array([[[1.0, 3.0], [10.0, 30.0]]])
    >>> y, mean, rstd = fastact.instance_norm(x)
    >>> dx, dgamma, dbeta = fastact.instance_norm_backward(np.ones((1, 2, 2)), x, mean, rstd)
    >>> bool(abs(dx).max() < 1e-15), dbeta
    (True, array([2., 2.]))
    """
    x = real("x", x)
    seen_as = _groups(x, None, channel_axis)
    dx, dgamma, dbeta = _backward(seen_as, grad, x, mean, rstd, gamma, out)
    return dx, dgamma, dbeta  # type: ignore[return-value]
