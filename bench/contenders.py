"""A contender is a way to compute a cell: fastact's two, and those of its peers."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np

import fastact
from bench import peers
from bench.cells import Cell

GENERAL = ("numpy", "scipy", "python")  # who is there for more than activations, too
COMPARED = 10_000  # elements of a result


def contenders(
    cell: Cell, names: Iterable[str]
) -> tuple[dict[str, Callable[[], object]], dict[str, str]]:
    """Calls without arguments by contender, fastact's first, and why a peer is not among them.

    All work on the same arrays, and those that write to `out` on the same `out`.
    """
    arguments = cell.arguments(cell.dtype, cell.size)
    out = cell.out(arguments) if cell.out else None
    ours = partial(getattr(fastact, cell.function), *arguments, **cell.keywords)
    made = {"fastact": ours}
    if out is not None:
        made["fastact out="] = partial(ours, out=out)
    saved = getattr(fastact, f"{cell.op}_from_output_{cell.form}", None)
    if saved:  # as PyTorch trains
        grad, x = arguments
        from_y = partial(saved, grad, getattr(fastact, cell.op)(x))
        made |= {"fastact from y": from_y, "fastact from y out=": partial(from_y, out=out)}
    absent = {}
    for name in names:
        reason = f"no {cell.function}"
        ways = {}
        if name in GENERAL or cell.is_activation:
            try:
                ways = peers.peer(name).calls(cell, arguments, out)
            except Exception as error:  # a library may fail in any way it likes
                reason = _reason(error)
        if not ways:
            absent[name] = reason
        made |= {name + way: call for way, call in ways.items()}
    return made, absent


def agreeing(calls: dict[str, Callable[[], object]]) -> dict[str, str]:
    """Take out those that fail, or compute something else than the first; and say why.

    What is asked is whether it is the same function; `make prove` asks how well it is computed.
    """
    (first, call), *others = calls.items()
    expected = list(_heads(call()))
    absent = {}
    for name, call in others:
        try:
            results = list(_heads(call()))
            if len(results) != len(expected):
                absent[name] = f"{len(results)} results instead of {len(expected)}"
            elif not all(map(_close, results, expected)):
                absent[name] = f"not what {first} computes"
        except Exception as error:
            absent[name] = _reason(error)
    for name in absent:
        del calls[name]
    return absent


def _heads(result: object) -> Iterator[np.ndarray]:
    """The first elements of each array of a result."""
    if isinstance(result, (list, tuple)) and not isinstance(result[-1], float):
        for item in result:
            yield from _heads(item)
    else:
        yield np.ravel(np.asarray(result)[:COMPARED] if np.ndim(result) else result)


def _close(result: np.ndarray, expected: np.ndarray) -> bool:
    return result.dtype == expected.dtype and np.allclose(
        result, expected, rtol=1e-2, atol=1e-4, equal_nan=True
    )


def _reason(error: Exception) -> str:
    first_line = str(error).strip().splitlines()[:1]
    return ": ".join([type(error).__name__, *first_line])
