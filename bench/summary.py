"""``python -m bench.summary FILE``: the ratios that ``--benchmark-json`` wrote, as tables."""

import argparse
from pathlib import Path

from bench import report
from bench.results import Record


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.summary", description=__doc__)
    parser.add_argument("file", type=Path, help="what the suite or `python -m bench` wrote")
    record = Record.load(parser.parse_args(arguments).file)
    screen = report.console()
    screen.print(report.against(record.results))
    machine = record.machine
    screen.print(f"{machine['cpu'].get('model')}, fastact on {machine['fastact']['isa']}")


if __name__ == "__main__":
    main()
