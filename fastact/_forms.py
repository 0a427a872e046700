"""The functions that a row of the table has: their names, arguments and docstrings."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class Form(IntEnum):
    """What a function gives, numbered as in csrc/kernels.h."""

    forward = 0
    derivative = 1
    backward = 2
    with_derivative = 3

    @property
    def suffix(self) -> str:
        return "" if self is Form.forward else f"_{self.name}"


FORMS = {
    "activation": tuple(Form),
    "gate": (Form.forward, Form.backward),
    "from_output": (Form.forward, Form.backward),
    "parameter_gradient": (Form.backward,),
}

MEANING = {
    "grad": "Gradient with respect to f(x).",
    "x": "Input.",
    "y": "Output y = f(x).",
    "gate": "What the gate is computed from; broadcasts against x.",
}


def arguments(kind: str, form: Form) -> tuple[str, ...]:
    """What a function takes before its parameters."""
    own = {"gate": ("x", "gate"), "from_output": ("y",)}.get(kind, ("x",))
    return ("grad", *own) if form is Form.backward else own


def number(value: float) -> str:
    """In as few digits as give it back; 1/6 as that."""
    text = f"{value:g}"
    return text if float(text) == value else f"1/{1 / value:g}"


def docstring(row: dict[str, Any], form: Form, name: str) -> str:
    """A numpydoc docstring; the ULP bounds are the table's."""
    kind, takes = row["kind"], arguments(row["kind"], form)
    title = f" ({form.name.replace('_', ' ')})" if kind != "parameter_gradient" and form else ""
    lines = [row["summary"] + title, "", "Parameters", "----------"]
    for argument in takes:
        lines += [f"{argument} : array_like of float", f"    {MEANING[argument]}"]
    for parameter, default, meaning in row["parameters"]:
        lines += [f"{parameter} : array_like, default {number(default)}"]
        lines += [f"    {meaning[0].upper()}{meaning[1:]}; broadcasts against {takes[-1]}."]
    if kind != "parameter_gradient":
        lines += ["out, where, casting, order, dtype, subok", "    As for every `numpy.ufunc`."]
    result, meaning = _returns(row, form)
    lines += ["", "Returns", "-------", f"{result} : ndarray or scalar", f"    {meaning}", ""]
    lines += ["Raises", "------", "TypeError", "    For complex and object input.", ""]
    lines += ["Notes", "-----", *_formulas(row, form), ""]
    if row["domain"] != (0, 0):
        low, high = row["domain"]
        lines += [f"NaN outside of [{low:g}, {high:g}], the limit at its ends.", ""]
    if row["kinks"] not in ("", "none"):
        lines += [f"At the kink {row['kinks']}.", ""]
    if row["note"]:
        lines += [row["note"], ""]
    half = "; 0.51 ULP in float16 and bfloat16" if kind in ("activation", "from_output") else ""
    lines += [f"Accuracy: {_bounds(row, form)}{half}, on every ISA.", ""]
    lines += [f"Source: {row['source']}.", ""]
    return "\n".join([*lines, *_example(kind, form, name, takes)]) + "\n"


def _returns(row: dict[str, Any], form: Form) -> tuple[str, str]:
    if row["kind"] == "parameter_gradient":
        parameter = row["parameters"][0][0]
        return "out", (
            f"Sum of grad * df/d{parameter} over the axes along which {parameter} was "
            f"broadcast, of the shape of {parameter}."
        )
    if row["kind"] == "gate" and form is Form.backward:
        return "dx, dgate", "Gradients with respect to x and to gate, computed in one pass."
    return {
        Form.forward: ("out", "f, of the broadcast shape of the inputs."),
        Form.derivative: ("out", "f'(x), of the broadcast shape of the inputs."),
        Form.backward: (
            "out",
            "grad * f'(x), of the broadcast shape of the inputs, computed in one pass.",
        ),
        Form.with_derivative: ("f, derivative", "f(x) and f'(x), computed in one pass."),
    }[form]


def _formulas(row: dict[str, Any], form: Form) -> list[str]:
    if row["kind"] == "parameter_gradient":
        return [f"df/d{row['parameters'][0][0]} = {row['formula']}"]
    lines = [f"f({', '.join(arguments(row['kind'], Form.forward))}) = {row['formula']}"]
    if form is not Form.forward and row["derivative"]:
        lines += ["", f"f'(x) = {row['derivative']}"]
    return lines


def _bounds(row: dict[str, Any], form: Form) -> str:
    f32, d32, f64, d64 = row["ulp"]
    value, slope = (
        f"within {single:g} ULP in float32 and {double:g} in float64"
        for single, double in ((f32, f64), (d32, d64))
    )
    if row["kind"] == "gate":
        return "the activation's own bound, and one rounding for each further factor"
    if row["kind"] == "parameter_gradient":
        return f"df/dparameter {value}, one rounding for the product, summed in float64"
    if row["kind"] == "from_output":
        slope = value
    return {
        Form.forward: f"f {value}",
        Form.derivative: f"f' {slope}",
        Form.backward: f"f' {slope}, and one rounding for the product",
        Form.with_derivative: f"f {value}, f' {slope}",
    }[form]


def _example(kind: str, form: Form, name: str, takes: tuple[str, ...]) -> list[str]:
    call = ", ".join("np.float32(2)" if argument == "grad" else "x" for argument in takes)
    lines = ["Examples", "--------", ">>> import numpy as np, fastact"]
    lines += [">>> x = np.array([0.25, 0.5, 0.75], dtype=np.float32)"]
    if form is Form.with_derivative or (kind == "gate" and form is Form.backward):
        first, second = ("dx", "dgate") if kind == "gate" else ("f", "derivative")
        lines += [f">>> {first}, {second} = fastact.{name}({call})"]
        return [*lines, f">>> {first}.shape, {second}.dtype", "((3,), dtype('float32'))"]
    shape = "()" if kind == "parameter_gradient" else "(3,)"
    return [*lines, f">>> fastact.{name}({call}).shape", shape]
