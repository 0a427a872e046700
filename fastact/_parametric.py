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
    the axes along which the parameter was broadcast.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        each = np.asarray(super().__call__(*args, **kwargs))
        position = self.nin - 1
        parameter = args[position] if len(args) > position else None
        name, default, _ = self.parameters[0]
        shape = np.shape(kwargs.get(name, default) if parameter is None else parameter)
        aligned = (1,) * (each.ndim - len(shape)) + shape
        axes = tuple(k for k, n in enumerate(aligned) if n == 1)
        total = np.sum(each, axis=axes, keepdims=True, dtype=np.float64)
        return total.astype(each.dtype).reshape(shape)[()]
