"""Softmax along any axis: against exact values, in every layout, at the edges."""

from functools import cache

import numpy as np
import pytest
from cases import assert_same_bits
from lines import KINDS, LENGTHS, layouts, line
from mpmath import mp
from ulp import split, ulp_error

import fastact

MAX_ULP = 2
SHORT = 64  # lines up to this length give the same bits in every layout


@cache
def exact(kind, n, dtype):
    """The softmax of that line as (nearest float64, rest in ULPs of it)."""
    x = line(kind, n, dtype)
    with mp.workprec(200):
        top = mp.mpf(float(x.max()))
        e = [mp.exp(mp.mpf(float(v)) - top) for v in x]
        total = mp.fsum(e)
        return split([v / total for v in e])


def errors(got, kind):
    nearest, rest = exact(kind, got.size, got.dtype.type)
    return ulp_error(got, nearest, rest if got.dtype == np.float64 else 0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", LENGTHS)
def test_accuracy(kind, n, dtype, isa):
    x = line(kind, n, dtype)
    assert errors(fastact.softmax(x), kind).max() <= MAX_ULP
    columns = np.stack([line("normal", n, dtype, 1), x, x[::-1]], axis=1)
    y = fastact.softmax(columns, axis=0)
    assert errors(y[:, 1].copy(), kind).max() <= MAX_ULP


@pytest.mark.parametrize("kind", ["normal", "spike"])
def test_accuracy_of_a_long_line(kind, dtype, isa):
    """A hundred thousand terms: float32 sums that are not carried wide lose three digits here."""
    x = line(kind, 100_000, dtype)
    assert errors(fastact.softmax(x), kind).max() <= MAX_ULP
    y = fastact.softmax(np.stack([x, x], axis=1), axis=0)
    assert errors(y[:, 1].copy(), kind).max() <= MAX_ULP


@pytest.mark.parametrize("n", [2, 3, 5, 17, 70])
def test_accuracy_of_many_lines(n, dtype, isa):
    """Among them those whose largest result is just below 1, where an ULP is half of one above."""
    if dtype == np.float64 and np.finfo(np.longdouble).nmant < 63:
        return  # nothing here is more precise
    x = np.random.default_rng(n).uniform(-80, 0, (100_000 // n, n)).astype(dtype)
    wide = x.astype(np.longdouble)
    e = np.exp(wide - wide.max(1, keepdims=True))
    wanted = e / e.sum(1, keepdims=True)
    nearest = wanted.astype(np.float64)
    rest = (wanted - nearest) / np.spacing(nearest) if dtype == np.float64 else 0.0
    for y in (fastact.softmax(x), fastact.softmax(x.T.copy(), 0).T.copy()):
        assert ulp_error(y, nearest, rest).max() <= MAX_ULP


@cache
def ten_million(name, dtype):
    """A line, the largest and the sum of exp(x - it)."""
    if name == "normal":
        x = np.random.default_rng(0).normal(0, 3, 10_000_000).astype(dtype)
    else:  # each of the others is lost beside the largest, and together they are not
        x = np.full(10_000_000, -17.3, dtype)
        x[123] = 0
    wide = x.astype(np.float64)
    return x, wide.max(), np.exp(wide - wide.max()).sum()


@pytest.mark.parametrize("name", ["normal", "spike"])
def test_ten_million_elements(name, isa):
    x, top, total = ten_million(name, np.float32)
    some = np.r_[0:2000, 5_000_000:5_002_000, x.size - 2000 : x.size]
    log = x[some].astype(np.float64) - top - np.log(total)
    y, z = fastact.softmax(x), fastact.log_softmax(x)
    assert ulp_error(y[some], np.exp(log)).max() <= MAX_ULP
    assert ulp_error(z[some], log).max() <= MAX_ULP
    assert abs(y.sum(dtype=np.float64) - 1) < 1e-6
    assert ulp_error(fastact.logsumexp(x)[None], np.array([top + np.log(total)])).max() <= MAX_ULP


@pytest.mark.parametrize("n", [1, 2, 5, 31, 64])
def test_short_lines_have_the_same_bits_in_every_layout(n, dtype, isa):
    x = np.stack([line(kind, n, dtype, seed) for seed in range(5) for kind in KINDS])
    wanted = fastact.softmax(x)
    for got, axis in layouts(x):
        y = fastact.softmax(got, axis=axis)
        assert_same_bits(np.moveaxis(y, axis, -1).reshape(x.shape), wanted)
    for k in range(len(x)):
        assert_same_bits(fastact.softmax(x[k]), wanted[k])


@pytest.mark.parametrize("n", [65, 100, 1024, 1025, 2500])
def test_long_lines_have_the_same_bits_wherever_they_lie(n, dtype, isa):
    """Alone, or side by side with others; between the two only the order of the sum differs."""
    x = np.stack([line(kind, n, dtype) for kind in KINDS])
    lone, side_by_side = fastact.softmax(x), fastact.softmax(np.asfortranarray(x))
    assert np.array_equal(lone == 0, side_by_side == 0)
    assert ulp_error(lone, side_by_side.astype(np.float64)).max() <= 1
    for got, axis in layouts(x):
        y = np.moveaxis(fastact.softmax(got, axis=axis), axis, -1).reshape(x.shape)
        adjacent = (
            got.strides[axis] != got.itemsize and got.strides[0 if axis != 0 else 1] == got.itemsize
        )
        assert_same_bits(y, side_by_side if adjacent or got.ndim == 3 else lone)
    for k in range(len(x)):
        assert_same_bits(fastact.softmax(x[k]), lone[k])
        assert_same_bits(
            fastact.softmax(np.asfortranarray(x[k:]))[0],
            side_by_side[k] if k < len(x) - 1 else lone[k],
        )


@pytest.mark.parametrize("shape", [(3, 70, 5), (2, 3, 4, 6), (600, 3), (3, 600), (2, 1, 9)])
def test_every_axis(shape, dtype, isa):
    x = np.random.default_rng(0).normal(0, 3, shape).astype(dtype)
    for axis in range(-len(shape), len(shape)):
        y = fastact.softmax(x, axis=axis)
        assert y.shape == shape and y.dtype == dtype
        rows = np.ascontiguousarray(np.moveaxis(x, axis, -1))
        wanted = np.moveaxis(fastact.softmax(rows), -1, axis)
        assert ulp_error(y, wanted.astype(np.float64)).max() <= (1 if shape[axis] > SHORT else 0)


def test_many_columns(dtype, isa):
    """More columns than fit in one panel, and a last panel that is not whole."""
    x = np.random.default_rng(0).normal(0, 3, (7, 1100)).astype(dtype)
    assert_same_bits(fastact.softmax(x, axis=0), fastact.softmax(x.T.copy()).T)


# Special values


@pytest.mark.parametrize("n", [1, 5, 64, 65, 200])
@pytest.mark.parametrize("axis", [0, 1])
def test_lines_that_are_not_finite(n, axis, dtype, isa):
    x = np.random.default_rng(0).normal(0, 3, (6, n)).astype(dtype)
    good = fastact.softmax(x if axis else np.asfortranarray(x))
    x[1], x[2, n // 2], x[3, -1], x[4, 0] = -np.inf, np.inf, np.nan, -np.inf
    laid = x if axis else np.ascontiguousarray(x.T)
    with np.errstate(invalid="ignore"):
        y = fastact.softmax(laid, axis=axis)
        z = fastact.softmax(laid, axis=axis, masked="zero")
    y, z = (y, z) if axis else (y.T, z.T)
    assert np.isnan(y[1:4]).all() and np.isnan(z[2:4]).all()
    assert_same_bits(y[[0, 5]], good[[0, 5]])
    assert_same_bits(z[1], np.zeros(n, dtype))
    if n > 1:
        assert y[4, 0] == 0 and not np.signbit(y[4, 0]) and y[4].sum() == pytest.approx(1)
        assert_same_bits(y[4], z[4])


def test_overflowing_differences(dtype, isa):
    top = np.finfo(dtype).max
    with np.errstate(all="raise"):
        assert fastact.softmax(np.array([top, -top, 0, -np.inf], dtype)).tolist() == [1, 0, 0, 0]
        assert fastact.softmax(np.array([top, top], dtype)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("n", [4, 200])
def test_floating_point_warnings(n, dtype, isa):
    """Only where the exact result is undefined though no input is NaN."""
    x = np.random.default_rng(0).normal(0, 50, (3, n)).astype(dtype)
    x[1, 1] = np.nan
    for axis in (0, 1):
        with np.errstate(all="raise"):
            fastact.softmax(x, axis=axis)
            fastact.softmax(np.full((2, n), -np.inf, dtype), axis=axis, masked="zero")
            fastact.softmax_backward(x, fastact.softmax(x, axis=axis), axis=axis)
    for bad in (np.inf, -np.inf):
        for lines in (np.full((1, n), bad, dtype), np.full((n, 2), bad, dtype)):
            with np.errstate(all="ignore", invalid="raise"), pytest.raises(FloatingPointError):
                fastact.softmax(lines, axis=0 if lines.shape[0] == n else 1)


# Backward


def exact_backward(grad, y):
    with mp.workprec(400):
        g, y = ([mp.mpf(float(v)) for v in a] for a in (grad, y))
        dot = mp.fsum(a * b for a, b in zip(g, y, strict=True))
        return split([b * (a - dot) for a, b in zip(g, y, strict=True)])


@pytest.mark.parametrize("n", [1, 2, 7, 64, 65, 100, 1030])
def test_backward_accuracy(n, dtype, isa):
    rng = np.random.default_rng(n)
    y = fastact.softmax(line("normal", n, dtype))
    for grad in (rng.normal(0, 1, n).astype(dtype), rng.normal(100, 1, n).astype(dtype)):
        nearest, rest = exact_backward(grad, y)
        columns = fastact.softmax_backward(np.stack([grad] * 3, 1), np.stack([y] * 3, 1), axis=0)
        for got in (fastact.softmax_backward(grad, y), columns[:, 1].copy()):
            assert ulp_error(got, nearest, rest if dtype == np.float64 else 0.0).max() <= MAX_ULP


@pytest.mark.parametrize("margin", [0, 3, 10, 20, 40])
@pytest.mark.parametrize("n", [2, 5, 70])
@pytest.mark.parametrize(("mean", "spread"), [(0, 1), (100, 1), (1e4, 1e-2), (1e6, 0.1)])
def test_backward_of_gradients_that_are_nearly_equal(mean, spread, n, margin, dtype, isa):
    """Within 8 ULP of the largest entry of the line, also where one class has nearly all of y."""
    rng = np.random.default_rng(n)
    x = rng.normal(0, 1, (3, n))
    x[:, 1] += margin
    y = fastact.softmax(x.astype(dtype))
    grad = rng.normal(mean, spread, (3, n)).astype(dtype)
    alone = fastact.softmax_backward(grad, y)
    beside = fastact.softmax_backward(grad.T.copy(), y.T.copy(), 0).T
    for k in range(3):
        wanted, _ = exact_backward(grad[k], y[k])
        bound = 8 * np.spacing(dtype(np.abs(wanted).max()))
        for got in (alone[k], beside[k]):
            assert (np.abs(got.astype(np.float64) - wanted) <= bound).all()


def test_backward_is_the_derivative(dtype, isa):
    """Against mpmath's own differentiation of softmax; y is rounded, so to a few digits less."""
    x, grad = line("normal", 6, np.float64).astype(dtype), line("normal", 6, dtype, 1)
    point = [mp.mpf(float(v)) for v in x]

    def loss(k, t):
        e = [mp.exp(t if j == k else v) for j, v in enumerate(point)]
        return mp.fsum(float(g) * v for g, v in zip(grad, e, strict=True)) / mp.fsum(e)

    wanted = [float(mp.diff(lambda t, k=k: loss(k, t), point[k])) for k in range(6)]
    got = fastact.softmax_backward(grad, fastact.softmax(x))
    np.testing.assert_allclose(got, wanted, atol=8 * np.finfo(dtype).eps * np.abs(grad).max())


@pytest.mark.parametrize("n", [5, 100])
def test_backward_layouts(n, dtype, isa):
    rng = np.random.default_rng(0)
    y = fastact.softmax(rng.normal(0, 2, (8, n)).astype(dtype))
    grad = rng.normal(0, 1, (8, n)).astype(dtype)
    wanted = fastact.softmax_backward(grad, y)
    for (g, axis), (z, _) in zip(layouts(grad), layouts(y), strict=True):
        got = np.moveaxis(fastact.softmax_backward(g, z, axis=axis), axis, -1).reshape(y.shape)
        scale = np.abs(y).astype(np.float64) * 2 * np.abs(grad).max()
        assert (np.abs(got.astype(np.float64) - wanted) <= np.finfo(dtype).eps * scale).all()
    assert_same_bits(
        fastact.softmax_backward(grad[0], y), fastact.softmax_backward(np.tile(grad[0], (8, 1)), y)
    )


def test_backward_of_infinite_gradients(dtype, isa):
    y = np.array([[0.25, 0.75], [0.5, 0.5]], dtype)
    grad = np.array([[1, np.inf], [1, 0]], dtype)
    with np.errstate(all="raise"):
        dx = fastact.softmax_backward(grad, y)
    assert dx[0, 0] == -np.inf and np.isnan(dx[0, 1])
    assert dx[1].tolist() == [0.25, -0.25]


@pytest.mark.parametrize("axis", [0, 1])
def test_backward_of_infinite_gradients_beside_others(dtype, isa, axis):
    """As grad * y adds up: NaN or another infinity is not lost beside what has most of y."""
    inf, nan = np.inf, np.nan
    y = np.tile(np.array([0.75, 0.125, 0.125], dtype), (4, 1))
    grad = np.array([[inf, nan, 1], [inf, inf, 1], [inf, -inf, 1], [2, 1, 0]], dtype)
    wanted = [[nan] * 3, [nan, nan, -inf], [nan] * 3, [0.28125, -0.078125, -0.203125]]
    with np.errstate(all="ignore"):
        dx = fastact.softmax_backward(grad.swapaxes(1, axis), y.swapaxes(1, axis), axis)
    np.testing.assert_array_equal(dx.swapaxes(1, axis), np.array(wanted, dtype))


# Arguments


def test_out(dtype, isa):
    x = np.random.default_rng(0).normal(0, 3, (9, 130)).astype(dtype)
    for axis in (0, 1):
        wanted = fastact.softmax(x, axis=axis)
        y = np.full((9, 260), 7, dtype)
        assert fastact.softmax(x, axis=axis, out=y[:, ::2]).base is y
        assert (y[:, 1::2] == 7).all()
        assert ulp_error(y[:, ::2].copy(), wanted.astype(np.float64)).max() <= 1
        z = x.copy()
        assert fastact.softmax(z, axis=axis, out=z) is z
        assert_same_bits(z, wanted)
        grad = x.copy()
        back = fastact.softmax_backward(x, wanted, axis=axis)
        assert_same_bits(fastact.softmax_backward(grad, wanted, axis=axis, out=grad), back)
    memory = np.zeros(131, dtype)
    memory[:130] = x[0]
    fastact.softmax(memory[:130], out=memory[1:])
    assert_same_bits(memory[1:], fastact.softmax(x[0]))


def test_dtypes():
    for given, wanted in (
        (np.int64, np.float64),
        (np.int16, np.float32),
        (bool, np.float32),
        (">f8", np.float64),
    ):
        y = fastact.softmax(np.array([0, 1, 1], given))
        assert y.dtype == wanted and y.sum() == pytest.approx(1)
    assert fastact.softmax([1, 2]).dtype == np.float64
    for dtype in (complex, object, "U1"):
        with pytest.raises(TypeError):
            fastact.softmax(np.zeros(3, dtype))


class Recorder:
    shape = (2, 3)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return ufunc.__name__, kwargs["axis"]


def test_array_ufunc():
    assert fastact.softmax(Recorder(), axis=0) == ("softmax", 0)
    assert fastact.softmax_backward(1.0, Recorder()) == ("softmax_backward", -1)


@pytest.mark.parametrize(
    "function", [fastact.softmax, lambda x, **k: fastact.softmax_backward(x, x, **k)]
)
def test_bad_arguments_leave_out_untouched(function):
    x = np.ones((2, 3), np.float32)
    out = np.full((2, 3), 7, np.float32)
    for axis in (2, -3):
        with pytest.raises(np.exceptions.AxisError, match="axis"):
            function(x, axis=axis, out=out)
    for axis in (None, 1.0, (0, 1)):
        with pytest.raises(TypeError):
            function(x, axis=axis, out=out)
    with pytest.raises(np.exceptions.AxisError):
        function(np.float32(1))
    with pytest.raises(ValueError, match="axis 1 has length 0"):
        function(np.ones((2, 0)), axis=1)
    assert function(np.ones((0, 3))).shape == (0, 3)
    with pytest.raises(ValueError, match="output"):
        function(x, out=out[:1])
    with pytest.raises(TypeError):
        function(x, out=np.ones((2, 3), np.int32))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        function(x, out=out)
    assert (out == 7).all()


def test_bad_masked():
    with pytest.raises(ValueError, match="masked must be 'nan' or 'zero', not 'no'"):
        fastact.softmax(np.ones(3), masked="no")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_fresh_result_lies_in_memory_like_the_input(order, axis, dtype):
    x = np.ones((5, 7, 3), dtype, order=order)
    y = fastact.softmax(x, axis)
    assert y.strides == x.strides
    assert fastact.softmax_backward(x, y, axis).strides == x.strides
