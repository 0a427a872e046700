"""The command ``fastact``."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import fastact

DEPTHS = 20, 30  # for which the captions hold and the limits in experiments.py were measured
EXTRAS = ("matplotlib", "rich", "sklearn", "threadpoolctl")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`, by default the command line's, and give the exit code."""
    options = _parser().parse_args(argv)
    if options.command == "config":
        fastact.show_config()
        return 0
    try:
        return _lab(options)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in EXTRAS:
            raise
        print(f'fastact lab needs {missing.name}: pip install "fastact[lab]"', file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastact", description="activation functions and backprop kernels for NumPy arrays"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("config", help="show what this machine and this build run")
    lab = commands.add_parser(
        "lab",
        help="vanishing and exploding gradients, and what helps: a picture, a table, timings",
    )
    lab.add_argument("--quick", action="store_true", help="fewer epochs, smaller timings")
    lab.add_argument(
        "--out", type=Path, default=Path("fastact-lab"), help="directory to write to (fastact-lab)"
    )
    lab.add_argument(
        "--seed",
        type=_count(0, 2**32 - 1),
        default=0,
        help="of the weights and of the data's order (0)",
    )
    lab.add_argument(
        "--depth", type=_count(*DEPTHS), default=20, help="hidden layers, 20 to 30 (20)"
    )
    lab.add_argument(
        "--epochs", type=_count(1, 10_000), help="of each run (80, or 20 with --quick)"
    )
    return parser


def _count(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number from `least` to `most`."""

    def count(text: str) -> int:
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be from {least} to {most}, got {text}")
        return int(text)

    return count


def _lab(options: argparse.Namespace) -> int:
    """Train, time, draw and tell; 1 if the back ends do not agree."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn
    from threadpoolctl import threadpool_limits

    from fastact.lab import experiments, figures, kernels, report

    start = perf_counter()
    epochs = options.epochs or (20 if options.quick else 80)
    settings = experiments.Settings(depth=options.depth, epochs=epochs, seed=options.seed)
    elements, rounds = (2**16, 5) if options.quick else (2**20, 9)
    data = experiments.Digits.load(settings.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    console = Console()
    columns = "{task.description:32}", BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    # One BLAS thread: for matrices this small a second one gains little, and its waiting is noise.
    with Progress(*columns, console=console) as progress, threadpool_limits(1, "blas"):
        runs = []
        task = progress.add_task("", total=epochs * len(experiments.EXPERIMENTS))
        for experiment in experiments.EXPERIMENTS:
            progress.update(task, description=experiment.name)
            runs.append(
                experiments.perform(experiment, settings, data, lambda: progress.advance(task))
            )
        progress.update(task, description="eight networks")
        cases = list(kernels.cases(elements, settings.seed))
        task = progress.add_task("kernels", total=len(cases))
        timings = kernels.measure(cases, elements, rounds, lambda: progress.advance(task))

    with report.replacing(options.out / "gradients.png") as file:
        figures.draw(runs).savefig(file, format="png")
    with report.replacing(options.out / "lab.json") as file:
        file.write(report.document(runs, timings, elements))
    console.print(report.outcomes_table(runs), report.steps_table(runs))
    console.print(report.kernels_table(timings, elements))
    console.print(report.summary(runs, timings))
    console.print(f"{perf_counter() - start:.0f} s; written: {options.out}/gradients.png, lab.json")
    if message := report.complaint(runs):
        print(f"fastact lab: {message}", file=sys.stderr)
        return 1
    return 0
