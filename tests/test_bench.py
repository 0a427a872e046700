"""The benchmarks measure everything, and measure things that compute the same."""

import json
import os
import re

import numpy as np
import pytest
from cases import ALL_FUNCTIONS

import fastact

pytest.importorskip("rich")
from bench import compare, report, summary
from bench.cells import OUT, Cell, cells
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
        assert cell.contenders()[:2] == ("fastact", "numpy")


def test_pure_python_is_left_out_of_large_sizes():
    assert not any("python" in cell.contenders() for cell in cells(sizes=[10_000]))
    assert any("python" in cell.contenders() for cell in SMALL)


def flat(result):
    """All numbers of a result: of an array, or of a nest of lists, tuples and arrays."""
    if isinstance(result, (list, tuple)):
        return np.concatenate([flat(item) for item in result])
    return np.ravel(result)


@pytest.mark.parametrize("cell", SMALL, ids=lambda cell: cell.id)
def test_all_contenders_compute_the_same(cell: Cell):
    expected = flat(cell.call("fastact")())
    tolerance = 2e-5 if cell.dtype == "float32" else 1e-12
    for contender in cell.contenders(out=True)[1:]:
        actual = flat(cell.call(contender)())
        np.testing.assert_allclose(
            actual, expected, rtol=tolerance, atol=tolerance, err_msg=contender
        )


@pytest.mark.parametrize("cell", SMALL, ids=lambda cell: cell.id)
def test_arrays_keep_the_precision_of_the_cell(cell: Cell):
    for contender in ("fastact", "numpy"):
        result = cell.call(contender)()
        arrays = result if isinstance(result, (list, tuple)) else [result]
        for array in arrays:
            if isinstance(array, np.ndarray):
                assert array.dtype == cell.dtype


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


RESULTS = [
    report.Result("tanh", "forward", "float32", 1000, "fastact", 1e-6, 2e-6),
    report.Result("tanh", "forward", "float32", 1000, "numpy", 8e-6, 10e-6),
    report.Result("tanh", "backward", "float32", 1000, "fastact", 4e-6, 4e-6),
    report.Result("tanh", "backward", "float32", 1000, "numpy", 2e-6, 4e-6),
]
MACHINE = {"cpu": {"model": "an abacus"}, "fastact": {"isa": "scalar"}}


def test_ratios_are_the_rival_over_fastact():
    forward, backward = report.ratios(RESULTS)
    assert (forward.by_min, forward.by_median, forward.subject_ns) == pytest.approx((8, 5, 1))
    assert (backward.by_min, backward.by_median, backward.subject_ns) == pytest.approx((0.5, 1, 4))


def test_summary_of_a_file_has_the_geometric_mean_and_the_worst_cell(tmp_path, capsys):
    report.save(tmp_path / "results.json", RESULTS, MACHINE)
    summary.main([str(tmp_path / "results.json")])
    overview = capsys.readouterr().out.split("Over all cells")[1]
    for expected in ("tanh backward", "2.00x", "2.24x", "0.500x", "an abacus", "scalar"):
        assert expected in overview


def test_verdict_names_the_cells_that_miss_a_goal():
    every, transcendental = compare.verdict(report.ratios(RESULTS))
    assert every == "all: 1 of 2 cells at least 1 times as fast; not tanh backward 0.50"
    assert transcendental.startswith("transcendental: 1 of 2 cells at least 5 times as fast")


def test_compare_saves_what_summary_reads(tmp_path, capsys):
    path = tmp_path / "compared.json"
    arguments = ["--only", "relu forward", "--size", "100", "--rounds", "3", "--out"]
    compare.main([*arguments, "--json", str(path)])
    results, machine = report.load(path)
    assert {result.contender for result in results if result.op == "relu"} >= {
        "fastact",
        "numpy",
        OUT,
    }
    assert all(0 < result.min <= result.median for result in results)
    assert machine["fastact"]["isa_that_ran"] == fastact.get_isa()
    assert json.loads(path.read_text())["machine_info"]["cpu"]["model"]
    summary.main([str(path)])
    assert "leaky_relu" in capsys.readouterr().out


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
    with pinned() as core:
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before
