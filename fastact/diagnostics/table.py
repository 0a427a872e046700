"""The report as a table: rich's where it is installed, plain text where it is not."""

from __future__ import annotations

from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Any

from fastact.diagnostics.measures import Activation, Measures

if TYPE_CHECKING:
    from fastact.diagnostics.report import GradientReport

HEAD = ["array", "shape", "rms", "largest", "of next", "update", "zero", "lost in f16", "remarks"]
SIGNS = {"healthy": "●", "empty": "○"}
COLOURS = {"healthy": "green", "empty": "yellow"}


def rows(report: GradientReport) -> list[list[str]]:
    return [
        *(_row(m, "") for m in report.gradients),
        *(_row(a.measures, _behaviour(a)) for a in report.activations),
    ]


def _row(m: Measures, remark: str) -> list[str]:
    remarks = [remark] if remark else []
    if m.subnormal:
        remarks.append(f"{m.subnormal} subnormal")
    if m.nonfinite:
        remarks += [
            f"{count} {name}"
            for name, count in (
                ("NaN", m.nan),
                ("inf", m.positive_infinity),
                ("-inf", m.negative_infinity),
            )
            if count
        ]
        remarks.append(f"first at {m.first_nonfinite_index}")
    float16 = m.float16
    return [
        m.name,
        "x".join(map(str, m.shape)) or "scalar",
        f"{m.rms:.2e}",
        f"{m.largest:.2e}",
        "" if m.ratio is None else f"{m.ratio:.2g}",
        "" if m.update_ratio is None else f"{m.update_ratio:.1e}",
        _share(m.zeros / m.size if m.size else 0),
        _share(float16.zero + float16.infinite),
        ", ".join(remarks),
    ]


def _behaviour(a: Activation) -> str:
    told = {"relu": f"{a.dead:.0%} dead", "tanh": f"{a.saturated:.0%} saturated"}
    told["sigmoid"] = told["tanh"]
    return told.get(a.kind, "")


def _share(share: float) -> str:
    return "" if share == 0 else f"{share:.1%}" if share >= 0.0005 else "<0.1%"


def text(report: GradientReport) -> str:
    return _by_rich(report) if find_spec("rich") else plain(report)


def plain(report: GradientReport) -> str:
    """Columns apart by two spaces, under the findings."""
    lines = [HEAD, *rows(report)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEAD))]
    aligned = [
        "  ".join(
            cell.ljust(width) if k in (0, len(HEAD) - 1) else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([*map(str, report.findings), "", *aligned])


def rich(report: GradientReport) -> Any:
    """What rich prints: the findings, and the table under them."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for k, name in enumerate(HEAD):
        left = k in (0, len(HEAD) - 1)
        table.add_column(name, justify="left" if left else "right", no_wrap=not left)
    culprits = {finding.culprit for finding in report.findings}
    for row in rows(report):
        table.add_row(*map(Text, row), style="bold" if row[0] in culprits else None)
    told = [
        Text(f"{SIGNS.get(f.verdict, '▲')} {f}", style=f"bold {COLOURS.get(f.verdict, 'red')}")
        for f in report.findings
    ]
    return Group(*told, table)


def _by_rich(report: GradientReport) -> str:
    from rich.console import Console

    console = Console(file=StringIO(), width=160, color_system=None)
    with console.capture() as captured:
        console.print(rich(report))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).rstrip()
