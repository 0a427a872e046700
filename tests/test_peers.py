"""Other libraries by our measure: that it is ours, and that they are asked for our functions."""

import numpy as np
import pytest
from ulp import ulp_error

import fastact
from prove import peers, record
from prove.choice import Case

OPS = {op.name: op for op in fastact.ops()}
STRIDE = 100_003
PEERS = peers.peers()


def case_of(name):
    return Case(OPS[name], tuple(p.default for p in OPS[name].parameters))


def measured(name, f, slope=None):
    """The results of a peer that computes `f` and `slope`."""
    return peers.results(case_of(name), {"someone 1.0": (f, slope)}, STRIDE)


def test_numpy_is_a_peer_for_every_op():
    (table,) = (table for name, table in PEERS.items() if name.startswith("numpy "))
    assert table.keys() == OPS.keys()


@pytest.mark.parametrize("peer", PEERS)
def test_peers_compute_our_functions(peer):
    """A wrong argument would show as far more than what tails do to accuracy."""
    x = np.linspace(-2.9, 2.9, 60, dtype=np.float32)  # no kink, no root of f'
    for name, (f, slope) in PEERS[peer].items():
        low, high = OPS[name].domain
        inside = x[(x > low) & (x < high)]
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(f(inside), getattr(fastact, name)(inside), 1e-3, 1e-5, name)
            if slope:
                wanted = getattr(fastact, f"{name}_derivative")(inside)
                np.testing.assert_allclose(slope(inside), wanted, 1e-3, 1e-5, err_msg=name)


def test_every_pattern_has_its_turn():
    x = np.concatenate(list(peers.blocks(STRIDE)))
    assert np.array_equal(x.view(np.uint32), np.arange(0, 2**32, STRIDE, dtype=np.uint64))


def test_the_measure_is_the_ulp_of_the_tests():
    def off(x):
        with np.errstate(all="ignore"):
            return x * np.float32(1 + 2**-20)

    (result,) = measured("identity", off)
    x = np.concatenate(list(peers.blocks(STRIDE)))
    x = x[~np.isnan(x)]
    error = ulp_error(off(x), x.astype(np.float64))
    assert result["max_ulp"] == error.max() > 1
    assert result["over_1"] == np.count_nonzero(error > 1)
    assert (result["count"], result["stride"]) == (-(-(2**32) // STRIDE), STRIDE)
    assert (result["op"], result["form"], result["isa"]) == ("identity", "f", "someone 1.0")


def test_faults_are_counted():
    def no_nan(x):
        return np.where(np.isnan(x), 1, x)

    def negative(x):
        return -np.ones_like(x)

    x = np.concatenate(list(peers.blocks(STRIDE)))
    f, slope = measured("identity", no_nan, negative)
    assert f["max_ulp"] == 0
    assert f["nan_faults"] == np.count_nonzero(np.isnan(x)) > 0
    assert slope["sign_faults"] == np.count_nonzero(~np.isnan(x))


def test_results_of_another_size_are_refused():
    with pytest.raises(ValueError, match="as many results"):
        measured("identity", lambda x: x[1:])


def test_who_is_ahead():
    def result(isa, max_ulp, form="f"):
        return {
            "op": "exp",
            "params": [],
            "form": form,
            "dtype": "float32",
            "isa": isa,
            "max_ulp": max_ulp,
        }

    ours = [result("scalar", 1.0), result("avx2", 1.7), result("avx2", 0.5, "d")]
    near, far = result("torch 2.13.0", 0.7), result("jax 0.10.2", 0.6)
    assert peers.ahead([*ours, near, far, result("torch 2.13.0", 0.1, "d")]) == [(far, ours[1])]
    assert peers.ahead([near, far]) == []


def test_nobody_on_record_is_ahead():
    found = record.load()
    assert {r["op"] for r in found if r["isa"].startswith("numpy ")} == OPS.keys(), "make prove"
    assert peers.ahead(found) == []
