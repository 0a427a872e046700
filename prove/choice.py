"""What to prove: activations with their parameters, on some ISAs, at some stride."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from gmpy2 import mpq

import fastact
from prove.mpfr import Reference
from prove.parameters import PARAMETERS
from tests.oracle import kinks


class Case(NamedTuple):
    """One activation with one set of parameters."""

    op: fastact.Op
    params: tuple[float, ...]

    def __str__(self) -> str:
        return "-".join([self.op.name, *(f"{p:g}" for p in self.params)])

    def rounded(self, dtype: str) -> tuple[float, ...]:
        """The parameters that kernels of a dtype receive."""
        return tuple(float(np.dtype(dtype).type(p)) for p in self.params)

    def reference(self, dtype: str) -> Reference:
        """Exact f and f' for what kernels of a dtype receive."""
        params = [mpq(p) for p in self.rounded(dtype)]
        if self.op.name == "hard_sigmoid" and params[0] == mpq(float(np.dtype(dtype).type(1 / 6))):
            params[0] = mpq(1, 6)  # which that number stands for
        names = ("x", *(p.name for p in self.op.parameters))
        formulas = (self.op.formula, self.op.derivative)
        return Reference(formulas, names, tuple(params), self.op.domain)

    def exact(self, x: float) -> tuple[float, float]:
        """f and f' for a float32, nearly exact; where the text divides 0 by 0, f' as at a kink."""
        params = self.rounded("float32")
        f, d = (value.nearest for value in self.reference("float32")(x))
        if d != d and f == f:
            d = next((float(s) for at, s in kinks(self.op.name, *params) if at == x), d)
        return f, d

    def roots(self) -> tuple[float, ...]:
        """Where f' crosses zero: from the table, or, for other parameters, looked for."""
        if not self.op.roots or self.params == tuple(p.default for p in self.op.parameters):
            return self.op.roots
        reference = self.reference("float64")
        grid = np.concatenate(
            [-np.geomspace(1e3, 1e-3, 400), np.geomspace(1e-3, 1e3, 400)]
        ).tolist()
        signs = [reference(x)[1].sign for x in grid]
        ends = zip(grid, grid[1:], signs, signs[1:], strict=False)
        return tuple(_bisect(reference, a, b) for a, b, s, t in ends if s * t < 0)


def _bisect(reference: Reference, low: float, high: float) -> float:
    """Where f' changes its sign between two numbers."""
    side = reference(low)[1].sign
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return middle
        low, high = (middle, high) if reference(middle)[1].sign == side else (low, middle)


@dataclass(frozen=True)
class Choice:
    """Which part of everything; empty `ops` are all."""

    ops: tuple[str, ...] = ()
    isas: tuple[str, ...] = fastact.isas()
    stride: int = 1
    again: bool = False  # also what is on record for these very kernels
    points: int = 1_000_000  # how many of float64

    def rows(self, kind: str = "activation") -> list[fastact.Op]:
        """The chosen rows of the table of one kind."""
        return [op for op in fastact.ops(kind) if not self.ops or op.name in self.ops]

    def cases(self) -> list[Case]:
        """The chosen activations with their defaults; after all of them, with other parameters."""
        rows = self.rows()
        first = [Case(op, tuple(p.default for p in op.parameters)) for op in rows]
        more = [Case(op, params) for op in rows for params in PARAMETERS.get(op.name, ())]
        return [*first, *(case for case in more if case not in first)]
