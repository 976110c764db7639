"""Figures of what each modality, and each of its parts, carries."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from modalens.errors import InputError, listed, nearest
from modalens.explanation import Explanation
from modalens.plots.style import (
    BLUE,
    ERROR_BAR,
    SERIES,
    axes_of,
    drawn,
    light_grid,
    name_rows,
    others,
    percent_axis,
    plain,
    titled,
    whiskers,
)
from modalens.reading import bounds_of, contribution_views, lead_outputs, require


@drawn
def contributions(explanation: Explanation, *, ax: Axes | None = None) -> Axes:
    """Bars by modality: its share when hidden part by part, when hidden as a whole, by the Shapley value, and by
    gradients at the fusion point, with intervals.

    Raises InputError where the explanation has neither Occlusion nor Shapley nor FusionGradient.
    """
    views = contribution_views(explanation)
    if not views:
        raise InputError(
            f"this needs the measure Occlusion, Shapley or FusionGradient, and the explanation holds {listed(explanation.results)}: explain(..., measures=[ml.Occlusion(), ml.Shapley()])."
        )
    names = list(explanation.modalities)
    ax = axes_of(ax, height=1.0 + 0.24 * len(names) * (len(views) + 1))
    thickness = 0.8 / len(views)
    reach = 0.0
    for place, (words, result, array) in enumerate(views):
        shares = 100 * np.asarray(getattr(result, array).values, dtype=float)
        at = np.arange(len(names)) + (place - (len(views) - 1) / 2) * thickness
        ax.barh(
            at, np.nan_to_num(shares), height=0.92 * thickness, color=SERIES[place % len(SERIES)], label=plain(words)
        )
        bounds = bounds_of(result, array)
        lengths = whiskers(shares, None if bounds is None else 100 * bounds)
        if lengths is not None:
            ax.errorbar(shares, at, xerr=lengths, **ERROR_BAR)
        for share, height, right in zip(shares, at, shares if lengths is None else shares + lengths[1], strict=True):
            said = "n/a" if np.isnan(share) else f"{share:.0f}" if share == 0 or share >= 9.95 else f"{share:.1f}"
            ax.annotate(
                said,
                (np.nan_to_num(right), height),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
            )
            reach = max(reach, np.nan_to_num(right))
    name_rows(ax, names)
    together = ", all labels together" if lead_outputs(explanation) else ""
    percent_axis(ax, f"share of the change in the output{together} (%)", most=min(108.0, max(20.0, 1.12 * reach)))
    titled(ax, "How much each modality carries", columns=3 if len(views) < 4 else 2)
    return ax


@drawn
def part_contributions(explanation: Explanation, modality: str, *, top: int = 12, ax: Axes | None = None) -> Axes:
    """The parts of one modality that carry most, such as the biomarkers of a table: their shares of the whole change,
    the largest on top.

    Raises InputError where Occlusion is missing, or where samples don't share their parts (words).
    """
    found = require(explanation, "occlusion").part_contribution
    if modality not in found:
        raise InputError(
            f"the parts of {modality!r} are not the same in all samples{nearest(modality, found)}; known are those of {listed(found)}. "
            f"For one sample, parts(explanation, {modality!r}, sample=0) shows them."
        )
    shares = 100 * found[modality].fillna(0).sortby(found[modality], ascending=False)
    shown = shares[: max(1, min(top, int((shares > 0).sum())))]
    rest = shares[shown.size :]
    ax = axes_of(ax, width=5.0, height=1.05 + 0.24 * shown.size)
    ax.barh(np.arange(shown.size), shown.values, height=min(0.72, 0.3 + 0.14 * shown.size), color=BLUE)
    name_rows(ax, [str(part) for part in shown.part.values], width=34)
    together = (
        f"\n{others(rest.size)}{' together' if rest.size > 1 else ''}: {float(rest.sum()):.1f} %" if rest.size else ""
    )
    ax.set_xlabel(f"share of the change in the output (%){together}")
    ax.set_xlim(left=0)
    light_grid(ax)
    titled(ax, f"{modality}: the parts that carry most" if rest.size else f"{modality}: what its parts carry")
    return ax
