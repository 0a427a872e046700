"""The table's functions written out in Python, as somebody would who keeps what is used twice.

Over NumPy arrays for `idioms`, over floats for a loop in plain Python.
"""

import ast
import math
from collections import Counter
from collections.abc import Mapping
from functools import wraps
from typing import Any

import numpy as np

from fastact._activations import ops
from fastact._forms import FORMS, Form, arguments
from fastact._formula import ELEMENTARY, called, expand, fill, signatures

NUMPY = {name: f"np.{name}" for name in ELEMENTARY - {"erf", "erfc"}}
NUMPY |= {"max": "np.maximum", "min": "np.minimum"}
WORTH_A_NAME = (ast.BinOp, ast.Call, ast.Compare, ast.IfExp, ast.UnaryOp)


_ROWS = [op for kind in FORMS for op in ops(kind)]
_FUNCTIONS = {op.name + form.suffix: (op, form) for op in _ROWS for form in FORMS[op.kind]}


def functions():
    """Every function of the table by its name: its row and its form."""
    return _FUNCTIONS


def function(
    name: str, formulas: Mapping[str, str], namespace: Mapping[str, Any], *, arrays: bool
) -> Any:
    """A function of the table as somebody would write it.

    Parameters
    ----------
    name : str
    formulas : mapping
        Formulas in place of the table's, by the name of the row; they may call what they like.
    namespace : mapping
        What the function finds: what its formula calls, and `np` if it takes arrays.
    arrays : bool
        Whether it takes NumPy arrays, or floats.
    """
    made: dict[str, Any] = {}
    exec(source(name, formulas, arrays=arrays), dict(namespace), made)
    is_sum = arrays and functions()[name][0].kind == "parameter_gradient"
    return _summed(made[name]) if is_sum else made[name]


def source(name, formulas, *, arrays):
    """The source of that function."""
    op, form = functions()[name]
    table = {row: (formulas.get(row, text), *rest) for row, (text, *rest) in signatures().items()}
    written = folded(expression(op, form, table[op.name][0]), table)
    if arrays:
        written = vectorized(written, arguments(op.kind, form)[-1])
    return definition(name, written)


def folded(text, table):
    """The expression in elementary functions, its constants Python numbers."""
    return _Fold().visit(expand(text, table))


def definition(name, tree):
    """The source of a function of the table that returns an expression."""
    op, form = functions()[name]
    share = _Share(tree)
    result = ast.unparse(share.visit(tree))
    parameters = [f"{p.name}={p.default!r}" for p in op.parameters]
    head = f"def {name}({', '.join([*arguments(op.kind, form), *parameters])}):"
    return "\n    ".join([head, *share.lines, f"return {result}\n"])


def _summed(product):
    """The gradient of a parameter from that of each element."""

    @wraps(product)
    def gradient(grad, x, parameter=product.__defaults__[0]):
        each, shape = product(grad, x, parameter), np.shape(parameter)
        aligned = (1,) * (each.ndim - len(shape)) + shape
        axes = tuple(axis for axis, n in enumerate(aligned) if n == 1)
        return np.sum(each, axis=axes).reshape(shape)

    return gradient


def expression(op, form, formula):
    """What a function gives as an expression, or two, when its row's formula is `formula`.

    The gradient of a parameter is that of each element, not yet summed.
    """
    if op.kind == "gate" and form is Form.backward:
        act = called(ast.parse(formula, mode="eval").body.right)
        return f"grad * {act}(gate), grad * x * {act}_derivative(gate)"
    slope = formula if op.kind in ("parameter_gradient", "from_output") else op.derivative
    return {
        Form.forward: formula,
        Form.derivative: slope,
        Form.backward: f"grad * ({slope})",
        Form.with_derivative: f"{formula}, {slope}",
    }[form]


def vectorized(tree, like):
    """The expression over arrays; the result is a new one, of the dtype of the argument `like`."""
    if isinstance(tree, ast.Tuple):
        return ast.Tuple([vectorized(element, like) for element in tree.elts])
    if isinstance(tree, ast.Name):
        return fill("np.copy(array)", array=tree)
    if isinstance(tree, ast.Constant):
        return fill("np.full_like(LIKE, value)", LIKE=ast.Name(like), value=tree)
    return Vectorize(like).visit(tree)


def _names(node):
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


class _Fold(ast.NodeTransformer):
    """Constant expressions made Python numbers, small integer powers products."""

    def visit(self, node):
        node = super().visit(node)
        if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Call)) and _names(node) <= ELEMENTARY:
            return ast.Constant(eval(ast.unparse(node), vars(math).copy()))
        return node

    def visit_Name(self, node):
        return ast.Constant(math.pi) if node.id == "pi" else node

    def visit_Constant(self, node):
        return ast.Constant(ast.literal_eval(node.value))

    def visit_BinOp(self, node):
        self.generic_visit(node)
        left, right = (getattr(side, "value", None) for side in (node.left, node.right))
        if isinstance(node.op, ast.Mult) and left == 1:
            return node.right
        if isinstance(node.op, (ast.Mult, ast.Div)) and right == 1:
            return node.left
        if isinstance(node.op, ast.Pow) and right in (3, 4):  # NumPy squares by itself
            return fill(" * ".join(["base"] * right), base=node.left)
        return node


class Vectorize(ast.NodeTransformer):
    """Choices made element by element, by functions of NumPy's."""

    def __init__(self, like):
        self.like = like

    def visit_Compare(self, node):
        self.generic_visit(node)
        terms = [node.left, *node.comparators]
        pairs = zip(terms, node.ops, terms[1:], strict=False)
        return _joined(ast.BitAnd(), [ast.Compare(a, [op], [b]) for a, op, b in pairs])

    def visit_BoolOp(self, node):
        self.generic_visit(node)
        return _joined(ast.BitAnd() if isinstance(node.op, ast.And) else ast.BitOr(), node.values)

    def visit_IfExp(self, node):
        self.generic_visit(node)
        template = "np.where(test, body, orelse)"
        if self.like not in _names(node.body) | _names(node.orelse):
            template = "np.where(test, LIKE.dtype.type(body), orelse)"  # two floats give float64
        if [getattr(branch, "value", None) for branch in (node.body, node.orelse)] == [1, 0]:
            template = "test.astype(LIKE.dtype)"
        parts = {"test": node.test, "body": node.body, "orelse": node.orelse}
        return fill(template, LIKE=ast.Name(self.like), **parts)

    def visit_Call(self, node):
        self.generic_visit(node)
        name = called(node)
        if name == "min" and ast.unparse(node.args[0]).startswith("np.maximum("):
            return ast.Call(ast.Name("np.clip"), [*node.args[0].args, *node.args[1:]], [])
        return ast.Call(ast.Name(NUMPY.get(name, name)), node.args, [])


def _joined(operator, values):
    """``a & b & c``"""
    first, *rest = values
    for value in rest:
        first = ast.BinOp(first, operator, value)
    return first


class _Share(ast.NodeTransformer):
    """What occurs twice given a name in a line of its own; what one branch needs is left to it."""

    def __init__(self, tree: ast.expr) -> None:
        self.lines: list[str] = []
        self.named: dict[str, ast.expr] = {}
        self.counts: Counter[str] = Counter()
        self.count(tree)

    def count(self, node):
        key = ast.dump(node)
        self.counts[key] += 1
        if self.counts[key] == 1 and not isinstance(node, ast.IfExp):
            for child in ast.iter_child_nodes(node):
                self.count(child)

    def visit(self, node):
        key = ast.dump(node)
        if key in self.named:
            return self.named[key]
        made = node if isinstance(node, ast.IfExp) else self.generic_visit(node)
        if self.counts[key] < 2 or not isinstance(node, WORTH_A_NAME):
            return made
        name = f"t{len(self.lines)}"
        self.lines.append(f"{name} = {ast.unparse(made)}")
        self.named[key] = ast.Name(name)
        return self.named[key]
