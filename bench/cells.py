"""What is measured: a cell a function, form, dtype and size, with what it is called with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

import fastact
from fastact.lab import idioms
from fastact.lab.kernels import inside

DTYPES = ("float32", "float64")
SIZES = (100, 10_000, 1_000_000)


@dataclass(frozen=True)
class Cell:
    """One function on one kind of input; everybody who has `function` can take part."""

    op: str  # the function, and after a space what is special about this use of it
    form: str
    dtype: str
    size: int
    arguments: Callable[[str, int], tuple]
    keywords: dict
    out: Callable[[tuple], object] | None  # what `out=` takes, made of the arguments

    @property
    def function(self) -> str:
        """The name of what is called, the same in every backend."""
        name = self.op.split()[0]
        return name if self.form == "forward" else f"{name}_{self.form}"

    @property
    def id(self) -> str:
        return f"{self.op}-{self.form}-{self.dtype}-{self.size}"

    @property
    def is_activation(self) -> bool:
        """Whether the libraries beyond NumPy and SciPy are asked for it."""
        return self.op in ACTIVATIONS


ACTIVATIONS = frozenset(op.name for op in fastact.ops())


def cells(dtypes=DTYPES, sizes=SIZES) -> list[Cell]:
    """Every cell of the suite."""
    return elementwise(dtypes, sizes) + along_axis(dtypes, sizes) + gradients(dtypes, sizes)


def elementwise(dtypes=DTYPES, sizes=SIZES) -> list[Cell]:
    """Every function of the table, at the default parameters."""
    rows = [
        (op.name, form, partial(_elementwise, op, form), {}, _OUT.get((op.kind, form), _one_like))
        for kind in ("activation", "gate", "from_output", "parameter_gradient")
        for op in fastact.ops(kind)
        for form in op.functions
    ]
    return _expand(rows, dtypes, sizes)


def along_axis(dtypes=DTYPES, sizes=SIZES) -> list[Cell]:
    """Softmax along the last and the first axis, a bias and an activation, batch normalisation of
    (N, C) and NCHW."""
    rows = [
        ("softmax", "forward", _rows, {}, _one_like),
        ("softmax", "backward", _softmax_pass, {}, _one_like),
        ("softmax axis=0", "forward", _rows, {"axis": 0}, _one_like),
        ("softmax axis=0", "backward", _softmax_pass, {"axis": 0}, _one_like),
        ("bias_activation relu", "forward", partial(_biased, "relu"), {}, _one_like),
        ("bias_activation relu", "backward", partial(_biased_pass, "relu"), {}, None),
        ("bias_activation tanh", "forward", partial(_biased, "tanh"), {}, _one_like),
        ("bias_activation tanh", "backward", partial(_biased_pass, "tanh"), {}, None),
        ("batch_norm", "forward", _batch, {}, _one_like),
        ("batch_norm", "backward", _batch_pass, {}, None),
        ("batch_norm_inference", "forward", _batch_statistics, {}, _one_like),
        ("batch_norm relu", "forward", _batch, {"activation": "relu"}, _one_like),
        ("batch_norm relu", "backward", _batch_pass, {"activation": "relu"}, None),
        ("batch_norm NCHW", "forward", _images, _NCHW, _one_like),
        ("batch_norm NCHW", "backward", _images_pass, _NCHW, None),
        ("batch_norm_inference NCHW", "forward", _images_statistics, _NCHW, _one_like),
    ]
    return _expand(rows, dtypes, sizes)


def gradients(dtypes=DTYPES, sizes=SIZES) -> list[Cell]:
    """Norms and clipping of a list of four arrays, where it clips and where nothing does."""
    rows = [
        ("global_norm", "forward", _grads, {}, None),
        ("clip_by_value", "forward", _grads_and_range, {}, _each_like),
        ("clip_by_norm", "forward", _grads_and_small_norm, {}, _each_like),
        ("clip_by_norm within", "forward", _grads_and_large_norm, {}, _in_place),
        ("clip_by_global_norm", "forward", _grads_and_small_norm, {}, _each_like),
        ("clip_by_global_norm within", "forward", _grads_and_large_norm, {}, _in_place),
    ]
    return _expand(rows, dtypes, sizes)


def _expand(rows, dtypes, sizes):
    return [
        Cell(*row[:2], dtype, size, *row[2:]) for row in rows for dtype in dtypes for size in sizes
    ]


# ---------------------------------------------------------------- arguments


LINE = 64


@lru_cache(maxsize=8)  # the cells of a size follow each other, and share their input
def _normal(dtype, shape, seed=0, scale=3.0):
    values = aligned(shape, dtype)
    values[...] = np.random.default_rng(seed).normal(scale=scale, size=shape)
    return values


def aligned(shape, dtype):
    """An array on a cache line of its own, which jax can share, and which favours nobody."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def _elementwise(op, form, dtype, size):
    """What a function of the table is called with."""
    x = inside((0, 1) if op.kind == "from_output" else op.domain, _normal(dtype, size))
    gate = (_normal(dtype, size, seed=2),) if op.kind == "gate" else ()
    grad = (_normal(dtype, size, seed=1),) if form == "backward" else ()
    return *grad, x, *gate


def _one_like(arguments):
    return aligned(arguments[0].shape, arguments[0].dtype)


def _two_like(arguments):
    return _one_like(arguments), _one_like(arguments)


# What `out=` takes where it is not one array.
_OUT = {
    ("activation", "with_derivative"): _two_like,
    ("gate", "backward"): _two_like,
    ("parameter_gradient", "backward"): None,
}


def _shape(size):
    return size // min(100, size // 10), min(100, size // 10)


def _rows(dtype, size):
    return (_normal(dtype, _shape(size)),)


def _softmax_pass(dtype, size):
    return _normal(dtype, _shape(size), seed=1), idioms.softmax(_normal(dtype, _shape(size)))


def _biased(activation, dtype, size):
    rows, columns = _shape(size)
    return _normal(dtype, (rows, columns)), _normal(dtype, columns, seed=2), activation


def _biased_pass(activation, dtype, size):
    return _normal(dtype, _shape(size), seed=1), *_biased(activation, dtype, size)


_NCHW = {"axis": (0, 2, 3)}


def _image_shape(size):
    """(N, C, H, W) of that many elements: five by five pixels, two or twenty channels."""
    channels = 2 if size < 1000 else 20
    return size // (25 * channels), channels, 5, 5


def _scale_and_shift(dtype, channels):
    return _normal(dtype, channels, seed=2), _normal(dtype, channels, seed=3)


def _batch_like(shape, dtype):
    return _normal(dtype, shape), *_scale_and_shift(dtype, shape[1])


def _statistics_like(shape, dtype, axis):
    x, gamma, beta = _batch_like(shape, dtype)
    return x, x.mean(axis), x.var(axis), gamma, beta


def _pass_like(shape, dtype, axis):
    x, gamma, _ = _batch_like(shape, dtype)
    _, mean, rstd = idioms.batch_norm(x, axis=axis)
    return _normal(dtype, shape, seed=1), x, mean, rstd, gamma


def _batch(dtype, size):
    return _batch_like(_shape(size), dtype)


def _batch_statistics(dtype, size):
    return _statistics_like(_shape(size), dtype, 0)


def _batch_pass(dtype, size):
    return _pass_like(_shape(size), dtype, 0)


def _images(dtype, size):
    return _batch_like(_image_shape(size), dtype)


def _images_statistics(dtype, size):
    return _statistics_like(_image_shape(size), dtype, (0, 2, 3))


def _images_pass(dtype, size):
    return _pass_like(_image_shape(size), dtype, (0, 2, 3))


def _grads(dtype, size):
    return ([_normal(dtype, size // 4, seed=seed) for seed in range(4)],)


def _grads_and_range(dtype, size):
    return *_grads(dtype, size), -1.0, 1.0


def _grads_and_small_norm(dtype, size):
    return *_grads(dtype, size), 1.0


def _grads_and_large_norm(dtype, size):
    (grads,) = _grads(dtype, size)
    return [g.copy() for g in grads], 1e9  # writable


def _each_like(arguments):
    return [np.empty_like(g) for g in arguments[0]]


def _in_place(arguments):
    """Where nothing is clipped nothing is written, so that every call finds the same."""
    return arguments[0]
