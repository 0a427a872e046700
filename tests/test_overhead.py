"""The bench of calls: every function of the table that takes `out=`, against numpy.negative."""

import pytest
from cases import ALL_FUNCTIONS

pytest.importorskip("rich")
from bench import overhead


def test_every_function_with_out_takes_part():
    names = {name for name, _ in overhead.contenders("")}
    assert names == {"numpy.multiply", "numpy.modf"} | {
        str(f) for f in ALL_FUNCTIONS if f.op.kind != "parameter_gradient"
    }


def test_who_misses_the_bar_is_named():
    slow = overhead.Overhead("slow", 4e-7, 1e-8, 1.4, 1.38)
    fast = overhead.Overhead("fast", 4e-7, 1e-7, 1.4, 1.1)
    assert overhead.verdict([slow, fast]) == "1 of 2 within 1.3 times numpy.negative; not slow 1.38"
    assert overhead.render([slow, fast]).row_count == 2


def test_measures_each_size():
    each = overhead.measure(*list(overhead.contenders("^glu_backward$"))[-1], rounds=2)
    assert each.function == "glu_backward"
    assert each.call > 0 and each.ratio > 0
