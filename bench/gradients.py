"""``python -m bench.gradients``: norms and clipping of gradients against PyTorch, NumPy and memory.

Everybody takes turns on one core. What clips does so in every call, by a thousandth. The ceilings
are reads, and reads with a pass of reading and writing in place, of the same arrays.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
from rich.table import Table

import fastact
from bench import ceilings, report
from bench.__main__ import COUNTS, QUIET
from bench.along import library
from bench.along.__main__ import ALONE
from fastact.lab.timing import interleaved, pinned

Ways = dict[str, Callable[[], object]]
STEP = 0.999  # by so much is clipped in each call
LARGE, SMALL = (100, 250_000), (10_000, 25)  # how many arrays, and elements of each


def main() -> None:
    if ALONE not in os.environ:
        environment = {**os.environ, **QUIET, **dict.fromkeys(COUNTS, "1"), ALONE: "1"}
        with pinned():
            command = [sys.executable, "-m", "bench.gradients", *sys.argv[1:]]
            raise SystemExit(subprocess.run(command, env=environment).returncode)
    parser = argparse.ArgumentParser(prog="python -m bench.gradients", description=__doc__)
    parser.add_argument("--only", default="", metavar="REGEX", help="cells it is found in")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--rounds", type=int, default=15, help="samples of each contender")
    options = parser.parse_args()
    table = Table("cell", "contender", "ns an element", "times fastact's", "by medians")
    for name, size, ways in cells(options.dtype, options.only):
        samples = interleaved(ways, rounds=options.rounds, min_time=1e-3)
        ours = samples["fastact"]
        for who, times in samples.items():
            table.add_row(
                name if who == "fastact" else "",
                who,
                f"{min(times) / size * 1e9:.3f}",
                f"{min(times) / min(ours):.2f}",
                f"{np.median(times) / np.median(ours):.2f}",
            )
        table.add_section()
    report.console().print(table)
    fastact.show_config()


def cells(dtype: str, only: str = "") -> Iterator[tuple[str, int, Ways]]:
    """Name, number of elements, and contenders of each cell."""
    for (count, n), norms in ((LARGE, large_norm), (SMALL, small_norm)):
        title = f"{count:,} arrays of {n:,}"
        for what, make in (("norm", norms), ("clip", clip), ("nothing to clip", within)):
            if re.search(only, f"{what}, {title}"):
                yield f"{what}, {title}", count * n, make(arrays(count, n, dtype))
    for what, make in (("values", values), ("mend", mend)):
        title = f"{what}, {LARGE[0]} arrays of {LARGE[1]:,}"
        if re.search(only, title):
            yield title, LARGE[0] * LARGE[1], make(arrays(*LARGE, dtype))
    for shape, axis in (((4096, 1024), 1), ((4096, 1024), 0), ((256, 64, 28, 28), (1, 2, 3))):
        title = f"slices of {shape}, axis {axis}"
        if re.search(only, title):
            x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
            yield title, x.size, slices(x, axis)


def arrays(count: int, n: int, dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(n, dtype) for _ in range(count)]


def parameters(grads: list[np.ndarray]) -> list:
    """PyTorch's parameters with these gradients, in memory of their own."""
    torch = library("torch")
    made = [torch.nn.Parameter(torch.from_numpy(g.copy())) for g in grads]
    for p in made:
        p.grad = torch.from_numpy(p.detach().numpy())
    return made


def large_norm(grads: list[np.ndarray]) -> Ways:
    ways: Ways = {"fastact": lambda: fastact.global_norm(grads)}
    ways["numpy.vdot"] = lambda: np.sqrt(sum(float(np.vdot(g, g)) for g in grads))
    ways["numpy g**2"] = lambda: np.sqrt(sum(float(np.sum(g**2)) for g in grads))
    if torch := library("torch"):
        tensors = [torch.from_numpy(g) for g in grads]
        ways["torch get_total_norm"] = lambda: torch.nn.utils.get_total_norm(tensors)
    return ways | ceilings.reads(grads)


def small_norm(grads: list[np.ndarray]) -> Ways:
    whole = [np.concatenate(grads)]
    ways = large_norm(grads)
    del ways["a read"], ways["numpy.max"]
    return ways | {"fastact, one array": lambda: fastact.global_norm(whole)}


def clip(grads: list[np.ndarray]) -> Ways:
    ways = clipping(grads, STEP)
    if len(grads) == LARGE[0]:
        return ways | ceilings.reads_and_writes([g.copy() for g in grads])
    whole = clipping([np.concatenate(grads)], STEP)
    return ways | {"fastact, one array": whole["fastact"]}


def within(grads: list[np.ndarray]) -> Ways:
    ways = clipping(grads, 2)
    return ways | ceilings.reads(grads) if len(grads) == LARGE[0] else ways


def clipping(grads: list[np.ndarray], step: float) -> Ways:
    """In place, to `step` times what the norm was or would be after the calls before."""

    def limits() -> Iterator[float]:
        limit = fastact.global_norm(grads)
        while True:
            limit *= step if step < 1 else 1
            yield limit * max(step, 1)

    ours, theirs, last = limits(), limits(), limits()
    copies = [g.copy() for g in grads]

    def numpy_idiom():
        norm, limit = np.sqrt(sum(float(np.sum(g**2)) for g in copies)), next(theirs)
        if norm > limit:
            for g in copies:
                g *= limit / norm

    ways: Ways = {
        "fastact": lambda: fastact.clip_by_global_norm(grads, next(ours), out=grads),
        "numpy idiom": numpy_idiom,
    }
    if torch := library("torch"):
        ps = parameters(grads)
        ways["torch clip_grad_norm_"] = lambda: torch.nn.utils.clip_grad_norm_(ps, next(last))
    return ways


def values(grads: list[np.ndarray]) -> Ways:
    """Clipping to [-1, 1]; after the first call nothing is left to clip."""
    copies = [g.copy() for g in grads]
    ways: Ways = {
        "fastact": lambda: fastact.clip_by_value(grads, -1, 1, out=grads),
        "numpy.clip": lambda: [np.clip(g, -1, 1, out=g) for g in copies],
    }
    if torch := library("torch"):
        ps = parameters(grads)
        ways["torch clip_grad_value_"] = lambda: torch.nn.utils.clip_grad_value_(ps, 1.0)
    return ways | ceilings.reads(grads)


def mend(grads: list[np.ndarray]) -> Ways:
    """Zeros for what is not finite, where everything is."""
    copies = [g.copy() for g in grads]
    ways: Ways = {
        "fastact": lambda: fastact.zero_nonfinite(grads, out=grads),
        "numpy.nan_to_num": lambda: [np.nan_to_num(g, copy=False) for g in copies],
    }
    return ways | ceilings.reads(grads)


def slices(x: np.ndarray, axis: int | tuple[int, ...]) -> Ways:
    """Norms of slices, each clipped by itself."""
    limit = float(np.sqrt(x.size / np.sqrt((x**2).sum(axis)).size))  # about half are clipped
    out = np.empty_like(x)

    def numpy_idiom():
        norm = np.sqrt((x**2).sum(axis, keepdims=True))
        return np.multiply(x, np.minimum(1, limit / norm), out=out)

    ways: Ways = {
        "fastact": lambda: fastact.clip_by_norm(x, limit, axis, out=out),
        "numpy idiom": numpy_idiom,
    }
    if torch := library("torch"):
        t, into = torch.from_numpy(x), torch.from_numpy(np.empty_like(x))

        def torch_idiom():
            norm = torch.linalg.vector_norm(t, dim=axis, keepdim=True)
            return torch.mul(t, (limit / norm).clamp_(max=1), out=into)

        ways["torch idiom"] = torch_idiom
    return ways


if __name__ == "__main__":
    main()
