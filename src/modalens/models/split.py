"""A model as masked inputs are evaluated: each modality encoded for itself, then a head on the combinations.

A model that can't be split is a head alone: its encodings are the inputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modalens.modalities import Modality
from modalens.models.base import Model, output_of

Arrays = tuple[Any, ...]
"""The encoding of some rows of one modality: arrays or tensors, first axis the row."""

Grid = Mapping[str, np.ndarray]
"""Which row of each modality's encodings every evaluated row reads: index arrays (patients or 1, draws or 1) that are
broadcast against each other.
"""


class Split(ABC):
    """What the engine asks of a model. `encoded` are the modalities whose rows are brought to the fusion point once;
    `batch` the rows a call, by modality and for the "head"; `row_bytes` the memory of one encoding.
    """

    def __init__(self, encoded: frozenset[str], batch: Mapping[str, int], row_bytes: Mapping[str, int]) -> None:
        self.encoded, self.batch, self.row_bytes = encoded, dict(batch), row_bytes

    @abstractmethod
    def encode(self, name: str, samples: np.ndarray) -> Arrays:
        """The encoding of these samples, given in canonical form."""

    @abstractmethod
    def join(self, name: str, pieces: Sequence[Arrays]) -> Arrays:
        """Encodings one after the other."""

    @abstractmethod
    def take(self, name: str, encoding: Arrays, rows: np.ndarray) -> Arrays:
        """These rows of an encoding."""

    @abstractmethod
    def head(self, encodings: Mapping[str, Arrays]) -> Any:
        """The model's output for rows of encodings."""

    def ready(self, encodings: Mapping[str, Arrays]) -> Mapping[str, Arrays]:
        """Whatever can be computed for each encoding before they are combined."""
        return encodings

    def output(self, ready: Mapping[str, Arrays], grids: Sequence[Grid]) -> Any:
        """The model's output for all rows of these grids, one grid after the other, patient by patient."""
        return self.head(
            {
                name: self.take(name, encoding, np.concatenate([_flat(grid, name) for grid in grids]))
                for name, encoding in ready.items()
            }
        )


def _flat(grid: Grid, name: str) -> np.ndarray:
    shape = np.broadcast_shapes(*(index.shape for index in grid.values()))
    return np.broadcast_to(grid[name], shape).ravel()


class Whole(Split):
    """A model that is run whole for every mask."""

    def __init__(
        self, model: Model, kinds: Mapping[str, Modality], row_bytes: Mapping[str, int], batch_size: int
    ) -> None:
        super().__init__(frozenset(), {"head": batch_size}, row_bytes)
        self.model, self.kinds = model, kinds

    def encode(self, name: str, samples: np.ndarray) -> Arrays:
        return (samples,)

    def join(self, name: str, pieces: Sequence[Arrays]) -> Arrays:
        return (self.kinds[name].stack([samples for (samples,) in pieces]),)

    def take(self, name: str, encoding: Arrays, rows: np.ndarray) -> Arrays:
        return (self.kinds[name].take(encoding[0], rows),)

    def head(self, encodings: Mapping[str, Arrays]) -> Any:
        return output_of(
            self.model, {name: self.kinds[name].restore(samples) for name, (samples,) in encodings.items()}
        )
