"""A heat map: what a model highlights for a phrase, on the grid on which it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as Pictures

from modalens.alignment.regions import Size
from modalens.errors import InputError, choice


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatMap:
    """What is highlighted.

    values: (rows, columns), the more the brighter; attention is never below 0, occlusion may be. extent: the box (x1, y1, x2,
    y2), in pixels of the image as the model sees it, that the grid covers; None is the whole image. opt_out: the share of
    attention that went nowhere, 0 to 1; NaN where the model has no such choice. words: the map of each word, (word, rows,
    columns), where there is one.

    >>> HeatMap(values=np.eye(2)).on((4, 4), smooth=False).sum()
    np.float64(8.0)
    """

    values: np.ndarray
    extent: tuple[float, float, float, float] | None = None
    opt_out: float = float("nan")
    words: np.ndarray | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=float)
        if values.ndim != 2 or not values.size:
            raise InputError(f"a heat map has rows and columns; an array of shape {values.shape} came.")
        if not np.isfinite(values).all():
            raise InputError("a heat map holds NaN or infinity.")
        if not np.isnan(self.opt_out) and not -1e-6 <= self.opt_out <= 1 + 1e-6:
            raise InputError(f"opt_out is a share of attention, 0 to 1; {self.opt_out} came.")
        if self.extent is not None and (len(self.extent) != 4 or not np.isfinite(self.extent).all()):
            raise InputError(f"extent is a box (x1, y1, x2, y2) in pixels of the image; {self.extent} came.")
        object.__setattr__(self, "values", values)

    @property
    def constant(self) -> bool:
        """Whether nothing is highlighted more than anything else."""
        spread = float(np.ptp(self.values))
        return spread <= 1e-9 * max(float(np.abs(self.values).max()), 1e-300)

    def on(self, size: Size, *, smooth: bool = True) -> np.ndarray:
        """The map on the pixels of an image, (height, width): bilinear between the centres of cells, or cell by cell. Pixels
        outside the extent are NaN: the model did not look there.
        """
        x1, y1, x2, y2 = self.extent or (0, 0, size[1], size[0])
        left, top, right, bottom = (round(edge) for edge in (x1, y1, x2, y2))
        if min(right, size[1]) <= max(left, 0) or min(bottom, size[0]) <= max(top, 0):
            raise InputError(
                f"the extent {self.extent} of a heat map has no area on an image of {size} (height, width): give (x1, y1, x2, y2) in pixels of the image as the model sees it."
            )
        # A constant stays one to the bit: interpolation's rounding would make a ranking out of nothing.
        grid = (
            np.full((bottom - top, right - left), self.values.flat[0])
            if self.constant
            else resampled(self.values, (bottom - top, right - left), smooth=smooth)
        )
        whole = np.full(size, np.nan)
        inside = slice(max(top, 0), min(bottom, size[0])), slice(max(left, 0), min(right, size[1]))
        whole[inside] = grid[max(-top, 0) :, max(-left, 0) :][: inside[0].stop - inside[0].start, : inside[1].stop - inside[1].start]  # fmt: skip
        return whole


def resampled(values: np.ndarray, size: Size, *, smooth: bool = True) -> np.ndarray:
    """A grid (rows, columns) on another grid, both over the same area."""
    if values.shape == size:
        return np.array(values, dtype=float)
    # 32 bits hold no more than seven digits: the range is used in full, so that small differences keep their order.
    low, high = float(values.min()), float(values.max())
    scale = (high - low) or 1.0
    way = Pictures.Resampling.BILINEAR if smooth else Pictures.Resampling.NEAREST
    picture = Pictures.fromarray(((values - low) / scale).astype(np.float32))
    return np.asarray(picture.resize((size[1], size[0]), way), dtype=float) * scale + low


def as_heat_map(given: Any, where: str) -> HeatMap:
    """A heat map as it came: one of these, or an array (rows, columns). Raises InputError, which names the record."""
    try:
        if isinstance(given, HeatMap):
            return given
        values = given.detach().cpu().numpy() if hasattr(given, "detach") else given
        return HeatMap(values=np.asarray(values, dtype=float))
    except (InputError, TypeError, ValueError) as error:
        raise InputError(f"{where}: {error}") from error


def check_smoothing(name: str) -> bool:
    """Whether maps are drawn bilinear; "cells" draws the cells of the grid as they are."""
    choice("interpolation", name, ("bilinear", "cells"))
    return name == "bilinear"
