"""docs/accuracy.md from the results on record."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

Result = dict[str, Any]
ISAS = ("scalar", "sse2", "avx2", "avx512", "neon")
FAULTS = ("nan_faults", "sign_faults", "flag_faults")

HEAD = """\
# Accuracy, proved by trying

Largest errors in units in the last place (ULP), rounded up to three digits. Made by `make prove`
from [accuracy.json](accuracy.json), which also has the counts; nothing here is written by hand.
f' is the derivative. Subnormal results are counted in the smallest subnormal, infinity as the
number that would follow the largest, and within 0.5 of a root of f' its errors are counted in
ULPs of 1/16. A correctly rounded result is off by 0.5 at most.

Parameters stand in brackets: a function with parameters is proved with its defaults, then with
others.
"""

FLOAT32 = """
## float32: every number

Every one of the 2^32 bit patterns goes through the kernels of an instruction set, and f and f' are
compared with the C library's double precision (prove/oracle.h). The worst error of each is
then computed again, from the exact value of the table's formula by MPFR, and that is what stands
here. NaN in gives NaN out, no sign is wrong even where the result underflows to zero, -0 stays -0
where f(0) = 0, and no IEEE flag is spurious. {faults}

The machine: {cpus}. (AVX-512 kernels start from estimates that differ between makers.)
"""

SAMPLED = "\n\\* Sampled so far, one pattern in {stride}: {isas}.\n"

FLOAT64 = """
## float64: samples

Against exact values by MPFR, of the table's formula and derivative. {faults}
"""

PEERS = """
## Others, by the same measure

Every 251st float32 bit pattern, wherever a library has the function, at the default parameters.
f' is what a library's automatic differentiation gives; NumPy's and SciPy's is the formula as people
write it. Some libraries take subnormal numbers for 0: that alone is an error of 8e6 ULP.
"""

TAIL = """
## Again

`make prove` proves what has changed since: results are on record with a hash of the sources that
decide them, and a run that was stopped goes on where it was. `make prove OPS=gelu,tanh ISA=avx2`
proves a part, with `STRIDE=1021` a sample of it, recorded where nothing finer is. `make prove-neon`
needs a cross compiler and QEMU. `make test` holds every kernel to this record on four million
patterns.
"""


def page(results: list[Result]) -> str:
    """The whole page, in Markdown."""
    ours = [r for r in results if r["isa"] in ISAS]
    parts = [HEAD]
    float32 = [r for r in ours if r["dtype"] == "float32"]
    if float32:
        cpus = ", ".join(sorted({r["cpu"] for r in float32 if r["stride"] == 1})) or "none yet"
        parts += [FLOAT32.format(faults=faults(float32), cpus=cpus), *strides(float32)]
        parts += ["\n", by_isa(float32)]
    float64 = [r for r in ours if r["dtype"] == "float64"]
    if float64:
        parts += [FLOAT64.format(faults=faults(float64)), "\n", by_isa(float64)]
    if len(ours) < len(results):
        parts += [PEERS, beside_peers(results)]
    return "".join([*parts, TAIL])


def label(result: Result) -> str:
    """Which function a result is about, such as softplus(2.7)'."""
    params = f"({', '.join(f'{p:g}' for p in result['params'])})" if result["params"] else ""
    return result["op"] + params + ("'" if result["form"] == "d" else "")


def ulps(value: float) -> str:
    """A number of ULPs, rounded up."""
    if value < 1000:
        return f"{math.ceil(value * 1000) / 1000:.3f}"
    return f"{value:.1e}" if math.isfinite(value) else str(value)


def faults(results: list[Result]) -> str:
    """What is wrong, if anything is."""
    wrong = [r for r in results if any(r[name] for name in FAULTS)]
    lines = [f"- {label(r)}, {r['isa']}: {r.get('faults', 'see the record')}\n" for r in wrong]
    return "Except for:\n\n" + "".join(lines) if lines else "There are no exceptions."


def strides(results: list[Result]) -> list[str]:
    """What was sampled only; it has an asterisk in the table."""
    sampled = defaultdict(set)
    for result in results:
        if result["stride"] > 1:
            sampled[result["stride"]].add(result["isa"])
    return [
        SAMPLED.format(stride=stride, isas=", ".join(isa for isa in ISAS if isa in isas))
        for stride, isas in sorted(sampled.items())
    ]


def grouped(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Results by the function they are about, in the order of the record."""
    groups = defaultdict(list)
    for result in results:
        groups[label(result)].append(result)
    return groups


def by_isa(results: list[Result]) -> str:
    """The worst error of each function on each ISA, and where it is the largest."""
    isas = [isa for isa in ISAS if any(r["isa"] == isa for r in results)]
    rows = []
    for name, group in grouped(results).items():
        errors = {r["isa"]: ulps(r["max_ulp"]) + "\\*" * (r["stride"] > 1) for r in group}
        fewest = min(r["stride"] for r in group)
        worst = max((r for r in group if r["stride"] == fewest), key=lambda r: r["max_ulp"])
        rows.append(
            [
                name,
                *(errors.get(isa, "") for isa in isas),
                f"{worst['at']:.9g}",
                f"{worst['over_1']:,} of {worst['count']:,}",
            ]
        )
    return table(["", *isas, "worst at x =", "off by more than 1"], rows)


def beside_peers(results: list[Result]) -> str:
    """The worst error of each function here, and of every other library."""
    peers = sorted({r["isa"] for r in results} - set(ISAS))
    rows = []
    for dtype in ("float32", "float64"):
        for name, group in grouped(r for r in results if r["dtype"] == dtype).items():
            errors = {r["isa"]: ulps(r["max_ulp"]) for r in group}
            if not errors.keys().isdisjoint(peers):
                own = max((r["max_ulp"] for r in group if r["isa"] in ISAS), default=math.nan)
                rows.append([name, dtype, ulps(own), *(errors.get(peer, "") for peer in peers)])
    return table(["", "dtype", "fastact", *peers], rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
