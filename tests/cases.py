"""What the elementwise tests run over: rows of the table, their parameters, their functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

import fastact
from fastact._forms import Form, arguments
from prove import choice
from prove.parameters import PARAMETERS

KINDS = ("activation", "gate", "from_output", "parameter_gradient")
FORMS = ("forward", "derivative", "backward", "with_derivative")
DTYPES = (np.float32, np.float64)
BARS = (2, 4)  # ULPs no activation may exceed in f and f', whatever the table claims


@dataclass(frozen=True, eq=False)
class Case:
    """One activation with one set of parameters; hashed by identity, for caches of references."""

    op: fastact.Op
    params: tuple[float, ...]

    def __str__(self):
        return "-".join([self.op.name, *map(str, self.params)])

    def run(self, form, x, grad=1.0, **kwargs):
        """The outputs of one of the four functions, always a tuple."""
        inputs = (grad, x) if form == "backward" else (x,)
        return outputs(self.op.functions[form](*inputs, *self.params, **kwargs))

    def rounded_params(self, dtype):
        """The parameters the kernel really receives, for the oracle."""
        return tuple(float(dtype(p)) for p in self.params)

    @cached_property
    def roots(self):
        """Where f' crosses zero."""
        return choice.Case(self.op, self.params).roots()

    def inside(self, x):
        """Where x lies within the domain, ends included."""
        low, high = self.op.domain
        return (low <= x) & (x <= high)


def outputs(result):
    """What a function gave, always a tuple."""
    return result if isinstance(result, tuple) else (result,)


def _cases():
    for op in fastact.ops():
        yield Case(op, tuple(p.default for p in op.parameters))
        for params in PARAMETERS.get(op.name, ()):
            yield Case(op, params)


CASES = tuple(_cases())
DEFAULT_CASES = tuple({case.op.name: case for case in reversed(CASES)}.values())[::-1]


@dataclass(frozen=True, eq=False)
class Function:
    """One function of the table in terms of arrays alone, parameters at their defaults."""

    op: fastact.Op
    form: str

    def __str__(self):
        return self.op.name + Form[self.form].suffix

    @property
    def public(self):
        """What the user calls."""
        return self.op.functions[self.form]

    @property
    def ufunc(self):
        return getattr(self.public, "ufunc", self.public)

    @property
    def takes(self):
        """The names of the arrays."""
        return arguments(self.op.kind, Form[self.form])

    def __call__(self, *arrays, **kwargs):
        """Each element's outputs, always a tuple: the gradient of a parameter is not yet summed."""
        defaults = (p.default for p in self.op.parameters)
        return outputs(self.ufunc(*arrays, *defaults, **kwargs))

    def inputs(self, dtype, size):
        """Values of every kind for every array."""
        return tuple(sample(dtype, size, seed) for seed, _ in enumerate(self.takes))

    def empty(self, shape, dtype, value):
        """Arrays for `out=`, full of a value that no test expects."""
        return tuple(np.full(shape, value, dtype) for _ in range(self.ufunc.nout))


ALL_FUNCTIONS = tuple(
    Function(op, form) for kind in KINDS for op in fastact.ops(kind) for form in op.functions
)
# The driver (csrc/driver.h) and NumPy see of a function no more than how many inputs and
# outputs it has; one activation with each number of parameters stands for all of them.
_REPRESENTATIVES = ("gelu", "leaky_relu", "hardtanh", "clipped_linear")
_REPRESENTATIVES += ("swiglu", "sigmoid_from_output", "leaky_relu_parameter")
FUNCTIONS = tuple(f for f in ALL_FUNCTIONS if f.op.name in _REPRESENTATIVES)


def assert_same_bits(got, wanted):
    """Equal dtype, shape and bits; NaNs are equal to each other whatever their payload."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.dtype == wanted.dtype
    assert got.shape == wanted.shape
    bits = f"u{got.dtype.itemsize}"
    differ = np.ascontiguousarray(got).view(bits) != np.ascontiguousarray(wanted).view(bits)
    differ &= ~(np.isnan(got) & np.isnan(wanted))
    where = np.flatnonzero(differ)
    assert not where.size, (where[:5], got.ravel()[where[:5]], wanted.ravel()[where[:5]])


def assert_all_same_bits(got, wanted):
    """The same for tuples of arrays."""
    assert len(got) == len(wanted)
    for g, w in zip(got, wanted, strict=True):
        assert_same_bits(g, w)


def sample(dtype, size, seed=0):
    """Values of every kind in random order: every scale, both tails, both zeros, inf, NaN."""
    rng = np.random.default_rng(seed)
    info = np.finfo(dtype)
    scales = np.ldexp(1.0, rng.integers(info.minexp - info.nmant, info.maxexp, size))
    signs = rng.choice([-1.0, 1.0], size)
    special = rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan, -0.75, -1.28], size)
    kinds = [rng.normal(0, 3, size), rng.uniform(-120, 120, size), scales * signs, special]
    return np.choose(rng.choice(4, size, p=[0.4, 0.3, 0.2, 0.1]), kinds).astype(dtype)
