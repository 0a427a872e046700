"""What the functions of the table must return, to more digits than any kernel has.

The references are the table's own formulas, evaluated by mpmath. f' is mpmath's numerical
derivative of f, never the table's text of it; test_table.py holds that text against this.
"""

from __future__ import annotations

import ast
import math
import re
from functools import cache

import gmpy2
import numpy as np
from mpmath import mp

import fastact
from fastact._activations import FORMS
from fastact._formula import called, expand, scalar, signatures

OPS = {op.name: op for kind in FORMS for op in fastact.ops(kind)}
FUNCTIONS = ("erf", "erfc", "exp", "expm1", "log", "log1p", "sqrt", "tanh")
BITS = 128  # of what is not small
MOST_BITS = 1250  # of what is as small as half a subnormal
BITS_OF_FRACTIONS = 4500  # hold the products and sums of float64 numbers without rounding
FAR = mp.mpf(2) ** 1100  # beyond every number


@cache
def _number(text, bits):
    with mp.workprec(bits):
        return mp.mpf(text)


MPMATH = {name: getattr(mp, name) for name in FUNCTIONS} | {"pi": mp.pi}
MPMATH["number"] = lambda text: _number(text, mp.prec)
# MPFR knows infinity, and what divides by zero, as IEEE 754 does.
IEEE = {name: getattr(gmpy2, name) for name in FUNCTIONS} | {"pi": gmpy2.const_pi(300)}
IEEE["number"] = gmpy2.mpfr


@cache
def formula(name, ieee=False):
    """The row `name`, or the text of the derivative `NAME_derivative`, as ``f(x, at, *rest)``."""
    text, arguments, _ = signatures()[name]
    return scalar(expand(text, signatures()), arguments, IEEE if ieee else MPMATH)


@cache
def is_fraction(name):
    """Whether the formula is arithmetic, so that enough bits make it exact or nearly so."""
    tree = expand(signatures()[name][0], signatures())
    calls = {called(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return calls.isdisjoint(FUNCTIONS)


def parameters_for(name, params):
    """Parameters as mpmath numbers; an alpha of hard_sigmoid that is 1/6 rounded stands for 1/6."""
    params = [mp.convert(p) for p in params]
    if name == "hard_sigmoid" and params[0] in (1 / 6, float(np.float32(1 / 6))):
        with mp.workprec(2 * BITS_OF_FRACTIONS):
            params[0] = mp.mpf(1) / 6
    return params


def exact(name, x, *params):
    """f(x) and f'(x) of an activation as mpmath numbers: NaN outside its domain, limits at ends."""
    x = mp.convert(x)
    low, high = OPS[name].domain
    if not low <= x <= high:
        return mp.nan, mp.nan
    if x in (low, high):
        return _at_end(name, x, params)
    params, f = parameters_for(name, params), formula(name)

    def pair():
        return f(x, x, *params), mp.diff(lambda t: f(t, x, *params), x)

    return _settled(pair, x, is_fraction(name))


def value(name, x, *rest):
    """f(x, *rest) of any row of the table as an mpmath number."""
    x, rest, f = mp.convert(x), [mp.convert(v) for v in rest], formula(name)
    return _settled(lambda: (f(x, x, *rest),), x, is_fraction(name))[0]


def kinks(name, *params):
    """Where f has no derivative, and what f' is said to be there: pairs of mpmath numbers."""
    op, params = OPS[name], parameters_for(name, params)
    arguments = ("x", *(p.name for p in op.parameters))
    with mp.workprec(BITS):
        return [
            tuple(
                scalar(expand(text, signatures()), arguments, MPMATH)(mp.nan, mp.nan, *params)
                for text in pair
            )
            for pair in re.findall(r"f'\((.+?)\) = (.+?)(?: where .+?)?(?=, f'|$)", op.kinks)
        ]


def _settled(compute, x, is_fraction):
    """Results with a hundred bits and more, or an error far below half a subnormal.

    Each is as precise as its formula's terms, which may be as large as x, or 1; so the smaller it
    is, the more bits it takes. They are enough, too, to tell x + h from x with an h far below x.
    """
    size = int(mp.mag(x)) if x else 0
    bits, most = (BITS, MOST_BITS) if not is_fraction else (BITS_OF_FRACTIONS,) * 2
    while True:
        with mp.workprec(bits + abs(size)):
            results = compute()
        smallest = min(int(mp.mag(v)) if v else -most for v in results)
        wanted = min(most, BITS + max(0, size) - min(0, smallest))
        if bits >= wanted:
            return results
        bits = wanted


def _at_end(name, x, params):
    """(f, f') at an end of the domain, or so far out that float64 sees the limit."""
    with gmpy2.context(precision=300):
        end = gmpy2.mpfr(float(x))
        at = (end, end, *map(gmpy2.mpfr, params))
        found = [float(formula(text, ieee=True)(*at)) for text in (name, f"{name}_derivative")]
    if any(map(math.isnan, found)):
        far = exact(name, mp.sign(x) * FAR, *params)
        found = [w if math.isnan(v) else v for v, w in zip(found, far, strict=True)]
    return mp.mpf(found[0]), mp.mpf(found[1])
