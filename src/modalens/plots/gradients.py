"""The figure of gradients at the fusion point: every estimator beside the others, and the features that it works on."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.plots.reading import bounds_of, estimators_of, gradients_words, require
from modalens.plots.style import (
    BLUE,
    GREEN,
    GREY,
    SKY,
    VERMILION,
    aside,
    axes_of,
    drawn,
    name_rows,
    percent_axis,
    titled,
    whiskers,
)

LOOKS = {
    "expected": (BLUE, "o"),
    "integrated": (BLUE, "o"),
    "covariance": (GREEN, "s"),
    "grouped": (SKY, "^"),
    "gradient": (VERMILION, "D"),
}
"""Colour and marker of each estimator; one explanation has one of those along lines."""

BETWEEN = 0.19
"""Of a row's height, between two estimators."""


@drawn
def fusion_gradients(explanation: Explanation, *, ax: Axes | None = None) -> Axes:
    """Dots by modality: its share by each estimator of gradients, with intervals. To the right, how many features it
    has and how many directions they really use: where these are few, "gradient" (the paper's) under-counts it.

    Raises InputError where FusionGradient is missing.
    """
    result = require(explanation, "fusion_gradient")
    names = list(explanation.modalities)
    estimators = estimators_of(result)
    ax = axes_of(ax, height=1.4 + 0.5 * len(names))
    reach = 0.0
    for place, estimator in enumerate(estimators):
        shares, lengths = _shares(result, estimator)
        if np.isnan(shares).any():
            aside(ax, f"not defined: {estimator}")
            continue
        colour, marker = LOOKS[estimator]
        ax.errorbar(
            shares,
            np.arange(len(names)) + (place - (len(estimators) - 1) / 2) * BETWEEN,
            xerr=lengths,
            fmt=marker,
            color=colour,
            ecolor=colour,
            elinewidth=1.3,
            capsize=2.0,
            markersize=4.5,
            label=estimator if place else f"{estimator} (the contribution)",
            clip_on=False,
            zorder=5,
        )
        reach = max(reach, float((shares + (0 if lengths is None else lengths[1])).max()))
    for row in range(1, len(names), 2):
        ax.axhspan(row - 0.5, row + 0.5, color="#000000", alpha=0.035, linewidth=0, zorder=0)
    for row, name in enumerate(names):
        ax.text(
            1.02,
            row,
            _features(result, name),
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=7.5,
            color=GREY,
        )
    name_rows(ax, names)
    percent_axis(ax, "share (%)", most=min(104.0, max(20.0, 1.06 * reach)))
    titled(ax, gradients_words(explanation).capitalize(), columns=4)
    return ax


def _shares(result: Result, estimator: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The shares by one estimator in per cent, and the lengths of their error bars."""
    shares = 100 * np.asarray(result.array("by_estimator").sel(estimator=estimator).values, dtype=float)
    bounds = bounds_of(result, "by_estimator")
    return shares, whiskers(shares, None if bounds is None else 100 * bounds.sel(estimator=estimator))


def _features(result: Result, name: str) -> str:
    width, used = (float(result.array(one).sel(modality=name)) for one in ("width", "participation"))
    if not width:
        return "no features"
    return f"{width:,.0f} feature{'' if width == 1 else 's'}" + ("" if np.isnan(used) else f",\n{used:.1f} really used")
