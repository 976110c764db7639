"""How all figures look: colours that colour-blind readers tell apart (Okabe and Ito), sizes for print, and text that
is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#6E6E6E",
)
SERIES = (BLUE, SKY, ORANGE, GREEN, PURPLE, VERMILION)

AMOUNTS = "Blues"
"""The colour map of what is never below 0."""

PART_AMOUNTS = "YlOrBr"
"""The same for the parts of a sample: a hue that no grey image has."""

SIGNED = "RdBu_r"
"""The colour map of what has a sign, white at 0: red raises the output, blue lowers it."""

LOOK: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.facecolor": "white",
    "axes.edgecolor": "#333333",
    "axes.labelcolor": "black",
    "axes.titlecolor": "black",
    "axes.grid": False,
    "axes.axisbelow": True,
    "text.color": "black",
    "text.usetex": False,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "figure.dpi": 110,
    "savefig.facecolor": "white",
    "hatch.linewidth": 0.6,
    "image.interpolation": "nearest",
}
"""Settings of every figure, used for its making only; the reader's own stay as they are."""

Arguments = ParamSpec("Arguments")

ERROR_BAR: dict[str, Any] = {"ecolor": "#222222", "elinewidth": 1.0, "capsize": 2.0, "fmt": "none", "zorder": 4}


def drawn(figure: Callable[Arguments, Axes]) -> Callable[Arguments, Axes]:
    """Draw in the common look, whatever the reader's settings are, and leave these as they are."""

    @wraps(figure)
    def with_look(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Axes:
        with mpl.rc_context(LOOK):
            return figure(*args, **kwargs)

    return with_look


def axes_of(ax: Axes | None, width: float = 6.0, height: float = 3.0) -> Axes:
    """The axes to draw on: the given ones, or those of a new figure, which pyplot does not know and so never holds on
    to.
    """
    if ax is not None:
        return ax
    axes: Axes = Figure(figsize=(width, height), layout="constrained").subplots()
    return axes


def plain(text: object) -> str:
    """A name as it is: no dollar sign in it starts a formula."""
    return str(text).replace("$", r"\$")


def wrapped(text: object, width: int = 24, most: int | None = None) -> str:
    """A long name on several lines, broken at blanks and underscores, else shortened in its middle; of more than `most`
    lines the first and the last.
    """
    lines = [""]
    for piece in str(text).replace("_", "_ ").split(" "):
        join = "" if not lines[-1] or lines[-1].endswith("_") else " "
        if lines[-1] and len(lines[-1]) + len(join) + len(piece) > width:
            lines.append("")
            join = ""
        lines[-1] += join + (piece if len(piece) <= width else f"{piece[: width // 2 - 1]}…{piece[-width // 2 + 1 :]}")
    if most is not None and len(lines) > most:
        lines = [*lines[: most - 1], f"…{lines[-1]}"]
    return plain("\n".join(lines))


def sentences(text: str, width: int = 84) -> str:
    """The words below an axis, a line each, which names in them may not push out of the figure."""
    return "\n".join(wrapped(line, width, most=2) for line in text.split("\n"))


def others(count: int) -> str:
    """How many are not shown by themselves."""
    return "1 other" if count == 1 else f"{count} others"


def whiskers(values: np.ndarray, bounds: xr.DataArray | None) -> np.ndarray | None:
    """Lengths of the error bars, (2, n); None where there is no interval. A percentile interval need not hold the
    value: then one side is 0.
    """
    if bounds is None:
        return None
    lower, upper = (np.asarray(bounds.sel(bound=bound).values, dtype=float) for bound in ("lower", "upper"))
    return np.nan_to_num(np.clip(np.stack([values - lower, upper - values]), 0, None))


def percent_axis(ax: Axes, label: str, most: float = 100.0) -> None:
    """A horizontal axis of per cent, with a light grid."""
    ax.set_xlim(0, most)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.set_xlabel(label)
    light_grid(ax)


def aside(ax: Axes, text: str) -> None:
    """A small remark in the lower right corner, where sorted bars leave room."""
    ax.text(0.99, 0.03, plain(text), transform=ax.transAxes, ha="right", va="bottom", fontsize=7.5, color=GREY)


def light_grid(ax: Axes) -> None:
    """Light lines to read values by, beneath what is drawn, and no box around it, also on axes made elsewhere."""
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    ax.tick_params(axis="x", length=2.5)


def name_rows(ax: Axes, names: list[str], width: int = 24) -> None:
    """Names down the vertical axis, the first on top; broken into lines of this many characters."""
    ax.set_yticks(np.arange(len(names)), [wrapped(name, width, most=3) for name in names])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(len(names) - 0.5, -0.5)


def titled(ax: Axes, title: str, columns: int = 0) -> None:
    """The title, and below it a legend in this many columns."""
    lines = -(-len(ax.get_legend_handles_labels()[1]) // columns) if columns else 0
    ax.set_title(plain(title), pad=9 + 13 * lines if columns else 6)
    if columns:
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=columns,
            borderaxespad=0.1,
            handlelength=1.2,
            columnspacing=1.2,
            handletextpad=0.5,
        )


def ink_on(colour: Any) -> str:
    """Black or white, whichever is read better on this colour."""
    red, green, blue = (
        (channel / 12.92) if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in mpl.colors.to_rgb(colour)
    )
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 else "white"
