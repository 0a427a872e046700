"""NumPy as people write it, and with ``out=`` where one of its functions does it all."""

from functools import partial

import numpy as np

from fastact.lab import idioms

INTO = {
    "relu": lambda x, out: np.maximum(x, 0, out=out),
    "relu6": lambda x, out: np.clip(x, 0, 6, out=out),
    "hardtanh": lambda x, out: np.clip(x, -1, 1, out=out),
    "identity": lambda x, out: np.positive(x, out=out),
    "tanh": np.tanh,
    "exp": np.exp,
    "expm1": np.expm1,
    "log1p": np.log1p,
}


def calls(cell, arguments, out):
    made = {"": partial(getattr(idioms, cell.function), *arguments, **cell.keywords)}
    if cell.function in INTO:
        made[" out="] = partial(INTO[cell.function], *arguments, out=out)
    return made
