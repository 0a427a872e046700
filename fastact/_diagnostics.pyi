from typing import Any

import numpy as np
from numpy.typing import NDArray

FOUND: np.dtype[np.void]

def census(arrays: list[NDArray[Any]]) -> tuple[NDArray[np.void], list[NDArray[np.int64]]]: ...
