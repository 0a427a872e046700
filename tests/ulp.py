"""Errors in units in the last place (ULP), for float32 and float64 alike."""

from __future__ import annotations

import numpy as np
from ml_dtypes import finfo
from mpmath import mp

ROOT_REACH = 0.5  # within this of a root of f' ...
ROOT_SCALE = 1 / 16  # ... errors are counted in ULPs of this number


def _exponent(reference, info):
    """The exponent, as frexp gives it, that sets the ULP of each reference."""
    low, high = info.minexp + 1, info.maxexp
    exponent = np.clip(np.frexp(reference)[1], low, high)
    return np.select([reference == 0, np.isinf(reference)], [low, high], exponent)


def split(reference):
    """mpmath numbers as (nearest float64, what is left in ULPs of it), two float64 arrays."""
    reference = list(reference)
    nearest = np.array([float(r) for r in reference])
    exponent = _exponent(nearest, np.finfo(np.float64))
    with mp.workprec(2400):  # enough for the subtraction to be exact
        rest = [
            float(mp.ldexp(r - mp.mpf(n), 53 - int(e))) if np.isfinite(n) else 0.0
            for r, n, e in zip(reference, nearest, exponent, strict=True)
        ]
    return nearest, np.array(rest)


def near_roots(x, roots):
    """True where x is within 0.5 of a root of f'."""
    x = np.asarray(x)
    with np.errstate(invalid="ignore"):
        return np.any([np.abs(x - root) <= ROOT_REACH for root in roots], axis=0) & np.ones(
            x.shape, bool
        )


def ulp_error(got, reference, rest=0.0, coarse=False):
    """|got - reference| in ULPs of the reference, in the dtype of `got`.

    The reference is float64, plus `rest` ULPs of itself if `got` is float64 too (see `split`).
    Subnormals count in the smallest subnormal; infinity counts as the number that would follow the
    largest, so rounding to infinity is as good as any rounding. Where `coarse`, an ULP is at least
    that of 1/16. NaN gives NaN.
    """
    info = finfo(got.dtype)
    digits = info.nmant + 1
    reference = np.asarray(reference, np.float64)
    own = _exponent(reference, info)
    exponent = np.where(coarse, np.maximum(own, np.frexp(ROOT_SCALE)[1]), own)
    # A result astronomically wrong overflows to inf; a signalling NaN is no more than a NaN.
    with np.errstate(over="ignore", invalid="ignore"):
        infinity = np.ldexp(1.0, info.maxexp + digits - exponent)

        def in_ulps(a):
            return np.clip(np.ldexp(a, digits - exponent), -infinity, infinity)

        distance = in_ulps(got.astype(np.float64)) - in_ulps(reference)
        return np.abs(distance - np.ldexp(rest, own - exponent))
