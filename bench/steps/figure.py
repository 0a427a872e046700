"""A picture of training steps: a bar a contender, divided into parts where it tells them."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bench.steps import PARTS

INK = "#1f2933"
COLOURS = dict(zip(PARTS, ("#cbd2d9", "#2f6f9f", "#e07a3f", "#8d6cab", "#5f9e6e"), strict=True))
WHOLE = "#a9b4c0"  # a step of those who do not tell its parts
ROW = 0.34  # inches


def draw(results: list[dict], caption: str, path: Path) -> None:
    """Panels below each other, a network each, on one scale of milliseconds."""
    rows = [len(result["contenders"]) for result in results]
    figure = Figure(figsize=(9, ROW * (sum(rows) + 1.5 * len(rows)) + 1.2), layout="constrained")
    figure.suptitle(f"Milliseconds a training step: {caption}", x=0.01, ha="left", color=INK)
    panels = figure.subplots(len(rows), sharex=True, squeeze=False, height_ratios=rows)[:, 0]
    for axes, result in zip(panels, results, strict=True):
        _panel(axes, result)
    panels[-1].spines["bottom"].set_visible(True)
    panels[-1].set_xlabel("ms", loc="right", color=INK)
    key = [Patch(color=colour, label=part) for part, colour in COLOURS.items()]
    key += [Patch(facecolor=WHOLE, hatch="///", edgecolor="white", label="whole step")]
    figure.legend(handles=key, loc="outside lower left", ncols=len(key), frameon=False)
    figure.savefig(path, dpi=150)


def _panel(axes, result: dict) -> None:
    axes.set_title(result["network"], loc="left", color=INK, fontsize=11)
    contenders = result["contenders"]
    for row, each in enumerate(contenders.values()):
        end = 0.0
        for part, width in _shares(each).items():
            axes.barh(row, width, left=end, color=COLOURS[part], height=0.72)
            end += width
        if not end:
            axes.barh(row, each["min"], color=WHOLE, hatch="///", edgecolor="white", height=0.72)
        axes.text(each["min"], row, f"  {each['min']:.1f}", va="center", color=INK)
    axes.set_yticks(range(len(contenders)), contenders)
    axes.invert_yaxis()
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)
    axes.margins(x=0.08)


def _shares(contender: dict) -> dict[str, float]:
    """The parts, which were timed in other steps, as parts of the least step."""
    told = contender["parts"]
    scale = contender["min"] / sum(told.values()) if told else 0
    return {part: milliseconds * scale for part, milliseconds in told.items()}
