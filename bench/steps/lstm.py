"""A long short-term memory that classifies sequences: forward, backward through time, update.

Batches lie as rows, (batch, features), as in PyTorch, and so do its gates: input, forget, cell,
output.
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
    """Weights to begin with, and a batch of sequences: (time, batch, inputs)."""

    name = "LSTM"

    def __init__(
        self, inputs=INPUTS, hidden=HIDDEN, classes=CLASSES, length=LENGTH, batch=BATCH, seed=0
    ) -> None:
        rng = np.random.default_rng(seed)
        self.hidden = hidden
        shapes = ((inputs, 4 * hidden), (hidden, 4 * hidden), (hidden, classes))
        wx, wh, wy = (fastact.init.xavier_uniform(shape, rng=rng) for shape in shapes)
        b, by = np.zeros(4 * hidden, np.float32), np.zeros(classes, np.float32)
        self.weights = [wx, wh, b, wy, by]
        self.x = rng.standard_normal((length, batch, inputs), dtype=np.float32)
        self.labels = rng.integers(classes, size=batch)

    def contenders(self) -> dict[str, type]:
        """Classes that take the problem; ImportError says that one is not installed."""
        return {"numpy": NumpyLSTM, "fastact": FastactLSTM, "torch": TorchLSTM}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def rows(sequences: np.ndarray) -> np.ndarray:
    """All steps below each other: (time * batch, features), for one matmul over all of them."""
    return sequences.reshape(-1, sequences.shape[-1])


class NumpyLSTM:
    def __init__(self, problem: Problem) -> None:
        self.x, self.labels, self.hidden = problem.x, problem.labels, problem.hidden
        self.weights = copies(problem.weights)
        self.clock = Clock()

    def step(self) -> float:
        part, n = self.clock.part, self.hidden
        wx, wh, b, wy, by = self.weights
        length, batch, _ = self.x.shape
        h = c = np.zeros((batch, n), np.float32)
        hs, saved, dzs = [h], [], []
        with part(MATMUL):
            xs = (rows(self.x) @ wx).reshape(length, batch, 4 * n)
        for t in range(length):
            with part(MATMUL):
                z = h @ wh
            with part(FORWARD):
                z = z + xs[t] + b
                i, f = sigmoid(z[:, :n]), sigmoid(z[:, n : 2 * n])
                g, o = np.tanh(z[:, 2 * n : 3 * n]), sigmoid(z[:, 3 * n :])
                saved.append((i, f, g, o, c))
                c = f * c + i * g
                h = o * np.tanh(c)
                hs.append(h)
        with part(MATMUL):
            y = h @ wy
        with part(LOSS):
            loss, dy = numpy_cross_entropy(y + by, self.labels)
        with part(MATMUL):
            dwy, dh = h.T @ dy, dy @ wy.T
        dc = np.zeros_like(c)
        for i, f, g, o, c_before in reversed(saved):
            with part(BACKWARD):
                tanh_c = np.tanh(c)
                dc = dc + dh * o * (1 - tanh_c**2)
                di, df = dc * g * i * (1 - i), dc * c_before * f * (1 - f)
                dg, do = dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)
                dz = np.concatenate([di, df, dg, do], axis=1)
                dzs.append(dz)
                dc, c = dc * f, c_before
            with part(MATMUL):
                dh = dz @ wh.T
        with part(MATMUL):
            dz = np.concatenate(dzs[::-1])
            dwx, dwh = rows(self.x).T @ dz, np.concatenate(hs[:-1]).T @ dz
        with part(BACKWARD):
            db, dby = dz.sum(axis=0), dy.sum(axis=0)
        with part(UPDATE):
            for w, dw in zip(self.weights, (dwx, dwh, db, dwy, dby), strict=True):
                w -= RATE * dw
        return loss


class FastactLSTM:
    """The same with fastact, in memory that is allocated once."""

    def __init__(self, problem: Problem) -> None:
        self.x, self.labels = problem.x, problem.labels
        self.weights = copies(problem.weights)
        self.gradients = copies(problem.weights)
        length, batch, _ = self.x.shape
        n, classes = problem.hidden, len(self.weights[-1])

        def memory(*shape: int) -> np.ndarray:
            return np.zeros(shape, np.float32)

        self.xs, self.dgates = memory(length, batch, 4 * n), memory(length, batch, 4 * n)
        self.saved = memory(length, batch, 6 * n)
        self.h, self.c = memory(length + 1, batch, n), memory(batch, n)  # h[0] stays 0
        self.gates, self.wh_t = memory(batch, 4 * n), memory(4 * n, n)
        self.dh, self.dc = memory(batch, n), memory(batch, n)
        self.y, self.dy = memory(batch, classes), memory(batch, classes)
        self.batch = np.arange(batch)
        self.clock = Clock()

    def step(self) -> float:
        part = self.clock.part
        wx, wh, b, wy, _ = self.weights
        dwx, dwh, db, dwy, dby = self.gradients
        gates, h, c, dgates, dh, dc = self.gates, self.h, self.c, self.dgates, self.dh, self.dc
        steps = range(len(self.x))
        with part(MATMUL):
            np.matmul(rows(self.x), wx, out=rows(self.xs))
        c[...] = 0
        for t in steps:
            with part(MATMUL):
                np.matmul(h[t], wh, out=gates)
            with part(FORWARD):
                gates += self.xs[t]
                gates += b
                fastact.lstm_cell(gates, c, out=(h[t + 1], c), saved=self.saved[t])
        with part(MATMUL):
            np.matmul(h[-1], wy, out=self.y)
        with part(LOSS):
            loss = self.cross_entropy()
        with part(MATMUL):
            np.matmul(h[-1].T, self.dy, out=dwy)
            np.matmul(self.dy, wy.T, out=dh)
            np.copyto(self.wh_t, wh.T)  # faster than to multiply by a transposed view, 32 times
        dc[...] = 0
        for t in reversed(steps):
            with part(BACKWARD):
                fastact.lstm_cell_backward(dh, dc, self.saved[t], out=(dgates[t], dc))
            with part(MATMUL):
                np.matmul(dgates[t], self.wh_t, out=dh)
        with part(MATMUL):
            np.matmul(rows(self.x).T, rows(dgates), out=dwx)
            np.matmul(rows(h[:-1]).T, rows(dgates), out=dwh)
        with part(BACKWARD):
            np.sum(rows(dgates), axis=0, out=db)
            np.sum(self.dy, axis=0, out=dby)
        with part(UPDATE):
            for w, dw in zip(self.weights, self.gradients, strict=True):
                dw *= RATE
                w -= dw
        return loss

    def cross_entropy(self) -> float:
        """Its mean; dy becomes its gradient."""
        self.y += self.weights[-1]
        p = fastact.softmax(self.y, out=self.dy)
        loss = -np.log(p[self.batch, self.labels]).mean()
        p[self.batch, self.labels] -= 1
        p /= len(self.labels)
        return float(loss)


class TorchLSTM:
    def __init__(self, problem: Problem) -> None:
        import torch

        def transposed(w: np.ndarray):
            return torch.from_numpy(w.T.copy())

        wx, wh, b, wy, by = problem.weights
        self.lstm = torch.nn.LSTM(len(wx), problem.hidden)
        self.head = torch.nn.Linear(*wy.shape)
        self.lstm.weight_ih_l0.data, self.lstm.weight_hh_l0.data = transposed(wx), transposed(wh)
        self.lstm.bias_ih_l0.data = transposed(b)
        self.lstm.bias_hh_l0 = torch.nn.Parameter(torch.zeros(b.size), requires_grad=False)
        self.head.weight.data, self.head.bias.data = transposed(wy), transposed(by)
        self.x = torch.from_numpy(problem.x)
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
