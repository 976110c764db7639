"""Whether two results hold the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from modalens.measures import Result

EQUAL = 1e-9
"""Numbers of 64 bits that differ by less, of their largest, are the same."""


def arrays_of(result: Result) -> Iterator[tuple[str, Any]]:
    """All arrays of a result, those by modality under `name[modality]`."""
    for name, array in result.arrays.items():
        if isinstance(array, xr.DataArray) or not hasattr(array, "items"):
            yield name, array
        else:
            yield from ((f"{name}[{modality}]", own) for modality, own in array.items())


def differing(one: Result, other: Result, tolerance: float = EQUAL) -> list[str]:
    """The arrays that are not the same in both."""
    others = dict(arrays_of(other))
    return [
        name
        for name, array in arrays_of(one)
        if isinstance(array, xr.DataArray) and (name not in others or not alike(array, others[name], tolerance))
    ]


def alike(one: xr.DataArray, other: xr.DataArray, tolerance: float = EQUAL) -> bool:
    """Whether two arrays hold the same, whatever the order along axes that have names."""
    if set(one.dims) != set(other.dims) or (one.dtype.kind == "f") != (other.dtype.kind == "f"):
        return False
    one, other = _with_one_name(one), _with_one_name(other.transpose(*one.dims))
    shared = {dim: one[dim] for dim in one.dims if dim != "sample" and dim in one.coords and dim in other.coords}
    try:
        other = other.sel(shared)
    except KeyError:
        return False
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool((one.values.astype(str) == other.values.astype(str)).all())
    if not tolerance:
        return bool(np.array_equal(one.values, other.values, equal_nan=True))
    largest = max(1.0, float(np.nanmax(np.abs(one.values), initial=0.0)))
    return bool(np.allclose(one.values, other.values, rtol=0, atol=tolerance * largest, equal_nan=True))


def _with_one_name(array: xr.DataArray) -> xr.DataArray:
    """Sets of modalities under one name each, in whatever order their members are: `a x b` is `b x a`."""
    if "coalition" not in array.coords:
        return array
    return array.assign_coords(coalition=[" x ".join(sorted(str(one).split(" x "))) for one in array.coalition.values])
