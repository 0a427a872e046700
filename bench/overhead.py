"""``python -m bench.overhead``: what a call costs beside its arithmetic, against `numpy.negative`.

Every elementwise function is called as ``f(x, out=out)`` on 100 float32, in turns with
``numpy.negative(x, out=out)``. Arithmetic is a hundred times what an element costs among 1,024
more; what is left of the call is compared with what is left of numpy.negative's.
"""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

import fastact
from bench import machine
from bench.cells import Cell, elementwise
from bench.report import console
from fastact.lab.timing import interleaved, pinned

SIZE = 100
MORE = 1024  # whole vectors on every ISA, so that both sizes end alike
BAR = 1.3
YARDSTICK = "numpy.negative"


@dataclass(frozen=True)
class Overhead:
    """Seconds that a call with 100 elements takes, and its arithmetic among them."""

    function: str
    call: float
    arithmetic: float
    ratio: float  # of the call to numpy.negative's
    beside_arithmetic: float  # the same, of what is left without arithmetic


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    with pinned():
        found = [measure(*pair, options.rounds) for pair in contenders(options.only)]
    screen = console()
    screen.print(render(found))
    screen.print(verdict(found))
    about = machine.describe()
    screen.print(f"{about['cpu']['model']}, fastact on {about['fastact']['isa']}")
    if options.json:
        facts = {"machine_info": about, "overheads": [asdict(each) for each in found]}
        options.json.write_text(json.dumps(facts, indent=1))


def contenders(only: str) -> Iterator[tuple[str, Callable[[int], Callable[[], object]]]]:
    """Names, and what makes the call for a size: NumPy's of two inputs and of two outputs, to
    compare with, then every function.
    """
    for function in (np.multiply, np.modf):
        yield f"numpy.{function.__name__}", partial(_numpy, function)
    cells = {cell.function: cell for cell in elementwise(["float32"], [SIZE]) if cell.out}
    for name, cell in cells.items():
        if re.search(only, name):
            yield name, partial(_ours, cell)


def _ours(cell: Cell, size: int) -> Callable[[], object]:
    arguments = cell.arguments(cell.dtype, size)
    return partial(getattr(fastact, cell.function), *arguments, out=cell.out(arguments))


def _numpy(function: np.ufunc, size: int) -> Callable[[], object]:
    x = np.random.default_rng(0).normal(size=size).astype(np.float32)
    out = tuple(np.empty_like(x) for _ in range(function.nout))
    return partial(function, *[x] * function.nin, out=out if len(out) > 1 else out[0])


def measure(name: str, call: Callable[[int], Callable[[], object]], rounds: int = 50) -> Overhead:
    """One function against numpy.negative, by the least times."""
    times = interleaved(
        {
            (who, size): make(size)
            for who, make in ((YARDSTICK, partial(_numpy, np.negative)), (name, call))
            for size in (SIZE, SIZE + MORE)
        },
        rounds=rounds,
    )
    (base, base_arithmetic), (total, arithmetic) = (
        (least := min(times[who, SIZE]), (min(times[who, SIZE + MORE]) - least) * SIZE / MORE)
        for who in (YARDSTICK, name)
    )
    beside = (total - arithmetic) / (base - base_arithmetic)
    return Overhead(name, total, arithmetic, total / base, beside)


def render(found: list[Overhead]) -> Table:
    """A row a function."""
    table = Table(
        title=f"f(x, out=out), float32, n = {SIZE}, against {YARDSTICK}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("function", no_wrap=True)
    for column in ("ns a call", "of it arithmetic", "ratio", "ratio beside arithmetic"):
        table.add_column(column, justify="right")
    for each in found:
        table.add_row(
            each.function,
            f"{each.call * 1e9:.0f}",
            f"{each.arithmetic * 1e9:.0f}",
            f"{each.ratio:.2f}",
            f"{each.beside_arithmetic:.2f}",
            style="red" if each.beside_arithmetic > BAR else "",
        )
    return table


def verdict(found: list[Overhead]) -> str:
    """How many keep the bar, and who does not."""
    ours = [each for each in found if not each.function.startswith("numpy.")]
    missed = [each for each in ours if each.beside_arithmetic > BAR]
    names = ", ".join(f"{each.function} {each.beside_arithmetic:.2f}" for each in missed)
    within = len(ours) - len(missed)
    return f"{within} of {len(ours)} within {BAR} times {YARDSTICK}" + (names and f"; not {names}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.overhead", description=__doc__)
    parser.add_argument("--rounds", default=50, type=int)
    parser.add_argument("--only", default="", help="regular expression on names of functions")
    parser.add_argument("--json", type=Path, help="where to save the results")
    return parser


if __name__ == "__main__":
    main()
