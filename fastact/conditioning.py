"""Gradients made fit for a step: of a given norm, without their mean, without NaN.

``grads`` is a tree of arrays, and ``out=grads`` works in place, as for `fastact.clipping`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fastact._tree import arrays_of, result, targets_of
from fastact._units import Units, finite_norms, takes_zero, unscaled
from fastact.clipping import check_limit, check_nonfinite, check_ord, number

__all__ = ["centralize_gradients", "normalize_gradients", "zero_nonfinite"]


def normalize_gradients(
    grads: Any,
    norm: float = 1.0,
    *,
    ord: float = 2,
    eps: float = 0.0,
    nonfinite: str = "raise",
    out: Any = None,
) -> tuple[Any, float]:
    """Scale all gradients by one factor, up or down, so that their norm together is `norm`.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float16, bfloat16, float32 and float64, of any layout.
    norm : float, default 1
        Positive and finite.
    ord : float, default 2
        p of the p-norm: any positive number, or inf.
    eps : float, default 0
        Added to the norm that is divided by, so that gradients much smaller stay small; 0 or more.
    nonfinite : {"raise", "zero", "propagate"}, default "raise"
        As for `clip_by_global_norm`.
    out : tree of arrays, optional
        Where to write: ``out=grads`` works in place. Arrays of it must not overlap.

    Returns
    -------
    grads
        `out`, or new arrays in the same structure. Gradients that are all zero stay so.
    norm : float
        What it was.

    Raises
    ------
    TypeError
        If an array is of another dtype; the message says which one.
    ValueError
        If a gradient is not finite (by default), `norm` or `ord` is not positive, `eps` negative,
        or `out` of another structure. Nothing has been written then.

    Notes
    -----
    g norm / (|g| + eps), with the accuracy of `clip_by_global_norm`.

    Source: Hazan et al. 2015, "Beyond convexity: stochastic quasi-convex optimization".

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.normalize_gradients([np.array([3.0]), np.array([4.0])])
    ([array([0.6]), array([0.8])], 5.0)
    """
    check_nonfinite(nonfinite)
    ord, eps, norm = check_ord(ord), check_limit("eps", eps), number("norm", norm)
    if not 0 < norm < math.inf:
        raise ValueError(f"norm must be positive and finite, not {norm}")
    arrays = arrays_of(grads)
    targets = targets_of(grads, arrays, out)
    units = Units.together(arrays)
    root, scale, zero = finite_norms(units, ord, nonfinite, grads)
    with np.errstate(all="ignore"):
        factor = norm / (root + eps * scale) * scale
        factor = np.where(root == 0, 1.0, np.minimum(factor, np.finfo(np.float64).max))
    units.write(targets, factor, zero=zero)
    return result(grads, targets, out), float(unscaled(root, scale)[0])


def centralize_gradients(
    grads: Any, *, unit_axis: int = -1, nonfinite: str = "raise", out: Any = None
) -> Any:
    """Take its mean from the gradient of each output unit: gradient centralization.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float16, bfloat16, float32 and float64, of any layout. Arrays of less than two axes, as
        biases, stay as they are.
    unit_axis : int, default -1
        The axis that counts output units: -1 for weights (in, out) and kernels (H, W, in, out), 0
        for PyTorch's (out, in) and (out, in, H, W). Means are over all other axes.
    nonfinite : {"raise", "zero", "propagate"}, default "raise"
        As for `clip_by_norm`.
    out : tree of arrays, optional
        Where to write: ``out=grads`` works in place. Arrays of it must not overlap.

    Returns
    -------
    grads
        `out`, or new arrays in the same structure.

    Raises
    ------
    TypeError
        If an array is of another dtype; the message says which one.
    ValueError
        If a gradient is not finite (by default), `unit_axis` is out of range
        (`numpy.exceptions.AxisError`) or `out` of another structure. Nothing has been written then.

    Notes
    -----
    g - mean g for each unit. The mean is a float64, and the difference rounded to the dtype once.

    Source: Yong et al. 2020, "Gradient centralization: a new optimization technique for deep neural
    networks".

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.centralize_gradients(np.array([[1.0, 5.0], [3.0, 5.0]]))
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    check_nonfinite(nonfinite)
    arrays = arrays_of(grads)
    kept = [
        (normalize_axis_index(unit_axis, a.ndim, "unit_axis"),) if a.ndim > 1 else ()
        for a in arrays
    ]
    targets = targets_of(grads, arrays, out)
    units = Units.slices(arrays, kept)
    owners = [
        math.prod(a.shape[axis] for axis in axes) for a, axes in zip(arrays, kept, strict=True)
    ]
    counts = np.repeat(
        [max(a.size, 1) / max(n, 1) for a, n in zip(arrays, owners, strict=True)], owners
    )
    mean = units.means(counts)
    if zero := takes_zero(mean, units, nonfinite, grads):
        mean = units.means(counts, zero)
    has_mean = np.repeat([a.ndim > 1 for a in arrays], owners)
    units.write(targets, np.where(has_mean, mean, 0.0), "shift", zero)
    return result(grads, targets, out)


def zero_nonfinite(grads: Any, *, out: Any = None) -> tuple[Any, int]:
    """Put 0 where a gradient is NaN or infinite.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        Of float16, bfloat16, float32 and float64, of any layout.
    out : tree of arrays, optional
        Where to write: ``out=grads`` works in place, and writes only to arrays that have something
        to mend. Arrays of it must not overlap.

    Returns
    -------
    grads
        `out`, or new arrays in the same structure.
    count : int
        How many entries were not finite.

    Raises
    ------
    TypeError
        If an array is of another dtype; the message says which one.
    ValueError
        If `out` is of another structure. Nothing has been written then.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.zero_nonfinite({"w": np.array([1.0, np.nan]), "b": np.array([-np.inf])})
    ({'w': array([1., 0.]), 'b': array([0.])}, 2)
    """
    arrays = arrays_of(grads)
    targets = targets_of(grads, arrays, out)
    finite = np.isfinite(Units.each(arrays).measure("peak"))
    count = 0
    for k in np.flatnonzero(~finite):
        count += int(np.count_nonzero(~np.isfinite(arrays[k])))
    for whole in (True, False):
        chosen = np.flatnonzero(finite == whole)
        units = Units.each([arrays[k] for k in chosen])
        units.write([targets[k] for k in chosen], np.ones(len(chosen)), zero=not whole)
    return result(grads, targets, out), count
