"""Initial weights: the stated distribution, reproducible, in the stated dtype."""

import math

import numpy as np
import pytest

import fastact
from fastact import init

SHAPES = ((400, 250), (250, 400), (1, 100_000), (100_000, 1), (1000, 100))
NORMAL = {
    "he_normal": lambda n_in, n_out: math.sqrt(2 / n_in),
    "xavier_normal": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "lecun_normal": lambda n_in, n_out: math.sqrt(1 / n_in),
}
UNIFORM = {  # the bounds
    "he_uniform": lambda n_in, n_out: math.sqrt(6 / n_in),
    "xavier_uniform": lambda n_in, n_out: math.sqrt(6 / (n_in + n_out)),
    "lecun_uniform": lambda n_in, n_out: math.sqrt(3 / n_in),
    "fan_in_uniform": lambda n_in, n_out: 1 / math.sqrt(n_in),
}
SCALED = [getattr(init, name) for name in [*NORMAL, *UNIFORM, "truncated_normal"]]
FUNCTIONS = [*SCALED, init.orthogonal]
PYTORCHS = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "selu")
# A bound below is six standard deviations of the estimate: a fixed seed passes or fails for good,
# and a right generator fails for one seed in 500 million.
SIGMAS = 6


def test_all_are_listed():
    assert sorted(init.__all__) == sorted(["gain", *(f.__name__ for f in FUNCTIONS)])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NORMAL)
def test_normal(name, shape, dtype):
    std = NORMAL[name](*shape)
    w = getattr(init, name)(shape, rng=1, dtype=dtype)
    z = w.astype(np.float64).ravel() / std
    n = z.size
    assert w.shape == shape and w.dtype == dtype and w.flags.c_contiguous
    assert abs(z.mean()) < SIGMAS / math.sqrt(n)
    assert abs((z**2).mean() - 1) < SIGMAS * math.sqrt(2 / n)  # the variance of z^2 is 2
    assert abs((z**4).mean() - 3) < SIGMAS * math.sqrt(96 / n)  # of z^4, 105 - 9
    assert abs((np.abs(z) < 1).mean() - math.erf(math.sqrt(0.5))) < SIGMAS * math.sqrt(0.22 / n)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", UNIFORM)
def test_uniform(name, shape, dtype):
    bound = UNIFORM[name](*shape)
    w = getattr(init, name)(shape, rng=1, dtype=dtype)
    z = w.astype(np.float64).ravel() / bound
    n = z.size
    assert w.shape == shape and w.dtype == dtype and w.flags.c_contiguous
    assert np.abs(z).max() <= 1 + np.finfo(dtype).eps
    assert np.abs(z).max() > 1 - 20 / n  # e^-20 is the chance of nothing there
    assert abs(z.mean()) < SIGMAS * math.sqrt(1 / 3 / n)
    assert abs((z**2).mean() - 1 / 3) < SIGMAS * math.sqrt(4 / 45 / n)
    counts, _ = np.histogram(z, 10, (-1, 1))
    assert (np.abs(counts - n / 10) < SIGMAS * math.sqrt(0.09 * n)).all()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_reproducible(function, dtype):
    first = function((30, 20), rng=7, dtype=dtype)
    assert np.array_equal(first, function((30, 20), rng=7, dtype=dtype))
    assert np.array_equal(first, function((30, 20), rng=np.int64(7), dtype=dtype))
    assert np.array_equal(first, function((30, 20), rng=np.random.default_rng(7), dtype=dtype))
    assert not np.array_equal(first, function((30, 20), rng=8, dtype=dtype))
    rng = np.random.default_rng(7)
    assert not np.array_equal(function((30, 20), rng=rng), function((30, 20), rng=rng))
    assert not np.array_equal(function((30, 20)), function((30, 20)))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_default_dtype_and_gain(function):
    w = function((30, 20), rng=0)
    assert w.dtype == np.float32
    default = math.sqrt(2) if function.__name__.startswith("he_") else 1.0
    np.testing.assert_allclose(function((30, 20), rng=0, gain=3 * default), 3 * w, rtol=1e-6)
    np.testing.assert_array_equal(function((30, 20), rng=0, gain=default), w)


@pytest.mark.parametrize("shape", SHAPES)
def test_truncated(shape, dtype):
    """Cut at two of the normal's standard deviations, and as wide as if it had not been cut."""
    w = init.truncated_normal(shape, rng=1, dtype=dtype)
    z = w.astype(np.float64).ravel() * math.sqrt(shape[0])
    n = z.size
    phi, inside = math.exp(-2) / math.sqrt(2 * math.pi), math.erf(math.sqrt(2))
    left = math.sqrt(1 - 4 * phi / inside)
    fourth = (3 * inside - 2 * (8 + 6) * phi) / inside / left**4
    assert w.shape == shape and w.dtype == dtype and w.flags.c_contiguous
    assert 1.99 / left < np.abs(z).max() <= 2 / left * (1 + 2 * np.finfo(dtype).eps)
    assert abs(z.mean()) < SIGMAS / math.sqrt(n)
    assert abs((z**2).mean() - 1) < SIGMAS * math.sqrt((fourth - 1) / n)
    half = math.erf(math.sqrt(0.5)) / inside  # of what is left, within one of the normal's
    assert abs((np.abs(z) < 1 / left).mean() - half) < SIGMAS * math.sqrt(0.21 / n)


@pytest.mark.parametrize("shape", [(64, 64), (200, 30), (30, 200), (1, 5), (5, 1), (3, 3, 16, 40)])
def test_orthogonal(shape, dtype):
    w = init.orthogonal(shape, gain=1.5, rng=1, dtype=dtype)
    assert w.shape == shape and w.dtype == dtype and w.flags.c_contiguous
    matrix = w.reshape(-1, shape[-1]).astype(np.float64)
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, 2.25 * np.eye(matrix.shape[1]), atol=1e-6)


def test_orthogonal_favours_no_direction():
    """QR alone would: its R has no particular signs only by convention."""
    rng = np.random.default_rng(0)
    traces = [np.trace(init.orthogonal((8, 8), rng=rng)) for _ in range(2000)]
    assert abs(np.mean(traces)) < SIGMAS / math.sqrt(2000)  # of a random rotation: mean 0
    assert abs(np.var(traces) - 1) < 0.2  # and variance 1


@pytest.mark.parametrize("function", FUNCTIONS)
def test_pytorchs_order_of_a_convolution(function):
    """Where the axes are does not change how far the weights spread."""
    ours, torchs = (3, 5, 32, 64), (64, 32, 3, 5)
    if function is init.orthogonal:
        w = function(torchs, out_axis=0, rng=0)
        np.testing.assert_allclose(np.tensordot(w, w, ((1, 2, 3),) * 2), np.eye(64), atol=1e-6)
        return
    default, moved = function(ours, rng=0), function(torchs, in_axis=1, out_axis=0, rng=0)
    assert default.shape == ours and moved.shape == torchs
    np.testing.assert_array_equal(default.ravel(), moved.ravel())
    wrong = function(torchs, rng=0)  # 3 inputs, 5 outputs of a kernel of 64 x 32
    assert not np.allclose(wrong.ravel(), default.ravel(), rtol=1e-3)


@pytest.mark.parametrize("function", SCALED)
def test_fan_mode(function):
    """Over the fan-in, the fan-out and their mean: 25, 100 and 62.5 times the kernel's size."""
    for kernel in ((), (3, 3)):
        shape = (*kernel, 25, 100)
        modes = ("fan_in", "fan_out", "fan_avg")
        fan_in, fan_out, fan_avg = (function(shape, rng=0, fan_mode=mode) for mode in modes)
        np.testing.assert_allclose(fan_out * 2, fan_in, rtol=1e-6)
        np.testing.assert_allclose(fan_avg * math.sqrt(2.5), fan_in, rtol=1e-6)
        plain = function((25 * math.prod(kernel), 100), rng=0, fan_mode="fan_in")
        np.testing.assert_allclose(plain.ravel(), fan_in.ravel(), rtol=1e-6)
    with pytest.raises(ValueError, match="fan_mode must be 'fan_in', 'fan_out' or 'fan_avg', not"):
        function((25, 400), fan_mode="both")


@pytest.mark.parametrize("function", SCALED)
def test_bad_axes(function):
    for axes in ({"in_axis": 2}, {"out_axis": -3}):
        with pytest.raises(np.exceptions.AxisError, match=next(iter(axes))):
            function((3, 4), **axes)
    with pytest.raises(ValueError, match="in_axis and out_axis must differ"):
        function((3, 4), in_axis=1)
    with pytest.raises(np.exceptions.AxisError, match="out_axis"):
        init.orthogonal((3, 4), out_axis=2)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bad_arguments(function):
    for shape in (3, (3,), (3.0, 4), (0, 4), (3, -1), "ab", None):
        with pytest.raises(ValueError, match="shape must be"):
            function(shape)
    for dtype in (np.float16, np.int32, np.complex64):
        with pytest.raises(TypeError, match="dtype must be float32 or float64"):
            function((3, 4), dtype=dtype)
    for rng in ("0", 1.5, True, np.random.RandomState(0)):
        with pytest.raises(
            TypeError, match=r"rng must be a numpy\.random\.Generator, an int or None"
        ):
            function((3, 4), rng=rng)
    for gain in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="gain must be positive"):
            function((3, 4), gain=gain)
    with pytest.raises(ValueError, match="non-negative"):
        function((3, 4), rng=-1)


def test_signal_keeps_its_scale():
    """Through 20 layers of ReLU He keeps the second moment; the older rule keeps 6^-20 of it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 500))
    moments = {}
    for f in (init.he_normal, init.he_uniform, init.fan_in_uniform):
        h = x
        for _ in range(20):
            h = np.maximum(h @ f((500, 500), rng=rng, dtype=np.float64), 0)
        moments[f.__name__] = (h**2).mean() / 0.5
    assert 0.2 < moments["he_normal"] < 5 and 0.2 < moments["he_uniform"] < 5
    assert moments["fan_in_uniform"] == pytest.approx(6.0**-20 * 2, rel=4)


def test_gain_is_pytorchs_where_pytorch_has_one():
    assert init.gain("identity") == init.gain("sigmoid") == 1
    assert init.gain("tanh") == 5 / 3
    assert init.gain("selu") == 0.75
    assert init.gain("relu") == math.sqrt(2)
    assert init.gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    assert init.gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))


def test_gain_keeps_the_second_moment():
    """Against what is known in closed form, and through a wide layer for all others."""
    assert init.gain("threshold") == pytest.approx(math.sqrt(2), rel=1e-12)  # relu again
    assert init.gain("exp") == pytest.approx(math.exp(-1), rel=1e-12)
    assert init.gain("squareplus", 0.0) == pytest.approx(math.sqrt(2), rel=1e-6)
    assert init.gain("hardtanh", -1e9, 1e9) == pytest.approx(1, rel=1e-12)
    of_erf = 2 / math.pi * math.asin(2 / 3)  # Williams 1998, "Computation with infinite networks"
    assert init.gain("erf") == pytest.approx(of_erf**-0.5, rel=1e-12)
    z = np.random.default_rng(0).standard_normal(1_000_000)
    for op in fastact.ops():
        if op.domain == (-math.inf, math.inf) and op.name not in ("exp", "expm1", *PYTORCHS):
            moment = (op.functions["forward"](z) ** 2).mean()
            assert init.gain(op.name) ** 2 * moment == pytest.approx(1, abs=0.01), op.name


def test_gain_says_what_is_wrong():
    with pytest.raises(ValueError, match="not 'rellu': did you mean relu"):
        init.gain("rellu")
    with pytest.raises(ValueError, match=r"not 'zzz': fastact\.ops\(\) lists them"):
        init.gain("zzz")
    with pytest.raises(TypeError, match="leaky_relu has parameters negative_slope, but"):
        init.gain("leaky_relu", 0.1, 0.2)
    with pytest.raises(TypeError, match="relu has parameters none"):
        init.gain("relu", 1)
    with pytest.raises(ValueError, match="log1p has no gain"):
        init.gain("log1p")
