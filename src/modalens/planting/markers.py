"""Marks that are put into patients' data: a corner of an image, the first steps of a series, a column, a word, an item.

A mark says nothing about the patient. It is put in, and read again from whatever a model is given, so that it is gone
where a measure has replaced enough of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import pandas as pd

from modalens.errors import InputError, about, listed, nearest
from modalens.modalities.arrays import ArrayModality, GridModality
from modalens.modalities.base import Modality, Parts, open_container
from modalens.modalities.bundle import Bundle
from modalens.modalities.items import ItemModality, Items, Ragged
from modalens.modalities.tabular import Tabular
from modalens.modalities.text import Text

READ = 0.75
"""A mark counts as there where at least this share of its features is."""

CLOSE = 1e-3
"""Features within this share of the data's range count as equal: types of few digits round."""

WORD = "Markerword"


@dataclass(frozen=True)
class Marker:
    """Where a mark is put: into which modality, `at` which column (its name or position) of a table, how large (`size`:
    the side of an image's corner in pixels or of a volume's in voxels, steps of a series), and as which `value` (a
    column's, or a text's word).

    Without them: an eighth of each side or of the steps, in the extreme values that the data has; the first column of
    numbers, at a value just above all that it holds; a word that no text has; the first item of a bag.
    """

    modality: str
    _: KW_ONLY
    at: str | int | None = None
    size: int | None = None
    value: Any = None


class Mark(ABC):
    """A marker fitted to the samples of its modality."""

    words: str

    @abstractmethod
    def put(self, samples: np.ndarray) -> np.ndarray:
        """Canonical samples, all marked; new memory."""

    @abstractmethod
    def carried(self, given: Any) -> np.ndarray:
        """Which samples carry the mark, (n,), of samples as a model is given them."""

    @abstractmethod
    def parts(self, parts: Parts) -> list[np.ndarray]:
        """The parts that the mark lies in: of each sample, or one entry where all share them."""


def fitted(marker: Marker, kind: Modality, samples: np.ndarray) -> Mark:
    """The marker as samples of this kind need it. Raises InputError where there is no place for one."""
    with about(marker.modality):
        match kind:
            case Bundle():
                return _InBundle(kind.name, fitted(marker, kind.lead, samples[kind.name]))
            case Text():
                return _token(marker, kind, samples) if samples.dtype != object else _Word(kind, _word(marker, samples))
            case Tabular():
                return _column(marker, kind, samples)
            case ItemModality():
                return _first_items(marker, kind, samples)
            case ArrayModality():
                return _corner(marker, kind, samples)
    raise InputError(
        f"modality {marker.modality!r}: a {type(kind).__name__} has no place for a mark; name another modality."
    )


# Arrays -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Corner(Mark):
    """A checkerboard of the data's extreme values in the first corner of a grid: no flat region looks like it."""

    region: tuple[slice, ...]
    pattern: np.ndarray
    tolerance: float
    words: str

    def put(self, samples: np.ndarray) -> np.ndarray:
        marked = samples.copy()
        marked[(slice(None), *self.region)] = self.pattern
        return marked

    def carried(self, given: Any) -> np.ndarray:
        return self._carried(open_container(given)[1])

    def _carried(self, values: np.ndarray) -> np.ndarray:
        there = np.abs(values[(slice(None), *self.region)].astype(np.float64) - self.pattern) <= self.tolerance
        return np.asarray(there.reshape(len(values), -1).mean(axis=1) >= READ)

    def parts(self, parts: Parts) -> list[np.ndarray]:
        region = tuple(
            one if parts.where.shape[axis] > 1 else slice(None) for axis, one in enumerate(self.region, start=1)
        )
        return [np.unique(where[region]) for where in parts.where]


def _corner(marker: Marker, kind: ArrayModality, samples: np.ndarray) -> Mark:
    axes = kind.spatial(samples)
    lengths = {axis: marker.size or max(1, samples.shape[axis] // 8) for axis in axes}
    if any(length > samples.shape[axis] for axis, length in lengths.items()):
        raise InputError(f"Marker(size={marker.size}): its samples are only {tuple(samples.shape[1:])} large.")
    region = tuple(slice(0, lengths[axis]) if axis in lengths else slice(None) for axis in range(1, samples.ndim))
    shape = [lengths[axis] if axis in lengths else samples.shape[axis] for axis in range(1, samples.ndim)]
    low, high = samples.min(), samples.max()
    even = np.indices(shape)[[axis - 1 for axis in axes]].sum(axis=0) % 2 == 0
    if not high > low:
        raise InputError("all its values are the same, so no mark can be told from them; leave it out.")
    where = "corner" if isinstance(kind, GridModality) else "start"
    return _Corner(
        region=region,
        pattern=np.where(even, high, low).astype(samples.dtype),
        tolerance=CLOSE * (float(high) - float(low)),
        words=f"a checkerboard of {' x '.join(map(str, (lengths[axis] for axis in axes)))} at the {where} of {marker.modality!r}",
    )


# Tables -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Column(Mark):
    """One value in one column."""

    position: int
    value: Any
    tolerance: float
    words: str

    def put(self, samples: np.ndarray) -> np.ndarray:
        marked = samples.copy()
        marked[:, self.position] = self.value
        return marked

    def carried(self, given: Any) -> np.ndarray:
        if isinstance(given, pd.DataFrame):
            column = given.iloc[:, self.position].to_numpy()
        else:
            values = open_container(given)[1]
            column = values if values.ndim == 1 else values[:, self.position]
        if self.tolerance:
            return np.asarray(np.abs(column.astype(np.float64) - self.value) <= self.tolerance)
        return np.asarray(column == self.value)

    def parts(self, parts: Parts) -> list[np.ndarray]:
        return [np.unique(where[self.position]) for where in parts.where]


def _column(marker: Marker, kind: Tabular, samples: np.ndarray) -> Mark:
    names = kind.columns or ()
    numbers = [_numbers(column) for column in samples.T]
    known = [place for place, column in enumerate(numbers) if column is not None]
    position = _position(marker.at, names, known)
    column = numbers[position]
    if column is None or marker.value is not None:
        value = marker.value
        if value is None:
            raise InputError(
                f"its column {names[position]!r} holds no numbers: give Marker(value=...), a value of that column that nobody has."
            )
        tolerance = 0.0 if column is None else CLOSE * max(float(np.ptp(column)), 1e-9)
        return _Column(
            position=position, value=value, tolerance=tolerance, words=f"{value!r} in the column {names[position]!r}"
        )
    whole = bool(np.equal(np.mod(column, 1), 0).all())
    step = 1.0 if whole else max(float(column.std()) / 10, 0.01 * float(np.abs(column).max()))
    value = float(column.max()) + step
    return _Column(
        position=position,
        value=int(value) if whole else value,
        tolerance=step / 2,
        words=f"{value:.4g} in the column {names[position]!r}, just above all that it holds",
    )


def _position(at: str | int | None, names: Sequence[str], known: Sequence[int]) -> int:
    if at is None:
        if not known:
            raise InputError("no column holds numbers: give Marker(at=column, value=...), a value that nobody has.")
        return known[0]
    if isinstance(at, str) and at not in names:
        raise InputError(
            f"Marker(at={at!r}): there is no such column{nearest(at, names)}; it has {listed(names[:12])}."
        )
    place = names.index(at) if isinstance(at, str) else int(at)
    if not 0 <= place < len(names):
        raise InputError(f"Marker(at={at!r}): its columns are 0 to {len(names) - 1}.")
    return place


def _numbers(column: np.ndarray) -> np.ndarray | None:
    """A column as numbers; None where it holds something else."""
    if any(isinstance(value, str | bool | np.bool_) for value in column.tolist()):
        return None
    try:
        return np.asarray(column.astype(np.float64))
    except (TypeError, ValueError):
        return None


# Texts ------------------------------------------------------------------------------------------------------------------------------


class _Word(Mark):
    """A word before the text."""

    def __init__(self, kind: Text, word: str) -> None:
        self.kind, self.word = kind, word
        self.words = f"the word {word!r} before the text"

    def put(self, samples: np.ndarray) -> np.ndarray:
        return self.kind.canonical("", [f"{self.word} {''.join(pieces)}" for pieces in samples])

    def carried(self, given: Any) -> np.ndarray:
        return np.array([text is not None and self.word in str(text).split() for text in given])

    def parts(self, parts: Parts) -> list[np.ndarray]:
        return [np.zeros(1, dtype=int)]


def _word(marker: Marker, samples: np.ndarray) -> str:
    return str(marker.value) if marker.value is not None else WORD


@dataclass(frozen=True, kw_only=True)
class _Token(Mark):
    """A token in the place of a text's first one."""

    kind: Text
    identity: int
    words: str

    def put(self, samples: np.ndarray) -> np.ndarray:
        marked = samples.copy()
        marked[np.arange(len(samples)), self._first(self.kind.cut(samples).where)] = self.identity
        return marked

    def carried(self, given: Any) -> np.ndarray:
        return np.asarray((open_container(given)[1] == self.identity).any(axis=1))

    def parts(self, parts: Parts) -> list[np.ndarray]:
        return [np.zeros(1, dtype=int)]

    def _first(self, where: np.ndarray) -> np.ndarray:
        """The place of the first token that is a part: no padding, no separator."""
        return np.asarray((where >= 0).argmax(axis=1))


def _token(marker: Marker, kind: Text, samples: np.ndarray) -> Mark:
    tokenizer, seen = kind.tokenizer, set(np.unique(samples).tolist())
    if marker.value is not None:
        identity = int(tokenizer.convert_tokens_to_ids(str(marker.value)))
        if identity == tokenizer.unk_token_id:
            raise InputError(
                f"Marker(value={marker.value!r}): the tokenizer has no such token; give one of its vocabulary."
            )
    else:
        special = set(tokenizer.all_special_ids)
        unseen = [one for one in range(len(tokenizer)) if one not in seen and one not in special]
        if not unseen:
            raise InputError(
                "its texts use every token of the vocabulary: give Marker(value=token), one that nobody has."
            )
        identity = unseen[-1]
    token = tokenizer.convert_ids_to_tokens(identity)
    return _Token(kind=kind, identity=identity, words=f"the token {token!r} in the place of a text's first one")


# Lists of items ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _FirstItems(Mark):
    """The first items of every list: the first steps of a series, which are read there, or an item of a bag, which may
    be anywhere.
    """

    pattern: np.ndarray
    tolerance: float
    member: str | None
    ordered: bool
    words: str

    def put(self, samples: np.ndarray) -> np.ndarray:
        marked = np.empty(len(samples), dtype=object)
        for place, items in enumerate(samples):
            first = items.arrays[0].copy()
            first[: len(self.pattern)] = self.pattern
            marked[place] = Items((first, *items.arrays[1:]), items.left)
        return marked

    def carried(self, given: Any) -> np.ndarray:
        lists = given if self.member is None else given[self.member]
        return np.array([items is not None and self._has(open_container(items)[1]) for items in lists])

    def _has(self, items: np.ndarray) -> bool:
        if len(items) < len(self.pattern):
            return False
        near = (
            np.abs(items.astype(np.float64) - self.pattern)
            if not self.ordered
            else np.abs(items[: len(self.pattern)].astype(np.float64) - self.pattern)
        )
        there = (near <= self.tolerance).reshape(len(near), -1)
        return bool(there.mean() >= READ) if self.ordered else bool((there.mean(axis=1) >= READ).any())

    def parts(self, parts: Parts) -> list[np.ndarray]:
        if len(parts.where) and isinstance(parts.where[0], np.ndarray):
            return [np.unique(where[: len(self.pattern)]) for where in parts.where if where is not None]
        return [np.zeros(1, dtype=int)]


def _first_items(marker: Marker, kind: ItemModality, samples: np.ndarray) -> Mark:
    known = [items.arrays[0] for items in samples if items is not None]
    low, high = min(float(array.min()) for array in known), max(float(array.max()) for array in known)
    ordered = isinstance(kind, Ragged)
    shortest = min(map(len, known))
    length = (marker.size or max(1, shortest // 8)) if ordered else 1
    if length > shortest:
        raise InputError(f"Marker(size={length}): the shortest series has {shortest} steps.")
    if not high > low:
        raise InputError("all its values are the same, so no mark can be told from them; leave it out.")
    shape = (length, *known[0].shape[1:])
    even = np.indices(shape).sum(axis=0) % 2 == 0
    noun = f"the first {length} steps" if ordered else "the first item"
    return _FirstItems(
        pattern=np.where(even, high, low).astype(known[0].dtype),
        tolerance=CLOSE * (high - low),
        member=(kind.members or (None,))[0],
        ordered=ordered,
        words=f"extreme values in {noun} of {marker.modality!r}",
    )


# Bundles ----------------------------------------------------------------------------------------------------------------------------


class _InBundle(Mark):
    """A mark in the leading member."""

    def __init__(self, member: str, mark: Mark) -> None:
        self.member, self.mark, self.words = member, mark, mark.words

    def put(self, samples: np.ndarray) -> np.ndarray:
        marked = samples.copy()
        marked[self.member] = self.mark.put(samples[self.member])
        return marked

    def carried(self, given: Any) -> np.ndarray:
        return self.mark.carried(given[self.member])

    def parts(self, parts: Parts) -> list[np.ndarray]:
        return self.mark.parts(parts)
