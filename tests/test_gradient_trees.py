"""Any tree of any arrays: what each function promises of structure, dtype, layout and memory."""

import subprocess
import sys

import hypothesis.extra.numpy as hnp
import ml_dtypes
import numpy as np
import pytest
from cases import assert_same_bits
from hypothesis import given
from hypothesis import strategies as st
from trees import close, copied, exact_norm, leaves

import fastact

DTYPES = ("f4", "f8", "f2", ">f4", ">f8", ml_dtypes.bfloat16)
CALLS = {
    "clip_by_global_norm": lambda g, **k: fastact.clip_by_global_norm(g, 1.0, **k)[0],
    "clip_by_norm": lambda g, **k: fastact.clip_by_norm(g, 1.0, **k),
    "clip_by_block_rms": lambda g, **k: fastact.clip_by_block_rms(g, 0.5, **k),
    "clip_by_value": lambda g, **k: fastact.clip_by_value(g, -0.5, 0.25, **k),
    "adaptive_clip": lambda g, **k: fastact.adaptive_clip(g, copied(g), 0.5, **k),
    "normalize_gradients": lambda g, **k: fastact.normalize_gradients(g, **k)[0],
    "centralize_gradients": lambda g, **k: fastact.centralize_gradients(g, **k),
    "zero_nonfinite": lambda g, **k: fastact.zero_nonfinite(g, **k)[0],
}


@st.composite
def arrays(draw):
    """A float array in any layout: transposed, strided, reversed, broadcast in none of its axes."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    seed = draw(st.integers(0, 2**32 - 1))
    steps = tuple(draw(st.sampled_from([1, 2, -1])) for _ in shape)
    memory = tuple(n * abs(step) for n, step in zip(shape, steps, strict=True))
    values = np.asarray(np.random.default_rng(seed).normal(0, 1, memory)).astype(dtype)
    view = values[(..., *(slice(None, None, step) for step in steps))]
    return view.transpose(draw(st.permutations(range(len(shape)))))


def trees():
    return st.recursive(
        arrays(),
        lambda children: (
            st.lists(children, max_size=3)
            | st.lists(children, max_size=3).map(tuple)
            | st.dictionaries(st.text(max_size=2) | st.integers(), children, max_size=3)
        ),
        max_leaves=6,
    )


def spread_out(tree):
    """The same in other memory, with gaps."""
    if isinstance(tree, dict):
        return {key: spread_out(child) for key, child in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map(spread_out, tree))
    spread = (..., *(slice(None, None, 2) for _ in tree.shape))
    memory = np.zeros(tuple(2 * n for n in tree.shape), tree.dtype)[spread]
    memory[...] = tree
    return memory


@given(tree=trees(), name=st.sampled_from(sorted(CALLS)))
def test_any_tree(tree, name):
    before = copied(tree)
    got = CALLS[name](tree)
    assert str(structure(got)) == str(structure(tree))
    for a, g, old in zip(leaves(got), leaves(tree), leaves(before), strict=True):
        assert a.shape == g.shape and a.dtype == g.dtype.newbyteorder("=")
        assert not np.shares_memory(a, g)
        assert g.tobytes() == old.tobytes()
    place = spread_out(tree)
    held = leaves(place)
    assert CALLS[name](place, out=place) is place
    other = spread_out(tree)
    assert CALLS[name](tree, out=other) is other
    for a, b, c, array in zip(leaves(got), leaves(place), leaves(other), held, strict=True):
        assert b is array
        tolerance = 4 * float(ml_dtypes.finfo(a.dtype).eps)
        for written in (b, c):
            np.testing.assert_allclose(
                np.asarray(written, np.float64),
                np.asarray(a, np.float64),
                rtol=tolerance,
                atol=tolerance,
            )


def structure(tree):
    if isinstance(tree, dict):
        return {key: structure(child) for key, child in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map(structure, tree))
    return None


@given(tree=trees(), ord=st.sampled_from([1, 2, 0.5, 3, np.inf]))
def test_the_norm_of_any_tree(tree, ord):
    assert close(fastact.global_norm(tree, ord), exact_norm(leaves(tree), ord))


@given(a=arrays(), data=st.data())
def test_slices_along_any_axes(a, data):
    if a.ndim == 0:
        return
    axis = tuple(data.draw(st.sets(st.integers(0, a.ndim - 1), min_size=1)))
    wide = np.asarray(a, np.float64)
    norm = np.sqrt((wide**2).sum(axis, keepdims=True))
    got = fastact.clip_by_norm(a, 1.0, axis)
    wanted = wide * np.minimum(1, 1 / np.where(norm, norm, 1))
    tolerance = 2 * float(ml_dtypes.finfo(a.dtype).eps)
    np.testing.assert_allclose(np.asarray(got, np.float64), wanted, rtol=tolerance, atol=1e-7)


# Memory

READ_ONLY = """
import ctypes, mmap, numpy as np, fastact
page = mmap.PAGESIZE
memory = mmap.mmap(-1, 4 * page)
place = ctypes.addressof(ctypes.c_char.from_buffer(memory))
x = np.frombuffer(memory, np.float32).reshape(-1, 64)
x[...] = np.random.default_rng(0).standard_normal(x.shape)
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(place), 4 * page, mmap.PROT_READ) == 0
for isa in fastact.isas():
    with fastact.isa(isa):
        grads = {"all": x, "some": [x[3:5], x[:, ::2]]}
        fastact.clip_by_global_norm(grads, 1e9, out=grads)
        fastact.clip_by_norm(grads, 1e9, out=grads)
        fastact.clip_by_norm(x, 1e9, axis=0, out=x)
        fastact.clip_by_norm(x, 1e9, axis=1, out=x)
        fastact.clip_by_block_rms(grads, 1e9, out=grads)
        fastact.clip_by_value([x], -1e9, 1e9, out=[x])
        fastact.clip_per_example(x, 1e9, out=x)
        fastact.adaptive_clip(x, x * 1e9, out=x)
        fastact.zero_nonfinite(grads, out=grads)
print("nothing was written")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no mprotect there")
def test_nothing_is_written_where_nothing_clips():
    """Memory that must not be written, which NumPy does not know: a write ends the process."""
    ran = subprocess.run([sys.executable, "-c", READ_ONLY], capture_output=True, text=True)
    assert ran.stdout == "nothing was written\n", ran.stderr


def test_arrays_held_twice_are_changed_once(dtype):
    for name, call in CALLS.items():
        x = np.random.default_rng(0).normal(0, 5, (4, 6)).astype(dtype)
        wanted = call({"tied": x, "other": [x[:], x[:]]})["tied"]
        grads = {"tied": x, "other": [x[:], x[:]]}
        call(grads, out=grads)
        np.testing.assert_allclose(x, wanted, rtol=1e-6, err_msg=name)


def test_small_arrays_in_great_number(dtype, isa):
    """More arrays than anything is unrolled for, of lengths that leave every remainder."""
    rng = np.random.default_rng(0)
    grads = [rng.normal(0, 1, k % 40).astype(dtype) for k in range(3000)]
    whole = np.concatenate(grads)
    for ord in (1, 2, np.inf):
        assert fastact.global_norm(grads, ord) == pytest.approx(
            fastact.global_norm(whole, ord), rel=1e-14
        )
    got, _ = fastact.clip_by_global_norm(grads, 1.0)
    wanted, _ = fastact.clip_by_global_norm(whole, 1.0)
    np.testing.assert_allclose(np.concatenate(got), wanted, rtol=2 * np.finfo(dtype).eps)
    assert_same_bits(
        np.concatenate(fastact.clip_by_value(grads, -0.5, 0.25)),
        np.clip(whole, dtype(-0.5), dtype(0.25)),
    )


def test_a_tree_that_holds_itself():
    tree = [np.ones(3)]
    tree.append(tree)
    with pytest.raises(RecursionError):
        fastact.global_norm(tree)


def test_subclasses_and_memory_maps(tmp_path, dtype):
    mapped = np.memmap(tmp_path / "grads", dtype, "w+", shape=(6, 5))
    mapped[...] = np.arange(30).reshape(6, 5)
    wanted, norm = fastact.clip_by_global_norm(np.array(mapped), 1.0)
    grads = {"w": mapped}
    assert fastact.clip_by_global_norm(grads, 1.0, out=grads) == (grads, norm)
    assert_same_bits(np.array(mapped), wanted)
