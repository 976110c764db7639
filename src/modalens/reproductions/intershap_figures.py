"""Figures of InterSHAP's experiments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from modalens.plots.style import (
    BLUE,
    ORANGE,
    SKY,
    VERMILION,
    axes_of,
    drawn,
    ink_on,
    light_grid,
    name_rows,
    percent_axis,
    titled,
)
from modalens.reproductions.result import Number


@drawn
def beside(numbers: Sequence[Number], title: str, ax: Axes | None = None) -> Axes:
    """Ours and the paper's, a row each, with the spread over seeds."""
    ax = axes_of(ax, width=6.4, height=1.2 + 0.27 * len(numbers))
    rows = np.arange(len(numbers))
    paper = np.array([printed(number.theirs) for number in numbers])
    ours = np.array([(number.mean, number.spread) for number in numbers])
    for found, label, colour, marker, shift in ((ours, "ours", BLUE, "o", -0.14), (paper, "the paper's", ORANGE, "D", 0.14)):  # fmt: skip
        ax.errorbar(
            found[:, 0],
            rows + shift,
            xerr=found[:, 1],
            fmt=marker,
            color=colour,
            elinewidth=1.2,
            capsize=2,
            markersize=4.5,
            label=label,
            clip_on=False,
            zorder=5,
        )
    name_rows(ax, [number.experiment for number in numbers], width=44)
    percent_axis(ax, "InterSHAP (%)")
    titled(ax, title, columns=2)
    return ax


@drawn
def splits(shares: Mapping[str, Sequence[float]], title: str, ax: Axes | None = None) -> Axes:
    """Shares of order 1, 2 and 3 or more, in per cent, a stacked bar each."""
    ax = axes_of(ax, width=6.4, height=1.2 + 0.32 * len(shares))
    rows, left = np.arange(len(shares)), np.zeros(len(shares))
    labels = "one modality by itself", "two together", "three or more"
    for order, colour, label in zip(range(3), (SKY, BLUE, VERMILION), labels, strict=True):
        widths = np.array([share[order] for share in shares.values()])
        ax.barh(rows, widths, left=left, height=0.62, color=colour, label=label, edgecolor="white", linewidth=0.8)
        for row, width in enumerate(widths):
            if width >= 7:
                where = left[row] + width / 2
                ax.text(where, row, f"{width:.0f}", ha="center", va="center", fontsize=7.5, color=ink_on(colour))
        left += widths
    name_rows(ax, list(shares), width=44)
    percent_axis(ax, "share of the model's behaviour (%)")
    titled(ax, title, columns=3)
    return ax


@drawn
def lines(
    series: Mapping[str, Mapping[float, Sequence[float]]], label: str, title: str, ax: Axes | None = None
) -> Axes:
    """Scores in per cent along a logarithmic axis: name -> where -> one a seed, with the spread over seeds."""
    ax = axes_of(ax, width=5.4, height=3.2)
    for (name, by_place), colour, marker in zip(series.items(), (BLUE, ORANGE, VERMILION), "oDs", strict=False):
        values = np.array([np.mean(each) for each in by_place.values()])
        spread = np.array([np.std(each, ddof=1) if len(each) > 1 else 0.0 for each in by_place.values()])
        ax.errorbar(list(by_place), values, yerr=spread, fmt=f"{marker}-", color=colour, capsize=2, markersize=4.5, label=name)  # fmt: skip
    places = list(next(iter(series.values())))
    ax.set_xscale("log")
    ax.set_xticks(places, [f"{place:g}" for place in places])
    ax.set_xticks([], minor=True)
    ax.set_ylim(0, None)
    ax.set_xlabel(label)
    ax.set_ylabel("per cent")
    light_grid(ax)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    titled(ax, title, columns=3)
    return ax


def printed(theirs: str) -> tuple[float, float]:
    """A number as it is printed in a paper, `98.0 ± 0.5`, and its spread, 0 where none is."""
    found = [float(one) for one in re.findall(r"-?\d*\.?\d+", theirs)]
    return found[0], found[1] if len(found) > 1 else 0.0
