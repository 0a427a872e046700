"""``python -m bench.fused``: passes that do several things at once against the same in steps.

Steps are fastact's own calls, with ``out=`` wherever they take it, on one core and in turns.
"""

import argparse
from collections.abc import Callable

import numpy as np
from rich import box
from rich.table import Table

import fastact
from bench import machine
from bench.report import console
from fastact.lab.timing import interleaved, pinned

OPS = ("relu", "tanh", "gelu")
SHAPES = ((256, 512), (4096, 1024))


def bias(x, grad, name):
    f, channels, y = getattr(fastact, name), x[0].copy(), np.empty_like(x)

    def steps():
        np.add(x, channels, out=y)
        return f(y, out=y)

    return lambda: fastact.bias_activation(x, channels, name, out=y), steps


def bias_backward(x, grad, name):
    backward, channels = getattr(fastact, f"{name}_backward"), x[0].copy()

    def steps():
        dx = np.add(x, channels)
        backward(grad, dx, out=dx)
        return dx, dx.sum(0)

    return lambda: fastact.bias_activation_backward(grad, x, channels, name), steps


def batch_norm(x, grad, name):
    f, (gamma, beta), y = getattr(fastact, name), x[:2].copy(), np.empty_like(x)

    def steps():
        _, mean, rstd = fastact.batch_norm(x, gamma, beta, out=y)
        return f(y, out=y), mean, rstd

    return lambda: fastact.batch_norm(x, gamma, beta, out=y, activation=name), steps


def batch_norm_backward(x, grad, name):
    backward, (gamma, beta), dx = (
        getattr(fastact, f"{name}_backward"),
        x[:2].copy(),
        np.empty_like(x),
    )
    y, mean, rstd = fastact.batch_norm(x, gamma, beta)
    given = {"beta": beta, "out": dx}

    def steps():  # y was kept
        backward(grad, y, out=dx)
        return fastact.batch_norm_backward(dx, x, mean, rstd, gamma, **given)

    def fused():
        return fastact.batch_norm_backward(grad, x, mean, rstd, gamma, activation=name, **given)

    return fused, steps


def with_derivative(x, grad, name):
    f, derivative, both = (
        getattr(fastact, name + suffix) for suffix in ("", "_derivative", "_with_derivative")
    )
    y, d = np.empty_like(x), np.empty_like(x)

    def steps():
        return f(x, out=y), derivative(x, out=d)

    return lambda: both(x, out=(y, d)), steps


PASSES: dict[str, Callable] = {
    "bias_activation": bias,
    "bias_activation_backward": bias_backward,
    "batch_norm(activation=)": batch_norm,
    "batch_norm_backward(activation=)": batch_norm_backward,
    "NAME_with_derivative": with_derivative,
}


def ways(make: Callable, shape: tuple[int, int], name: str, dtype: str) -> dict[str, Callable]:
    """The one pass and the steps, over the same arrays."""
    rng = np.random.default_rng(0)
    x, grad = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    return dict(zip(("fused", "steps"), make(x, grad, name), strict=True))


def gain(calls: dict[str, Callable], rounds: int) -> float:
    """How many times faster the one pass is than the steps, by the least times."""
    times = interleaved(calls, rounds=rounds, min_time=1e-3)
    return min(times["steps"]) / min(times["fused"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fused", description=__doc__)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--rounds", default=25, type=int)
    options = parser.parse_args(arguments)
    table = Table(
        title="Times faster than in steps: " + ", ".join(options.dtypes), box=box.SIMPLE_HEAD
    )
    for column in ("pass", "shape", *OPS):
        table.add_column(column)
    with pinned(), fastact.threads(1):
        for what, make in PASSES.items():
            for shape in SHAPES:
                cells = (
                    ", ".join(
                        f"{gain(ways(make, shape, op, t), options.rounds):.2f}"
                        for t in options.dtypes
                    )
                    for op in OPS
                )
                table.add_row(what, str(shape), *cells)
    console().print(table)
    about = machine.describe()
    console().print(f"{about['cpu']['model']}, fastact on {about['fastact']['isa']}")


if __name__ == "__main__":
    main()
