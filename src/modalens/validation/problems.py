"""Problems with a known answer, by name: patients whose latents are known, the labels of a decision function of them, and
what is true of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from modalens.errors import InputError, choice, nearest
from modalens.modalities import Image, Modality, Tabular
from modalens.validation import sources
from modalens.validation.functions import FUNCTIONS, Function
from modalens.validation.latents import Gaussian, Latents
from modalens.validation.truths import ESTIMANDS, Truth, interaction_orders, truth_of

CLINICAL = 10
"""Variables of a clinical modality."""

NAMES = ("image_1", "image_2", "clinical_1", "clinical_2")

TRAIN, TEST = 4_000, 1_000

Pictures = Literal["shapes", "fields", "brain"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Patients:
    """Inputs by modality, labels (n,), and latents by modality, (n, width)."""

    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray
    latents: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Patients:
        """The first so many."""
        return Patients(
            inputs={name: values[:count] for name, values in self.inputs.items()},
            labels=self.labels[:count],
            latents={name: values[:count] for name, values in self.latents.items()},
        )


@dataclass(frozen=True, eq=False)
class Truths(Mapping[str, Truth]):
    """Estimand -> its true shares; each is computed when it is asked for, once."""

    function: Function
    gaussian: Gaussian
    _known: dict[str, Truth] = field(default_factory=dict, repr=False)

    def __getitem__(self, estimand: str) -> Truth:
        if estimand not in ESTIMANDS:
            raise KeyError(f"{estimand!r}{nearest(estimand, ESTIMANDS)}; known are {', '.join(ESTIMANDS)}")
        if estimand not in self._known:
            self._known[estimand] = truth_of(self.function, self.gaussian, estimand)
        return self._known[estimand]

    def __iter__(self) -> Iterator[str]:
        return iter(ESTIMANDS)

    def __len__(self) -> int:
        return len(ESTIMANDS)


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownProblem:
    """A problem whose answer is known. `inputs`, `labels` and `latents` are those of the patients to be explained, who
    are not in `train`; `truth` holds the true shares of the modalities by estimand.
    """

    name: str
    words: str
    kinds: Mapping[str, Modality]
    train: Patients
    test: Patients
    function: Function
    gaussian: Gaussian
    truth: Mapping[str, Truth]
    seed: int

    @property
    def inputs(self) -> Mapping[str, np.ndarray]:
        return self.test.inputs

    @property
    def labels(self) -> np.ndarray:
        return self.test.labels

    @property
    def latents(self) -> Mapping[str, np.ndarray]:
        return self.test.latents

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.kinds)

    def orders(self) -> np.ndarray:
        """The true shares of order 1, 2 and 3 or more."""
        return interaction_orders(self.function, self.gaussian)


def problems() -> dict[str, str]:
    """The problems by name, and what decides their labels.

    Example
    -------
    >>> problems()["F4"]
    'X1 + X2'
    """
    return {name: one.words for name, one in FUNCTIONS.items()}


def problem(
    name: str, seed: int = 0, *, pictures: Pictures = "shapes", train: int = TRAIN, test: int = TEST
) -> KnownProblem:
    """One problem, drawn from this seed: two images of ten latents each, two groups of ten clinical variables, and
    labels that threshold f at its median.

    Parameters
    ----------
    name : one of `problems()`.
    pictures : "shapes" (rendered), "fields" (linear textures), or "brain" (patches of MNI152, whose latents are scores).

    Example
    -------
    >>> found = problem("C4", train=50, test=20)
    >>> found.inputs["image_1"].shape, found.truth["sensitivity"].values.round(2).tolist()
    ((20, 1, 28, 28), [0.4, 0.3, 0.2, 0.1])
    """
    choice("problem", name, FUNCTIONS)
    choice("pictures", pictures, ("shapes", "fields", "brain"))
    function, gaussian = FUNCTIONS[name], _gaussian(name)
    data, flips = np.random.SeedSequence((seed, _number(name))).spawn(2)
    generator = np.random.default_rng(data)
    z = gaussian.draw(train + test, generator)
    images, z = _pictured(pictures, z, seed, generator)
    labels = _labels(function, z, train, np.random.default_rng(flips))
    inputs = dict(zip(NAMES, (*images, *(group.astype(np.float32) for group in z[2:])), strict=True))
    everyone = Patients(inputs=inputs, labels=labels, latents=dict(zip(NAMES, z, strict=True)))
    return KnownProblem(
        name=name,
        words=function.words,
        kinds={one: Image(patch=7) if one.startswith("image") else Tabular() for one in NAMES},
        train=everyone.first(train),
        test=_after(everyone, train),
        function=function,
        gaussian=gaussian,
        truth=_truths(name),
        seed=seed,
    )


@lru_cache(maxsize=len(FUNCTIONS))
def _truths(name: str) -> Truths:
    """Of the function, whatever the seed of the data."""
    return Truths(FUNCTIONS[name], _gaussian(name))


def _number(name: str) -> int:
    return list(FUNCTIONS).index(name)


def _gaussian(name: str) -> Gaussian:
    """Image latents are independent; clinical variable 9 has correlation .5 with 3, 4 and 5 of its group. In C7 the
    second clinical group is free and the first is a noisy copy of the first image's latents.
    """
    widths = (sources.FACTORS, sources.FACTORS, CLINICAL, CLINICAL)
    correlation = np.eye(sum(widths))
    for start in (2 * sources.FACTORS, 2 * sources.FACTORS + CLINICAL):
        for other in (2, 3, 4):
            correlation[start + 8, start + other] = correlation[start + other, start + 8] = 0.5
    if name == "C7":
        start = 2 * sources.FACTORS
        correlation[start : start + CLINICAL, start : start + CLINICAL] = np.eye(CLINICAL)
        copies = COPY * np.eye(CLINICAL)
        correlation[start : start + CLINICAL, : sources.FACTORS] = copies
        correlation[: sources.FACTORS, start : start + CLINICAL] = copies
    return Gaussian(widths=widths, correlation=correlation)


COPY = 0.9
"""Correlation of each latent of C7's copy with the original."""


def _pictured(
    pictures: Pictures, z: Latents, seed: int, generator: np.random.Generator
) -> tuple[list[np.ndarray], Latents]:
    """The two images of every patient, and the latents, which are those of the patches where these are real."""
    if pictures == "brain":
        count = len(z[0])
        patches, scores = sources.brain_patches(2 * count, seed)
        order = generator.permutation(len(patches))[: 2 * count].reshape(2, count)
        return [patches[rows] for rows in order], (scores[order[0]], scores[order[1]], *z[2:])
    if pictures == "fields":
        return [sources.fields(group) for group in z[:2]], z
    return [sources.shapes(group) for group in z[:2]], z


def _labels(function: Function, z: Latents, train: int, generator: np.random.Generator) -> np.ndarray:
    """1 where f is above its median over the training patients; some turned over, where the function says so."""
    f = function.value(z)
    labels = f > np.median(f[:train])
    turned = generator.random(len(f)) < function.flips
    return np.where(turned, ~labels, labels).astype(np.int64)


def _after(patients: Patients, count: int) -> Patients:
    return Patients(
        inputs={name: values[count:] for name, values in patients.inputs.items()},
        labels=patients.labels[count:],
        latents={name: values[count:] for name, values in patients.latents.items()},
    )


def require_problem(found: Any) -> KnownProblem:
    """Refuse what is no problem with a known answer."""
    if not isinstance(found, KnownProblem):
        raise InputError(f"expected a problem, such as ml.validation.problem('C4'), came {type(found).__name__}.")
    return found
