from typing import Any

import numpy as np
from numpy.typing import NDArray

_Arrays = list[NDArray[Any]]
_Shapes = list[tuple[int, int, int]] | None

MEASURED: dict[str | int, int]
CHANGES: dict[str, int]

def flatten(tree: Any) -> list[Any]: ...
def as_arrays(leaves: list[Any]) -> _Arrays: ...
def first_not_taken(arrays: _Arrays) -> int | None: ...
def first_misfit(arrays: _Arrays, leaves: list[Any]) -> int | None: ...
def all_plain(arrays: _Arrays) -> bool: ...
def measure(
    arrays: _Arrays,
    shapes: _Shapes,
    starts: NDArray[np.intp],
    units: int,
    what: str | int,
    *,
    scale: NDArray[np.float64] | None = None,
    zero_nonfinite: bool = False,
) -> NDArray[np.float64]: ...
def change(
    arrays: _Arrays,
    targets: _Arrays,
    shapes: _Shapes,
    starts: NDArray[np.intp],
    by: NDArray[np.float64],
    how: str,
    *,
    zero_nonfinite: bool = False,
) -> list[int]: ...
def clamp(arrays: _Arrays, targets: _Arrays, lower: float, upper: float) -> list[int]: ...
def any_begin_alike(arrays: _Arrays) -> bool: ...
def are_same(arrays: _Arrays, targets: _Arrays) -> bool: ...
