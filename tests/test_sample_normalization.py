"""layer_norm, rms_norm, group_norm and instance_norm: against exact arithmetic, in every layout."""

from functools import partial

import ml_dtypes
import numpy as np
import pytest
from cases import assert_same_bits
from mpmath import mp
from test_normalization import KINDS, batch, errors, exact, fractions, mpf
from test_streaming import at, streaming_above

import fastact

MAX_ULP = 4
EPS = 1e-5
SHAPES = [(5, 6), (3, 6, 5), (2, 6, 3, 9), (4, 64, 7, 7), (1, 4, 1, 1), (70, 4, 1)]


class Norm:
    """One of the four over arrays of (N, C, ...)."""

    def __init__(self, name, forward, backward, centred=True, per_channel=True, groups=None):
        self.name, self.forward, self.backward = name, forward, backward
        self.centred, self.per_channel, self.groups = centred, per_channel, groups

    def __repr__(self):
        return self.name

    def lines(self, a):
        """(statistics, elements of each), contiguous."""
        n = len(a) * (self.groups or (a.shape[1] if self.groups == 0 else 1))
        return a.reshape(n, -1)

    def parameters(self, shape):
        return (shape[1],) if self.per_channel else shape[1:]

    def spread(self, a, shape):
        """gamma or beta along x."""
        a = a.reshape(*a.shape, *[1] * (len(shape) - 1 - a.ndim))
        return np.broadcast_to(a, shape)


def whole(x):
    return tuple(range(1, np.ndim(x)))


NORMS = [
    Norm(
        "layer_norm",
        lambda x, *p, **k: fastact.layer_norm(x, *p, axis=whole(x), **k),
        lambda g, x, *s, **k: fastact.layer_norm_backward(g, x, *s, axis=whole(x), **k),
        per_channel=False,
    ),
    Norm(
        "rms_norm",
        lambda x, *p, **k: fastact.rms_norm(x, *p[:1], axis=whole(x), **k),
        lambda g, x, *s, **k: fastact.rms_norm_backward(g, x, *s, axis=whole(x), **k),
        centred=False,
        per_channel=False,
    ),
    Norm("instance_norm", fastact.instance_norm, fastact.instance_norm_backward, groups=0),
]
NORMS += [
    Norm(
        f"group_norm({groups})",
        lambda x, *p, groups=groups, **k: fastact.group_norm(x, groups, *p, **k),
        lambda g, x, m, r, *s, groups=groups, **k: fastact.group_norm_backward(
            g, x, m, r, groups, *s, **k
        ),
        groups=groups,
    )
    for groups in (1, 2)
]
each_norm = pytest.mark.parametrize("norm", NORMS, ids=repr)


def arrays(norm, shape, dtype, kind="normal"):
    """x, grad, gamma and beta."""
    rng = np.random.default_rng([len(shape), shape[1]])
    x = batch(kind, shape[0], int(np.prod(shape[1:])), dtype).reshape(shape)
    grad = rng.normal(0.5, 1, shape).astype(dtype)
    gamma, beta = rng.normal(1, 0.5, (2, *norm.parameters(shape))).astype(dtype)
    return x, grad, gamma, beta


def exact_line(norm, line, gamma, beta):
    if norm.centred:
        y, mean, rstd, _ = exact(line.reshape(-1, 1))
        y, mean, rstd = y[:, 0], mean[0], rstd[0]
    else:
        squares = fractions(line) ** 2
        with mp.workprec(300):
            mean, rstd = None, 1 / mp.sqrt(mpf(squares.sum() / len(line)) + mp.mpf(EPS))
            y = [mp.mpf(float(v)) * rstd for v in line]
    with mp.workprec(300):
        y = [
            v * mp.mpf(float(g)) + (mp.mpf(float(b)) if norm.centred else 0)
            for v, g, b in zip(y, gamma, beta, strict=True)
        ]
    return y, mean, rstd


@each_norm
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3, 6), (2, 6, 5), (1, 4, 3, 9)])
def test_accuracy(norm, kind, shape, dtype, isa):
    x, _, gamma, beta = arrays(norm, shape, dtype, kind)
    if kind == "very far" and dtype == np.float64:
        beta[...] = 0  # x - mean has 53 right digits there, of which a shift may cancel some
    y, *mean, rstd = norm.forward(x, gamma, beta)
    along = [norm.lines(norm.spread(a, shape)) for a in (gamma, beta)]
    for k, (line, got) in enumerate(zip(norm.lines(x), norm.lines(y), strict=True)):
        wanted, m, r = exact_line(norm, line, along[0][k], along[1][k])
        assert errors(got, wanted).max() <= MAX_ULP
        assert errors(rstd.reshape(-1)[[k]], [r])[0] <= 1
        if norm.centred:
            assert errors(mean[0].reshape(-1)[[k]], [m])[0] <= 1


def gradients(norm, grad, x, gamma):
    """dx, dgamma and dbeta in long double, by the definition, and the largest term of dx."""
    wide = partial(np.asarray, dtype=np.longdouble)
    lines, g = norm.lines(wide(x)), wide(grad)
    mean = lines.mean(1, keepdims=True) if norm.centred else 0
    rstd = 1 / np.sqrt(((lines - mean) ** 2).mean(1, keepdims=True) + np.longdouble(EPS))
    xhat = (lines - mean) * rstd
    u = norm.lines(g * norm.spread(wide(gamma), x.shape))
    terms = (
        rstd * u,
        rstd * (u.mean(1, keepdims=True) if norm.centred else 0),
        rstd * xhat * (u * xhat).mean(1, keepdims=True),
    )
    dx = terms[0] - terms[1] - terms[2]
    over = tuple(a for a in range(x.ndim) if a == 0 or (norm.per_channel and a > 1))
    results = dx.reshape(x.shape), (g * xhat.reshape(x.shape)).sum(over), g.sum(over)
    return results, max(float(abs(term).max()) for term in terms)


@each_norm
@pytest.mark.parametrize("kind", ["normal", "far", "integers"])
@pytest.mark.parametrize("shape", SHAPES)
def test_backward(norm, kind, shape, dtype, isa):
    """float64 to 1e-12, float32 to 8 ULP of the largest entry, also where the mean is 1e4; of two
    elements, of the largest term."""
    x, grad, gamma, _ = arrays(norm, shape, dtype, kind)
    wanted, term = gradients(norm, grad, x, gamma)
    _, *statistics = norm.forward(x, gamma)
    got = norm.backward(grad, x, *statistics, gamma)
    assert len(got) == 2 + norm.centred
    bound = 1e-12 if dtype == np.float64 else 8 * np.finfo(dtype).eps
    for k, (mine, exact_value) in enumerate(zip(got, wanted, strict=False)):
        largest = max(float(abs(exact_value).max()), 1e-2)
        if k == 0 and norm.lines(x).shape[1] == 2:
            largest = term  # dx is all but 0: terms cancel, and the rounding of rstd shows
        assert float(abs(mine - exact_value).max()) <= bound * largest


@each_norm
def test_nothing_varies(norm, dtype, isa):
    """One element or equal ones: y is beta, and nothing flows back to x."""
    for shape in ((2, 4), (2, 4, 1), (3, 4, 50)):
        x = np.full(shape, 1e4 + 0.1, dtype)
        if norm.name == "rms_norm":
            y, rstd = norm.forward(np.zeros(shape, dtype))
            assert not y.any()
            assert (errors(rstd.reshape(-1), [1 / mp.sqrt(mp.mpf(EPS))] * rstd.size) <= 1).all()
            continue
        beta = np.arange(np.prod(norm.parameters(shape)), dtype=dtype)
        beta = beta.reshape(norm.parameters(shape))
        y, mean, rstd = norm.forward(x, None, beta)
        assert_same_bits(y, norm.spread(beta, shape).copy())
        assert (mean == x.flat[0]).all()
        assert (errors(rstd.reshape(-1), [1 / mp.sqrt(mp.mpf(EPS))] * rstd.size) <= 1).all()
        dx, dgamma, _ = norm.backward(np.ones(shape, dtype), x, mean, rstd)
        assert not dx.any() and not dgamma.any()


@pytest.mark.parametrize("n", [1, 7, 100_000])
def test_ill_conditioned_lines(n, dtype, isa):
    """Mean 1e4, spread 1, of an outlier first, and longer than the blocks."""
    x = np.random.default_rng(0).normal(1e4, 1, (2, n)).astype(dtype)
    x[1, 0] = 1e6
    y, mean, rstd = fastact.layer_norm(x)
    wide = x.astype(np.longdouble)
    relative = 1e-6 if dtype == np.float32 else 1e-14
    np.testing.assert_allclose(mean, wide.mean(1).astype(float), rtol=relative)
    np.testing.assert_allclose(rstd, (1 / np.sqrt(wide.var(1) + EPS)).astype(float), rtol=relative)
    assert abs(y.mean(1, dtype=np.float64)).max() < 1e-6


@pytest.mark.parametrize("n", [3, 1000])
def test_an_outlier_in_the_first_row_of_a_column(n, dtype, isa):
    x = np.zeros((n * 100, 3), dtype)
    x[0] = 0.1, 1e6, -3
    _, mean, rstd = fastact.batch_norm(x)
    wide = x.astype(np.longdouble)
    for got, wanted in ((mean, wide.mean(0)), (rstd, 1 / np.sqrt(wide.var(0) + EPS))):
        np.testing.assert_allclose(got, wanted.astype(float), rtol=4 * np.finfo(dtype).eps)


@each_norm
def test_layouts(norm, dtype, isa):
    """F order, gaps and, for channels, NHWC give what C order gives."""
    shape = (3, 6, 4, 5)
    x, grad, gamma, beta = arrays(norm, shape, dtype)
    y, *statistics = norm.forward(x, gamma, beta)
    back = norm.backward(grad, x, *statistics, gamma)
    tiny = 16 * np.finfo(dtype).eps
    for lay in (np.asfortranarray, lambda a: np.repeat(a, 2, 3)[..., ::2], lambda a: a[::-1][::-1]):
        for got, wanted in zip(norm.forward(lay(x), gamma, beta), (y, *statistics), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=tiny, atol=tiny)
        for got, wanted in zip(
            norm.backward(lay(grad), lay(x), *statistics, gamma), back, strict=True
        ):
            np.testing.assert_allclose(got, wanted, rtol=tiny, atol=10 * tiny)
    if norm.per_channel:
        last = partial(np.moveaxis, source=1, destination=-1)
        for lay in (last, lambda a: np.ascontiguousarray(last(a))):
            z, *others = norm.forward(lay(x), gamma, beta, channel_axis=-1)
            np.testing.assert_allclose(z, last(y), rtol=tiny, atol=tiny)
            got = norm.backward(lay(grad), lay(x), *others, gamma, channel_axis=-1)
            np.testing.assert_allclose(got[0], last(back[0]), rtol=tiny, atol=10 * tiny)
            np.testing.assert_allclose(got[1:], back[1:], rtol=tiny, atol=30 * tiny)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (1, 2)])
def test_axes_of_layer_norm(axis, dtype, isa):
    x = batch("normal", 4, 30, dtype).reshape(4, 5, 6)
    axes = tuple(np.atleast_1d(axis))
    y, mean, rstd = fastact.layer_norm(x, axis=axis)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axes), rtol=0, atol=1e-6)
    wanted = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + EPS)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-5)
    assert rstd.shape == mean.shape


@each_norm
def test_out_and_in_place(norm, dtype, isa):
    shape = (3, 6, 4)
    x, grad, gamma, beta = arrays(norm, shape, dtype)
    y, *statistics = norm.forward(x, gamma, beta)
    dx = norm.backward(grad, x, *statistics, gamma)[0]
    wide = np.full((3, 6, 8), 7, dtype)
    for out in (np.empty_like(x), np.asfortranarray(x), wide[..., ::2]):
        assert norm.forward(x, gamma, beta, out=out)[0] is out
        assert_same_bits(out, y)
        assert norm.backward(grad, x, *statistics, gamma, out=out)[0] is out
        assert_same_bits(out, dx)
    assert (wide[..., 1::2] == 7).all()
    z, g = x.copy(), grad.copy()
    assert_same_bits(norm.forward(z, gamma, beta, out=z)[0], y)
    assert_same_bits(norm.backward(g, x, *statistics, gamma, out=g)[0], dx)
    z = x.copy()
    assert_same_bits(norm.backward(grad, z, *statistics, gamma, out=z)[0], dx)


@each_norm
@pytest.mark.parametrize("shape", [(3, 6, 40), (7, 70), (3, 2, 1100)])
def test_results_past_the_caches_are_the_same(norm, shape, dtype, isa):
    """At every place in a cache line, and nothing beside them is written."""
    x, grad, gamma, beta = arrays(norm, shape, dtype)
    y, *statistics = norm.forward(x, gamma, beta)
    dx = norm.backward(grad, x, *statistics, gamma)[0]
    item = x.itemsize
    with streaming_above(0):
        for offset in (0, item, 64 - item):
            for wanted, call in (
                (y, partial(norm.forward, x, gamma, beta)),
                (dx, partial(norm.backward, grad, x, *statistics, gamma)),
            ):
                buffer, flat = at(offset, x.size, dtype)
                assert_same_bits(call(out=flat.reshape(shape))[0], wanted)
                flat[...] = buffer[0]
                assert (buffer == buffer[0]).all()
        z = x.copy()
        assert_same_bits(norm.forward(z, gamma, beta, out=z)[0], y)


@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16])
@each_norm
def test_half_types_go_through_float32(norm, half, isa):
    x, grad, gamma, beta = arrays(norm, (3, 6, 5), np.float32)
    x, grad, gamma, beta = (a.astype(half) for a in (x, grad, gamma, beta))
    as_float = [a.astype(np.float32) for a in (x, gamma, beta)]
    y, *statistics = norm.forward(x, gamma, beta)
    wanted, *others = norm.forward(*as_float)
    assert y.dtype == half and all(s.dtype == np.float32 for s in statistics)
    assert_same_bits(y.view(np.uint16), wanted.astype(half).view(np.uint16))
    for got, want in zip(statistics, others, strict=True):
        assert_same_bits(got, want)
    out = np.zeros_like(x)
    got = norm.backward(grad, x, *statistics, gamma, out=out)
    want = norm.backward(grad.astype(np.float32), as_float[0], *others, as_float[1])
    assert got[0] is out
    for a, b in zip(got, want, strict=True):
        assert a.dtype == half
        assert_same_bits(a.view(np.uint16), b.astype(half).view(np.uint16))
    with pytest.raises(ValueError, match="out must have shape"):
        norm.forward(x, out=np.zeros(x.shape, np.float32))


@each_norm
def test_a_bad_line_is_alone(norm, dtype, isa):
    x, *_ = arrays(norm, (4, 6, 9), dtype)
    z = x.copy()
    z[2, 3, 4] = np.nan
    with np.errstate(all="raise"):
        y = norm.forward(z)[0]
    bad = np.isnan(norm.lines(y)).any(1)
    assert bad.sum() == 1 and np.isnan(norm.lines(y)[bad]).all()
    assert_same_bits(norm.lines(y)[~bad], norm.lines(norm.forward(x)[0])[~bad])


X = np.arange(24.0).reshape(2, 4, 3)
BAD = [
    (lambda **k: fastact.layer_norm(X, axis=3, **k), np.exceptions.AxisError, "axis"),
    (lambda **k: fastact.layer_norm(X, axis=None, **k), TypeError, "axis must be"),
    (lambda **k: fastact.layer_norm(X, axis=(), **k), ValueError, "axis must name"),
    (lambda **k: fastact.layer_norm(X, np.ones(4), **k), ValueError, r"gamma must have .* \(3,\)"),
    (lambda **k: fastact.layer_norm(X, eps=0, **k), ValueError, "eps must be positive"),
    (lambda **k: fastact.rms_norm(X * 1j, **k), TypeError, "x must be of"),
    (lambda **k: fastact.group_norm(X, 3, **k), ValueError, "groups must divide the 4"),
    (lambda **k: fastact.group_norm(X, 0, **k), ValueError, "groups must divide the 4"),
    (lambda **k: fastact.group_norm(X, 2, channel_axis=0, **k), ValueError, "must not be 0"),
    (lambda **k: fastact.instance_norm(X, np.ones(3), **k), ValueError, "gamma must have"),
    (
        lambda **k: fastact.layer_norm_backward(X[0], X, X[..., 0], X[..., 0], **k),
        ValueError,
        "grad must have the shape",
    ),
    (
        lambda **k: fastact.layer_norm_backward(X, X, X[0], X[..., 0], **k),
        ValueError,
        "mean must have the shape",
    ),
    (lambda **k: fastact.rms_norm_backward(X, X, None, **k), TypeError, "rstd must be an array"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_arguments_leave_out_untouched(call, error, message):
    out = np.full(X.shape, 7.0)
    with pytest.raises(error, match=message):
        call(out=out)
    assert (out == 7).all()


def test_no_samples():
    for norm in NORMS:
        y, *_ = norm.forward(np.zeros((0, 4, 3)))
        assert y.shape == (0, 4, 3)
    with pytest.raises(ValueError, match="no elements"):
        fastact.layer_norm(np.zeros((3, 0)))
    with pytest.raises(ValueError, match="no elements"):
        fastact.group_norm(np.zeros((3, 2, 0)), 2)


# Running statistics


def update(x, momentum, momentum_of, unbiased, dtype=np.float64):
    _, mean, rstd = fastact.batch_norm(x)
    running = np.full(x.shape[1], 0.5, dtype), np.full(x.shape[1], 2.0, dtype)
    got = fastact.update_running_stats(
        *running,
        mean,
        rstd,
        len(x),
        momentum=momentum,
        momentum_of=momentum_of,
        unbiased=unbiased,
    )
    assert got[0] is running[0] and got[1] is running[1]
    return got


def test_conventions_of_pytorch_and_keras(dtype):
    x = batch("far", 10, 4, dtype)
    wide = x.astype(np.float64)
    tolerance = 1e-6 if dtype == np.float32 else 1e-12
    mean, var = update(x, 0.1, "batch", True, dtype)
    np.testing.assert_allclose(mean, 0.9 * 0.5 + 0.1 * wide.mean(0), rtol=tolerance)
    np.testing.assert_allclose(var, 0.9 * 2 + 0.1 * wide.var(0, ddof=1), rtol=tolerance)
    mean, var = update(x, 0.99, "running", False, dtype)
    np.testing.assert_allclose(mean, 0.99 * 0.5 + 0.01 * wide.mean(0), rtol=tolerance)
    np.testing.assert_allclose(var, 0.99 * 2 + 0.01 * wide.var(0), rtol=tolerance)


def test_running_statistics_are_checked():
    ones = np.ones(3)
    good = {"momentum": 0.1, "momentum_of": "batch", "unbiased": True}
    for bad, error, message in (
        ({"momentum": 2}, ValueError, "momentum must be"),
        ({"momentum_of": "old"}, ValueError, "momentum_of must be"),
        ({"count": 1}, ValueError, "count must be at least 2"),
        ({"mean": np.ones(2)}, ValueError, "mean must have"),
        ({"running_var": [1.0] * 3}, TypeError, "running_var must be"),
        ({"running_mean": np.ones(3, int)}, TypeError, "running_mean must be"),
    ):
        running = {"running_mean": ones.copy(), "running_var": ones.copy()}
        given = {**running, "mean": ones * 5, "rstd": ones, "count": 4, **good, **bad}
        with pytest.raises(error, match=message):
            fastact.update_running_stats(**given)
        assert (running["running_mean"] == 1).all() and (running["running_var"] == 1).all()
