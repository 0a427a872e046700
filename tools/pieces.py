"""Derive the tables of csrc/pieces.h: float32 functions as sixteen polynomials each.

    python tools/pieces.py tanh|erf|mills

Prints the table as C, and what each piece's relative error is, in bits, before any rounding of the
kernel's. Fits and their rounding are tools/minimax.py's.

tanh    pieces of 1 + 1.66 a, four an octave, so that they are short where tanh bends
erf     pieces as long as each other, around the multiples of 1 / 3.9375
mills   exp(a**2/2)*Phi(-a); pieces of 1 + a, four an octave

A piece around m is c + t p(t), t = a - m. Its m is chosen so that c = f(m) is nearly a float32:
all that is left to round then is t p(t), small beside c. Near 0, where f(a) is close to a, a piece
is f(a) - a instead.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from minimax import BITS, Fit, c_literal, chebyshev_points, mills_ratio, round_to
from mpmath import findroot, mp, mpf

mp.prec = 200  # polynomials this short lose few bits
DTYPE = "float32"
PIECES = 16
FIRST_EXPONENT = 127  # of 1, biased: where `octaves` begin
OVERLAP = mpf(2) ** -20  # by which the rounding of a slot's number may miss a boundary
NEAR_ENOUGH = mpf(2) ** -9  # ULPs between f(m) and a float32
CANDIDATES = 600  # floats that are tried for m on either side of a piece's middle


def octaves(scale, last) -> dict[int, tuple]:
    """Slot -> ends of its piece: the exponent and two bits of the fraction of 1 + scale*a."""
    ends = [mpf(2) ** (k // 4) * (1 + mpf(k % 4) / 4) for k in range(PIECES + 1)]
    at = [min((end - 1) / scale, last) for end in ends]
    return {(4 * FIRST_EXPONENT + k) % PIECES: (at[k], at[k + 1]) for k in range(PIECES)}


def multiples(scale, last) -> dict[int, tuple]:
    """Slot -> ends of its piece: scale*a to the nearest integer."""
    at = [(mpf(k) - mpf("0.5")) / scale for k in range(PIECES + 1)]
    return {k: (max(mpf(0), at[k]), min(last, at[k + 1])) for k in range(PIECES)}


@dataclass
class Table:
    """A function of a in [0, last], how it is cut, the degree of t p(t), and up to where pieces are
    f(a) - a.
    """

    function: Callable
    cut: Callable
    scale: str
    last: str
    degree: int
    near: float


TABLES = {
    "tanh": Table(mp.tanh, octaves, "1.66", "9.02", 5, 0.5),
    "erf": Table(mp.erf, multiples, "3.9375", "3.93", 5, 0.3),
    "mills": Table(mills_ratio, octaves, "1", "14.625", 6, 0),
}


def ulp(y):
    """The unit in the last place of a number."""
    return mpf(2) ** (mp.floor(mp.log(abs(y), 2)) - BITS[DTYPE] + 1)


def middles(function: Callable, low, high) -> list:
    """Numbers of the format from which m may be chosen, the middle one first."""
    bits = BITS[DTYPE]
    middle = round_to((low + high) / 2, bits)
    value = round_to(function(middle), bits)
    if abs(mp.diff(function, middle)) * ulp(middle) > ulp(value) / 64:
        steps = sorted(range(-CANDIDATES, CANDIDATES), key=abs)
        return [middle + k * ulp(middle) for k in steps]
    found = []  # so flat that neighbours share a value: ask for a value's place instead
    for k in range(-3, 4):
        try:
            place = findroot(lambda a, k=k: function(a) - (value + k * ulp(value)), middle)
        except ValueError:
            continue
        if low <= place <= high:
            found.append(round_to(place, bits))
    return found or [middle]


def fit_piece(table: Table, low, high) -> tuple[list, float]:
    """m, c and the coefficients of p, and the relative error that they leave."""
    bits, f = BITS[DTYPE], table.function
    if low < table.near:

        def g(a):
            return f(a) - a

        m = round_to((low + high) / 2, bits) if low > 0 else mpf(0)
    else:
        g = f

        def miss(a):
            return abs(g(a) - round_to(g(a), bits)) / ulp(g(a))

        choices = middles(g, low, high)
        m = next((a for a in choices if miss(a) < NEAR_ENOUGH), min(choices, key=miss))
    c = round_to(g(m), bits)
    beyond = OVERLAP * max(1, high)
    points = chebyshev_points(max(mpf(0), low - beyond), high + beyond, 60)
    points = [a for a in points if abs(a - m) > mpf(2) ** -30]
    fit = Fit(
        [a - m for a in points],
        [(g(a) - c) / (a - m) for a in points],
        [(a - m) / f(a) for a in points],
        table.degree - 1,
    )
    coefficients, error = fit.rounded(bits)
    return [m, c, *coefficients], error


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=TABLES)
    what = parser.parse_args().what
    table = TABLES[what]
    rows, errors = {}, {}
    for slot, (low, high) in table.cut(mpf(table.scale), mpf(table.last)).items():
        rows[slot], errors[low] = fit_piece(table, low, high)
    bits = ", ".join(f"{float(mp.log(errors[low], 2)):.1f}" for low in sorted(errors))
    print(f"/* {what}: a up to {table.last}, scale {table.scale}; relative errors 2^ {bits} */")
    for column in zip(*(rows[slot] for slot in range(PIECES)), strict=True):
        print("{" + ", ".join(c_literal(x, DTYPE) for x in column) + "},")


if __name__ == "__main__":
    main()
