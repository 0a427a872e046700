"""The pictures of a comparison: gradients by layer, training, and gradients through training."""

from collections.abc import Sequence
from math import ceil
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import LogLocator, MaxNLocator, PercentFormatter

from fastact.lab.compare import Outcome
from fastact.lab.style import CURVES, FAINT, INK, STYLE, VERDICTS, smooth
from fastact.lab.training import EXPLODES_ABOVE, VANISHES_BELOW

COLUMNS = 4
WIDTH = 16.0  # inches
ROW = 3.7  # inches that a row of panels takes
DASHES = "-", "--", ":", "-."  # of as many runs as there are colours, and of those that follow
# What leaves these ranges is drawn at their edge.
FLOOR, CEILING = 1e-30, 1e12
LOSS_FLOOR, LOSS_CEILING = 1e-6, 1e6
DARKEST, BRIGHTEST = 1e-8, 1e3  # of the median signal


def pictures(outcomes: Sequence[Outcome]) -> dict[str, Figure]:
    """Each view as a figure of its own."""
    rows = ceil(len(outcomes) / COLUMNS)
    heights = {gradients: ROW * rows, training: 1.5 * ROW, history: ROW * rows}
    found = {}
    with rc_context(STYLE):
        for draw, height in heights.items():
            figure = Figure((WIDTH, height), dpi=100, facecolor="white", layout="constrained")
            draw(figure, outcomes)
            found[draw.__name__] = figure
    return found


def poster(outcomes: Sequence[Outcome]) -> Figure:
    """All views on one sheet."""
    rows = ceil(len(outcomes) / COLUMNS)
    heights = [ROW * rows, 1.5 * ROW, ROW * rows]
    with rc_context(STYLE):
        figure = Figure((WIDTH, sum(heights)), dpi=100, facecolor="white", layout="constrained")
        parts: Any = figure.subfigures(3, 1, height_ratios=heights, hspace=0.06)
        for draw, part in zip((gradients, training, history), parts, strict=True):
            draw(part, outcomes)
    return figure


def _panels(figure: FigureBase, outcomes: Sequence[Outcome]) -> list[Axes]:
    """An axes a run, in rows, on the same scales."""
    columns = min(COLUMNS, len(outcomes))
    rows = ceil(len(outcomes) / columns)
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for unused in axes[len(outcomes) :]:
        unused.remove()
    return list(axes[: len(outcomes)])


def gradients(figure: FigureBase, outcomes: Sequence[Outcome]) -> None:
    """The norm of the gradient at each layer: at the first step, at the end, and predicted."""
    figure.suptitle("What arrives at each layer: ‖∂L/∂z‖", x=0.01, ha="left", weight="bold")
    panels = _panels(figure, outcomes)
    for number, (axes, outcome) in enumerate(zip(panels, outcomes, strict=True), 1):
        colour, verdict = VERDICTS[outcome.gradient]
        first, last = outcome.signals[0], outcome.signals[-1]
        layers = np.arange(1, len(first) + 1)
        start = first[-1]
        if np.isfinite(start) and start > 0:
            axes.axhspan(start * VANISHES_BELOW, start * EXPLODES_ABOVE, color="#EEEEEE", lw=0)
        axes.plot(layers, _within(last), color=FAINT, lw=1.6, ls=(0, (4, 2)), label="at the end")
        axes.plot(layers, _within(first), color=colour, lw=3, marker="o", ms=4, label="first step")
        if outcome.predicted:
            axes.plot(layers, _within(outcome.predicted), color=INK, lw=1.6, ls=":", label="theory")
        axes.set_yscale("log")
        axes.set_title(fill(f"{number}  {outcome.name}", 34), fontsize=13)
        axes.text(0.98, 0.05, verdict, transform=axes.transAxes, ha="right", weight="bold",
                  color=colour)  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.minorticks_off()
    panels[0].legend(frameon=False, fontsize=11)
    panels[-1].set_xlabel("layer, from the input up")


def _within(signal: Sequence[float]) -> Any:
    """The curve, at the edge where it would leave the axes or is not a number."""
    return np.clip(np.nan_to_num(np.array(signal, float), nan=np.inf), FLOOR, CEILING)


def training(figure: FigureBase, outcomes: Sequence[Outcome]) -> None:
    """Loss, norm of the gradient, and what the network has learnt."""
    losses, norms, right = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    for axes, title in (
        (losses, "Loss, mean of the last epoch"),
        (norms, "Norm of the whole gradient, before clipping"),
    ):
        axes.set_yscale("log")
        axes.set_title(title)
        axes.set_xlabel("epoch")
    for place, outcome in enumerate(outcomes):
        look = {
            "color": CURVES[place % len(CURVES)],
            "ls": DASHES[place // len(CURVES) % len(DASHES)],
            "lw": 2,
        }
        for axes, values in ((losses, outcome.losses), (norms, outcome.norms)):
            epochs, curve = smooth(values, outcome.steps_per_epoch)
            curve = np.clip(curve, LOSS_FLOOR, LOSS_CEILING)
            axes.plot(epochs, curve, **look)
            if outcome.ended and len(curve):
                axes.plot(epochs[-1], curve[-1], "x", ms=10, mew=3, color=look["color"])
        if outcome.configuration.clip:
            norms.axhline(outcome.configuration.clip, color=look["color"], lw=0.8, ls=":")
        right.barh(place, np.nan_to_num(outcome.accuracy), color=look["color"], height=0.68)
        text = "diverged" if outcome.ended else f"{outcome.accuracy:.0%}"
        right.text(np.nan_to_num(outcome.accuracy) + 0.02, place, text, va="center", weight="bold")
    names = [fill(f"{number}  {one.name}", 30) for number, one in enumerate(outcomes, 1)]
    right.set_yticks(range(len(outcomes)), names)
    right.set_ylim(len(outcomes) - 0.4, -0.6)
    right.set_xlim(0, 1.2)
    right.set_xticks((0, 0.25, 0.5, 0.75, 1))
    right.xaxis.set_major_formatter(PercentFormatter(1))
    right.set_title("Right, of the test set")


def history(figure: FigureBase, outcomes: Sequence[Outcome]) -> None:
    """The same norms through training: a column an epoch, a row a layer."""
    figure.suptitle("‖∂L/∂z‖ through training, layer by layer", x=0.01, ha="left", weight="bold")
    every = np.concatenate([np.ravel(outcome.signals) for outcome in outcomes])
    sane = every[np.isfinite(every) & (every > 0)]
    middle = float(np.median(sane)) if len(sane) else 1.0
    norm = LogNorm(
        middle * max(DARKEST, min(sane, default=1) / middle),
        middle * min(BRIGHTEST, max(sane, default=10) / middle),
    )
    panels = _panels(figure, outcomes)
    for number, (axes, outcome) in enumerate(zip(panels, outcomes, strict=True), 1):
        table = np.array(outcome.signals).T
        image = axes.imshow(
            np.ma.masked_invalid(np.clip(table, norm.vmin, norm.vmax)),
            norm=norm, cmap="viridis", origin="lower", aspect="auto", interpolation="nearest",
            extent=(-0.5, table.shape[1] - 0.5, 0.5, table.shape[0] + 0.5),
        )  # fmt: skip
        axes.set_title(fill(f"{number}  {outcome.name}", 34), fontsize=13)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    panels[0].set_ylabel("layer")
    panels[-1].set_xlabel("epoch", loc="right")
    figure.colorbar(image, ax=panels, pad=0.01, aspect=30)
