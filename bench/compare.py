"""``python -m bench.compare``: fastact and its rivals in turns, in one process, on one core.

Each round calls every contender of a cell once, so that a clock that drifts drifts for all of
them. What it prints are ratios of the least times; the file holds the medians as well.
"""

import argparse
import re
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

import fastact
from bench import machine
from bench.cells import DTYPES, Cell, cells
from bench.report import Ratio, Result, console, ratios, render, save
from fastact.lab.timing import interleaved, pinned

ARITHMETIC = {"relu", "leaky_relu"}  # no exponential: memory bounds the gain
GOAL = 1.0  # times the NumPy idiom, for every op and form
GOAL_TRANSCENDENTAL = 5.0


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    screen = console()
    chosen = [
        cell
        for cell in cells([options.dtype], [options.size])
        if re.search(options.only, f"{cell.op} {cell.form}")
    ]
    with pinned():
        results = [
            result
            for cell in track(chosen, console=Console(stderr=True), transient=True)
            for result in measure(cell, options.rounds, out=options.out)
        ]
    every_ratio = ratios(results)
    screen.print(render(every_ratio))
    for line in verdict(every_ratio):
        screen.print(line)
    about = machine.describe()
    screen.print(f"{about['cpu']['model']}, fastact on {about['fastact']['isa']}")
    if options.json:
        save(options.json, results, about)


def measure(cell: Cell, rounds: int, *, out: bool = False) -> list[Result]:
    """The least and the median time of every contender of a cell."""
    calls = {name: cell.call(name) for name in cell.contenders(out=out)}
    return [
        Result(cell.op, cell.form, cell.dtype, cell.size, name, min(times), float(np.median(times)))
        for name, times in interleaved(calls, rounds=rounds).items()
    ]


def verdict(every_ratio: list[Ratio]) -> list[str]:
    """Which cells miss the goals against the NumPy idioms, a line a goal."""
    against_numpy = [
        ratio for ratio in every_ratio if (ratio.subject, ratio.rival) == ("fastact", "numpy")
    ]
    transcendental = {op.name for op in fastact.ops()} - ARITHMETIC
    heavy = [ratio for ratio in against_numpy if ratio.op in transcendental]
    return [
        _line("all", against_numpy, GOAL),
        _line("transcendental", heavy, GOAL_TRANSCENDENTAL),
    ]


def _line(kind: str, group: list[Ratio], goal: float) -> str:
    missed = [f"{ratio.cell} {ratio.by_min:.2f}" for ratio in group if ratio.by_min < goal]
    return (
        f"{kind}: {len(group) - len(missed)} of {len(group)} cells at least {goal:g} times as fast"
        + (f"; not {', '.join(missed)}" if missed else "")
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--dtype", default="float32", choices=DTYPES)
    parser.add_argument("--size", default=1_000_000, type=int, help="elements, from 100")
    parser.add_argument("--rounds", default=25, type=int)
    parser.add_argument("--only", default="", help="regular expression on 'op form'")
    parser.add_argument("--out", action="store_true", help="fastact with out= as well")
    parser.add_argument("--json", type=Path, help="where to save the results")
    return parser


if __name__ == "__main__":
    main()
