"""The benches along an axis: small copies of their cells, and the command."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("rich")
from bench.along import THEMES, cells
from bench.contenders import agreeing

ROOT = Path(__file__).resolve().parent.parent
SMALL = [
    replace(cell, shape=tuple(min(length, 8) for length in cell.shape))
    for cell in cells(THEMES, ("float32", "float64"))
]


def test_every_cell_has_a_name_of_its_own():
    every = list(cells(THEMES, ("float32", "float64")))
    assert len({(cell.name, cell.form, cell.dtype) for cell in every}) == len(every)


@pytest.mark.parametrize("cell", SMALL, ids=lambda cell: f"{cell.name} {cell.form} {cell.dtype}")
def test_contenders_compute_the_same(cell):
    calls = cell.calls()
    assert next(iter(calls)) == "fastact"
    assert agreeing(calls) == {}


def test_the_command_writes_what_it_shows(tmp_path):
    path = tmp_path / "along.json"
    command = [sys.executable, "-m", "bench.along", "softmax", "--rounds", "1"]
    command += ["--only", "^softmax .4096.*axis=0 forward", "--file", path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "fastact on" in done.stdout
    (entry,) = {e["extra_info"]["op"] for e in json.loads(path.read_text())["benchmarks"]}
    assert entry == "softmax (4096, 1024) axis=0"
