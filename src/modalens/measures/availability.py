"""Patients who differ in the modalities that they have: shares are taken among those who have the same.

A modality that a patient lacks is no player of that patient's game: it changes nothing, so the others' Shapley values
and interactions are those of the smaller game, and its own entry is not 0 but not a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from modalens.problem import Problem

Numbers = Callable[[xr.DataArray], dict[str, xr.DataArray]]
"""Weights of samples -> global numbers."""

OF_COMPLETE = ("entropy",)
"""Numbers that compare all modalities: of the patients who have every one of them."""


OF_MODALITIES = ("modality", "modality_2", "coalition")
"""Axes whose labels are modalities, or sets of them."""


def over_sets(problem: Problem, numbers: Numbers, weights: xr.DataArray, fewest: int = 1) -> dict[str, xr.DataArray]:
    """The mean over patients of the numbers of their set of modalities; a modality's number is that of the patients
    who have it. Patients with fewer than `fewest` modalities have no such numbers.
    """
    found, sizes = zip(*((one, size) for _, one, size in _each_set(problem, numbers, weights, fewest)), strict=True)
    return {name: _mean([one[name] for one in found], sizes) for name in found[0]}


def by_set(problem: Problem, numbers: Numbers, weights: xr.DataArray, fewest: int = 1) -> dict[str, xr.DataArray]:
    """The contribution in each set of modalities, (available, modality), and how many patients have just these."""
    rows = {
        " + ".join(names): one
        for names, one, _ in _each_set(problem, numbers, weights, fewest)
        if "contribution" in one
    }
    if not rows:
        return {}
    counts = [int(members.sum()) for _, members in problem.sets]
    named = {"available": list(rows)}
    stacked = xr.concat([one["contribution"] for one in rows.values()], dim="available").assign_coords(named)
    return {
        "by_available": stacked.transpose("available", "modality"),
        "available_count": xr.DataArray(counts, dims="available", coords=named),
    }


def where_had(problem: Problem, modality: str, array: xr.DataArray) -> xr.DataArray:
    """An array of one modality's samples, NaN where a sample lacks it."""
    if problem.available is None:
        return array
    return array.where(_available(problem).sel(modality=modality, drop=True)).transpose(*array.dims)


def of_those_who_have(problem: Problem, arrays: Mapping[str, Any], fewest: int = 1) -> dict[str, Any]:
    """Arrays of single samples, NaN where a sample lacks the modality, or has fewer than `fewest`; counts of its parts
    are 0 there. The delta method's error is of one set only.
    """
    available = _available(problem)
    enough = available.sum("modality") >= fewest
    found: dict[str, Any] = {}
    for name, array in arrays.items():
        if isinstance(array, xr.DataArray) and array.dtype.kind == "i" and {"sample", "modality"} <= set(array.dims):
            found[name] = array.where(available, 0).transpose(*array.dims)
        elif isinstance(array, xr.DataArray) and array.dtype.kind == "f":
            if {"sample", "modality"} <= set(array.dims):
                array = array.where(available)
            if {"sample", "modality_2"} <= set(array.dims):
                array = array.where(available.rename(modality="modality_2"))
            if {"sample", "coalition"} <= set(array.dims):
                array = array.where(_of_coalitions(available, array.coalition.values))
            if "sample" in array.dims:
                array = array.where(enough)
            if name == "standard_error":
                array = array * np.nan
            found[name] = array.transpose(*arrays[name].dims)
        else:
            found[name] = array
    return found


def reasons(problem: Problem, arrays: Mapping[str, Any]) -> dict[str, str]:
    """Why a number is NaN where that is since no patient has all the modalities that it is about."""
    why = {"standard_error": "patients differ in the modalities that they have"} if "standard_error" in arrays else {}
    for name, array in arrays.items():
        if not isinstance(array, xr.DataArray) or array.dtype.kind != "f" or "sample" in array.dims:
            continue
        undefined = array.isnull()
        if bool(undefined.any()) and not bool((undefined & _had(problem, name, array)).any()):
            why.setdefault(name, "no patient has all the modalities that it is about")
    return why


def _had(problem: Problem, name: str, array: xr.DataArray) -> xr.DataArray:
    """Where some patient has all the modalities that an entry is about."""
    every = list(problem.modalities) if name in OF_COMPLETE else []
    dims = [dim for dim in array.dims if dim in OF_MODALITIES]
    about = [[str(label).split(" x ") for label in array[dim].values] for dim in dims]
    wanted = [set(every).union(*each) for each in product(*about)]
    had = [any(one <= set(names) for names, _ in problem.sets) for one in wanted]
    return xr.DataArray(np.reshape(had, [len(labels) for labels in about]), dims=dims)


def _available(problem: Problem) -> xr.DataArray:
    return xr.DataArray(problem.available, dims=("sample", "modality"), coords={"modality": list(problem.modalities)})


def _of_coalitions(available: xr.DataArray, coalitions: np.ndarray) -> xr.DataArray:
    each = [available.sel(modality=label.split(" x ")).all("modality") for label in coalitions]
    return xr.concat(each, dim="coalition").assign_coords(coalition=coalitions)


def _each_set(problem: Problem, numbers: Numbers, weights: xr.DataArray, fewest: int) -> Any:
    """Every set of modalities, the numbers of the patients who have just these, and their share of the weights; of too
    few modalities, NaN.
    """
    for names, members in problem.sets:
        own = weights * xr.DataArray(members, dims="sample")
        size = own.sum("sample")
        found = numbers((own / size.where(size > 0)).transpose(*weights.dims))
        known = names if len(names) >= fewest else ()
        yield names, {name: _restricted(problem, name, array, known) for name, array in found.items()}, size


def _restricted(problem: Problem, name: str, array: xr.DataArray, names: tuple[str, ...]) -> xr.DataArray:
    """The entries of the modalities that these patients have."""
    if len(names) == len(problem.modalities):
        return array
    inside = np.full(array.shape, bool(names) and name not in OF_COMPLETE)
    for axis, dim in enumerate(array.dims):
        if dim in OF_MODALITIES:
            own = [set(str(label).split(" x ")) <= set(names) for label in array[dim].values]
            inside &= np.expand_dims(own, [other for other in range(array.ndim) if other != axis])
    return array.copy(deep=False, data=np.where(inside, array.values, np.nan))


def _mean(arrays: list[xr.DataArray], sizes: tuple[xr.DataArray, ...]) -> xr.DataArray:
    """The mean weighted by sizes, of those that are numbers."""
    first = arrays[0]
    values = np.stack([one.transpose(*first.dims).values for one in arrays])
    weights = np.stack([size.values for size in sizes])
    axes = [axis + 1 for axis, dim in enumerate(first.dims) if dim not in sizes[0].dims]
    known = np.expand_dims(weights, axes) * ~np.isnan(values)
    total = known.sum(axis=0)
    return first.copy(deep=False, data=(known * np.nan_to_num(values)).sum(axis=0) / np.where(total > 0, total, np.nan))
