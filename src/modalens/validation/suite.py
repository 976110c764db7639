"""The gradient paper's platform: two images of ten latents each and two groups of clinical variables, whose labels
threshold a decision function at its median.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from modalens.errors import InputError, choice
from modalens.modalities import Image, Tabular
from modalens.validation import sources
from modalens.validation.functions import FUNCTIONS, Function
from modalens.validation.known import KnownProblem, Patients, Schedule, Truths, truths
from modalens.validation.latents import Gaussian, Latents

DRAWN = {"fields": sources.fields, "shapes": sources.shapes}
"""Pictures that are made from latents, by name."""

NAMES = ("image_1", "image_2", "clinical_1", "clinical_2")

CLINICAL = 10
"""Variables of a clinical modality."""

TRAIN, TEST = 4_000, 1_000

COPY = 0.9
"""Correlation of each latent of C7's copy with the original."""


def thresholded(
    name: str,
    seed: int,
    *,
    pictures: str | Path = "fields",
    clinical: int = CLINICAL,
    flips: float | None = None,
    train: int = TRAIN,
    test: int = TEST,
) -> KnownProblem:
    """One of F0 to F7 and C1 to C8."""
    if not str(pictures).endswith(".npz"):
        choice("pictures", pictures, (*DRAWN, "brain"))
    function, gaussian = FUNCTIONS[name], correlated(name, clinical)
    data, turned = np.random.SeedSequence((seed, list(FUNCTIONS).index(name))).spawn(2)
    generator = np.random.default_rng(data)
    z = gaussian.draw(train + test, generator)
    images, z = _pictured(pictures, z, seed, generator)
    labels = _labels(function, z, train, np.random.default_rng(turned), function.flips if flips is None else flips)
    inputs = dict(zip(NAMES, (*images, *(group.astype(np.float32) for group in z[2:])), strict=True))
    everyone = Patients(inputs=inputs, labels=labels, latents=dict(zip(NAMES, z, strict=True)))
    return KnownProblem(
        name=name,
        words=function.words,
        kinds={one: Image(patch=7) if one.startswith("image") else Tabular() for one in NAMES},
        train=everyone.rows(slice(train)),
        test=everyone.rows(slice(train, None)),
        function=function,
        source=gaussian,
        truth=_truths(name, clinical),
        seed=seed,
        network="hybrid",
        schedule=Schedule(),
        asked={"output": "logit", "target": 1},
        inseparable=("image_1", "clinical_1") if name == "C7" else (),
    )


@lru_cache(maxsize=4 * len(FUNCTIONS))
def _truths(name: str, clinical: int) -> Truths:
    """Of the function, whatever the seed of the data."""
    return truths(FUNCTIONS[name], correlated(name, clinical))


def correlated(name: str, clinical: int = CLINICAL) -> Gaussian:
    """Image latents are independent; clinical variable 9 has correlation .5 with 3, 4 and 5 of its group. In C7 the
    second clinical group is free and the first is a noisy copy of the first image's latents.
    """
    widths = (sources.FACTORS, sources.FACTORS, clinical, clinical)
    correlation = np.eye(sum(widths))
    for start in (2 * sources.FACTORS, 2 * sources.FACTORS + clinical):
        for other in (2, 3, 4) if clinical > 8 else ():
            correlation[start + 8, start + other] = correlation[start + other, start + 8] = 0.5
    if name == "C7":
        copied = min(clinical, sources.FACTORS)
        start = 2 * sources.FACTORS
        correlation[start : start + clinical, start : start + clinical] = np.eye(clinical)
        place = np.arange(copied)
        correlation[start + place, place] = correlation[place, start + place] = COPY
    return Gaussian(widths=widths, correlation=correlation)


def _pictured(
    pictures: str | Path, z: Latents, seed: int, generator: np.random.Generator
) -> tuple[list[np.ndarray], Latents]:
    """The two images of every patient, and the latents, which are those of the images where these are real."""
    if str(pictures) in DRAWN:
        return [DRAWN[str(pictures)](group) for group in z[:2]], z
    count = len(z[0])
    images, scores = sources.brain_patches(2 * count, seed) if pictures == "brain" else sources.medmnist(pictures)
    if len(images) < 2 * count:
        raise InputError(
            f"{pictures}: expected at least {2 * count:,} images for {count:,} patients of two each, came {len(images):,}; give fewer with train= and test=."
        )
    rows = generator.permutation(len(images))[: 2 * count].reshape(2, count)
    return [images[one] for one in rows], (scores[rows[0]], scores[rows[1]], *z[2:])


def _labels(function: Function, z: Latents, train: int, generator: np.random.Generator, flips: float) -> np.ndarray:
    """1 where f is above its median over the training patients; this share of them turned over."""
    f = function.value(z)
    labels = f > np.median(f[:train])
    turned = generator.random(len(f)) < flips
    return np.where(turned, ~labels, labels).astype(np.int64)
