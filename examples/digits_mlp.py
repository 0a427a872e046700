"""A batch-normed classifier of handwritten digits: NumPy's matrix products, fastact's kernels."""

from itertools import pairwise

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import fastact

WIDTHS = (64, 128, 128, 10)
EPOCHS, BATCH, RATE = 20, 64, 0.1

images, labels = load_digits(return_X_y=True)
images = images.astype(np.float32) / 16
x_train, x_test, y_train, y_test = train_test_split(images, labels, test_size=0.25, random_state=0)

rng = np.random.default_rng(0)
layers = []
for shape in pairwise(WIDTHS[:-1]):
    gamma, beta = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)
    layers.append((fastact.init.he_normal(shape, rng=rng), gamma, beta))
w_out = fastact.init.he_normal(WIDTHS[-2:], rng=rng)
parameters = [parameter for layer in layers for parameter in layer] + [w_out]


def gradients(x, labels):
    """Of softmax cross-entropy, in the order of the parameters."""
    saved = []
    for w, gamma, beta in layers:
        z = x @ w
        y, mean, rstd = fastact.batch_norm(z, gamma, beta, activation="relu")
        saved.append((x, z, mean, rstd))
        x = y
    dy = fastact.softmax(x @ w_out)
    dy[np.arange(len(x)), labels] -= 1
    dy /= len(x)
    found, dy = [x.T @ dy], dy @ w_out.T
    for (w, gamma, beta), (x, *normed) in zip(layers[::-1], saved[::-1], strict=True):
        dz, *own = fastact.batch_norm_backward(dy, *normed, gamma, beta=beta, activation="relu")
        found, dy = [x.T @ dz, *own, *found], dz @ w.T
    return found


for _ in range(EPOCHS):
    for batch in np.array_split(rng.permutation(len(x_train)), len(x_train) // BATCH):
        found = gradients(x_train[batch], y_train[batch])
        for parameter, gradient in zip(parameters, found, strict=True):
            parameter -= RATE * gradient

x, seen = x_test, x_train  # batch norm goes by the statistics of what was seen in training
for w, gamma, beta in layers:
    x, seen = x @ w, seen @ w
    norm = seen.mean(axis=0), seen.var(axis=0), gamma, beta
    x, seen = (fastact.batch_norm_inference(a, *norm, activation="relu") for a in (x, seen))
print(f"test accuracy {np.mean((x @ w_out).argmax(axis=1) == y_test):.1%}")
