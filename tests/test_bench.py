"""The benchmarks measure everything, and measure things that compute the same."""

import os
import re
import subprocess
import sys
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from cases import ALL_FUNCTIONS

import fastact

pytest.importorskip("rich")
from bench import __main__ as command
from bench import peers, report, summary
from bench.ceilings import copies
from bench.cells import ACTIVATIONS, Cell, cells
from bench.contenders import GENERAL, agreeing, contenders
from bench.results import OURS, Record, Result, against_each, against_fastest, ratios
from fastact.lab.from_table import source
from fastact.lab.timing import interleaved, pinned

SMALL = cells(sizes=[100])


def test_cells_are_every_function_of_the_table_in_both_precisions():
    measured = {(cell.function, cell.dtype) for cell in SMALL}
    for function in ALL_FUNCTIONS:
        assert {(str(function), dtype) for dtype in ("float32", "float64")} <= measured


def test_cells_are_every_function_along_an_axis_and_of_gradients():
    expected = {"softmax", "softmax_backward", "batch_norm", "batch_norm_backward"}
    expected |= {"bias_activation", "bias_activation_backward"}
    expected |= {"batch_norm_inference", "global_norm"}
    expected |= {"clip_by_value", "clip_by_norm", "clip_by_global_norm"}
    assert {cell.function for cell in SMALL} >= expected


def test_every_cell_has_a_name_of_its_own_and_a_numpy_idiom():
    assert len({cell.id for cell in SMALL}) == len(SMALL)
    for cell in SMALL:
        made, absent = contenders(cell, ["numpy"])
        assert {"fastact", "numpy"} <= made.keys() and not absent


def test_pure_python_is_left_out_of_large_sizes():
    def is_there(cell):
        return "python" in contenders(cell, ["python"])[0]

    assert not any(map(is_there, cells(["float32"], [10_000])))
    assert any(map(is_there, SMALL))


def flat(result):
    """All numbers of a result: of an array, or of a nest of lists, tuples and arrays."""
    if isinstance(result, (list, tuple)):
        return np.concatenate([flat(item) for item in result])
    return np.ravel(result)


INSTALLED = [name for name in peers.MODULES if not peers.missing(name)]


@pytest.mark.parametrize("cell", SMALL, ids=lambda cell: cell.id)
def test_all_contenders_compute_the_same(cell: Cell):
    made, _ = contenders(cell, GENERAL)
    expected = flat(made.pop(OURS)())
    tolerance = 2e-5 if cell.dtype == "float32" else 1e-12
    for contender, call in made.items():
        np.testing.assert_allclose(
            flat(call()), expected, rtol=tolerance, atol=tolerance, err_msg=contender
        )


@pytest.mark.filterwarnings("ignore")  # they have plenty
@pytest.mark.parametrize(
    "peer", [name for name in INSTALLED if name != "python"]
)  # it has no float32
def test_other_libraries_are_asked_for_the_same(peer):
    """Nothing is left out for a reason but that a library has no such function."""
    some = ("tanh", "dish", "softshrink") if peer in ("numba", "torch.compile") else ACTIVATIONS
    for cell in cells(["float32"], [100]):
        if cell.op in some:
            made, absent = contenders(cell, [peer])
            assert agreeing(made) == {}
            assert list(absent.values()) in ([], [f"no {cell.function}"])


@pytest.mark.parametrize("cell", SMALL, ids=lambda cell: cell.id)
def test_arrays_keep_the_precision_of_the_cell(cell: Cell):
    made, _ = contenders(cell, ["numpy"])
    for call in made.values():
        result = call()
        arrays = result if isinstance(result, (list, tuple)) else [result]
        for array in arrays:
            if isinstance(array, np.ndarray):
                assert array.dtype == cell.dtype


def test_who_computes_something_else_is_left_out_by_name():
    def fails():
        raise ArithmeticError("not today\nat all")

    x = np.linspace(0, 1, 5)
    calls = {
        "fastact": lambda: x,
        "same": lambda: x + 1e-6,
        "other": lambda: x + 1,
        "wide": lambda: x.astype(np.longdouble),
        "pair": lambda: (x, x),
        "fails": fails,
    }
    assert agreeing(calls) == {
        "other": "not what fastact computes",
        "wide": "not what fastact computes",
        "pair": "2 results instead of 1",
        "fails": "ArithmeticError: not today",
    }
    assert list(calls) == ["fastact", "same"]


@pytest.mark.parametrize("arrays", [True, False])
@pytest.mark.parametrize("function", ALL_FUNCTIONS, ids=str)
def test_idioms_waste_nothing(function, arrays):
    """Constants are numbers, nothing is computed twice, cubes are products."""
    text = source(str(function), {}, arrays=arrays).split("\n", 1)[1]
    assert not re.search(r"sqrt\([^a-z]*\)|\bpi\b|\*\* [3-9]|\b1 \* |/ 1\b(?!\.)", text), text
    calls = re.findall(r"\b(?:exp|expm1|log|log1p|tanh|erf|erfc|sqrt)\([^()]*\)", text)
    assert len(calls) == len(set(calls)) or " if " in text, text


def test_idioms_are_what_people_write():
    def body(name):
        return source(name, {}, arrays=True).split("\n    ", 1)[1].strip()

    assert body("relu") == "return np.maximum(x, 0)"
    assert body("relu6") == "return np.clip(x, 0, 6)"
    assert body("relu_derivative") == "return (x > 0).astype(x.dtype)"
    assert body("sigmoid") == "return 1 / (1 + np.exp(-x))"
    assert body("sigmoid_derivative") == "t0 = 1 / (1 + np.exp(-x))\n    return t0 * (1 - t0)"
    assert body("tanhshrink_backward") == "return grad * np.tanh(x) ** 2"
    assert body("identity") == "return np.copy(x)"
    assert body("identity_derivative") == "return np.full_like(x, 1)"


def result(contender, least, median=None, *, op="tanh", form="forward"):
    return Result(op, form, "float32", 1000, contender, least, median or least)


RESULTS = [
    result("fastact", 1e-6, 2e-6),
    result("fastact out=", 0.8e-6, 2e-6),
    result("numpy", 8e-6, 10e-6),
    result("torch", 3e-6, 4e-6),
    result("torch out=", 2e-6, 4e-6),
    result("fastact", 4e-6, 4e-6, form="backward"),
    result("numpy", 2e-6, 4e-6, form="backward"),
    result("numpy.copyto", 1e-6, op="copy"),
]
MACHINE = {"cpu": {"model": "an abacus"}, "fastact": {"isa": "scalar"}}


def text_of(table):
    console = report.console()
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_ratios_are_the_rival_over_fastact():
    pairs = {(r.name, r.subject.contender, r.rival.contender): r for r in ratios(RESULTS)}
    assert len(pairs) == 2 * 3 + 1
    forward = pairs["tanh forward", "fastact", "numpy"]
    backward = pairs["tanh backward", "fastact", "numpy"]
    assert (forward.by_min, forward.by_median, forward.subject.ns) == pytest.approx((8, 5, 1))
    assert (backward.by_min, backward.by_median) == pytest.approx((0.5, 1))


def test_best_form_meets_best_form():
    forward, backward = against_fastest(RESULTS)
    assert (forward.subject.contender, forward.rival.contender) == ("fastact out=", "torch out=")
    assert forward.by_min == pytest.approx(2.5)
    assert (backward.rival.contender, backward.by_min) == ("numpy", pytest.approx(0.5))
    each = {(r.name, r.rival.library): r.by_min for r in against_each(RESULTS)}
    assert each["tanh forward", "numpy"] == pytest.approx(10)
    assert each["tanh forward", "torch"] == pytest.approx(2.5)


def test_standing_names_who_is_faster():
    text = text_of(report.standing(RESULTS))
    behind = text.split("1 of 2 cells where a peer is faster")[1]
    for expected in ("tanh backward", "0.500x", "numpy"):
        assert expected in behind
    assert "tanh forward" not in behind
    fresh = text.split("results made anew on both sides")[1].split("The fastest peer")[0]
    assert "1.22x" in fresh  # of 3 and 0.5


def test_comparison_is_of_two_runs(tmp_path, capsys):
    now = [result("fastact out=", 0.4e-6), result("fastact", 5e-6), result("numpy", 8e-6)]
    now += [result("fastact", 8e-6, form="backward"), result("fastact", 1e-6, op="new")]
    for name, results in ("old", RESULTS), ("new", now):
        Record(MACHINE, list(results)).save(tmp_path / name)
    command.main(["--compare", str(tmp_path / "old"), str(tmp_path / "new")])
    text = capsys.readouterr().out
    gained, lost = text.split("Gained most")[1].split("Lost most")
    assert re.search(r"tanh forward .* 2\.00x .* 0\.8 .* 0\.4\b", gained.splitlines()[4])
    assert re.search(r"tanh backward .* 0\.500x", lost.splitlines()[4])
    assert re.search(r"numpy .* 1\.00x", text.split("What did not change")[1])
    assert "new forward" not in text


def test_summary_of_a_file_has_the_geometric_mean_and_the_worst_cell(tmp_path, capsys):
    two = [r for r in RESULTS if r.contender in ("fastact", "numpy")]
    Record(MACHINE, two).save(tmp_path / "results.json")
    summary.main([str(tmp_path / "results.json")])
    overview = capsys.readouterr().out.split("Over all cells")[1]
    for expected in ("tanh backward", "2.00x", "2.24x", "0.500x", "an abacus", "scalar"):
        assert expected in overview


def test_the_suite_writes_what_summary_reads(tmp_path, capsys):
    path = tmp_path / "suite.json"
    chosen = "softsign-forward and float32 and 100-"
    suite = [sys.executable, "-m", "pytest", "bench", "-q", "-k", chosen]
    suite += ["-p", "no:cacheprovider", f"--benchmark-json={path}"]
    alone = {key: value for key, value in os.environ.items() if "XDIST" not in key}
    subprocess.run(suite, check=True, cwd=Path(report.__file__).parents[1], env=alone)
    made = {result.contender for result in Record.load(path).results}
    assert made == {"fastact", "numpy", "python"}
    summary.main([str(path)])
    assert "fastact: times faster than python" in capsys.readouterr().out


def test_a_record_replaces_what_it_has_of_a_cell(tmp_path):
    record = Record(MACHINE, list(RESULTS))
    cell = RESULTS[0].cell
    record.replace(cell, [result("fastact", 3e-6), result("numpy", 9e-6)], {"jax out=": "no"})
    record.save(tmp_path / "deep" / "results.json")
    again = Record.load(tmp_path / "deep" / "results.json")
    assert again == record
    assert len(again.results) == 5
    assert again.has(cell, ["numpy", "jax"]) and not again.has(cell, ["torch"])
    assert not again.has("softmax-forward-float32-1000@1", [])


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command on a few small cells; its output, and what is on file."""
    few = ["--only", "^(relu6|gelu) (forward|backward)", "--sizes", "100", "--threads", "1"]
    few += ["--rounds", "2", "--file", str(tmp_path / "peers.json")]

    def run(*arguments):
        command.main([*few, *arguments])
        return capsys.readouterr().out, Record.load(tmp_path / "peers.json")

    return run


def test_the_command_measures_what_is_installed_and_goes_on(run, monkeypatch):
    _, first = run("--peers", "numpy,scipy", "--dtypes", "float32")
    assert {r.contender for r in first.results if (r.op, r.form) == ("gelu", "forward")} == {
        "fastact",
        "fastact out=",
        "numpy",
        "scipy",
    }
    assert all(0 < r.min <= r.median for r in first.results)
    assert first.absent["relu6-forward-float32-100@1"] == {"scipy": "no relu6"}
    assert first.machine["fastact"]["isa_that_ran"] == fastact.get_isa()
    assert first.machine["peers"]["numpy"] == np.__version__

    text, second = run("--peers", "numpy,scipy", "--dtypes", "float32,float64")
    assert [r for r in second.results if r.dtype == "float32"] == first.results
    assert {r.cell for r in second.results if r.dtype == "float64"} == {
        f"{op}-{form}-float64-100@1" for op in ("relu6", "gelu") for form in ("forward", "backward")
    }
    assert "fastact against the fastest peer: float64, n = 100" in text

    _, third = run("--peers", "numpy", "--dtypes", "float32", "--again")
    assert {r.library for r in third.results if r.dtype == "float32"} == {"fastact", "numpy"}


def test_a_peer_that_is_not_installed_is_left_out_by_name(run, monkeypatch):
    monkeypatch.setitem(peers.NEEDS, "thinc", ("thinc", "no_such_package"))
    text, record = run("--peers", "numpy,thinc", "--dtypes", "float32")
    assert re.search(r"left out: thinc \(.*no_such_package not installed\)", text)
    assert {r.library for r in record.results} == {"fastact", "numpy"}


def test_another_machine_needs_another_file(run, tmp_path):
    Record(MACHINE).save(tmp_path / "peers.json")
    with pytest.raises(SystemExit, match="an abacus"):
        run("--peers", "numpy")


def test_pictures_are_drawn_of_a_run(run, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(command, "STREAMED", 100)
    text, record = run("--peers", "numpy", "--dtypes", "float32", "--pictures")
    assert "numpy.copyto" in {r.contender for r in record.results if r.op == "copy"}
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {"ratios-1.png", "roofline-float32-1.png"}
    assert all(f"{name}" in text.replace("\n", "") for name in drawn)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 1000, 100_001])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_streaming_copy_copies(size, threads):
    source, to = np.arange(size, dtype=np.uint8), np.zeros(size + 7, np.uint8)
    for name, copy in copies(source, to[3 : size + 3], threads).items():
        to[:] = 9
        copy()
        assert np.array_equal(to[3 : size + 3], source), name
        assert (to[:3] == 9).all() and (to[size + 3 :] == 9).all()


def test_threads_are_a_matter_of_large_arrays():
    options = command._parser().parse_args(["--threads", "1,2", "--sizes", "100,16e6"])
    options.forms, options.dtypes = ["forward"], ["float32"]
    found = command.chosen(options)
    assert {threads for threads, name in found if name.endswith("-100")} == {1}
    assert {threads for threads, name in found if name.endswith("-16000000")} == {1, 2}
    assert [name for _, name in found if name.startswith("copy")] == [
        "copy-forward-float32-16000000"
    ] * 2


def test_after_a_pause_a_call_does_not_count():
    calls = []
    times = interleaved({"a": lambda: calls.append("a")}, rounds=3, min_time=0, pause=1e-4)
    assert len(calls) == 1 + 3 * 2 and len(times["a"]) == 3


def test_who_has_lost_is_left_alone():
    def waits():
        sleep(0.002)

    times = interleaved({"fast": int, "slow": waits}, rounds=6, min_time=0, patience=100)
    assert len(times["fast"]) == 6
    assert len(times["slow"]) == 1


def test_interleaved_calls_take_turns_and_each_is_sampled_every_round():
    calls = []
    times = interleaved(
        {name: lambda name=name: calls.append(name) for name in "ab"}, rounds=5, min_time=0
    )
    assert "".join(calls) == "ab" + "abbaabbaab"  # a warm-up, and who is first rotates
    assert [len(samples) for samples in times.values()] == [5, 5]
    with pytest.raises(ValueError, match="rounds"):
        interleaved({}, rounds=0)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system pins no threads")
def test_pinned_is_one_core_and_undone_afterwards():
    before = os.sched_getaffinity(0)
    with pinned() as cores:
        assert os.sched_getaffinity(0) == cores and len(cores) == 1
    assert os.sched_getaffinity(0) == before
    with pinned(1000) as cores:
        assert os.sched_getaffinity(0) == cores == before
