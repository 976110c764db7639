"""Training a dual encoder on records, with or without remedies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from modalens.alignment.contrast.losses import contrastive, global_scores, pair_scores
from modalens.alignment.contrast.network import DualEncoder
from modalens.alignment.contrast.remedies import Batch, Remedy
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
    the remedies add. AdamW with a one-cycle rate. Raises InputError for fewer pictures than a batch.
    """
    generator = np.random.default_rng(np.random.SeedSequence((seed, 13)))
    torch.manual_seed(seed)
    for remedy in remedies:
        records = remedy.examples(records)
    remedies = [remedy.prepared(model, records, generator) for remedy in remedies]
    pictures = _Pictures(records)
    if len(pictures.pixels) < batch:
        raise InputError(f"{len(pictures.pixels)} pictures are fewer than a batch of {batch}.")
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=steps)
    model.train()
    with Bar(steps, progress, doing="training the dual encoder", unit="steps") as bar:
        for _ in range(steps):
            optimiser.zero_grad()
            loss = _loss(model, pictures, remedies, batch, generator)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            schedule.step()
            bar.advance(1)
    return model.eval()


class _Pictures:
    """The pictures of records, each once, with its sentences."""

    def __init__(self, records: Sequence[Record]) -> None:
        by_image: dict[object, list[Record]] = {}
        for record in records:
            by_image.setdefault(record.name or id(record.image), []).append(record)
        self.sentences = list(by_image.values())
        self.pixels = torch.from_numpy(np.stack([each[0].pixels() for each in self.sentences]).astype(np.float32))
        self.findings = [
            frozenset((record.labels, record.side) for record in each if record.of_finding) for each in self.sentences
        ]

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
    same = torch.tensor([[one == other for other in phrases] for one in phrases])
    local = contrastive(pair_scores(model, words, regions, encoded.padding), same)
    loss = local + contrastive(global_scores(words, regions, encoded.padding), same)
    if remedies:
        batch = Batch(
            records=records,
            findings=[pictures.findings[one] for one in chosen],
            regions=regions,
            words=words,
            padding=encoded.padding,
            attention=model.attend(words, regions, encoded.padding),
        )
        for remedy in remedies:
            loss = loss + remedy.loss(model, batch, generator)
    return loss


def _worded(record: Record, remedies: Sequence[Remedy], generator: np.random.Generator) -> str:
    phrase = record.phrase
    for remedy in remedies:
        worded = remedy.worded(record, generator)
        phrase = worded if worded != record.phrase else phrase
    return phrase
