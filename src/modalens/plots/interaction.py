"""Figures of how modalities are combined."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from modalens.errors import InputError, listed
from modalens.explanation import Explanation
from modalens.plots.style import (
    AMOUNTS,
    BLUE,
    ORANGE,
    SKY,
    VERMILION,
    aside,
    axes_of,
    drawn,
    ink_on,
    name_rows,
    percent_axis,
    plain,
    titled,
    whiskers,
    wrapped,
)
from modalens.reading import (
    bounds_of,
    one_output,
    output_words,
    require,
    result_of,
    space_of,
    space_words,
    target_words,
)


@drawn
def interaction_matrix(explanation: Explanation, *, output: str | None = None, ax: Axes | None = None) -> Axes:
    """InterSHAP's Phi as a heat map with its numbers: what each modality does by itself on the diagonal, what pairs
    do off it.

    `output` names one where each is scored by itself; without it, that with the largest score. Raises InputError
    where InterSHAP is missing.
    """
    result = require(explanation, "intershap")
    matrix, output = one_output(result.matrix, output, result.score)
    values = np.asarray(matrix.transpose("modality", "modality_2").values)
    names = [wrapped(name, 16) for name in explanation.modalities]
    side = 1.4 + 0.75 * len(names)
    ax = axes_of(ax, width=max(3.6, side + 0.6), height=max(2.8, side))
    total = values.sum()
    picture = ax.imshow(values, cmap=AMOUNTS, vmin=0, vmax=max(float(np.nanmax(values)), np.finfo(float).tiny))
    for row, column in np.ndindex(*values.shape):
        value = values[row, column]
        share = f"\n{100 * value / total:.0f} %" if total > 0 else ""
        ink = ink_on(picture.cmap(picture.norm(value)))
        ax.text(
            column,
            row,
            f"{value:.3f}{share}" if abs(value) < 10 else f"{value:.3g}{share}",
            ha="center",
            va="center",
            color=ink,
            fontsize=8 if len(names) < 6 else 6.5,
        )
    ax.set_xticks(
        range(len(names)), names, rotation=30 if len(names) > 4 else 0, ha="right" if len(names) > 4 else "center"
    )
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    unit = target_words(explanation) if output is None else output_words(explanation, output)
    ax.set_xlabel(plain(f"in units of the {unit};\nper cent of the sum of all cells"), fontsize=7.5)
    titled(ax, "By itself (diagonal) and in pairs" + (f"\n{output}" if output else ""))
    return ax


@drawn
def orders(explanation: Explanation, *, output: str | None = None, ax: Axes | None = None) -> Axes:
    """How the behaviour splits into what single modalities, pairs, and larger sets do: one stacked bar a space.

    Raises InputError where both Interactions and InterSHAP are missing.
    """
    interactions, intershap = result_of(explanation, "interactions"), result_of(explanation, "intershap")
    result = interactions or intershap
    if result is None:
        raise InputError(
            f"this needs the measure Interactions or InterSHAP, and the explanation holds {listed(explanation.results)}."
        )
    shares: xr.DataArray = result.orders if interactions is None else result.orders_by_space
    if "space" not in shares.dims:
        shares = shares.expand_dims(space=[space_of(explanation)])
    shares, output = one_output(shares, output, shares.sel(order="1", space=space_of(explanation)) * -1)
    spaces = [str(space) for space in shares.space.values]
    ax = axes_of(ax, height=1.1 + 0.4 * len(spaces))
    labels = {"1": "one modality by itself", "2": "two together", "3+": "three or more together"}
    left = np.zeros(len(spaces))
    for order, colour in zip(("1", "2", "3+"), (SKY, BLUE, VERMILION), strict=True):
        if order == "3+" and len(explanation.modalities) < 3:
            continue
        widths = 100 * np.asarray(shares.sel(order=order).values, dtype=float)
        ax.barh(
            np.arange(len(spaces)),
            np.nan_to_num(widths),
            left=left,
            height=0.62,
            color=colour,
            label=labels[order],
            edgecolor="white",
            linewidth=0.8,
        )
        for place, width in enumerate(widths):
            if width >= 7:
                ax.text(
                    left[place] + width / 2,
                    place,
                    f"{width:.0f} %",
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color=ink_on(colour),
                )
        left = left + np.nan_to_num(widths)
    name_rows(ax, [f"on the {space_words(explanation, space)}" for space in spaces])
    percent_axis(ax, "share of the model's behaviour (%)")
    titled(ax, "What one, two and more modalities do" + (f": {output}" if output else ""), columns=3)
    return ax


@drawn
def interaction_scores(explanation: Explanation, *, output: str | None = None, ax: Axes | None = None) -> Axes:
    """InterSHAP beside what an additive model would show, in every space, with intervals. Raises InputError where
    InterSHAP is missing.
    """
    result = require(explanation, "intershap")
    _, output = one_output(result.score, output, result.score)
    at = {} if output is None else {"output": output}
    spaces = [str(space) for space in result.by_space.space.values]
    ax = axes_of(ax, height=1.2 + 0.5 * len(spaces))
    rows = np.arange(len(spaces))
    reach = 5.0
    for array, label, colour, marker, shift in (
        ("by_space", "this model", BLUE, "o", -0.13),
        ("null", "an additive model on the same patients", ORANGE, "D", 0.13),
    ):
        values = 100 * np.asarray(getattr(result, array).sel(at).values, dtype=float)
        if np.isnan(values).all():
            aside(ax, f"not defined: {label}")
            continue
        bounds = bounds_of(result, array)
        lengths = whiskers(values, None if bounds is None else 100 * bounds.sel(at))
        ax.errorbar(
            values,
            rows + shift,
            xerr=lengths,
            fmt=marker,
            color=colour,
            ecolor=colour,
            elinewidth=1.4,
            capsize=2.5,
            markersize=5,
            label=label,
            clip_on=False,
            zorder=5,
        )
        reach = max(reach, float(np.nanmax(np.nan_to_num(values + (0 if lengths is None else lengths[1])))))
    name_rows(ax, [f"on the {space_words(explanation, space)}" for space in spaces])
    percent_axis(ax, "interaction: InterSHAP, share of the behaviour (%)", most=min(100.0, 1.08 * reach))
    titled(ax, "Does it combine modalities?" + (f" {output}" if output else ""), columns=2)
    return ax
