"""The table's formulas at their default parameters, written for those who have no such function.

Choices are calls of `where`, `maximum` and `minimum`, or stay Python's for a compiler of scalars.
"""

import ast
from collections.abc import Callable, Mapping
from typing import Any

from fastact._forms import Form
from fastact._formula import called, fill, signatures
from fastact.lab.from_table import Vectorize, definition, folded, functions


def function(name: str, namespace: Mapping[str, Any]) -> Callable[..., Any]:
    """A function of the table over arrays of a library, from what its formula calls there."""
    made: dict[str, Any] = {}
    exec(definition(name, _with_calls(_at_defaults(name))), dict(namespace), made)
    return made[name]


def scalar(name: str, namespace: Mapping[str, Any], number: Callable[[float], Any]) -> Any:
    """A function of the table over floats whose constants are of the type that `number` makes."""
    typed = _Typed(number)
    text = definition(name, typed.visit(_at_defaults(name)))
    made: dict[str, Any] = {}
    exec(text, {**namespace, **typed.constants}, made)
    return made[name]


def strings(name: str, number: Callable[[float], Any]) -> tuple[list[str], dict[str, Any]]:
    """Its expressions as texts, one a result, and the constants that occur in them by name."""
    typed = _Typed(number)
    expression = typed.visit(_with_calls(_at_defaults(name)))
    parts = expression.elts if isinstance(expression, ast.Tuple) else [expression]
    return [ast.unparse(part) for part in parts], typed.constants


def _at_defaults(name: str) -> ast.expr:
    op, form = functions()[name]
    f, slope = f"{op.name}(x)", f"{op.name}_derivative(x)"
    text = {
        Form.forward: f,
        Form.derivative: slope,
        Form.backward: f"grad * {slope}",
        Form.with_derivative: f"{f}, {slope}",
    }[form]
    return folded(text, signatures())


def _with_calls(expression: ast.expr) -> ast.expr:
    return _Calls("").visit(expression)


class _Calls(Vectorize):
    """Choices element by element, by the names that array libraries share."""

    def visit_IfExp(self, node):
        self.generic_visit(node)
        return ast.Call(ast.Name("where"), [node.test, node.body, node.orelse], [])

    def visit_Call(self, node):
        self.generic_visit(node)
        name = called(node)
        if name in ("max", "min"):
            test = fill("a > b" if name == "max" else "a < b", a=node.args[0], b=node.args[1])
            return ast.Call(ast.Name("where"), [test, *node.args], [])
        return node


class _Typed(ast.NodeTransformer):
    """Constants given names, so that they have a type of their own; squares as products."""

    def __init__(self, number):
        self.number = number
        self.constants: dict[str, Any] = {}

    def visit_Constant(self, node):
        value = self.number(node.value)
        named = [name for name, known in self.constants.items() if known == value]
        name = named[0] if named else f"c{len(self.constants)}"
        self.constants[name] = value
        return ast.Name(name)

    def visit_BinOp(self, node):
        if isinstance(node.op, ast.Pow) and getattr(node.right, "value", None) == 2:
            base = self.visit(node.left)
            return ast.BinOp(base, ast.Mult(), base)
        return self.generic_visit(node)
