"""The figure of what each modality carries for each class, label or time by itself."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from modalens.errors import InputError, listed
from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.plots.style import GREY, SERIES, axes_of, drawn, name_rows, others, percent_axis, plain, titled, whiskers
from modalens.reading import bounds_of, by_output_views

MARKERS = ("o", "s", "D", "^", "v", "P", "X")
"""One more than there are colours, so that modalities beyond the colours differ in both."""

NOUNS = {"classification": "class", "multilabel": "label", "survival": "time"}


@drawn
def contributions_by_output(
    explanation: Explanation, *, measure: str | None = None, top: int = 20, ax: Axes | None = None
) -> Axes:
    """Dots by output (a class, a label, a time): the share of each modality in what changes it, with intervals. The shares of
    an output sum to 100 %.

    `measure` names a result of the explanation; the first that has shares by output unless given (Occlusion, Shapley,
    FusionGradient, ...). The first `top` outputs are shown. Raises InputError where there is no such measure.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import plots
    >>> inputs = {"a": np.random.default_rng(0).normal(size=(30, 1)), "b": np.random.default_rng(1).normal(size=(30, 1))}
    >>> model = lambda a, b: np.stack([a[:, 0], a[:, 0] + b[:, 0]], axis=1)
    >>> found = ml.explain(model, inputs, measures=[ml.Shapley()], output="raw", task="regression", background=inputs, classes=["first", "both"])
    >>> [label.get_text() for label in plots.contributions_by_output(found).get_yticklabels()]
    ['first', 'both']
    """
    words, result = _view(explanation, measure)
    shares = 100 * result.array("by_output").transpose("output", "modality")
    outputs = [str(name) for name in shares.output.values]
    kept = outputs[:top]
    names = list(explanation.modalities)
    bounds = bounds_of(result, "by_output")
    between = 0.72 / max(len(names), 2)
    ax = axes_of(ax, width=5.6, height=1.4 + max(0.34, 0.15 * len(names)) * len(kept))
    for place, name in enumerate(names):
        values = np.asarray(shares.sel(modality=name, output=kept).values, dtype=float)
        own = None if bounds is None else 100 * bounds.sel(modality=name, output=kept)
        at = np.arange(len(kept)) + (place - (len(names) - 1) / 2) * between
        colour = SERIES[place % len(SERIES)]
        ax.errorbar(
            values,
            at,
            xerr=whiskers(values, own),
            fmt=MARKERS[place % len(MARKERS)],
            color=colour,
            ecolor=colour,
            elinewidth=1.2,
            capsize=1.8,
            markersize=4.5,
            label=plain(name),
            clip_on=False,
            zorder=5,
        )
    for undefined in np.flatnonzero(shares.sel(output=kept).isnull().all("modality").values):
        ax.text(1, int(undefined), "n/a: nothing changes it", va="center", fontsize=7.5, color=GREY)
    for row in range(1, len(kept), 2):
        ax.axhspan(row - 0.5, row + 0.5, color="#000000", alpha=0.035, linewidth=0, zorder=0)
    name_rows(ax, kept)
    left_out = len(outputs) - len(kept)
    rest = f"\n{others(left_out)} {'is' if left_out == 1 else 'are'} not shown" if left_out else ""
    percent_axis(ax, f"share of the change in this output (%), {plain(words)}{rest}", most=100.0)
    noun = NOUNS.get(explanation.provenance["task"], "output")
    titled(ax, f"How much each modality carries, by {noun}", columns=4)
    return ax


def _view(explanation: Explanation, measure: str | None) -> tuple[str, Result]:
    """What the measure is called, and its result."""
    views = by_output_views(explanation)
    if measure is not None:
        views = [view for view in views if view[1].measure == measure]
    if not views:
        wanted = "a measure with shares by output" if measure is None else f"the shares by output of {measure!r}"
        raise InputError(
            f"this needs {wanted}, and the explanation holds {listed(explanation.results)}: explain(..., measures=[ml.Occlusion(), ml.Shapley()])."
        )
    return views[0]
