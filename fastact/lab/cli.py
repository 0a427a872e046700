"""The command ``fastact``."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

import fastact
from fastact.lab.choices import ChoiceError
from fastact.lab.options import FIELDS, OF_A_SURVEY, networks, parser

EXTRAS = ("matplotlib", "rich", "sklearn", "threadpoolctl")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`, by default the command line's, and give the exit code."""
    reader = parser()
    options = reader.parse_args(argv)
    if options.command == "config":
        fastact.show_config()
        return 0
    _check(reader, options)
    try:
        return _lab(options)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in EXTRAS:
            raise
        print(f'fastact lab needs {missing.name}: pip install "fastact[lab]"', file=sys.stderr)
        return 2
    except OSError as error:
        print(f"fastact lab: {error}; --out chooses another directory", file=sys.stderr)
        return 2
    except ChoiceError as error:
        print(f"fastact lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fastact lab: stopped", file=sys.stderr)
        return 130


def _check(reader: ArgumentParser, options: Namespace) -> None:
    """Refuse what goes with one way of using the lab and not with another."""
    if not options.propagation:
        return
    unused = [f for f in FIELDS if f in options and f not in OF_A_SURVEY]
    unused += [name for name in ("run", "data", "epochs") if getattr(options, name)]
    if unused:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        reader.error(f"--propagation trains nothing and takes no {names}")
    for name in ("depth", "width"):
        if len(getattr(options, name, [0])) > 1:
            reader.error(f"--propagation takes one --{name}")


def _lab(options: Namespace) -> int:
    if options.propagation:
        from fastact.lab import laboratory

        return laboratory.survey(networks(options)[0], options)
    if options.data or options.run or any(field in options for field in FIELDS):
        from fastact.lab import laboratory

        return laboratory.compare(networks(options), options)
    from fastact.lab import demo

    return demo.run(options)
