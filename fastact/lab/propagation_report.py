"""What a survey of random networks says: a table, a JSON document, and a page."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from rich.table import Table

import fastact
from fastact.lab import page, propagation_figure
from fastact.lab.files import as_json
from fastact.lab.propagation import Propagation, Setup
from fastact.lab.report import table

FACTOR = 1.5  # within this of the predicted variance, at every layer, they count as agreeing
_REASON = (
    "They part where a wide network has no steady state: if a signal is about to die out, as that "
    "of gelu after he_normal is, it depends on the draw of the weights whether it does."
)
COLUMNS = "activation", "init", "signal\ntimes", "theory", "gradient\ntimes", "theory", "apart by"


def agreement(found: Sequence[Propagation]) -> str:
    """How well theory and measurement agree, in a sentence."""
    misses = np.array([one.miss for one in found])
    there = misses[np.isfinite(misses)]
    if not len(there):
        return "All signals left the range of numbers; there is nothing to compare."
    near = int((there <= FACTOR).sum())
    text = (
        f"Theory and measurement agree within a factor {FACTOR:g} at every layer in {near} of "
        f"{len(there)} cases (median of the largest difference: {np.median(there):.2f} times)"
    )
    left = len(misses) - len(there)
    return f"{text}; {left} more left the range of numbers." if left else f"{text}."


def farthest(found: Sequence[Propagation], count: int = 10) -> Table:
    """Where they agree least, for the terminal."""
    made = table(
        "Variances, times a layer: where theory and measurement are farthest apart", *COLUMNS
    )
    apart = [one for one in found if np.isfinite(one.miss)]
    for one in sorted(apart, key=lambda one: -one.miss)[:count]:
        made.add_row(*_row(one))
    return made


def _row(one: Propagation) -> list[str]:
    factors = [*one.signal_factors, *one.gradient_factors]
    return [one.activation, one.init, *(f"{factor:.3g}" for factor in factors), f"{one.miss:.2f}"]


def document(found: Sequence[Propagation], setup: Setup) -> bytes:
    """All figures as JSON."""
    kinds = "measured", "predicted"
    return as_json(
        {
            "config": fastact.get_config(),
            "setup": asdict(setup),
            "agreement": agreement(found),
            "cases": [
                {
                    "activation": one.activation,
                    "init": one.init,
                    "times_apart": one.miss,
                    **{
                        what: {
                            kind: values.tolist()
                            for kind, values in zip(kinds, getattr(one, what), strict=True)
                        }
                        for what in ("signal", "gradient")
                    },
                }
                for one in found
            ],
        }
    )


def as_page(found: Sequence[Propagation], setup: Setup) -> bytes:
    """The page: the overview, every layer, and the figures behind them."""
    lead = (
        f"{setup.draws} networks of {setup.depth} layers, {setup.width} units each, nothing "
        "learnt: normal inputs are sent up and normal gradients down. A factor above 1 explodes "
        "with depth, one below 1 vanishes. Theory is that of wide networks (Poole et al. 2016, "
        "Schoenholz et al. 2017): the variance before each activation depends on that of the layer "
        "before only, and the gradient's is multiplied by n var(w) E[f'(√q z)²]."
    )
    parts = [page.paragraph(lead), page.paragraph(f"{agreement(found)} {_REASON}")]
    parts += [
        page.heading("What a layer does to signals and gradients"),
        page.picture(
            propagation_figure.overview(found),
            "Variances, multiplied by so much at each layer, on average over all layers; blue "
            "vanishes, red explodes. Right: the same factors against what theory says.",
        ),
    ]
    for what, title in (("gradient", "Gradients, layer by layer"), ("signal", "Signals")):
        parts += [
            page.heading(title),
            page.picture(
                propagation_figure.by_layer(found, what),
                f"Variance of the {what} at each layer: dots were measured, lines are theory.",
            ),
        ]
    parts += [page.heading("In figures"), page.table(COLUMNS, [_row(one) for one in found])]
    return page.page("Signals and gradients in random networks", parts)
