"""The chest phantom drawn: patients, what was put into them, and what their reports say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from modalens.plots.audit import TRUTH
from modalens.plots.style import LOOK, wrapped

ACROSS, DOWN = 6, 3


def phantom_figure(records: Sequence[Any]) -> Figure:
    """The first studies of records, with the regions outlined and the sentences that speak of them."""
    studies: dict[str, list[Any]] = {}
    for record in records:
        studies.setdefault(record.study, []).append(record)
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(11, 6.8), layout="constrained")
        for ax, sentences in zip(figure.subplots(DOWN, ACROSS).flat, studies.values(), strict=False):
            ax.imshow(sentences[0].pixels(), cmap="gray", vmin=0, vmax=1)
            located = [record for record in sentences if record.located]
            for record in located:
                ax.contour(record.truth, levels=[0.5], colors=TRUTH, linewidths=1.1)
            said = "\n".join(wrapped(record.phrase, 30) for record in located) or "nothing found"
            ax.set_title(said, fontsize=6.5, fontweight="normal")
            ax.set_axis_off()
        return figure
