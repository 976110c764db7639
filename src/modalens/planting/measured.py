"""What measures say of the planted modalities: their shares, and the share of the part in which the mark lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.modalities.patients import Patients
from modalens.planting.marked import Marks
from modalens.reading import contribution_views, result_of

INTERSHAP, PAIR, BEYOND = "InterSHAP, by itself", "InterSHAP, the pair", "InterSHAP, beyond additive"
OWN_PART = "part by part, the mark's own"

Bounded = tuple[float, float, float]
"""A share with its lower and upper bound."""

NOTHING: Bounded = (np.nan, np.nan, np.nan)


def shares(explanation: Explanation, names: Sequence[str]) -> dict[str, Bounded]:
    """The share that each view gives to these modalities together. InterSHAP's is that of a modality by itself; of two,
    their interaction, and what is beyond an additive model. Two modalities that are all there are have no share.
    """
    found: dict[str, Bounded] = {}
    for words, result, array in contribution_views(explanation) if set(names) < set(explanation.modalities) else ():
        found[words] = _bounded(result, array, lambda one: one.sel(modality=list(names)).sum("modality", skipna=False))
    combined = result_of(explanation, "intershap")
    if combined is not None and len(names) == 1:
        found[INTERSHAP] = _bounded(combined, "contribution", lambda one: one.sel(modality=names[0], drop=True))
    if combined is not None and len(names) == 2:
        space = explanation.provenance["space"]
        found[PAIR] = _bounded(combined, "matrix", lambda matrix: _pair(matrix, names))
        beyond = _bounded(combined, "excess", lambda one: one.sel(space=space, drop=True))
        found |= {} if np.isnan(beyond[0]) else {BEYOND: beyond}
    return found


def of_marked_parts(
    explanation: Explanation, marks: Marks, patients: Patients, groups: np.ndarray | None, seed: int
) -> tuple[Bounded, bool]:
    """The share of the parts in which the marks lie in the change of the output, hidden part by part, and whether they
    are the top parts of their modalities; NaN where no part changes anything.
    """
    result = result_of(explanation, "occlusion")
    if result is None:
        return NOTHING, False
    amounts = {name: np.nan_to_num(abs(one).sum("output").values) for name, one in result.by_modality("parts").items()}
    where = {name: _places(marks, patients, name, amounts[name].shape) for name in marks.names}
    total = np.sum([one.sum(axis=1) for one in amounts.values()], axis=0)
    if not total.sum() > 0:
        return NOTHING, False
    own = np.sum([(amounts[name] * inside).sum(axis=1) for name, inside in where.items()], axis=0)
    on_top = all(_on_top(amounts[name], inside) for name, inside in where.items())
    value = float(own.sum() / total.sum())
    if result.confidence is None or statistics.cluster_count(groups, len(own)) < statistics.MIN_CLUSTERS:
        return (value, np.nan, np.nan), on_top
    weights = statistics.bootstrap_weights(groups, len(own), seed).values
    sums = weights @ total
    return (value, *_bounds((weights @ own) / np.where(sums > 0, sums, np.nan), result.confidence)), on_top


def stacked(by_step: Mapping[float, Mapping[str, Bounded]]) -> xr.Dataset:
    """Shares of several steps as one, (step, view) with value, lower and upper."""
    steps = {step: beside(found) for step, found in by_step.items()}
    joined = xr.concat(list(steps.values()), dim="step", join="outer").assign_coords(step=list(steps))
    order = dict.fromkeys(view for found in by_step.values() for view in found)
    return joined.sel(view=list(order))


def beside(found: Mapping[str, Bounded]) -> xr.Dataset:
    """Shares by view, (view) with value, lower and upper."""
    rows = np.array(list(found.values())).reshape(len(found), 3)
    views = {"view": list(found)}
    columns = enumerate(("value", "lower", "upper"))
    return xr.Dataset({name: xr.DataArray(rows[:, place], dims="view", coords=views) for place, name in columns})


def views_words(views: Sequence[str]) -> str:
    return ", ".join(f"“{view}”" for view in views)


def _bounded(result: Result, array: str, of: Callable[[xr.DataArray], xr.DataArray]) -> Bounded:
    """A number made of an array of global numbers, with bounds from the same made of its draws; several outputs count
    equally.
    """

    def number(one: xr.DataArray) -> xr.DataArray:
        made = of(one)
        return made.mean("output", skipna=False) if "output" in made.dims else made

    value = float(number(result.array(array)))
    if result.confidence is None or array not in result.draws:
        return value, np.nan, np.nan
    return (value, *_bounds(number(result.draws[array]).values, result.confidence))


def _bounds(draws: np.ndarray, confidence: float) -> tuple[float, float]:
    found = statistics.interval(xr.Dataset({"share": ("draw", draws)}), confidence)["share"]
    return float(found.sel(bound="lower")), float(found.sel(bound="upper"))


def _pair(matrix: xr.DataArray, names: Sequence[str]) -> xr.DataArray:
    first, second = names
    both = matrix.sel(modality=first, modality_2=second, drop=True) + matrix.sel(
        modality=second, modality_2=first, drop=True
    )
    total = matrix.sum(("modality", "modality_2"), skipna=False)
    return both / total.where(total > 0)


def _places(marks: Marks, patients: Patients, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Which parts of each patient the mark lies in, (patients, parts)."""
    inside = np.zeros(shape, dtype=bool)
    lies = marks.by_modality[name].parts(patients.parts[name])
    for row in range(shape[0]):
        inside[row, lies[row if len(lies) > 1 else 0]] = True
    return inside


def _on_top(amounts: np.ndarray, inside: np.ndarray) -> bool:
    """Whether the part that changes the output most, on the mean over patients, is one in which the mark lies."""
    by_part = np.nan_to_num(amounts).mean(axis=0)
    return bool(by_part.max() > 0 and inside[:, by_part.argmax()].mean() > 0.5)
