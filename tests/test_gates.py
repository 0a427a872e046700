"""Gates x * act(gate) with their two gradients, and gradients of parameters that are learned.

How arrays may lie in memory is tested with all other functions, in test_layout.py.
"""

import math
from functools import cache

import numpy as np
import pytest
from cases import assert_same_bits, sample
from mpmath import mp
from oracle import OPS, exact, value
from ulp import ROOT_SCALE, near_roots, split, ulp_error

import fastact
from prove.parameters import PARAMETERS

GATES = fastact.ops("gate")
GRADIENTS = fastact.ops("parameter_gradient")


@pytest.fixture(params=GATES, ids=lambda op: op.name)
def gate(request):
    """Every gate."""
    return request.param


def activation(gate):
    """The activation of a gate."""
    return OPS[gate.formula.removeprefix("x * ").removesuffix("(gate)")]


# Gates


@pytest.mark.parametrize("size", [1, 37, 5000])
def test_products_are_those_of_the_activation(gate, dtype, isa, size):
    """Bit for bit, whatever the values: f = x * act(gate), dx = grad * act(gate)."""
    grad, x, g = (sample(dtype, size, seed) for seed in range(3))
    with np.errstate(all="ignore"):
        act = activation(gate).functions["forward"](g)
        assert_same_bits(gate.functions["forward"](x, g), x * act)
        dx, dgate = gate.functions["backward"](grad, x, g)
        assert_same_bits(dx, grad * act)
        slope = activation(gate).functions["derivative"](g)
        factors = np.stack([grad, x, slope])
        undefined = np.isinf(factors).any(axis=0) & (factors == 0).any(axis=0)
        assert_same_bits(np.isnan(dgate), np.isnan(factors).any(axis=0) | undefined)


def ulp(number, dtype):
    """The unit in the last place of a number, as mpmath's."""
    smallest = mp.mpf(float(np.finfo(dtype).smallest_subnormal))
    return max(mp.ldexp(1, int(mp.mag(number or smallest)) - np.finfo(dtype).nmant - 1), smallest)


@cache
def gradient_reference(act, dtype):
    """grad, x and gate; the exact grad * x * act'(gate); what its error may be, in ULPs of it.

    The error is that of act', which the table bounds, and 1.5 ULPs of two products.
    """
    rng = np.random.default_rng(4)
    reach, size = 0.7 * np.finfo(dtype).maxexp, 500

    def factor():
        scales = np.ldexp(rng.uniform(-2, -1, size), rng.integers(-reach, reach, size))
        return np.concatenate([rng.normal(size=size), scales]).astype(dtype)

    grad, x = factor(), factor()
    g = np.concatenate([rng.normal(0, 3, size), rng.uniform(-0.6 * reach, 12, size)]).astype(dtype)
    claim = OPS[act].max_ulp[np.dtype(dtype).name][1]
    wanted, allowed = [], []
    for a, b, v, near in zip(grad, x, g, near_roots(g, OPS[act].roots), strict=True):
        _, slope = exact(act, float(v))
        with mp.workprec(200):
            product = mp.mpf(float(a)) * float(b) * slope
            of_slope = claim * ulp(max(abs(slope), ROOT_SCALE if near else 0), dtype)
            wanted.append(product)
            allowed.append(float(abs(mp.mpf(float(a)) * float(b)) * of_slope / ulp(product, dtype)))
    return grad, x, g, *split(wanted), np.array(allowed) + 1.5


def test_gradient_of_the_gate(gate, dtype, isa):
    """grad * x * act'(gate), whatever the sizes of the factors."""
    grad, x, g, reference, rest, allowed = gradient_reference(activation(gate).name, dtype)
    with np.errstate(over="ignore", under="ignore"):
        _, dgate = gate.functions["backward"](grad, x, g)
    error = ulp_error(dgate, reference, rest if dtype is np.float64 else 0.0)
    wrong = np.flatnonzero(~(error <= allowed))
    assert not wrong.size, [a[wrong[:3]] for a in (grad, x, g, dgate, reference, error, allowed)]


def test_gradients_are_the_derivatives(gate):
    """Both against finite differences of the function itself."""
    rng = np.random.default_rng(5)
    grad, x, g = rng.normal(size=(3, 200))
    g += np.sign(g) * 0.1  # off the kink of relu
    f, (dx, dgate) = gate.functions["forward"], gate.functions["backward"](grad, x, g)
    h = 1e-6
    np.testing.assert_allclose(dx, grad * (f(x + h, g) - f(x - h, g)) / (2 * h), rtol=1e-7)
    numeric = grad * (f(x, g + h) - f(x, g - h)) / (2 * h)
    np.testing.assert_allclose(dgate, numeric, rtol=1e-6, atol=1e-8)


def test_gate_flags(gate, dtype, isa):
    """None for ordinary values, infinities and NaN; overflow where a product overflows."""
    forward, backward = gate.functions["forward"], gate.functions["backward"]
    g = np.linspace(-6, 6, 61).astype(dtype)
    x, grad = g[::-1].copy(), np.linspace(1, 2, 61).astype(dtype)
    largest = np.finfo(dtype).max
    with np.errstate(all="raise"):
        for values in (g, x, dtype(2.5), np.full(61, np.nan, dtype)):
            forward(values, g)
            backward(grad, values, g)
            backward(values, x, g)
        forward(np.full(3, np.inf, dtype), np.ones(3, dtype))
        for call in (
            lambda: forward(np.full(3, -largest), np.full(3, 9, dtype) ** 2),
            lambda: backward(np.full(3, largest), np.full(3, 2, dtype), np.full(3, 9, dtype)),
        ):
            if gate.name == "glu":  # its gate is below 1
                continue
            with pytest.raises(FloatingPointError, match="overflow"):
                call()


# Gradients of parameters


@pytest.fixture(params=GRADIENTS, ids=lambda op: op.name)
def gradient(request):
    """Every gradient of a parameter."""
    return request.param


def product(gradient):
    """grad * df/dparameter of each element."""
    return gradient.functions["backward"].ufunc


@cache
def slopes_reference(name, dtype):
    """x, parameters and exact df/dparameter, each set of parameters in turn."""
    rng = np.random.default_rng(6)
    reach = np.finfo(dtype).maxexp // 2 - 2  # x^2 stays finite
    x = np.concatenate(
        [
            rng.normal(0, 4, 200),
            rng.uniform(-0.7 * reach, 20, 60),
            np.ldexp(rng.uniform(1, 2, 60), rng.integers(-reach, reach, 60)),
            -np.ldexp(rng.uniform(1, 2, 60), rng.integers(-reach, reach, 60)),
        ]
    ).astype(dtype)
    (default,) = (p.default for p in OPS[name].parameters)
    others = [p for (p,) in PARAMETERS[name.removesuffix("_parameter")] if p]
    made = []
    for parameter in map(dtype, (default, *others)):
        wanted = [value(name, float(v), float(parameter)) for v in x]
        made.append((parameter, *split(wanted)))
    return x, made


def test_slope_by_the_parameter(gradient, dtype, isa):
    """df/dparameter within the table's bound, of its sign, for each parameter set."""
    x, made = slopes_reference(gradient.name, dtype)
    claim = gradient.max_ulp[np.dtype(dtype).name][0]
    for parameter, reference, rest in made:
        with np.errstate(under="ignore", over="ignore"):
            got = product(gradient)(dtype(1), x, parameter)
        error = ulp_error(got, reference, rest if dtype is np.float64 else 0.0)
        worst = np.argmax(np.nan_to_num(error, nan=np.inf))
        assert error[worst] <= claim, (error[worst], x[worst], parameter, got[worst])
        signed = (reference != 0) & (np.signbit(got) != np.signbit(reference))
        assert not signed.any(), (x[signed], parameter)


def test_product_with_the_gradient(gradient, dtype, isa):
    """One rounding more, whatever the values."""
    grad, x = sample(dtype, 4000, 1), sample(dtype, 4000, 2)
    with np.errstate(all="ignore"):
        slope = product(gradient)(dtype(1), x, dtype(0.75))
        assert_same_bits(product(gradient)(grad, x, dtype(0.75)), grad * slope)
        assert np.array_equal(np.isnan(slope), np.isnan(x))


SHAPES = {  # of x and of the parameter
    "scalar": ((6, 40), ()),
    "one": ((6, 40), (1,)),
    "channels": ((6, 40), (40,)),
    "rows": ((6, 40), (6, 1)),
    "elements": ((6, 40), (6, 40)),
    "NCHW": ((3, 4, 5, 6), (4, 1, 1)),
    "mixed": ((3, 4, 5, 6), (1, 4, 1, 6)),
    "parameter is larger": ((5,), (7, 1)),
    "empty": ((0, 4), (4,)),
    "no axes": ((), ()),
}


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_sum_over_broadcast_axes(gradient, dtype, shapes):
    """For each element of the parameter the sum of all that it took part in, rounded once."""
    rng = np.random.default_rng(7)
    x_shape, shape = shapes
    grad, x = rng.normal(size=(2, *x_shape)).astype(dtype)
    parameter = rng.uniform(0.5, 2, shape).astype(dtype)
    got = np.asarray(gradient.functions["backward"](grad, x, parameter))
    assert got.shape == shape
    assert got.dtype == dtype
    each = product(gradient)(grad, x, parameter).astype(np.float64)
    index = np.broadcast_to(np.arange(parameter.size).reshape(shape), each.shape)
    for k, total in enumerate(got.ravel()):
        terms = each[index == k]
        error = abs(float(total) - math.fsum(terms))
        in_float64 = len(terms) * np.finfo(np.float64).eps * np.sum(np.abs(terms))
        assert error <= np.spacing(abs(total)) / 2 + in_float64


def test_sums_are_accumulated_in_float64():
    """A float32 sum of these is off by all of the ones."""
    grad = np.ones(100_001, np.float32)
    grad[0], grad[-1] = 1e9, -1e9
    x = np.full_like(grad, -1)
    assert fastact.leaky_relu_parameter_backward(grad, x) == -(grad.size - 2)


def test_gradient_is_the_derivative_of_the_loss(gradient):
    """PReLU and its kin on NCHW, a parameter a channel: against finite differences."""
    rng = np.random.default_rng(8)
    grad, x = rng.normal(size=(2, 3, 4, 5, 6))
    parameter, h = rng.uniform(0.5, 2, (4, 1, 1)), 1e-6
    f = getattr(fastact, gradient.name.removesuffix("_parameter"))

    def loss(parameter):
        return np.sum(grad * f(x, parameter), axis=(0, 2, 3), keepdims=True)[0]

    numeric = (loss(parameter + h) - loss(parameter - h)) / (2 * h)
    got = gradient.functions["backward"](grad, x, parameter)
    np.testing.assert_allclose(got, numeric, rtol=1e-6, atol=1e-8)


def test_gradient_takes_what_ufuncs_take(gradient):
    """Numbers, lists and integers, a gradient for all, any strides; no shapes that do not fit."""
    backward = gradient.functions["backward"]
    x = np.linspace(-3, 3, 60).reshape(6, 10)
    wanted = backward(np.ones_like(x), x, 0.5)
    assert type(wanted) is np.float64
    assert backward(1.0, x, 0.5) == wanted
    assert backward(1, x.tolist(), 0.5) == wanted
    np.testing.assert_allclose(backward(1.0, x.T[::-1], 0.5), wanted, rtol=1e-13)
    assert backward(np.int64(1), 1, 0.5).dtype == np.float64
    with pytest.raises(ValueError, match="broadcast"):
        backward(np.ones(3), np.ones(4), 0.5)
    with pytest.raises(TypeError):
        backward(np.ones(3, complex), np.ones(3), 0.5)


@pytest.mark.parametrize("argument", ["out", "where"])
def test_sum_takes_no_out_or_where(gradient, argument):
    x = np.ones(3, np.float32)
    with pytest.raises(TypeError, match=argument):
        gradient.functions["backward"](x, x, **{argument: np.ones(3, bool)})
