"""How fast this machine moves memory: as NumPy does, and as C does that is compiled here."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("streaming.c")


def copies(x: np.ndarray, out: np.ndarray, threads: int) -> dict[str, Callable[[], object]]:
    """Ways to copy `x` to `out`; without a C compiler there is only NumPy's."""
    made: dict[str, Callable[[], object]] = {"numpy.copyto": partial(np.copyto, out, x)}
    library = _compiled()
    if library:
        addresses = (ctypes.c_void_p(array.ctypes.data) for array in (out, x))
        count = ctypes.c_size_t(x.nbytes)
        made["streaming"] = partial(library.streaming_copy, *addresses, count, threads)
    return made


def reads(arrays: Sequence[np.ndarray]) -> dict[str, Callable[[], object]]:
    """Ways to read all of some arrays once."""
    made: dict[str, Callable[[], object]] = {"numpy.max": lambda: [x.max() for x in arrays]}
    library = _compiled()
    if library:
        parts = _parts(arrays)
        made["a read"] = lambda: [library.streaming_read(*part) for part in parts]
    return made


def reads_and_writes(arrays: Sequence[np.ndarray]) -> dict[str, Callable[[], object]]:
    """Ways to read all of some arrays once, and then to read and write them in place."""
    ways = reads(arrays)
    read = ways["numpy.max"]
    made = {"numpy.max, negative": lambda: (read(), [np.negative(x, out=x) for x in arrays])}
    library = _compiled()
    if library:
        parts, first = _parts(arrays), ways["a read"]
        made["a read, a pass"] = lambda: (first(), [library.streaming_pass(*p) for p in parts])
    return made


def _parts(arrays: Sequence[np.ndarray]) -> list[tuple[ctypes.c_void_p, ctypes.c_size_t]]:
    return [(ctypes.c_void_p(x.ctypes.data), ctypes.c_size_t(x.nbytes)) for x in arrays]


@cache
def _compiled() -> ctypes.CDLL | None:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler:
        return None
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "streaming.so"
        command = [compiler, "-O2", "-fopenmp", "-shared", "-fPIC", SOURCE, "-o", made]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(made))
