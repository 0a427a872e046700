from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import disjoint_base

LSTM: int
LSTM_INFERENCE: int
LSTM_BACKWARD: int
GRU: int
GRU_INFERENCE: int
GRU_BACKWARD: int

@disjoint_base
class Call:
    def __init__(self, name: str, a: ArrayLike, blocks: int, axis: int) -> None: ...
    @property
    def working(self) -> np.dtype[Any]: ...
    def read(self, name: str, a: ArrayLike, blocks: int = 1) -> None: ...
    def write(
        self,
        name: str,
        out: NDArray[Any] | None,
        blocks: int = 1,
        dtype: np.dtype[Any] | None = None,
    ) -> None: ...
    def run(self, cell: int) -> tuple[NDArray[Any], ...]: ...
