"""Initial weights that keep the scale of signals and gradients from layer to layer.

``shape`` is (n_in, n_out), as in ``x @ w``, and (*kernel, n_in, n_out) for a convolution, as JAX
and Keras have it; ``in_axis`` and ``out_axis`` say otherwise, such as ``in_axis=1, out_axis=0`` for
PyTorch's (n_out, n_in, *kernel). The fan-in is n_in times the size of the kernel, the fan-out n_out
times that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from inspect import getdoc
from operator import index
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import DTypeLike, NDArray

from fastact._activations import ops
from fastact._gaussian import gaussian_mean

__all__ = [
    "fan_in_uniform",
    "gain",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "truncated_normal",
    "xavier_normal",
    "xavier_uniform",
]

if TYPE_CHECKING:  # numpy.random is imported when it is first used
    _Rng = np.random.Generator | int | None
    _Draw = Callable[[np.random.Generator, tuple[int, ...], np.dtype[Any]], NDArray[Any]]


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    try:
        sizes = tuple(map(index, shape))
    except TypeError:
        sizes = ()
    if len(sizes) < 2:
        raise ValueError(f"shape must be two or more integers (..., n_in, n_out), not {shape!r}")
    if min(sizes) < 1:
        raise ValueError(f"shape must be positive, not {shape!r}")
    return sizes


def _fan(shape: tuple[int, ...], fan_mode: str, in_axis: int, out_axis: int) -> float:
    n_in, n_out = (
        normalize_axis_index(axis, len(shape), name)
        for name, axis in (("in_axis", in_axis), ("out_axis", out_axis))
    )
    if n_in == n_out:
        raise ValueError(f"in_axis and out_axis must differ, but both are axis {n_in} of {shape}")
    size = math.prod(shape)
    fan_in, fan_out = size // shape[n_out], size // shape[n_in]
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    if fan_mode not in fans:
        raise ValueError(f"fan_mode must be 'fan_in', 'fan_out' or 'fan_avg', not {fan_mode!r}")
    return fans[fan_mode]


def _generator(rng: _Rng) -> np.random.Generator:
    if isinstance(rng, bool) or not isinstance(rng, np.random.Generator | int | np.integer | None):
        raise TypeError(f"rng must be a numpy.random.Generator, an int or None, not {rng!r}")
    return np.random.default_rng(rng)


def _checked_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, not {dtype}")
    return dtype


def _checked_gain(gain: float) -> float:
    if not 0 < gain < math.inf:
        raise ValueError(f"gain must be positive and finite, not {gain!r}")
    return float(gain)


# ---------------------------------------------------------------- distributions, made in the dtype


def _normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """N(0, 1)."""
    return rng.standard_normal(shape, dtype)


def _uniform(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Uniform in [-1, 1)."""
    w = rng.random(shape, dtype)
    w -= dtype.type(0.5)
    w *= dtype.type(2)
    return w


_CUT = 2.0
_UNIFORM_STD = 1 / math.sqrt(3)
_TRUNCATED_STD = math.sqrt(  # 0.8796
    1 - 2 * _CUT * math.exp(-(_CUT**2) / 2) / math.sqrt(2 * math.pi) / math.erf(_CUT / math.sqrt(2))
)


def _truncated(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """N(0, 1) without what lies beyond two."""
    w = rng.standard_normal(math.prod(shape), dtype)
    beyond = np.flatnonzero(np.abs(w) > _CUT)
    while beyond.size:
        w[beyond] = rng.standard_normal(beyond.size, dtype)
        beyond = beyond[np.abs(w[beyond]) > _CUT]
    return w.reshape(shape)


# ---------------------------------------------------------------- scaled by the fan


class _Initializer(Protocol):
    __name__: str

    def __call__(
        self,
        shape: Sequence[int],
        *,
        gain: float = ...,
        fan_mode: str = ...,
        in_axis: int = ...,
        out_axis: int = ...,
        rng: _Rng = ...,
        dtype: DTypeLike = ...,
    ) -> NDArray[Any]: ...


_SECTIONS = """Parameters
----------
shape : sequence of int
    (n_in, n_out), as in ``x @ w``; a convolution's is (*kernel, n_in, n_out).
gain : float, default {gain:.4g}
    Multiplies the spread; `fastact.init.gain` knows what suits an activation.
fan_mode : {{"fan_in", "fan_out", "fan_avg"}}, default "{fan_mode}"
    Which fan to divide by, to keep the variance of the signals or that of the gradients: n_in times
    the size of the kernel, n_out times that, or the mean of both.
in_axis, out_axis : int, default -2 and -1
    Where `shape` has n_in and n_out; all other axes are the kernel's. PyTorch's
    (n_out, n_in, *kernel) is ``in_axis=1, out_axis=0``.
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
    If `shape` is not two or more positive integers, `gain` not positive, an axis out of range or
    `fan_mode` unknown.

"""


def _scaled(
    draw: _Draw, unit: float = 1.0, *, gain: float = 1.0, fan_mode: str = "fan_in"
) -> Callable[[Callable[[], None]], _Initializer]:
    """An initialiser that gives what `draw` does, scaled so that `unit` becomes gain / sqrt(fan).

    What is decorated has its name and what is special about it; the docstring's sections that all
    share are put in.
    """
    default_gain, default_mode = gain, fan_mode

    def make(described: Callable[[], None]) -> _Initializer:
        def initializer(
            shape: Sequence[int],
            *,
            gain: float = default_gain,
            fan_mode: str = default_mode,
            in_axis: int = -2,
            out_axis: int = -1,
            rng: _Rng = None,
            dtype: DTypeLike = np.float32,
        ) -> NDArray[Any]:
            sizes, kind = _checked_shape(shape), _checked_dtype(dtype)
            fan = _fan(sizes, fan_mode, in_axis, out_axis)
            scale = _checked_gain(gain) / (unit * math.sqrt(fan))
            w = draw(_generator(rng), sizes, kind)
            w *= kind.type(scale)
            return w

        initializer.__name__ = initializer.__qualname__ = described.__name__
        if doc := getdoc(described):  # there is none under python -OO
            summary, notes = doc.split("Notes\n")
            sections = _SECTIONS.format(gain=default_gain, fan_mode=default_mode)
            initializer.__doc__ = f"{summary}{sections}Notes\n{notes}\n"
        return initializer

    return make


@_scaled(_normal, gain=math.sqrt(2))
def he_normal() -> None:
    """Normal weights of variance 2 / fan: ReLU, which drops half of a signal, keeps its scale.

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


@_scaled(_uniform, _UNIFORM_STD, gain=math.sqrt(2))
def he_uniform() -> None:
    """Uniform weights with the variance of `he_normal`.

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
    >>> w = fastact.init.he_uniform((64, 3, 7, 7), in_axis=1, out_axis=0)  # PyTorch's order
    """


@_scaled(_normal, fan_mode="fan_avg")
def xavier_normal() -> None:
    """Normal weights between keeping the variance of signals and that of gradients.

    Notes
    -----
    w ~ N(0, gain^2 / fan), fan = (n_in + n_out) / 2.

    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward
    neural networks", equation 12.

    Examples
    --------
    >>> import fastact
    >>> w = fastact.init.xavier_normal((300, 200), rng=0)
    >>> round(float(w.std()), 3)
    0.063
    """


@_scaled(_uniform, _UNIFORM_STD, fan_mode="fan_avg")
def xavier_uniform() -> None:
    """Uniform weights with the variance of `xavier_normal`: Glorot's "normalized initialization".

    Notes
    -----
    w ~ U(-bound, bound), bound = gain sqrt(3 / fan), fan = (n_in + n_out) / 2.

    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward
    neural networks", equation 16.

    Examples
    --------
    >>> import fastact
    >>> w = fastact.init.xavier_uniform((400, 200), rng=0)
    >>> bool(abs(w).max() <= 0.1)
    True
    """


@_scaled(_normal)
def lecun_normal() -> None:
    """Normal weights of variance 1 / fan: linear layers keep their scale, and SELU's their own.

    Notes
    -----
    w ~ N(0, gain^2 / fan).

    Source: LeCun et al. 1998, "Efficient BackProp", equation 16; for SELU Klambauer et al. 2017,
    "Self-Normalizing Neural Networks".

    Examples
    --------
    >>> import fastact
    >>> w = fastact.init.lecun_normal((400, 100), rng=0)
    >>> round(float(w.std()), 3)
    0.05
    """


@_scaled(_uniform, _UNIFORM_STD)
def lecun_uniform() -> None:
    """Uniform weights with the variance of `lecun_normal`.

    Notes
    -----
    w ~ U(-bound, bound), bound = gain sqrt(3 / fan).

    Source: LeCun et al. 1998, "Efficient BackProp", equation 16.

    Examples
    --------
    >>> import fastact
    >>> w = fastact.init.lecun_uniform((300, 100), rng=0)
    >>> bool(abs(w).max() <= 0.1)
    True
    """


@_scaled(_uniform)
def fan_in_uniform() -> None:
    """Uniform weights up to 1 / sqrt(n_in): the older rule, too small for deep ReLU networks.

    Notes
    -----
    w ~ U(-bound, bound), bound = gain / sqrt(fan), so that the variance is gain^2 / (3 fan).

    Source: LeCun et al. 1998, "Efficient BackProp", section 4.6, for the scaling with the fan-in;
    Glorot and Bengio 2010, equation 1, for this bound as the common heuristic.

    Examples
    --------
    >>> import fastact
    >>> w = fastact.init.fan_in_uniform((100, 50), rng=0)
    >>> bool(abs(w).max() <= 0.1)
    True
    """


@_scaled(_truncated, _TRUNCATED_STD)
def truncated_normal() -> None:
    """Normal weights of variance 1 / fan without tails: none is beyond 2.27 times the spread.

    Notes
    -----
    w ~ N(0, s^2) without what is beyond 2 s, and s = gain / (0.8796 sqrt(fan)), so that what is
    left has the variance gain^2 / fan. Keras and JAX draw so by default: their he_normal is
    ``gain=sqrt(2)``, their glorot_normal ``fan_mode="fan_avg"``. For a standard deviation of your
    own the gain is std * sqrt(n_in).

    Source: the variance scaling of Keras and JAX.

    Examples
    --------
    >>> import fastact
    >>> w = fastact.init.truncated_normal((400, 400), rng=0)
    >>> round(float(w.std()), 3), bool(abs(w).max() < 2.274 / 20)
    (0.05, True)
    """


def orthogonal(
    shape: Sequence[int],
    *,
    gain: float = 1.0,
    out_axis: int = -1,
    rng: _Rng = None,
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Weights whose columns, or rows if these are fewer, are orthogonal and of length gain.

    Signals through linear layers keep their length exactly, not only on average.

    Parameters
    ----------
    shape : sequence of int
        (n_in, n_out), as in ``x @ w``; a convolution's is (*kernel, n_in, n_out), taken as a matrix
        with a column an output.
    gain : float, default 1
        All singular values.
    out_axis : int, default -1
        Where `shape` has n_out; 0 for PyTorch's (n_out, n_in, *kernel).
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
    Q of the QR decomposition of a normal matrix, in float64, with signs that make all orthogonal
    matrices equally likely.

    Source: Saxe et al. 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks"; for the signs Mezzadri 2007, "How to generate random matrices from the
    classical compact groups".

    Examples
    --------
    >>> import fastact, numpy as np
    >>> w = fastact.init.orthogonal((64, 32), rng=0)
    >>> bool(np.allclose(w.T @ w, np.eye(32), atol=1e-6))
    True
    """
    sizes, kind = _checked_shape(shape), _checked_dtype(dtype)
    scale = _checked_gain(gain)
    axis = normalize_axis_index(out_axis, len(sizes), "out_axis")
    others = sizes[:axis] + sizes[axis + 1 :]
    rows, columns = math.prod(others), sizes[axis]
    tall = max(rows, columns), min(rows, columns)
    q, r = np.linalg.qr(_generator(rng).standard_normal(tall))
    q *= np.copysign(scale, np.diag(r))
    matrix = q if rows >= columns else q.T
    return np.moveaxis(matrix.reshape(*others, columns), -1, axis).astype(kind, order="C")


# ---------------------------------------------------------------- the gain of an activation

_PYTORCH: dict[str, Callable[..., float]] = {
    "identity": lambda: 1.0,
    "sigmoid": lambda: 1.0,
    "tanh": lambda: 5 / 3,
    "relu": lambda: math.sqrt(2),
    "leaky_relu": lambda slope: math.sqrt(2 / (1 + slope**2)),
    "selu": lambda: 0.75,
}


def gain(activation: str, *parameters: float) -> float:
    """What to multiply the spread of the weights by before an activation.

    Parameters
    ----------
    activation : str
        The name of one of `fastact.ops()`.
    *parameters : float
        Those of the activation, in its order; the defaults where none are given.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If there are more parameters than the activation has.
    ValueError
        If there is no such activation, or none of finite second moment.

    Notes
    -----
    identity, sigmoid, tanh, relu, leaky_relu and selu have PyTorch's gains: 1, 1, 5/3, sqrt(2),
    sqrt(2 / (1 + slope^2)) and 3/4. All others have 1 / sqrt(E[f(z)^2]) for z ~ N(0, 1), by
    quadrature: wide layers of variance gain^2 / n_in then keep signals of variance 1, as those of
    relu and leaky_relu do. (By that rule tanh's would be 1.59, sigmoid's 1.85 and selu's 1.)

    Source: He et al. 2015, equation 15, for rectifiers; PyTorch's ``calculate_gain``.

    Examples
    --------
    >>> import fastact
    >>> from fastact.init import gain, he_uniform
    >>> round(gain("leaky_relu", 0.2), 4), round(gain("gelu"), 4)
    (1.3868, 1.5335)
    >>> he_uniform((256, 256), gain=gain("elu")).shape
    (256, 256)
    """
    by_name = {op.name: op for op in ops()}
    if activation not in by_name:
        close = " or ".join(get_close_matches(str(activation), by_name))
        hint = f"did you mean {close}?" if close else "fastact.ops() lists them"
        raise ValueError(f"activation must be one of the table's, not {activation!r}: {hint}")
    op = by_name[activation]
    if len(parameters) > len(op.parameters):
        takes = ", ".join(parameter.name for parameter in op.parameters) or "none"
        raise TypeError(f"{activation} has parameters {takes}, but {parameters} were given")
    values = (*parameters, *(p.default for p in op.parameters[len(parameters) :]))
    if activation in _PYTORCH:
        return float(_PYTORCH[activation](*values))
    with np.errstate(all="ignore"):
        moment = gaussian_mean(lambda z: op.functions["forward"](z, *values) ** 2)
    if not 0 < moment < math.inf:
        raise ValueError(f"{activation} has no gain: the mean of its square is {moment}")
    return 1 / math.sqrt(moment)
