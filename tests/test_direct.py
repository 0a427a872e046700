"""Calls past NumPy's machinery: when they are taken, and that they are as NumPy's own."""

import contextlib
import pickle
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cases import ALL_FUNCTIONS, FUNCTIONS, assert_all_same_bits, outputs, sample
from outcome import assert_same_outcome, outcome

import fastact
from fastact import _direct, _ufuncs
from fastact._forms import Form

ROWS = {(row["kind"], row["name"]): row["row"] for row in _ufuncs.rows()}
SUMS = "parameter_gradient"  # have a call of their own: test_gates.py
PUBLIC = [f for f in ALL_FUNCTIONS if f.op.kind != SUMS]
FEW = [f for f in FUNCTIONS if f in PUBLIC]
SHAPES = [(1,), (37,), (1000,), (5, 7), (1, 5), (5, 1), (2, 3, 4), (0,), (3, 0), ()]
CANARY = 77.0


def by_numpy(function):
    """The same function on NumPy's way."""
    if function.op.parameters:
        defaults = [p.default for p in function.op.parameters]
        return lambda *xs, **kwargs: function.ufunc(*xs, *defaults, **kwargs)
    row, form = ROWS[function.op.kind, function.op.name], Form[function.form]
    return _ufuncs.make_ufunc(row, int(form), str(function), "")


def arrays(function, dtype=np.float32, shape=(37,)):
    size = int(np.prod(shape))
    return [sample(dtype, size, seed).reshape(shape) for seed, _ in enumerate(function.takes)]


def outs(function, like, value=CANARY):
    return tuple(np.full_like(like, value) for _ in range(function.ufunc.nout))


def packed(made):
    return made[0] if len(made) == 1 else made


def is_direct(function, *xs, **keywords):
    """Whether such a call goes past NumPy."""
    numbers = [float(p.default) for p in function.op.parameters]
    with np.errstate(all="ignore"):
        return _direct.result(function.ufunc, xs, numbers, **keywords) is not None


# The same as NumPy's


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("function", FEW, ids=str)
def test_layouts(function, shape, order, dtype):
    xs = [np.asarray(x, order=order) for x in arrays(function, dtype, shape)]
    wanted = outcome(by_numpy(function), *xs)
    got = outcome(function.public, *xs)
    assert_same_outcome(got, wanted)
    assert [np.shape(g) for g in got[0]] == [np.shape(w) for w in wanted[0]]
    assert [g.strides for g in got[0]] == [w.strides for w in wanted[0]]
    assert [g.flags.owndata for g in got[0]] == [w.flags.owndata for w in wanted[0]]
    given = outs(function, xs[0])
    wanted = outcome(by_numpy(function), *xs, out=packed(outs(function, xs[0])))
    assert_same_outcome(outcome(function.public, *xs, out=packed(given)), wanted)
    assert is_direct(function, *xs) == is_direct(function, *xs, out=packed(given))
    assert is_direct(function, *xs) == (len(shape) > 0 and np.prod(shape) > 0)


@pytest.mark.parametrize("function", PUBLIC, ids=str)
def test_every_function(function, dtype):
    xs = arrays(function, dtype)
    given = outs(function, xs[0])
    wanted = outcome(by_numpy(function), *xs)
    assert_same_outcome(outcome(function.public, *xs), wanted)
    result = outcome(function.public, *xs, out=given)
    assert_same_outcome(result, wanted)
    assert all(r is g for r, g in zip(result[0], given, strict=True))
    assert is_direct(function, *xs) and is_direct(function, *xs, out=given)


def strided(x):
    return np.repeat(x, 2)[::2]


def swapped(x):
    return x.astype(x.dtype.newbyteorder())


def misaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype)
    raw[...] = x
    return raw


def described(x):
    return x.astype(np.dtype(x.dtype.str, metadata={"unit": "m"}))


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def warning_on_write(x):
    return np.broadcast_arrays(x.copy(), np.empty((1, 1)))[0][0]


class Sub(np.ndarray):
    pass


class Overriding(np.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return "overridden", ufunc.__name__, method, len(inputs), sorted(kwargs)


ODD = {
    "strided": strided,
    "swapped": swapped,
    "misaligned": misaligned,
    "described": described,
    "subclass": lambda x: x.copy().view(Sub),
    "masked": lambda x: np.ma.MaskedArray(x.copy(), mask=x > 0),
    "wider": lambda x: x.astype(np.float64),
    "narrower": lambda x: x.astype(np.float16),
    "integer": lambda x: np.nan_to_num(x, posinf=9, neginf=9).clip(-99, 99).astype(np.int32),
    "column": lambda x: x.reshape(-1, 1),
    "row": lambda x: x.reshape(1, -1).copy(),
    "shorter": lambda x: x[:-1].copy(),
    "one": lambda x: x[:1].copy(),
    "list": lambda x: x.tolist(),
    "number": lambda x: float(x[0]),
    "none": lambda x: None,
}
NEVER_DIRECT = ODD.keys() - {"wider", "column", "row", "shorter", "one"}


@pytest.mark.filterwarnings("ignore:.* encountered in cast")
@pytest.mark.parametrize("kind", [*ODD, "read_only"])
@pytest.mark.parametrize("function", FEW, ids=str)
def test_odd_inputs(function, kind):
    odd = {**ODD, "read_only": read_only}[kind]
    for which in range(len(function.takes)):
        xs = arrays(function)
        xs[which] = odd(xs[which])
        assert_same_outcome(outcome(function.public, *xs), outcome(by_numpy(function), *xs))
        assert not (kind in NEVER_DIRECT and is_direct(function, *xs))


@pytest.mark.filterwarnings("ignore:.* encountered in cast")
@pytest.mark.parametrize("kind", [*ODD, "read_only", "warning_on_write"])
@pytest.mark.parametrize("function", FEW, ids=str)
def test_odd_outputs(function, kind):
    odd = {**ODD, "read_only": read_only, "warning_on_write": warning_on_write}[kind]
    xs = arrays(function)
    for which in range(function.ufunc.nout):
        results, written = [], []
        for call in (function.public, by_numpy(function)):
            given = list(outs(function, xs[0]))
            given[which] = odd(given[which])
            results.append(outcome(call, *xs, out=packed(tuple(given))))
            written.append(given)
        assert_same_outcome(*results)
        for g, w in zip(*written, strict=True):
            assert type(g) is type(w)
            if isinstance(g, np.ndarray):
                assert np.array_equal(np.asarray(g), np.asarray(w), equal_nan=True)


@pytest.mark.parametrize("function", FEW, ids=str)
def test_outputs_on_operands(function):
    """In place, ahead, behind, and one output on the other."""
    for at in (0, 1, 8, 36, 37):
        for which in range(function.ufunc.nout):
            results = []
            for call in (function.public, by_numpy(function)):
                xs, given = arrays(function), list(outs(function, np.zeros(37, np.float32)))
                buffer = np.zeros(3 * 37, np.float32)
                buffer[37:74] = xs[-1]
                xs[-1] = buffer[37:74]
                given[which] = buffer[37 + at : 74 + at]
                results.append(outcome(call, *xs, out=packed(tuple(given))))
                results[-1][0][0].sum()
            assert_same_outcome(*results)
    if function.ufunc.nout == 2:
        for shift in (0, 1):
            results = []
            for call in (function.public, by_numpy(function)):
                buffer, xs = np.zeros(40, np.float32), arrays(function)
                given = buffer[:37], buffer[shift : 37 + shift]
                results.append(outcome(call, *xs, out=given))
            assert_same_outcome(*results)


@pytest.mark.parametrize("function", FEW, ids=str)
def test_overrides(function):
    xs = arrays(function)
    given = outs(function, xs[0])
    theirs = [x.view(Overriding) for x in xs]
    for inputs, keywords in (
        (theirs, {}),
        (xs, {"out": packed((given[0].view(Overriding), *given[1:]))}),
    ):
        got = function.public(*inputs, **keywords)
        assert got[:3] == ("overridden", str(function), "__call__")
        assert got[4] == sorted(keywords)


@pytest.mark.parametrize("function", FEW, ids=str)
def test_other_arguments(function):
    xs = arrays(function)
    given = packed(outs(function, xs[0]))
    call, numpys = function.public, by_numpy(function)
    for keywords in (
        {"where": np.arange(37) % 2 == 0, "out": given},
        {"dtype": np.float64},
        {"dtype": "f4", "casting": "no"},
        {"order": "F"},
        {"subok": False, "out": given},
        {"signature": "nonsense"},
        {"nothing": 1},
        {"out": (*outs(function, xs[0]), xs[0])},
        {"out": ()},
        {"out": None},
        {"out": (None,) * function.ufunc.nout},
        {"out": (None,) * 5},
        {"o" + "ut": given},
    ):
        assert_same_outcome(outcome(call, *xs, **keywords), outcome(numpys, *xs, **keywords))
    if not function.op.parameters:
        for arguments in (xs[:-1], [*xs, *outs(function, xs[0])], [*xs, *xs, *xs, *xs], []):
            assert_same_outcome(outcome(call, *arguments), outcome(numpys, *arguments))


# Floating-point errors


def overflowing(size):
    return np.full(size, 1e3, np.float32)


@pytest.mark.parametrize("size", [1, 100, 1000])
def test_errors(size):
    x, out = overflowing(size), np.empty(size, np.float32)
    with (
        np.errstate(over="raise"),
        pytest.raises(FloatingPointError, match="overflow encountered in exp"),
    ):
        fastact.exp(x, out=out)
    assert np.all(np.isinf(out))
    with (
        np.errstate(over="warn"),
        pytest.warns(RuntimeWarning, match="overflow encountered in exp"),
    ):
        fastact.exp(x)
    seen = []
    with np.errstate(over="call", call=lambda *what: seen.append(what)):
        fastact.exp(x)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        fastact.exp(x)
    assert [what for what, _ in seen] == ["overflow"]


def test_every_kind_of_error():
    for function, value, kind in (
        (fastact.exp, 1e3, "over"),
        (fastact.exp, -1e2, "under"),
        (fastact.log1p, -1.0, "divide"),
        (fastact.log1p, -2.0, "invalid"),
    ):
        x = np.full(5, value, np.float32)
        with np.errstate(**{"all": "ignore", kind: "raise"}), pytest.raises(FloatingPointError):
            function(x)
        others = {k: "raise" for k in ("over", "under", "divide", "invalid") if k != kind}
        with np.errstate(**others, **{kind: "ignore"}):
            function(x)


def test_errors_of_others_are_not_ours():
    clean = np.zeros(9, np.float32)
    with np.errstate(all="ignore"):
        np.exp(overflowing(9))
    with np.errstate(all="raise"):
        fastact.exp(clean)
        fastact.elu(clean)


# Keeping house


@pytest.mark.parametrize("function", FEW, ids=str)
def test_references(function):
    xs = arrays(function, shape=(9,))
    given = outs(function, xs[0])
    everything = [*xs, *given]
    before = [sys.getrefcount(x) for x in everything]
    with np.errstate(all="ignore"):
        for keywords in ({"out": packed(given)}, {}):
            for _ in range(100):
                result = function.public(*xs, **keywords)
    with np.errstate(all="raise"):
        for _ in range(100):
            with contextlib.suppress(FloatingPointError):
                function.public(*xs, out=given)
    assert [sys.getrefcount(x) for x in everything] == before
    assert all(sys.getrefcount(r) <= 4 for r in outputs(result))


def test_threads():
    """Long calls let go of the interpreter, short ones do not; each gets its own results."""
    xs = [np.full(n, k / 8, np.float32) for k in range(64) for n in (9, 3000)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(fastact.mish_with_derivative, xs))
    for each, x in zip(got, xs, strict=True):
        assert_all_same_bits(each, fastact.mish_with_derivative(x))


def test_a_ufunc_all_the_same():
    assert type(fastact.relu) is np.ufunc
    assert pickle.loads(pickle.dumps(fastact.relu)) is fastact.relu
    x = np.linspace(-1, 1, 9, dtype=np.float32)
    for way in (fastact.relu.__call__, lambda x: np.ufunc.__call__(fastact.relu, x)):
        assert_all_same_bits([way(x)], [np.maximum(x, 0)])
    assert_all_same_bits(
        [fastact.swiglu.outer(x, x)[3]], [fastact.swiglu(np.full_like(x, x[3]), x)]
    )
