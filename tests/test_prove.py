"""The proof itself: its oracle, its measure, its record; and a sample of it against the record."""

import ctypes
import math

import numpy as np
import pytest
from ulp import near_roots, ulp_error

import fastact
from prove import __main__ as command
from prove import float32, native, record, sources
from prove.choice import Case, Choice
from prove.page import page
from prove.parameters import PARAMETERS
from prove.sources import fingerprint

CASES = Choice().cases()
OPS = fastact.ops()
ORACLE_ERROR = 1e-13  # relative; 2e-6 ULPs
STRIDE = 1021
ONLY = ["--what", "float32"]


def cases_of(op):
    return [case for case in CASES if case.op is op]


# ---- the oracle


def hard_points(case):
    """Where an oracle may break: every scale, tails, roots, seams of exp, kinks, subnormals."""
    rng = np.random.default_rng(5)
    seams = np.arange(-200, 201) * math.log(2) / 2
    edges = np.array(
        [0.5, 1, 2, 3, 6, 9, 10.6, 14.2, 17, 37, 88.7, 104, *case.params, *case.roots()]
    )
    edges = np.concatenate([edges, -edges, seams, np.linspace(-3, 3, 61)]).astype(np.float32)
    around = (edges.view(np.uint32)[:, None] + np.arange(-2, 3).astype(np.uint32)).ravel()
    signs = rng.choice([-1, 1], 400)
    scaled = (np.exp2(rng.uniform(-149, 128, 400)) * signs).astype(np.float32)
    patterns = rng.integers(0, 2**32, 400, dtype=np.uint32)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan]
    x = np.concatenate(
        [
            around.view(np.float32),
            scaled,
            patterns.view(np.float32),
            rng.uniform(-110, 110, 400),
            rng.normal(0, 2, 400),
            special,
        ]
    ).astype(np.float32)
    return np.unique(x.view(np.uint32)).view(np.float32)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracle(case):
    """oracle.h gives f and f' of the table, to a millionth of an ULP, and their signs."""
    x = np.sort(hard_points(case))
    got = native.ask(case.op.name, x, case.rounded("float32"))
    wanted = case.reference("float32").values(x.astype(np.float64))
    (undefined,) = np.nonzero(np.isnan(wanted[1][0]) & ~np.isnan(wanted[0][0]))
    for k in undefined:  # 0 / 0 in the text: f' is what the table says of the kink
        wanted[1][0][k] = case.exact(float(x[k]))[1]
    coarse = near_roots(x, case.roots())
    for name, values, (nearest, _, sign) in zip("fd", got, wanted, strict=True):
        assert np.array_equal(np.isnan(values), np.isnan(nearest)), x[
            np.isnan(values) != np.isnan(nearest)
        ]
        scale = np.maximum(np.abs(nearest), np.where(coarse & (name == "d"), 1 / 16, 2.0**-149))
        with np.errstate(invalid="ignore"):
            error = np.where(values == nearest, 0, np.abs(values - nearest) / scale)
        beyond = np.isfinite(values) & np.isfinite(nearest) & (np.abs(nearest) > 2.0**130)
        error[beyond] = 0.0 if np.all(np.abs(values[beyond]) > 2.0**130) else np.inf
        error[np.isnan(values)] = 0
        huge = np.isinf(nearest) & np.isfinite(x) & np.isfinite(values)  # beyond double, no pole
        error[huge & (np.abs(values) > 2.0**130)] = 0
        worst = np.argmax(error)
        assert error[worst] <= ORACLE_ERROR, (name, x[worst], values[worst], nearest[worst])
        signed = np.isfinite(x) & ~coarse & (sign != 0)
        wrong = signed & (np.signbit(values) != (sign < 0))
        assert not wrong.any(), (name, x[wrong][:5], values[wrong][:5])


def test_oracle_of_every_activation():
    """No activation without an oracle, no oracle or parameter set without an activation."""
    names = {op.name for op in OPS}
    assert set(native.oracles()) == names
    assert set(PARAMETERS) <= names
    for case in CASES:
        assert len(case.params) == len(case.op.parameters)


def test_oracle_keeps_the_sign_of_zero():
    zeros = np.array([0.0, -0.0], np.float32)
    for name in ("tanh", "relu", "hardshrink", "gelu"):
        f, _ = native.ask(name, zeros, (0.5,))
        assert np.array_equal(np.signbit(f), [False, True])


def test_unknown_oracle():
    with pytest.raises(ValueError, match="no entry 'nonsense'"):
        native.ask("nonsense", np.zeros(1, np.float32), ())


# ---- a sample of the proof, and the record


def recorded():
    return {record.key(result): result for result in record.load()}


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_errors_never_grow(op):
    """No kernel is worse than on record, on every STRIDE-th pattern, and none has a fault."""
    known = recorded()
    for case in cases_of(op):
        for result in float32.results(case, list(fastact.isas()), STRIDE):
            about = f"{record.key(result)}: {result['max_ulp']} ULP at {result['at']!r}"
            assert not any(result[name] for name in command.FAULTS), result["faults"]
            assert result["max_ulp"] <= record.bound(result), about
            old = known.get(record.key(result))
            assert old is not None, f"not proved yet: run `make prove OPS={op.name}`"
            if old["stride"] == 1:  # another sample may well find worse
                assert result["max_ulp"] <= math.ceil(old["max_ulp"] * 1000) / 1000, about


def test_record_keeps_the_table():
    """What was proved has no faults and keeps the bounds of the table."""
    for result in record.load():
        assert command.keeps_bound(result), result


def test_page_is_that_of_the_record():
    assert record.RECORD.with_suffix(".md").read_text() == page(record.load())


# ---- planted errors are found


class FakeKernels(ctypes.Structure):
    """The head of a `fastact_kernels` whose float32 kernel is a Python function."""

    FUNCTION = ctypes.CFUNCTYPE(
        None,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.POINTER(ctypes.c_ssize_t),
        ctypes.c_size_t,
    )
    _fields_ = [("isa", ctypes.c_char_p), ("elementwise", FUNCTION * 2)]


def prove_fake(name, first, count, kernel, stride=1):
    """Prove an activation without parameters whose kernel is ``kernel(x, f, d)``."""

    def call(row, form, operands, strides, n):
        x, f, d = (
            np.ctypeslib.as_array(ctypes.cast(operands[k], ctypes.POINTER(ctypes.c_float)), (n,))
            for k in range(3)
        )
        kernel(x, f, d)

    function = FakeKernels.FUNCTION(call)
    table = FakeKernels(b"fake", (FakeKernels.FUNCTION * 2)(function, function))
    case = next(case for case in CASES if case.op.name == name)
    proof = float32.proof(case, [ctypes.addressof(table)], stride)
    proof.first, proof.count = first, count
    native.prove(proof)
    return proof.run[0]


def identity(x, f, d):
    f[:] = x
    d[:] = np.where(np.isnan(x), x, 1)


def pattern(x):
    return int(np.float32(x).view(np.uint32))


def count_faults(run):
    return [(t.nan_faults, t.sign_faults, t.over_1) for t in run.tally]


def test_prover_finds_nothing_in_what_is_right():
    run = prove_fake("identity", 0, 2**32 // STRIDE, identity, STRIDE)
    assert count_faults(run) == [(0, 0, 0), (0, 0, 0)]
    assert [t.max_ulp for t in run.tally] == [0, 0]
    assert run.flag_faults == 0


def test_prover_finds_an_error():
    def kernel(x, f, d):
        identity(x, f, d)
        f[x == 5] = np.float32(5) + 3 * np.spacing(np.float32(5))
        d[x == 6] = np.float32(1) - np.spacing(np.float32(1))

    run = prove_fake("identity", pattern(4), 2**23, kernel)
    assert (run.tally[0].max_ulp, run.tally[0].at, run.tally[0].over_1) == (3, 5, 1)
    assert (run.tally[1].max_ulp, run.tally[1].at, run.tally[1].over_1) == (1, 6, 0)
    assert run.tally[0].got == np.float32(5) + 3 * np.spacing(np.float32(5))


@pytest.mark.parametrize("name", ["gelu", "exp", "logit", "tanh"])
def test_prover_counts_as_ulp_error_does(name):
    """Of results that are off by all kinds of factors, also subnormal, infinite and near a root."""
    op = next(op for op in OPS if op.name == name)
    seen = []

    def kernel(x, f, d):
        rng = np.random.default_rng(x.size)
        with np.errstate(all="ignore"):
            for out, wanted in zip((f, d), native.ask(name, x, ()), strict=True):
                size = np.exp2(rng.uniform(-26, rng.choice([-22, 8]), x.size))
                out[:] = wanted * (1 + size * rng.choice([-1, 1], x.size))
        seen.append((x.copy(), f.copy(), d.copy()))

    run = prove_fake(name, 77, 2**32 // 30011, kernel, 30011)
    x, *got = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    references = native.ask(name, x, ())
    for k, (tally, mine, wanted) in enumerate(zip(run.tally, got, references, strict=True)):
        roots = op.roots if k else ()
        error = np.nan_to_num(ulp_error(mine, wanted, coarse=near_roots(x, roots)), posinf=np.inf)
        assert tally.max_ulp == error.max() > 1
        assert tally.over_1 == np.count_nonzero(error > 1) > 1000


def test_prover_finds_nan():
    def kernel(x, f, d):
        identity(x, f, d)
        f[x == 2] = np.nan
        d[np.isnan(x)] = 1

    run = prove_fake("identity", pattern(2) - 100, 200, kernel)
    assert count_faults(run) == [(1, 0, 0), (0, 0, 0)]
    assert run.tally[0].nan_at == 2
    run = prove_fake("identity", pattern(np.inf) - 10, 100, kernel)
    assert [t.nan_faults for t in run.tally] == [0, 89]


def test_prover_finds_signs():
    """Also that of a result which underflowed to zero, and of f(-0)."""

    def kernel(x, f, d):
        identity(x, f, d)
        f[:] = np.abs(f)

    run = prove_fake("identity", pattern(-0.0), 10, kernel)
    assert run.tally[0].sign_faults == 10
    assert run.tally[0].sign_at == 0

    def vanished(x, f, d):
        f[:] = 0.0  # silu(-1e3) is a negative number that no float32 is near to, as is silu'
        d[:] = -0.0

    run = prove_fake("silu", pattern(-1e3), 50, vanished)
    assert [t.sign_faults for t in run.tally] == [50, 0]
    assert max(t.max_ulp for t in run.tally) < 1e-9


def test_prover_finds_flags():
    libm = ctypes.CDLL(None)
    raise_flag = libm.feraiseexcept

    def spurious(x, f, d):
        identity(x, f, d)
        raise_flag(4)

    run = prove_fake("identity", pattern(1), 10_000, spurious)
    assert run.flag_faults == -(-10_000 // native.BLOCK)
    assert native.flags(run.spurious) == ["divide"]
    assert run.flag_block == pattern(1)

    def quiet(x, f, d):
        f[:] = d[:] = np.inf

    run = prove_fake("exp", pattern(100), 10, quiet)
    assert native.flags(run.missing) == ["overflow"]


def test_prover_finds_wrong_parameters():
    case = Case(next(op for op in OPS if op.name == "leaky_relu"), (0.01,))
    proof = float32.proof(case, [float32.kernels("scalar")], STRIDE)
    proof.oracle_parameter[0] = 0.0100001
    (run,) = float32.walk(proof)
    assert 50 < run.tally[0].max_ulp < 250  # a relative error of 1e-5
    assert run.tally[0].over_1 > 10**6
    assert run.tally[1].over_1 > 10**6


def test_worst_error_is_held_against_the_formula():
    """An oracle that misjudges an error is told from a kernel that is wrong."""
    case = Case(next(op for op in OPS if op.name == "tanh"), ())
    right = native.Tally(max_ulp=0.0, at=0.5, got=np.tanh(0.5))
    right.max_ulp = abs(float(right.got) - np.tanh(0.5)) * 2**25
    assert float32.exact_error(case, 0, right) == pytest.approx(right.max_ulp, abs=1e-6)
    right.max_ulp += 0.01
    with pytest.raises(float32.OracleError, match=r"tanh, f at x = 0\.5"):
        float32.exact_error(case, 0, right)


# ---- choosing, recording, going on


def result(op="tanh", isa="avx2", **others):
    made = {"op": op, "params": [], "form": "f", "dtype": "float32", "isa": isa, "count": 2**32}
    made |= {"stride": 1, "max_ulp": 0.75, "at": 1.5, "over_1": 0, "nan_faults": 0}
    return (
        made
        | {"sign_faults": 0, "flag_faults": 0, "kernels": fingerprint("tanh", isa)}
        | {"cpu": "?"}
        | others
    )


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "RECORD", tmp_path / "accuracy.json")
    return tmp_path / "accuracy.json"


def test_record_merges(file):
    record.store([result(), result(isa="sse2"), result(op="no_such_op")])
    record.store([result(max_ulp=math.inf, at=-math.inf)])
    first, second = record.load()
    assert (first["isa"], first["max_ulp"], first["at"]) == ("avx2", math.inf, -math.inf)
    assert second == result(isa="sse2")
    record.write_page()
    assert sorted(path.name for path in file.parent.iterdir()) == ["accuracy.json", "accuracy.md"]
    assert "| tanh |" in (file.parent / "accuracy.md").read_text()


def test_what_is_on_record_is_not_proved_again(file):
    choice = Choice(ops=("tanh",), isas=("scalar", "sse2", "avx2"))
    assert [isas for _, isas in float32.pending(choice)] == [["sse2", "avx2"], ["scalar"]]
    record.store([result(), result(form="d"), result(isa="sse2")])
    assert [isas for _, isas in float32.pending(choice)] == [["sse2"], ["scalar"]]
    record.store([result(kernels="of old")])
    assert [isas for _, isas in float32.pending(choice)] == [["sse2", "avx2"], ["scalar"]]


def test_a_run_that_is_stopped_keeps_what_is_finished(file, monkeypatch, capsys):
    def stopped(choice, progress):
        yield [result()]
        raise KeyboardInterrupt

    monkeypatch.setitem(command.PROOFS, "float32", stopped)
    assert command.main(ONLY) == 130
    assert record.load() == [result()]
    assert "what is finished is on record" in capsys.readouterr().out


def test_command(file, capsys):
    sample = ["--ops", "relu", "--isa", "scalar", "--stride", "100003"]
    assert command.main([*ONLY, *sample]) == 0
    assert {result["stride"] for result in record.load()} == {100003}
    finer = [{**r, "stride": 1} for r in record.load()]
    record.store(finer)
    assert command.main([*ONLY, *sample]) == 0
    assert record.load() == finer  # which a sample does not replace
    assert "relu " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ops", "nonsense"], "--ops: no nonsense"),
        (["--isa", "z80"], "--isa: no z80"),
        (["--stride", "0"], "at least 1, got 0"),
    ],
)
def test_command_names_the_mistake(arguments, message, capsys):
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert message in capsys.readouterr().err


def test_broken_bound_is_reported(file, monkeypatch, capsys):
    faulty = result(max_ulp=3.0, nan_faults=1, faults="f at 1.0 is NaN or should be")
    monkeypatch.setitem(command.PROOFS, "float32", lambda choice, progress: [[faulty]])
    assert command.main(ONLY) == 1
    assert "f at 1.0 is NaN or should be" in capsys.readouterr().out


def test_fingerprint_sees_what_decides():
    """The formula and all that it needs, on its ISA; not the formulas of other rows."""
    known = sources._definitions(
        *(f"csrc/{header}" for header in sources.HEADERS), *sources._simd("avx2")
    )
    assert set(known) >= {f"FN({op.name})" for op in OPS}
    needed = sources._closure("FN(silu)", known, set())
    assert needed >= {"FN(silu)", "gated", "logistic", "exp_q", "LN2_HI", "vreciprocal", "PICK"}
    assert not needed & {"FN(tanh)", "FN(sigmoid)", "mills_ratio"}
    assert sources._closure("FN(relu6)", known, set()) >= {"FN(relu6)", "FN(hardtanh)", "within"}
    oracle = sources._definitions("prove/oracle.h")
    assert sources._closure("ORACLE(silu", oracle, set()) >= {"ORACLE(silu", "gated", "grow"}
    marks = {fingerprint(op.name, isa) for op in OPS for isa in ("avx2", "avx512")}
    assert len(marks) == 2 * len(OPS)


def test_fingerprint_changes_with_its_sources(tmp_path, monkeypatch):
    """Another constant is noticed by those who use it, another comment by nobody."""
    for folder in ("csrc", "prove"):
        (tmp_path / folder).mkdir()
        for path in (sources.ROOT / folder).glob("*.[ch]"):
            (tmp_path / folder / path.name).write_text(path.read_text())
    rows = ("sigmoid", "gelu", "relu")

    def marks():
        sources._definitions.cache_clear()
        return [fingerprint.__wrapped__(row, "sse2") for row in rows]

    before = marks()
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    vmath = tmp_path / "csrc" / "vmath.h"
    vmath.write_text(vmath.read_text() + "/* no more */\n")
    assert marks() == before
    vmath.write_text(
        vmath.read_text().replace(
            "#define INV_SQRT_2PI PICK(0x1.98", "#define INV_SQRT_2PI PICK(0x1.97"
        )
    )
    after = marks()
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, False, True]
    monkeypatch.undo()
    sources._definitions.cache_clear()


def test_old_build_is_not_proved(monkeypatch, tmp_path):
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "new.h").write_text("")
    monkeypatch.setattr(native, "ROOT", tmp_path)
    with pytest.raises(RuntimeError, match=r"older than new\.h"):
        float32.check_build()
