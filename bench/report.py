"""Results and the tables of ratios made of them.

A file of results has pytest-benchmark's shape, whichever command wrote it, so one reader does.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import geometric_mean

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text


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


@dataclass(frozen=True)
class Ratio:
    """How many times faster `subject` is than `rival` in one cell."""

    op: str
    form: str
    dtype: str
    size: int
    subject: str
    rival: str
    by_min: float
    by_median: float
    subject_ns: float  # nanoseconds an element, by the least time

    @property
    def cell(self) -> str:
        return f"{self.op} {self.form}"


def save(path: Path, results: Iterable[Result], machine: dict) -> None:
    """Write what `load` reads."""
    benchmarks = []
    for result in results:
        facts = asdict(result)
        stats = {"min": facts.pop("min"), "median": facts.pop("median")}
        benchmarks.append({"extra_info": facts, "stats": stats})
    path.write_text(json.dumps({"machine_info": machine, "benchmarks": benchmarks}, indent=1))


def load(path: Path) -> tuple[list[Result], dict]:
    """The results and the machine of a file that `save` or ``--benchmark-json`` wrote."""
    data = json.loads(path.read_text())
    results = [
        Result(**entry["extra_info"], min=entry["stats"]["min"], median=entry["stats"]["median"])
        for entry in data["benchmarks"]
    ]
    return results, data["machine_info"]


def ratios(results: Iterable[Result]) -> list[Ratio]:
    """Every contender whose name starts with fastact against every one whose name does not."""
    by_cell = defaultdict(list)
    for result in results:
        by_cell[result.op, result.form, result.dtype, result.size].append(result)
    return [
        Ratio(
            *cell,
            subject.contender,
            rival.contender,
            rival.min / subject.min,
            rival.median / subject.median,
            subject.min / subject.size * 1e9,
        )
        for cell, contenders in by_cell.items()
        for subject in contenders
        if subject.contender.startswith("fastact")
        for rival in contenders
        if not rival.contender.startswith("fastact")
    ]


def console() -> Console:
    """Where tables go: as wide as the terminal, or as wide as they are in a file."""
    wide = Console(width=120)
    return Console() if wide.is_terminal else wide


def render(every_ratio: list[Ratio]) -> Group:
    """A table for each dtype, size, subject and rival, and one over all of them."""
    groups = defaultdict(list)
    for ratio in every_ratio:
        groups[ratio.subject, ratio.rival, ratio.dtype, ratio.size].append(ratio)
    return Group(*(_grid(key, group) for key, group in groups.items()), _overview(groups))


def _grid(key, group: list[Ratio]) -> Table:
    subject, rival, dtype, size = key
    table = Table(
        title=f"{subject}: times faster than {rival}, and its ns an element\n{dtype}, n = {size:,}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    forms = list(dict.fromkeys(ratio.form for ratio in group))
    table.add_column("op", no_wrap=True)
    for form in forms:
        table.add_column(form, justify="right")
    found = {(ratio.op, ratio.form): ratio for ratio in group}
    for op in dict.fromkeys(ratio.op for ratio in group):
        table.add_row(op, *(_entry(found.get((op, form))) for form in forms))
    return table


def _entry(ratio: Ratio | None) -> Text:
    if ratio is None:
        return Text("")
    style = "red" if ratio.by_min < 1 else ""
    return Text(f"{_times(ratio.by_min)} {ratio.subject_ns:6.3g}", style=style)


def _times(value: float) -> str:
    """Three digits and a multiplication sign, without an exponent."""
    digits = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}x"


def _overview(groups) -> Table:
    table = Table(title="Over all cells", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("contenders", "dtype", "worst cell"):
        table.add_column(column)
    for column in ("n", "cells", "geometric mean", "by medians", "worst"):
        table.add_column(column, justify="right")
    for (subject, rival, dtype, size), group in groups.items():
        worst = min(group, key=lambda ratio: ratio.by_min)
        table.add_row(
            f"{subject} / {rival}",
            dtype,
            worst.cell,
            f"{size:,}",
            str(len(group)),
            _times(geometric_mean(ratio.by_min for ratio in group)),
            _times(geometric_mean(ratio.by_median for ratio in group)),
            _times(worst.by_min),
        )
    return table
