"""The honest maps of one sample: how much each part changes the output, and, for a named output, in which direction.

Two pictures and no third: amounts (the sum over outputs of |p0 - p_l|, which is what the measure counts) from white
    to dark, and signed changes p0 - p_l of one output around white.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from modalens.errors import InputError, listed, nearest
from modalens.explanation import Explanation
from modalens.plots.style import (
    PART_AMOUNTS,
    SIGNED,
    aside,
    axes_of,
    drawn,
    ink_on,
    light_grid,
    name_rows,
    others,
    plain,
    sentences,
    titled,
)
from modalens.reading import output_words, patches, require, space_words

OPAQUE = 0.6
"""How much the strongest colour covers the image beneath, which is seen through it; a patch that changes nothing leaves it
as it is.
"""

BESIDE = 0.05
"""Between the image as it is and the coloured one, as a share of its width."""

MONOSPACED = FontProperties(family="DejaVu Sans Mono")

LINE = 52
"""Characters in a line of coloured words."""


@drawn
def parts(
    explanation: Explanation,
    modality: str,
    sample: int = 0,
    *,
    output: str | None = None,
    top: int = 15,
    largest: float | None = None,
    colour_bar: bool = True,
    beside: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """How much each part of one sample changes the output: patches over the image, coloured words, or bars. (`volume`
    and `series` show blocks and windows where they lie.)

    Without `output`, amounts summed over all outputs; with it, signed: red parts raise this output, blue ones lower
    it. Bars are cut after the `top` largest. The image lies beneath where the explanation still has its inputs.
    `largest` is the change of the strongest colour, this modality's own unless given: the same for all modalities of a
    patient makes them comparable (`patient`). `colour_bar=False` leaves the scale away. `beside=True` draws the image once
    more as it is, on the left, in its colours where it has three channels.

    Raises InputError where Occlusion, the modality, the sample or the output is missing, or the sample has no such
    modality.
    """
    changes = changes_of(explanation, modality, sample, output)
    values = np.asarray(changes.values, dtype=float)
    norm, colours = scale(values if largest is None else np.array([largest]), signed=output is not None)
    label = change_words(explanation, output)
    where = patches(changes.part.values) if "part" in changes.coords else None
    if where is not None:
        ax = axes_of(ax, width=8.0 if beside else 4.4, height=3.8)
        sizes = (1 + max(place[1] for place in where), 1 + max(place[3] for place in where))
        channels = _channels(explanation.inputs.get(modality), sample, sizes)
        picture = None if channels is None else _grey(channels)
        colours = colours if picture is None else see_through(colours, signed=output is not None)
        seen = _coloured(channels) if beside and channels is not None else None
        _patch_map(ax, values, where, picture, norm, colours, seen=seen)
        if colour_bar:
            add_colour_bar(ax, norm, colours, label)
    elif "part" not in changes.coords:
        words = [str(word) for word in changes.word.values]
        ax = axes_of(ax, width=6.4, height=1.4 + 0.29 * lines_of(words))
        _coloured_words(ax, values, words, norm, colours)
        if colour_bar:
            add_colour_bar(ax, norm, colours, label, horizontal=True)
    else:
        order = np.argsort(-abs(values), kind="stable")
        in_order = _ordered(changes.part.values)
        kept = np.sort(order[:top]) if in_order else order[: max(1, min(top, int((values != 0).sum())))]
        rest = np.setdiff1d(order, kept)
        ax = axes_of(ax, width=5.2, height=1.15 + 0.24 * len(kept))
        if rest.size and values.any():
            label += f"\n{others(rest.size)}: {f'at most {abs(values[rest]).max():.2g} each' if values[rest].any() else 'no change'}"
        _bars(ax, values[kept], [str(name) for name in changes.part.values[kept]], colours(norm(values[kept])), label)
        if largest is not None:
            ax.set_xlim(-1.04 * largest if output is not None else 0, 1.04 * largest)
        if not values.any():
            aside(ax, "no part changes the output")
    titled(ax, f"{modality}, sample {sample}")
    return ax


def scale(values: np.ndarray, *, signed: bool) -> tuple[Normalize, Colormap]:
    """From 0 to the largest amount, or the same distance to both sides of 0."""
    largest = max(float(np.nanmax(abs(values), initial=0)), float(np.finfo(float).tiny))
    return (
        (Normalize(-largest, largest), mpl.colormaps[SIGNED])
        if signed
        else (Normalize(0, largest), mpl.colormaps[PART_AMOUNTS])
    )


def see_through(colours: Colormap, *, signed: bool) -> Colormap:
    """The colour map for a layer over an image: the less a patch changes, the less it covers."""
    place = np.linspace(0, 1, 256)
    table = colours(place)
    table[:, 3] = OPAQUE * np.sqrt(abs(2 * place - 1) if signed else place)
    return ListedColormap(table)


def change_words(explanation: Explanation, output: str | None) -> str:
    """What the scale of the maps says: amounts of all outputs, or the signed change of one."""
    if output is not None:
        return f"change of the {output_words(explanation, output)}\n(red: this part raises it, blue: it lowers it)"
    summed = "" if len(explanation.provenance["outputs"]) == 1 else ", summed over outputs"
    return f"change of the {space_words(explanation)}{summed}"


def changes_of(explanation: Explanation, modality: str, sample: int, output: str | None) -> xr.DataArray:
    """One sample's changes by part: summed amounts, or signed for one output; without the parts that it does not
    have.
    """
    result = require(explanation, "occlusion")
    if modality not in result.parts:
        raise InputError(
            f"{modality!r} is no modality of the explanation{nearest(modality, result.parts)}: give one of {listed(result.parts)}."
        )
    changes = result.parts[modality]
    if not 0 <= sample < changes.sizes["sample"]:
        raise InputError(
            f"sample={sample} is not there: the explanation has {changes.sizes['sample']}, numbered from 0."
        )
    names = [str(name) for name in changes.output.values]
    if output is not None and output not in names:
        raise InputError(
            f"output={output!r} is no output of the explanation, which has {listed(names[:12])}{nearest(output, names)}."
        )
    count = int(result.part_count.sel(modality=modality).isel(sample=sample))
    own = changes.isel(sample=sample, part=slice(count))
    if not count:
        raise InputError(f"sample {sample} has no {modality!r}, so it has no parts; give one that has it.")
    if "part" not in changes.coords or changes.part.dtype.kind in "iuf":
        text = explanation.provenance["modalities"][modality].startswith("Text")
        own = own.drop_vars("part", errors="ignore") if text else own.assign_coords(part=own.word.values)
    return abs(own).sum("output") if output is None else own.sel(output=output)


def _ordered(names: Any) -> bool:
    """Whether parts have an order that a reader expects: runs in time or along a vector."""
    return all(str(name).startswith(("steps ", "entries ")) for name in names)


# Images ---------------------------------------------------------------------------------------------------------------------------


def grey(samples: Any, sample: int, sizes: tuple[int, ...]) -> np.ndarray | None:
    """A sample in grey, 0 to 1, of these sizes along its spatial axes; None where it is not there, or has others."""
    channels = _channels(samples, sample, sizes)
    return None if channels is None else _grey(channels)


def _grey(channels: np.ndarray) -> np.ndarray:
    return _stretched(channels.mean(axis=-1))


def _coloured(channels: np.ndarray) -> np.ndarray:
    """In its colours, (..., 3), where there are three channels: in skin or a slide, colour is what is looked for."""
    return _stretched(channels if channels.shape[-1] == 3 else np.repeat(channels.mean(axis=-1, keepdims=True), 3, -1))


def _channels(samples: Any, sample: int, sizes: tuple[int, ...]) -> np.ndarray | None:
    """A sample as it is, its channels last."""
    samples = next(iter(samples.values())) if isinstance(samples, Mapping) else samples
    if samples is None or samples[sample] is None:
        return None
    image = samples[sample]
    values = np.asarray(image.detach().cpu().float() if hasattr(image, "detach") else image, dtype=float)
    if values.shape == sizes:
        return values[..., None]
    ends = (0, values.ndim - 1) if values.ndim == len(sizes) + 1 else ()
    channel = next((axis for axis in ends if tuple(np.delete(values.shape, axis)) == sizes), None)
    return None if channel is None else np.moveaxis(values, channel, -1)


def _stretched(values: np.ndarray) -> np.ndarray:
    """From the darkest to the brightest; all in the middle where there is no difference."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.full_like(values, 0.5)


def _patch_map(
    ax: Axes,
    values: np.ndarray,
    where: list[tuple[int, int, int, int]],
    picture: np.ndarray | None,
    norm: Normalize,
    colours: Colormap,
    *,
    seen: np.ndarray | None,
) -> None:
    height, width = 1 + max(place[1] for place in where), 1 + max(place[3] for place in where)
    grid = np.full((height, width), np.nan)
    for value, (top, bottom, left, right) in zip(values, where, strict=True):
        grid[top : bottom + 1, left : right + 1] = value
    if picture is not None:
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.imshow(grid, cmap=colours, norm=norm)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)
    if seen is not None:
        edge = -0.5 - BESIDE * width
        ax.imshow(seen, extent=(edge - width, edge, height - 0.5, -0.5))
        ax.set_xlim(edge - width, width - 0.5)
        ax.spines[:].set_visible(False)


# Words ------------------------------------------------------------------------------------------------------------------------------


def _lines(words: list[str]) -> list[tuple[float, int]]:
    """Where each word begins: its column, in characters, and its line."""
    places: list[tuple[float, int]] = []
    column, line = 0.0, 0
    for word in words:
        if column and column + len(word) > LINE:
            column, line = 0.0, line + 1
        places.append((column, line))
        column += len(word) + 1.3
    return places


def lines_of(words: list[str]) -> int:
    """How many lines the words take."""
    return 1 + _lines(words)[-1][1]


def _coloured_words(ax: Axes, values: np.ndarray, words: list[str], norm: Normalize, colours: Colormap) -> None:
    """Words as outlines in data units, so that they keep their boxes at every size: one unit is the width of a
    character.
    """
    places = _lines(words)
    for word, value, (column, line) in zip(words, values, places, strict=True):
        colour = colours(norm(value))
        box = Rectangle(
            (column, 2.4 * line - 1.5),
            len(word) + 0.8,
            2.1,
            facecolor=colour,
            edgecolor="#BBBBBB",
            linewidth=0.4,
            label=plain(word),
        )
        shape = TextPath((0, 0), plain(word), size=1 / _letter(), prop=MONOSPACED).transformed(
            Affine2D().scale(1, -1).translate(column + 0.4, 2.4 * line)
        )
        ax.add_patch(box)
        # The limits are set below; taking them from all outlines would be slow.
        ax.add_artist(PathPatch(shape, facecolor=ink_on(colour), linewidth=0))
    ax.set_xlim(-0.1, max(LINE, *(column + len(word) for word, (column, _) in zip(words, places, strict=True))) + 1)
    ax.set_ylim(2.4 * places[-1][1] + 0.8, -1.7)
    ax.set_aspect("equal", adjustable="box", anchor="NW")
    ax.set_axis_off()


@cache
def _letter() -> float:
    """The width of a character of size 1."""
    return float(TextPath((0, 0), "m" * 100, size=1, prop=MONOSPACED).get_extents().width) / 100


# Bars, and the scale beside all -------------------------------------------------------------------------------------------------------


def _bars(ax: Axes, values: np.ndarray, names: list[str], colours: Any, label: str) -> None:
    ax.barh(
        np.arange(len(values)),
        values,
        height=min(0.74, 0.3 + 0.14 * len(values)),
        color=colours,
        edgecolor="#555555",
        linewidth=0.5,
    )
    name_rows(ax, names, width=34)
    if (values < 0).any():
        ax.axvline(0, color="#333333", linewidth=0.7)
    else:
        ax.set_xlim(left=0)
    ax.set_xlabel(sentences(label, 60))
    light_grid(ax)


def add_colour_bar(ax: Axes, norm: Normalize, colours: Colormap, label: str, *, horizontal: bool = False) -> None:
    """The scale of a map beside it, or below."""
    figure = ax.get_figure()
    assert figure is not None
    where: dict[str, Any] = (
        {"orientation": "horizontal", "location": "bottom", "shrink": 0.5, "aspect": 40, "pad": 0.02}
        if horizontal
        else {"shrink": 0.9, "aspect": 25, "pad": 0.03}
    )
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=ax, **where)
    bar.set_label(sentences(label, 60), fontsize=7.5)
    bar.ax.tick_params(labelsize=7, length=2)
    bar.outline.set_linewidth(0.5)
    bar.ax.set_facecolor(
        "#B5B5B5" if isinstance(colours, ListedColormap) else "white"
    )  # what lies beneath an image's layer is grey
