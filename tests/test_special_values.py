"""NaN, infinities, zeros, subnormals, and the floating-point flags that the user sees."""

from functools import cache

import numpy as np
import pytest
from cases import CASES, DEFAULT_CASES, FORMS, Case, assert_same_bits
from mpmath import mp
from oracle import exact, formula, is_fraction
from ulp import split, ulp_error

import fastact

SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0)


@cache
def references(case, dtype, x):
    """f and f' at a few points, each as (nearest float64, what is left)."""
    pairs = [exact(case.op.name, float(v), *case.rounded_params(dtype)) for v in x]
    return [split(values) for values in zip(*pairs, strict=True)]


def assert_within_claims(case, dtype, x):
    """f and f' at a few points, against exact values; NaN where those are."""
    with np.errstate(all="ignore"):
        got = *case.run("forward", x), *case.run("derivative", x)
    claims = case.op.max_ulp[np.dtype(dtype).name]
    for values, (reference, rest), claim in zip(
        got, references(case, dtype, tuple(x)), claims, strict=True
    ):
        assert np.array_equal(np.isnan(values), np.isnan(reference)), (x, values, reference)
        error = ulp_error(values, reference, rest if dtype is np.float64 else 0.0)
        assert np.all(np.isnan(values) | (error <= claim)), (x, values, reference, error)


# Values


def test_nan(case, dtype, isa):
    """NaN in, NaN out, of either sign and any payload, and beside it only outside the domain."""
    x = np.linspace(-3, 3, 67).astype(dtype)
    x[::7] = np.nan
    x[3::7] = -x[::7][: x[3::7].size]
    x.view(f"u{x.itemsize}")[0] += 12345
    for form in FORMS:
        with np.errstate(all="ignore"):
            for output in case.run(form, x):
                assert np.array_equal(np.isnan(output), ~case.inside(x))
    (backward,) = case.run("backward", dtype([0.5] * 3), dtype([1, np.nan, -1]))
    assert np.array_equal(np.isnan(backward), [False, True, False])


def test_limits(case, dtype, isa):
    """At infinity and at the ends of the domain f and f' are their limits."""
    ends = [v for v in (*case.op.domain, -np.inf, np.inf) for _ in range(3)]
    assert_within_claims(case, dtype, np.array(ends, dtype))


def test_zero_keeps_its_sign(default_case, dtype, isa):
    zero = np.array([0.0, -0.0] * 20, dtype)
    value, _ = exact(default_case.op.name, 0, *default_case.rounded_params(dtype))
    if value == 0:
        for form in ("forward", "with_derivative"):
            assert_same_bits(default_case.run(form, zero)[0], zero)
    assert_within_claims(default_case, dtype, zero[:2])


def test_subnormals_are_kept(case, dtype, isa):
    info = np.finfo(dtype)
    multiples = np.array([1, 2, 3, 5, 1000, 2 ** (info.nmant - 1) + 1, 2**info.nmant - 1])
    x = (np.concatenate([multiples, -multiples]) * info.smallest_subnormal).astype(dtype)
    assert np.all(x != 0)
    assert_within_claims(case, dtype, x)


def test_infinite_gradient(default_case, dtype, isa):
    """backward is grad * f'(x) for every grad, so inf * 0 is NaN and says so."""
    x = np.linspace(-3, 3, 41).astype(dtype)
    x = x[default_case.inside(x)]
    with np.errstate(all="ignore"):
        (slope,) = default_case.run("derivative", x)
        for grad in (*SPECIAL, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal):
            (got,) = default_case.run("backward", x, np.full_like(x, grad))
            assert_same_bits(got, dtype(grad) * slope)
    if np.any(slope == 0):
        with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="invalid"):
            default_case.run("backward", x, np.full_like(x, np.inf))


# Flags


@cache
def unflagged(case, dtype):
    """Finite inputs where f and f' are each normal, zero or exact, so that no flag is due."""
    info = np.finfo(dtype)
    rng = np.random.default_rng(11)
    x = np.concatenate(
        [
            np.linspace(-45, 45, 91),
            np.linspace(-9, 9, 73),
            rng.uniform(0, 1, 30),
            rng.uniform(-800, 800, 30),
            np.ldexp(1.0, rng.integers(info.minexp, info.maxexp - 1, 30)) * rng.choice([-1, 1], 30),
            np.array([1, -1, 3, -1000]) * float(info.smallest_subnormal),
            [info.max, -info.max, info.tiny, -info.tiny],
        ]
    ).astype(dtype)
    return np.array([v for v in x[case.inside(x)] if not flag_is_due(case, dtype, v)], dtype)


def flag_is_due(case, dtype, x):
    """Whether f or f' at x is beyond the dtype, or is tiny and its rounding is not exact."""
    info = np.finfo(dtype)
    name, params = case.op.name, case.rounded_params(dtype)
    f, slope = exact(name, float(x), *params)
    if max(abs(f), abs(slope)) > float(info.max):
        return True
    if not is_fraction(name):
        if abs(slope) < 2 * float(info.tiny):
            return True
        with mp.workprec(5000):  # enough to tell x - x^3 / 3 from x for the smallest subnormal
            f = formula(name)(mp.mpf(float(x)), mp.mpf(float(x)), *map(mp.mpf, params))
    return any(abs(v) < 2 * float(info.tiny) and v != float(dtype(float(v))) for v in (f, slope))


@pytest.mark.parametrize("form", FORMS)
def test_no_spurious_flag(case, form, dtype, isa):
    """Ordinary inputs alone, together, strided, in place, and among NaN, infinities and zeros."""
    x = unflagged(case, dtype)
    assert x.size > 40
    special = np.array(SPECIAL, dtype)
    pole = np.isin(special, case.op.domain) & np.isfinite(special)
    special = special[np.isnan(special) | case.inside(special) & ~pole]
    mixed = np.random.default_rng(6).permutation(np.concatenate([x, np.tile(special, 9)]))
    with np.errstate(all="raise"):
        for value in [*x, *special]:
            try:
                case.run(form, value)
            except FloatingPointError as error:
                raise AssertionError(f"{error}, at x = {value!r}") from None
        for array in (x, special, mixed, mixed[::2], mixed[::-1], mixed[:37]):
            case.run(form, array)
            case.run(form, array, np.full(array.shape, -2, dtype))
        array = mixed.copy()
        case.run(form, array, out=(array, np.empty_like(array))[: 1 + (form == "with_derivative")])


@pytest.mark.parametrize("case", [c for c in DEFAULT_CASES if np.inf in c.op.domain], ids=str)
def test_no_flag_beyond_saturation(case, dtype, isa):
    """The largest inputs, where f and f' are finite, raise no flag but underflow."""
    huge = np.array([np.finfo(dtype).max, 1e30, 1e10, 1e4], dtype)
    largest = float(np.finfo(dtype).max)
    for x in [*huge, *-huge]:
        pair = exact(case.op.name, float(x), *case.rounded_params(dtype))
        if all(abs(v) <= largest for v in pair):  # not so of NaN
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                for form in FORMS:
                    case.run(form, x)
                    case.run(form, np.full(37, x))


def assert_raises_among_others(flag, call, x, ordinary):
    """A call with x raises the flag, alone and in the midst of ordinary values."""
    for array in (x, np.array([ordinary] * 40 + [x, ordinary], x.dtype)):
        with np.errstate(all="raise"), pytest.raises(FloatingPointError, match=flag):
            call(array)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "case", [c for c in DEFAULT_CASES if c.op.domain != (-np.inf, np.inf)], ids=str
)
def test_outside_the_domain_is_invalid_and_a_pole_divides(case, form, dtype, isa):
    def call(x):
        return case.run(form, x)

    low, high = case.op.domain
    for end, outwards in ((low, -np.inf), (high, np.inf)):
        if not np.isfinite(end):
            continue
        assert_raises_among_others("invalid", call, np.nextafter(dtype(end), dtype(outwards)), 0.5)
        assert_raises_among_others("invalid", call, dtype(outwards), 0.5)
        f, slope = exact(case.op.name, end)
        if mp.isinf(f if form == "forward" else slope):
            assert_raises_among_others("divide", call, dtype(end), 0.5)


OVERFLOWS = [  # f overflows at x, or at x in units of the largest number if that is below 1
    ("selu", 1.0, ()),
    ("leaky_relu", -0.9, (1.5,)),
    ("leaky_relu", -0.9, (-1.5,)),
    ("exp", 710, ()),
    ("expm1", 710, ()),
]


@pytest.mark.parametrize("form", ["forward", "with_derivative"])
@pytest.mark.parametrize(("name", "x", "params"), OVERFLOWS)
def test_overflow_is_raised_where_due(name, x, params, form, dtype, isa):
    function = getattr(fastact, name if form == "forward" else f"{name}_{form}")
    x = dtype(x) * np.finfo(dtype).max if abs(x) <= 1 else dtype(x)
    assert_raises_among_others("overflow", lambda a: function(a, *params), x, 1.0)
    with np.errstate(all="ignore"):
        f = function(x, *params)
    assert np.isinf(f[0] if form == "with_derivative" else f)


def test_overflow_of_parameters_and_gradients_is_raised(dtype, isa):
    largest = np.finfo(dtype).max
    root, tiny = dtype(np.sqrt(largest)) * 2, np.finfo(dtype).tiny / 8
    with np.errstate(all="raise"):
        with pytest.raises(FloatingPointError, match="overflow"):
            fastact.leaky_relu(np.array([-root], dtype), root)
        with pytest.raises(FloatingPointError, match="overflow"):
            fastact.selu_backward(largest, np.array([1.0], dtype))
        with pytest.raises(FloatingPointError, match="overflow"):
            fastact.softplus(np.array([0.0], dtype), dtype(tiny))


@pytest.mark.parametrize(
    ("name", "x", "exponent"),
    [
        ("leaky_relu", [-1.0, -0.5, 2.0], 0.99),
        ("leaky_relu", [-1.0, -2.0, 2.0], -0.95),
        ("elu", [-1.0, -0.5, -30.0, 2.0], 0.99),
        ("elu", [-1.0, -0.5, 2.0], -0.95),
        ("celu", [-1.0, -0.5, -30.0, 2.0], 0.99),
        ("celu", [-1.0, -0.5, 2.0], -0.95),
        ("softplus", [-2.0, 0.0, 1.0, 3.0], -0.95),
        ("softplus", [0.0, 1.0, 3.0], 0.95),
        ("swish", [-2.0, 0.0, 1.0, 3.0], -0.95),
        ("swish", [0.0, 1.0, 3.0], 0.95),
        ("squareplus", [-1.0, 0.0, 1.0], 0.95),
        ("squareplus", [0.5, 1.0, 7.0], -0.95),
        ("hardshrink", [-1.0, 0.0, 1.0], 0.95),
        ("softshrink", [-1.0, 1.0, 7.0], -0.95),
    ],
)
def test_extreme_parameters(name, x, exponent, dtype, isa):
    """A parameter near either end of the range is used as it is; nothing on the way overflows."""
    parameter = float(dtype(2.0 ** (exponent * np.finfo(dtype).maxexp)))
    case = Case(next(c.op for c in CASES if c.op.name == name), (parameter,))
    x = np.array(x, dtype)
    with np.errstate(all="raise", under="ignore"):
        for form in FORMS:
            case.run(form, x)
    assert_within_claims(case, dtype, x)
