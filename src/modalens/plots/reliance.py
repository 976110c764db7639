"""The figure of how well the model predicts with all modalities, with each alone, and without each."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from modalens.explanation import Explanation
from modalens.plots.style import BLUE, GREY, VERMILION, axes_of, drawn, light_grid, name_rows, titled, whiskers
from modalens.reading import bounds_of, require

METRICS = {
    "auc": "area under the ROC curve, AUC",
    "accuracy": "accuracy",
    "r2": "explained share of the variance, R²",
    "concordance": "concordance with the times of events, Harrell's c",
}
KNOWS_NOTHING = {"auc": 0.5, "r2": 0.0, "concordance": 0.5}


@drawn
def reliance(explanation: Explanation, *, ax: Axes | None = None) -> Axes:
    """The model's score with everything (a line with its interval), with each modality alone, and without each; the
    others are replaced. Raises InputError where Reliance is missing.
    """
    result = require(explanation, "reliance")
    names = list(explanation.modalities)
    metric = str(result.settings.get("metric", "score"))
    ax = axes_of(ax, height=1.4 + 0.42 * len(names))
    everything = float(result.everything)
    bounds = bounds_of(result, "everything")
    if bounds is not None:
        ax.axvspan(
            float(bounds.sel(bound="lower")), float(bounds.sel(bound="upper")), color="#000000", alpha=0.08, linewidth=0
        )
    ax.axvline(everything, color="black", linewidth=1.2, label=f"all together: {everything:.2f}")
    for array, label, colour, marker, shift in (
        ("alone", "with it alone", BLUE, "o", -0.14),
        ("without", "without it", VERMILION, "s", 0.14),
    ):
        values = np.asarray(getattr(result, array).values, dtype=float)
        lengths = whiskers(values, bounds_of(result, array))
        ax.errorbar(
            values,
            np.arange(len(names)) + shift,
            xerr=lengths,
            fmt=marker,
            color=colour,
            ecolor=colour,
            elinewidth=1.4,
            capsize=2.5,
            markersize=5,
            label=label,
            zorder=5,
        )
    if metric in KNOWS_NOTHING:
        ax.axvline(KNOWS_NOTHING[metric], color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    name_rows(ax, names)
    ax.set_xlabel(
        METRICS.get(metric, metric) + ("; dashed: a model that knows nothing" if metric in KNOWS_NOTHING else "")
    )
    light_grid(ax)
    titled(ax, "How well it predicts", columns=3)
    return ax
