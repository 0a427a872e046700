"""Initial weights that keep the scale of signals and gradients from layer to layer.

``shape`` is (n_in, n_out), as in ``x @ w``: the fan-in is its first entry, the fan-out its second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["fan_in_uniform", "he_normal", "he_uniform", "xavier_normal", "xavier_uniform"]

if TYPE_CHECKING:  # numpy.random is imported when it is first used
    _Rng = np.random.Generator | int | None


def _fans(shape: Sequence[int]) -> tuple[int, int]:
    try:
        n_in, n_out = shape
        fans = (n_in.__index__(), n_out.__index__())
    except (TypeError, ValueError, AttributeError):
        raise ValueError(f"shape must be two integers (n_in, n_out), not {shape!r}") from None
    if min(fans) < 1:
        raise ValueError(f"shape must be positive, not {shape!r}")
    return fans


def _fan(shape: Sequence[int], fan_mode: str) -> int:
    fans = dict(zip(("fan_in", "fan_out"), _fans(shape), strict=True))
    if fan_mode not in fans:
        raise ValueError(f"fan_mode must be 'fan_in' or 'fan_out', not {fan_mode!r}")
    return fans[fan_mode]


def _generator(rng: _Rng) -> np.random.Generator:
    if isinstance(rng, bool) or not isinstance(rng, np.random.Generator | int | np.integer | None):
        raise TypeError(f"rng must be a numpy.random.Generator, an int or None, not {rng!r}")
    return np.random.default_rng(rng)


def _dtype(dtype: DTypeLike) -> np.dtype[Any]:
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, not {dtype}")
    return dtype


def _check_gain(gain: float) -> float:
    if not 0 < gain < math.inf:
        raise ValueError(f"gain must be positive and finite, not {gain!r}")
    return float(gain)


def _normal(shape: Sequence[int], std: float, rng: _Rng, dtype: DTypeLike) -> NDArray[Any]:
    dtype = _dtype(dtype)
    w = _generator(rng).standard_normal(_fans(shape), dtype)
    w *= dtype.type(std)
    return w


def _uniform(shape: Sequence[int], bound: float, rng: _Rng, dtype: DTypeLike) -> NDArray[Any]:
    """Uniform in [-bound, bound], made in the dtype itself."""
    dtype = _dtype(dtype)
    w = _generator(rng).random(_fans(shape), dtype)
    w -= dtype.type(0.5)
    w *= dtype.type(2 * bound)
    return w


def he_normal(
    shape: Sequence[int],
    *,
    gain: float = math.sqrt(2),
    fan_mode: str = "fan_in",
    rng: _Rng = None,
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Normal weights of standard deviation gain / sqrt(fan): ReLU layers keep the variance.

    Parameters
    ----------
    shape : (int, int)
        (n_in, n_out).
    gain : float, default sqrt(2)
        sqrt(2) makes up for the half of the signal that ReLU drops.
    fan_mode : {"fan_in", "fan_out"}, default "fan_in"
        Keep the variance of the signals, or of the gradients.
    rng : numpy.random.Generator, int or None
        Source of randomness, or the seed of one; None gives fresh weights every time.
    dtype : float32 or float64, default float32

    Returns
    -------
    ndarray
        Of this shape and dtype.

    Raises
    ------
    TypeError
        If `dtype` or `rng` is of no such kind.
    ValueError
        If `shape` is not two positive integers, `gain` not positive or `fan_mode` unknown.

    Notes
    -----
    w ~ N(0, gain^2 / fan).

    Source: He et al. 2015, "Delving Deep into Rectifiers", equations 10 and 14.

    Examples
    --------
    >>> import fastact
    >>> w = fastact.init.he_normal((512, 256), rng=0)
    >>> w.shape, w.dtype, round(float(w.std()), 3)
    ((512, 256), dtype('float32'), 0.062)
    """
    return _normal(shape, _check_gain(gain) / math.sqrt(_fan(shape, fan_mode)), rng, dtype)


def he_uniform(
    shape: Sequence[int],
    *,
    gain: float = math.sqrt(2),
    fan_mode: str = "fan_in",
    rng: _Rng = None,
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Uniform weights with the variance of `he_normal`.

    Parameters
    ----------
    shape : (int, int)
        (n_in, n_out).
    gain : float, default sqrt(2)
        sqrt(2) makes up for the half of the signal that ReLU drops.
    fan_mode : {"fan_in", "fan_out"}, default "fan_in"
        Keep the variance of the signals, or of the gradients.
    rng : numpy.random.Generator, int or None
        Source of randomness, or the seed of one; None gives fresh weights every time.
    dtype : float32 or float64, default float32

    Returns
    -------
    ndarray
        Of this shape and dtype.

    Raises
    ------
    TypeError, ValueError
        As `he_normal`.

    Notes
    -----
    w ~ U(-bound, bound), bound = gain sqrt(3 / fan).

    Source: He et al. 2015, "Delving Deep into Rectifiers".

    Examples
    --------
    >>> import fastact
    >>> w = fastact.init.he_uniform((600, 10), rng=0)
    >>> bool(abs(w).max() <= 0.1)
    True
    """
    return _uniform(shape, _check_gain(gain) * math.sqrt(3 / _fan(shape, fan_mode)), rng, dtype)


def xavier_normal(
    shape: Sequence[int], *, gain: float = 1.0, rng: _Rng = None, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Normal weights between keeping the variance of signals and that of gradients.

    Parameters
    ----------
    shape : (int, int)
        (n_in, n_out).
    gain : float, default 1
        1 for linear layers and tanh.
    rng : numpy.random.Generator, int or None
        Source of randomness, or the seed of one; None gives fresh weights every time.
    dtype : float32 or float64, default float32

    Returns
    -------
    ndarray
        Of this shape and dtype.

    Raises
    ------
    TypeError, ValueError
        As `he_normal`.

    Notes
    -----
    w ~ N(0, 2 gain^2 / (n_in + n_out)).

    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward
    neural networks", equation 12.

    Examples
    --------
    >>> import fastact
    >>> w = fastact.init.xavier_normal((300, 200), rng=0)
    >>> round(float(w.std()), 3)
    0.063
    """
    return _normal(shape, _check_gain(gain) * math.sqrt(2 / sum(_fans(shape))), rng, dtype)


def xavier_uniform(
    shape: Sequence[int], *, gain: float = 1.0, rng: _Rng = None, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Uniform weights with the variance of `xavier_normal`: Glorot's "normalized initialization".

    Parameters
    ----------
    shape : (int, int)
        (n_in, n_out).
    gain : float, default 1
        1 for linear layers and tanh.
    rng : numpy.random.Generator, int or None
        Source of randomness, or the seed of one; None gives fresh weights every time.
    dtype : float32 or float64, default float32

    Returns
    -------
    ndarray
        Of this shape and dtype.

    Raises
    ------
    TypeError, ValueError
        As `he_normal`.

    Notes
    -----
    w ~ U(-bound, bound), bound = gain sqrt(6 / (n_in + n_out)).

    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward
    neural networks", equation 16.

    Examples
    --------
    >>> import fastact
    >>> w = fastact.init.xavier_uniform((400, 200), rng=0)
    >>> bool(abs(w).max() <= 0.1)
    True
    """
    return _uniform(shape, _check_gain(gain) * math.sqrt(6 / sum(_fans(shape))), rng, dtype)


def fan_in_uniform(
    shape: Sequence[int], *, gain: float = 1.0, rng: _Rng = None, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Uniform weights up to 1 / sqrt(n_in): the older rule, too small for deep ReLU networks.

    Parameters
    ----------
    shape : (int, int)
        (n_in, n_out).
    gain : float, default 1
        Multiplies the bound.
    rng : numpy.random.Generator, int or None
        Source of randomness, or the seed of one; None gives fresh weights every time.
    dtype : float32 or float64, default float32

    Returns
    -------
    ndarray
        Of this shape and dtype.

    Raises
    ------
    TypeError, ValueError
        As `he_normal`.

    Notes
    -----
    w ~ U(-bound, bound), bound = gain / sqrt(n_in), so that the variance is gain^2 / (3 n_in).

    Source: LeCun et al. 1998, "Efficient BackProp", section 4.6, for the scaling with the fan-in;
    Glorot and Bengio 2010, equation 1, for this bound as the common heuristic.

    Examples
    --------
    >>> import fastact
    >>> w = fastact.init.fan_in_uniform((100, 50), rng=0)
    >>> bool(abs(w).max() <= 0.1)
    True
    """
    return _uniform(shape, _check_gain(gain) / math.sqrt(_fans(shape)[0]), rng, dtype)
