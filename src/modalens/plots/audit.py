"""The figure of an audit: scores beside baselines, what perturbations change beside what they could, and maps over images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalens.errors import InputError, listed, nearest
from modalens.plots.parts import scale, see_through
from modalens.plots.style import (
    BLUE,
    ERROR_BAR,
    GREY,
    LOOK,
    ORANGE,
    aside,
    axes_of,
    drawn,
    light_grid,
    name_rows,
    plain,
    titled,
    wrapped,
)

TRUTH = "#00B7FF"
"""The outline of an annotated region: a blue that neither grey images nor the colours of amounts have."""

FAINTEST = 2.0
"""Even shares above the first at which attention has the strongest colour, if it is nowhere stronger: differences within a nearly
even map are not blown up to a picture.
"""

SHOWN = 3
"""Images of which maps are shown."""

FIGURED = ("as it is", "swap left/right")
"""The conditions whose maps stand in the figure."""


MARKS = "|x+1234"
"""One for each baseline."""


class Audited(Protocol):
    """What `ml.audit` returns."""

    @property
    def data(self) -> xr.Dataset: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def scores(self) -> xr.DataArray: ...
    @property
    def baselines(self) -> xr.DataArray: ...
    @property
    def deltas(self) -> xr.DataArray: ...
    @property
    def attainable_deltas(self) -> xr.DataArray: ...
    @property
    def interval(self) -> xr.Dataset: ...
    @property
    def records(self) -> Sequence[Any]: ...
    @property
    def maps(self) -> Any: ...
    def subset_of(self, condition: str) -> str: ...


def audit_figure(audit: Audited, *, records: Sequence[int] | None = None) -> Figure:
    """Scores beside baselines, changes beside attainable ones, and maps over images, on one page. records: which ones to show
    with their maps; by default those of images with the same finding in both lungs, where the model is least and most
    right. Without images (an audit from a file without pictures) there are no maps.
    """
    chosen = list(records) if records is not None else examples(audit)
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(8.4, 3.4 + 2.3 * len(chosen)), layout="constrained")
        above: Any = figure
        if chosen:
            halves: Any = figure.subfigures(2, 1, height_ratios=[3.4, 2.3 * len(chosen)])
            above, below = halves
            below.suptitle(
                "Colour: attention above an even share; the strongest is three shares, or the most of a row", fontsize=8
            )
            beside = [None, *(condition for condition in FIGURED if condition in audit.maps)]
            axes = below.subplots(len(chosen), len(beside), squeeze=False)
            for row, place in zip(axes, chosen, strict=True):
                for ax, condition in zip(row, beside, strict=True):
                    map_panel(audit, place, condition=condition, ax=ax)
        changed = bool(audit.deltas.sizes["condition"])
        panels = above.subplots(1, 1 + changed, squeeze=False)[0]
        score_panel(audit, ax=panels[0])
        if changed:
            delta_panel(audit, ax=panels[1])
        return figure


@drawn
def score_panel(audit: Audited, *, score: str = "auroc", ax: Axes | None = None) -> Axes:
    """One score by subset with its interval, and that of each baseline as a mark: what has to be beaten."""
    subsets = [
        str(name) for name in audit.data.subset.values if not np.isnan(audit.scores.sel(subset=name, score=score))
    ]
    ax = axes_of(ax, width=4.2, height=3.2)
    values = audit.scores.sel(score=score, subset=subsets).values
    bounds = audit.interval.scores.sel(score=score, subset=subsets)
    if not subsets:
        ax.set_axis_off()
        aside(ax, "no score against the regions is defined")
        return ax
    rows = np.arange(len(subsets))
    ax.plot(values, rows, "o", color=BLUE, markersize=5, zorder=5, label="the model")
    ax.hlines(rows, *(bounds.sel(bound=end).values for end in ("lower", "upper")), color=BLUE, linewidth=1.4)
    for name, mark in zip(map(str, audit.data.baseline.values), cycle(MARKS)):
        found = audit.baselines.sel(baseline=name, score=score, subset=subsets).values
        ax.plot(found, rows, mark, color=GREY, markersize=7, markeredgewidth=1.3, label=plain(name), zorder=3)
    name_rows(ax, subsets, width=16)
    light_grid(ax)
    ax.set_xlabel(f"{_said(score)} ({100 * audit.settings['confidence']:g} % interval by patient)")
    titled(ax, "Do the highlights show the region?", columns=3)
    return ax


@drawn
def delta_panel(audit: Audited, *, score: str = "auroc", ax: Axes | None = None) -> Axes:
    """How much each perturbation changes a score, beside the change of a map that follows the text perfectly; the swap on the
    records of one lung. Nothing is drawn where nothing was changed.
    """
    ax = axes_of(ax, width=4.2, height=3.2)
    conditions = [str(name) for name in audit.deltas.condition.values]
    if not conditions:
        ax.set_axis_off()
        aside(ax, "no perturbation was asked for")
        return ax
    at: dict[str, Any] = {
        "condition": xr.DataArray(conditions, dims="row"),
        "subset": xr.DataArray([audit.subset_of(name) for name in conditions], dims="row"),
        "score": score,
    }
    rows = np.arange(len(conditions))
    ax.barh(
        rows,
        audit.attainable_deltas.sel(at).values,
        height=0.62,
        color="#E3E3E3",
        edgecolor="#999999",
        linewidth=0.6,
        label="a map that follows the text",
    )
    values = audit.deltas.sel(at).values
    bounds = audit.interval.deltas.sel(at)
    ax.barh(rows, values, height=0.3, color=ORANGE, edgecolor="#555555", linewidth=0.5, label="the model", zorder=3)
    errors = np.nan_to_num(
        np.clip(
            np.stack([values - bounds.sel(bound="lower").values, bounds.sel(bound="upper").values - values]), 0, None
        )
    )
    ax.errorbar(values, rows, xerr=errors, **ERROR_BAR)
    ax.axvline(0, color="#333333", linewidth=0.7)
    name_rows(ax, conditions, width=16)
    light_grid(ax)
    ax.margins(x=0.06)
    ax.set_xlabel(f"change of {_said(score)}")
    titled(ax, "Does the text matter?", columns=2)
    return ax


@drawn
def map_panel(audit: Audited, record: int, *, condition: str | None = None, ax: Axes | None = None) -> Axes:
    """The image of one record with the outline of its annotated region, and over it the map of its phrase under a condition
    ("as it is", "swap left/right", ...); without one the image alone. Its colours are those of the record's maps in the figure.

    Raises InputError for an audit that holds no images (one from a file without them), and for a record or condition that it has not.
    """
    if not 0 <= record < len(audit.records):
        why = "it came without images, from a file or a sheet" if not len(audit.records) else "records count from 0"
        raise InputError(f"record={record} is not there: the audit holds {len(audit.records)} images; {why}.")
    if condition is not None and condition not in audit.maps:
        names = list(map(str, audit.maps))
        raise InputError(
            f"condition={condition!r} has no maps{nearest(condition, names)}: give one of {listed(names)}, or None for the image alone."
        )
    about = audit.records[record]
    image, truth = about.pixels(), about.truth
    ax = axes_of(ax, width=2.8, height=2.8)
    if condition is None:
        return map_over_image(image, np.zeros(truth.shape), truth=truth, title="annotated", ax=ax)
    found = _maps_of(audit, record, (*FIGURED, condition))
    if condition not in found:
        ax.set_axis_off()
        return ax
    signed = any(np.nanmin(values) < 0 for values in found.values())
    phrase = str(audit.data.phrase.sel(condition=condition)[record].item())
    largest = strongest(found.values())
    return map_over_image(
        image, found[condition], truth=truth, title=f"“{phrase}”", largest=largest, signed=signed, ax=ax
    )


@drawn
def map_over_image(
    image: np.ndarray,
    values: np.ndarray,
    *,
    truth: np.ndarray | None = None,
    title: str = "",
    largest: float | None = None,
    signed: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A heat map (height, width), NaN where the model did not look, over its image (height, width) or (channels, height, width),
    with the outline of the region: the less is highlighted, the less is covered. largest: the size of the strongest colour;
    signed: whether values below 0 have a colour of their own, by default where there are some: both one for all maps of a patient.
    """
    ax = axes_of(ax, width=2.8, height=2.8)
    grey = image.mean(axis=0) if image.ndim == 3 else image
    low, high = float(grey.min()), float(grey.max())
    ax.imshow((grey - low) / ((high - low) or 1), cmap="gray", vmin=0, vmax=1)
    signed = bool(np.nanmin(values) < 0) if signed is None else signed
    norm, colours = scale(np.nan_to_num(values) if largest is None else np.array([largest]), signed=signed)
    ax.imshow(np.ma.masked_invalid(values), cmap=see_through(colours, signed=signed), norm=norm)
    if truth is not None and truth.any() and not truth.all():
        ax.contour(truth, levels=[0.5], colors=TRUTH, linewidths=1.3)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)
    ax.set_title(wrapped(title, 34), fontsize=8, fontweight="normal")
    return ax


def over_even(values: np.ndarray) -> np.ndarray:
    """A map without values below 0 as what each pixel gets above an even share, in even shares: 0 for a map that says nothing
    of where, so that it leaves the image as it is. A signed map stays as it is.
    """
    if np.nanmin(values) < 0 or not np.nanmean(values) > 0:
        return values
    return np.clip(values / np.nanmean(values) - 1, 0, None)


def strongest(maps: Iterable[np.ndarray]) -> float:
    """The value of the strongest colour of maps that are seen together: the largest, and of attention at least `FAINTEST`."""
    shown = list(maps)
    largest = max((float(np.nanmax(np.abs(values))) for values in shown), default=1.0)
    return largest if any(np.nanmin(values) < 0 for values in shown) else max(largest, FAINTEST)


def examples(audit: Audited) -> list[int]:
    """Records whose image shows the same finding in both lungs: where the map is least right, and where most."""
    if not len(audit.records) or not audit.maps:
        return []
    auroc = audit.data.value.sel(score="auroc").isel(condition=0).values
    both = audit.data.flipped.notnull().values
    known = ~np.isnan(auroc) & (both if both.any() else True)
    places = np.flatnonzero(known)
    places = places[np.argsort(auroc[places], kind="stable")]
    some = np.linspace(0, len(places) - 1, min(SHOWN, len(places))).round().astype(int)
    return [int(places[one]) for one in np.unique(some)]


def _maps_of(audit: Audited, place: int, conditions: Sequence[str]) -> dict[str, np.ndarray]:
    """The maps of a record by condition, over its image; amounts as what they are above an even share."""
    record = audit.records[place]
    smooth = audit.settings["interpolation"] == "bilinear"
    found = {
        name: maps[place].on(record.truth.shape, smooth=smooth)
        for name, maps in audit.maps.items()
        if name in conditions and maps[place] is not None
    }
    signed = any(np.nanmin(values) < 0 for values in found.values())
    return found if signed else {name: over_even(values) for name, values in found.items()}


def _said(score: str) -> str:
    """A score's name as it is written."""
    return plain(score.replace("_", " ").replace("auroc", "AUROC"))
