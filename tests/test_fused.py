"""Fused passes: the bits of their steps, sums that hold, and every way to say which activation."""

import math
from functools import partial

import numpy as np
import pytest
from cases import CASES, assert_all_same_bits, assert_same_bits, sample

import fastact

# Shapes and the axis of the channels: one block and many, tiles, whole rows in a chunk and parts of
# a row, a vector and a lane more or less.
LAYOUTS = [
    ((0, 5), -1),
    ((4, 0), -1),
    ((3, 0, 2), 0),
    ((1, 1), -1),
    ((7,), 0),
    ((1, 5), -1),
    ((5000, 1), -1),
    ((301, 17), -1),
    ((40, 512), -1),
    ((3, 1025), -1),
    ((2, 20_001), -1),
    ((3, 4, 9), -1),
    ((5, 6, 7, 7), 1),
    ((2, 3, 67, 67), 1),
    ((2, 300, 7, 5), 1),
    ((3, 2, 9001), 1),
    ((2, 3, 20_001), 0),
]


def activation_of(case):
    """A case as an argument of a fused pass."""
    names = [p.name for p in case.op.parameters]
    function = case.op.functions["forward"]
    if not names:
        return function
    return partial(function, **dict(zip(names, case.params, strict=True)))


def along(bias, x, axis):
    """The bias as NumPy broadcasts it against x."""
    return np.expand_dims(bias, tuple(a for a in range(x.ndim) if a != axis % x.ndim))


def operands(shape, axis, dtype, values=sample):
    """grad, x and bias."""
    size = math.prod(shape)
    grad, x = (values(dtype, size, seed).reshape(shape) for seed in (0, 1))
    return grad, x, values(dtype, shape[axis], 2)


def normal(dtype, size, seed):
    return np.random.default_rng(seed).normal(0, 2, size).astype(dtype)


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_forward_and_backward_are_their_steps(shape, axis, dtype, isa):
    grad, x, bias = operands(shape, axis, dtype)
    fastact.relu(dtype(1))  # for `isa`: an empty array runs no kernel
    with np.errstate(all="ignore"):
        z = x + along(bias, x, axis)
        wanted, wanted_dx = fastact.gelu(z), fastact.gelu_backward(grad, z)
    for lay in (np.ascontiguousarray, np.asfortranarray, lambda a: np.repeat(a, 2, -1)[..., ::2]):
        with np.errstate(all="raise"):
            y = fastact.bias_activation(lay(x), bias, "gelu", axis=axis)
            dx, _ = fastact.bias_activation_backward(lay(grad), lay(x), bias, "gelu", axis=axis)
        assert_same_bits(y, wanted)
        assert_same_bits(dx, wanted_dx)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_activation(case, dtype, isa):
    """Special values included, and no warning, whatever x + bias and f do."""
    grad, x, bias = operands((61, 35), -1, dtype)
    activation = activation_of(case)
    with np.errstate(all="raise"):
        y = fastact.bias_activation(x, bias, activation)
        dx, _ = fastact.bias_activation_backward(grad, x, bias, activation)
    with np.errstate(all="ignore"):
        wanted, wanted_dx = case.run("forward", x + bias), case.run("backward", x + bias, grad)
    assert_all_same_bits((y, dx), (*wanted, *wanted_dx))


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_bias_gradient_is_the_sum(shape, axis, dtype, isa):
    """Against the exact sum of dx, which is checked above."""
    grad, x, bias = operands(shape, axis, dtype, normal)
    fastact.relu(dtype(1))
    for lay in (np.ascontiguousarray, np.asfortranarray):
        dx, dbias = fastact.bias_activation_backward(lay(grad), lay(x), bias, "silu", axis=axis)
        assert dbias.shape == bias.shape and dbias.dtype == dtype
        channels = np.moveaxis(dx, axis, 0).astype(np.float64)
        for got, terms in zip(dbias[:50], map(np.ravel, channels[:50]), strict=True):
            exact, size = math.fsum(terms), math.fsum(abs(terms))
            rounding = np.finfo(dtype).eps / 2 * abs(exact)
            assert abs(float(got) - exact) <= rounding + 8 * 2.0**-53 * size


def test_a_million_ill_conditioned_terms(dtype, isa):
    """Mean 1e4, spread 1, a constant slope: the sum is that of a million large numbers."""
    grad = np.random.default_rng(0).normal(1e4, 1, (1_000_000, 1)).astype(dtype)
    _, dbias = fastact.bias_activation_backward(grad, np.ones_like(grad), [0.5], "relu")
    exact = math.fsum(grad[:, 0].astype(np.float64))
    assert abs(float(dbias[0]) - exact) <= np.finfo(dtype).eps * exact


def test_terms_that_cancel(isa):
    """float64 keeps what each addition rounds away."""
    grad = np.array([[1e16], [1.0], [-1e16], [1.0]] * 300)
    _, dbias = fastact.bias_activation_backward(grad, np.ones_like(grad), [0.0], None)
    assert dbias[0] == 600


def test_infinities_and_nan_stay_in_their_channel(dtype, isa):
    grad = np.ones((9, 4), dtype)
    grad[2, 1], grad[3, 2], grad[5, 3], grad[6, 3] = np.nan, np.inf, np.inf, -np.inf
    _, dbias = fastact.bias_activation_backward(grad, np.ones_like(grad), np.zeros(4), "identity")
    np.testing.assert_array_equal(dbias, [9, np.nan, np.inf, np.nan])


def test_flags_are_left_as_they_were(dtype, isa):
    """An overflow here is not what the next ufunc reports, and gives no warning."""
    x = np.full((3, 5), np.finfo(dtype).max)
    with np.errstate(all="raise"):
        assert np.isinf(fastact.bias_activation(x, x[0], "exp")).all()
        assert np.isinf(fastact.bias_activation_backward(x, x, x[0], "exp")[1]).all()
        fastact.batch_norm(sample(dtype, 60, 3).reshape(12, 5), activation="exp")
        fastact.relu(np.ones(3, dtype))


@pytest.mark.parametrize("order", ["C", "F"])
def test_out(order, dtype, isa):
    _, x, bias = operands((30, 18), -1, dtype)
    x = np.asarray(x, order=order)
    wanted = fastact.bias_activation(x, bias, "mish")
    wide, memory = np.full((30, 36), 7, dtype), np.zeros((31, 18), dtype)
    for out, given in (
        (np.empty_like(x), x),
        (np.empty((18, 30), dtype).T, x),
        (wide[:, ::2], x),
        ((z := x.copy()), z),
        ((z := x.copy(order="K"))[::-1], z),
        (memory[1:], memory[:-1]),
    ):
        given[...] = x
        assert fastact.bias_activation(given, bias, "mish", out) is out
        assert_same_bits(out, wanted)
    assert (wide[:, 1::2] == 7).all()
    out = x.copy()
    fastact.bias_activation(x, out[0], "mish", out=out)
    assert_same_bits(out, fastact.bias_activation(x, x[0].copy(), "mish"))


def test_results_lie_as_x_does():
    x = np.asfortranarray(np.ones((6, 4)))
    assert fastact.bias_activation(x, np.ones(4), "relu").flags.f_contiguous
    assert fastact.bias_activation_backward(x, x, np.ones(4), "relu")[0].flags.f_contiguous


def test_dtypes():
    for given, wanted in ((np.int64, np.float64), (np.int16, np.float32), (bool, np.float32)):
        y = fastact.bias_activation(np.array([[0], [1]], given), [1], "relu")
        assert y.dtype == wanted and y.tolist() == [[1], [2]]
    x = np.ones((2, 3), np.float32)
    assert fastact.bias_activation(x, np.ones(3), "relu").dtype == np.float32
    dx, dbias = fastact.bias_activation_backward(np.ones((2, 3)), x, np.ones(3), "relu")
    assert dx.dtype == dbias.dtype == np.float32
    swapped = x.astype(x.dtype.newbyteorder("S"))
    assert_same_bits(fastact.bias_activation(swapped, x[0], "relu"), x + x[0])
    for dtype in (np.float16, np.complex64, object):
        with pytest.raises(TypeError, match="x must be of float32 or float64"):
            fastact.bias_activation(np.zeros((2, 2), dtype), [0, 0], "relu")


# How an activation is named


def test_ways_to_name_an_activation():
    x, bias = np.linspace(-3, 3, 12).reshape(4, 3), np.array([0.1, 0, -0.1])

    def apply(activation):
        return fastact.bias_activation(x, bias, activation)

    z = x + bias
    assert_same_bits(apply("relu"), fastact.relu(z))
    assert_same_bits(apply(fastact.relu), fastact.relu(z))
    assert_same_bits(apply("expit"), fastact.sigmoid(z))
    assert_same_bits(apply(fastact.expit), fastact.sigmoid(z))
    assert_same_bits(apply("leaky_relu"), fastact.leaky_relu(z))
    assert_same_bits(apply(partial(fastact.leaky_relu)), fastact.leaky_relu(z))
    for slope in (0.2, np.float32(0.25), np.array(0.5), 1):
        activation = partial(fastact.leaky_relu, negative_slope=slope)
        assert_same_bits(apply(activation), fastact.leaky_relu(z, float(slope)))
    assert_same_bits(apply(partial(fastact.hardtanh, max_val=2)), fastact.hardtanh(z, max_val=2.0))
    assert_same_bits(apply(None), z)
    assert_same_bits(apply(None), apply("identity"))


UNKNOWN = [
    ("rleu", ValueError, "activation must be one of relu, leaky_relu, .*not 'rleu'"),
    ("swiglu", ValueError, "activation must be one of"),
    ("relu_backward", ValueError, "activation must be one of"),
    (np.tanh, TypeError, "activation must be the name of one of"),
    (fastact.relu_backward, TypeError, "activation must be the name of one of"),
    (fastact.swiglu, TypeError, "activation must be the name of one of"),
    (lambda x: x, TypeError, "activation must be the name of one of"),
    (partial(fastact.leaky_relu, 0.2), TypeError, "parameters by name"),
    (1, TypeError, "activation must be the name of one of"),
    ([], TypeError, "activation must be the name of one of"),
    (partial(fastact.leaky_relu, slope=1), TypeError, "no parameter 'slope'; it has: negative_sl"),
    (partial(fastact.relu, alpha=1), TypeError, "relu has no parameter 'alpha'; it has: none"),
    (partial(fastact.elu, alpha=[1, 2]), TypeError, "alpha of activation elu must be one number"),
    (partial(fastact.elu, alpha=np.ones(3)), TypeError, "alpha of activation elu must be one"),
    (partial(fastact.elu, alpha="1"), TypeError, "alpha of activation elu must be one number"),
    (partial(fastact.elu, alpha=1j), TypeError, "alpha of activation elu must be one number"),
    (partial(fastact.elu, out=None), TypeError, "elu has no parameter 'out'"),
]
X = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(("activation", "error", "message"), UNKNOWN)
def test_what_is_no_activation(activation, error, message):
    out, ones = np.full((4, 3), 7.0), np.ones(3)
    for call in (
        partial(fastact.bias_activation, X, ones, activation, out=out),
        partial(fastact.bias_activation_backward, X, X, ones, activation),
        partial(fastact.batch_norm, X, activation=activation, out=out),
        partial(fastact.batch_norm_inference, X, ones, ones, activation=activation, out=out),
        partial(fastact.batch_norm_backward, X, X, ones, ones, activation=activation),
    ):
        with pytest.raises(error, match=message):
            call()
    assert (out == 7).all()


BAD = [
    ({"x": np.float64(1)}, np.exceptions.AxisError, "axis"),
    ({"axis": 2}, np.exceptions.AxisError, "axis"),
    ({"bias": np.ones(4)}, ValueError, r"bias must have the shape \(3,\) of the channels"),
    ({"bias": np.ones((1, 3))}, ValueError, "bias must have the shape"),
    ({"bias": 1.0}, ValueError, "bias must have the shape"),
    ({"bias": None}, TypeError, "bias must be an array, not None"),
    ({"bias": np.ones(3, complex)}, TypeError, "bias must be of float32 or float64"),
    ({"grad": np.ones((3, 4))}, ValueError, r"grad must have the shape \(4, 3\) of x"),
    ({"grad": np.ones((4, 3), complex)}, TypeError, "grad must be of float32 or float64"),
    ({"out": np.full((3, 4), 7.0)}, ValueError, "out must have shape"),
    ({"out": np.full((4, 3), 7, np.float32)}, ValueError, "out must have shape .* dtype float64"),
    ({"out": [[7.0]]}, TypeError, "out must be an ndarray"),
]


@pytest.mark.parametrize(("bad", "error", "message"), BAD)
def test_bad_arguments_leave_out_untouched(bad, error, message):
    arguments = {"x": X, "bias": np.ones(3), "activation": "relu", **bad}
    out = np.full((4, 3), 7.0)
    if "grad" not in bad:
        with pytest.raises(error, match=message):
            fastact.bias_activation(**{"out": out, **arguments})
    if "out" not in bad:
        with pytest.raises(error, match=message):
            fastact.bias_activation_backward(**{"grad": X, **arguments})
    assert (out == 7).all() and (np.asarray(arguments.get("out", 7.0)) == 7).all()


def test_read_only():
    out, x = np.full((4, 3), 7.0), X.copy()
    out.flags.writeable = x.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writable"):
        fastact.bias_activation(X, np.ones(3), "relu", out)
    assert_same_bits(fastact.bias_activation(x, x[0], "relu"), X + X[0])


# Batch normalisation

NORMS = [((12, 5), 0), ((33, 300), 0), ((1000, 1), 0), ((3, 4, 7, 7), (0, 2, 3)), ((5, 700), 1)]


def batch(shape, axis, dtype):
    """grad and x, and gamma, beta and var of the shape of the kept axes."""
    rng = np.random.default_rng(0)
    grad, x = rng.normal(1, 2, (2, *shape)).astype(dtype)
    kept = x.mean(axis).shape
    return grad, x, *(rng.normal(1, 0.5, (3, *kept)) ** 2).astype(dtype)


@pytest.mark.parametrize(("shape", "axis"), NORMS)
@pytest.mark.parametrize("name", ["relu", "gelu", "softplus"])
def test_batch_norm_then_activation(name, shape, axis, dtype, isa):
    _, x, gamma, beta, var = batch(shape, axis, dtype)
    f = getattr(fastact, name)
    y, mean, rstd = fastact.batch_norm(x, gamma, beta, axis=axis)
    trained = fastact.batch_norm(x, gamma, beta, axis=axis, activation=name)
    assert_all_same_bits(trained, (f(y), mean, rstd))
    inferred = fastact.batch_norm_inference(x, mean, var, gamma, beta, axis=axis)
    fused = partial(fastact.batch_norm_inference, axis=axis, activation=name)
    assert_same_bits(fused(x, mean, var, gamma, beta), f(inferred))
    out = x.copy()
    assert fastact.batch_norm(out, gamma, beta, axis=axis, activation=name, out=out)[0] is out
    assert_same_bits(out, f(y))
    out[...] = x
    assert fused(out, mean, var, gamma, beta, out=out) is out
    assert_same_bits(out, f(inferred))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_batch_norm_with_every_activation(case, dtype, isa):
    x = sample(dtype, 60 * 13, 4).reshape(60, 13)
    x = np.where(np.isfinite(x), x, 0)
    x[0, 3] = np.nan
    y, mean, rstd = fastact.batch_norm(x)
    with np.errstate(all="raise"):
        got = fastact.batch_norm(x, activation=activation_of(case))
    with np.errstate(all="ignore"):
        assert_all_same_bits(got, (*case.run("forward", y), mean, rstd))


@pytest.mark.parametrize(("shape", "axis"), NORMS)
@pytest.mark.parametrize("given", ["neither", "gamma", "both"])
def test_batch_norm_backward_through_an_activation(given, shape, axis, dtype, isa):
    """The gradients of the steps, with y as it follows from mean and rstd."""
    grad, x, gamma, beta, _ = batch(shape, axis, dtype)
    gamma = None if given == "neither" else gamma
    beta = beta if given == "both" else None
    mean, rstd = fastact.batch_norm(x, axis=axis)[1:]
    spread = np.expand_dims(rstd.astype(np.longdouble), axis)
    z = (x - np.expand_dims(mean.astype(np.longdouble), axis)) * spread
    z = z if gamma is None else z * np.expand_dims(gamma, axis)
    z = (z if beta is None else z + np.expand_dims(beta, axis)).astype(dtype)
    through = fastact.gelu_backward(grad, z)
    wanted = fastact.batch_norm_backward(through, x, mean, rstd, gamma, axis=axis)
    got = fastact.batch_norm_backward(
        grad, x, mean, rstd, gamma, beta=beta, axis=axis, activation="gelu"
    )
    for value, reference in zip(got, wanted, strict=True):
        scale = np.abs(reference).max()
        np.testing.assert_allclose(value, reference, rtol=0, atol=8 * np.finfo(dtype).eps * scale)
    plain = fastact.batch_norm_backward(grad, x, mean, rstd, gamma, axis=axis)
    for other in (None, "identity"):
        same = fastact.batch_norm_backward(
            grad, x, mean, rstd, gamma, beta=beta, axis=axis, activation=other
        )
        assert_all_same_bits(same, plain)


@pytest.mark.parametrize("name", ["tanh", "softplus"])
def test_batch_norm_backward_is_the_derivative(name):
    """Central differences of a loss, in float64."""
    grad, x, gamma, beta, _ = batch((6, 2), 0, np.float64)

    def loss(x, gamma, beta):
        return np.sum(grad * fastact.batch_norm(x, gamma, beta, activation=name)[0])

    _, mean, rstd = fastact.batch_norm(x, gamma, beta)
    got = fastact.batch_norm_backward(grad, x, mean, rstd, gamma, beta=beta, activation=name)
    point = (x, gamma, beta)
    for which, gradient in enumerate(got):
        for index in np.ndindex(gradient.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [a.copy() for a in point]
                moved[which][index] += step
                ends.append(loss(*moved))
            assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(gradient[index], rel=1e-7, abs=1e-8)
