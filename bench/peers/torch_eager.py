"""torch's own functions, or its elementwise ones around a formula of the table.

Its way back is the function that autograd runs, with what autograd saves for it; f' is the same of
ones.
"""

from functools import partial

import torch
from torch.nn import functional

from bench.peers import formulas
from fastact._formula import ELEMENTARY

nn, aten = torch._C._nn, torch.ops.aten
SELU = {"alpha": 1.67326324235437728481704299167165, "scale": 1.05070098735548049341933498529461}

FORWARD = {
    "relu": torch.relu,
    "leaky_relu": nn.leaky_relu,
    "elu": nn.elu,
    "selu": partial(nn.elu, **SELU),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": nn.gelu,
    "gelu_tanh": partial(nn.gelu, approximate="tanh"),
    "silu": nn.silu,
    "softplus": nn.softplus,
    "log_sigmoid": nn.log_sigmoid,
    "mish": nn.mish,
    "celu": nn.elu,
    "identity": torch.clone,
    "relu6": nn.relu6,
    "threshold": partial(torch.threshold, threshold=0, value=0),
    "hardtanh": nn.hardtanh,
    "hard_sigmoid": nn.hardsigmoid,
    "hard_swish": nn.hardswish,
    "hardshrink": torch.hardshrink,
    "softshrink": nn.softshrink,
    "softsign": functional.softsign,
    "tanhshrink": functional.tanhshrink,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log1p": torch.log1p,
    "logit": torch.logit,
    "erf": torch.erf,
    "erfc": torch.erfc,
}
INTO = {name: f for name, f in FORWARD.items() if name not in ("softsign", "tanhshrink")} | {
    "relu": partial(torch.clamp_min, min=0),
    "relu6": partial(nn.hardtanh, min_val=0, max_val=6),
    "identity": lambda x, out: out.copy_(x),
    "hardshrink": aten.hardshrink.out,
}
# The function with its overloads that make a result and that write to one, and what follows grad.
BACKWARD = {
    "relu": (aten.threshold_backward, lambda x: (x, 0)),
    "leaky_relu": (aten.leaky_relu_backward, lambda x: (x, 0.01, False)),
    "elu": (aten.elu_backward, lambda x: (1, 1, 1, False, x)),
    "selu": (aten.elu_backward, lambda x: (*SELU.values(), 1, False, x)),
    "sigmoid": (aten.sigmoid_backward, lambda x: (torch.sigmoid(x),)),
    "tanh": (aten.tanh_backward, lambda x: (torch.tanh(x),)),
    "gelu": (aten.gelu_backward, lambda x: (x,)),
    "gelu_tanh": (aten.gelu_backward, lambda x: (x,)),
    "silu": (aten.silu_backward, lambda x: (x,)),
    "softplus": (aten.softplus_backward, lambda x: (x, 1, 20)),
    "log_sigmoid": (aten.log_sigmoid_backward, lambda x: (x, torch.exp(-x.abs()))),
    "mish": (aten.mish_backward, lambda x: (x,)),
    "celu": (aten.elu_backward, lambda x: (1, 1, 1, False, x)),
    "relu6": (aten.hardtanh_backward, lambda x: (x, 0, 6)),
    "threshold": (aten.threshold_backward, lambda x: (x, 0)),
    "hardtanh": (aten.hardtanh_backward, lambda x: (x, -1, 1)),
    "hard_sigmoid": (aten.hardsigmoid_backward, lambda x: (x,)),
    "hard_swish": (aten.hardswish_backward, lambda x: (x,)),
    "hardshrink": (aten.hardshrink_backward, lambda x: (x, 0.5)),
    "softshrink": (aten.softshrink_backward, lambda x: (x, 0.5)),
    "logit": (aten.logit_backward, lambda x: (x,)),
    "exp": (aten.mul, lambda x: (torch.exp(x),)),
}
OVERLOADS = {"hard_swish": ("default", "out"), "mish": ("default", None), "exp": ("Tensor", "out")}
KEYWORDS = {"gelu_tanh": {"approximate": "tanh"}}
FROM_Y = {"sigmoid", "tanh", "exp", "log_sigmoid"}  # or from another value that the forward saved
NAMESPACE = {name: getattr(torch, name) for name in (*ELEMENTARY - {"max", "min"}, "where")}


def calls(cell, arrays, out):
    tensors = [torch.from_numpy(array) for array in arrays]
    outs = [torch.from_numpy(array) for array in (out if isinstance(out, tuple) else (out,))]
    if cell.form == "forward":
        return _forward(cell.op, *tensors, *outs)
    if cell.form == "backward":
        return _backward(cell.op, *tensors, *outs)
    ones = torch.ones_like(tensors[0])
    slopes = _backward(cell.op, ones, *tensors, *outs[-1:])
    if cell.form == "derivative":
        return slopes
    values = _forward(cell.op, *tensors, *outs[:1])
    return {
        key: partial(_both, values[key.replace(" from y", "")], slope)
        for key, slope in slopes.items()
        if key.replace(" from y", "") in values
    }


def _both(value, slope):
    return value(), slope()


def _forward(name, x, out=None):
    made = {"": partial(FORWARD.get(name) or formulas.function(name, NAMESPACE), x)}
    if name in INTO and out is not None:
        made[" out="] = partial(INTO[name], x, out=out)
    return made


def _backward(name, grad, x, out=None):
    if name == "identity":
        return _forward(name, grad, out)
    if name not in BACKWARD:
        return {"": partial(formulas.function(f"{name}_backward", NAMESPACE), grad, x)}
    function, rest = BACKWARD[name]
    fresh, into = OVERLOADS.get(name, ("default", "grad_input"))
    given, keywords = (grad, *rest(x)), KEYWORDS.get(name, {})
    saved = " from y" if name in FROM_Y else ""
    made = {saved: partial(getattr(function, fresh), *given, **keywords)}
    if into and out is not None:
        made[f"{saved} out="] = partial(getattr(function, into), *given, **keywords, **{into: out})
    return made
