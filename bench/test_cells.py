from dataclasses import replace

import pytest

from bench.cells import cells
from bench.contenders import GENERAL, contenders


def taking_turns():
    """Every cell with each of its contenders: found at a size that costs nothing to ask for."""
    for cell in cells():
        for contender in contenders(replace(cell, size=100), GENERAL)[0]:
            yield cell, contender


@pytest.mark.benchmark(max_time=0.1, min_rounds=5, disable_gc=True)
@pytest.mark.parametrize(
    ("cell", "contender"),
    [
        pytest.param(cell, contender, id=f"{cell.id}-{contender}")
        for cell, contender in taking_turns()
        if "out=" not in contender and (cell.size == 100 or contender != "python")
    ],
)
def test_cell(measure, cell, contender):
    measure(cell, contender)
