"""The figures of a planted contribution: planted share against measured share, and what models say that know nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalens.plots.style import GREY, LOOK, SERIES, aside, axes_of, drawn, plain, titled

MARKERS = ("o", "s", "D", "^", "v", "P")

KNOW_NOTHING = "Models that\nknow nothing"


class KnowsNothing(Protocol):
    """A model with randomised weights or labels, and its shares."""

    @property
    def name(self) -> str: ...
    @property
    def shares(self) -> xr.Dataset: ...


class Planted(Protocol):
    """What `ml.plant` returns."""

    @property
    def way(self) -> str: ...
    @property
    def markers(self) -> tuple[str, ...]: ...
    @property
    def planted(self) -> xr.DataArray: ...
    @property
    def measured(self) -> xr.Dataset: ...
    @property
    def opposites(self) -> Sequence[KnowsNothing]: ...


def planting_figure(planting: Planted) -> Figure:
    """Both side by side, on one axis of shares; without models that know nothing, the first alone."""
    others = len(planting.opposites)
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(7.0 if others else 5.4, 4.6), layout="constrained")
        ratios = [4.2, 0.55 + 0.55 * others] if others else [1.0]
        axes: list[Axes] = figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios, squeeze=False)[0].tolist()
        planting_panel(planting, ax=axes[0])
        if others:
            opposites_panel(planting, ax=axes[1])
            axes[1].set_ylabel("")
            if (named := axes[1].get_legend()) is not None:
                named.remove()  # the views are named on the left
            titled(axes[1], KNOW_NOTHING)
            axes[1].tick_params(axis="y", length=0)
        return figure


@drawn
def planting_panel(planting: Planted, *, ax: Axes | None = None) -> Axes:
    """Planted share against the measured ones, in per cent with their intervals: what a measure sees lies on the dashed line."""
    planted, views = planting.planted, _views(planting)
    ax = axes_of(ax, width=5.4, height=4.6)
    order = np.argsort(planted.values, kind="stable")
    ax.plot(
        [0, 100],
        [0, 100],
        color=GREY,
        linewidth=1.0,
        linestyle=(0, (4, 3)),
        zorder=1,
        label="as much as was planted",
    )
    for place, view in enumerate(views):
        one = planting.measured.sel(view=view).isel(step=order)
        at = 100 * planted.values[order] + _aside(place, len(views), 1.4)
        _points(ax, at, one, place, label=view, line=True)
    ax.set_xlim(-5, 105)
    ax.set_ylim(-3, 106)
    retrained = planting.way == "trained"
    ax.set_xlabel(
        "share of patients whose answer changes with the mark alone (%)"
        if retrained
        else "planted share of the model's output (%)"
    )
    _share_axis(ax, planting)
    titled(ax, "Is what was planted seen?", columns=2)
    return ax


@drawn
def opposites_panel(planting: Planted, *, ax: Axes | None = None) -> Axes:
    """The shares that models with randomised weights or labels give to the mark, in per cent with their intervals: what a
    measure says of a model that knows nothing.
    """
    found, views = planting.opposites, _views(planting)
    ax = axes_of(ax, width=1.8 + 0.7 * len(found), height=4.6)
    if not found:
        ax.set_axis_off()
        aside(ax, "no model that knows nothing was asked for")
        return ax
    for place, view in enumerate(views):
        for at, one in enumerate(found):
            if view in one.shares.view.values:
                where = np.array([at + _aside(place, len(views), 0.14)])
                label = view if at == 0 else ""
                _points(ax, where, one.shares.sel(view=[view]).isel(view=[0]), place, label=label)
    ax.set_xticks(range(len(found)), [plain(one.name).replace(" ", "\n") for one in found])
    ax.set_xlim(-0.5, len(found) - 0.5)
    ax.set_ylim(-3, 106)
    ax.set_facecolor("#F4F4F4")
    _share_axis(ax, planting)
    titled(ax, KNOW_NOTHING, columns=1)
    return ax


def _views(planting: Planted) -> list[str]:
    return [str(view) for view in planting.measured.view.values]


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


def _share_axis(ax: Axes, planting: Planted) -> None:
    names: Any = " and ".join(planting.markers)
    ax.set_ylabel(f"measured share of {plain(names)} (%)")
    ax.set_axisbelow(True)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
