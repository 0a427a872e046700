"""Pictures of results: how near to the speed of memory each function is, and how far ahead."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.colors import TwoSlopeNorm

from bench.report import about
from bench.results import CEILING, OURS, Ratio, Result, against_fastest, best

STREAMS = {"forward": 2, "derivative": 2, "backward": 3, "with_derivative": 3}  # read or written
SHORT = {"forward": "f", "derivative": "f'", "backward": "grad f'", "with_derivative": "f, f'"}
OUR_COLOUR, THEIR_COLOUR = "#1f6fb4", "#b8b8b8"
CEILINGS = {
    "streaming": ("copy with streaming stores", "-"),
    "numpy.copyto": ("numpy.copyto", "--"),
}
FARTHEST = 4  # times faster, or slower: where the colours end


def draw(results: Sequence[Result], folder: Path) -> Iterator[Path]:
    """Draw what the results suffice for; yields the files."""
    fastest = against_fastest(results)
    for threads in sorted({ratio.subject.threads for ratio in fastest}):
        of_threads = [ratio for ratio in fastest if ratio.subject.threads == threads]
        yield _heat_map(of_threads, folder / f"ratios-{threads}.png")
    ceilings = {(r.threads, r.dtype, r.size) for r in results if r.op == CEILING}
    for group in sorted(ceilings):
        here = [r for r in results if (r.threads, r.dtype, r.size) == group]
        threads, dtype, _ = group
        yield _roofline(here, about(group), folder / f"roofline-{dtype}-{threads}.png")


def speed(result: Result) -> float:
    """GB/s of what must be read and what must be written."""
    streams = STREAMS[result.form] * np.dtype(result.dtype).itemsize
    return streams * result.size / result.min / 1e9


def _roofline(results: Iterable[Result], title: str, path: Path) -> Path:
    """A panel a form: each op's GB/s with ``out=``, the best peer's, and the two copies'."""
    roofs = {r.contender: speed(r) for r in results if r.op == CEILING}
    timed = [r for r in results if r.op != CEILING]
    ours = {(r.op, r.form): speed(r) for r in timed if r.contender == f"{OURS} out="}
    peers = best((r for r in timed if r.library != OURS), lambda r: (r.op, r.form))
    theirs = {(r.op, r.form): speed(r) for r in peers}
    forms = [form for form in STREAMS if any(key[1] == form for key in ours)]
    ops = list(dict.fromkeys(op for op, _ in ours))
    ops.sort(key=lambda op: ours.get((op, forms[0]), 0))
    figure, panels = plt.subplots(
        1, len(forms), figsize=(2 + 4 * len(forms), 1.6 + 0.21 * len(ops)), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    rows = np.arange(len(ops))
    for axes, form in zip(panels[0], forms, strict=True):
        axes.barh(rows, [ours.get((op, form), 0) for op in ops], color=OUR_COLOUR, height=0.72,
                  label="fastact, out=")  # fmt: skip
        axes.plot([theirs.get((op, form), np.nan) for op in ops], rows, "D", color="white",
                  markeredgecolor="black", markersize=4.5, label="the fastest peer")  # fmt: skip
        for name, roof in roofs.items():
            label, style = CEILINGS[name]
            axes.axvline(roof, color="black", linestyle=style, linewidth=1.1, zorder=3,
                         label=f"{label}, {roof:.1f} GB/s")  # fmt: skip
        axes.set(title=SHORT[form], xlabel="GB/s, read and written", ylim=(-0.7, len(ops) - 0.3))
        axes.set_yticks(rows, ops)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(f"How near to the speed of memory: {title}")
    return _saved(figure, path)


def _heat_map(fastest: Sequence[Ratio], path: Path) -> Path:
    """Ops by form, dtype and size: blue where fastact is ahead of the fastest peer."""
    columns = sorted(
        {_column(ratio) for ratio in fastest},
        key=lambda c: (list(STREAMS).index(c[0]), c[1], c[2]),
    )
    ops = list(dict.fromkeys(ratio.subject.op for ratio in fastest))
    values = np.full((len(ops), len(columns)), np.nan)
    for ratio in fastest:
        values[ops.index(ratio.subject.op), columns.index(_column(ratio))] = ratio.by_min
    figure, axes = plt.subplots(
        figsize=(max(6.5, 2.6 + 0.47 * len(columns)), 2 + 0.235 * len(ops)), layout="constrained"
    )
    limit = np.log2(FARTHEST)
    image = axes.imshow(np.log2(values), cmap="RdBu", norm=TwoSlopeNorm(0, -limit, limit),
                        aspect="auto")  # fmt: skip
    for row, column in np.argwhere(np.isfinite(values)):
        value = values[row, column]
        axes.text(column, row, f"{value:.2f}" if value < 9.95 else f"{value:.0f}", ha="center",
                  va="center", fontsize=6.5, fontweight="bold" if value < 1 else "normal",
                  color="white" if abs(np.log2(value)) > 0.65 * limit else "black")  # fmt: skip
    axes.set_yticks(range(len(ops)), ops, fontsize=8)
    axes.set_xticks(range(len(columns)), [_size(size) for _, _, size in columns], fontsize=7.5)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    for at, (form, dtype) in _spans([column[:2] for column in columns]):
        axes.text(at.mean(), -1.9, f"{SHORT[form]}\n{dtype}", ha="center", va="bottom", fontsize=8)
        if at[0]:
            axes.axvline(at[0] - 0.5, color="white", linewidth=3)
    threads = fastest[0].subject.threads
    bar = figure.colorbar(image, ax=axes, aspect=35, shrink=0.5, pad=0.01, extend="both")
    ticks = [1 / FARTHEST, 0.5, 1, 2, FARTHEST]
    bar.set_ticks(np.log2(ticks), labels=[f"{tick:g}x" for tick in ticks])
    figure.suptitle(
        f"Times faster than the fastest peer of each cell, {threads} thread{'s' * (threads > 1)}"
    )
    return _saved(figure, path)


def _column(ratio: Ratio) -> tuple[str, str, int]:
    return ratio.subject.form, ratio.subject.dtype, ratio.subject.size


def _size(size: int) -> str:
    for unit, name in (1_000_000, "M"), (1000, "k"):
        if size >= unit:
            return f"{size / unit:g} {name}"
    return str(size)


def _spans(keys: Sequence[tuple]) -> Iterator[tuple[np.ndarray, tuple]]:
    """Where each of the keys, which are sorted, stands."""
    for key in dict.fromkeys(keys):
        yield np.flatnonzero([other == key for other in keys]), key


def _saved(figure, path: Path) -> Path:
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path
