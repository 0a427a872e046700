"""The tables that results are read as."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import geometric_mean

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.results import OURS, Ratio, Result, against_each, against_fastest, best, ratios

EXTREMES = 12  # of the cells that a change made faster or slower
UNSTEADY = 1.25  # times the least time: a median beyond was disturbed


def console() -> Console:
    """Where tables go: as wide as the terminal, or as wide as they are in a file."""
    wide = Console(width=120)
    return Console() if wide.is_terminal else wide


def messages() -> Console:
    """Where progress goes."""
    return Console(stderr=True)


def standing(results: Sequence[Result]) -> Group:
    """How fastact stands against the fastest peer of each cell, and against each of them."""
    fastest = against_fastest(results)
    groups = _grouped(fastest, lambda ratio: ratio.group)
    fresh = [result for result in results if "out=" not in result.contender]
    from_x = [result for result in results if "from y" not in result.contender]
    return Group(
        *(
            _grid(f"fastact against the fastest peer: {about(key)}", group, _with_rival)
            for key, group in groups.items()
        ),
        _overview(
            "Each library at its best against fastact at its best",
            against_each(results),
            lambda ratio: (ratio.rival.library, *ratio.group),
        ),
        _overview(
            "The fastest peer, results made anew on both sides",
            against_fastest(fresh),
            lambda ratio: ("fastest, fresh", *ratio.group),
        ),
        _overview(
            "The fastest peer, but for what takes saved values",
            against_fastest(from_x),
            lambda ratio: ("fastest, from x", *ratio.group),
        ),
        _overview(
            "The fastest peer of each cell, best against best",
            fastest,
            lambda ratio: ("fastest", *ratio.group),
        ),
        _behind(fastest),
        _unsteady(fastest),
    )


def along(results: Sequence[Result]) -> Group:
    """The same for what works along an axis, where every op has shapes of its own."""
    fastest = against_fastest(results)
    tables = _grouped(fastest, lambda ratio: (ratio.subject.dtype,))
    ops = _grouped(fastest, lambda ratio: (ratio.subject.dtype, ratio.subject.op.split(" ")[0]))
    means = _table("The fastest peer of each cell", "", "dtype", "cells", "mean", "behind", "worst")
    for (dtype, op), group in ops.items():
        means.add_row(op, dtype, *_in_short(group))
    for (dtype,), group in tables.items():
        means.add_row("all", dtype, *_in_short(group))
    return Group(
        *(
            _grid(f"fastact against the fastest peer: {dtype}", group, _with_rival)
            for (dtype,), group in tables.items()
        ),
        means,
        _unsteady(fastest),
    )


def _in_short(group: list[Ratio]) -> tuple[str, str, str, str]:
    """How many cells, their geometric mean, how many are behind, and the worst."""
    values = [ratio.by_min for ratio in group]
    behind = sum(value < 1 for value in values)
    return str(len(values)), times(geometric_mean(values)), str(behind), times(min(values))


def _unsteady(fastest: list[Ratio]) -> Text:
    """How many cells were measured while something else ran."""
    count = sum(
        max(r.subject.median / r.subject.min, r.rival.median / r.rival.min) > UNSTEADY
        for r in fastest
    )
    return Text(
        f"unsteady: in {count} of {len(fastest)} cells a median is over {UNSTEADY} times the least"
    )


def against(results: Iterable[Result]) -> Group:
    """A table for each of our contenders, rival, dtype and size, and one over all of them."""
    every_ratio = ratios(results)
    groups = _grouped(every_ratio, lambda r: (r.subject.contender, r.rival.contender, r.group))
    return Group(
        *(
            _grid(
                f"{subject}: times faster than {rival}, and its ns an element: {about(group)}",
                members,
                _with_ns,
            )
            for (subject, rival, group), members in groups.items()
        ),
        _overview(
            "Over all cells",
            every_ratio,
            lambda r: (f"{r.subject.contender} / {r.rival.contender}", *r.group),
        ),
    )


def comparison(old: Iterable[Result], new: Iterable[Result]) -> Group:
    """What became of our best time in each cell, and of those who should not have changed."""
    before = {(r.cell, r.contender): r for r in old}
    pairs = [Ratio(r, before[r.cell, r.contender]) for r in new if (r.cell, r.contender) in before]
    ours = [pair for pair in pairs if pair.subject.library == OURS]
    fastest = {id(r) for r in best((pair.subject for pair in ours), lambda r: r.cell)}
    ours = [pair for pair in ours if id(pair.subject) in fastest]
    by_gain = sorted(ours, key=lambda pair: pair.by_min)
    return Group(
        _overview(
            "fastact now, times faster than before",
            ours,
            lambda pair: (pair.subject.form, *pair.group),
        ),
        _overview(
            "What did not change: the others, by the same measure",
            [pair for pair in pairs if pair.subject.library != OURS],
            lambda pair: (pair.subject.library, *pair.group),
        ),
        _changes("Gained most", by_gain[::-1][:EXTREMES]),
        _changes("Lost most", by_gain[:EXTREMES]),
    )


def absences(absent: dict[str, dict[str, str]], cells: Iterable[str]) -> Table | None:
    """Who did not take part in how many cells, and why, but for what a library has no name for."""
    reasons = Counter(
        (who, why)
        for cell in cells
        for who, why in absent.get(cell, {}).items()
        if not why.startswith("no ")
    )
    if not reasons:
        return None
    table = _table("Left out of cells", "contender", "why", "cells")
    for (who, why), count in reasons.most_common():
        table.add_row(who, why, str(count))
    return table


def _grouped(every_ratio: Iterable[Ratio], key: Callable[[Ratio], tuple]) -> dict[tuple, list]:
    groups = defaultdict(list)
    for ratio in every_ratio:
        groups[key(ratio)].append(ratio)
    return groups


def about(group: tuple[int, str, int]) -> str:
    threads, dtype, size = group
    return f"{dtype}, n = {size:,}" + (f", {threads} threads" if threads > 1 else "")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, min_width=len(title))
    for column in columns:
        numeric = column in (
            "n",
            "cells",
            "mean",
            "by medians",
            "worst",
            "times",
            "behind",
            "threads",
        )
        table.add_column(column, justify="right" if numeric else "left", no_wrap=numeric)
    return table


def _grid(title: str, group: list[Ratio], entry: Callable[[Ratio], Text]) -> Table:
    """Ops by forms."""
    forms = list(dict.fromkeys(ratio.subject.form for ratio in group))
    table = _table(title, "op", *forms)
    found = {(ratio.subject.op, ratio.subject.form): ratio for ratio in group}
    for op in dict.fromkeys(ratio.subject.op for ratio in group):
        ratios_of_op = (found.get((op, form)) for form in forms)
        table.add_row(op, *(entry(ratio) if ratio else "" for ratio in ratios_of_op))
    return table


def _with_ns(ratio: Ratio) -> Text:
    return Text(f"{times(ratio.by_min)} {ratio.subject.ns:6.3g}", style=_style(ratio))


def _with_rival(ratio: Ratio) -> Text:
    return Text(
        f"{times(ratio.by_min):>6} {ratio.subject.ns:6.3g} ns  {ratio.rival.contender}",
        style=_style(ratio),
    )


def _style(ratio: Ratio) -> str:
    return "red" if ratio.by_min < 1 else ""


def times(value: float) -> str:
    """Three digits and a multiplication sign, without an exponent."""
    digits = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}x"


def _overview(title: str, every_ratio: list[Ratio], key: Callable[[Ratio], tuple]) -> Table:
    """A row a group: the geometric mean, the worst cell, and how many are below 1."""
    table = _table(title, "", "threads", "dtype", "n", "cells", "mean", "by medians", "behind",
                   "worst", "worst cell")  # fmt: skip
    for (name, threads, dtype, size), group in _grouped(every_ratio, key).items():
        worst = min(group, key=lambda ratio: ratio.by_min)
        table.add_row(
            name,
            str(threads),
            dtype,
            f"{size:,}",
            str(len(group)),
            times(geometric_mean(ratio.by_min for ratio in group)),
            times(geometric_mean(ratio.by_median for ratio in group)),
            str(sum(ratio.by_min < 1 for ratio in group)),
            times(worst.by_min),
            worst.name,
        )
    return table


def _behind(fastest: list[Ratio]) -> RenderableType:
    """The cells where somebody is faster, worst first, and who it is."""
    behind = sorted((r for r in fastest if r.by_min < 1), key=lambda r: r.by_min)
    if not behind:
        return Text(f"fastact is ahead in all of {len(fastest)} cells")
    title = f"{len(behind)} of {len(fastest)} cells where a peer is faster"
    table = _table(title, "cell", "", "times", "fastact", "ns", "who", "ns ")
    for ratio in behind:
        ours, theirs = ratio.subject, ratio.rival
        table.add_row(ratio.name, about(ratio.group), times(ratio.by_min), ours.contender,
                      f"{ours.ns:.3g}", theirs.contender, f"{theirs.ns:.3g}")  # fmt: skip
    return table


def _changes(title: str, pairs: list[Ratio]) -> Table:
    table = _table(title, "cell", "", "times", "ns before", "ns now")
    for pair in pairs:
        table.add_row(pair.name, about(pair.group), times(pair.by_min), f"{pair.rival.ns:.3g}",
                      f"{pair.subject.ns:.3g}")  # fmt: skip
    return table
