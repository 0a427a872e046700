"""Norms of gradients, and clipping by them.

``grads`` is an array, a list or tuple, or a dict, nested as you like: a tree whose leaves are
arrays of float16, bfloat16, float32 or float64. Results have the same structure. They are new
arrays, unless ``out=grads`` (or another tree of the same structure) says where to write.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple
from numpy.typing import ArrayLike

from fastact import _gradients
from fastact._tree import (
    Array,
    arrays_of,
    check_structure,
    name_of,
    result,
    targets_of,
)
from fastact._units import Floats, Units, factors, finite_norms, unscaled

__all__ = [
    "adaptive_clip",
    "clip_by_block_rms",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "clip_per_example",
    "global_norm",
]


def number(name: str, value: Any) -> float:
    try:
        if not isinstance(value, str):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{name} must be a number, not {value!r}")


def check_ord(ord: float) -> float:
    ord = number("ord", ord)
    if not ord > 0:
        raise ValueError(f"ord must be positive, not {ord}")
    return ord


def check_limit(name: str, limit: float) -> float:
    limit = number(name, limit)
    if not limit >= 0:
        raise ValueError(f"{name} must be 0 or more, not {limit}")
    return limit


def check_nonfinite(nonfinite: str) -> None:
    if nonfinite not in ("raise", "zero", "propagate"):
        raise ValueError(f"nonfinite must be 'raise', 'zero' or 'propagate', not {nonfinite!r}")


def global_norm(grads: Any, ord: float = 2) -> float:
    """Norm of all gradients together, as if they were one long vector.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float16, bfloat16, float32 and float64, of any layout.
    ord : float, default 2
        p of the p-norm: any positive number, or inf for the largest absolute value.

    Returns
    -------
    float
        0.0 for no gradients; NaN or inf if a gradient is.

    Raises
    ------
    TypeError
        If an array is of another dtype; the message says which one.
    ValueError
        If `ord` is not positive.

    Notes
    -----
    (sum abs(g) ** ord) ** (1 / ord), summed in float64 and free of overflow and underflow: 1e200 in
    float64 is measured like 1. Accuracy: 1e-14 relative, for any number of terms.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.global_norm({"w": np.array([[3.0]]), "b": np.array([4.0], np.float32)})
    5.0
    """
    root, scale = Units.together(arrays_of(grads)).norms(check_ord(ord))
    return float(unscaled(root, scale)[0])


def clip_by_global_norm(
    grads: Any, max_norm: float, *, ord: float = 2, nonfinite: str = "raise", out: Any = None
) -> tuple[Any, float]:
    """Scale all gradients by one factor, so that their norm together is at most `max_norm`.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float16, bfloat16, float32 and float64, of any layout.
    max_norm : float
        0 or more; inf only measures.
    ord : float, default 2
        p of the p-norm: any positive number, or inf.
    nonfinite : {"raise", "zero", "propagate"}, default "raise"
        What to do about NaN and infinity: an error that names the array and the first bad index;
        take them for 0; or let arithmetic have its way, by which a NaN norm makes everything NaN,
        and an infinite one makes finite entries 0 and infinite ones NaN.
    out : tree of arrays, optional
        Where to write: ``out=grads`` clips in place, and writes nothing where nothing clips.
        Arrays of it must not overlap, but may be the same: tied weights are clipped once.

    Returns
    -------
    grads
        `out`, or new arrays in the same structure.
    norm : float
        Before clipping.

    Raises
    ------
    TypeError
        If an array is of another dtype; the message says which one.
    ValueError
        If a gradient is not finite (by default), `max_norm` is negative or NaN, `ord` not positive,
        `nonfinite` unknown, or `out` of another structure. Nothing has been written then.

    Notes
    -----
    factor = min(1, max_norm / norm), one read to measure and at most one read and write to scale.
    The factor is a float64, and the product rounded to the dtype once: within 0.51 ULP of factor g
    (float64: 0.5).

    Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks".

    Examples
    --------
    >>> import numpy as np, fastact
    >>> grads = {"w": np.array([[3.0]]), "b": np.array([4.0])}
    >>> clipped, norm = fastact.clip_by_global_norm(grads, 2.5)
    >>> clipped, norm
    ({'w': array([[1.5]]), 'b': array([2.])}, 5.0)
    """
    check_nonfinite(nonfinite)
    max_norm, ord = check_limit("max_norm", max_norm), check_ord(ord)
    arrays = arrays_of(grads)
    targets = targets_of(grads, arrays, out)
    units = Units.together(arrays)
    root, scale, zero = finite_norms(units, ord, nonfinite, grads)
    units.write(targets, factors(root, scale, max_norm), zero=zero)
    return result(grads, targets, out), float(unscaled(root, scale)[0])


def clip_by_norm(
    grads: Any,
    max_norm: float,
    axis: int | tuple[int, ...] | None = None,
    *,
    ord: float = 2,
    nonfinite: str = "raise",
    out: Any = None,
) -> Any:
    """Scale each gradient by itself, so that its norm is at most `max_norm`.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float16, bfloat16, float32 and float64, of any layout.
    max_norm : float
        0 or more.
    axis : int or tuple of int, optional
        Take the norm along these axes, and scale each slice by itself: with axis 1 of (N, features)
        every example is clipped. By default the norm is that of the whole array.
    ord : float, default 2
        p of the p-norm: any positive number, or inf.
    nonfinite : {"raise", "zero", "propagate"}, default "raise"
        As for `clip_by_global_norm`; what propagates stays in its array, or its slice.
    out : tree of arrays, optional
        Where to write: ``out=grads`` clips in place. Arrays of it must not overlap.

    Returns
    -------
    grads
        `out`, or new arrays in the same structure.

    Raises
    ------
    TypeError
        If an array is of another dtype; the message says which one.
    ValueError
        If a gradient is not finite (by default), `max_norm` is negative or NaN, `ord` not positive,
        `axis` out of range (`numpy.exceptions.AxisError`) or `out` of another structure. Nothing
        has been written then.

    Notes
    -----
    g min(1, max_norm / norm), with the accuracy of `clip_by_global_norm`.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.clip_by_norm(np.array([[3.0, 4.0], [0.3, 0.4]]), 1.0, axis=1)
    array([[0.6, 0.8],
           [0.3, 0.4]])
    """
    check_nonfinite(nonfinite)
    max_norm, ord = check_limit("max_norm", max_norm), check_ord(ord)
    arrays = arrays_of(grads)
    if axis is None:
        units = Units.each(arrays)
    else:
        reduced = [normalize_axis_tuple(axis, a.ndim, "axis") for a in arrays]
        units = Units.slices(arrays, [_others(a, r) for a, r in zip(arrays, reduced, strict=True)])
    return _clip_units(grads, units, max_norm, ord, nonfinite, out)


def clip_by_block_rms(
    grads: Any, threshold: float, *, nonfinite: str = "raise", out: Any = None
) -> Any:
    """Scale each gradient by itself, so that its root mean square is at most `threshold`.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float16, bfloat16, float32 and float64, of any layout.
    threshold : float
        0 or more.
    nonfinite : {"raise", "zero", "propagate"}, default "raise"
        As for `clip_by_norm`.
    out : tree of arrays, optional
        Where to write: ``out=grads`` clips in place. Arrays of it must not overlap.

    Returns
    -------
    grads
        `out`, or new arrays in the same structure.

    Raises
    ------
    TypeError
        If an array is of another dtype; the message says which one.
    ValueError
        If a gradient is not finite (by default), `threshold` is negative or NaN, or `out` of
        another structure. Nothing has been written then.

    Notes
    -----
    g min(1, threshold / rms), rms = sqrt(mean g^2): `clip_by_norm` with a limit that grows as the
    square root of an array's size. optax calls it by the same name.

    Source: Shazeer and Stern 2018, "Adafactor", section 6.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.clip_by_block_rms([np.array([3.0, 3.0]), np.array([0.5])], 1.0)
    [array([1., 1.]), array([0.5])]
    """
    check_nonfinite(nonfinite)
    threshold = check_limit("threshold", threshold)
    arrays = arrays_of(grads)
    max_norm = threshold * np.sqrt([max(a.size, 1) for a in arrays])
    return _clip_units(grads, Units.each(arrays), max_norm, 2, nonfinite, out)


def adaptive_clip(
    grads: Any,
    params: Any,
    clipping: float = 0.01,
    eps: float = 1e-3,
    *,
    unit_axis: int = -1,
    nonfinite: str = "raise",
    out: Any = None,
) -> Any:
    """Scale the gradient of each output unit, so that its norm is at most `clipping` times that of
    the unit's weights: adaptive gradient clipping, AGC.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float16, bfloat16, float32 and float64, of any layout.
    params : tree of arrays
        The weights, in the structure and the shapes of `grads`; dtypes may differ.
    clipping : float, default 0.01
        The largest ratio of the norms, 0 or more.
    eps : float, default 1e-3
        Norms of weights below this are taken for it, so that weights that begin at 0 can move.
        Positive.
    unit_axis : int, default -1
        The axis that counts output units: -1 for weights (in, out) and kernels (H, W, in, out), 0
        for PyTorch's (out, in) and (out, in, H, W). Norms are over all other axes. An array with no
        more than one axis longer than 1, as a bias, is one unit.
    nonfinite : {"raise", "zero", "propagate"}, default "raise"
        As for `clip_by_norm`; "raise" and "zero" hold for `params` as well.
    out : tree of arrays, optional
        Where to write: ``out=grads`` clips in place. Arrays of it must not overlap.

    Returns
    -------
    grads
        `out`, or new arrays in the same structure.

    Raises
    ------
    TypeError
        If an array is of another dtype; the message says which one.
    ValueError
        If a gradient or a weight is not finite (by default), `clipping` is negative, `eps` not
        positive, `unit_axis` out of range (`numpy.exceptions.AxisError`), or `params` or `out` of
        another structure. Nothing has been written then.

    Notes
    -----
    g min(1, clipping max(|w|, eps) / |g|) for each unit.

    Source: Brock et al. 2021, "High-performance large-scale image recognition without
    normalization", section 4.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> grads, params = np.array([[3.0, 0.0], [4.0, 0.1]]), np.full((2, 2), 50.0)
    >>> fastact.adaptive_clip(grads, params)
    array([[0.42426407, 0.        ],
           [0.56568542, 0.1       ]])
    """
    check_nonfinite(nonfinite)
    clipping, eps = check_limit("clipping", clipping), number("eps", eps)
    if not 0 < eps < math.inf:
        raise ValueError(f"eps must be positive and finite, not {eps}")
    arrays = arrays_of(grads)
    weights = arrays_of(params, "params")
    check_structure(params, grads, "params")
    for k, (w, a) in enumerate(zip(weights, arrays, strict=True)):
        if w.shape != a.shape:
            name = name_of(params, "params", k)
            raise ValueError(f"{name} must have the shape {a.shape} of grads, not {w.shape}")
    kept = [unit_axes(a, unit_axis) for a in arrays]
    root, scale, _ = finite_norms(Units.slices(weights, kept), 2, nonfinite, params, "params")
    with np.errstate(over="ignore"):
        max_norm = clipping * np.maximum(unscaled(root, scale), eps)
    return _clip_units(grads, Units.slices(arrays, kept), max_norm, 2, nonfinite, out)


def clip_per_example(
    grads: Any, max_norm: float, *, ord: float = 2, nonfinite: str = "raise", out: Any = None
) -> tuple[Any, Floats, int]:
    """Scale the gradients of each example, so that their norm together is at most `max_norm`.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float16, bfloat16, float32 and float64; axis 0 of every array counts the examples.
    max_norm : float
        0 or more.
    ord : float, default 2
        p of the p-norm: any positive number, or inf.
    nonfinite : {"raise", "zero", "propagate"}, default "raise"
        As for `clip_by_norm`; what propagates stays in its example.
    out : tree of arrays, optional
        Where to write: ``out=grads`` clips in place. Arrays of it must not overlap.

    Returns
    -------
    grads
        `out`, or new arrays in the same structure.
    norms : ndarray of float64, shape (N,)
        Of each example, before clipping.
    clipped : int
        How many examples were clipped.

    Raises
    ------
    TypeError
        If an array is of another dtype; the message says which one.
    ValueError
        If a gradient is not finite (by default), an array has no axis or another number of
        examples, `max_norm` is negative or NaN, `ord` not positive, or `out` of another structure.
        Nothing has been written then.

    Notes
    -----
    g_i min(1, max_norm / norm_i). For differentially private training, sum what this gives over
    axis 0 and add the noise.

    Source: Abadi et al. 2016, "Deep learning with differential privacy".

    Examples
    --------
    >>> import numpy as np, fastact
    >>> grads = {"w": np.array([[3.0], [0.3]]), "b": np.array([4.0, 0.4])}
    >>> clipped, norms, count = fastact.clip_per_example(grads, 1.0)
    >>> clipped["b"], norms, count
    (array([0.8, 0.4]), array([5. , 0.5]), 1)
    """
    check_nonfinite(nonfinite)
    max_norm, ord = check_limit("max_norm", max_norm), check_ord(ord)
    arrays = arrays_of(grads)
    for k, a in enumerate(arrays):
        if a.ndim == 0 or len(a) != len(arrays[0]):
            counts = (
                "examples along axis 0" if k == 0 else f"{len(arrays[0])} examples along axis 0"
            )
            raise ValueError(
                f"{name_of(grads, 'grads', k)} must have {counts}, not the shape {a.shape}"
            )
    targets = targets_of(grads, arrays, out)
    examples = len(arrays[0]) if arrays else 0
    units = Units(arrays, np.zeros(len(arrays), np.intp), examples, [(0,)] * len(arrays))
    root, scale, zero = finite_norms(units, ord, nonfinite, grads)
    factor = factors(root, scale, max_norm)
    units.write(targets, factor, zero=zero)
    return result(grads, targets, out), unscaled(root, scale), int(np.count_nonzero(factor != 1))


def _others(a: Array, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis for axis in range(a.ndim) if axis not in axes)


def unit_axes(a: Array, unit_axis: int) -> tuple[int, ...]:
    """The axis of the output units; none for an array that is one unit."""
    if sum(length != 1 for length in a.shape) < 2:
        return ()
    return (normalize_axis_index(unit_axis, a.ndim, "unit_axis"),)


def _clip_units(
    grads: Any, units: Units, max_norm: float | Floats, ord: float, nonfinite: str, out: Any
) -> Any:
    targets = targets_of(grads, units.arrays, out)
    root, scale, zero = finite_norms(units, ord, nonfinite, grads)
    units.write(targets, factors(root, scale, max_norm), zero=zero)
    return result(grads, targets, out)


def clip_by_value(grads: Any, min: ArrayLike, max: ArrayLike, *, out: Any = None) -> Any:
    """Limit every entry to [min, max].

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float16, bfloat16, float32 and float64, of any layout.
    min, max : array_like
        Bounds, broadcast against each array, and rounded to its dtype.
    out : tree of arrays, optional
        Where to write: ``out=grads`` clips in place. Arrays of it must not overlap.

    Returns
    -------
    grads
        `out`, or new arrays in the same structure.

    Raises
    ------
    TypeError
        If an array is of another dtype; the message says which one.
    ValueError
        If min > max, a bound is NaN or does not broadcast, or `out` is of another structure.
        Nothing has been written then.

    Notes
    -----
    min(max(g, min), max). NaN stays NaN, as `zero_nonfinite` would not have it; infinity becomes a
    bound.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.clip_by_value([np.array([-3.0, 0.5, 2.0])], -1, 1)
    [array([-1. ,  0.5,  1. ])]
    """
    lower, upper = np.asarray(min), np.asarray(max)
    if not np.all(lower <= upper):
        raise ValueError(
            f"min must not exceed max, and neither may be NaN: got {lower} and {upper}"
        )
    arrays = arrays_of(grads)
    for name, bound in (("min", lower), ("max", upper)):
        if bound.ndim:
            _check_broadcast(name, bound, grads, arrays)
    targets = targets_of(grads, arrays, out)
    others: Iterable[int] = range(len(arrays))
    with np.errstate(all="ignore"):
        if lower.ndim == upper.ndim == 0:
            others = _gradients.clamp(arrays, targets, float(lower), float(upper))
        for k in others:
            dtype = targets[k].dtype
            np.clip(arrays[k], lower.astype(dtype), upper.astype(dtype), out=targets[k])
    return result(grads, targets, out)


def _check_broadcast(name: str, bound: Array, grads: Any, arrays: list[Array]) -> None:
    for k, a in enumerate(arrays):
        try:
            np.broadcast_to(bound, a.shape)
        except ValueError:
            raise ValueError(
                f"{name} of shape {bound.shape} does not broadcast to "
                f"{name_of(grads, 'grads', k)} of shape {a.shape}"
            ) from None
