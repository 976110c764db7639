"""Train a small model on a study, in seconds and reproducibly, and say how good it is: fused, additive, and each
modality alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from sklearn.metrics import accuracy_score, roc_auc_score
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from modalens.datasets.networks import (
    WIDTH,
    Fused,
    ImageEncoder,
    Late,
    Multimodal,
    SentenceEncoder,
    SeriesEncoder,
    perceptron,
)
from modalens.datasets.study import Cohort, Study
from modalens.errors import InputError, choice, listed, nearest
from modalens.modalities import Image, Modality, Series, Tabular, Text, Vector

Fusion = Literal["fused", "late"]
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-2
BATCH = 64
EPOCHS = 80
PATIENCE = 12
"""Epochs without a better validation loss after which training stops; the best epoch's weights are kept."""


def train(
    study: Study,
    *,
    modalities: Sequence[str] | None = None,
    fusion: Fusion = "fused",
    seed: int = 0,
    progress: bool = True,
    epochs: int = EPOCHS,
) -> nn.Module:
    """A model of the study, fitted on its training cohort and stopped by its validation cohort. The test cohort isn't
    looked at.

    Args:
        study: the problem.
        modalities: which modalities the model takes; all of them if not given.
        fusion: "fused" for a model that may combine modalities in any way, "late" for one that adds up what each says
            by itself.
        seed: fixes the first weights, the order of the samples, their flips and the dropout: on one machine, with as
            many threads, the same seed gives the same bits. The state of the global random generator is left as it
            was.
        progress: whether to show a bar.
        epochs: most passes over the training cohort.

    Returns: A float32 module in eval mode, that takes modalities by keyword and returns logits (n, classes).

    Raises:
        InputError: a modality that the study doesn't have, or an encoder whose package isn't installed.

    >>> model = train(load("dermoscopy"), seed=0)  # doctest: +SKIP
    """
    choice("fusion", fusion, ("fused", "late"))
    names = tuple(study.modalities) if modalities is None else tuple(modalities)
    for name in names:
        if name not in study.modalities:
            raise InputError(
                f"The study {study.name!r} has no modality {name!r}{nearest(name, study.modalities)}: it has {listed(study.modalities)}."
            )
    if not names or len(set(names)) != len(names):
        raise InputError(
            f"modalities={list(names)!r}: give each modality once, and at least one of {listed(study.modalities)}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        frozen = {name: SentenceEncoder() for name in names if isinstance(study.modalities[name], Text)}
        fitted, watched = (_prepared(cohort, names, frozen) for cohort in (study.train, study.validation))
        encoders = {name: _encoder(name, study.modalities[name], fitted[name]) for name in names}
        model = (Fused if fusion == "fused" else Late)(encoders, len(study.classes))
        flips = [name for name in names if isinstance(study.modalities[name], Image)]
        with _bar(f"{study.name}: {fusion if len(names) > 1 else names[0]}", epochs, shown=progress) as advance:
            _fit(
                model,
                fitted,
                _labels(study.train),
                watched,
                _labels(study.validation),
                flips=flips,
                seed=seed,
                epochs=epochs,
                advance=advance,
            )
    for (
        name,
        encoder,
    ) in frozen.items():  # it saw embeddings, computed once; from here on it takes the token ids themselves
        model.encoders[name] = nn.Sequential(encoder, model.encoders[name])
    return model.eval()


def predict(model: nn.Module, cohort: Cohort, *, batch_size: int = 256) -> np.ndarray:
    """The model's logits for a cohort, shape (n, classes), of those modalities that the model takes.

    A model that names its `modalities` gets these, another one gets all. The model is used in the mode that it is in:
    one from `train` is in eval mode.
    """
    names = tuple(getattr(model, "modalities", cohort.inputs))
    inputs = {name: as_tensor(cohort.inputs[name]) for name in names}
    tokens = [values for values in inputs.values() if not values.is_floating_point()]
    lengths = sum((ids != 0).sum(1) for ids in tokens) if tokens else torch.zeros(len(cohort))
    logits: list[Tensor] = []
    order = torch.argsort(
        torch.as_tensor(lengths), stable=True
    )  # texts of like length together, so that a batch needs no more padding than its longest
    with torch.no_grad():
        for rows in torch.split(order, batch_size):
            logits.append(model(**{name: _unpadded(values[rows]) for name, values in inputs.items()}))
    return torch.cat(logits)[torch.argsort(order)].numpy()


def score(model: nn.Module, study: Study) -> float:
    """The model's test score, in the study's metric: accuracy, or the area under the ROC curve (each class against
    the rest, averaged).
    """
    logits = predict(model, study.test)
    labels = study.test.labels
    if study.metric == "accuracy":
        return float(accuracy_score(labels, logits.argmax(1)))
    probability = torch.from_numpy(logits).double().softmax(1).numpy()
    if len(study.classes) == 2:
        return float(roc_auc_score(labels, probability[:, 1]))
    return float(roc_auc_score(labels, probability, multi_class="ovr"))


def scores(study: Study, *, seed: int = 0, progress: bool = True) -> dict[str, float]:
    """The test score of the fused model, of the additive one ("late"), and of each modality alone, by name.

    Where the fused model is clearly above the late one, the modalities have to be combined; where the late one is
    clearly above the best single modality, each adds something of its own.

    >>> scores(load("dermoscopy"))  # doctest: +SKIP
    {'fused': 0.910..., 'late': 0.693..., 'patch_a': 0.498..., 'features_b': 0.677...}
    """
    found = {
        fusion: score(train(study, fusion=fusion, seed=seed, progress=progress), study) for fusion in ("fused", "late")
    }
    return found | {
        name: score(train(study, modalities=[name], seed=seed, progress=progress), study) for name in study.modalities
    }


def as_tensor(samples: Any) -> Tensor:
    """A modality's samples as the tensor that a model takes: float32, or int64 for token ids.

    Raises:
        InputError: texts, which need a tokenizer first.
    """
    if isinstance(samples, list):
        raise InputError("Texts are no tensor: give token ids, an integer array (n, L) from the model's tokenizer.")
    values = samples.to_numpy() if isinstance(samples, pd.DataFrame) else np.asarray(samples)
    return torch.tensor(values, dtype=torch.int64 if values.dtype.kind in "iu" else torch.float32)


def _fit(
    model: Multimodal,
    inputs: Mapping[str, Tensor],
    labels: Tensor,
    watched: Mapping[str, Tensor],
    watched_labels: Tensor,
    *,
    flips: Sequence[str],
    seed: int,
    epochs: int,
    advance: Callable[[int, float], None],
) -> None:
    """AdamW on the cross-entropy, until that of the watched rows has not fallen for a while; leaves the best epoch's
    weights.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    best, best_epoch, weights = float("inf"), 0, copy.deepcopy(model.state_dict())
    for epoch in range(epochs):
        model.train()
        for rows in torch.split(torch.randperm(len(labels), generator=generator), BATCH):
            if len(rows) < 2:
                continue  # batch normalisation can't be fitted on a single row; the order differs each epoch, so no row is lost
            batch = {
                name: _turned(values[rows], generator) if name in flips else values[rows]
                for name, values in inputs.items()
            }
            loss = cross_entropy(model(**batch), labels[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        model.eval()
        with torch.no_grad():
            current = float(cross_entropy(model(**watched), watched_labels))
        if current < best:
            best, best_epoch, weights = current, epoch, copy.deepcopy(model.state_dict())
        advance(epoch + 1, best)
        if epoch - best_epoch >= PATIENCE:
            break
    model.load_state_dict(weights)


def _turned(images: Tensor, generator: torch.Generator) -> Tensor:
    """The batch under one random symmetry of the square: skin has no upside."""
    vertical, horizontal, transposed = torch.randint(2, (3,), generator=generator).tolist()
    images = images.flip(2) if vertical else images
    images = images.flip(3) if horizontal else images
    return images.transpose(2, 3) if transposed and images.shape[2] == images.shape[3] else images


def _encoder(name: str, modality: Modality, samples: Tensor) -> nn.Module:
    """A new encoder to (n, WIDTH) for samples of this kind; for texts, what comes after the sentence encoder."""
    match modality:
        case Image():
            return ImageEncoder(samples.shape[1])
        case Series():
            return SeriesEncoder(samples.shape[2])
        case Tabular() | Vector() | Text():
            return perceptron(samples.shape[1], 2 * WIDTH, WIDTH, dropout=0.2)
    raise InputError(f"There is no encoder here for the {type(modality).__name__} {name!r}: train a model of your own.")


def _prepared(cohort: Cohort, names: Sequence[str], frozen: Mapping[str, SentenceEncoder]) -> dict[str, Tensor]:
    """The cohort's samples as tensors; what a frozen encoder sees as its embeddings, so that they are computed once
    and not every epoch.
    """
    inputs = {name: as_tensor(cohort.inputs[name]) for name in names}
    return {name: frozen[name].embed(values) if name in frozen else values for name, values in inputs.items()}


def _unpadded(samples: Tensor) -> Tensor:
    """Token ids without the columns that hold padding only; other samples as they are."""
    return samples if samples.is_floating_point() else samples[:, : max(1, int((samples != 0).sum(1).max()))]


def _labels(cohort: Cohort) -> Tensor:
    return torch.tensor(cohort.labels, dtype=torch.int64)


@contextmanager
def _bar(title: str, epochs: int, *, shown: bool) -> Iterator[Callable[[int, float], None]]:
    """A progress bar, fed with the epochs done and the best validation loss; it shows nothing where `shown` is false."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("epoch {task.completed}, validation loss {task.fields[loss]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, disable=not shown) as progress:
        task = progress.add_task(title, total=epochs, loss="-")
        yield lambda epoch, loss: progress.update(task, completed=epoch, loss=f"{loss:.3f}")
        progress.update(task, total=progress.tasks[0].completed)  # stopped early is done, too
