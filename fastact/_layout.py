"""How kernels along channels see an array: its memory as (rows, channels, run)."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_KERNELS = (np.dtype(np.float32), np.dtype(np.float64))


def real(name: str, a: ArrayLike) -> NDArray[Any]:
    """An array of float32 or float64: what NumPy makes of integers under a float function."""
    a = np.asarray(a)
    if a.dtype in _KERNELS and a.flags.aligned:
        return a
    dtype = (
        np.result_type(a.dtype, np.float32) if a.dtype.kind in "biu" else a.dtype.newbyteorder("=")
    )
    if dtype not in _KERNELS:
        raise TypeError(f"{name} must be of float32 or float64, not {a.dtype}")
    return np.require(a, dtype, "A")


def _same_memory(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a is b or (a.ctypes.data == b.ctypes.data and a.strides == b.strides)


class Layout:
    """How the kernels see x: its memory as (rows, channels, run), a channel an index of `kept`.

    Axes are put in the order of memory; where the kept ones then do not lie together, x is copied
    to an order in which the others come first.
    """

    def __init__(
        self, shape: tuple[int, ...], strides: tuple[int, ...], kept: tuple[int, ...]
    ) -> None:
        natural = tuple(range(len(shape)))
        order = tuple(sorted(natural, key=lambda a: (-abs(strides[a]), a)))
        places = [order.index(a) for a in kept]
        if places and places != list(range(places[0], places[0] + len(places))):
            order = (*(a for a in natural if a not in kept), *kept)
            places = list(range(len(shape) - len(kept), len(shape)))
        first, last = (places[0], places[-1] + 1) if places else (0, 0)
        memory = tuple(shape[a] for a in order)
        self.memory = memory  # the shape in that order
        self.shape = (prod(memory[:first]), prod(memory[first:last]), prod(memory[last:]))
        self.channels = tuple(shape[a] for a in kept)
        self._order = None if order == natural else order

    def read(self, x: NDArray[Any]) -> NDArray[Any]:
        """x with its axes in the order of memory, contiguous: a view where it already is."""
        return np.ascontiguousarray(self._view(x))

    def new(self, x: NDArray[Any]) -> NDArray[Any]:
        """Memory for a result that lies like x, as the kernels see it."""
        return np.empty(self.memory, x.dtype)

    def back(self, y: NDArray[Any]) -> NDArray[Any]:
        """The user's view of what `new` gave."""
        return y if self._order is None else y.transpose(np.argsort(self._order))

    def _view(self, x: NDArray[Any]) -> NDArray[Any]:
        return x if self._order is None else x.transpose(self._order)

    def alike(self, name: str, a: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
        """An array in the dtype of x, whose shape it must have."""
        if a.shape != x.shape:
            raise ValueError(f"{name} must have the shape {x.shape} of x, not {a.shape}")
        return a.astype(x.dtype, copy=False)

    def optional(self, name: str, a: ArrayLike | None, dtype: np.dtype[Any]) -> NDArray[Any] | None:
        return None if a is None else self.per_channel(name, a, dtype)

    def per_channel(self, name: str, a: ArrayLike | None, dtype: np.dtype[Any]) -> NDArray[Any]:
        """A contiguous array of the kept axes' shape."""
        if a is None:
            raise TypeError(f"{name} must be an array, not None")
        a = real(name, a)
        if a.shape != self.channels:
            raise ValueError(
                f"{name} must have the shape {self.channels} of the channels, not {a.shape}"
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
        view = self._view(out)
        if not view.flags.c_contiguous or not view.flags.aligned:
            return self.new(x)
        if np.may_share_memory(out, x) and not _same_memory(out, x):
            return self.new(x)
        return view

    def deliver(self, y: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
        if out is None:
            return self.back(y)
        if not np.may_share_memory(y, out):
            out[...] = self.back(y)
        return out


_cached = lru_cache(maxsize=256)(Layout)


def layout_of(x: NDArray[Any], kept: tuple[int, ...]) -> Layout:
    """The layout of an array; the arrays of a network come in the same few shapes step by step."""
    return _cached(x.shape, x.strides, kept)
