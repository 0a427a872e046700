"""Batch, layer, RMS and group normalisation, forward and backward."""

from functools import partial

import numpy as np

import fastact
from bench.along import Cell, compiled, library, node, normal

SHAPES = ((4096, 1024), (64, 100_000), (32, 64, 56, 56))
EPS = 1e-5


def cells(dtype):
    for shape in SHAPES:
        batch, sample = (0, *range(2, len(shape))), tuple(range(1, len(shape)))
        for op, axis, forward, backward in (
            ("batch_norm", batch, _batch_forward, _batch_backward),
            ("layer_norm", sample, _layer_forward, _layer_backward),
            ("rms_norm", sample, _rms_forward, _rms_backward),
            ("group_norm", sample[1:], _group_forward, _group_backward),
        ):
            yield Cell(op, "forward", shape, axis, dtype, forward)
            yield Cell(op, "backward", shape, axis, dtype, backward)


def _arrays(shape, dtype, parameters):
    """x, grad, gamma and beta."""
    rng = np.random.default_rng(2)
    gamma, beta = rng.normal(1, 0.3, (2, *parameters)).astype(dtype)
    return normal(shape, dtype), normal(shape, dtype, seed=1), gamma, beta


def _groups(shape):
    return 32 if shape[1] > 32 else 2  # of a small copy


def _jax(norm, *arrays):
    """jax's calls: forward, and all gradients from grad alone, which it finds its own way to."""
    import jax

    def pull(grad, *rest):
        return jax.vjp(norm, *rest)[1](grad)

    return compiled(norm, *arrays[1:]), compiled(pull, *arrays)


def _standard(x, axes, jnp):
    mean = x.mean(axes, keepdims=True)
    var = ((x - mean) ** 2).mean(axes, keepdims=True)
    return (x - mean) / jnp.sqrt(var + EPS)


def _batch_jax(shape, axis, x, grad, gamma, beta):
    import jax.numpy as jnp

    along = (-1, *[1] * (len(shape) - 2))

    def norm(x, gamma, beta):
        return _standard(x, axis, jnp) * gamma.reshape(along) + beta.reshape(along)

    return _jax(norm, grad, x, gamma, beta)


def _layer_jax(shape, axis, x, grad, gamma, beta):
    import jax.numpy as jnp

    return _jax(lambda x, g, b: _standard(x, axis, jnp) * g + b, grad, x, gamma, beta)


def _rms_jax(shape, axis, x, grad, gamma):
    import jax.numpy as jnp

    def norm(x, gamma):
        return x / jnp.sqrt((x * x).mean(axis, keepdims=True) + EPS) * gamma

    return _jax(norm, grad, x, gamma)


def _group_jax(shape, x, grad, gamma, beta):
    import jax.numpy as jnp

    along = (-1, *[1] * (len(shape) - 2))

    def norm(x, gamma, beta):
        y = _standard(x.reshape(shape[0], _groups(shape), -1), 2, jnp).reshape(shape)
        return y * gamma.reshape(along) + beta.reshape(along)

    return _jax(norm, grad, x, gamma, beta)


def _first(call):
    """A call for the first of its results, which is what is compared."""
    return lambda: call()[0]


def _batch_forward(shape, axis, dtype):
    x, grad, gamma, beta = _arrays(shape, dtype, (shape[1],))
    ours = partial(fastact.batch_norm, x, gamma, beta, axis=axis)
    yield "fastact", _first(ours)
    yield "fastact out=", _first(partial(ours, out=np.empty_like(x)))
    if torch := library("torch"):
        given = *map(torch.from_numpy, (x, gamma, beta)), None, None, True, 0.1, EPS
        yield "torch", _first(partial(torch.native_batch_norm, *given))
    if library("jax"):
        yield "jax", _batch_jax(shape, axis, x, grad, gamma, beta)[0]


def _batch_backward(shape, axis, dtype):
    x, grad, gamma, beta = _arrays(shape, dtype, (shape[1],))
    _, mean, rstd = fastact.batch_norm(x, gamma, beta, axis=axis)
    ours = partial(fastact.batch_norm_backward, grad, x, mean, rstd, gamma, axis=axis)
    yield "fastact", ours
    yield "fastact out=", partial(ours, out=np.empty_like(x))
    if torch := library("torch"):
        g, t, w, m, r = map(torch.from_numpy, (grad, x, gamma, mean, rstd))
        given = g, t, w, None, None, m, r, True, EPS, [True] * 3
        yield "torch", partial(torch.ops.aten.native_batch_norm_backward, *given)
    if library("jax"):
        yield "jax", _batch_jax(shape, axis, x, grad, gamma, beta)[1]


def _layer_forward(shape, axis, dtype):
    x, grad, gamma, beta = _arrays(shape, dtype, shape[1:])
    ours = partial(fastact.layer_norm, x, gamma, beta, axis=axis)
    yield "fastact", _first(ours)
    yield "fastact out=", _first(partial(ours, out=np.empty_like(x)))
    if torch := library("torch"):
        t, w, b = map(torch.from_numpy, (x, gamma, beta))
        yield "torch", _first(partial(torch.native_layer_norm, t, shape[1:], w, b, EPS))
    if library("jax"):
        yield "jax", _layer_jax(shape, axis, x, grad, gamma, beta)[0]
    if library("onnxruntime") and library("onnx"):
        attributes = {"axis": 1, "epsilon": EPS}
        yield "onnxruntime", node("LayerNormalization", attributes, x, gamma, beta)


def _layer_backward(shape, axis, dtype):
    x, grad, gamma, beta = _arrays(shape, dtype, shape[1:])
    _, mean, rstd = fastact.layer_norm(x, gamma, beta, axis=axis)
    ours = partial(fastact.layer_norm_backward, grad, x, mean, rstd, gamma, axis=axis)
    yield "fastact", ours
    yield "fastact out=", partial(ours, out=np.empty_like(x))
    if torch := library("torch"):
        g, t, w, b = map(torch.from_numpy, (grad, x, gamma, beta))
        m, r = (torch.from_numpy(a).reshape(-1, *[1] * len(axis)) for a in (mean, rstd))
        given = g, t, shape[1:], m, r, w, b, [True] * 3
        yield "torch", partial(torch.ops.aten.native_layer_norm_backward, *given)
    if library("jax"):
        yield "jax", _layer_jax(shape, axis, x, grad, gamma, beta)[1]


def _rms_forward(shape, axis, dtype):
    x, grad, gamma, _ = _arrays(shape, dtype, shape[1:])
    ours = partial(fastact.rms_norm, x, gamma, axis=axis)
    yield "fastact", _first(ours)
    yield "fastact out=", _first(partial(ours, out=np.empty_like(x)))
    if torch := library("torch"):
        t, w = map(torch.from_numpy, (x, gamma))
        yield "torch", partial(torch.rms_norm, t, shape[1:], w, EPS)
    if library("jax"):
        yield "jax", _rms_jax(shape, axis, x, grad, gamma)[0]


def _rms_backward(shape, axis, dtype):
    x, grad, gamma, _ = _arrays(shape, dtype, shape[1:])
    _, rstd = fastact.rms_norm(x, gamma, axis=axis)
    ours = partial(fastact.rms_norm_backward, grad, x, rstd, gamma, axis=axis)
    yield "fastact", ours
    yield "fastact out=", partial(ours, out=np.empty_like(x))
    if library("jax"):
        yield "jax", _rms_jax(shape, axis, x, grad, gamma)[1]


def _group_forward(shape, axis, dtype):
    x, grad, gamma, beta = _arrays(shape, dtype, (shape[1],))
    groups = _groups(shape)
    ours = partial(fastact.group_norm, x, groups, gamma, beta)
    yield "fastact", _first(ours)
    yield "fastact out=", _first(partial(ours, out=np.empty_like(x)))
    if torch := library("torch"):
        t, w, b = map(torch.from_numpy, (x, gamma, beta))
        sizes = shape[0], shape[1], int(np.prod(shape[2:])), groups
        yield "torch", _first(partial(torch.native_group_norm, t, w, b, *sizes, EPS))
    if library("jax"):
        yield "jax", _group_jax(shape, x, grad, gamma, beta)[0]


def _group_backward(shape, axis, dtype):
    x, grad, gamma, beta = _arrays(shape, dtype, (shape[1],))
    groups = _groups(shape)
    _, mean, rstd = fastact.group_norm(x, groups, gamma, beta)
    ours = partial(fastact.group_norm_backward, grad, x, mean, rstd, groups, gamma)
    yield "fastact", ours
    yield "fastact out=", partial(ours, out=np.empty_like(x))
    if torch := library("torch"):
        g, t, m, r, w = map(torch.from_numpy, (grad, x, mean, rstd, gamma))
        sizes = shape[0], shape[1], int(np.prod(shape[2:])), groups
        pull = torch.ops.aten.native_group_norm_backward
        yield "torch", partial(pull, g, t, m, r, w, *sizes, [True] * 3)
    if library("jax"):
        yield "jax", _group_jax(shape, x, grad, gamma, beta)[1]
