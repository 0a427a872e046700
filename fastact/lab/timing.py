"""Timing two or more things fairly: round by round, on one core.

A clock that ramps, a neighbour that wakes up: whatever changes during a measurement changes for
everything that takes part in the round, so that ratios hold where absolute times drift.
"""

import gc
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter, sleep


@contextmanager
def pinned(count: int = 1) -> Iterator[set[int] | None]:
    """Keep the calling thread on so many cores, where the system allows it, and undo it afterwards.

    Processes that it starts meanwhile stay on them.

    Yields
    ------
    set of int or None
        The cores, all there are if these are fewer; None where there is no such thing as
        ``os.sched_setaffinity``.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    allowed = os.sched_getaffinity(0)
    cores = set(sorted(allowed)[-count:])  # the first core is the one that serves most interrupts
    os.sched_setaffinity(0, cores)
    try:
        yield cores
    finally:
        os.sched_setaffinity(0, allowed)


def interleaved(
    callables: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 25,
    min_time: float = 1e-4,
    patience: float = math.inf,
    pause: float = 0,
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
    patience : float
        After k rounds, whoever has not come within `patience` / k times the least time of all has
        lost, and is left out of the rounds to come.
    pause : float
        Seconds to wait before each sample, and then for a call that does not count: libraries keep
        their threads spinning for a while, and would have the cores of those who come next.

    Returns
    -------
    dict of str to list of float
        `rounds` samples each, or fewer of those who lost, in seconds a call, in the order they were
        taken.

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
        for k in range(1, rounds + 1):
            for name in names:
                if pause:
                    sleep(pause)
                    callables[name]()
                samples[name].append(_sample(callables[name], repeats[name]))
            if patience < math.inf:
                limit = patience / k * min(map(min, samples.values()))
                names = [name for name in names if min(samples[name]) <= limit]
            names = names[1:] + names[:1]
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
