"""How the contribution depends on the numbers of parts that modalities are cut into."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import NullLocator

from modalens.errors import InputError, listed, nearest
from modalens.plots.style import AMOUNTS, SERIES, axes_of, drawn, ink_on, light_grid, plain, titled

MARKERS = ("o", "s", "D", "^", "v", "P")
PARTS = "_parts"


@drawn
def sweep(found: xr.DataArray, *, modality: str | None = None, ax: Axes | None = None) -> Axes:
    """What `ml.sweep` found. Where one modality was cut in several ways, a line a modality: its contribution by the number
    of parts. Where two were, the contribution of one as a surface over both numbers, with its values: the finer a
    modality is cut, the more it seems to carry.

    `modality` is the one that a surface shows, the first that was cut unless given. Raises InputError for anything but the
    result of `ml.sweep` over one or two modalities, and for a modality that it does not hold.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import plots
    >>> inputs = {"a": np.random.default_rng(0).normal(size=(50, 16)), "b": np.random.default_rng(1).normal(size=(50, 16))}
    >>> found = ml.sweep(lambda a, b: a.sum(1) + b.sum(1), inputs, parts={"a": (1, 4, 16), "b": (1, 4)}, baseline="zeros", output="raw")
    >>> plots.sweep(found).images[0].get_array().shape
    (3, 2)
    """
    cut = _require_sweep(found)
    names = [str(name) for name in found.modality.values]
    if modality is not None and modality not in names:
        raise InputError(
            f"{modality!r} is no modality of the sweep{nearest(modality, names)}: give one of {listed(names)}."
        )
    if len(cut) == 1:
        return _along(axes_of(ax, width=5.0, height=3.2), found, cut[0], names)
    return _over(ax, found, cut, modality or cut[0])


def _require_sweep(found: Any) -> list[str]:
    """The modalities that were cut in several ways: one or two."""
    if not isinstance(found, xr.DataArray) or "modality" not in found.dims:
        raise InputError(f"expected what ml.sweep(...) returns, came {type(found).__name__}.")
    cut = [str(dim).removesuffix(PARTS) for dim in found.dims if str(dim).endswith(PARTS)]
    if len(cut) not in (1, 2) or found.ndim != len(cut) + 1:
        raise InputError(
            f"expected a sweep over the parts of one modality or two, came the axes {listed(found.dims)}: choose among the others, such as found.isel({cut[-1] if cut else 'name'}_parts=0)."
        )
    return cut


def _along(ax: Axes, found: xr.DataArray, cut: str, names: list[str]) -> Axes:
    found = found.sortby(f"{cut}{PARTS}")
    counts = found[f"{cut}{PARTS}"].values
    for place, name in enumerate(names):
        ax.plot(
            counts,
            100 * found.sel(modality=name).values,
            color=SERIES[place % len(SERIES)],
            marker=MARKERS[place % len(MARKERS)],
            markersize=4.5,
            linewidth=1.4,
            label=plain(name),
            clip_on=False,
            zorder=3,
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_ylim(0, 100)
    light_grid(ax)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    ax.set_xlabel(plain(f"number of parts of {cut}"))
    ax.set_ylabel("share of the change in the output (%)")
    titled(ax, "The contribution depends on the cut", columns=3)
    return ax


def _over(ax: Axes | None, found: xr.DataArray, cut: list[str], modality: str) -> Axes:
    down, across = (f"{name}{PARTS}" for name in cut)
    shares = 100 * found.sel(modality=modality).sortby([down, across])
    values = np.asarray(shares.values, dtype=float)
    ax = axes_of(ax, width=1.9 + 0.62 * values.shape[1], height=1.5 + 0.42 * values.shape[0])
    norm, colours = Normalize(0, 100), mpl.colormaps[AMOUNTS].with_extremes(bad="#EEEEEE")
    ax.imshow(np.ma.masked_invalid(values), cmap=colours, norm=norm, origin="lower", aspect="auto")
    for row, column in np.ndindex(*values.shape):
        share = values[row, column]
        said = "n/a" if np.isnan(share) else f"{share:.0f}" if share == 0 or share >= 9.95 else f"{share:.1f}"
        ink = "black" if np.isnan(share) else ink_on(colours(norm(share)))
        ax.text(column, row, said, ha="center", va="center", fontsize=7.5, color=ink)
    ax.set_xticks(range(values.shape[1]), [str(count) for count in shares[across].values])
    ax.set_yticks(range(values.shape[0]), [str(count) for count in shares[down].values])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(plain(f"number of parts of {cut[1]}"))
    ax.set_ylabel(plain(f"number of parts of {cut[0]}"))
    titled(ax, f"Contribution of {modality} (%)")
    return ax
