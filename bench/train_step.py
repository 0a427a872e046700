"""``python -m bench.train_step``: milliseconds that a whole training step takes, and where they go.

An MLP 784-512-512-10 (batch 256) and an LSTM (64 inputs, 128 hidden, 32 steps, batch 64), float32:
NumPy's BLAS for the matmuls and fastact for the rest, against NumPy idioms, scikit-learn and eager
PyTorch, from the same weights, in turns, on as many cores as threads. Before anything is timed, all
must agree on the losses of the first steps.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

from rich import box
from rich.table import Table

ACTIVATIONS = ("relu", "tanh", "gelu")
NETWORKS = ("mlp", "lstm")
VARIABLES = ("OMP", "OPENBLAS", "MKL", "FASTACT")
STEPS = 5  # whose losses must agree
TOLERANCE = 1e-4  # relative: sums in float32 differ in their order
SAMPLE = 0.03  # seconds a turn with many threads: those of the one before spin for a while


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    _with_threads(options.threads)
    from bench import machine
    from bench.report import console

    screen = console()
    sample = SAMPLE if options.threads > 1 else 0
    results = [measure(problem, options.rounds, sample) for problem in problems(options)]
    for result in results:
        screen.print(render(result))
    about = machine.describe()
    threads = f"{options.threads} thread" + "s" * (options.threads > 1)
    caption = f"{about['cpu']['model']}, {threads}, fastact on {about['fastact']['isa']}"
    screen.print(caption)
    if options.json:
        facts = {"machine_info": about, "threads": options.threads, "steps": results}
        options.json.write_text(json.dumps(facts, indent=1))
    if options.figure:
        from bench.steps.figure import draw

        draw(results, caption, options.figure)


def _with_threads(threads: int) -> None:
    """Start over with so many threads and cores: BLAS and OpenMP count them on loading."""
    wanted = {f"{name}_NUM_THREADS": str(threads) for name in VARIABLES}
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[-threads:])  # the first serves most interrupts
    if not wanted.items() <= os.environ.items():
        command = [sys.executable, "-m", "bench.train_step", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **wanted})


def problems(options: argparse.Namespace) -> list:
    from bench.steps import lstm, mlp

    chosen = [mlp.Problem(name) for name in options.activations if "mlp" in options.networks]
    return chosen + [lstm.Problem()] * ("lstm" in options.networks)


def measure(problem, rounds: int, sample: float = 0) -> dict:
    """Milliseconds a step of every contender there is, and of the parts of those that tell."""
    from fastact.lab.timing import interleaved

    contenders, missing = installed(problem)
    losses = {name: [c.step() for _ in range(STEPS)] for name, c in contenders.items()}
    check(losses)
    calls = {name: contender.step for name, contender in contenders.items()}
    times = interleaved(calls, rounds=rounds, min_time=sample)
    return {
        "network": problem.name,
        "missing": missing,
        "losses": losses,
        "contenders": {
            name: {
                "min": min(times[name]) * 1e3,
                "median": statistics.median(times[name]) * 1e3,
                "parts": parts(contenders[name], rounds),
            }
            for name in contenders
        },
    }


def installed(problem) -> tuple[dict, list[str]]:
    """The contenders, ready to step, and the names of those that are not installed."""
    found, missing = {}, []
    for name, contender in problem.contenders().items():
        try:
            found[name] = contender(problem)
        except ImportError:
            missing.append(name)
    return found, missing


def check(losses: dict[str, list[float]]) -> None:
    """Raise unless all contenders had the same losses, but for rounding."""
    for name, own in losses.items():
        for step, (a, b) in enumerate(zip(own, losses["numpy"], strict=True)):
            if not abs(a - b) <= TOLERANCE * abs(b):
                raise RuntimeError(f"{name}: the loss of step {step} is {a:.8g}, numpy's {b:.8g}")


def parts(contender, rounds: int) -> dict[str, float]:
    """The least milliseconds of each part of a step; nothing where a contender does not tell."""
    if not hasattr(contender, "clock"):
        return {}
    from bench.steps import PARTS, Clock

    clock: Clock = contender.clock
    clock.running = True
    samples = {name: [] for name in PARTS}
    for _ in range(rounds):
        clock.seconds.clear()
        contender.step()
        for name in PARTS:
            samples[name].append(clock.seconds[name] * 1e3)
    clock.running = False
    return {name: min(values) for name, values in samples.items()}


def render(result: dict) -> Table:
    """A row a contender."""
    from bench.steps import PARTS

    table = Table(
        title=f"{result['network']}: milliseconds a step, least times",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        caption=f"not installed: {', '.join(result['missing'])}" if result["missing"] else None,
    )
    table.add_column("contender", no_wrap=True)
    for column in ("step", "median", "times fastact", *PARTS):
        table.add_column(column, justify="right")
    ours = result["contenders"]["fastact"]["min"]
    for name, each in result["contenders"].items():
        told = [f"{each['parts'][part]:.2f}" if each["parts"] else "" for part in PARTS]
        numbers = (each["min"], each["median"], each["min"] / ours)
        table.add_row(name, *(f"{number:.2f}" for number in numbers), *told)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.train_step", description=__doc__)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--activations", nargs="+", default=ACTIVATIONS, help="of the MLP")
    parser.add_argument("--threads", default=1, type=int)
    parser.add_argument("--rounds", default=50, type=int)
    parser.add_argument("--json", type=Path, help="where to save the results")
    parser.add_argument("--figure", type=Path, help="where to save a picture of the parts")
    return parser


if __name__ == "__main__":
    main()
