"""Figures from an explanation, with matplotlib: each function draws one on the axes it is given, or on its own, and
returns the axes.

    from modalens import plots

    ax = plots.contributions(explanation) ax.figure.savefig("contributions.pdf")

Nothing is shown, and no setting of matplotlib is changed.
"""

from modalens.plots.contributions import contributions, part_contributions
from modalens.plots.gradients import fusion_gradients
from modalens.plots.interaction import interaction_matrix, interaction_scores, orders
from modalens.plots.overview import overview
from modalens.plots.parts import parts
from modalens.plots.reliance import reliance
from modalens.plots.scores import scores

__all__ = [
    "contributions",
    "fusion_gradients",
    "interaction_matrix",
    "interaction_scores",
    "orders",
    "overview",
    "part_contributions",
    "parts",
    "reliance",
    "scores",
]
