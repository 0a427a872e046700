"""The laboratory: any networks trained side by side, and what becomes of their gradients."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

import fastact
from fastact.lab import meanfield
from fastact.lab.choices import Activation, Initialiser
from fastact.lab.data import Data
from fastact.lab.experiments import Experiment, Settings
from fastact.lab.network import Dense, Network
from fastact.lab.training import Training, verdict

RELU, HE = Activation("relu"), Initialiser("he")


@dataclass(frozen=True)
class Configuration:
    """A network, and how it is trained."""

    depth: int = 20
    width: int = 64
    activation: Activation = RELU
    init: Initialiser = HE
    batch_norm: bool = False
    clip: float | None = None
    learning_rate: float = 0.01

    def name(self, varied: set[str]) -> str:
        """What tells it from the others: what it is made of, and whatever else is `varied`."""
        parts = [str(self.activation), str(self.init)]
        parts += ["batch norm"] * self.batch_norm
        parts += [f"clip {self.clip:g}"] if self.clip is not None else []
        parts += [f"{self.depth} layers"] if "depth" in varied else []
        parts += [f"width {self.width}"] if "width" in varied else []
        parts += [f"rate {self.learning_rate:g}"] if "learning_rate" in varied else []
        return ", ".join(parts)

    def command(self) -> str:
        """The options of ``fastact lab`` that make it."""
        parts = [f"--depth {self.depth}", f"--width {self.width}"]
        parts += [f"--activation {self.activation}", f"--init {self.init}"]
        parts += ["--batch-norm"] * self.batch_norm
        parts += [f"--clip {self.clip:g}"] if self.clip is not None else []
        return " ".join([*parts, f"--learning-rate {self.learning_rate:g}"])


def configurations(chosen: Mapping[str, Sequence[Any]]) -> list[Configuration]:
    """Every combination of what is chosen for each field, each once."""
    combinations = [
        Configuration(**dict(zip(chosen, values, strict=True)))
        for values in product(*chosen.values())
    ]
    return list(dict.fromkeys(combinations))


def varied(configurations: Sequence[Configuration]) -> set[str]:
    """The fields in which they differ."""
    fields = Configuration.__dataclass_fields__
    return {f for f in fields if len({getattr(one, f) for one in configurations}) > 1}


@dataclass(frozen=True)
class Outcome:
    """What came of a configuration; signals are the norms of dL/dz, first layer first."""

    name: str
    configuration: Configuration
    signals: list[list[float]]  # at the first step, and after each epoch
    predicted: list[float] | None  # of the first, by mean-field theory; it knows no batch norm
    losses: list[float]
    norms: list[float]  # of the whole gradient, at each step, before it was clipped
    accuracy: float
    steps_per_epoch: int
    seconds: float
    ended: str  # why it did not go on, or nothing

    @property
    def ratio(self) -> float:
        """The signal at the first layer over the one at the last, before anything was learnt."""
        first, *_, last = self.signals[0]
        return first / last if last else float("nan")

    @property
    def gradient(self) -> str:
        return verdict(self.ratio)

    @property
    def clipped(self) -> float:
        """The share of steps at which the gradient was clipped."""
        clip = self.configuration.clip
        return 0.0 if clip is None else float(np.mean(np.array(self.norms) > clip))


def train(
    configuration: Configuration,
    name: str,
    settings: Settings,
    data: Data,
    advance: Callable[[], None],
) -> Outcome:
    """Train it on fastact's kernels, in float32; `advance` is called after every epoch."""
    settings = replace(settings, depth=configuration.depth, width=configuration.width)
    training = Training(_experiment(configuration, name), settings, fastact, data, np.float32)
    predicted = None
    signals: list[list[float]] = []
    norms: list[float] = []
    for batches in data.epochs(settings.batch, settings.epochs, settings.seed):
        for batch in batches if not training.diverged else []:
            weights = [] if signals else _weights(training.network)
            training.step(batch)
            if not signals:
                signals.append(training.first_signal)
                if not configuration.batch_norm:
                    x = training.x[batch]
                    predicted = _predicted(configuration.activation, x, weights, signals[0][-1])
            if np.isfinite(training.losses[-1]):
                norms.append(_norm(training.network))
        if len(norms) > len(batches) * (len(signals) - 1):  # something was learnt
            signals.append(training.network.arriving())
        advance()
    return Outcome(
        name=name,
        configuration=configuration,
        signals=signals,
        predicted=predicted,
        losses=training.losses,
        norms=norms,
        accuracy=training.accuracy(data),
        steps_per_epoch=len(batches),
        seconds=sum(training.seconds),
        ended=_ended(training),
    )


def _experiment(configuration: Configuration, name: str) -> Experiment:
    activation = configuration.activation
    return Experiment(
        name,
        "",
        activation.name,
        configuration.init.before(activation),
        configuration.batch_norm,
        configuration.clip,
        configuration.learning_rate,
        activation.parameters,
    )


def _ended(training: Training) -> str:
    if training.not_finite:
        return f"step {len(training.losses)}: {training.not_finite}"
    if training.diverged:
        return f"the loss was no number any more at step {len(training.losses)}"
    return ""


def _norm(network: Network) -> float:
    return float(fastact.global_norm([layer.gradients for layer in network.layers]))


def _weights(network: Network) -> list[np.ndarray]:
    dense = [layer for layer in network.layers if isinstance(layer, Dense)]
    return [layer.parameters["weight"].astype(np.float64) for layer in dense]


def _predicted(activation: Activation, x, weights, last: float) -> list[float]:
    """The norms of dL/dz that mean-field theory predicts, given that of the last layer."""
    squares = [float(np.mean(w**2)) for w in weights]
    up = [w.shape[0] * square for w, square in zip(weights, squares, strict=True)]
    down = [w.shape[1] * square for w, square in zip(weights, squares, strict=True)]
    first = up[0] * float(np.mean(np.square(x, dtype=np.float64)))
    variances = meanfield.forward(activation, first, up[1:-1])
    units = np.array([w.shape[1] for w in weights])
    gradients = meanfield.backward(activation, variances, down[1:], last**2 / units[-1])
    return [*np.sqrt(units[:-1] * gradients), last]
