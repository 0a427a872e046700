"""Softmax along any axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fastact import _axis

_SOFTMAX = {"nan": _axis.softmax, "zero": _axis.softmax_masked_zero}


def _check_axis(x: Any, axis: int) -> None:
    """`axis` is one axis of x and not empty; x may be anything with ``__array_ufunc__``."""
    if axis is None:
        raise TypeError("axis must be an integer, not None: softmax is along one axis")
    shape = x.shape if hasattr(x, "shape") else np.shape(x)
    if shape[normalize_axis_index(axis, len(shape), "axis")] == 0:
        raise ValueError(f"axis {axis} has length 0: the softmax of nothing is undefined")


def _memory(out: Any, *inputs: Any) -> Any:
    """`out`, or memory that lies like the inputs: a gufunc would lay the result out by its axis."""
    first = inputs[0]
    alike = all(
        type(a) is np.ndarray and a.dtype in (np.float32, np.float64) and a.shape == first.shape
        for a in inputs
    )
    if out is not None or not alike:
        return out
    return np.empty_like(first, dtype=np.result_type(*inputs))


def softmax(x: Any, axis: int = -1, *, out: Any = None, masked: str = "nan") -> Any:
    """Softmax: exponentials that sum to one along an axis.

    Parameters
    ----------
    x : array_like of float32 or float64
        Logits. Integers become float64 (small ones float32), as under `numpy.exp`.
    axis : int, default -1
        The axis that sums to one. Every axis is fast, not only the last.
    out : ndarray, optional
        Where to put the result; may be `x`.
    masked : {"nan", "zero"}, default "nan"
        What a line of -inf alone gives: NaN, as 0 / 0, or zeros, as for a fully masked row of an
        attention matrix.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        For complex and object input, and if `axis` is not an integer.
    ValueError
        If `axis` is out of range (`numpy.exceptions.AxisError`) or has length 0, if `masked` is
        unknown, or if `out` has another shape.

    Notes
    -----
    softmax(x)_i = exp(x_i - max x) / sum_j exp(x_j - max x)

    Accuracy: within 2 ULP, for a line of any length. A line with NaN or +inf is NaN, the others are
    untouched by it. Results too small for the dtype are subnormal or 0 without a floating-point
    warning. A line of up to 64 elements gives the same bits in every memory layout; in a longer one
    the order of the sum may move the last bit.

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network
    outputs".

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.softmax(np.array([[0.0, 0.0], [1000.0, -1000.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    >>> fastact.softmax(np.full(3, -np.inf), masked="zero")
    array([0., 0., 0.])
    """
    if masked not in _SOFTMAX:
        raise ValueError(f"masked must be 'nan' or 'zero', not {masked!r}")
    _check_axis(x, axis)
    return _SOFTMAX[masked](x, axis=axis, out=_memory(out, x))


def softmax_backward(grad: Any, y: Any, axis: int = -1, *, out: Any = None) -> Any:
    """Gradient of softmax with respect to its input, from its output.

    Parameters
    ----------
    grad : array_like of float32 or float64
        Gradient with respect to y.
    y : array_like of float32 or float64
        ``softmax(x, axis)``, broadcast against `grad`.
    axis : int, default -1
        The axis of the softmax.
    out : ndarray, optional
        Where to put the result; may be `grad` or `y`.

    Returns
    -------
    ndarray
        Gradient with respect to x.

    Raises
    ------
    TypeError
        For complex and object input, and if `axis` is not an integer.
    ValueError
        If `axis` is out of range (`numpy.exceptions.AxisError`) or has length 0, or if the shapes
        do not fit.

    Notes
    -----
    dx_i = y_i (grad_i - sum_j grad_j y_j)

    The sum is carried in twice the precision, so that dx is within 2 ULP of the exact result for
    these `grad` and `y` unless grad_i and the sum agree in more digits than the dtype has.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> y = fastact.softmax(np.array([0.0, 0.0]))
    >>> fastact.softmax_backward(np.array([1.0, 0.0]), y)
    array([ 0.25, -0.25])
    """
    _check_axis(y, axis)
    return _axis.softmax_backward(grad, y, axis=axis, out=_memory(out, y, grad))
