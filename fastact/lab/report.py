"""What the lab says: tables for the terminal, and a JSON document with all figures."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from math import isfinite
from statistics import geometric_mean

from rich.box import SIMPLE
from rich.table import Table

import fastact
from fastact.lab.files import as_json
from fastact.lab.kernels import Timing
from fastact.lab.training import COMPARED_STEPS, TOLERANCE, Run

# What the JSON document holds of an experiment, and of its run.
CAUSES = "name", "activation", "batch_norm", "clip", "learning_rate"
EFFECTS = (
    *("gradient", "ratio", "diverged", "first_signal", "last_signal", "losses", "accuracy"),
    *("seconds_per_step", "disagreement", "agrees"),
)
STYLES = {"vanishes": "blue", "explodes": "red", "healthy": "green"}


def outcomes_table(runs: Sequence[Run]) -> Table:
    """What became of each network."""
    made = table(
        "What becomes of each network",
        "\nrun",
        "\ngradient",
        "layer 1\n/output",
        "loss,\nfirst -> last",
        "digits\nfastact",
        "right\nNumPy",
    )
    for number, run in enumerate(runs, 1):
        losses = run.losses["fastact"]
        made.add_row(
            f"{number} {run.experiment.name}",
            f"[{STYLES[run.gradient]}]{run.gradient}",
            f"{run.ratio:.1e}",
            f"{losses[0]:.2g} -> {losses[-1]:.2g}",
            *(
                "-" if run.diverged else f"{run.accuracy[name]:.0%}"
                for name in ("fastact", "NumPy")
            ),
        )
    return made


def steps_table(runs: Sequence[Run]) -> Table:
    """What a training step costs on each back end, and how far apart their losses are."""
    made = table(
        "A training step, matrix products included: ms, median",
        "\nrun",
        "\nNumPy",
        "\nfastact",
        "\nfaster",
        "losses differ\nfloat32",
        "\nfloat64",
    )
    for number, run in enumerate(runs, 1):
        made.add_row(
            f"{number} {run.experiment.name}",
            *_cells(*(1e3 * run.seconds_per_step[name] for name in ("NumPy", "fastact"))),
            *(f"{run.disagreement[dtype]:.0e}" for dtype in ("float32", "float64")),
        )
    return made


def kernels_table(timings: Sequence[Timing], n: int) -> Table:
    """Each function and its backward pass, beside the idiom."""
    made = table(
        f"Kernels: ns an element (float32, {n:,}), all results made anew",
        "\nfunction",
        "forward\nNumPy",
        "\nfastact",
        "\nfaster",
        "backward\nNumPy",
        "\nfastact",
        "\nfaster",
    )
    by_name = {timing.function: timing for timing in timings}
    for name, forward in by_name.items():
        if name.endswith("_backward"):
            continue
        passes = (
            [forward, by_name[f"{name}_backward"]] if f"{name}_backward" in by_name else [forward]
        )
        cells = [_cells(timing.numpy, timing.fastact) for timing in passes]
        made.add_row(name, *chain.from_iterable(cells))
    return made


def table(title: str, first_column: str, *columns: str) -> Table:
    """A table that looks like all others here."""
    made = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE, padding=(0, 1, 0, 0)
    )
    made.add_column(first_column)
    for heading in columns:
        made.add_column(heading, justify="right", no_wrap=True)
    return made


def _cells(numpy: float, fastact: float) -> tuple[str, ...]:
    """Two times and their ratio, or dashes where nothing was timed."""
    if not isfinite(numpy / fastact):
        return "-", "-", "-"
    return f"{numpy:.2f}", f"{fastact:.2f}", f"[bold]{numpy / fastact:.1f}x"


def summary(runs: Sequence[Run], timings: Sequence[Timing]) -> str:
    """What it comes to, in three sentences."""
    steps = geometric_mean(run.speedup for run in runs if isfinite(run.speedup))
    kernels = [timing.speedup for timing in timings]
    differences = ", ".join(
        f"{max(run.disagreement[dtype] for run in runs):.0e} over the first "
        f"{COMPARED_STEPS[dtype]} steps in {dtype} (allowed: {tolerance:.0e})"
        for dtype, tolerance in TOLERANCE.items()
    )
    return (
        f"A whole training step, matrix products included, is {steps:.2f} times as fast as with "
        "NumPy as people write it (geometric mean of the runs).\n"
        f"A kernel is {geometric_mean(kernels):.1f} times as fast (geometric mean; from "
        f"{min(kernels):.1f} to {max(kernels):.1f}).\n"
        f"The losses of both back ends differ by at most {differences}."
    )


def complaint(runs: Sequence[Run]) -> str | None:
    """What is wrong if the back ends do not agree, or None."""
    wrong = [
        f"  {number}  {run.experiment.name}: losses differ by "
        + ", ".join(f"{value:.1e} in {dtype}" for dtype, value in run.disagreement.items())
        for number, run in enumerate(runs, 1)
        if not run.agrees
    ]
    if not wrong:
        return None
    allowed = ", ".join(f"{value:.0e} in {dtype}" for dtype, value in TOLERANCE.items())
    return "\n".join([f"the back ends disagree (allowed: {allowed}):", *wrong])


def document(runs: Sequence[Run], timings: Sequence[Timing], n: int) -> bytes:
    """All figures as JSON; what is not a finite number is null."""
    content = {
        "config": fastact.get_config(),
        "settings": asdict(runs[0].settings),
        "runs": [
            {name: getattr(run.experiment, name) for name in CAUSES}
            | {name: getattr(run, name) for name in EFFECTS}
            for run in runs
        ],
        "kernels": {"elements": n, "ns_per_element": [asdict(timing) for timing in timings]},
    }
    return as_json(content)
