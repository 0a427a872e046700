"""How kernels see an array: its memory in an order of axes, as (rows, channels, run)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
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


def is_half(a: Any) -> bool:
    """Whether an array or NumPy scalar is of float16, or of the bfloat16 of ml_dtypes."""
    if not isinstance(a, np.ndarray | np.generic):
        return False
    return a.dtype.itemsize == 2 and a.dtype.name in ("float16", "bfloat16")  # names are slow


def widened(a: Any) -> Any:
    """float32 in place of a half type."""
    return a.astype(np.float32) if is_half(a) else a


def halves_through_float32(place: int, rounded: int) -> Callable[[Any], Any]:
    """Let a function take half types: what it computes in float32 is rounded once.

    x is its argument number `place`, and the first `rounded` results get the dtype of x.
    """

    def decorate(function: Any) -> Any:
        @wraps(function)
        def call(*args: Any, **keywords: Any) -> Any:
            x: Any = args[place] if len(args) > place else keywords.get("x")
            if not is_half(x):
                return function(*args, **keywords)
            out = keywords.pop("out", None)
            check_out(out, x)
            given = {name: widened(a) for name, a in keywords.items()}
            results = function(*map(widened, args), **given)
            several = results if isinstance(results, tuple) else (results,)
            narrow = [a.astype(x.dtype) for a in several[:rounded]]
            if out is not None:
                out[...] = narrow[0]
                narrow[0] = out
            return (*narrow, *several[rounded:]) if isinstance(results, tuple) else narrow[0]

        return call

    return decorate


def same_memory(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a is b or (a.ctypes.data == b.ctypes.data and a.strides == b.strides)


def check_out(out: Any, x: NDArray[Any]) -> None:
    """`out` is None, or can be written what is of the shape and dtype of x."""
    if out is None:
        return
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be an ndarray, not {type(out).__name__}")
    if out.shape != x.shape or out.dtype != x.dtype:
        raise ValueError(
            f"out must have shape {x.shape} and dtype {x.dtype}, not {out.shape} and {out.dtype}"
        )
    if not out.flags.writeable:
        raise ValueError("out must be writable")


def parameter(
    name: str, a: ArrayLike | None, shape: tuple[int, ...], dtype: np.dtype[Any], of: str
) -> NDArray[Any]:
    """A contiguous array of the dtype of x and of that shape."""
    if a is None:
        raise TypeError(f"{name} must be an array, not None")
    a = real(name, widened(a))
    if a.shape != shape:
        raise ValueError(f"{name} must have the shape {shape} of the {of}, not {a.shape}")
    return np.ascontiguousarray(a, dtype)


class Ordered:
    """An array of a shape with its axes in another order, contiguous: copied where it is not."""

    def __init__(self, shape: tuple[int, ...], order: tuple[int, ...]) -> None:
        self.memory = tuple(shape[a] for a in order)  # the shape in that order
        self._order = None if order == tuple(range(len(shape))) else order

    def read(self, x: NDArray[Any]) -> NDArray[Any]:
        """x with its axes in that order, contiguous: a view where it already is."""
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

    def destination(
        self, x: NDArray[Any], out: NDArray[Any] | None, *others: NDArray[Any]
    ) -> NDArray[Any]:
        """Where the kernel may write: `out` itself if it lies like x and cuts into no input."""
        check_out(out, x)
        if out is None:
            return self.new(x)
        view = self._view(out)
        if not view.flags.c_contiguous or not view.flags.aligned:
            return self.new(x)
        for a in (x, *others):
            if np.may_share_memory(out, a) and not same_memory(out, a):
                return self.new(x)
        return view

    def deliver(self, y: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
        if out is None:
            return self.back(y)
        if not np.may_share_memory(y, out):
            out[...] = self.back(y)
        return out


class Layout(Ordered):
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
        super().__init__(shape, order)
        first, last = (places[0], places[-1] + 1) if places else (0, 0)
        memory = self.memory
        self.shape = (prod(memory[:first]), prod(memory[first:last]), prod(memory[last:]))
        self.channels = tuple(shape[a] for a in kept)

    def optional(self, name: str, a: ArrayLike | None, dtype: np.dtype[Any]) -> NDArray[Any] | None:
        return None if a is None else self.per_channel(name, a, dtype)

    def per_channel(self, name: str, a: ArrayLike | None, dtype: np.dtype[Any]) -> NDArray[Any]:
        """A contiguous array of the kept axes' shape."""
        return parameter(name, a, self.channels, dtype, "channels")


_cached = lru_cache(maxsize=256)(Layout)


def layout_of(x: NDArray[Any], kept: tuple[int, ...]) -> Layout:
    """The layout of an array; the arrays of a network come in the same few shapes step by step."""
    return _cached(x.shape, x.strides, kept)
