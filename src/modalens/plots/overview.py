"""The overview: the figures that an explanation has numbers for, on one page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from modalens.errors import InputError, listed
from modalens.explanation import Explanation
from modalens.plots.contributions import contributions, part_contributions
from modalens.plots.gradients import fusion_gradients
from modalens.plots.interaction import interaction_matrix, interaction_scores, orders
from modalens.plots.reliance import reliance
from modalens.plots.scores import score_parts, scores
from modalens.plots.style import LOOK
from modalens.reading import contribution_views, one_output, result_of, results_of

WIDTH = 10.5
"""Inches: readable when printed across a page."""


def overview(explanation: Explanation, *, output: str | None = None, width: float = WIDTH) -> Figure:
    """All figures of the explanation as one: contributions, gradients, interactions, reliance, parts of its tables. `output`
    names one where each is scored by itself.

    Raises InputError where the explanation has no measure that there is a figure for.
    """
    panels = figures(explanation, output=output)
    if not panels:
        raise InputError(f"there is no figure for {listed(explanation.results)}: to_frame() has the numbers.")
    columns = 2 if len(panels) > 1 else 1
    rows = [panels[place : place + columns] for place in range(0, len(panels), columns)]
    heights = [max(height for _, height in row) for row in rows]
    with mpl.rc_context(LOOK):
        figure = Figure(
            figsize=(width if columns == 2 else 0.6 * width, sum(heights) + 0.2),
            layout=ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1, hspace=0.04, wspace=0.05),
        )
        grid = figure.add_gridspec(len(rows), columns, height_ratios=heights)
        for row, drawers in enumerate(rows):
            for column, (draw, _) in enumerate(drawers):
                draw(ax=figure.add_subplot(grid[row, column]))
    return figure


def figures(explanation: Explanation, *, output: str | None = None) -> list[tuple[Callable[..., Axes], float]]:
    """What there is to draw, and the height that each needs in inches."""
    modalities = len(explanation.modalities)
    panels: list[tuple[Callable[..., Axes], float]] = []
    if views := contribution_views(explanation):
        panels.append((partial(contributions, explanation), 1.2 + 0.2 * modalities * (len(views) + 1)))
    if results_of(explanation, "fusion_gradient"):
        panels.append((partial(fusion_gradients, explanation), 1.4 + 0.45 * modalities))
    intershap = result_of(explanation, "intershap")
    chosen = output if intershap is None else one_output(intershap.score, output, intershap.score)[1]
    if intershap is not None:
        panels.append((partial(interaction_matrix, explanation, output=chosen), 1.6 + 0.55 * modalities))
        panels.append((partial(interaction_scores, explanation, output=chosen), 2.2))
    if intershap is not None or results_of(explanation, "interactions"):
        panels.append((partial(orders, explanation, output=chosen), 2.2))
    if results_of(explanation, "reliance"):
        panels.append((partial(reliance, explanation), 1.5 + 0.42 * modalities))
    if score_parts(explanation):
        panels.append((partial(scores, explanation), 1.6 + 0.42 * modalities))
    panels += [(partial(part_contributions, explanation, name, top=10), 3.0) for name in tables_of(explanation)]
    return panels


def tables_of(explanation: Explanation, most: int = 3) -> list[str]:
    """The modalities whose parts have names of their own, such as the columns of a table, and more than one of them;
    those that carry most.
    """
    occlusion = result_of(explanation, "occlusion")
    if occlusion is None:
        return []
    kinds = explanation.provenance["modalities"]
    named = [
        name
        for name, shares in occlusion.part_contribution.items()
        if shares.size > 1 and shares.sum() > 0 and kinds[name].startswith("Tabular")
    ]
    return sorted(named, key=lambda name: -float(occlusion.contribution.sel(modality=name)))[:most]
