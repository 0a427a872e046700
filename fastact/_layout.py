"""How kernels along channels see an array: its memory as (rows, channels, run)."""

from __future__ import annotations

from collections.abc import Sequence
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

    def __init__(self, x: NDArray[Any], kept: Sequence[int]) -> None:
        self.channels = tuple([x.shape[a] for a in kept])
        self.order = self._natural = tuple(range(x.ndim))
        if not x.flags.c_contiguous:
            self.order = tuple(sorted(self.order, key=lambda a: (-abs(x.strides[a]), a)))
        places = [self.order.index(a) for a in kept]
        if len(places) > 1 and places != list(range(places[0], places[0] + len(places))):
            self.order = (*(a for a in self._natural if a not in kept), *kept)
            places = list(range(x.ndim - len(kept), x.ndim))
        first, last = (places[0], places[-1] + 1) if places else (0, 0)
        shape = [x.shape[a] for a in self.order]
        self.shape = (prod(shape[:first]), prod(shape[first:last]), prod(shape[last:]))

    def read(self, x: NDArray[Any]) -> NDArray[Any]:
        """x with its axes in the order of memory, contiguous: a view where it already is."""
        return np.ascontiguousarray(self._transpose(x))

    def new(self, x: NDArray[Any]) -> NDArray[Any]:
        """Memory for a result that lies like x, as the kernels see it."""
        return np.empty([x.shape[a] for a in self.order], x.dtype)

    def back(self, y: NDArray[Any]) -> NDArray[Any]:
        """The user's view of what `new` gave."""
        return y if self.order == self._natural else y.transpose(np.argsort(self.order))

    def _transpose(self, x: NDArray[Any]) -> NDArray[Any]:
        return x if self.order == self._natural else x.transpose(self.order)

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
        view = self._transpose(out)
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
