"""How many threads large calls may use, and when their results go past the caches."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator
from contextlib import contextmanager

from fastact._machine import cpu_quota, last_level_cache
from fastact._ufuncs import (
    get_chosen_threads,
    get_num_threads,
    set_chosen_threads,
    set_cpus,
    set_stream_bytes,
)

__all__ = ["get_num_threads", "set_num_threads", "threads"]

MOST = 1024  # threads that anyone may ask for


def _count(n: object) -> int:
    """A number of threads as the kernels know it, 0 for None."""
    if n is None:
        return 0
    try:
        count = operator.index(n)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"n must be an integer or None, got {n!r}") from None
    if isinstance(n, bool):
        raise TypeError(f"n must be an integer or None, got {n!r}")
    if not 1 <= count <= MOST:
        raise ValueError(f"n must be from 1 to {MOST}, got {n!r}")
    return count


def set_num_threads(n: int | None) -> None:
    """Let a call of an elementwise function use up to `n` threads, in the whole process.

    A call uses no more threads than its work is worth, so that small and cheap ones stay on the
    thread that makes them; results do not depend on how many there are, to the last bit. Threads
    that are busy in other calls count.

    Parameters
    ----------
    n : int or None
        From 1 to 1024. None leaves it to OpenMP (OMP_NUM_THREADS, threadpoolctl), the CPUs that
        the calling thread may run on, and the CPU quota of the process's cgroup, rounded up. A
        limit that threadpoolctl sets on OpenMP holds above any `n`.

    Raises
    ------
    TypeError
        If `n` is neither an integer nor None.
    ValueError
        If `n` is out of range.

    Examples
    --------
    >>> import fastact
    >>> fastact.set_num_threads(1)
    >>> fastact.get_num_threads()
    1
    >>> fastact.set_num_threads(None)
    """
    set_chosen_threads(_count(n))


@contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Let calls use up to `n` threads inside a ``with`` block, in the whole process.

    Parameters
    ----------
    n : int or None
        As for `fastact.set_num_threads`.

    Raises
    ------
    TypeError
        If `n` is neither an integer nor None.
    ValueError
        If `n` is out of range.

    Examples
    --------
    >>> import fastact
    >>> with fastact.threads(1):
    ...     fastact.get_num_threads()
    1
    """
    before = get_chosen_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_chosen_threads(before)


def _from_environment(name: str, least: int, most: int) -> int | None:
    """The integer that an environment variable holds; None where it is not set or empty."""
    text = os.environ.get(name)
    if not text:
        return None
    if not text.strip().isdecimal() or not least <= int(text) <= most:
        raise ImportError(
            f"environment variable {name}: expected an integer from {least} to {most}, got {text!r}"
        )
    return int(text)


def _apply_environment() -> None:
    """FASTACT_NUM_THREADS and FASTACT_STREAM_BYTES, and without them what the machine has."""
    set_chosen_threads(_from_environment("FASTACT_NUM_THREADS", 1, MOST) or 0)
    set_cpus(cpu_quota())
    given = _from_environment("FASTACT_STREAM_BYTES", 0, 2**62)
    set_stream_bytes(last_level_cache() if given is None else given)


_apply_environment()
