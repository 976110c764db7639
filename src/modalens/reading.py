"""How figures, tables and sentences read an explanation: which results it holds, told by their arrays so that a
measure may bear any name, and each number with its bounds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import xarray as xr

from modalens.errors import InputError, listed, nearest
from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.quantity import ALL, lead_alone, of_output, quantity

Kind = Literal[
    "occlusion",
    "shapley",
    "intershap",
    "interactions",
    "reliance",
    "fusion_gradient",
    "lime",
    "part_shapley",
    "mm_shap",
    "emap",
    "shape",
    "perceptual_score",
]

SIGNS: dict[Kind, frozenset[str]] = {
    "occlusion": frozenset({"anchor", "parts"}),
    "shapley": frozenset({"values", "mean", "contribution"}),
    "intershap": frozenset({"matrix", "score", "null"}),
    "interactions": frozenset({"orders_by_space", "by_space"}),
    "reliance": frozenset({"verdict", "alone"}),
    "fusion_gradient": frozenset({"by_estimator", "predicted_bias"}),
    "lime": frozenset({"coefficients", "intercept"}),
    "part_shapley": frozenset({"parts", "parts_error"}),
    "mm_shap": frozenset({"by_output", "parts", "part_count"}),
    "emap": frozenset({"additive", "gap"}),
    "shape": frozenset({"cooperation", "nothing"}),
    "perceptual_score": frozenset({"permuted", "normalised"}),
}
"""The arrays by which the result of a measure is known: by the first that it has all of."""

MEASURES = {
    "occlusion": "Occlusion",
    "shapley": "Shapley",
    "intershap": "InterSHAP",
    "interactions": "Interactions",
    "reliance": "Reliance",
    "fusion_gradient": "FusionGradient",
    "lime": "LIME",
    "part_shapley": "PartShapley",
    "mm_shap": "MMSHAP",
    "emap": "EMAP",
    "shape": "SHAPE",
    "perceptual_score": "PerceptualScore",
}

PART_BY_PART, AS_A_WHOLE, SHAPLEY, GRADIENTS = (
    "hidden part by part",
    "hidden as a whole",
    "Shapley value",
    "gradients at the fusion point",
)
"""The ways to ask for a modality's share, in plain words."""

LIME, PARTS, MANY_PARTS = "LIME coefficient", "parts' Shapley values (MM-SHAP)", "parts' Shapley values"
"""Three more of them."""

GRADIENTS_AT_INPUTS = "gradients at the inputs"
"""The same of a model that could not be split."""


def kind_of(result: Result) -> Kind | None:
    """Which measure a result is of, told by its arrays; None for a user's own."""
    return next((kind for kind, signs in SIGNS.items() if signs <= set(result.arrays)), None)


def results_of(explanation: Explanation, kind: Kind) -> dict[str, Result]:
    """All results of one measure, by the names they were given."""
    return {name: result for name, result in explanation.results.items() if kind == kind_of(result)}


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
        ("lime", {LIME: "contribution"}),
        ("mm_shap", {PARTS: "contribution"}),
        ("part_shapley", {MANY_PARTS: "contribution"}),
    )
    views = []
    for kind, named in ways:
        found = results_of(explanation, kind)
        for name, result in found.items():
            suffix = "" if len(found) == 1 else f" ({name})"
            views += [(f"{words}{suffix}", result, array) for words, array in named.items()]
    return views


def by_output_views(explanation: Explanation) -> list[tuple[str, Result]]:
    """Those of these answers that there are for each output by itself, in `by_output`."""
    return [(words, result) for words, result, array in contribution_views(explanation) if array == "contribution"]


def sets_of_modalities(explanation: Explanation) -> dict[str, int]:
    """How many samples have which modalities, where they differ in that; nothing where all have all."""
    found = dict(explanation.provenance.get("available", {}))
    return found if len(found) > 1 else {}


def hides(result: Result) -> bool:
    """Whether the shares of a result come from hiding something; gradients follow the output instead."""
    return kind_of(result) != "fusion_gradient"


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


def space_words(explanation: Explanation, space: str | None = None) -> str:
    """What the outputs are in a space, in plain words: that which is scored, unless given."""
    return quantity(space or space_of(explanation), **_said_of_outputs(explanation))


def output_words(explanation: Explanation, output: str) -> str:
    """What one output is, such as `probability of surviving 5 years`."""
    return of_output(space_of(explanation), output, **_said_of_outputs(explanation))


def _said_of_outputs(explanation: Explanation) -> dict[str, Any]:
    about = explanation.provenance
    return {"task": about["task"], "units": about.get("units")}


def lead_outputs(explanation: Explanation) -> tuple[str, ...]:
    """The outputs that are reported each by itself, before any sum over them; none where the sum leads."""
    about = explanation.provenance
    target = about["outputs"][about["target"]] if isinstance(about["target"], int) else about["target"]
    return lead_alone(about["task"], target, about["outputs"])


def space_of(explanation: Explanation) -> str:
    """The space that is scored."""
    return str(explanation.provenance["space"])


def target_words(explanation: Explanation) -> str:
    """What the scores of single samples are about, such as `probability of the predicted class`."""
    about = explanation.provenance
    target, outputs, space = about["target"], about["outputs"], space_of(explanation)
    if len(outputs) == 1:
        return space_words(explanation) if space == "raw" else output_words(explanation, outputs[0])
    if isinstance(target, int) or target in outputs:
        return output_words(explanation, outputs[target] if isinstance(target, int) else target)
    if target not in ("predicted", ALL):
        return f"{space_words(explanation)} of the output named for each patient"
    if about["task"] == "classification":
        return f"{space_words(explanation)} of the predicted class"
    if about["task"] == "survival":
        return output_words(explanation, "to each time" if space == "probability" else "each time")
    units = f" in {about['units']}" if about.get("units") else ""
    return f"each output{units}" if space == "raw" else f"{space_words(explanation)} of each output"


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
