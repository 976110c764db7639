"""The figure of deletion and insertion: an output as what matters most goes first, or comes first."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from modalens.plots.style import BLUE, GREY, VERMILION, axes_of, drawn, plain, titled

COLOURS = (BLUE, VERMILION, GREY)
MARKERS = ("o", "s", "D")


class Removal(Protocol):
    """What `ml.validation.deletion` returns."""

    @property
    def curve(self) -> xr.DataArray: ...
    @property
    def interval(self) -> xr.Dataset: ...
    @property
    def insertion(self) -> bool: ...
    @property
    def measure(self) -> str: ...
    @property
    def output(self) -> str: ...
    @property
    def what(self) -> str: ...


@drawn
def curves_panel(curves: Removal, *, ax: Axes | None = None) -> Axes:
    """An output as modalities or parts are taken away or put in, a line for each order with its interval as a band: the farther
    the order of the measure is from random orders, the better it finds what the output rests on.
    """
    ax = axes_of(ax, width=5.2, height=3.6)
    curve, bounds = curves.curve, curves.interval.get("curve")
    shares = 100 * np.asarray(curve.step.values, dtype=float)
    for place, order in enumerate(map(str, curve.order.values)):
        colour = COLOURS[place % len(COLOURS)]
        if bounds is not None and not bool(bounds.isnull().all()):
            lower, upper = (bounds.sel(order=order, bound=bound).values for bound in ("lower", "upper"))
            ax.fill_between(shares, lower, upper, color=colour, alpha=0.16, linewidth=0)
        ax.plot(
            shares,
            curve.sel(order=order).values,
            color=colour,
            marker=MARKERS[place % len(MARKERS)],
            markersize=3.5,
            linewidth=1.4,
            linestyle="-" if place < 2 else (0, (4, 2)),
            label=plain(order),
            clip_on=False,
        )
    way = "put in" if curves.insertion else "taken away"
    title = f"{curves.what} {way}, in the order of {curves.measure}"
    ax.set_xlim(0, 100)
    ax.set_xlabel(plain(f"share of {curves.what} {way} (%)"))
    ax.set_ylabel(plain(curves.output))
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    titled(ax, title[:1].upper() + title[1:], columns=3)
    return ax
