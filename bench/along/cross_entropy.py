"""Cross-entropy with its gradient, where classes are the last axis and where they are channels."""

from functools import partial

import numpy as np

import fastact
from bench.along import Cell, compiled, library, normal

SHAPES = (((4096, 1024), -1), ((64, 100_000), -1), ((32, 64, 56, 56), 1))


def cells(dtype):
    for shape, axis in SHAPES:
        yield Cell("cross_entropy", "with gradient", shape, axis, dtype, _with_gradient)
    shape = (4096, 1024)
    yield Cell("binary_cross_entropy", "with gradient", shape, -1, dtype, _binary)


def _with_gradient(shape, axis, dtype):
    x = normal(shape, dtype)
    lines = np.delete(shape, axis)
    labels = np.random.default_rng(1).integers(0, shape[axis], lines)
    out = np.empty_like(x)
    yield "fastact", partial(fastact.cross_entropy_with_gradient, x, labels, axis)
    yield "fastact out=", partial(fastact.cross_entropy_with_gradient, x, labels, axis, out=out)
    if torch := library("torch"):
        yield "torch", _autograd(torch.nn.functional.cross_entropy, x, torch.from_numpy(labels))
    if jax := library("jax"):

        def loss(x, labels):
            logs = jax.nn.log_softmax(x, axis)
            chosen = jax.numpy.expand_dims(labels, axis)
            return -jax.numpy.take_along_axis(logs, chosen, axis).mean()

        yield "jax", compiled(jax.value_and_grad(loss), x, labels)


def _binary(shape, axis, dtype):
    x = normal(shape, dtype)
    targets = np.random.default_rng(1).integers(0, 2, shape).astype(dtype)
    ours, out = fastact.binary_cross_entropy_with_logits_with_gradient, np.empty_like(x)
    yield "fastact", partial(ours, x, targets)
    yield "fastact out=", partial(ours, x, targets, out=out)
    if torch := library("torch"):
        theirs = torch.nn.functional.binary_cross_entropy_with_logits
        yield "torch", _autograd(theirs, x, torch.from_numpy(targets))
    if jax := library("jax"):

        def loss(x, targets):
            return (jax.nn.relu(x) - x * targets + jax.nn.softplus(-abs(x))).mean()

        yield "jax", compiled(jax.value_and_grad(loss), x, targets)


def _autograd(function, x, labels):
    """A call of the loss and its backward, which give (loss, gradient)."""
    import torch

    tensor = torch.from_numpy(x).requires_grad_()

    def call():
        tensor.grad = None
        loss = function(tensor, labels)
        loss.backward()
        return loss.detach(), tensor.grad

    return call
