"""Parameters of activations, and the gradients with respect to them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastact._call import ParametricUfunc


class Parameter(NamedTuple):
    """A parameter of an activation: PyTorch's name and default, and what it is."""

    name: str
    default: float
    meaning: str


class ParameterGradient(ParametricUfunc):
    """Gradient of a loss with respect to the parameter of an activation, as for PReLU's slopes.

    `ufunc` gives grad * df/dparameter for every element; calling this sums it, in float64, over
    the axes along which the parameter was broadcast. Products of half types stay float32 until
    they have been summed.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name, default, _ = self.parameters[0]
        for argument in {"out", "where"} & kwargs.keys():
            raise TypeError(f"{self.__name__}() takes no {argument!r}: what it returns is a sum")
        if len(args) == self.nin - 1:
            args += (kwargs.pop(name, default),)
        if len(args) < self.nin:
            return super().__call__(*args, **kwargs)  # which says what is missing
        dtype = np.dtype(kwargs.pop("dtype", None) or self._dtype(args))
        wide = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
        each = np.asarray(self.ufunc(*args, dtype=wide, **kwargs))
        shape = np.shape(args[self.nin - 1])
        aligned = (1,) * (each.ndim - len(shape)) + shape
        axes = tuple(k for k, n in enumerate(aligned) if n == 1)
        total = np.sum(each, axis=axes, keepdims=True, dtype=np.float64)
        return total.astype(dtype).reshape(shape)[()]

    def _dtype(self, args: tuple[Any, ...]) -> np.dtype[Any]:
        """What `ufunc` would return."""
        inputs = args[: self.nin]
        known = (type(a) if type(a) in (int, float) else np.asarray(a).dtype for a in inputs)
        return self.ufunc.resolve_dtypes((*known, None))[-1]
