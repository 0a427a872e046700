"""``python -m prove``: prove what is not on record yet, record it, write docs/accuracy.md.

Each module in `PROOFS` has ``prove(choice, progress)``, a generator of lists of results (record.py
says what a result is), one list an op or so: what has been yielded stays on record if the run is
stopped. `choice` is what was asked for (choice.py), `progress` a `rich.progress.Progress`, to which
it adds a task and on whose console it prints.
"""

from __future__ import annotations

import argparse
import sys

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import fastact
from prove import float32, float64, neon, peers, record
from prove.choice import Choice
from prove.page import FAULTS, ISAS, label

PROOFS = {
    "float32": float32.prove,
    "float64": float64.prove,
    "peers": peers.prove,
    "neon": neon.prove,
}
BY_DEFAULT = ("float32", "float64", "peers")


def names(text: str) -> tuple[str, ...]:
    """A comma-separated list from the command line; empty for none."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m prove", description=__doc__.splitlines()[0])
    parser.add_argument("--what", type=names, default=BY_DEFAULT, help=", ".join(PROOFS))
    parser.add_argument("--ops", type=names, default=(), help="some rows of the table, not all")
    parser.add_argument("--isa", type=names, default=fastact.isas(), help="some ISAs, not all")
    parser.add_argument("--stride", type=int, default=1, help="only every nth float32")
    parser.add_argument("--points", type=int, default=1_000_000, help="how many of float64")
    parser.add_argument("--again", action="store_true", help="also what is on record already")
    given = parser.parse_args(argv)
    known = [op.name for kind in record.KINDS for op in fastact.ops(kind)]
    for option, chosen, choices in (
        ("--what", given.what, PROOFS),
        ("--ops", given.ops, known),
        ("--isa", given.isa, fastact.isas()),
    ):
        unknown = set(chosen).difference(choices)
        if unknown:
            parser.error(f"{option}: no {', '.join(unknown)}; there are {', '.join(choices)}")
    if given.stride < 1:
        parser.error(f"--stride must be at least 1, got {given.stride}")
    return given


def main(argv: list[str] | None = None) -> int:
    given = arguments(argv)
    choice = Choice(given.ops, given.isa or fastact.isas(), given.stride, given.again, given.points)
    broken = 0
    text = TextColumn("{task.description}")
    with Progress(BarColumn(), text, TimeElapsedColumn(), TimeRemainingColumn()) as progress:
        try:
            for what in given.what:
                for results in PROOFS[what](choice, progress):
                    if choice.stride == 1 or what != "peers":  # whose own stride is their measure
                        record.store(results)
                    for line in summary(results):
                        progress.console.print(line, highlight=False, soft_wrap=True)
                    broken += sum(not keeps_bound(result) for result in results)
        except KeyboardInterrupt:
            progress.console.print("Stopped; what is finished is on record.")
            return 130
        finally:
            record.write_page()
    return 1 if broken else 0


def keeps_bound(result: record.Result) -> bool:
    """Whether a result has no faults and keeps to the table; peers may do as they like."""
    if result["isa"] not in ISAS:
        return True
    faults = sum(result[name] for name in FAULTS)
    return not faults and result["max_ulp"] <= record.bound(result)


def summary(results: list[record.Result]) -> list[str]:
    """A line for the worst of each function, and one for each that does not keep to its bound."""
    worst: dict[str, record.Result] = {}
    for result in results:
        known = worst.setdefault(label(result), result)
        if result["max_ulp"] > known["max_ulp"]:
            worst[label(result)] = result
    lines = [
        f"{label:<28} {result['max_ulp']:.4f} ULP at {result['at']!r} ({result['isa']})"
        for label, result in worst.items()
    ]
    return lines + [
        f"[red]{label(result)} ({result['isa']}): {result['max_ulp']:.4f} ULP, "
        f"the table says {record.bound(result)}; {result.get('faults', 'no faults')}"
        for result in results
        if not keeps_bound(result)
    ]


if __name__ == "__main__":
    sys.exit(main())
