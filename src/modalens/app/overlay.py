"""A record's picture with a heat map over it, as a PNG: amounts of attention, or the difference of two maps around none."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.records import Record
from modalens.alignment.regions import Size
from modalens.alignment.showing import on_scale
from modalens.plots.audit import TRUTH, over_even, strongest
from modalens.plots.parts import scale, see_through

LONGER = 512
"""Pixels of the longer side, unless another number is asked for."""

OUTLINE = 2
"""Pixels of the line around a region."""

FAINTEST_DIFFERENCE = 1.0
"""Even shares by which two maps differ at which the difference has the strongest colour, if they nowhere differ more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """What is laid over a picture: values (height, width) of its pixels, NaN where the model did not look; the value of the strongest
    colour; and whether values below 0 have a colour of their own.
    """

    values: np.ndarray
    largest: float
    signed: bool


def layers(record: Record, maps: Sequence[HeatMap], *, smooth: bool, longer: int = LONGER) -> list[Layer]:
    """Maps of one picture in one scale of colours; amounts as what they are above an even share."""
    laid = [_laid(record, map, smooth, longer) for map in maps]
    signed = any(np.nanmin(values) < 0 for values in laid)
    laid = laid if signed else [over_even(values) for values in laid]
    largest = strongest(laid)
    return [Layer(values=values, largest=largest, signed=signed) for values in laid]


def difference(record: Record, before: HeatMap, after: HeatMap, *, smooth: bool) -> Layer:
    """Where the second map has more than the first (above 0) and where less: in even shares, or as they are where there are
    values below 0.
    """
    one, other = (_laid(record, map, smooth, LONGER) for map in (before, after))
    if np.nanmin(one) >= 0 and np.nanmin(other) >= 0:
        one, other = (values / (np.nanmean(values) or 1.0) for values in (one, other))
        faintest = FAINTEST_DIFFERENCE
    else:
        faintest = float(np.finfo(float).tiny)
    values = other - one
    largest = max(float(np.nanmax(np.abs(values), initial=0.0)), faintest)
    return Layer(values=values, largest=largest, signed=True)


def png(
    record: Record,
    layer: Layer | None = None,
    *,
    strength: float = 1.0,
    regions: bool = False,
    longer: int = LONGER,
) -> bytes:
    """The picture of a record as the model sees it.

    layer: what is laid over it. strength: of the layer, 0 to 1. regions: whether annotated regions are outlined. longer: pixels of
    the longer side. "R" and "L" stand at the patient's sides where the view is frontal; an unmirrored image has the patient's
    right on its left.
    """
    size = drawn_size(record.size, longer)
    colours = _grey(record.pixels(), size)
    if layer is not None and strength > 0:
        overlay = _coloured(layer, size)
        covered = strength * overlay[..., 3:]
        colours = colours * (1 - covered) + overlay[..., :3] * covered
    if regions and record.truth.any():
        colours[_outline(record.truth, size)] = to_rgb(TRUTH)
    picture = Pictures.fromarray((colours * 255).round().astype(np.uint8))
    if record.frontal:
        _mark(picture, mirrored=record.mirrored)
    written = io.BytesIO()
    picture.save(written, "PNG", compress_level=1)
    return written.getvalue()


def drawn_size(size: Size, longer: int = LONGER) -> Size:
    """Height and width of the drawn picture."""
    height, width = size
    return max(1, round(height * longer / max(size))), max(1, round(width * longer / max(size)))


def _laid(record: Record, map: HeatMap, smooth: bool, longer: int) -> np.ndarray:
    """A map on the pixels that are drawn."""
    size = drawn_size(record.size, longer)
    return on_scale(map, record.size, size).on(size, smooth=smooth)


def _grey(image: np.ndarray, size: Size) -> np.ndarray:
    """The picture in grey, (height, width, 3), 0 to 1."""
    grey = (image.mean(axis=0) if image.ndim == 3 else image).astype(float)
    low, high = float(grey.min()), float(grey.max())
    even = Pictures.fromarray(((grey - low) / ((high - low) or 1)).astype(np.float32))
    resized = np.asarray(even.resize((size[1], size[0]), Pictures.Resampling.BILINEAR), dtype=float)
    return np.repeat(np.clip(resized, 0, 1)[..., None], 3, axis=2)


def _coloured(layer: Layer, size: Size) -> np.ndarray:
    """Colour and opacity of every pixel, (height, width, 4)."""
    norm, colours = scale(np.array([layer.largest]), signed=layer.signed)
    table: np.ndarray = see_through(colours, signed=layer.signed)(norm(np.nan_to_num(layer.values)))
    table[np.isnan(layer.values), 3] = 0
    return table


def _outline(truth: np.ndarray, size: Size) -> np.ndarray:
    """The edge of the annotated regions, on the picture as it is drawn."""
    region = np.asarray(Pictures.fromarray(truth).resize((size[1], size[0]), Pictures.Resampling.NEAREST))
    return region & ~binary_erosion(region, iterations=OUTLINE)


def _mark(picture: Pictures.Image, *, mirrored: bool) -> None:
    """The patient's sides, as on a film."""
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(26)
    on_left, on_right = ("L", "R") if mirrored else ("R", "L")
    for x, said, anchor in ((10, on_left, "la"), (picture.width - 10, on_right, "ra")):
        pen.text((x, 8), said, anchor=anchor, font=font, fill="white", stroke_width=2, stroke_fill="black")
