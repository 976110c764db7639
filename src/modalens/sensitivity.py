"""How much the answer depends on choices that nobody can make for sure: the baseline, the output space, the number of
parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import xarray as xr

from modalens import baselines
from modalens.errors import InputError, choice, listed, require_keywords_of
from modalens.explanation import Explanation
from modalens.measures import InterSHAP, Occlusion, Shapley
from modalens.modalities import Modality, infer
from modalens.pipeline import evaluate, explain, noting
from modalens.problem import EXACT_LIMIT, Problem
from modalens.setting import prepare

QUANTITIES = ("contribution", "anchor", "score")


def sensitivity(
    model: Any,
    inputs: Mapping[str, Any],
    *,
    over: baselines.Choice | Sequence[baselines.Choice] = ("background", "mean"),
    outputs: str | Sequence[str] | None = None,
    parts: int | Sequence[int | None] | None = (None,),
    progress: bool | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """The main numbers under every combination of baseline, output space and partition.

    Parameters
    ----------
    over : the baselines, each as `explain(baseline=...)` takes it. outputs : the spaces, "probability" and "logit"
        where the model has them.
    parts : numbers of parts to cut each modality into, None for the cut of `modalities`. settings : as for `explain`.

    Returns
    -------
    DataFrame with a row a number: baseline, output, parts, measure, quantity (contribution, anchor, score), modality,
        value, lower, upper.
    Each mask is run once, whatever the number of spaces.

    Raises InputError as `explain` does, and where a space is not one of the model's.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"a": np.random.default_rng(0).normal(size=(20, 3)), "b": np.random.default_rng(1).normal(size=(20, 2))}
    >>> table = ml.sensitivity(lambda a, b: 1 / (1 + np.exp(-a.sum(1) - b[:, 0])), inputs, background=inputs, parts=[None, 1])
    >>> sorted(set(table["baseline"])), sorted(set(table["output"]))
    (['background', 'mean'], ['logit', 'probability'])
    """
    _require_settings(
        "sensitivity", settings, {"measures": "it has its own", "baseline": "give over=", "output": "give outputs="}
    )
    over = [over] if isinstance(over, str | baselines.Baseline | Mapping) else list(over)
    outputs = [outputs] if isinstance(outputs, str) else outputs
    parts = [parts] if parts is None or isinstance(parts, int) else list(parts)
    if not over or not parts:
        raise InputError("over and parts: give at least one baseline and one number of parts (None: as cut).")
    given = _kinds(inputs, settings.get("modalities"))
    measures = [Occlusion(), *([Shapley(), InterSHAP()] if 2 <= len(inputs) <= EXACT_LIMIT else [])]
    frames = []
    for count in parts:
        cut = {name: kind if count is None else kind.cut_into(count) for name, kind in given.items()}
        setting = prepare(model, inputs, **(settings | {"modalities": cut, "measures": measures, "baseline": None}))
        assigned = [baselines.assign(one, setting.patients.modalities) for one in over]
        assignments = {baselines.label(one): one for one in assigned}
        setting = replace(setting, assignments=assignments, coalition=tuple(assignments), part=tuple(assignments))
        with noting(), setting.model.session():
            opened = setting.open()
            spaces = opened.problem.spaces if outputs is None else tuple(outputs)
            for space in spaces:
                choice("outputs", space, opened.problem.spaces)
            cases = [(label, space) for label in assignments for space in spaces]

            def views(problem: Problem, cases: list[tuple[str, str]] = cases) -> list[Problem]:
                return [
                    replace(problem, coalition_baselines=(label,), part_baselines=(label,), space=space)
                    for label, space in cases
                ]

            completed, _, values = evaluate(opened, progress, views)
            for (label, space), problem in zip(cases, views(completed.problem), strict=True):
                results = {
                    measure.key: measure.score(problem, replace(values, problem=problem)) for measure in measures
                }
                frame = Explanation(results=results, provenance={}).to_frame()
                frame = frame[frame["quantity"].isin(QUANTITIES)].reindex(
                    columns=["measure", "quantity", "modality", "value", "lower", "upper"]
                )
                frames.append(
                    frame.assign(baseline=label, output=space, parts="as cut" if count is None else str(count))
                )
    table = pd.concat(frames, ignore_index=True)
    return table[["baseline", "output", "parts", "measure", "quantity", "modality", "value", "lower", "upper"]]


def sweep(
    model: Any, inputs: Mapping[str, Any], *, parts: Mapping[str, Sequence[int]], **settings: Any
) -> xr.DataArray:
    """The contribution by occlusion for every combination of numbers of parts, since it depends on them (Gapp et al.
    2025, journal version).

    D_i depends on the cut of modality i only, so each number of parts is run once and the combinations are arithmetic.

    Parameters
    ----------
    parts : modality name -> numbers of parts, such as `{"image": (1, 4, 16, 64), "report": (1, 4)}`; the others stay
        as they are cut. settings : as for `explain`.

    Returns
    -------
    DataArray with an axis `<name>_parts` for each modality named, and `modality`; it sums to 1 over modalities. The axis
        holds the numbers of parts that there really are (an 8 by 8 grid for 70); several that come to one are one.

    Raises InputError for names that are no modality, and as `explain` does.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"a": np.random.default_rng(0).normal(size=(200, 64)), "b": np.random.default_rng(1).normal(size=(200, 64))}
    >>> found = ml.sweep(lambda a, b: a.sum(1) + b.sum(1), inputs, parts={"a": (1, 64)}, baseline="zeros", output="raw")
    >>> found.sel(modality="a").values.round(1)
    array([0.1, 0.5])
    """
    _require_settings("sweep", settings, {"measures": "it is about Occlusion", "confidence": "it has no intervals"})
    unknown = set(parts) - set(inputs)
    if unknown or not parts:
        raise InputError(
            f"parts names {listed(sorted(unknown))}, and the modalities are {listed(inputs)}: give modality -> numbers of parts."
        )
    given = _kinds(inputs, settings.pop("modalities", None))
    levels: dict[str, list[int | None]] = {
        name: _levels(name, parts[name]) if name in parts else [None] for name in inputs
    }
    amounts: dict[str, dict[int, float]] = {name: {} for name in inputs}
    for step in range(max(map(len, levels.values()))):
        now = {name: level[min(step, len(level) - 1)] for name, level in levels.items()}
        cut = {name: kind if (count := now[name]) is None else kind.cut_into(count) for name, kind in given.items()}
        explanation = explain(
            model, inputs, measures=[Occlusion()], modalities=cut, **(settings | {"confidence": None})
        )
        _require_one_set(explanation)
        found = explanation.occlusion
        for name in inputs:
            there = int(found.part_count.sel(modality=name).max())
            amounts[name][there] = float(found.amount.sel(modality=name))
    each = [
        xr.DataArray(list(found.values()), dims=f"{name}_parts", coords={f"{name}_parts": list(found)})
        if name in parts
        else xr.DataArray(next(iter(found.values())))
        for name, found in amounts.items()
    ]
    together = xr.concat(xr.broadcast(*each), dim=xr.Variable("modality", list(inputs)))
    return (together / together.sum("modality")).transpose(..., "modality")


def _require_one_set(explanation: Explanation) -> None:
    """Refuse patients who differ in the modalities that they have: their amounts are of different players."""
    counts = explanation.provenance["available"]
    if len(counts) > 1:
        raise InputError(
            f"sweep compares amounts over the same patients, and these differ in the modalities that they have ({listed(counts)}); give those of one set."
        )


def _levels(name: str, counts: int | Sequence[int]) -> list[int | None]:
    chosen = [counts] if isinstance(counts, int) else list(counts)
    if not chosen or any(not isinstance(count, int) or count < 1 for count in chosen):
        raise InputError(f"parts[{name!r}]={counts!r}: give whole numbers of parts, at least 1, such as (1, 4, 16).")
    return list(dict.fromkeys(chosen))


def _require_settings(called: str, settings: Mapping[str, Any], own: Mapping[str, str]) -> None:
    """Refuse settings that explain does not know, and those that the function decides itself."""
    require_keywords_of(explain, called, settings)
    for name, why in own.items():
        if name in settings:
            raise InputError(f"{called}() does not take {name}=: {why}.")


def _kinds(inputs: Mapping[str, Any], given: Mapping[str, Modality] | None) -> dict[str, Modality]:
    return {name: (given or {}).get(name) or infer(name, samples) for name, samples in inputs.items()}
