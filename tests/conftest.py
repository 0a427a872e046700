"""Fixtures: every instruction set of this machine, forced and proven; every row of the table."""

import os
import sys
from pathlib import Path

# Last on the path, so that an installed fastact is the one that is tested.
sys.path.append(str(Path(__file__).parents[1]))

import numpy as np
import pytest
from cases import CASES, DEFAULT_CASES, DTYPES
from hypothesis import settings

import fastact

# Tests of any input: the same few hundred examples in every run, or with `make fuzz` as many new
# ones as it is asked for.
settings.register_profile(
    "default", deadline=None, derandomize=True, database=None, max_examples=300
)
settings.register_profile(
    "fuzz", deadline=None, max_examples=int(os.environ.get("EXAMPLES", 20_000)), print_blob=True
)
settings.load_profile("default")


def run_anything_on(name):
    """Make `name` the instruction set whose kernels ran last."""
    with fastact.isa(name):
        fastact.relu(np.ones(1, np.float32))
    assert fastact.last_isa() == name


@pytest.fixture(params=fastact.isas())
def isa(request):
    """Force one instruction set, and prove afterwards that its kernels are what ran."""
    for other in fastact.isas():
        if other != request.param:
            run_anything_on(other)
            break
    with fastact.isa(request.param):
        yield request.param
    assert fastact.last_isa() == request.param


@pytest.fixture(params=DTYPES, ids=lambda dtype: dtype.__name__)
def dtype(request):
    return request.param


@pytest.fixture(params=CASES, ids=str)
def case(request):
    """Every activation with every parameter set."""
    return request.param


@pytest.fixture(params=DEFAULT_CASES, ids=str)
def default_case(request):
    """Every activation with its default parameters."""
    return request.param


@pytest.fixture
def tree(dtype):
    """Gradients in dictionaries, lists and tuples, of several dtypes, one of them empty."""
    rng = np.random.default_rng(0)
    return {
        "layer1": {
            "w": rng.normal(0, 1, (37, 11)).astype(dtype),
            "b": rng.normal(0, 1, 11).astype(np.float32),
        },
        "layer2": [
            rng.normal(0, 2, (3, 4, 5)).astype(np.float64),
            (np.zeros((0, 3), dtype), dtype(2.5)),
        ],
    }
