"""Trees of arrays in tests of what is done to gradients, and their exact norms."""

from fractions import Fraction

import numpy as np
from mpmath import mp

ORDS = (1, 2, np.inf, 3, 0.5)


def exact_norm(arrays, ord):
    values = [Fraction(float(v)) for a in arrays for v in np.ravel(a)]
    with mp.workprec(200):
        magnitudes = [abs(mp.mpf(v.numerator) / v.denominator) for v in values]
        if ord == np.inf:
            return max(magnitudes, default=mp.mpf(0))
        return mp.fsum(m ** mp.mpf(ord) for m in magnitudes) ** (1 / mp.mpf(ord))


def close(got, wanted, rel=4e-15):
    """Relative error in float64; infinity is right for what float64 cannot hold."""
    if wanted > np.finfo(np.float64).max:
        return got == np.inf
    return abs(mp.mpf(got) - wanted) <= rel * wanted + mp.mpf(2) ** -1074


def leaves(tree):
    if isinstance(tree, dict):
        return [leaf for child in tree.values() for leaf in leaves(child)]
    if isinstance(tree, list | tuple):
        return [leaf for child in tree for leaf in leaves(child)]
    return [tree]


def copied(tree):
    if isinstance(tree, dict):
        return {key: copied(child) for key, child in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map(copied, tree))
    return np.array(tree)
