"""Pictures of a report and of a monitor's history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fastact.diagnostics.measures import Measures

if TYPE_CHECKING:
    from fastact.diagnostics.monitor import Nonfinite
    from fastact.diagnostics.report import GradientReport

INK, FAINT, BLUE, RED = "#222222", "#777777", "#0072B2", "#D55E00"  # Okabe and Ito's two
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#9ecae1", "#2171b5", "#08306b"])
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
FLOAT16 = ((-24, "smallest"), (-14, "smallest normal"), (16, "too large"))
LABELS = 45  # as many names as can be read


def of_report(report: GradientReport) -> Figure:
    measures = report.gradients
    rows = max(len(measures), 1)
    with rc_context(STYLE):
        height = min(3 + 0.26 * rows, 14)
        figure = Figure(figsize=(13, height), dpi=110, facecolor="white", layout="constrained")
        bad = report.verdict not in ("healthy", "empty")
        figure.suptitle(
            report.summary, x=0.01, ha="left", weight="bold", color=RED if bad else INK, wrap=True
        )
        left, right = figure.subplots(1, 2, width_ratios=(3, 1), sharey=True)
        _heat(figure, left, measures)
        _norms(right, measures)
        step = -(-rows // LABELS)
        left.set_yticks(range(0, len(measures), step), [m.name for m in measures[::step]])
        left.set_ylim(rows - 0.5, -0.5)
        for label, m in zip(left.get_yticklabels(), measures[::step], strict=True):
            if m.name == report.culprit or m.nonfinite:
                label.set(color=RED, weight="bold")
    return figure


def _heat(figure: Figure, axes: Axes, measures: tuple[Measures, ...]) -> None:
    """A row an array, a column an exponent; the darker, the more numbers have it."""
    present = [m.exponents for m in measures if m.exponents.counts]
    lowest = min([e.lowest for e in present] + [-30])
    highest = max([e.lowest + len(e.counts) for e in present] + [20])
    shares = np.full((max(len(measures), 1), highest - lowest), np.nan)
    for row, m in zip(shares, measures, strict=False):
        counts = np.array(m.exponents.counts, float)
        if counts.sum():
            start = m.exponents.lowest - lowest
            row[start : start + len(counts)] = np.where(counts > 0, counts / counts.sum(), np.nan)
    extent = (lowest, highest, len(shares) - 0.5, -0.5)
    image = axes.imshow(
        shares, aspect="auto", cmap=SHADES, vmin=0, vmax=0.4, extent=extent, interpolation="nearest"
    )
    for power, meaning in FLOAT16:
        axes.axvline(power, color=RED, lw=1, ls=(0, (4, 3)))
        axes.text(
            power, 1.005, f" {meaning}\n in float16", transform=axes.get_xaxis_transform(),
            color=RED, fontsize=8, va="bottom", ha="center",
        )  # fmt: skip
    rms = [(np.log2(m.rms), k) for k, m in enumerate(measures) if m.rms > 0]
    axes.plot(*np.transpose(rms) if rms else ((), ()), "o", ms=5, mfc="white", mec=INK, label="RMS")
    axes.xaxis.set_major_formatter(lambda power, _: f"$2^{{{power:.0f}}}$")
    axes.set_xlim(lowest, highest)
    axes.set_xlabel("|gradient|")
    axes.legend(loc="lower left", fontsize=8, framealpha=0.9)
    bar = figure.colorbar(image, ax=axes, pad=0.01, shrink=0.6, aspect=30)
    bar.ax.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    bar.set_label("share of its numbers", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)


def _norms(axes: Axes, measures: tuple[Measures, ...]) -> None:
    """The norm of every array; a cross where something is not finite, a ring where all is 0."""
    norms = np.array([m.norm for m in measures])
    there = norms > 0
    norms = np.clip(norms, 1e-200, 1e200)  # as far as the axis can be drawn
    places = np.arange(len(measures))
    if there.any():
        axes.set_xscale("log")
        axes.hlines(places[there], norms[there].min() / 3, norms[there], color="#c6dbef", lw=2)
        axes.plot(norms[there], places[there], "o", color=BLUE, ms=5)
    for k, m in enumerate(measures):
        if m.nonfinite or not there[k]:
            sign = f"✕ {m.nonfinite} not finite" if m.nonfinite else "all 0" if m.size else "empty"
            axes.text(
                1.02, k, sign, transform=axes.get_yaxis_transform(), ha="left", va="center",
                fontsize=8, color=RED,
            )  # fmt: skip
    axes.set_xlabel("norm")
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0, labelleft=False)


def of_history(
    names: list[str],
    steps: NDArray[np.int64],
    rms: NDArray[np.float64],
    updates: NDArray[np.float64],
    losses: NDArray[np.float64],
    bad: Nonfinite | None,
) -> Figure:
    """RMS of every array over steps, and under it updates and loss, where they are known."""
    panels: list[tuple[str, NDArray[np.float64]]] = [("RMS of the gradient", rms)]
    if np.isfinite(updates).any():
        panels.append(("update over weight", updates))
    if np.isfinite(losses).any():
        panels.append(("loss", losses[:, None]))
    with rc_context(STYLE):
        size = (13, 1.2 + 3.4 * len(panels))
        figure = Figure(figsize=size, dpi=110, facecolor="white", layout="constrained")
        every = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        shades = LinearSegmentedColormap.from_list("depth", [RED, "#999999", BLUE])
        for axes, (title, values) in zip(every, panels, strict=True):
            _lines(axes, steps, values, names, shades)
            axes.set_title(title)
            if bad is not None:
                axes.axvline(bad.step, color=RED, lw=1.2, ls=(0, (4, 3)))
        if bad is not None:
            every[0].text(
                bad.step, 1.0, f"{bad}", transform=every[0].get_xaxis_transform(), color=RED,
                ha="right", va="bottom", fontsize=9, weight="bold",
            )  # fmt: skip
        every[-1].set_xlabel("step")
    return figure


def _lines(
    axes: Axes,
    steps: NDArray[np.int64],
    values: NDArray[np.float64],
    names: list[str],
    shades: LinearSegmentedColormap,
) -> None:
    """A line a column, from the input's colour to the output's; the ends of the range are named."""
    shown = np.where(np.isfinite(values) & (values > 0), np.clip(values, 1e-200, 1e200), np.nan)
    count = shown.shape[1]
    for k in range(count):
        colour = INK if count == 1 else shades(k / (count - 1))
        named = count > 1 and (count <= 12 or k in (0, count - 1))
        axes.plot(steps, shown[:, k], color=colour, lw=1.4, label=names[k] if named else None)
    if np.isfinite(shown).any():
        axes.set_yscale("log")
    if count > 1:
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.grid(color="#eeeeee")
    axes.set_axisbelow(True)
