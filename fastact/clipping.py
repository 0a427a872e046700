"""Norms of gradients, and clipping by them.

``grads`` is an array, a list or tuple, or a dict, nested as you like: a tree whose leaves are
float32 or float64 arrays. Results have the same structure. They are new arrays, unless
``out=grads`` (or another tree of the same structure) says where to write.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import ArrayLike, NDArray

from fastact import _axis

__all__ = ["clip_by_global_norm", "clip_by_norm", "clip_by_value", "global_norm"]

Array = NDArray[Any]
Named = list[tuple[str, Array]]  # arrays with the expressions that reach them, as grads['w'][0]
SMALL = 2.0**-900  # a sum of squares below this may have lost terms that underflowed


# --- trees ---------------------------------------------------------------------------------------


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, child in tree.items():
            yield from _leaves(child, f"{path}[{key!r}]")
    elif isinstance(tree, list | tuple):
        for k, child in enumerate(tree):
            yield from _leaves(child, f"{path}[{k}]")
    else:
        yield path, tree


def _arrays(grads: Any) -> Named:
    arrays = [(path, np.asarray(leaf)) for path, leaf in _leaves(grads, "grads")]
    for path, a in arrays:
        if a.dtype.char not in "fd":
            raise TypeError(f"{path} must be of float32 or float64, not {a.dtype}")
    return arrays


def _rebuild(tree: Any, arrays: Iterator[Array]) -> Any:
    """The tree with its leaves replaced, in the order of `_leaves`."""
    if isinstance(tree, dict):
        return {key: _rebuild(child, arrays) for key, child in tree.items()}
    if isinstance(tree, list | tuple):
        children = [_rebuild(child, arrays) for child in tree]
        if hasattr(tree, "_fields"):  # a namedtuple
            return type(tree)(*children)
        return children if isinstance(tree, list) else tuple(children)
    return next(arrays)


def _targets(arrays: Named, out: Any) -> list[Array]:
    """Where to write, an array for each of grads: new ones, or those of `out`, all checked."""
    if out is None:
        return [np.empty_like(a, dtype=a.dtype.char) for _, a in arrays]
    named = list(_leaves(out, "out"))
    if [path[len("out") :] for path, _ in named] != [path[len("grads") :] for path, _ in arrays]:
        raise ValueError("out must have the structure of grads")
    for (path, target), (_, a) in zip(named, arrays, strict=True):
        if not isinstance(target, np.ndarray):
            raise TypeError(f"{path} must be an ndarray, not {type(target).__name__}")
        if target.shape != a.shape or target.dtype != a.dtype:
            raise ValueError(
                f"{path} must have shape {a.shape} and dtype {a.dtype}, "
                f"not {target.shape} and {target.dtype}"
            )
        if not target.flags.writeable:
            raise ValueError(f"{path} must be writable")
    return [target for _, target in named]


def _result(grads: Any, targets: list[Array], out: Any) -> Any:
    return _rebuild(grads, iter(targets)) if out is None else out


# --- norms ---------------------------------------------------------------------------------------


def _is_plain(a: Array) -> bool:
    """Whether the kernels can read and write it: without gaps, native, aligned."""
    flags = a.flags
    return flags.forc and flags.aligned and a.dtype.isnative


def _plain(a: Array) -> Array:
    return a if _is_plain(a) else np.require(a, a.dtype.newbyteorder("="), ["C", "A"])


def _check_ord(ord: float) -> float:
    ord = float(ord)
    if not ord > 0:
        raise ValueError(f"ord must be positive, not {ord}")
    return ord


def _check_max_norm(max_norm: float) -> float:
    max_norm = float(max_norm)
    if not max_norm >= 0:
        raise ValueError(f"max_norm must be 0 or more, not {max_norm}")
    return max_norm


def _peak(plain: list[Array], zero_nonfinite: bool) -> float:
    """The largest absolute value; NaN if any is."""
    peaks = [_axis.measure(a, 0, 1.0, zero_nonfinite) for a in plain]
    return math.nan if any(map(math.isnan, peaks)) else max(peaks, default=0.0)


def _power_sum(plain: list[Array], ord: float, scale: float, zero_nonfinite: bool) -> float:
    """Sum of abs(scale * x) ** ord."""
    if ord in (1, 2):
        return sum(_axis.measure(a, int(ord), scale, zero_nonfinite) for a in plain)
    total = 0.0
    for a in plain:
        magnitude = np.abs(a.ravel(), dtype=np.float64)
        if zero_nonfinite:
            magnitude[~np.isfinite(magnitude)] = 0
        magnitude *= scale
        total += float((magnitude**ord).sum())
    return total


def _scaled_norm(
    arrays: list[Array], ord: float, zero_nonfinite: bool = False
) -> tuple[float, float]:
    """(r, scale) with r / scale the norm: r is a normal number even where the norm overflows."""
    plain = [_plain(a) for a in arrays]
    if ord in (1, 2):
        total = _power_sum(plain, ord, 1.0, zero_nonfinite)
        if math.isnan(total) or SMALL < total < math.inf:
            return total ** (1 / ord), 1.0
    peak = _peak(plain, zero_nonfinite)
    if peak == 0 or ord == math.inf or not math.isfinite(peak):
        return peak, 1.0
    # A power of two, so that scaling is exact.
    scale = math.ldexp(1.0, -max(math.frexp(peak)[1], -1000))
    return _power_sum(plain, ord, scale, zero_nonfinite) ** (1 / ord), scale


def global_norm(grads: Any, ord: float = 2) -> float:
    """Norm of all gradients together, as if they were one long vector.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float32 and float64, of any layout.
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
    float64 is measured like 1.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.global_norm({"w": np.array([[3.0]]), "b": np.array([4.0], np.float32)})
    5.0
    """
    ord = _check_ord(ord)
    root, scale = _scaled_norm([a for _, a in _arrays(grads)], ord)
    return root / scale


# --- clipping ------------------------------------------------------------------------------------


def _factor(root: float, scale: float, max_norm: float) -> float:
    """min(1, max_norm / norm); NaN for a NaN norm."""
    norm = root / scale
    if norm <= max_norm:
        return 1.0
    if math.isinf(norm) and math.isfinite(root):
        return max_norm / root * scale
    return max_norm / norm


def _same_place(a: Array, b: Array) -> bool:
    return a is b or (a.ctypes.data == b.ctypes.data and a.strides == b.strides)


def _rescale(a: Array, target: Array, factor: float, zero_nonfinite: bool = False) -> None:
    """target = factor * a. Nothing is written in place where nothing changes."""
    apart = not np.may_share_memory(a, target)
    in_place = not apart and _same_place(a, target)
    if factor == 1 and not zero_nonfinite:
        if not in_place:
            target[...] = a
        return
    alike = _is_plain(a) and _is_plain(target) and a.strides == target.strides
    if alike and (apart or in_place):
        _axis.rescale(a, target, factor, zero_nonfinite)
        return
    a = _plain(a)
    y = np.empty_like(a)
    _axis.rescale(a, y, factor, zero_nonfinite)
    target[...] = y


def _rescale_all(arrays: Named, targets: list[Array], factor: float, zero_nonfinite: bool) -> None:
    done: set[int] = set()  # an array that the tree holds twice is clipped once
    for (_, a), target in zip(arrays, targets, strict=True):
        if id(target) not in done:
            _rescale(a, target, factor, zero_nonfinite)
        done.add(id(target))


def _raise_nonfinite(arrays: Named) -> None:
    for path, a in arrays:
        bad = ~np.isfinite(a)
        if bad.any():
            index = tuple(int(k) for k in np.unravel_index(np.argmax(bad), a.shape))
            raise ValueError(f"{path} is {a[index]} at index {index}; nothing was clipped")


def clip_by_global_norm(
    grads: Any, max_norm: float, *, ord: float = 2, nonfinite: str = "raise", out: Any = None
) -> tuple[Any, float]:
    """Scale all gradients by one factor, so that their norm together is at most `max_norm`.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float32 and float64, of any layout.
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
        Arrays of it must not overlap.

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

    Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks".

    Examples
    --------
    >>> import numpy as np, fastact
    >>> grads = {"w": np.array([[3.0]]), "b": np.array([4.0])}
    >>> clipped, norm = fastact.clip_by_global_norm(grads, 2.5)
    >>> clipped, norm
    ({'w': array([[1.5]]), 'b': array([2.])}, 5.0)
    """
    if nonfinite not in ("raise", "zero", "propagate"):
        raise ValueError(f"nonfinite must be 'raise', 'zero' or 'propagate', not {nonfinite!r}")
    max_norm, ord = _check_max_norm(max_norm), _check_ord(ord)
    arrays = _arrays(grads)
    targets = _targets(arrays, out)
    root, scale = _scaled_norm([a for _, a in arrays], ord)
    zero = False
    if not math.isfinite(root):
        if nonfinite == "raise":
            _raise_nonfinite(arrays)
        elif nonfinite == "zero":
            zero = True
            root, scale = _scaled_norm([a for _, a in arrays], ord, zero_nonfinite=True)
    _rescale_all(arrays, targets, _factor(root, scale, max_norm), zero)
    return _result(grads, targets, out), root / scale


def clip_by_norm(
    grads: Any,
    max_norm: float,
    axis: int | tuple[int, ...] | None = None,
    *,
    ord: float = 2,
    out: Any = None,
) -> Any:
    """Scale each gradient by itself, so that its norm is at most `max_norm`.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float32 and float64, of any layout.
    max_norm : float
        0 or more.
    axis : int or tuple of int, optional
        Take the norm along these axes, and scale each slice by itself: with axis 1 of (N, features)
        every example is clipped. By default the norm is that of the whole array.
    ord : float, default 2
        p of the p-norm: any positive number, or inf.
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
        If `max_norm` is negative or NaN, `ord` not positive, `axis` out of range
        (`numpy.exceptions.AxisError`) or `out` of another structure. Nothing has been written then.

    Notes
    -----
    g min(1, max_norm / norm). Where the norm is NaN, so is the result; where it is infinite, finite
    entries become 0 and infinite ones NaN.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.clip_by_norm(np.array([[3.0, 4.0], [0.3, 0.4]]), 1.0, axis=1)
    array([[0.6, 0.8],
           [0.3, 0.4]])
    """
    max_norm, ord = _check_max_norm(max_norm), _check_ord(ord)
    arrays = _arrays(grads)
    targets = _targets(arrays, out)
    if axis is None:
        factors = [_factor(*_scaled_norm([a], ord), max_norm) for _, a in arrays]
        for named, target, factor in zip(arrays, targets, factors, strict=True):
            _rescale_all([named], [target], factor, False)
    else:
        axes = [normalize_axis_tuple(axis, a.ndim, "axis") for _, a in arrays]
        for (_, a), target, reduced in zip(arrays, targets, axes, strict=True):
            _clip_slices(a, target, reduced, max_norm, ord)
    return _result(grads, targets, out)


def _clip_slices(
    a: Array, target: Array, axis: tuple[int, ...], max_norm: float, ord: float
) -> None:
    wide = a.astype(np.float64)
    with np.errstate(all="ignore"):
        magnitude = np.abs(wide)
        norm = magnitude.max(axis, keepdims=True, initial=0)
        if ord != math.inf:
            unit = np.where(np.isfinite(norm) & (norm > 0), norm, 1)
            norm = unit * ((magnitude / unit) ** ord).sum(axis, keepdims=True) ** (1 / ord)
        factor = np.where(norm <= max_norm, 1, max_norm / norm)
        if (factor != 1).any():
            target[...] = wide * factor
        elif not _same_place(a, target):
            target[...] = a


def clip_by_value(grads: Any, min: ArrayLike, max: ArrayLike, *, out: Any = None) -> Any:
    """Limit every entry to [min, max].

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float32 and float64, of any layout.
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
    min(max(g, min), max). NaN stays NaN; infinity becomes a bound.

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
    arrays = _arrays(grads)
    for path, a in arrays:
        for name, bound in (("min", lower), ("max", upper)):
            try:
                np.broadcast_to(bound, a.shape)
            except ValueError:
                raise ValueError(
                    f"{name} of shape {bound.shape} does not broadcast to {path} of shape {a.shape}"
                ) from None
    targets = _targets(arrays, out)
    for (_, a), target in zip(arrays, targets, strict=True):
        _axis.clamp(a, lower.astype(target.dtype), upper.astype(target.dtype), out=target)
    return _result(grads, targets, out)
