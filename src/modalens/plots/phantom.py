"""The chest phantom drawn: patients, what was put into them, and what their reports say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalens.plots.audit import TRUTH
from modalens.plots.style import LOOK, axes_of, drawn, wrapped

ACROSS, DOWN = 6, 3


def phantom_figure(records: Sequence[Any]) -> Figure:
    """The first studies of records, side by side."""
    studies: dict[str, list[Any]] = {}
    for record in records:
        studies.setdefault(record.study, []).append(record)
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(11, 6.8), layout="constrained")
        for ax, sentences in zip(figure.subplots(DOWN, ACROSS).flat, studies.values(), strict=False):
            study_panel(sentences, ax=ax)
        return figure


@drawn
def study_panel(records: Sequence[Any], *, ax: Axes | None = None) -> Axes:
    """The image of one study, given by its records, with the outlines of its regions and the sentences that speak of them."""
    ax = axes_of(ax, width=3.0, height=3.4)
    ax.imshow(records[0].pixels(), cmap="gray", vmin=0, vmax=1)
    located = [record for record in records if record.located]
    for record in located:
        ax.contour(record.truth, levels=[0.5], colors=TRUTH, linewidths=1.1)
    said = "\n".join(wrapped(record.phrase, 30) for record in located) or "nothing found"
    ax.set_title(said, fontsize=7, fontweight="normal", loc="left")
    ax.set_axis_off()
    return ax
