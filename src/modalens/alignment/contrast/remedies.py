"""What repairs a model whose highlights do not follow the text; each is a piece of its own, to be combined at will.

D. J. McInerney et al., "That's the Wrong Lung!", EMNLP 2022, section 5: opt-out, masking, abnormal sentences only, few-shot boxes.
Hard negatives of laterality and the mismatch loss are ours.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from modalens.alignment.attention import Attention, phrase_map
from modalens.alignment.contrast.losses import T3, fitting
from modalens.alignment.contrast.network import MASKED, DualEncoder
from modalens.alignment.laterality import Laterality, mirror, swap_laterality
from modalens.alignment.records import Record
from modalens.alignment.regions import Size
from modalens.errors import InputError

Findings = frozenset[tuple[tuple[str, ...], str]]
"""What the study of a picture shows: labels and the patient's side."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One step's pairs: `records`, their `phrases` as the model read them, their pictures' `regions` (n, cells, features), words
    (n, words, features) with `padding`, and `attention`, each phrase's in its own picture. `findings` holds what each picture's
    study shows, (labels, side).
    """

    records: Sequence[Record]
    phrases: Sequence[str]
    findings: Sequence[Findings]
    regions: Tensor
    words: Tensor
    padding: Tensor
    attention: Attention


class Remedy:
    """Something that changes the examples, the phrases, or the loss of a training; each does nothing unless it says so."""

    def examples(self, records: Sequence[Record]) -> Sequence[Record]:
        """The records that are trained on."""
        return records

    def worded(self, record: Record, generator: np.random.Generator) -> str:
        """The phrase of a record, at one step; the record holds it as the remedies before have left it."""
        return record.phrase

    def prepared(self, model: DualEncoder, records: Sequence[Record], generator: np.random.Generator) -> Remedy:
        """The remedy with what it needs to be ready before the first step."""
        return self

    def loss(self, model: DualEncoder, batch: Batch, generator: np.random.Generator) -> Tensor | float:
        """What is added to the loss of a step."""
        return 0.0


@dataclass(frozen=True, kw_only=True)
class AbnormalOnly(Remedy):
    """Train on sentences that speak of a finding only."""

    def examples(self, records: Sequence[Record]) -> Sequence[Record]:
        kept = [record for record in records if record.of_finding]
        if not kept:
            raise InputError("AbnormalOnly: no record speaks of a finding; give abnormal= to the records.")
        return kept


@dataclass(frozen=True, kw_only=True)
class RandomSentences(Remedy):
    """The sentences are dealt out anew among the pictures: no remedy, but the control that can learn nothing. What a sentence says
    goes with it (labels, abnormal, laterality), boxes and masks stay with the picture.
    """

    seed: int = 0

    def examples(self, records: Sequence[Record]) -> Sequence[Record]:
        order = np.random.default_rng(np.random.SeedSequence((self.seed, 12))).permutation(len(records))
        return [_saying(record, records[other]) for record, other in zip(records, order, strict=True)]


@dataclass(frozen=True, kw_only=True)
class MaskedWords(Remedy):
    """Hide this share of the words at every step, so that no single word can carry a pair. `only` are the words that may be
    hidden, such as those that name findings (published: .3 of all words, .5 of clinical entities).
    """

    share: float = 0.3
    only: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"MaskedWords: share is that of the words that are hidden, 0 to 1; {self.share} came.")

    def worded(self, record: Record, generator: np.random.Generator) -> str:
        words = record.phrase.split()
        gone = np.array([word == MASKED for word in words])
        hidden = generator.random(len(words)) < self.share
        if self.only is not None:
            hidden &= [re.sub(r"\W", "", word).lower() in self.only for word in words]
        if (hidden | gone).all():  # one word is always left
            hidden[generator.choice(np.flatnonzero(~gone))] = False
        return " ".join(MASKED if hide else word for word, hide in zip(words, hidden, strict=True))


def masked_entities(share: float = 0.5, entities: Sequence[str] = ()) -> MaskedWords:
    """Hide this share of the words that name clinical entities."""
    if not entities:
        raise InputError(
            "masked_entities: give the words that name clinical entities, such as the labels of your records."
        )
    return MaskedWords(share=share, only=frozenset(word.lower() for word in entities))


@dataclass(frozen=True, kw_only=True)
class Mismatch(Remedy):
    """Teach the opt-out: a phrase in its own picture should attend to a region, in a picture that does not show what it speaks
    of to none. Binary cross-entropy of the opt-out mass; the model needs an opt-out.
    """

    weight: float = 1.0

    def prepared(self, model: DualEncoder, records: Sequence[Record], generator: np.random.Generator) -> Remedy:
        if model.nowhere is None:
            raise InputError('Mismatch: this model has no opt-out; make it with opt_out="logit".')
        return self

    def loss(self, model: DualEncoder, batch: Batch, generator: np.random.Generator) -> Tensor | float:
        # Only phrases that speak of a finding: what is denied is nowhere to be seen in its own picture either.
        matched = torch.tensor([record.of_finding for record in batch.records])
        others = np.roll(np.arange(len(batch.records)), 1).tolist()
        absent = torch.tensor(
            [not _sides(batch.findings[other], record) for record, other in zip(batch.records, others, strict=True)]
        )
        elsewhere = model.attend(batch.words, batch.regions[others], batch.padding)
        own = phrase_map(batch.attention, batch.padding).opt_out[matched]
        other = phrase_map(elsewhere, batch.padding).opt_out[matched & absent]
        return self.weight * (_cross_entropy(own, 0.0) + _cross_entropy(other, 1.0))


@dataclass(frozen=True, kw_only=True)
class HardNegatives(Remedy):
    """Left for right: a phrase must fit its picture better than the same phrase with the sides swapped. Added is -log sigmoid(T3
    (score - score of the swapped)) of `pairs` phrases a step, drawn from all that have a mirror: where reports seldom name a side,
    every one that does counts. Left out are phrases that deny (`abnormal=False`), and findings of which the picture's report has
    another sentence: the swapped phrase may be true as well.
    """

    weight: float = 1.0
    pairs: int = 32
    language: str | Laterality = "en"
    records: tuple[Record, ...] = field(default=(), repr=False)
    _pixels: Tensor | None = field(default=None, repr=False, compare=False)

    def prepared(self, model: DualEncoder, records: Sequence[Record], generator: np.random.Generator) -> Remedy:
        told = Counter(
            (record.picture, label) for record in records if record.abnormal is not False for label in record.labels
        )
        sided = tuple(
            record
            for record in records
            if record.abnormal is not False  # what is denied on one side may be denied on the other
            and mirror(record.phrase, self.language) is not None
            and all(told[record.picture, label] <= 1 for label in record.labels)
        )
        if not sided:
            raise InputError(
                "HardNegatives: no phrase of the training records can be swapped: none names one side, left or right, of a finding that its report names once."
            )
        return replace(self, records=sided, _pixels=pixels_of(sided))

    def loss(self, model: DualEncoder, batch: Batch, generator: np.random.Generator) -> Tensor | float:
        if self._pixels is None:
            raise InputError(
                "HardNegatives: `prepared` finds the phrases with a mirror; call it before the first loss."
            )
        chosen = generator.permutation(len(self.records))[: self.pairs]
        phrases = [self.records[place].phrase for place in chosen]
        swapped = [swap_laterality(phrase, self.language) for phrase in phrases]
        regions = model.regions(self._pixels[chosen])
        true, false = (_fit(model, regions, said) for said in (phrases, swapped))
        return self.weight * F.softplus(T3 * (false - true)).mean()


@dataclass(frozen=True, kw_only=True)
class FewBoxes(Remedy):
    """A few phrases whose boxes somebody has drawn: - log of the attention that falls into their union, of all of them at every
    step. `records` are the annotated ones; without them, `shots` of the training records are taken (published: 30).
    """

    shots: int = 30
    weight: float = 1.0
    records: Sequence[Record] | None = None
    _pixels: Tensor | None = field(default=None, repr=False, compare=False)
    _inside: Tensor | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.shots < 1:
            raise InputError(f"FewBoxes: shots is the number of annotated records, 1 or more; {self.shots} came.")

    def prepared(self, model: DualEncoder, records: Sequence[Record], generator: np.random.Generator) -> Remedy:
        given = records if self.records is None else self.records
        located = [record for record in given if record.located and record.truth.any()]  # it may have been cropped away
        needed = self.shots if self.records is None else 1
        if len(located) < needed:
            raise InputError(f"FewBoxes: {needed} records with a region are needed; {len(located)} have one.")
        if self.records is None:
            located = [located[place] for place in generator.permutation(len(located))[: self.shots]]
        grid = cast(Size, model.regions.grid)
        inside = torch.from_numpy(np.stack([cells_inside(record, grid) for record in located]).astype(np.float32))
        return replace(self, records=located, _pixels=pixels_of(located), _inside=inside.flatten(1))

    def loss(self, model: DualEncoder, batch: Batch, generator: np.random.Generator) -> Tensor | float:
        if self._pixels is None or self._inside is None or self.records is None:
            raise InputError(
                "FewBoxes: `prepared` draws the boxes onto the model's regions; call it before the first loss."
            )
        found = model(self._pixels, [record.phrase for record in self.records])
        # Attention that opted out is not inside either.
        return self.weight * -(found.map * self._inside).sum(-1).clamp(min=1e-6).log().mean()


def cells_inside(record: Record, grid: Size) -> np.ndarray:
    """The share of every cell of a grid, (rows, columns), that a record's region covers."""
    height, width = record.size
    rows, columns = grid
    return _shares(rows, height) @ record.truth @ _shares(columns, width).T


def pixels_of(records: Sequence[Record]) -> Tensor:
    """The pictures of records (n, ...), as the model sees them. Raises InputError where they are of unequal size."""
    pictures = [record.pixels() for record in records]
    for record, picture in zip(records, pictures, strict=True):
        if picture.shape != pictures[0].shape:
            raise InputError(
                f"{record.where}: its image has the shape {picture.shape}, that of {records[0].where} {pictures[0].shape}: "
                "bring all to one size, such as record.through(*letterbox(record.original_size, (64, 64)))."
            )
    return torch.from_numpy(np.stack(pictures).astype(np.float32))


def _shares(cells: int, pixels: int) -> np.ndarray:
    """How much of each of so many equal cells each pixel of a line fills, (cells, pixels)."""
    edges = np.linspace(0, pixels, cells + 1)
    start = np.arange(pixels)
    shared = np.minimum(edges[1:, None], start + 1) - np.maximum(edges[:-1, None], start)
    return np.clip(shared, 0, None) * cells / pixels


def _fit(model: DualEncoder, regions: Tensor, phrases: Sequence[str]) -> Tensor:
    """How well each phrase fits its picture, (n)."""
    encoded = model.encode(phrases)
    words = model.sentence(encoded)
    return fitting(words, model.attend(words, regions, encoded.padding), regions, encoded.padding)


def _saying(record: Record, other: Record) -> Record:
    """A record with another's sentence, and what that says."""
    return replace(
        record, phrase=other.phrase, labels=other.labels, abnormal=other.of_finding, laterality=other.laterality
    )


def _sides(found: Findings, record: Record) -> set[str]:
    """The sides on which a picture shows something that a record's phrase speaks of; empty where it shows nothing of it."""
    sides = {side for labels, side in found if labels == record.labels or set(labels) & set(record.labels)}
    return sides | {"left", "right"} if "both" in sides else sides


def _cross_entropy(mass: Tensor, wanted: float) -> Tensor | float:
    return F.binary_cross_entropy(mass.clamp(1e-6, 1 - 1e-6), torch.full_like(mass, wanted)) if len(mass) else 0.0
