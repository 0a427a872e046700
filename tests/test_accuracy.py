"""Every activation against exact values: each float32 and float64 kernel of each instruction set.

The inputs are bit patterns spread over the whole dtype and the neighbourhoods where kernels break.
"""

import numpy as np
import pytest
from cases import BARS, CASES, assert_same_bits
from mpmath import mp
from oracle import FROM_OUTPUT, ORACLES, exact
from ulp import near_roots, split, ulp_error

import fastact
from fastact import _ufuncs


def hard_points(case):
    """Where kernels break: roots, saturation, underflow, the seams of exp's range reduction."""
    ln2 = np.log(2)
    seams = np.concatenate([np.arange(-9, 10), [-150, -127, -126, 127, 128, -1074, -1022, 1023]])
    edges = np.array(
        [
            *(-745.13321910194122, -708.39641853226408, 709.782712893384),  # exp, float64
            *(-103.97207708399179, -87.33654475055310, 88.72283905206835),  # exp, float32
            *(372.6, 354.2, 52.0, 43.7, 22.2, 19.06, 18.0, 9.01),  # tanh: f' underflows, f is 1
            *(-38.6, -38.4, -37.5, 8.3, -14.2, -13.1, -12.9, 5.5),  # gelu
            *(-21.8, -21.5, -21.0, -10.9, -10.6, -10.1),  # gelu_tanh
            *(36.7, -36.7, 37.4, 16.6, 17.3, -16.6),  # 1 + exp(-x) is 1
            *(0.35, -0.35, 0.5, 0.55, 1.0, 1.4, 2.0, 3.0, 4.0, -20.0, -5.6),
        ]
    )
    points = np.concatenate([seams * ln2 / 2, seams * ln2, edges, -edges, [0.0], case.op.roots])
    return np.concatenate([points, *(points / p for p in case.params)])


def neighbours(points, dtype, steps):
    """Each point with the numbers `steps` places after it, places counted in bit patterns."""
    integer = np.dtype(f"u{np.dtype(dtype).itemsize}")
    start = np.asarray(points, dtype).view(integer)
    with np.errstate(over="ignore"):
        return (start[:, None] + np.asarray(steps).astype(integer)).view(dtype).ravel()


def check(case, dtype, isa, x, references, rests=(0.0, 0.0)):
    """Hold f and f' to the table's bounds, and the two other forms to f and f' bit for bit."""
    coarse = near_roots(x, case.op.roots) if case.op.roots else np.zeros(x.shape, bool)
    with np.errstate(all="ignore"):  # flags are test_special_values.py's business
        (f,), (slope,) = case.run("forward", x), case.run("derivative", x)
        grad = np.random.default_rng(3).normal(size=x.size).astype(dtype)
        (backward,) = case.run("backward", x, grad)
        both = case.run("with_derivative", x)
        product = grad * slope
    assert fastact.last_isa() == isa
    assert_same_bits(both[0], f)
    assert_same_bits(both[1], slope)
    assert_same_bits(backward, product)
    claims = case.op.max_ulp[np.dtype(dtype).name]
    for got, reference, rest, mask, claim, bar in zip(
        (f, slope), references, rests, (np.zeros_like(coarse), coarse), claims, BARS, strict=True
    ):
        assert np.array_equal(np.isnan(got), np.isnan(x))
        error = np.nan_to_num(ulp_error(got, reference, rest, mask), posinf=np.inf)
        worst = np.argmax(error)
        assert error[worst] <= claim <= bar, (
            f"{error[worst]:.4g} ULP at x = {x[worst]!r}: {got[worst]!r}, not {reference[worst]!r}"
        )
        signed = (reference != 0) & ~np.isnan(x) & ~mask  # also a result that underflows to zero
        wrong_sign = signed & (np.signbit(got) != np.signbit(reference))
        assert not wrong_sign.any(), (x[wrong_sign][:5], got[wrong_sign][:5])


@pytest.fixture(scope="module", params=CASES, ids=str)
def float32_reference(request):
    """Two million float32 bit patterns and hard neighbourhoods, f and f' in float64; one at a time.

    An odd stride over all 2^32 patterns reaches every exponent, both signs, subnormals and NaNs.
    """
    case = request.param
    x = np.concatenate(
        [
            np.arange(1234, 2**32, 2039, dtype=np.uint32).view(np.float32),
            neighbours(hard_points(case), np.float32, np.arange(-64, 65)),
            np.array([np.inf, -np.inf, np.nan, 0.0, -0.0], np.float32),
        ]
    )
    return case, x, ORACLES[case.op.name].bulk(x, *case.rounded_params(np.float32))


def test_float32(float32_reference, isa):
    case, x, references = float32_reference
    check(case, np.float32, isa, x, references)


@pytest.fixture(scope="module", params=CASES, ids=str)
def float64_reference(request):
    """Bit patterns, every scale and hard neighbourhoods in float64, f and f' from mpmath."""
    case = request.param
    rng = np.random.default_rng(64)
    x = np.concatenate(
        [
            rng.integers(0, 2**64, 500, dtype=np.uint64).view(np.float64),
            rng.choice([-1, 1], 1000) * np.exp2(rng.uniform(-60, 10, 1000)),
            rng.normal(0, 4, 1500),
            rng.uniform(-40, 10, 500),
            rng.uniform(-750, 50, 500),
            neighbours(hard_points(case), np.float64, [-1, 0, 1, 2**20, 2**40]),
        ]
    )
    x = np.unique(x[np.isfinite(x)])
    params = case.rounded_params(np.float64)
    values = zip(*(exact(case.op.name, v, *params) for v in x), strict=True)
    references, rests = zip(*map(split, values), strict=True)
    return case, x, references, rests


def test_float64(float64_reference, isa):
    case, x, references, rests = float64_reference
    check(case, np.float64, isa, x, references, rests)


@pytest.mark.parametrize("name", FROM_OUTPUT)
def test_from_output(name, dtype, isa):
    """y(1-y) and (1-y)(1+y) for every scale of y, also outside the range of the activation."""
    rng = np.random.default_rng(5)
    y = np.concatenate([rng.uniform(-1, 1, 4000), 1 - np.exp2(rng.uniform(-60, 0, 2000))])
    y = np.concatenate([y, np.exp2(rng.uniform(-300, 60, 2000)), -y]).astype(dtype)
    with mp.workprec(400):
        reference, rest = split([FROM_OUTPUT[name](mp.mpf(float(v))) for v in y])
    rest = rest if dtype is np.float64 else 0.0
    got = getattr(fastact, name)(y)
    error = ulp_error(got, reference, rest)
    worst = np.argmax(error)
    (claims,) = (row["ulp"] for row in _ufuncs.rows() if row["name"] == name)
    claim = claims[0] if dtype is np.float32 else claims[2]
    assert error[worst] <= claim <= BARS[0], (error[worst], y[worst], got[worst], reference[worst])
