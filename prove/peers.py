"""What other libraries make of every 251st float32, by the measure of our own kernels.

Every peer is called by the arguments that make it our function at our default parameters, and
differentiated by its own means. `NOTES` says where it is not quite the same function. Peers that
are not installed are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
from rich.progress import Progress

import fastact
from bench.peers import missing, peer
from prove import float32, native, record
from prove.choice import Case, Choice
from prove.page import ISAS

STRIDE = 251  # a prime: all exponents, and mantissas that do not repeat
BLOCK = 1 << 20
AHEAD = 1  # ULPs by which a peer must be better to be ahead

Function = Callable[[np.ndarray], np.ndarray]
Table = dict[str, tuple[Function, Function | None]]  # of an op: f, and f' where the peer has it

NOTES = {
    ("leaky_relu", "jax"): "f'(0) is 1",
    ("softplus", "torch"): "x itself from 20 on, which is less than half an ULP off",
}


def from_numpy() -> Table:
    """What people write: the table's own formulas, with no thought for the tails."""
    idioms = import_module("fastact.lab.idioms")
    names = [op.name for op in fastact.ops()]
    return {name: (getattr(idioms, name), getattr(idioms, f"{name}_derivative")) for name in names}


def from_scipy() -> Table:
    """What those write who have SciPy, where it has a function for it."""
    find = peer("scipy").find
    table = {op.name: (find(op.name), find(f"{op.name}_derivative")) for op in fastact.ops()}
    return {name: (f, slope) for name, (f, slope) in table.items() if f}


def from_torch() -> Table:
    """Eager functions; f' by autograd."""
    torch = import_module("torch")

    def value(f: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
        return f(torch.from_numpy(x)).numpy()

    def gradient(f: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
        leaf = torch.from_numpy(x).requires_grad_()
        (found,) = torch.autograd.grad(f(leaf), leaf, torch.ones_like(leaf))
        return found.numpy()

    functions = peer("torch").FORWARD
    return {name: (partial(value, f), partial(gradient, f)) for name, f in functions.items()}


def from_jax() -> Table:
    """Compiled functions; f' by its vector-Jacobian product."""
    jax = peer("jax")

    def compiled(name: str) -> Function:
        fast = jax.jitted(name)
        return lambda x: np.asarray(fast(x))

    return {name: (compiled(name), compiled(f"{name}_derivative")) for name in jax.FUNCTIONS}


def from_onnxruntime() -> Table:
    """A model of one node each; it has no f'."""
    nodes = peer("onnxruntime")

    def one_node(name: str) -> Function:
        session = nodes.session_of(name, "float32")
        return lambda x: session.run(None, {"x": x})[0]

    return {name: (one_node(name), None) for name in nodes.NODES}


PEERS = {
    "numpy": from_numpy,
    "scipy": from_scipy,
    "torch": from_torch,
    "jax": from_jax,
    "onnxruntime": from_onnxruntime,
}


@cache
def peers() -> dict[str, Table]:
    """The tables of what is installed, by name and version."""
    return {
        f"{name} {version(name).split('+')[0]}": table()
        for name, table in PEERS.items()
        if not missing(name)
    }


def prove(choice: Choice, progress: Progress) -> Iterator[list[record.Result]]:
    """Measure what is not on record yet, an op at a time."""
    stride = STRIDE if choice.stride == 1 else choice.stride
    known = {record.key(r) for r in record.load() if r["stride"] == stride}
    work = []
    for op in choice.rows():
        case = Case(op, tuple(p.default for p in op.parameters))
        functions = {peer: table[op.name] for peer, table in peers().items() if op.name in table}
        keys = {(op.name, case.params, "f", "float32", peer) for peer in functions}
        if choice.again or not keys <= known:
            work.append((case, functions))
    task = progress.add_task("peers", total=len(work) * -(-float32.PATTERNS // stride))
    for case, functions in work:
        progress.update(task, description=str(case))
        yield results(case, functions, stride, lambda n: progress.advance(task, n))


def results(
    case: Case,
    functions: dict[str, tuple[Function, Function | None]],
    stride: int,
    advance: Callable[[int], None] = lambda n: None,
) -> list[record.Result]:
    """Measure some peers' f and f' on every stride-th pattern."""
    proof = float32.proof(case, [0] * len(functions), stride)
    for x in blocks(stride):
        with np.errstate(all="ignore"):
            got = [f and f(x) for both in functions.values() for f in both]
        native.judge(proof, x, got)
        advance(x.size)
    return [
        {
            "op": case.op.name,
            "params": list(case.params),
            "form": form,
            "dtype": "float32",
            "isa": peer,
            "count": proof.count,
            "stride": stride,
            "max_ulp": tally.max_ulp,
            "at": tally.at,
            "over_1": tally.over_1,
            "nan_faults": tally.nan_faults,
            "sign_faults": tally.sign_faults,
            **({"note": NOTES[key]} if (key := (case.op.name, peer.split()[0])) in NOTES else {}),
        }
        for (peer, both), run in zip(functions.items(), proof.run[: proof.runs], strict=True)
        for form, f, tally in zip("fd", both, run.tally, strict=True)
        if f
    ]


def blocks(stride: int) -> Iterator[np.ndarray]:
    """Every stride-th float32, a block at a time."""
    for first in range(0, float32.PATTERNS, BLOCK * stride):
        last = min(first + BLOCK * stride, float32.PATTERNS)
        yield np.arange(first, last, stride, dtype=np.uint64).astype(np.uint32).view(np.float32)


def ahead(found: Iterable[record.Result]) -> list[tuple[record.Result, record.Result]]:
    """Peers whose worst case is better than ours by more than an ULP, each with our worst."""

    def cell(result: record.Result) -> tuple[Any, ...]:
        return result["op"], tuple(result["params"]), result["form"], result["dtype"]

    ours: dict[tuple[Any, ...], record.Result] = {}
    theirs = []
    for result in found:
        if result["isa"] not in ISAS:
            theirs.append(result)
        elif result["max_ulp"] > ours.get(cell(result), {"max_ulp": -1})["max_ulp"]:
            ours[cell(result)] = result
    return [
        (result, mine)
        for result in theirs
        if (mine := ours.get(cell(result))) and mine["max_ulp"] > result["max_ulp"] + AHEAD
    ]
