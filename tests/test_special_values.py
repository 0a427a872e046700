"""NaN, infinities, zeros, subnormals, and the floating-point flags that the user sees."""

from functools import cache

import numpy as np
import pytest
from cases import CASES, FORMS, assert_same_bits
from mpmath import mp
from oracle import ORACLES, exact, limit
from ulp import split, ulp_error

SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0)


def claims(case, dtype):
    return case.op.max_ulp[np.dtype(dtype).name]


def assert_within_claims(case, dtype, x):
    """f and f' at a few points, against exact values."""
    with np.errstate(all="ignore"):
        got = *case.run("forward", x), *case.run("derivative", x)
    pairs = [exact(case.op.name, float(v), *case.rounded_params(dtype)) for v in x]
    for values, wanted, claim in zip(
        got, zip(*pairs, strict=True), claims(case, dtype), strict=True
    ):
        reference, rest = split(wanted)
        error = ulp_error(values, reference, rest if dtype is np.float64 else 0.0)
        assert np.all(error <= claim), (x, values, reference, error)


# Values


def test_nan(case, dtype, isa):
    """NaN in, NaN out, of either sign and any payload, and only there."""
    x = np.linspace(-3, 3, 67).astype(dtype)
    x[::7] = np.nan
    x[3::7] = -x[::7][: x[3::7].size]
    x.view(f"u{x.itemsize}")[0] += 12345
    for form in FORMS:
        for output in case.run(form, x):
            assert np.array_equal(np.isnan(output), np.isnan(x))
    (backward,) = case.run("backward", np.ones(3, dtype), np.array([1, np.nan, -1], dtype))
    assert np.array_equal(np.isnan(backward), [False, True, False])


@pytest.mark.parametrize("sign", [-1, 1])
def test_infinity_gives_the_limit(case, dtype, isa, sign):
    x = np.full(3, sign * np.inf, dtype)
    got = *case.run("forward", x), *case.run("derivative", x)
    wanted = limit(case.op.name, sign, *case.rounded_params(dtype))
    for values, reference, claim in zip(got, wanted, claims(case, dtype), strict=True):
        assert np.isfinite(values).all() == np.isfinite(reference)
        assert np.all(ulp_error(values, reference) <= claim), (values, reference)


def test_zero_keeps_its_sign(default_case, dtype, isa):
    zero = np.array([0.0, -0.0] * 20, dtype)
    value, _ = exact(default_case.op.name, 0, *default_case.rounded_params(dtype))
    if value == 0:
        for form in ("forward", "with_derivative"):
            assert_same_bits(default_case.run(form, zero)[0], zero)
    assert_within_claims(default_case, dtype, zero[:2])


def test_subnormal_inputs_are_kept(case, dtype, isa):
    info = np.finfo(dtype)
    multiples = np.array([1, 2, 3, 5, 1000, 2 ** (info.nmant - 1) + 1, 2**info.nmant - 1])
    x = (np.concatenate([multiples, -multiples]) * info.smallest_subnormal).astype(dtype)
    assert np.all(x != 0)
    assert_within_claims(case, dtype, x)
    f = case.run("forward", x)[0]
    _, slope = exact(case.op.name, 0, *case.rounded_params(dtype))
    if slope == 1 and case.op.name in ("tanh", "elu"):  # f(x) rounds to x itself
        assert_same_bits(f, x)
    elif case.op.name in ("relu", "leaky_relu", "elu"):
        assert_same_bits(f[x > 0], x[x > 0])


def test_subnormal_results_are_kept(case, dtype, isa):
    """In the tails results fade through every subnormal, none flushed to zero."""
    info = np.finfo(dtype)
    x, f, slope = tail(case, dtype)
    with np.errstate(all="ignore"):
        got = *case.run("forward", x), *case.run("derivative", x)
    for values, wanted in zip(got, (f, slope), strict=True):
        fading = (np.abs(wanted) < info.tiny) & (np.abs(wanted) > 5 * info.smallest_subnormal)
        assert np.all(values[fading] != 0)


@cache
def tail(case, dtype):
    """Points of both tails with f and f' as float64."""
    reach = 110 if dtype is np.float32 else 760
    x = np.linspace(-reach, reach, 353).astype(dtype)
    x = np.concatenate([x, np.linspace(-40, -12, 57).astype(dtype)])
    pairs = [exact(case.op.name, float(v), *case.rounded_params(dtype)) for v in x]
    return x, *(np.array([float(v) for v in values]) for values in zip(*pairs, strict=True))


def test_infinite_gradient(case, dtype, isa):
    """backward is grad * f'(x) for every grad, so inf * 0 is NaN and says so."""
    x = np.linspace(-3, 3, 41).astype(dtype)
    (slope,) = case.run("derivative", x)
    with np.errstate(all="ignore"):
        for grad in (*SPECIAL, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal):
            (got,) = case.run("backward", x, np.full(41, grad, dtype))
            assert_same_bits(got, dtype(grad) * slope)
    if np.any(slope == 0):
        with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="invalid"):
            case.run("backward", x, np.full(41, np.inf, dtype))


# Flags


@cache
def unflagged(case, dtype):
    """Finite inputs where f and f' are each normal, zero or exact, so that no flag is due."""
    info = np.finfo(dtype)
    rng = np.random.default_rng(11)
    x = np.concatenate(
        [
            np.linspace(-45, 45, 181),
            rng.uniform(-800, 800, 60),
            np.ldexp(1.0, rng.integers(info.minexp, info.maxexp - 1, 60)) * rng.choice([-1, 1], 60),
            np.array([1, -1, 3, -1000]) * float(info.smallest_subnormal),
            [info.max, -info.max, info.tiny, -info.tiny],
        ]
    ).astype(dtype)
    return np.array([v for v in x if not flag_is_due(case, dtype, v)], dtype)


def flag_is_due(case, dtype, x):
    """Whether f or f' at x overflows, or is tiny and not exact, so that its rounding is flagged."""
    info = np.finfo(dtype)
    name, params = case.op.name, [mp.mpf(p) for p in case.rounded_params(dtype)]
    values = exact(name, float(x), *params)
    if any(abs(v) > float(info.max) for v in values):
        return True
    if abs(values[1]) < 2 * float(info.tiny) and values != (0, 0):  # relu's zeros are exact
        return True
    if abs(values[0]) < 2 * float(info.tiny):
        with mp.workprec(5000):  # enough to tell x - x^3 / 3 from x for the smallest subnormal
            f = ORACLES[name].branch(mp.mpf(float(x)), *params)(mp.mpf(float(x)))
            return f != mp.mpf(float(dtype(float(f))))
    return False


@pytest.mark.parametrize("form", FORMS)
def test_no_spurious_flag(case, form, dtype, isa):
    """Ordinary inputs alone, together, strided, in place, and among NaN, infinities and zeros."""
    x = unflagged(case, dtype)
    assert x.size > 150
    special = np.array(SPECIAL, dtype)
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


def test_no_flag_beyond_saturation(default_case, dtype, isa):
    """Where f is its asymptote the largest inputs raise neither overflow nor invalid nor divide."""
    huge = np.array([np.finfo(dtype).max, 1e30, 1e10, 1e4], dtype)
    x = np.concatenate([huge, -huge])
    if default_case.op.name == "selu":  # scale * max does overflow
        x = x[1:]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for form in FORMS:
            default_case.run(form, x)
            default_case.run(form, x[:1])


OVERFLOWS = [  # name, x and parameters in units of the largest number, whose f overflows
    ("selu", 1.0, ()),
    ("leaky_relu", -0.9, (1.5,)),
    ("leaky_relu", -0.9, (-1.5,)),
]


@pytest.mark.parametrize("form", ["forward", "with_derivative"])
@pytest.mark.parametrize(("name", "scale", "params"), OVERFLOWS)
def test_overflow_is_raised_where_due(name, scale, params, form, dtype, isa):
    case = next(c for c in CASES if c.op.name == name)
    function = case.op.functions[form]
    largest = np.finfo(dtype).max
    for x in (dtype(scale) * largest, np.array([1.0] * 40 + [scale * largest, 1.0], dtype)):
        with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="overflow"):
            function(x, *params)
        with np.errstate(all="ignore"):
            f = function(x, *params)
        f = f[0] if form == "with_derivative" else f
        assert np.isinf(f).any()


def test_overflow_of_parameters_and_gradients_is_raised(dtype, isa):
    largest = np.finfo(dtype).max
    functions = {case.op.name: case.op.functions for case in CASES}
    root, tiny = dtype(np.sqrt(largest)) * 2, np.finfo(dtype).tiny / 8
    with np.errstate(all="raise"):
        with pytest.raises(FloatingPointError, match="overflow"):
            functions["leaky_relu"]["forward"](np.array([-root], dtype), root)
        with pytest.raises(FloatingPointError, match="overflow"):
            functions["selu"]["backward"](largest, np.array([1.0], dtype))
        with pytest.raises(FloatingPointError, match="overflow"):
            functions["softplus"]["forward"](np.array([0.0], dtype), dtype(tiny))


@pytest.mark.parametrize(
    ("name", "x", "exponent"),
    [
        ("leaky_relu", [-1.0, -0.5, 2.0], 0.99),
        ("leaky_relu", [-1.0, -2.0, 2.0], -0.95),
        ("elu", [-1.0, -0.5, -30.0, 2.0], 0.99),
        ("elu", [-1.0, -0.5, 2.0], -0.95),
        ("softplus", [-2.0, 0.0, 1.0, 3.0], -0.95),
        ("softplus", [0.0, 1.0, 3.0], 0.95),
    ],
)
def test_extreme_parameters(name, x, exponent, dtype, isa):
    """A parameter near either end of the range is used as it is; nothing on the way overflows."""
    case = next(c for c in CASES if c.op.name == name)
    parameter = float(dtype(2.0 ** (exponent * np.finfo(dtype).maxexp)))
    case = type(case)(case.op, (parameter,))
    x = np.array(x, dtype)
    with np.errstate(all="raise", under="ignore"):
        for form in FORMS:
            case.run(form, x)
    assert_within_claims(case, dtype, x)
