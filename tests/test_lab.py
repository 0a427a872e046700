"""The lab: its network's gradients, its verdicts, its files, and that it notices a wrong kernel."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the lab needs fastact[lab]")
pytest.importorskip("rich", reason="the lab needs fastact[lab]")
pytest.importorskip("sklearn", reason="the lab needs fastact[lab]")

from threadpoolctl import threadpool_limits

import fastact
from fastact import init
from fastact.lab import data, experiments, idioms, kernels, training
from fastact.lab.cli import main
from fastact.lab.experiments import EXPERIMENTS, Settings
from fastact.lab.files import replacing
from fastact.lab.network import Network
from fastact.lab.training import disagreement

BACKENDS = [pytest.param(fastact, id="fastact"), pytest.param(idioms, id="idioms")]
VERDICTS = ["vanishes", "explodes", *["healthy"] * 4, "explodes", "healthy"]


def network(backend, activation="tanh", batch_norm=False, widths=(5, 7, 6, 3)):
    rng = np.random.default_rng(1)
    made = Network(
        widths, activation, init.he_normal,
        backend=backend, batch_norm=batch_norm, rng=rng, dtype=np.float64,
    )  # fmt: skip
    for layer in made.layers:  # off the biases' zeros and gammas' ones, which could hide a slip
        for parameter in layer.parameters.values():
            parameter += 0.1 * rng.standard_normal(parameter.shape)
    return made


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh", "elu"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_are_those_of_finite_differences(backend, activation, batch_norm):
    rng = np.random.default_rng(2)
    x, labels = rng.standard_normal((11, 5)), rng.integers(0, 3, 11)
    net = network(backend, activation, batch_norm)
    gradients = net.backward(net.loss(x, labels)[1])
    h = 1e-6
    for layer, gradient in zip(net.layers, gradients, strict=True):
        assert layer.parameters.keys() == gradient.keys()
        for name, parameter in layer.parameters.items():
            slopes = np.empty_like(parameter)
            for index, value in np.ndenumerate(parameter):
                parameter[index] = value + h
                above, _ = net.loss(x, labels)
                parameter[index] = value - h
                below, _ = net.loss(x, labels)
                parameter[index] = value
                slopes[index] = (above - below) / (2 * h)
            assert gradient[name].dtype == np.float64
            np.testing.assert_allclose(gradient[name], slopes, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_signal_is_the_gradient_by_what_the_dense_layers_give_out(backend):
    x, labels = np.random.default_rng(3).standard_normal((4, 5)), np.array([0, 1, 2, 0])
    net = network(backend)
    _, dlogits = net.loss(x, labels)
    net.backward(dlogits)
    _, _, activation = net.layers[-5:-2]
    arriving = backend.tanh_backward(dlogits @ net.layers[-2].parameters["weight"].T, activation.x)
    expected = [np.linalg.norm(arriving), np.linalg.norm(dlogits)]
    np.testing.assert_allclose(net.arriving()[1:], expected, rtol=1e-14)
    assert len(net.arriving()) == 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_loss_stays_exact_when_the_label_is_hopeless(backend):
    net = network(backend, widths=(3, 3))
    net.layers[0].parameters["weight"][...] = 1e4 * np.eye(3)
    net.layers[1].parameters["bias"][...] = 0
    loss, _ = net.loss(np.eye(3), np.array([0, 1, 1]))
    assert loss == pytest.approx(1e4 / 3, rel=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batch_norm_predicts_a_sample_alike_in_any_company(backend):
    rng = np.random.default_rng(4)
    train_x, x, labels = rng.standard_normal((50, 5)), rng.standard_normal((40, 5)), np.zeros(40)
    net = network(backend, batch_norm=True)
    alone = [net.accuracy(train_x, x[i : i + 1], labels[i : i + 1]) for i in range(40)]
    assert 0 < np.mean(alone) < 1
    assert net.accuracy(train_x, x, labels) == np.mean(alone)


@pytest.fixture(scope="module", autouse=True)
def one_blas_thread():
    """As in the command: a second one only waits, and on a busy machine for a long time."""
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="module")
def quick_lab(tmp_path_factory):
    """What ``fastact lab --quick`` leaves in its directory, run with warnings as errors."""
    out = tmp_path_factory.mktemp("lab") / "made" / "anew"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["lab", "--quick", "--epochs", "15", "--out", str(out)]) == 0
    return out


def test_lab_writes_its_files_and_nothing_else(quick_lab):
    assert sorted(path.name for path in quick_lab.iterdir()) == ["gradients.png", "lab.json"]
    header = (quick_lab / "gradients.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    width = int.from_bytes(header[16:20], "big")
    assert 1600 <= width <= 2400


def test_lab_tells_vanishing_exploding_and_healthy_apart(quick_lab):
    runs = json.loads((quick_lab / "lab.json").read_bytes())["runs"]
    assert [run["gradient"] for run in runs] == VERDICTS
    vanishing, exploding, *rest = runs
    assert vanishing["ratio"] < 1e-12
    assert exploding["ratio"] > 1e3
    assert all(0.05 < run["ratio"] < 20 for run in rest if run["clip"] != 20)
    assert exploding["diverged"]
    assert exploding["losses"]["fastact"][-1] is None
    assert not any(run["diverged"] for run in [vanishing, *rest])
    for run in rest:
        clipped_only = run["gradient"] == "explodes"
        if clipped_only:  # bounded steps: from thousands down, in so few epochs not yet to reading
            assert run["losses"]["fastact"][-1] < run["losses"]["fastact"][0] / 100
        else:
            assert run["accuracy"]["fastact"] > vanishing["accuracy"]["fastact"] + 0.3
    assert all(run["agrees"] for run in runs)


def test_lab_times_every_kernel(quick_lab):
    timed = json.loads((quick_lab / "lab.json").read_bytes())["kernels"]["ns_per_element"]
    expected = {f"{op.name}{form}" for op in fastact.ops() for form in ("", "_backward")}
    expected |= {"softmax", "softmax_backward", "batch_norm", "batch_norm_backward", "global_norm"}
    assert {timing["function"] for timing in timed} == expected
    assert all(timing["numpy"] > 0 and timing["fastact"] > 0 for timing in timed)


def test_lab_fails_and_says_where_when_the_back_ends_disagree(monkeypatch, tmp_path, capsys):
    right = fastact.tanh_backward
    monkeypatch.setattr(fastact, "tanh_backward", lambda grad, x: right(grad, x) * (1 + 1e-6))
    tanh = next(row for row in EXPERIMENTS if row.activation == "tanh")
    monkeypatch.setattr(experiments, "EXPERIMENTS", (tanh,))
    monkeypatch.setattr(kernels, "cases", lambda n, seed: [("relu", abs, abs, (np.ones(9),))])
    assert main(["lab", "--quick", "--epochs", "2", "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "disagree" in error
    assert tanh.name in error
    assert not json.loads((tmp_path / "lab.json").read_bytes())["runs"][0]["agrees"]


def test_a_back_end_that_alone_diverges_disagrees(monkeypatch):
    right = fastact.tanh
    calls = []

    def fails_late(x):
        calls.append(x)
        return right(x) if len(calls) < 500 or x.dtype == np.float64 else x * np.float32(np.nan)

    monkeypatch.setattr(fastact, "tanh", fails_late)
    tanh = next(row for row in EXPERIMENTS if row.activation == "tanh")
    run = training.perform(tanh, Settings(epochs=4), data.digits(0), lambda: None)
    assert max(run.disagreement.values()) < 1e-4
    assert not run.agrees


def test_disagreement():
    nan, inf = float("nan"), float("inf")
    assert disagreement([1.0, 2.0], [1.0, 2.0], steps=2) == 0
    assert disagreement([1.0, 2.0, 9.0], [1.0, 2.5, 3.0], steps=2) == pytest.approx(0.2)
    assert disagreement([1.0, nan], [1.0, inf], steps=2) == 0
    assert disagreement([1.0, nan], [1.0, 2.0], steps=2) == inf
    assert disagreement([1.0], [1.0, 2.0], steps=2) == inf
    assert disagreement([1.0], [1.0, 2.0], steps=1) == 0


def test_digits_are_split_and_batched_without_overlap():
    digits, settings = data.digits(0), Settings(epochs=2)
    assert len(digits.train_x) + len(digits.test_x) == 1797
    how = settings.batch, settings.epochs, settings.seed
    first, second = digits.epochs(*how)
    indices = np.concatenate(first)
    assert {len(batch) for batch in first} == {settings.batch}
    assert len(set(indices)) == len(indices)
    assert max(indices) < len(digits.train_x)
    assert not np.array_equal(indices, np.concatenate(second))
    again, _ = digits.epochs(*how)
    assert np.array_equal(indices, np.concatenate(again))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "figures.json"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.write("text where bytes are due")
    assert path.read_bytes() == b"old"
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("extra", ["rich", "matplotlib", "sklearn"])
def test_a_missing_extra_is_named_with_the_remedy(extra, tmp_path):
    program = (
        f"import sys; sys.modules[{extra!r}] = None; from fastact.lab.cli import main; "
        "sys.exit(main(['lab', '--quick']))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert extra in done.stderr
    assert 'pip install "fastact[lab]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "value"),
    [("--epochs", "0"), ("--seed", "-1"), ("--depth", "0"), ("--width", "9999")],
)
def test_counts_out_of_range_are_refused(option, value, capsys):
    with pytest.raises(SystemExit):
        main(["lab", option, value])
    error = capsys.readouterr().err
    assert option in error
    assert f"got {value}" in error


def test_config_command_needs_no_extra():
    command = [sys.executable, "-m", "fastact", "config"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert fastact.get_isa() in shown
