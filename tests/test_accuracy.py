"""Float64 against exact values, and the forms against each other, on every instruction set.

Float32 is proved by trying every bit pattern (the package prove, test_prove.py).
"""

import numpy as np
import pytest
from cases import BARS, assert_same_bits
from oracle import exact, kinks, value
from ulp import near_roots, split, ulp_error

import fastact


def hard_points(case):
    """Where kernels break: kinks, roots, ends, saturation, underflow, seams of range reductions."""
    ln2 = np.log(2)
    seams = np.concatenate([np.arange(-9, 10), [-150, -127, -126, 127, 128, -1074, -1022, 1023]])
    edges = np.array(
        [
            *(-745.13321910194122, -708.39641853226408, 709.782712893384),  # exp
            *(372.6, 354.2, 22.2, 19.06, 18.0),  # tanh: f' underflows, f is 1
            *(-38.6, -38.4, -37.5, 8.3, 26.5, 27.2, 5.9),  # gelu, erfc, erf
            *(-21.8, -21.5, -21.0),  # gelu_tanh
            *(36.7, -36.7, 37.4),  # 1 + exp(-x) is 1
            *(0.35, -0.35, 0.5, 0.55, 1.0, 1.4, 2.0, 3.0, 4.0, -20.0, -5.6, 2**-27.0, 2**53.0),
        ]
    )
    points = np.concatenate([seams * ln2 / 2, seams * ln2, edges, -edges, [0.0], case.roots])
    places = [float(place) for place, _ in kinks(case.op.name, *case.params)]
    ends = [end for end in case.op.domain if np.isfinite(end)]
    scaled = [points / p for p in case.params[:1] if p]
    return np.concatenate([points, *scaled, places, ends])


def neighbours(points, steps):
    """Each point with the numbers `steps` places after it, places counted in bit patterns."""
    start = np.asarray(points, np.float64).view(np.uint64)
    with np.errstate(over="ignore"):
        return (start[:, None] + np.asarray(steps).astype(np.uint64)).view(np.float64).ravel()


def points(case):
    """Bit patterns, every scale and hard neighbourhoods; fewer of further parameter sets."""
    rng = np.random.default_rng(64)
    default = case.params == tuple(p.default for p in case.op.parameters)
    size = 300 if default else 100
    x = np.concatenate(
        [
            rng.integers(0, 2**64, size, dtype=np.uint64).view(np.float64),
            rng.choice([-1, 1], 2 * size) * np.exp2(rng.uniform(-60, 10, 2 * size)),
            rng.normal(0, 4, 3 * size),
            rng.uniform(-40, 10, size),
            rng.uniform(-750, 50, size),
            rng.uniform(0, 1, size),
            neighbours(hard_points(case), [-1, 0, 1, 2**20, 2**40] if default else [-1, 0, 1]),
        ]
    )
    return np.unique(x[np.isfinite(x) & case.inside(x)])


def test_float64(case):
    """f and f' within the table's bounds and of the exact sign, on each instruction set."""
    x = points(case)
    values = zip(*(exact(case.op.name, v, *case.params) for v in x), strict=True)
    references = [split(numbers) for numbers in values]
    coarse = near_roots(x, case.roots)
    for isa in fastact.isas():  # in here, since the references are what takes the time
        with fastact.isa(isa), np.errstate(all="ignore"):
            got = *case.run("forward", x), *case.run("derivative", x)
            assert fastact.last_isa() == isa
        for y, (reference, rest), mask, claim, bar in zip(
            got,
            references,
            (np.zeros_like(coarse), coarse),
            case.op.max_ulp["float64"],
            BARS,
            strict=True,
        ):
            error = ulp_error(y, reference, rest, mask)
            worst = np.argmax(np.nan_to_num(error, nan=np.inf))
            assert error[worst] <= claim <= bar, (
                f"{isa}: {error[worst]:.4g} ULP at x = {x[worst]!r}: {y[worst]!r}, "
                f"not {reference[worst]!r}"
            )
            signed = (reference != 0) & ~mask  # also a result that underflows to zero
            wrong_sign = signed & (np.signbit(y) != np.signbit(reference))
            assert not wrong_sign.any(), (isa, x[wrong_sign][:5], y[wrong_sign][:5])


@pytest.fixture(scope="module", params=[np.float32, np.float64], ids=["float32", "float64"])
def patterns(request):
    """Bit patterns spread evenly over the dtype: every exponent, signs, subnormals, NaNs."""
    bits = np.dtype(request.param).itemsize * 8
    return np.arange(1234, 2**bits, 2**bits // 70_000 | 1, dtype=f"u{bits // 8}").view(
        request.param
    )


def test_forms_agree(case, patterns, isa):
    """backward is grad times derivative, with_derivative both, bit for bit."""
    x = patterns
    grad = np.random.default_rng(3).normal(size=x.size).astype(x.dtype)
    with np.errstate(all="ignore"):
        (f,), (slope,) = case.run("forward", x), case.run("derivative", x)
        assert_same_bits(case.run("backward", x, grad)[0], grad * slope)
        both = case.run("with_derivative", x)
    assert_same_bits(both[0], f)
    assert_same_bits(both[1], slope)


@pytest.mark.parametrize("op", fastact.ops("from_output"), ids=lambda op: op.name)
def test_from_output(op, dtype, isa):
    """Every scale of y, also outside the range of the activation; backward is grad times it."""
    rng = np.random.default_rng(5)
    y = np.concatenate([rng.uniform(-1, 1, 4000), 1 - np.exp2(rng.uniform(-60, 0, 2000))])
    y = np.concatenate([y, np.exp2(rng.uniform(-300, 60, 2000)), -y]).astype(dtype)
    reference, rest = split([value(op.name, float(v)) for v in y])
    rest = rest if dtype is np.float64 else 0.0
    got = op.functions["forward"](y)
    grad = rng.normal(size=y.size).astype(dtype)
    with np.errstate(all="ignore"):
        assert_same_bits(op.functions["backward"](grad, y), grad * got)
    error = ulp_error(got, reference, rest)
    worst = np.argmax(error)
    claim, _ = op.max_ulp[np.dtype(dtype).name]
    assert error[worst] <= claim <= BARS[0], (error[worst], y[worst], got[worst], reference[worst])
