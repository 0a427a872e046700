"""Losses of classifiers from their logits, and their gradients in the same pass."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import ArrayLike, NDArray

from fastact import _axis
from fastact._layout import is_half, real

__all__ = [
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_with_gradient",
    "cross_entropy",
    "cross_entropy_with_gradient",
]

_LEFT_OUT = -1  # the label of a line that the kernels leave out


def cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: int = -1,
    *,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    ignore_index: int | None = -100,
    weight: ArrayLike | None = None,
) -> Any:
    """Cross-entropy of softmax(logits) and labels, as PyTorch's function of this name.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        A line of them along `axis` has one for each of C classes. Integers become float64 (small
        ones float32).
    labels : array_like
        Class indices: integers in [0, C), of the shape of the logits without `axis`. Or
        probabilities: floats of the shape of the logits, taken in their dtype.
    axis : int, default -1
        The axis of the classes. Every axis is fast, not only the last.
    reduction : {"mean", "none", "sum"}, default "mean"
        What becomes of the losses of the lines. A mean over class indices is weighted: it divides
        by the sum of the weights of the labels that are not ignored, and is NaN where that is 0; a
        mean over probabilities divides by the number of lines.
    label_smoothing : float, default 0.0
        How much of each label is spread evenly over all classes, in [0, 1].
    ignore_index : int or None, default -100
        Class indices equal to it are left out: their loss and gradient are 0. None: none is.
    weight : array_like of shape (C,), optional
        What the term of each class is multiplied by.

    Returns
    -------
    scalar or ndarray
        Of the dtype of the logits: one number, or with ``reduction="none"`` one for each line.

    Raises
    ------
    TypeError
        For complex and object input.
    ValueError
        If a label is no class (its index and value are named), if `axis` is out of range
        (`numpy.exceptions.AxisError`) or has length 0, if `reduction` is unknown, if
        `label_smoothing` is not in [0, 1], if there is an `ignore_index` of 0 or more for
        probabilities, or if a shape does not fit.

    Notes
    -----
    loss = -sum_c w_c t_c log p_c with p = softmax(logits) and t the label: 1 at the class and 0
    elsewhere, or the probabilities; with smoothing s, (1 - s) t_c + s / C. Without smoothing the
    loss of a class index l is w_l (log(1 + o) + max x - x_l), o being the sum of exp(x - max x)
    over all elements but the largest: nothing cancels where p_l is near 1.

    Accuracy: the loss of a line is within 4 ULP, also where it is tiny, if no weight or probability
    is negative. A class of -inf whose weight or probability is 0 takes no part. A line with NaN is
    NaN, one with +inf NaN or, where the label has another class, inf. Losses are added up in
    float64. Half types are computed in float32 and rounded once. No floating-point warnings.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> logits = np.array([[2.0, 1.0, 0.0], [0.0, 100.0, 0.0]])
    >>> fastact.cross_entropy(logits, [0, 1], reduction="none").round(4)
    array([0.4076, 0.    ])
    >>> f"{fastact.cross_entropy(logits[1], 1):.6g}"  # where 1 - p is lost
    '7.44015e-44'
    """
    task = _task(logits, labels, axis, reduction, label_smoothing, ignore_index, weight)
    return task.loss(_axis.cross_entropy(*task.inputs, axes=[*task.axes, ()]))


def cross_entropy_with_gradient(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: int = -1,
    *,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    ignore_index: int | None = -100,
    weight: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
) -> tuple[Any, NDArray[Any]]:
    """Cross-entropy and its gradient with respect to the logits, in one pass over each line.

    Parameters
    ----------
    logits, labels, axis, reduction, label_smoothing, ignore_index, weight
        As for `cross_entropy`.
    out : ndarray, optional
        Where to put the gradient; of the shape and dtype of the logits, and may be the logits.

    Returns
    -------
    loss : scalar or ndarray
        What `cross_entropy` returns.
    dlogits : ndarray
        Its gradient, of the shape and dtype of the logits; with ``reduction="none"`` that of the
        sum of the losses.

    Raises
    ------
    TypeError, ValueError
        As `cross_entropy`, and if `out` does not fit. Nothing has been written then.

    Notes
    -----
    With a_c = w_c t_c as in `cross_entropy` and p = softmax(logits), dlogits_c = p_c sum(a) - a_c,
    over what the mean divides by. For class indices it is p - 1 at the label, which is taken as
    -o / (1 + o) where p is near 1 and keeps all its digits.

    Accuracy, float32: within 4 ULP of the largest entry of a line for class indices. Probabilities
    and smoothing may cancel in p_c sum(a) - a_c; it is off by no more than 2^-27 of either there.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> logits = np.array([[0.0, 0.0], [50.0, 0.0]])
    >>> loss, dlogits = fastact.cross_entropy_with_gradient(logits, [0, 0])
    >>> dlogits
    array([[-2.50000000e-01,  2.50000000e-01],
           [-9.64374924e-23,  9.64374924e-23]])
    """
    task = _task(logits, labels, axis, reduction, label_smoothing, ignore_index, weight)
    into = task.memory(out)
    losses, gradient = _axis.cross_entropy_with_gradient(
        *task.inputs, axes=[*task.axes, (), task.axes[0]], out=(None, into)
    )
    return task.loss(losses), task.gradient(gradient, out)


def binary_cross_entropy_with_logits(
    logits: ArrayLike,
    targets: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    pos_weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> Any:
    """Binary cross-entropy of sigmoid(logits) and targets, as PyTorch's function of this name.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Integers become float64 (small ones float32).
    targets : array_like
        The probability of the positive class, of the shape of the logits and taken in their dtype.
    weight : array_like, optional
        What each loss is multiplied by; broadcast against the logits.
    pos_weight : array_like, optional
        What the term of the positive class is multiplied by; broadcast against the logits.
    reduction : {"mean", "none", "sum"}, default "mean"
        What becomes of the losses. A mean divides by their number, whatever their weights.

    Returns
    -------
    scalar or ndarray
        Of the dtype of the logits: one number, or with ``reduction="none"`` the losses.

    Raises
    ------
    TypeError
        For complex and object input.
    ValueError
        If `reduction` is unknown, or if a shape does not fit.

    Notes
    -----
    loss = weight ((1 - t) softplus(x) + pos_weight t softplus(-x)), within 4 ULP for t in [0, 1],
    also where x is far out on the side that the target says. Losses are added up in float64; half
    types are computed in float32 and rounded once. No floating-point warnings.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.binary_cross_entropy_with_logits(np.array([0.0, 50.0]), [1, 1], reduction="none")
    array([6.93147181e-01, 1.92874985e-22])
    """
    task = _binary_task(logits, targets, weight, pos_weight, reduction)
    return task.loss(_axis.binary_cross_entropy(*task.inputs))


def binary_cross_entropy_with_logits_with_gradient(
    logits: ArrayLike,
    targets: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    pos_weight: ArrayLike | None = None,
    reduction: str = "mean",
    out: NDArray[Any] | None = None,
) -> tuple[Any, NDArray[Any]]:
    """Binary cross-entropy and its gradient with respect to the logits, in one pass.

    Parameters
    ----------
    logits, targets, weight, pos_weight, reduction
        As for `binary_cross_entropy_with_logits`.
    out : ndarray, optional
        Where to put the gradient; of the shape and dtype of the logits, and may be the logits.

    Returns
    -------
    loss : scalar or ndarray
        What `binary_cross_entropy_with_logits` returns.
    dlogits : ndarray
        Its gradient, of the shape and dtype of the logits; with ``reduction="none"`` that of the
        sum of the losses.

    Raises
    ------
    TypeError, ValueError
        As `binary_cross_entropy_with_logits`, and if `out` does not fit. Nothing has been written
        then.

    Notes
    -----
    dlogits = weight ((1 - t) sigmoid(x) - pos_weight t sigmoid(-x)), over the number of losses for
    a mean. For hard targets, 0 and 1, it is within 4 ULP in both tails.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> loss, dlogits = fastact.binary_cross_entropy_with_logits_with_gradient(
    ...     np.array([0.0, 50.0]), [1, 1], reduction="sum"
    ... )
    >>> dlogits
    array([-5.00000000e-01, -1.92874985e-22])
    """
    task = _binary_task(logits, targets, weight, pos_weight, reduction)
    losses, gradient = _axis.binary_cross_entropy_with_gradient(
        *task.inputs, out=(None, task.memory(out))
    )
    return task.loss(losses), task.gradient(gradient, out)


@dataclass(frozen=True)
class _Task:
    """What a kernel is given, and what becomes of its results."""

    inputs: tuple[Any, ...]  # the logits first
    axes: list[Any]  # of these inputs, for a gufunc
    denominator: float | None  # of a mean, or None
    reduction: str
    dtype: np.dtype[Any]  # of what the user gets

    def loss(self, losses: Any) -> Any:
        if self.reduction == "none":
            return np.asarray(losses).astype(self.dtype, copy=False)[()]
        total = float(np.sum(losses, dtype=np.float64))
        if self.denominator is not None:
            total = total / self.denominator if self.denominator else math.nan
        return self.dtype.type(total)

    def memory(self, out: NDArray[Any] | None) -> NDArray[Any]:
        """Where the kernel puts the gradient: `out`, or memory that lies like the logits."""
        logits: NDArray[Any] = self.inputs[0]
        if out is None:
            return np.empty_like(logits)
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be an ndarray, not {type(out).__name__}")
        if out.shape != logits.shape or out.dtype != self.dtype:
            raise ValueError(
                f"out must have shape {logits.shape} and dtype {self.dtype}, "
                f"not {out.shape} and {out.dtype}"
            )
        if not out.flags.writeable:
            raise ValueError("out must be writable")
        return out if out.dtype == logits.dtype else np.empty_like(logits)

    def gradient(self, found: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
        if out is None:
            return np.asarray(found).astype(self.dtype, copy=False)
        if out.dtype != found.dtype:
            out[...] = found
        return out


def _widened(name: str, a: ArrayLike) -> tuple[NDArray[Any], np.dtype[Any]]:
    """An array as the kernels take it, and its dtype before: half types become float32."""
    a = np.asarray(a)
    if is_half(a):
        return a.astype(np.float32), a.dtype
    a = real(name, a)
    return a, a.dtype


def _check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "none", "sum"):
        raise ValueError(f"reduction must be 'mean', 'none' or 'sum', not {reduction!r}")


def _scale(denominator: float | None, dtype: np.dtype[Any]) -> Any:
    """What the gradient of a sum is multiplied by; NaN where a mean divides by 0."""
    if denominator is None:
        return dtype.type(1)
    return dtype.type(1 / denominator if denominator else math.nan)


def _task(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: int,
    reduction: str,
    label_smoothing: float,
    ignore_index: int | None,
    weight: ArrayLike | None,
) -> _Task:
    _check_reduction(reduction)
    x, dtype = _widened("logits", logits)
    axis = normalize_axis_index(axis, x.ndim, "axis")
    classes, lines = x.shape[axis], x.shape[:axis] + x.shape[axis + 1 :]
    if not classes:
        raise ValueError(f"axis {axis} of the logits has length 0: there are no classes")
    smoothing = float(label_smoothing)
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1], not {label_smoothing}")
    if ignore_index is not None:
        ignore_index = operator.index(ignore_index)
    each = None if weight is None else _class_weights(weight, classes, x.dtype)
    labels = np.asarray(labels)
    denominator: float | None = None
    if labels.dtype.kind in "iu":
        index = _indices(labels, lines, classes, ignore_index)
        of_label: Any = x.dtype.type(1) if each is None else each[np.maximum(index, 0)]
        if reduction == "mean":
            kept = index != _LEFT_OUT
            weights = np.broadcast_to(of_label, lines)
            denominator = float(np.sum(weights, where=kept, dtype=np.float64))
        spread = _spread(x, axis, each, smoothing)
        spread_axis = axis if spread.ndim == x.ndim else -1
        of_label = (of_label * (1 - smoothing)).astype(x.dtype)
    else:
        if ignore_index is not None and ignore_index >= 0:
            raise ValueError(f"ignore_index {ignore_index} is for class indices, not probabilities")
        spread, spread_axis = _probabilities(labels, x, axis, each, smoothing), axis
        index, of_label = np.array(0), x.dtype.type(0)  # no label besides
        denominator = math.prod(lines) if reduction == "mean" else None
    inputs = (x, spread, index, of_label, _scale(denominator, x.dtype))
    return _Task(inputs, [axis, spread_axis, (), (), ()], denominator, reduction, dtype)


def _class_weights(weight: ArrayLike, classes: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    given, _ = _widened("weight", weight)
    if given.shape != (classes,):
        raise ValueError(
            f"weight must have the shape ({classes},) of the classes, not {given.shape}"
        )
    return given.astype(dtype, copy=False)


def _indices(
    labels: NDArray[Any], lines: tuple[int, ...], classes: int, ignore_index: int | None
) -> NDArray[np.int64]:
    """Class indices as the kernels take them."""
    if labels.shape != lines:
        raise ValueError(
            f"labels must have the shape {lines} of the logits without axis, not {labels.shape}"
        )
    may_be_ignored = ignore_index is not None and 0 <= ignore_index < classes
    if not labels.size or (labels.min() >= 0 and labels.max() < classes and not may_be_ignored):
        return labels.astype(np.int64, copy=False)
    ignored = np.zeros(lines, bool) if ignore_index is None else labels == ignore_index
    bad = ((labels < 0) | (labels >= classes)) & ~ignored
    if bad.any():
        where = tuple(map(int, np.unravel_index(int(bad.argmax()), lines)))
        place = f"[{', '.join(map(str, where))}]" if lines else ""
        raise ValueError(f"labels{place} is {labels[where]}, not one of {classes} classes")
    return np.where(ignored, _LEFT_OUT, labels.astype(np.int64))


def _spread(
    x: NDArray[Any], axis: int, each: NDArray[Any] | None, smoothing: float
) -> NDArray[Any]:
    """What smoothing gives each class; without it one zero for all, which the kernels know by its
    stride. Lines that lie side by side want it beside them."""
    classes = x.shape[axis]
    if not smoothing:
        return np.broadcast_to(np.zeros((), x.dtype), (classes,))
    share = np.full(classes, smoothing / classes, x.dtype)
    if each is not None:
        share *= each
    if x.ndim == 1 or x.strides[axis] == x.itemsize:
        return share
    beside = np.empty_like(x)
    beside[...] = _along(share, axis, x.ndim)
    return beside


def _probabilities(
    labels: NDArray[Any], x: NDArray[Any], axis: int, each: NDArray[Any] | None, smoothing: float
) -> NDArray[Any]:
    """The weight of each class in the loss of each line."""
    given, _ = _widened("labels", labels)
    if given.shape != x.shape:
        lines = x.shape[:axis] + x.shape[axis + 1 :]
        raise ValueError(
            f"labels must be class indices, integers of shape {lines}, or probabilities of the "
            f"shape {x.shape} of the logits; not {labels.dtype} of shape {given.shape}"
        )
    given = given.astype(x.dtype, copy=False)
    if smoothing:
        given = given * (1 - smoothing) + smoothing / x.shape[axis]
    if each is not None:
        given = given * _along(each, axis, x.ndim)
    return given if given.strides[axis] else given.copy()


def _along(a: NDArray[Any], axis: int, ndim: int) -> NDArray[Any]:
    """A vector, broadcast along the other axes."""
    return a.reshape([-1 if k == axis else 1 for k in range(ndim)])


def _binary_task(
    logits: ArrayLike,
    targets: ArrayLike,
    weight: ArrayLike | None,
    pos_weight: ArrayLike | None,
    reduction: str,
) -> _Task:
    _check_reduction(reduction)
    x, dtype = _widened("logits", logits)
    t, _ = _widened("targets", targets)
    if t.shape != x.shape:
        raise ValueError(f"targets must have the shape {x.shape} of the logits, not {t.shape}")
    factors = [_factor("pos_weight", pos_weight, x), _factor("weight", weight, x)]
    denominator = x.size if reduction == "mean" else None
    scale = _scale(denominator, x.dtype)
    inputs = (x, t.astype(x.dtype, copy=False), *factors, scale)
    return _Task(inputs, [], denominator, reduction, dtype)


def _factor(name: str, a: ArrayLike | None, x: NDArray[Any]) -> Any:
    if a is None:
        return x.dtype.type(1)
    given, _ = _widened(name, a)
    try:
        return np.broadcast_to(given.astype(x.dtype, copy=False), x.shape)
    except ValueError:
        raise ValueError(
            f"{name} must broadcast to the shape {x.shape} of the logits, not {given.shape}"
        ) from None
