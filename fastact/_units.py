"""Norms of the units of gradients, and what is written by them.

A unit is what has a norm, a factor or a mean of its own: all arrays together, each array, or each
slice of one or several arrays. The kernels see an array as (rows, channels, run), and a channel
belongs to a unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastact import _gradients
from fastact._layout import Layout, layout_of, same_memory
from fastact._tree import Array, name_of

Floats = NDArray[np.float64]
SMALL = 2.0**-900  # a sum of squares below this may have lost terms that underflowed
_FIRST = np.zeros(1, np.intp)
NEUTRAL = {"scale": 1.0, "shift": 0.0}


class Units:
    """Arrays, and what of them is a unit.

    Parameters
    ----------
    arrays
        What is measured.
    starts
        For each array its first unit; arrays of one start take part in the same ones.
    count
        How many units there are.
    kept
        For each array, the axes whose indices are units of their own; without it an array is one.
    """

    def __init__(
        self,
        arrays: list[Array],
        starts: NDArray[np.intp],
        count: int,
        kept: Sequence[tuple[int, ...]] | None = None,
    ) -> None:
        self.arrays, self.starts, self.count = arrays, starts, count
        self._layouts: list[Layout] | None = None
        self._shapes: list[tuple[int, int, int]] | None = None
        self._reads = arrays
        if kept or not _gradients.all_plain(arrays):
            native = [_native(a) for a in arrays]
            axes = kept or [()] * len(arrays)
            self._layouts = [layout_of(a, k) for a, k in zip(native, axes, strict=True)]
            self._shapes = [layout.shape for layout in self._layouts]
            self._reads = [layout.read(a) for layout, a in zip(self._layouts, native, strict=True)]

    @classmethod
    def together(cls, arrays: list[Array]) -> Units:
        """All arrays are one unit."""
        return cls(arrays, np.zeros(len(arrays), np.intp), 1)

    @classmethod
    def each(cls, arrays: list[Array]) -> Units:
        """Every array is a unit."""
        return cls(arrays, np.arange(len(arrays)), len(arrays))

    @classmethod
    def slices(cls, arrays: list[Array], kept: Sequence[tuple[int, ...]]) -> Units:
        """Of every array, every index along the axes that are kept is a unit."""
        counts = [
            math.prod(a.shape[axis] for axis in axes) for a, axes in zip(arrays, kept, strict=True)
        ]
        ends = np.cumsum([0, *counts])
        return cls(arrays, ends[:-1], int(ends[-1]), kept)

    def measure(self, what: str | int, scale: Floats | None = None, zero: bool = False) -> Floats:
        """Of each unit the "sum", the sum of magnitudes (1), squares (2), or the "peak"."""
        return _gradients.measure(
            self._reads,
            self._shapes,
            self.starts,
            self.count,
            what,
            scale=scale,
            zero_nonfinite=zero,
        )

    def powers(self, ord: float, scale: Floats, zero: bool) -> Floats:
        """Of each unit the sum of abs(scale * x) ** ord."""
        if ord in (1, 2):
            return self.measure(int(ord), scale, zero)
        total = np.zeros(self.count)
        for k, x in enumerate(self._reads):
            shape = self._shapes[k] if self._shapes else (1, 1, x.size)
            mine = slice(self.starts[k], self.starts[k] + shape[1])
            magnitude = np.abs(x.reshape(shape, order="A"), dtype=np.float64)
            if zero:
                magnitude[~np.isfinite(magnitude)] = 0
            magnitude *= scale[mine, np.newaxis]
            total[mine] += (magnitude**ord).sum((0, 2))
        return total

    def norms(self, ord: float, zero: bool = False) -> tuple[Floats, Floats]:
        """(r, scale) with r / scale the norms: r is normal even where a norm overflows."""
        one = np.ones(self.count)
        if ord in (1, 2):
            total = self.measure(int(ord), zero=zero)
            is_sure = (total > SMALL).all() and (total < math.inf).all()
            if is_sure or all(x.dtype == np.float32 for x in self._reads):
                return np.sqrt(total) if ord == 2 else total, one
        peak = self.measure("peak", zero=zero)
        ordinary = (peak > 0) & (peak < math.inf)
        if ord == math.inf or not ordinary.any():
            return peak, one
        # Powers of two, so that scaling is exact.
        exponents = np.maximum(np.frexp(np.where(ordinary, peak, 1))[1], -1000)
        scale = np.ldexp(1.0, -exponents)
        with np.errstate(all="ignore"):
            root = self.powers(ord, scale, zero) ** (1 / ord)
        return np.where(ordinary, root, peak), scale

    def means(self, counts: Floats, zero: bool = False) -> Floats:
        """Of each unit the sum divided by its count."""
        total = self.measure("sum", zero=zero)
        if np.isfinite(total).all():
            return total / counts
        scale = np.ldexp(1.0, -np.frexp(counts)[1])  # so that no sum of finite numbers overflows
        with np.errstate(all="ignore"):
            return self.measure("sum", scale, zero) / (scale * counts)

    def write(
        self, targets: list[Array], by: Floats, how: str = "scale", zero: bool = False
    ) -> None:
        """target = by * x, or for "shift" x - by. Nothing is written in place where nothing
        changes, and what the tree holds twice is changed once."""
        is_idle = not zero and (by == NEUTRAL[how]).all()
        if is_idle and _gradients.are_same(self.arrays, targets):
            return
        chosen = _distinct(targets)
        if self._layouts is None and len(chosen) == len(targets):
            chosen = _gradients.change(
                self._reads, targets, None, self.starts, by, how, zero_nonfinite=zero
            )
        for k in chosen:
            self._write_one(k, targets[k], by, how, zero)

    def _write_one(self, k: int, target: Array, by: Floats, how: str, zero: bool) -> None:
        a = self.arrays[k]
        layout = self._layouts[k] if self._layouts else layout_of(a, ())
        mine = by[self.starts[k] : self.starts[k] + layout.shape[1]]
        if not zero and same_memory(a, target) and (mine == NEUTRAL[how]).all():
            return
        read = self._reads[k] if self._layouts else layout.read(a)
        y = layout.destination(a, target) if a.dtype == read.dtype else layout.new(read)
        _gradients.change([read], [y], [layout.shape], _FIRST, mine, how, zero_nonfinite=zero)
        with np.errstate(all="ignore"):
            layout.deliver(y, target)


def unscaled(root: Floats, scale: Floats) -> Floats:
    """The norms themselves; infinite where they overflow."""
    with np.errstate(over="ignore"):
        return root / scale


def factors(root: Floats, scale: Floats, max_norm: float | Floats) -> Floats:
    """min(1, max_norm / norm) for norm = root / scale; NaN for a NaN norm."""
    norm = unscaled(root, scale)
    within = norm <= max_norm
    if within.all():
        return np.ones(norm.shape)
    with np.errstate(all="ignore"):
        quotient = max_norm / norm
        overflown = np.isinf(norm) & np.isfinite(root)
        if overflown.any():
            quotient = np.where(overflown, max_norm / root * scale, quotient)
    return np.where(within, 1.0, quotient)


def finite_norms(
    units: Units, ord: float, nonfinite: str, tree: Any, name: str = "grads"
) -> tuple[Floats, Floats, bool]:
    """`Units.norms`, and whether what is not finite was taken for 0."""
    root, scale = units.norms(ord)
    if zero := takes_zero(root, units, nonfinite, tree, name):
        root, scale = units.norms(ord, zero=True)
    return root, scale, zero


def takes_zero(
    measured: Floats, units: Units, nonfinite: str, tree: Any, name: str = "grads"
) -> bool:
    """What `nonfinite` says of what was measured: whether to measure again with zeros. Or raises an
    error, that names the array."""
    if np.isfinite(measured).all() or nonfinite == "propagate":
        return False
    if nonfinite == "raise":
        _raise_nonfinite(units.arrays, tree, name)
    return True


def _raise_nonfinite(arrays: list[Array], tree: Any, name: str) -> None:
    for k, a in enumerate(arrays):
        bad = ~np.isfinite(a)
        if bad.any():
            index = tuple(int(i) for i in np.unravel_index(np.argmax(bad), a.shape))
            raise ValueError(
                f"{name_of(tree, name, k)} is {a[index]} at index {index}; nothing has been written"
            )


def _distinct(arrays: list[Array]) -> Sequence[int]:
    """Which arrays are no other's memory once more."""
    if not _gradients.any_begin_alike(arrays):
        return range(len(arrays))
    first: dict[Any, int] = {}
    for k, a in enumerate(arrays):
        first.setdefault((a.ctypes.data, a.shape, a.strides), k)
    return sorted(first.values())


def _native(a: Array) -> Array:
    """An array that kernels can read, but for its layout; float16 and bfloat16 widened."""
    if a.dtype.char not in "fd":
        return a.astype(np.float32)
    if a.dtype.isnative and a.flags.aligned:
        return a
    return np.require(a, a.dtype.newbyteorder("="), "A")
