"""Which kernels run, and how that is chosen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastact._threads import get_num_threads
from fastact._ufuncs import (
    built_isas,
    get_isa,
    get_stream_bytes,
    isas,
    last_isa,
    openmp,
    set_isa,
)

__all__ = ["get_config", "get_isa", "isa", "isas", "last_isa", "set_isa", "show_config"]


@contextmanager
def isa(name: str) -> Iterator[None]:
    """Run the kernels of one ISA inside a ``with`` block, in the whole process.

    Parameters
    ----------
    name : str
        One of `fastact.isas()`.

    Raises
    ------
    ValueError
        If this build or this CPU does not have it.

    Examples
    --------
    >>> import fastact
    >>> with fastact.isa("scalar"):
    ...     fastact.get_isa()
    'scalar'
    """
    before = get_isa()
    set_isa(name)
    try:
        yield
    finally:
        set_isa(before)


def get_config() -> dict[str, Any]:
    """Versions, ISAs, threads and caches, as a dictionary.

    Returns
    -------
    dict
        Keys: fastact, numpy, python, machine, isa (that runs), isas_built, isas_available, threads
        (at most in a call, as `fastact.get_num_threads` says), openmp (its version as yyyymm, or
        None), stream_bytes (calls whose arrays take more go past the caches).

    Examples
    --------
    >>> import fastact
    >>> fastact.get_config()["isa"] == fastact.get_isa()
    True
    """
    import platform  # these two would double the time that importing fastact adds to NumPy
    from importlib.metadata import version

    return {
        "fastact": version("fastact"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "isa": get_isa(),
        "isas_built": built_isas(),
        "isas_available": isas(),
        "threads": get_num_threads(),
        "openmp": openmp(),
        "stream_bytes": get_stream_bytes(),
    }


def show_config() -> None:
    """Print what `get_config` returns, a line each.

    Examples
    --------
    >>> import fastact
    >>> fastact.show_config()  # doctest: +ELLIPSIS
    fastact...
    """
    for key, value in get_config().items():
        print(f"{key:<15}", ", ".join(value) if isinstance(value, tuple) else value)


def _apply_environment() -> None:
    """FASTACT_ISA forces an ISA for the life of the process."""
    forced = os.environ.get("FASTACT_ISA")
    if forced:
        try:
            set_isa(forced)
        except ValueError as error:
            raise ImportError(f"environment variable FASTACT_ISA: {error}") from None


_apply_environment()
