"""Softmax and its kin along the last and the first axis."""

from functools import partial

import numpy as np

import fastact
from bench.along import Cell, compiled, library, node, normal

SHAPES = ((4096, 1024), (64, 100_000))
ONNX = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}


def cells(dtype):
    for shape in SHAPES:
        for axis in (-1, 0):
            for op in ("softmax", "log_softmax"):
                yield Cell(op, "forward", shape, axis, dtype, partial(_forward, op))
                yield Cell(op, "backward", shape, axis, dtype, partial(_backward, op))
            yield Cell("logsumexp", "forward", shape, axis, dtype, _logsumexp)
    for form, ways in (("forward", _sparsemax_forward), ("backward", _sparsemax_backward)):
        yield Cell("sparsemax", form, SHAPES[0], -1, dtype, ways)


def _forward(op, shape, axis, dtype):
    x = normal(shape, dtype)
    out = np.empty_like(x)
    yield "fastact", partial(getattr(fastact, op), x, axis)
    yield "fastact out=", partial(getattr(fastact, op), x, axis, out=out)
    if scipy := library("scipy.special"):
        yield "scipy", partial(getattr(scipy, op), x, axis)
    if torch := library("torch"):
        tensor, into = torch.from_numpy(x), torch.from_numpy(out)
        yield "torch", partial(getattr(torch, op), tensor, axis)
        yield "torch out=", partial(getattr(torch, op), tensor, axis, out=into)
    if jax := library("jax"):
        yield "jax", compiled(partial(getattr(jax.nn, op), axis=axis), x)
    if library("onnxruntime") and library("onnx"):
        yield "onnxruntime", node(ONNX[op], {"axis": axis}, x)


def _backward(op, shape, axis, dtype):
    grad = normal(shape, dtype, seed=1)
    y = getattr(fastact, op)(normal(shape, dtype), axis)
    out = np.empty_like(y)
    ours = getattr(fastact, f"{op}_backward")
    yield "fastact", partial(ours, grad, y, axis)
    yield "fastact out=", partial(ours, grad, y, axis, out=out)
    if torch := library("torch"):
        given = torch.from_numpy(grad), torch.from_numpy(y), axis, getattr(torch, dtype)
        theirs = getattr(torch.ops.aten, f"_{op}_backward_data")
        into = {"grad_input" if op == "softmax" else "out": torch.from_numpy(out)}
        yield "torch", partial(theirs, *given)
        yield "torch out=", partial(theirs.out, *given, **into)
    if library("jax"):
        yield "jax", compiled(partial(_JAX_BACKWARD[op], axis=axis), grad, y)


def _logsumexp(shape, axis, dtype):
    x = normal(shape, dtype)
    yield "fastact", partial(fastact.logsumexp, x, axis)
    if scipy := library("scipy.special"):
        yield "scipy", partial(scipy.logsumexp, x, axis)
    if torch := library("torch"):
        yield "torch", partial(torch.logsumexp, torch.from_numpy(x), axis)
    if jax := library("jax"):
        yield "jax", compiled(partial(jax.nn.logsumexp, axis=axis), x)


def _softmax_backward(grad, y, axis):
    return y * (grad - (grad * y).sum(axis, keepdims=True))


def _log_softmax_backward(grad, y, axis):
    import jax.numpy as jnp

    return grad - jnp.exp(y) * grad.sum(axis, keepdims=True)


_JAX_BACKWARD = {"softmax": _softmax_backward, "log_softmax": _log_softmax_backward}


def _sparsemax_forward(shape, axis, dtype):
    x = normal(shape, dtype)
    yield "fastact", partial(fastact.sparsemax, x, axis)
    yield "numpy", partial(_numpy_sparsemax, x, axis)


def _sparsemax_backward(shape, axis, dtype):
    grad, y = normal(shape, dtype, seed=1), fastact.sparsemax(normal(shape, dtype), axis)
    yield "fastact", partial(fastact.sparsemax_backward, grad, y, axis)
    yield "numpy", partial(_numpy_sparsemax_backward, grad, y, axis)


def _numpy_sparsemax(x, axis):
    """By sorting, as Martins and Astudillo give it."""
    z = np.moveaxis(x, axis, -1)
    sorted_ = -np.sort(-z, -1)
    above = (sorted_.cumsum(-1) - 1) / np.arange(1, z.shape[-1] + 1, dtype=x.dtype)
    size = (sorted_ > above).sum(-1, keepdims=True)
    return np.moveaxis(np.maximum(z - np.take_along_axis(above, size - 1, -1), 0), -1, axis)


def _numpy_sparsemax_backward(grad, y, axis):
    support = y > 0
    return support * (grad - grad.mean(axis, where=support, keepdims=True))
