"""Small records, and models whose maps are known, for the tests of an audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from modalens.alignment import Phantom, Record
from modalens.alignment.laterality import swap_laterality

Maps = list[np.ndarray]
SIZE = (8, 8)
RIGHT, LEFT = (0, 2, 3, 5), (5, 2, 8, 5)
"""Boxes of nine pixels in the patient's right lung, the image's left half, and in the left one."""


def picture(number: int = 0) -> np.ndarray:
    """An image that no other number has."""
    return np.random.default_rng(number).random(SIZE)


def record(phrase: str, box: Sequence[float] | None, *, name: str, number: int = 0, **given: object) -> Record:
    return Record(
        **(
            {"phrase": phrase, "image": picture(number), "boxes": [] if box is None else [box], "labels": ("opacity",)}
            | {"image_id": name, "study": name, "patient": name}
            | given
        )  # type: ignore[arg-type]
    )


def bilateral(patients: int) -> list[Record]:
    """Two records a patient: an opacity in each lung of one image."""
    return [
        record(f"Opacity in the {side} lung.", box, name=f"p{number}", number=number)
        for number in range(patients)
        for side, box in (("right", RIGHT), ("left", LEFT))
    ]


def blind(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
    """Does not read: the image itself."""
    return [image if image.ndim == 2 else image[0] for image in images]


def half(side: str, size: tuple[int, int] = SIZE, low: float = 0.1) -> np.ndarray:
    """A map of the patient's lung, low elsewhere: the right one is the image's left half."""
    columns = np.arange(size[1]) < size[1] / 2
    return np.where(columns if side == "right" else ~columns, 1.0, low) * np.ones(size)


def obedient(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
    """The half that is named."""
    return [half("right" if "right" in phrase.lower() else "left", image.shape[-2:]) for image, phrase in zip(images, phrases, strict=True)]  # fmt: skip


def mirrored(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
    """The half that is not named."""
    return [found[:, ::-1] for found in obedient(images, phrases)]


def oracle(records: Sequence[Record]) -> Callable[[Sequence[np.ndarray], Sequence[str]], Maps]:
    """Shows the region of which a phrase is true on its image, and everything alike where no record says one: the phrase as it
    is, and with left and right exchanged, that of the same labels in the other lung, or else the region flipped.
    """
    known: dict[tuple[bytes, str], np.ndarray] = {}
    for one in records:
        if one.located:
            twins = [other for other in records if other.image_id == one.image_id and other.labels == one.labels and other.side != one.side]  # fmt: skip
            swapped = np.logical_or.reduce([other.truth for other in twins] or [one.truth[:, ::-1]])
            known.setdefault((one.pixels().tobytes(), swap_laterality(one.phrase)), swapped)
    for one in records:
        if one.located:
            known[one.pixels().tobytes(), one.phrase] = one.truth

    def model(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        return [known.get((image.tobytes(), phrase), np.ones(image.shape[-2:])).astype(float) for image, phrase in zip(images, phrases, strict=True)]  # fmt: skip

    return model


def phantom(studies: int = 30, seed: int = 3) -> list[Record]:
    """Phantom records in which no two findings of one image have the same sentence."""
    return Phantom(bilateral=0.6).records(studies, seed=seed)


def exchanged(one: Record) -> Record:
    """The same record with the swapped phrase."""
    return replace(one, phrase=swap_laterality(one.phrase))
