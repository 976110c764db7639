"""The picture of an item with a map over it, as a PNG: in the colours of the audit's figure, of which fewer cover less."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image as Pictures
from scipy.ndimage import binary_erosion

from modalens.alignment.regions import Size
from modalens.alignment.showing import on_scale
from modalens.app.desk.items import Shown
from modalens.plots.audit import TRUTH, over_even, strongest
from modalens.plots.parts import scale, see_through

SIDE = 560
"""Pixels of the longer side."""

STEPS = 256
"""Of colour."""

OUTLINE = 2
"""Pixels of the line around a region."""


@lru_cache(maxsize=64)
def png(shown: Shown, *, strength: float = 1.0, boxes: bool = False, side: int = SIDE) -> bytes:
    """A picture with a model's map over it.

    strength: of the overlay, from 0 (the picture alone) to 1. boxes: whether annotated regions are outlined. side: pixels of the
    longer side. What lies at an even share of attention or below, or outside what the model looked at, is left as it is.
    """
    record = shown.record
    size = _fitting(record.size, side)
    colours = _grey(record.pixels(), size)
    if strength > 0:
        overlay = _overlay(shown, size)
        covered = strength * overlay[..., 3:]
        colours = colours + (overlay[..., :3] - colours) * covered
    if boxes and record.located:
        colours[_outline(record.truth, size)] = to_rgb(TRUTH)
    written = io.BytesIO()
    Pictures.fromarray((colours * 255 + 0.5).astype(np.uint8)).save(written, "PNG", compress_level=1)
    return written.getvalue()


def signed(shown: Shown) -> bool:
    """Whether the map has values below 0, which have a colour of their own."""
    return bool(shown.map.values.min() < 0)


def _fitting(size: Size, side: int) -> Size:
    height, width = size
    return max(1, round(height * side / max(size))), max(1, round(width * side / max(size)))


def _grey(image: np.ndarray, size: Size) -> np.ndarray:
    """The picture in grey, (height, width, 3), 0 to 1."""
    grey = (image.mean(axis=0) if image.ndim == 3 else image).astype(np.float32)
    low, high = float(grey.min()), float(grey.max())
    even = Pictures.fromarray((grey - low) / np.float32((high - low) or 1))
    resized = np.asarray(even.resize((size[1], size[0]), Pictures.Resampling.BILINEAR), dtype=np.float32)
    return np.repeat(np.clip(resized, 0, 1)[..., None], 3, axis=2)


def _overlay(shown: Shown, size: Size) -> np.ndarray:
    """Colour and opacity of every pixel, (height, width, 4)."""
    values = on_scale(shown.map, shown.record.size, size).on(size, smooth=shown.smooth)
    of_both_signs = signed(shown)
    values = values if of_both_signs else over_even(values)
    norm, colours = scale(np.array([strongest([values])]), signed=of_both_signs)
    table = see_through(colours, signed=of_both_signs)(np.linspace(0, 1, STEPS)).astype(np.float32)
    place = np.clip(np.asarray(norm(np.nan_to_num(values))) * (STEPS - 1) + 0.5, 0, STEPS - 1).astype(np.int16)
    colour: np.ndarray = table[place]
    colour[np.isnan(values), 3] = 0
    return colour


def _outline(truth: np.ndarray, size: Size) -> np.ndarray:
    """The edge of the annotated regions, on the picture as it is drawn."""
    region = np.asarray(Pictures.fromarray(truth).resize((size[1], size[0]), Pictures.Resampling.NEAREST))
    return region & ~binary_erosion(region, iterations=OUTLINE)
