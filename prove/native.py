"""prover.c compiled for this machine, and its structures as ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
CACHE = ROOT / "build" / "prove"
# Contraction would make the oracle's values depend on the machine; nothing here reads errno.
FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno"]
BLOCK = 2048  # prover.c's, the most patterns between two looks at the flags
FLAG_NAMES = ("invalid", "divide", "overflow", "underflow")  # by prover.c's bits


class Tally(ctypes.Structure):
    """What was counted of one output of one ISA."""

    _fields_ = [
        ("max_ulp", ctypes.c_double),
        ("at", ctypes.c_float),
        ("got", ctypes.c_float),
        ("nan_at", ctypes.c_float),
        ("sign_at", ctypes.c_float),
        ("over_1", ctypes.c_uint64),
        ("nan_faults", ctypes.c_uint64),
        ("sign_faults", ctypes.c_uint64),
    ]

    def add(self, other: Tally) -> None:
        if other.max_ulp > self.max_ulp:
            self.max_ulp, self.at, self.got = other.max_ulp, other.at, other.got
        if not self.nan_faults:
            self.nan_at = other.nan_at
        if not self.sign_faults:
            self.sign_at = other.sign_at
        self.over_1 += other.over_1
        self.nan_faults += other.nan_faults
        self.sign_faults += other.sign_faults


class Run(ctypes.Structure):
    """One ISA's kernels and what was counted of them."""

    _fields_ = [
        ("kernels", ctypes.c_void_p),
        ("tally", Tally * 2),
        ("flag_faults", ctypes.c_uint64),
        ("flag_block", ctypes.c_uint32),
        ("spurious", ctypes.c_int32),
        ("missing", ctypes.c_int32),
    ]

    def add(self, other: Run) -> None:
        for mine, theirs in zip(self.tally, other.tally, strict=True):
            mine.add(theirs)
        if not self.flag_faults:
            self.flag_block = other.flag_block
            self.spurious, self.missing = other.spurious, other.missing
        self.flag_faults += other.flag_faults


class Proof(ctypes.Structure):
    """What to prove, on which patterns."""

    _fields_ = [
        ("oracle", ctypes.c_char_p),
        ("row", ctypes.c_int32),
        ("parameters", ctypes.c_int32),
        ("roots", ctypes.c_int32),
        ("runs", ctypes.c_int32),
        ("parameter", ctypes.c_float * 4),
        ("oracle_parameter", ctypes.c_double * 4),
        ("root", ctypes.c_double * 4),
        ("first", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
        ("stride", ctypes.c_uint64),
        ("block", ctypes.c_uint64),
        ("run", ctypes.POINTER(Run)),
    ]


def runs(tables: list[int]) -> ctypes.Array[Run]:
    """Fresh counters for the kernels at some addresses."""
    made = (Run * len(tables))()
    for run, table in zip(made, tables, strict=True):
        run.kernels = table
        for tally in run.tally:
            tally.max_ulp = -1  # so that even an error of 0 has a place
    return made


def flags(mask: int) -> list[str]:
    """The names of flags."""
    return [name for bit, name in enumerate(FLAG_NAMES) if mask >> bit & 1]


def compiled(name: str, compiler: str, flags: list[str], sources: list[Path]) -> Path:
    """What a compiler makes of the sources, made unless it has been of these very texts."""
    headers = [ROOT / "prove" / "oracle.h", *sorted((ROOT / "csrc").glob("*.[hd]*"))]
    command = [compiler, *FLAGS, *flags, *map(str, sources), "-lm"]
    text = b"".join(path.read_bytes() for path in [*sources, *headers]) + repr(command).encode()
    target = CACHE / f"{name}-{hashlib.sha256(text).hexdigest()[:16]}"
    if not target.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(f".{os.getpid()}")
        subprocess.run([*command, "-o", str(draft)], check=True)
        os.replace(draft, target)
    return target


def tool(name: str, advice: str) -> str:
    """A program that must be there."""
    if shutil.which(name) is None:
        raise FileNotFoundError(f"no {name!r}: {advice}")
    return name


@cache
def library() -> ctypes.CDLL:
    """prover.c for this machine, as a library whose functions run without the GIL."""
    compiler = tool(os.environ.get("CC", "cc"), "install a C compiler, or name one in CC")
    flags = ["-march=native", "-shared", "-fPIC"]
    return ctypes.CDLL(str(compiled("prover.so", compiler, flags, [ROOT / "prove" / "prover.c"])))


def prove(proof: Proof) -> None:
    """Walk the patterns of a proof, adding to its runs."""
    if library().prove(ctypes.byref(proof)) != 0:
        raise ValueError(f"prove/oracle.h has no entry {proof.oracle.decode()!r}")


def judge(proof: Proof, x: np.ndarray, got: Sequence[np.ndarray | None]) -> None:
    """Count what others make of some x: f and f' of each run in turn, None where there is none."""
    given = [y if y is None else np.ascontiguousarray(y, np.float32) for y in got]
    if any(y is not None and y.shape != x.shape for y in given):
        raise ValueError("got must hold as many results as there are x")
    addresses = (ctypes.c_void_p * len(given))(*(y if y is None else y.ctypes.data for y in given))
    if library().judge(
        ctypes.byref(proof), ctypes.c_void_p(x.ctypes.data), ctypes.c_size_t(x.size), addresses
    ):
        raise ValueError(f"prove/oracle.h has no entry {proof.oracle.decode()!r}")


def oracles() -> tuple[str, ...]:
    """The names of all entries of oracle.h."""
    name = library().oracle_name
    name.restype = ctypes.c_char_p
    names = iter(lambda: name(next(position)), None)
    position = iter(range(1 << 16))
    return tuple(text.decode() for text in names)


def ask(oracle: str, x: np.ndarray, params: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """f and f' as oracle.h has them, for float32 x."""
    x = np.ascontiguousarray(x, np.float32)
    values = np.empty((2, x.size))
    parameter = (ctypes.c_double * 4)(*params)
    if (
        library().ask(
            oracle.encode(),
            x.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_size_t(x.size),
            parameter,
            values[0].ctypes.data_as(ctypes.c_void_p),
            values[1].ctypes.data_as(ctypes.c_void_p),
        )
        != 0
    ):
        raise ValueError(f"prove/oracle.h has no entry {oracle!r}")
    return values[0], values[1]


def run_from(counted: dict[str, Any]) -> Run:
    """A run from what main.c prints of one."""
    tallies = [
        Tally(**{k: float.fromhex(v) if isinstance(v, str) else v for k, v in tally.items()})
        for tally in counted.pop("tally")
    ]
    return Run(tally=tuple(tallies), **counted)
