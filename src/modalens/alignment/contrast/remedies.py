"""What repairs a model whose highlights do not follow the text; each is a piece of its own, to be combined at will.

D. J. McInerney et al., "That's the Wrong Lung!", EMNLP 2022, section 5: opt-out, masking, abnormal sentences only, few-shot boxes.
Hard negatives of laterality and the mismatch loss are ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from modalens.alignment.attention import Attention, phrase_map
from modalens.alignment.contrast.losses import T3, fitting
from modalens.alignment.contrast.network import MASKED, DualEncoder
from modalens.alignment.laterality import mirror
from modalens.alignment.records import Record
from modalens.alignment.regions import Size, painted
from modalens.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One step's pairs: `records`, their pictures' `regions` (n, cells, features), words (n, words, features) with `padding`, and
    `attention`, each phrase's in its own picture. `findings` holds what each picture's study shows, (label, side).
    """

    records: Sequence[Record]
    findings: Sequence[frozenset[tuple[tuple[str, ...], str]]]
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
        """The phrase of a record, at one step."""
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
    """Every picture gets the sentences of another: no remedy, but the control that can learn nothing."""

    seed: int = 0

    def examples(self, records: Sequence[Record]) -> Sequence[Record]:
        order = np.random.default_rng(np.random.SeedSequence((self.seed, 12))).permutation(len(records))
        return [
            replace(record, phrase=records[other].phrase, labels=records[other].labels)
            for record, other in zip(records, order, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class MaskedWords(Remedy):
    """Hide this share of the words at every step, so that no single word can carry a pair. `only` are the words that may be
    hidden, such as those that name findings (published: .3 of all words, .5 of clinical entities).
    """

    share: float = 0.3
    only: frozenset[str] | None = None

    def worded(self, record: Record, generator: np.random.Generator) -> str:
        words = record.phrase.split()
        hidden = generator.random(len(words)) < self.share
        if self.only is not None:
            hidden &= [re.sub(r"\W", "", word).lower() in self.only for word in words]
        if hidden.all():
            hidden[int(generator.integers(len(words)))] = False
        return " ".join(MASKED if hide else word for word, hide in zip(words, hidden, strict=True))


def masked_entities(share: float = 0.5, entities: Sequence[str] = ()) -> MaskedWords:
    """Hide this share of the words that name clinical entities."""
    if not entities:
        raise InputError("masked_entities: give the words that name clinical entities, such as the labels of your records.")
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
        others = np.roll(np.arange(len(batch.records)), 1)
        kinds = [{labels for labels, _ in found} for found in batch.findings]
        absent = torch.tensor([record.labels not in kinds[other] for record, other in zip(batch.records, others, strict=True)])
        elsewhere = model.attend(batch.words, batch.regions[others], batch.padding)
        own = phrase_map(batch.attention, batch.padding).opt_out[matched]
        other = phrase_map(elsewhere, batch.padding).opt_out[matched & absent]
        return self.weight * (_cross_entropy(own, 0.0) + _cross_entropy(other, 1.0))


@dataclass(frozen=True, kw_only=True)
class HardNegatives(Remedy):
    """Left for right: a phrase must fit its picture better than the same phrase with the sides swapped, unless that is true as
    well. - log sigmoid(T3 (score - score of the swapped)).
    """

    weight: float = 1.0

    def loss(self, model: DualEncoder, batch: Batch, generator: np.random.Generator) -> Tensor | float:
        swapped = [None if _both_sides(found, record) else mirror(record.phrase) for record, found in zip(batch.records, batch.findings, strict=True)]
        rows = [place for place, phrase in enumerate(swapped) if phrase is not None]
        if not rows:
            return 0.0
        encoded = model.encode([phrase for phrase in swapped if phrase is not None])
        words, regions = model.sentence(encoded), batch.regions[rows]
        false = fitting(words, model.attend(words, regions, encoded.padding), regions, encoded.padding)
        true = fitting(batch.words[rows], Attention(*(part[rows] for part in batch.attention)), regions, batch.padding[rows])
        return self.weight * F.softplus(T3 * (false - true)).mean()


@dataclass(frozen=True, kw_only=True)
class FewBoxes(Remedy):
    """A few phrases whose boxes somebody has drawn: - log of the attention that falls into their union, of all of them at every
    step. `records` are the annotated ones; without them, `shots` of the training records are taken (published: 30).
    """

    shots: int = 30
    weight: float = 1.0
    records: Sequence[Record] | None = None
    _pixels: Tensor | None = field(default=None, repr=False)
    _inside: Tensor | None = field(default=None, repr=False)

    def prepared(self, model: DualEncoder, records: Sequence[Record], generator: np.random.Generator) -> Remedy:
        located = [record for record in (self.records or records) if record.located]
        if len(located) < 1 or (self.records is None and len(located) < self.shots):
            raise InputError(f"FewBoxes: {self.shots} records with a region are needed; {len(located)} have one.")
        if self.records is None:
            located = [located[place] for place in generator.permutation(len(located))[: self.shots]]
        pixels = torch.from_numpy(np.stack([record.pixels() for record in located]).astype(np.float32))
        inside = torch.tensor(np.stack([cells_inside(record, model.regions.grid) for record in located]))
        return replace(self, records=located, _pixels=pixels, _inside=inside.float().flatten(1))

    def loss(self, model: DualEncoder, batch: Batch, generator: np.random.Generator) -> Tensor | float:
        assert self._pixels is not None and self._inside is not None and self.records is not None
        found = model(self._pixels, [record.phrase for record in self.records])
        # Attention that opted out is not inside either.
        return self.weight * -(found.map * self._inside).sum(-1).clamp(min=1e-6).log().mean()


def cells_inside(record: Record, grid: Size) -> np.ndarray:
    """The share of every cell of a grid, (rows, columns), that a record's region covers."""
    height, width = record.size
    rows, columns = grid
    if height % rows or width % columns:
        scale = np.array([columns / width, rows / height] * 2)
        return painted(record.seen_boxes * scale, grid).astype(float)
    return record.truth.reshape(rows, height // rows, columns, width // columns).mean(axis=(1, 3))


def _both_sides(found: frozenset[tuple[tuple[str, ...], str]], record: Record) -> bool:
    """Whether the picture shows what the phrase speaks of on both sides."""
    return {(record.labels, "left"), (record.labels, "right")} <= found


def _cross_entropy(mass: Tensor, wanted: float) -> Tensor | float:
    return F.binary_cross_entropy(mass.clamp(1e-6, 1 - 1e-6), torch.full_like(mass, wanted)) if len(mass) else 0.0
