"""What those who have SciPy write instead, where it has a primitive for it.

The functions of the table are written when they are first asked for, as in `fastact.lab.idioms`.
"""

from inspect import unwrap

import numpy as np
from scipy import special

from fastact.lab.from_table import function, functions

FORMULAS = {"sigmoid": "expit(x)", "log_sigmoid": "log_expit(x)", "logit": "log_odds(x)"}
PRIMITIVES = {
    "expit": special.expit,
    "log_expit": special.log_expit,
    "log_odds": special.logit,
    "erf": special.erf,
    "erfc": special.erfc,
}
if hasattr(special, "softplus"):
    FORMULAS["softplus"] = "log1p_exp(beta * x) / beta"
    PRIMITIVES["log1p_exp"] = special.softplus


def __getattr__(name):
    if name in functions():
        made = function(name, FORMULAS, {"np": np, **PRIMITIVES}, arrays=True)
        if not PRIMITIVES.keys().isdisjoint(unwrap(made).__code__.co_names):
            globals()[name] = made
            return made
    raise AttributeError(f"nothing in SciPy for {name!r}")


def softmax(x, axis=-1):
    return special.softmax(x, axis=axis)
