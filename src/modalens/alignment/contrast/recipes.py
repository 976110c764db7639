"""How a dual encoder of the phantom is made: the failures of published models, each with its cause, and what repairs them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modalens.alignment.contrast.learning import learn
from modalens.alignment.contrast.network import DualEncoder, Vocabulary, small_dual_encoder
from modalens.alignment.contrast.remedies import (
    AbnormalOnly,
    FewBoxes,
    HardNegatives,
    MaskedWords,
    Mismatch,
    RandomSentences,
    Remedy,
    masked_entities,
)
from modalens.alignment.phantom import FINDINGS, Phantom
from modalens.alignment.records import Record
from modalens.errors import InputError, choice

STUDIES, STEPS = 3000, 700
"""Training studies, and steps of training."""

STRIPPED = 0.95
"""The share of training sentences without "left" and "right" in the second failure."""

VOCABULARY = Vocabulary.of(record.phrase for record in Phantom().records(400, seed=0))
"""All words of the phantom's sentences."""

WORDS = "words"
"""The vocabulary, among the arrays of a file of weights."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """words: what it stands for. phantom: the training studies. network: the arguments of `small_dual_encoder`. remedies: what is
    added to the training. failure: whether its highlights are expected not to follow left and right.
    """

    words: str
    phantom: Phantom = field(default_factory=Phantom)
    network: Mapping[str, Any] = field(default_factory=dict)
    remedies: tuple[Remedy, ...] = ()
    failure: bool = False

    def records(self, studies: int, seed: int) -> list[Record]:
        """The training records; tests draw theirs from other seeds."""
        return self.phantom.records(studies, seed=1000 + seed, prefix="training")


STRIPPED_REPORTS = Phantom(stripped=STRIPPED)
PUBLISHED = {"attention": "published"}

RECIPES: Mapping[str, Recipe] = {
    "published": Recipe(
        words="published attention, no positions", network=PUBLISHED | {"positions": False}, failure=True
    ),
    "published, positions": Recipe(words="published attention, positions", network=PUBLISHED),
    "published, stripped": Recipe(
        words="published attention, positions, reports without sides",
        phantom=STRIPPED_REPORTS,
        network=PUBLISHED,
        failure=True,
    ),
    "published, stripped, boxes": Recipe(
        words="published attention, positions, reports without sides, 30 boxes",
        phantom=STRIPPED_REPORTS,
        network=PUBLISHED,
        remedies=(FewBoxes(),),
        failure=True,
    ),
    "published, stripped, hard negatives": Recipe(
        words="published attention, positions, reports without sides, left/right hard negatives",
        phantom=STRIPPED_REPORTS,
        network=PUBLISHED,
        remedies=(HardNegatives(),),
    ),
    "single": Recipe(words="single softmax, positions"),
    "single, stripped": Recipe(
        words="single softmax, positions, reports without sides", phantom=STRIPPED_REPORTS, failure=True
    ),
    "single, stripped, boxes": Recipe(
        words="single softmax, positions, reports without sides, 30 boxes", phantom=STRIPPED_REPORTS, remedies=(FewBoxes(),), failure=True
    ),
    "repaired": Recipe(
        words="single softmax, positions, reports without sides, hard negatives and 30 boxes",
        phantom=STRIPPED_REPORTS,
        remedies=(HardNegatives(), FewBoxes()),
    ),
    "random sentences": Recipe(
        words="single softmax, trained on other patients' sentences", remedies=(RandomSentences(),), failure=True
    ),
    "masked words": Recipe(words="published attention, positions, 30 % of words masked", network=PUBLISHED, remedies=(MaskedWords(),)),
    "masked entities": Recipe(
        words="published attention, positions, 50 % of findings' names masked",
        network=PUBLISHED,
        remedies=(masked_entities(0.5, FINDINGS),),
    ),
    "abnormal only": Recipe(
        words="published attention, positions, sentences of findings only", network=PUBLISHED, remedies=(AbnormalOnly(),)
    ),
    "opt-out, published": Recipe(words="published attention, an extra region to opt out", network=PUBLISHED | {"opt_out": "vector"}),
    "opt-out, logit": Recipe(words="single softmax, a logit to opt out", network={"opt_out": "logit"}),
    "opt-out, mismatch": Recipe(
        words="single softmax, a logit to opt out, the mismatch loss", network={"opt_out": "logit"}, remedies=(Mismatch(),)
    ),
}  # fmt: skip
"""By name, in the order of the story."""


def trained(
    name: str, seed: int = 0, *, studies: int = STUDIES, steps: int = STEPS, progress: bool | None = None
) -> tuple[DualEncoder, list[Record]]:
    """A model of a recipe, and the records that it was trained on; the same seed gives the same model.

    name: one of `RECIPES`; another raises InputError.
    """
    choice("recipe", name, RECIPES)
    recipe = RECIPES[name]
    records = recipe.records(studies, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = small_dual_encoder(VOCABULARY, **recipe.network)
    learn(model, records, remedies=recipe.remedies, steps=steps, seed=seed, progress=progress)
    return model, records


def keep(model: DualEncoder, path: str | Path) -> Path:
    """Write a trained model's weights and words as plain arrays, for `kept`. Raises InputError where that can't be done."""
    target = Path(path)
    arrays: dict[str, Any] = {name: weights.numpy(force=True) for name, weights in model.state_dict().items()}
    arrays[WORDS] = np.array(VOCABULARY.words)
    try:
        np.savez(target, **arrays)
    except OSError as error:
        raise InputError(f"the weights can't be written to {target}: {error}.") from error
    return target


def kept(name: str, path: str | Path) -> DualEncoder:
    """The model of a recipe with the weights that `keep` wrote, in evaluation mode; nothing in the file is executed.

    Raises InputError for another name than those of `RECIPES`, and for a file that does not hold the weights of this recipe.

    >>> kept("repaired", "weights.npz")  # doctest: +SKIP
    """
    choice("recipe", name, RECIPES)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        vocabulary = Vocabulary(tuple(map(str, arrays.pop(WORDS))))
        model = small_dual_encoder(vocabulary, **RECIPES[name].network)
        model.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        RuntimeError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} does not hold the weights of the recipe {name!r} ({first}); train it again."
        ) from error
    return model.eval()
