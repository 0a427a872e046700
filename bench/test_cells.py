import pytest

from bench.cells import cells


@pytest.mark.benchmark(max_time=0.1, min_rounds=5, disable_gc=True)
@pytest.mark.parametrize(
    ("cell", "contender"),
    [
        pytest.param(cell, contender, id=f"{cell.id}-{contender}")
        for cell in cells()
        for contender in cell.contenders()
    ],
)
def test_cell(measure, cell, contender):
    measure(cell, contender)
