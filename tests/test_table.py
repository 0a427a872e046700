"""The table of activations is complete, and what it says about each of them is so."""

import inspect
import itertools
import re

import numpy as np
import pytest
from cases import BARS, CASES, DTYPES, KINDS
from mpmath import mp
from oracle import OPS, exact, formula, kinks, parameters_for, value

import fastact
from fastact._forms import FORMS as FORMS_OF
from prove.parameters import PARAMETERS

AGREED = mp.mpf(2) ** -80  # relative, between two texts of the table


@pytest.fixture(params=fastact.ops(), ids=lambda op: op.name)
def op(request):
    """Every activation."""
    return request.param


@pytest.fixture(params=OPS.values(), ids=OPS)
def row(request):
    """Every row of the table."""
    return request.param


# Nothing is missing


def test_names_are_unique():
    names = [op.name for kind in KINDS for op in fastact.ops(kind)]
    assert len(names) == len(set(names))
    assert set(KINDS) == set(FORMS_OF)


def test_unknown_kind():
    with pytest.raises(ValueError, match=r"kind must be one of activation, gate.*'cell'"):
        fastact.ops("cell")


def test_parameters_have_more_than_their_defaults_tested(op):
    defaults = tuple(p.default for p in op.parameters)
    others = PARAMETERS.get(op.name, ())
    assert all(len(params) == len(defaults) for params in others)
    assert bool(set(others) - {defaults}) == bool(defaults)


def test_every_set_of_parameters_has_an_activation():
    assert set(PARAMETERS) <= {op.name for op in fastact.ops()}


def test_functions(row):
    assert set(row.functions) == {form.name for form in FORMS_OF[row.kind]}
    for form in FORMS_OF[row.kind]:
        function = row.functions[form.name]
        name = row.name + form.suffix
        assert getattr(fastact, name) is function
        assert function.__name__ == name
        assert name in fastact.__all__
        backward = form.name == "backward"
        arrays = 1 + backward + (row.kind == "gate")
        assert function.nin == arrays + len(row.parameters)
        pair = form.name == "with_derivative" or (row.kind == "gate" and backward)
        assert function.nout == 1 + pair


def test_bounds_are_within_the_bars(row):
    assert set(row.max_ulp) == {"float32", "float64"}
    for bounds in row.max_ulp.values():
        assert all(bound >= 0 for bound in bounds)
        if row.kind == "activation":
            assert all(bound <= bar for bound, bar in zip(bounds, BARS, strict=True))


def test_text_is_filled_in(row):
    for text in (row.summary, row.formula, row.source, *(p.meaning for p in row.parameters)):
        assert text.strip()
    for text in (row.derivative, row.kinks):
        assert bool(text.strip()) == (row.kind == "activation")


def test_ops_is_frozen(row):
    with pytest.raises(AttributeError):
        row.name = "other"
    with pytest.raises(TypeError):
        row.max_ulp["float32"] = (0, 0)


def test_no_function_is_undocumented():
    for name in fastact.__all__:
        assert inspect.getdoc(getattr(fastact, name)), name


# What it says


def points(case):
    """Every scale and both tails within the domain, and kinks with their neighbours."""
    rng = np.random.default_rng(8)
    places = [float(place) for place, _ in kinks(case.op.name, *case.params)]
    x = np.concatenate(
        [
            rng.normal(0, 3, 20),
            rng.uniform(0, 1, 9),
            [*(-745.5, -120, -38.4, -14, 14, 120, 745.5, 1e-300, -1e-300, 1e-9, 1e20, -1e20, 0)],
            *([place, np.nextafter(place, 9), np.nextafter(place, -9)] for place in places),
        ]
    )
    low, high = case.op.domain
    return x[(low < x) & (x < high)]


def agree(a, b):
    return abs(a - b) <= AGREED * abs(b) or max(abs(a), abs(b)) < mp.mpf(2) ** -1150


def test_derivative_is_that_of_the_formula(case):
    """The text that people read, against numerical differentiation."""
    x = points(case)
    assert x.size > 10
    for v in x:
        if case.params == (0,) and case.op.name == "squareplus" and v == 0:
            continue  # 0 / 0: f is relu then
        text = value(f"{case.op.name}_derivative", v, *parameters_for(case.op.name, case.params))
        assert agree(text, exact(case.op.name, v, *case.params)[1]), v


@pytest.mark.parametrize("case", [c for c in CASES if c.op.kinks != "none"], ids=str)
def test_slope_at_a_kink_is_the_stated_one(case):
    for place, slope in kinks(case.op.name, *case.params):
        for dtype in DTYPES:
            x = dtype(float(place))
            if x == place and case.rounded_params(dtype) == case.params:
                assert case.run("derivative", x)[0] == dtype(float(slope)), (place, slope)


def jumps(case):
    """Intervals in which f' changes by a hundredth of itself, however narrow they are."""
    x = np.linspace(-8, 8, 2**17 + 1)
    low, high = case.op.domain
    x = x[(x > low + 0.05) & (x < high - 0.05)]  # f' may have a pole at an end
    (slope,) = case.run("derivative", x)
    at = np.flatnonzero(np.abs(np.diff(slope)) > 0.01 * (1 + np.abs(slope[1:])))
    return [(x[i], x[i + 1]) for i in at]


def test_kinks_are_where_f_has_them(op):
    """f' jumps at the stated places only, and at each of them for some of the parameters."""
    found = set()
    for case in (case for case in CASES if case.op is op):
        places = [place for place, _ in kinks(op.name, *case.params)]
        for left, right in jumps(case):
            here = {k for k, place in enumerate(places) if left <= place <= right}
            assert here, (case, left, right)
            found |= here
    stated = 0 if op.kinks == "none" else op.kinks.count("f'(")
    assert found == set(range(stated))


def test_roots_are_roots(default_case):
    """f' changes sign between the neighbours of each root, and nowhere else on a fine grid."""
    op, params = default_case.op, default_case.params
    for root in op.roots:
        left, right = (exact(op.name, np.nextafter(root, side), *params)[1] for side in (-10, 10))
        assert left * right <= 0
    x = np.linspace(-20, 20, 401)
    slopes = [exact(op.name, v, *params)[1] for v in x[default_case.inside(x)]]
    changes = sum(a * b < 0 for a, b in itertools.pairwise(filter(None, slopes)))
    assert changes == len(op.roots)


def test_domain_is_where_the_formula_is_a_real_number(op):
    params = tuple(p.default for p in op.parameters)
    low, high = op.domain
    for x in np.linspace(-9, 9, 73):
        if x not in (low, high):
            f = value(op.name, x, *params)
            assert (isinstance(f, mp.mpf) and mp.isfinite(f)) == (low < x < high)


@pytest.mark.parametrize("gate", fastact.ops("gate"), ids=lambda op: op.name)
def test_a_gate_is_x_times_an_activation(gate):
    (act,) = re.fullmatch(r"x \* (\w+)\(gate\)", gate.formula).groups()
    assert OPS[act].kind == "activation"
    assert not OPS[act].parameters


@pytest.mark.parametrize("gradient", fastact.ops("parameter_gradient"), ids=lambda op: op.name)
def test_gradient_of_a_parameter_is_that_of_the_formula(gradient):
    """df/dparameter as the table has it, against numerical differentiation by the parameter."""
    op = OPS[gradient.name.removesuffix("_parameter")]
    assert gradient.parameters == op.parameters
    (case, *_) = (case for case in CASES if case.op is op)
    for parameter in (case.params, *PARAMETERS[op.name]):
        for x in points(case):
            if x == 0 and parameter == (0,):
                continue  # squareplus has no slope there
            with mp.workprec(2500):
                at = mp.mpf(x)
                wanted = mp.diff(lambda p, at=at: formula(op.name)(at, at, p), *parameter)
            assert agree(value(gradient.name, x, *parameter), wanted), (x, parameter)
