"""The record of what was proved: docs/accuracy.json, and docs/accuracy.md made from it.

A result is a dictionary, a line of the record:

    op, params, form    "softplus", [2.7], "f" or "d" (for f'); gates and gradients name what fits
    dtype, isa          "float32" or "float64"; an ISA of ours, or a peer such as "torch"
    count, stride       points tried; 1 where they are all of the dtype's, n where every nth,
                        0 where they are a choice
    max_ulp, at         the largest error in units in the last place, and the x where it is
    over_1              how many points are off by more than one

of our own kernels also

    nan_faults, sign_faults, flag_faults     how many points; points; blocks
    kernels             the sources for which the result holds (sources.py)
    cpu                 where they ran (float32)

and whatever else its maker wants to remember, such as the first `faults` in words.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastact
from prove.page import page

Result = dict[str, Any]
KEY = ("op", "params", "form", "dtype", "isa")
RECORD = Path(__file__).parent.parent / "docs" / "accuracy.json"
KINDS = ("activation", "gate", "from_output", "parameter_gradient")


def bound(result: Result) -> float:
    """The error in ULPs that the table allows."""
    op = next(op for kind in KINDS for op in fastact.ops(kind) if op.name == result["op"])
    return op.max_ulp[result["dtype"]][result["form"] == "d"]


def key(result: Result) -> tuple[Any, ...]:
    """What makes a result the successor of an older one."""
    op, params, *rest = (result[name] for name in KEY)
    return (op, tuple(params), *rest)


def load(path: Path | None = None) -> list[Result]:
    """Every result on record."""
    path = path or RECORD
    if not path.exists():
        return []
    results: list[Result] = json.loads(path.read_text())["results"]
    for result in results:
        result["at"], result["max_ulp"] = float(result["at"]), float(result["max_ulp"])
    return results


def store(results: Iterable[Result], path: Path | None = None) -> None:
    """Put results on record, in place of older ones of the same key; drop rows that are no more.

    A sample never takes the place of a finer one of the same kernels.
    """
    path = path or RECORD
    ops = [op for kind in KINDS for op in fastact.ops(kind)]
    defaults = {op.name: [p.default for p in op.parameters] for op in ops}
    order = {op.name: k for k, op in enumerate(ops)}

    def place(r: Result) -> tuple[Any, ...]:
        others = r["params"] != defaults[r["op"]]
        return r["dtype"], order[r["op"]], others, r["params"], r["isa"], r["form"] == "d"

    with _locked(path.parent):
        merged = {key(result): result for result in load(path)}
        for result in results:
            old = merged.get(key(result), result)
            same = old.get("kernels") == result.get("kernels")
            if not (same and old["stride"] < result["stride"]):
                merged[key(result)] = result
        kept = [result for result in merged.values() if result["op"] in order]
        kept.sort(key=place)
        lines = ",\n".join(json.dumps(_plain(result), allow_nan=False) for result in kept)
        _replace(path, '{"results": [\n' + lines + "\n]}\n")


def write_page(path: Path | None = None) -> None:
    """Write the page beside the record that shows it to people."""
    path = path or RECORD
    _replace(path.with_suffix(".md"), page(load(path)))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two runs at the same time take turns, so that neither loses what the other stores."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _plain(result: Result) -> Result:
    """Infinities and NaN as text, which JSON has no numbers for."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in result.items()
    }


def _replace(path: Path, text: str) -> None:
    """All or nothing: a reader, or a run that is stopped here, sees the old file or the new."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)
