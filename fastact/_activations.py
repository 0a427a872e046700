"""Every activation as functions: what the compiled table (csrc/activations.def) lists, made callable and documented."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from fastact import _ufuncs
from fastact._parametric import Parameter, ParametricUfunc


class Form(IntEnum):
    """The four functions of an activation, numbered as in csrc/kernels.h."""

    forward = 0
    derivative = 1
    backward = 2
    with_derivative = 3

    @property
    def suffix(self) -> str:
        return "" if self is Form.forward else f"_{self.name}"

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("grad", "x") if self is Form.backward else ("x",)


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
        ``{"float32": (f, f'), "float64": (f, f')}``: the largest error in units in the last place, on every ISA.
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


def _docstring(row: dict[str, Any], form: Form, name: str, arguments: tuple[str, ...]) -> str:
    """A numpydoc docstring; the ULP bounds are the table's."""
    f32, d32, f64, d64 = row["ulp"]
    y = "y" if row["from_output"] else "x"
    bounds = {
        Form.forward: f"f within {f32:g} ULP in float32 and {f64:g} in float64",
        Form.derivative: f"f' within {d32:g} ULP in float32 and {d64:g} in float64",
        Form.backward: f"f' within {d32:g} ULP in float32 and {d64:g} in float64, and one rounding for the product",
        Form.with_derivative: f"f within {f32:g} and f' within {d32:g} ULP in float32, {f64:g} and {d64:g} in float64",
    }
    returns = {
        Form.forward: ("out", f"f({y}), of the broadcast shape of the inputs."),
        Form.derivative: ("out", "f'(x), of the broadcast shape of the inputs."),
        Form.backward: ("out", "grad * f'(x), of the broadcast shape of the inputs, computed in one pass."),
        Form.with_derivative: ("f, derivative", "f(x) and f'(x), which share their exponential."),
    }
    lines = [row["summary"] if form is Form.forward else f"{row['summary']} ({form.name.replace('_', ' ')})", ""]
    lines += ["Parameters", "----------"]
    for argument in arguments:
        meaning = {"grad": "Gradient with respect to f(x).", "x": "Input.", "y": "Output y = f(x)."}[argument]
        lines += [f"{argument} : array_like of float32 or float64", f"    {meaning}"]
    for parameter, default in row["parameters"]:
        lines += [f"{parameter} : array_like, default {default:g}", f"    Broadcast against {y}."]
    lines += ["out, where, casting, order, dtype, subok", "    As for every `numpy.ufunc`.", ""]
    result, meaning = returns[form]
    lines += ["Returns", "-------", f"{result} : ndarray or scalar", f"    {meaning}", ""]
    lines += ["Raises", "------", "TypeError", "    For complex and object input.", ""]
    lines += ["Notes", "-----", f"f({y}) = {row['formula']}"]
    if form is not Form.forward:
        lines += ["", f"f'(x) = {row['derivative']}"]
    if row["kinks"] != "none":
        lines += ["", f"At the kink {row['kinks']}."]
    lines += ["", f"Accuracy: {bounds[form]}, on every ISA.", "", f"Source: {row['source']}.", ""]
    call = ", ".join({"grad": "np.float32(2)", "x": "x", "y": "x"}[argument] for argument in arguments)
    lines += ["Examples", "--------", ">>> import numpy as np, fastact"]
    lines += [">>> x = np.array([0.25, 0.5, 0.75], dtype=np.float32)"]
    if form is Form.with_derivative:
        lines += [f">>> f, derivative = fastact.{name}({call})", ">>> f.shape, derivative.dtype"]
        lines += ["((3,), dtype('float32'))"]
    else:
        lines += [f">>> fastact.{name}({call}).shape", "(3,)"]
    return "\n".join(lines) + "\n"


def _function(row: dict[str, Any], form: Form) -> Callable[..., Any]:
    name = row["name"] + form.suffix
    arguments = ("y",) if row["from_output"] else form.arguments
    doc = _docstring(row, form, name, arguments)
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
