"""Softmax along the last and the first axis."""

from functools import partial

import numpy as np

import fastact
from bench.along import Cell, compiled, library, node, normal

SHAPES = ((4096, 1024), (64, 100_000))


def cells(dtype):
    for shape in SHAPES:
        for axis in (-1, 0):
            yield Cell("softmax", "forward", shape, axis, dtype, _forward)
            yield Cell("softmax", "backward", shape, axis, dtype, _backward)


def _forward(shape, axis, dtype):
    x = normal(shape, dtype)
    out = np.empty_like(x)
    yield "fastact", partial(fastact.softmax, x, axis)
    yield "fastact out=", partial(fastact.softmax, x, axis, out=out)
    if scipy := library("scipy.special"):
        yield "scipy", partial(scipy.softmax, x, axis)
    if torch := library("torch"):
        tensor = torch.from_numpy(x)
        yield "torch", partial(torch.softmax, tensor, axis)
        yield "torch out=", partial(torch.softmax, tensor, axis, out=torch.from_numpy(out))
    if jax := library("jax"):
        yield "jax", compiled(partial(jax.nn.softmax, axis=axis), x)
    if library("onnxruntime") and library("onnx"):
        yield "onnxruntime", node("Softmax", {"axis": axis}, x)


def _backward(shape, axis, dtype):
    grad = normal(shape, dtype, seed=1)
    y = fastact.softmax(normal(shape, dtype), axis)
    out = np.empty_like(y)
    yield "fastact", partial(fastact.softmax_backward, grad, y, axis)
    yield "fastact out=", partial(fastact.softmax_backward, grad, y, axis, out=out)
    if torch := library("torch"):
        given = torch.from_numpy(grad), torch.from_numpy(y), axis, getattr(torch, dtype)
        into = torch.ops.aten._softmax_backward_data.out
        yield "torch", partial(torch.ops.aten._softmax_backward_data, *given)
        yield "torch out=", partial(into, *given, grad_input=torch.from_numpy(out))
    if library("jax"):
        yield "jax", compiled(lambda g, y: y * (g - (g * y).sum(axis, keepdims=True)), grad, y)
