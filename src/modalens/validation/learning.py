"""Teaching networks a decision function, and asking whether they learned it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from modalens.validation.networks import Hybrid, perceptron
from modalens.validation.problems import KnownProblem, Patients

MARGIN = 0.05
"""Accuracy that a model may lie below the oracle that sees the latents; below that it did not learn the function."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long a network is taught. The defaults teach the hybrid network in seconds."""

    epochs: int = 25
    batch: int = 100
    rate: float = 1e-3
    decay: float = 1e-4


QUICKLY = Schedule()
"""Enough for the hybrid network."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """A network, how often it is right on the patients to be explained, and how often the oracle is."""

    model: nn.Module
    accuracy: float
    ceiling: float

    @property
    def good(self) -> bool:
        """Whether it comes near enough to the oracle, so that a measure can be held to the function."""
        return self.accuracy >= self.ceiling - MARGIN


def learn(
    known: KnownProblem,
    seed: int = 0,
    *,
    network: Callable[[], nn.Module] = Hybrid,
    schedule: Schedule = QUICKLY,
) -> Learned:
    """A network taught on the training patients, beside the oracle: a head on the true latents."""
    model = fitted(network, known.train.inputs, known.train.labels, seed, schedule)
    ceiling = accuracy(oracle(known, seed), known.latents, known.labels)
    return Learned(model=model, accuracy=accuracy(model, known.inputs, known.labels), ceiling=ceiling)


class Oracle(nn.Module):
    """A head on the true latents: the best that can be learned from so many labels."""

    def __init__(self, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.names = tuple(widths)
        self.head = perceptron((sum(widths.values()), 100, 50, 2))

    def forward(self, **latents: Tensor) -> Tensor:
        found: Tensor = self.head(torch.cat([latents[name] for name in self.names], dim=1))
        return found


def oracle(known: KnownProblem, seed: int = 0) -> nn.Module:
    """Taught on the training patients' latents; a linear function's is found by a linear head in fact."""
    latents = known.train.latents
    widths = {name: values.shape[1] for name, values in latents.items()}
    return fitted(lambda: Oracle(widths), latents, known.train.labels, seed, Schedule(epochs=15))


def fitted(
    network: Callable[[], nn.Module],
    inputs: Mapping[str, np.ndarray],
    labels: np.ndarray,
    seed: int,
    schedule: Schedule,
) -> nn.Module:
    """A network fitted by Adam to class labels; its first weights and the order of patients come from streams of their
    own, and the global random state is left as it was.
    """
    first, order = (int(one.generate_state(1)[0]) for one in np.random.SeedSequence((seed, 21)).spawn(2))
    tensors = {name: torch.as_tensor(values, dtype=torch.float32) for name, values in inputs.items()}
    truth = torch.as_tensor(labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(first)
        model = network()
        shuffle = torch.Generator().manual_seed(order)
        optimiser = torch.optim.Adam(model.parameters(), lr=schedule.rate, weight_decay=schedule.decay)
        plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, schedule.epochs)
        model.train()
        for _ in range(schedule.epochs):
            for rows in torch.split(torch.randperm(len(truth), generator=shuffle), schedule.batch):
                optimiser.zero_grad()
                said = model(**{name: values[rows] for name, values in tensors.items()})
                loss = cross_entropy(said, truth[rows])
                torch.autograd.backward(loss)
                optimiser.step()
            plan.step()
    return model.eval()


def accuracy(model: nn.Module, inputs: Mapping[str, np.ndarray], labels: np.ndarray) -> float:
    """How often the largest logit is the label's."""
    with torch.no_grad():
        said = model(**{name: torch.as_tensor(values, dtype=torch.float32) for name, values in inputs.items()})
    return float((said.argmax(dim=1).numpy() == labels).mean())


def at_chance(patients: Patients) -> float:
    """How often the more frequent label is right."""
    return float(max(patients.labels.mean(), 1 - patients.labels.mean()))
