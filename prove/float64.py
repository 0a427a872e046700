"""A million float64 numbers and more through the kernels of every ISA, against MPFR.

The numbers are bit patterns of every exponent, every scale where something happens, and the places
where kernels break: wherever an exact value begins to vanish, to overflow, to stay or to change its
sign, and the seams of exp's range reduction.
"""

from __future__ import annotations

import math
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import chain, pairwise

import numpy as np
from rich.progress import Progress

import fastact
from prove import record
from prove.choice import Case, Choice
from prove.mpfr import Reference, Value
from prove.sources import fingerprint
from tests.oracle import kinks
from tests.ulp import near_roots, ulp_error

CHUNK = 1 << 14  # points a process takes at a time, and what is reported
BLOCK = 1 << 10  # points between two looks at the flags
PROCESSES = 2
FORMS = {"f": "forward", "d": "derivative"}
TINY, HUGE = np.finfo(np.float64).tiny, np.finfo(np.float64).max
MAY_BE_TINY, MAY_BE_HUGE = TINY * (1 + 2**-50), HUGE * (1 - 2**-50)  # a kernel may round across


# ---- which points


def places(x: np.ndarray) -> np.ndarray:
    """Where numbers are in the order of all float64 numbers; 0 is at 0."""
    bits = np.asarray(x, np.float64).view(np.int64)
    return np.where(bits >= 0, bits, -(bits & np.iinfo(np.int64).max))


def numbers(places: np.ndarray) -> np.ndarray:
    """The numbers at some places."""
    return np.copysign(np.abs(places).view(np.float64), places)


def edges(reference: Reference) -> np.ndarray:
    """The places after which some value is of another kind, found by bisection; and 0."""
    limits = reference(-math.inf), reference(math.inf)

    def kind(x: float, value: Value, *limits: Value) -> tuple:
        """What changes rarely: sign, vanishing, being finite, and being x or a limit."""
        y = value.nearest
        return (
            value.sign,
            abs(y) < TINY,
            math.isfinite(y),
            y == x,
            *(y == z.nearest for z in limits),
        )

    def kinds(x: float) -> list[tuple]:
        return [kind(x, *values) for values in zip(reference(x), *limits, strict=True)]

    def between(low: int, high: int, before: tuple, after: tuple, k: int) -> Iterator[int]:
        """Where the k-th value changes between two places."""
        while before != after:
            top = high
            while top - low > 1:
                middle = (low + top) // 2
                same = kinds(float(numbers(np.int64(middle))))[k] == before
                low, top = (middle, top) if same else (low, middle)
            yield low
            low, before = top, kinds(float(numbers(np.int64(top))))[k]

    powers = np.ldexp(1.0, np.arange(-1074, 1024, 2))
    grid = np.unique(np.concatenate([-powers, powers, np.linspace(-50, 50, 2001)]))
    seen, found = [kinds(x) for x in grid.tolist()], {0}
    for ends, sides in zip(pairwise(places(grid).tolist()), pairwise(seen), strict=True):
        for k, pair in enumerate(zip(*sides, strict=True)):
            found.update(between(*ends, *pair, k))
    return np.array(sorted(found))


def seams(params: tuple[float, ...]) -> np.ndarray:
    """Odd multiples of ln(2)/2, where exp(t) changes its power of two, as t = x, 2 x, x^2, x^2 / 2.

    Parameters may scale x, and so does quick_gelu.
    """
    odd = np.arange(1, 2151, 2) * (math.log(2) / 2)
    once = np.concatenate([odd, odd / 2, np.sqrt(odd), np.sqrt(2 * odd)])
    scales = [s for p in (1, 1.702, *params) if p for s in (p, 1 / p)]
    return np.concatenate([sign * once * scale for scale in scales for sign in (-1, 1)])


def sample(case: Case, count: int) -> np.ndarray:
    """`count` numbers or a few more in ascending order, the same each time; NaNs last."""
    rng = np.random.default_rng(64)
    share = count // 20
    found = edges(case.reference("float64"))
    steps = np.concatenate([np.arange(33), 2 ** np.arange(6, 52)])
    around = (found[:, None] + np.concatenate([steps, -steps])).ravel()
    signs = rng.choice([-1, 1], (2, 3 * share))
    clouds = numbers(rng.choice(found, 2 * share))
    clouds *= 1 + signs[0, : 2 * share] * np.exp2(-rng.uniform(1, 52, 2 * share))
    near_seams = places(rng.choice(seams(case.params), 2 * share)) + rng.integers(-2, 3, 2 * share)
    x = np.concatenate(
        [
            numbers(np.clip(around, places(-HUGE), places(HUGE))),
            clouds,
            numbers(near_seams),
            signs[1] * np.exp2(rng.uniform(-60, 11, 3 * share)),
            rng.normal(0, 3, 2 * share),
            rng.uniform(-40, 40, 3 * share),
            rng.uniform(-750, 750, share),
            [-0.0, 0.0, math.inf, -math.inf],
        ]
    )
    chosen = np.unique(x.view(np.uint64))
    patterns = rng.integers(0, 2**64, max(count - chosen.size, share), dtype=np.uint64)
    return np.sort(np.concatenate([chosen, patterns]).view(np.float64))


# ---- what the kernels make of them


@dataclass
class Tally:
    """What was counted of one output of one ISA."""

    count: int = 0
    max_ulp: float = -1.0  # so that even an error of 0 has a place
    at: float = math.nan
    over_1: int = 0
    nan_faults: int = 0
    sign_faults: int = 0
    flag_faults: int = 0
    faults: str = ""  # the first ones in words

    def add(self, other: Tally) -> None:
        """Count what another has counted, too."""
        if other.max_ulp > self.max_ulp:
            self.max_ulp, self.at = other.max_ulp, other.at
        self.faults = self.faults or other.faults
        for name in ("count", "over_1", "nan_faults", "sign_faults", "flag_faults"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class Wanted:
    """What one output should be at some x."""

    x: np.ndarray
    nearest: np.ndarray
    rest: np.ndarray
    sign: np.ndarray  # 0 where any will do
    coarse: np.ndarray  # where an ULP is at least that of 1/16
    pole: np.ndarray  # where it is infinite, not too large


@cache
def prepared(name: str, params: tuple[float, ...]) -> tuple[Case, Reference, tuple[float, ...]]:
    """A case, what gives its exact values, and the roots of its f'."""
    case = Case(next(op for op in fastact.ops() if op.name == name), params)
    return case, case.reference("float64"), case.roots()


def wanted(name: str, params: tuple[float, ...], x: np.ndarray) -> list[Wanted]:
    """Exact f and f'."""
    case, reference, roots = prepared(name, params)
    (f, f_rest, f_sign), (d, d_rest, d_sign) = reference.values(x)
    for at, slope in kinks(name, *params):
        d[np.isnan(d) & (places(x) == places(float(at)))] = float(slope)  # the text divides 0 by 0
    coarse = near_roots(x, roots) if roots else np.zeros(x.shape, bool)
    f_sign = np.where((x == 0) & (f == 0), np.copysign(1, x), f_sign)  # -0 keeps its sign
    end = np.isfinite(x) & np.isin(x, case.op.domain)
    return [
        Wanted(x, f, f_rest, f_sign, np.zeros_like(coarse), end & np.isinf(f)),
        Wanted(x, d, d_rest, np.where(coarse, 0, d_sign), coarse, end & np.isinf(d)),
    ]


def count(got: np.ndarray, flags: list[set[str]], want: Wanted) -> Tally:
    """Compare results, and the flags that their blocks raised, with what is wanted."""
    error = np.nan_to_num(ulp_error(got, want.nearest, want.rest, want.coarse), posinf=math.inf)
    worst = int(np.argmax(error))
    nan = np.flatnonzero(np.isnan(got) != np.isnan(want.nearest))
    sign = np.flatnonzero(~np.isnan(got) & (want.sign * np.copysign(1, got) < 0))
    blocks = [slice(start, start + BLOCK) for start in range(0, got.size, BLOCK)]
    due = [flags_due(want, got, block) for block in blocks]
    flag = [k for k, (least, most) in enumerate(due) if not least <= flags[k] <= most]
    words = [f"NaN or no NaN at {float(want.x[k])!r}" for k in nan[:1]]
    words += [f"the sign at {float(want.x[k])!r}" for k in sign[:1]]
    for k in flag[:1]:
        raised, (least, most) = flags[k], due[k]
        names = ", ".join(sorted(raised - most | least - raised))
        words.append(f"the flags ({names}) from {float(want.x[blocks[k].start])!r} on")
    return Tally(
        count=got.size,
        max_ulp=float(error[worst]),
        at=float(want.x[worst]),
        over_1=int(np.count_nonzero(error > 1)),
        nan_faults=nan.size,
        sign_faults=sign.size,
        flag_faults=len(flag),
        faults="wrong: " + "; ".join(words) if words else "",
    )


def flags_due(want: Wanted, got: np.ndarray, block: slice) -> tuple[set[str], set[str]]:
    """The flags that a block of results must raise, and those that it may."""
    x, y, pole = want.x[block], want.nearest[block], want.pole[block]
    huge = np.isfinite(x) & (np.abs(y) >= MAY_BE_HUGE) & ~pole
    inexact = (want.rest[block] != 0) | (y == 0) & (want.sign[block] != 0) & (x != 0)
    must = {
        "invalid value": np.isnan(y) & ~np.isnan(x),
        "divide by zero": pole,
        "overflow": huge & np.isinf(got[block]),
    }
    may = {"overflow": huge, "underflow": (np.abs(y) < MAY_BE_TINY) & inexact}
    least = {name for name, mask in must.items() if mask.any()}
    return least, least | {name for name, mask in may.items() if mask.any()}


def run(case: Case, form: str, x: np.ndarray) -> tuple[np.ndarray, list[set[str]]]:
    """The results of a form, and the flags that each block raised."""
    function, out, flags = case.op.functions[FORMS[form]], np.empty_like(x), []
    for start in range(0, x.size, BLOCK):
        block, raised = slice(start, start + BLOCK), set()
        with np.errstate(all="call", call=lambda name, _, raised=raised: raised.add(name)):
            function(x[block], *case.params, out=out[block])
        flags.append(raised)
    return out, flags


def chunk(
    name: str, params: tuple[float, ...], isas: list[str], x: np.ndarray
) -> list[list[Tally]]:
    """The tallies of some points: of each ISA f's and that of f'."""
    case, wants, tallies = prepared(name, params)[0], wanted(name, params, x), []
    for isa in isas:
        with fastact.isa(isa):
            tallies.append(
                [count(*run(case, form, x), w) for form, w in zip(FORMS, wants, strict=True)]
            )
    return tallies


def prove(choice: Choice, progress: Progress) -> Iterator[list[record.Result]]:
    """Prove what is not on record yet, a case at a time."""
    known = {record.key(r): r for r in record.load()}

    def done(case: Case, isa: str) -> bool:
        found = [known.get(key(case, isa, form)) for form in FORMS]
        return all(r and holds(r, choice.points) for r in found)

    cases = choice.cases()
    task = progress.add_task("float64", total=choice.points * len(cases))
    spawn = multiprocessing.get_context("spawn")
    ignore = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is this process's
    pool = ProcessPoolExecutor(PROCESSES, spawn, ignore)
    try:
        for case in cases:
            progress.update(task, description=f"{case}, float64")
            isas = [isa for isa in choice.isas if choice.again or not done(case, isa)]
            if isas:
                yield results(case, isas, choice.points, pool.map)
            progress.advance(task, choice.points)
    finally:
        pool.shutdown(cancel_futures=True)


def key(case: Case, isa: str, form: str) -> tuple:
    """A result's key in the record."""
    return case.op.name, case.params, form, "float64", isa


def holds(result: record.Result, count: int) -> bool:
    """Whether a result is of these very kernels, and of enough points."""
    return (
        result["kernels"] == fingerprint(result["op"], result["isa"]) and result["count"] >= count
    )


def results(
    case: Case, isas: list[str], points: int, spread: Callable[..., Iterable] = map
) -> list[record.Result]:
    """Prove one case on some ISAs; `spread` is a map that spreads the work."""
    x = sample(case, points)
    work = partial(chunk, case.op.name, case.params, isas)
    totals = [[Tally() for _ in FORMS] for _ in isas]
    for tallies in spread(work, np.array_split(x, -(-x.size // CHUNK))):
        for total, found in zip(chain(*totals), chain(*tallies), strict=True):
            total.add(found)
    return [
        {
            **dict(zip(record.KEY, key(case, isa, form), strict=True)),
            "params": list(case.params),
            "stride": 0,
            **{name: value for name, value in asdict(tally).items() if value != ""},
            "kernels": fingerprint(case.op.name, isa),
        }
        for isa, tallies in zip(isas, totals, strict=True)
        for form, tally in zip(FORMS, tallies, strict=True)
    ]
