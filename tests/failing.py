"""Networks built to fail, each in one way, and healthy ones: what they give a gradient report."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np

import fastact
from fastact import init
from fastact.lab.network import Activation, Bias, Network


def normal(std):
    """Weights drawn from N(0, std^2), whatever the shape."""
    return lambda shape, *, rng, dtype: rng.normal(0, std, shape).astype(dtype)


@dataclass(frozen=True)
class Case:
    """A network, and what its report must say: the verdict, and the culprit's name."""

    name: str
    activation: str
    init: object
    verdict: str
    culprit: str | None = None
    depth: int = 10
    batch_norm: bool = False
    activations: bool = False
    options: dict = field(default_factory=dict)
    bias: dict = field(default_factory=dict)  # layer: what its biases are
    scale: dict = field(default_factory=dict)  # layer: what its weights are multiplied by
    loss_scale: float = 1.0

    def __str__(self):
        return self.name

    def grads(self):
        """Gradients and, if the case has them, activations of one step on random data."""
        rng = np.random.default_rng(0)
        network = Network(
            [32, *[64] * self.depth, 10],
            self.activation,
            self.init,
            backend=fastact,
            batch_norm=self.batch_norm,
            rng=rng,
        )
        biases = [layer for layer in network.layers if isinstance(layer, Bias)]
        for k, value in self.bias.items():
            biases[k].parameters["bias"][...] = value
        dense = [layer for layer in network.layers if "weight" in layer.parameters]
        for k, factor in self.scale.items():
            dense[k].parameters["weight"] *= np.float32(factor)
        x = rng.standard_normal((64, 32), dtype=np.float32)
        _, grad = network.loss(x, rng.integers(10, size=64))
        found = network.backward(grad * np.float32(self.loss_scale))
        grads = {}
        for k, layer in enumerate(g for g in found if g):
            part = f"layer{k // 2}"
            grads.setdefault(part, {}).update(layer)
        acts = [a.function(a.x) for a in network.layers if isinstance(a, Activation)]
        return grads, acts if self.activations else None


HE, XAVIER, LECUN = init.he_normal, init.xavier_normal, partial(init.he_normal, gain=1.0)
FIRST = "grads['layer0']['bias']"
CASES = [
    Case("sigmoid by depth", "sigmoid", XAVIER, "vanishing", FIRST),
    Case("tanh by small weights", "tanh", normal(0.01), "vanishing", FIRST),
    Case("relu by small weights", "relu", normal(0.02), "vanishing", FIRST),
    Case("one layer of tiny weights", "tanh", XAVIER, "vanishing", "grads['layer4']['bias']",
         scale={5: 1e-6}),
    Case("relu by large weights", "relu", partial(HE, gain=6.0), "exploding", FIRST),
    Case("identity by large weights", "identity", normal(0.5), "exploding", FIRST),
    Case("relu dead by bias", "relu", HE, "dead", "activations[3]", activations=True,
         bias={3: -100}),
    Case("relu dead by bias, from gradients", "relu", HE, "dead", "grads['layer3']['bias']",
         bias={**dict.fromkeys(range(10), 0.1), 3: -100}),
    Case("tanh saturated", "tanh", XAVIER, "saturated", "activations[6]", activations=True,
         scale={6: 30}),
    Case("sigmoid saturated", "sigmoid", XAVIER, "saturated", "activations[2]", activations=True,
         bias={2: -20}, depth=4),
    Case("float16 underflow", "tanh", XAVIER, "underflow", "grads['layer3']['weight']", depth=4,
         options={"precision": "float16"}, loss_scale=3e-5),
    Case("float16 overflow", "tanh", XAVIER, "overflow", "grads['layer4']['bias']", depth=4,
         options={"precision": "float16"}, loss_scale=1e6),
    Case("healthy: relu and He", "relu", HE, "healthy", depth=20, activations=True),
    Case("healthy: tanh and Xavier", "tanh", XAVIER, "healthy", depth=20, activations=True),
    Case("healthy: selu and LeCun", "selu", LECUN, "healthy", depth=20, activations=True),
    Case("healthy: elu and He", "elu", HE, "healthy", depth=20, activations=True),
    Case("healthy: gelu and He", "gelu", HE, "healthy", activations=True),
    Case("healthy: sigmoid with batch norm", "sigmoid", normal(0.1), "healthy", depth=20,
         batch_norm=True, activations=True),
    Case("healthy: relu with batch norm", "relu", HE, "healthy", depth=20, batch_norm=True,
         activations=True),
    Case("healthy: float16 with a loss scale", "tanh", XAVIER, "healthy", depth=4,
         options={"precision": "float16"}, loss_scale=1024),
]  # fmt: skip


def recurrent(spread, steps=60, units=32):
    """Gradients by the states of a recurrence h = tanh(W h + noise), the first state first."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, spread / np.sqrt(units), (units, units))
    states = [0.01 * rng.normal(size=(16, units))]
    for _ in range(steps):
        states.append(fastact.tanh(states[-1] @ weight * 0.1))
    grads = [rng.normal(size=(16, units))]
    for h in states[:0:-1]:
        grads.append((grads[-1] * (1 - h**2)) @ weight.T)
    return grads[::-1]
