"""The examples, run as their pages say: what they print, and what they leave behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


def run(name, *arguments, cwd):
    """What an example prints; one BLAS thread, since other tests run beside it."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, EXAMPLES / name, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_lstm_learns_a_sine_clipped_and_explodes_if_not(tmp_path):
    said = run("lstm_sine.py", cwd=tmp_path)
    clipped, other = map(float, re.findall(r"held-out RMSE (\S+),", said))
    assert clipped < 0.02
    assert not other < 0.2  # NaN for one
    assert [path.name for path in tmp_path.iterdir()] == ["lstm_sine.png"]
    assert (tmp_path / "lstm_sine.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_whole_or_not_there(tmp_path, monkeypatch):
    """The old one stays where the new one cannot be written."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import lstm_sine
    from matplotlib.figure import Figure

    def broken(self, path, **options):
        Path(path).write_bytes(b"\x89PN")
        raise OSError("disk full")

    path = tmp_path / "sine.png"
    path.write_bytes(b"old")
    runs = [lstm_sine.train(clipped, 2, seed=0) for clipped in (True, False)]
    monkeypatch.setattr(Figure, "savefig", broken)
    with pytest.raises(OSError, match="disk full"):
        lstm_sine.draw(runs, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_gradients_through_time_are_those_of_the_loss(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import lstm_sine
    import numpy as np

    network = lstm_sine.Network(np.random.default_rng(0))
    network.weights = {name: w.astype(float) * 0.3 for name, w in network.weights.items()}
    x = lstm_sine.sines(np.array([0.1, 0.7]), 0, 9).astype(float)
    gradients, _ = network.gradients(x[:-1], x[1:], lstm_sine.start(2))
    rng = np.random.default_rng(1)
    for name, w in network.weights.items():
        direction, ends = rng.normal(size=w.shape), []
        for side in (1e-5, -1e-5):
            network.weights[name] = w + side * direction
            ends.append(np.mean((network.predict(x[:-1]) - x[1:]) ** 2))
        network.weights[name] = w
        slope = np.sum(gradients[name] * direction)
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_digits_are_classified(tmp_path):
    said = run("digits_mlp.py", cwd=tmp_path)
    assert float(re.search(r"test accuracy (\S+)%", said)[1]) > 95
    assert len((EXAMPLES / "digits_mlp.py").read_text().splitlines()) < 60
