"""An activation as an argument: what a fused pass is told to apply."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from fastact import _ufuncs
from fastact._activations import ALIASES, FUNCTIONS

Activation = str | Callable[..., Any]

Chosen = tuple[int, tuple[float, ...]]  # a row of the table, -1 for none, and its parameters

_ROWS = {row["name"]: row for row in _ufuncs.rows() if row["kind"] == "activation"}
_BY_NAME: dict[str | None, Chosen] = {None: (-1, ())}
_BY_NAME |= {
    name: (row["row"], tuple(default for _, default, _ in row["parameters"]))
    for name, row in _ROWS.items()
}
_BY_NAME |= {alias: _BY_NAME[name] for alias, name in ALIASES.items()}


def chosen(activation: Activation | None) -> Chosen:
    """What the kernels are told of an activation.

    Raises
    ------
    TypeError
        If it is neither a name, nor one of our functions, nor a `functools.partial` of one that
        sets parameters to numbers by name, nor None.
    ValueError
        If the table has no such name.
    """
    if activation is None or isinstance(activation, str):
        if activation not in _BY_NAME:
            raise ValueError(f"activation must be one of {', '.join(_ROWS)}; not {activation!r}")
        return _BY_NAME[activation]
    function: Any = activation
    settings: dict[str, Any] = {}
    if isinstance(function, partial) and not function.args:
        function, settings = function.func, function.keywords
    name = getattr(function, "__name__", "")
    if name not in _ROWS or function is not FUNCTIONS[name]:
        raise TypeError(
            f"activation must be the name of one of fastact.ops(), its function such as "
            f"fastact.relu, a functools.partial of that with parameters by name, or None; "
            f"not {activation!r}"
        )
    row, defaults = _BY_NAME[name]
    return row, _parameters(name, defaults, settings) if settings else defaults


def _parameters(
    name: str, defaults: tuple[float, ...], settings: dict[str, Any]
) -> tuple[float, ...]:
    names = [parameter for parameter, _, _ in _ROWS[name]["parameters"]]
    values = dict(zip(names, defaults, strict=True))
    for parameter, value in settings.items():
        if parameter not in values:
            known = ", ".join(names) or "none"
            raise TypeError(f"activation {name} has no parameter {parameter!r}; it has: {known}")
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value[()]
        if not isinstance(value, Real):
            raise TypeError(f"{parameter} of activation {name} must be one number, not {value!r}")
        values[parameter] = float(value)
    return tuple(values.values())
