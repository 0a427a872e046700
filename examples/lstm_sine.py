"""An LSTM learns to predict a sine, twice: its gradients clipped by their global norm, and not.

NumPy multiplies matrices, fastact does the rest. The recurrent weights begin as `randn` gives them,
which is too large: gradients explode on their way back through time. Both runs begin with the same
weights, see the same data and take the same steps; one clips, the other does not.

    python examples/lstm_sine.py --out lstm_sine.png
"""

import argparse
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import fastact

PERIOD = 25  # samples
STREAMS = 16  # sines that are learned at a time, each from a phase of its own
UNITS = 32
WINDOW = 50  # steps that gradients go back through time ...
SEQUENCE = 4  # ... and windows that h and c are carried on through
RATE, MOMENTUM, MAX_NORM = 0.5, 0.9, 1.0
KNOWN, DREAMT = 50, 100  # samples that a prediction begins with, and those it then makes of its own

State = tuple[np.ndarray, np.ndarray]  # h and c


def sines(phases: np.ndarray, start: int, length: int) -> np.ndarray:
    """Samples (time, stream, 1)."""
    time = np.arange(start, start + length)[:, None] / PERIOD
    return np.sin(2 * np.pi * (time + phases))[..., None].astype(np.float32)


class Network:
    """One number in, the next one out, for many streams at a time."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.weights = {
            "x": fastact.init.xavier_uniform((1, 4 * UNITS), rng=rng),
            "h": rng.standard_normal((UNITS, 4 * UNITS), np.float32),
            "b": np.zeros(4 * UNITS, np.float32),
            "y": fastact.init.xavier_uniform((UNITS, 1), rng=rng),
            "b_y": np.zeros(1, np.float32),
        }

    def step(self, x: np.ndarray, state: State, saved: bool = False):
        """h, c, and what was saved of this step for the way back."""
        w, (h, c) = self.weights, state
        return fastact.lstm_cell(x @ w["x"] + h @ w["h"] + w["b"], c, saved=saved)

    def output(self, h: np.ndarray) -> np.ndarray:
        return h @ self.weights["y"] + self.weights["b_y"]

    def gradients(self, x: np.ndarray, target: np.ndarray, state: State):
        """Those of the mean square error over a window, and the state after the window."""
        w, (h, c) = self.weights, state
        hs, steps = [h], []
        for now in x:
            h, c, saved = self.step(now, (h, c), saved=True)
            hs.append(h)
            steps.append(saved)
        before, after = np.array(hs[:-1]), np.array(hs[1:])
        error = self.output(after) - target
        dy = 2 * error / error.size

        dhs, dgates = dy @ w["y"].T, []
        dh, dc = np.zeros_like(h), np.zeros_like(c)
        for t in reversed(range(len(x))):
            dgate, dc = fastact.lstm_cell_backward(dhs[t] + dh, dc, steps[t])
            dh = dgate @ w["h"].T
            dgates.append(dgate)
        da = np.array(dgates[::-1])
        gradients = {
            "x": over_time(x, da),
            "h": over_time(before, da),
            "b": da.sum((0, 1)),
            "y": over_time(after, dy),
            "b_y": dy.sum((0, 1)),
        }
        return gradients, (h, c)

    def predict(self, x: np.ndarray, dreamt: int = 0) -> np.ndarray:
        """What comes after each of x, and after that its guess from its own last one."""
        state, guesses = start(x.shape[1]), []
        for t in range(len(x) + dreamt):
            *state, _ = self.step(x[t] if t < len(x) else guesses[-1], state)
            guesses.append(self.output(state[0]))
        return np.array(guesses)


def start(streams: int) -> State:
    return np.zeros((streams, UNITS), np.float32), np.zeros((streams, UNITS), np.float32)


def over_time(inputs: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The gradient of w in inputs @ w, summed over steps and streams."""
    return np.tensordot(inputs, grad, ((0, 1), (0, 1)))


@dataclass
class Run:
    clipped: bool
    norms: list[float]  # of the gradients as they arrived, a window each
    rmse: float  # one sample ahead, of sines that were held out
    truth: np.ndarray
    guess: np.ndarray


def train(clipped: bool, windows: int, seed: int, tick: Callable[[], None] = lambda: None) -> Run:
    rng = np.random.default_rng(seed)
    network, norms = Network(rng), []
    velocity = {name: np.zeros_like(w) for name, w in network.weights.items()}
    for window in range(windows):
        if window % SEQUENCE == 0:
            phases, state = rng.random(STREAMS), start(STREAMS)
        samples = sines(phases, window * WINDOW, WINDOW + 1)
        gradients, state = network.gradients(samples[:-1], samples[1:], state)
        if clipped:
            gradients, norm = fastact.clip_by_global_norm(gradients, MAX_NORM)
        else:
            norm = fastact.global_norm(gradients)
        norms.append(float(norm))
        tick()
        if not np.isfinite(norm):
            break  # of which nothing recovers
        rate = RATE * min(1, 2 * (1 - window / windows))  # goes to 0 in the second half
        for name, w in network.weights.items():
            velocity[name] = MOMENTUM * velocity[name] - rate * gradients[name]
            w += velocity[name]

    held_out = sines(np.random.default_rng(seed + 1).random(64), 0, KNOWN + DREAMT + 1)
    error = network.predict(held_out[:-1])[KNOWN:] - held_out[KNOWN + 1 :]
    rmse = float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))
    guess = network.predict(held_out[: KNOWN + 1, :1], DREAMT - 1)
    return Run(clipped, norms, rmse, held_out[1:, 0, 0], guess[:, 0, 0])


def draw(runs: list[Run], path: Path) -> None:
    """The held-out sine and what each run makes of it, and below the norms of the gradients."""
    from matplotlib.figure import Figure

    ink, muted, colours = "#1f2933", "#9aa5b1", {True: "#2f6f9f", False: "#d1495b"}
    figure = Figure(figsize=(9, 5), layout="constrained")
    figure.suptitle("An LSTM learns a sine, its recurrent weights too large at first", color=ink)
    top, bottom = figure.subplots(2, len(runs), sharey="row", squeeze=False)
    longest = max(len(run.norms) for run in runs)
    finite = [norm for run in runs for norm in run.norms if np.isfinite(norm)]
    for run, sine, norms in zip(runs, top, bottom, strict=True):
        colour = colours[run.clipped]
        how = f"norm clipped to {MAX_NORM:g}" if run.clipped else "not clipped"
        sine.set_title(f"{how}: RMSE one sample ahead {run.rmse:.2g}", color=ink, fontsize=11)
        sine.plot(run.truth, color=muted, linewidth=4, alpha=0.6, label="truth")
        sine.plot(run.guess, color=colour, linewidth=1.5, label="prediction")
        sine.axvspan(0, KNOWN, color=muted, alpha=0.15, linewidth=0)
        sine.text(KNOWN / 2, 1.25, "sees the samples", ha="center", color=ink, fontsize=8)
        sine.text(KNOWN + DREAMT / 2, 1.25, "sees its own", ha="center", color=ink, fontsize=8)
        if not (np.abs(run.guess) < 1.5).any():
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}
            where = KNOWN + DREAMT / 2, 0
            sine.text(*where, "far out of the picture", ha="center", color=colour, bbox=box)
        sine.set(ylim=(-1.5, 1.5))
        sine.set_xlabel("sample", color=ink, fontsize=9)
        norms.semilogy(run.norms, color=colour, linewidth=1)
        norms.set(ylim=(min(finite) / 3, max(finite) * 30), xlim=(-5, longest + 5))
        norms.set_xlabel("window of training", color=ink, fontsize=9)
        if not np.isfinite(run.norms[-1]):
            last = len(run.norms) - 1
            norms.axvline(last, color=colour, linestyle=":", linewidth=1)
            norms.text(last, max(finite), f"  infinite in window {last}", va="center", color=colour)
    top[0].legend(loc="lower left", frameon=False, ncols=2, fontsize=8)
    bottom[0].set_ylabel("norm of the gradients", color=ink, fontsize=9)
    for axes in (*top, *bottom):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=ink, labelsize=8)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        figure.savefig(temporary, dpi=100, format="png")
        temporary.replace(path)  # the picture is there in whole, or as it was
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def progress(total: int):
    """Calls it a step further; a bar where rich is installed."""
    try:
        from rich.progress import Progress
    except ModuleNotFoundError:
        yield lambda: None
        return
    with Progress(transient=True) as bar:
        task = bar.add_task("windows", total=total)
        yield lambda: bar.advance(task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("lstm_sine.png"), help="the picture")
    parser.add_argument("--windows", type=int, default=800, help="of training (800)")
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    # One BLAS thread: for matrices this small more would wait for each other.
    one_thread = threadpool_limits(1, "blas")
    quiet = np.errstate(over="ignore", invalid="ignore")  # one of the runs is meant to explode
    with progress(2 * options.windows) as tick, one_thread, quiet:
        runs = [train(clipped, options.windows, options.seed, tick) for clipped in (True, False)]
    draw(runs, options.out)
    for run in runs:
        how = "clipped:    " if run.clipped else "not clipped:"
        largest = max(norm for norm in run.norms if np.isfinite(norm))
        end = "" if np.isfinite(run.norms[-1]) else f", infinite in window {len(run.norms) - 1}"
        print(f"{how} held-out RMSE {run.rmse:.3g}, largest gradient norm {largest:.3g}{end}")
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
