"""Which sources decide the outcome of a proof: a result holds for as long as they stay the same.

That is what formulas are made of and the prover, but for comments and for the formulas and oracles
of other rows; so a new row leaves the proofs of the old ones standing. The driver that feeds the
kernels is left out: it decides no bits, and the ratchet tests it against every proof on record.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

import fastact
from prove.record import KINDS

ROOT = Path(__file__).parent.parent
HEADERS = (
    "real.h",
    "pair.h",
    "vmath.h",
    "activations.h",
    "piecewise.h",
    "algebraic.h",
    "primitives.h",
)
DEFINITION = re.compile(
    r"^(?:static INLINE \w+ FN\((\w+)\)|ORACLE\((\w+), \w+\))[^{;]*{(?:[^\n]*}|\n.*?\n})\n",
    re.M | re.S,
)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


@cache
def _parts() -> tuple[str, dict[str, str]]:
    """The text that all rows share, and the definitions that are a row's own, by its name."""
    own: dict[str, str] = {}
    rows = {op.name for kind in KINDS for op in fastact.ops(kind)}

    def take(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in rows:
            return match[0]
        own[name] = own.get(name, "") + match[0]
        return ""

    sources = [ROOT / "csrc" / name for name in HEADERS]
    sources += [
        *sorted((ROOT / "csrc").glob("simd_*.h")),
        ROOT / "prove" / "oracle.h",
        ROOT / "prove" / "prover.c",
    ]
    text = "".join(COMMENT.sub("", path.read_text()) for path in sources)
    return DEFINITION.sub(take, text), own


def _closure(name: str, own: dict[str, str], seen: set[str]) -> set[str]:
    """The rows whose definitions this one's need."""
    if name not in seen and name in own:
        seen.add(name)
        for called in re.findall(r"(?:FN\(|oracle_)(\w+)", own[name]):
            _closure(called, own, seen)
    return seen


@cache
def fingerprint(name: str) -> str:
    """A hash of what decides the outcome of the proof of one row of the table."""
    shared, own = _parts()
    (op,) = (op for kind in KINDS for op in fastact.ops(kind) if op.name == name)
    needed = [own[row] for row in sorted(_closure(name, own, set()))]
    text = "".join([shared, *needed, repr((op.formula, op.derivative, op.roots, op.domain))])
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:12]
