"""How modalens is called: the same arguments in every case."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

import modalens as ml
from modalens import setting
from modalens.evaluation.slopes import Lines
from modalens.modalities.patients import Patients
from modalens.models.cached import Cached, FirstLayerSplit
from modalens.models.split import Split

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
    return {name: said[name] for name in ("encoder_rows", "head_rows", "check_rows")} | {"shares": shares(problem)}


STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "encoders": ((Cached, "encode"),),
    "head": ((Split, "output"), (FirstLayerSplit, "output"), (FirstLayerSplit, "ready")),
    "gradients": ((Lines, "evaluate"),),
    "checks of the model": ((setting, "check_rows"), (setting, "still_holds")),
    "fingerprints of the data": ((Patients, "digests"),),
    "scores as named arrays": ((ml.Measure, "score"),),
}
"""Where a call spends its time, and the functions that do it."""


def shares(problem: Problem, runs: int = 9) -> dict[str, float]:
    """The seconds of a call that each stage takes, and the rest; medians of some runs."""
    each = []
    for _ in range(runs):
        spent: Counter[str] = Counter()
        started = time.perf_counter()
        with ExitStack() as clocks:
            for stage, functions in STAGES.items():
                for owner, name in functions:
                    clocks.enter_context(clocked(owner, name, stage, spent))
            explain(problem)
        spent["everything else"] = time.perf_counter() - started - spent.total()
        each.append(spent)
    medians = {stage: median(spent[stage] for spent in each) for stage in (*STAGES, "everything else")}
    return {stage: seconds for stage, seconds in medians.items() if seconds}


@contextmanager
def clocked(owner: Any, name: str, stage: str, spent: Counter[str]) -> Iterator[None]:
    """The function, its seconds added up for as long as this is entered."""
    function: Callable[..., Any] = vars(owner)[name]

    def timed(*args: Any, **settings: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*args, **settings)
        finally:
            spent[stage] += time.perf_counter() - started

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, function)
