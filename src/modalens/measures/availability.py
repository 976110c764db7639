"""Patients who differ in the modalities that they have: shares are taken among those who have the same.

A modality that a patient lacks is no player of that patient's game: it changes nothing, so the others' Shapley values
and interactions are those of the smaller game, and its own entry is not 0 but not a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from modalens.problem import Problem

Numbers = Callable[[xr.DataArray], dict[str, xr.DataArray]]
"""Weights of samples -> global numbers."""

OF_COMPLETE = ("entropy",)
"""Numbers that compare all modalities: of the patients who have every one of them."""


def over_sets(problem: Problem, numbers: Numbers, weights: xr.DataArray) -> dict[str, xr.DataArray]:
    """The mean over patients of the numbers of their set of modalities; a modality's number is that of the patients
    who have it.
    """
    found, sizes = zip(*((one, size) for _, one, size in _each_set(problem, numbers, weights)), strict=True)
    return {name: _mean([one[name] for one in found], sizes) for name in found[0]}


def by_set(problem: Problem, numbers: Numbers, weights: xr.DataArray) -> dict[str, xr.DataArray]:
    """The contribution in each set of modalities, (available, modality), and how many patients have just these."""
    rows = {" + ".join(names): one for names, one, _ in _each_set(problem, numbers, weights) if "contribution" in one}
    if not rows:
        return {}
    counts = [int(members.sum()) for _, members in problem.sets]
    named = {"available": list(rows)}
    stacked = xr.concat([one["contribution"] for one in rows.values()], dim="available").assign_coords(named)
    return {
        "by_available": stacked.transpose("available", "modality"),
        "available_count": xr.DataArray(counts, dims="available", coords=named),
    }


def of_those_who_have(problem: Problem, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays of single samples, NaN where a sample lacks the modality. The delta method's error is of one set only."""
    available = xr.DataArray(
        problem.available, dims=("sample", "modality"), coords={"modality": list(problem.modalities)}
    )
    found: dict[str, Any] = {}
    for name, array in arrays.items():
        if isinstance(array, xr.DataArray) and array.dtype.kind == "f":
            if {"sample", "modality"} <= set(array.dims):
                array = array.where(available)
            if {"sample", "modality_2"} <= set(array.dims):
                array = array.where(available.rename(modality="modality_2"))
            if {"sample", "coalition"} <= set(array.dims):
                array = array.where(_of_coalitions(available, array.coalition.values))
            if name == "standard_error":
                array = array * np.nan
            found[name] = array.transpose(*arrays[name].dims)
        else:
            found[name] = array
    return found


def _of_coalitions(available: xr.DataArray, coalitions: np.ndarray) -> xr.DataArray:
    each = [available.sel(modality=label.split(" x ")).all("modality") for label in coalitions]
    return xr.concat(each, dim="coalition").assign_coords(coalition=coalitions)


def _each_set(problem: Problem, numbers: Numbers, weights: xr.DataArray) -> Any:
    """Every set of modalities, the numbers of the patients who have just these, and their share of the weights."""
    for names, members in problem.sets:
        own = weights * xr.DataArray(members, dims="sample")
        size = own.sum("sample")
        found = numbers((own / size.where(size > 0)).transpose(*weights.dims))
        yield names, {name: _restricted(problem, name, array, names) for name, array in found.items()}, size


def _restricted(problem: Problem, name: str, array: xr.DataArray, names: tuple[str, ...]) -> xr.DataArray:
    """The entries of the modalities that these patients have."""
    if len(names) == len(problem.modalities):
        return array
    if name in OF_COMPLETE:
        return array * np.nan
    for dim in ("modality", "modality_2", "coalition"):
        if dim in array.dims:
            inside = [set(str(label).split(" x ")) <= set(names) for label in array[dim].values]
            array = array.where(xr.DataArray(inside, dims=dim, coords={dim: array[dim]})).transpose(*array.dims)
    return array


def _mean(arrays: list[xr.DataArray], sizes: tuple[xr.DataArray, ...]) -> xr.DataArray:
    """The mean weighted by sizes, of those that are numbers."""
    first = arrays[0]
    weight = [size.broadcast_like(first).transpose(*first.dims).values for size in sizes]
    values = np.stack([one.transpose(*first.dims).values for one in arrays])
    known = np.stack(weight) * ~np.isnan(values)
    total = known.sum(axis=0)
    return first.copy(
        deep=False, data=np.nansum(known * np.nan_to_num(values), axis=0) / np.where(total > 0, total, np.nan)
    )
