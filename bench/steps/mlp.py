"""A multilayer perceptron for classification: plain gradient descent on one batch."""

from itertools import pairwise
from math import pi, sqrt

import numpy as np

import fastact
from bench.steps import (
    BACKWARD,
    FORWARD,
    LOSS,
    MATMUL,
    UPDATE,
    Clock,
    copies,
    numpy_cross_entropy,
)

try:
    from scipy.special import erf
except ImportError:
    erf = None

SIZES = (784, 512, 512, 10)
BATCH = 256
RATE = 0.01

# f(z) and grad * f'(z) as they are written by hand; y is f(z), as many use it for f'.
NUMPY = {
    "relu": (
        lambda z: np.maximum(z, 0),
        lambda grad, z, y: grad * (z > 0),
    ),
    "tanh": (
        np.tanh,
        lambda grad, z, y: grad * (1 - y**2),
    ),
    "sigmoid": (
        lambda z: 1 / (1 + np.exp(-z)),
        lambda grad, z, y: grad * y * (1 - y),
    ),
    "silu": (
        lambda z: z / (1 + np.exp(-z)),
        lambda grad, z, y: grad * (y + (1 - y) / (1 + np.exp(-z))),
    ),
}
if erf is not None:
    NUMPY["gelu"] = (
        lambda z: 0.5 * z * (1 + erf(z / sqrt(2))),
        lambda grad, z, y: (
            grad * (0.5 * (1 + erf(z / sqrt(2))) + z * np.exp(-0.5 * z**2) / sqrt(2 * pi))
        ),
    )
TORCH = {"relu": "ReLU", "tanh": "Tanh", "sigmoid": "Sigmoid", "silu": "SiLU", "gelu": "GELU"}
SKLEARN = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}


class Problem:
    """Weights to begin with, and a batch."""

    def __init__(self, activation: str, sizes=SIZES, batch: int = BATCH, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.name, self.activation = f"MLP {activation}", activation
        self.sizes = sizes
        self.weights = [fastact.init.he_normal(shape, rng=rng) for shape in pairwise(sizes)]
        self.biases = [np.zeros(n, np.float32) for n in sizes[1:]]
        self.x = rng.standard_normal((batch, sizes[0]), dtype=np.float32)
        self.labels = rng.integers(sizes[-1], size=batch)

    def contenders(self) -> dict[str, type]:
        """Classes that take the problem; ImportError says that one is not installed."""
        found = {"numpy": NumpyMLP} if self.activation in NUMPY else {}
        found |= {"fastact": FastactMLP}
        if self.activation in SKLEARN:
            found["sklearn"] = SklearnMLP
        if self.activation in TORCH:
            found["torch"] = TorchMLP
        return found


class NumpyMLP:
    def __init__(self, problem: Problem) -> None:
        self.x, self.labels = problem.x, problem.labels
        self.weights, self.biases = copies(problem.weights), copies(problem.biases)
        self.f, self.f_backward = NUMPY[problem.activation]
        self.clock = Clock()

    def step(self) -> float:
        part, last = self.clock.part, len(self.weights) - 1
        zs, hs = [], [self.x]
        for w, b in zip(self.weights, self.biases, strict=True):
            with part(MATMUL):
                z = hs[-1] @ w
            with part(FORWARD):
                z = z + b
                zs.append(z)
                if len(zs) <= last:
                    hs.append(self.f(z))
        with part(LOSS):
            loss, dz = numpy_cross_entropy(z, self.labels)
        for k in reversed(range(last + 1)):
            with part(MATMUL):
                dw = hs[k].T @ dz
                dh = dz @ self.weights[k].T if k else None
            with part(BACKWARD):
                db = dz.sum(axis=0)
                if k:
                    dz = self.f_backward(dh, zs[k - 1], hs[k])
            with part(UPDATE):
                self.weights[k] -= RATE * dw
                self.biases[k] -= RATE * db
        return loss


class FastactMLP:
    """The same with fastact, in memory that is allocated once."""

    def __init__(self, problem: Problem) -> None:
        self.x, self.labels = problem.x, problem.labels
        self.weights, self.biases = copies(problem.weights), copies(problem.biases)
        self.f = getattr(fastact, problem.activation)
        self.f_backward = getattr(fastact, f"{problem.activation}_backward")
        self.dw = [np.empty_like(w) for w in self.weights]
        self.z, self.h, self.dh, self.dz = (
            [np.empty((len(self.x), b.size), np.float32) for b in self.biases] for _ in range(4)
        )
        self.rows = np.arange(len(self.x))
        self.clock = Clock()

    def step(self) -> float:
        part, last = self.clock.part, len(self.weights) - 1
        inputs = [self.x, *self.h[:-1]]
        for k, z in enumerate(self.z):
            with part(MATMUL):
                np.matmul(inputs[k], self.weights[k], out=z)
            with part(FORWARD):
                z += self.biases[k]
                if k < last:
                    self.f(z, out=self.h[k])
        with part(LOSS):
            loss = self.cross_entropy(self.z[last], out=self.dz[last])
        for k in reversed(range(last + 1)):
            dz = self.dz[k]
            with part(MATMUL):
                np.matmul(inputs[k].T, dz, out=self.dw[k])
                if k:
                    np.matmul(dz, self.weights[k].T, out=self.dh[k - 1])
            with part(BACKWARD):
                db = dz.sum(axis=0)
                if k:
                    self.f_backward(self.dh[k - 1], self.z[k - 1], out=self.dz[k - 1])
            with part(UPDATE):
                descend(self.weights[k], self.dw[k])
                descend(self.biases[k], db)
        return loss

    def cross_entropy(self, logits: np.ndarray, out: np.ndarray) -> float:
        """Its mean; `out` becomes the gradient with respect to the logits."""
        p = fastact.softmax(logits, out=out)
        loss = -np.log(p[self.rows, self.labels]).mean()
        p[self.rows, self.labels] -= 1
        p /= len(p)
        return float(loss)


def descend(weights: np.ndarray, gradient: np.ndarray) -> None:
    """One step of gradient descent, for which the gradient is used up."""
    gradient *= RATE
    weights -= gradient


class TorchMLP:
    def __init__(self, problem: Problem) -> None:
        import torch

        modules: list[torch.nn.Module] = []
        for w, b in zip(problem.weights, problem.biases, strict=True):
            linear = torch.nn.Linear(*w.shape)
            linear.weight.data = torch.from_numpy(w.T.copy())
            linear.bias.data = torch.from_numpy(b.copy())
            modules += [linear, getattr(torch.nn, TORCH[problem.activation])()]
        self.model = torch.nn.Sequential(*modules[:-1])
        self.x, self.labels = torch.from_numpy(problem.x), torch.from_numpy(problem.labels)
        self.loss = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=RATE)

    def step(self) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(self.x), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class SklearnMLP:
    def __init__(self, problem: Problem) -> None:
        from sklearn.neural_network import MLPClassifier

        self.x, self.labels = problem.x, problem.labels
        self.model = MLPClassifier(
            problem.sizes[1:-1],
            activation=SKLEARN[problem.activation],
            solver="sgd",
            alpha=0,
            batch_size=len(self.x),
            learning_rate_init=RATE,
            momentum=0,
        )
        self.classes = np.arange(problem.sizes[-1])
        self.step()  # which allocates the weights
        for own, given in zip(
            self.model.coefs_ + self.model.intercepts_,
            problem.weights + problem.biases,
            strict=True,
        ):
            own[...] = given

    def step(self) -> float:
        self.model.partial_fit(self.x, self.labels, classes=self.classes)
        return float(self.model.loss_)
