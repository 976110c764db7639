"""Figures with matplotlib: each function draws one on the axes it is given, or on its own, and returns the axes.

    from modalens import plots

    ax = plots.contributions(explanation)
    ax.figure.savefig("contributions.pdf")

Those of an explanation bear the name of what they show; those of an audit, a leaderboard and the other results end in
`_panel`. Whole pages, which return a matplotlib Figure, are `overview` and `patient` of an explanation, and what ends in
`_figure`. Nothing is shown, and no setting of matplotlib is changed.
"""

from modalens.plots.audit import audit_figure, delta_panel, map_over_image, map_panel, score_panel
from modalens.plots.by_output import contributions_by_output
from modalens.plots.cohort import calibration, cohort_flow, subgroups
from modalens.plots.comparison import comparison
from modalens.plots.contributions import contributions, part_contributions
from modalens.plots.faithfulness import curves_panel
from modalens.plots.gradients import fusion_diagnostics, fusion_gradients
from modalens.plots.interaction import interaction_matrix, interaction_scores, orders
from modalens.plots.leaderboard import error_panel, leaderboard_figure, truth_panel
from modalens.plots.overview import overview
from modalens.plots.parts import parts
from modalens.plots.patient import patient
from modalens.plots.phantom import phantom_figure, study_panel
from modalens.plots.planting import opposites_panel, planting_figure, planting_panel
from modalens.plots.reliance import reliance
from modalens.plots.scores import scores
from modalens.plots.series import series
from modalens.plots.sweep import sweep
from modalens.plots.usefulness import relied_on_panel, usefulness_figure, usefulness_panel
from modalens.plots.volume import volume
from modalens.plots.waterfall import waterfall

__all__ = [
    "audit_figure",
    "calibration",
    "cohort_flow",
    "comparison",
    "contributions",
    "contributions_by_output",
    "curves_panel",
    "delta_panel",
    "error_panel",
    "fusion_diagnostics",
    "fusion_gradients",
    "interaction_matrix",
    "interaction_scores",
    "leaderboard_figure",
    "map_over_image",
    "map_panel",
    "opposites_panel",
    "orders",
    "overview",
    "part_contributions",
    "parts",
    "patient",
    "phantom_figure",
    "planting_figure",
    "planting_panel",
    "reliance",
    "relied_on_panel",
    "score_panel",
    "scores",
    "series",
    "study_panel",
    "subgroups",
    "sweep",
    "truth_panel",
    "usefulness_figure",
    "usefulness_panel",
    "volume",
    "waterfall",
]
