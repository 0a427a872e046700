"""Timing two or more things fairly: round by round, on one core.

A clock that ramps, a neighbour that wakes up: whatever changes during a measurement changes for
everything that takes part in the round, so that ratios hold where absolute times drift.
"""

import gc
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter


@contextmanager
def pinned() -> Iterator[int | None]:
    """Keep the calling thread on one core, where the system allows it, and undo it afterwards.

    Yields
    ------
    int or None
        The core, or None where there is no such thing as ``os.sched_setaffinity``.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    allowed = os.sched_getaffinity(0)
    core = max(allowed)  # the first core is the one that serves most interrupts
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, allowed)


def interleaved(
    callables: Mapping[str, Callable[[], object]], *, rounds: int = 25, min_time: float = 1e-4
) -> dict[str, list[float]]:
    """Seconds a call of each callable takes, sampled once in every round.

    Parameters
    ----------
    callables : dict of str to callable
        What to time, by name; each is called without arguments.
    rounds : int
        How many times each is sampled. The order rotates from round to round, so that none is
        always the one that runs on a cold cache.
    min_time : float
        Seconds a sample lasts at least: a shorter call is repeated within the sample.

    Returns
    -------
    dict of str to list of float
        `rounds` samples each, in seconds a call, in the order they were taken.

    Raises
    ------
    ValueError
        If `rounds` is below 1.

    Examples
    --------
    >>> from fastact.lab.timing import interleaved
    >>> times = interleaved({"list": lambda: [0] * 9, "tuple": lambda: (0,) * 9}, rounds=3)
    >>> [len(samples) for samples in times.values()]
    [3, 3]
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    _keep_freed_memory()
    repeats = {name: _repeats(call, min_time) for name, call in callables.items()}
    samples: dict[str, list[float]] = {name: [] for name in callables}
    names = list(callables)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name in names:
                samples[name].append(_sample(callables[name], repeats[name]))
            names.append(names.pop(0))
    finally:
        if collecting:
            gc.enable()
    return samples


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed: otherwise code with many temporaries pays for fresh pages in
    some runs and not in others, a factor of two. It keeps twice the largest block it has seen
    freed, of up to 32 MiB. Elsewhere this does nothing.
    """
    bytes(31 << 20)


def _sample(call: Callable[[], object], repeats: int) -> float:
    start = perf_counter()
    for _ in range(repeats):
        call()
    return (perf_counter() - start) / repeats


def _repeats(call: Callable[[], object], min_time: float) -> int:
    """How many calls fill `min_time`; the calls it takes to find out are the warm-up."""
    repeats = 1
    while (seconds := _sample(call, repeats) * repeats) < min_time:
        repeats = max(2 * repeats, int(repeats * min_time / max(seconds, 1e-9)))
    return repeats
