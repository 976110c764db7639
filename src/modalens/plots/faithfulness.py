"""The figure of deletion and insertion: an output as what matters most goes first, or comes first."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from modalens.plots.style import BLUE, GREY, VERMILION, axes_of, drawn, plain, titled

COLOURS = (BLUE, VERMILION, GREY)
MARKERS = ("o", "s", "D")


@drawn
def curves_figure(
    curve: xr.DataArray, bounds: xr.DataArray | None, *, title: str, across: str, along: str, ax: Axes | None = None
) -> Axes:
    """Curves (order, step) with their bounds (bound, order, step) as bands: `step` is a share, `across` and `along` say
    what the axes are.
    """
    ax = axes_of(ax, width=5.2, height=3.6)
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
    ax.set_xlim(0, 100)
    ax.set_xlabel(plain(across))
    ax.set_ylabel(plain(along))
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    titled(ax, title[:1].upper() + title[1:], columns=3)
    return ax
