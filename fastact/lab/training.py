"""Training: one network on one back end, and a run on both side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice
from time import perf_counter
from types import ModuleType

import numpy as np

import fastact
from fastact.lab import idioms
from fastact.lab.data import Data
from fastact.lab.experiments import Experiment, Settings
from fastact.lab.network import Network

BACKENDS = {"NumPy": idioms, "fastact": fastact}

# The signal that arrives at the first layer, over the one at the last: below and above these it
# counts as vanished and exploded. They stand between what the healthy runs show (0.2 to 9, from 20
# to 30 layers) and what the sick ones do (below 1e-14, and above 2e3).
VANISHES_BELOW, EXPLODES_ABOVE = 1 / 30, 30

# How close the two back ends' losses must be, and over how many first steps. Rounding differs, and
# training multiplies the difference at every step: ELU + He by two or three, so that after some
# fifty steps of float32 nothing is left of the agreement, and ReLU at a stroke, once a unit that is
# within rounding of its kink is on for one back end and off for the other. So the test is a run of
# its own in float64, where no unit is that close, over so few steps that rounding stays below 1e-12
# up to 30 layers (1e-13 at 20), and yet a derivative that is wrong by a millionth shows. In the
# float32 run that is shown, the losses before and after the first update are compared: they differ
# by 1e-6 at most, and no kink has come between them yet.
COMPARED_STEPS = {"float32": 2, "float64": 5}
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
TIMED_STEPS = 10  # below so many, a median is no measurement


def verdict(ratio: float) -> str:
    """What becomes of a gradient, from the signal at the first layer over that at the last."""
    if ratio < VANISHES_BELOW:
        return "vanishes"
    # A signal that overflowed has no ratio: NaN is not healthy.
    return "healthy" if ratio <= EXPLODES_ABOVE else "explodes"


class Training:
    """One network trained on one back end, and the record of it."""

    def __init__(
        self, experiment: Experiment, settings: Settings, backend: ModuleType, data: Data, dtype
    ):
        self.experiment = experiment
        self.backend = backend
        self.x = data.train_x.astype(dtype)
        self.labels = data.train_labels
        self.network = Network(
            [self.x.shape[1], *[settings.width] * settings.depth, len(data.classes)],
            experiment.activation,
            experiment.init,
            backend=backend,
            batch_norm=experiment.batch_norm,
            parameters=experiment.parameters,
            rng=np.random.default_rng(settings.seed),
            dtype=dtype,
        )
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.first_signal: list[float] = []
        self.not_finite = ""  # which gradient was no number any more, though the loss still was

    @property
    def diverged(self) -> bool:
        return bool(self.not_finite or (self.losses and not np.isfinite(self.losses[-1])))

    def step(self, batch: np.ndarray) -> None:
        """One step of gradient descent, or none if the loss has already left the numbers."""
        if self.diverged:
            return
        # The exploding run overflows in the matrix products, the idioms in their exponentials:
        # that is the lesson, not something to be warned of.
        with np.errstate(over="ignore", invalid="ignore"):
            start = perf_counter()
            self._descend(self.x[batch], self.labels[batch])
            self.seconds.append(perf_counter() - start)
        if not self.first_signal:
            self.first_signal = self.network.arriving()

    def _descend(self, x: np.ndarray, labels: np.ndarray) -> None:
        loss, grad = self.network.loss(x, labels)
        self.losses.append(loss)
        if self.diverged:
            return
        gradients = self.network.backward(grad)
        if self.experiment.clip is not None:
            try:
                gradients, _ = self.backend.clip_by_global_norm(gradients, self.experiment.clip)
            except ValueError as error:
                self.not_finite = str(error)
                return
        self.network.update(gradients, self.experiment.learning_rate)

    @property
    def seconds_per_step(self) -> float:
        """The median; NaN if there were too few steps to tell."""
        return float(np.median(self.seconds)) if len(self.seconds) >= TIMED_STEPS else float("nan")

    def accuracy(self, data: Data) -> float:
        """Of the trained network on the test set; NaN if its weights are no numbers any more."""
        if self.diverged:
            return float("nan")
        x, labels = data.test_x.astype(self.x.dtype), data.test_labels
        with np.errstate(over="ignore", invalid="ignore"):
            return self.network.accuracy(self.x, x, labels)


@dataclass(frozen=True)
class Run:
    """What came out of an experiment; the dicts have an entry for each back end."""

    experiment: Experiment
    settings: Settings
    first_signal: list[float]
    last_signal: list[float]
    losses: dict[str, list[float]]
    accuracy: dict[str, float]
    seconds_per_step: dict[str, float]
    disagreement: dict[str, float]
    steps_per_epoch: int

    @property
    def diverged(self) -> bool:
        return not np.isfinite(self.losses["fastact"][-1])

    @property
    def ratio(self) -> float:
        """The signal at the first layer over the one at the last, before anything was learnt."""
        return self.first_signal[0] / self.first_signal[-1]

    @property
    def speedup(self) -> float:
        return self.seconds_per_step["NumPy"] / self.seconds_per_step["fastact"]

    @property
    def gradient(self) -> str:
        return verdict(self.ratio)

    @property
    def agrees(self) -> bool:
        """Whether both back ends tell the same story, by `TOLERANCE` and in how it ends."""
        ends = {np.isfinite(losses[-1]) for losses in self.losses.values()}
        within = all(self.disagreement[name] <= TOLERANCE[name] for name in TOLERANCE)
        return within and len(ends) == 1


def perform(
    experiment: Experiment, settings: Settings, data: Data, advance: Callable[[], None]
) -> Run:
    """Train on both back ends, taking turns epoch by epoch so that their times can be compared.

    `advance` is called after every epoch.
    """
    trainings = trainings_of(experiment, settings, data, np.float32)
    turns = list(trainings.values())
    for batches in data.epochs(settings.batch, settings.epochs, settings.seed):
        for training in turns:
            for batch in batches:
                training.step(batch)
        turns.reverse()
        advance()
    shown = trainings["fastact"]
    losses = {name: training.losses for name, training in trainings.items()}
    return Run(
        experiment,
        settings,
        shown.first_signal,
        shown.network.arriving(),
        losses=losses,
        accuracy={name: training.accuracy(data) for name, training in trainings.items()},
        seconds_per_step={name: training.seconds_per_step for name, training in trainings.items()},
        disagreement={
            "float32": disagreement(*losses.values(), steps=COMPARED_STEPS["float32"]),
            "float64": disagreement(
                *losses_in_float64(experiment, settings, data), steps=COMPARED_STEPS["float64"]
            ),
        },
        steps_per_epoch=len(batches),
    )


def trainings_of(experiment, settings, data: Data, dtype) -> dict[str, Training]:
    """The same training, ready to start, on each back end."""
    return {
        name: Training(experiment, settings, backend, data, dtype)
        for name, backend in BACKENDS.items()
    }


def losses_in_float64(experiment, settings, data) -> list[list[float]]:
    """The first losses of the same training in float64, for each back end."""
    trainings = trainings_of(experiment, settings, data, np.float64).values()
    batches = chain.from_iterable(data.epochs(settings.batch, settings.epochs, settings.seed))
    for batch in islice(batches, COMPARED_STEPS["float64"]):
        for training in trainings:
            training.step(batch)
    return [training.losses for training in trainings]


def disagreement(a: list[float], b: list[float], *, steps: int) -> float:
    """The largest relative difference of two loss curves over their first `steps` steps.

    A step at which neither is finite is none; one at which only one is, or which only one has
    reached, is infinite.
    """
    one, other = np.array(a[:steps]), np.array(b[:steps])
    finite = np.isfinite(one)
    if len(one) != len(other) or not np.array_equal(finite, np.isfinite(other)):
        return float("inf")
    one, other = one[finite], other[finite]
    return float(np.max(np.abs(one - other) / np.abs(other), initial=0.0))
