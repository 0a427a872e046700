"""Calls of functions with parameters: whichever way a call takes, `.ufunc` gives the same."""

import functools
import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest
from cases import ALL_FUNCTIONS, FUNCTIONS, assert_all_same_bits, sample
from outcome import assert_same_outcome, outcome

import fastact

PARAMETRIC = [f for f in ALL_FUNCTIONS if isinstance(f.public, fastact.ParametricUfunc)]
SUMS = "parameter_gradient"  # have a call of their own: test_gates.py
EVERY = [f for f in PARAMETRIC if f.op.kind != SUMS]
FEW = [f for f in FUNCTIONS if f in EVERY]  # one activation with each number of parameters

NUMBERS = (0.3, -2.5, 3, 0, -0.0, np.nan, np.inf, -np.inf, True)
# Those that some dtype cannot hold, as numbers and as integers.
EDGES = (1e39, 3.4028235e38, 3.4028236e38, 1e-39, 1e-46, 5e-324, 7e4, 2**53 + 1, 2**63, 10**400)
NUMPY_NUMBERS = (np.float32(0.3), np.float64(0.3), np.int8(2), np.array(0.3), [0.5])
TYPES = ("f2", "f4", "f8", ">f4", ">f8", "i1", "i8", "?", ml_dtypes.bfloat16)


def arrays(function, dtype, size=37):
    given = [sample(np.float32, size, seed) for seed, _ in enumerate(function.takes)]
    with np.errstate(all="ignore"):
        return [x.astype(dtype) for x in given]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("function", FEW, ids=str)
def test_numbers(function, dtype):
    xs = arrays(function, dtype)
    rest = [p.default for p in function.op.parameters][1:]
    for value in (*NUMBERS, *EDGES, *NUMPY_NUMBERS):
        wanted = outcome(function.ufunc, *xs, value, *rest)
        assert_same_outcome(outcome(function.public, *xs, value), wanted)
        by_name = {function.op.parameters[0].name: value}
        assert_same_outcome(outcome(function.public, *xs, **by_name), wanted)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("function", EVERY, ids=str)
def test_defaults(function, dtype):
    xs = arrays(function, dtype)
    defaults = [p.default for p in function.op.parameters]
    wanted = outcome(function.ufunc, *xs, *defaults)
    assert_same_outcome(outcome(function.public, *xs), wanted)
    assert_same_outcome(outcome(function.public, *xs, *defaults), wanted)


OUTPUTS = {
    "same": lambda x: np.full_like(x, 7),
    "wider": lambda x: np.full(x.shape, 7, np.float64),
    "narrower": lambda x: np.full(x.shape, 7, np.float16),
    "integer": lambda x: np.full(x.shape, 7, np.int32),
    "strided": lambda x: np.full((x.size, 3), 7, x.dtype)[::-1, 1],
    "short": lambda x: np.full(x.size - 1, 7, x.dtype),
    "masked": lambda x: np.ma.MaskedArray(np.full_like(x, 7), mask=x > 0),
    "none": lambda x: None,
    "list": lambda x: [0] * x.size,
}


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("function", FEW, ids=str)
def test_out(function, kind):
    xs = arrays(function, np.float32)
    defaults = [p.default for p in function.op.parameters]
    for pack in (lambda out: out[0] if len(out) == 1 else tuple(out), tuple, lambda out: out[0]):
        got, wanted = ([OUTPUTS[kind](xs[0]) for _ in range(function.ufunc.nout)] for _ in "12")
        result = outcome(function.public, *xs, out=pack(got))
        assert_same_outcome(result, outcome(function.ufunc, *xs, *defaults, out=pack(wanted)))
        for g, w in zip(got, wanted, strict=True):
            assert np.array_equal(
                np.asarray(g), np.asarray(w), equal_nan=kind not in ("none", "list")
            )


@pytest.mark.parametrize(
    "kwargs",
    [
        {"where": np.arange(37) % 2 == 0, "out": np.zeros(37, np.float32)},
        {"dtype": np.float64},
        {"casting": "no"},
        {"order": "F"},
        {"subok": False},
        {"signature": "no such thing"},
        {"nothing": 1},
    ],
    ids=lambda kwargs: next(iter(kwargs)),
)
def test_other_keywords(kwargs):
    xs = arrays(FEW[0], np.float32)
    own = {k: v.copy() if k == "out" else v for k, v in kwargs.items()}
    got = outcome(fastact.leaky_relu, xs[0], 0.2, **kwargs)
    assert_same_outcome(got, outcome(fastact.leaky_relu.ufunc, xs[0], 0.2, **own))


def test_mixed_dtypes_and_shapes():
    grad, x = np.linspace(-1, 1, 5, dtype=np.float64)[:, None], np.linspace(-2, 2, 7, dtype="f4")
    for given in ((grad, x), (x, grad), (1.5, x), (x, 1), (np.float32(2), x), (list(x), x)):
        wanted = outcome(fastact.elu_backward.ufunc, *given, 0.7)
        assert_same_outcome(outcome(fastact.elu_backward, *given, 0.7), wanted)
        assert_same_outcome(outcome(fastact.elu_backward, *given, alpha=0.7), wanted)


def test_scalars_and_0d_arrays():
    for x in (1.5, -2, np.float32(-0.5), np.float64(-0.5), np.array(-1, np.float32), [-1.0, 2.0]):
        assert_same_outcome(outcome(fastact.elu, x, 0.7), outcome(fastact.elu.ufunc, x, 0.7))


def test_a_name_made_at_run_time():
    x, name = np.linspace(-1, 1, 9, dtype=np.float32), "".join(["al", "pha"])
    out, out_name = np.empty_like(x), "".join(["o", "ut"])
    fastact.elu(x, **{name: 0.3, out_name: out})
    assert_all_same_bits((out,), (fastact.elu.ufunc(x, 0.3),))


def test_overlapping_output():
    for shift in (0, 1, 16):
        buffer = sample(np.float32, 200)
        wanted = fastact.leaky_relu.ufunc(buffer[:150].copy(), 0.2)
        got = fastact.leaky_relu(buffer[:150], 0.2, out=buffer[shift : shift + 150])
        assert_all_same_bits((got,), (wanted,))


def test_each_thread_has_its_own_parameters():
    x = np.linspace(-1, 1, 200_000, dtype=np.float32)  # NumPy lets go of the interpreter for these
    slopes = [k / 64 for k in range(64)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda slope: fastact.leaky_relu(x, slope), slopes))
    assert_all_same_bits(got, [fastact.leaky_relu.ufunc(x, slope) for slope in slopes])


def test_is_called_like_a_function():
    x = np.linspace(-1, 1, 9, dtype=np.float32)
    wanted = fastact.elu.ufunc(x, 0.5)
    ways = (functools.partial(fastact.elu, alpha=0.5), lambda x: fastact.elu.__call__(x, 0.5))
    for way in ways:
        assert_all_same_bits((way(x),), (wanted,))
    assert_all_same_bits(tuple(map(fastact.elu, [x], [0.5])), (wanted,))


def test_is_described_like_a_function():
    assert callable(fastact.elu)
    assert pickle.loads(pickle.dumps(fastact.elu)) is fastact.elu
    assert repr(fastact.elu) == "<activation 'elu'>"
    assert str(inspect.signature(fastact.elu)) == "(x, /, alpha=1.0, out=None, **kwargs)"
    assert fastact.elu.__doc__.splitlines()[0] == "Exponential linear unit."
