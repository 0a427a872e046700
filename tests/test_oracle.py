"""The references themselves: bulk against exact, the ULP measure against NumPy's neighbours."""

import numpy as np
import pytest
from mpmath import mp
from oracle import INFINITY, ORACLES, exact, limit
from ulp import near_roots, split, ulp_error

BULK_ERROR = 1e-13  # relative; 2e-6 of a float32 ULP


def float32_points():
    """Inputs where a formula may break: every scale, both tails densely, subnormals, roots."""
    rng = np.random.default_rng(20)
    scales = 2.0 ** rng.uniform(-149, 128, 500) * rng.choice([-1, 1], 500)
    tails = rng.uniform(-110, 110, 700)
    middle = rng.normal(0, 3, 700)
    roots = np.linspace(-2.5, -0.5, 200)  # f' of gelu, gelu_tanh, silu and mish crosses zero here
    x = np.concatenate([scales, tails, middle, roots, [0.0, 1e-45, -1e-45, 3.4e38, -3.4e38]])
    return x.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize(
    ("name", "params"),
    [(name, params) for name, oracle in ORACLES.items() for params in oracle.parameters or ((),)],
)
def test_bulk_matches_exact(name, params):
    x = float32_points()
    pairs = [exact(name, v, *params) for v in x]
    for got, wanted, scale in zip(
        ORACLES[name].bulk(x, *params),
        zip(*pairs, strict=True),
        # The least magnitude whose relative error matters: a float32 ULP is never below 2^-149;
        # near a root of f' errors count in ULPs of 1/16.
        (np.full(x.shape, 2.0**-149), np.where(near_roots(x, [-0.75, -1.25]), 1 / 16, 2.0**-149)),
        strict=True,
    ):
        error = [
            float(abs(mp.mpf(g) - w) / max(abs(w), s))
            for g, w, s in zip(got, wanted, scale, strict=True)
        ]
        worst = int(np.argmax(error))
        assert error[worst] <= BULK_ERROR, (x[worst], got[worst], wanted[worst])


@pytest.mark.parametrize("name", ORACLES)
def test_bulk_at_nan_and_infinity(name):
    oracle = ORACLES[name]
    params = (oracle.parameters or ((),))[0]
    for got in oracle.bulk(np.array([np.nan]), *params):
        assert np.isnan(got[0])
    for sign in (-1, 1):
        for got, wanted in zip(
            oracle.bulk(np.array([sign * np.inf]), *params), limit(name, sign, *params), strict=True
        ):
            wanted = np.clip(wanted, -INFINITY, INFINITY)
            assert got[0] == pytest.approx(wanted, rel=2)


@pytest.mark.parametrize(
    ("name", "x", "value", "slope"),
    [
        # Independent of this repository: DLMF and Abramowitz & Stegun tables, or exact by symmetry.
        ("gelu", 1.0, 0.8413447460685429, 1.0833154705876864),  # Phi(1), Phi(1) + phi(1)
        ("sigmoid", 0.0, 0.5, 0.25),
        ("tanh", 0.0, 0.0, 1.0),
        ("softplus", 0.0, np.log(2), 0.5),
        ("log_sigmoid", 0.0, -np.log(2), 0.5),
        ("silu", 0.0, 0.0, 0.5),
        ("mish", 0.0, 0.0, 0.6),  # tanh(log 2) = 3/5
        ("relu", 0.0, 0.0, 0.0),
        ("leaky_relu", 0.0, 0.0, 0.01),
        ("elu", 0.0, 0.0, 1.0),
        ("selu", 0.0, 0.0, 1.0507009873554805 * 1.6732632423543772),
    ],
)
def test_exact_known_values(name, x, value, slope):
    params = {"softplus": (1.0,), "leaky_relu": (0.01,), "elu": (1.0,)}.get(name, ())
    got = exact(name, x, *params)
    assert [float(v) for v in got] == pytest.approx([value, slope], rel=1e-15)


def test_exact_derivative_survives_cancellation():
    # tanh'(x) = 4 e^-2x / (1 + e^-2x)^2 while tanh itself is 1 to 1000 bits.
    with mp.workprec(200):
        wanted = 4 * mp.exp(-700) / (1 + mp.exp(-700)) ** 2
        assert abs(exact("tanh", 350)[1] / wanted - 1) < mp.mpf(2) ** -100


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ulp_error_agrees_with_nextafter(dtype):
    info = np.finfo(dtype)
    tiny, largest, subnormal = info.tiny, info.max, info.smallest_subnormal
    values = np.array([1.0, 1.5, tiny, 4 * subnormal, subnormal, largest, -1.5, -tiny], dtype)
    reference = values.astype(np.float64)
    assert np.all(ulp_error(values, reference) == 0)
    with np.errstate(over="ignore", under="ignore"):
        assert np.all(ulp_error(np.nextafter(values, dtype(np.inf)), reference) == 1)
        down = ulp_error(np.nextafter(values, dtype(-np.inf)), reference)
    # Below a power of two the neighbours are half an ULP apart, unless subnormal.
    assert np.array_equal(down, [0.5, 1, 1, 1, 1, 1, 1, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ulp_error_at_the_edges(dtype):
    info = np.finfo(dtype)

    def error(got, reference, **kwargs):
        return ulp_error(np.array([got], dtype), np.array([reference]), **kwargs)[0]

    assert error(0, 0) == 0
    assert error(-0.0, 0) == 0
    assert error(0, info.smallest_subnormal) == 1
    assert error(info.smallest_subnormal, 0) == 1
    assert error(-info.smallest_subnormal, info.smallest_subnormal) == 2  # a sign is never hidden
    assert error(np.inf, np.inf) == 0
    assert error(info.max, np.inf) == 1
    assert error(np.inf, float(info.max)) == 1
    assert error(-np.inf, np.inf) > 1e7
    assert error(np.inf, 1.0) > 1e30
    assert np.isnan(error(np.nan, 1.0))
    assert np.isnan(error(1.0, np.nan))
    assert error(2.0**-10, 0.0, coarse=True) == 2.0**-10 / np.spacing(dtype(1 / 16))
    assert error(3.0, 1.0, coarse=True) == error(3.0, 1.0)


def test_ulp_error_float32_rounds_to_infinity_and_zero():
    largest = float(np.finfo(np.float32).max)
    half = 2.0**103
    assert ulp_error(np.array([np.inf], np.float32), [largest + half]) == 0.5
    assert ulp_error(np.array([largest], np.float32), [largest + half]) == 0.5
    assert ulp_error(np.array([np.inf], np.float32), [1e300]) == 0
    assert ulp_error(np.array([0], np.float32), [1e-300]) < 1e-200


def test_split_keeps_what_float64_cannot():
    with mp.workprec(300):
        third, tiny = mp.mpf(1) / 3, mp.ldexp(mp.mpf(5) / 4, -1074)
        nearest, rest = split([third, tiny, mp.ldexp(1, 2000), mp.zero])
        assert abs(mp.mpf(nearest[0]) + rest[0] * mp.mpf(2) ** -54 - third) < mp.mpf(2) ** -105
    assert (nearest[1], rest[1]) == (5e-324, 0.25)
    assert (nearest[2], rest[2], nearest[3], rest[3]) == (np.inf, 0, 0, 0)
    assert np.array_equal(ulp_error(nearest, nearest, rest), [abs(rest[0]), 0.25, 0, 0])
