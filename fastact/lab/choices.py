"""What a network can be made of, by the names that the command line takes."""

from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from math import isfinite, sqrt
from typing import Any

import numpy as np

import fastact
from fastact import init

Draw = Callable[..., np.ndarray]

SHORT = {"he": "he_normal", "xavier": "xavier_normal", "lecun": "lecun_normal"}
INITIALISERS = [name for name in init.__all__ if name != "gain"]
SMALL = 0.1  # the standard deviation of `normal`: what was usual before the fan was reckoned with


def normal(std: float) -> Draw:
    """Weights drawn from N(0, std^2), whatever the shape: what is done before one knows better."""

    def draw(shape, *, rng, dtype):
        return rng.normal(0, std, shape).astype(dtype)

    return draw


class ChoiceError(ArgumentTypeError):
    """There is no such thing; the message names what is close to it."""


@dataclass(frozen=True)
class Activation:
    """An activation of the table, and its parameters if they are not the defaults."""

    name: str
    parameters: tuple[float, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Activation":
        """``NAME``, or ``NAME:PARAMETER,PARAMETER``."""
        name, *values = _numbers(text)
        ops = {op.name: op for op in fastact.ops()}
        _known("activation", name, ops)
        takes = [parameter.name for parameter in ops[name].parameters]
        if len(values) > len(takes):
            raise ChoiceError(f"{name} has the parameters {', '.join(takes) or 'none'}: {text!r}")
        return cls(name, tuple(values))

    def __str__(self) -> str:
        return _label(self.name, self.parameters)

    def function(self, form: str = "forward") -> Callable[..., Any]:
        """f, or another of its forms, of x alone."""
        op = next(op for op in fastact.ops() if op.name == self.name)
        return lambda x: op.functions[form](x, *self.parameters)

    @property
    def whole_line(self) -> bool:
        """Whether it is a function of every number, as what follows random weights has to be."""
        op = next(op for op in fastact.ops() if op.name == self.name)
        return not any(map(isfinite, op.domain))


@dataclass(frozen=True)
class Initialiser:
    """One of `fastact.init`, scaled; ``normal``; or ``gain``: LeCun's times the activation's gain.

    The scale multiplies what is the initialiser's own; that of ``normal`` is its standard
    deviation.
    """

    name: str
    scale: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "Initialiser":
        """``NAME`` or ``NAME:SCALE``."""
        name, *values = _numbers(text)
        _known("initialiser", name, [*SHORT, *INITIALISERS, "normal", "gain"])
        if len(values) > 1 or not all(0 < value < float("inf") for value in values):
            raise ChoiceError(f"the scale of {name} must be one positive number: {text!r}")
        return cls(name, *(values or ([SMALL] if name == "normal" else [])))

    def __str__(self) -> str:
        return _label(self.name, () if self.scale == 1 else (self.scale,))

    @property
    def draw(self) -> Draw:
        """``draw(shape, rng=, dtype=)`` gives the weights, yet to be multiplied by `gain`."""
        if self.name == "normal":
            return normal(self.scale)
        name = "lecun_normal" if self.name == "gain" else SHORT.get(self.name, self.name)
        own = sqrt(2) if name.startswith("he_") else 1.0
        return partial(getattr(init, name), gain=self.scale * own)

    def gain(self, activation: Activation) -> float:
        """What the weights before this activation are multiplied by."""
        if self.name != "gain":
            return 1.0
        try:
            return init.gain(activation.name, *activation.parameters)
        except ValueError as error:  # that of a function that is not defined for every number
            raise ChoiceError(f"{error}: choose another --init") from None

    def before(self, activation: Activation) -> Draw:
        """What gives the weights before this activation."""
        gain = self.gain(activation)
        return self.draw if gain == 1 else lambda *shape, **how: gain * self.draw(*shape, **how)


def _label(name: str, values: tuple[float, ...]) -> str:
    return f"{name}:{','.join(f'{value:g}' for value in values)}" if values else name


def _numbers(text: str) -> list[Any]:
    """A name, and the numbers that follow it."""
    name, _, rest = text.partition(":")
    try:
        return [name, *(float(value) for value in rest.split(",") if rest)]
    except ValueError:
        raise ChoiceError(f"after {name}: numbers are expected, got {rest!r}") from None


def _known(kind: str, name: str, names: Iterable[str]) -> None:
    names = list(names)
    if name not in names:
        close = " or ".join(get_close_matches(name, names))
        hint = f"did you mean {close}?" if close else f"there are {', '.join(names)}"
        raise ChoiceError(f"there is no {kind} {name!r}: {hint}")
