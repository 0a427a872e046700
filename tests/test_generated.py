"""Nothing that is generated is stale, and the README and the page of activations say what is so."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import special

import fastact

ROOT = Path(__file__).resolve().parent.parent
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
    picture = (ROOT / "docs" / link).read_text(encoding="utf-8")
    assert len(picture) < 15_000
    assert f"{op.name}_derivative" in picture


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
            left, right = line.split("==")
            name, given = left.strip().split("(", 1)
            functions.discard(name)
            value = getattr(fastact, name)(*eval(f"({given[:-1]},)", here))
            np.testing.assert_allclose(value, eval(right, here), rtol=1e-12, err_msg=line)
    assert not functions  # the page shows every one


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
