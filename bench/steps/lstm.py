"""A long short-term memory that classifies sequences: forward, backward through time, update.

Batches lie as columns, (features, batch), so that each gate is contiguous rows of W @ h; gates lie
in the order input, forget, output, cell, so that the three sigmoids are one call.
"""

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

INPUTS, HIDDEN, CLASSES = 64, 128, 10
LENGTH, BATCH = 32, 64
RATE = 0.01


class Problem:
    """Weights to begin with, and a batch of sequences: (time, inputs, batch)."""

    name = "LSTM"

    def __init__(
        self, inputs=INPUTS, hidden=HIDDEN, classes=CLASSES, length=LENGTH, batch=BATCH, seed=0
    ) -> None:
        rng = np.random.default_rng(seed)
        self.hidden = hidden
        shapes = ((inputs, 4 * hidden), (hidden, 4 * hidden), (hidden, classes))
        wx, wh, wy = (fastact.init.xavier_uniform(shape, rng=rng).T.copy() for shape in shapes)
        b, by = np.zeros((4 * hidden, 1), np.float32), np.zeros((classes, 1), np.float32)
        self.weights = [wx, wh, b, wy, by]
        self.x = rng.standard_normal((length, inputs, batch), dtype=np.float32)
        self.labels = rng.integers(classes, size=batch)

    def contenders(self) -> dict[str, type]:
        """Classes that take the problem; ImportError says that one is not installed."""
        return {"numpy": NumpyLSTM, "fastact": FastactLSTM, "torch": TorchLSTM}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def wide(sequences) -> np.ndarray:
    """All steps side by side: (features, time * batch), for one matmul over all of them."""
    return np.concatenate(sequences, axis=1)


class NumpyLSTM:
    def __init__(self, problem: Problem) -> None:
        self.x, self.labels, self.hidden = problem.x, problem.labels, problem.hidden
        self.weights = copies(problem.weights)
        self.clock = Clock()

    def step(self) -> float:
        part, n = self.clock.part, self.hidden
        wx, wh, b, wy, by = self.weights
        length, _, batch = self.x.shape
        h = c = np.zeros((n, batch), np.float32)
        hs, saved, dzs = [h], [], []
        with part(MATMUL):
            xs = wx @ self.x
        for t in range(length):
            with part(MATMUL):
                z = wh @ h
            with part(FORWARD):
                z = z + xs[t] + b
                ifo, g = sigmoid(z[: 3 * n]), np.tanh(z[3 * n :])
                i, f, o = np.split(ifo, 3)
                saved.append((ifo, g, c))
                c = f * c + i * g
                h = o * np.tanh(c)
                hs.append(h)
        with part(MATMUL):
            y = wy @ h
        with part(LOSS):
            loss, dy = numpy_cross_entropy((y + by).T, self.labels)
        with part(MATMUL):
            dwy, dh = dy.T @ h.T, wy.T @ dy.T
        dc = np.zeros_like(c)
        for ifo, g, c_before in reversed(saved):
            with part(BACKWARD):
                i, f, o = np.split(ifo, 3)
                tanh_c = np.tanh(c)
                dc = dc + dh * o * (1 - tanh_c**2)
                difo = np.concatenate([dc * g, dc * c_before, dh * tanh_c]) * ifo * (1 - ifo)
                dz = np.concatenate([difo, dc * i * (1 - g**2)])
                dzs.append(dz)
                dc, c = dc * f, c_before
            with part(MATMUL):
                dh = wh.T @ dz
        with part(MATMUL):
            dz = wide(dzs[::-1])
            dwx, dwh = dz @ wide(self.x).T, dz @ wide(hs[:-1]).T
        with part(BACKWARD):
            db, dby = dz.sum(axis=1, keepdims=True), dy.T.sum(axis=1, keepdims=True)
        with part(UPDATE):
            for w, dw in zip(self.weights, (dwx, dwh, db, dwy, dby), strict=True):
                w -= RATE * dw
        return loss


class FastactLSTM:
    """The same with fastact, in memory that is allocated once."""

    def __init__(self, problem: Problem) -> None:
        self.x, self.labels, self.hidden = problem.x, problem.labels, problem.hidden
        self.weights = copies(problem.weights)
        self.gradients = copies(problem.weights)
        length, _, batch = self.x.shape
        n, classes = self.hidden, len(self.weights[-1])

        def memory(*shape: int) -> np.ndarray:
            return np.zeros(shape, np.float32)

        self.z, self.gates, self.slopes = (memory(length, 4 * n, batch) for _ in range(3))
        self.dz = memory(length, 4 * n, batch)
        self.h, self.c = memory(length + 1, n, batch), memory(length + 1, n, batch)  # from 0
        self.tanh_c, self.slope_c = memory(length, n, batch), memory(length, n, batch)
        self.wh_h, self.dgates = memory(4 * n, batch), memory(4 * n, batch)
        self.product, self.dh, self.dc = (memory(n, batch) for _ in range(3))
        self.y, self.dy = memory(classes, batch), memory(classes, batch)
        self.columns = np.arange(batch)
        self.clock = Clock()

    def step(self) -> float:
        part = self.clock.part
        wx, wh, _, wy, _ = self.weights
        dwx, dwh, db, dwy, dby = self.gradients
        steps = range(len(self.x))
        with part(MATMUL):
            np.matmul(wx, self.x, out=self.z)
        for t in steps:
            with part(MATMUL):
                np.matmul(wh, self.h[t], out=self.wh_h)
            with part(FORWARD):
                self.cell(t)
        with part(MATMUL):
            np.matmul(wy, self.h[-1], out=self.y)
        with part(LOSS):
            loss = self.cross_entropy()
        with part(MATMUL):
            np.matmul(self.dy, self.h[-1].T, out=dwy)
            np.matmul(wy.T, self.dy, out=self.dh)
        self.dc[...] = 0
        for t in reversed(steps):
            with part(BACKWARD):
                self.cell_backward(t)
            with part(MATMUL):
                np.matmul(wh.T, self.dz[t], out=self.dh)
        with part(MATMUL):
            dz = wide(self.dz)
            np.matmul(dz, wide(self.x).T, out=dwx)
            np.matmul(dz, wide(self.h[:-1]).T, out=dwh)
        with part(BACKWARD):
            np.sum(dz, axis=1, keepdims=True, out=db)
            np.sum(self.dy, axis=1, keepdims=True, out=dby)
        with part(UPDATE):
            for w, dw in zip(self.weights, self.gradients, strict=True):
                dw *= RATE
                w -= dw
        return loss

    def cell(self, t: int) -> None:
        """Gates, memory and output of step t, from its x in z[t] and its h in `wh_h`; the slopes
        for the way back come with them.
        """
        three, z, gates, slopes = 3 * self.hidden, self.z[t], self.gates[t], self.slopes[t]
        c, tanh_c = self.c[t + 1], self.tanh_c[t]
        z += self.wh_h
        z += self.weights[2]
        fastact.sigmoid_with_derivative(z[:three], out=(gates[:three], slopes[:three]))
        fastact.tanh_with_derivative(z[three:], out=(gates[three:], slopes[three:]))
        i, f, o, g = np.split(gates, 4)
        np.multiply(f, self.c[t], out=c)
        c += np.multiply(i, g, out=self.product)
        fastact.tanh_with_derivative(c, out=(tanh_c, self.slope_c[t]))
        np.multiply(o, tanh_c, out=self.h[t + 1])

    def cell_backward(self, t: int) -> None:
        """dz[t] from dh and dc, and the dc of the step before."""
        i, f, o, g = np.split(self.gates[t], 4)
        di, df, do, dg = np.split(self.dgates, 4)
        dh, dc, product = self.dh, self.dc, self.product
        np.multiply(dh, o, out=product)
        product *= self.slope_c[t]
        dc += product
        np.multiply(dc, g, out=di)
        np.multiply(dc, self.c[t], out=df)
        np.multiply(dh, self.tanh_c[t], out=do)
        np.multiply(dc, i, out=dg)
        np.multiply(self.dgates, self.slopes[t], out=self.dz[t])
        dc *= f

    def cross_entropy(self) -> float:
        """Its mean; dy becomes its gradient."""
        self.y += self.weights[-1]
        p = fastact.softmax(self.y, axis=0, out=self.dy)
        loss = -np.log(p[self.labels, self.columns]).mean()
        p[self.labels, self.columns] -= 1
        p /= len(self.labels)
        return float(loss)


class TorchLSTM:
    def __init__(self, problem: Problem) -> None:
        import torch

        def gates(w: np.ndarray):
            """In PyTorch's order, which has the output gate last."""
            i, f, o, g = np.split(w, 4)
            return torch.from_numpy(np.concatenate([i, f, g, o]))

        wx, wh, b, wy, by = problem.weights
        self.lstm = torch.nn.LSTM(wx.shape[1], problem.hidden)
        self.head = torch.nn.Linear(*wy.T.shape)
        self.lstm.weight_ih_l0.data, self.lstm.weight_hh_l0.data = gates(wx), gates(wh)
        self.lstm.bias_ih_l0.data = gates(b.ravel())
        self.lstm.bias_hh_l0 = torch.nn.Parameter(torch.zeros(b.size), requires_grad=False)
        self.head.weight.data = torch.from_numpy(wy.copy())
        self.head.bias.data = torch.from_numpy(by.ravel().copy())
        self.x = torch.from_numpy(problem.x.swapaxes(1, 2).copy())  # (time, batch, inputs)
        self.labels = torch.from_numpy(problem.labels)
        self.loss = torch.nn.CrossEntropyLoss()
        trained = [p for m in (self.lstm, self.head) for p in m.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=RATE)

    def step(self) -> float:
        self.optimizer.zero_grad()
        _, (h, _) = self.lstm(self.x)
        loss = self.loss(self.head(h[0]), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()
