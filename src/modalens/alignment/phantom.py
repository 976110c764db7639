"""A chest phantom with reports: drawn patients whose findings are known to the pixel, and sentences that name them.

The failures of image-text models can be had at will: findings of one kind in both lungs, so that only the text can choose;
reports in which "left" and "right" are left out; one side more often than the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modalens.alignment.records import Record, Side
from modalens.alignment.regions import around
from modalens.errors import InputError

SIZE = 64
FINDINGS = ("opacity", "nodule", "effusion", "pneumothorax", "cardiomegaly")
SIDED = FINDINGS[:4]
ZONES = ("upper", "middle", "lower")

COUNTS = (0.15, 0.5, 0.35)
"""How many studies have no finding, one, two."""

POSITIVE = {
    "opacity": ("There is an opacity in the {side} {zone} lung.", "{side} {zone} lung opacity.", "Opacity is seen in the {side} {zone} zone."),
    "nodule": ("There is a nodule in the {side} {zone} lung.", "{side} {zone} lung nodule.", "A nodule is seen in the {side} {zone} zone."),
    "effusion": ("There is a {side} pleural effusion.", "{side} effusion.", "A pleural effusion is seen on the {side}."),
    "pneumothorax": ("There is a {side} pneumothorax.", "{side} pneumothorax.", "A pneumothorax is seen on the {side}."),
    "cardiomegaly": ("The heart is enlarged.", "There is cardiomegaly."),
}  # fmt: skip

NEGATIVE = {
    "opacity": ("No opacity.", "There is no opacity in the lung."),
    "nodule": ("No nodule.", "There is no nodule in the lung."),
    "effusion": ("No pleural effusion.", "There is no effusion."),
    "pneumothorax": ("No pneumothorax.", "There is no pneumothorax."),
    "cardiomegaly": ("The heart is normal.", "No cardiomegaly."),
}

SIDE_WORDS = re.compile(r" on the (?:left|right)\b|\b(?:left|right)\b ?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """How studies are drawn.

    bilateral: of the studies with findings, the share in which both lungs hold one of the same kind. right: the share of
    one-sided findings that lie in the patient's right lung. stripped: the share of sentences from which "left" and "right" are
    taken out, as in reports that leave the side to the picture. noise: the standard deviation of the pixels, of 1.

    >>> records = Phantom().records(20, seed=0)
    >>> records[0].image.shape, len({record.study for record in records})
    ((64, 64), 20)
    """

    bilateral: float = 0.3
    right: float = 0.5
    stripped: float = 0.0
    noise: float = 0.03

    def __post_init__(self) -> None:
        for name in ("bilateral", "right", "stripped"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is a share, 0 to 1; {getattr(self, name)} came.")
        if not self.noise >= 0:
            raise InputError(f"noise is a standard deviation; {self.noise} came.")

    def records(self, studies: int, *, seed: int, prefix: str = "patient") -> list[Record]:
        """The sentences of this many studies, one a patient: one for each finding, with the box around what was drawn, and two
        that deny a finding, without a region.
        """
        generator = np.random.default_rng(np.random.SeedSequence((seed, 11)))
        found = []
        for number in range(studies):
            name = f"{prefix}-{seed}-{number}"
            found += [replace(record, image_id=name, study=name, patient=name) for record in self._study(generator)]
        return found

    def _study(self, generator: np.random.Generator) -> list[Record]:
        body = _Body.drawn(generator)
        findings = self._findings(generator)
        image, masks = body.picture(), []
        for finding, side, zone in findings:
            image, mask = body.with_finding(image, finding, side, zone, generator)
            masks.append(mask)
        image = np.clip(image + self.noise * generator.standard_normal(image.shape), 0, 1).astype(np.float32)
        sentences = [
            Record(
                phrase=self._worded(_pick(POSITIVE[finding], generator).format(side=side, zone=zone), generator),
                image=image,
                boxes=around(mask)[None],
                laterality=side,
                labels=(finding,),
                abnormal=True,
            )
            for (finding, side, zone), mask in zip(findings, masks, strict=True)
        ]
        absent = [finding for finding in FINDINGS if finding not in {one for one, _, _ in findings}]
        denied = generator.permutation(len(absent))[:2]
        return sentences + [
            Record(phrase=_pick(NEGATIVE[absent[one]], generator), image=image, labels=(absent[one],), abnormal=False)
            for one in denied
        ]

    def _findings(self, generator: np.random.Generator) -> list[tuple[str, Side, str]]:
        """Kind, side and zone of what a study shows; two findings of one kind on both sides, or different kinds."""
        count = int(generator.choice(3, p=COUNTS))
        zones = [_pick(ZONES, generator) for _ in range(2)]
        if count and generator.random() < self.bilateral:
            kind = _pick(SIDED, generator)
            return [(kind, "right", zones[0]), (kind, "left", zones[1])]
        kinds = generator.permutation(len(FINDINGS))[:count]
        return [
            (FINDINGS[kind], self._side(FINDINGS[kind], generator), zone)
            for kind, zone in zip(kinds, zones, strict=False)
        ]

    def _side(self, finding: str, generator: np.random.Generator) -> Side:
        if finding not in SIDED:
            return ""
        return "right" if generator.random() < self.right else "left"

    def _worded(self, sentence: str, generator: np.random.Generator) -> str:
        kept = SIDE_WORDS.sub("", sentence) if generator.random() < self.stripped else sentence
        return kept[0].upper() + kept[1:]


MIDDLES = {"right": -12.0, "left": 12.0}
"""Where a lung's middle lies across; the patient's right is the picture's left."""

ROWS, COLUMNS = np.mgrid[0:SIZE, 0:SIZE] + 0.5


@dataclass(frozen=True, kw_only=True)
class _Body:
    """One patient: where the chest lies in the picture, and how large it is."""

    x: float
    y: float
    scale: float

    @classmethod
    def drawn(cls, generator: np.random.Generator) -> _Body:
        return cls(
            x=32 + generator.uniform(-2, 2), y=32 + generator.uniform(-2, 2), scale=generator.uniform(0.92, 1.08)
        )

    def ellipse(self, x: float, y: float, rx: float, ry: float) -> np.ndarray:
        """An ellipse as a mask; places are relative to the chest's middle, in its own scale."""
        across = (COLUMNS - self.x - self.scale * x) / (self.scale * rx)
        down = (ROWS - self.y - self.scale * y) / (self.scale * ry)
        return np.asarray(across**2 + down**2 <= 1)

    def lung(self, side: str) -> np.ndarray:
        """One of two lungs that mirror each other, so that a piece of one looks like a piece of the other: but for the heart, only
        the place tells them apart.
        """
        return self.ellipse(MIDDLES[side], -1, 8.5, 19)

    def picture(self) -> np.ndarray:
        """Air black, the body grey, lungs dark, spine and heart bright."""
        image = np.where(self.ellipse(0, 0, 29, 30), 0.55, 0.05)
        image[self.lung("right") | self.lung("left")] = 0.22
        image[self.ellipse(0, 0, 1.8, 27)] = 0.6
        image[self._heart(1.0)] = 0.62
        return image

    def _heart(self, size: float) -> np.ndarray:
        return self.ellipse(1, 8, 6 * size, 7 * size)

    def with_finding(
        self, image: np.ndarray, finding: str, side: str, zone: str, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The picture with a finding drawn into it, and where it is."""
        place = self._place(finding, side, zone, generator)
        shades = {"opacity": 0.26, "nodule": 0.42, "effusion": 0.34, "pneumothorax": -0.18, "cardiomegaly": 0.0}
        if finding == "cardiomegaly":
            return np.where(place, np.maximum(image, 0.62), image), place
        return np.where(place, image + shades[finding] * generator.uniform(0.8, 1.2), image), place

    def _place(self, finding: str, side: str, zone: str, generator: np.random.Generator) -> np.ndarray:
        if finding == "cardiomegaly":
            return self._heart(generator.uniform(1.6, 1.8))
        lung, middle = self.lung(side), MIDDLES[side]
        if finding == "effusion":
            return lung & (self.y + self.scale * generator.uniform(8, 12) < ROWS)
        if finding == "pneumothorax":
            return lung & (self.y - self.scale * generator.uniform(9, 12) > ROWS)
        height = {"upper": -11, "middle": -1, "lower": 9}[zone] + generator.uniform(-2, 2)
        across = middle + generator.uniform(-2, 2)
        if finding == "nodule":
            return lung & self.ellipse(across, height, *[generator.uniform(2.2, 3.0)] * 2)
        return lung & self.ellipse(across, height, generator.uniform(4.5, 6.5), generator.uniform(4, 5.5))


def _pick(these: Sequence[str], generator: np.random.Generator) -> str:
    return these[int(generator.integers(len(these)))]
