"""The table's formulas, made callable over numbers of any precision.

A formula is a Python expression in its arguments, elementary functions and rows of the table. Rows
are replaced by their own formulas, so that what is left is elementary, and numbers stay the text
that they are in the table, so that each reader rounds them as it needs.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Mapping
from typing import Any

from fastact._activations import ops
from fastact._forms import FORMS, Form, arguments

ELEMENTARY = frozenset(
    ["abs", "erf", "erfc", "exp", "expm1", "log", "log1p", "max", "min", "sqrt", "tanh"]
)
Signature = tuple[str, tuple[str, ...], tuple[float, ...]]  # formula, its arguments, the defaults


def _signatures() -> dict[str, Signature]:
    found: dict[str, Signature] = {}
    for op in (op for kind in FORMS for op in ops(kind)):
        names = arguments(op.kind, Form.forward) + tuple(p.name for p in op.parameters)
        defaults = tuple(p.default for p in op.parameters)
        found[op.name] = op.formula, names, defaults
        if op.derivative:
            found[f"{op.name}_derivative"] = op.derivative, names, defaults
    return found


_SIGNATURES = _signatures()


def signatures() -> Mapping[str, Signature]:
    """What formulas may call beside elementary functions: rows, and derivatives of activations."""
    return _SIGNATURES


def expand(text: str, table: Mapping[str, Signature]) -> ast.expr:
    """The expression with the rows of `table` that it calls written out."""
    text = text.strip()
    tree: ast.expr = _Inline(text, table).visit(ast.parse(text, mode="eval").body)
    return tree


def scalar(
    tree: ast.expr, arguments: tuple[str, ...], namespace: Mapping[str, Any]
) -> Callable[..., Any]:
    """``function(x, at, *parameters)`` over the numbers of a namespace.

    The namespace has the elementary functions but abs, max and min, and pi and ``number(text)``.
    Every choice is made at `at`: x itself for a value; for a derivative the point where it is
    taken, so that what is differentiated is the smooth function that f is around that point.
    """
    first, *rest = arguments
    body = ast.unparse(_Branch(first).visit(copy.deepcopy(tree)))
    function: Callable[..., Any] = eval(
        f"lambda {', '.join([first, 'at', *rest])}: {body}", dict(namespace)
    )
    return function


def fill(template: str, **parts: ast.expr) -> ast.expr:
    """The template's expression with its placeholders filled in."""
    made: ast.expr = _Substitute(parts).visit(ast.parse(template, mode="eval").body)
    return made


def called(node: ast.Call) -> str:
    """The name of the function that is called."""
    assert isinstance(node.func, ast.Name)
    return node.func.id


class _Substitute(ast.NodeTransformer):
    """Names replaced by expressions."""

    def __init__(self, by: Mapping[str, ast.expr]) -> None:
        self.by = by

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy.deepcopy(self.by[node.id]) if node.id in self.by else node


class _Inline(ast.NodeTransformer):
    """Calls of rows replaced by their formulas, numbers by the text they stand as."""

    def __init__(self, text: str, table: Mapping[str, Signature]) -> None:
        self.text, self.table = text, table

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Constant(ast.get_source_segment(self.text, node))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name, given = called(node), [self.visit(argument) for argument in node.args]
        if name in ELEMENTARY or name not in self.table:
            return ast.Call(node.func, given, [])
        text, names, defaults = self.table[name]
        left_out = len(names) - len(given)
        given += [ast.Constant(repr(value)) for value in defaults[len(defaults) - left_out :]]
        by = dict(zip(names, given, strict=True))
        made: ast.expr = _Substitute(by).visit(expand(text, self.table))
        return made


class _Branch(ast.NodeTransformer):
    """Choices made at `at` instead of the first argument; texts made numbers."""

    def __init__(self, first: str) -> None:
        self.at = _Substitute({first: ast.Name("at")})

    def there(self, node: ast.expr) -> ast.expr:
        made: ast.expr = self.visit(self.at.visit(copy.deepcopy(node)))
        return made

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return fill("number(text)", text=node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        return ast.IfExp(self.there(node.test), self.visit(node.body), self.visit(node.orelse))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        choice = {
            "abs": "-a if a_there < 0 else a",
            "max": "a if a_there > b_there else b",
            "min": "a if a_there < b_there else b",
        }.get(called(node))
        there = [self.there(argument) for argument in node.args]  # first: visiting changes nodes
        here = [self.visit(argument) for argument in node.args]
        if choice is None:
            return ast.Call(node.func, here, [])
        parts = dict(zip(["a", "b"], here, strict=False))
        return fill(choice, **parts, **dict(zip(["a_there", "b_there"], there, strict=False)))
