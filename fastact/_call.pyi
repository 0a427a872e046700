from inspect import Signature
from typing import Any

import numpy as np
from typing_extensions import disjoint_base

from fastact._parametric import Parameter

@disjoint_base
class ParametricUfunc:
    __name__: str
    __qualname__: str
    __signature__: Signature
    def __init__(
        self,
        ufunc: np.ufunc,
        bound: np.ufunc,
        arguments: tuple[str, ...],
        parameters: tuple[Parameter, ...],
        doc: str,
    ) -> None: ...
    @property
    def ufunc(self) -> np.ufunc: ...
    @property
    def parameters(self) -> tuple[Parameter, ...]: ...
    @property
    def nin(self) -> int: ...
    @property
    def nout(self) -> int: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __reduce__(self) -> str: ...
