"""docs/from-numpy.md does what it says: every block and every row of its tables is run here."""

import ast
import builtins
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from mpmath import mp
from oracle import exact

import fastact

WARNING = ", with a warning"
EXACT_COLUMN = 4
PAGE = Path(__file__).parents[1] / "docs" / "from-numpy.md"


@dataclass(frozen=True)
class Section:
    title: str
    snippet: str
    fastact: str
    rows: tuple[tuple[str, ...], ...]  # input, value, snippet, fastact, exact


def read_sections():
    """The sections of the page that hold code."""
    return [
        Section(text.splitlines()[0], block(text, "snippet"), block(text, "fastact"), rows(text))
        for text in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    ]


def block(text, tag):
    (code,) = re.findall(rf"```python {tag}\n(.*?)```", text, re.DOTALL)
    return code


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return tuple(tuple(cell.strip(" `") for cell in line.split("|")[1:-1]) for line in lines)


SECTIONS = read_sections()
ROWS = [
    pytest.param(section, row, id=f"{section.title}: {row[1]} of {row[0]}")
    for section in SECTIONS
    for row in section.rows
]


def ordinary_input():
    rng = np.random.default_rng(7)
    x, grad = rng.uniform(-3, 3, (2, 40, 6)).astype(np.float32)
    return {
        "x": x,
        "grad": grad,
        "gamma": rng.uniform(0.5, 2, 6).astype(np.float32),
        "bias": rng.normal(size=6).astype(np.float32),
        "beta": rng.normal(size=6).astype(np.float32),
        "slope": 0.01,
        "alpha": 1.0,
        "softplus_beta": 1.0,
        "n_in": 300,
        "n_out": 200,
        "grads": [x, grad, np.float32([0.25])],
        "max_norm": 1.0,
        "gate": rng.uniform(-3, 3, x.shape).astype(np.float32),
        "slopes": rng.uniform(0, 0.5, 6).astype(np.float32),
        "p": rng.uniform(0.01, 0.99, (40, 6)).astype(np.float32),
    }


def run(code, variables):
    """The variables after `code`, and whether it gave a warning."""
    namespace = {"np": np, "math": math, "fastact": fastact, **variables}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(code, namespace)
    return namespace, bool(caught)


def assigned(code):
    """The names that the top level of `code` binds, functions left out."""
    targets = [
        t for node in ast.parse(code).body if isinstance(node, ast.Assign) for t in node.targets
    ]
    return {name.id for t in targets for name in ast.walk(t) if isinstance(name, ast.Name)}


def with_row_input(row):
    return run(row[0], ordinary_input())[0]


def leaves(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_snippet_and_replacement_agree_on_ordinary_input(section):
    np.random.seed(0)  # noqa: NPY002, the snippets draw from it
    theirs, _ = run(section.snippet, ordinary_input())
    ours, warned = run(section.fastact, ordinary_input())
    assert not warned
    shared = assigned(section.snippet) & assigned(section.fastact)
    assert shared
    for name in shared:
        for mine, yours in zip(leaves(ours[name]), leaves(theirs[name]), strict=True):
            assert np.shape(mine) == np.shape(yours)
            if name == "w":  # random numbers: the same distribution, not the same draw
                mine, yours = moments(mine), moments(yours)
                np.testing.assert_allclose(mine, yours, rtol=0.02, atol=1e-3)
            else:
                np.testing.assert_allclose(mine, yours, rtol=1e-4, atol=1e-6)


def moments(w):
    """Mean, spread, and the mean fourth power, which tells a uniform from a normal distribution."""
    return w.mean(), w.std(), (w**4).mean() / w.var() ** 2


@pytest.mark.parametrize(("section", "row"), ROWS)
def test_snippet_does_what_the_table_says(section, row):
    np.random.seed(0)  # noqa: NPY002
    results, warned = run(section.snippet, with_row_input(row))
    assert warned == row[2].endswith(WARNING)
    assert_stated(eval(row[1], results), row[2].removesuffix(WARNING))


@pytest.mark.parametrize(("section", "row"), ROWS)
def test_fastact_does_what_the_table_says(section, row):
    if row[3].startswith("raises "):
        error, culprit = row[3].removeprefix("raises ").split(" naming ")
        with pytest.raises(getattr(builtins, error), match=re.escape(culprit)):
            run(section.fastact, with_row_input(row))
        return
    results, warned = run(section.fastact, with_row_input(row))
    assert not warned
    assert_stated(eval(row[1], results), row[3])


@pytest.mark.parametrize(
    ("section", "row"), [param for param in ROWS if param.values[1][EXACT_COLUMN]]
)
def test_exact_value_is_what_the_table_says_and_fastact_is_the_one_near_it(section, row):
    variables = with_row_input(row)
    with mp.workdps(50):
        truth = exact_value(section.title, row[1], variables)
    assert_stated(truth, row[EXACT_COLUMN])
    if "n_in" in row[0]:  # of a finite sample no spread is exact
        return
    step = float(np.spacing(np.float32(abs(truth))))
    ours = eval(row[1], run(section.fastact, with_row_input(row))[0])
    assert abs(mp.mpf(float(ours)) - truth) <= 4 * step
    if row[2].removesuffix(WARNING) != row[3]:
        theirs = eval(row[1], run(section.snippet, with_row_input(row))[0])
        assert not abs(mp.mpf(float(theirs)) - truth) <= 100 * step


def assert_stated(value, text):
    """`value` rounds to `text` in as many digits as `text` has; a dtype is compared as text."""
    if not isinstance(value, (float, np.floating, mp.mpf)):
        assert str(value) == text
        return
    digits = len(re.sub(r"e.*|[^0-9]", "", text).lstrip("0"))
    rounded = float(f"{float(value):.{max(digits, 1) - 1}e}")
    assert rounded == float(text) or (math.isnan(rounded) and text == "nan")


def exact_value(title, value, v):
    """The number in the column *exact*, from the oracle of the activations or in closed form."""
    if title in ELEMENTWISE and value in ("y[0]", "dydx[0]"):
        name, *parameters = ELEMENTWISE[title]
        f, derivative = exact(name, float(v["x"][0]), *(v[parameter] for parameter in parameters))
        return derivative if value == "dydx[0]" else f
    return OTHERWISE[title, value](v)


ELEMENTWISE = {
    "Sigmoid": ("sigmoid",),
    "Sigmoid derivative": ("sigmoid",),
    "Tanh": ("tanh",),
    "Tanh derivative": ("tanh",),
    "Leaky ReLU": ("leaky_relu", "slope"),
    "ELU and its derivative": ("elu", "alpha"),
    "GELU": ("gelu",),
    "GELU and its derivative with SciPy": ("gelu",),
    "SiLU": ("silu",),
    "Softplus": ("softplus", "softplus_beta"),
    "Log-sigmoid": ("log_sigmoid",),
    "Mish": ("mish",),
    "Hard swish": ("hard_swish",),
    "Softsign": ("softsign",),
}


def column_mean(v):
    return mp.fsum(map(float, v["x"][:, 0])) / len(v["x"])


def normalised(v):
    """The first value of a column, normalised, with gamma = beta = 1."""
    mean = column_mean(v)
    var = mp.fsum((float(value) - mean) ** 2 for value in v["x"][:, 0]) / len(v["x"])
    return (float(v["x"][0, 0]) - mean) / mp.sqrt(var + mp.mpf("1e-5")) + 1


OTHERWISE = {
    ("ReLU", "y[0]"): lambda v: max(mp.mpf(float(v["x"][0])), mp.zero),
    ("ReLU derivative", "x[0]"): lambda v: mp.mpf(float(v["x"][0])),
    ("Back-propagation through an activation", "dx[0]"): lambda v: (
        mp.mpf(float(v["grad"][0])) * exact("sigmoid", float(v["x"][0]))[1]
    ),
    ("Hard sigmoid", "y[0]"): lambda v: exact("hard_sigmoid", float(v["x"][0]), 1 / 6, 0.5)[0],
    ("Logit", "y[0]"): lambda v: exact("logit", float(v["p"][0]))[0],
    ("Gradient of PReLU's slopes", "dslopes[0]"): lambda v: mp.fsum(map(float, v["x"][:, 0])),
    ("Gated linear unit", "y[0, 0]"): lambda v: (
        mp.mpf(float(v["x"][0, 0])) * exact("sigmoid", float(v["x"][0, 1]))[0]
    ),
    ("SwiGLU and its gradients", "y[0]"): lambda v: exact("silu", float(v["gate"][0]))[0],
    ("SwiGLU and its gradients", "dgate[0]"): lambda v: exact("silu", float(v["gate"][0]))[1],
    ("Softmax", "y[0, 1]"): lambda v: mp.exp(101) / (mp.exp(100) + mp.exp(101)),
    ("Bias and activation", "dbias[0]"): lambda v: mp.fsum(map(float, v["grad"][:, 0])),
    ("Batch normalisation", "mean[0]"): column_mean,
    ("Batch normalisation", "y[0, 0]"): normalised,
    ("He initialisation", "w.std()"): lambda v: mp.sqrt(mp.mpf(2) / v["n_in"]),
    ('"Xavier" by the fan-in', "w.std()"): lambda v: 1 / mp.sqrt(3 * v["n_in"]),
    ("Xavier initialisation by Glorot and Bengio, uniform", "w.std()"): lambda v: mp.sqrt(
        mp.mpf(2) / (v["n_in"] + v["n_out"])
    ),
    ("Xavier initialisation by Glorot and Bengio, normal", "w.std()"): lambda v: mp.sqrt(
        mp.mpf(2) / (v["n_in"] + v["n_out"])
    ),
    ("Clipping by norm", "clipped[0]"): lambda v: mp.mpf(v["max_norm"]) / mp.sqrt(len(v["grad"])),
    ("Clipping by global norm", "norm"): lambda v: mp.sqrt(
        mp.fsum(mp.mpf(float(value)) ** 2 for g in v["grads"] for value in g)
    ),
}
