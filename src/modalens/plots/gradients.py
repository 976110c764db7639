"""The figure of gradients at the fusion point: every estimator beside the others, and the features that it works on."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.plots.style import (
    BLUE,
    GREEN,
    GREY,
    SKY,
    VERMILION,
    aside,
    axes_of,
    drawn,
    light_grid,
    name_rows,
    percent_axis,
    titled,
    whiskers,
)
from modalens.reading import bounds_of, estimators_of, gradients_words, require

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


@drawn
def fusion_diagnostics(explanation: Explanation, *, ax: Axes | None = None) -> Axes:
    """What gradients at the fusion point stand on. By modality, on a scale of powers: how many features cross it, and how many
    directions they really use. The farther apart, the more features are copies of each other, and the more the paper's
    estimator ("gradient") under-counts the modality; by how much is predicted beside. Below: whether the sum of the
    values misses the change of the output, whether the model is saturated, and whether it knows anything.

    Raises InputError where FusionGradient is missing.

    Example
    -------
    >>> import torch, modalens as ml
    >>> from modalens import plots
    >>> class Net(torch.nn.Module):
    ...     def forward(self, a, b):
    ...         return torch.cat([a, b], dim=1) @ torch.ones(5, 1)
    >>> inputs = {"a": torch.randn(20, 2), "b": torch.randn(20, 3)}
    >>> found = ml.explain(Net(), inputs, measures=[ml.FusionGradient()], output="raw", background=inputs)
    >>> plots.fusion_diagnostics(found).containers[0].lines[0].get_xdata()
    array([2., 3.])
    """
    result = require(explanation, "fusion_gradient")
    names = list(explanation.modalities)
    width, used, bias = (
        np.asarray(result.array(one).sel(modality=names).values, dtype=float)
        for one in ("width", "participation", "predicted_bias")
    )
    width = np.where(width > 0, width, np.nan)
    ax = axes_of(ax, height=1.7 + 0.36 * len(names))
    rows = np.arange(len(names))
    ax.hlines(rows, used, width, color="#BBBBBB", linewidth=2.0, zorder=1)
    for values, label, colour, marker in (
        (width, "features", BLUE, "o"),
        (used, "directions that they use", VERMILION, "D"),
    ):
        ax.errorbar(values, rows, fmt=marker, color=colour, markersize=5.5, label=label, clip_on=False, zorder=5)
    for row, (features, lost) in enumerate(zip(width, bias, strict=True)):
        said = "no features" if np.isnan(features) else "n/a" if np.isnan(lost) else f"× {lost:.2f}"
        ax.text(1.02, row, said, transform=ax.get_yaxis_transform(), va="center", fontsize=7.5, color=GREY)
    ax.text(1.02, -0.62, "under-count", transform=ax.get_yaxis_transform(), va="center", fontsize=7, color=GREY)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.set_xlim(0.9, max(2.0, 1.1 * float(np.nanmax(width, initial=2.0))))
    name_rows(ax, names)
    light_grid(ax)
    ax.set_xlabel("\n".join(["number, on a logarithmic scale", *_checks(result)]))
    titled(ax, f"What {gradients_words(explanation)} stand on", columns=2)
    return ax


def _checks(result: Result) -> list[str]:
    """What is known of the values of samples, and of the model, in words."""
    lines = []
    if not np.isnan(missed := float(result.array("completeness_error"))):
        lines.append(f"values of a sample miss the change of the output by {missed:.1%} of it")
    if not np.isnan(flat := float(result.array("saturation"))):
        lines.append(
            f"{flat:.0%} of the samples are saturated: their gradient says less than a tenth of the line to them"
        )
    if "accuracy" in result.arrays and not np.isnan(right := float(result.array("accuracy"))):
        lines.append(
            f"the model is right on {right:.0%}; always guessing the same, {float(result.array('chance')):.0%}"
        )
    return lines


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
