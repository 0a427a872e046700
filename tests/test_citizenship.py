"""What a NumPy function owes its neighbours: protocols, dtypes, pickles, docstrings, threads."""

import doctest
import inspect
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import dask.array
import numpy as np
import pandas
import pytest
from another import last_line_of_error, printed
from cases import (
    ALL_FUNCTIONS,
    FORMS,
    FUNCTIONS,
    KINDS,
    assert_all_same_bits,
    assert_same_bits,
    outputs,
    sample,
)

import fastact


def public(module, prefix=""):
    """Everything in `__all__`, and in that of its modules, by dotted name."""
    for name in module.__all__:
        member = getattr(module, name)
        if inspect.ismodule(member):
            yield from public(member, f"{prefix}{name}.")
        else:
            yield prefix + name, member


PUBLIC = dict(public(fastact))
PLAIN = {name: f for name, f in PUBLIC.items() if not inspect.isclass(f)}
ELEMENTWISE = {str(function): function for function in ALL_FUNCTIONS}


@pytest.fixture(params=ELEMENTWISE.values(), ids=ELEMENTWISE)
def any_function(request):
    """Every function of the table."""
    return request.param


# A gradient of a parameter is a sum, not a ufunc: test_gates.py has its manners.
@pytest.fixture(params=[f for f in FUNCTIONS if f.op.kind != "parameter_gradient"], ids=str)
def function(request):
    """One function for each number of inputs and outputs, which is all that NumPy sees of them."""
    return request.param


def call(function, x, **kwargs):
    """The public function with x for each of its arrays."""
    return function.public(*[x for _ in function.takes], **kwargs)


# Ufuncs


def test_is_a_ufunc(any_function):
    ufunc, public = any_function.ufunc, any_function.public
    assert isinstance(ufunc, np.ufunc)
    assert (public is ufunc) == (not any_function.op.parameters)
    assert ufunc.__name__ == public.__name__ == str(any_function)
    assert {"e", "f", "d"} <= {types[0] for types in ufunc.types}
    assert (ufunc.nin, ufunc.nout) == (public.nin, public.nout)
    assert ufunc.nin == len(any_function.takes) + len(any_function.op.parameters)


def test_masked_in_place_update(function):
    x = sample(np.float32, 100)
    mask = np.arange(100) % 3 == 0
    with np.errstate(all="ignore"):
        wanted = outputs(call(function, x))
        out = (x, *(np.empty_like(x) for _ in wanted[1:]))
        before = x.copy()
        call(function, x, out=out, where=mask)
    assert_same_bits(x, np.where(mask, wanted[0], before))


@pytest.mark.parametrize("function", [f for f in ALL_FUNCTIONS if f.op.parameters], ids=str)
def test_parameters_by_position_keyword_or_default(function):
    public, parameters = function.public, function.op.parameters
    arrays = [np.linspace(-3, 3, 50).astype(np.float32)] * len(function.takes)
    names = [p.name for p in parameters]
    defaults = dict(zip(names, (p.default for p in parameters), strict=True))
    assert {
        n: p.default for n, p in inspect.signature(public).parameters.items() if n in names
    } == (defaults)
    wanted = outputs(public(*arrays, *defaults.values()))
    assert_all_same_bits(outputs(public(*arrays)), wanted)
    for k, name in enumerate(names):
        for value in (0.25, np.float32(0.25), np.full(50, 0.25, np.float32)):
            given = {**defaults, name: value}
            wanted = outputs(public(*arrays, *given.values()))
            assert all(output.dtype == np.float32 for output in wanted)
            assert_all_same_bits(outputs(public(*arrays, **{name: value})), wanted)
            by_both = public(*arrays, *list(given.values())[:k], **dict(list(given.items())[k:]))
            assert_all_same_bits(outputs(by_both), wanted)
        with pytest.raises(TypeError):
            public(*arrays, *list(defaults.values())[: k + 1], **{name: 0.25})
    with pytest.raises(TypeError):
        public(*arrays, slop=1.0)


def test_missing_argument(any_function):
    with pytest.raises(TypeError):
        any_function.public()
    if len(any_function.takes) > 1:
        with pytest.raises(TypeError):
            any_function.public(np.ones(3))


# Other array libraries


class Recorder:
    """Answers every ufunc call with what it was asked."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return ufunc, method, len(inputs), sorted(kwargs)


def test_array_ufunc_override(function):
    ufunc = function.ufunc
    assert call(function, Recorder(), where=True) == (ufunc, "__call__", ufunc.nin, ["where"])


class Refuses:
    __array_ufunc__ = None


def test_array_ufunc_none(function):
    with pytest.raises(TypeError):
        call(function, Refuses())


def test_dask(function):
    x = np.linspace(-4, 4, 1000).astype(np.float32)
    chunked = dask.array.from_array(x, chunks=300)
    if function.ufunc.nout > 1:  # dask knows such ufuncs only from a list of its own
        with pytest.raises(TypeError, match="NotImplemented"):
            call(function, chunked)
        return
    lazy = call(function, chunked)
    assert isinstance(lazy, dask.array.Array)
    assert lazy.dtype == np.float32
    assert_same_bits(lazy.compute(), call(function, x))


def test_pandas(function):
    series = pandas.Series(np.linspace(-4, 4, 9), index=list("abcdefghi"), name="s")
    wanted = outputs(call(function, series.to_numpy()))
    for got, values in zip(outputs(call(function, series)), wanted, strict=True):
        assert isinstance(got, pandas.Series)
        assert got.index.equals(series.index)
        assert_same_bits(got.to_numpy(), values)
    frame = pandas.DataFrame({"a": series, "b": -series})
    for got in outputs(call(function, frame)):
        assert isinstance(got, pandas.DataFrame)
        assert list(got.columns) == ["a", "b"]


# Pickle looks for a ufunc without `__module__` in every module, which wakes deprecated names there.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pickle(any_function):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(any_function.public, protocol)) is any_function.public


def test_error_state_is_untouched(function):
    before = np.geterr()
    with np.errstate(all="ignore"):
        inside = np.geterr()
        call(function, sample(np.float32, 500))
        assert np.geterr() == inside
    assert np.geterr() == before


# Instruction sets


def test_environment_forces_an_isa():
    code = "import fastact; fastact.gelu(1.0); print(fastact.get_isa(), fastact.last_isa())"
    for name in fastact.isas():
        assert printed(code, FASTACT_ISA=name) == [name, name]
    assert printed(code, FASTACT_ISA="") == [fastact.isas()[-1]] * 2


def test_unknown_isa_in_the_environment():
    message = last_line_of_error("import fastact; fastact.gelu(1.0)", FASTACT_ISA="unknown")
    for word in ("FASTACT_ISA", "unknown", *fastact.isas()):
        assert word in message


def test_unknown_isa():
    before = fastact.get_isa()
    for call in (fastact.set_isa, lambda name: fastact.isa(name).__enter__()):
        with pytest.raises(ValueError, match="nope.*" + ".*".join(fastact.isas())):
            call("nope")
    assert fastact.get_isa() == before


def test_isa_context_restores():
    before = fastact.get_isa()
    with fastact.isa("scalar"):
        assert fastact.get_isa() == "scalar"
        with pytest.raises(KeyError), fastact.isa(before):
            raise KeyError
        assert fastact.get_isa() == "scalar"
    assert fastact.get_isa() == before
    assert before == os.environ.get("FASTACT_ISA", fastact.isas()[-1])


def test_config(capsys):
    config = fastact.get_config()
    assert config["isa"] == fastact.get_isa()
    assert config["numpy"] == np.__version__
    fastact.show_config()
    printed = capsys.readouterr().out
    assert fastact.get_isa() in printed
    assert np.__version__ in printed


def test_threads_agree(function, dtype, isa):
    inputs = function.inputs(dtype, 20_000)

    def work(_):
        with np.errstate(all="ignore"):
            return function(*inputs)

    wanted = work(0)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(work, range(8)):
            assert_all_same_bits(got, wanted)


# Docstrings


@pytest.mark.parametrize("name", PLAIN)
def test_docstring_sections(name):
    doc = inspect.getdoc(PLAIN[name])
    assert doc
    assert "Examples\n--------\n" in doc
    parameters = inspect.signature(PLAIN[name]).parameters if name not in ELEMENTWISE else "x"
    if parameters:
        assert "Parameters\n----------\n" in doc
    if name in ELEMENTWISE:
        assert "Returns\n-------\n" in doc


def test_docstring_states_the_formula():
    for kind in KINDS:
        for op in fastact.ops(kind):
            for form, function in op.functions.items():
                doc = function.__doc__
                assert op.formula in doc
                assert op.derivative in doc or form == FORMS[0]
                assert op.summary.rstrip(".") in doc
                assert all(f"{parameter.name} : " in doc for parameter in op.parameters)


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_run(name):
    """doctest does not look into ufuncs, so every docstring is handed to it."""
    doc = inspect.getdoc(PUBLIC[name])
    test = doctest.DocTestParser().get_doctest(doc, {}, name, None, None)
    assert test.examples or inspect.isclass(PUBLIC[name])
    report = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not failed, "".join(report)
