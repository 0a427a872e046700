"""The table's formulas, made callable: for NumPy arrays, and for numbers of any precision.

A formula is a Python expression in its arguments, elementary functions and rows of the table; rows
are replaced by their own formulas, so that what is left is elementary.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Mapping
from typing import Any

ELEMENTARY = frozenset("abs erf erfc exp expm1 log log1p max min sqrt tanh".split())
Signature = tuple[str, tuple[str, ...], tuple[float, ...]]  # formula, its arguments, the defaults


class _Substitute(ast.NodeTransformer):
    """Names replaced by expressions."""

    def __init__(self, by: Mapping[str, ast.expr]) -> None:
        self.by = by

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy.deepcopy(self.by[node.id]) if node.id in self.by else node


class _Inline(ast.NodeTransformer):
    """Calls of the table's rows replaced by their formulas, numbers by the text they stand as."""

    def __init__(self, text: str, table: Mapping[str, Signature]) -> None:
        self.text, self.table = text, table

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        digits = ast.get_source_segment(self.text, node) or repr(node.value)
        return ast.Call(ast.Name("number", ast.Load()), [ast.Constant(digits)], [])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = node.func.id if isinstance(node.func, ast.Name) else "?"
        given = [self.visit(argument) for argument in node.args]
        if name in ELEMENTARY:
            return ast.Call(node.func, given, [])
        text, names, defaults = self.table[name]
        missing = len(names) - len(given)
        if missing:
            given += [_number(repr(value)) for value in defaults[-missing:]]
        tree = expand(text, self.table)
        result: ast.expr = _Substitute(dict(zip(names, given, strict=True))).visit(tree)
        return result


def _number(digits: str) -> ast.expr:
    return ast.Call(ast.Name("number", ast.Load()), [ast.Constant(digits)], [])


def expand(text: str, table: Mapping[str, Signature]) -> ast.expr:
    """The expression with the rows of the table that it calls written out."""
    text = text.strip()
    tree: ast.expr = _Inline(text, table).visit(ast.parse(text, mode="eval").body)
    return tree


class _Branch(ast.NodeTransformer):
    """Every choice made at `at` instead of x: the smooth function that f is around `at`."""

    def _there(self, node: ast.expr) -> ast.expr:
        there: ast.expr = _Substitute({"x": ast.Name("at", ast.Load())}).visit(copy.deepcopy(node))
        return there

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        test = self._there(node.test)
        return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = node.func.id if isinstance(node.func, ast.Name) else "?"
        there = [self._there(argument) for argument in node.args]
        here = [self.visit(argument) for argument in node.args]
        if name == "abs":
            zero = _number("0")
            return ast.IfExp(
                ast.Compare(there[0], [ast.Lt()], [zero]),
                ast.UnaryOp(ast.USub(), here[0]),
                here[0],
            )
        if name in ("max", "min"):
            order = ast.Gt() if name == "max" else ast.Lt()
            return ast.IfExp(ast.Compare(there[0], [order], [there[1]]), *here)
        return ast.Call(node.func, here, [])


def scalar(
    tree: ast.expr, arguments: tuple[str, ...], namespace: Mapping[str, Any]
) -> Callable[..., Any]:
    """``function(x, at, *parameters)`` over the numbers that the namespace's functions take.

    `at` is where branches are chosen: x itself for a value, the point for a derivative there.
    """
    body = _Branch().visit(copy.deepcopy(tree))
    first, *rest = arguments
    source = f"lambda {', '.join([first, 'at', *rest])}: {ast.unparse(ast.fix_missing_locations(body))}"
    function: Callable[..., Any] = eval(source, dict(namespace))
    return function


NUMPY_NAMES = {"abs": "np.abs", "max": "np.maximum", "min": "np.minimum"}


class _Statements(ast.NodeVisitor):
    """An expression as NumPy statements; what occurs twice is computed once."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.known: dict[str, str] = {}

    def _keep(self, source: str) -> str:
        if source not in self.known:
            self.known[source] = f"t{len(self.known)}"
            self.lines.append(f"{self.known[source]} = {source}")
        return self.known[source]

    def visit_Name(self, node: ast.Name) -> str:
        return node.id

    def visit_Call(self, node: ast.Call) -> str:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        if name == "number":
            assert isinstance(node.args[0], ast.Constant)
            return str(node.args[0].value)
        given = ", ".join(self.visit(argument) for argument in node.args)
        return self._keep(f"{NUMPY_NAMES.get(name, name)}({given})")

    def visit_BinOp(self, node: ast.BinOp) -> str:
        left, right = self.visit(node.left), self.visit(node.right)
        source = f"{left} {_SYMBOLS[type(node.op)]} {right}"
        constants = left[-1:].isdigit() and right[-1:].isdigit() and "t" not in left + right
        return f"({source})" if constants else self._keep(source)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> str:
        return f"(-{self.visit(node.operand)})"

    def visit_Compare(self, node: ast.Compare) -> str:
        left, right = self.visit(node.left), self.visit(node.comparators[0])
        return f"({left} {_SYMBOLS[type(node.ops[0])]} {right})"

    def visit_BoolOp(self, node: ast.BoolOp) -> str:
        symbol = " & " if isinstance(node.op, ast.And) else " | "
        return f"({symbol.join(self.visit(value) for value in node.values)})"

    def visit_IfExp(self, node: ast.IfExp) -> str:
        parts = (node.test, node.body, node.orelse)
        return self._keep(f"np.where({', '.join(self.visit(part) for part in parts)})")


_SYMBOLS: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def numpy_source(name: str, tree: ast.expr, signature: str, first: str = "x") -> str:
    """The source of a NumPy function, as somebody would write it who keeps what is used twice."""
    statements = _Statements()
    result = statements.visit(tree)
    lines = [*statements.lines, f"return np.asarray({result}, {first}.dtype)"]
    return f"def {name}({signature}):\n    " + "\n    ".join(lines) + "\n"
