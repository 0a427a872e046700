"""How fast this machine moves memory: NumPy's copy, and one of streaming stores, compiled here."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
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
