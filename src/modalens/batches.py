"""Inputs out of a data loader: the batches that a model was trained on, as the modalities of the patients in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from modalens.errors import InputError, listed, nearest
from modalens.modalities.base import is_tensor, open_container

Where = str | int | Callable[[Any], Any]
"""Where something lies in a batch: a key or an attribute, a position, or a function of the batch."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a loader held: `inputs` by modality, `labels` for scores, and `ids`, to be given as `groups`; None where no
    place was named.
    """

    inputs: dict[str, Any]
    labels: Any = None
    ids: Any = None


def from_batches(
    loader: Iterable[Any],
    *,
    inputs: Mapping[str, Where] | None = None,
    labels: Where | None = None,
    ids: Where | None = None,
    limit: int | None = None,
) -> Loaded:
    """What does this loader hold, as `explain` takes it?

    Parameters
    ----------
    loader : a torch DataLoader, or any iterable of batches, each a dict, a tuple or an object with attributes; or a
        Dataset (what has a length and positions, and is no list), which is read sample by sample.
    inputs : modality -> where it lies in a batch: a key or attribute, a position, or a function of the batch. Without
        it, every key of a dict but those of labels and ids.
    labels, ids : where they lie.
    limit : at most so many patients; what comes after them is not read.

    Returns
    -------
    Loaded, with a row for each patient, in the loader's order. Tensors, arrays and tables of the batches are joined,
    in the type that they have and without gradients; lists are extended; dicts, such as a tokenizer's, stay dicts.
    What has another shape in each batch becomes a list with an item for each patient, padded as it came, and a packed
    sequence the list that was packed. Labels and ids become NumPy arrays where they have one shape.

    Raises
    ------
    InputError : the loader is empty, or is a batch itself; something is not where it was said to be; or the entries of
        a batch hold different numbers of patients.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> batch = {"ct": np.zeros((2, 8, 8)), "labs": np.ones((2, 3)), "died": np.array([0, 1])}
    >>> found = ml.from_batches([batch, batch], labels="died")
    >>> found.inputs["ct"].shape, list(found.inputs), found.labels
    ((4, 8, 8), ['ct', 'labs'], array([0, 1, 0, 1]))
    """
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise InputError(f"limit={limit!r}: give a whole number of patients, at least 1, or None for all.")
    beside = {name: where for name, where in (("labels", labels), ("ids", ids)) if where is not None}
    own = dict(inputs or {})
    modalities: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    rows = 0
    for batch in _batches(loader):
        own = own or batch.keys_but(beside.values())
        found = [{name: batch.at(name, where) for name, where in places.items()} for places in (own, beside)]
        here = _rows_of(batch, found[0] | found[1])
        kept = here if limit is None else min(here, limit - rows)
        modalities.append({name: _first(piece, kept) for name, piece in found[0].items()})
        others.append({name: _first(piece, kept) for name, piece in found[1].items()})
        rows += kept
        if rows == limit:
            break
    if not rows:
        raise InputError(
            "the loader gave no patients: expected at least one batch. A generator can be read only once; make it anew, or give the DataLoader."
        )
    return Loaded(inputs=_joined(modalities), **{name: _plain(one) for name, one in _joined(others).items()})


# one batch -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """One batch of a loader, or one sample of a dataset, which is made a batch of one."""

    content: Any
    number: int
    single: bool

    def __str__(self) -> str:
        return f"{'sample' if self.single else 'batch'} {self.number}"

    def keys_but(self, others: Iterable[Where]) -> dict[str, Where]:
        """Every key of a dict but these."""
        if not isinstance(self.content, Mapping):
            raise InputError(
                f"{self} is a {_form(self.content)}, and nothing says what is in it: give where each modality lies, such as inputs={{'ct': 0, 'labs': 1}}, labels=2."
            )
        skipped = list(others)
        found: dict[str, Where] = {name: name for name in self.content if name not in skipped}
        if not found:
            raise InputError(f"{self} holds no modality beside labels and ids: it has {listed(self.content)}.")
        return found

    def at(self, name: str, where: Where) -> Any:
        """What lies at this place, as rows."""
        if callable(where):
            value = where(self.content)
        elif isinstance(self.content, Mapping) and where not in self.content:
            raise InputError(
                f"{name!r} should be at {where!r} of {self}, which holds {listed(self.content)}{nearest(str(where), map(str, self.content))}: name one of these, or a function of the batch."
            )
        elif isinstance(where, str) and not isinstance(self.content, Mapping):
            if not hasattr(self.content, where):
                raise InputError(
                    f"{name!r} should be at {where!r} of {self}, which is a {_form(self.content)}: give a position, such as 0, or a function of the batch."
                )
            value = getattr(self.content, where)
        else:
            try:
                value = self.content[where]
            except (IndexError, TypeError, KeyError) as error:
                raise InputError(
                    f"{name!r} should be at {where!r} of {self}, which is a {_form(self.content)}: give a position in it, or a function of the batch."
                ) from error
        return _one_row(_opened(value)) if self.single else _opened(value)


def _batches(loader: Any) -> Iterator[_Batch]:
    """The batches of a loader, or the samples of a dataset."""
    if isinstance(loader, Mapping | str | bytes | pd.DataFrame | np.ndarray) or is_tensor(loader):
        raise InputError(
            f"expected a loader of batches, came a {_form(loader)}, which is a batch itself: give it in a list, [batch], or straight to explain."
        )
    if any(kind.__name__ == "IterableDataset" for kind in type(loader).__mro__):
        raise InputError(
            f"came the IterableDataset {type(loader).__name__}, whose samples can't be told from batches; give torch.utils.data.DataLoader(dataset, batch_size=32)."
        )
    dataset = hasattr(loader, "__getitem__") and hasattr(loader, "__len__") and not isinstance(loader, list | tuple)
    if not dataset and not hasattr(loader, "__iter__"):
        raise InputError(
            f"expected a DataLoader, a Dataset or an iterable of batches, came {type(loader).__name__}; give torch.utils.data.DataLoader(dataset, batch_size=32)."
        )
    each = (loader[row] for row in range(len(loader))) if dataset else loader
    for number, content in enumerate(each):
        yield _Batch(content=content, number=number, single=dataset)


def _rows_of(batch: _Batch, pieces: Mapping[str, Any]) -> int:
    """How many patients a batch holds; refuses one whose entries disagree."""
    counts = {name: count for piece_name, piece in pieces.items() for name, count in _counts(piece_name, piece)}
    alone = [name for name, count in counts.items() if count is None]
    if alone:
        raise InputError(
            f"{batch}: {listed(alone)} is one value for all patients; expected one a patient, along the first axis. Leave it out of inputs=, or repeat it with a function of the batch."
        )
    if len(set(counts.values())) > 1:
        each = ", ".join(f"{name!r}: {count}" for name, count in counts.items())
        raise InputError(
            f"{batch} holds different numbers of patients ({each}); row k of each must be the same patient."
        )
    return next(count for count in counts.values() if count is not None)


def _counts(name: str, piece: Any) -> Iterator[tuple[str, int | None]]:
    """The rows of an entry, of each of its members where it is a dict; None of what has none."""
    if isinstance(piece, Mapping):
        for member, one in piece.items():
            yield from _counts(f"{name}[{member}]", one)
    else:
        alone = not hasattr(piece, "__len__") or isinstance(piece, str) or getattr(piece, "ndim", 1) == 0
        yield name, None if alone else len(piece)


# rows ----------------------------------------------------------------------------------------------------------------------


def _opened(value: Any) -> Any:
    """An entry as what can be joined: packed and nested tensors as lists, other tensors without gradients."""
    if isinstance(value, Mapping):
        return {name: _opened(one) for name, one in value.items()}
    if type(value).__name__ == "PackedSequence":
        from torch.nn.utils.rnn import unpack_sequence

        return [one.detach() for one in unpack_sequence(value)]
    if is_tensor(value):
        import torch

        return [one.detach() for one in value.unbind()] if value.is_nested else value.detach().as_subclass(torch.Tensor)
    return list(value) if isinstance(value, tuple) else value


def _one_row(value: Any) -> Any:
    """A sample's entry as that of a batch of one."""
    if isinstance(value, Mapping):
        return {name: _one_row(one) for name, one in value.items()}
    if is_tensor(value):
        return value[None]
    if isinstance(value, np.ndarray | np.generic | int | float):
        return np.asarray(value)[None]
    if isinstance(value, list) and value and all(isinstance(one, int | float | np.generic) for one in value):
        return np.asarray(value)[None]
    return [value]


def _first(piece: Any, rows: int) -> Any:
    """The first rows of an entry."""
    if isinstance(piece, Mapping):
        return {name: _first(one, rows) for name, one in piece.items()}
    return piece.iloc[:rows] if hasattr(piece, "iloc") else piece[:rows]


def _joined(batches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The entries of all batches, one after the other."""
    for number, batch in enumerate(batches):
        if set(batch) != set(batches[0]):
            raise InputError(
                f"batch {number} holds the members {listed(batch)}, and the first {listed(batches[0])}: give the same for all patients."
            )
    return {name: _concatenated([batch[name] for batch in batches]) for name in batches[0]}


def _concatenated(pieces: Sequence[Any]) -> Any:
    first = pieces[0]
    if isinstance(first, Mapping):
        return _joined(pieces)
    if all(isinstance(piece, pd.DataFrame | pd.Series) for piece in pieces):
        return pd.concat(pieces, ignore_index=True)
    if len({tuple(getattr(piece, "shape", ("rows",)))[1:] for piece in pieces}) == 1:
        if all(map(is_tensor, pieces)):
            import torch

            return torch.cat(list(pieces))
        if all(isinstance(piece, np.ndarray) for piece in pieces):
            return np.concatenate(pieces)
    return [row for piece in pieces for row in piece]


def _plain(joined: Any) -> Any:
    """Labels and ids as NumPy arrays, where they have one shape."""
    if is_tensor(joined):
        return open_container(joined)[1]
    if isinstance(joined, list) and all(np.ndim(one) == 0 and one is not None for one in joined):
        return np.asarray(joined)
    return joined


def _form(value: Any) -> str:
    sized = hasattr(value, "__len__") and not is_tensor(value)
    return f"{type(value).__name__} of {len(value)}" if sized else type(value).__name__
