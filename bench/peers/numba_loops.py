"""Loops over the table's formulas compiled by numba with fastmath, writing to an array."""

import math
from functools import cache, partial

import numba
import numpy as np

from bench.peers import formulas

LOOPS = {
    (1, 1): """
def loop(x, out):
    for i in range_(x.size):
        out[i] = f(x[i])
""",
    (2, 1): """
def loop(grad, x, out):
    for i in range_(x.size):
        out[i] = f(grad[i], x[i])
""",
    (1, 2): """
def loop(x, out, slope):
    for i in range_(x.size):
        out[i], slope[i] = f(x[i])
""",
}


def calls(cell, arrays, out):
    outs = out if isinstance(out, tuple) else (out,)
    loop = _compiled(cell.function, cell.dtype, (len(arrays), len(outs)))

    def call():
        loop(*arrays, *outs)
        return out

    return {" out=": call}


@cache
def _compiled(name, dtype, shape):
    jit = partial(numba.njit, fastmath=True, error_model="numpy")
    several = numba.get_num_threads() > 1
    f = jit(formulas.scalar(name, vars(math), np.dtype(dtype).type))
    namespace = {"f": f, "range_": numba.prange if several else range}
    exec(LOOPS[shape], namespace)
    array = numba.types.Array(getattr(numba, dtype), 1, "C")
    return jit([(array,) * sum(shape)], parallel=several)(namespace["loop"])
