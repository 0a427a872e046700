"""Every row of the compiled table (csrc/activations.def), made callable and documented."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fastact import _ufuncs
from fastact._call import ParametricUfunc
from fastact._direct import call_past_numpy
from fastact._forms import FORMS, Form, arguments, docstring
from fastact._parametric import Parameter, ParameterGradient


@dataclass(frozen=True)
class Op:
    """One row of the table: an activation and its four functions, or a gate and its two.

    Attributes
    ----------
    name : str
    kind : {"activation", "gate", "from_output", "parameter_gradient"}
    parameters : tuple of Parameter
        Names, defaults and meanings of what follows x.
    summary, formula, derivative : str
        f(x) and f'(x) as text, in Python's syntax.
    kinks : str
        What f' is where f has no derivative; "none" for a smooth f.
    domain : tuple of float
        f is NaN outside of it and takes its limits at its ends.
    roots : tuple of float
        Where f' crosses zero, at the default parameters. Within 0.5 of a root its error is counted
        in ULPs of 1/16.
    source, note : str
        Where the function comes from; what else there is to say.
    peers : mapping
        What "torch", "jax", "keras", "onnx" and "tensorflow" call it; "" where they have none.
    max_ulp : mapping
        ``{"float32": (f, f'), "float64": (f, f')}``: the largest error in units in the last place,
        on every ISA.
    functions : mapping
        The callables, by form: "forward", "derivative", "backward", "with_derivative".
    """

    name: str
    kind: str
    parameters: tuple[Parameter, ...]
    summary: str
    formula: str
    derivative: str
    kinks: str
    domain: tuple[float, float]
    roots: tuple[float, ...]
    source: str
    note: str
    peers: MappingProxyType[str, str]
    max_ulp: MappingProxyType[str, tuple[float, float]]
    functions: MappingProxyType[str, Callable[..., Any]]


def _function(row: dict[str, Any], form: Form) -> Callable[..., Any]:
    name = row["name"] + form.suffix
    doc = docstring(row, form, name)
    takes = arguments(row["kind"], form)
    ufunc = _ufuncs.make_ufunc(row["row"], int(form), name, doc)
    parameters = tuple(Parameter(*p) for p in row["parameters"])
    if not parameters:
        return call_past_numpy(ufunc)
    wrapper = ParameterGradient if row["kind"] == "parameter_gradient" else ParametricUfunc
    bound = _ufuncs.make_ufunc(row["row"], int(form), name, doc, bound=True)
    return wrapper(ufunc, bound, takes, parameters, doc)


def _op(row: dict[str, Any]) -> Op:
    f32, d32, f64, d64 = row["ulp"]
    return Op(
        name=row["name"],
        kind=row["kind"],
        parameters=tuple(Parameter(*p) for p in row["parameters"]),
        summary=row["summary"],
        formula=row["formula"],
        derivative=row["derivative"],
        kinks=row["kinks"],
        domain=(-math.inf, math.inf) if row["domain"] == (0, 0) else row["domain"],
        roots=row["roots"],
        source=row["source"],
        note=row["note"],
        peers=MappingProxyType(row["peers"]),
        max_ulp=MappingProxyType({"float32": (f32, d32), "float64": (f64, d64)}),
        functions=MappingProxyType({f.name: _function(row, f) for f in FORMS[row["kind"]]}),
    )


_OPS = tuple(_op(row) for row in _ufuncs.rows())
FUNCTIONS: dict[str, Callable[..., Any]] = {
    op.name + Form[form].suffix: f for op in _OPS for form, f in op.functions.items()
}
ALIASES = {"expit": "sigmoid"}  # SciPy's name
FUNCTIONS |= {alias: FUNCTIONS[name] for alias, name in ALIASES.items()}


def ops(kind: str = "activation") -> tuple[Op, ...]:
    """Every row of the table of one kind, in its order.

    Parameters
    ----------
    kind : {"activation", "gate", "from_output", "parameter_gradient"}

    Returns
    -------
    tuple of Op

    Raises
    ------
    ValueError
        If there is no such kind.

    Examples
    --------
    >>> import fastact
    >>> [op.name for op in fastact.ops()][:2]
    ['relu', 'leaky_relu']
    >>> fastact.ops()[1].parameters[0].name, fastact.ops()[1].parameters[0].default
    ('negative_slope', 0.01)
    >>> [op.name for op in fastact.ops("gate")]
    ['glu', 'swiglu', 'geglu', 'reglu']
    """
    if kind not in FORMS:
        raise ValueError(f"kind must be one of {', '.join(FORMS)}, got {kind!r}")
    return tuple(op for op in _OPS if op.kind == kind)
