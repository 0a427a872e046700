"""Softmax and its kin along any axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from fastact import _axis
from fastact._layout import is_half, widened

_SOFTMAX = {"nan": _axis.softmax, "zero": _axis.softmax_masked_zero}
_LOG_SOFTMAX = {"nan": _axis.log_softmax, "zero": _axis.log_softmax_masked_zero}
_SPARSEMAX = {"nan": _axis.sparsemax, "zero": _axis.sparsemax_masked_zero}


def _choose(ufuncs: dict[str, np.ufunc], masked: str) -> np.ufunc:
    if masked not in ufuncs:
        raise ValueError(f"masked must be 'nan' or 'zero', not {masked!r}")
    return ufuncs[masked]


def _check_axis(x: Any, axis: int) -> None:
    """`axis` is one axis of x and not empty; x may be anything with ``__array_ufunc__``."""
    if axis is None:
        raise TypeError("axis must be an integer, not None: this is along one axis")
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


def _along(ufunc: np.ufunc, axis: int, out: Any, *inputs: Any) -> Any:
    """The gufunc, with half types computed in float32 and rounded to their type at the end."""
    if not any(map(is_half, inputs)) and not is_half(out):
        return ufunc(*inputs, axis=axis, out=_memory(out, *inputs))
    wide = [widened(a) for a in inputs]
    result = ufunc(*wide, axis=axis, out=_memory(None, *wide))
    if out is not None:
        np.copyto(out, result, casting="same_kind")
        return out
    dtypes = {a.dtype if is_half(a) else None for a in inputs}
    return result.astype(dtypes.pop()) if len(dtypes) == 1 else result


def softmax(x: Any, axis: int = -1, *, out: Any = None, masked: str = "nan") -> Any:
    """Softmax: exponentials that sum to one along an axis.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
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
    ufunc = _choose(_SOFTMAX, masked)
    _check_axis(x, axis)
    return _along(ufunc, axis, out, x)


def softmax_backward(grad: Any, y: Any, axis: int = -1, *, out: Any = None) -> Any:
    """Gradient of softmax with respect to its input, from its output.

    Parameters
    ----------
    grad : array_like of float16, bfloat16, float32 or float64
        Gradient with respect to y.
    y : array_like of float16, bfloat16, float32 or float64
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

    Accuracy: within 2 ULP of the exact result for these `grad` and `y` unless grad_i and the sum
    agree in more digits than the dtype has, and then within 8 ULP of the largest entry of the line:
    the sum is carried in twice the precision, and apart from the grad of an entry that has more
    than half of y. (Not held: several entries with one and the same grad whose y add up to exactly
    1, beside others of next to nothing.)

    Examples
    --------
    >>> import numpy as np, fastact
    >>> y = fastact.softmax(np.array([0.0, 0.0]))
    >>> fastact.softmax_backward(np.array([1.0, 0.0]), y)
    array([ 0.25, -0.25])
    """
    _check_axis(y, axis)
    return _along(_axis.softmax_backward, axis, out, grad, y)


def softmin(x: Any, axis: int = -1, *, out: Any = None, masked: str = "nan") -> Any:
    """Softmin: the softmax of -x, largest where x is smallest.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
        As for `softmax`.
    axis : int, default -1
        The axis that sums to one.
    out : ndarray, optional
        Where to put the result; may be `x`.
    masked : {"nan", "zero"}, default "nan"
        What a line of +inf alone gives.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        As `softmax`; TypeError for booleans, which have no negative.

    Notes
    -----
    softmin(x) = softmax(-x), as precise as that is.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.softmin(np.array([0.0, 1000.0]))
    array([1., 0.])
    """
    ufunc = _choose(_SOFTMAX, masked)
    _check_axis(x, axis)
    return _along(ufunc, axis, out, _negative(x))


def softmin_backward(grad: Any, y: Any, axis: int = -1, *, out: Any = None) -> Any:
    """Gradient of softmin with respect to its input, from its output.

    Parameters
    ----------
    grad, y : array_like of float16, bfloat16, float32 or float64
        Gradient with respect to y, and ``y = softmin(x, axis)``; they broadcast.
    axis : int, default -1
        The axis of the softmin.
    out : ndarray, optional
        Where to put the result; may be `grad` or `y`.

    Returns
    -------
    ndarray
        Gradient with respect to x.

    Raises
    ------
    TypeError, ValueError
        As `softmax_backward`.

    Notes
    -----
    dx_i = -y_i (grad_i - sum_j grad_j y_j)

    Examples
    --------
    >>> import numpy as np, fastact
    >>> y = fastact.softmin(np.array([0.0, 0.0]))
    >>> fastact.softmin_backward(np.array([1.0, 0.0]), y)
    array([-0.25,  0.25])
    """
    _check_axis(y, axis)
    return _along(_axis.softmax_backward, axis, out, _negative(grad), y)


def _negative(x: Any) -> Any:
    """-x, of the float type that `numpy.exp` would give: integers may not have a negative."""
    if not hasattr(x, "dtype"):
        x = np.asarray(x)
    return np.negative(x, dtype=np.result_type(x, np.float32)) if x.dtype.kind in "iu" else -x


def log_softmax(x: Any, axis: int = -1, *, out: Any = None, masked: str = "nan") -> Any:
    """Logarithm of the softmax along an axis.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
        Logits. Integers become float64 (small ones float32), as under `numpy.exp`.
    axis : int, default -1
        The axis along which the exponentials sum to one.
    out : ndarray, optional
        Where to put the result; may be `x`.
    masked : {"nan", "zero"}, default "nan"
        What a line of -inf alone gives: NaN, or -inf, the logarithm of zeros.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        As `softmax`.

    Notes
    -----
    log_softmax(x)_i = x_i - max x - log(sum_j exp(x_j - max x))

    Accuracy: within 2 ULP also at the maximum: there the logarithm is that of 1 + o with o summed
    over all but the maximum, so that log_softmax([0, -50]) is [-1.9e-22, -50] and not [0, -50]. A
    line with NaN or +inf is NaN.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.log_softmax(np.array([0.0, -50.0]))
    array([-1.92874985e-22, -5.00000000e+01])
    """
    ufunc = _choose(_LOG_SOFTMAX, masked)
    _check_axis(x, axis)
    return _along(ufunc, axis, out, x)


def log_softmax_backward(grad: Any, y: Any, axis: int = -1, *, out: Any = None) -> Any:
    """Gradient of log_softmax with respect to its input, from its output.

    Parameters
    ----------
    grad, y : array_like of float16, bfloat16, float32 or float64
        Gradient with respect to y, and ``y = log_softmax(x, axis)``; they broadcast.
    axis : int, default -1
        The axis of the log_softmax.
    out : ndarray, optional
        Where to put the result; may be `grad` or `y`.

    Returns
    -------
    ndarray
        Gradient with respect to x.

    Raises
    ------
    TypeError, ValueError
        As `softmax_backward`.

    Notes
    -----
    dx_i = grad_i - exp(y_i) sum_j grad_j

    Accuracy: within 4 ULP of the larger of the two terms, and of the largest entry of the line too
    where one class is known well, so that exp(y) is near 1 there. Not where grad is nearly
    proportional to exp(y), as for targets that are nearly the prediction: in float32 dx is off by
    up to 2^-27 of the terms then.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> y = fastact.log_softmax(np.array([0.0, 0.0]))
    >>> fastact.log_softmax_backward(np.array([1.0, 0.0]), y)
    array([ 0.5, -0.5])
    """
    _check_axis(y, axis)
    return _along(_axis.log_softmax_backward, axis, out, grad, y)


def logsumexp(
    x: Any, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False, out: Any = None
) -> Any:
    """Logarithm of the sum of exponentials, which neither overflows nor underflows on the way.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
        Integers become float64 (small ones float32), as under `numpy.exp`.
    axis : int, tuple of int or None
        What to sum over, as in `numpy.sum` and `scipy.special.logsumexp`; None for all axes.
    keepdims : bool, default False
        Whether axes that are summed over stay, with length 1.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray or scalar
        Of the dtype of `x`.

    Raises
    ------
    TypeError
        For complex and object input.
    ValueError
        If an axis is out of range (`numpy.exceptions.AxisError`), repeated or of length 0, or if
        `out` has another shape.

    Notes
    -----
    logsumexp(x) = max x + log(sum_j exp(x_j - max x))

    Accuracy: within 1 ULP of max x or of the logarithm, whichever is larger; within 2 ULP of the
    result unless those two cancel. -inf where all of x is, +inf where one is, NaN where any is NaN.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> float(fastact.logsumexp(np.array([1000.0, 1000.0])))
    1000.6931471805599
    >>> fastact.logsumexp(np.zeros((2, 4)), axis=1, keepdims=True)
    array([[1.38629436],
           [1.38629436]])
    """
    if isinstance(axis, int | np.integer) and not is_half(x) and not is_half(out):
        _check_axis(x, int(axis))
        return _axis.logsumexp(x, axis=axis, keepdims=keepdims, out=out)
    x = np.asarray(x)
    lines, _, long, short = _lines(x, axis)
    result = _axis.logsumexp(widened(lines)).reshape(long if keepdims else short)
    if out is None:
        return result.astype(x.dtype)[()] if is_half(x) else result[()]
    if out.shape != result.shape:
        raise ValueError(f"output must have shape {result.shape}, not {out.shape}")
    np.copyto(out, result, casting="same_kind")
    return out


def _lines(
    x: Any, axis: int | tuple[int, ...] | None
) -> tuple[Any, tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """x with the axes to sum over made into a last one; those axes; the shapes of a sum."""
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim, "axis")
    axes = tuple(sorted(axes))
    for a in axes:
        _check_axis(x, a)
    long = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    short = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    last = np.moveaxis(x, axes, range(-len(axes), 0))
    length = math.prod(x.shape[a] for a in axes)
    return last.reshape(*short, length), axes, long, short


def logsumexp_backward(
    grad: Any,
    x: Any,
    axis: int | tuple[int, ...] | None = None,
    *,
    keepdims: bool = False,
    out: Any = None,
) -> Any:
    """Gradient of logsumexp with respect to its input.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the result, of its shape.
    x : array_like of float16, bfloat16, float32 or float64
        What `logsumexp` was given.
    axis, keepdims
        As they were given to `logsumexp`.
    out : ndarray, optional
        Where to put the result; may be `x`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        As `logsumexp`; ValueError if `grad` has another shape than its result.

    Notes
    -----
    dx_i = grad softmax(x)_i. Where all of x is -inf, dx is 0.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.logsumexp_backward(2.0, np.zeros(4))
    array([0.5, 0.5, 0.5, 0.5])
    """
    x, grad = np.asarray(x), np.asarray(grad)
    lines, axes, long, short = _lines(x, axis)
    wanted = long if keepdims else short
    if grad.shape != wanted:
        raise ValueError(
            f"grad must have the shape of logsumexp's result, {wanted}, not {grad.shape}"
        )
    y = softmax(widened(lines), masked="zero")
    np.multiply(y, widened(grad).reshape(*short, 1), out=y, casting="same_kind")
    y = y.reshape(short + tuple(x.shape[a] for a in axes))
    dx = np.moveaxis(y, range(-len(axes), 0), axes)
    if out is None:
        return dx.astype(x.dtype) if is_half(x) else dx
    if out.shape != dx.shape:
        raise ValueError(f"output must have shape {dx.shape}, not {out.shape}")
    np.copyto(out, dx, casting="same_kind")
    return out


def sparsemax(x: Any, axis: int = -1, *, out: Any = None, masked: str = "nan") -> Any:
    """Sparsemax: the point of the probability simplex that is nearest to x, mostly zeros.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
        Logits. Integers become float64 (small ones float32), as under `numpy.exp`.
    axis : int, default -1
        The axis that sums to one.
    out : ndarray, optional
        Where to put the result; may be `x`.
    masked : {"nan", "zero"}, default "nan"
        What a line of -inf alone gives.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        As `softmax`.

    Notes
    -----
    sparsemax(x)_i = max(x_i - t, 0), with the t for which they sum to 1. It is found by Newton's
    iteration (Michelot 1986), a few passes over each line without sorting it. Accuracy: within 2
    ULP of 1. A line with NaN or +inf is NaN.

    Source: Martins and Astudillo 2016, "From softmax to sparsemax", arXiv:1602.02068.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.sparsemax(np.array([1.0, 0.5, -1.0]))
    array([0.75, 0.25, 0.  ])
    """
    ufunc = _choose(_SPARSEMAX, masked)
    _check_axis(x, axis)
    return _along(ufunc, axis, out, x)


def sparsemax_backward(grad: Any, y: Any, axis: int = -1, *, out: Any = None) -> Any:
    """Gradient of sparsemax with respect to its input, from its output.

    Parameters
    ----------
    grad, y : array_like of float16, bfloat16, float32 or float64
        Gradient with respect to y, and ``y = sparsemax(x, axis)``; they broadcast.
    axis : int, default -1
        The axis of the sparsemax.
    out : ndarray, optional
        Where to put the result; may be `grad` or `y`.

    Returns
    -------
    ndarray
        Gradient with respect to x.

    Raises
    ------
    TypeError, ValueError
        As `softmax_backward`.

    Notes
    -----
    dx_i = grad_i - mean of grad over where y > 0, if y_i > 0, else 0

    Examples
    --------
    >>> import numpy as np, fastact
    >>> y = fastact.sparsemax(np.array([1.0, 0.5, -1.0]))
    >>> fastact.sparsemax_backward(np.array([1.0, 0.0, 5.0]), y)
    array([ 0.5, -0.5,  0. ])
    """
    _check_axis(y, axis)
    return _along(_axis.sparsemax_backward, axis, out, grad, y)
