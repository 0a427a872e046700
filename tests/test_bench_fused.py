"""The bench of fused passes: both ways compute the same, and the command runs."""

import numpy as np
import pytest

pytest.importorskip("rich")
from cases import assert_all_same_bits, outputs

from bench import fused


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", fused.OPS)
@pytest.mark.parametrize("what", fused.PASSES)
def test_both_ways_compute_the_same(what, op, dtype):
    calls = fused.ways(fused.PASSES[what], (24, 7), op, dtype)
    first, second = (tuple(np.array(a) for a in outputs(call())) for call in calls.values())
    if "backward" in what:  # sums are not added up in the same order
        for one, other in zip(first, second, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    else:
        assert_all_same_bits(first, second)


def test_command(monkeypatch, capsys):
    monkeypatch.setattr(fused, "SHAPES", ((4, 3),))
    fused.main(["--rounds", "1", "--dtypes", "float32"])
    shown = capsys.readouterr().out
    assert all(what in shown for what in fused.PASSES)
