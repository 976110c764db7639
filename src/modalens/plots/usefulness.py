"""The figure of what modalities are useful for, beside what a model relies on."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    light_grid,
    name_rows,
    percent_axis,
    plain,
    titled,
    whiskers,
)
from modalens.reading import bounds_of, contribution_views, result_of


def usefulness_figure(
    numbers: xr.Dataset, interval: xr.Dataset, metric: str, explanation: Explanation | None = None
) -> Figure:
    """What is lost without each modality (trained without it) and gained by it alone, with intervals; with an
    explanation, first the shares that its model relies on, and what its own score loses.

    `numbers` holds `lost` and `gained` (modality), `interval` their bounds.
    """
    names = [str(name) for name in numbers.modality.values]
    relied = None if explanation is None or set(explanation.modalities) != set(names) else explanation
    views = [] if relied is None else contribution_views(relied)
    with mpl.rc_context(LOOK):
        height = 1.5 + 0.55 * len(names)
        figure = Figure(figsize=(9.5 if views else 6.2, height), layout="constrained")
        left, *rest = figure.subplots(1, 2 if views else 1, squeeze=False)[0].tolist()
        if relied is not None and views:
            _relied_on(left, relied, names)
        _useful(rest[0] if rest else left, numbers, interval, metric, relied, names)
        return figure


def _relied_on(ax: Axes, explanation: Explanation, names: list[str]) -> None:
    """The share of each modality in the change of the model's output: by Shapley values where there are any."""
    views = contribution_views(explanation)
    words, result, array = next(
        (view for view in views if view[2] == "contribution" and "values" in view[1].arrays), views[-1]
    )
    shares = 100 * result.array(array).sel(modality=names).values
    ax.barh(np.arange(len(names)), np.nan_to_num(shares), height=0.5, color=BLUE)
    bounds = bounds_of(result, array)
    lengths = whiskers(shares, None if bounds is None else 100 * bounds.sel(modality=names))
    if lengths is not None:
        ax.errorbar(shares, np.arange(len(names)), xerr=lengths, **ERROR_BAR)
    name_rows(ax, names)
    percent_axis(ax, f"share of the change in the output (%), {plain(words)}")
    titled(ax, "What this model relies on")


def _useful(
    ax: Axes, numbers: xr.Dataset, interval: xr.Dataset, metric: str, explanation: Explanation | None, names: list[str]
) -> None:
    reliance = None if explanation is None else result_of(explanation, "reliance")
    same = reliance is not None and reliance.settings.get("metric") == metric
    rows: list[tuple[str, str, str, str, xr.Dataset, xr.Dataset | None]] = [
        ("lost", "lost by models trained without it", VERMILION, "s", numbers, interval),
        ("gained", "gained by models trained on it alone", GREEN, "o", numbers, interval),
    ]
    if same and reliance is not None:
        own = reliance.interval if "lost" in reliance.interval else None
        rows.append(
            ("lost", "lost by this model when it is hidden", ORANGE, "D", xr.Dataset({"lost": reliance.lost}), own)
        )
    for place, (name, label, colour, marker, found, bounds) in enumerate(rows):
        values = found[name].sel(modality=names).values
        lengths = None if bounds is None else whiskers(values, bounds[name].sel(modality=names))
        at = np.arange(len(names)) + (place - (len(rows) - 1) / 2) * 0.2
        ax.errorbar(
            values, at, xerr=lengths, fmt=marker, color=colour, ecolor=colour, elinewidth=1.4, capsize=2.5,
            markersize=5, label=label, zorder=5,
        )  # fmt: skip
    ax.axvline(0, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    name_rows(ax, names)
    ax.set_xlabel(f"difference in {METRICS.get(metric, metric)}")
    light_grid(ax)
    titled(ax, "What each modality is useful for", columns=1)
