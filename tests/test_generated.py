"""Nothing that is generated is stale, and the README and the page of activations say what is so."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import special

import fastact

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tools"))
PAGE = (ROOT / "docs/activations.md").read_text(encoding="utf-8")
KINDS = ("activation", "gate", "from_output", "parameter_gradient")
SECTIONS = {text.splitlines()[0]: text for text in re.split(r"\n### ", PAGE)[1:]}


def test_stubs_lists_page_and_pictures_are_fresh():
    done = subprocess.run(
        [sys.executable, ROOT / "tools/generate.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("op", fastact.ops(), ids=lambda op: op.name)
def test_the_picture_is_there_and_small(op):
    (link,) = re.findall(r"!\[.*\]\((.*)\)", SECTIONS[op.name])
    picture = ROOT / "docs" / link
    texts = [text.strip() for text in ElementTree.parse(picture).getroot().itertext()]
    assert {op.name, f"{op.name}_derivative"} <= set(texts)
    assert picture.stat().st_size < 15_000


def test_a_picture_of_something_else_is_stale():
    from generate import digest

    op = next(op for op in fastact.ops() if op.name == "elu")
    other = op.parameters[0]._replace(default=0.5)
    changes = [{text: "0"} for text in ("name", "formula", "derivative", "kinks")]
    changes += [{"domain": (0.0, 1.0)}, {"parameters": (other,)}]
    assert len({digest(replace(op, **change)) for change in [{}, *changes]}) == 7


def test_a_picture_is_drawn_again_as_it_was(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need fastact[lab]")
    from plots import draw

    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    for path in (first, second):
        draw(fastact.ops()[0], path, "of the formula")
    assert first.read_bytes() == second.read_bytes()
    assert b">of the formula<" in first.read_bytes()


@pytest.mark.parametrize(
    ("name", "dots", "rings"),
    [
        ("relu", [(0, 0)], [(0, 1)]),
        ("celu", [], []),
        ("relu6", [(0, 0), (6, 0)], [(0, 1), (6, 1)]),
        ("hard_swish", [(-3, 0), (3, 1)], [(-3, -0.5), (3, 1.5)]),
        ("hardshrink", [(-0.5, 0), (0.5, 0)] * 2, [(-0.5, -0.5), (0.5, 0.5), (-0.5, 1), (0.5, 1)]),
    ],
)
def test_a_picture_shows_jumps_as_jumps(name, dots, rings):
    figure = pytest.importorskip("matplotlib.figure", reason="pictures need fastact[lab]")
    from plots import plot

    axes = figure.Figure().subplots()
    plot(next(op for op in fastact.ops() if op.name == name), axes)
    curves = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) > 100]
    assert len(curves) == 2
    for y in curves:
        assert np.nanmax(abs(np.diff(y))) < 0.05
    for style, points in (("full", dots), ("none", rings)):
        marks = [m for m in axes.lines if m.get_marker() == "o" and m.get_fillstyle() == style]
        shown = np.concatenate([mark.get_xydata() for mark in marks])
        np.testing.assert_allclose(shown, np.reshape(points, (-1, 2)), atol=1e-6)


@pytest.mark.parametrize(
    "op",
    [op for kind in KINDS for op in fastact.ops(kind)],
    ids=lambda op: op.name,
)
def test_every_equation_of_the_page_holds(op):
    """Left and right of == are evaluated where both are defined, a number at a time."""
    (block,) = re.findall(r"```python\n(.*?)```", SECTIONS[op.name], re.DOTALL)
    names = {name: getattr(fastact, name) for name in fastact.__all__}
    names |= {"log": np.log, "sqrt": np.sqrt, "pi": np.pi, "sum": np.sum, "max": max, "min": min}
    for p in op.parameters:  # threshold is also a function
        block = re.sub(rf"\b{p.name}\b(?!\()", repr(p.default), block)
    functions = {f.__name__ for f in op.functions.values()}
    for x in np.float64([-2, -0.3, 0.2, 0.7, 5]):
        if not op.domain[0] < x < op.domain[1]:
            continue
        here = names | {"x": x, "y": x, "gate": x + 0.25, "grad": np.float64(-1.5)}
        for line in block.splitlines():
            left, right = line.split("==", 1)
            name, given = left.strip().split("(", 1)
            functions.discard(name)
            value = getattr(fastact, name)(*eval(f"({given[:-1]},)", here))
            np.testing.assert_allclose(value, eval(right, here), rtol=1e-12, err_msg=line)
    assert not functions  # the page shows every one


@pytest.mark.parametrize("op", fastact.ops(), ids=lambda op: op.name)
def test_docstrings_state_the_defaults(op):
    for function in op.functions.values():
        for p in op.parameters:
            (stated,) = re.findall(
                rf"^{p.name} : array_like, default (.+)$", function.__doc__, re.M
            )
            assert eval(stated) == p.default


def test_the_readme_example_runs():
    text = (ROOT / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(example, names)
    assert names["y"].shape == names["dx"].shape == (256, 512)


def test_the_snippets_lose_their_tails_as_the_readme_says():
    with pytest.warns(RuntimeWarning, match="overflow"):
        y = 1 / (1 + np.exp(-np.float32([-90, 20])))
    assert y[0] == 0 < fastact.sigmoid(np.float32(-90))
    assert y[1] * (1 - y[1]) == 0 < fastact.sigmoid_derivative(np.float32(20))
    x = np.linspace(-12, -6, 1000, dtype=np.float32)
    snippet = np.float32(0.5) * x * (1 + special.erf(x / np.sqrt(np.float32(2))))
    exact = x * special.ndtr(x.astype(np.float64))
    assert (np.abs(snippet / exact - 1) > 0.5).all()
    assert (np.abs(fastact.gelu(x) / exact - 1) < 1e-6).all()
