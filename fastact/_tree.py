"""Trees of arrays: an array, a list or tuple, or a dict, nested.

An array of a tree is named by the expression that reaches it, as ``grads['layer'][0]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastact import _gradients

Array = NDArray[Any]


def leaves(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    """What the tree holds, in order, each with its name."""
    if isinstance(tree, dict):
        for key, child in tree.items():
            yield from leaves(child, f"{name}[{key!r}]")
    elif isinstance(tree, list | tuple):
        for k, child in enumerate(tree):
            yield from leaves(child, f"{name}[{k}]")
    else:
        yield name, tree


def name_of(tree: Any, name: str, k: int) -> str:
    """The name of the k-th array of a tree: names are made where they are needed, in errors."""
    return next(islice(leaves(tree, name), k, None))[0]


def arrays_of(tree: Any, name: str = "grads") -> list[Array]:
    """The arrays of a tree, in order; they must be of a dtype that gradients have."""
    arrays = _gradients.as_arrays(_gradients.flatten(tree))
    k = _gradients.first_not_taken(arrays)
    if k is not None:
        raise TypeError(
            f"{name_of(tree, name, k)} must be of float16, bfloat16, float32 or float64, "
            f"not {arrays[k].dtype}"
        )
    return arrays


def rebuild(tree: Any, arrays: Iterator[Any]) -> Any:
    """The tree with its leaves replaced, in the order of `leaves`."""
    if isinstance(tree, dict):
        return {key: rebuild(child, arrays) for key, child in tree.items()}
    if isinstance(tree, list | tuple):
        children = [rebuild(child, arrays) for child in tree]
        if hasattr(tree, "_fields"):  # a namedtuple
            return type(tree)(*children)
        return children if isinstance(tree, list) else tuple(children)
    return next(arrays)


def check_structure(tree: Any, like: Any, name: str, like_name: str = "grads") -> None:
    """Raises ValueError if the trees differ in more than their leaves."""
    places = [path[len(name) :] for path, _ in leaves(tree, name)]
    if places != [path[len(like_name) :] for path, _ in leaves(like, like_name)]:
        raise ValueError(f"{name} must have the structure of {like_name}")


def targets_of(grads: Any, arrays: list[Array], out: Any) -> list[Array]:
    """Where to write, an array for each of grads: new ones, or those of `out`, all checked."""
    if out is None:
        return [
            np.empty_like(a) if a.dtype.isnative else np.empty_like(a, a.dtype.newbyteorder("="))
            for a in arrays
        ]
    if out is not grads:
        check_structure(out, grads, "out")
    given = _gradients.flatten(out)
    k = _gradients.first_misfit(arrays, given)
    if k is not None:
        _raise_misfit(name_of(out, "out", k), given[k], arrays[k])
    return _gradients.as_arrays(given)


def _raise_misfit(name: str, target: Any, a: Array) -> None:
    if not isinstance(target, np.ndarray):
        raise TypeError(f"{name} must be an ndarray, not {type(target).__name__}")
    if target.shape != a.shape or target.dtype != a.dtype:
        raise ValueError(
            f"{name} must have shape {a.shape} and dtype {a.dtype}, "
            f"not {target.shape} and {target.dtype}"
        )
    raise ValueError(f"{name} must be writable")


def result(grads: Any, targets: list[Array], out: Any) -> Any:
    """`out`, or the targets in the structure of grads."""
    return rebuild(grads, iter(targets)) if out is None else out
