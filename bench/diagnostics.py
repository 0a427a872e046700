"""``python -m bench.diagnostics``: what a gradient report and a monitor cost, on one core.

The report is on a hundred arrays of together 25 million float32; it stands beside reads of the same
memory, in turns. The monitor takes its turns with a whole step of
``bench.train_step``'s MLP without one, and measures gradients, and then parameters and activations
besides.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

import fastact
from bench import machine
from bench.report import console
from bench.steps.mlp import FastactMLP, Problem
from fastact.lab.timing import interleaved, pinned

ARRAYS, ELEMENTS = 100, 25_000_000
ROUNDS = 40


def main() -> None:
    options = _parser().parse_args()
    with pinned(), fastact.threads(1):
        reading, monitoring = report(options.rounds), monitor(options.rounds)
    screen = console()
    screen.print(_table("a list of 100 arrays, 25 M float32", "ns an element", reading))
    screen.print(_table("a step of the MLP, batch 256", "ms a step", monitoring))
    about = machine.describe()
    screen.print(f"{about['cpu']['model']}, fastact on {about['fastact']['isa']}")
    if options.json:
        facts = {"machine_info": about, "report": reading, "monitor": monitoring}
        options.json.write_text(json.dumps(facts, indent=1))


def report(rounds: int) -> dict[str, list[float]]:
    """Nanoseconds an element of ways to read, and of the report."""
    rng = np.random.default_rng(0)
    size = ELEMENTS // ARRAYS
    arrays = [1e-3 * rng.standard_normal(size, dtype=np.float32) for _ in range(ARRAYS)]
    ways: dict[str, Callable[[list[np.ndarray]], object]] = {
        "read: numpy.max": lambda some: [a.max() for a in some],
        "read: numpy.dot": lambda some: [a.dot(a) for a in some],
        "global_norm": fastact.global_norm,
        "gradient_report": fastact.gradient_report,
    }
    calls = {name: partial(way, arrays) for name, way in ways.items()}
    times = interleaved(calls, rounds=rounds, min_time=0)
    return {name: [1e9 / ELEMENTS * t for t in samples] for name, samples in times.items()}


def monitor(rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step, without a monitor and with one."""
    network = FastactMLP(Problem("relu"))
    grads = {"weight": network.dw, "bias": [np.ones_like(b) for b in network.biases]}
    params = {"weight": network.weights, "bias": network.biases}
    some, every = fastact.GradientMonitor(), fastact.GradientMonitor(learning_rate=0.01)
    calls = {
        "step": network.step,
        "monitor.step(grads)": lambda: some.step(grads),
        "monitor.step(grads, params)": lambda: every.step(grads, params),
        "... and activations": lambda: every.step(grads, params, network.h[:-1]),
    }
    network.step()
    times = interleaved(calls, rounds=2 * rounds, min_time=0)
    return {name: [1e3 * seconds for seconds in samples] for name, samples in times.items()}


def _table(title: str, unit: str, times: dict[str, list[float]]) -> Table:
    """Low quartiles, which a busy machine spoils least, and ratios of them to the first row's."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    for name in (f"{unit}, quartile", "median", "ratio of quartiles", "of medians"):
        table.add_column(name, justify="right")
    first = next(iter(times.values()))
    base = [float(np.percentile(first, q)) for q in (25, 50)]
    for name, samples in times.items():
        own = [float(np.percentile(samples, q)) for q in (25, 50)]
        ratios = [a / b for a, b in zip(own, base, strict=True)]
        table.add_row(name, *(f"{v:.3f}" for v in own), *(f"{v:.3f}" for v in ratios))
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.diagnostics", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="samples of each")
    parser.add_argument("--json", type=Path, help="where every sample is written")
    return parser


if __name__ == "__main__":
    main()
