"""The figure of a planted contribution: planted share against measured share, by measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalens.plots.style import GREY, LOOK, SERIES, plain, titled

MARKERS = ("o", "s", "D", "^", "v", "P")


def planting_figure(
    planted: xr.DataArray,
    measured: xr.Dataset,
    opposites: Mapping[str, xr.Dataset],
    markers: Sequence[str],
    *,
    retrained: bool = False,
) -> Figure:
    """Planted share (step) against the measured shares (step, view) with their bounds, and the diagonal; the shares
    that models with randomised weights or labels give stand apart, on the right.
    """
    views = [str(view) for view in measured.view.values]
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(7.0 if opposites else 5.4, 4.6), layout="constrained")
        ratios = [4.2, 0.55 + 0.55 * len(opposites)] if opposites else [1.0]
        axes: list[Axes] = figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios, squeeze=False)[0].tolist()
        order = np.argsort(planted.values, kind="stable")
        dashes: Any = {"color": GREY, "linewidth": 1.0, "linestyle": (0, (4, 3)), "zorder": 1}
        axes[0].plot([0, 100], [0, 100], label="as much as was planted", **dashes)
        for place, view in enumerate(views):
            one = measured.sel(view=view).isel(step=order)
            _points(
                axes[0], 100 * planted.values[order] + _aside(place, len(views), 1.4), one, place, label=view, line=True
            )
        for place, view in enumerate(views) if opposites else ():
            present = [(at, found) for at, found in enumerate(opposites.values()) if view in found.view.values]
            for at, found in present:
                where = np.array([at + _aside(place, len(views), 0.14)])
                _points(axes[1], where, found.sel(view=[view]).isel(view=[0]), place)
        axes[0].set_xlim(-5, 105)
        axes[0].set_ylim(-3, 106)
        axes[0].set_xlabel(
            "share of patients whose answer changes with the mark alone (%)"
            if retrained
            else "planted share of the model's output (%)"
        )
        axes[0].set_ylabel(f"measured share of {plain(' and '.join(markers))} (%)")
        _grid(axes[0])
        titled(axes[0], "Is what was planted seen?", columns=2)
        if opposites:
            axes[1].set_xticks(range(len(opposites)), [name.replace(" ", "\n") for name in opposites])
            axes[1].set_xlim(-0.5, len(opposites) - 0.5)
            axes[1].set_facecolor("#F4F4F4")
            axes[1].tick_params(axis="y", length=0)
            _grid(axes[1])
            titled(axes[1], "Models that\nknow nothing")
        return figure


def _points(ax: Axes, at: np.ndarray, found: xr.Dataset, place: int, *, label: str = "", line: bool = False) -> None:
    """Shares in per cent with their bounds."""
    value, lower, upper = (100 * np.atleast_1d(found[name].values) for name in ("value", "lower", "upper"))
    lengths = np.nan_to_num(np.clip(np.stack([value - lower, upper - value]), 0, None))
    colour = SERIES[place % len(SERIES)]
    ax.errorbar(
        at, value, yerr=lengths, fmt=MARKERS[place % len(MARKERS)], color=colour, ecolor=colour, elinewidth=1.2,
        capsize=2.0, markersize=4.5, linestyle="-" if line else "none", linewidth=1.0, label=plain(label), zorder=5,
    )  # fmt: skip


def _aside(place: int, count: int, step: float) -> float:
    """A small shift, so that intervals of several views can be told apart."""
    return (place - (count - 1) / 2) * step


def _grid(ax: Axes) -> None:
    ax.set_axisbelow(True)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
