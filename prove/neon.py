"""The NEON kernels, cross-compiled and emulated: a sample, since emulation is slow."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from rich.progress import Progress

from prove import float32, native, record
from prove.choice import Case, Choice

COMPILER = os.environ.get("CROSS_CC", "aarch64-linux-gnu-gcc")
EMULATOR = os.environ.get("EMULATOR", "qemu-aarch64")
ISA = "neon"


def prove(choice: Choice, progress: Progress) -> Iterator[list[record.Result]]:
    """Prove every case for a sample of the patterns."""
    program, cases = build(), choice.cases()
    native.tool(EMULATOR, "install qemu-user, as Debian calls it")
    task = progress.add_task(ISA, total=len(cases))
    pool = ThreadPoolExecutor(float32.THREADS)
    try:
        for case, run in zip(
            cases, pool.map(lambda c: emulate(program, c, choice.stride), cases), strict=True
        ):
            yield float32.judged(case, ISA, choice.stride, run, EMULATOR)
            progress.update(task, advance=1, description=f"{case} ({ISA})")
    finally:
        pool.shutdown(cancel_futures=True)


@cache
def build() -> Path:
    """The prover with the kernels, as a static program for aarch64."""
    compiler = native.tool(COMPILER, "install gcc-aarch64-linux-gnu, as Debian calls it")
    sources = [native.ROOT / "prove" / "main.c", *sorted((native.ROOT / "csrc").glob("*.c"))]
    return native.compiled("prover-neon", compiler, ["-static"], sources)


def emulate(program: Path, case: Case, stride: int) -> native.Run:
    """What the program counted."""
    proof = float32.proof(case, [], stride)
    numbers = [*proof.parameter[: proof.parameters], *proof.root[: proof.roots]]
    command = [EMULATOR, str(program), ISA, case.op.name]
    command += map(str, (proof.row, 0, proof.count, stride, proof.parameters))
    command += [number.hex() for number in numbers]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return native.run_from(json.loads(output))
