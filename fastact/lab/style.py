"""Colours, type and curves that the lab's pictures have in common."""

from collections.abc import Sequence
from typing import Any

import numpy as np

# Okabe and Ito's palette (2008), which the colour-blind can tell apart; its yellow is too pale for
# a line on white. A verdict has a word and a sign as well as a colour.
VERDICTS = {
    "vanishes": ("#0072B2", "▼ VANISHES"),
    "explodes": ("#D55E00", "▲ EXPLODES"),
    "healthy": ("#007A58", "● HEALTHY"),
}
# Okabe and Ito again, all that show on white.
CURVES = "#0072B2", "#D55E00", "#007A58", "#CC79A7", "#E69F00", "#56B4E9", "#222222"
INK, FAINT = "#222222", "#777777"
STYLE: dict[Any, Any] = {
    "font.size": 13,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 15,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def smooth(losses: Sequence[float], window: int) -> tuple[np.ndarray, np.ndarray]:
    """Epochs, and the mean of the last `window` losses; what is not a number is left out."""
    finite = np.array(losses)[np.isfinite(losses)]
    sums = np.cumsum(finite)
    sums[window:] -= sums[:-window].copy()
    steps = np.arange(1, len(finite) + 1)
    return steps / window, sums / np.minimum(steps, window)


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights, moved up as little as it takes to be `gap` apart."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else height)
    return moved
