"""Clipping gradients by value and by norm: every tree, nothing written in vain."""

import math
from collections import namedtuple

import ml_dtypes
import numpy as np
import pytest
from cases import assert_same_bits
from trees import ORDS, close, copied, exact_norm, leaves

import fastact


def layouts(x):
    yield np.asfortranarray(x)
    yield np.repeat(x, 2, axis=1)[:, ::2]
    yield np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    yield x.astype(x.dtype.newbyteorder("S"))
    shifted = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    shifted[...] = x
    yield shifted
    read_only = x.copy()
    read_only.flags.writeable = False
    yield read_only


def test_layouts(dtype, isa):
    x = np.random.default_rng(0).normal(0, 1, (13, 21)).astype(dtype)
    wanted, norm = fastact.clip_by_global_norm(x, 2)
    for view in layouts(x):
        clipped, n = fastact.clip_by_global_norm(view, 2)
        assert n == pytest.approx(norm, rel=1e-15) and clipped.dtype.isnative
        np.testing.assert_allclose(clipped, wanted, rtol=2 * np.finfo(dtype).eps)
        assert_same_bits(
            fastact.clip_by_value(view, -0.5, 0.5), np.clip(x, dtype(-0.5), dtype(0.5))
        )
        assert fastact.clip_by_norm(view, 1e9).base is None
        if view.flags.writeable:
            before = view.copy()
            assert fastact.clip_by_global_norm(view, 2, out=view)[0] is view
            np.testing.assert_allclose(view, wanted, rtol=2 * np.finfo(dtype).eps)
            view[...] = before
            fastact.clip_by_value(view, -0.5, 0.5, out=view)
            assert_same_bits(view.astype(dtype), np.clip(x, dtype(-0.5), dtype(0.5)))


# clip_by_global_norm


@pytest.mark.parametrize("ord", ORDS)
def test_clip_by_global_norm(ord, tree, isa):
    before = copied(tree)
    norm = fastact.global_norm(tree, ord)
    clipped, returned = fastact.clip_by_global_norm(tree, norm / 3, ord=ord)
    assert returned == norm
    factor = (norm / 3) / norm
    for got, g, old in zip(leaves(clipped), leaves(tree), leaves(before), strict=True):
        assert_same_bits(g, old)
        assert_same_bits(got, (np.asarray(g, np.float64) * factor).astype(g.dtype))
    assert fastact.global_norm(clipped, ord) == pytest.approx(norm / 3, rel=1e-6)
    assert clipped.keys() == tree.keys() and isinstance(clipped["layer2"][1], tuple)


def test_nothing_is_written_where_nothing_clips(dtype, isa):
    x = np.random.default_rng(0).normal(0, 1, 100).astype(dtype)
    x[3] = -0.0
    norm = fastact.global_norm(x)
    for max_norm in (norm, norm * 1.5, np.inf):
        grads = [x.copy()]
        grads[0].flags.writeable = True
        out, returned = fastact.clip_by_global_norm(grads, max_norm, out=grads)
        assert out is grads and returned == norm
        assert_same_bits(out[0], x)
        new, _ = fastact.clip_by_global_norm(grads, max_norm)
        assert_same_bits(new[0], x)
        assert not np.shares_memory(new[0], grads[0])
        other = [np.zeros_like(x)]
        fastact.clip_by_global_norm(grads, max_norm, out=other)
        assert_same_bits(other[0], x)


def test_in_place(tree, isa):
    wanted, norm = fastact.clip_by_global_norm(tree, 1.0)
    grads = copied(tree)
    arrays = leaves(grads)
    out, returned = fastact.clip_by_global_norm(grads, 1.0, out=grads)
    assert out is grads and returned == norm
    for array, now, want in zip(arrays, leaves(grads), leaves(wanted), strict=True):
        assert array is now
        assert_same_bits(now, np.asarray(want))


def test_an_array_held_twice_is_clipped_once(dtype, isa):
    x = np.array([3.0, 4.0], dtype)
    grads = {"tied": x, "other": [x]}
    _, norm = fastact.clip_by_global_norm(grads, math.sqrt(50) / 2, out=grads)
    assert norm == pytest.approx(math.sqrt(50))
    np.testing.assert_allclose(x, [1.5, 2.0], rtol=1e-6)


def test_containers():
    Layer = namedtuple("Layer", "w b")
    layer = Layer(np.array([3.0]), np.array([4.0], np.float32))
    clipped, norm = fastact.clip_by_global_norm(layer, 2.5)
    assert norm == 5 and type(clipped) is Layer
    assert clipped.w.tolist() == [1.5] and clipped.b.dtype == np.float32
    array, _ = fastact.clip_by_global_norm(np.array([3.0, 4.0]), 2.5)
    assert type(array) is np.ndarray
    assert fastact.clip_by_global_norm([], 1.0) == ([], 0.0)
    assert fastact.clip_by_global_norm({"a": ()}, 0) == ({"a": ()}, 0.0)


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e308])
def test_clipping_beyond_the_range_of_squares(scale, isa):
    x = np.array([1.5, -1.0, 1.25, 0.5] * 5) * scale
    max_norm = 1.0 if scale > 1 else 1e-250
    clipped, norm = fastact.clip_by_global_norm(x, max_norm)
    exact = exact_norm([x], 2)
    assert norm == math.inf if exact > np.finfo(float).max else close(norm, exact)
    np.testing.assert_allclose(
        clipped, np.array([1.5, -1.0, 1.25, 0.5] * 5) / float(exact / scale) * max_norm, rtol=1e-13
    )


def test_max_norm_of_zero(dtype, isa):
    clipped, norm = fastact.clip_by_global_norm(np.array([3, 4], dtype), 0)
    assert norm == 5 and not clipped.any()
    assert fastact.clip_by_global_norm(np.zeros(2, dtype), 0)[1] == 0


# What is not finite


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("ord", ORDS)
def test_nonfinite(bad, ord, tree, isa):
    grads = copied(tree)
    grads["layer2"][0][1, 2, 3] = bad
    grads["layer2"][0][2, 0, 0] = np.nan
    before = copied(grads)
    out = copied(tree)
    with pytest.raises(
        ValueError, match=r"grads\['layer2'\]\[0\] is -?(nan|inf) at index \(1, 2, 3\)"
    ):
        fastact.clip_by_global_norm(grads, 1, ord=ord, out=out)
    for got, want in zip(leaves(out), leaves(copied(tree)), strict=True):
        assert_same_bits(got, want)

    zeroed = copied(tree)
    zeroed["layer2"][0][1, 2, 3] = zeroed["layer2"][0][2, 0, 0] = 0
    for max_norm in (1.0, 1e9):
        got, norm = fastact.clip_by_global_norm(grads, max_norm, ord=ord, nonfinite="zero")
        want, finite_norm = fastact.clip_by_global_norm(zeroed, max_norm, ord=ord)
        assert norm == pytest.approx(finite_norm, rel=1e-15)
        for a, b in zip(leaves(got), leaves(want), strict=True):
            np.testing.assert_allclose(a, b, rtol=3e-7 if a.dtype == np.float32 else 1e-15)

    got, norm = fastact.clip_by_global_norm(grads, 1, ord=ord, nonfinite="propagate")
    assert math.isnan(norm) and all(np.isnan(a).all() for a in leaves(got))
    for a, b in zip(leaves(grads), leaves(before), strict=True):
        assert_same_bits(a, b)


def test_infinite_norm_propagates(dtype, isa):
    with np.errstate(all="raise"):
        got, norm = fastact.clip_by_global_norm(
            np.array([1, np.inf], dtype), 1, nonfinite="propagate"
        )
    assert norm == np.inf and got[0] == 0 and np.isnan(got[1])
    assert fastact.global_norm(np.array([1, -np.inf], dtype)) == np.inf
    assert math.isnan(fastact.global_norm([np.array([np.inf]), np.array([np.nan])], np.inf))


# clip_by_norm


@pytest.mark.parametrize("ord", ORDS)
def test_clip_by_norm(ord, tree, isa):
    max_norm = 5.0
    clipped = fastact.clip_by_norm(tree, max_norm, ord=ord)
    for got, g in zip(leaves(clipped), leaves(tree), strict=True):
        norm = fastact.global_norm(g, ord)
        factor = 1.0 if norm <= max_norm else max_norm / norm
        assert_same_bits(got, (np.asarray(g, np.float64) * factor).astype(g.dtype))


@pytest.mark.parametrize("ord", ORDS)
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("scale", [1, 1e-20, 1e20])
def test_clip_by_norm_along_axes(axis, scale, ord, dtype):
    x = (np.random.default_rng(0).normal(0, 1, (4, 5, 6)) * scale).astype(dtype)
    axes = tuple(np.atleast_1d(axis))
    wide = np.abs(x.astype(np.longdouble))
    norm = (
        wide.max(axes, keepdims=True)
        if ord == np.inf
        else (wide**ord).sum(axes, keepdims=True) ** (np.longdouble(1) / ord)
    )
    max_norm = float(np.median(norm))
    got = fastact.clip_by_norm([x], max_norm, axis=axis, ord=ord)[0]
    np.testing.assert_allclose(
        got, x * np.minimum(1, max_norm / norm), rtol=3 * np.finfo(dtype).eps
    )
    kept = np.broadcast_to(norm < max_norm * (1 - 1e-12), x.shape)
    assert_same_bits(got[kept], x[kept])
    assert_same_bits(fastact.clip_by_norm(x, max_norm, axis, ord=ord, out=x), got)


def test_clip_by_norm_of_what_is_not_finite():
    x = np.array([[1.0, np.nan], [3.0, 4.0], [np.inf, 1.0], [0.0, 0.0]])
    with np.errstate(all="raise"):
        got = fastact.clip_by_norm(x, 1, axis=1, nonfinite="propagate")
        assert np.isnan(fastact.clip_by_norm(x, 1, nonfinite="propagate")).all()
    assert np.isnan(got[0]).all() and np.isnan(got[2, 0]) and got[2, 1] == 0
    assert got[1].tolist() == pytest.approx([0.6, 0.8]) and got[3].tolist() == [0, 0]


# clip_by_value


@pytest.mark.parametrize("n", [0, 1, 5, 16, 17, 64, 100])
def test_clip_by_value(n, dtype, isa):
    x = np.random.default_rng(0).normal(0, 1, n).astype(dtype)
    x[: min(n, 4)] = [np.nan, np.inf, -np.inf, -0.0][: min(n, 4)]
    with np.errstate(all="raise"):
        for low, high in ((-0.5, 0.25), (-0.1, 0.1), (0, np.inf), (-np.inf, np.inf), (0.5, 0.5)):
            assert_same_bits(
                fastact.clip_by_value(x, low, high), np.clip(x, dtype(low), dtype(high))
            )
        low = np.linspace(-1, 0, n).astype(dtype)
        assert_same_bits(fastact.clip_by_value(x, low, low + 1), np.clip(x, low, low + 1))
        assert_same_bits(
            fastact.clip_by_value([np.tile(x, (3, 1))], low, 2)[0],
            np.clip(np.tile(x, (3, 1)), low, dtype(2)),
        )
    if n == 0:
        fastact.relu(np.ones(1, dtype))


def test_clip_by_value_in_a_tree(tree, isa):
    got = fastact.clip_by_value(tree, -0.1, 0.1)
    for a, b in zip(leaves(got), leaves(tree), strict=True):
        assert_same_bits(a, np.clip(b, b.dtype.type(-0.1), b.dtype.type(0.1)))
    grads = copied(tree)
    assert fastact.clip_by_value(grads, -0.1, 0.1, out=grads) is grads
    for a, b in zip(leaves(grads), leaves(got), strict=True):
        assert_same_bits(a, np.asarray(b))


# Arguments

CLIP = {
    "clip_by_global_norm": lambda grads, **k: fastact.clip_by_global_norm(
        grads, **{"max_norm": 1, **k}
    ),
    "clip_by_norm": lambda grads, **k: fastact.clip_by_norm(grads, **{"max_norm": 1, **k}),
    "clip_by_norm along an axis": lambda grads, **k: fastact.clip_by_norm(
        grads, **{"max_norm": 1, "axis": 0, **k}
    ),
    "clip_by_value": lambda grads, **k: fastact.clip_by_value(grads, -1, 1, **k),
}


@pytest.mark.parametrize("name", CLIP)
def test_bad_out_is_untouched(name):
    grads = {"a": np.full(3, 9.0), "b": [np.full((2, 2), 9.0, np.float32)]}
    good = lambda: np.full((2, 2), 7.0, np.float32)  # noqa: E731
    frozen = good()
    frozen.flags.writeable = False
    for bad, error, message in (
        ({"a": np.full(3, 7.0)}, ValueError, "out must have the structure of grads"),
        ({"a": np.full(3, 7.0), "c": [good()]}, ValueError, "structure"),
        ({"a": np.full(3, 7.0), "b": [good(), good()]}, ValueError, "structure"),
        (
            {"a": np.full(3, 7.0), "b": [np.full((2, 3), 7.0, np.float32)]},
            ValueError,
            r"out\['b'\]\[0\] must have shape \(2, 2\)",
        ),
        (
            {"a": np.full(3, 7.0), "b": [np.full((2, 2), 7.0)]},
            ValueError,
            r"out\['b'\]\[0\] must have .* dtype float32",
        ),
        ({"a": np.full(3, 7.0), "b": [7.0]}, TypeError, r"out\['b'\]\[0\] must be an ndarray"),
        ({"a": np.full(3, 7.0), "b": [frozen]}, ValueError, r"out\['b'\]\[0\] must be writable"),
    ):
        with pytest.raises(error, match=message):
            CLIP[name](grads, out=bad)
        assert all((np.asarray(a) == 7).all() for a in leaves(bad))


@pytest.mark.parametrize("name", [*CLIP, "global_norm"])
def test_dtypes_are_named(name):
    call = CLIP.get(name, lambda grads: fastact.global_norm(grads))
    for dtype in (np.longdouble, np.int64, np.complex128, object):
        grads = {"a": np.ones(2), "b": [np.ones(2, dtype)]}
        with pytest.raises(
            TypeError,
            match=r"grads\['b'\]\[0\] must be of float16, bfloat16, float32 or float64, not "
            + np.dtype(dtype).name,
        ):
            call(grads)


def test_bad_numbers():
    x = np.full(3, 9.0)
    for call in (fastact.clip_by_global_norm, fastact.clip_by_norm):
        for max_norm in (-1, np.nan, -np.inf):
            with pytest.raises(ValueError, match="max_norm must be 0 or more"):
                call(x, max_norm, out=x)
        for ord in (0, -1, np.nan):
            with pytest.raises(ValueError, match="ord must be positive"):
                call(x, 1, ord=ord, out=x)
    with pytest.raises(ValueError, match="ord must be positive"):
        fastact.global_norm(x, 0)
    with pytest.raises(
        ValueError, match="nonfinite must be 'raise', 'zero' or 'propagate', not 'no'"
    ):
        fastact.clip_by_global_norm(x, 1, nonfinite="no", out=x)
    for axis in (1, -2):
        with pytest.raises(np.exceptions.AxisError, match="axis"):
            fastact.clip_by_norm(
                [np.full((2, 2), 9.0), x], 1, axis=axis, out=[np.full((2, 2), 9.0), x]
            )
    for low, high in ((1, 0), (np.nan, 1), (0, np.nan), ([0, 2, 0], 1)):
        with pytest.raises(ValueError, match="min must not exceed max"):
            fastact.clip_by_value(x, low, high, out=x)
    for low, high, name in ((np.zeros(2), 1, "min"), (0, np.ones((2, 3)), "max")):
        with pytest.raises(ValueError, match=f"{name} of shape .* does not broadcast to grads"):
            fastact.clip_by_value(x, low, high, out=x)
    assert (x == 9).all()


@pytest.mark.parametrize("call", [fastact.clip_by_global_norm, fastact.clip_by_norm])
def test_what_is_no_number(call):
    for bad in (None, "1", [1, 2]):
        with pytest.raises(TypeError, match="max_norm must be a number, not"):
            call([np.ones(2)], bad)
        with pytest.raises(TypeError, match="ord must be a number, not"):
            call([np.ones(2)], 1, ord=bad)


# Half types


@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16])
def test_half_types(half, isa):
    rng = np.random.default_rng(0)
    grads = {
        "w": rng.normal(0, 1, (30, 20)).astype(half),
        "v": [np.repeat(rng.normal(0, 1, (8, 6)), 2, axis=1).astype(half)[:, ::2]],
        "b": rng.normal(0, 1, 20).astype(np.float32),
    }
    norm = fastact.global_norm(grads)
    assert close(norm, exact_norm(leaves(grads), 2))
    clipped, returned = fastact.clip_by_global_norm(grads, norm / 3)
    assert returned == norm
    for got, g in zip(leaves(clipped), leaves(grads), strict=True):
        assert got.dtype == g.dtype
        exact = np.asarray(g, np.float64) * (norm / 3 / norm)
        ulp = np.ldexp(1.0, np.frexp(exact)[1] - 1) * float(ml_dtypes.finfo(g.dtype).eps)
        assert (np.abs(np.asarray(got, np.float64) - exact) <= 0.51 * ulp).all()
    out = copied(grads)
    fastact.clip_by_global_norm(out, norm / 3, out=out)
    for a, b in zip(leaves(out), leaves(clipped), strict=True):
        assert_same_bits(np.asarray(a, np.float32), np.asarray(b, np.float32))

    limited = fastact.clip_by_value(grads, -0.3, 0.2)
    for got, g in zip(leaves(limited), leaves(grads), strict=True):
        wanted = np.clip(g, g.dtype.type(-0.3), g.dtype.type(0.2))
        assert_same_bits(np.asarray(got, np.float32), np.asarray(wanted, np.float32))
    sliced = fastact.clip_by_norm(grads["w"], 1.0, axis=0)
    assert sliced.dtype == half
    assert np.linalg.norm(sliced.astype(np.float64), axis=0) == pytest.approx(1, rel=1e-2)
    grads["w"][3, 4] = np.nan
    with pytest.raises(ValueError, match=r"grads\['w'\] is nan at index \(3, 4\)"):
        fastact.clip_by_global_norm(grads, 1)


# Accuracy of the product


@pytest.mark.parametrize("factor", [1 / 3, 0.5, 1 - 1e-9, 1e-7, 1e-20, 1e-33, 1e-60])
def test_the_product_is_rounded_once(factor, dtype, isa):
    """One unit is scaled by `factor`, in every range of results, subnormals included."""
    rng = np.random.default_rng(0)
    high = 60 if dtype == np.float32 else 250
    x = (rng.uniform(1, 2, 2001) * 2.0 ** rng.uniform(-high, high, 2001)).astype(dtype)
    got, norm = fastact.clip_by_global_norm(x, fastact.global_norm(x) * factor)
    by = norm * factor / norm
    exact = x.astype(np.longdouble) * np.longdouble(by)
    info = np.finfo(dtype)
    exponent = np.maximum(np.frexp(exact)[1] - 1, info.minexp)
    ulp = np.ldexp(np.longdouble(info.eps), exponent)
    error = np.abs(got - exact) / ulp
    assert (error[exact > np.ldexp(1.0, info.minexp + 26)] <= 0.51).all() and (error <= 1).all()
