"""Several threads on one call: the same bits, the same flags, and no more threads than allowed."""

import ctypes
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import dask
import dask.array
import joblib
import ml_dtypes
import numpy as np
import pytest
from another import last_line_of_error, printed
from cases import FUNCTIONS, assert_all_same_bits, assert_same_bits, sample

import fastact
from fastact import _ufuncs

LARGE = 2 * 8192  # elements of a call that several threads may share (csrc/threads.c)
LENGTHS = (LARGE, LARGE + 1, LARGE + 64 * 7 - 1, LARGE + 64 * 14 + 1, 50_001)
COUNTS = (2, 3, 7)
DTYPES = (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)

pytestmark = pytest.mark.skipif(_ufuncs.openmp() is None, reason="built without OpenMP")


@pytest.fixture(autouse=True)
def shared():
    """Every large call is shared, whatever its work is worth."""
    before = _ufuncs.get_grain()
    _ufuncs.set_grain(0)
    _ufuncs.peak_threads()
    yield
    _ufuncs.set_grain(before)


def on_one_thread(call):
    with fastact.threads(1), np.errstate(all="ignore"):
        return call()


def on_threads(count, call):
    """What `call` gives on `count` threads, which did share in it."""
    _ufuncs.peak_threads()
    with fastact.threads(count), np.errstate(all="ignore"):
        result = call()
    assert _ufuncs.peak_threads() == count
    return result


# The same bits


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_bits(function, dtype):
    seeds = range(len(function.takes))
    with np.errstate(all="ignore"):
        inputs = [sample(np.float32, max(LENGTHS), seed).astype(dtype) for seed in seeds]
    wanted = on_one_thread(lambda: function(*inputs))
    for n in LENGTHS:
        for count in COUNTS:
            got = on_threads(count, lambda n=n: function(*(a[:n] for a in inputs)))
            assert_all_same_bits(got, [w[:n] for w in wanted])


def test_bits_on_every_isa(isa):
    x = sample(np.float32, LARGE + 77)
    wanted = on_one_thread(lambda: fastact.mish_with_derivative(x))
    assert_all_same_bits(on_threads(3, lambda: fastact.mish_with_derivative(x)), wanted)


@pytest.mark.parametrize("count", COUNTS)
def test_strides(count):
    x = sample(np.float32, 3 * LARGE)
    wanted = on_one_thread(lambda: fastact.gelu(x))
    for view in (np.s_[::2], np.s_[::-1], np.s_[::-2], np.s_[1::2]):
        assert_same_bits(on_threads(count, lambda v=view: fastact.gelu(x[v])), wanted[view])
        out = np.zeros_like(x)
        on_threads(count, lambda v=view, out=out: fastact.gelu(x[v], out=out[v]))
        assert_same_bits(out[view], wanted[view])
        out[view] = 0
        assert not out.any()


@pytest.mark.parametrize("count", COUNTS)
def test_in_place(count):
    x = sample(np.float64, LARGE + 5)
    wanted = on_one_thread(lambda: fastact.silu(x))
    y = x.copy()
    on_threads(count, lambda: fastact.silu(y, out=y))
    assert_same_bits(y, wanted)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("shift", [0, 1, 64, LARGE])
def test_output_behind_its_input(step, shift):
    """NumPy hands over inputs that lie ahead of an output in memory: order matters there."""
    x = sample(np.float32, 8 * LARGE)
    ahead = np.s_[shift : shift + 2 * step * LARGE : step]
    wanted = on_one_thread(lambda: fastact.gelu(x[ahead].copy()))
    with fastact.threads(7), np.errstate(all="ignore"):
        fastact.gelu(x[ahead], out=x[: 2 * LARGE])
    assert_same_bits(x[: 2 * LARGE], wanted)


def test_where():
    x, mask = sample(np.float32, LARGE * 3), np.ones(LARGE * 3, bool)
    mask[5:9] = mask[-70:-3:2] = False
    wanted = on_one_thread(lambda: np.where(mask, fastact.tanh(x), 7).astype(np.float32))
    out = np.full_like(x, 7)
    on_threads(3, lambda: fastact.tanh(x, where=mask, out=out))
    assert_same_bits(out, wanted)


def test_a_parameter_a_column():
    x, slope = sample(np.float32, 3 * LARGE).reshape(3, -1), np.float32([[0.1], [0.2], [0.3]])
    wanted = on_one_thread(lambda: fastact.leaky_relu(x, slope))
    assert_same_bits(on_threads(3, lambda: fastact.leaky_relu(x, slope)), wanted)
    assert_same_bits(on_threads(3, lambda: fastact.leaky_relu(x.T, slope.T)), wanted.T)


def test_reductions_stay_in_order():
    x = np.abs(sample(np.float32, LARGE + 3))
    for method in ("reduce", "accumulate"):
        call = getattr(fastact.swiglu, method)
        wanted = on_one_thread(lambda call=call: call(x))
        with fastact.threads(3), np.errstate(all="ignore"):
            assert_same_bits(call(x), wanted)


def test_rounding_of_the_caller():
    """Threads round as the calling one does, should it have asked for another direction."""
    libm = ctypes.CDLL(None)
    x = np.linspace(-3, 3, LARGE, dtype=np.float32)
    up = 0x800 if "sse2" in fastact.get_config()["isas_built"] else 0x400000  # FE_UPWARD
    nearest = on_one_thread(lambda: fastact.sigmoid(x))
    assert libm.fesetround(up) == 0
    try:
        wanted = on_one_thread(lambda: fastact.sigmoid(x))
        got = on_threads(3, lambda: fastact.sigmoid(x))
    finally:
        libm.fesetround(0)
    assert_same_bits(got, wanted)
    assert not np.array_equal(wanted, nearest)
    assert_same_bits(on_threads(3, lambda: fastact.sigmoid(x)), nearest)


# The same flags


@pytest.mark.parametrize("where", [0, LARGE // 2, -1])
def test_flags_reach_the_caller(where):
    x = np.zeros(2 * LARGE, np.float32)
    x[where] = 1e3
    clean = np.zeros(2 * LARGE, np.float32)
    with fastact.threads(3), np.errstate(all="raise"):
        for _ in range(3):
            with pytest.raises(FloatingPointError, match="overflow"):
                fastact.exp(x)
            fastact.exp(clean)  # no thread keeps a flag
    assert _ufuncs.peak_threads() == 3


def test_flags_reach_nobody_else():
    x, clean = np.full(2 * LARGE, 1e3, np.float32), np.zeros(2 * LARGE, np.float32)

    def overflows():
        with pytest.warns(RuntimeWarning, match="overflow"):
            fastact.exp(x)

    def is_clean():
        with np.errstate(all="raise"):
            fastact.exp(clean)

    with fastact.threads(3), ThreadPoolExecutor(2) as pool:
        quiet = [pool.submit(is_clean) for _ in range(50)]
        for _ in range(20):
            overflows()
        for future in quiet:
            future.result()


# How many threads


def test_small_calls_stay_on_their_thread():
    with fastact.threads(3):
        fastact.gelu(np.ones(LARGE - 1))
        assert _ufuncs.peak_threads() == 0
        _ufuncs.set_grain(1e15)
        fastact.gelu(np.ones(10 * LARGE))
        assert _ufuncs.peak_threads() == 0


def test_set_num_threads():
    before = fastact.get_num_threads()
    fastact.set_num_threads(np.int64(5))
    assert fastact.get_num_threads() == fastact.get_config()["threads"] == 5
    with fastact.threads(2):
        assert fastact.get_num_threads() == 2
        with fastact.threads(None):
            assert fastact.get_num_threads() == before
        assert fastact.get_num_threads() == 2
        with pytest.raises(KeyError), fastact.threads(7):
            raise KeyError
        assert fastact.get_num_threads() == 2
    assert fastact.get_num_threads() == 5
    fastact.set_num_threads(None)
    assert fastact.get_num_threads() == before


@pytest.mark.parametrize(
    ("n", "error"),
    [(0, ValueError), (-1, ValueError), (1025, ValueError)]
    + [(wrong, TypeError) for wrong in (True, "2", 2.0, [2])],
)
def test_wrong_numbers(n, error):
    before = fastact.get_num_threads()
    for call in (fastact.set_num_threads, lambda n: fastact.threads(n).__enter__()):
        with pytest.raises(error, match=rf"^n must be .*, got {n!r}".replace("[2]", r"\[2\]")):
            call(n)
    assert fastact.get_num_threads() == before


SHOW = "import fastact; print(fastact.get_num_threads())"


def test_environment():
    assert printed(SHOW, FASTACT_NUM_THREADS="3") == ["3"]
    assert printed(SHOW, FASTACT_NUM_THREADS="3", OMP_NUM_THREADS="1") == ["3"]
    assert printed(SHOW, FASTACT_NUM_THREADS="", OMP_NUM_THREADS="1") == ["1"]
    for wrong in ("0", "-1", "two", "1.5", "1025"):
        message = last_line_of_error(SHOW, FASTACT_NUM_THREADS=wrong)
        assert "ImportError" in message
        assert "FASTACT_NUM_THREADS" in message and repr(wrong) in message


def test_affinity():
    limit = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    assert printed(limit + SHOW) == ["1"]
    assert printed(SHOW + "; " + limit + "print(fastact.get_num_threads())")[1] == "1"
    free = "import os; print(min(3, len(os.sched_getaffinity(0)))); "
    asked, got = printed(free + SHOW, OMP_NUM_THREADS="3")
    assert asked == got
    bound = printed(SHOW, OMP_NUM_THREADS="2", OMP_PROC_BIND="true", OMP_PLACES="threads")
    assert bound == ["2"]  # there the affinity of a thread says nothing


def test_cpu_quota_of_the_process():
    code = "from fastact import _ufuncs; _ufuncs.set_cpus(1); " + SHOW
    assert printed("import fastact; " + code, OMP_NUM_THREADS="8") == ["1"]


# Among others


def test_threadpoolctl():
    code = """
import fastact, numpy, threadpoolctl
from fastact import _ufuncs
_ufuncs.set_grain(0)
(pool,) = (p for p in threadpoolctl.threadpool_info() if p["user_api"] == "openmp")
print(pool["num_threads"])
for n in (None, 3):
    fastact.set_num_threads(n)
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        print(fastact.get_num_threads())
        fastact.gelu(numpy.ones(100_000))
        print(_ufuncs.peak_threads())
print(fastact.get_num_threads())
"""
    assert printed(code, OMP_NUM_THREADS="4") == ["4", "1", "1", "1", "1", "3"]


def test_joblib_workers():
    """loky tells its workers how many threads they may have."""
    code = """
import joblib
def ask():
    import fastact
    return fastact.get_num_threads()
with joblib.parallel_config(backend="loky", n_jobs=2, inner_max_num_threads=1):
    print(*joblib.Parallel()(joblib.delayed(ask)() for _ in range(4)))
"""
    assert printed(code) == ["1"] * 4


def at_most(count, callers):
    """A caller is a thread itself; between them they may have one less than the limit besides."""
    return callers + count - 1


@pytest.mark.parametrize("count", [2, 4])
def test_many_callers_share_the_threads(count):
    x = sample(np.float32, 10 * LARGE)
    wanted = on_one_thread(lambda: fastact.mish(x))

    def call(_):
        with np.errstate(all="ignore"):
            return fastact.mish(x)

    _ufuncs.peak_threads()
    with fastact.threads(count), ThreadPoolExecutor(6) as pool:
        for got in pool.map(call, range(60)):
            assert_same_bits(got, wanted)
    assert count <= _ufuncs.peak_threads() <= at_most(count, callers=6)


def test_joblib_threads():
    x = sample(np.float32, 10 * LARGE)
    wanted = on_one_thread(lambda: fastact.erf(x))
    _ufuncs.peak_threads()
    with fastact.threads(2):
        work = (joblib.delayed(fastact.erf)(x) for _ in range(30))
        for got in joblib.Parallel(n_jobs=4, backend="threading")(work):
            assert_same_bits(got, wanted)
    assert _ufuncs.peak_threads() <= at_most(2, callers=4)


def test_dask_threads():
    x = np.linspace(-9, 9, 20 * LARGE, dtype=np.float32)
    wanted = on_one_thread(lambda: fastact.gelu(x))
    lazy = fastact.gelu(dask.array.from_array(x, chunks=2 * LARGE))
    _ufuncs.peak_threads()
    with fastact.threads(2), dask.config.set(scheduler="threads", num_workers=4):
        assert_same_bits(lazy.compute(), wanted)
    assert _ufuncs.peak_threads() <= at_most(2, callers=4)


def test_forked_process():
    """It has none of its parent's threads, and must not wait for them."""
    code = """
import os, signal
import numpy as np, fastact
from fastact import _ufuncs
_ufuncs.set_grain(0)
fastact.set_num_threads(3)
x = np.linspace(-5, 5, 100_000)
y = fastact.gelu(x)
print(_ufuncs.peak_threads(), flush=True)
child = os.fork()
if child == 0:
    signal.alarm(60)
    same = np.array_equal(fastact.gelu(x), y)
    print(fastact.get_num_threads(), _ufuncs.peak_threads(), same, flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1], np.array_equal(fastact.gelu(x), y), _ufuncs.peak_threads())
"""
    assert printed(code) == ["3", "1", "1", "True", "0", "True", "3"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="compiles a program that uses OpenMP")
def test_inside_of_an_openmp_region(tmp_path):
    source, library = tmp_path / "region.c", tmp_path / "region.so"
    source.write_text(
        "void region(void (*f)(void)) {\n#pragma omp parallel num_threads(2)\n  f();\n}\n"
    )
    flags = ["-fopenmp", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, str(source), "-o", str(library)], check=True)
    seen = []
    ask = ctypes.CFUNCTYPE(None)(lambda: seen.append(fastact.get_num_threads()))
    with fastact.threads(3):
        ctypes.CDLL(str(library)).region(ask)
        assert seen == [1, 1]
        assert fastact.get_num_threads() == 3
