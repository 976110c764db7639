"""Samples of any length: a list with an array for each patient, first axis the item (a time step, a tile, a view).

A patient's items may have several arrays (tiles and their coordinates). What is removed is marked, and left out when
the samples are given to the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import numpy as np

from modalens.errors import InputError, choice, listed
from modalens.modalities.arrays import blocks_for, grid
from modalens.modalities.base import (
    Container,
    Modality,
    Parts,
    close_container,
    open_container,
    require_finite,
    scaled_distances,
)
from modalens.modalities.bundle import constant_like, following, value_of_each

FEW_ITEMS = 32
"""Bags of at most so many items are cut into single items unless asked otherwise, larger ones into clusters."""

CLUSTERED = 20_000
"""Items of all patients on which clusters are fitted."""


@dataclass(frozen=True, eq=False)
class Items:
    """One patient's items: arrays with the item first, one a member, and which items are left."""

    arrays: tuple[np.ndarray, ...]
    left: np.ndarray

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True, kw_only=True)
class ItemModality(Modality):
    """A modality whose samples are lists of items; held as an array of `Items`."""

    shape: ClassVar[str] = ""

    @property
    def members(self) -> tuple[str, ...]:
        return self.container.columns or ()

    # samples -----------------------------------------------------------------------------------------------------------

    def resolve(self, name: str, samples: Any) -> Self:
        container, _ = self._opened(name, samples)
        return replace(self, container=container)

    def canonical(self, name: str, samples: Any) -> np.ndarray:
        container, patients = self._opened(name, samples)
        if container.columns != self.container.columns:
            raise InputError(
                f"modality {name!r}: expected the members {listed(self.container.columns or ())}, came {listed(container.columns or ())}; give the same for all patients."
            )
        for row, items in enumerate(patients):
            for array, member in zip(items.arrays, self.members or (None,), strict=True):
                try:
                    require_finite(name if member is None else f"{name}[{member}]", array)
                except InputError as error:
                    raise InputError(f"{error} This is said of the items of patient {row}.") from error
        return _objects(patients)

    def unchecked(self, samples: Any) -> np.ndarray:
        lists = list(samples.values()) if isinstance(samples, Mapping) else [samples]
        arrays = [[np.atleast_1d(open_container(sample)[1]) for sample in each] for each in lists]
        return _objects([Items(each, np.ones(len(each[0]), bool)) for each in zip(*arrays, strict=True)])

    def _opened(self, name: str, samples: Any) -> tuple[Container, list[Items]]:
        """What the samples are, and the items of each patient, checked against each other."""
        members = tuple(samples) if isinstance(samples, Mapping) else None
        lists = [samples[one] for one in members] if members is not None else [samples]
        for one, each in zip(members or (None,), lists, strict=True):
            if not isinstance(each, list | tuple):
                of = f"its member {one!r}" if one is not None else "the samples"
                raise InputError(
                    f"modality {name!r}: {self.title} expects {of} as {self.shape}, came {type(each).__name__}; list(array) makes one of an array."
                )
        if len(set(map(len, lists))) > 1:
            raise InputError(
                f"modality {name!r}: its members {listed(members or ())} hold {', '.join(str(len(each)) for each in lists)} samples; row k of each must be the same patient."
            )
        if not lists[0]:
            raise InputError(f"modality {name!r} has no samples; give at least one patient.")
        opened = [[open_container(sample) for sample in each] for each in lists]
        patients = [
            Items(
                tuple(values for _, values in patient), np.ones(len(patient[0][1]) if patient[0][1].ndim else 0, bool)
            )
            for patient in zip(*opened, strict=True)
        ]
        for row, items in enumerate(patients):
            self._require_items(name, row, items, patients[0], members)
        form = tuple((one[0][0].kind, one[0][0].dtype) for one in opened)
        return Container(kind="items", dtype=form, columns=members), patients

    def _require_items(self, name: str, row: int, items: Items, first: Items, members: tuple[str, ...] | None) -> None:
        counts = [len(array) if array.ndim else 0 for array in items.arrays]
        if not counts[0]:
            raise InputError(
                f"modality {name!r}: patient {row} has no items, expected at least one; say that it is missing with None in its place, or leave the patient out."
            )
        if len(set(counts)) > 1:
            raise InputError(
                f"modality {name!r}: of patient {row} its members {listed(members or ())} hold {listed(counts)} items; item k of each must be the same."
            )
        for place, (array, known) in enumerate(zip(items.arrays, first.arrays, strict=True)):
            if array.shape[1:] != known.shape[1:]:
                of = f" of its member {members[place]!r}" if members else ""
                raise InputError(
                    f"modality {name!r}: the items{of} of patient {row} have the shape {array.shape[1:]}, those of the first {known.shape[1:]}; only their number may differ: pad or crop."
                )

    def restore(self, samples: np.ndarray) -> Any:
        names, forms = self.container.columns, self.container.dtype
        lists = [
            [
                close_container(Container(kind="tensor" if kind == "tensor" else "array", dtype=dtype), array)
                if array is not None
                else None
                for array in (None if items is None else items.arrays[place][items.left] for items in samples)
            ]
            for place, (kind, dtype) in enumerate(forms)
        ]
        return lists[0] if names is None else dict(zip(names, lists, strict=True))

    def same(self, samples: np.ndarray, others: np.ndarray) -> np.ndarray:
        pairs = zip(samples, np.broadcast_to(others, samples.shape), strict=True)
        return np.array([one is not None and other is not None and _equal(one, other) for one, other in pairs])

    def row_bytes(self, samples: np.ndarray) -> int:
        return int(np.mean([sum(array.nbytes for array in items.arrays) for items in samples if items is not None]))

    def digest(self, samples: np.ndarray) -> str:
        digest = hashlib.sha256()
        for items in samples:
            digest.update(b"none" if items is None else b"items")
            for array in () if items is None else (*items.arrays, items.left):
                digest.update(f"{array.shape}{array.dtype}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def distances(self, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        """Of the patients' mean items."""
        return scaled_distances(
            *(np.stack([items.arrays[0].mean(axis=0) for items in each]) for each in (samples, background))
        )

    # parts -------------------------------------------------------------------------------------------------------------

    @property
    def aligned(self) -> bool:
        return False

    def replace(self, samples: np.ndarray, replacements: np.ndarray, parts: Parts, absent: Sequence[int]) -> np.ndarray:
        wheres = parts.where if len(parts.where) == len(samples) else np.repeat(parts.where, len(samples))
        return _objects(
            [
                _replaced(items, other, np.isin(where, absent))
                for items, other, where in zip(samples, replacements, wheres, strict=True)
            ]
        )

    # fills: one item, which stands in for each that is absent ------------------------------------------------------------

    def mean(self, background: np.ndarray) -> np.ndarray:
        arrays = [np.concatenate(each) for each in zip(*(items.arrays for items in background), strict=True)]
        return self._one(tuple(_mean_item(array) for array in arrays))

    def constant(self, samples: np.ndarray, value: Any) -> np.ndarray:
        arrays = samples[0].arrays
        of = value_of_each(self.members, value) if self.members else {"": value}
        values = [of[one] for one in self.members or ("",)]
        return self._one(
            tuple(constant_like(array.dtype, array.shape[1:], one) for array, one in zip(arrays, values, strict=True))
        )

    def sample_mean(self, samples: np.ndarray) -> np.ndarray:
        return _objects([Items(tuple(map(_mean_item, items.arrays)), np.ones(1, bool)) for items in samples])

    def removed(self, samples: np.ndarray) -> np.ndarray:
        return _objects([Items(items.arrays, np.zeros(len(items), bool)) for items in samples])

    def missing(self) -> np.ndarray:
        return np.array([None], dtype=object)

    def _one(self, arrays: tuple[np.ndarray, ...]) -> np.ndarray:
        return _objects([Items(arrays, np.ones(1, bool))])

    # words -------------------------------------------------------------------------------------------------------------

    def shape_text(self, samples: np.ndarray) -> str:
        counts = [len(items) for items in samples]
        shape = "x".join(map(str, samples[0].arrays[0].shape[1:])) or "1"
        return f"of {min(counts)} to {max(counts)} items of {shape}"


@dataclass(frozen=True, kw_only=True)
class Ragged(ItemModality):
    """Series of any length, made by `Series` where it is given a list of arrays that differ in length."""

    by: Literal["window", "channel"] = "window"
    window: int | None = None
    names: tuple[str, ...] | None = None
    shape: ClassVar[str] = "a list of arrays (time,) or (time, channels), one a patient"

    @property
    def noun(self) -> str:
        return self.by

    @property
    def title(self) -> str:
        return "Series"

    def cut(self, samples: np.ndarray) -> Parts:
        if self.by == "channel" and self.parts != 1:
            return self._channels(samples)
        cuts = [self._windows(len(items)) for items in samples]
        names, where = zip(*cuts, strict=True)
        return Parts(names=names, where=_objects(list(where)))

    def _windows(self, steps: int) -> tuple[tuple[str, ...], np.ndarray]:
        block = blocks_for(self.parts, [steps]) if self.parts else [self.window or -(-steps // min(8, steps))]
        where, edges = grid([steps], block)
        return tuple(f"steps {start}-{stop - 1}" for ((start, stop),) in edges), where

    def removed(self, samples: np.ndarray) -> np.ndarray:
        if self.by == "channel":
            raise InputError(
                "channels can't be removed from a series, only time steps: use 'mean', or Series(by='window')."
            )
        return super().removed(samples)

    def _channels(self, samples: np.ndarray) -> Parts:
        shape = samples[0].arrays[0].shape[1:]
        channels = shape[0] if shape else 1
        known = self.names or tuple(f"channel {channel}" for channel in range(channels))
        if len(known) != channels:
            raise InputError(
                f"Series(names={self.names!r}): {len(known)} names for {channels} channels; give one name a channel."
            )
        where, edges = grid([channels], blocks_for(self.parts, [channels]) if self.parts else [1])
        names = tuple(", ".join(known[start:stop]) for ((start, stop),) in edges)
        return Parts(names=(names,), where=_objects([where[None] if shape else np.zeros(1, np.int32)] * len(samples)))


@dataclass(frozen=True, kw_only=True)
class Bag(ItemModality):
    """Items without an order, any number a patient: the tiles of a slide, the views of a study.

    A list with an array (items, ...) for each patient, or a dict of such lists (tiles and their coordinates). Absent
    items are removed. `by` says what a part is: "item", "cluster" (items of all patients that are alike, k-means),
    "region" (squares of the coordinates in the second member, of side `region`, in their units), or the name of a
    member that holds each item's group as a whole number. Without it: items where no bag has more than 32, else 8
    clusters.
    """

    by: str | None = None
    region: float | None = None
    typical: ClassVar[str] = "removed"
    shape: ClassVar[str] = "a list of arrays (items, ...), one a patient"

    @property
    def noun(self) -> str:
        return "item" if self.by is None else self.by

    def resolve(self, name: str, samples: Any) -> Self:
        container, patients = self._opened(name, samples)
        by = self.by or ("item" if max(map(len, patients)) <= FEW_ITEMS else "cluster")
        choice(f"Bag(by=) of modality {name!r}", by, ("item", "cluster", "region", *(container.columns or ())))
        if by == "region" and (len(patients[0].arrays) < 2 or patients[0].arrays[1].ndim != 2):
            raise InputError(
                f"modality {name!r}: Bag(by='region') needs each item's coordinates, (items, axes), as the second member: {{'tiles': [...], 'coordinates': [...]}}."
            )
        if by not in ("item", "cluster", "region"):
            labels = patients[0].arrays[(container.columns or ()).index(by)]
            if labels.ndim != 1 or labels.dtype.kind not in "iub":
                raise InputError(
                    f"modality {name!r}: Bag(by={by!r}) needs each item's group as a whole number, (items,), came {labels.dtype} of shape {labels.shape}; number them, or use by='cluster'."
                )
        return replace(self, container=container, by=by)

    def cut(self, samples: np.ndarray) -> Parts:
        if self.by == "cluster":
            return self._clusters(samples)
        name_items = {"item": self._items, "region": self._regions}.get(str(self.by), self._groups)
        names, where = zip(*(name_items(items) for items in samples), strict=True)
        return Parts(names=names, where=_objects(list(where)))

    def _items(self, items: Items) -> tuple[tuple[str, ...], np.ndarray]:
        where, edges = grid([len(items)], blocks_for(self.parts, [len(items)]) if self.parts else [1])
        return tuple(
            f"item {start}" if stop - start == 1 else f"items {start}-{stop - 1}" for ((start, stop),) in edges
        ), where

    def _regions(self, items: Items) -> tuple[tuple[str, ...], np.ndarray]:
        places = items.arrays[1].astype(np.float64)
        extent = places.max(axis=0) - places.min(axis=0)
        side = self.region or max(float(extent.max()) / (self.parts or 16) ** (1 / places.shape[1]), 1e-12)
        cells = np.floor((places - places.min(axis=0)) / side * (1 - 1e-9)).astype(int)
        found, where = np.unique(cells, axis=0, return_inverse=True)
        lows = places.min(axis=0) + found * side
        names = (" x ".join(f"{low:.4g}-{low + side:.4g}" for low in corner) for corner in lows)
        return tuple(names), where.reshape(-1).astype(np.int32)

    def _groups(self, items: Items) -> tuple[tuple[str, ...], np.ndarray]:
        labels = items.arrays[(self.container.columns or ()).index(self.by)]
        found, where = np.unique(labels, return_inverse=True)
        run, edges = grid([len(found)], blocks_for(self.parts, [len(found)]) if self.parts else [1])
        names = (", ".join(map(str, found[start:stop])) for ((start, stop),) in edges)
        return tuple(f"{self.by} {labels}" for labels in names), run[where.reshape(-1)]

    def _clusters(self, samples: np.ndarray) -> Parts:
        from sklearn.cluster import MiniBatchKMeans

        everything = np.concatenate([items.arrays[0].reshape(len(items), -1) for items in samples]).astype(np.float64)
        few = everything[np.random.default_rng(0).permutation(len(everything))[:CLUSTERED]]
        count = min(self.parts or 8, len(np.unique(few, axis=0)))
        found = MiniBatchKMeans(count, random_state=0, n_init=3).fit(few)
        labels = found.predict(everything).astype(np.int32)
        edges = np.cumsum([0, *(len(items) for items in samples)])
        where = [labels[start:stop] for start, stop in pairwise(edges)]
        return Parts(names=(tuple(f"cluster {number}" for number in range(count)),), where=_objects(where))


def is_ragged(samples: Any) -> bool:
    """Whether these are arrays of different length, one a patient."""
    if not isinstance(samples, list | tuple) or not len(samples):
        return False
    shapes = [getattr(sample, "shape", None) for sample in samples if sample is not None]
    return bool(shapes) and all(shape is not None and len(shape) > 0 for shape in shapes) and len(set(shapes)) > 1


def _objects(values: Sequence[Any]) -> np.ndarray:
    """An array of objects, whatever they are."""
    found = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        found[place] = value
    return found


def _mean_item(array: np.ndarray) -> np.ndarray:
    mean = array.mean(axis=0, keepdims=True, dtype=np.float64)
    return (np.rint(mean) if array.dtype.kind in "iub" else mean).astype(array.dtype)


def _replaced(items: Items, other: Items, gone: np.ndarray) -> Items:
    """Items with some of them, or some of their channels, from others; of one item, which stands in for all."""
    arrays = []
    for array, stand_in in zip(items.arrays, other.arrays, strict=True):
        follows = following(gone[None], (1, *array.shape))
        arrays.append(array if follows is None else np.where(follows[0], stand_in, array))
    whole_items = gone if gone.ndim == 1 else gone.all(axis=tuple(range(1, gone.ndim)))
    left = np.where(np.broadcast_to(whole_items, items.left.shape), other.left, items.left)
    return Items(tuple(arrays), left)


def _equal(one: Items, other: Items) -> bool:
    return all(np.array_equal(a, b) for a, b in zip((*one.arrays, one.left), (*other.arrays, other.left), strict=True))
