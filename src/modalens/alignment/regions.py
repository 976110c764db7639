"""Where a phrase points: boxes and masks, painted onto the image's pixels, through every step that the image goes through.

Coordinates are continuous: the pixel in row r and column c covers [c, c + 1) x [r, r + 1). A box is (x1, y1, x2, y2) with
x1 < x2 and y1 < y2, so that a whole image of height H and width W is (0, 0, W, H).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image as Pictures

from modalens.errors import InputError

Size = tuple[int, int]
"""Height and width of an image, in pixels."""


class Step(Protocol):
    """Something that is done to an image, and so to its boxes and masks."""

    def size(self, size: Size) -> Size:
        """The size after the step, of an image of this size."""

    def image(self, image: np.ndarray) -> np.ndarray:
        """The image (..., height, width) after the step."""

    def boxes(self, boxes: np.ndarray, size: Size) -> np.ndarray:
        """Boxes (k, 4) on an image of this size, after the step."""


@dataclass(frozen=True, kw_only=True)
class Resize:
    """To a height and width; one number is the shorter side, with the proportions kept. Bilinear, without aliasing."""

    to: int | Size

    def size(self, size: Size) -> Size:
        if not isinstance(self.to, int):
            return self.to
        height, width = size
        shorter = min(size)
        return round(height * self.to / shorter), round(width * self.to / shorter)

    def image(self, image: np.ndarray) -> np.ndarray:
        height, width = self.size(image.shape[-2:])
        planes = image.reshape(-1, *image.shape[-2:]).astype(np.float32)
        resized = [
            np.asarray(Pictures.fromarray(plane).resize((width, height), Pictures.Resampling.BILINEAR))
            for plane in planes
        ]
        return np.stack(resized).reshape(*image.shape[:-2], height, width)

    def boxes(self, boxes: np.ndarray, size: Size) -> np.ndarray:
        height, width = self.size(size)
        return boxes * np.array([width / size[1], height / size[0]] * 2)


@dataclass(frozen=True, kw_only=True)
class Pad:
    """Rows and columns of one value around the image."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
    value: float = 0.0

    def size(self, size: Size) -> Size:
        return size[0] + self.top + self.bottom, size[1] + self.left + self.right

    def image(self, image: np.ndarray) -> np.ndarray:
        around = [(0, 0)] * (image.ndim - 2) + [(self.top, self.bottom), (self.left, self.right)]
        return np.pad(image, around, constant_values=self.value)

    def boxes(self, boxes: np.ndarray, size: Size) -> np.ndarray:
        return boxes + np.array([self.left, self.top] * 2)


@dataclass(frozen=True, kw_only=True)
class Crop:
    """The rectangle of this size whose upper left corner is at (left, top); in the middle where no corner is given."""

    height: int
    width: int
    top: int | None = None
    left: int | None = None

    def size(self, size: Size) -> Size:
        top, left = self._corner(size)
        if min(top, left) < 0 or top + self.height > size[0] or left + self.width > size[1]:
            raise InputError(
                f"a crop of {self.height} x {self.width} at row {top}, column {left} does not fit into an image of {size[0]} x {size[1]}: resize or pad first."
            )
        return self.height, self.width

    def image(self, image: np.ndarray) -> np.ndarray:
        self.size(image.shape[-2:])
        top, left = self._corner(image.shape[-2:])
        return image[..., top : top + self.height, left : left + self.width]

    def boxes(self, boxes: np.ndarray, size: Size) -> np.ndarray:
        top, left = self._corner(size)
        return boxes - np.array([left, top] * 2)

    def _corner(self, size: Sequence[int]) -> tuple[int, int]:
        top = (size[0] - self.height) // 2 if self.top is None else self.top
        left = (size[1] - self.width) // 2 if self.left is None else self.left
        return top, left


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Left for right."""

    def size(self, size: Size) -> Size:
        return size

    def image(self, image: np.ndarray) -> np.ndarray:
        return image[..., ::-1]

    def boxes(self, boxes: np.ndarray, size: Size) -> np.ndarray:
        mirrored = boxes.copy()
        mirrored[:, [0, 2]] = size[1] - boxes[:, [2, 0]]
        return mirrored


def letterbox(size: Size, to: Size, value: float = 0.0) -> tuple[Step, Step]:
    """The steps that bring an image of `size` to `to` with its proportions kept, padded evenly around."""
    scale = min(to[0] / size[0], to[1] / size[1])
    height, width = min(to[0], round(size[0] * scale)), min(to[1], round(size[1] * scale))
    top, left = (to[0] - height) // 2, (to[1] - width) // 2
    return Resize(to=(height, width)), Pad(
        top=top, left=left, bottom=to[0] - height - top, right=to[1] - width - left, value=value
    )


def size_after(size: Size, steps: Sequence[Step]) -> Size:
    """The size of an image after the steps."""
    for step in steps:
        size = step.size(size)
    return size


def image_after(image: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    """The image (..., height, width) after the steps."""
    for step in steps:
        image = step.image(image)
    return image


def boxes_after(boxes: np.ndarray, size: Size, steps: Sequence[Step]) -> np.ndarray:
    """Boxes (k, 4) after the steps, cut off at the image's edges; one that lies outside has no area left, and what is cropped
    away does not come back with padding.
    """
    boxes = within(boxes, size)
    for step in steps:
        boxes, size = step.boxes(boxes, size), step.size(size)
        boxes = within(boxes, size)
    return boxes


def within(boxes: np.ndarray, size: Size) -> np.ndarray:
    """Boxes (k, 4) cut off at the image's edges."""
    return np.clip(boxes, 0, np.array([size[1], size[0]] * 2))


def mask_after(mask: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    """A mask (height, width) after the steps: a pixel belongs to it where at least half of it is covered."""
    return np.asarray(image_after(np.asarray(mask, dtype=np.float32), steps) >= 0.5)


def painted(boxes: np.ndarray, size: Size) -> np.ndarray:
    """The union of boxes (k, 4) as a mask (height, width): a pixel belongs to it where its centre lies in a box."""
    rows, columns = np.arange(size[0])[:, None] + 0.5, np.arange(size[1]) + 0.5
    mask = np.zeros(size, dtype=bool)
    for x1, y1, x2, y2 in boxes:
        mask |= (rows >= y1) & (rows < y2) & (columns >= x1) & (columns < x2)
    return mask


def around(mask: np.ndarray) -> np.ndarray:
    """The box (4,) around a mask (height, width)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise InputError("an empty mask has no box around it.")
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=float)


def intersection_over_union(one: np.ndarray, other: np.ndarray) -> float:
    """How alike two masks are; NaN where both are empty."""
    union = np.logical_or(one, other).sum()
    return float(np.logical_and(one, other).sum() / union) if union else float("nan")


def checked_boxes(boxes: Any, where: str) -> np.ndarray:
    """Boxes as numbers (k, 4). Raises InputError where one is no (x1, y1, x2, y2) with an area; `where` says whose."""
    try:
        found = np.asarray(boxes, dtype=float).reshape(-1, 4) if len(boxes) else np.zeros((0, 4))
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: boxes must be numbers (x1, y1, x2, y2), one row a box; {boxes!r} came.") from error
    if not np.isfinite(found).all():
        raise InputError(f"{where}: a box holds NaN or infinity: {found.tolist()}; leave out boxes that are not known.")
    for box in found[(found[:, 2] <= found[:, 0]) | (found[:, 3] <= found[:, 1])]:
        raise InputError(
            f"{where}: the box {box.tolist()} has no area as (x1, y1, x2, y2); is it (x, y, width, height)? Then give (x, y, x + width, y + height)."
        )
    return found


def check_inside(boxes: np.ndarray, size: Size, where: str) -> None:
    """Refuse boxes that reach more than one pixel out of the image; annotation tools round by as much."""
    over = (boxes[:, :2] < -1).any(axis=1) | (boxes[:, 2] > size[1] + 1) | (boxes[:, 3] > size[0] + 1)
    for box in boxes[over]:
        raise InputError(
            f"{where}: the box {box.tolist()} lies outside the image of {size[1]} x {size[0]} pixels (width x height). Boxes are (x1, y1, x2, y2) on the image as it was annotated: "
            "was the image resized or cropped after that, or are these (x, y, width, height)? Give the original image, and the resizing as steps."
        )


@dataclass(frozen=True, kw_only=True)
class RunLengths:
    """A mask as COCO stores it: `size`, and the lengths of the runs outside and inside the mask in turn, down the columns; as
    numbers or as COCO's compressed text.
    """

    size: Size
    counts: str | tuple[int, ...]

    def painted(self) -> np.ndarray:
        """The mask (height, width). Raises InputError where the runs do not fill the image."""
        height, width = self.size
        runs = _decompressed(self.counts) if isinstance(self.counts, str) else list(self.counts)
        if sum(runs) != height * width or min(runs, default=0) < 0:
            raise InputError(f"run lengths that add up to {sum(runs)} do not fill a mask of {height} x {width}.")
        inside = np.arange(len(runs)) % 2 == 1
        return np.repeat(inside, runs).reshape(width, height).T


def run_lengths_of(mask: np.ndarray) -> RunLengths:
    """A mask (height, width) as COCO stores it.

    >>> run_lengths_of(np.array([[0, 1], [1, 1]])).counts
    (1, 3)
    """
    height, width = mask.shape
    flat = np.concatenate([[False], np.asarray(mask, dtype=bool).T.ravel()])  # runs begin outside
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return RunLengths(size=(height, width), counts=tuple(np.diff([0, *changes, mask.size]).tolist()))


def _decompressed(text: str) -> list[int]:
    """The run lengths in COCO's text: five bits a character from "0" on, the lowest first, a sixth bit where more follow; from
    the fourth run on, what is written is the difference to the run before the last. pycocotools reads beyond the end of texts
    that are cut off, so it is not asked.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise InputError(f"run lengths hold {character!r}, which COCO's text never does.")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:  # negative
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    if shift:
        raise InputError("run lengths are cut off in the middle of a number.")
    return runs


@dataclass(frozen=True, kw_only=True)
class Polygons:
    """A mask as outlines: `size`, and a polygon ((x, y), ...) of three points or more for each piece. Painted as COCO paints
    them; pieces that overlap are one.
    """

    size: Size
    outlines: tuple[tuple[tuple[float, float], ...], ...]

    def __post_init__(self) -> None:
        for outline in self.outlines:
            if np.ndim(outline) != 2 or np.shape(outline)[1] != 2 or len(outline) < 3:
                raise InputError(f"a polygon has three points (x, y) or more; {str(outline)[:80]} came.")
        if not self.outlines:
            raise InputError("polygons without an outline: leave the mask out.")

    def painted(self) -> np.ndarray:
        """The mask (height, width)."""
        height, width = self.size
        runs = _coco().frPyObjects([np.ravel(outline).tolist() for outline in self.outlines], height, width)
        return np.asarray(_coco().decode(_coco().merge(runs)), dtype=bool)


def _coco() -> Any:
    """COCO's own code for masks."""
    try:
        from pycocotools import mask
    except ImportError as error:
        raise InputError("polygons are painted with pycocotools: pip install 'modalens[audit]'.") from error
    return mask


Mask = np.ndarray | RunLengths | Polygons
"""A region drawn freely: an array (height, width), or what is painted when it is asked for."""
