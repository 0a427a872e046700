"""Batch normalisation: against exact arithmetic, in every layout, at the edges."""

from fractions import Fraction

import numpy as np
import pytest
from cases import assert_same_bits
from mpmath import mp
from test_streaming import streaming_above
from ulp import split, ulp_error

import fastact

MAX_ULP = 4
EPS = 1e-5


def fractions(a):
    """An array of exact rationals."""
    return np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(a)


def mpf(q):
    return mp.mpf(q.numerator) / q.denominator


def exact(x, gamma=None, beta=None, eps=EPS):
    """y, mean, rstd and var of (n, channels) with mpmath at 300 bits, by the definition."""
    x = fractions(x)
    n, channels = x.shape
    mean = x.sum(axis=0) / n
    var = ((x - mean) ** 2).sum(axis=0) / n
    with mp.workprec(300):
        rstd = [1 / mp.sqrt(mpf(v + Fraction(eps))) for v in var]
        gamma = [1] * channels if gamma is None else [mp.mpf(float(g)) for g in gamma]
        beta = [0] * channels if beta is None else [mp.mpf(float(b)) for b in beta]
        y = [
            [mpf(d) * r * g + b for d, r, g, b in zip(row, rstd, gamma, beta, strict=True)]
            for row in x - mean
        ]
        return np.array(y, object), [mpf(m) for m in mean], rstd, [mpf(v) for v in var]


def errors(got, wanted):
    """In ULPs, flat."""
    nearest, rest = split(np.ravel(wanted))
    return ulp_error(np.ravel(got), nearest, rest if got.dtype == np.float64 else 0.0)


def batch(kind, n, channels, dtype, seed=0):
    rng = np.random.default_rng([seed, n, channels])
    x = rng.normal(0, 1, (n, channels))
    big = {np.float32: 1e30, np.float64: 1e120}[dtype]
    return {
        "normal": lambda: x,
        "far": lambda: x + 1e4,
        "very far": lambda: x * 2.0**-3 + 2.0 ** (np.finfo(dtype).nmant - 3),
        "huge": lambda: x * big,
        "tiny": lambda: x / big,
        "skewed": lambda: np.exp(3 * x),
        "integers": lambda: np.round(3 * x),
    }[kind]().astype(dtype)


KINDS = ("normal", "far", "very far", "huge", "tiny", "skewed", "integers")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "channels"), [(1, 3), (2, 1), (5, 17), (64, 9), (300, 2)])
def test_accuracy(kind, n, channels, dtype, isa):
    x = batch(kind, n, channels, dtype)
    rng = np.random.default_rng(1)
    gamma, beta = rng.normal(1, 0.5, (2, channels)).astype(dtype)
    for scale, shift in ((None, None), (gamma, None), (gamma, beta)):
        wanted, mean, rstd, _ = exact(x, scale, shift)
        for lay, axis in ((lambda a: a, 0), (lambda a: np.ascontiguousarray(a.T), 1)):
            y, m, r = fastact.batch_norm(lay(x), scale, shift, axis=axis)
            assert y.dtype == m.dtype == r.dtype == dtype and m.shape == r.shape == (channels,)
            assert errors(lay(y), wanted).max() <= MAX_ULP
            assert errors(m, mean).max() <= 1
            assert errors(r, rstd).max() <= 1


@pytest.mark.parametrize("axis", [0, 1])
def test_a_million_ill_conditioned_values(axis, dtype, isa):
    """Mean 1e4, spread 1: E[x^2] - E[x]^2 has no digit left here in float32."""
    x = (
        np.random.default_rng(0)
        .normal(1e4, 1, 1_000_000)
        .astype(dtype)
        .reshape((-1, 1) if axis == 0 else (1, -1))
    )
    wide = x.astype(np.longdouble)
    y, mean, rstd = fastact.batch_norm(x, axis=axis)
    assert mean[0] == pytest.approx(float(wide.mean()), rel=1e-6 if dtype == np.float32 else 1e-15)
    assert rstd[0] == pytest.approx(
        float(1 / np.sqrt(wide.var() + EPS)), rel=1e-6 if dtype == np.float32 else 1e-14
    )
    assert abs(float(y.mean(dtype=np.float64))) < 1e-6
    assert float(y.var(dtype=np.float64)) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("channels", [1, 3, 8, 16, 63, 65, 256, 257, 600])
def test_channels_do_not_depend_on_their_place(channels, dtype, isa):
    x = batch("far", 40, channels, dtype)
    y, mean, rstd = fastact.batch_norm(x)
    for c in {0, channels // 2, channels - 1}:
        alone = fastact.batch_norm(x[:, c : c + 1])
        for got, wanted in zip(
            (y[:, c : c + 1], mean[c : c + 1], rstd[c : c + 1]), alone, strict=True
        ):
            assert_same_bits(got, wanted)


def test_more_rows_than_a_panel_of_them_fits_in_cache(dtype, isa):
    x = batch("far", 5000, 300, dtype)
    y = fastact.batch_norm(x)[0]
    for c in (0, 255, 256, 299):
        assert_same_bits(y[:, c], fastact.batch_norm(x[:, c : c + 1])[0][:, 0])


NCHW = (4, 5, 6, 7)


def views(x):
    """The same (N, C, H, W) values lying differently in memory."""
    yield x
    yield np.asfortranarray(x)
    yield np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)  # NHWC
    yield np.ascontiguousarray(x.transpose(1, 3, 0, 2)).transpose(2, 0, 3, 1)
    yield np.repeat(x, 2, axis=3)[..., ::2]
    yield np.ascontiguousarray(x[::-1, :, ::-1])[::-1, :, ::-1]
    yield x.astype(x.dtype.newbyteorder("S"))
    shifted = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    shifted[...] = x
    yield shifted


@pytest.mark.parametrize(
    "axis", [0, 1, 2, -1, (0, 2, 3), (0, 1), (2, 3), (1, 2), (0, 3), (1, -1), (0, 1, 2, 3)]
)
def test_layouts_and_axes(axis, dtype, isa):
    """Every choice of axes in every memory layout, against the plain definition in float64."""
    rng = np.random.default_rng(0)
    x, grad = rng.normal(3, 2, (2, *NCHW)).astype(dtype)
    reduced = {a % 4 for a in np.atleast_1d(axis)}
    kept = tuple(NCHW[a] for a in range(4) if a not in reduced)
    gamma, beta = rng.normal(1, 0.3, (2, *kept)).astype(dtype)
    along = tuple(reduced)
    wide, g = x.astype(np.longdouble), np.expand_dims(gamma, along)
    m, v = wide.mean(along, keepdims=True), wide.var(along, keepdims=True)
    xhat = (wide - m) / np.sqrt(v + EPS)
    dxhat = grad * xhat
    dx = (
        g
        / np.sqrt(v + EPS)
        * (grad - grad.mean(along, keepdims=True) - xhat * dxhat.mean(along, keepdims=True))
    )
    tiny = 8 * np.finfo(dtype).eps
    for view, grad_view in zip(views(x), views(grad), strict=True):
        y, mean, rstd = fastact.batch_norm(view, gamma, beta, axis=axis)
        assert y.shape == NCHW and mean.shape == rstd.shape == kept
        np.testing.assert_allclose(y, xhat * g + np.expand_dims(beta, along), rtol=0, atol=4 * tiny)
        np.testing.assert_allclose(mean, m.reshape(kept), rtol=tiny)
        np.testing.assert_allclose(rstd, 1 / np.sqrt(v + EPS).reshape(kept), rtol=tiny)
        z = fastact.batch_norm_inference(
            view, mean, v.reshape(kept).astype(dtype), gamma, beta, axis=axis
        )
        np.testing.assert_allclose(z, y, rtol=0, atol=4 * tiny)
        for other in (grad_view, grad):
            got = fastact.batch_norm_backward(other, view, mean, rstd, gamma, axis=axis)
            np.testing.assert_allclose(got[0], dx, rtol=0, atol=20 * tiny)
            np.testing.assert_allclose(got[1], dxhat.sum(along), rtol=0, atol=400 * tiny)
            np.testing.assert_allclose(
                got[2], grad.sum(along, np.longdouble), rtol=0, atol=400 * tiny
            )


def test_result_keeps_the_memory_layout():
    x = np.asfortranarray(np.random.default_rng(0).normal(0, 1, (6, 4)))
    assert fastact.batch_norm(x)[0].flags.f_contiguous
    assert fastact.batch_norm(x.T.copy().T)[0].flags.f_contiguous


# Degenerate batches


def test_one_row_and_constant_columns(dtype, isa):
    """No spread: (x - mean) is exactly 0, so y is beta, whatever 1 / sqrt(eps) is."""
    beta = np.array([1.5, -2, 0], dtype)
    for x in (
        np.full((1, 3), 0.1, dtype),
        np.full((7, 3), 0.1, dtype),
        np.full((1000, 3), 1e4 + 0.1, dtype),
    ):
        y, mean, rstd = fastact.batch_norm(x, None, beta)
        assert_same_bits(y, np.broadcast_to(beta, x.shape).copy())
        assert_same_bits(mean, x[0])
        assert (errors(rstd, [1 / mp.sqrt(mp.mpf(EPS))] * 3) <= 1).all()
        dx, dgamma, dbeta = fastact.batch_norm_backward(np.ones_like(x), x, mean, rstd)
        assert not dx.any() and not dgamma.any() and (dbeta == len(x)).all()


def test_a_bad_channel_is_alone(dtype, isa):
    x = batch("normal", 20, 11, dtype)
    good, _, _ = fastact.batch_norm(x)
    for bad in (np.nan, np.inf, -np.inf):
        z = x.copy()
        z[3, 5] = bad
        for lay, axis in ((lambda a: a, 0), (lambda a: np.ascontiguousarray(a.T), 1)):
            with np.errstate(all="raise"):
                y = lay(fastact.batch_norm(lay(z), axis=axis)[0])
            assert np.isnan(y[:, 5]).all()
            others = np.delete(np.arange(11), 5)
            assert_same_bits(y[:, others], lay(fastact.batch_norm(lay(x), axis=axis)[0])[:, others])
    assert np.isfinite(good).all()


def test_no_channels(dtype):
    y, mean, rstd = fastact.batch_norm(np.zeros((5, 0), dtype))
    assert y.shape == (5, 0) and mean.shape == rstd.shape == (0,)


# Inference and backward


@pytest.mark.parametrize("kind", KINDS)
def test_inference_accuracy(kind, dtype, isa):
    rng = np.random.default_rng(0)
    x = batch(kind, 30, 11, dtype)
    mean, gamma, beta = (
        a.astype(dtype) for a in (x.mean(0, np.float64), rng.normal(1, 1, 11), rng.normal(0, 1, 11))
    )
    var = rng.uniform(0, 4, 11).astype(dtype)
    var[0] = 0
    with mp.workprec(300):
        wanted = [
            [
                (mp.mpf(float(v)) - mp.mpf(float(m)))
                / mp.sqrt(mp.mpf(float(s)) + mp.mpf(EPS))
                * mp.mpf(float(g))
                + mp.mpf(float(b))
                for v, m, s, g, b in zip(row, mean, var, gamma, beta, strict=True)
            ]
            for row in x
        ]
    for lay, axis in ((lambda a: a, 0), (lambda a: np.ascontiguousarray(a.T), 1)):
        y = fastact.batch_norm_inference(lay(x), mean, var, gamma, beta, axis=axis)
        assert errors(lay(y), wanted).max() <= MAX_ULP


def exact_backward(grad, x, rstd, gamma):
    """dx, dgamma, dbeta of (n, channels) as rationals, and the size of what is added up in each;
    with the mean of x itself, not as `batch_norm` rounds it."""
    grad, x, rstd, gamma = map(fractions, (grad, x, rstd, gamma))
    mean = x.sum(0) / len(x)
    xhat = (x - mean) * rstd
    dgamma, dbeta = (grad * xhat).sum(0), grad.sum(0)
    dx = gamma * rstd * (grad - dbeta / len(x) - xhat * dgamma / len(x))
    terms = abs(gamma * rstd) * (abs(grad) + abs(dbeta) / len(x) + abs(xhat * dgamma) / len(x))
    return (dx, terms), (dgamma, abs(grad * xhat).sum(0)), (dbeta, abs(grad).sum(0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "channels"), [(1, 3), (2, 1), (33, 17), (200, 3)])
def test_backward_accuracy(kind, n, channels, dtype, isa):
    """One rounding to the dtype, and a few of float64 in proportion to what is added up."""
    rng = np.random.default_rng(2)
    x = batch(kind, n, channels, dtype)
    grad, gamma = (
        rng.normal(0.5, 1, (n, channels)).astype(dtype),
        rng.normal(1, 0.5, channels).astype(dtype),
    )
    mean, rstd = fastact.batch_norm(x)[1:]
    wanted = exact_backward(grad, x, rstd, gamma)
    half = Fraction(1, 2 ** (np.finfo(dtype).nmant + 1))
    for lay, axis in ((lambda a: a, 0), (lambda a: np.ascontiguousarray(a.T), 1)):
        dx, dgamma, dbeta = fastact.batch_norm_backward(
            lay(grad), lay(x), mean, rstd, gamma, axis=axis
        )
        for got, (value, terms) in zip((lay(dx), dgamma, dbeta), wanted, strict=True):
            error = abs(fractions(got) - value)
            smallest = Fraction(float(np.finfo(dtype).smallest_subnormal))
            assert (error <= abs(value) * half + terms * Fraction(8, 2**53) + smallest).all()


def test_backward_is_the_derivative(dtype, isa):
    """Against mpmath's own differentiation of batch_norm, on a small batch."""
    x, grad = batch("normal", 5, 1, dtype), batch("normal", 5, 1, dtype, 1)
    gamma = np.array([1.3], dtype)

    def loss(values, scale, shift):
        mean = mp.fsum(values) / 5
        rstd = 1 / mp.sqrt(mp.fsum((v - mean) ** 2 for v in values) / 5 + mp.mpf(EPS))
        return mp.fsum(
            float(g) * ((v - mean) * rstd * scale + shift)
            for g, v in zip(grad[:, 0], values, strict=True)
        )

    point = [mp.mpf(float(v)) for v in x[:, 0]]
    scale = mp.mpf(float(gamma[0]))

    def moved(k, t):
        return [t if j == k else v for j, v in enumerate(point)]

    mean, rstd = fastact.batch_norm(x, gamma)[1:]
    dx, dgamma, dbeta = fastact.batch_norm_backward(grad, x, mean, rstd, gamma)
    tolerance = 20 * np.finfo(dtype).eps
    wanted = [
        float(mp.diff(lambda t, k=k: loss(moved(k, t), scale, 0), point[k])) for k in range(5)
    ]
    np.testing.assert_allclose(dx[:, 0], wanted, rtol=0, atol=tolerance)
    np.testing.assert_allclose(
        dgamma, float(mp.diff(lambda t: loss(point, t, 0), scale)), atol=tolerance
    )
    np.testing.assert_allclose(
        dbeta, float(mp.diff(lambda t: loss(point, scale, t), 0)), atol=tolerance
    )


# Arguments


@pytest.mark.parametrize("axis", [0, 1])
def test_out(axis, dtype, isa):
    x = batch("normal", 20, 6, dtype)
    wanted, mean, rstd = fastact.batch_norm(x, axis=axis)
    var = x.var(axis)
    inferred = fastact.batch_norm_inference(x, mean, var, axis=axis)
    wide = np.full((20, 12), 7, dtype)
    memory = np.zeros((21, 6), dtype)
    for out, given in (
        (np.empty_like(x), x),
        (np.asfortranarray(x), x),
        (wide[:, ::2], x),
        ((z := x.copy()), z),
        (memory[1:], memory[:-1]),
    ):
        given[...] = x
        y, m, r = fastact.batch_norm(given, axis=axis, out=out)
        assert y is out
        for got, want in zip((y, m, r), (wanted, mean, rstd), strict=True):
            assert_same_bits(got, want)
        given[...] = x
        assert fastact.batch_norm_inference(given, mean, var, axis=axis, out=out) is out
        assert_same_bits(out, inferred)
    assert (wide[:, 1::2] == 7).all()


@pytest.mark.parametrize("activation", [None, "silu"])
@pytest.mark.parametrize("axis", [0, 1])
def test_backward_in_place(axis, activation, dtype, isa):
    x, grad = batch("normal", 20, 6, dtype), batch("normal", 20, 6, dtype, 1)
    _, mean, rstd = fastact.batch_norm(x, axis=axis)
    same = {"axis": axis, "activation": activation}
    wanted = fastact.batch_norm_backward(grad, x, mean, rstd, **same)
    wide = np.full((20, 12), 7, dtype)
    for name in ("x", "grad", "neither", "gaps"):
        given = {"x": x.copy(), "grad": grad.copy()}
        out = given.get(name, wide[:, ::2] if name == "gaps" else np.empty_like(x))
        got = fastact.batch_norm_backward(**given, mean=mean, rstd=rstd, out=out, **same)
        assert got[0] is out
        for a, b in zip(got, wanted, strict=True):
            assert_same_bits(np.ascontiguousarray(a), np.ascontiguousarray(b))
    assert (wide[:, 1::2] == 7).all()


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("axis", [0, (0, 2)])
def test_results_past_the_caches_are_the_same(axis, activation, dtype, isa):
    x, grad = batch("normal", 9, 70, dtype), batch("normal", 9, 70, dtype, 1)
    if axis != 0:
        x, grad = (a.reshape(3, 6, 35) for a in (x, grad))

    def results():
        y, mean, rstd = fastact.batch_norm(x, axis=axis, activation=activation)
        same = {"axis": axis, "activation": activation}
        return (
            y,
            fastact.batch_norm_inference(x, mean, rstd, **same),
            *fastact.batch_norm_backward(grad, x, mean, rstd, **same),
        )

    wanted = results()
    with streaming_above(0):
        for got, want in zip(results(), wanted, strict=True):
            assert_same_bits(got, want)


def test_dtypes():
    for given, wanted in ((np.int64, np.float64), (np.int16, np.float32), (bool, np.float32)):
        y, mean, rstd = fastact.batch_norm(np.array([[0], [1]], given))
        assert y.dtype == mean.dtype == rstd.dtype == wanted
    for dtype in (np.complex64, object, "U1"):
        with pytest.raises(TypeError, match="x must be of float32 or float64"):
            fastact.batch_norm(np.zeros((2, 2), dtype))
    with pytest.raises(TypeError, match="gamma must be of"):
        fastact.batch_norm(np.zeros((2, 2)), np.ones(2, complex))


X = np.arange(12.0).reshape(4, 3)
ONES = (1.0, 1.0, 1.0)
CALLS = {
    "batch_norm": lambda x=X, gamma=None, beta=None, **k: fastact.batch_norm(x, gamma, beta, **k),
    "batch_norm_inference": lambda x=X, gamma=None, beta=None, mean=ONES, var=ONES, **k: (
        fastact.batch_norm_inference(x, mean, var, gamma, beta, **k)
    ),
    "batch_norm_backward": lambda x=X, gamma=None, grad=X, mean=ONES, rstd=ONES, **k: (
        fastact.batch_norm_backward(grad, x, mean, rstd, gamma, **k)
    ),
}
BAD = [
    ({"axis": 2}, np.exceptions.AxisError, "axis"),
    ({"axis": (0, 0)}, ValueError, "repeated axis"),
    ({"axis": ()}, ValueError, "axis must name"),
    ({"axis": None}, TypeError, "axis"),
    ({"x": np.zeros((0, 3))}, ValueError, "axis 0 has no elements"),
    ({"gamma": np.ones(4)}, ValueError, r"gamma must have the shape \(3,\)"),
    ({"gamma": 1.0}, ValueError, "gamma must have the shape"),
    ({"beta": np.ones((1, 3))}, ValueError, "beta must have the shape"),
    ({"mean": np.ones(2)}, ValueError, "mean must have the shape"),
    ({"mean": None}, TypeError, "mean"),
    ({"rstd": np.ones(2)}, ValueError, "rstd must have the shape"),
    ({"var": np.ones(2)}, ValueError, "var must have the shape"),
    ({"var": [1.0, -1.0, 1.0]}, ValueError, "var must not be negative"),
    ({"grad": np.ones((3, 4))}, ValueError, r"grad must have the shape \(4, 3\)"),
    ({"eps": 0}, ValueError, "eps must be positive"),
    ({"eps": -1e-5}, ValueError, "eps must be positive"),
    ({"eps": np.nan}, ValueError, "eps must be positive"),
    ({"out": np.full((3, 4), 7.0)}, ValueError, "out must have shape"),
    ({"out": np.full((4, 3), 7, np.float32)}, ValueError, "out must have shape .* dtype float64"),
    ({"out": [[7.0]]}, TypeError, "out must be an ndarray"),
]
TAKES = {
    "batch_norm": {"x", "gamma", "beta", "axis", "eps", "out"},
    "batch_norm_inference": {"x", "mean", "var", "gamma", "beta", "axis", "eps", "out"},
    "batch_norm_backward": {"grad", "x", "mean", "rstd", "gamma", "axis"},
}


@pytest.mark.parametrize(
    ("name", "bad", "error", "message"),
    [(name, *row) for name in CALLS for row in BAD if set(row[0]) <= TAKES[name]],
)
def test_bad_arguments_leave_out_untouched(name, bad, error, message):
    out = np.full((4, 3), 7.0)
    arguments = {"out": out, **bad} if "out" in TAKES[name] else bad
    with pytest.raises(error, match=message):
        CALLS[name](**arguments)
    assert (out == 7).all() and (np.asarray(arguments.get("out", 7.0)) == 7).all()


def test_read_only_out():
    out = np.full((4, 3), 7.0)
    out.flags.writeable = False
    for name in ("batch_norm", "batch_norm_inference"):
        with pytest.raises(ValueError, match="out must be writable"):
            CALLS[name](out=out)
    read_only = X.copy()
    read_only.flags.writeable = False
    assert_same_bits(fastact.batch_norm(read_only)[0], fastact.batch_norm(X)[0])
