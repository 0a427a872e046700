"""thinc's `NumpyOps`. Where its backward takes the output, it is given it."""

from functools import partial

from thinc.api import NumpyOps

OPS = NumpyOps()
LINEAR = {"slope": 1 / 6, "offset": 0.5}
FORWARD = {
    "relu": OPS.relu,
    "sigmoid": OPS.sigmoid,
    "silu": OPS.swish,
    "gelu": OPS.gelu,
    "gelu_tanh": OPS.gelu_approx,
    "mish": OPS.mish,
    "relu6": partial(OPS.clipped_linear, max_val=6.0),
    "hardtanh": OPS.hard_tanh,
    "hard_sigmoid": partial(OPS.clipped_linear, **LINEAR),
    "hard_swish": OPS.hard_swish_mobilenet,
    "clipped_linear": OPS.clipped_linear,
    "dish": OPS.dish,
    "erf": OPS.erf,
}
BACKWARD = {
    "relu": OPS.backprop_relu,
    "sigmoid": OPS.backprop_sigmoid,
    "silu": OPS.backprop_swish,
    "gelu": OPS.backprop_gelu,
    "gelu_tanh": OPS.backprop_gelu_approx,
    "mish": OPS.backprop_mish,
    "relu6": partial(OPS.backprop_clipped_linear, max_val=6.0),
    "hardtanh": OPS.backprop_hard_tanh,
    "hard_sigmoid": partial(OPS.backprop_clipped_linear, **LINEAR),
    "hard_swish": OPS.backprop_hard_swish_mobilenet,
    "clipped_linear": OPS.backprop_clipped_linear,
    "dish": OPS.backprop_dish,
}
TAKES_Y = {"sigmoid": lambda x, y: (y,), "silu": lambda x, y: (x, y)}


def calls(cell, arrays, out):
    op = cell.op
    if cell.form == "forward" and op in FORWARD:
        return {"": partial(FORWARD[op], *arrays)}
    if cell.form != "backward" or op not in BACKWARD:
        return {}
    grad, x = arrays
    if op in TAKES_Y:
        return {" from y": partial(BACKWARD[op], grad, *TAKES_Y[op](x, FORWARD[op](x)))}
    return {"": partial(BACKWARD[op], grad, x)}
