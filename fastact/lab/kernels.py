"""How much faster each kernel is than NumPy as people write it, on one core."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import fastact
from fastact.lab import idioms
from fastact.lab.timing import interleaved, pinned

COLUMNS = 256  # of the arrays for what works along an axis
LAYERS = 32  # arrays that the gradients of global_norm come in

# The function's name, the idiom, fastact's function, and what both are called with.
Case = tuple[str, Callable[..., object], Callable[..., object], tuple[Any, ...]]


@dataclass(frozen=True)
class Timing:
    """Nanoseconds an element of one pass of one function."""

    function: str
    numpy: float
    fastact: float

    @property
    def speedup(self) -> float:
        return self.numpy / self.fastact


def cases(n: int, seed: int) -> Iterator[Case]:
    """All there is to time, on float32 of `n` elements."""
    rng = np.random.default_rng(seed)
    x, grad = (rng.standard_normal(n, dtype=np.float32) * 3 for _ in range(2))
    for op in fastact.ops():
        values = inside(op.domain, x)
        for form, arguments in ("forward", (values,)), ("backward", (grad, values)):
            function = op.functions[form]
            name = op.name if form == "forward" else f"{op.name}_{form}"
            yield name, getattr(idioms, name), function, arguments
    x, grad = x.reshape(-1, COLUMNS), grad.reshape(-1, COLUMNS)
    _, mean, rstd = fastact.batch_norm(x)
    along_axis: list[tuple[str, tuple[Any, ...]]] = [
        ("softmax", (x,)),
        ("softmax_backward", (grad, fastact.softmax(x))),
        ("batch_norm", (x,)),
        ("batch_norm_backward", (grad, x, mean, rstd)),
        ("global_norm", (list(x.reshape(LAYERS, -1)),)),
    ]
    for name, arguments in along_axis:
        yield name, getattr(idioms, name), getattr(fastact, name), arguments


def inside(domain: tuple[float, float], x: Any) -> Any:
    """The array with its values moved into a domain, if need be."""
    low, high = domain
    if np.isfinite(high):
        return (low + (high - low) / (1 + np.exp(-x))).astype(x.dtype)
    return (low + np.exp(x)).astype(x.dtype) if np.isfinite(low) else x


def measure(
    cases: Sequence[Case], n: int, rounds: int, advance: Callable[[], None]
) -> list[Timing]:
    """Time each of `cases`, the back ends taking turns; the minimum of `rounds` each.

    Both make their result anew at every call: the idioms know no ``out=``, with which fastact
    would save the time it takes to find memory.
    """
    timings = []
    with pinned(), np.errstate(over="ignore"):  # the idioms overflow where the result does not
        for name, idiom, function, arguments in cases:
            pair = {"numpy": partial(idiom, *arguments), "fastact": partial(function, *arguments)}
            samples = interleaved(pair, rounds=rounds)
            best = {key: 1e9 * min(seconds) / n for key, seconds in samples.items()}
            timings.append(Timing(name, **best))
            advance()
    return timings
