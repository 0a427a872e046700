"""Training steps of two networks, with NumPy idioms, with fastact, and by others' libraries.

Each contender holds its weights and one batch of float32, and has ``step()``, which trains once and
returns the loss before it. All start from the same weights.
"""

from collections import defaultdict
from time import perf_counter

import numpy as np

MATMUL = "matmul"
FORWARD = "activation forward"  # with the bias before it
BACKWARD = "activation backward"  # with the gradient of the bias
LOSS = "loss"
UPDATE = "update"
PARTS = (MATMUL, FORWARD, BACKWARD, LOSS, UPDATE)


class Clock:
    """Where the time of a step goes: ``with clock.part(MATMUL): ...``; off unless it is started."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.running = False
        self._parts = {name: _Part(self, name) for name in PARTS}

    def part(self, name: str) -> "_Part":
        return self._parts[name]


class _Part:
    def __init__(self, clock: Clock, name: str) -> None:
        self.clock, self.name = clock, name

    def __enter__(self) -> None:
        if self.clock.running:
            self.started = perf_counter()

    def __exit__(self, *error: object) -> None:
        if self.clock.running:
            self.clock.seconds[self.name] += perf_counter() - self.started


def copies(weights: list[np.ndarray]) -> list[np.ndarray]:
    """Every contender trains its own."""
    return [w.copy() for w in weights]


def numpy_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean cross-entropy of softmax, and its gradient, as people write them."""
    rows = np.arange(len(labels))
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(p[rows, labels]).mean()
    p[rows, labels] -= 1
    return float(loss), p / len(labels)
