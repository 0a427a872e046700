"""Norms of gradients: exact values, beyond the range of their powers, of trees."""

import numpy as np
import pytest
from mpmath import mp
from trees import ORDS, close, exact_norm, leaves

import fastact


@pytest.mark.parametrize("ord", ORDS)
@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 63, 64, 129, 1000])
@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-30])
def test_norm_accuracy(n, scale, ord, dtype, isa):
    x = (np.random.default_rng(n).normal(0, 1, n) * scale).astype(dtype)
    assert close(fastact.global_norm(x, ord), exact_norm([x], ord))
    if n == 0 and ord != 1:  # no kernel ran: run one for the fixture's proof
        fastact.relu(np.ones(1, dtype))


@pytest.mark.parametrize("ord", ORDS)
@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e306, 1e-320])
def test_norm_beyond_the_range_of_its_powers(scale, ord, isa):
    x = np.random.default_rng(0).normal(0, 1, 50) * scale
    assert close(fastact.global_norm(x, ord), exact_norm([x], ord), 1e-14)
    mixed = [np.ones(3, np.float32), x, np.full((2, 2), 1e-44, np.float32)]
    assert close(fastact.global_norm(mixed, ord), exact_norm(mixed, ord), 1e-14)


def test_norm_of_many_terms(dtype, isa):
    """Three million equal terms: a plain float64 sum loses digits here, a float32 one most."""
    x = np.full(3_000_001, 0.1, dtype)
    for ord in (1, 2):
        wanted = mp.mpf(float(x[0])) * mp.mpf(x.size) ** (mp.mpf(1) / ord)
        assert close(fastact.global_norm(x, ord), wanted, 1e-14)


def test_norm_of_a_tree(tree, isa):
    for ord in ORDS:
        assert close(fastact.global_norm(tree, ord), exact_norm(leaves(tree), ord))
    assert (
        fastact.global_norm([]) == fastact.global_norm({}) == fastact.global_norm({"a": []}) == 0.0
    )
    assert type(fastact.global_norm([3.0, 4.0])) is float
