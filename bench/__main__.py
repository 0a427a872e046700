"""``python -m bench``: fastact and its peers in turns; the ratios, and pictures of them.

Results are kept as they come: a run that was stopped goes on, and cells on file are not measured
again. ``python -m bench --compare OLD NEW`` is what a change did.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench import machine, peers, report
from bench.cells import DTYPES, cells
from bench.results import CEILING, Record, Result
from fastact.lab.timing import pinned

SIZES = (100, 10_000, 1_000_000, 16_000_000)
FORMS = ("forward", "backward", "with_derivative")
FORMS_TOO = (*FORMS, "derivative")
PEERS = tuple(name for name in peers.MODULES if name != "python")
WORTH_A_THREAD = 1_000_000  # elements; smaller arrays are measured on one thread only
STREAMED = 16_000_000  # elements from which on the speed of memory is measured, too
COMPILER = "torch.compile"  # which takes seconds a cell to compile
QUICK = {
    "sizes": (10_000, 1_000_000),
    "dtypes": ("float32",),
    "forms": ("forward", "backward"),
    "peers": tuple(name for name in PEERS if name != COMPILER),
    "threads": (1,),
    "rounds": 25,
}
FULL = {
    "sizes": SIZES,
    "dtypes": DTYPES,
    "forms": FORMS,
    "peers": PEERS,
    "threads": (1, 2),
    "rounds": 20,
}
# How the libraries are told how many threads there are, and jax and onnxruntime not to chat.
COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "FASTACT_NUM_THREADS",
)
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    screen = report.console()
    if options.compare:
        old, new = (Record.load(path) for path in options.compare)
        screen.print(report.comparison(old.results, new.results))
        return
    for name, default in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, default)
    for name in options.peers:
        if packages := peers.missing(name):
            screen.print(f"left out: {name} ({' and '.join(packages)} not installed)")
    installed = [name for name in options.peers if not peers.missing(name)]
    record = _record(options.file)
    work = [
        (threads, name)
        for threads, name in chosen(options)
        if options.again or not record.has(f"{name}@{threads}", _asked(name, installed))
    ]
    _run(work, installed, options, record)
    wanted = {f"{name}@{threads}" for threads, name in chosen(options)}
    results = [result for result in record.results if result.cell in wanted]
    screen.print(report.standing(results))
    if absent := report.absences(record.absent, wanted):
        screen.print(absent)
    screen.print(f"{record.machine['cpu']['model']}, fastact on {record.machine['fastact']['isa']}")
    if options.pictures:
        from bench import pictures

        for path in pictures.draw(results, options.file.parent):
            screen.print(f"wrote {path}")


def chosen(options: argparse.Namespace) -> list[tuple[int, str]]:
    """The number of threads and the id of every cell that the options ask for."""
    found = []
    for threads in options.threads:
        sizes = [size for size in options.sizes if threads == 1 or size >= WORTH_A_THREAD]
        here = [
            cell
            for cell in cells(options.dtypes, sizes)
            if (cell.is_activation or options.all)
            and cell.form in options.forms
            and re.search(options.only, f"{cell.op} {cell.form}")
        ]
        streamed = dict.fromkeys(
            replace(cell, op=CEILING, form="forward").id for cell in here if cell.size >= STREAMED
        )
        found += [(threads, name) for name in streamed]
        found += [(threads, cell.id) for cell in here]
    return found


def _asked(name: str, installed: list[str]) -> list[str]:
    """Who has to be on file for a cell: nobody where memory alone is measured."""
    return [] if name.startswith(CEILING) else installed


def _record(path: Path) -> Record:
    """What is on file, if it is about this machine."""
    about = {**machine.describe(), "peers": peers.versions()}
    if not path.exists():
        return Record(about)
    record = Record.load(path)
    there, here = (
        f"{facts['cpu']['model']}, {facts['fastact']['isa']}" for facts in (record.machine, about)
    )
    if there != here:
        raise SystemExit(f"{path} is about {there}, this is {here}: name another --file")
    record.machine = about
    return record


def _run(work, installed: list[str], options: argparse.Namespace, record: Record) -> None:
    """Measure cells, in a process a thread setting, and keep each at once."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeRemainingColumn(), console=report.messages()) as progress:
        task = progress.add_task("", total=len(work))
        for threads, group in groupby(work, key=lambda pair: pair[0]):
            names = [name for _, name in group]
            progress.update(task, description=f"{names[0]}, {threads} threads")
            for answer in _answers(names, installed, threads, options):
                record.machine["fastact"]["isa_that_ran"] = answer["isa"]
                results = [Result(**facts) for facts in answer["results"]]
                record.replace(f"{answer['cell']}@{threads}", results, answer["absent"])
                record.save(options.file)
                progress.update(task, advance=1, description=f"{answer['cell']}, {threads} threads")


def _answers(
    names: list[str], installed: list[str], threads: int, options: argparse.Namespace
) -> Iterator[dict]:
    """What the process says that measures cells on so many threads, line by line."""
    job = {
        "cells": names,
        "peers": installed,
        "threads": threads,
        "rounds": options.rounds,
        "dtypes": options.dtypes,
        "sizes": options.sizes,
    }
    with pinned(threads):
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.measure"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **QUIET, **dict.fromkeys(COUNTS, str(threads))},
        )
    with process:
        process.stdin.write(json.dumps(job))
        process.stdin.close()
        unfinished = iter(names)
        for answer in map(json.loads, process.stdout):
            next(unfinished)
            yield answer
    if process.returncode:
        raise SystemExit(f"{next(unfinished)} ended with {process.returncode}; see --peers")


def _listed(kind, known=None):
    """A parser of comma-separated values."""

    def parse(text: str) -> tuple:
        values = tuple(kind(part) for part in text.split(","))
        for value in values:
            if known and value not in known:
                raise argparse.ArgumentTypeError(f"{value} is none of {', '.join(map(str, known))}")
        return values

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add("--only", default="", metavar="REGEX", help="cells whose 'op form' it is found in")
    add("--sizes", type=_listed(lambda text: int(float(text))), help="elements: 100,1e4,1e6,16e6")
    add("--dtypes", type=_listed(str, DTYPES), help="float32,float64")
    add("--forms", type=_listed(str, FORMS_TOO), help=",".join(FORMS_TOO))
    add("--peers", type=_listed(str, PEERS), help=",".join(PEERS))
    add("--threads", type=_listed(int), help="thread settings, a process each: 1,2")
    add("--rounds", type=int, help="samples of each contender")
    add("--all", action="store_true", help="not activations alone, but all that NumPy can do")
    add("--quick", action="store_true", help="defaults that take minutes; without torch.compile")
    add("--again", action="store_true", help="measure cells that are on file, too")
    add("--file", type=Path, default=Path("out/peers.json"), help="where results are kept")
    add("--pictures", action="store_true", help="draw the ratios and a roofline beside the file")
    add("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"), help="what a change did")
    return parser


if __name__ == "__main__":
    main()
