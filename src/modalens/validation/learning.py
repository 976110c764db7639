"""Models for problems with a known answer: networks that are taught it, the decision function itself, and the oracle that
sees the true latents.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from modalens.errors import choice
from modalens.modalities import Modality, Tabular
from modalens.validation.known import KnownProblem, Patients, Schedule
from modalens.validation.networks import NETWORKS, Shapes, perceptron

MARGIN = 0.05
"""Accuracy that a model may lie below the oracle that sees the latents, and must lie above a guess; else it did not learn
the function.
"""

MODELS = (*NETWORKS, "function", "oracle")
"""What can be explained: networks taught on the inputs, the decision function of the latents, a head taught on them."""

OF_LATENTS = Schedule(epochs=20, rate=3e-3)
"""How the oracle is taught."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """A model with what it takes: its inputs for the patients to be explained, and for those who were learned from.
    `accuracy` on the former, what could be reached (`ceiling`: the oracle's accuracy, or that of the best decision on the
    inputs where that is less), that of a guess (`chance`), and the settings of `explain`.
    """

    name: str
    model: Any
    inputs: Mapping[str, np.ndarray]
    background: Mapping[str, np.ndarray]
    kinds: Mapping[str, Modality]
    accuracy: float
    ceiling: float
    chance: float
    asked: Mapping[str, Any]

    @property
    def good(self) -> bool:
        """Whether it comes near enough to the ceiling and is better than a guess, so that a measure can be held to the
        function.
        """
        return self.accuracy >= self.ceiling - MARGIN and self.accuracy > self.chance + MARGIN


def learn(known: KnownProblem, network: str | None = None, seed: int = 0) -> Learned:
    """A model of the problem: a network taught on the training patients, unless it is "function" or "oracle".

    Parameters
    ----------
    network : "hybrid", "early", "intermediate", "late", "function" (f itself, of the latents), "oracle" (a head taught on
        the true latents); the problem's own unless given.
    seed : of the first weights and the order of patients, which come from streams of their own.

    Example
    -------
    >>> from modalens.validation import problem
    >>> learn(problem("F4", train=200, test=50), "function").accuracy
    1.0
    """
    name = known.network if network is None else network
    choice("network", name, MODELS)
    of_latents = name in ("function", "oracle")
    train, test = known.train, known.test
    given, background = (test.latents, train.latents) if of_latents else (test.inputs, train.inputs)
    if name == "function":
        model: Any = known.decide
        reached = ceiling = _agreement(known)
        asked: dict[str, Any] = {} if known.binary else {"output": "raw"}
    else:
        best = oracle(known, seed)
        ceiling = accuracy(best, known.latents, known.labels)
        model = (
            best
            if name == "oracle"
            else taught(NETWORKS[name], train.inputs, train.labels, known.schedule, seed, known.watched)
        )
        reached, asked = accuracy(model, given, known.labels), {"link": "softmax", **known.asked}
    return Learned(
        name=name,
        model=model,
        inputs=given,
        background=background,
        kinds=dict.fromkeys(known.kinds, Tabular()) if of_latents else known.kinds,
        accuracy=reached,
        ceiling=ceiling if of_latents else min(ceiling, known.reachable),
        chance=known.test.at_chance,
        asked=asked,
    )


class Oracle(nn.Module):
    """A head on the true latents: the best that can be learned from so many labels."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.names = tuple(shapes)
        self.head = perceptron((sum(shape[0] for shape in shapes.values()), 64, 32, 2))

    def forward(self, **latents: Tensor) -> Tensor:
        found: Tensor = self.head(torch.cat([latents[name] for name in self.names], dim=1))
        return found


def oracle(known: KnownProblem, seed: int = 0) -> nn.Module:
    """A head taught on the training patients' latents."""
    return taught(Oracle, known.train.latents, known.train.labels, OF_LATENTS, seed)


def taught(
    network: Callable[[Shapes], nn.Module],
    inputs: Mapping[str, np.ndarray],
    labels: np.ndarray,
    schedule: Schedule,
    seed: int,
    watched: Patients | None = None,
) -> nn.Module:
    """A network fitted by Adam to class labels, in evaluation mode. The global random state is left as it was."""
    first, order = (int(one.generate_state(1)[0]) for one in np.random.SeedSequence((seed, 21)).spawn(2))
    tensors, truth = _tensors(inputs), torch.as_tensor(labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(first)
        model = network({name: tuple(values.shape[1:]) for name, values in tensors.items()})
    shuffle = torch.Generator().manual_seed(order)
    optimiser = torch.optim.Adam(model.parameters(), lr=schedule.rate, weight_decay=schedule.decay, foreach=True)
    batches = -(-len(truth) // schedule.batch)
    factor = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, schedule.epochs * batches)
    best = _Best(model, watched if schedule.patience is not None else None)
    for epoch in range(schedule.epochs):
        model.train()
        for rows in torch.randperm(len(truth), generator=shuffle).tensor_split(batches):
            optimiser.zero_grad()
            loss = cross_entropy(model(**{name: values[rows] for name, values in tensors.items()}), truth[rows])
            torch.autograd.backward(loss)
            optimiser.step()
            if schedule.falling:
                factor.step()
        if schedule.patience is not None and best.look(epoch) >= schedule.patience:
            break
    return best.kept()


class _Best:
    """The weights of the epoch whose loss on the watched patients is lowest; the last ones where none are watched."""

    def __init__(self, model: nn.Module, watched: Patients | None) -> None:
        self.model, self.epoch, self.loss = model, 0, float("inf")
        self.weights: dict[str, Tensor] | None = None
        self.inputs = None if watched is None else _tensors(watched.inputs)
        self.labels = None if watched is None else torch.as_tensor(watched.labels)

    def look(self, epoch: int) -> int:
        """How many epochs ago the best one was."""
        if self.inputs is None or self.labels is None:
            return 0
        self.model.eval()
        with torch.no_grad():
            loss = float(cross_entropy(self.model(**self.inputs), self.labels))
        if loss < self.loss:
            self.loss, self.epoch, self.weights = loss, epoch, copy.deepcopy(self.model.state_dict())
        return epoch - self.epoch

    def kept(self) -> nn.Module:
        if self.weights is not None:
            self.model.load_state_dict(self.weights)
        return self.model.eval()


def _tensors(inputs: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.tensor(np.asarray(values), dtype=torch.float32) for name, values in inputs.items()}


def accuracy(model: nn.Module, inputs: Mapping[str, np.ndarray], labels: np.ndarray) -> float:
    """How often the largest logit is the label's."""
    with torch.no_grad():
        said = model(**{name: torch.as_tensor(values, dtype=torch.float32) for name, values in inputs.items()})
    return float((said.argmax(dim=1).numpy() == labels).mean())


def _agreement(known: KnownProblem) -> float:
    """How often f's side of its median over those learned from, or f itself where it is binary, is the label."""
    edge = 0.5 if known.binary else np.median(known.decide(**known.train.latents))
    return float(((known.decide(**known.latents) > edge) == known.labels).mean())
