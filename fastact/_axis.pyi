from typing import Any

import numpy as np
from numpy.typing import NDArray

softmax: np.ufunc
softmax_masked_zero: np.ufunc
softmax_backward: np.ufunc
log_softmax: np.ufunc
log_softmax_masked_zero: np.ufunc
log_softmax_backward: np.ufunc
logsumexp: np.ufunc
sparsemax: np.ufunc
sparsemax_masked_zero: np.ufunc
sparsemax_backward: np.ufunc
cross_entropy: np.ufunc
cross_entropy_with_gradient: np.ufunc
binary_cross_entropy: np.ufunc
binary_cross_entropy_with_gradient: np.ufunc

def normalize(
    which: str,
    shape: tuple[int, ...],
    x: NDArray[Any],
    out: NDArray[Any],
    mean: NDArray[Any] | None,
    spread: NDArray[Any],
    activation: tuple[int, tuple[float, ...]] = (-1, ()),
    *,
    grad: NDArray[Any] | None = None,
    gamma: NDArray[Any] | None = None,
    beta: NDArray[Any] | None = None,
    eps: float = 0.0,
    centred: bool = True,
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
