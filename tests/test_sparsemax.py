"""Sparsemax against its definition in exact fractions, by sorting."""

from fractions import Fraction

import numpy as np
import pytest
from lines import KINDS, layouts, line

import fastact


def exact(x):
    """The projection onto the simplex; of finite x."""
    z = sorted((Fraction(float(v)) for v in x), reverse=True)
    total, threshold = Fraction(0), None
    for k, v in enumerate(z, 1):
        total += v
        if v > (total - 1) / k:
            threshold = (total - 1) / k
    return np.array([float(max(Fraction(float(v)) - threshold, Fraction(0))) for v in x])


FINITE = [kind for kind in KINDS if kind != "with -inf"]


@pytest.mark.parametrize("kind", FINITE)
@pytest.mark.parametrize("n", [1, 2, 3, 17, 64, 65, 333])
@pytest.mark.parametrize("scale", [1, 1e-3])
def test_accuracy(kind, n, scale, dtype, isa):
    x = line(kind, n, dtype) * dtype(scale)
    wanted = exact(x)
    columns = fastact.sparsemax(np.stack([x, x], axis=1), axis=0)
    for got in (fastact.sparsemax(x), columns[:, 1]):
        assert got.dtype == dtype and (got >= 0).all()
        np.testing.assert_allclose(got, wanted, rtol=0, atol=2 * np.finfo(dtype).eps)


def test_a_support_that_shrinks_slowly(dtype, isa):
    """Half of what is left falls out each time; and a long line."""
    x = np.repeat(1 - 0.5 ** np.arange(1, 12), 2 ** np.arange(11, 0, -1)).astype(dtype)
    np.testing.assert_allclose(fastact.sparsemax(x), exact(x), rtol=0, atol=2 * np.finfo(dtype).eps)
    y = fastact.sparsemax(np.random.default_rng(0).normal(0, 1, 100_000).astype(dtype))
    assert y.astype(np.float64).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("n", [5, 100])
@pytest.mark.parametrize("axis", [0, 1])
def test_lines_that_are_not_finite(n, axis, dtype, isa):
    x = np.random.default_rng(0).normal(0, 1, (6, n)).astype(dtype)
    x[1], x[2, 1], x[3, -1], x[4, 0] = -np.inf, np.inf, np.nan, -np.inf
    laid = x if axis else np.ascontiguousarray(x.T)
    with np.errstate(invalid="ignore"):
        y, z = (fastact.sparsemax(laid, axis, masked=m) for m in ("nan", "zero"))
    y, z = (y, z) if axis else (y.T, z.T)
    assert np.isnan(y[1:4]).all() and np.isnan(z[2:4]).all() and (z[1] == 0).all()
    for k in (0, 5):
        np.testing.assert_allclose(y[k], exact(x[k]), rtol=0, atol=2 * np.finfo(dtype).eps)
    assert y[4, 0] == 0 and y[4].sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("n", [5, 100])
def test_layouts(n, dtype, isa):
    x = np.random.default_rng(0).normal(0, 1, (8, n)).astype(dtype)
    wanted = fastact.sparsemax(x)
    for got, axis in layouts(x):
        y = np.moveaxis(fastact.sparsemax(got, axis=axis), axis, -1).reshape(x.shape)
        np.testing.assert_allclose(y, wanted, rtol=0, atol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("n", [1, 5, 64, 200])
def test_backward(n, dtype, isa):
    rng = np.random.default_rng(n)
    grad = rng.normal(10, 1, (4, n)).astype(dtype)
    y = fastact.sparsemax(rng.normal(0, 1, (4, n)).astype(dtype))
    g, inside = grad.astype(np.longdouble), y > 0
    mean = (g * inside).sum(1, keepdims=True) / inside.sum(1, keepdims=True)
    wanted = np.where(inside, g - mean, 0).astype(np.float64)
    tolerance = 8 * np.finfo(dtype).eps * (np.abs(wanted).max() + 1e-3)
    np.testing.assert_allclose(fastact.sparsemax_backward(grad, y), wanted, rtol=0, atol=tolerance)
    columns = fastact.sparsemax_backward(np.asfortranarray(grad), np.asfortranarray(y))
    np.testing.assert_allclose(columns, wanted, rtol=0, atol=tolerance)


def test_backward_is_the_derivative():
    """By differences, where no element is near its threshold."""
    x, grad = np.array([0.9, 0.4, 0.35, -1.0, -0.2]), np.array([1.0, -2.0, 0.5, 3.0, 0.1])
    step = 1e-6
    wanted = [
        grad @ (fastact.sparsemax(x + d) - fastact.sparsemax(x - d)) / (2 * step)
        for d in step * np.eye(5)
    ]
    np.testing.assert_allclose(
        fastact.sparsemax_backward(grad, fastact.sparsemax(x)), wanted, atol=1e-9
    )
