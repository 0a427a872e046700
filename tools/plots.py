"""The pictures of docs/activations.md: f and f' of an activation, drawn from the table's formulas.

The SVG is written here, from numbers of fixed precision, so that a table gives the same bytes on
every machine and a test can tell whether a picture is that of the formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from itertools import pairwise

from mpmath import mp

import fastact
from fastact._formula import expand, scalar, signatures

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 34, 350, 26, 200  # of the frame that holds the curves
STEPS = 224
REACH = 7  # of x, where the domain has no end: beyond the bound of relu6
LOWEST, HIGHEST = -3, 4  # of y, where a curve grows past BOUNDED
BOUNDED = 6
JUMP = 1e-3
GREY, COLOURS, WIDTHS = "#808080", ("#3b82f6", "#ea580c"), (3.6, 1.8)  # on black and on white
FUNCTIONS = ("erf", "erfc", "exp", "expm1", "log", "log1p", "sqrt", "tanh")
NAMESPACE = {name: getattr(mp, name) for name in FUNCTIONS} | {"number": mp.mpf, "pi": mp.pi}

Curve = Callable[[float], float]
Point = tuple[float, float]


def ratio(default: float) -> Fraction:
    """The number that a default stands for: 1/6 rather than the double next to it."""
    return Fraction(default).limit_denominator(1000)


def curves(op: fastact.Op) -> tuple[Curve, Curve]:
    """f and f' at the default parameters."""
    names = ("x", *(p.name for p in op.parameters))
    defaults = [ratio(p.default) for p in op.parameters]

    def curve(text: str) -> Curve:
        function = scalar(expand(text, signatures()), names, NAMESPACE)

        @cache
        def value(x: float) -> float:
            with mp.workdps(30):
                exact = (mp.mpf(d.numerator) / d.denominator for d in defaults)
                return float(function(mp.mpf(x), mp.mpf(x), *exact))

        return value

    return curve(op.formula), curve(op.derivative)


def jump(f: Curve, left: float, right: float) -> tuple[float, float] | None:
    """Where between two points f jumps: the half that has the larger change, to the last."""
    while right - left > 1e-9:
        middle = (left + right) / 2
        if abs(f(middle) - f(left)) > abs(f(right) - f(middle)):
            right = middle
        else:
            left = middle
    return (left, right) if abs(f(right) - f(left)) > JUMP else None


def pieces(f: Curve, grid: list[float]) -> tuple[list[list[Point]], list[Point], list[Point]]:
    """The curve between its jumps; at these, the values that f takes and those it only tends to."""
    parts: list[list[Point]] = [[(grid[0], f(grid[0]))]]
    taken, missed = [], []
    for before, x in pairwise(grid):
        edges = jump(f, before, x) if abs(f(x) - f(before)) > JUMP else None
        if edges:
            for edge, end in zip(edges, (before, x), strict=True):
                (taken if edge == end else missed).append((edge, f(edge)))
            parts[-1].append((edges[0], f(edges[0])))
            parts.append([(edges[1], f(edges[1]))])
        parts[-1].append((x, f(x)))
    return parts, taken, missed


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high, seven at most."""
    step = next(s for s in (0.25, 0.5, 1, 2, 5) if (high - low) / s <= 7.5)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


class Frame:
    """What is shown of the plane, and how it is drawn."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x, self.y = x, y

    def place(self, point: Point) -> str:
        """Where a point is in the picture."""
        (left, right), (bottom, top) = self.x, self.y
        across = LEFT + (point[0] - left) / (right - left) * (RIGHT - LEFT)
        up = BOTTOM - (point[1] - bottom) / (top - bottom) * (BOTTOM - TOP)
        return f"{across:.1f} {up:.1f}"

    def inside(self, part: list[Point]) -> Iterator[list[Point]]:
        """What of a line lies between the bottom and the top, cut where it crosses them."""
        bottom, top = self.y
        run: list[Point] = []
        for (a, fa), (b, fb) in pairwise(part):
            cuts = sorted((y - fa) / (fb - fa) for y in self.y) if fa != fb else [-1, 2]
            start, end = max(cuts[0], 0), min(cuts[1], 1)
            if start >= end or not bottom <= fa + (start + end) / 2 * (fb - fa) <= top:
                continue
            if start > 0 or not run:
                run = [(a + start * (b - a), fa + start * (fb - fa))]
            run.append((a + end * (b - a), fa + end * (fb - fa)))
            if end < 1:
                yield run
                run = []
        if run:
            yield run

    def axes(self) -> str:
        left, right = self.x
        cross = min(max(0, left), right)
        lines = (((left, 0), (right, 0)), ((cross, self.y[0]), (cross, self.y[1])))
        path = "".join(f"M{self.place(a)}L{self.place(b)}" for a, b in lines)
        text = [f'<path d="{path}" stroke="{GREY}"/>']
        for tick in ticks(*self.x):
            x = self.place((tick, 0)).split()[0]
            text.append(f'<text x="{x}" y="{BOTTOM + 14}">{tick:g}</text>')
        for tick in ticks(*self.y):
            y = self.place((left, tick)).split()[1]
            text.append(f'<text x="{LEFT - 6}" y="{y}" dy="4" text-anchor="end">{tick:g}</text>')
        return "\n".join(text)

    def curve(self, f: Curve, grid: list[float], colour: str, width: float) -> str:
        parts, taken, missed = pieces(f, grid)
        runs = [run for part in parts for run in self.inside(part)]
        path = "".join("M" + "L".join(map(self.place, run)) for run in runs)
        text = [f'<path d="{path}" stroke="{colour}" stroke-width="{width}"/>']
        for points, fill in ((missed, "none"), (taken, colour)):
            for x, y in (self.place(point).split() for point in points):
                dot = f'cx="{x}" cy="{y}" r="3.2" fill="{fill}"'
                text.append(f'<circle {dot} stroke="{colour}" stroke-width="1.5"/>')
        return "\n".join(text)


def frame(op: fastact.Op, f: Curve, derivative: Curve) -> tuple[Frame, list[float]]:
    """What is shown, and the x at which it is computed: the inside of the domain."""
    low, high = (min(max(end, -REACH), REACH) for end in op.domain)
    inner = range(math.isfinite(op.domain[0]), STEPS + math.isinf(op.domain[1]))
    grid = [low + (high - low) * k / STEPS for k in inner]
    values = [g(x) for g in (f, derivative) for x in grid]
    poles = 2 if all(map(math.isfinite, op.domain)) else 1  # both tails deserve to be seen
    bottom, top = min(0, *values), max(0, *values)
    bottom = bottom if bottom >= -BOUNDED else poles * LOWEST
    top = top if top <= BOUNDED else poles * HIGHEST
    room = 0.06 * (top - bottom)
    return Frame((low, high), (bottom - room, top + room)), grid


def picture(op: fastact.Op) -> str:
    """The SVG of an activation."""
    f, derivative = curves(op)
    shown, grid = frame(op, f, derivative)
    below, above = (
        shown.curve(g, grid, colour, width)
        for g, colour, width in zip((f, derivative), COLOURS, WIDTHS, strict=True)
    )
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" {size}>
<title>{op.name} and its derivative</title>
<g font-family="sans-serif" font-size="11" fill="{GREY}" text-anchor="middle">
{shown.axes()}
</g>
<g font-family="sans-serif" font-size="13" font-weight="bold">
<text x="{LEFT}" y="16" fill="{COLOURS[0]}">{op.name}</text>
<text x="{RIGHT}" y="16" fill="{COLOURS[1]}" text-anchor="end">{op.name}_derivative</text>
</g>
<g fill="none" stroke-linejoin="round">
{below}
{above}
</g>
</svg>
"""
