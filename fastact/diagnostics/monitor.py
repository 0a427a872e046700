"""`GradientMonitor`: the gradients of a whole training, in bounded memory."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastact.diagnostics.measures import Census, Index, activations_of
from fastact.diagnostics.report import (
    GradientReport,
    build,
    check_options,
    strict,
    update_ratios,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Nonfinite:
    """The first NaN or infinity of a training: its step, its array, and where it is in that."""

    step: int
    name: str
    index: Index
    flat: int
    value: str

    def __str__(self) -> str:
        return f"{self.name} is {self.value} at index {self.index}, step {self.step}"


@dataclass(frozen=True)
class _Row:
    step: int
    rms: NDArray[np.float64]
    update: NDArray[np.float64] | None
    loss: float | None


class GradientMonitor:
    """Gradients through a training: call `step` once a step.

    Parameters
    ----------
    history : int, default 1000
        Steps that are kept, at least 2. Where these are used up, every other one is dropped, and
        from then on every other step is kept: the history is of the whole training, evenly.
    learning_rate, precision
        As for `gradient_report`.

    Attributes
    ----------
    steps : int
        How often `step` was called; the first call is step 0.
    first_nonfinite : Nonfinite or None
        The first NaN or infinity: step, name of the array, index. In one step, activations come
        before gradients, gradients before parameters; of gradients, what is next to the loss comes
        first, which is where the signal comes from.

    Raises
    ------
    ValueError
        If `history` is below 2, or an option is not one of `gradient_report`'s.

    Notes
    -----
    A step costs one read of the arrays that it is given, and a microsecond or two for each.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> monitor = fastact.GradientMonitor()
    >>> for step in range(3):
    ...     grads = {"w": np.ones((2, 2)), "b": np.array([0.5, np.nan if step == 1 else 0])}
    ...     finite = monitor.step(grads)
    >>> print(monitor.first_nonfinite)
    grads['b'] is nan at index (1,), step 1
    >>> monitor.report().verdict
    'healthy'
    """

    def __init__(
        self,
        history: int = 1000,
        *,
        learning_rate: float | None = None,
        precision: str | None = None,
    ) -> None:
        if history < 2:
            raise ValueError(f"history must be at least 2, not {history}")
        check_options(learning_rate, precision)
        self.steps = 0
        self.first_nonfinite: Nonfinite | None = None
        self._history = history
        self._stride = 1
        self._rows: list[_Row] = []
        self._names: list[str] = []
        self._options = learning_rate, precision
        self._last: tuple[Any, ...] | None = None

    def step(
        self, grads: Any, params: Any = None, activations: Any = None, *, loss: float | None = None
    ) -> bool:
        """Measure a step.

        Parameters
        ----------
        grads, params, activations
            As for `gradient_report`; the names of `grads` are the same at every step.
        loss : float, optional
            For the picture of the history.

        Returns
        -------
        bool
            Whether all entries of what was given are finite.

        Raises
        ------
        TypeError, ValueError
            As `gradient_report` does, or if the arrays of `grads` are others than at the last step.
        """
        gradients = Census.take(grads, "grads")
        if self._names and gradients.names != self._names:
            raise ValueError("grads must hold the same arrays at every step")
        parameters = None if params is None else Census.take(params, "params")
        acting = None if activations is None else Census.take(activations, "activations")
        behaviour = [] if activations is None else activations_of(activations)
        rate = self._options[0]
        updates = None if parameters is None else update_ratios(gradients, parameters, rate)
        self._names = gradients.names
        self._last = gradients, parameters, acting, behaviour
        bad = self._first_bad(acting, gradients, parameters)
        if self.first_nonfinite is None:
            self.first_nonfinite = bad
        if self.steps % self._stride == 0:
            self._keep(gradients, updates, loss)
        self.steps += 1
        return bad is None

    def _first_bad(
        self, acting: Census | None, gradients: Census, parameters: Census | None
    ) -> Nonfinite | None:
        for census, pick in ((acting, min), (gradients, max), (parameters, min)):
            if census is not None and census.bad:
                k = pick(census.bad)
                flat, index = census.first_bad(k) or (0, ())
                return Nonfinite(self.steps, census.names[k], index, flat, census.bad_values[k])
        return None

    def _keep(
        self, gradients: Census, updates: list[float | None] | None, loss: float | None
    ) -> None:
        if len(self._rows) == self._history:
            del self._rows[1::2]
            self._stride *= 2
            if self.steps % self._stride:
                return
        ratios = None if updates is None else np.array(updates, float)
        told = None if loss is None else float(loss)
        self._rows.append(_Row(self.steps, gradients.found["rms"].copy(), ratios, told))

    def report(self) -> GradientReport:
        """The report on the last step.

        Raises
        ------
        ValueError
            Before the first step.
        """
        if self._last is None:
            raise ValueError("there is nothing to report before the first step")
        gradients, parameters, acting, behaviour = self._last
        return build(gradients, parameters, acting, behaviour, *self._options)

    def to_dict(self) -> dict[str, Any]:
        """History, first NaN or infinity and last report, in JSON's types."""
        bad = self.first_nonfinite
        told: dict[str, Any] = strict(
            {
                "steps": self.steps,
                "names": self._names,
                "history": [
                    {
                        "step": row.step,
                        "loss": row.loss,
                        "rms": row.rms.tolist(),
                        "update_ratio": None if row.update is None else row.update.tolist(),
                    }
                    for row in self._rows
                ],
                "first_nonfinite": None if bad is None else asdict(bad),
                "report": None if self._last is None else self.report().to_dict(),
            }
        )
        return told

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` as JSON; whenever this is interrupted, the file is the old or the new."""
        path = Path(path)
        text = json.dumps(self.to_dict(), allow_nan=False)
        new = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with new.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise

    def plot(self) -> Figure:
        """RMS of every array, and where given updates and loss, over steps: a matplotlib figure.

        Raises
        ------
        ImportError
            Where matplotlib is not installed: ``pip install 'fastact[lab]'``.
        ValueError
            Before the first step.
        """
        from fastact.diagnostics import figure

        if not self._rows:
            raise ValueError("there is nothing to plot before the first step")
        return figure.of_history(
            self._names,
            np.array([row.step for row in self._rows]),
            np.array([row.rms for row in self._rows]),
            self._matrix(),
            np.array([math.nan if row.loss is None else row.loss for row in self._rows]),
            self.first_nonfinite,
        )

    def _matrix(self) -> NDArray[np.float64]:
        nothing = np.full(len(self._names), math.nan)
        return np.array([nothing if row.update is None else row.update for row in self._rows])
