"""The demonstration: eight networks on both back ends, and every kernel timed."""

import sys
from argparse import Namespace
from time import perf_counter

from rich.console import Console

from fastact.lab import data, demo_figure, experiments, files, kernels, report, training
from fastact.lab.progress import working


def run(options: Namespace) -> int:
    """Train, time, draw and tell; 1 if the back ends do not agree."""
    start = perf_counter()
    out, seed = options.out, options.seed
    epochs = options.epochs or (20 if options.quick else 80)
    settings = experiments.Settings(epochs=epochs, seed=seed)
    elements, rounds = (2**16, 5) if options.quick else (2**20, 9)
    digits = data.digits(seed)
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    with working(console) as progress:
        runs = []
        task = progress.add_task("", total=settings.epochs * len(experiments.EXPERIMENTS))
        for experiment in experiments.EXPERIMENTS:
            progress.update(task, description=experiment.name)
            runs.append(
                training.perform(experiment, settings, digits, lambda: progress.advance(task))
            )
        progress.update(task, description="eight networks")
        cases = list(kernels.cases(elements, seed))
        task = progress.add_task("kernels", total=len(cases))
        timings = kernels.measure(cases, elements, rounds, lambda: progress.advance(task))

    with files.replacing(out / "gradients.png") as file:
        demo_figure.draw(runs).savefig(file, format="png")
    files.write(out / "lab.json", report.document(runs, timings, elements))
    console.print(report.outcomes_table(runs), report.steps_table(runs))
    console.print(report.kernels_table(timings, elements))
    console.print(report.summary(runs, timings))
    console.print(f"{perf_counter() - start:.0f} s; written: {out}/gradients.png, lab.json")
    if message := report.complaint(runs):
        print(f"fastact lab: {message}", file=sys.stderr)
        return 1
    return 0
