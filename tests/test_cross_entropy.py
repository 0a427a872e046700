"""Cross-entropy and its gradient: against exact values, in every layout, with every option."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from cases import assert_same_bits
from lines import KINDS, layouts, line
from mpmath import mp
from ulp import split, ulp_error

import fastact

MAX_ULP = 4  # of a line's loss
MAX_GRADIENT = 8  # in ULPs of the largest entry of a line
REDUCTIONS = ("none", "mean", "sum")


def exact(x, coefficients):
    """The loss sum a (lse - x) of a line and its gradient, as mpmath numbers.

    Where a is 0 a class takes no part, though its x be -inf.
    """
    with mp.workprec(1300):
        x = [mp.mpf(float(v)) for v in x]
        a = [mp.mpf(float(v)) for v in coefficients]
        top = max(x)
        e = [mp.exp(v - top) for v in x]
        total = mp.fsum(e)
        log = mp.log1p(total - 1)
        loss = mp.fsum(w * (top - v + log) for w, v in zip(a, x, strict=True) if w)
        return loss, [mp.fsum(a) * v / total - w for v, w in zip(e, a, strict=True)]


def check(x, coefficients, loss, gradient):
    wanted, slope = exact(x, coefficients)
    nearest, rest = split([wanted])
    rest = rest if x.dtype == np.float64 else 0.0
    assert ulp_error(np.asarray([loss], x.dtype), nearest, rest).max() <= MAX_ULP
    largest = max(map(abs, slope))
    with mp.workprec(1300):
        worst = max(abs(mp.mpf(float(g)) - v) for g, v in zip(gradient, slope, strict=True))
        tiny = mp.mpf(float(np.finfo(x.dtype).smallest_subnormal))
        assert worst <= MAX_GRADIENT * mp.mpf(float(np.finfo(x.dtype).eps)) * largest + tiny


def both_layouts(x, labels, **options):
    """What the functions give for a line by itself, and for it between others side by side."""
    labels = np.asarray(labels)
    yield fastact.cross_entropy_with_gradient(x, labels, reduction="sum", **options)
    columns, three = np.stack([x[::-1], x, x], 1), np.stack([labels] * 3, -1)
    loss, gradient = fastact.cross_entropy_with_gradient(
        columns, three, 0, reduction="none", **options
    )
    yield loss[1], gradient[:, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 17, 64, 65, 333])
def test_accuracy(kind, n, dtype, isa):
    x = line(kind, n, dtype)
    for label in {0, int(x.argmax()), int(x.argmin())}:
        if np.isinf(x[label]):
            continue
        with np.errstate(all="raise"):
            for loss, gradient in both_layouts(x, label):
                check(x, np.arange(n) == label, loss, gradient)


@pytest.mark.parametrize("margin", [1, 10, 17, 30, 80])
@pytest.mark.parametrize("n", [3, 100])
def test_well_classified(margin, n, dtype, isa):
    """p_l near 1: neither log(p) nor p - 1 may be left with less digits than there are."""
    x = np.random.default_rng(n).normal(0, 1, n).astype(dtype)
    x[1] = x.max() + dtype(margin)
    one_hot = (np.arange(n) == 1).astype(dtype)
    for labels in (np.array(1), one_hot):
        for loss, gradient in both_layouts(x, labels):
            assert loss > 0 and gradient[1] < 0
            check(x, one_hot, loss, gradient)
            exact_gradient = exact(x, one_hot)[1]
            nearest, _ = split(exact_gradient)
            assert ulp_error(gradient.copy(), nearest).max() <= MAX_GRADIENT


@pytest.mark.parametrize("n", [2, 20, 150])
def test_accuracy_of_probabilities(n, dtype, isa):
    rng = np.random.default_rng(n)
    x = rng.normal(0, 3, n).astype(dtype)
    soft = rng.dirichlet(np.ones(n)).astype(dtype)
    for loss, gradient in both_layouts(x, soft):
        check(x, soft, loss, gradient)


def test_a_long_line(dtype, isa):
    x = line("spike", 100_000, dtype)
    label = x.size // 2
    wanted = np.log1p(np.exp(np.delete(x, label).astype(np.longdouble)).sum())
    loss, gradient = fastact.cross_entropy_with_gradient(x, label)
    assert abs(loss / wanted - 1) <= MAX_ULP * np.finfo(dtype).eps
    assert gradient[label] == pytest.approx(-float(-np.expm1(-wanted)), rel=1e-6)


# Options, against the definition


def reference(x, labels, axis, reduction, smoothing, ignore, weight):
    """PyTorch's definition in float64, on lines along the last axis."""
    x = np.moveaxis(x, axis, -1).astype(np.float64)
    classes = x.shape[-1]
    weight = np.ones(classes) if weight is None else weight.astype(np.float64)
    if labels.dtype.kind == "i":
        kept = labels != ignore
        index = np.where(kept, labels, 0)
        target, each = np.eye(classes)[index], weight[index] * kept
        denominator = each.sum()
    else:
        target, kept = np.moveaxis(labels, axis, -1).astype(np.float64), np.ones(x.shape[:-1], bool)
        denominator = kept.size
    a = weight * (target * (1 - smoothing) + smoothing / classes) * kept[..., None]
    shifted = x - x.max(-1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(-1, keepdims=True)
    losses = -(a * np.log(p)).sum(-1)
    gradient = a.sum(-1, keepdims=True) * p - a
    if reduction == "mean":
        with np.errstate(invalid="ignore", divide="ignore"):
            gradient = np.where(kept[..., None], gradient / denominator, 0.0)
            losses = losses.sum() / denominator
    elif reduction == "sum":
        losses = losses.sum()
    return losses, np.moveaxis(gradient, -1, axis)


SHAPES = [((7,), 0), ((6, 5), 1), ((6, 5), 0), ((5, 6, 7), 1), ((9, 130), 1), ((2, 130, 3, 4), 1)]


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("labelled", ["classes", "some ignored", "all ignored", "probabilities"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_options(shape, axis, labelled, order, dtype, isa):
    rng = np.random.default_rng(0)
    x = np.asarray(rng.normal(0, 3, shape), dtype, order=order)
    lines, classes = shape[:axis] + shape[axis + 1 :], shape[axis]
    labels, ignore = rng.integers(0, classes, lines), -100
    if labelled == "some ignored":
        labels, ignore = np.where(rng.random(lines) < 0.4, 2, labels), 2
    if labelled == "all ignored":
        labels = np.full(lines, -100)
    if labelled == "probabilities":
        labels = rng.random(shape).astype(dtype)
    weights = (None, (rng.random(classes) + 0.1).astype(dtype))
    tolerance = {"rtol": 20 * np.finfo(dtype).eps, "atol": 20 * np.finfo(dtype).eps}
    for reduction, smoothing, weight in itertools.product(REDUCTIONS, (0, 0.1, 1), weights):
        given = (reduction, smoothing, ignore, weight)
        names = ("reduction", "label_smoothing", "ignore_index", "weight")
        options = dict(zip(names, given, strict=True))
        with np.errstate(all="raise"):
            loss, gradient = fastact.cross_entropy_with_gradient(x, labels, axis, **options)
            alone = fastact.cross_entropy(x, labels, axis, **options)
        wanted, slope = reference(x, labels, axis, *given)
        np.testing.assert_allclose(loss, wanted, **tolerance)
        np.testing.assert_allclose(gradient, slope, **tolerance)
        np.testing.assert_array_equal(alone, loss)
        assert np.asarray(loss).dtype == dtype and gradient.dtype == dtype
        assert gradient.shape == shape and gradient.strides == x.strides


def test_stored_values():
    """Made with torch.nn.functional.cross_entropy in float64."""
    x = np.array([[0.5, -1.0, 2.0], [1.5, 0.0, -0.5], [0.25, 0.75, -2.0]])
    options = {"weight": np.array([0.5, 2.0, 1.25]), "label_smoothing": 0.2, "ignore_index": 1}
    loss = fastact.cross_entropy(x, [2, 0, 1], **options)
    assert loss == pytest.approx(STORED, rel=1e-12)


STORED = 0.7528211431068904


@pytest.mark.parametrize("n", [5, 64, 100])
def test_layouts(n, dtype, isa):
    x = np.stack([line("normal", n, dtype, seed) for seed in range(8)])
    labels = np.random.default_rng(0).integers(0, n, 8)
    wanted, slope = fastact.cross_entropy_with_gradient(x, labels, reduction="none")
    for got, axis in layouts(x):
        lines = labels.reshape(np.delete(got.shape, axis))
        loss, gradient = fastact.cross_entropy_with_gradient(got, lines, axis, reduction="none")
        gradient = np.moveaxis(gradient, axis, -1).reshape(x.shape)
        if n <= 64:
            assert_same_bits(loss.reshape(-1), wanted)
            assert_same_bits(gradient, slope)
        np.testing.assert_allclose(loss.reshape(-1), wanted, rtol=3 * np.finfo(dtype).eps)
        np.testing.assert_allclose(gradient, slope, rtol=6 * np.finfo(dtype).eps)


def test_out(dtype, isa):
    x = np.random.default_rng(0).normal(0, 3, (9, 130)).astype(dtype)
    labels = np.arange(9)
    loss, wanted = fastact.cross_entropy_with_gradient(x, labels)
    y = np.full((9, 260), 7, dtype)
    assert fastact.cross_entropy_with_gradient(x, labels, out=y[:, ::2])[1].base is y
    np.testing.assert_allclose(y[:, ::2], wanted, rtol=1e-6)
    assert (y[:, 1::2] == 7).all()
    z = x.copy()
    again, gradient = fastact.cross_entropy_with_gradient(z, labels, out=z)
    assert gradient is z and again == loss
    assert_same_bits(z, wanted)


@pytest.mark.parametrize("labels", [np.array([0, 2]), np.full((2, 3), 1 / 3)])
@pytest.mark.parametrize("axis", [0, 1])
def test_lines_that_are_not_finite(labels, axis, dtype, isa):
    for bad in (np.nan, np.inf):
        x = np.array([[1, bad, 2], [1, 2, 3]], dtype)
        good = fastact.cross_entropy(x[1], labels[1])
        x, targets = (x, labels) if axis else (x.T.copy(), labels.T.copy())
        with np.errstate(all="raise"):
            loss, gradient = fastact.cross_entropy_with_gradient(x, targets, axis, reduction="none")
        assert not np.isfinite(loss[0]) and loss[1] == pytest.approx(good)
        gradient = gradient if axis else gradient.T
        assert np.isnan(gradient[0]).all() and np.isfinite(gradient[1]).all()


def test_masked_classes(dtype, isa):
    x = np.array([[0, -np.inf, 0], [0, -np.inf, 0]], dtype)
    loss, gradient = fastact.cross_entropy_with_gradient(x, [0, 1], reduction="none")
    assert loss.tolist() == [pytest.approx(np.log(2)), np.inf]
    assert gradient.tolist() == [[-0.5, 0, 0.5], [0.5, -1, 0.5]]
    soft = np.array([[0.5, 0, 0.5]] * 2, dtype)
    assert fastact.cross_entropy(x, soft) == pytest.approx(np.log(2))


def test_an_ignored_line_is_zero_whatever_it_holds(dtype, isa):
    x = np.array([[np.nan, 1, 2], [0, 0, 0]], dtype)
    for axis, given in ((1, x), (0, x.T.copy())):
        for smoothing in (0, 0.1):
            loss, gradient = fastact.cross_entropy_with_gradient(
                given, [-100, 1], axis, label_smoothing=smoothing
            )
            assert loss == pytest.approx(np.log(3))
            assert not (gradient if axis else gradient.T)[0].any()


@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16])
def test_half_types(half):
    x = np.random.default_rng(0).normal(0, 3, (5, 70)).astype(half)
    labels = np.arange(5)
    loss, gradient = fastact.cross_entropy_with_gradient(x, labels, reduction="none")
    wanted, slope = fastact.cross_entropy_with_gradient(
        x.astype(np.float32), labels, reduction="none"
    )
    assert loss.dtype == gradient.dtype == half
    assert (loss == wanted.astype(half)).all() and (gradient == slope.astype(half)).all()
    out = np.empty_like(x)
    assert fastact.cross_entropy_with_gradient(x, labels, out=out)[1] is out
    assert fastact.cross_entropy(x, labels).dtype == half


@pytest.mark.parametrize("integer", "bhilqBHILQ")
def test_integer_types(integer):
    x = np.random.default_rng(0).normal(0, 3, (3, 4))
    got = fastact.cross_entropy(x, np.array([3, 0, 2], integer))
    assert got == fastact.cross_entropy(x, [3, 0, 2])


# Arguments


@pytest.mark.parametrize(
    ("labels", "options", "text"),
    [
        ([0, 3], {}, r"labels\[1\] is 3, not one of 3 classes"),
        ([-1, 0], {}, r"labels\[0\] is -1, not one of 3 classes"),
        ([0, -100], {"ignore_index": None}, r"labels\[1\] is -100"),
        (np.array([0, 2**63], np.uint64), {}, r"labels\[1\] is 9223372036854775808"),
        ([0], {}, r"labels must have the shape \(2,\)"),
        ([0.0, 1.0], {}, r"class indices, integers of shape \(2,\), or probabilities"),
        ([0, 1], {"reduction": "max"}, "reduction must be"),
        ([0, 1], {"label_smoothing": 1.5}, r"label_smoothing must be in \[0, 1\]"),
        ([0, 1], {"label_smoothing": np.nan}, "label_smoothing"),
        ([0, 1], {"weight": [1.0]}, r"weight must have the shape \(3,\)"),
        ([0, 1], {"axis": 2}, "axis"),
        (np.ones((2, 3)), {"ignore_index": 1}, "ignore_index 1 is for class indices"),
    ],
)
def test_bad_arguments_leave_out_untouched(labels, options, text):
    x, out = np.ones((2, 3), np.float32), np.full((2, 3), 7, np.float32)
    with pytest.raises(ValueError, match=text):
        fastact.cross_entropy_with_gradient(x, labels, out=out, **options)
    with pytest.raises(ValueError, match=text):
        fastact.cross_entropy(x, labels, **options)
    assert (out == 7).all()


def test_bad_types_and_outputs():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(TypeError, match="logits"):
        fastact.cross_entropy(x.astype(complex), [0, 1])
    with pytest.raises(TypeError):
        fastact.cross_entropy(x, [0, 1], ignore_index=1.5)
    for out in (np.ones((3, 2), np.float32), np.ones((2, 3))):
        with pytest.raises(ValueError, match="out must have shape"):
            fastact.cross_entropy_with_gradient(x, [0, 1], out=out)
    with pytest.raises(ValueError, match="length 0"):
        fastact.cross_entropy(np.ones((2, 0)), [0, 0])
    assert np.isnan(fastact.cross_entropy(np.ones((0, 3)), np.zeros(0, int)))
    assert fastact.cross_entropy(np.ones((0, 3)), np.zeros(0, int), reduction="sum") == 0


# Binary cross-entropy


def exact_binary(x, t, positive, weight):
    with mp.workprec(400):
        x, t, positive, weight = (mp.mpf(float(v)) for v in (x, t, positive, weight))
        e = mp.exp(-abs(x))
        log, small, large = mp.log1p(e), e / (1 + e), 1 / (1 + e)
        up, down = (log + max(x, 0), log + max(-x, 0))
        right, left = (large, small) if x > 0 else (small, large)  # sigmoid(x), sigmoid(-x)
        loss = weight * ((1 - t) * up + positive * t * down)
        return loss, weight * ((1 - t) * right - positive * t * left)


@pytest.mark.parametrize("n", [1, 5, 40, 300])
def test_binary_accuracy(n, dtype, isa):
    rng = np.random.default_rng(n)
    x = (rng.normal(0, 1, n) * rng.choice([1e-3, 1, 10, 60], n)).astype(dtype)
    t = rng.choice([0, 1, 0.25, 0.75], n).astype(dtype)
    positive, weight = dtype(2.5), rng.random(n).astype(dtype)
    with np.errstate(all="raise"):
        loss, gradient = fastact.binary_cross_entropy_with_logits_with_gradient(
            x, t, weight=weight, pos_weight=positive, reduction="none"
        )
    wanted = [exact_binary(*v, positive, w) for *v, w in zip(x, t, weight, strict=True)]
    for got, k in ((loss, 0), (gradient, 1)):
        nearest, rest = split([v[k] for v in wanted])
        error = ulp_error(got, nearest, rest if dtype == np.float64 else 0.0)
        certain = np.ones(n, bool) if k == 0 else np.isin(t, (0, 1))
        assert not certain.any() or error[certain].max() <= MAX_ULP
        off = np.abs(got.astype(np.float64) - nearest)
        assert (off <= 4 * np.finfo(dtype).eps * np.maximum(1, np.abs(nearest))).all()
    one = [
        fastact.binary_cross_entropy_with_logits(
            x[k : k + 1], t[k : k + 1], weight=weight[k], pos_weight=positive, reduction="none"
        )[0]
        for k in range(n)
    ]
    assert_same_bits(np.array(one, dtype), loss)


def test_binary_options(dtype, isa):
    rng = np.random.default_rng(0)
    x, t = rng.normal(0, 3, (4, 30)).astype(dtype), rng.random((4, 30)).astype(dtype)
    losses, slopes = fastact.binary_cross_entropy_with_logits_with_gradient(x, t, reduction="none")
    mean, gradient = fastact.binary_cross_entropy_with_logits_with_gradient(x, t)
    eps = float(np.finfo(dtype).eps)
    assert mean == pytest.approx(losses.mean(dtype=np.float64), rel=2 * eps)
    np.testing.assert_allclose(gradient, slopes / 120, rtol=3 * eps)
    total = fastact.binary_cross_entropy_with_logits(x, t, reduction="sum")
    assert total == pytest.approx(losses.sum(dtype=np.float64), rel=2 * eps)
    strided = np.zeros((4, 60), dtype)[:, ::2]
    strided[...] = x
    out = np.zeros((30, 4), dtype).T
    again, same = fastact.binary_cross_entropy_with_logits_with_gradient(
        strided, t, reduction="none", out=out
    )
    assert same is out
    assert_same_bits(again, losses)
    assert_same_bits(out, slopes)


def test_binary_at_infinity(dtype, isa):
    x, t = np.array([np.inf, np.inf, -np.inf, -np.inf, np.nan], dtype), np.array([1, 0, 0, 1, 1])
    with np.errstate(all="raise"):
        loss, gradient = fastact.binary_cross_entropy_with_logits_with_gradient(
            x, t, reduction="none"
        )
    np.testing.assert_array_equal(loss, [0, np.inf, 0, np.inf, np.nan])
    np.testing.assert_array_equal(gradient, [0, 1, 0, -1, np.nan])


def test_binary_bad_arguments():
    x = np.ones((2, 3), np.float32)
    function = fastact.binary_cross_entropy_with_logits_with_gradient
    with pytest.raises(ValueError, match=r"targets must have the shape \(2, 3\)"):
        function(x, [0, 1])
    with pytest.raises(ValueError, match="pos_weight must broadcast"):
        function(x, x, pos_weight=[1.0, 2.0])
    with pytest.raises(ValueError, match="reduction"):
        function(x, x, reduction="max")
    assert function(x.astype(np.float16), x)[1].dtype == np.float16
