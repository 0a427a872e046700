"""Functions with parameters: callables over a real ufunc that has them as broadcast inputs."""

from __future__ import annotations

from inspect import Parameter as Argument
from inspect import Signature
from typing import Any, NamedTuple

import numpy as np


class Parameter(NamedTuple):
    """A parameter of an activation: PyTorch's name and default, and what it is."""

    name: str
    default: float
    meaning: str


class ParametricUfunc:
    """A ufunc whose last inputs are optional parameters.

    Calling it fills the parameters in and calls `ufunc`, so that ``out=``, ``where=``,
    ``casting=``, ``order=``, ``dtype=``, ``subok=``, broadcasting and ``__array_ufunc__`` are
    NumPy's own.

    Attributes
    ----------
    ufunc : numpy.ufunc
        The ufunc that runs; takes every parameter as an input.
    parameters : tuple of Parameter
        Names and defaults, in the order of the inputs.
    nin, nout : int
        Of `ufunc`.
    """

    def __init__(
        self,
        ufunc: np.ufunc,
        arguments: tuple[str, ...],
        parameters: tuple[Parameter, ...],
        doc: str,
    ) -> None:
        self.ufunc = ufunc
        self.parameters = parameters
        self.nin, self.nout = ufunc.nin, ufunc.nout
        self._names = frozenset(p.name for p in parameters)
        self._defaults = tuple(p.default for p in parameters)
        self.__name__ = self.__qualname__ = ufunc.__name__
        self.__doc__ = doc
        self.__module__ = "fastact"  # where pickle finds it
        self.__signature__ = Signature(
            [
                *(Argument(name, Argument.POSITIONAL_ONLY) for name in arguments),
                *(
                    Argument(p.name, Argument.POSITIONAL_OR_KEYWORD, default=p.default)
                    for p in parameters
                ),
                Argument("out", Argument.POSITIONAL_OR_KEYWORD, default=None),
                Argument("kwargs", Argument.VAR_KEYWORD),
            ]
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        missing = self.nin - len(args)
        if missing > 0:
            if missing > len(self.parameters):
                raise TypeError(
                    f"{self.__name__}() takes at least {self.nin - len(self.parameters)} arrays, "
                    f"got {len(args)}: {self.__name__}{self.__signature__}"
                )
            if self._names.isdisjoint(kwargs):
                args += self._defaults[-missing:]
            else:
                left_out = self.parameters[-missing:]
                args += tuple(kwargs.pop(p.name, p.default) for p in left_out)
        return self.ufunc(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<activation '{self.__name__}'>"

    def __reduce__(self) -> str:
        return self.__name__


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
