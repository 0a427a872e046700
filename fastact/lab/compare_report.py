"""What a comparison says: a table for the terminal, a JSON document, and a page."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

import fastact
from fastact.lab import compare_figure, page
from fastact.lab.compare import Outcome
from fastact.lab.data import Data
from fastact.lab.experiments import Settings
from fastact.lab.files import as_json
from fastact.lab.report import STYLES, table
from fastact.lab.training import EXPLODES_ABOVE

COLUMNS = "run", "gradient", "layer 1\n/output", "loss", "right", "clipped", "s"


def outcomes_table(outcomes: Sequence[Outcome]) -> Table:
    """What became of each network, for the terminal."""
    made = table("What becomes of each network", *COLUMNS)
    for name, gradient, *cells in _rows(outcomes):
        made.add_row(name, f"[{STYLES[gradient]}]{gradient}", *cells)
    return made


def _rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    return [
        [
            f"{number} {one.name}",
            one.gradient,
            f"{one.ratio:.1e}",
            f"{one.losses[0]:.2g} -> {one.losses[-1]:.2g}",
            "diverged" if one.ended else f"{one.accuracy:.0%}",
            "-" if one.configuration.clip is None else f"{one.clipped:.0%}",
            f"{one.seconds:.1f}",
        ]
        for number, one in enumerate(outcomes, 1)
    ]


def findings(outcomes: Sequence[Outcome]) -> list[str]:
    """A sentence or two on each, and what to try."""
    return [
        f"{number} {one.name}: {_finding(one)} {_advice(one)}".strip()
        for number, one in enumerate(outcomes, 1)
    ]


def _finding(outcome: Outcome) -> str:
    arrives = {
        "vanishes": f"only {outcome.ratio:.0e} of the gradient arrives at layer 1.",
        "explodes": f"at layer 1 the gradient is {outcome.ratio:.0e} times the one at the output.",
        "healthy": f"the gradient keeps its size ({outcome.ratio:.2g} of it arrives at layer 1).",
    }[outcome.gradient]
    if outcome.ended:
        return f"{arrives} Training ended: {outcome.ended}."
    return f"{arrives} {outcome.accuracy:.0%} of the test set is right."


def _advice(outcome: Outcome) -> str:
    configuration = outcome.configuration
    remedies = []
    if outcome.gradient != "healthy":
        if configuration.init.name not in ("gain", "he", "he_normal", "xavier", "xavier_normal"):
            remedies.append("--init gain, which fits the weights to the activation")
        if not configuration.batch_norm:
            remedies.append("--batch-norm")
    if (outcome.gradient == "explodes" or outcome.ended) and configuration.clip is None:
        remedies.append("--clip 1")
    if outcome.gradient == "healthy" and outcome.ended:
        remedies.append(f"--learning-rate {configuration.learning_rate / 10:g}")
    return f"Try {' or '.join(remedies)}." if remedies else ""


def document(outcomes: Sequence[Outcome], settings: Settings, data: Data) -> bytes:
    """All figures as JSON."""
    return as_json(
        {
            "config": fastact.get_config(),
            "data": _described(data),
            "settings": {name: getattr(settings, name) for name in ("batch", "epochs", "seed")},
            "runs": [
                asdict(one)
                | {
                    "activation": str(one.configuration.activation),
                    "init": str(one.configuration.init),
                    "gradient": one.gradient,
                    "ratio": one.ratio,
                    "clipped": one.clipped,
                }
                for one in outcomes
            ],
        }
    )


def _described(data: Data) -> dict[str, object]:
    return {
        "name": data.name,
        "rows": [len(data.train_x), len(data.test_x)],
        "columns": data.train_x.shape[1],
        "classes": data.classes,
        "most_frequent_class": data.majority,
    }


def as_page(outcomes: Sequence[Outcome], settings: Settings, data: Data) -> bytes:
    """The page: what was found, how to read it, and how to make it again."""
    healthy = sum(one.gradient == "healthy" and not one.ended for one in outcomes)
    lead = (
        f"{len(outcomes)} network{'s' * (len(outcomes) > 1)}, trained by plain gradient descent on "
        f"{data.name} ({len(data.train_x)} rows to learn from, {len(data.test_x)} to test, "
        f"{len(data.classes)} classes; the most frequent one is {data.majority:.0%}): "
        f"{settings.epochs} epochs, batches of {settings.batch}, seed {settings.seed}, float32. "
        f"{healthy} of them train on a healthy gradient."
    )
    options = f"--data {shlex.quote(data.source)} --epochs {settings.epochs} --seed {settings.seed}"
    commands = [f"fastact lab {one.configuration.command()} {options}" for one in outcomes]
    drawn = compare_figure.pictures(outcomes)
    captions = {
        "gradients": "The norm of the gradient as it arrives at each layer. It starts at the "
        "output, on the right, and is passed down to layer 1, on the left. Shaded: within a factor "
        f"{EXPLODES_ABOVE} of where it started, which counts as healthy. Theory is mean-field "
        "theory, of the first step; it knows nothing of batch normalisation.",
        "training": "Crosses: where a run ended, its loss or gradient no number any more. "
        "Dotted: where the gradient is clipped.",
        "history": "Dark layers get next to no gradient. White: no number.",
    }
    titles = {
        "gradients": "Where the gradient vanishes or explodes",
        "training": "What that does to training",
        "history": "How it goes on",
    }
    parts = [page.paragraph(lead), page.table(COLUMNS, _rows(outcomes))]
    parts += [page.listing(findings(outcomes))]
    for name, figure in drawn.items():
        parts += [page.heading(titles[name]), page.picture(figure, captions[name])]
    parts += [page.heading("Each run again"), page.code("\n".join(commands))]
    return page.page("Vanishing and exploding gradients: a comparison", parts)
