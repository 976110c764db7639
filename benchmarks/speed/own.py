"""How modalens is called: the same arguments in every case."""

from __future__ import annotations

from typing import Any

import modalens as ml

from .cases import Task
from .problem import Problem


def kinds(problem: Problem) -> dict[str, ml.Modality]:
    """Patches of an image, single tokens, single columns."""
    known: dict[str, ml.Modality] = {"image": ml.Image(patch=16), "report": ml.Series(window=1)}
    return {name: known.get(name, ml.Tabular()) for name in problem.names}


def measure_of(task: Task) -> ml.Measure:
    """The measure that gives a task's values."""
    if task == "gradient":
        return ml.FusionGradient(estimator="integrated")
    return {"shapley": ml.Shapley, "occlusion": ml.Occlusion}[task]()


def explain(problem: Problem, **options: Any) -> ml.Explanation:
    """The task's measure alone and without intervals, unless asked otherwise."""
    settings: dict[str, Any] = {
        "measures": [measure_of(problem.case.task)],
        "modalities": kinds(problem),
        "output": "raw",
        "confidence": None,
        "seed": problem.case.seed,
        "progress": False,
    }
    if problem.case.background:
        settings |= {"background": problem.background, "baseline": ml.Background(rows=problem.rows)}
    else:
        settings |= {"baseline": "zeros"}
    return ml.explain(problem.model, problem.inputs, **settings | options)


def split(problem: Problem) -> None:
    """Find the fusion point and check it, once; later calls use it."""
    ml.fusion_point(problem.model, problem.inputs, modalities=kinds(problem))


def claims(problem: Problem) -> dict[str, Any]:
    """The rows that modalens says it needs: by encoder and of the head for the values, and to check the model."""
    said = explain(problem).provenance
    return {name: said[name] for name in ("encoder_rows", "head_rows", "check_rows")}
