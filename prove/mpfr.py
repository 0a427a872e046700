"""Exact values, to ninety bits, of the formulas in the table, by MPFR.

A formula is evaluated at some precision and again at a little more, until the two results agree, so
that no cancellation in it does harm. The precision starts from what the point before needed: sorted
points make that cheap.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import gmpy2
import numpy as np
from gmpy2 import mpfr, mpq, mpz
from mpmath import mp

from fastact import _formula

AGREED = 90  # bits that two evaluations must have in common; 53 are a float64
GRAIN = 32  # precisions are multiples of it, and the second evaluation has so many bits more
LEAST = 128  # bits of the first evaluation
EXACT = 4480  # bits that hold the square of any float64, plus 1: enough to be exact without exp
VANISHED = -1200  # 2 to this is nothing beside half of the smallest subnormal, 2^-1075
SHARED = ("erf", "erfc", "exp", "expm1", "log", "log1p", "sqrt", "tanh")


class Value(NamedTuple):
    """An exact value as float64 sees it."""

    nearest: float
    rest: float  # what `nearest` misses, in ULPs of it
    sign: int  # of the exact value, also where `nearest` is zero


@cache
def number(digits: str) -> Any:
    """A number in a formula, exactly."""
    return mpz(digits) if digits.isdigit() else mpq(digits)


def erfc(z: Any) -> Any:
    """Laplace's continued fraction where it converges fast; MPFR's series are slow there."""
    bits = gmpy2.get_context().precision + GRAIN
    if not bits / 60 < z < 200:
        return gmpy2.erfc(z)
    near, terms, gained = float(z), 0, 0.0
    while gained < bits:  # the k-th denominator gains so much, by the ratio of its two fixed points
        terms += 1
        gained += 2 / math.log(2) * math.asinh(near / math.sqrt(2 * terms))
    with gmpy2.context(precision=bits):
        fraction = twice = 2 * z
        for k in range(terms, 0, -1):
            fraction = twice + 2 * k / fraction
        result = 2 * gmpy2.exp(-z * z) / (gmpy2.sqrt(gmpy2.const_pi()) * fraction)
    return +result  # rounded to the precision asked for


def erf(z: Any) -> Any:
    """1 - erfc, which needs the fewer bits the smaller it is."""
    precision = gmpy2.get_context().precision
    lead = float(z) ** 2 / math.log(2) if abs(z) < 200 else math.inf  # erfc is about 2^-lead
    if not 20 < lead < precision:
        return gmpy2.erf(z)
    with gmpy2.context(precision=precision - int(lead) + GRAIN):
        complement = erfc(abs(z))
    return 1 - complement if z > 0 else complement - 1


def mpfr_names() -> dict[str, Any]:
    """What a formula calls, at the context's precision; what occurs twice is computed once."""
    functions = {name: getattr(gmpy2, name) for name in SHARED} | {"erf": erf, "erfc": erfc}
    shared = {name: lru_cache(maxsize=8)(function) for name, function in functions.items()}
    return {**shared, "number": number, "pi": gmpy2.const_pi()}


def mpmath_names() -> dict[str, Any]:
    """The same in mpmath, whose exponents have no limit."""
    functions = {name: getattr(mp, name) for name in SHARED}
    return {**functions, "number": lambda digits: as_mpmath(mpq(digits)), "pi": mp.pi}


def as_mpmath(ratio: Any) -> Any:
    return mp.mpf(int(ratio.numerator)) / int(ratio.denominator)


def from_mpmath(value: Any) -> Any:
    """An mpmath number in MPFR, infinity where it is beyond."""
    sign, mantissa, exponent, bits = value._mpf_
    if abs(exponent + bits) > 2**29:
        return mpfr("inf" if exponent > 0 else 0) * (-1) ** sign
    scale = gmpy2.mul_2exp if exponent >= 0 else gmpy2.div_2exp
    return scale(mpfr(mpz(mantissa)), abs(exponent)) * (-1) ** sign


def agreement(rough: Any, fine: Any, inexact: bool) -> float:
    """How many leading bits two evaluations have in common."""
    if not isinstance(fine, mpfr):
        return math.inf  # a number of the formula's, or a parameter
    if not (gmpy2.is_finite(fine) and fine and rough):
        # Zero is what is left where everything cancels, too.
        return math.inf if rough == fine and not (fine == 0 and inexact) else -math.inf
    difference = rough - fine
    return gmpy2.get_exp(fine) - gmpy2.get_exp(difference) if difference else math.inf


def as_float64(value: Any) -> Value:
    """The nearest float64, what it misses, and the sign."""
    value = mpfr(value)
    nearest = float(value)
    if not math.isfinite(nearest):
        return Value(nearest, 0.0, 0 if math.isnan(nearest) else int(gmpy2.sign(value)))
    shift = 53 - max(math.frexp(nearest)[1], -1021) if nearest else 1074
    scale = gmpy2.mul_2exp if shift >= 0 else gmpy2.div_2exp
    return Value(nearest, float(scale(value - nearest, abs(shift))), int(gmpy2.sign(value)))


class Reference:
    """The exact values of a few formulas in the same variable, such as f and f'.

    Parameters
    ----------
    formulas : tuple of str
        As in the table.
    names : tuple of str
        Their arguments: the variable and the parameters.
    params : tuple
        The parameters, as rationals.
    domain : tuple of float
        Outside of it values are NaN.
    """

    def __init__(
        self,
        formulas: tuple[str, ...],
        names: tuple[str, ...],
        params: tuple[Any, ...] = (),
        domain: tuple[float, float] = (-math.inf, math.inf),
    ) -> None:
        self.formulas, self.names, self.params, self.domain = formulas, names, params, domain
        self.trees = [_formula.expand(formula, _formula.signatures()) for formula in formulas]
        calls = {n.id for tree in self.trees for n in ast.walk(tree) if isinstance(n, ast.Name)}
        self.least = LEAST if calls & set(SHARED) - {"sqrt"} else EXACT
        self.bits = self.least
        self.context = gmpy2.context()
        self.compiled = cache(lambda bits: self._compiled(mpfr_names()))
        self.beyond = self._compiled(mpmath_names())
        self.tail = cache(self._tail)

    def values(self, x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of each formula: the nearest float64s, what they miss in ULPs, and the signs."""
        rows = [self(v) for v in x.tolist()]
        columns = zip(*rows, strict=True)
        return [tuple(map(np.array, zip(*column, strict=True))) for column in columns]

    def __call__(self, x: float) -> list[Value]:
        """The value of each formula at a float64, limits at infinity."""
        gmpy2.set_context(self.context)
        low, high = self.domain
        if not low <= x <= high:  # NaN neither
            return [Value(math.nan, 0.0, 0) for _ in self.trees]
        if math.isinf(x):
            return [self._limit(k, int(math.copysign(1, x))) for k in range(len(self.trees))]
        side = 1 if x > 0 else -1
        values = self._search(mpfr(x or 0.0))  # a pole at -0 is the one at 0
        return [
            Value(0.0, 0.0, self.tail(k, side)) if value is None else as_float64(value)
            for k, value in enumerate(values)
        ]

    def _limit(self, k: int, side: int) -> Value:
        """The k-th value at infinity; where the formula has none, from so far out that it shows."""
        (value, *_) = self._evaluate(self.least, mpfr("inf") * side)[k]
        if gmpy2.is_nan(value):
            value = self._search(gmpy2.mul_2exp(mpfr(side), 1100))[k] or 0
        return Value(float(value), 0.0, 0)

    def _tail(self, k: int, side: int) -> int:
        """The sign of the k-th value where it is too small to be told from zero.

        It is the sign at the farthest power of two where there is one, for a tail has one sign;
        0 where there is none.
        """
        for exponent in range(1023, -1, -1):
            value = self._search(gmpy2.mul_2exp(mpfr(side), exponent), at_most=1 << 13)[k]
            if value:
                return int(gmpy2.sign(value))
        return 0

    def _search(self, x: Any, at_most: int = 0) -> list[Any]:
        """The values at x; None for one that is too small to be told from zero."""
        # Terms of a formula grow like the fourth power of x at most, and vanish no faster.
        top = at_most or 100 - VANISHED + 4 * abs(gmpy2.get_exp(x) if x else 0)
        bits = min(self.bits, -(-top // GRAIN) * GRAIN)
        while True:
            rough, fine = self._evaluate(bits, x), self._evaluate(bits + GRAIN, x)
            common = [
                agreement(r, f, inexact and x != 0)
                for (r, _), (f, inexact) in zip(rough, fine, strict=True)
            ]
            missing = AGREED - min(common)
            if missing <= 0 or bits >= top:
                break
            bits += bits if math.isinf(missing) else missing
            bits = min(-(-bits // GRAIN), -(-top // GRAIN)) * GRAIN
        self.bits = bits if missing == math.inf else max(self.least, bits + max(missing, -bits))
        self.bits = -(-int(self.bits) // GRAIN) * GRAIN
        return [
            self._settle(k, x, value, bits)
            for k, ((value, _), bits) in enumerate(zip(fine, common, strict=True))
        ]

    def _settle(self, k: int, x: Any, value: Any, common: float) -> Any:
        if common >= AGREED or (gmpy2.is_nan(value) and x == 0):
            return value
        if gmpy2.is_finite(value) and (not value or gmpy2.get_exp(value) < VANISHED):
            return None
        raise ArithmeticError(f"{self.formulas[k]} at {x} does not settle: {value}")

    def _evaluate(self, bits: int, x: Any) -> list[tuple[Any, bool]]:
        """Every value with whether its evaluation was inexact."""
        self.context.precision = bits
        functions = self.compiled(bits)  # rounds pi, which is no business of the values
        self.context.clear_flags()  # once: what one value shares with another raises no flag again
        values = []
        for k, function in enumerate(functions):
            value = function(x, x, *self.params)
            if self.context.overflow and not gmpy2.is_finite(value):
                value = self._unlimited(k, bits, x)
            values.append((value, self.context.inexact))
        return values

    def _unlimited(self, k: int, bits: int, x: Any) -> Any:
        """The k-th value where an exponential is beyond MPFR's exponents."""
        with mp.workprec(bits):
            at = as_mpmath(mpq(x))
            value = self.beyond[k](at, at, *map(as_mpmath, self.params))
            return from_mpmath(mp.mpf(value))

    def _compiled(self, names: dict[str, Any]) -> list[Callable[..., Any]]:
        return [_formula.scalar(tree, self.names, names) for tree in self.trees]
