import pytest

from bench import machine
from bench.contenders import GENERAL, contenders
from fastact.lab.timing import pinned


@pytest.fixture(scope="session", autouse=True)
def one_core():
    with pinned():
        yield


@pytest.fixture
def measure(benchmark):
    """Time one contender of a cell, and say in the results which it was."""

    def measure(cell, contender):
        benchmark.group = cell.id
        for fact in ("op", "form", "dtype", "size"):
            benchmark.extra_info[fact] = getattr(cell, fact)
        benchmark.extra_info["contender"] = contender
        calls, _ = contenders(cell, GENERAL)
        benchmark(calls[contender])

    return measure


def pytest_benchmark_update_machine_info(machine_info):
    machine_info.update(machine.describe())


def pytest_benchmark_update_json(output_json):
    """Leave out the single samples: a hundred megabytes that the statistics sum up."""
    for entry in output_json["benchmarks"]:
        entry["stats"].pop("data", None)
