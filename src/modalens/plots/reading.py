"""How figures, tables and sentences read an explanation: which results it holds, told by their arrays so that a
measure may bear any name, and each number with its bounds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import xarray as xr

from modalens.errors import InputError, listed, nearest
from modalens.explanation import Explanation
from modalens.measures import Result

Kind = Literal["occlusion", "shapley", "intershap", "interactions", "reliance", "fusion_gradient"]

SIGNS: dict[str, frozenset[str]] = {
    "occlusion": frozenset({"anchor", "parts"}),
    "shapley": frozenset({"values", "mean", "contribution"}),
    "intershap": frozenset({"matrix", "score", "null"}),
    "interactions": frozenset({"orders_by_space", "by_space"}),
    "reliance": frozenset({"verdict", "alone"}),
    "fusion_gradient": frozenset({"by_estimator", "predicted_bias"}),
}
"""The arrays by which the result of a measure is known."""

MEASURES = {
    "occlusion": "Occlusion",
    "shapley": "Shapley",
    "intershap": "InterSHAP",
    "interactions": "Interactions",
    "reliance": "Reliance",
    "fusion_gradient": "FusionGradient",
}

SPACES = {"probability": "probability", "logit": "log-odds", "raw": "output"}

PART_BY_PART, AS_A_WHOLE, SHAPLEY, GRADIENTS = (
    "hidden part by part",
    "hidden as a whole",
    "Shapley value",
    "gradients at the fusion point",
)
"""The ways to ask for a modality's share, in plain words."""

GRADIENTS_AT_INPUTS = "gradients at the inputs"
"""The same of a model that could not be split."""


def results_of(explanation: Explanation, kind: Kind) -> dict[str, Result]:
    """All results of one measure, by the names they were given."""
    return {name: result for name, result in explanation.results.items() if SIGNS[kind] <= set(result.arrays)}


def result_of(explanation: Explanation, kind: Kind) -> Result | None:
    """The first result of one measure, if there is one."""
    return next(iter(results_of(explanation, kind).values()), None)


def require(explanation: Explanation, kind: Kind) -> Result:
    """The first result of one measure. Raises InputError where there is none, and says which measure to ask for."""
    result = result_of(explanation, kind)
    if result is None:
        raise InputError(
            f"this needs the measure {MEASURES[kind]}, and the explanation holds {listed(explanation.results)}: explain(..., measures=[ml.{MEASURES[kind]}(), ...])."
        )
    return result


def bounds_of(result: Result, name: str) -> xr.DataArray | None:
    """Lower and upper bound of a global number, on the axis `bound`; None where there is no interval."""
    found = result.interval.get(name)
    return None if found is None or bool(found.isnull().all()) else found


def contribution_views(explanation: Explanation) -> list[tuple[str, Result, str]]:
    """The answers there are to `how much does each modality carry`: what it is called, the result, and its array."""
    ways: tuple[tuple[Kind, dict[str, str]], ...] = (
        ("occlusion", {PART_BY_PART: "contribution", AS_A_WHOLE: "anchor"}),
        ("shapley", {SHAPLEY: "contribution"}),
        ("fusion_gradient", {gradients_words(explanation): "contribution"}),
    )
    views = []
    for kind, named in ways:
        found = results_of(explanation, kind)
        for name, result in found.items():
            suffix = "" if len(found) == 1 else f" ({name})"
            views += [(f"{words}{suffix}", result, array) for words, array in named.items()]
    return views


def hides(result: Result) -> bool:
    """Whether the shares of a result come from hiding something; gradients follow the output instead."""
    return not SIGNS["fusion_gradient"] <= set(result.arrays)


def estimators_of(result: Result) -> list[str]:
    """The estimators of gradients that a result has side by side, that of its contribution first."""
    own = str(result.settings.get("estimator", "expected"))
    names = [str(name) for name in result.array("by_estimator").estimator.values]
    return sorted(names, key=lambda name: (name != own, -names.index(name)))


def gradients_words(explanation: Explanation) -> str:
    """Where gradients are taken: at the fusion point, or at the inputs of a model that has none."""
    return GRADIENTS if explanation.provenance.get("fusion_point", {}).get("exact", True) else GRADIENTS_AT_INPUTS


def pairs(explanation: Explanation) -> list[tuple[str, str]]:
    """All pairs of modalities."""
    return list(combinations(explanation.modalities, 2))


def space_words(space: str) -> str:
    """An output space in plain words."""
    return SPACES.get(space, space)


def space_of(explanation: Explanation) -> str:
    """The space that is scored."""
    return str(explanation.provenance["space"])


def target_words(explanation: Explanation) -> str:
    """What the scores of single samples are about, such as `probability of the predicted class`."""
    quantity = space_words(space_of(explanation))
    target, outputs = explanation.provenance["target"], explanation.provenance["outputs"]
    if len(outputs) == 1:
        return quantity if space_of(explanation) == "raw" else f"{quantity} of {outputs[0]}"
    if target == "predicted":
        each = "each output" if space_of(explanation) == "raw" else f"{quantity} of each output"
        return f"{quantity} of the predicted class" if explanation.provenance["task"] == "classification" else each
    return f"{quantity} of {outputs[target] if isinstance(target, int) else target if target in outputs else 'the output named for each patient'}"


def one_output(array: xr.DataArray, output: str | None, by: xr.DataArray) -> tuple[xr.DataArray, str | None]:
    """The slice of one output, where each is scored by itself: the named one, or that with the largest `by`; and its
    name.
    """
    if "output" not in array.dims:
        return array, None
    names = [str(name) for name in array.output.values]
    if output is None:
        output = names[int(by.fillna(-np.inf).argmax("output"))]
    if output not in names:
        raise InputError(
            f"output={output!r} is no output of the explanation, which has {listed(names[:12])}{nearest(output, names)}."
        )
    return array.sel(output=output), output


def patches(names: Sequence[str]) -> list[tuple[int, int, int, int]] | None:
    """Where image patches lie, (first row, last row, first column, last column), read from their names; None where
    the parts are no patches.
    """
    found = [re.fullmatch(r"rows (\d+)-(\d+), columns (\d+)-(\d+)", str(name)) for name in names]
    if not found or not all(found):
        return None
    return [
        (int(top), int(bottom), int(left), int(right))
        for top, bottom, left, right in (one.groups() for one in found if one)
    ]
