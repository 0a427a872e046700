"""The picture of the lab: what reaches each layer, what becomes of the loss, and who learns."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, PercentFormatter

from fastact.lab.style import FAINT, INK, STYLE, VERDICTS, apart, smooth
from fastact.lab.training import EXPLODES_ABOVE, VANISHES_BELOW, Run

NUMPY, FASTACT = "#999999", "#CC79A7"
# What leaves these ranges is drawn at their edge and said in words.
FLOOR, CEILING = 1e-18, 1e8
LOSS_CEILING = 1e5
GUESSING = 0.1  # of ten digits, as many of each, this share is right


def draw(runs: Sequence[Run]) -> Figure:
    """The whole figure, 2200 x 1600 pixels at its own resolution."""
    with rc_context(STYLE):
        figure = Figure(figsize=(20, 14.6), dpi=110, facecolor="white")
        _headline(figure, runs[0].settings)
        above = figure.add_gridspec(
            2, 4, left=0.05, right=0.985, top=0.835, bottom=0.405, hspace=0.55, wspace=0.16
        )
        for number, run in enumerate(runs, 1):
            row, column = divmod(number - 1, 4)
            axes = figure.add_subplot(above[row, column])
            _signal(axes, number, run)
            if row == 1:
                axes.set_xlabel("layer, from the input up")
            if column == 0:
                axes.set_ylabel("‖∂L/∂z‖")
        bottom, height = 0.045, 0.26
        _losses(figure.add_axes((0.05, bottom, 0.33, height)), runs)
        _accuracies(figure.add_axes((0.605, bottom, 0.16, height)), runs)
        _times(figure.add_axes((0.8, bottom, 0.185, height)), runs)
    return figure


def _headline(figure: Figure, settings) -> None:
    figure.text(
        0.012, 0.972, "Vanishing and exploding gradients, and what helps",
        fontsize=29, weight="bold", va="center",
    )  # fmt: skip
    figure.text(
        0.012, 0.934,
        f"Eight networks of {settings.depth} hidden layers, {settings.width} units each, learn to "
        f"read handwritten digits: {settings.epochs} epochs, batches of {settings.batch}, float32, "
        "plain gradient descent. Same data, same order, same seed.\n"
        "Panels 1 to 8: the norm of the gradient as it arrives at each layer, ‖∂L/∂z‖. It starts "
        "at the output, on the right, and is passed down to layer 1, on the left. "
        f"Shaded: within a factor {EXPLODES_ABOVE} of where it started.",
        fontsize=14, va="center", linespacing=1.5, color=INK,
    )  # fmt: skip


def _signal(axes: Axes, number: int, run: Run) -> None:
    """The norm of the gradient at each layer, at the first step and at the last."""
    colour, verdict = VERDICTS[run.gradient]
    if run.gradient == "explodes" and run.experiment.clip:
        verdict += ", is clipped"
    layers = np.arange(1, len(run.first_signal) + 1)
    start = run.first_signal[-1]
    axes.axhspan(start * VANISHES_BELOW, start * EXPLODES_ABOVE, color="#EEEEEE", lw=0)
    _line(axes, layers, run.last_signal, color=FAINT, lw=1.6, ls=(0, (4, 2)), label="last step")
    _line(axes, layers, run.first_signal, color=colour, lw=3, marker="o", ms=5, label="first step")
    axes.set_yscale("log")
    axes.set_ylim(FLOOR / 10, CEILING * 10)
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.minorticks_off()
    axes.set_xlim(0.4, len(layers) + 0.6)
    axes.set_xticks([1, *range(5, len(layers), 5)])
    axes.set_title(f"{number}  {run.experiment.name}", pad=44)
    axes.text(0, 1.04, fill(run.experiment.shows, 50), transform=axes.transAxes, va="bottom",
              fontsize=11.5, linespacing=1.25)  # fmt: skip
    if number == 1:
        axes.legend(frameon=False, loc="upper left", fontsize=12)
    axes.text(0.98, 0.07, verdict, transform=axes.transAxes, ha="right", weight="bold",
              fontsize=16, color=colour)  # fmt: skip


def _line(axes: Axes, x, signal, **style) -> None:
    """A curve that stays at the edge of the axes where it would leave them, or is not a number."""
    y = np.nan_to_num(signal, nan=np.inf)
    axes.plot(x, np.clip(y, FLOOR, CEILING), **style)
    if np.max(y) > CEILING:
        size = f"$10^{{{np.log10(np.max(y)):.0f}}}$" if np.isfinite(y).all() else "infinity"
        axes.text(x[0], CEILING / 30, f"{style['label']}: up to {size}", va="top",
                  fontsize=11.5, color=style["color"])  # fmt: skip


def _losses(axes: Axes, runs: Sequence[Run]) -> None:
    """Loss against epochs, each curve named where it ends."""
    axes.set_yscale("log")
    axes.set_xlim(0, runs[0].settings.epochs)
    lost, named = 0, []
    for number, run in enumerate(runs, 1):
        colour, _ = VERDICTS[run.gradient]
        name = f"{number}  {run.experiment.name}"
        epochs, losses = smooth(run.losses["fastact"], run.steps_per_epoch)
        losses = np.minimum(losses, LOSS_CEILING)
        axes.plot(epochs, losses, color=colour, lw=2.2)
        if run.diverged:
            axes.plot(epochs[-1], LOSS_CEILING, "x", ms=11, mew=3, color=colour, clip_on=False)
            axes.annotate(
                f"{name}: no number any more after {len(run.losses['fastact'])} steps",
                (epochs[-1], LOSS_CEILING), xytext=(14, -20 * lost), textcoords="offset points",
                va="center", color=colour, weight="bold",
            )  # fmt: skip
            lost += 1
        else:
            named.append((np.log10(losses[-1]), name, colour))
    axes.set_ylim(top=LOSS_CEILING)
    low, high = np.log10(axes.get_ylim())
    named.sort()
    heights = apart([height for height, _, _ in named], (high - low) / 15)
    for height, (_, name, colour) in zip(heights, named, strict=True):
        axes.annotate(
            name, (1, (height - low) / (high - low)), xycoords="axes fraction",
            xytext=(8, 0), textcoords="offset points", va="center", color=colour,
        )  # fmt: skip
    axes.set_title("Training loss: cross-entropy, mean of the last epoch", pad=16)
    axes.set_xlabel("epoch")


def _accuracies(axes: Axes, runs: Sequence[Run]) -> None:
    """How many of the test digits are read right."""
    for place, run in enumerate(runs):
        accuracy = run.accuracy["fastact"]
        colour, _ = VERDICTS[run.gradient]
        axes.barh(place, np.nan_to_num(accuracy), color=colour, height=0.68)
        text = "diverged" if run.diverged else f"{accuracy:.0%}"
        right = max(np.nan_to_num(accuracy), GUESSING) + 0.02
        axes.text(right, place, text, va="center", weight="bold")
    axes.axvline(GUESSING, color=INK, lw=1, ls=":")
    names = [f"{number}  {run.experiment.name}" for number, run in enumerate(runs, 1)]
    axes.set_yticks(range(len(runs)), names)
    axes.set_ylim(len(runs) - 0.4, -0.6)
    axes.set_xlim(0, 1.12)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_title("Test digits read right", pad=16)
    axes.set_xlabel("dotted: guessing")


def _times(axes: Axes, runs: Sequence[Run]) -> None:
    """What a training step costs on each back end."""
    for place, run in enumerate(runs):
        numpy, fastact = (1e3 * run.seconds_per_step[name] for name in ("NumPy", "fastact"))
        first = place == 0
        axes.barh(place - 0.19, numpy, 0.36, color=NUMPY, label="NumPy" if first else None)
        axes.barh(place + 0.19, fastact, 0.36, color=FASTACT, label="fastact" if first else None)
        timed = np.isfinite(run.speedup)
        text = f"  {run.speedup:.1f}x" if timed else "  too few steps to time"
        axes.text(max(numpy, fastact) if timed else 0, place, text, va="center",
                  weight="bold" if timed else "normal")  # fmt: skip
    axes.set_yticks(range(len(runs)), [str(number) for number in range(1, len(runs) + 1)])
    axes.set_ylim(len(runs) - 0.4, -0.6)
    axes.margins(x=0.15)
    axes.set_title("One step", pad=16)
    axes.set_xlabel("ms, median")
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.03, 0.98), ncol=2,
                handlelength=1, columnspacing=1)  # fmt: skip
