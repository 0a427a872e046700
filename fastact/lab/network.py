"""A multilayer perceptron in plain NumPy: forward, backward, and nothing hidden.

The matrix products are NumPy's. Everything else that is worth a kernel comes from a back end,
which is a module: `fastact`, or `fastact.lab.idioms` for the same functions as people write them.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from types import ModuleType

import numpy as np


class Layer:
    """``forward`` keeps what ``backward`` needs; ``backward`` takes dL/dy and gives dL/dx."""

    def __init__(self, **parameters: np.ndarray):
        self.parameters = parameters
        self.gradients: dict[str, np.ndarray] = {}

    def forward(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def backward(self, grad: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.forward(x)


class Dense(Layer):
    """y = x @ weight, for x of shape (batch, n_in) and weight of shape (n_in, n_out)."""

    arriving = np.array(np.nan)  # dL/dy, which is not known before the first `backward`

    def forward(self, x):
        self.x = x
        return x @ self.parameters["weight"]

    def backward(self, grad):
        self.arriving = grad
        self.gradients = {"weight": self.x.T @ grad}
        return grad @ self.parameters["weight"].T


class Bias(Layer):
    """y = x + bias."""

    def forward(self, x):
        return x + self.parameters["bias"]

    def backward(self, grad):
        self.gradients = {"bias": grad.sum(axis=0)}
        return grad


class BatchNorm(Layer):
    """Each column to mean 0 and variance 1 over the batch, then scaled by gamma, moved by beta."""

    def __init__(self, backend: ModuleType, **parameters):
        super().__init__(**parameters)
        self.backend = backend

    def forward(self, x):
        self.x = x
        y, self.mean, self.rstd = self.backend.batch_norm(x, **self.parameters)
        return y

    def backward(self, grad):
        dx, dgamma, dbeta = self.backend.batch_norm_backward(
            grad, self.x, self.mean, self.rstd, self.parameters["gamma"]
        )
        self.gradients = {"gamma": dgamma, "beta": dbeta}
        return dx

    def predict(self, x):
        # With the statistics of what `forward` saw last: see `Network.accuracy`.
        return self.backend.batch_norm_inference(
            x, self.mean, self.x.var(axis=0), **self.parameters
        )


class Activation(Layer):
    """y = f(x)."""

    def __init__(self, backend: ModuleType, name: str, settings: Sequence[float] = ()):
        super().__init__()
        self.settings = tuple(settings)
        self.function = getattr(backend, name)
        self.function_backward = getattr(backend, f"{name}_backward")

    def forward(self, x):
        self.x = x
        return self.function(x, *self.settings)

    def backward(self, grad):
        return self.function_backward(grad, self.x, *self.settings)


class Network:
    """Dense layers with an activation after each but the last, which gives the logits.

    Parameters
    ----------
    widths : sequence of int
        Units of the input, of every hidden layer, and of the output.
    activation : str
        Its name in the back end, such as ``"relu"``.
    init : callable
        ``init(shape, rng=rng, dtype=dtype)`` gives the weights, as the functions of `fastact.init`.
    backend : module
        Where the kernels come from.
    batch_norm : bool
        Normalise before every activation. It takes the place of the bias, which it would undo.
    parameters : sequence of float
        Of the activation; its defaults where there are none.
    rng : numpy.random.Generator
        Draws the weights.
    dtype : dtype
        Of all parameters.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: str,
        init: Callable[..., np.ndarray],
        *,
        backend: ModuleType,
        batch_norm: bool = False,
        parameters: Sequence[float] = (),
        rng: np.random.Generator,
        dtype=np.float32,
    ):
        self.backend = backend
        self.layers: list[Layer] = []
        for n_in, n_out in pairwise(widths[:-1]):
            self.layers.append(Dense(weight=init((n_in, n_out), rng=rng, dtype=dtype)))
            zeros, ones = np.zeros(n_out, dtype), np.ones(n_out, dtype)
            shift = BatchNorm(backend, gamma=ones, beta=zeros) if batch_norm else Bias(bias=zeros)
            self.layers += [shift, Activation(backend, activation, parameters)]
        self.layers.append(Dense(weight=init(tuple(widths[-2:]), rng=rng, dtype=dtype)))
        self.layers.append(Bias(bias=np.zeros(widths[-1], dtype)))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """The logits, (batch, classes)."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def loss(self, x: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        """Softmax cross-entropy, the mean over the batch, and its gradient by the logits.

        From the logits z and p = softmax(z): -log p[label] = max z - z[label] - log max p, which
        neither overflows nor rounds to log 0 however far the label is from winning.
        """
        logits = self.forward(x)
        p = self.backend.softmax(logits)
        rows = np.arange(len(labels))
        losses = logits.max(axis=1) - logits[rows, labels] - np.log(p.max(axis=1))
        p[rows, labels] -= 1
        return float(losses.mean(dtype=np.float64)), p / p.dtype.type(len(labels))

    def backward(self, grad: np.ndarray) -> list[dict[str, np.ndarray]]:
        """The gradients by all parameters, a dict for each layer, from the one by the logits."""
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return [layer.gradients for layer in self.layers]

    def update(self, gradients: list[dict[str, np.ndarray]], learning_rate: float) -> None:
        """One step of gradient descent."""
        for layer, gradient in zip(self.layers, gradients, strict=True):
            for name, parameter in layer.parameters.items():
                parameter -= learning_rate * gradient[name]

    def arriving(self) -> list[float]:
        """The norm of dL/dz as it arrived at every dense layer, z = x @ weight, input layer first.

        This is the signal that vanishes or explodes on its way down; it was recorded by the last
        `backward`.
        """
        dense = [layer for layer in self.layers if isinstance(layer, Dense)]
        return [float(np.linalg.norm(layer.arriving.astype(np.float64))) for layer in dense]

    def accuracy(self, train_x: np.ndarray, x: np.ndarray, labels: np.ndarray) -> float:
        """The share of `x` that is classified right.

        Batch normalisation then uses the statistics of the whole training set, from one forward
        pass over it (Ioffe and Szegedy 2015, algorithm 2).
        """
        self.forward(train_x)
        for layer in self.layers:
            x = layer.predict(x)
        return float(np.mean(x.argmax(axis=1) == labels))
