"""What works along an axis, against everybody who has the like: a module a theme.

Each has ``cells(dtype)``, and `python -m bench.along` measures them. Everything that is not the
computation is done before it is timed: arrays are converted, code is compiled. Each library is
there in its best form, and left out where it is not installed.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from bench.cells import aligned

THEMES = ("softmax", "cross_entropy", "normalization", "cells")
Ways = Iterable[tuple[str, Callable[[], object]]]


@dataclass(frozen=True)
class Cell:
    """One function on arrays of one shape; ``ways(shape, axis, dtype)`` are contenders and their
    calls without arguments: fastact's first, which all others must agree with."""

    op: str
    form: str  # forward, backward, ...: a column of the table
    shape: tuple[int, ...]
    axis: int | tuple[int, ...]
    dtype: str
    ways: Callable[[tuple[int, ...], int | tuple[int, ...], str], Ways]

    @property
    def name(self) -> str:
        return f"{self.op} {self.shape} axis={self.axis}"

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def calls(self) -> dict[str, Callable[[], object]]:
        return dict(self.ways(self.shape, self.axis, self.dtype))


def cells(themes: Iterable[str], dtypes: Iterable[str]) -> Iterator[Cell]:
    """The cells of some themes."""
    for theme in themes:
        module = importlib.import_module(f"{__name__}.{theme}")
        for dtype in dtypes:
            yield from module.cells(dtype)


def library(name: str):
    """A module, or None where it is not installed."""
    return importlib.import_module(name) if find_spec(name.split(".")[0]) else None


def normal(shape: tuple[int, ...], dtype: str, *, seed: int = 0, scale: float = 3.0) -> np.ndarray:
    """Normal numbers, on a cache line of their own."""
    values = aligned(shape, dtype)
    values[...] = np.random.default_rng(seed).normal(scale=scale, size=shape)
    return values


def compiled(function: Callable, *arrays: np.ndarray) -> Callable[[], object]:
    """A call of what jax makes of a function, which ends when its result is there."""
    import jax

    jax.config.update("jax_enable_x64", True)
    jitted = jax.jit(function)
    on_device = [jax.device_put(array) for array in arrays]
    return lambda: jax.block_until_ready(jitted(*on_device))


def node(operator: str, attributes: dict, *arrays: np.ndarray) -> Callable[[], object]:
    """A call of a model of one ONNX operator with one output, bound to memory beforehand."""
    import onnx
    import onnxruntime

    def typed(name, array):
        element = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        return onnx.helper.make_tensor_value_info(name, element, array.shape)

    names = [f"input_{k}" for k in range(len(arrays))]
    out = np.empty_like(arrays[0])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, names, ["y"], **attributes)],
        operator,
        [typed(name, array) for name, array in zip(names, arrays, strict=True)],
        [typed("y", out)],
    )
    opset = onnx.helper.make_opsetid("", 22)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    binding = session.io_binding()
    for name, array in zip(names, arrays, strict=True):
        binding.bind_cpu_input(name, array)
    binding.bind_output("y", "cpu", 0, out.dtype, out.shape, out.ctypes.data)

    def call():
        session.run_with_iobinding(binding)
        return out

    return call
