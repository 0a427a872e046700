"""Any shape, axis, dtype, view, instruction set and kind of `out`: what works along an axis gives
what its formula gives in long double. The bounds here only tell right from wrong: how many ULPs it
is off is the business of the other tests.
"""

from collections.abc import Callable
from typing import NamedTuple

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastact

DTYPES = (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)
EPS = 1e-5


class Call(NamedTuple):
    function: Callable  # of arrays, axis= and out=
    exact: Callable  # of the arrays in long double, and the axis
    arrays: int
    several_axes: bool


def softmax(x, axis):
    z = np.exp(x - x.max(axis, keepdims=True))
    return z / z.sum(axis, keepdims=True)


def log_softmax(x, axis):
    z = x - x.max(axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis, keepdims=True))


def softmax_backward(grad, y, axis):
    return y * (grad - (grad * y).sum(axis, keepdims=True))


def log_softmax_backward(grad, y, axis):
    return grad - np.exp(y) * grad.sum(axis, keepdims=True)


def norm(name, centred):
    def exact(x, axis):
        d = x - x.mean(axis, keepdims=True) if centred else x
        return d / np.sqrt((d * d).mean(axis, keepdims=True) + EPS)

    def function(x, axis, out):
        return getattr(fastact, name)(x, axis=axis, out=out)[0]

    return Call(function, exact, 1, True)


def norm_backward(name, centred):
    """From an rstd of 1, which is exact: of few elements, dx hangs on what another would round."""

    def statistics(x, axis):
        mean = x.astype(np.float64).mean(axis)
        return [mean, np.ones_like(mean)] if centred else [np.ones_like(mean)]

    def exact(grad, x, axis):
        h = x - np.expand_dims(statistics(x, axis)[0], axis) if centred else x
        inner = grad - h * (grad * h).mean(axis, keepdims=True)
        return inner - grad.mean(axis, keepdims=True) if centred else inner

    def function(grad, x, axis, out):
        backward = getattr(fastact, f"{name}_backward")
        return backward(grad, x, *statistics(x, axis), axis=axis, out=out)[0]

    return Call(function, exact, 2, True)


CALLS = {
    "softmax": Call(fastact.softmax, softmax, 1, False),
    "softmin": Call(fastact.softmin, lambda x, axis: softmax(-x, axis), 1, False),
    "log_softmax": Call(fastact.log_softmax, log_softmax, 1, False),
    "softmax_backward": Call(fastact.softmax_backward, softmax_backward, 2, False),
    "log_softmax_backward": Call(fastact.log_softmax_backward, log_softmax_backward, 2, False),
    "layer_norm": norm("layer_norm", True),
    "batch_norm": norm("batch_norm", True),
    "rms_norm": norm("rms_norm", False),
    "layer_norm_backward": norm_backward("layer_norm", True),
    "batch_norm_backward": norm_backward("batch_norm", True),
    "rms_norm_backward": norm_backward("rms_norm", False),
}


@st.composite
def shapes(draw):
    """One side may be longer than any block of the kernels, the others are short."""
    short = draw(st.lists(st.integers(1, 7), max_size=3), label="short sides")
    return tuple(draw(st.permutations([draw(st.integers(1, 1100)), *short]), label="shape"))


def view(data, a):
    """The values of `a` as a view: axes in another order in memory, gaps, steps that go back."""
    order = data.draw(st.permutations(range(a.ndim)), label="order in memory")
    steps = [data.draw(st.sampled_from([1, 1, 2, -1, -3]), label="step") for _ in range(a.ndim)]
    sides = [a.shape[axis] * abs(step) for axis, step in zip(order, steps, strict=True)]
    memory = np.full(sides, np.nan, a.dtype)
    seen = memory[tuple(slice(None, None, step) for step in steps)].transpose(np.argsort(order))
    seen[...] = a
    return seen


@pytest.mark.parametrize("name", CALLS)
@given(data=st.data())
def test_any_lines(name, data):
    call = CALLS[name]
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES), label="dtype"))
    isa = data.draw(st.sampled_from(fastact.isas()), label="isa")
    shape = data.draw(shapes())
    sides = st.integers(0, len(shape) - 1)
    axis = data.draw(sides, label="axis") - data.draw(st.sampled_from([0, len(shape)]))
    if call.several_axes:
        axis = tuple(sorted(data.draw(st.sets(sides, min_size=1), label="axis")))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32), label="seed"))
    values = [rng.normal(0, 2, shape).astype(dtype) for _ in range(call.arrays)]
    if name in ("softmax_backward", "log_softmax_backward"):
        values[1] = getattr(fastact, name.removesuffix("_backward"))(values[1], axis)
    wanted = call.exact(*(a.astype(np.longdouble) for a in values), axis).astype(np.float64)

    arrays = [view(data, a) for a in values]
    choices = {"new": None, "other": view(data, np.zeros(shape, dtype)), "first": arrays[0]}
    choices["last"] = arrays[-1]
    out = choices[data.draw(st.sampled_from(sorted(choices)), label="out")]
    with fastact.isa(isa):
        got = call.function(*arrays, axis=axis, out=out)
        assert fastact.last_isa() == isa
    assert got.dtype == dtype and got.shape == shape and (out is None or got is out)
    tolerance = 16 * float(ml_dtypes.finfo(dtype).eps) * max(1, np.abs(wanted).max())
    np.testing.assert_allclose(got.astype(np.float64), wanted, 0, tolerance)
    for array, value in zip(arrays, values, strict=True):
        assert array is out or np.array_equal(array, value)
    if out is not None:  # what lies between its elements is as it was
        got[...] = 0
        assert (np.isnan(out.base) | (out.base == 0)).all()
