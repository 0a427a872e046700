"""What the elementwise tests run over: each row of the table with each of its parameter sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from oracle import ORACLES

import fastact

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
        outputs = self.op.functions[form](*inputs, *self.params, **kwargs)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def rounded_params(self, dtype):
        """The parameters the kernel really receives, for the oracle."""
        return tuple(float(dtype(p)) for p in self.params)


def _cases():
    for op in fastact.ops():
        yield Case(op, tuple(p.default for p in op.parameters))
        for params in ORACLES[op.name].parameters if op.name in ORACLES else ():
            yield Case(op, params)


CASES = tuple(_cases())
DEFAULT_CASES = tuple({case.op.name: case for case in reversed(CASES)}.values())[::-1]


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


def sample(dtype, size, seed=0):
    """Values of every kind in random order: every scale, both tails, both zeros, inf, NaN."""
    rng = np.random.default_rng(seed)
    info = np.finfo(dtype)
    scales = np.ldexp(1.0, rng.integers(info.minexp - info.nmant, info.maxexp, size))
    signs = rng.choice([-1.0, 1.0], size)
    special = rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan, -0.75, -1.28], size)
    kinds = [rng.normal(0, 3, size), rng.uniform(-120, 120, size), scales * signs, special]
    return np.choose(rng.choice(4, size, p=[0.4, 0.3, 0.2, 0.1]), kinds).astype(dtype)
