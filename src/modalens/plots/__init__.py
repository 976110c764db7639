"""Figures from an explanation, with matplotlib: each function draws one on the axes it is given, or on its own, and
returns the axes.

    from modalens import plots

    ax = plots.contributions(explanation)
    ax.figure.savefig("contributions.pdf")

Nothing is shown, and no setting of matplotlib is changed.
"""

from modalens.plots.by_output import contributions_by_output
from modalens.plots.contributions import contributions, part_contributions
from modalens.plots.gradients import fusion_diagnostics, fusion_gradients
from modalens.plots.interaction import interaction_matrix, interaction_scores, orders
from modalens.plots.overview import overview
from modalens.plots.parts import parts
from modalens.plots.patient import patient
from modalens.plots.reliance import reliance
from modalens.plots.scores import scores
from modalens.plots.series import series
from modalens.plots.sweep import sweep
from modalens.plots.volume import volume
from modalens.plots.waterfall import waterfall

__all__ = [
    "contributions",
    "contributions_by_output",
    "fusion_diagnostics",
    "fusion_gradients",
    "interaction_matrix",
    "interaction_scores",
    "orders",
    "overview",
    "part_contributions",
    "parts",
    "patient",
    "reliance",
    "scores",
    "series",
    "sweep",
    "volume",
    "waterfall",
]
