"""What there is besides the table of activations: on the page, with an example, and measured."""

import inspect
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tools"))
from functions_page import GRADIENTS, THEMES, doc, public, theme  # noqa: E402

PAGE = (ROOT / "docs/functions.md").read_text(encoding="utf-8")
NAMES = public()
BENCHES = "\n".join(
    path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("bench/along/*.py"), *ROOT.glob("bench/*.py")]
    if not path.name.startswith("test_")
)
WITHOUT_KERNELS = ("Initial weights", "The table, kernels and threads")
SAME_WORK = {  # measured under another name: the same kernels, on the same arrays
    "softmin": "softmax",
    "instance_norm": "group_norm",
    "batch_norm_inference": "batch_norm",
    "update_running_stats": "batch_norm",  # a number a channel
    "clip_by_block_rms": "clip_by_norm",
    "clip_per_example": "clip_by_norm",
    "adaptive_clip": "clip_by_norm",
    "centralize_gradients": "clip_by_norm",
    "normalize_gradients": "clip_by_global_norm",
    "GradientReport": "gradient_report",
}


def base(name):
    """The function whose gradient it is, or itself."""
    for end in GRADIENTS:
        if name.removesuffix(end) in NAMES:
            name = name.removesuffix(end)
    return name


@pytest.mark.parametrize("name", NAMES)
def test_it_is_on_the_page_once(name):
    assert len(re.findall(rf"\| `{re.escape(name)}[(`]", PAGE)) == 1


def test_the_page_has_nothing_else():
    shown = re.findall(r"(?<=\| `)[\w.]+", PAGE)
    assert sorted(shown) == sorted(NAMES)


@pytest.mark.parametrize("name", [n for n, f in NAMES.items() if not inspect.isclass(f)])
def test_it_has_an_example(name):
    assert ">>> " in doc(NAMES[name])


@pytest.mark.parametrize(
    "name", [n for n, f in NAMES.items() if theme(f) in set(THEMES) - set(WITHOUT_KERNELS)]
)
def test_it_is_measured(name):
    name = base(name)
    assert re.search(rf"\b{SAME_WORK.get(name, name)}\b", BENCHES)


def test_what_is_measured_under_another_name_exists():
    assert set(SAME_WORK) | set(SAME_WORK.values()) <= set(NAMES)
