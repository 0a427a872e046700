"""What is measured of each array, and of each activation besides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastact import _diagnostics
from fastact._tree import leaves

Array = NDArray[Any]
Index = tuple[int, ...]

# A unit of a bounded activation is saturated where its slope is below a twentieth of the steepest.
STEEPNESS = 1 / 20
# Half types: the exponents below which a number is 0, below which subnormal, from which infinite.
# Of the numbers 2^-25 <= |x| < 2^-24, say, float16 rounds all up to its smallest but one.
HALF_TYPES = {"float16": (-25, -14, 16), "bfloat16": (-134, -126, 128)}
FIRST_EXPONENT = {277: -149, 2098: -1074}  # by the places of a histogram
_name = cache(attrgetter("name"))  # of a dtype, which takes NumPy a microsecond


@dataclass(frozen=True)
class Forecast:
    """Which shares of the numbers of an array, zeros left out, a half type would spoil."""

    zero: float
    subnormal: float
    infinite: float


@dataclass(frozen=True)
class Exponents:
    """How many entries there are of each floor(log2(abs(x))), from `lowest` on; zeros left out.

    Of an array of more than 65,536 entries it is a sample, a quarter of it, if `sampled`.
    """

    lowest: int
    counts: tuple[int, ...]
    sampled: bool

    def share(self, start: float, stop: float) -> float:
        """The share of exponents from `start` to below `stop`; 0 where there are none."""
        total = sum(self.counts)
        inside = sum(n for e, n in enumerate(self.counts, self.lowest) if start <= e < stop)
        return inside / total if total else 0.0

    def forecast(self, half_type: str) -> Forecast:
        zero, subnormal, infinite = HALF_TYPES[half_type]
        return Forecast(
            self.share(-math.inf, zero),
            self.share(zero, subnormal),
            self.share(infinite, math.inf),
        )


@dataclass(frozen=True)
class Measures:
    """What is measured of an array; `rms`, `norm` and `largest` (of abs(x)) are of finite entries.

    `first_nonfinite` is a flat index in C order, `first_nonfinite_index` the same as a tuple.
    `ratio` is the RMS over that of the next array with as many axes (those of one axis or none are
    alike), on the way to the output. `update_ratio` is the norm over that of the parameter, times
    the learning rate where that is known.
    """

    name: str
    shape: Index
    dtype: str
    size: int
    rms: float
    norm: float
    largest: float
    zeros: int
    subnormal: int
    nan: int
    positive_infinity: int
    negative_infinity: int
    first_nonfinite: int | None
    first_nonfinite_index: Index | None
    exponents: Exponents
    ratio: float | None = None
    update_ratio: float | None = None

    @property
    def nonfinite(self) -> int:
        return self.nan + self.positive_infinity + self.negative_infinity

    @property
    def float16(self) -> Forecast:
        return self.exponents.forecast("float16")

    @property
    def bfloat16(self) -> Forecast:
        return self.exponents.forecast("bfloat16")


@dataclass(frozen=True)
class Activation:
    """What is measured of an activation y of shape (batch, ...).

    `kind` is what y looks like: "relu" (nothing below 0, and zeros), "tanh" (all within [-1, 1]),
    "sigmoid" (within [0, 1], no zeros), "softmax" (that, with rows that sum to 1), or "other".
    `dead` is the share of units that are 0 for the whole batch. `saturated` is, of tanh and
    sigmoid, the share of entries whose slope is below 1/20 of the steepest.
    """

    measures: Measures
    kind: str
    dead: float
    saturated: float


@dataclass
class Census:
    """The measures of a tree of arrays, as they leave the kernel, so that a step costs little."""

    names: list[str]
    shapes: list[Index]
    dtypes: list[str]
    found: NDArray[np.void]
    histograms: list[NDArray[np.int64]]
    bad: dict[int, int] = field(default_factory=dict)  # arrays, and their first bad flat index
    bad_values: dict[int, str] = field(default_factory=dict)  # "nan", "inf" or "-inf" there

    @classmethod
    def take(cls, tree: Any, name: str) -> Census:
        return cls.of(named(tree, name))

    @classmethod
    def of(cls, arrays: Sequence[tuple[str, Array]]) -> Census:
        plain = [_plain(a) for _, a in arrays]
        found, histograms = _diagnostics.census(plain)
        census = cls(
            [path for path, _ in arrays],
            [a.shape for _, a in arrays],
            [_name(a.dtype) for _, a in arrays],
            found,
            histograms,
        )
        for k in np.flatnonzero(found["first_nonfinite"] >= 0).tolist():
            first = int(found["first_nonfinite"][k])
            if not plain[k].flags.c_contiguous:
                first = int(np.argmax(~np.isfinite(plain[k])))
            census.bad[k] = first
            census.bad_values[k] = str(float(plain[k].flat[first]))
        for k, dtype in enumerate(census.dtypes):
            if dtype == "float16":  # subnormal there, but not in the float32 that was counted
                tiny = np.count_nonzero(np.abs(plain[k]) < 2.0**-14)
                found["subnormal"][k] = tiny - int(found["zeros"][k])
        return census

    def first_bad(self, k: int) -> tuple[int, Index] | None:
        if k not in self.bad:
            return None
        flat = self.bad[k]
        return flat, tuple(int(i) for i in np.unravel_index(flat, self.shapes[k]))

    def measures(self, updates: Sequence[float | None] | None = None) -> list[Measures]:
        rows = zip(
            self.names,
            self.shapes,
            self.dtypes,
            self.found.tolist(),
            self.histograms,
            self.ratios(),
            updates or [None] * len(self.names),
            strict=True,
        )
        made = []
        for k, (name, shape, dtype, row, counts, ratio, update) in enumerate(rows):
            rms, norm, largest, zeros, subnormal, nan, positive, negative, _, sampled = row
            flat, index = self.first_bad(k) or (None, None)
            made.append(
                Measures(
                    name, shape, dtype, math.prod(shape), rms, norm, largest, zeros, subnormal, nan,
                    positive, negative, flat, index, _exponents(counts, sampled), ratio, update,
                )
            )  # fmt: skip
        return made

    def ratios(self) -> list[float | None]:
        """The RMS of each array over that of the next of its kind."""
        following: dict[int, float] = {}
        ratios: list[float | None] = []
        for shape, rms in zip(self.shapes[::-1], self.found["rms"][::-1].tolist(), strict=True):
            axes = max(len(shape), 1)
            after = following.get(axes, 0.0)
            ratios.append(rms / after if after > 0 else None)
            following[axes] = rms
        return ratios[::-1]


def _exponents(counts: NDArray[np.int64], sampled: int) -> Exponents:
    present = counts.nonzero()[0]
    start, stop = (int(present[0]), int(present[-1]) + 1) if len(present) else (0, 0)
    lowest = FIRST_EXPONENT[len(counts)] + start
    return Exponents(lowest, tuple(counts[start:stop].tolist()), bool(sampled))


def named(tree: Any, name: str) -> list[tuple[str, Array]]:
    """The arrays of a tree with their names; None is left out, numbers become arrays."""
    arrays = [(path, np.asarray(leaf)) for path, leaf in leaves(tree, name) if leaf is not None]
    for path, a in arrays:
        if a.dtype.char not in "fd" and not _is_real(a.dtype):
            raise TypeError(f"{path} must be an array of real numbers, not of {a.dtype}")
    return arrays


def _is_real(dtype: np.dtype[Any]) -> bool:
    return (dtype.kind in "biuf" and dtype.itemsize <= 8) or dtype.name == "bfloat16"


def _plain(a: Array) -> Array:
    """The array as the kernels can read it: itself, or a copy."""
    if a.dtype.char in "fd" and a.flags.forc and a.flags.aligned and a.dtype.isnative:
        return a
    wide = np.float64 if a.dtype.kind in "biu" or a.dtype.itemsize == 8 else np.float32
    return np.require(a, wide, ["C", "A"])


def activations_of(tree: Any) -> list[tuple[str, float, float]]:
    """Of each activation of a tree: its kind, the share of dead units, the share saturated."""
    return [_activation(y) for _, y in named(tree, "activations")]


def _activation(y: Array) -> tuple[str, float, float]:
    y = _plain(y)
    if not y.size:
        return "other", 0.0, 0.0
    low, high = float(y.min()), float(y.max())
    units = y.reshape(len(y), -1) if y.ndim else y.reshape(1, 1)
    dead = np.count_nonzero((units.max(0) == 0) & (units.min(0) == 0)) / units.shape[1]
    kind = _kind(units, low, high)
    saturated = 0.0
    if kind in ("tanh", "sigmoid"):
        # The slope over the steepest is 1 - t^2, with t = y for tanh and 2 y - 1 for sigmoid.
        middle, scale = (0, 1) if kind == "tanh" else (0.5, 2)
        beyond = math.sqrt(1 - STEEPNESS) / scale
        saturated = np.count_nonzero(np.abs(y - y.dtype.type(middle)) > beyond) / y.size
    return kind, dead, saturated


def _kind(units: Array, low: float, high: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return "other"
    if low < 0:
        return "tanh" if low >= -1 and high <= 1 else "other"
    if low == 0:
        return "relu"
    if high > 1:
        return "other"
    sums = units.sum(1, dtype=np.float64)
    return "softmax" if units.shape[1] > 1 and np.allclose(sums, 1, atol=1e-3) else "sigmoid"
