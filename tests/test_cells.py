"""Recurrent cells: steps exact to a few ULP, gradients, layouts, memory, types."""

import tracemalloc
from functools import cache

import ml_dtypes
import numpy as np
import pytest
from cases import assert_all_same_bits, assert_same_bits
from mpmath import mp

import fastact

HALVES = (np.float16, ml_dtypes.bfloat16)
BITS = 120


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def slope(x):
    """Of sigmoid, and a quarter of that of tanh at x / 2."""
    return sigmoid(x) * sigmoid(-x)


# What the steps compute: name -> (exact, size of the terms whose cancellation leaves it, what a
# subnormal factor of it may be multiplied by). Errors are counted in ULPs of that size.


def exact_lstm(a_i, a_f, a_g, a_o, c_prev):
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), mp.tanh(a_g), sigmoid(a_o)
    c = f * c_prev + i * g
    terms = max(abs(f * c_prev), abs(i * g))
    t, dt = mp.tanh(c), 4 * slope(2 * c)
    slip = dt * terms  # of tanh(c), for an error of c as large as its terms
    return {
        "h": (o * t, o * (abs(t) + slip), 1),
        "c": (c, terms, 1),
        "dc/da_i": (g * slope(a_i), abs(g * slope(a_i)), 1),
        "dc/da_f": (c_prev * slope(a_f), abs(c_prev * slope(a_f)), abs(c_prev)),
        "dc/da_g": (i * 4 * slope(2 * a_g), i * 4 * slope(2 * a_g), 1),
        "dh/da_o": (t * slope(a_o), (abs(t) + slip) * slope(a_o), 1),
        "dh/dc": (o * dt, o * dt * (1 + 2 * terms), 1),  # abs(tanh'') < 2 tanh'
        "dc/dc_prev": (f, f, 1),
    }


def exact_gru(x_r, x_z, x_n, h_r, h_z, h_n, h_prev):
    r, z, shut = sigmoid(x_r + h_r), sigmoid(x_z + h_z), sigmoid(-x_z - h_z)
    u = x_n + r * h_n
    terms = max(abs(x_n), abs(r * h_n))
    n, dn = mp.tanh(u), 4 * shut * slope(2 * u)
    slip = 4 * slope(2 * u) * terms
    dr, dz = dn * h_n * slope(x_r + h_r), (h_prev - n) * slope(x_z + h_z)
    far = 1 + 2 * terms
    apart = max(abs(h_prev), abs(n))
    return {
        "h": (shut * n + z * h_prev, max(abs(shut * n), abs(z * h_prev)) + shut * slip, 1),
        "dh/dr": (dr, abs(dr) * far, abs(h_n)),
        "dh/dz": (dz, (apart + slip) * slope(x_z + h_z), apart),
        "dh/dx_n": (dn, dn * far, 1),
        "dh/dh_n": (dn * r, dn * r * far, 1),
        "dh/dh_prev": (z, z, 1),
    }


LSTM = (exact_lstm, fastact.lstm_cell, (4, 1))
GRU = (exact_gru, fastact.gru_cell, (3, 3, 1))
CELLS = pytest.mark.parametrize("cell", [LSTM, GRU], ids=["lstm", "gru"])
UNITS = 2000
BOUND = 4  # ULPs


@cache
def inputs_of(dtype, count):
    """So many operands: usual numbers, large ones for the tails, and tiny ones."""
    rng = np.random.default_rng(count)
    scale = rng.choice([0.1, 1, 5, 20, 60, 1e-20], (count, UNITS))
    scale = np.where(rng.random((count, UNITS)) < 0.5, 2, scale)
    return (rng.normal(size=(count, UNITS)) * scale).astype(dtype)


@cache
def reference(exact, dtype, count):
    """name -> exact results, and their ULPs."""
    with mp.workprec(BITS):
        steps = [exact(*map(mp.mpf, map(float, unit))) for unit in inputs_of(dtype, count).T]
    found = {}
    for name in steps[0]:
        numbers, *sizes = zip(*(step[name] for step in steps), strict=True)
        size, factor = np.array(sizes, float)
        tiny = np.finfo(dtype).smallest_subnormal
        found[name] = numbers, np.maximum(np.spacing(size.astype(dtype)), factor * tiny)
    return found


@CELLS
def test_steps_and_their_derivatives_are_exact_to_a_few_ulp(cell, dtype, isa):
    exact, step, blocks = cell
    count = sum(blocks)
    operands = np.split(inputs_of(dtype, count).ravel(), np.cumsum(blocks)[:-1] * UNITS)
    *states, saved = step(*operands)
    results = np.concatenate([*states, saved]).reshape(-1, UNITS)
    for row, (name, (numbers, ulps)) in zip(
        results, reference(exact, dtype, count).items(), strict=True
    ):
        errors = [float(mp.mpf(float(a)) - b) for a, b in zip(row, numbers, strict=True)]
        assert np.max(np.abs(errors) / ulps) <= BOUND, name


# Gradients


def logistic(x):
    return 1 / (1 + np.exp(-x))


def lstm_gradients(dh, dc, gates, c_prev):
    """The chain rule as PyTorch's autograd applies it: dgates and dc_prev."""
    i, f, g, o = np.split(gates, 4, axis=-1)
    i, f, g, o = logistic(i), logistic(f), np.tanh(g), logistic(o)
    t = np.tanh(f * c_prev + i * g)
    dc = dc + dh * o * (1 - t * t)
    parts = dc * g * i * (1 - i), dc * c_prev * f * (1 - f), dc * i * (1 - g * g)
    return np.concatenate([*parts, dh * t * o * (1 - o)], axis=-1), dc * f


def gru_gradients(dh, gates_x, gates_h, h_prev):
    """The same: dgates_x, dgates_h and dh_prev."""
    x_r, x_z, x_n = np.split(gates_x, 3, axis=-1)
    h_r, h_z, h_n = np.split(gates_h, 3, axis=-1)
    r, z = logistic(x_r + h_r), logistic(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    dn, dz = dh * (1 - z) * (1 - n * n), dh * (h_prev - n) * z * (1 - z)
    dr = dn * h_n * r * (1 - r)
    return np.concatenate([dr, dz, dn], -1), np.concatenate([dr, dz, dn * r], -1), dh * z


def lstm_arrays(shape, dtype=np.float64, seed=0):
    """gates and c_prev, then dh and dc."""
    gates, *others = arrays_of(shape, dtype, seed, (4, 1, 1, 1))
    return gates, *others


def gru_arrays(shape, dtype=np.float64, seed=0):
    """gates_x, gates_h and h_prev, then dh."""
    return arrays_of(shape, dtype, seed, (3, 3, 1, 1))


def arrays_of(shape, dtype, seed, blocks):
    rng = np.random.default_rng(seed)
    *before, units = shape
    return tuple(rng.normal(0, 2, (*before, k * units)).astype(dtype) for k in blocks)


def lstm_all(gates, c_prev, dh, dc, **options):
    """Both ways."""
    h, c, saved = fastact.lstm_cell(gates, c_prev, **options)
    return h, c, saved, *fastact.lstm_cell_backward(dh, dc, saved, **options)


def gru_all(gates_x, gates_h, h_prev, dh, **options):
    h, saved = fastact.gru_cell(gates_x, gates_h, h_prev, **options)
    return h, saved, *fastact.gru_cell_backward(dh, saved, **options)


BOTH = pytest.mark.parametrize(
    ("everything", "arrays"), [(lstm_all, lstm_arrays), (gru_all, gru_arrays)], ids=["lstm", "gru"]
)


def test_gradients_are_autograds(isa):
    gates, c_prev, dh, dc = lstm_arrays((40, 37))
    got = lstm_all(gates, c_prev, dh, dc)[3:]
    for own, wanted in zip(got, lstm_gradients(dh, dc, gates, c_prev), strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-12, atol=1e-12)
    gates_x, gates_h, h_prev, dh = gru_arrays((40, 37))
    got = gru_all(gates_x, gates_h, h_prev, dh)[2:]
    for own, wanted in zip(got, gru_gradients(dh, gates_x, gates_h, h_prev), strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-12, atol=1e-12)


@BOTH
def test_gradients_are_differences_of_the_step(everything, arrays):
    """Along random directions, of a loss that weighs all outputs."""
    operands = arrays((3, 5))
    grads = operands[2:] if everything is lstm_all else operands[3:]
    given = operands[: -len(grads)]
    gradients = everything(*operands)[-len(given) :]
    rng = np.random.default_rng(1)
    directions = [rng.normal(size=a.shape) for a in given]

    def loss(by):
        moved = [a + by * d for a, d in zip(given, directions, strict=True)]
        states = everything(*moved, *grads)[: len(grads)]
        return sum(np.sum(g * s) for g, s in zip(grads, states, strict=True))

    slope = sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True))
    assert (loss(1e-5) - loss(-1e-5)) / 2e-5 == pytest.approx(slope, rel=1e-8)


def test_float32_gradients_are_those_of_what_was_saved(isa):
    """Which is exact above: one rounding, or two where terms are added."""
    gates, c_prev, dh, dc = lstm_arrays((9, 21), np.float32)
    *_, saved, dgates, dc_prev = lstm_all(gates, c_prev, dh, dc)
    s = np.split(saved.astype(float), 6, axis=-1)
    t = dc + dh.astype(float) * s[4]
    size = np.abs(dc) + np.abs(dh * s[4])
    wanted = np.concatenate([t * s[0], t * s[1], t * s[2], dh * s[3], t * s[5]], axis=-1)
    scale = np.abs(
        np.concatenate([size * s[0], size * s[1], size * s[2], dh * s[3], size * s[5]], -1)
    )
    error = np.abs(np.concatenate([dgates, dc_prev], axis=-1) - wanted)
    assert (error <= 1.5 * np.finfo(np.float32).eps * scale).all()


# Layouts

SHAPES = [(7,), (0, 5), (4, 0), (1, 1), (5, 3), (3, 16), (2, 17), (6, 64), (2, 3, 20), (33, 129)]


@BOTH
@pytest.mark.parametrize("shape", SHAPES)
def test_every_layout_gives_the_same_bits(everything, arrays, shape, dtype, isa):
    """In any strides, along any axis, and of the last unit all alone."""
    operands = arrays(shape, dtype)
    fastact.relu(dtype(1))  # for `isa`: an empty array runs no kernel
    wanted = everything(*operands)
    for lay in (np.asfortranarray, lambda a: np.repeat(a, 2, -1)[..., ::2], backwards):
        assert_all_same_bits(everything(*map(lay, operands)), wanted)
    if 0 in shape:
        return

    def along(axis, a):
        return np.concatenate(np.split(a, a.shape[-1] // shape[-1], axis=-1), axis)

    def last(a):
        return a[..., shape[-1] - 1 :: shape[-1]]

    assert_all_same_bits(everything(*map(last, operands)), tuple(map(last, wanted)))
    for axis in range(len(shape)):
        turned = [along(axis, a) for a in operands]
        results = everything(*turned, axis=axis)
        assert_all_same_bits(results, tuple(along(axis, a) for a in wanted))


def backwards(a):
    return a[..., ::-1].copy()[..., ::-1]


# Memory


@BOTH
def test_out_and_saved_are_used(everything, arrays, dtype, isa):
    """New arrays, the same again, and such as the kernels cannot write to."""
    operands = arrays((5, 21), dtype)
    wanted = everything(*operands)
    for memory in (np.empty_like, np.asfortranarray, lambda a: np.repeat(a, 2, 0)[::2]):
        for lay in (np.array, np.asfortranarray):
            outs = tuple(memory(np.full_like(a, 7)) for a in wanted)
            given = tuple(map(lay, operands))
            got = into(everything, given, outs)
            assert all(a is b for a, b in zip(got, outs, strict=True))
            assert_all_same_bits(got, wanted)


def into(everything, operands, outs):
    """Both ways, with every result put into `outs`."""
    if everything is lstm_all:
        gates, c_prev, dh, dc = operands
        h, c, saved, *back = outs
        states = fastact.lstm_cell(gates, c_prev, out=(h, c), saved=saved)
        return *states, *fastact.lstm_cell_backward(dh, dc, saved, out=tuple(back))
    gates_x, gates_h, h_prev, dh = operands
    h, saved, *back = outs
    states = fastact.gru_cell(gates_x, gates_h, h_prev, out=h, saved=saved)
    return *states, *fastact.gru_cell_backward(dh, saved, out=tuple(back))


def test_some_results_into_memory():
    gates, c_prev, *_ = lstm_arrays((3, 4))
    c = np.empty_like(c_prev)
    h, own, _ = fastact.lstm_cell(gates, c_prev, out=(None, c))
    assert own is c
    assert_all_same_bits((h, c), fastact.lstm_cell(gates, c_prev)[:2])


def test_in_place(dtype, isa):
    """What is no longer needed may be overwritten, in whole or in part."""
    gates, c_prev, dh, dc = lstm_arrays((5, 21), dtype)
    h, c, saved, dgates, dc_prev = lstm_all(gates, c_prev, dh, dc)
    for position in (0, 1):
        own, out = c_prev.copy(), [None, None]
        out[position] = own
        assert_all_same_bits(fastact.lstm_cell(gates, own, out=tuple(out)), (h, c, saved))
    own = dc.copy()
    got = fastact.lstm_cell_backward(dh, own, saved, out=(None, own))
    assert got[1] is own
    assert_all_same_bits(got, (dgates, dc_prev))
    own = gates.copy()  # c goes where gates still are to be read
    c_there = own.ravel()[21 : 21 + c.size].reshape(c.shape)
    assert_all_same_bits(fastact.lstm_cell(own, c_prev, out=(None, c_there)), (h, c, saved))
    memory = np.append(c_prev.ravel(), dtype(0))  # a unit further
    own, moved = memory[:-1].reshape(c.shape), memory[1:].reshape(c.shape)
    assert_all_same_bits(fastact.lstm_cell(gates, own, out=(None, moved)), (h, c, saved))

    gates_x, gates_h, h_prev, dh = gru_arrays((5, 21), dtype)
    h, saved, *back = gru_all(gates_x, gates_h, h_prev, dh)
    own = h_prev.copy()
    assert_all_same_bits(fastact.gru_cell(gates_x, gates_h, own, out=own), (h, saved))
    own = dh.copy()
    assert_all_same_bits(fastact.gru_cell_backward(own, saved, out=(None, None, own)), back)


def test_nothing_is_allocated_in_a_loop():
    """Memory of the size of a gate would show."""
    gates, c_prev, dh, dc = lstm_arrays((100, 1000), np.float32)
    h, c, saved, dgates, _ = lstm_all(gates, c_prev, dh, dc)
    tracemalloc.start()
    fastact.lstm_cell(gates, c, out=(h, c), saved=saved)
    fastact.lstm_cell_backward(dh, dc, saved, out=(dgates, dc))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000


def test_inference_saves_nothing_and_gives_the_same(dtype, isa):
    gates, c_prev, *_ = lstm_arrays((5, 21), dtype)
    *states, saved = fastact.lstm_cell(gates, c_prev, saved=False)
    assert saved is None
    assert_all_same_bits(states, fastact.lstm_cell(gates, c_prev)[:2])
    operands = gru_arrays((5, 21), dtype)[:3]
    h, saved = fastact.gru_cell(*operands, saved=False)
    assert saved is None
    assert_same_bits(h, fastact.gru_cell(*operands)[0])


# Types and special values


@BOTH
@pytest.mark.parametrize("half", HALVES)
def test_halves_are_float32_rounded(everything, arrays, half, isa):
    operands = [a.astype(half) for a in arrays((5, 21))]
    wanted = everything(*(a.astype(np.float32) for a in operands))
    got = everything(*operands)
    state = 2 if everything is lstm_all else 1  # where `saved` is
    for position, (own, other) in enumerate(zip(got, wanted, strict=True)):
        assert own.dtype == (np.float32 if position == state else half)
        assert (own == other.astype(own.dtype)).all()
    outs = tuple(np.empty_like(a) for a in got)
    for own, other in zip(into(everything, operands, outs), got, strict=True):
        assert (own == other).all()


def test_types():
    ones = np.ones((2, 8), int)
    assert fastact.lstm_cell(ones, np.ones((2, 2)))[0].dtype == np.float64
    assert fastact.lstm_cell(ones.astype(np.int16), np.ones((2, 2)))[1].dtype == np.float32
    gates, c_prev, *_ = lstm_arrays((3, 4), np.float32)
    swapped = gates.astype(gates.dtype.newbyteorder("S"))
    assert_all_same_bits(
        fastact.lstm_cell(swapped, c_prev.astype(float)), fastact.lstm_cell(gates, c_prev)
    )
    assert fastact.lstm_cell([0.0] * 4, [1.0])[1] == [0.5]


def test_saturated_gates_and_what_is_not_finite(dtype, isa):
    """inf opens a gate and -inf shuts it; NaN stays in its unit; no warning."""
    inf, nan = np.inf, np.nan
    gates = np.array([[inf, 1, nan, -inf, 1, 1, inf, 1, 1, inf, 1, 1]], dtype)
    with np.errstate(all="raise"):
        h, c, saved = fastact.lstm_cell(gates, np.array([[3, 2, 2]], dtype))
        assert c[0, 0] == 1 and h[0, 0] == fastact.tanh(dtype(1))
        assert np.isnan([h[0, 2], c[0, 2]]).all() and np.isfinite([h[0, 1], c[0, 1]]).all()
        assert (saved[0, [0, 3, 6, 9, 15]] == 0).all()
        gates = np.array([[-inf, 1, nan, inf, 1, 1, 2, 1, 1]], dtype)
        h, saved = fastact.gru_cell(gates, np.zeros_like(gates), np.array([[7, 2, 2]], dtype))
        assert h[0, 0] == 7 and saved[0, 12] == 1
        assert np.isnan(h[0, 2]) and np.isfinite(h[0, 1])


def test_tails_keep_their_digits(isa):
    """Where 1 - f and 1 - tanh(c)**2 are 0 in float32."""
    a, c_prev = np.float32(25), np.float32(2)
    gates = np.array([-200, a, 0, a], np.float32)
    _, _, saved = fastact.lstm_cell(gates, [c_prev])
    with mp.workprec(BITS):
        wanted = [c_prev * slope(mp.mpf(25)), mp.tanh(2) * slope(mp.mpf(25))]
    assert saved[1] == pytest.approx(float(wanted[0]), rel=1e-6)
    assert saved[3] == pytest.approx(float(wanted[1]), rel=1e-6)


# Bad input

GATES, C, DH = np.ones((2, 12)), np.ones((2, 3)), np.ones((2, 3))
SAVED, X = np.ones((2, 18)), np.ones((2, 9))
lstm, lstm_back = fastact.lstm_cell, fastact.lstm_cell_backward
gru, gru_back = fastact.gru_cell, fastact.gru_cell_backward
BAD = [
    (lstm, (np.ones((2, 10)), C), {}, ValueError, "gates must have 4 gates along axis -1"),
    (lstm, (GATES, np.ones((2, 4))), {}, ValueError, r"c_prev must have the shape \(2, 3\), not"),
    (lstm, (GATES, C.T), {}, ValueError, "c_prev must have the shape"),
    (lstm, (GATES, C), {"axis": 2}, np.exceptions.AxisError, "axis"),
    (lstm, (np.float64(1), C), {}, np.exceptions.AxisError, "axis"),
    (lstm, (GATES.astype(complex), C), {}, TypeError, "gates must be of"),
    (lstm, (GATES, C.astype(complex)), {}, TypeError, "c_prev must be of"),
    (lstm, (GATES, C), {"out": C.copy()}, TypeError, "out must be a tuple of 2 arrays"),
    (lstm, (GATES, C), {"out": (C.copy(),)}, TypeError, "out must be a tuple of 2 arrays"),
    (lstm, (GATES, C), {"out": (None, [1])}, TypeError, r"out\[1\] must be an ndarray, not list"),
    (lstm, (GATES, C), {"out": (np.ones((3, 2)), None)}, ValueError, r"out\[0\] must have shape"),
    (lstm, (GATES, C), {"saved": np.ones((2, 12))}, ValueError, "saved must have shape"),
    (lstm, (GATES, C), {"saved": SAVED.astype("f4")}, ValueError, "saved .* dtype float64, not"),
    (lstm, (GATES, C), {"saved": 1}, TypeError, "saved must be an ndarray, not int"),
    (lstm_back, (DH, np.ones((2, 4)), SAVED), {}, ValueError, "dc must have the shape"),
    (lstm_back, (DH, DH, np.ones((2, 12))), {}, ValueError, "saved must have the shape"),
    (lstm_back, (DH, DH, SAVED), {"out": (C, None)}, ValueError, r"out\[0\] must have shape"),
    (gru, (np.ones((2, 10)), X, C), {}, ValueError, "gates_x must have 3 gates along axis -1"),
    (gru, (X, GATES, C), {}, ValueError, "gates_h must have the shape"),
    (gru, (X, X, GATES), {}, ValueError, "h_prev must have the shape"),
    (gru, (X, X, C), {"out": X}, ValueError, "out must have shape"),
    (gru, (X.astype("M8[s]"), X, C), {}, TypeError, "gates_x must be of"),
    (gru_back, (DH, SAVED), {}, ValueError, "saved must have the shape"),
    (gru_back, (DH, np.ones((2, 15))), {"out": (X, X)}, TypeError, "a tuple of 3 arrays"),
]


@pytest.mark.parametrize(("function", "arguments", "options", "error", "message"), BAD)
def test_bad_arguments(function, arguments, options, error, message):
    with pytest.raises(error, match=message):
        function(*arguments, **options)


def test_outputs_that_cannot_be_written():
    out, saved = np.full((2, 3), 7.0), SAVED.copy()
    with pytest.raises(ValueError, match="outputs must not share memory"):
        fastact.lstm_cell(GATES, C, out=(out, out))
    with pytest.raises(ValueError, match="outputs must not share memory"):
        fastact.lstm_cell(GATES, C, out=(saved.ravel()[:6].reshape(2, 3), out), saved=saved)
    fixed = out.copy()
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match=r"out\[1\] must be writable"):
        fastact.lstm_cell(GATES, C, out=(out, fixed))
    assert (out == 7).all() and (fixed == 7).all() and (saved == 1).all()
