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
    grad: NDArray[Any] | None,
    gamma: NDArray[Any] | None,
    beta: NDArray[Any] | None,
    eps: float,
    out: NDArray[Any],
    mean: NDArray[Any],
    spread: NDArray[Any],
    dgamma: NDArray[Any] | None,
    dbeta: NDArray[Any] | None,
) -> None: ...
def measure(
    x: NDArray[Any], order: int, scale: float = 1.0, zero_nonfinite: bool = False
) -> float: ...
def rescale(
    x: NDArray[Any], out: NDArray[Any], factor: float, zero_nonfinite: bool = False
) -> None: ...
