from typing import Any

import numpy as np
from numpy.typing import NDArray

softmax: np.ufunc
softmax_masked_zero: np.ufunc
softmax_backward: np.ufunc
clamp: np.ufunc

def batch_norm(
    which: str,
    shape: tuple[int, ...],
    x: NDArray[Any],
    out: NDArray[Any],
    mean: NDArray[Any],
    spread: NDArray[Any],
    activation: tuple[int, tuple[float, ...]],
    *,
    grad: NDArray[Any] | None = None,
    gamma: NDArray[Any] | None = None,
    beta: NDArray[Any] | None = None,
    eps: float = 0.0,
    dgamma: NDArray[Any] | None = None,
    dbeta: NDArray[Any] | None = None,
) -> None: ...
def bias_activation(
    shape: tuple[int, ...],
    x: NDArray[Any],
    bias: NDArray[Any],
    activation: tuple[int, tuple[float, ...]],
    out: NDArray[Any],
    *,
    grad: NDArray[Any] | None = None,
    dbias: NDArray[Any] | None = None,
) -> None: ...
def measure(
    x: NDArray[Any], order: int, scale: float = 1.0, zero_nonfinite: bool = False
) -> float: ...
def rescale(
    x: NDArray[Any], out: NDArray[Any], factor: float, zero_nonfinite: bool = False
) -> None: ...
