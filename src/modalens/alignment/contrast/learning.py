"""Training a dual encoder on records, with or without remedies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from modalens.alignment.contrast.losses import contrastive, global_scores, pair_scores
from modalens.alignment.contrast.network import DualEncoder
from modalens.alignment.contrast.remedies import Batch, Findings, Remedy, pixels_of
from modalens.alignment.records import Record
from modalens.errors import InputError
from modalens.evaluation.progress import Bar

FINDINGS = 0.8
"""How often the sentence of a picture that shows something is one that speaks of it: most sentences of reports deny, and hold
little from which regions could be learned."""


def learn(
    model: DualEncoder,
    records: Sequence[Record],
    *,
    remedies: Sequence[Remedy] = (),
    steps: int = 600,
    batch: int = 32,
    rate: float = 2e-3,
    seed: int = 0,
    progress: bool | None = None,
) -> DualEncoder:
    """Train a model in place, and give it back in evaluation mode.

    Every step takes `batch` pictures and of each one sentence. The loss is the local and the global contrastive one, and what
    the remedies add. AdamW with a one-cycle rate. The same seed gives the same weights; torch's own random state is left as it
    was. Raises InputError for fewer pictures than a batch, and for pictures of unequal size.
    """
    if steps < 1 or batch < 1:
        raise InputError(f"training takes 1 step or more, of 1 picture or more; steps={steps}, batch={batch} came.")
    generator = np.random.default_rng(np.random.SeedSequence((seed, 13)))
    for remedy in remedies:
        records = remedy.examples(records)
    pictures = _Pictures(records)
    if len(pictures.sentences) < batch:
        raise InputError(
            f"{len(pictures.sentences)} pictures are fewer than a batch of {batch}: give more records, or a smaller batch=."
        )
    remedies = [remedy.prepared(model, records, generator) for remedy in remedies]
    with (
        torch.random.fork_rng(devices=[]),
        Bar(steps, progress, doing="training the dual encoder", unit="steps") as bar,
    ):
        torch.manual_seed(seed)
        _fit(model, pictures, remedies, steps, batch, rate, generator, bar)
    return model.eval()


def _fit(
    model: DualEncoder,
    pictures: _Pictures,
    remedies: Sequence[Remedy],
    steps: int,
    batch: int,
    rate: float,
    generator: np.random.Generator,
    bar: Bar,
) -> None:
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=steps)
    model.train()
    for _ in range(steps):
        optimiser.zero_grad()
        loss = _loss(model, pictures, remedies, batch, generator)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        bar.advance(1)


class _Pictures:
    """The pictures of records, each once, with its sentences."""

    def __init__(self, records: Sequence[Record]) -> None:
        by_image: dict[object, list[Record]] = {}
        for record in records:
            by_image.setdefault(record.picture, []).append(record)
        self.sentences = list(by_image.values())
        shown: dict[object, set[tuple[tuple[str, ...], str]]] = {}
        for record in records:
            if record.of_finding:
                shown.setdefault(record.report, set()).add((record.labels, record.side))
        self.findings: list[Findings] = [frozenset(shown.get(each[0].report, ())) for each in self.sentences]

    @cached_property
    def pixels(self) -> Tensor:
        return pixels_of([each[0] for each in self.sentences])

    def sentence(self, picture: int, generator: np.random.Generator) -> Record:
        """One sentence of a picture."""
        every = self.sentences[picture]
        speaking = [record for record in every if record.of_finding]
        some = speaking if speaking and generator.random() < FINDINGS else every
        return some[int(generator.integers(len(some)))]


def _loss(
    model: DualEncoder, pictures: _Pictures, remedies: Sequence[Remedy], size: int, generator: np.random.Generator
) -> Tensor:
    chosen = generator.permutation(len(pictures.sentences))[:size]
    records = [pictures.sentence(one, generator) for one in chosen]
    phrases = [_worded(record, remedies, generator) for record in records]
    encoded = model.encode(phrases)
    words, regions = model.sentence(encoded), model.regions(pictures.pixels[chosen])
    same = alike(records, phrases)
    local = contrastive(pair_scores(model, words, regions, encoded.padding), same)
    loss = local + contrastive(global_scores(model, words, regions, encoded.padding), same)
    if remedies:
        batch = Batch(
            records=records,
            phrases=phrases,
            findings=[pictures.findings[one] for one in chosen],
            regions=regions,
            words=words,
            padding=encoded.padding,
            attention=model.attend(words, regions, encoded.padding),
        )
        for remedy in remedies:
            loss = loss + remedy.loss(model, batch, generator)
    return loss


def alike(records: Sequence[Record], phrases: Sequence[str]) -> Tensor:
    """Which pairs say the same (n, n): equal sentences, and those that are equal as the model reads them."""
    pairs = [(record.phrase, phrase) for record, phrase in zip(records, phrases, strict=True)]
    return torch.tensor([[one[0] == other[0] or one[1] == other[1] for other in pairs] for one in pairs])


def _worded(record: Record, remedies: Sequence[Remedy], generator: np.random.Generator) -> str:
    """The sentence of a record as the model reads it, after every remedy in turn."""
    for remedy in remedies:
        record = replace(record, phrase=remedy.worded(record, generator))
    return record.phrase
