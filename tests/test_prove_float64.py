"""The float64 proof: its exact values, its points, and that it finds what is wrong."""

import math
import random

import gmpy2
import numpy as np
import pytest
from mpmath import mp
from rich.progress import Progress

import fastact
from prove import float64, record
from prove.choice import Case, Choice
from prove.mpfr import Reference, erf, erfc

OPS = {op.name: op for op in fastact.ops()}


def case_of(name, *params):
    return Case(OPS[name], params)


def assert_exact(value, wanted):
    """`value` is `wanted`, an mpmath number, to far below an ULP."""
    with mp.workprec(3000):
        nearest = float(wanted)
        ulp = mp.mpf(2) ** (max(math.frexp(nearest)[1], -1021) - 53)
        assert value.nearest == nearest
        assert abs(value.rest - (wanted - nearest) / ulp) < 1e-15
        assert value.sign == mp.sign(wanted)


# ---- exact values


@pytest.mark.parametrize("x", [-5.5, 1e-200, 0.3, 19.0, 300.0, 372.0])
def test_cancelled_digits_come_back(x):
    """1 - tanh(x)**2 against a form that does not cancel."""
    with mp.workprec(3000):
        e = mp.exp(-2 * mp.mpf(x))
        wanted = 4 * e / (1 + e) ** 2
    assert_exact(Reference(("1 - tanh(x)**2",), ("x",))(x)[0], wanted)


@pytest.mark.parametrize("x", [-38.5, -37.0, -20.1, -8.0, -1e-300, 3.0, 40.0])
def test_the_tail_of_gelu(x):
    with mp.workprec(3000):
        wanted = mp.mpf(x) * mp.erfc(-mp.mpf(x) / mp.sqrt(2)) / 2
    assert_exact(case_of("gelu").reference("float64")(x)[0], wanted)


@pytest.mark.parametrize("x", [1e-320, -3e-200, 1e-9, 0.7, 1e200])
def test_a_difference_of_nearly_equal_numbers(x):
    """x - tanh(x) = x**3 / 3 - 2 x**5 / 15 + ... for small x."""
    with mp.workprec(8000):
        t = mp.mpf(x)
        wanted = t**3 / 3 - 2 * t**5 / 15 if abs(x) < 1e-100 else t - mp.tanh(t)
    assert_exact(case_of("tanhshrink").reference("float64")(x)[0], wanted)


@pytest.mark.parametrize(
    ("name", "x", "wanted"),
    [
        ("softplus", 1e300, 1e300),  # exp(x) is beyond MPFR's exponents
        ("log_sigmoid", -1e300, -1e300),
        ("exp", 1e300, math.inf),
        ("identity", -math.inf, -math.inf),
        ("gelu", -math.inf, 0.0),  # the text is inf * 0
        ("softsign", math.inf, 1.0),
        ("log1p", -1.0, -math.inf),
        ("log1p", math.inf, math.inf),
        ("logit", -0.0, -math.inf),
        ("logit", 1.0, math.inf),
    ],
)
def test_values_out_there(name, x, wanted):
    defaults = tuple(p.default for p in OPS[name].parameters)
    value, _ = case_of(name, *defaults).reference("float64")(x)
    assert (value.nearest, value.rest) == (wanted, 0)


@pytest.mark.parametrize(("name", "x"), [("logit", 1.5), ("log1p", -2.0), ("relu", math.nan)])
def test_nan_outside_the_domain(name, x):
    assert all(math.isnan(value.nearest) for value in case_of(name).reference("float64")(x))


@pytest.mark.parametrize("x", [-800.0, -1e10, -1e300])
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "silu", "mish"])
def test_what_underflows_keeps_its_sign(name, x):
    f, slope = case_of(name).reference("float64")(x)
    assert (f.nearest, f.sign) == (0, -1)
    assert (slope.nearest, slope.sign) == (0, -1)


def test_an_alpha_of_a_sixth_is_exact():
    f, slope = case_of("hard_sigmoid", 1 / 6, 0.5).reference("float64")(3 - 2**-51)
    with mp.workprec(200):
        assert_exact(f, mp.mpf(3 - 2**-51) / 6 + mp.mpf(1) / 2)
        assert_exact(slope, mp.mpf(1) / 6)


@pytest.mark.parametrize("bits", [96, 128, 400, 1100])
def test_erf_and_erfc(bits):
    rng = random.Random(bits)
    for _ in range(60):
        z = gmpy2.mpfr(rng.uniform(-30, 30))
        for ours, theirs in ((erf, gmpy2.erf), (erfc, gmpy2.erfc)):
            with gmpy2.context(precision=bits):
                got = ours(z)
            with gmpy2.context(precision=bits + 100):
                assert abs(got / theirs(z) - 1) < gmpy2.mpfr(2) ** (1 - bits), z


# ---- points


def test_points_are_enough_in_order_and_the_same_each_time():
    x = float64.sample(case_of("relu"), 30_000)
    assert 30_000 <= x.size < 32_000
    finite = x[~np.isnan(x)]
    assert np.all(np.diff(finite[np.isfinite(finite)]) >= 0)
    assert np.array_equal(x, float64.sample(case_of("relu"), 30_000), equal_nan=True)


def test_points_are_of_every_kind():
    x = float64.sample(case_of("relu"), 60_000)
    size = np.abs(x[np.isfinite(x)])
    assert np.unique(np.frexp(size[size >= float64.TINY])[1]).size == 2046
    assert np.any((size > 0) & (size < float64.TINY))
    assert np.isnan(x).sum() > 5
    assert np.isinf(x).sum() == 2
    assert np.count_nonzero(x == 0) == 2


@pytest.mark.parametrize(
    ("name", "params", "edges"),
    [
        ("exp", (), [-745.1332191019412, -708.3964185322641, 709.782712893384]),
        ("hardtanh", (-2.0, 0.5), [-2.0, 0.5]),
        ("clipped_linear", (-2.0, 0.5, 0.0, 6.0), [-2.75, 0.25]),
        ("hardshrink", (1.5,), [-1.5, 1.5]),
        ("logit", (), [0.0, 1.0]),
        ("swish", (-1.5,), [1.2784645427610737 / 1.5]),
        ("tanh", (), [19.061547465398498]),  # f is 1 from about here
    ],
)
def test_points_surround_the_edges(name, params, edges):
    x = float64.sample(case_of(name, *params), 2000)
    for edge in edges:
        around = float64.numbers(float64.places(edge) + np.arange(-8, 9))
        assert np.all(np.isin(around, x)), (edge, around[~np.isin(around, x)])


def test_places_are_in_order():
    x = np.array([-np.inf, -1.0, -5e-324, 0.0, 5e-324, 1.0, np.inf])
    assert np.all(np.diff(float64.places(x)) > 0)
    assert np.array_equal(float64.numbers(float64.places(x)), x)


# ---- what is found


@pytest.fixture(scope="module")
def silu():
    """silu at some points: the case, the points, f and f' as wanted."""
    x = np.sort(np.random.default_rng(1).uniform(-800, 30, 3000))
    return case_of("silu"), x, float64.wanted("silu", (), x)


@pytest.mark.parametrize("form", float64.FORMS)
def test_kernels_keep_to_the_table(silu, form, isa):
    case, x, wants = silu
    k = list(float64.FORMS).index(form)
    tally = float64.count(*float64.run(case, form, x), wants[k])
    assert tally.count == x.size
    assert 0 < tally.max_ulp <= case.op.max_ulp["float64"][k]
    assert (tally.nan_faults, tally.sign_faults, tally.flag_faults) == (0, 0, 0)
    assert tally.faults == ""


def spoiled(silu, spoil):
    """The tally of f after `spoil(f, flags)`, which breaks something at the tenth point."""
    case, x, (want, _) = silu
    f, flags = float64.run(case, "f", x)
    spoil(f, flags)
    return float64.count(f, flags, want), x[10]


def test_an_error_is_measured(silu):
    def spoil(f, flags):
        f[10] = 100 * np.spacing(f[10]) + f[10]

    tally, x = spoiled(silu, spoil)
    assert abs(tally.max_ulp - 100) <= 1
    assert (tally.at, tally.over_1) == (x, 1)


def test_a_nan_and_a_wrong_sign_are_found(silu):
    def spoil(f, flags):
        f[10] = np.nan
        f[11] = -f[11]

    tally, x = spoiled(silu, spoil)
    assert (tally.nan_faults, tally.sign_faults) == (1, 1)
    assert repr(float(x)) in tally.faults


def test_a_zero_of_the_wrong_sign_is_found(silu):
    def spoil(f, flags):
        assert f[10] == 0
        f[10] = 0.0

    assert spoiled(silu, spoil)[0].sign_faults == 1


def test_flags_are_judged(silu):
    def spoil(f, flags):
        assert "underflow" in flags[0]
        flags[0].add("overflow")
        flags[1].add("invalid value")

    tally, _ = spoiled(silu, spoil)
    assert tally.flag_faults == 2
    assert "overflow" in tally.faults


def test_a_missing_flag_is_found():
    x = np.array([709.0, 711.0])
    want, _ = float64.wanted("exp", (), x)
    f, flags = float64.run(case_of("exp"), "f", x)
    assert float64.count(f, flags, want).flag_faults == 0
    assert float64.count(f, [set()], want).flag_faults == 1


def test_tallies_add_up():
    total = float64.Tally()
    total.add(float64.Tally(count=2, max_ulp=0.0, at=1.0))
    assert (total.max_ulp, total.at) == (0.0, 1.0)
    total.add(float64.Tally(count=3, max_ulp=2.0, at=5.0, over_1=1, faults="a"))
    total.add(float64.Tally(count=3, max_ulp=1.0, at=6.0, over_1=2, faults="b"))
    assert total == float64.Tally(8, 2.0, 5.0, 3, faults="a")


def test_a_run_gives_results_for_the_record():
    """In processes of their own, as `python -m prove` does it."""
    choice = Choice(("tanh",), fastact.isas()[-1:], again=True, points=2000)
    ((f, slope),) = float64.prove(choice, Progress(disable=True))
    assert record.key(f) == ("tanh", (), "f", "float64", fastact.isas()[-1])
    assert slope["form"] == "d"
    assert 2000 <= f["count"] < 4000
    for result, bound in zip((f, slope), OPS["tanh"].max_ulp["float64"], strict=True):
        assert 0 < result["max_ulp"] <= bound
        assert sum(result[name] for name in ("nan_faults", "sign_faults", "flag_faults")) == 0
