"""Results, the files they are kept in, and the ratios made of them.

A file has pytest-benchmark's shape, whichever command wrote it, so one reader does.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

OURS = "fastact"
CEILING = "copy"  # the op of the cells that say how fast memory is; nobody's ratio


@dataclass(frozen=True)
class Result:
    """Seconds a call took: the least and the median of many."""

    op: str
    form: str
    dtype: str
    size: int
    contender: str
    min: float
    median: float
    threads: int = 1

    @property
    def cell(self) -> str:
        return cell_name(self.op, self.form, self.dtype, self.size, self.threads)

    @property
    def library(self) -> str:
        return library(self.contender)

    @property
    def ns(self) -> float:
        """Nanoseconds an element."""
        return self.min / self.size * 1e9


def library(contender: str) -> str:
    """Whose a contender is, without what is special about it."""
    return contender.split(" ")[0]


def cell_name(op: str, form: str, dtype: str, size: int, threads: int) -> str:
    return f"{op}-{form}-{dtype}-{size}@{threads}"


@dataclass(frozen=True)
class Ratio:
    """How many times faster `subject` is than `rival` in one cell."""

    subject: Result
    rival: Result

    @property
    def by_min(self) -> float:
        return self.rival.min / self.subject.min

    @property
    def by_median(self) -> float:
        return self.rival.median / self.subject.median

    @property
    def group(self) -> tuple[int, str, int]:
        return self.subject.threads, self.subject.dtype, self.subject.size

    @property
    def name(self) -> str:
        return f"{self.subject.op} {self.subject.form}"


def ratios(results: Iterable[Result]) -> list[Ratio]:
    """Every contender of ours against every other one of its cell."""
    by_cell = defaultdict(list)
    for result in results:
        by_cell[result.cell].append(result)
    return [
        Ratio(subject, rival)
        for contenders in by_cell.values()
        for subject in contenders
        if subject.library == OURS
        for rival in contenders
        if rival.library != OURS
    ]


def best(results: Iterable[Result], key: Callable[[Result], object]) -> list[Result]:
    """The fastest of those that share a key."""
    found: dict[object, Result] = {}
    for result in results:
        if result.min < found.setdefault(key(result), result).min:
            found[key(result)] = result
    return list(found.values())


def against_fastest(results: Iterable[Result]) -> list[Ratio]:
    """In each cell, the faster of our contenders against the fastest of the others."""
    return ratios(best(results, lambda r: (r.cell, r.library == OURS)))


def against_each(results: Iterable[Result]) -> list[Ratio]:
    """In each cell, the faster of our contenders against the fastest one of each library."""
    return ratios(best(results, lambda r: (r.cell, r.library)))


@dataclass
class Record:
    """What is known of a machine; kept on file, so that an interrupted run goes on."""

    machine: dict
    results: list[Result] = field(default_factory=list)
    absent: dict[str, dict[str, str]] = field(default_factory=dict)  # contenders of a cell, and why

    def has(self, cell: str, names: Iterable[str]) -> bool:
        """Whether a cell has been measured with these peers, or without those that cannot."""
        there = {result.library for result in self.results if result.cell == cell}
        absent = {library(contender) for contender in self.absent.get(cell, {})}
        return bool(there) and set(names) <= there | absent

    def replace(self, cell: str, results: Iterable[Result], absent: dict[str, str]) -> None:
        """Put results of a cell in the place of those there are: rounds do not mix."""
        self.results = [result for result in self.results if result.cell != cell]
        self.results += results
        self.absent[cell] = absent

    def save(self, path: Path) -> None:
        """Write what `load` reads, all of it or nothing."""
        benchmarks = []
        for result in self.results:
            facts = asdict(result)
            stats = {"min": facts.pop("min"), "median": facts.pop("median")}
            benchmarks.append({"extra_info": facts, "stats": stats})
        data = {"machine_info": self.machine, "benchmarks": benchmarks, "absent": self.absent}
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.part")
        unfinished.write_text(json.dumps(data, indent=1))
        os.replace(unfinished, path)

    @classmethod
    def load(cls, path: Path) -> "Record":
        """What `save` or ``--benchmark-json`` wrote."""
        data = json.loads(path.read_text())
        results = [
            Result(
                **entry["extra_info"], min=entry["stats"]["min"], median=entry["stats"]["median"]
            )
            for entry in data["benchmarks"]
        ]
        return cls(data["machine_info"], results, data.get("absent", {}))
