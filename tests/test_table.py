"""The table of activations is complete: nothing in it lacks a reference, a function or a bound."""

import inspect
import itertools
import math

import numpy as np
import pytest
from cases import BARS, FORMS
from oracle import FROM_OUTPUT, ORACLES, exact

import fastact

SUFFIXES = dict(zip(FORMS, ("", "_derivative", "_backward", "_with_derivative"), strict=True))


@pytest.fixture(params=fastact.ops(), ids=lambda op: op.name)
def op(request):
    return request.param


def test_names_are_unique():
    names = [op.name for op in fastact.ops()]
    assert len(names) == len(set(names))
    assert names


def test_every_row_has_an_oracle_and_every_oracle_a_row():
    assert {op.name for op in fastact.ops()} == set(ORACLES)
    assert {name for name in fastact.__all__ if name.endswith("_from_output")} == set(FROM_OUTPUT)


def test_parameters_have_more_than_their_defaults_tested(op):
    defaults = tuple(p.default for p in op.parameters)
    assert all(len(params) == len(defaults) for params in ORACLES[op.name].parameters)
    if defaults:
        assert set(ORACLES[op.name].parameters) - {defaults}
    else:
        assert ORACLES[op.name].parameters == ()


def test_four_functions(op):
    assert set(op.functions) == set(FORMS)
    for form, suffix in SUFFIXES.items():
        function = op.functions[form]
        assert getattr(fastact, op.name + suffix) is function
        assert function.__name__ == op.name + suffix
        assert op.name + suffix in fastact.__all__
        assert function.nin == 1 + (form == "backward") + len(op.parameters)
        assert function.nout == 1 + (form == "with_derivative")


def test_bounds_are_within_the_bars(op):
    assert set(op.max_ulp) == {"float32", "float64"}
    for bounds in op.max_ulp.values():
        assert all(0 <= bound <= bar for bound, bar in zip(bounds, BARS, strict=True))


def test_text_is_filled_in(op):
    for text in (op.summary, op.formula, op.derivative, op.kinks, op.source):
        assert text.strip()


def test_roots_are_roots(op):
    """f' changes sign between the neighbours of each root, and nowhere else on a fine grid."""
    params = tuple(p.default for p in op.parameters)
    for root in op.roots:
        assert math.isfinite(root)
        left, right = (exact(op.name, np.nextafter(root, side), *params)[1] for side in (-10, 10))
        assert left * right <= 0
    slopes = [exact(op.name, x, *params)[1] for x in np.linspace(-20, 20, 401)]
    changes = sum(a * b < 0 for a, b in itertools.pairwise(slopes))
    assert changes == len(op.roots)


def test_kinks_are_where_the_oracle_has_them(op):
    """A row says "none" exactly where f' is continuous at 0."""
    params = (*ORACLES[op.name].parameters, ())[0]  # elu has no kink at its default
    left, middle, right = (exact(op.name, x, *params)[1] for x in (-1e-30, 0, 1e-30))
    smooth = abs(left - middle) < 1e-20 and abs(right - middle) < 1e-20
    assert smooth == (op.kinks == "none")


def test_ops_is_frozen(op):
    with pytest.raises(AttributeError):
        op.name = "other"
    with pytest.raises(TypeError):
        op.max_ulp["float32"] = (0, 0)


def test_no_function_is_undocumented():
    for name in fastact.__all__:
        assert inspect.getdoc(getattr(fastact, name)), name
