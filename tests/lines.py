"""Lines for what works along an axis, each kind hard in its own way, and arrays they lie in."""

import numpy as np

KINDS = ("normal", "wide", "offset", "spike", "equal", "ramp", "with -inf", "huge")
LENGTHS = (1, 2, 3, 10, 17, 63, 64, 65, 100, 333, 1030)


def line(kind, n, dtype, seed=0):
    """One line of logits, of a kind that is hard in its own way."""
    rng = np.random.default_rng([seed, n])
    info = np.finfo(dtype)
    x = {
        "normal": lambda: rng.normal(0, 3, n),
        "wide": lambda: rng.uniform(np.log(info.smallest_subnormal) * 1.1, 0, n),  # down to 0
        "offset": lambda: rng.normal(1e4, 3, n),
        "spike": lambda: np.where(np.arange(n) == n // 2, 0, rng.normal(-12, 1e-3, n)),
        "equal": lambda: np.full(n, 0.1),
        "ramp": lambda: -np.arange(n) * 0.37,
        "with -inf": lambda: np.where(rng.random(n) < 0.5, -np.inf, rng.normal(0, 1, n)),
        "huge": lambda: rng.choice([-1, 1], n) * float(info.max),
    }[kind]()
    if kind == "with -inf":
        x[0] = 1.0
    return x.astype(dtype)


def layouts(x):
    """(array, axis) in which the lines of x, of shape (lines, n), lie differently."""
    lines, n = x.shape
    wide = np.zeros((lines, 2 * n + 3), x.dtype)
    shifted = np.zeros(x.size + 1, x.dtype)[1:].reshape(x.shape)
    shifted[...] = x
    wide[:, 1 : 2 * n : 2] = x
    yield shifted, -1
    yield wide[:, 1 : 2 * n : 2], 1
    yield np.ascontiguousarray(x[:, ::-1])[:, ::-1], -1
    yield np.ascontiguousarray(x[::-1])[::-1], -1
    yield np.asfortranarray(x), 1
    yield np.ascontiguousarray(x.T), 0
    yield np.ascontiguousarray(x.T[:, :, None]), -3
    yield np.broadcast_to(x[:, None], (lines, 3, n))[:, 1], -1
