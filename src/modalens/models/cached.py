"""A torch model split at its fusion point, as masked inputs are evaluated: tensors stay tensors until the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modalens.errors import listed
from modalens.modalities import Modality
from modalens.models.first_layer import FirstLayer
from modalens.models.fusion import FusionPoint
from modalens.models.split import Arrays, Grid, Split
from modalens.models.torch_module import TorchModel


class Cached(Split):
    """Encoders and head of a fusion point. `note` says where gradients are taken if that is not the fusion point."""

    note: str = ""

    def __init__(
        self, model: TorchModel, point: FusionPoint, kinds: Mapping[str, Modality], batch: Mapping[str, int]
    ) -> None:
        encoded = frozenset(name for name, encoder in point.encoders.items() if encoder.widths)
        super().__init__(encoded, batch, {name: _row_bytes(encoder.widths) for name, encoder in point.encoders.items()})
        assert point.head is not None
        self.model, self.point, self.kinds, self._head = model, point, kinds, point.head

    def encode(self, name: str, samples: np.ndarray) -> Arrays:
        return self.point.encoders[name](self.model.tensor(name, self.kinds[name].restore(samples)))

    def join(self, name: str, pieces: Sequence[Arrays]) -> Arrays:
        return pieces[0] if len(pieces) == 1 else tuple(torch.cat(tensors) for tensors in zip(*pieces, strict=True))

    def take(self, name: str, encoding: Arrays, rows: np.ndarray) -> Arrays:
        return tuple(one.index_select(0, self._rows(rows)) for one in encoding)

    def head(self, encodings: Mapping[str, Arrays]) -> Any:
        return self._head(encodings)

    def _rows(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(rows)).to(self.model.device)


class AtInputs(Cached):
    """A model that is run whole, on tensors that carry gradients: the fusion point is at its inputs, or at the
    embedding of whole numbers.
    """

    def __init__(
        self,
        model: TorchModel,
        point: FusionPoint,
        kinds: Mapping[str, Modality],
        batch: Mapping[str, int],
        reason: str,
    ) -> None:
        super().__init__(model, point, kinds, batch)
        self.encoded = frozenset()
        looked_up = [name for name, encoder in point.encoders.items() if encoder.operations]
        where = f" (at the embedding of {listed(looked_up)})" if looked_up else ""
        self.note = f"gradients are taken at the model's inputs{where} and not at its fusion point: {reason}"


class FirstLayerSplit(Cached):
    """The same where the head's first layer is linear: its products are formed once for every encoding, and a
    combination is a sum of M of them.
    """

    def __init__(
        self, model: TorchModel, point: FusionPoint, kinds: Mapping[str, Modality], batch: Mapping[str, int]
    ) -> None:
        super().__init__(model, point, kinds, batch)
        assert point.first_layer is not None
        self.first: FirstLayer = point.first_layer

    def ready(self, encodings: Mapping[str, Arrays]) -> dict[str, Arrays]:
        return {name: tuple(self.first.product(name, one) for one in tensors) for name, tensors in encodings.items()}

    def output(self, ready: Mapping[str, Arrays], grids: Sequence[Grid]) -> Any:
        totals = [self._totals(ready, list(alike)) for _, alike in groupby(grids, key=_shape)]
        return self.first.output(totals[0] if len(totals) == 1 else torch.cat(totals))

    def _totals(self, products: Mapping[str, Arrays], grids: list[Grid]) -> Tensor:
        """The first layer's output for grids of one shape. What depends on the patient alone, and on the draw alone,
        is added up for all of them in one product with who is in it, before they are added to each other.
        """
        terms: dict[tuple[int, ...], dict[tuple[str, int], int]] = {}
        for grid in grids:
            for name, index in grid.items():
                if products[name]:
                    alike = terms.setdefault(index.shape, {})
                    alike.setdefault((name, id(index)), len(alike))
        indices = {(name, id(index)): index for grid in grids for name, index in grid.items()}
        total = None
        for shape, alike in sorted(terms.items(), key=lambda one: one[0][0] * one[0][1]):
            stack = torch.stack([self._taken(products[name][0], indices[name, one]) for name, one in alike])
            added = self._added(stack, alike, grids).view(len(grids), *shape, -1)
            total = added if total is None else total + added
        assert total is not None
        return total.expand(len(grids), *_shape(grids[0]), -1).reshape(-1, total.shape[-1])

    def _added(self, stack: Tensor, alike: Mapping[tuple[str, int], int], grids: list[Grid]) -> Tensor:
        """The sum of the terms of every grid, (grids, rows * width), of terms (term, rows * width)."""
        if len(grids) == 1:
            return stack.sum(0, keepdim=True)
        member = torch.zeros(len(grids), len(alike), dtype=stack.dtype)
        for place, grid in enumerate(grids):
            for name, index in grid.items():
                term = alike.get((name, id(index)))
                if term is not None:
                    member[place, term] = 1
        return member.to(stack.device) @ stack

    def _taken(self, product: Tensor, index: np.ndarray) -> Tensor:
        return product.index_select(0, self._rows(index.ravel())).view(-1)


def _shape(grid: Grid) -> tuple[int, ...]:
    return np.broadcast_shapes(*(index.shape for index in grid.values()))


def _row_bytes(widths: Sequence[Sequence[int]]) -> int:
    return 8 * sum(int(np.prod(width, initial=1)) for width in widths)


def split_of(model: TorchModel, point: FusionPoint, kinds: Mapping[str, Modality], batch: Mapping[str, int]) -> Cached:
    """The fusion point as the engine runs it, its head's first layer split where it has one."""
    return (FirstLayerSplit if point.first_layer is not None else Cached)(model, point, kinds, batch)
