"""torch.compile of what `torch_eager` calls: one fused loop, written to tensors that are given."""

from functools import cache, partial

import torch

from bench.peers import formulas
from bench.peers.torch_eager import BACKWARD, FORWARD, FROM_Y, KEYWORDS, NAMESPACE, OVERLOADS

FIXED_SIZE = ("hardshrink", "softshrink")  # whose way back torch cannot compile for every size


def calls(cell, arrays, out):
    outs = [torch.from_numpy(o) for o in (out if isinstance(out, tuple) else (out,))]
    *grad, x = map(torch.from_numpy, arrays)
    if cell.form == "backward" and cell.op in BACKWARD and cell.op not in FIXED_SIZE:
        rest = BACKWARD[cell.op][1](x)
        constants = tuple(None if isinstance(value, torch.Tensor) else value for value in rest)
        given = [*grad, *(value for value in rest if isinstance(value, torch.Tensor))]
        compiled = _backward(cell.op, constants, cell.dtype)
    else:
        given, compiled = [*grad, x], _formula(cell.op, cell.form, cell.function, cell.dtype)
    saved = " from y" if cell.form == "backward" and cell.op in FROM_Y else ""
    return {f"{saved} out=": partial(compiled, outs, *given)}


@cache
def _formula(op, form, function, dtype):
    own = FORWARD.get(op) if form == "forward" else None
    return _into(own or formulas.function(function, NAMESPACE))


@cache
def _backward(op, constants, dtype):
    """The way back of eager torch, with what is no tensor built in."""
    function = getattr(BACKWARD[op][0], OVERLOADS.get(op, ("default",))[0])

    def f(grad, *tensors):
        rest = iter(tensors)
        filled = (next(rest) if value is None else value for value in constants)
        return function(grad, *filled, **KEYWORDS.get(op, {}))

    return _into(f)


def _into(f):
    def into(outs, *tensors):
        results = f(*tensors)
        for out, result in zip(outs, results if len(outs) > 1 else [results], strict=True):
            out.copy_(result)
        return tuple(outs) if len(outs) > 1 else outs[0]

    into.__code__ = into.__code__.replace()  # by which torch tells what it has compiled
    return torch.compile(into, dynamic=True, fullgraph=True)
