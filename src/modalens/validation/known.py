"""A problem whose answer is known: patients with their latents, what is true of what decides their labels, and how a
network is taught it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from modalens.errors import nearest
from modalens.modalities import Modality
from modalens.validation.functions import Function
from modalens.validation.latents import Gaussian, Source
from modalens.validation.truths import ESTIMANDS, Truth, interaction_orders, interventional, truth_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Patients:
    """Inputs by modality, labels (n,), and latents by modality, (n, width)."""

    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray
    latents: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: slice) -> Patients:
        """Some of them."""
        return Patients(
            inputs={name: values[chosen] for name, values in self.inputs.items()},
            labels=self.labels[chosen],
            latents={name: values[chosen] for name, values in self.latents.items()},
        )

    @property
    def at_chance(self) -> float:
        """How often the more frequent label is right."""
        return float(np.bincount(self.labels).max() / len(self))


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long a network is taught: Adam with this rate and weight decay; `falling` lowers the rate to 0 along a cosine.
    With `patience` the epoch is kept whose loss on the patients to choose by is lowest, and teaching ends so many epochs
    after it.
    """

    epochs: int = 15
    batch: int = 100
    rate: float = 1e-3
    decay: float = 1e-4
    falling: bool = True
    patience: int | None = None


@dataclass(frozen=True, eq=False)
class Truths(Mapping[str, Truth]):
    """Estimand -> its true shares; each is computed when it is asked for, once. Which there are depends on what decides
    the labels: latents without density have no sensitivity, copies of one latent in several modalities no shares.
    """

    function: Function
    source: Source
    estimands: tuple[str, ...]
    _known: dict[str, Truth] = field(default_factory=dict, repr=False)

    def __getitem__(self, estimand: str) -> Truth:
        if estimand not in self.estimands:
            raise KeyError(
                f"{estimand!r}{nearest(estimand, ESTIMANDS)}; known are {', '.join(self.estimands) or 'none'}"
            )
        if estimand not in self._known:
            self._known[estimand] = truth_of(self.function, self.source, estimand)
        return self._known[estimand]

    @cached_property
    def orders(self) -> np.ndarray:
        """The true shares of interaction of order 1, 2 and 3 or more."""
        return interaction_orders(self.function, self.source)

    def __iter__(self) -> Iterator[str]:
        return iter(self.estimands)

    def __len__(self) -> int:
        return len(self.estimands)


def truths(function: Function, source: Source, *, identified: bool = True) -> Truths:
    """All that is true of a function of latents from this source."""
    known = tuple(ESTIMANDS) if isinstance(source, Gaussian) else interventional()
    return Truths(function, source, known if identified else ())


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownProblem:
    """A problem whose answer is known. `inputs`, `labels` and `latents` are those of the patients to be explained, who
    are not in `train`; `truth` holds the true shares of the modalities by estimand, `orders` those of interaction.

    `network` and `schedule` are how a model is taught it unless asked otherwise, `asked` the settings of `explain` under
    which the truth holds: log-odds where labels threshold f, whose shares are those of f.
    """

    name: str
    words: str
    kinds: Mapping[str, Modality]
    train: Patients
    test: Patients
    function: Function
    source: Source
    truth: Truths
    seed: int
    network: str
    schedule: Schedule
    asked: Mapping[str, Any]
    watched: Patients | None = None
    """Patients to choose an epoch by, where there are any."""
    inseparable: tuple[str, ...] = ()
    """Modalities that copy one another: only the sum of their shares is decided by the data."""
    reachable: float = 1.0
    """The accuracy of the best decision on the inputs, where these do not show the latents as they are."""

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

    @property
    def binary(self) -> bool:
        """Whether f is the label itself, and no score that is above or below a threshold."""
        return not isinstance(self.source, Gaussian)

    @property
    def orders(self) -> np.ndarray | None:
        """The true shares of order 1, 2 and 3 or more; None where they are not identified."""
        return self.truth.orders if len(self.truth) else None

    def decide(self, **latents: np.ndarray) -> np.ndarray:
        """The decision function itself as a model: f of the latents by modality, (n,)."""
        return self.function.value(tuple(latents[name] for name in self.modalities))

    def taught(self, **schedule: Any) -> KnownProblem:
        """The same problem, with another schedule."""
        return replace(self, schedule=replace(self.schedule, **schedule))
