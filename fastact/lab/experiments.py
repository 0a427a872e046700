"""The experiments of the demonstration, a row each; what an experiment is."""

from dataclasses import dataclass
from functools import partial
from math import sqrt

from fastact import init
from fastact.lab.choices import Draw, normal


@dataclass(frozen=True)
class Experiment:
    """A network and how it is trained: one row of the lab."""

    name: str
    shows: str
    activation: str
    init: Draw
    batch_norm: bool = False
    clip: float | None = None
    learning_rate: float = 0.01
    parameters: tuple[float, ...] = ()  # of the activation, where not the defaults


SMALL = normal(0.1)
TOO_LARGE = partial(init.he_normal, gain=1.5 * sqrt(2))

EXPERIMENTS = (
    Experiment(
        "sigmoid, small weights",
        "Weights from N(0, 0.1²): each layer passes on a fifth of its gradient. "
        "Layer 1 gets hardly any.",
        "sigmoid",
        SMALL,
    ),
    Experiment(
        "ReLU, large weights",
        "1.5 times He's spread: a factor 1.5 at each layer. "
        "A few steps, and the loss is no number any more.",
        "relu",
        TOO_LARGE,
    ),
    Experiment(
        "tanh + Xavier",
        "A spread of √(2 / (n_in + n_out)) keeps what goes up and what comes down near its size.",
        "tanh",
        init.xavier_normal,
    ),
    Experiment(
        "ReLU + He",
        "A spread of √(2 / n_in) makes up for the half of the units that ReLU switches off.",
        "relu",
        init.he_normal,
    ),
    Experiment(
        "ELU + He",
        "ELU has a slope below zero, too, so that no unit is switched off for good.",
        "elu",
        init.he_normal,
    ),
    Experiment(
        "1 + batch norm",
        "Run 1 again with the same small weights: to normalise before each sigmoid is enough.",
        "sigmoid",
        SMALL,
        batch_norm=True,
    ),
    Experiment(
        "2 + clipping",
        "Run 2 again, all gradients scaled to a norm of 20: it explodes as before, but no step "
        "runs away.",
        "relu",
        TOO_LARGE,
        clip=20.0,
    ),
    Experiment(
        "all together",
        "ELU + He + batch norm + clipping take ten times the learning rate of the others.",
        "elu",
        init.he_normal,
        batch_norm=True,
        clip=1.0,
        learning_rate=0.1,
    ),
)


@dataclass(frozen=True)
class Settings:
    """What all runs have in common."""

    depth: int = 20
    width: int = 64
    batch: int = 128
    epochs: int = 80
    seed: int = 0
