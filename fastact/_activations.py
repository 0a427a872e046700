"""Every activation of the compiled table (csrc/activations.def), made callable and documented."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fastact import _ufuncs
from fastact._forms import Form, docstring
from fastact._parametric import Parameter, ParametricUfunc


@dataclass(frozen=True)
class Op:
    """One row of the table: an activation and its four functions.

    Attributes
    ----------
    name : str
    parameters : tuple of Parameter
        Names and defaults of what follows x.
    summary, formula, derivative : str
        f(x) and f'(x) as text.
    kinks : str
        What f' is where f has no derivative; "none" for a smooth f.
    roots : tuple of float
        Where f' crosses zero. Within 0.5 of a root its error is counted in ULPs of 1/16.
    source : str
        Where the function comes from.
    max_ulp : mapping
        ``{"float32": (f, f'), "float64": (f, f')}``: the largest error in units in the last place,
        on every ISA.
    functions : mapping
        The callables, by form: "forward", "derivative", "backward", "with_derivative".
    """

    name: str
    parameters: tuple[Parameter, ...]
    summary: str
    formula: str
    derivative: str
    kinks: str
    roots: tuple[float, ...]
    source: str
    max_ulp: MappingProxyType[str, tuple[float, float]]
    functions: MappingProxyType[str, Callable[..., Any]]


def _function(row: dict[str, Any], form: Form) -> Callable[..., Any]:
    name = row["name"] + form.suffix
    arguments = ("y",) if row["from_output"] else form.arguments
    doc = docstring(row, form, name, arguments)
    ufunc = _ufuncs.make_ufunc(row["row"], int(form), name, doc)
    parameters = tuple(Parameter(*p) for p in row["parameters"])
    return ParametricUfunc(ufunc, arguments, parameters, doc) if parameters else ufunc


def _op(row: dict[str, Any]) -> Op:
    f32, d32, f64, d64 = row["ulp"]
    return Op(
        name=row["name"],
        parameters=tuple(Parameter(*p) for p in row["parameters"]),
        summary=row["summary"],
        formula=row["formula"],
        derivative=row["derivative"],
        kinks=row["kinks"],
        roots=() if math.isnan(row["root"]) else (row["root"],),
        source=row["source"],
        max_ulp=MappingProxyType({"float32": (f32, d32), "float64": (f64, d64)}),
        functions=MappingProxyType({form.name: _function(row, form) for form in Form}),
    )


_ROWS = _ufuncs.rows()
_OPS = tuple(_op(row) for row in _ROWS if not row["from_output"])
FROM_OUTPUT: dict[str, Callable[..., Any]] = {
    row["name"]: _function(row, Form.forward) for row in _ROWS if row["from_output"]
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{op.name + Form[form].suffix: f for op in _OPS for form, f in op.functions.items()},
    **FROM_OUTPUT,
}


def ops() -> tuple[Op, ...]:
    """Every activation of the table, in its order.

    Returns
    -------
    tuple of Op

    Examples
    --------
    >>> import fastact
    >>> [op.name for op in fastact.ops()][:2]
    ['relu', 'leaky_relu']
    >>> fastact.ops()[1].parameters
    (Parameter(name='negative_slope', default=0.01),)
    """
    return _OPS
