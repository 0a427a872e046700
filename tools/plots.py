"""The pictures of docs/activations.md: f and f' of an activation, at the default parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import fastact
from tests.oracle import kinks

SIZE = 5, 3  # inches
FRAME = 0.08, 0.09, 0.89, 0.81  # what of the picture the axes fill
REACH = 7  # of x, where the domain has no end: beyond the bound of relu6
LOWEST, HIGHEST = -3, 4  # of y, where a curve goes beyond BOUNDED
BOUNDED = 6
POINTS = 1000
BESIDE = 1e-9  # how far from kinks and ends of the domain the limits there are taken
JUMP = 1e-3
GREY = "#808080"  # on black and on white, as are the colours
LOOKS = (  # of f and f': the title's side, the colour, the widths of the line and of dots in points
    ("left", "#3b82f6", 3.6, 8),
    ("right", "#ea580c", 1.8, 5),
)
STYLE = {
    "font.sans-serif": ["DejaVu Sans"],
    "lines.solid_capstyle": "butt",
    "svg.fonttype": "none",
    "svg.hashsalt": "fastact",
}


def draw(op: fastact.Op, path: Path, digest: str) -> None:
    """Write the picture of an activation as SVG, and in it the digest of what it shows."""
    about = {"Title": f"{op.name} and its derivative", "Description": digest, "Date": None}
    with rc_context(STYLE):
        figure = Figure(SIZE)
        plot(op, figure.add_axes(FRAME))
        figure.savefig(path, format="svg", transparent=True, metadata=about)


def plot(op: fastact.Op, axes: Axes) -> None:
    """f and, narrower so that both are seen where they are the same, f'.

    At a jump there is a dot at the value, and a ring at a limit that is not the value.
    """
    low, high = (min(max(end, -REACH), REACH) for end in op.domain)
    places = [float(place) for place, _ in kinks(op.name, *(p.default for p in op.parameters))]
    around = np.array([[x - BESIDE, x, x + BESIDE] for x in places]).reshape(-1, 3)
    x = np.union1d(np.linspace(low + BESIDE, high - BESIDE, POINTS), around)
    ys, limits = map(op.functions["with_derivative"], (x, around))
    frame(axes, (low, high), np.stack(ys), 2 if np.isfinite(op.domain).all() else 1)
    names = op.name, f"{op.name}_derivative"
    for name, y, at, (side, colour, width, dot) in zip(names, ys, limits, LOOKS, strict=True):
        axes.set_title(name, loc=side, color=colour, fontsize=11, fontweight="bold")
        missed = abs(at - at[:, 1:2]) > JUMP
        taken = missed.any(axis=1)
        rings = np.column_stack([around[missed], at[missed]])
        dots = {"color": colour, "linestyle": "", "marker": "o", "markersize": dot}
        axes.plot(x, outside(rings, dot, axes, x, y), color=colour, linewidth=width)
        axes.plot(*rings.T, fillstyle="none", **dots)
        axes.plot(around[taken, 1], at[taken, 1], **dots)


def frame(axes: Axes, x: tuple[float, float], y: np.ndarray, poles: int) -> None:
    """What is seen of the plane, more of it where both ends are poles; grey axes through 0."""
    bottom, top = min(0, y.min()), max(0, y.max())
    bottom = bottom if bottom >= -BOUNDED else poles * LOWEST
    top = top if top <= BOUNDED else poles * HIGHEST
    room = 0.06 * (top - bottom)
    axes.set(xlim=x, ylim=(bottom - room, top + room), frame_on=False)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.tick_params(length=0, colors=GREY, labelsize=9)
    axes.locator_params(nbins=8, steps=[1, 2, 5, 10])


def outside(
    rings: np.ndarray, across: float, axes: Axes, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """y without what lies in the rings, so that the line breaks wherever it jumps."""
    pixels, radius = axes.transData.transform, across / 2 * axes.figure.dpi / 72
    for ring in rings:
        away = np.hypot(*(pixels(np.column_stack([x, y])) - pixels(ring)).T)
        y = np.where(away < radius, np.nan, y)
    return y
