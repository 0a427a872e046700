"""The options of ``fastact lab``, read and checked before anything heavy is imported."""

import shlex
from argparse import (
    SUPPRESS,
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastact.lab.choices import Activation, Initialiser

FIELDS = "depth", "width", "activation", "init", "batch_norm", "clip", "learning_rate"
OF_A_SURVEY = "depth", "width", "activation", "init"

_DESCRIPTION = """\
Without options: a demonstration on eight networks whose gradients vanish or explode, and the cure.

With any option that describes a network, or with --data: a laboratory. Several values of an
option give every combination of them, and each --run changes the ones it names:

  fastact lab --depth 40 --activation relu tanh gelu --init he xavier
  fastact lab --init normal:0.1 --batch-norm off on --data iris.csv
  fastact lab --depth 40 --run "activation=sigmoid" --run "activation=tanh clip=1 batch_norm"

With --propagation: how signals and gradients spread through random networks, measured and as
mean-field theory predicts.
"""


def parser() -> ArgumentParser:
    """Of the command ``fastact``."""
    made = ArgumentParser(
        prog="fastact", description="activation functions and backprop kernels for NumPy arrays"
    )
    commands = made.add_subparsers(dest="command", required=True)
    commands.add_parser("config", help="show what this machine and this build run")
    lab = commands.add_parser(
        "lab",
        help="vanishing and exploding gradients, and what helps: pictures, tables, timings",
        description=_DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
        parents=[_networks("fastact lab")],
    )
    lab.add_argument(
        "--run",
        metavar='"NAME=VALUE ..."',
        type=_changes,
        action="append",
        default=[],
        help="a run that differs from the other options in what it names; may be repeated",
    )
    lab.add_argument(
        "--data",
        metavar="SOURCE",
        help="digits (the default), FILE.npz with x and y (or FILE.npz:X,Y by their names), or "
        "FILE.csv with the label in the last column",
    )
    lab.add_argument(
        "--propagation", action="store_true", help="signals and gradients in random networks"
    )
    lab.add_argument("--quick", action="store_true", help="fewer epochs, smaller timings")
    lab.add_argument(
        "--epochs", type=_count(1, 10_000), help="of each run (80, or 20 with --quick)"
    )
    lab.add_argument(
        "--seed",
        type=_count(0, 2**32 - 1),
        default=0,
        help="of the weights and of the data's order (0)",
    )
    lab.add_argument(
        "--out", type=Path, default=Path("fastact-lab"), help="directory to write to (fastact-lab)"
    )
    return made


def _networks(prog: str) -> ArgumentParser:
    """What describes a network, each option with a value or several."""
    made = ArgumentParser(prog=prog, add_help=False, argument_default=SUPPRESS)
    group = made.add_argument_group("networks")

    def add(
        name: str, read: Callable[[str], Any], help: str, nargs: str = "+", metavar="X"
    ) -> None:
        group.add_argument(name, type=read, nargs=nargs, help=help, metavar=metavar)

    add("--depth", _count(1, 1000), "hidden layers (20)", metavar="N")
    add("--width", _count(1, 8192), "units of each (64)", metavar="N")
    add("--activation", Activation.parse, "NAME, or NAME:PARAMETER such as leaky_relu:0.2 (relu)")
    add(
        "--init",
        Initialiser.parse,
        "NAME of fastact.init, he, xavier or lecun for short; gain, for LeCun's times the gain of "
        "the activation; normal, N(0, 0.1^2); each also NAME:SCALE, as he:1.5 and normal:0.02 (he)",
    )
    add("--batch-norm", _on_or_off, "on, off or both; on if nothing is said", "*", "on|off")
    add("--clip", _limit, "largest norm of all gradients together, or none (none)")
    add("--learning-rate", _positive, "of plain gradient descent (0.01)")
    return made


def networks(options: Namespace) -> list[dict[str, list[Any]]]:
    """The values that are chosen for each field: once, or once for each --run."""
    base = _chosen(options)
    return [{**base, **changes} for changes in options.run] or [base]


def _chosen(options: Namespace) -> dict[str, list[Any]]:
    return {field: values or [True] for field, values in vars(options).items() if field in FIELDS}


def _changes(text: str) -> dict[str, list[Any]]:
    """``activation=tanh batch_norm`` as the options of those names."""
    words = []
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        words += [f"--{name.lstrip('-').replace('_', '-')}", *([value] if equals else [])]
    return _chosen(_networks(f'fastact lab --run "{text}"').parse_args(words))


def _count(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number from `least` to `most`."""

    def count(text: str) -> int:
        if not least <= int(text) <= most:
            raise ArgumentTypeError(f"must be from {least} to {most}, got {text}")
        return int(text)

    return count


def _positive(text: str) -> float:
    if not 0 < float(text) < float("inf"):
        raise ArgumentTypeError(f"must be positive, got {text}")
    return float(text)


def _limit(text: str) -> float | None:
    return None if text == "none" else _positive(text)


def _on_or_off(text: str) -> bool:
    if text not in ("on", "off"):
        raise ArgumentTypeError(f"must be on or off, got {text}")
    return text == "on"
