"""Figures of the reproduction of Gapp et al. (2025): contribution against the number of parts and the replacement, and
three colour maps of one patient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from modalens import plots
from modalens.explanation import Explanation
from modalens.plots.style import (
    AMOUNTS,
    BLUE,
    GREY,
    LOOK,
    PART_AMOUNTS,
    SERIES,
    VERMILION,
    ink_on,
    light_grid,
    name_rows,
    plain,
)
from modalens.reading import patches

AUTHORS, AMOUNT, SIGN = "as published: p_l − p₀", "ours, amounts: Σ |p₀ − p_l|", "ours, signed: p₀ − p_l"
"""The three maps: in the first one the decisive part is the bluest."""


def law_figure(found: xr.DataArray, expected: Callable[[int, int], float]) -> Figure:
    """Measured shares (seed, a_parts, b_parts) as dots on the lines of the law, one line a number of parts of b."""
    with mpl.rc_context(LOOK):
        ax = Figure(figsize=(5.2, 3.3), layout="constrained").subplots()
        finely = np.geomspace(int(found.a_parts.min()), int(found.a_parts.max()), 60)
        for colour, other in zip(SERIES, found.b_parts.values, strict=False):
            ax.plot(finely, [100 * expected(first, int(other)) for first in finely], color=colour, linewidth=1.2)
            for seed in found.seed.values:
                dots = found.sel(seed=seed, b_parts=other)
                ax.plot(dots.a_parts, 100 * dots, "o", color=colour, markersize=4.5, markeredgecolor="white")
            ax.plot([], [], "o-", color=colour, markersize=4.5, label=f"b in {_parts(other)}")
        ax.axhline(50, color=GREY, linewidth=0.8, linestyle=":")
        _parts_axis(ax, found.a_parts.values, "parts that a is cut into")
        ax.set_ylim(0, 100)
        ax.set_ylabel("contribution of a (%)")
        ax.set_title("Two modalities that differ in nothing but their cut\n(lines: √h₁ / (√h₁ + √h₂); dots: measured)")
        ax.legend(loc="lower right")
        light_grid(ax)
    return _figure_of(ax)


def sweep_figure(grids: Mapping[str, xr.DataArray]) -> Figure:
    """For each problem the contribution of its first modality, (seed, first's parts, second's parts): as a heat map with
    the anchor framed, and as lines.
    """
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(9.6, 3.7 * len(grids)), layout="constrained")
        for (map_axes, line_axes), (title, grid) in zip(
            figure.subplots(len(grids), 2, squeeze=False), grids.items(), strict=True
        ):
            _surface(map_axes, grid, title)
            _lines(line_axes, grid)
    return figure


def _surface(ax: Axes, grid: xr.DataArray, title: str) -> None:
    first, second = _names(grid)
    mean = 100 * grid.mean("seed").transpose(f"{second}_parts", f"{first}_parts").values
    spread = 100 * grid.std("seed").transpose(f"{second}_parts", f"{first}_parts").values
    picture = ax.imshow(mean, cmap=AMOUNTS, vmin=0, vmax=100, origin="lower", aspect="auto")
    for (row, column), value in np.ndenumerate(mean):
        said = f"{value:.0f}" + (f"\n± {spread[row, column]:.0f}" if grid.sizes["seed"] > 1 else "")
        ink = ink_on(picture.cmap(picture.norm(value)))
        ax.text(column, row, said, ha="center", va="center", color=ink, fontsize=7.5)
    rows, columns = mean.shape
    for width, height in ((columns, 1), (1, rows)):  # one part of the one or of the other; the anchor is where both are
        ax.add_patch(Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor=VERMILION, linewidth=1.4, zorder=3))
    ax.set_xticks(range(columns), grid[f"{first}_parts"].values.tolist())
    ax.set_yticks(range(rows), grid[f"{second}_parts"].values.tolist())
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(plain(f"parts of “{first}”"))
    ax.set_ylabel(plain(f"parts of “{second}”"))
    ax.set_title(plain(f"{title}: contribution of “{first}” (%)\nframed: one part (the anchor in the corner)"))


def _lines(ax: Axes, grid: xr.DataArray) -> None:
    first, second = _names(grid)
    counts = grid[f"{first}_parts"].values
    for colour, other in zip(SERIES, grid[f"{second}_parts"].values, strict=False):
        own = 100 * grid.sel({f"{second}_parts": other})
        label = f"“{second}” in {_parts(other)}"
        ax.plot(counts, own.mean("seed"), "o-", color=colour, markersize=4, linewidth=1.4, label=plain(label))
        for seed in grid.seed.values:
            ax.plot(counts, own.sel(seed=seed), color=colour, linewidth=0.6, alpha=0.45)
    anchor = float(100 * grid.sel({f"{first}_parts": 1, f"{second}_parts": 1}).mean("seed"))
    ax.axhline(anchor, color=GREY, linewidth=0.9, linestyle=":")
    ax.annotate(
        f"anchor {anchor:.0f} %",
        (counts[-1], anchor),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=7.5,
        color=GREY,
    )
    _parts_axis(ax, counts, f"parts of “{first}”")
    ax.set_ylim(0, 100)
    ax.set_ylabel(plain(f"contribution of “{first}” (%)"))
    ax.set_title("Thick: mean over seeds; thin: each")
    ax.legend(fontsize=7.5)
    light_grid(ax)


def _names(grid: xr.DataArray) -> tuple[str, str]:
    first, second = (str(dim).removesuffix("_parts") for dim in grid.dims if dim != "seed")
    return first, second


def _parts(count: int) -> str:
    return "1 part" if count == 1 else f"{int(count)} parts"


def _parts_axis(ax: Axes, counts: Sequence[int] | np.ndarray, label: str) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks([int(count) for count in counts], [str(int(count)) for count in counts])
    ax.minorticks_off()
    ax.set_xlabel(plain(label))


def replacement_figure(found: Mapping[str, Mapping[str, Sequence[float]]], fitted: Mapping[str, set[str]]) -> Figure:
    """For each problem (with its modality) the share under each replacement, over seeds: those fitted on training
    patients in blue, those of the paper in red.
    """
    with mpl.rc_context(LOOK):
        heights = [len(rows) for rows in found.values()]
        figure = Figure(figsize=(7.4, 0.4 + 0.9 * len(found) + 0.36 * sum(heights)), layout="constrained")
        panels = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
        for ax, (title, rows) in zip(panels, found.items(), strict=True):
            for place, (words, shares) in enumerate(rows.items()):
                colour = BLUE if words in fitted[title] else VERMILION
                ax.plot(100 * np.asarray(shares), [place] * len(shares), "o", color=colour, markersize=4, alpha=0.45)
                ax.plot(100 * np.mean(shares), place, "D", color=colour, markersize=6.5, markeredgecolor="white")
            name_rows(ax, list(rows), width=46)
            ax.set_xlim(0, 100)
            ax.set_title(plain(title))
            light_grid(ax)
        panels[-1].set_xlabel("contribution (%)")
        for words, colour in (("fitted on training patients", BLUE), ("the paper's", VERMILION)):
            panels[-1].plot([], [], "D", color=colour, markersize=6, label=words)
        panels[-1].plot([], [], "o", color=GREY, markersize=4, alpha=0.6, label="single seeds")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def maps_figure(explanation: Explanation, turned: Explanation, modality: str, sample: int, output: str) -> Figure:
    """One patient's three maps: p_l - p_0 as published, the amounts that the measure counts, and p_0 - p_l."""
    words = "word" in explanation["occlusion"].by_modality("parts")[modality].coords
    with mpl.rc_context(LOOK):
        size, grid = ((7.2, 4.4), (3, 1)) if words else ((12.0, 3.7), (1, 3))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(*grid, squeeze=False).ravel()
        shown = ((AUTHORS, turned, output), (AMOUNT, explanation, None), (SIGN, explanation, output))
        for ax, (title, source, named) in zip(panels, shown, strict=True):
            plots.parts(source, modality, sample, output=named, ax=ax)
            ax.set_title(plain(title))
        _relabel(figure, f"change of the probability of “{output}”\nwhen the part is hidden (blue: lower)")
    return figure


def drawn_amounts(explanation: Explanation, modality: str, sample: int) -> np.ndarray:
    """The amounts of a patient's parts, up to a factor, as a reader sees them: the values of the patches, or the place of
    each word's colour in the colour map.
    """
    ax = plots.parts(explanation, modality, sample)
    if ax.images:
        layer = np.asarray(ax.images[-1].get_array())
        names = explanation["occlusion"].by_modality("parts")[modality].part.values
        return np.array([layer[top, left] for top, _, left, _ in patches(names) or ()])
    colours = mpl.colormaps[PART_AMOUNTS](np.arange(256))
    boxes = [box.get_facecolor() for box in ax.patches if isinstance(box, Rectangle)]
    return np.array([abs(colours - np.asarray(box)).sum(axis=1).argmin() for box in boxes], dtype=float)


def _relabel(figure: Figure, words: str) -> None:
    """The first colour bar belongs to the published map, which shows the change when a part is hidden."""
    bar = next(ax for ax in figure.axes if ax.get_label() == "<colorbar>")
    (bar.set_xlabel if bar.get_xlabel() else bar.set_ylabel)(plain(words), fontsize=7.5)


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    return figure
