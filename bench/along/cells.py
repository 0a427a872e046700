"""Steps of recurrent cells after their matrix products: for inference, for training, and back.

PyTorch has no fused step for the CPU: what stands here is what its LSTMCell and GRUCell do there.
"""

from functools import partial

import numpy as np

import fastact
from bench.along import Cell, compiled, library, normal

SHAPES = ((16, 32), (64, 128), (256, 512))
FORMS = ("inference", "forward", "backward")


def cells(dtype):
    for network in (LSTM, GRU):
        for shape in SHAPES:
            for form in FORMS:
                ways = partial(_ways, network, form)
                yield Cell(f"{network.__name__.lower()}_cell", form, shape, -1, dtype, ways)


def _ways(network, form, shape, axis, dtype):
    rows, width = shape
    sizes = [blocks * width for blocks in (*network.inputs, *network.outputs)]
    arrays = [normal((rows, size), dtype, seed=seed) for seed, size in enumerate(sizes)]
    count = len(network.inputs)
    given, grads = arrays[:count], arrays[count:]
    yield from _fastact(network, form, given, grads)
    _, kept = network.numpy(*given)
    if form == "backward":
        yield "numpy", partial(network.numpy_backward, *grads, *kept)
    else:
        yield "numpy", lambda: network.numpy(*given)[0]
    if library("torch"):
        yield "torch", _torch(network, form, given, grads)
    if library("jax"):
        yield "jax", _jax(network, form, given, grads)


def _fastact(network, form, given, grads):
    *states, saved = network.step(*given)
    if form == "backward":
        out = network.step_backward(*grads, saved)
        yield "fastact", partial(network.step_backward, *grads, saved)
        yield "fastact out=", partial(network.step_backward, *grads, saved, out=out)
        return
    for_training = form == "forward"
    out = tuple(states) if len(states) > 1 else states[0]
    into = {"out": out, "saved": for_training and saved}
    yield "fastact", lambda: network.step(*given, saved=for_training)[:-1]
    yield "fastact out=", lambda: network.step(*given, **into)[:-1]


def _torch(network, form, given, grads):
    import torch

    given, grads = ([torch.from_numpy(a) for a in arrays] for arrays in (given, grads))
    if form == "inference":
        return partial(network.torch, *given)
    given = [a.requires_grad_() for a in given]
    if form == "forward":
        return lambda: [state.detach() for state in network.torch(*given)]
    states = network.torch(*given)
    return lambda: torch.autograd.grad(states, given, grads, retain_graph=True)


def _jax(network, form, given, grads):
    import jax

    if form == "inference":
        return compiled(network.jax, *given)
    if form == "forward":
        forward = compiled(partial(jax.vjp, network.jax), *given)
        return lambda: forward()[0]
    _, pull_back = compiled(partial(jax.vjp, network.jax), *given)()
    return compiled(lambda pull_back, grads: pull_back(grads), pull_back, tuple(grads))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class LSTM:
    """gates and c_prev give h and c."""

    inputs, outputs = (4, 1), (1, 1)
    step, step_backward = staticmethod(fastact.lstm_cell), staticmethod(fastact.lstm_cell_backward)

    @staticmethod
    def numpy(gates, c_prev):
        i, f, g, o = np.split(gates, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c_prev + i * g
        t = np.tanh(c)
        return (o * t, c), (i, f, g, o, c_prev, t)

    @staticmethod
    def numpy_backward(dh, dc, i, f, g, o, c_prev, t):
        dc = dc + dh * o * (1 - t**2)
        di, df = dc * g * i * (1 - i), dc * c_prev * f * (1 - f)
        dg, do = dc * i * (1 - g**2), dh * t * o * (1 - o)
        return np.concatenate([di, df, dg, do], axis=1), dc * f

    @staticmethod
    def torch(gates, c_prev):
        i, f, g, o = gates.chunk(4, 1)
        c = (f.sigmoid() * c_prev).add_(i.sigmoid() * g.tanh())
        return o.sigmoid() * c.tanh(), c

    @staticmethod
    def jax(gates, c_prev):
        from jax import nn, numpy

        i, f, g, o = numpy.split(gates, 4, 1)
        c = nn.sigmoid(f) * c_prev + nn.sigmoid(i) * numpy.tanh(g)
        return nn.sigmoid(o) * numpy.tanh(c), c


class GRU:
    """gates_x, gates_h and h_prev give h."""

    inputs, outputs = (3, 3, 1), (1,)
    step, step_backward = staticmethod(fastact.gru_cell), staticmethod(fastact.gru_cell_backward)

    @staticmethod
    def numpy(gates_x, gates_h, h_prev):
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (np.split(a, 3, axis=1) for a in (gates_x, gates_h))
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * h_n)
        return ((1 - z) * n + z * h_prev,), (r, z, n, h_n, h_prev)

    @staticmethod
    def numpy_backward(dh, r, z, n, h_n, h_prev):
        dn, dz = dh * (1 - z) * (1 - n**2), dh * (h_prev - n) * z * (1 - z)
        dr = dn * h_n * r * (1 - r)
        dx, dgates_h = (np.concatenate([dr, dz, last], axis=1) for last in (dn, dn * r))
        return dx, dgates_h, dh * z

    @staticmethod
    def torch(gates_x, gates_h, h_prev):
        (x_r, x_z, x_n), (h_r, h_z, h_n) = gates_x.chunk(3, 1), gates_h.chunk(3, 1)
        r, z = (h_r + x_r).sigmoid(), (h_z + x_z).sigmoid()
        n = (x_n + h_n * r).tanh()
        return [(h_prev - n) * z + n]

    @staticmethod
    def jax(gates_x, gates_h, h_prev):
        from jax import nn, numpy

        (x_r, x_z, x_n), (h_r, h_z, h_n) = (numpy.split(a, 3, 1) for a in (gates_x, gates_h))
        r, z = nn.sigmoid(x_r + h_r), nn.sigmoid(x_z + h_z)
        n = numpy.tanh(x_n + r * h_n)
        return ((1 - z) * n + z * h_prev,)
