"""CONTRIBUTING.md followed to the letter in a copy of the sources: three places, and it works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("csrc", "fastact", "prove", "bench", "tests", "tools", "docs", "setup.py")
SOURCES += ("pyproject.toml", "README.md", "CONTRIBUTING.md", "LICENSE")
BUILT = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "_*.c")
PLACES = {"csrc/activations.def", "csrc/activations.h", "prove/oracle.h"}
GENERATED = {"README.md", "docs/activations.md", "docs/activations/isru.svg"}
GENERATED |= {"fastact/__init__.pyi"}

LOOK = """
import numpy as np, fastact, inspect
from fastact.lab import idioms

assert fastact.ops()[-1].name == "isru"
assert "x / sqrt(1 + x**2)" in fastact.isru.__doc__
x = np.float32([-3, 0, 1e-30, 0.75, 1e30])
np.testing.assert_allclose(fastact.isru(x), x / np.hypot(1, x), rtol=1e-7)
for form in ("", "_derivative", "_backward", "_with_derivative"):
    arrays = (x[:4], x[:4]) if form == "_backward" else (x[:4],)
    ours, theirs = (getattr(module, "isru" + form)(*arrays) for module in (fastact, idioms))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
"""


def copied(to):
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=BUILT)
        else:
            shutil.copy(ROOT / name, to)


def files(tree):
    """The text of every file that is not made by a build."""
    return {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for name in SOURCES
        for path in [tree / name, *(tree / name).rglob("*")]
        if path.is_file() and not BUILT("", [path.name]) and "__pycache__" not in path.parts
    }


def apply(page, tree):
    """Append each block of code to the file that it names, inside of an include guard."""
    blocks = re.findall(r"```c (\S+)\n(.*?)```", page, re.DOTALL)
    assert {name for name, _ in blocks} == PLACES
    for name, code in blocks:
        text = (tree / name).read_text()
        body, guard, _ = (
            text.partition("\n#endif\n") if name == "prove/oracle.h" else (text, "", "")
        )
        (tree / name).write_text(f"{body}\n{code}{guard}")


def test_the_worked_example(tmp_path):
    """Built, proved, tested, documented: with what the page says and no more."""
    copied(tmp_path)
    before = files(tmp_path)
    apply((ROOT / "CONTRIBUTING.md").read_text(), tmp_path)

    def run(*command):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "FASTACT_CFLAGS": "-O1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    run("setup.py", "build_ext", "--inplace")
    run("-c", LOOK)
    run("tools/generate.py")
    run("tools/generate.py", "--check")
    after = files(tmp_path)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == PLACES | GENERATED

    run("-m", "prove", "--ops", "isru", "--stride", "1021", "--points", "2000")
    tests = [f"tests/test_{name}.py" for name in ("table", "accuracy", "special_values", "layout")]
    oracle = "tests/test_prove.py::test_oracle"
    passed = run("-m", "pytest", *tests, oracle, "-q", "-k", "isru", "-p", "no:cacheprovider")
    assert re.search(r"\d{2,} passed", passed), passed
