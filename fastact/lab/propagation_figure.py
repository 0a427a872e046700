"""The pictures of a survey: an overview of every activation and initialiser, and layer by layer."""

from collections.abc import Sequence
from itertools import groupby
from math import ceil
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from fastact.lab.propagation import Propagation
from fastact.lab.style import CURVES, INK, STYLE

COLUMNS = 6
FLOOR, CEILING = 1e-24, 1e12
STRONGEST = 1.0  # decades a layer at which the colours end


def overview(found: Sequence[Propagation]) -> Figure:
    """What a layer multiplies the variances by, and how well theory knows it."""
    rows = list(dict.fromkeys(one.activation for one in found))
    columns = list(dict.fromkeys(one.init for one in found))
    with rc_context({**STYLE, "font.size": 11, "axes.titlesize": 12}):
        figure = Figure((16, 2.6 + 0.31 * len(rows)), dpi=100, layout="constrained")
        maps = figure.subplots(1, 3, width_ratios=(2, 2, 2.2))
        for axes, title, factors in (
            (maps[0], "Signal: variance, times a layer", [one.signal_factors for one in found]),
            (maps[1], "Gradient: variance, times a layer", [one.gradient_factors for one in found]),
        ):
            shown = np.array([measured for measured, _ in factors]).reshape(len(rows), len(columns))
            _heat(axes, shown, rows, columns)
            axes.set_title(title, pad=10)
        maps[1].set_yticks([])
        _agreement(maps[2], found)
    return figure


def _heat(axes: Axes, factors: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Blue where it vanishes, red where it explodes, white where it stays."""
    with np.errstate(all="ignore"):
        decades = np.log10(factors)
    decades = np.nan_to_num(decades, nan=STRONGEST, posinf=STRONGEST, neginf=-STRONGEST)
    axes.imshow(decades, cmap="RdBu_r", norm=TwoSlopeNorm(0, -STRONGEST, STRONGEST), aspect="auto")
    for (row, column), factor in np.ndenumerate(factors):
        text = f"{factor:.2g}" if np.isfinite(factor) and factor < 1e3 else "∞"
        dark = abs(decades[row, column]) > 0.6 * STRONGEST
        axes.text(column, row, text, ha="center", va="center", color="white" if dark else INK)
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _agreement(axes: Axes, found: Sequence[Propagation]) -> None:
    """Each measured factor against the predicted one."""
    for name, sign, colour, factors in (
        ("signal", "o", CURVES[0], [one.signal_factors for one in found]),
        ("gradient", "x", CURVES[1], [one.gradient_factors for one in found]),
    ):
        measured, predicted = np.array(factors).T
        axes.plot(predicted, measured, sign, color=colour, ms=6, label=name, alpha=0.7)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1e-3, 1e2)
    axes.set_ylim(1e-3, 1e2)
    axes.plot([1e-3, 1e2], [1e-3, 1e2], color=INK, lw=0.8)
    axes.set_aspect("equal")
    axes.set_title("Times a layer: measured against predicted", pad=10)
    axes.set_xlabel("predicted")
    axes.set_ylabel("measured")
    axes.legend(frameon=False)


def by_layer(found: Sequence[Propagation], what: str) -> Figure:
    """A panel an activation, a curve an initialiser: measured as dots, predicted as lines.

    `what` is "signal" or "gradient".
    """
    panels = [list(group) for _, group in groupby(found, lambda one: one.activation)]
    columns = min(COLUMNS, len(panels))
    rows = ceil(len(panels) / columns)
    with rc_context({**STYLE, "font.size": 11, "axes.titlesize": 12}):
        figure = Figure(
            (max(16 / COLUMNS * columns, 6), 2.2 * rows + 0.8), dpi=100, layout="constrained"
        )
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for unused in axes[len(panels) :]:
            unused.remove()
        for place, group in zip(axes, panels, strict=False):
            for colour, one in zip(_colours(len(group)), group, strict=True):
                measured, predicted = getattr(one, what)
                layers = np.arange(1, len(measured) + 1)
                place.plot(layers, _within(predicted), color=colour, lw=1.3)
                place.plot(
                    layers[::2], _within(measured)[::2], "o", color=colour, ms=3.5, label=one.init
                )
            place.set_title(group[0].activation)
            place.set_yscale("log")
            place.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            place.yaxis.set_major_locator(LogLocator(numticks=5))
            place.minorticks_off()
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), frameon=False)
        figure.supxlabel("layer (dots: measured; lines: theory)", fontsize=11)
    return figure


def _colours(count: int) -> list[str]:
    return [CURVES[place % len(CURVES)] for place in range(count)]


def _within(variances: np.ndarray) -> Any:
    return np.clip(np.nan_to_num(variances, nan=np.inf), FLOOR, CEILING)
