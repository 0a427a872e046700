"""The four functions of an activation: their names, arguments and docstrings."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


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


def docstring(row: dict[str, Any], form: Form, name: str, arguments: tuple[str, ...]) -> str:
    """A numpydoc docstring; the ULP bounds are the table's."""
    f32, d32, f64, d64 = row["ulp"]
    y = "y" if row["from_output"] else "x"
    value, slope = (
        f"within {single:g} ULP in float32 and {double:g} in float64"
        for single, double in ((f32, f64), (d32, d64))
    )
    bounds = {
        Form.forward: f"f {value}",
        Form.derivative: f"f' {slope}",
        Form.backward: f"f' {slope}, and one rounding for the product",
        Form.with_derivative: f"f {value}, f' {slope}",
    }
    returns = {
        Form.forward: ("out", f"f({y}), of the broadcast shape of the inputs."),
        Form.derivative: ("out", "f'(x), of the broadcast shape of the inputs."),
        Form.backward: (
            "out",
            "grad * f'(x), of the broadcast shape of the inputs, computed in one pass.",
        ),
        Form.with_derivative: ("f, derivative", "f(x) and f'(x), computed in one pass."),
    }
    lines = [
        row["summary"]
        if form is Form.forward
        else f"{row['summary']} ({form.name.replace('_', ' ')})",
        "",
    ]
    lines += ["Parameters", "----------"]
    for argument in arguments:
        meaning = {
            "grad": "Gradient with respect to f(x).",
            "x": "Input.",
            "y": "Output y = f(x).",
        }[argument]
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
    call = ", ".join(
        {"grad": "np.float32(2)", "x": "x", "y": "x"}[argument] for argument in arguments
    )
    lines += ["Examples", "--------", ">>> import numpy as np, fastact"]
    lines += [">>> x = np.array([0.25, 0.5, 0.75], dtype=np.float32)"]
    if form is Form.with_derivative:
        lines += [f">>> f, derivative = fastact.{name}({call})", ">>> f.shape, derivative.dtype"]
        lines += ["((3,), dtype('float32'))"]
    else:
        lines += [f">>> fastact.{name}({call}).shape", "(3,)"]
    return "\n".join(lines) + "\n"
