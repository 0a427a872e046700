"""Batch normalisation: forward, backward and inference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import ArrayLike, NDArray

from fastact import _axis

__all__ = ["batch_norm", "batch_norm_backward", "batch_norm_inference"]

Axis = int | Sequence[int]


def _real(name: str, a: ArrayLike) -> NDArray[Any]:
    """An array of float32 or float64: what NumPy makes of integers under a float function."""
    a = np.asarray(a)
    dtype = (
        np.result_type(a.dtype, np.float32) if a.dtype.kind in "biu" else a.dtype.newbyteorder("=")
    )
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"{name} must be of float32 or float64, not {a.dtype}")
    return np.require(a, dtype, "A")


class _Layout:
    """How the kernels see x: its memory as (rows, channels, run), statistics over rows and run.

    Axes are put in the order of memory; where the kept ones then do not lie together, x is copied
    to an order in which the reduced axes come first.
    """

    def __init__(self, x: NDArray[Any], axis: Axis) -> None:
        if axis is None:
            raise TypeError("axis must be an int or a tuple of int, not None")
        reduced = normalize_axis_tuple(axis, x.ndim, "axis")
        if not reduced:
            raise ValueError("axis must name at least one axis to reduce")
        if math.prod(x.shape[a] for a in reduced) == 0:
            raise ValueError(f"axis {axis} has no elements to reduce: x has shape {x.shape}")
        self.kept = tuple(a for a in range(x.ndim) if a not in reduced)
        self.channels = tuple(x.shape[a] for a in self.kept)
        self.order = tuple(sorted(range(x.ndim), key=lambda a: (-abs(x.strides[a]), a)))
        places = [self.order.index(a) for a in self.kept]
        if places and places != list(range(places[0], places[0] + len(places))):
            self.order = (*sorted(reduced), *self.kept)
            places = list(range(len(reduced), x.ndim))
        shape = [x.shape[a] for a in self.order]
        first, last = (places[0], places[-1] + 1) if places else (0, 0)
        self.shape = tuple(
            math.prod(part) for part in (shape[:first], shape[first:last], shape[last:])
        )

    def read(self, x: NDArray[Any]) -> NDArray[Any]:
        """x with its axes in the order of memory, contiguous: a view where it already is."""
        return np.ascontiguousarray(x.transpose(self.order))

    def new(self, x: NDArray[Any]) -> NDArray[Any]:
        """Memory for a result that lies like x, as the kernels see it."""
        return np.empty([x.shape[a] for a in self.order], x.dtype)

    def back(self, y: NDArray[Any]) -> NDArray[Any]:
        """The user's view of what `new` gave."""
        return y.transpose(np.argsort(self.order))

    def optional(self, name: str, a: ArrayLike | None, dtype: np.dtype[Any]) -> NDArray[Any] | None:
        return None if a is None else self.per_channel(name, a, dtype)

    def per_channel(self, name: str, a: ArrayLike | None, dtype: np.dtype[Any]) -> NDArray[Any]:
        """A contiguous array of the kept axes' shape."""
        if a is None:
            raise TypeError(f"{name} must be an array, not None")
        a = _real(name, a)
        if a.shape != self.channels:
            raise ValueError(
                f"{name} must have the shape {self.channels} of the axes that are kept, "
                f"not {a.shape}"
            )
        return np.ascontiguousarray(a, dtype)

    def destination(self, x: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
        """Where the kernel may write: `out` itself if it lies like x and does not cut into it."""
        if out is None:
            return self.new(x)
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be an ndarray, not {type(out).__name__}")
        if out.shape != x.shape or out.dtype != x.dtype:
            raise ValueError(
                f"out must have shape {x.shape} and dtype {x.dtype}, "
                f"not {out.shape} and {out.dtype}"
            )
        if not out.flags.writeable:
            raise ValueError("out must be writable")
        view = out.transpose(self.order)
        same = out.ctypes.data == x.ctypes.data and out.strides == x.strides
        if (
            view.flags.c_contiguous
            and view.flags.behaved
            and (same or not np.may_share_memory(out, x))
        ):
            return view
        return self.new(x)

    def deliver(self, y: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
        if out is None:
            return self.back(y)
        if not np.may_share_memory(y, out):
            out[...] = self.back(y)
        return out


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
    out : ndarray, optional
        Where to put y; of the shape and dtype of `x`, and may be `x`.

    Returns
    -------
    y : ndarray
        Of the shape and dtype of `x`.
    mean, rstd : ndarray
        Of the shape of the kept axes, for `batch_norm_backward`.

    Raises
    ------
    TypeError
        For complex, object and float16 input.
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
    first if not. A channel that holds NaN or infinity is NaN. No floating-point warnings.

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
    x = _real("x", x)
    layout = _Layout(x, axis)
    gamma = layout.optional("gamma", gamma, x.dtype)
    beta = layout.optional("beta", beta, x.dtype)
    eps = _check_eps(eps)
    y = layout.destination(x, out)
    mean, rstd = np.empty(layout.channels, x.dtype), np.empty(layout.channels, x.dtype)
    _axis.batch_norm(
        "forward", layout.shape, layout.read(x), None, gamma, beta, eps, y, mean, rstd, None, None
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
    out : ndarray, optional
        Where to put y; of the shape and dtype of `x`, and may be `x`.

    Returns
    -------
    ndarray
        y = gamma (x - mean) / sqrt(var + eps) + beta, of the shape and dtype of `x`.

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
    x = _real("x", x)
    layout = _Layout(x, axis)
    mean, var = layout.per_channel("mean", mean, x.dtype), layout.per_channel("var", var, x.dtype)
    gamma = layout.optional("gamma", gamma, x.dtype)
    beta = layout.optional("beta", beta, x.dtype)
    if (var < 0).any():
        raise ValueError("var must not be negative")
    eps = _check_eps(eps)
    y = layout.destination(x, out)
    _axis.batch_norm(
        "inference", layout.shape, layout.read(x), None, gamma, beta, eps, y, mean, var, None, None
    )
    return layout.deliver(y, out)


def batch_norm_backward(
    grad: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    gamma: ArrayLike | None = None,
    *,
    axis: Axis = 0,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Gradients of `batch_norm` with respect to x, gamma and beta.

    Parameters
    ----------
    grad : array_like of float32 or float64
        Gradient with respect to y, of the shape of `x`.
    x : array_like of float32 or float64
        What `batch_norm` was given.
    mean, rstd : array_like
        What it returned.
    gamma : array_like, optional
        What it was given.
    axis : int or tuple of int, default 0
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
    x, grad = _real("x", x), _real("grad", grad)
    layout = _Layout(x, axis)
    if grad.shape != x.shape:
        raise ValueError(f"grad must have the shape {x.shape} of x, not {grad.shape}")
    mean, rstd = (
        layout.per_channel("mean", mean, x.dtype),
        layout.per_channel("rstd", rstd, x.dtype),
    )
    gamma = layout.optional("gamma", gamma, x.dtype)
    dx = layout.new(x)
    dgamma, dbeta = np.empty(layout.channels, x.dtype), np.empty(layout.channels, x.dtype)
    grad = layout.read(grad.astype(x.dtype, copy=False))
    _axis.batch_norm(
        "backward",
        layout.shape,
        layout.read(x),
        grad,
        gamma,
        None,
        0,
        dx,
        mean,
        rstd,
        dgamma,
        dbeta,
    )
    return layout.back(dx), dgamma, dbeta
