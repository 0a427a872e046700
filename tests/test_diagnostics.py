"""Gradient reports: counts that are exact, verdicts on networks built to fail, a monitor."""

import json
import subprocess
import sys

import numpy as np
import pytest
from failing import CASES, recurrent

import fastact
from fastact.diagnostics import table
from fastact.diagnostics.measures import Census

SIZES = (0, 1, 2, 5, 31, 64, 65, 127, 1000, 1025, 5000)


def samples(n, dtype):
    """Ordinary numbers, huge, subnormal, mixed ones, zeros among them, and what is no number."""
    rng = np.random.default_rng(n)
    tiny, huge = (1e-42, 1e37) if dtype == np.float32 else (1e-310, 1e307)
    x = rng.normal(size=n)
    yield x.astype(dtype)
    yield (x * huge).astype(dtype)
    yield (x * tiny).astype(dtype)
    yield (x * 2.0 ** rng.integers(-140, 120, n)).astype(dtype)
    x[rng.random(n) < 0.5] = 0
    yield x.astype(dtype)
    y = x.astype(dtype)
    y[rng.integers(max(n, 1), size=n // 3)] = np.nan
    y[rng.integers(max(n, 1), size=n // 4)] = np.inf
    y[rng.integers(max(n, 1), size=n // 5)] = -np.inf
    yield y


def assert_counts(m, x):
    """Everything that is counted, against NumPy."""
    finite = np.isfinite(x)
    numbers = np.abs(x[finite & (x != 0)])
    assert m.size == x.size
    assert m.zeros == np.count_nonzero(x == 0)
    assert m.nan == np.count_nonzero(np.isnan(x))
    assert m.positive_infinity == np.count_nonzero(x == np.inf)
    assert m.negative_infinity == np.count_nonzero(x == -np.inf)
    assert m.subnormal == np.count_nonzero(numbers < np.finfo(x.dtype).tiny)
    assert m.largest == numbers.max(initial=0)
    exponents, counts = np.unique(np.frexp(numbers)[1] - 1, return_counts=True)
    found = {e: n for e, n in enumerate(m.exponents.counts, m.exponents.lowest) if n}
    assert found == dict(zip(exponents.tolist(), counts.tolist(), strict=True))
    if finite.all():
        assert m.first_nonfinite is None
    else:
        assert m.first_nonfinite == np.argmax(~finite)
        assert m.first_nonfinite_index == tuple(np.argwhere(~finite)[0])
    wide = x[finite].astype(np.longdouble)
    norm = np.sqrt((wide**2).sum())
    tolerance = 3e-7 if x.dtype == np.float32 else 1e-14
    if norm > np.finfo(np.float64).max:
        assert m.norm == np.inf
    else:
        assert abs(m.norm - norm) <= tolerance * norm + 5e-324
    rms = norm / np.sqrt(np.longdouble(max(finite.sum(), 1)))
    assert abs(m.rms - rms) <= tolerance * rms + 5e-324


@pytest.mark.parametrize("n", SIZES)
def test_counts_are_exact(n, dtype, isa):
    for x in samples(n, dtype):
        (m,) = fastact.gradient_report(x).gradients
        assert m.dtype == np.dtype(dtype).name and not m.exponents.sampled
        assert_counts(m, x)


def test_a_long_array_has_a_sampled_histogram(dtype, isa):
    rng = np.random.default_rng(0)
    x = rng.normal(size=300_001).astype(dtype)
    x[rng.random(x.size) < 0.3] = 0
    x[-1], x[77_777] = np.nan, 1e-310 if dtype == np.float64 else 1e-40
    (m,) = fastact.gradient_report(x).gradients
    assert m.exponents.sampled
    assert (m.zeros, m.nan, m.subnormal) == (np.count_nonzero(x == 0), 1, 1)
    assert m.largest == np.nanmax(np.abs(x)) and m.first_nonfinite == 300_000
    numbers = np.abs(x[np.isfinite(x) & (x != 0)])
    assert 0.2 < sum(m.exponents.counts) / numbers.size < 0.3
    for power in (-4, -1, 0):
        error = np.sqrt(0.25 / sum(m.exponents.counts))
        assert abs(m.exponents.share(-np.inf, power) - np.mean(numbers < 2.0**power)) < 5 * error


def test_few_numbers_in_a_long_array_are_found():
    x = np.zeros(1_000_000, np.float32)
    x[-5:] = 2.0**-30
    (m,) = fastact.gradient_report(x).gradients
    assert m.exponents.counts == (5,) and m.float16.zero == 1


def test_layouts():
    x = np.random.default_rng(0).normal(size=(6, 7, 8))
    x[4, 5, 6] = np.nan
    x[1, 2, 3] = np.inf
    shifted = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    shifted[...] = x
    views = [np.asfortranarray(x), x[::-1, :, ::-1], np.repeat(x, 2, 1)[:, ::2], x.T, shifted]
    for view in [*views, x.astype(">f8"), x[1, 2, 3]]:
        (m,) = fastact.gradient_report(view).gradients
        native = np.ascontiguousarray(view, np.float64).reshape(view.shape)
        assert m.shape == view.shape
        assert_counts(m, native)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_types(name):
    half = np.dtype(np.float16 if name == "float16" else pytest.importorskip("ml_dtypes").bfloat16)
    x = np.arange(0, 65536, 7, dtype=np.uint16).view(half)
    (m,) = fastact.gradient_report(x).gradients
    wide = x.astype(np.float32)
    assert m.dtype == name and m.nan == np.isnan(wide).sum() and m.zeros == (wide == 0).sum()
    tiny = 2.0**-14 if name == "float16" else 2.0**-126
    assert m.subnormal == np.count_nonzero((np.abs(wide) < tiny) & (wide != 0))
    assert m.largest == np.abs(wide[np.isfinite(wide)]).max()


def test_integers_numbers_and_nothing():
    report = fastact.gradient_report({"n": [3, 4], "none": None, "b": np.array([True, False])})
    assert [m.name for m in report.gradients] == ["grads['n'][0]", "grads['n'][1]", "grads['b']"]
    assert [m.norm for m in report.gradients] == [3, 4, 1]
    for nothing in ([], {}, None, [np.zeros((0, 3))]):
        report = fastact.gradient_report(nothing)
        assert (report.verdict, report.culprit) == ("empty", None)
        assert str(report) and report.to_dict()
    fastact.relu(np.ones(1, np.float32))


@pytest.mark.parametrize("half_type", ["float16", "bfloat16"])
def test_the_forecast_is_what_happens(half_type):
    half = np.float16 if half_type == "float16" else pytest.importorskip("ml_dtypes").bfloat16
    x = np.float32(2.0) ** np.random.default_rng(0).uniform(-149, 127.9, 20_000).astype(np.float32)
    with np.errstate(all="ignore"):
        y = x.astype(half).astype(np.float32)
    forecast = getattr(fastact.gradient_report(x).gradients[0], half_type)
    tiny = 2.0**-14 if half_type == "float16" else 2.0**-126
    assert forecast.zero == pytest.approx(np.mean(y == 0), abs=1e-3)
    assert forecast.subnormal == pytest.approx(np.mean((y > 0) & (y < tiny)), abs=1e-3)
    assert forecast.infinite == pytest.approx(np.mean(np.isinf(y)), abs=1e-3)


# Verdicts


@pytest.mark.parametrize("case", CASES, ids=str)
def test_verdict_and_culprit(case):
    with np.errstate(all="ignore"):
        grads, activations = case.grads()
    report = fastact.gradient_report(grads, activations=activations, **case.options)
    assert (report.verdict, report.culprit) == (case.verdict, case.culprit), report.summary
    assert str(report).splitlines()[0].endswith(report.summary)


@pytest.mark.parametrize(
    ("spread", "verdict"), [(2.0, "exploding"), (0.5, "vanishing"), (1.0, "healthy")]
)
def test_recurrence(spread, verdict):
    report = fastact.gradient_report(recurrent(spread))
    assert report.verdict == verdict
    assert report.culprit == (None if verdict == "healthy" else "grads[0]")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_named(value):
    grads = {"w": np.ones((4, 4)), "b": np.ones(4), "v": np.ones((4, 2))}
    grads["w"][2, 3] = grads["b"][1] = value
    report = fastact.gradient_report(grads)
    assert (report.verdict, report.culprit) == ("non-finite", "grads['b']")  # next to the loss
    assert "first at index (1,)" in report.summary
    acts = [np.ones((2, 3)), np.full((2, 3), value)]
    assert fastact.gradient_report(grads, activations=acts).culprit == "activations[1]"
    everything = fastact.gradient_report(np.full((3, 3), value))
    assert everything.verdict == "non-finite" and everything.gradients[0].rms == 0


def test_updates():
    rng = np.random.default_rng(0)
    grads = {"a": rng.normal(size=(8, 8)), "b": rng.normal(size=(8, 8))}
    params = {"a": 100 * grads["a"], "b": 10 * grads["b"], "unused": np.ones(3)}
    report = fastact.gradient_report(grads, params)
    assert [m.update_ratio for m in report.gradients] == pytest.approx([0.01, 0.1])
    assert report.verdict == "healthy"
    report = fastact.gradient_report(grads, params, learning_rate=20)
    assert (report.verdict, report.culprit) == ("exploding", "grads['b']")
    assert report.gradients[1].update_ratio == pytest.approx(2)


def test_absolute_sizes():
    x = np.random.default_rng(0).normal(size=(3, 8, 8))
    assert fastact.gradient_report(list(x * 1e-9)).verdict == "vanishing"
    assert fastact.gradient_report(list(x * 1e6)).verdict == "exploding"
    assert fastact.gradient_report(list(x * 0)).verdict == "dead"


def test_what_activations_look_like():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 40)) * 3
    x[:, :10] -= 100
    acts = {
        "relu": fastact.relu(x),
        "tanh": fastact.tanh(x),
        "sigmoid": fastact.sigmoid(x),
        "softmax": fastact.softmax(x),
        "other": x,
    }
    report = fastact.gradient_report([], activations=acts)
    assert [a.kind for a in report.activations] == list(acts)
    dead = [a.dead for a in report.activations]
    assert dead == [pytest.approx(0.25), 0, 0, 0, 0]
    for a, steepest in zip(report.activations[1:3], (1, 0.25), strict=True):
        slope = getattr(fastact, f"{a.kind}_derivative")(x)
        assert a.saturated == np.mean(slope < steepest / 20)


def test_bad_input():
    x = np.ones((2, 2))
    with pytest.raises(TypeError, match=r"grads\['a'\]\[0\] must be an array of real numbers"):
        fastact.gradient_report({"a": [x.astype(complex)]})
    with pytest.raises(TypeError, match=r"params must be an array of real"):
        fastact.gradient_report(x, np.array([None]))
    with pytest.raises(ValueError, match=r"no params\[1\]"):
        fastact.gradient_report([x, x], [x])
    with pytest.raises(ValueError, match=r"params\[0\] must have the shape \(2, 2\)"):
        fastact.gradient_report([x], [x[0]])
    with pytest.raises(ValueError, match="precision must be 'float16', 'bfloat16' or None"):
        fastact.gradient_report(x, precision="float8")
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        fastact.gradient_report(x, learning_rate=0)
    with pytest.raises(ValueError, match="history must be at least 2"):
        fastact.GradientMonitor(1)


# What is shown


@pytest.fixture
def odd():
    """A report on everything that is out of the ordinary."""
    grads = [np.array([1.0, np.nan, -np.inf]), np.zeros((2, 2)), np.zeros(0), np.float32(1e-40)]
    grads += [np.full(3, 1.7e308)] * 2
    return fastact.gradient_report(grads, grads, [np.zeros((3, 2)), np.full((3, 2), np.nan)])


def test_text(odd):
    for text in (str(odd), table.plain(odd)):
        assert "1 NaN, 1 -inf, first at (1,)" in text and "100% dead" in text
        assert text.count("grads[") >= len(odd.gradients)


def test_dict_is_json(odd):
    told = odd.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["verdict"] == odd.verdict
    assert told["gradients"][0]["first_nonfinite_index"] == [1]
    assert told["gradients"][4]["norm"] is None  # infinite
    assert {"zero", "subnormal", "infinite"} == set(told["gradients"][0]["float16"])


def test_figures(odd, tmp_path):
    pytest.importorskip("matplotlib")
    for report in (odd, fastact.gradient_report([]), fastact.gradient_report([np.ones(2)] * 200)):
        report.plot().savefig(tmp_path / "report.png")
    monitor = fastact.GradientMonitor()
    with pytest.raises(ValueError, match="nothing to plot"):
        monitor.plot()
    monitor.step([np.ones(3), np.zeros(2)], loss=1.0)
    monitor.step([np.ones(3), np.full(2, np.nan)], [np.ones(3), np.ones(2)])
    monitor.plot().savefig(tmp_path / "history.png")
    assert len(monitor.plot().axes) == 3


def test_neither_rich_nor_matplotlib_is_needed():
    program = """
import sys
sys.modules["rich"] = sys.modules["matplotlib"] = None
import importlib.util
importlib.util.find_spec = lambda name, found=importlib.util.find_spec: (
    None if name == "rich" else found(name))
import numpy as np, fastact
print(fastact.gradient_report(np.ones(3)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("healthy")


# The monitor


def descend(steps, monitor, poison=None):
    """A network that learns a line of noise; `poison` changes the gradients of a step."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 8)).astype(np.float32)
    y = np.sin(x[:, :1])
    weights = {"in": rng.normal(0, 0.3, (8, 16)), "out": rng.normal(0, 0.3, (16, 1))}
    weights = {name: w.astype(np.float32) for name, w in weights.items()}
    for step in range(steps):
        z = x @ weights["in"]
        h = fastact.tanh(z)
        error = (h @ weights["out"] - y) / len(y)
        back = fastact.tanh_backward(error @ weights["out"].T, z)
        grads = {"in": x.T @ back, "out": h.T @ error}
        if poison:
            poison(step, grads)
        monitor.step(grads, weights, [h], loss=float((error**2).sum()))
        for name, w in weights.items():
            w -= np.float32(0.1) * np.nan_to_num(grads[name])


def test_monitor_names_step_layer_and_index():
    def poison(step, grads):
        if step in (500, 507):
            grads["in"][3, 11] = np.nan
            grads["in"][5, 1] = np.inf

    monitor = fastact.GradientMonitor(learning_rate=0.1)
    descend(520, monitor, poison)
    bad = monitor.first_nonfinite
    assert (bad.step, bad.name, bad.index, bad.value) == (500, "grads['in']", (3, 11), "nan")
    assert bad.flat == 3 * 16 + 11
    assert str(bad) == "grads['in'] is nan at index (3, 11), step 500"
    assert monitor.steps == 520 and monitor.report().verdict == "healthy"
    assert monitor.to_dict()["first_nonfinite"]["step"] == 500


def test_monitor_says_whether_all_is_finite():
    monitor = fastact.GradientMonitor()
    ones, bad = np.ones((2, 2)), np.array([[1, np.nan], [1, 1]])
    assert monitor.step([ones, ones])
    assert not monitor.step([ones, ones], [ones, bad])
    assert monitor.first_nonfinite.name == "params[1]"
    assert not monitor.step([ones, bad])
    assert monitor.report().culprit == "grads[1]"
    with pytest.raises(ValueError, match="same arrays at every step"):
        monitor.step([ones])


def test_monitor_keeps_what_was_at_the_step():
    monitor, grad = fastact.GradientMonitor(), np.ones(3)
    monitor.step(grad)
    grad *= 7
    assert monitor.report().gradients[0].largest == 1


@pytest.mark.parametrize("history", [2, 3, 10])
def test_history_is_bounded_and_even(history):
    monitor = fastact.GradientMonitor(history)
    with pytest.raises(ValueError, match="before the first step"):
        monitor.report()
    for step in range(200):
        monitor.step(np.full(2, float(step)))
        rows = monitor.to_dict()["history"] if step % 17 == 0 else []
        assert len(rows) <= history
        kept = [row["step"] for row in rows]
        assert all(row["rms"] == [row["step"]] for row in rows)
        assert len(set(np.diff(kept))) <= 1
        if rows:
            assert kept[0] == 0 and kept[-1] > step - 2 * max(step // history, 1) - 1


def test_save_leaves_no_half_written_file(tmp_path, monkeypatch):
    path = tmp_path / "monitor.json"
    monitor = fastact.GradientMonitor()
    monitor.step([np.ones(3), np.full(3, 1.7e308)], loss=0.5)
    monitor.save(path)
    old = path.read_text()
    assert json.loads(old) == monitor.to_dict()
    monitor.step([np.ones(3), np.ones(3)])

    def killed(*_):
        raise KeyboardInterrupt

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(f"fastact.diagnostics.monitor.os.{call}", killed)
            with pytest.raises(KeyboardInterrupt):
                monitor.save(path)
        assert path.read_text() == old and list(tmp_path.iterdir()) == [path]
    monitor.save(str(path))
    assert json.loads(path.read_text())["steps"] == 2


def test_census_leaves_floating_point_flags_alone(isa):
    with np.errstate(all="raise"):
        Census.take([np.array([np.nan, 1e308, 1e-308, np.inf])] * 2, "grads")


def test_the_bench_runs(monkeypatch):
    pytest.importorskip("rich")
    from bench import diagnostics

    monkeypatch.setattr(diagnostics, "ELEMENTS", 10_000)
    reading = diagnostics.report(2)
    assert "gradient_report" in reading and all(len(times) == 2 for times in reading.values())
    assert len(diagnostics.monitor(1)) == 4
