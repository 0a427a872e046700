"""Every float32 pattern through the kernels of every ISA, against the oracle of oracle.h.

The worst error of each is then held against the exact value: the oracle has no say in what goes on
record, beyond having found it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.progress import Progress

import fastact
from bench.machine import describe
from fastact import _ufuncs
from prove import native, record
from prove.choice import Case, Choice
from prove.sources import fingerprint
from tests.ulp import near_roots, ulp_error

PATTERNS = 1 << 32
CHUNK = 1 << 21  # points a thread walks at a time: what Ctrl-C waits for
TOLERANCE = 1e-3  # ULPs by which the oracle may misjudge an error
SPAN = 1 << 18  # patterns that a block spreads over where a stride would have it reach far ...
LEAST_BLOCK = 64  # ... while it is not so small that calls are all that costs
SLOW = ("scalar",)  # proved after all others, so that a run that is stopped has most
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class OracleError(Exception):
    """The oracle of oracle.h disagrees with the exact value."""


def prove(choice: Choice, progress: Progress) -> Iterator[list[record.Result]]:
    """Prove what is not on record yet, a case at a time."""
    if choice.stride == 1:
        check_build()
    work = list(pending(choice))
    points = -(-PATTERNS // choice.stride)
    task = progress.add_task("float32", total=points * len(work))
    wrong = []
    for case, isas in work:
        progress.update(task, description=f"{case} ({', '.join(isas)})")
        try:
            yield results(case, isas, choice.stride, lambda n: progress.advance(task, n))
        except OracleError as error:
            wrong.append(str(error))
    if wrong:
        raise OracleError("; ".join(wrong))


def check_build() -> None:
    """Refuse to prove kernels that are not those of the sources."""
    built = Path(_ufuncs.__file__).stat().st_mtime
    changed = [p.name for p in native.ROOT.glob("csrc/*") if p.stat().st_mtime > built]
    if changed:
        raise RuntimeError(f"build fastact again: it is older than {', '.join(sorted(changed))}")


def pending(choice: Choice) -> Iterator[tuple[Case, list[str]]]:
    """Cases with the ISAs that they are still to be proved on, slow ISAs after all others."""
    known = {record.key(r): r for r in record.load()}

    def done(case: Case, isa: str) -> bool:
        keys = [(case.op.name, case.params, form, "float32", isa) for form in "fd"]
        return all(
            key in known
            and known[key]["stride"] == 1
            and known[key]["kernels"] == fingerprint(case.op.name, isa)
            for key in keys
        )

    for slow in (False, True):
        for case in choice.cases():
            isas = [isa for isa in choice.isas if (isa in SLOW) == slow]
            if choice.stride == 1 and not choice.again:
                isas = [isa for isa in isas if not done(case, isa)]
            if isas:
                yield case, isas


def results(
    case: Case, isas: list[str], stride: int, advance: Callable[[int], None] = lambda n: None
) -> list[record.Result]:
    """Prove one case on some ISAs, for every stride-th pattern."""
    whole = proof(case, [kernels(isa) for isa in isas], stride)
    return [
        result
        for isa, run in zip(isas, walk(whole, advance), strict=True)
        for result in judged(case, isa, stride, run, describe()["cpu"]["model"])
    ]


def kernels(isa: str) -> int:
    """The address of an ISA's table of kernels."""
    with fastact.isa(isa):
        return _ufuncs.kernels_address()


def proof(case: Case, tables: list[int], stride: int) -> native.Proof:
    """All patterns of a case, or every stride-th, for the kernels at some addresses."""
    params = case.rounded("float32")
    roots = case.roots()
    return native.Proof(
        oracle=case.op.name.encode(),
        row=next(row["row"] for row in _ufuncs.rows() if row["name"] == case.op.name),
        parameters=len(params),
        parameter=params,
        oracle_parameter=params,
        roots=len(roots),
        root=roots,
        count=-(-PATTERNS // stride),
        stride=stride,
        block=min(native.BLOCK, max(LEAST_BLOCK, SPAN // stride)),
        runs=len(tables),
        run=native.runs(tables),
    )


def walk(whole: native.Proof, advance: Callable[[int], None] = lambda n: None) -> list[native.Run]:
    """What is counted over all patterns of a proof, by all threads."""
    total = whole.run[: whole.runs]
    native.library()  # compiled once, before threads ask for it

    def chunk(first: int) -> native.Proof:
        part = native.Proof.from_buffer_copy(whole)
        part.run = native.runs([run.kernels for run in total])
        part.first, part.count = first * whole.stride, min(CHUNK, whole.count - first)
        native.prove(part)
        return part

    pool = ThreadPoolExecutor(THREADS)
    try:
        for part in pool.map(chunk, range(0, whole.count, CHUNK)):
            for run, more in zip(total, part.run[: part.runs], strict=True):
                run.add(more)
            advance(part.count)
    finally:
        pool.shutdown(cancel_futures=True)
    return total


def judged(case: Case, isa: str, stride: int, run: native.Run, cpu: str) -> list[record.Result]:
    """The results of one ISA, their worst errors exact."""
    faults = first_faults(run)
    return [
        {
            "op": case.op.name,
            "params": list(case.params),
            "form": form,
            "dtype": "float32",
            "isa": isa,
            "count": -(-PATTERNS // stride),
            "stride": stride,
            "max_ulp": exact_error(case, k, tally),
            "at": tally.at,
            "over_1": tally.over_1,
            "nan_faults": tally.nan_faults,
            "sign_faults": tally.sign_faults,
            "flag_faults": run.flag_faults,
            "kernels": fingerprint(case.op.name, isa),
            "cpu": cpu,
            **({"faults": faults} if faults else {}),
        }
        for k, (form, tally) in enumerate(zip("fd", run.tally, strict=True))
    ]


def first_faults(run: native.Run) -> str:
    """Where the first fault of each kind is, in words; empty where there is none."""
    found = []
    for name, tally in zip(("f", "f'"), run.tally, strict=True):
        if tally.nan_faults:
            found.append(f"{name} at {tally.nan_at!r} is NaN or should be")
        if tally.sign_faults:
            found.append(f"{name} at {tally.sign_at!r} has the wrong sign")
    if run.flag_faults:
        x = np.uint32(run.flag_block).view(np.float32)
        what = [f"{name} is spurious" for name in native.flags(run.spurious)]
        what += [f"{name} is missing" for name in native.flags(run.missing)]
        found.append(f"{' and '.join(what)} in the block that begins at {x}")
    return "; ".join(found)


def exact_error(case: Case, output: int, tally: native.Tally) -> float:
    """The worst error of f (0) or f' (1) in ULPs, against the exact value."""
    wanted = case.exact(tally.at)[output]
    coarse = output == 1 and bool(near_roots(tally.at, case.roots()).any())
    error = float(
        ulp_error(np.array([tally.got], np.float32), np.array([wanted]), coarse=coarse)[0]
    )
    if not abs(error - tally.max_ulp) <= TOLERANCE:
        raise OracleError(
            f"{case}, {('f', 'the derivative')[output]} at x = {tally.at!r}: an error of "
            f"{tally.max_ulp} ULP by prove/oracle.h, but of {error} ULP by the formula"
        )
    return error
