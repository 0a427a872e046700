"""The references themselves: exact against what is known otherwise, ULPs against neighbours."""

import math

import gmpy2
import numpy as np
import pytest
from mpmath import mp
from oracle import MPMATH, exact, kinks, value
from ulp import near_roots, split, ulp_error

import fastact
from fastact._formula import expand, scalar, signatures

INF, NAN = math.inf, math.nan


# Formulas


def evaluated(text, x, at=None, **names):
    """A formula's text at x, its branches taken at `at`."""
    function = scalar(expand(text, signatures()), ("x", *names), MPMATH)
    with mp.workprec(300):
        return function(mp.mpf(x), mp.mpf(x if at is None else at), *map(mp.mpf, names.values()))


def test_numbers_are_decimal():
    with mp.workprec(300):
        assert evaluated("0.044715 * x", 10**6) == 44715
        assert evaluated("x / 3", 1) == mp.mpf(1) / 3


def test_rows_are_written_out_with_their_defaults():
    for text in ("softplus(x)", "softplus(x, 1)", "-log_sigmoid(-x)"):
        assert evaluated(text, 2) == evaluated("log1p(exp(x))", 2)
    assert evaluated("leaky_relu(x - beta, beta)", -3, beta=2) == -10
    assert evaluated("silu_derivative(x)", 0) == 0.5


@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ("max(x, 1)", 1, 5),
        ("min(x, 1)", 5, 1),
        ("abs(x)", -5, 5),
        ("x if x > 0 else -7", -7, 5),
        ("relu6(x - 1)", 0, 4),
        ("1 if -1 < x <= 2 and x > 0 else 2", 2, 1),
    ],
)
def test_branches_are_taken_elsewhere(text, left, right):
    assert evaluated(text, 5, at=-1) == left
    assert evaluated(text, 5, at=2) == right


def test_precision_is_the_readers():
    tree = expand("sqrt(x) + 0.1", signatures())
    with gmpy2.context(precision=500):
        function = scalar(tree, ("x",), {"sqrt": gmpy2.sqrt, "number": gmpy2.mpfr})
        two = gmpy2.mpfr(2)
        assert function(two, two).precision == 500


def test_kinks_are_read():
    assert kinks("relu6") == [(0, 0), (6, 0)]
    assert kinks("clipped_linear", -2, 0.5, 0, 6) == [(0.25, 0), (-2.75, 0)]
    assert kinks("hard_sigmoid", 1 / 6, 0.5) == [(-3, 0), (3, 0)]
    assert kinks("squareplus", 0) == [(0, 0.5)]
    assert kinks("gelu") == []


# Values


@pytest.mark.parametrize(
    ("name", "x", "value", "slope"),
    [
        # Independent of this repository: DLMF and Abramowitz & Stegun tables, or exact by symmetry.
        ("gelu", 1.0, 0.8413447460685429, 1.0833154705876864),  # Phi(1), Phi(1) + phi(1)
        ("erf", 1.0, 0.8427007929497149, 0.41510749742059472),
        ("erfc", 1.0, 0.15729920705028513, -0.41510749742059472),
        ("sigmoid", 0.0, 0.5, 0.25),
        ("logit", 0.5, 0.0, 4.0),
        ("logit", 0.75, math.log(3), 16 / 3),
        ("tanh", 0.0, 0.0, 1.0),
        ("tanhshrink", 1.0, 0.2384058440442351, 0.5800256583859739),
        ("softplus", 0.0, math.log(2), 0.5),
        ("log_sigmoid", 0.0, -math.log(2), 0.5),
        ("silu", 0.0, 0.0, 0.5),
        ("mish", 0.0, 0.0, 0.6),  # tanh(log 2) = 3/5
        ("gelu_tanh", 0.0, 0.0, 0.5),
        ("relu", 0.0, 0.0, 0.0),
        ("leaky_relu", 0.0, 0.0, 0.01),
        ("elu", 0.0, 0.0, 1.0),
        ("selu", 0.0, 0.0, 1.0507009873554805 * 1.6732632423543772),
        ("hard_swish", 1.0, 2 / 3, 5 / 6),
        ("hard_sigmoid", 1.0, 2 / 3, 1 / 6),
        ("softsign", -3.0, -0.75, 1 / 16),
        ("squareplus", 0.0, 1.0, 0.5),
        ("squareplus", 1.5, 2.0, 0.8),  # 3-4-5
        ("dish", 0.75, 0.6, 0.992),  # 3-4-5
        ("sparse_plus", 0.0, 0.25, 0.5),
        ("exp", 1.0, math.e, math.e),
        ("expm1", 1.0, math.e - 1, math.e),
        ("log1p", 1.0, math.log(2), 0.5),
    ],
)
def test_exact_known_values(name, x, value, slope):
    (op,) = (op for op in fastact.ops() if op.name == name)
    got = exact(name, x, *(p.default for p in op.parameters))
    assert [float(v) for v in got] == pytest.approx([value, slope], rel=1e-15, abs=1e-16)


def tails():
    """Where the table's formula cancels: f and f' in forms that do not."""
    with mp.workprec(400):
        x = mp.mpf(-38.4)
        bell = mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
        yield "gelu", x, x * mp.ncdf(x), mp.ncdf(x) + x * bell
        e = mp.exp(mp.mpf(-700))
        yield "tanh", 350, (1 - e) / (1 + e), 4 * e / (1 + e) ** 2
        yield "log_sigmoid", 700, -e + e**2 / 2, e / (1 + e)
        yield "softplus", -700, e - e**2 / 2, e / (1 + e)
        yield "sigmoid", 700, 1 / (1 + e), e / (1 + e) ** 2
        tiny, huge = mp.mpf(1e-300), mp.mpf(-1e150)
        yield "tanhshrink", tiny, tiny**3 / 3, tiny**2
        yield "squareplus", huge, -1 / huge, 1 / huge**2
        yield "dish", huge, 1 / (4 * huge), -1 / (4 * huge**2)
        yield "softsign", -1 / tiny, tiny - 1, tiny**2
        yield "logit", tiny, mp.log(tiny), 1 / tiny
        near = 1 - mp.mpf(2) ** -53
        yield "logit", near, mp.log(near * 2**53), 2**53 / near
        yield "log1p", -near, -53 * mp.log(2), 2**53
        yield "expm1", tiny, tiny + tiny**2 / 2, 1 + tiny


@pytest.mark.parametrize(
    ("name", "x", "value", "slope"), list(tails()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_exact_survives_cancellation(name, x, value, slope):
    (op,) = (op for op in fastact.ops() if op.name == name)
    got = exact(name, x, *(p.default for p in op.parameters))
    for g, w in zip(got, (value, slope), strict=True):
        with mp.workprec(400):
            assert abs(g / w - 1) < mp.mpf(2) ** -90


@pytest.mark.parametrize(
    ("name", "params", "x", "value", "slope"),
    [
        ("gelu", (), -INF, 0, 0),
        ("gelu", (), INF, INF, 1),
        ("swish", (-1.5,), -INF, -INF, 1),
        ("hard_swish", (), -INF, 0, 0),
        ("softsign", (), -INF, -1, 0),
        ("squareplus", (4,), INF, INF, 1),
        ("log1p", (), INF, INF, 0),
        ("log1p", (), -1, -INF, INF),
        ("log1p", (), np.nextafter(-1, -2), NAN, NAN),
        ("logit", (), 0, -INF, INF),
        ("logit", (), 1, INF, INF),
        ("logit", (), -5e-324, NAN, NAN),
        ("logit", (), INF, NAN, NAN),
        ("exp", (), INF, INF, INF),
        ("erfc", (), -INF, 2, 0),
    ],
)
def test_exact_at_ends(name, params, x, value, slope):
    got = [float(v) for v in exact(name, x, *params)]
    assert np.array_equal(got, [value, slope], equal_nan=True)


def test_selus_decimals_are_the_closed_form():
    """scale and alpha for mean 0 and variance 1 (Klambauer et al. 2017), to 32 digits."""
    with mp.workdps(60):
        a, b, root_e = mp.erfc(1 / mp.sqrt(2)), mp.erfc(mp.sqrt(2)), mp.sqrt(mp.e)
        alpha = -mp.sqrt(2 / mp.pi) / (a * root_e - 1)
        variance = 2 * b * mp.e**2 + mp.pi * a**2 * mp.e - 2 * (2 + mp.pi) * a * root_e
        scale = (1 - a * root_e) * mp.sqrt(2 * mp.pi) / mp.sqrt(variance + mp.pi + 2)
        for x, wanted in ((1, scale), (0, scale * alpha)):
            assert abs(exact("selu", x)[1] / wanted - 1) < mp.mpf(10) ** -31


def test_a_sixth_rounded_is_a_sixth_of_hard_sigmoid():
    with mp.workprec(200):
        for alpha in (1 / 6, float(np.float32(1 / 6))):
            assert exact("hard_sigmoid", 1, alpha, 0.5)[0] * 3 == 2
        assert exact("hard_sigmoid", 1, np.nextafter(1 / 6, 1), 0.5)[0] * 3 != 2


def test_value_of_other_rows():
    assert value("sigmoid_from_output", 0.25) == 0.1875
    assert value("reglu", 3, 2) == 6
    assert value("leaky_relu_parameter", -3, 0.1) == -3


# Units in the last place


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


def test_near_roots():
    x = [-2.0, -1.4, -1.0, -0.6, 0.0, NAN]
    assert near_roots(x, ()).tolist() == [False] * 6
    assert near_roots(x, (-1.0, 0.25)).tolist() == [False, True, True, True, True, False]
