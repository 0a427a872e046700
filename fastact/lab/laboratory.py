"""The laboratory at work: trains or measures what the options ask for, draws, writes and tells."""

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console

from fastact.lab import (
    compare_figure,
    compare_report,
    data,
    files,
    propagation_figure,
    propagation_report,
)
from fastact.lab.choices import Activation, Initialiser
from fastact.lab.compare import configurations, train, varied
from fastact.lab.experiments import Settings
from fastact.lab.progress import working
from fastact.lab.propagation import INITIALISERS, Setup, activations
from fastact.lab.propagation import survey as survey_of


def compare(networks: Sequence[Mapping[str, Sequence[Any]]], options: Namespace) -> int:
    """Train every network and say what became of it; 2 if the data are no good."""
    try:
        learnt = data.load(options.data or "digits", options.seed)
    except data.DataError as error:
        print(f"fastact lab: {error}", file=sys.stderr)
        return 2
    settings = Settings(epochs=options.epochs or (20 if options.quick else 80), seed=options.seed)
    chosen = list(dict.fromkeys(one for values in networks for one in configurations(values)))
    differ = varied(chosen)
    options.out.mkdir(parents=True, exist_ok=True)
    console = Console()
    outcomes = []
    with working(console) as progress:
        task = progress.add_task("", total=settings.epochs * len(chosen))
        for configuration in chosen:
            name = configuration.name(differ)
            progress.update(task, description=name)
            outcomes.append(
                train(configuration, name, settings, learnt, lambda: progress.advance(task))
            )
        progress.update(task, description=f"{len(chosen)} networks")
    console.print(compare_report.outcomes_table(outcomes))
    for finding in compare_report.findings(outcomes):
        console.print(finding, highlight=False)
    _write_picture(options.out / "comparison.png", compare_figure.poster(outcomes))
    files.write(
        options.out / "comparison.json", compare_report.document(outcomes, settings, learnt)
    )
    files.write(options.out / "comparison.html", compare_report.as_page(outcomes, settings, learnt))
    console.print(f"written: {options.out}/comparison.html, comparison.png, comparison.json")
    return 0


def survey(chosen: Mapping[str, Sequence[Any]], options: Namespace) -> int:
    """Measure how signals and gradients spread, and say how well theory knows it."""
    setup = Setup(seed=options.seed, **{f: chosen[f][0] for f in ("depth", "width") if f in chosen})
    rows: Sequence[Activation] = chosen.get("activation") or activations()
    columns = chosen.get("init") or [Initialiser.parse(name) for name in INITIALISERS]
    console = Console()
    options.out.mkdir(parents=True, exist_ok=True)
    with working(console) as progress:
        task = progress.add_task("random networks", total=len(rows) * len(columns))
        found = survey_of(rows, columns, setup, lambda: progress.advance(task))
    console.print(propagation_report.farthest(found))
    console.print(propagation_report.agreement(found), highlight=False)
    _write_picture(options.out / "propagation.png", propagation_figure.overview(found))
    files.write(options.out / "propagation.json", propagation_report.document(found, setup))
    files.write(options.out / "propagation.html", propagation_report.as_page(found, setup))
    console.print(f"written: {options.out}/propagation.html, propagation.png, propagation.json")
    return 0


def _write_picture(path: Path, figure: Figure) -> None:
    with files.replacing(path) as file:
        figure.savefig(file, format="png")
