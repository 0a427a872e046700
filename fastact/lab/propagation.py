"""How signals and gradients spread through random networks: measured, and as theory predicts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import fastact
from fastact.lab import meanfield
from fastact.lab.choices import Activation, Initialiser

INITIALISERS = ("fan_in_uniform", "xavier_normal", "orthogonal", "he_normal", "gain")
# Beyond these a variance is no longer told from 0 or infinity.
LOWEST, HIGHEST = 1e-250, 1e250


@dataclass(frozen=True)
class Setup:
    """Networks of equally wide layers; the input is of variance 1, as is what comes back."""

    depth: int = 20
    width: int = 256
    batch: int = 16
    draws: int = 4
    seed: int = 0


@dataclass(frozen=True)
class Propagation:
    """Variances at each layer, first layer first, of one activation after one initialiser.

    `signal` is that of what an activation gets, `gradient` that of the gradient by it, and of each
    there is what was measured and what was predicted.
    """

    activation: str
    init: str
    signal: tuple[np.ndarray, np.ndarray]
    gradient: tuple[np.ndarray, np.ndarray]

    @property
    def signal_factors(self) -> tuple[float, float]:
        """What a layer multiplies the signal's variance by, measured and predicted."""
        first, second = (_growth(variances) for variances in self.signal)
        return first, second

    @property
    def gradient_factors(self) -> tuple[float, float]:
        """What a layer multiplies the gradient's variance by, measured and predicted."""
        first, second = (_growth(variances[::-1]) for variances in self.gradient)
        return first, second

    @property
    def miss(self) -> float:
        """By which factor a measured variance differs from the predicted one, at most.

        NaN where either has left the range of numbers.
        """
        misses = []
        for measured, predicted in (self.signal, self.gradient):
            there = (np.minimum(measured, predicted) > LOWEST) & (
                np.maximum(measured, predicted) < HIGHEST
            )
            if not there.all():
                return float("nan")
            misses.append(np.abs(np.log(measured / predicted)).max())
        return float(np.exp(max(misses)))


def _growth(variances: np.ndarray) -> float:
    """The factor a layer, from the first to the last, on average."""
    if variances[-1] == 0:  # the first may be 0 as well
        return 0.0
    with np.errstate(all="ignore"):
        return float((variances[-1] / variances[0]) ** (1 / (len(variances) - 1)))


def activations() -> list[Activation]:
    """All of the table that are defined on the whole line."""
    every = [Activation(op.name) for op in fastact.ops()]
    return [activation for activation in every if activation.whole_line]


def survey(
    activations: Sequence[Activation],
    initialisers: Sequence[Initialiser],
    setup: Setup,
    advance: Callable[[], None] = lambda: None,
) -> list[Propagation]:
    """Each activation after each initialiser, activation by activation.

    All activations get the same inputs and the same weights. `advance` is called after each.
    """
    found = {}
    for initialiser in initialisers:
        networks = [_weights(initialiser, setup, draw) for draw in range(setup.draws)]
        for activation in activations:
            gain = initialiser.gain(activation)
            found[activation, initialiser] = propagate(
                activation, initialiser, networks, gain, setup
            )
            advance()
    return [found[one, other] for one in activations for other in initialisers]


def _weights(initialiser: Initialiser, setup: Setup, draw: int) -> list[np.ndarray]:
    """Of one network, a matrix a layer, for a gain of 1."""
    rng = np.random.default_rng((setup.seed, draw))
    shape = setup.width, setup.width
    return [initialiser.draw(shape, rng=rng, dtype=np.float64) for _ in range(setup.depth)]


def propagate(
    activation: Activation,
    initialiser: Initialiser,
    networks: Sequence[Sequence[np.ndarray]],
    gain: float,
    setup: Setup,
) -> Propagation:
    """Send signals up and gradients down through networks that have not learnt anything."""
    rng = np.random.default_rng(setup.seed)
    with np.errstate(all="ignore"):  # to leave the range of numbers is what some do
        passes = [_pass(activation, weights, gain, setup, rng) for weights in networks]
    signal, gradient = np.mean(passes, axis=0)
    layers = zip(*networks, strict=True)
    spreads = [gain**2 * setup.width * float(np.mean(np.square(layer))) for layer in layers]
    predicted = meanfield.forward(activation, spreads[0], spreads[1:])
    # What comes from above the last layer is of variance 1, as if its weights had kept it.
    back = meanfield.backward(activation, predicted, [*spreads[1:], 1.0])
    return Propagation(
        str(activation), str(initialiser), (signal, np.array(predicted)), (gradient, np.array(back))
    )


def _pass(activation: Activation, weights, gain: float, setup: Setup, rng) -> list[list[float]]:
    """The mean squares of what each activation gets, and of the gradient by it."""
    f, slope = activation.function(), activation.function("derivative")
    h, g = rng.standard_normal((2, setup.batch, setup.width))
    inputs = []
    for w in weights:
        inputs.append(gain * (h @ w))
        h = f(inputs[-1])
    gradient = []
    for w, z in zip(reversed(weights), reversed(inputs), strict=True):
        g = g * slope(z)
        gradient.append(np.mean(g**2))
        g = gain * (g @ w.T)
    return [[np.mean(z**2) for z in inputs], gradient[::-1]]
