"""The training steps of the bench: fastact's train as those with NumPy idioms do."""

import json

import numpy as np
import pytest

pytest.importorskip("rich")
from bench import train_step
from bench.steps import PARTS, lstm, mlp

STEPS = 4
EPSILON = 2e-3
SMALL = [mlp.Problem(name, sizes=(9, 7, 5, 3), batch=11) for name in mlp.NUMPY]
SMALL += [lstm.Problem(inputs=3, hidden=5, classes=4, length=6, batch=7)]


@pytest.fixture(params=SMALL, ids=lambda problem: problem.name)
def problem(request):
    return request.param


def weights(contender):
    return contender.weights + getattr(contender, "biases", [])


def test_losses_and_weights_are_the_same(problem):
    ours, numpys = (problem.contenders()[name](problem) for name in ("fastact", "numpy"))
    losses = [(ours.step(), numpys.step()) for _ in range(STEPS)]
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=2e-6)
    for own, other in zip(weights(ours), weights(numpys), strict=True):
        assert own.dtype == other.dtype == np.float32
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


def test_weights_move_down_the_gradient(problem):
    """A step changes each weight by RATE times what a finite difference says of the loss."""
    contender = problem.contenders()["fastact"](problem)
    before = [w.copy() for w in weights(contender)]
    contender.step()
    rng = np.random.default_rng(0)
    for k, (old, new) in enumerate(zip(before, weights(contender), strict=True)):
        direction = rng.choice([-1.0, 1.0], old.shape).astype(np.float32)
        slope = float(((old - new) / mlp.RATE * direction).sum())
        losses = []
        for side in (-1, 1):
            other = problem.contenders()["fastact"](problem)
            weights(other)[k][...] = old + side * EPSILON * direction
            losses.append(other.step())
        assert (losses[1] - losses[0]) / (2 * EPSILON) == pytest.approx(slope, rel=0.02, abs=2e-3)


def test_same_losses_or_an_error():
    train_step.check({"numpy": [2.0, 1.0], "fastact": [2.0, 1.00001]})
    with pytest.raises(RuntimeError, match=r"torch: the loss of step 1"):
        train_step.check({"numpy": [2.0, 1.0], "torch": [2.0, 1.1]})
    with pytest.raises(RuntimeError, match=r"torch: the loss of step 0"):
        train_step.check({"numpy": [2.0, 1.0], "torch": [np.nan, 1.0]})


class Absent:
    def __init__(self, problem):
        raise ImportError


def test_measures_who_is_installed(problem, monkeypatch):
    everyone = problem.contenders()
    own = {name: everyone[name] for name in ("numpy", "fastact")}
    monkeypatch.setattr(type(problem), "contenders", lambda self: {**own, "absent": Absent})
    result = json.loads(json.dumps(train_step.measure(problem, 2)))
    assert result["missing"] == ["absent"]
    assert list(result["contenders"]) == ["numpy", "fastact"]
    for each in result["contenders"].values():
        assert list(each["parts"]) == list(PARTS)
        assert 0 < each["min"] <= each["median"]
        assert all(milliseconds > 0 for milliseconds in each["parts"].values())
    assert train_step.render(result).row_count == 2


def test_picture(tmp_path):
    pytest.importorskip("matplotlib")
    from bench.steps.figure import draw

    told = {"min": 1.0, "median": 2.0, "parts": dict.fromkeys(PARTS, 0.4)}
    silent = {"min": 1.0, "median": 3.0, "parts": {}}
    result = {"network": "MLP", "missing": [], "contenders": {"fastact": told, "torch": silent}}
    draw([result], "a machine", tmp_path / "steps.png")
    assert (tmp_path / "steps.png").read_bytes().startswith(b"\x89PNG")
