"""``python -m bench.summary FILE``: the ratios in a file of results, as tables."""

import argparse
from pathlib import Path

from bench.report import console, load, ratios, render


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.summary", description=__doc__)
    parser.add_argument("file", type=Path, help="written by --benchmark-json or bench.compare")
    results, machine = load(parser.parse_args(arguments).file)
    screen = console()
    screen.print(render(ratios(results)))
    screen.print(f"{machine['cpu'].get('model')}, fastact on {machine['fastact']['isa']}")


if __name__ == "__main__":
    main()
