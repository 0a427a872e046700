"""The pictures of docs/vanishing-and-exploding.md, each a claim that the lab measures.

``make article`` writes them to docs/article, in about a minute.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

import fastact
from fastact.lab import data, files, meanfield
from fastact.lab.choices import Activation, Initialiser
from fastact.lab.compare import Configuration, Outcome, train
from fastact.lab.experiments import Settings
from fastact.lab.propagation import Propagation, Setup, survey
from fastact.lab.style import CURVES, FAINT, INK, STYLE, smooth

OUT = Path(__file__).parents[1] / "docs" / "article"
LOOK = {**STYLE, "font.size": 10, "axes.titlesize": 11, "lines.linewidth": 2}
EPOCHS = 30
LOSS_CEILING = 1e5
FOUR = ("sigmoid", "tanh", "relu", "gelu")


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """So many axes in a row."""
    figure = Figure((4.6 * count, 3.4), dpi=90, layout="constrained", facecolor="white")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def propagations(activations, initialisers, setup: Setup) -> list[Propagation]:
    parse = Initialiser.parse
    return survey([Activation(name) for name in activations], list(map(parse, initialisers)), setup)


def measured_and_predicted(axes: Axes, x, pair, colour: str, label: str) -> None:
    """Theory as a line, what was measured as dots."""
    measured, predicted = pair
    axes.plot(x, predicted, color=colour, lw=1.4)
    axes.plot(x, measured, "o", color=colour, ms=3.5, label=label)


# ---------------------------------------------------------------- the pictures


def product() -> Figure:
    """A factor a layer is an exponential in depth."""
    setup = Setup(depth=40, width=256, draws=6)
    figure, (axes,) = panels(1)
    figure.set_size_inches(6.4, 3.6)
    scales = (0.7, 0.9, 1.0, 1.1, 1.4)
    found = propagations(["relu"], [f"he:{scale}" for scale in scales], setup)
    layers = np.arange(1, setup.depth + 1)
    for colour, scale, one in zip(CURVES, scales, found, strict=False):
        measured_and_predicted(axes, layers, one.gradient, colour, f"{scale:g} times He's spread")
    axes.set_yscale("log")
    axes.set_xlabel("layer (the gradient starts at the output, on the right)")
    axes.set_title("Variance of the gradient, 40 ReLU layers")
    axes.legend(frameon=False, fontsize=9, loc="upper right", bbox_to_anchor=(1, 1.02))
    return figure


def saturation() -> Figure:
    """f' where it is looked at, and on average over what a layer gets."""
    figure, (slopes, average) = panels(2)
    x = np.linspace(-6, 6, 601)
    spreads = np.geomspace(0.1, 30, 60)
    for colour, name in zip(CURVES, FOUR, strict=False):
        activation = Activation(name)
        slope = activation.function("derivative")
        slopes.plot(x, slope(x), color=colour, label=name)
        means = [meanfield.backward(activation, [s**2], [1.0])[0] for s in spreads]
        average.plot(spreads, means, color=colour)
    slopes.set_title("f'(x)")
    slopes.set_xlabel("x")
    slopes.legend(frameon=False, fontsize=9, loc="upper left")
    average.set_xscale("log")
    average.set_yscale("log")
    average.set_title("Mean of f'(x)² where x is spread so far")
    average.set_xlabel("standard deviation of x")
    return figure


def scales() -> Figure:
    """What a layer multiplies variances by, over the scale of its weights."""
    setup = Setup(depth=15, width=256, draws=3)
    sigmas = np.geomspace(0.4, 4, 13)
    figure, both = panels(2)
    for colour, name in zip(CURVES, FOUR, strict=False):
        found = propagations([name], [f"lecun:{sigma:.4f}" for sigma in sigmas], setup)
        for axes, factors in zip(
            both,
            ([one.signal_factors for one in found], [one.gradient_factors for one in found]),
            strict=True,
        ):
            measured_and_predicted(axes, sigmas, np.array(factors).T, colour, name)
    for axes, title in zip(both, ("signal", "gradient"), strict=True):
        axes.axhline(1, color=FAINT, lw=0.8)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks((0.5, 1, np.sqrt(2), 2, 4), ("½", "1", "√2", "2", "4"))
        axes.minorticks_off()
        axes.set_title(f"The {title}'s variance, times a layer")
        axes.set_xlabel("spread of the weights, times 1/√n")
    both[0].legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def trained(*configurations: Configuration, epochs: int = EPOCHS) -> list[Outcome]:
    """The configurations, trained on the digits."""
    digits = data.digits(0)
    settings = Settings(epochs=epochs)
    return [train(one, one.name(set()), settings, digits, lambda: None) for one in configurations]


def layers_and_losses(outcomes: list[Outcome]) -> Figure:
    """The gradient at the first step, and what becomes of the loss."""
    figure, (signals, losses) = panels(2)
    for colour, one in zip(CURVES, outcomes, strict=False):
        first = np.array(one.signals[0])
        layers = np.arange(1, len(first) + 1)
        signals.plot(layers, first, "o-", ms=3, color=colour, label=one.name)
        epochs, loss = smooth(one.losses, one.steps_per_epoch)
        losses.plot(epochs, np.minimum(loss, LOSS_CEILING), color=colour)
        if one.ended:
            losses.plot(epochs[-1], min(loss[-1], LOSS_CEILING), "x", ms=10, mew=3, color=colour)
    for axes in signals, losses:
        axes.set_yscale("log")
    signals.set_title("‖∂L/∂z‖ at each layer, first step")
    signals.set_xlabel("layer")
    signals.legend(frameon=False, fontsize=9)
    losses.set_title("Training loss (a cross: no number any more)")
    losses.set_xlabel("epoch")
    return figure


def initialisation() -> Figure:
    """The same network with weights of N(0, 0.1^2), and with those that suit the activation."""
    return layers_and_losses(
        trained(
            *(
                Configuration(activation=Activation.parse(name), init=Initialiser.parse(init))
                for name, init in (
                    ("tanh", "normal:0.05"),
                    ("relu", "normal:0.05"),
                    ("tanh", "xavier"),
                    ("relu", "he"),
                )
            )
        )
    )


def batch_norm() -> Figure:
    """What batch normalisation mends, and what it does to deep networks that have not learnt."""
    small = Initialiser.parse("normal:0.1")
    sigmoid, relu = Activation("sigmoid"), Activation("relu")
    return layers_and_losses(
        trained(
            Configuration(activation=sigmoid, init=small),
            Configuration(activation=sigmoid, init=small, batch_norm=True),
            Configuration(activation=relu, batch_norm=True, depth=20),
        )
    )


def clipping() -> Figure:
    """An exploding network with and without a limit to its steps."""
    large = Initialiser.parse("he:1.5")
    outcomes = trained(Configuration(init=large), Configuration(init=large, clip=20.0), epochs=80)
    figure, (norms, losses) = panels(2)
    for colour, one in zip(CURVES[1:], outcomes, strict=False):
        for axes, values in ((norms, one.norms), (losses, one.losses)):
            epochs, curve = smooth(values, one.steps_per_epoch)
            curve = np.minimum(curve, LOSS_CEILING)
            axes.plot(epochs, curve, color=colour, label=one.name)
            if one.ended:
                axes.plot(epochs[-1], curve[-1], "x", ms=10, mew=3, color=colour)
            axes.set_yscale("log")
            axes.set_xlabel("epoch")
    norms.axhline(20, color=FAINT, lw=1, ls=":")
    norms.set_title("Norm of the whole gradient, before clipping")
    norms.legend(frameon=False, fontsize=9)
    losses.set_title("Training loss")
    return figure


def additive_path() -> Figure:
    """How much of a gradient is left so many steps back in time."""
    steps = 100
    back = np.arange(steps + 1)
    figure, (axes,) = panels(1)
    figure.set_size_inches(8.4, 3.4)
    curves: dict[str, Callable[[], np.ndarray]] = {
        "tanh RNN, half of Xavier's spread": lambda: through_rnn(0.5, steps),
        "tanh RNN, 1.5 times Xavier's": lambda: through_rnn(1.5, steps),
        "LSTM's c, forget bias 0": lambda: through_lstm(0.0, steps),
        "LSTM's c, forget bias 1": lambda: through_lstm(1.0, steps),
        "LSTM's c, forget bias 4": lambda: through_lstm(4.0, steps),
    }
    for colour, (name, curve) in zip(CURVES, curves.items(), strict=False):
        axes.plot(back, curve(), color=colour, label=name)
    axes.axhline(1, color=INK, lw=0.6)
    axes.set_yscale("log")
    axes.set_ylim(1e-20, 1e10)
    axes.set_xlabel("steps back in time")
    axes.set_title("Norm of the gradient, over the one at the end")
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


UNITS, BATCH = 128, 16


def through_rnn(scale: float, steps: int) -> np.ndarray:
    """h' = tanh(h w + x): the norms of dL/dh, the last step's first."""
    rng = np.random.default_rng(0)
    w = fastact.init.xavier_normal((UNITS, UNITS), gain=scale, rng=rng, dtype=np.float64)
    h = np.zeros((BATCH, UNITS))
    kept = []
    for _ in range(steps):
        kept.append(h @ w + 0.1 * rng.standard_normal((BATCH, UNITS)))
        h = fastact.tanh(kept[-1])
    grad = rng.standard_normal((BATCH, UNITS))
    norms = [np.linalg.norm(grad)]
    for z in reversed(kept):
        grad = fastact.tanh_backward(grad, z) @ w.T
        norms.append(np.linalg.norm(grad))
    return np.array(norms) / norms[0]


def through_lstm(forget_bias: float, steps: int) -> np.ndarray:
    """c' = sigmoid(f) c + sigmoid(i) tanh(g): the norms of dL/dc, the last step's first.

    h takes part, too: the gates see it, and the gradient comes back through them as well.
    """
    rng = np.random.default_rng(0)
    w = fastact.init.xavier_normal((UNITS, 4 * UNITS), rng=rng, dtype=np.float64)
    h = c = np.zeros((BATCH, UNITS))
    kept = []
    for _ in range(steps):
        i, f, g, o = np.split(h @ w + 0.1 * rng.standard_normal((BATCH, 4 * UNITS)), 4, axis=1)
        f = f + forget_bias
        before, c = c, fastact.sigmoid(f) * c + fastact.sigmoid(i) * fastact.tanh(g)
        h = fastact.sigmoid(o) * fastact.tanh(c)
        kept.append((i, f, g, o, before, c))
    dc, dh = rng.standard_normal((BATCH, UNITS)), np.zeros((BATCH, UNITS))
    norms = [np.linalg.norm(dc)]
    for i, f, g, o, before, after in reversed(kept):
        dc = dc + fastact.tanh_backward(dh * fastact.sigmoid(o), after)
        gates = [
            fastact.sigmoid_backward(dc * fastact.tanh(g), i),
            fastact.sigmoid_backward(dc * before, f),
            fastact.tanh_backward(dc * fastact.sigmoid(i), g),
            fastact.sigmoid_backward(dh * fastact.tanh(after), o),
        ]
        dh = np.concatenate(gates, axis=1) @ w.T
        dc = dc * fastact.sigmoid(f)
        norms.append(np.linalg.norm(dc))
    return np.array(norms) / norms[0]


PICTURES = (
    product, saturation, scales, initialisation, batch_norm, clipping, additive_path,
)  # fmt: skip


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for draw in PICTURES:
        with rc_context(LOOK), threadpool_limits(1, "blas"):
            figure = draw()
            with files.replacing(OUT / f"{draw.__name__.replace('_', '-')}.png") as file:
                figure.savefig(file, format="png")


if __name__ == "__main__":
    main()
