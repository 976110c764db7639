"""The page of one patient: how the output comes about, and what each modality's parts change, on one scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from modalens.errors import InputError, listed
from modalens.explanation import Explanation
from modalens.plots.parts import change_words, changes_of, lines_of, parts, scale, see_through
from modalens.plots.series import channel_count, series, windows_of
from modalens.plots.style import GREY, LOOK, sentences, titled, wrapped
from modalens.plots.volume import blocks_of, volume
from modalens.plots.waterfall import drawn_output, terms_of, waterfall
from modalens.reading import patches, require

WIDTH = 10.5
"""Inches: readable when printed across a page."""

FOOT = 0.75
"""Inches for the scale."""

TERMS = 8
"""Bars of the waterfall, the others together."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A figure on the page, the inches that it needs, and whether it goes across the page."""

    draw: Callable[..., Axes]
    height: float
    across: bool = False


def patient(
    explanation: Explanation,
    sample: int = 0,
    *,
    output: str | None = None,
    top: int = 10,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    width: float = WIDTH,
) -> Figure:
    """One sample on one page: its waterfall, and the parts of each of its modalities as they are seen best: patches over the
    image, slices of a volume, coloured words, a shaded series, bars of a table. All parts share one scale, drawn once at
    the foot: a colour is the same change of the output in all of them, and bars are equally long where changes are.

    Parameters
    ----------
    output : without it parts show amounts, summed over all outputs; with it signed changes of this one. top : the bars that
        a table has at most. settings : more arguments for the figure of a modality, such as {"ct": {"spacing": (5, 1, 1)},
        "ecg": {"channels": ["I", "II"]}}. width : inches.

    The page is headed by the patient's name where the rows of `explanation.characteristics` have names. Without
    Interactions, InterSHAP and Shapley there is no waterfall. Raises InputError where Occlusion, the sample or the
    output is missing, and for settings of no modality.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import plots
    >>> inputs = {"a": np.random.default_rng(0).normal(size=(9, 2)), "b": np.random.default_rng(1).normal(size=(9, 2))}
    >>> found = ml.explain(lambda a, b: a.sum(1) * b[:, 0], inputs, baseline="zeros", output="raw", measures=[ml.Occlusion(), ml.Shapley()])
    >>> [ax.get_title(loc="left") for ax in plots.patient(found, 3).axes]
    ['How the output of sample 3 comes about', 'a, sample 3', 'b, sample 3', '']
    """
    result = require(explanation, "occlusion")
    drawn_output(explanation, sample, output)
    settings = settings or {}
    if unknown := set(settings) - set(explanation.modalities):
        raise InputError(
            f"settings names {listed(sorted(unknown))}, and the modalities are {listed(explanation.modalities)}: give modality -> arguments of its figure."
        )
    counts = result.array("part_count").isel(sample=sample)
    had = [name for name in explanation.modalities if int(counts.sel(modality=name))]
    amounts = [np.abs(changes_of(explanation, name, sample, output).values) for name in had]
    largest = max((float(np.nanmax(own, initial=0.0)) for own in amounts), default=0.0) or 1.0
    panels = [
        _parts(explanation, name, sample, output, top, largest, settings.get(name, {}))
        if name in had
        else _absent(name)
        for name in explanation.modalities
    ]
    above = _waterfall(explanation, sample, output, across=sum(not one.across for one in panels) % 2 == 0)
    with mpl.rc_context(LOOK):
        figure = _page([*above, *panels], width, largest, output is not None, change_words(explanation, output))
        if name := _name(explanation, sample):
            figure.suptitle(
                f"Sample {sample}: patient {wrapped(name, 80, most=2)}", x=0.012, ha="left", fontsize=11, weight="bold"
            )
        return figure


def _name(explanation: Explanation, sample: int) -> str | None:
    """What the patient is called, where the characteristics say it: rows that are numbered only have no names."""
    index = explanation.characteristics.index
    return None if isinstance(index, pd.RangeIndex) or not len(index) else str(index[sample])


def _waterfall(explanation: Explanation, sample: int, output: str | None, *, across: bool) -> list[Panel]:
    """The waterfall, where there are terms that add up."""
    found = terms_of(explanation, sample, drawn_output(explanation, sample, output))
    known = 0 if found is None else sum(not np.isnan(term.value) for term in found[0])
    if not known:
        return []
    draw = partial(waterfall, explanation, sample, output=output, top=TERMS)
    return [Panel(draw=draw, height=1.5 + 0.27 * (min(known, TERMS + 1) + 2), across=across)]


def _parts(
    explanation: Explanation,
    name: str,
    sample: int,
    output: str | None,
    top: int,
    largest: float,
    more: Mapping[str, Any],
) -> Panel:
    """The figure that shows the parts of a modality best."""
    changes = changes_of(explanation, name, sample, output)
    names = [str(part) for part in changes.part.values] if "part" in changes.coords else []
    given = {"modality": name, "sample": sample, "output": output, "largest": largest, "colour_bar": False, **more}
    if blocks_of(names):
        return Panel(draw=partial(volume, explanation, **given), height=3.9)
    if windows_of(names) or (names and explanation.provenance["modalities"][name].startswith("Series")):
        lanes = channel_count(explanation, name, sample)
        return Panel(draw=partial(series, explanation, **given), height=1.1 + 0.6 * lanes, across=True)
    if patches(names):
        return Panel(draw=partial(parts, explanation, **{"beside": True, **given}), height=2.9)
    if not names:
        return Panel(
            draw=partial(parts, explanation, **given),
            height=0.7 + 0.25 * lines_of([str(word) for word in changes.word.values]),
        )
    return Panel(draw=partial(parts, explanation, **{"top": top, **given}), height=1.0 + 0.24 * min(len(names), top))


def _absent(name: str) -> Panel:
    """A modality that the sample does not have."""

    def say(ax: Axes) -> Axes:
        ax.set_axis_off()
        ax.text(0, 0.9, "this sample does not have it", va="top", color=GREY, transform=ax.transAxes)
        titled(ax, name)
        return ax

    return Panel(draw=say, height=0.6, across=True)


def _page(panels: list[Panel], width: float, largest: float, signed: bool, words: str) -> Figure:
    """The panels two by two, those that go across in rows of their own, and the scale at the foot."""
    rows = _rows(panels)
    heights = [max(panel.height for panel in row) for row in rows]
    figure = Figure(
        figsize=(width, sum(heights) + FOOT),
        layout=ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1, hspace=0.03, wspace=0.05),
    )
    grid = figure.add_gridspec(len(rows) + 1, 2, height_ratios=[*heights, FOOT])
    for place, row in enumerate(rows):
        for column, panel in enumerate(row):
            panel.draw(ax=figure.add_subplot(grid[place, :] if panel.across else grid[place, column]))
    _scale(figure.add_subplot(grid[-1, :]), largest, signed, words)
    return figure


def _rows(panels: list[Panel]) -> list[list[Panel]]:
    rows: list[list[Panel]] = []
    for panel in panels:
        if rows and not panel.across and len(rows[-1]) == 1 and not rows[-1][0].across:
            rows[-1].append(panel)
        else:
            rows.append([panel])
    return rows


def _scale(ax: Axes, largest: float, signed: bool, words: str) -> None:
    """The one scale of all parts: as it is, and as it is seen over the grey of a picture."""
    norm, colours = scale(np.array([largest]), signed=signed)
    steps = np.linspace(0, 1, 256)[None]
    low, high = float(norm.vmin or 0), float(norm.vmax or 0)
    ax.imshow(colours(steps), extent=(low, high, 0.5, 1.0), aspect="auto")
    ax.add_patch(Rectangle((low, 0), high - low, 0.5, facecolor="#B5B5B5", linewidth=0))
    ax.imshow(see_through(colours, signed=signed)(steps), extent=(low, high, 0.0, 0.5), aspect="auto", zorder=2)
    ax.set_xlim(low, high)
    ax.set_ylim(0, 1)
    ax.set_yticks([0.25, 0.75], ["over a picture", "elsewhere"])
    ax.tick_params(axis="both", labelsize=7, length=2)
    ax.set_xlabel(sentences(f"one scale for all parts: {words}", 110))
    ax.spines[:].set_visible(True)
