"""Clipping each unit, array or example by itself."""

import numpy as np
import pytest
from cases import assert_same_bits
from trees import ORDS, leaves

import fastact

# Slices


@pytest.mark.parametrize("columns", [1, 2, 3, 7, 8, 9, 21, 63, 64, 65, 1023, 1030])
@pytest.mark.parametrize("rows", [1, 3, 4, 70, 517])
def test_columns(rows, columns, dtype, isa):
    """Each column is its own unit: of any number, by any number of rows."""
    x = np.random.default_rng(columns).normal(0, 1, (rows, columns)).astype(dtype)
    wide = x.astype(np.longdouble)
    for ord in (1, 2, np.inf):
        norm = np.linalg.norm(wide, ord, axis=0) if rows > 1 else np.abs(wide[0])
        max_norm = float(np.median(norm))
        got = fastact.clip_by_norm(x, max_norm, axis=0, ord=ord)
        wanted = x * np.minimum(1, max_norm / norm)
        np.testing.assert_allclose(got, wanted, rtol=max(2 * np.finfo(dtype).eps, 1e-14))
        kept = norm < max_norm * (1 - 1e-12)
        assert_same_bits(got[:, kept], x[:, kept])
        assert_same_bits(fastact.clip_by_norm(x.T, max_norm, axis=1, ord=ord), got.T)
        assert_same_bits(fastact.clip_by_norm(x.copy(), max_norm, 0, ord=ord, out=x.copy()), got)


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e306, 1e-320])
def test_columns_beyond_the_range_of_squares(scale, isa):
    x = np.random.default_rng(0).normal(0, 1, (40, 11)) * scale
    x[:, 3] = 0
    for ord in (1, 2, 3, np.inf):
        got = fastact.clip_by_norm(x, scale / 3, axis=0, ord=ord)
        for j in range(11):
            wanted = fastact.clip_by_norm(x[:, j], scale / 3, ord=ord)
            np.testing.assert_allclose(got[:, j], wanted, rtol=1e-14, atol=0)


def test_columns_with_what_is_not_finite(dtype, isa):
    x = np.random.default_rng(0).normal(0, 1, (33, 20)).astype(dtype)
    x[5, 2], x[7, 3], x[8, 3] = np.nan, np.inf, np.nan
    x[30, 19] = -np.inf
    with pytest.raises(ValueError, match=r"grads\[0\] is nan at index \(5, 2\)"):
        fastact.clip_by_norm([x], 1, axis=0, out=[x])
    zeroed = np.where(np.isfinite(x), x, dtype(0))
    got = fastact.clip_by_norm(x, 1, axis=0, nonfinite="zero")
    np.testing.assert_allclose(
        got, fastact.clip_by_norm(zeroed, 1, axis=0), rtol=2 * np.finfo(dtype).eps
    )
    got = fastact.clip_by_norm(x, 1, axis=0, nonfinite="propagate")
    assert np.isnan(got[:, [2, 3]]).all() and np.isfinite(got[:, 4:19]).all()
    assert np.isnan(got[30, 19]) and not got[:30, 19].any()
    for ord in (1, np.inf):
        norms = fastact.clip_per_example(x.T, 1, ord=ord, nonfinite="propagate")[1]
        assert np.isnan(norms[[2, 3]]).all() and norms[19] == np.inf
        assert np.isfinite(norms[4:19]).all()


# clip_by_block_rms


def test_clip_by_block_rms(tree, isa):
    got = fastact.clip_by_block_rms(tree, 0.9)
    for a, g in zip(leaves(got), leaves(tree), strict=True):
        wide = np.asarray(g, np.float64)
        rms = np.sqrt(np.mean(wide**2)) if wide.size else 1
        np.testing.assert_allclose(a, wide / max(1, rms / 0.9), rtol=3e-7, atol=0)
    x = np.full((3, 5), 2.0)
    assert_same_bits(fastact.clip_by_block_rms(x, 2.0), x)
    for bad in (-1, np.nan):
        with pytest.raises(ValueError, match="threshold must be 0 or more"):
            fastact.clip_by_block_rms(x, bad, out=x)
    assert (x == 2).all()


# adaptive_clip


def adaptive(g, p, clipping, eps, units):
    """As Brock et al. 2021 write it, in float64; `units` are the axes that one unit spans."""
    g, p = g.astype(np.float64), p.astype(np.float64)
    norm = lambda a: np.sqrt((a**2).sum(units, keepdims=True))  # noqa: E731
    limit = clipping * np.maximum(norm(p), eps)
    return np.where(norm(g) > limit, g * (limit / np.maximum(norm(g), 1e-300)), g)


@pytest.mark.parametrize("unit_axis", [-1, 0])
def test_adaptive_clip(unit_axis, dtype, isa):
    rng = np.random.default_rng(0)
    shapes = {"dense": (20, 30), "conv": (3, 5, 7, 9), "bias": (30,), "flat": (1, 12), "one": ()}
    grads = {k: np.asarray(rng.normal(0, 1, s)).astype(dtype) for k, s in shapes.items()}
    params = {k: np.asarray(rng.normal(0, 50, s)).astype(np.float32) for k, s in shapes.items()}
    params["dense"][:, 4] = params["dense"][4] = 0
    got = fastact.adaptive_clip(grads, params, 0.02, unit_axis=unit_axis)
    clipped = 0
    for name, shape in shapes.items():
        axes = tuple(range(len(shape)))
        if name in ("dense", "conv"):
            axes = axes[:-1] if unit_axis == -1 else axes[1:]
        wanted = adaptive(grads[name], params[name], 0.02, 1e-3, axes)
        np.testing.assert_allclose(got[name], wanted, rtol=3 * np.finfo(dtype).eps)
        clipped += np.count_nonzero(got[name] != grads[name])
    assert 0 < clipped < sum(g.size for g in grads.values())
    assert fastact.adaptive_clip(grads, params, 0.02, unit_axis=unit_axis, out=grads) is grads
    for name in shapes:
        assert_same_bits(grads[name], got[name])


def test_adaptive_clip_names_what_is_wrong():
    g, p = {"w": np.full((2, 3), 9.0)}, {"w": np.full((2, 3), 9.0)}
    for arguments, error, message in (
        ({"params": {"v": p["w"]}}, ValueError, "params must have the structure of grads"),
        (
            {"params": {"w": np.ones((3, 2))}},
            ValueError,
            r"params\['w'\] must have the shape \(2, 3",
        ),
        ({"params": {"w": np.ones((2, 3), int)}}, TypeError, r"params\['w'\] must be of float16"),
        ({"params": {"w": np.full((2, 3), np.inf)}}, ValueError, r"params\['w'\] is inf at index"),
        ({"clipping": -0.1}, ValueError, "clipping must be 0 or more, not -0.1"),
        ({"eps": 0}, ValueError, "eps must be positive and finite, not 0"),
        ({"eps": -1}, ValueError, "eps must be positive"),
        ({"eps": np.nan}, ValueError, "eps must be positive"),
        ({"unit_axis": 2}, np.exceptions.AxisError, "unit_axis"),
        ({"nonfinite": "never"}, ValueError, "nonfinite must be"),
    ):
        with pytest.raises(error, match=message):
            fastact.adaptive_clip(g, **{"params": p, **arguments}, out=g)
    assert (g["w"] == 9).all()


# clip_per_example


@pytest.mark.parametrize("ord", ORDS)
def test_clip_per_example(ord, dtype, isa):
    rng = np.random.default_rng(0)
    grads = {
        "w": rng.normal(0, 1, (12, 5, 7)).astype(dtype),
        "b": [rng.normal(0, 1, 12).astype(np.float32), rng.normal(0, 1, (3, 12)).T],
    }
    grads["w"][4] = grads["b"][0][4] = grads["b"][1][4] = 0
    norms = [fastact.global_norm([g[k] for g in leaves(grads)], ord) for k in range(12)]
    limit = float(np.median(norms))
    got, returned, clipped = fastact.clip_per_example(grads, limit, ord=ord)
    assert returned == pytest.approx(norms, rel=1e-14) and returned[4] == 0
    assert clipped == np.count_nonzero(returned > limit) and type(clipped) is int
    for a, g in zip(leaves(got), leaves(grads), strict=True):
        for k in range(12):
            np.testing.assert_allclose(a[k], g[k] * min(1, limit / (norms[k] or 1)), rtol=3e-7)
    out, _, _ = fastact.clip_per_example(grads, limit, ord=ord, out=grads)
    assert out is grads
    for a, g in zip(leaves(got), leaves(grads), strict=True):
        assert_same_bits(a, g)


def test_clip_per_example_beyond_the_range_of_squares():
    grads = [np.array([[3e200], [3e-200], [0], [3]]), np.array([4e200, 4e-200, 0, 4])]
    got, norms, clipped = fastact.clip_per_example(grads, 1e-100)
    np.testing.assert_allclose(norms, [5e200, 5e-200, 0, 5], rtol=1e-14)
    assert clipped == 2
    np.testing.assert_allclose(got[1], [8e-101, 4e-200, 0, 8e-101], rtol=1e-13)


def test_examples_must_agree():
    assert fastact.clip_per_example([], 1)[2] == 0
    assert fastact.clip_per_example(np.zeros((0, 3)), 1)[1].shape == (0,)
    with pytest.raises(ValueError, match=r"grads\[0\] must have examples along axis 0"):
        fastact.clip_per_example([np.array(1.0)], 1)
    with pytest.raises(ValueError, match=r"grads\['b'\] must have 3 examples along axis 0, not"):
        fastact.clip_per_example({"a": np.ones((3, 2)), "b": np.ones((2, 3))}, 1)
