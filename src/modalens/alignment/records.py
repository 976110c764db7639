"""A phrase, the image that it speaks of, and where in it: what an audit is made on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from modalens.alignment.images import read_image, size_of
from modalens.alignment.regions import (
    Flip,
    Mask,
    Size,
    Step,
    boxes_after,
    check_inside,
    checked_boxes,
    image_after,
    mask_after,
    painted,
    size_after,
)
from modalens.errors import InputError, choice

Side = Literal["left", "right", "both", ""]
"""The patient's side, as reports name it; the patient's right lung is on the image's left. Empty: none, or not known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """One phrase of one image.

    image: the picture, (height, width) or (channels, height, width), or the path of a file that is read when it is needed.
    phrase: a sentence or part of one. boxes (k, 4): x1, y1, x2, y2 in pixels of the image as it was annotated. masks: drawn
    regions, of the same image. Neither: the phrase speaks of no place, or nobody has annotated it. laterality: the patient's
    side; where it is empty it is read off the boxes (`side`). labels: findings. abnormal: whether the phrase speaks of a
    finding; by default, whether it has a region. image_id, study, patient: what names the picture, the report, the patient;
    the patient is the resampling unit of all intervals. frontal: whether left and right can be told in this view. steps: what
    is done to the image before the model sees it; boxes and masks follow.

    Raises InputError for an empty phrase and for boxes without area or outside the image.

    >>> record = Record(phrase="Opacity in the right lung.", image=np.zeros((64, 64)), boxes=[(5, 10, 25, 30)], patient="a")
    >>> record.truth.sum(), record.side
    (np.int64(400), 'right')
    """

    phrase: str
    image: np.ndarray | Path
    boxes: np.ndarray | Sequence[Sequence[float]] = field(default_factory=lambda: np.zeros((0, 4)))
    masks: tuple[Mask, ...] = ()
    laterality: Side = ""
    labels: tuple[str, ...] = ()
    abnormal: bool | None = None
    image_id: str = ""
    study: str = ""
    patient: str = ""
    frontal: bool = True
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.phrase, str) or not self.phrase.strip():
            raise InputError(f"{self.where}: the phrase is empty: leave the record out, or give its text.")
        choice("laterality", self.laterality, ("left", "right", "both", ""))
        if not isinstance(self.image, np.ndarray | Path):
            raise InputError(
                f"{self.where}: image must be an array or a Path, {type(self.image).__name__} came; of a file write Path(...)."
            )
        if isinstance(self.labels, str):
            raise InputError(f"{self.where}: labels is a list of findings; write labels=({self.labels!r},).")
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "boxes", checked_boxes(self.boxes, self.where))
        if isinstance(self.image, np.ndarray):
            shape = self.image.shape
            if len(shape) not in (2, 3) or (len(shape) == 3 and shape[-1] in (3, 4) and shape[0] not in (1, 3, 4)):
                raise InputError(
                    f"{self.where}: an image is (height, width) or (channels, height, width), {shape} came; where channels are last, give np.moveaxis(image, -1, 0)."
                )
            check_inside(np.asarray(self.boxes), self.original_size, self.where)
            for mask in self.masks:
                self._checked(mask)

    @property
    def where(self) -> str:
        """Which record this is, for messages."""
        said = repr(str(self.phrase)[:60])
        return f"record of image {self.name!r}, phrase {said}" if self.name else f"record {said}"

    @property
    def name(self) -> str:
        """What names the picture; the path of its file where nothing else does."""
        return self.image_id or (str(self.image) if isinstance(self.image, Path) else "")

    @property
    def picture(self) -> str | int:
        """What tells the picture from others: its name, or the array itself where nothing names it."""
        return self.name or id(self.image)

    @property
    def picture_seen(self) -> tuple[str | int, tuple[Step, ...]]:
        """What tells the picture as the model sees it from others: a region of one lies elsewhere after other steps."""
        return self.picture, self.steps

    @property
    def report(self) -> Hashable:
        """What tells the report from others: the study of the patient; the picture where no study is named."""
        return ("study", self.patient, self.study) if self.study else ("picture", self.picture)

    @property
    def subject(self) -> Hashable:
        """What tells the patient from others, the resampling unit: the report or the picture where no patient is named."""
        return ("patient", self.patient) if self.patient else self.report

    @cached_property
    def original_size(self) -> Size:
        """Height and width of the image as it was annotated."""
        if isinstance(self.image, Path):
            return size_of(self.image)
        return self.image.shape[-2], self.image.shape[-1]

    @property
    def size(self) -> Size:
        """Height and width of the image as the model sees it."""
        return size_after(self.original_size, self.steps)

    def pixels(self) -> np.ndarray:
        """The image as the model sees it, (height, width) or (channels, height, width). Raises InputError for a file that
        can't be read, and for NaN.
        """
        image = read_image(self.image) if isinstance(self.image, Path) else self.image
        if not np.isfinite(image).all():
            raise InputError(f"{self.where}: the image holds NaN or infinity.")
        return image_after(image, self.steps)

    @property
    def located(self) -> bool:
        """Whether somebody has annotated where the phrase points."""
        return bool(len(self.boxes) or self.masks)

    @cached_property
    def seen_boxes(self) -> np.ndarray:
        """The boxes (k, 4) on the image as the model sees it; those that were cropped away are left out."""
        boxes = np.asarray(self.boxes)
        check_inside(boxes, self.original_size, self.where)
        seen = boxes_after(boxes, self.original_size, self.steps)
        return seen[(seen[:, 2] > seen[:, 0]) & (seen[:, 3] > seen[:, 1])]

    @cached_property
    def truth(self) -> np.ndarray:
        """The union of boxes and masks, (height, width), on the image as the model sees it."""
        union = painted(self.seen_boxes, self.size)
        for mask in self.seen_masks:
            union = union | mask
        return union

    @property
    def seen_masks(self) -> list[np.ndarray]:
        """The drawn regions, (height, width) each, on the image as the model sees it."""
        return [mask_after(self._checked(mask), self.steps) for mask in self.masks]

    @property
    def of_finding(self) -> bool:
        """Whether the phrase speaks of a finding."""
        return self.located if self.abnormal is None else self.abnormal

    @cached_property
    def side(self) -> Side:
        """The patient's side: as given, else that of the region as annotated: "both" where it reaches over the middle by more
        than a tenth of itself; empty without a region, or where the view is not frontal.
        """
        if self.laterality or not self.located or not self.frontal:
            return self.laterality
        whole = replace(self, steps=()).truth
        if not whole.any():  # boxes smaller than a pixel
            return ""
        right = whole[:, : whole.shape[1] // 2].sum() / whole.sum()  # the patient's right is the image's left
        return "right" if right > 0.9 else "left" if right < 0.1 else "both"

    @property
    def half(self) -> Side:
        """The half of the image as the model sees it in which `side` lies, named as in an image that was not flipped; empty
        where the view is not frontal.
        """
        if not self.frontal:
            return ""
        mirrored: dict[Side, Side] = {"left": "right", "right": "left"}
        return mirrored.get(self.side, self.side) if self.mirrored else self.side

    @property
    def mirrored(self) -> bool:
        """Whether the model sees the image with left and right exchanged."""
        return sum(isinstance(step, Flip) for step in self.steps) % 2 == 1

    def through(self, *steps: Step) -> Record:
        """The record after further steps, such as `Resize(to=224)` and `Crop(height=224, width=224)`."""
        return replace(self, steps=(*self.steps, *steps))

    def _checked(self, mask: Mask) -> np.ndarray:
        shape = mask.shape if isinstance(mask, np.ndarray) else mask.size
        if shape != self.original_size:
            raise InputError(
                f"{self.where}: a mask of {shape} on an image of {self.original_size} (height, width): give the mask of the image as it was annotated."
            )
        return mask.astype(bool) if isinstance(mask, np.ndarray) else mask.painted()
