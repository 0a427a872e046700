"""Nothing that is generated is stale, and the README says what is so."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import special

import fastact

ROOT = Path(__file__).resolve().parent.parent


def test_stubs_and_readme_table_are_fresh():
    done = subprocess.run(
        [sys.executable, ROOT / "tools/generate.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


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
