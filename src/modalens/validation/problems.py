"""Problems with a known answer, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import signature
from typing import Any

from modalens.errors import InputError, choice
from modalens.validation.functions import FUNCTIONS
from modalens.validation.hdxor import VECTORS, vectors
from modalens.validation.known import KnownProblem
from modalens.validation.suite import thresholded


def problems() -> dict[str, str]:
    """The problems by name, and what decides their labels.

    Example
    -------
    >>> problems()["F4"], problems()["hdxor2-synergy"]
    ('X1 + X2', 'one bit a modality, label 1 where exactly one is set')
    """
    words = {name: one.words for name, one in FUNCTIONS.items()}
    return words | {name: one.words for name, one in VECTORS.items()}


def problem(name: str, seed: int = 0, **options: Any) -> KnownProblem:
    """One problem, drawn from this seed.

    Parameters
    ----------
    name : one of `problems()`. F0 to F7 and C1 to C8 have two images of ten latents each and two groups of clinical
        variables, and labels that threshold f at its median; hdxor and sum have long vectors.
    options : `train`, `test`: patients of each. Of F and C also `pictures`: "fields" (textures whose scores are the
        latents), "shapes" (rendered organs), "brain" (patches of MNI152 from the package nilearn, whose latents are scores on
        principal components) or the path of your own MedMNIST file; `clinical`: the width of the clinical groups; `flips`: the share of labels turned over (.5 leaves nothing to learn).

    Where pictures are real ("brain", or a file), their scores are uncorrelated but not normal, and patches of one brain
    overlap: truths that need more than uncorrelated latents of variance 1 are then near, not exact.

    Returns
    -------
    KnownProblem: `.inputs`, `.labels`, `.latents` of the patients to be explained, `.truth` by estimand, `.orders` of
    interaction, `.train` the patients to learn from.

    Raises
    ------
    InputError : no such problem, an option that it does not have, or a value out of range.

    Example
    -------
    >>> found = problem("C4", train=50, test=20)
    >>> found.inputs["image_1"].shape, found.truth["sensitivity"].values.round(2).tolist()
    ((20, 1, 28, 28), [0.4, 0.3, 0.2, 0.1])
    """
    choice("problem", name, problems())
    maker = thresholded if name in FUNCTIONS else vectors
    _require(name, options, set(signature(maker).parameters) - {"name", "seed"})
    return maker(name, seed, **options)


def _require(name: str, options: Mapping[str, Any], known: Iterable[str]) -> None:
    for option, value in options.items():
        choice(f"option of {name}", option, sorted(known))
        if option in ("train", "test", "clinical") and not (isinstance(value, int) and value >= 1):
            raise InputError(f"{option}={value!r}: give a whole number, at least 1.")
        if option == "flips" and value is not None and not 0 <= value <= 1:
            raise InputError(f"flips={value!r}: give the share of labels that are turned over, from 0 to 1.")
