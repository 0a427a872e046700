"""Results that go past the caches are the same ones, and go nowhere else."""

from contextlib import contextmanager

import numpy as np
import pytest
from another import last_line_of_error, printed
from cases import FUNCTIONS, assert_all_same_bits, sample

import fastact
from fastact import _ufuncs
from fastact._machine import last_level_cache

LARGE = 2 * 8192  # the least elements of a call that may be streamed (csrc/threads.c)
LINE = 64
CANARY = 77.0


@pytest.fixture(autouse=True)
def quiet():
    """Streaming only where a test asks for it, on one thread, whose flags are tested elsewhere."""
    with fastact.threads(1), np.errstate(all="ignore"), streaming_above(2**62):
        yield


@contextmanager
def streaming_above(size):
    """Stream calls that take more than `size` bytes."""
    before = _ufuncs.get_stream_bytes()
    _ufuncs.set_stream_bytes(size)
    try:
        yield
    finally:
        _ufuncs.set_stream_bytes(before)


def at(offset, n, dtype):
    """An array that begins so many bytes after a cache line does, canaries around it."""
    item = np.dtype(dtype).itemsize
    buffer = np.full(n + 4 * LINE // item, CANARY, dtype)
    start = (-buffer.ctypes.data % LINE + LINE + offset) // item
    return buffer, buffer[start : start + n]


def check(function, inputs, offsets, wanted):
    """Stream into arrays at some offsets."""
    n = inputs[0].size
    made = [at(offset, n, inputs[0].dtype) for offset in offsets]
    with streaming_above(0):
        function(*inputs, out=tuple(out for _, out in made))
    assert_all_same_bits([out for _, out in made], [w[:n] for w in wanted])
    for buffer, out in made:
        assert out.flags.c_contiguous
        out[...] = CANARY
        assert np.all(buffer == CANARY)


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_every_misalignment(function, dtype, isa):
    inputs = function.inputs(dtype, LARGE + 300)
    wanted = function(*inputs)
    item = np.dtype(dtype).itemsize
    for offset in range(0, LINE, item):
        n = LARGE + 5 * offset // item
        others = (offset * 3 + item) % LINE
        check(function, [a[:n] for a in inputs], (offset, others)[: function.ufunc.nout], wanted)


def test_every_length(isa):
    (gelu,) = (f for f in FUNCTIONS if (f.op.name, f.form) == ("gelu", "with_derivative"))
    inputs = gelu.inputs(np.float32, LARGE + 2200)
    wanted = gelu(*inputs)
    for n in [*range(LARGE, LARGE + 70), *(LARGE + 1024 * k + d for k in (1, 2) for d in (-1, 1))]:
        check(gelu, [a[:n] for a in inputs], (16, 16), wanted)


def test_unaligned_inputs_and_elements(dtype, isa):
    """Inputs anywhere; elements that are not at multiples of their size are not streamed."""
    item = np.dtype(dtype).itemsize
    x = sample(dtype, LARGE + 9)
    wanted = fastact.silu(x)
    for offset in (item, 20, 63, 1):
        raw = np.zeros(x.nbytes + LINE, np.uint8)
        moved, out = (raw.copy()[offset : offset + x.nbytes].view(dtype) for _ in range(2))
        moved[...] = x
        with streaming_above(0):
            fastact.silu(moved, out=out)
            assert_all_same_bits([out, fastact.silu(moved)], [wanted, wanted])


def test_in_place_and_overlapping(dtype, isa):
    x = sample(dtype, 2 * LARGE)
    wanted = fastact.gelu(x)
    with streaming_above(0):
        for ahead in (0, 1, 64, LARGE):
            y = x.copy()
            fastact.gelu(y[ahead:], out=y[: y.size - ahead])
            assert_all_same_bits([y[: y.size - ahead]], [wanted[ahead:]])
        y = x.copy()
        fastact.gelu(y[::2], out=y[: y.size // 2])
        assert_all_same_bits([y[: y.size // 2]], [wanted[::2]])


def test_half_types_and_strides():
    x = np.linspace(-9, 9, 3 * LARGE, dtype=np.float16)
    wanted, every_other = fastact.tanh(x), fastact.tanh(x.astype(np.float32)[::2])
    with streaming_above(0):
        assert_all_same_bits([fastact.tanh(x)], [wanted])
        assert_all_same_bits([fastact.tanh(x.astype(np.float32)[::2])], [every_other])


def test_on_threads(isa):
    x = sample(np.float32, 5 * LARGE + 7)
    wanted = fastact.mish_with_derivative(x)
    before = _ufuncs.get_grain()
    _ufuncs.set_grain(0)
    try:
        with fastact.threads(3), streaming_above(0):
            assert_all_same_bits(fastact.mish_with_derivative(x), wanted)
    finally:
        _ufuncs.set_grain(before)


# From how many bytes on

SHOW = "import fastact; print(fastact.get_config()['stream_bytes'])"


def test_environment():
    assert printed(SHOW, FASTACT_STREAM_BYTES="") == [str(last_level_cache())]
    assert printed(SHOW, FASTACT_STREAM_BYTES="0") == ["0"]
    assert printed(SHOW, FASTACT_STREAM_BYTES="12345678") == ["12345678"]
    for wrong in ("-1", "1e9", "32M", str(2**63)):
        message = last_line_of_error(SHOW, FASTACT_STREAM_BYTES=wrong)
        assert "ImportError" in message
        assert "FASTACT_STREAM_BYTES" in message and repr(wrong) in message
