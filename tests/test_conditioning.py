"""Gradients normalised, centralised and mended: exact values in every layout."""

import ml_dtypes
import numpy as np
import pytest
from cases import assert_same_bits
from trees import copied, leaves

import fastact


@pytest.fixture
def tree(dtype):
    rng = np.random.default_rng(0)
    return {
        "w": rng.normal(0, 1, (37, 11)).astype(dtype),
        "conv": [np.asfortranarray(rng.normal(3, 1, (3, 3, 4, 10)).astype(np.float32))],
        "b": (rng.normal(0, 1, 11), np.zeros((0, 4), dtype)),
    }


# normalize_gradients


@pytest.mark.parametrize("ord", [1, 2, 3, np.inf])
@pytest.mark.parametrize("norm", [1.0, 1e-3, 1e4])
def test_normalize(norm, ord, tree, isa):
    got, was = fastact.normalize_gradients(tree, norm, ord=ord)
    assert was == fastact.global_norm(tree, ord)
    assert fastact.global_norm(got, ord) == pytest.approx(norm, rel=1e-6)
    for a, g in zip(leaves(got), leaves(tree), strict=True):
        np.testing.assert_allclose(a, g * (norm / was), rtol=3e-7)
    assert fastact.normalize_gradients(tree, norm, ord=ord, out=tree)[0] is tree
    for a, g in zip(leaves(got), leaves(tree), strict=True):
        assert_same_bits(a, g)


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e306, 1e-300])
def test_normalize_beyond_the_range_of_squares(scale, isa):
    (got,), _ = fastact.normalize_gradients([np.array([3.0, 4.0] * 50) * scale])
    np.testing.assert_allclose(got, np.array([3.0, 4.0] * 50) / np.sqrt(1250), rtol=1e-14)


def test_eps_keeps_small_gradients_small(dtype):
    x = np.array([3e-8, 4e-8], dtype)
    got, norm = fastact.normalize_gradients(x, eps=1e-6)
    assert norm == pytest.approx(5e-8)
    np.testing.assert_allclose(got, x / (5e-8 + 1e-6), rtol=1e-6)
    zeros, norm = fastact.normalize_gradients(np.zeros(3, dtype))
    assert norm == 0 and not zeros.any()


def test_normalize_checks_its_arguments():
    x = np.full(3, 9.0)
    for arguments, message in (
        ({"norm": 0}, "norm must be positive and finite, not 0"),
        ({"norm": -1}, "norm must be positive"),
        ({"norm": np.inf}, "norm must be positive"),
        ({"eps": -1e-6}, "eps must be 0 or more"),
        ({"ord": 0}, "ord must be positive"),
        ({"nonfinite": "no"}, "nonfinite must be"),
    ):
        with pytest.raises(ValueError, match=message):
            fastact.normalize_gradients(x, **arguments, out=x)
    assert (x == 9).all()


# centralize_gradients


@pytest.mark.parametrize("unit_axis", [-1, 0, 1])
def test_centralize(unit_axis, tree, isa):
    got = fastact.centralize_gradients(tree, unit_axis=unit_axis)
    for a, g in zip(leaves(got), leaves(tree), strict=True):
        wanted = g.astype(np.longdouble)
        if g.ndim > 1 and g.size:
            axes = tuple(k for k in range(g.ndim) if k != unit_axis % g.ndim)
            wanted = wanted - wanted.mean(axes, keepdims=True)
        else:
            assert_same_bits(a, g)
        bound = np.finfo(g.dtype).eps * np.abs(g).max(initial=0)
        np.testing.assert_allclose(a, wanted.astype(np.float64), rtol=1e-7, atol=bound)
    assert fastact.centralize_gradients(tree, unit_axis=unit_axis, out=tree) is tree
    for a, g in zip(leaves(got), leaves(tree), strict=True):
        assert_same_bits(a, g)


def test_mean_of_many_and_of_huge_numbers(isa):
    x = np.full((300_000, 2), 0.1, np.float32)
    x[0] = 7
    mean = (np.float64(np.float32(0.1)) * 299_999 + 7) / 300_000
    np.testing.assert_array_equal(fastact.centralize_gradients(x)[1], np.float32(x[1] - mean))
    huge = np.array([[1.5e308], [1.7e308], [1.3e308]])
    np.testing.assert_allclose(
        fastact.centralize_gradients(huge).ravel(), [0, 2e307, -2e307], rtol=1e-14, atol=1e293
    )


def test_centralize_checks_its_arguments():
    x = np.array([[1.0, np.nan], [3.0, 4.0]])
    with pytest.raises(ValueError, match=r"grads\['w'\] is nan at index \(0, 1\)"):
        fastact.centralize_gradients({"w": x}, out={"w": x})
    with pytest.raises(np.exceptions.AxisError, match="unit_axis"):
        fastact.centralize_gradients(np.ones((2, 2)), unit_axis=2)
    assert fastact.centralize_gradients(x, nonfinite="zero").tolist() == [[-1, -2], [1, 2]]
    got = fastact.centralize_gradients(x, nonfinite="propagate")
    assert got[:, 0].tolist() == [-1, 1] and np.isnan(got[:, 1]).all()


# zero_nonfinite


@pytest.mark.parametrize("n", [1, 7, 16, 17, 100, 1000])
def test_zero_nonfinite(n, dtype, isa):
    rng = np.random.default_rng(n)
    x = rng.normal(0, 1, n).astype(dtype)
    bad = rng.random(n) < 0.3
    bad[-1] = True
    x[bad] = rng.choice([np.nan, np.inf, -np.inf], bad.sum())
    largest = np.full(3, np.finfo(dtype).max, dtype)
    grads = {"x": x, "fine": [largest, np.zeros((0, 2), dtype)]}
    wanted = np.where(bad, dtype(0), x)
    got, count = fastact.zero_nonfinite(grads)
    assert count == bad.sum() and type(count) is int
    assert_same_bits(got["x"], wanted)
    assert_same_bits(got["fine"][0], largest)
    assert fastact.zero_nonfinite(grads, out=grads)[0] is grads
    assert_same_bits(x, wanted)
    assert fastact.zero_nonfinite(grads)[1] == 0


@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16])
def test_half_types(half, isa):
    x = np.random.default_rng(0).normal(0, 1, (9, 7)).astype(half)
    got = fastact.centralize_gradients(x)
    assert got.dtype == half and np.abs(got.astype(np.float64).mean(0)).max() < 1e-2
    got, norm = fastact.normalize_gradients(x)
    assert got.dtype == half and fastact.global_norm(got) == pytest.approx(1, rel=1e-2)
    assert norm == pytest.approx(np.linalg.norm(x.astype(np.float64)), rel=1e-14)
    x[2, 3] = np.inf
    got, count = fastact.zero_nonfinite(x)
    assert count == 1 and got[2, 3] == 0
    x[2, 3] = 0
    assert_same_bits(got.astype(np.float32), x.astype(np.float32))


@pytest.mark.parametrize("name", ["normalize_gradients", "centralize_gradients", "zero_nonfinite"])
def test_trees_and_out_are_checked(name):
    call = getattr(fastact, name)
    with pytest.raises(TypeError, match=r"grads\['b'\]\[0\] must be of float16, .* not int64"):
        call({"a": np.ones(2), "b": [np.ones(2, int)]})
    grads = {"a": np.ones((2, 2)), "b": [np.ones(3)]}
    before = copied(grads)
    for out, error in (
        ({"a": np.ones((2, 2))}, ValueError),
        ({"a": np.ones((2, 2)), "b": [np.ones(4)]}, ValueError),
        ({"a": np.ones((2, 2)), "b": [1.0]}, TypeError),
    ):
        with pytest.raises(error, match="out"):
            call(grads, out=out)
    for a, b in zip(leaves(grads), leaves(before), strict=True):
        assert_same_bits(a, b)
