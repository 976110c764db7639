"""Arrays of different shapes and types in one file: the values of all, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

SMALL = (np.uint8, np.uint16, np.float32)
"""The types in which values are stored, the smallest that holds them to the bit; those that none holds stay what they are."""


def as_dataset(arrays: Sequence[np.ndarray]) -> xr.Dataset:
    """Arrays of numbers as variables: `shape` (array, axis; -1 where an array has fewer axes), `type` and `stored` (array), and
    the values of all that are stored in one type, such as `uint8`.

    >>> [array.tolist() for array in from_dataset(as_dataset([np.eye(2), np.array([0.5])]))]
    [[[1.0, 0.0], [0.0, 1.0]], [0.5]]
    """
    stored = [_small(array) for array in arrays]
    axes = max((array.ndim for array in arrays), default=1)
    shapes = [(*array.shape, *[-1] * (axes - array.ndim)) for array in arrays]
    kinds = [array.dtype.name for array in stored]
    values = {
        kind: (f"value_{kind}", np.concatenate([one.ravel() for one in stored if one.dtype.name == kind]))
        for kind in sorted(set(kinds))
    }
    return xr.Dataset(
        {
            "shape": (("array", "axis"), np.array(shapes, dtype=np.int64).reshape(len(arrays), axes)),
            "type": ("array", np.array([array.dtype.name for array in arrays], dtype=object)),
            "stored": ("array", np.array(kinds, dtype=object)),
            **values,
        }
    )


def from_dataset(dataset: xr.Dataset) -> list[np.ndarray]:
    """The arrays that `as_dataset` was given, to the bit."""
    return list(_arrays(dataset))


def _arrays(dataset: xr.Dataset) -> Iterator[np.ndarray]:
    start = dict.fromkeys(map(str, dataset.stored.values), 0)
    for shape, kind, stored in zip(dataset["shape"].values, dataset["type"].values, dataset.stored.values, strict=True):
        size = tuple(int(length) for length in shape if length >= 0)
        end = start[stored] + int(np.prod(size))
        yield dataset[stored].values[start[stored] : end].reshape(size).astype(str(kind))
        start[stored] = end


def _small(array: np.ndarray) -> np.ndarray:
    """The same values in the smallest type that holds them."""
    with np.errstate(invalid="ignore", over="ignore"):
        for kind in SMALL:
            small = array.astype(kind)
            if small.itemsize <= array.itemsize and np.array_equal(small.astype(array.dtype), array):
                return small
        return array.astype(np.float32) if array.dtype == np.float16 else array
