"""The figures of what modalities are useful for, and of what a model relies on beside it."""

from __future__ import annotations

from typing import Protocol

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalens.errors import InputError, listed
from modalens.explanation import Explanation
from modalens.plots.reliance import METRICS
from modalens.plots.style import (
    BLUE,
    ERROR_BAR,
    GREEN,
    GREY,
    LOOK,
    ORANGE,
    VERMILION,
    axes_of,
    drawn,
    light_grid,
    name_rows,
    percent_axis,
    plain,
    titled,
    whiskers,
)
from modalens.reading import bounds_of, contribution_views, result_of


class Useful(Protocol):
    """What `ml.usefulness` returns."""

    @property
    def modalities(self) -> tuple[str, ...]: ...
    @property
    def metric(self) -> str: ...
    @property
    def lost(self) -> xr.DataArray: ...
    @property
    def gained(self) -> xr.DataArray: ...
    @property
    def interval(self) -> xr.Dataset: ...


def usefulness_figure(usefulness: Useful, explanation: Explanation | None = None) -> Figure:
    """What modalities are useful for; with an explanation of the same modalities, first what its model relies on, and what its
    own score loses.
    """
    names = list(usefulness.modalities)
    relied = None if explanation is None or set(explanation.modalities) != set(names) else explanation
    beside = relied if relied is not None and contribution_views(relied) else None
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(6.2 if beside is None else 9.5, 1.5 + 0.55 * len(names)), layout="constrained")
        *left, right = figure.subplots(1, 1 if beside is None else 2, squeeze=False)[0].tolist()
        if beside is not None:
            relied_on_panel(beside, modalities=names, ax=left[0])
        usefulness_panel(usefulness, relied, ax=right)
        return figure


@drawn
def relied_on_panel(explanation: Explanation, *, modalities: list[str] | None = None, ax: Axes | None = None) -> Axes:
    """The share of each modality in the change of the model's output, with intervals: by Shapley values where there are any.

    `modalities` says which of them, and in which order. Raises InputError where the explanation has no shares.
    """
    names = list(explanation.modalities) if modalities is None else modalities
    views = contribution_views(explanation)
    if not views:
        raise InputError(
            f"this needs the measure Shapley or Occlusion, and the explanation holds {listed(explanation.results)}: explain(..., measures=[ml.Shapley()])."
        )
    words, result, array = next(
        (view for view in views if view[2] == "contribution" and "values" in view[1].arrays), views[-1]
    )
    ax = axes_of(ax, width=5.0, height=1.2 + 0.4 * len(names))
    shares = 100 * result.array(array).sel(modality=names).values
    ax.barh(np.arange(len(names)), np.nan_to_num(shares), height=0.5, color=BLUE)
    bounds = bounds_of(result, array)
    lengths = whiskers(shares, None if bounds is None else 100 * bounds.sel(modality=names))
    if lengths is not None:
        ax.errorbar(shares, np.arange(len(names)), xerr=lengths, **ERROR_BAR)
    name_rows(ax, names)
    percent_axis(ax, f"share of the change in the output (%), {plain(words)}")
    titled(ax, "What this model relies on")
    return ax


@drawn
def usefulness_panel(usefulness: Useful, explanation: Explanation | None = None, *, ax: Axes | None = None) -> Axes:
    """What is lost without each modality (by models trained without it) and gained by it alone, with intervals; with an
    explanation whose score is the same, what its model loses when the modality is hidden.
    """
    names, metric, bounds = list(usefulness.modalities), usefulness.metric, usefulness.interval
    reliance = None if explanation is None else result_of(explanation, "reliance")
    rows: list[tuple[str, str, str, xr.DataArray, xr.DataArray | None]] = [
        ("lost by models trained without it", VERMILION, "s", usefulness.lost, bounds["lost"]),
        ("gained by models trained on it alone", GREEN, "o", usefulness.gained, bounds["gained"]),
    ]
    if reliance is not None and reliance.settings.get("metric") == metric:
        own = bounds_of(reliance, "lost")
        rows.append(("lost by this model when it is hidden", ORANGE, "D", reliance.lost, own))
    ax = axes_of(ax, width=6.2, height=1.5 + 0.55 * len(names))
    for place, (label, colour, marker, found, around) in enumerate(rows):
        values = found.sel(modality=names).values
        lengths = None if around is None else whiskers(values, around.sel(modality=names))
        at = np.arange(len(names)) + (place - (len(rows) - 1) / 2) * 0.2
        ax.errorbar(
            values, at, xerr=lengths, fmt=marker, color=colour, ecolor=colour, elinewidth=1.4, capsize=2.5,
            markersize=5, label=label, zorder=5,
        )  # fmt: skip
    ax.axvline(0, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    name_rows(ax, names)
    ax.set_xlabel(f"difference in {METRICS.get(metric, plain(metric))}")
    light_grid(ax)
    titled(ax, "What each modality is useful for", columns=1)
    return ax
