"""``python -m bench.along``: what works along an axis against its peers, in turns, on one core.

The table says how many times faster fastact is than the fastest peer of a cell, best against best.
"""

import argparse
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
from rich.progress import track

from bench import machine, report
from bench.__main__ import COUNTS, QUIET
from bench.along import THEMES, cells
from bench.contenders import agreeing
from bench.results import Record, Result
from fastact.lab.timing import interleaved, pinned

PATIENCE = 40  # as in bench.measure
ALONE = "FASTACT_BENCH_ALONE"  # set in the process that has one core and libraries of one thread


def main() -> None:
    if ALONE not in os.environ:
        environment = {**os.environ, **QUIET, **dict.fromkeys(COUNTS, "1"), ALONE: "1"}
        with pinned():
            command = [sys.executable, "-m", "bench.along", *sys.argv[1:]]
            raise SystemExit(subprocess.run(command, env=environment).returncode)
    options = _parser().parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    record = Record(machine.describe())
    chosen = [
        cell
        for cell in cells(options.themes, options.dtypes)
        if re.search(options.only, f"{cell.name} {cell.form}")
    ]
    for cell in track(chosen, console=report.messages()):
        calls = cell.calls()
        absent = agreeing(calls)
        samples = interleaved(calls, rounds=options.rounds, min_time=1e-3, patience=PATIENCE)
        facts = cell.name, cell.form, cell.dtype, cell.size
        results = [
            Result(*facts, who, min(times), float(np.median(times)))
            for who, times in samples.items()
        ]
        record.replace(results[0].cell, results, absent)
        if options.file:
            record.save(options.file)
    screen = report.console()
    screen.print(report.along(record.results))
    if absent := report.absences(record.absent, record.absent):
        screen.print(absent)
    screen.print(f"{record.machine['cpu']['model']}, fastact on {record.machine['fastact']['isa']}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.along", description=__doc__)
    add = parser.add_argument
    add("themes", nargs="*", default=list(THEMES), metavar="theme", help=", ".join(THEMES))
    add("--only", default="", metavar="REGEX", help="cells whose 'op shape axis form' it is in")
    add("--dtypes", nargs="+", default=["float32"], choices=("float32", "float64"))
    add("--rounds", type=int, default=20, help="samples of each contender")
    add("--file", type=Path, help="where results are kept, as JSON")
    return parser


if __name__ == "__main__":
    main()
