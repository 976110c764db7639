"""Rows of one modality as a model takes them: a tensor with the row first, a dict of such, or a list with an item a
row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree


def count(samples: Any) -> int:
    """How many rows there are."""
    return count(next(iter(samples.values()))) if isinstance(samples, Mapping) else len(samples)


def take(samples: Any, rows: Tensor) -> Any:
    """These rows, in this order."""
    if isinstance(samples, Mapping):
        return {name: take(member, rows) for name, member in samples.items()}
    if isinstance(samples, list | tuple):
        return [samples[row] for row in rows.tolist()]
    return samples[rows.to(samples.device)]


def first(samples: Any, number: int) -> Any:
    """The first rows."""
    return take(samples, torch.arange(min(number, count(samples))))


def repeated(samples: Any, rows: int) -> Any:
    """The first row as often as asked for; its own memory, since a forward may write into it."""
    return copied(take(samples, torch.zeros(rows, dtype=torch.long)))


def copied(samples: Any) -> Any:
    """The same numbers in other memory."""
    if isinstance(samples, Mapping):
        return {name: copied(member) for name, member in samples.items()}
    if isinstance(samples, list | tuple):
        return [copied(one) for one in samples]
    return samples.clone() if isinstance(samples, Tensor) else samples


def tensors(samples: Any) -> list[Tensor]:
    """The tensors that rows of one shape consist of."""
    return pytree.tree_leaves(dict(samples) if isinstance(samples, Mapping) else samples)


def like(samples: Any, leaves: Sequence[Tensor]) -> Any:
    """These tensors in the form of such rows."""
    return dict(zip(samples, leaves, strict=True)) if isinstance(samples, Mapping) else leaves[0]


def of_one_shape(samples: Any) -> bool:
    """Whether these are tensors with the row first, and no lists of rows that differ in length."""
    members = samples.values() if isinstance(samples, Mapping) else [samples]
    return all(isinstance(member, Tensor) for member in members)
