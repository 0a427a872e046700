"""log_softmax and logsumexp: against exact values, at the maximum above all, and at the edges."""

import warnings
from functools import cache

import numpy as np
import pytest
from cases import assert_same_bits
from lines import KINDS, LENGTHS, layouts, line
from ml_dtypes import bfloat16
from mpmath import mp
from ulp import split, ulp_error

import fastact

MAX_ULP = 2
BITS = 1250  # more than the least that a float64 sum may have beside 1


@cache
def exact(kind, n, dtype, bits=BITS):
    """log_softmax and logsumexp of that line, each as (nearest float64, rest in ULPs of it)."""
    x = line(kind, n, dtype)
    with mp.workprec(bits):
        values = [mp.mpf(float(v)) for v in x]
        top = max(values)
        whole = top + mp.log(mp.fsum(mp.exp(v - top) for v in values))
        return split([v - whole for v in values]), split([whole])


def errors(got, wanted):
    nearest, rest = wanted
    finite = np.isfinite(nearest)
    assert np.array_equal(got[~finite], nearest[~finite])
    error = ulp_error(got, nearest, rest if got.dtype == np.float64 else 0.0)
    return error[finite]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", LENGTHS)
def test_accuracy(kind, n, dtype, isa):
    x = line(kind, n, dtype)
    wanted, whole = exact(kind, n, dtype)
    assert errors(fastact.log_softmax(x), wanted).max(initial=0) <= MAX_ULP
    columns = np.stack([line("normal", n, dtype, 1), x, x[::-1]], axis=1)
    y = fastact.log_softmax(columns, axis=0)
    assert errors(y[:, 1].copy(), wanted).max(initial=0) <= MAX_ULP
    for got in (fastact.logsumexp(x), fastact.logsumexp(columns, axis=0)[1]):
        assert errors(np.array([got], dtype), whole).max(initial=0) <= MAX_ULP


@pytest.mark.parametrize("others", [-1e-3, -1, -10, -17.381, -20, -40, -80, -300, -700])
@pytest.mark.parametrize("n", [2, 20, 100, 1000])
def test_the_maximum_keeps_its_digits(others, n, dtype, isa):
    """log(1 + o) for the o beside the maximum, however small: x - max - log(sum) gives 0."""
    x = np.full(n, others, dtype)
    x[n // 3] = 0
    with mp.workprec(BITS):
        o = (n - 1) * mp.exp(mp.mpf(float(x[0])) if n // 3 else mp.mpf(float(x[1])))
        wanted = split([-mp.log1p(o)])
    with np.errstate(all="raise"):
        y = fastact.log_softmax(x)
    assert errors(y[n // 3 : n // 3 + 1], wanted)[0] <= MAX_ULP
    z = fastact.log_softmax(np.stack([x, x], axis=1), axis=0)
    assert errors(z[n // 3, 1:].copy(), wanted)[0] <= MAX_ULP


@pytest.mark.parametrize("kind", ["normal", "spike"])
def test_a_long_line(kind, dtype, isa):
    x = line(kind, 100_000, dtype)
    wanted, whole = exact(kind, 100_000, dtype, 150)
    assert errors(fastact.log_softmax(x), wanted).max() <= MAX_ULP
    assert errors(fastact.logsumexp(x)[None], whole).max() <= MAX_ULP


@pytest.mark.parametrize("n", [1, 5, 64, 65, 200])
@pytest.mark.parametrize("axis", [0, 1])
def test_lines_that_are_not_finite(n, axis, dtype, isa):
    x = np.random.default_rng(0).normal(0, 3, (7, n)).astype(dtype)
    good = fastact.log_softmax(x if axis else np.asfortranarray(x))
    x[1], x[2, n // 2], x[3, -1], x[4, 0] = -np.inf, np.inf, np.nan, -np.inf
    x[5] = np.inf
    laid = x if axis else np.ascontiguousarray(x.T)
    with np.errstate(invalid="ignore"):
        y = fastact.log_softmax(laid, axis=axis)
        z = fastact.log_softmax(laid, axis=axis, masked="zero")
    y, z = (y, z) if axis else (y.T, z.T)
    assert np.isnan(y[[1, 2, 3, 5]]).all() and np.isnan(z[[2, 3, 5]]).all()
    assert_same_bits(y[[0, 6]], good[[0, 6]])
    assert (z[1] == -np.inf).all()
    if n > 1:
        assert y[4, 0] == -np.inf and np.isfinite(y[4, 1:]).all()
        x[2, 0] = x[2, n // 2]
    with np.errstate(all="raise"):
        whole = fastact.logsumexp(laid, axis=axis)
    assert whole[1] == -np.inf and whole[2] == whole[5] == np.inf and np.isnan(whole[3])
    assert np.isfinite(whole[[0, 6]]).all()
    if n > 1:
        assert np.isfinite(whole[4])
        x[2, 0], x[2, 1] = np.inf, np.nan
        assert np.isnan(fastact.logsumexp(x, axis=1)[2])


@pytest.mark.parametrize("n", [2, 5, 31, 64])
def test_short_lines_have_the_same_bits_in_every_layout(n, dtype, isa):
    x = np.stack([line(kind, n, dtype, seed) for seed in range(5) for kind in KINDS])
    wanted, whole = fastact.log_softmax(x), fastact.logsumexp(x, axis=1)
    for got, axis in layouts(x):
        y = fastact.log_softmax(got, axis=axis)
        assert_same_bits(np.moveaxis(y, axis, -1).reshape(x.shape), wanted)
        assert_same_bits(fastact.logsumexp(got, axis=axis).ravel(), whole)


@pytest.mark.parametrize("n", [65, 1024, 2500])
def test_long_lines_in_every_layout(n, dtype, isa):
    x = np.stack([line(kind, n, dtype) for kind in KINDS])
    wanted = fastact.log_softmax(x)
    for got, axis in layouts(x):
        y = np.moveaxis(fastact.log_softmax(got, axis=axis), axis, -1).reshape(x.shape)
        finite = np.isfinite(wanted)
        assert np.array_equal(finite, np.isfinite(y))
        assert ulp_error(y[finite], wanted[finite].astype(np.float64)).max() <= 1


# Backward


@pytest.mark.parametrize("n", [1, 2, 7, 64, 65, 100, 1030])
def test_backward_accuracy(n, dtype, isa):
    """Within 8 ULP of the row's largest term, in float64 too."""
    rng = np.random.default_rng(n)
    y = fastact.log_softmax(line("normal", n, dtype))
    for grad in (rng.normal(0, 1, n).astype(dtype), rng.normal(100, 1, n).astype(dtype)):
        with mp.workprec(200):
            g, logs = ([mp.mpf(float(v)) for v in a] for a in (grad, y))
            whole = mp.fsum(g)
            wanted = [a - mp.exp(b) * whole for a, b in zip(g, logs, strict=True)]
            largest = float(max(map(abs, [*wanted, *g])))
            columns = fastact.log_softmax_backward(
                np.stack([grad] * 3, 1), np.stack([y] * 3, 1), axis=0
            )
            for got in (fastact.log_softmax_backward(grad, y), columns[:, 1]):
                error = max(abs(mp.mpf(float(a)) - b) for a, b in zip(got, wanted, strict=True))
                assert error <= 8 * float(np.spacing(dtype(largest)))


@pytest.mark.parametrize("margin", [1, 3, 10, 20, 40])
@pytest.mark.parametrize("n", [2, 20, 100])
def test_backward_of_a_class_known_well(margin, n, dtype, isa):
    """grad = -1 at one class: dx = p - 1 there, within 8 ULP of the largest entry of the line."""
    x = np.random.default_rng(n).normal(0, 1, n).astype(dtype)
    x[1] = x.max() + dtype(margin)
    y, grad = fastact.log_softmax(x), -(np.arange(n) == 1).astype(dtype)
    with mp.workprec(300):
        wanted = [mp.exp(mp.mpf(float(v))) + mp.mpf(float(g)) for v, g in zip(y, grad, strict=True)]
        bound = 8 * mp.mpf(float(np.spacing(dtype(max(map(abs, wanted))))))
        columns = fastact.log_softmax_backward(np.stack([grad] * 3, 1), np.stack([y] * 3, 1), 0)
        for got in (fastact.log_softmax_backward(grad, y), columns[:, 1]):
            assert max(abs(float(a) - b) for a, b in zip(got, wanted, strict=True)) <= bound


def gradient(loss_of, x):
    """Of a function of a list of numbers, by mpmath's own differentiation."""
    point = [mp.mpf(float(v)) for v in x]

    def loss(k, t):
        return loss_of([t if j == k else v for j, v in enumerate(point)])

    return [float(mp.diff(lambda t, k=k: loss(k, t), point[k])) for k in range(len(x))]


def test_backwards_are_the_derivatives(dtype, isa):
    x, grad = line("normal", 6, np.float64).astype(dtype), line("normal", 6, dtype, 1)

    def whole(v):
        return mp.log(mp.fsum(map(mp.exp, v)))

    def loss(v):
        return mp.fsum(float(g) * (a - whole(v)) for g, a in zip(grad, v, strict=True))

    atol = 16 * np.finfo(dtype).eps * np.abs(grad).sum()
    wanted = gradient(loss, x)
    got = fastact.log_softmax_backward(grad, fastact.log_softmax(x))
    np.testing.assert_allclose(got, wanted, atol=atol)
    np.testing.assert_allclose(
        fastact.logsumexp_backward(dtype(2), x),
        [2 * v for v in gradient(whole, x)],
        atol=atol,
    )

    def smaller(v):
        e = [mp.exp(-a) for a in v]
        return mp.fsum(float(g) * a for g, a in zip(grad, e, strict=True)) / mp.fsum(e)

    got = fastact.softmin_backward(grad, fastact.softmin(x))
    np.testing.assert_allclose(got, gradient(smaller, x), atol=atol)


def jacobians(x):
    """Softmax and the Jacobians of the family at a line, written out in long double."""
    e = np.exp(np.longdouble(x) - x.max())
    p = e / e.sum()
    of_softmax = np.diag(p) - np.outer(p, p)
    of_log_softmax = np.eye(len(x)) - p  # row i: what y_i gains by each x_j
    return p, {"softmax": of_softmax, "log_softmax": of_log_softmax}


def test_gradients_are_those_of_the_jacobian(isa):
    rng = np.random.default_rng(0)
    x, grad = rng.normal(0, 3, (7, 130)), rng.normal(0, 1, (7, 130))
    for lines, grads, axis in ((x, grad, 1), (x.T.copy(), grad.T.copy(), 0)):
        softmax, of_sum = fastact.softmax(lines, axis), np.ones(len(x))
        gradients = {
            "softmax": fastact.softmax_backward(grads, softmax, axis),
            "log_softmax": fastact.log_softmax_backward(
                grads, fastact.log_softmax(lines, axis), axis
            ),
            "softmin": fastact.softmin_backward(grads, fastact.softmin(lines, axis), axis),
        }
        gradient_of_sum = fastact.logsumexp_backward(of_sum, lines, axis)
        for k in range(len(x)):
            p, of = jacobians(x[k])
            _, mirrored = jacobians(-x[k])
            wanted = {name: grad[k] @ of[name] for name in of}
            wanted["softmin"] = -grad[k] @ mirrored["softmax"]
            for name, exact in wanted.items():
                got = np.moveaxis(gradients[name], axis, 1)[k]
                np.testing.assert_allclose(got, np.float64(exact), rtol=0, atol=1e-12)
            got = np.moveaxis(gradient_of_sum, axis, 1)[k]
            np.testing.assert_allclose(got, np.float64(p), rtol=0, atol=1e-12)


# Arguments


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (1, 0), (0, 1, 2), ()])
@pytest.mark.parametrize("order", ["C", "F"])
def test_several_axes_as_scipy(axis, order, dtype):
    special = pytest.importorskip("scipy.special")
    x = np.random.default_rng(0).normal(0, 3, (3, 4, 70)).astype(dtype, order=order)
    for keepdims in (False, True):
        wanted = special.logsumexp(x.astype(np.float64), axis=axis, keepdims=keepdims)
        got = fastact.logsumexp(x, axis, keepdims=keepdims)
        assert got.dtype == dtype and got.shape == wanted.shape
        eps = 4 * np.finfo(dtype).eps  # of the maximum too: where it cancels, SciPy is no closer
        np.testing.assert_allclose(got, wanted, rtol=eps, atol=eps)
        out = np.zeros(got.shape, dtype)
        assert fastact.logsumexp(x, axis, keepdims=keepdims, out=out) is out
        assert_same_bits(out, got)
        dx = fastact.logsumexp_backward(np.full_like(got, 3), x, axis, keepdims=keepdims)
        axes = tuple(range(3)) if axis is None else axis
        assert dx.shape == x.shape and dx.dtype == dtype
        np.testing.assert_allclose(dx.sum(axes), 3, rtol=1e-5)


def test_logsumexp_backward_refuses_another_shape():
    x = np.zeros((3, 4))
    with pytest.raises(ValueError, match=r"grad must have the shape .* \(3,\), not \(4,\)"):
        fastact.logsumexp_backward(np.zeros(4), x, axis=1)
    assert (fastact.logsumexp_backward(np.ones(3), np.full((3, 4), -np.inf), 1) == 0).all()


@pytest.mark.parametrize("half", [np.float16, bfloat16])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "sparsemax", "logsumexp"])
def test_half_types_are_rounded_once(name, half):
    x = np.random.default_rng(0).normal(0, 2, (5, 70)).astype(half)
    function = getattr(fastact, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = function(x, axis=0)
    assert y.dtype == half
    assert_same_bits(y, function(x.astype(np.float32), axis=0).astype(half))
    out = np.zeros_like(y)
    assert function(x, axis=0, out=out) is out
    assert_same_bits(out, y)
    if name != "logsumexp":
        grad = x[::-1].copy()
        backward = getattr(fastact, f"{name}_backward")
        dx = backward(grad, y, axis=0)
        wide = backward(grad.astype(np.float32), y.astype(np.float32), axis=0)
        assert_same_bits(dx, wide.astype(half))


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "sparsemax", "logsumexp"])
def test_bad_arguments(name):
    function = getattr(fastact, name)
    with pytest.raises(ValueError, match="axis 1 has length 0"):
        function(np.ones((2, 0)), axis=1)
    with pytest.raises(np.exceptions.AxisError):
        function(np.ones(3), axis=1)
    with pytest.raises(TypeError):
        function(np.ones(3, complex), axis=0)
    out = np.full(4, 7.0)
    with pytest.raises(ValueError, match=r"[Oo]utput|broadcast"):
        function(np.ones((2, 3)), axis=0, out=out)
    assert (out == 7).all()
    if name != "logsumexp":
        with pytest.raises(ValueError, match="masked must be 'nan' or 'zero', not 'no'"):
            function(np.ones(3), masked="no")
        with pytest.raises(TypeError, match="axis must be an integer"):
            function(np.ones(3), axis=None)


def test_integers():
    for dtype in (np.int64, np.uint8, np.uint64):
        x = np.array([0, 1, 3], dtype)
        np.testing.assert_allclose(
            fastact.softmin(x), fastact.softmax(-x.astype(np.float64)), rtol=1e-6
        )
        assert fastact.log_softmax(x).dtype == fastact.softmax(x).dtype == fastact.softmin(x).dtype


def test_dask_applies_them():
    dask = pytest.importorskip("dask.array")
    x = np.random.default_rng(0).normal(0, 3, (8, 30))
    lazy = dask.from_array(x, chunks=(2, 30))
    np.testing.assert_array_equal(
        dask.apply_gufunc(fastact.log_softmax, "(n)->(n)", lazy).compute(), fastact.log_softmax(x)
    )
    np.testing.assert_array_equal(
        fastact.logsumexp(lazy, axis=-1).compute(), fastact.logsumexp(x, axis=-1)
    )
