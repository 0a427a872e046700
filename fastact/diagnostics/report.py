"""`gradient_report`: what is measured, what it means, and how it is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fastact.diagnostics import table
from fastact.diagnostics.measures import (
    HALF_TYPES,
    Activation,
    Census,
    Measures,
    activations_of,
)
from fastact.diagnostics.verdict import Finding, findings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class GradientReport:
    """What `gradient_report` found.

    ``str(report)`` is a table (of rich's, where that is installed), ``report.to_dict()`` goes into
    JSON, ``report.plot()`` is a matplotlib figure.

    Attributes
    ----------
    gradients : tuple of Measures
        An entry an array, in the order of `grads`.
    activations : tuple of Activation
        An entry an activation.
    findings : tuple of Finding
        What is wrong, what explains most first; at least one, which may be "healthy".
    """

    gradients: tuple[Measures, ...]
    activations: tuple[Activation, ...]
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """The word of the first finding: "healthy", "vanishing", ..."""
        return self.findings[0].verdict

    @property
    def culprit(self) -> str | None:
        """The name of the array where it shows."""
        return self.findings[0].culprit

    @property
    def summary(self) -> str:
        """The verdict, the culprit and the numbers, in a line."""
        return str(self.findings[0])

    def __str__(self) -> str:
        return table.text(self)

    def __rich__(self) -> Any:
        return table.rich(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything, in JSON's types; what JSON has no number for (an infinite norm) is None."""
        plain: dict[str, Any] = {
            "verdict": self.verdict,
            "culprit": self.culprit,
            "summary": self.summary,
            "findings": [asdict(finding) for finding in self.findings],
            "gradients": [_entry(m) for m in self.gradients],
            "activations": [
                {"kind": a.kind, "dead": a.dead, "saturated": a.saturated, **_entry(a.measures)}
                for a in self.activations
            ],
        }
        return {key: strict(value) for key, value in plain.items()}

    def plot(self) -> Figure:
        """Exponents of every array as a heat map, with the limits of float16, and norms beside.

        Raises
        ------
        ImportError
            Where matplotlib is not installed: ``pip install 'fastact[lab]'``.
        """
        from fastact.diagnostics import figure

        return figure.of_report(self)


def _entry(m: Measures) -> dict[str, Any]:
    return {**asdict(m), "float16": asdict(m.float16), "bfloat16": asdict(m.bfloat16)}


def strict(value: Any) -> Any:
    """The same in what JSON knows."""
    if isinstance(value, dict):
        return {str(key): strict(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [strict(child) for child in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def gradient_report(
    grads: Any,
    params: Any = None,
    activations: Any = None,
    *,
    learning_rate: float | None = None,
    precision: str | None = None,
) -> GradientReport:
    """Measure gradients, and say in one line whether they vanish, explode, die or are fine.

    Parameters
    ----------
    grads : array, list, tuple or dict of arrays, nested
        In the order of the network, what is next to the input first. Any real dtype and layout;
        None, for a parameter without a gradient, is passed over.
    params : the same, optional
        The parameters, in the structure of `grads`: updates are compared with what they update.
    activations : array, list, tuple or dict of arrays, nested, optional
        What the layers gave, (batch, ...), input first: shows dead and saturated units.
    learning_rate : float, optional
        An update is taken to be `learning_rate` times the gradient. Without it, ratios of gradient
        to weight are shown, but no verdict rests on them.
    precision : {"float16", "bfloat16"}, optional
        The type that gradients are to be kept in; what it would lose is then part of the verdict.
        By default each array's own, so that float32 is only given a forecast.

    Returns
    -------
    GradientReport
        With `verdict`, `culprit`, `summary`; `gradients`, `activations` and `findings`.

    Raises
    ------
    TypeError
        If an array is of complex numbers or objects; the message says which one.
    ValueError
        If `params` is not of the structure of `grads`, `precision` unknown, or `learning_rate` not
        positive.

    Notes
    -----
    NaN and infinity are counted and reported, and everything else is of the finite entries. RMS and
    norm are within 3e-7 of their values (float64: 1e-14) and neither overflow nor underflow on the
    way. Memory is read once; the histogram of exponents of more than 65,536 entries is of a quarter
    of them, all the other counts are of all. The rules of the verdict and their sources are in
    docs/gradients.md.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> rng = np.random.default_rng(0)
    >>> grads = {f"layer{k}": rng.normal(0, 0.02**k, (32, 32)) for k in (4, 3, 2, 1, 0)}
    >>> report = fastact.gradient_report(grads)
    >>> report.verdict, report.culprit
    ('vanishing', "grads['layer4']")
    >>> print(report.summary)  # doctest: +ELLIPSIS
    vanishing at grads['layer4']: its RMS is 1.6e-07 of that of grads['layer0'], a ... of 4 layers
    """
    check_options(learning_rate, precision)
    return build(
        Census.take(grads, "grads"),
        None if params is None else Census.take(params, "params"),
        None if activations is None else Census.take(activations, "activations"),
        [] if activations is None else activations_of(activations),
        learning_rate,
        precision,
    )


def check_options(learning_rate: float | None, precision: str | None) -> None:
    if precision is not None and precision not in HALF_TYPES:
        raise ValueError(f"precision must be 'float16', 'bfloat16' or None, not {precision!r}")
    if learning_rate is not None and not learning_rate > 0:
        raise ValueError(f"learning_rate must be positive, not {learning_rate}")


def build(
    gradients: Census,
    parameters: Census | None,
    activations: Census | None,
    behaviour: Sequence[tuple[str, float, float]],
    learning_rate: float | None,
    precision: str | None,
) -> GradientReport:
    """The report on what has been measured."""
    updates = None
    if parameters is not None:
        updates = update_ratios(gradients, parameters, learning_rate)
    measures = gradients.measures(updates)
    acting = [
        Activation(m, *told)
        for m, told in zip(activations.measures() if activations else [], behaviour, strict=True)
    ]
    told = findings(measures, acting, learning_rate, precision)
    return GradientReport(tuple(measures), tuple(acting), tuple(told))


def update_ratios(
    gradients: Census, parameters: Census, learning_rate: float | None
) -> list[float | None]:
    """Norm of each gradient, times the learning rate, over that of its parameter."""
    own = [name.removeprefix("grads") for name in gradients.names]
    of = {name.removeprefix("params"): k for k, name in enumerate(parameters.names)}
    lacking = [name for name in own if name not in of]
    if lacking:
        raise ValueError(f"params must have the structure of grads, and has no params{lacking[0]}")
    ratios: list[float | None] = []
    for k, name in enumerate(own):
        at = of[name]
        if parameters.shapes[at] != gradients.shapes[k]:
            raise ValueError(
                f"params{name} must have the shape {gradients.shapes[k]} of its gradient, "
                f"not {parameters.shapes[at]}"
            )
        rms, weight = float(gradients.found["rms"][k]), float(parameters.found["rms"][at])
        ratios.append((learning_rate or 1.0) * rms / weight if weight > 0 else None)
    return ratios
