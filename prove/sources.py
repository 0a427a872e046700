"""Which sources decide the outcome of a proof: a result holds for as long as they stay the same.

That is the formula of a row and all that it needs, on one ISA, and the prover; but no comments. So
a new row, or a new way to compute another, leaves the proofs of the old ones standing. The driver
that feeds the kernels is left out: it decides no bits, and the ratchet tests it against every proof
on record.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import fastact
from prove.record import KINDS

ROOT = Path(__file__).parent.parent
HEADERS = ("real.h", "pair.h", "vmath.h", "pieces.h", "in_double.h", "activations.h")
HEADERS += ("piecewise.h", "algebraic.h", "primitives.h")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
DEFINED = re.compile(
    r"#define (\w+)|(ORACLE\(\w+)|typedef [^{]*\(\*(\w+)\)|typedef .*\b(\w+);|enum \w* ?{ ?(\w+)"
    r"|[^={;]*?\b(FN\(\w+\)|\w+)(?:\[\w*\])*(?:\(| =|;)",  # a function or a table
    re.S,
)


def _chunks(text: str) -> Iterator[tuple[str, str]]:
    """The names that a C file defines, and their definitions with the conditions they are under."""
    conditions: list[str] = []
    chunk, depth = "", 0
    for line in COMMENT.sub("", text).replace("\\\n", " ").splitlines():
        word = re.match(r"#\s*(\w+)", line)
        if word and not depth:
            if word[1] in ("if", "ifdef", "ifndef"):
                conditions.append(line)
            elif word[1] in ("else", "elif"):
                conditions[-1] += line
            elif word[1] == "endif":
                conditions.pop()
            elif word[1] == "define":
                yield _name(line), " ".join([*conditions, line])
            continue
        chunk += line + "\n"
        depth += line.count("{") - line.count("}")
        if not depth and line.rstrip().endswith((";", "}")):
            yield _name(chunk.strip()), " ".join([*conditions, chunk])
            chunk = ""


def _name(definition: str) -> str:
    """What is defined; what float32 and float64 have apart goes by one name."""
    match = DEFINED.match(definition)
    assert match, f"what does this define? {definition}"
    return re.sub(r"_f(?:32|64)$", "", next(filter(None, match.groups())))


@cache
def _definitions(*files: str) -> dict[str, str]:
    """All that some files define, by name."""
    found: dict[str, str] = {}
    for file in files:
        for name, text in _chunks((ROOT / file).read_text()):
            found[name] = found.get(name, "") + text
    rows = {op.name for kind in KINDS for op in fastact.ops(kind)}
    return {
        name if (bare := re.sub(r"FN\((\w+)\)", r"\1", name)) in rows else bare: text
        for name, text in found.items()
    }


def _simd(isa: str) -> list[str]:
    """The backend of an ISA and what it includes."""
    first = f"csrc/simd_{isa}.h"
    return [f"csrc/{name}" for name in re.findall(r'"(\w+\.h)"', (ROOT / first).read_text())] + [
        first
    ]


def _closure(name: str, known: dict[str, str], seen: set[str]) -> set[str]:
    """What a definition needs, itself included; a row of the table is called as FN(row)."""
    if name not in seen and name in known:
        seen.add(name)
        for called in re.findall(r"FN\(\w+\)|\w+", known[name]):
            bare = re.sub(r"FN\((\w+)\)", r"\1", called)
            for other in {called, bare, re.sub(r"_f(?:32|64)$", "", called)}:
                _closure(other, known, seen)
    return seen


@cache
def fingerprint(name: str, isa: str) -> str:
    """A hash of what decides the outcome of the proof of one row of the table on one ISA."""
    (op,) = (op for kind in KINDS for op in fastact.ops(kind) if op.name == name)
    kernels = _definitions(*(f"csrc/{header}" for header in HEADERS), *_simd(isa))
    oracle = _definitions("prove/oracle.h")
    parts = [repr((op.formula, op.derivative, op.roots, op.domain))]
    parts += [kernels[k] for k in sorted(_closure(f"FN({name})", kernels, set()))]
    parts += [oracle[k] for k in sorted(_closure(f"ORACLE({name}", oracle, set()))]
    parts += [COMMENT.sub("", (ROOT / "prove" / "prover.c").read_text())]
    return hashlib.sha256(" ".join("".join(parts).split()).encode()).hexdigest()[:12]
