"""Dtypes: the half types over all of their 65,536 values, NumPy's rules for the rest, and refusals.

Every test runs over each function of the table: activations, gates, forms from the output and
gradients of parameters (unreduced).
"""

import subprocess
import sys
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import pytest
from cases import assert_same_bits
from ulp import near_roots, ulp_error

import fastact
from prove.parameters import PARAMETERS

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
HALVES = (np.dtype(np.float16), BFLOAT16)
KINDS = ("activation", "gate", "from_output", "parameter_gradient")
BOUND = 0.51  # ULP: half of one for the rounding, the rest for float32's own error


@dataclass(frozen=True)
class Function:
    """One function of the table as a ufunc; outputs are always a tuple."""

    op: fastact.Op
    form: str
    ufunc: np.ufunc

    @property
    def arrays(self):
        """How many inputs are not parameters: gradient, x and gate."""
        return self.ufunc.nin - len(self.op.parameters)

    @property
    def defaults(self):
        return tuple(p.default for p in self.op.parameters)

    @property
    def parameter_sets(self):
        return (self.defaults, *PARAMETERS.get(self.op.name.removesuffix("_parameter"), ()))

    def __call__(self, *inputs, **kwargs):
        result = self.ufunc(*inputs, **kwargs)
        return result if isinstance(result, tuple) else (result,)

    def constants(self, params, half, dtype):
        """Parameters as the loops for `half` take them: rounded, but hard_sigmoid's 1/6 exact."""
        rounded = [np.array(p, half).astype(dtype)[()] for p in params]
        if self.op.name == "hard_sigmoid" and params[0] == self.defaults[0]:
            rounded[0] = dtype(params[0])
        return rounded


FUNCTIONS = {
    f.__name__: Function(op, form, getattr(f, "ufunc", f))
    for kind in KINDS
    for op in fastact.ops(kind)
    for form, f in op.functions.items()
}


@pytest.fixture(params=FUNCTIONS.values(), ids=FUNCTIONS)
def function(request):
    return request.param


def only(condition):
    """Parametrisation over the functions whose ufunc satisfies a condition."""
    chosen = {name: f for name, f in FUNCTIONS.items() if condition(f.ufunc)}
    return pytest.mark.parametrize("function", chosen.values(), ids=chosen)


@pytest.fixture(params=HALVES, ids=str)
def half(request):
    return request.param


@pytest.fixture(autouse=True)
def quiet():
    """Flags are the business of the tests that look at them."""
    with np.errstate(all="ignore"):
        yield


def every_isa():
    """Forces one ISA after the other, and proves afterwards that its kernels ran."""
    for name in fastact.isas():
        with fastact.isa(name):
            yield name
            assert fastact.last_isa() == name


def every(half):
    return np.arange(1 << 16).astype(np.uint16).view(half)


def shuffled(half, count, size=1 << 16):
    """`count` arrays of the values of a half type, each in an order of its own."""
    rng = np.random.default_rng(5)
    return [rng.permutation(every(half))[:size] for _ in range(count)]


def assert_all_same_bits(got, wanted):
    for g, w in zip(got, wanted, strict=True):
        assert_same_bits(g, w)


# Half types: values


def test_half_is_float32_rounded_once(function, half):
    """grad, x and gate are all 65,536 values in orders of their own."""
    inputs = shuffled(half, function.arrays)
    for params in function.parameter_sets:
        constants = function.constants(params, half, np.float32)
        for _ in every_isa():
            wide = function(*(a.astype(np.float32) for a in inputs), *constants)
            got = function(*inputs, *(half.type(p) for p in params))
            assert_all_same_bits(got, [w.astype(half) for w in wide])


def test_half_is_nearly_correctly_rounded(function, half):
    """Against float64, whose own error is a 2^-40th of an ULP of either half type."""
    x = every(half)
    factors = [half.type(1.5)] * (function.arrays - 1)
    for params in function.parameter_sets:
        wide = (a.astype(np.float64) for a in (*factors, x))
        references = function(*wide, *function.constants(params, half, np.float64))
        coarse = params == function.defaults and near_roots(x, function.op.roots)
        for isa in every_isa():
            for got, reference in zip(
                function(*factors, x, *(half.type(p) for p in params)), references, strict=True
            ):
                assert np.array_equal(np.isnan(got), np.isnan(reference))
                number = ~np.isnan(reference)
                assert np.array_equal(np.signbit(got)[number], np.signbit(reference)[number])
                error = np.where(number, ulp_error(got, reference, coarse=coarse), 0)
                worst = np.argmax(error)
                assert error[worst] <= BOUND, (isa, x[worst], got[worst], reference[worst])


def flags(function, *inputs):
    """What NumPy reports of a call."""
    seen = set()
    with np.errstate(all="call", call=lambda kind, _: seen.add(kind)):
        function(*inputs)
    return seen


def flags_due(x, domain, got, wide):
    """Masks of x by flag, results in the half type being rounded ones of float32."""
    finite, tiny = np.isfinite(x), ml_dtypes.finfo(x.dtype).tiny
    overflow, invalid, underflow = np.zeros((3, x.size), bool)
    for g, w in zip(got, wide, strict=True):
        overflow |= np.isinf(g) & finite
        invalid |= np.isnan(g) & ~np.isnan(x)
        underflow |= finite & (np.abs(w) < tiny) & (g != w)
    pole = overflow & np.isin(x.astype(np.float64), domain)
    return {
        "divide by zero": pole,
        "overflow": overflow & ~pole,
        "underflow": underflow,
        "invalid value": invalid,
    }


def test_half_flags(function, half):
    """As NumPy has them: what float32 raises, and what rounding does to its finite results.

    A tiny result of float32 that is a number of the half type is exact if it is x, or if float64
    gives 0 as well and raises nothing; otherwise nobody knows, and nothing is claimed.
    """
    x, tiny = every(half), ml_dtypes.finfo(half).tiny
    factors = [half.type(1.5)] * (function.arrays - 1)
    constants = function.constants(function.defaults, half, np.float32)

    def widened(dtype, x):
        return (*(f.astype(dtype) for f in factors), x.astype(dtype), *constants)

    zero = np.all([e == 0 for e in function(*widened(np.float64, x))], axis=0)
    zero &= not flags(function, *widened(np.float64, x[zero]))
    for isa in every_isa():
        got = function(*factors, x, *function.defaults)
        wide = function(*widened(np.float32, x))
        known = np.ones(x.size, bool)
        for w in wide:
            known &= (np.abs(w) >= tiny) | ~np.isfinite(w) | (w == x) | zero
        due = flags_due(x, function.op.domain, got, wide)
        due[None] = known & ~np.any([*due.values()], axis=0)
        for flag, mask in due.items():
            others = [m for f, m in due.items() if f != flag]
            picked = x[mask & ~np.any(others, axis=0)]
            for part in (picked, picked[:3], picked[-1:]) if picked.size else ():
                raised = flags(function, *factors, part, *function.defaults)
                assert raised == {flag} - {None}, (isa, part[:9])


# Half types: memory

SIZE = 2 * 1024 + 37  # past two blocks of the driver, and odd
CANARY = 77


def spread(a, step):
    """The values of `a` in a view of stride `step` elements, with canaries between."""
    view = np.full(a.size * abs(step), CANARY, a.dtype)[::step]
    view[...] = a
    return view


def misaligned(a):
    view = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype)
    view[...] = a
    return view


def test_half_layouts(function, half):
    inputs = shuffled(half, function.arrays, SIZE)
    blank = np.full(SIZE, CANARY, half)
    for _ in every_isa():
        wanted = function(*inputs, *function.defaults)
        for n in (1, 2, 3, 4, 5, 8, 15, 16, 17, 33, 1023, 1024, 1025):
            part = slice(7, 7 + n)
            got = function(*(a[part] for a in inputs), *function.defaults)
            assert_all_same_bits(got, [w[part] for w in wanted])

        out = tuple(misaligned(blank) for _ in wanted)
        function(*map(misaligned, inputs), *function.defaults, out=out)
        assert_all_same_bits(out, wanted)

        for step in (2, 3, -1, -2):
            strided = [spread(a, step) for a in inputs]
            out = tuple(spread(blank, step) for _ in wanted)
            function(*strided, *function.defaults, out=out)
            assert_all_same_bits(out, wanted)
            got = function(*inputs[:-1], strided[-1], *function.defaults)
            assert_all_same_bits(got, wanted)
            for view in out:
                view[...] = CANARY
                assert np.all(view.base == CANARY), "wrote between the elements of out"


def test_half_overlaps(function, half):
    inputs = shuffled(half, function.arrays, SIZE)
    for _ in every_isa():
        wanted = function(*inputs, *function.defaults)
        spare = tuple(np.empty_like(w) for w in wanted[1:])
        for position in range(function.arrays):
            arrays = [a.copy() for a in inputs]
            function(*arrays, *function.defaults, out=(arrays[position], *spare))
            assert_all_same_bits((arrays[position], *spare), wanted)
        for source, target in ((np.s_[5:], np.s_[:-5]), (np.s_[:-5], np.s_[5:])):
            memory = np.empty(SIZE + 5, half)
            memory[source] = inputs[-1]
            arrays = [*inputs[:-1], memory[source]]
            function(*arrays, *function.defaults, out=(memory[target], *spare))
            assert_all_same_bits((memory[target], *spare), wanted)


def test_half_where(function, half):
    inputs = shuffled(half, function.arrays, SIZE)
    mask = np.random.default_rng(2).random(SIZE) < 0.5
    for _ in every_isa():
        wanted = function(*inputs, *function.defaults)
        out = tuple(np.full(SIZE, CANARY, half) for _ in wanted)
        function(*inputs, *function.defaults, out=out, where=mask)
        assert_all_same_bits(out, [np.where(mask, w, half.type(CANARY)) for w in wanted])


@only(lambda ufunc: ufunc.nin > 1)
def test_half_broadcasting(function, half):
    """Gradients, x and parameters of a row, a column or one element give what each row gives."""
    *factors, x = shuffled(half, function.arrays, 40)
    varying = [(p * np.linspace(0.5, 1.5, 40)).astype(half) for p in function.defaults]
    for _ in every_isa():
        columns = function(*(f[:, None] for f in factors), x, *(p[:, None] for p in varying))
        for i in range(40):
            row = function(*(f[i] for f in factors), x, *(p[i] for p in varying))
            assert_all_same_bits([c[i] for c in columns], row)
        got = function(*factors, x[3], *varying)
        assert_all_same_bits(got, [c[:, 3] for c in columns])


def test_half_scalars(function, half):
    inputs = shuffled(half, function.arrays, 20)
    wanted = function(*inputs, *function.defaults)
    for i in range(20):
        got = function(*(a[i] for a in inputs), *function.defaults)
        assert all(type(g) is half.type for g in got)
        assert_all_same_bits(got, [w[i] for w in wanted])


def test_half_masked_and_read_only(function, half):
    inputs = shuffled(half, function.arrays, 500)
    wanted = function(*inputs, *function.defaults)
    for array in inputs:
        array.setflags(write=False)
    assert_all_same_bits(function(*inputs, *function.defaults), wanted)
    mask = np.arange(500) % 5 == 0
    masked = (np.ma.masked_array(a, mask) for a in inputs)
    for g, w in zip(function(*masked, *function.defaults), wanted, strict=True):
        assert isinstance(g, np.ma.MaskedArray)
        assert np.array_equal(np.ma.getmaskarray(g), mask)
        assert_same_bits(g.compressed(), w[~mask])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_byte_order(function, dtype):
    swapped = np.dtype(dtype).newbyteorder()
    inputs = [a.astype(dtype) for a in shuffled(np.dtype(np.float16), function.arrays, 500)]
    wanted = function(*inputs, *function.defaults)
    inputs = [a.astype(swapped) for a in inputs]
    assert_all_same_bits(function(*inputs, *function.defaults), wanted)
    out = tuple(np.empty(500, swapped) for _ in wanted)
    function(*inputs, *function.defaults, out=out)
    assert_all_same_bits([o.astype(dtype) for o in out], wanted)


# Which dtype computes


def test_python_numbers_do_not_widen(function, half):
    x = np.linspace(-2, 2, 9).astype(half)
    factors = [1.5] * (function.arrays - 1)
    wanted = function(*map(half.type, factors), x, *map(half.type, function.defaults))
    assert_all_same_bits(function(*factors, x, *function.defaults), wanted)
    whole = function(*[2] * len(factors), x, *[1] * len(function.defaults))
    assert {w.dtype for w in whole} == {half}
    if function.op.kind != "parameter_gradient":  # which are summed
        result = getattr(fastact, function.ufunc.__name__)(*factors, x)
        assert_all_same_bits(result if isinstance(result, tuple) else (result,), wanted)


@only(lambda ufunc: ufunc.nin > 1)
def test_mixed_dtypes_resolve_as_for_numpy(function, half):
    """One input of another dtype than the rest, among Python numbers as parameters."""
    x = np.linspace(-2, 2, 9).astype(half)
    for other in (*HALVES, *"fd?bBhHiIlLqQ"):
        first = np.ones(9, other)
        rest = [x] * (function.arrays - 1) if function.arrays > 1 else [x]
        params = function.defaults[max(0, len(rest) + 1 - function.arrays) :]
        results = function(first, *rest, *params)
        assert {g.dtype for g in results} == {np.arctan2(first, x).dtype}, other


def test_out_and_dtype(function, half):
    """`dtype` chooses what computes; `out` takes what was computed."""
    inputs = shuffled(half, function.arrays, 500)
    wide = [a.astype(np.float32) for a in inputs]
    single = function(*wide, *function.defaults)
    assert_all_same_bits(function(*inputs, *function.defaults, dtype=np.float32), single)
    for arrays, other in ((inputs, np.float64), (wide, half)):
        wanted = [w.astype(other) for w in function(*arrays, *function.defaults)]
        out = tuple(np.empty(500, other) for _ in wanted)
        function(*arrays, *function.defaults, out=out)
        assert_all_same_bits(out, wanted)


def test_integers_and_bool_resolve_as_for_numpy(function):
    """As numpy.exp, or with parameters, which are Python numbers, as numpy.arctan2."""
    for code in "?bBhHiIlLqQ":
        x = np.array([0, 1, 1], code)
        wanted = (np.arctan2(x, 0.5) if function.defaults else np.exp(x)).dtype
        floats = x.astype(wanted)
        assert_all_same_bits(
            function(*[x] * function.arrays, *function.defaults),
            function(*[floats] * function.arrays, *function.defaults),
        )


UNSUPPORTED = ("g", "F", "D", "G", "O", "U3", "S3", "M8[s]", "m8[s]", "V2")


def test_unsupported_dtypes(function):
    for dtype in UNSUPPORTED:
        x = np.zeros(3, dtype)
        for rest in (x, *(np.ones(3, half) for half in HALVES)):
            with pytest.raises(TypeError, match=function.ufunc.__name__):
                function(x, *[rest] * (function.arrays - 1), *function.defaults)


DTYPES = pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64], ids=str)


@DTYPES
@only(lambda ufunc: (ufunc.nin, ufunc.nout) == (1, 1))
def test_at(function, dtype):
    x = np.linspace(-2, 2, 9).astype(dtype)
    (wanted,) = function(x)
    function.ufunc.at(x, [1, 3])
    assert_same_bits(x[[1, 3]], wanted[[1, 3]])


@DTYPES
@only(lambda ufunc: (ufunc.nin, ufunc.nout) == (2, 1))
def test_outer_and_reductions(function, dtype):
    """NumPy reduces with each result as the first input of the next."""
    x, ufunc = np.linspace(-2, 2, 9).astype(dtype), function.ufunc
    assert_same_bits(ufunc.outer(x, x[:2]), function(x[:, None], x[:2])[0])
    chain = [x[0]]
    for value in x[1:]:
        chain += function(chain[-1], value)
    assert_same_bits(ufunc.accumulate(x), np.array(chain))
    assert_same_bits(ufunc.reduce(x), chain[-1])
    columns = np.stack([x, x[::-1], x], axis=1)
    assert_same_bits(ufunc.reduce(columns, axis=0)[[0, 2]], np.array([chain[-1]] * 2))


# bfloat16 and the import of ml_dtypes


def run_python(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


USE = """
x = numpy.ones(3, ml_dtypes.bfloat16)
print(fastact.gelu(x).dtype, fastact.leaky_relu(x, 0.2).dtype, fastact.gelu_backward(1.0, x).dtype)
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import numpy, fastact, ml_dtypes",
        "import ml_dtypes, numpy, fastact",
        "import numpy, fastact; fastact.gelu(1); fastact.leaky_relu(1.0, 2); import ml_dtypes",
    ],
)
def test_bfloat16_whichever_is_imported_first(imports):
    assert run_python(imports + USE) == ["bfloat16"] * 3


def test_ml_dtypes_is_optional():
    assert run_python("import sys, fastact; print('ml_dtypes' in sys.modules)") == ["False"]
    code = "import sys; sys.modules['ml_dtypes'] = None; import fastact; print(fastact.gelu(0))"
    assert run_python(code) == ["0.0"]


def test_gradient_of_a_parameter_is_summed_before_it_is_rounded(half):
    """Each product is lost in float16, and rounded in bfloat16; their sum is neither."""
    grad = np.full((1000, 3), 2**-13, half)
    x = np.full((1000, 3), -(2**-13), half) * np.array([1, 1, 3], half)
    slopes = np.full(3, 0.25, half)
    sums = -1000 * 2.0**-26 * np.array([1, 1, 3])
    got = fastact.leaky_relu_parameter_backward(grad, x, slopes)
    assert_same_bits(got, sums.astype(half))
    got = fastact.leaky_relu_parameter_backward(grad, x)
    assert_same_bits(got, sums.sum().astype(half))
