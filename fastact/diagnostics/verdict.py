"""The rules by which a report says what is wrong, and where. docs/gradients.md has the reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

from fastact.diagnostics.measures import HALF_TYPES, Activation, Measures

VANISHED = 1e-4  # RMS over that of the last array, which stands next to the loss
EXPLODED = 1e4
NOTHING = 1e-8  # an RMS that Adam's epsilon outweighs
ENORMOUS = 65504.0  # an RMS that float16 cannot hold
WHOLE_WEIGHT = 1.0  # an update as large as what it updates
DEAD = 0.9  # share of units that are 0 for the whole batch
SATURATED = 0.5  # share of entries on the flat parts
LOST = 0.05  # share of numbers that a half type makes 0
MOSTLY_SUBNORMAL = 0.5  # share of numbers that it holds with fewer digits
AT_ONE_PLACE = 0.5  # share of a fall, in logarithms, that makes one layer its cause


@dataclass(frozen=True)
class Finding:
    """A verdict, the name of the array where it shows first or most, and the numbers behind it."""

    verdict: str
    culprit: str | None
    detail: str

    def __str__(self) -> str:
        where = f" at {self.culprit}" if self.culprit else ""
        return f"{self.verdict}{where}: {self.detail}"


def findings(
    gradients: Sequence[Measures],
    activations: Sequence[Activation],
    learning_rate: float | None,
    precision: str | None,
) -> list[Finding]:
    """All that is wrong, what explains most first; or that nothing is."""
    gradients = [g for g in gradients if g.size]
    if not gradients and not activations:
        return [Finding("empty", None, "there are no gradients")]
    signal = [g for g in gradients if g.rms > 0]
    found = [
        *_nonfinite(gradients, activations),
        *_dead(gradients, activations),
        *_saturated(activations),
        *_exploding(signal, learning_rate),
        *_vanishing(signal),
        *_half_type(signal, precision),
    ]
    return found or [Finding("healthy", None, _extent(signal))]


def _extent(signal: Sequence[Measures]) -> str:
    if not signal:
        return "nothing flows back, and nothing is wrong with the activations"
    rms = [g.rms for g in signal]
    return f"RMS between {min(rms):.2g} and {max(rms):.2g}"


def _nonfinite(
    gradients: Sequence[Measures], activations: Sequence[Activation]
) -> Iterator[Finding]:
    """Where it began: the first activation on the way up, the first gradient on the way down."""
    for m in [*(a.measures for a in activations), *reversed(gradients)]:
        if m.nonfinite:
            kinds = {"NaN": m.nan, "inf": m.positive_infinity, "-inf": m.negative_infinity}
            counts = ", ".join(f"{n} {kind}" for kind, n in kinds.items() if n)
            where = f"first at index {m.first_nonfinite_index}"
            yield Finding("non-finite", m.name, f"{counts} of {m.size}, {where}")
            return


def _dead(gradients: Sequence[Measures], activations: Sequence[Activation]) -> Iterator[Finding]:
    """Where the signal stops: the first activation on the way up, else gradient on the way down."""
    for a in activations:
        if a.dead >= DEAD:
            detail = f"{a.dead:.0%} of the units are 0 for the whole batch"
            yield Finding("dead", a.measures.name, detail)
            return
    zero = [g for g in gradients if g.zeros == g.size]
    if zero:
        # Above a dead layer the weights get nothing, as it sends nothing; the biases do.
        of_biases = [g for g in zero if len(g.shape) < 2]
        first = (of_biases or zero)[-1]
        detail = f"every entry is 0, as in {len(zero)} of {len(gradients)} arrays"
        yield Finding("dead", first.name, detail)


def _saturated(activations: Sequence[Activation]) -> Iterator[Finding]:
    worst = max(activations, key=lambda a: a.saturated, default=None)
    if worst and worst.saturated >= SATURATED:
        detail = f"{worst.saturated:.0%} of it lies on the flat parts of a {worst.kind}"
        yield Finding("saturated", worst.measures.name, detail)


def _exploding(signal: Sequence[Measures], learning_rate: float | None) -> Iterator[Finding]:
    if not signal:
        return
    last = signal[-1]
    relative = [g for g in signal if g.rms > EXPLODED * last.rms]
    if relative:
        yield Finding("exploding", *_place(relative, signal, max))
        return
    huge = max(signal, key=lambda g: g.rms)
    if huge.rms > ENORMOUS:
        yield Finding("exploding", huge.name, f"RMS {huge.rms:.2g}")
        return
    steps = [g for g in signal if g.update_ratio is not None and g.update_ratio > WHOLE_WEIGHT]
    if steps and learning_rate is not None:
        worst = max(steps, key=lambda g: g.update_ratio or 0)
        detail = f"an update {worst.update_ratio:.2g} times as large as the weights"
        yield Finding("exploding", worst.name, detail)


def _vanishing(signal: Sequence[Measures]) -> Iterator[Finding]:
    if not signal:
        return
    # Biases alone may get nothing in a healthy network: before a normalisation they do nothing.
    weights = [g for g in signal if len(g.shape) > 1] or signal
    last = signal[-1]
    if min(g.rms for g in weights) < VANISHED * last.rms:
        relative = [g for g in signal if g.rms < VANISHED * last.rms]
        yield Finding("vanishing", *_place(relative, signal, min))
        return
    largest = max(signal, key=lambda g: g.rms)
    if largest.rms < NOTHING:
        least = min(signal, key=lambda g: g.rms)
        yield Finding("vanishing", least.name, f"no RMS is above {largest.rms:.2g}")


Extreme = Callable[..., Measures]


def _place(
    affected: Sequence[Measures], signal: Sequence[Measures], extreme: Extreme
) -> tuple[str, str]:
    """The culprit and the numbers.

    Gradients of biases are the signal itself, those of weights are it times what came up; so
    biases tell the place, if they are affected. It is the one below the steepest step, if that is
    most of the way; else, where all layers have their share in it, the extreme one.
    """
    biases = [g for g in affected if len(g.shape) < 2]
    far = extreme(biases or affected, key=lambda g: g.rms)
    alike = [g for g in signal if (len(g.shape) < 2) == (len(far.shape) < 2)]
    whole = _log(far, signal[-1])
    steps = [(_log(a, b) / whole, a, b) for a, b in pairwise(alike)]
    share, below, above = max(steps, key=lambda step: step[0], default=(0.0, far, far))
    if share > AT_ONE_PLACE and len(steps) > 1:
        return below.name, f"its RMS is {below.rms / above.rms:.2g} of that of {above.name}"
    detail = f"its RMS is {far.rms / signal[-1].rms:.2g} of that of {signal[-1].name}"
    distance = alike.index(alike[-1]) - alike.index(far)
    if distance > 1:
        each = (far.rms / alike[-1].rms) ** (1 / distance)
        detail += f", a factor {each:.2g} at each of {distance} layers"
    return far.name, detail


def _log(a: Measures, b: Measures) -> float:
    return log(a.rms) - log(b.rms)


def _half_type(signal: Sequence[Measures], precision: str | None) -> Iterator[Finding]:
    """What the half type does that gradients are kept in, or shall be."""
    for verdict, measure in (("overflow", _infinite), ("underflow", _lost)):
        kept = [(g, precision or g.dtype) for g in signal]
        told = [(*measure(g, half_type), g) for g, half_type in kept if half_type in HALF_TYPES]
        worst = max(told, key=lambda each: each[0], default=None)
        if worst and worst[0] >= 1:
            yield Finding(verdict, worst[2].name, worst[1])


def _infinite(g: Measures, half_type: str) -> tuple[float, str]:
    share = g.exponents.forecast(half_type).infinite
    return (1 + share if share else 0), f"{share:.1%} of its numbers are infinite in {half_type}"


def _lost(g: Measures, half_type: str) -> tuple[float, str]:
    """How far beyond the limits (1 is at them)."""
    forecast = g.exponents.forecast(half_type)
    shares = f"{forecast.zero:.1%} of its numbers are 0 in {half_type}, "
    shares += f"{forecast.subnormal:.1%} subnormal; largest {g.largest:.2g}"
    return max(forecast.zero / LOST, forecast.subnormal / MOSTLY_SUBNORMAL), shares
