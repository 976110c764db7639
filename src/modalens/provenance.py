"""Where the numbers of an explanation come from: everything a reader needs to run it again or to doubt it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from modalens.errors import listed
from modalens.evaluation import Plan
from modalens.problem import Values
from modalens.quantity import quantity
from modalens.setting import Prepared


def provenance(prepared: Prepared, plan: Plan, values: Values, notes: Sequence[str]) -> dict[str, Any]:
    """All that a reader needs to know where the numbers come from; JSON-ready."""
    problem, patients, model = prepared.problem, prepared.patients, prepared.setting.model
    probe = np.ascontiguousarray(prepared.raw[:8])
    same = prepared.setting.own_background
    return {
        "modalens": _version("modalens"),
        "versions": {name: _version(name) for name in ("numpy", "scipy", "xarray", "pandas", "scikit-learn", "torch")}
        | {"python": platform.python_version()},
        "model": model.name,
        "model_fingerprint": model.fingerprint()
        or f"outputs on probe rows {hashlib.sha256(probe.tobytes()).hexdigest()[:16]}",
        "data": patients.fingerprint,
        "background": {
            "rows": len(prepared.stand_ins.background),
            "data": prepared.stand_ins.background.fingerprint,
            "are_the_explained_samples": same,
        },
        "samples": len(patients),
        "available": {" + ".join(names): int(members.sum()) for names, members in problem.sets},
        "groups": None
        if problem.groups is None
        else hashlib.sha256(repr(np.unique(problem.groups, return_inverse=True)[1].tolist()).encode()).hexdigest()[:16],
        "seed": problem.seed,
        "modalities": patients.describe(),
        "task": problem.task,
        "outputs": list(problem.outputs),
        "space": problem.space,
        "units": prepared.readout.units,
        "link": prepared.readout.link,
        "target": _target_words(prepared.setting.target),
        "value_function": _value_words(prepared),
        "baselines": prepared.stand_ins.words(),
        "measures": {measure.key: measure.settings(problem) for measure in prepared.measures},
        "fusion_point": prepared.engine.describe(),
        "encoder_rows": dict(plan.encoder_rows),
        "head_rows": plan.head_rows,
        "check_rows": prepared.check_rows,
        "batch_size": dict(plan.batch) if plan.separate else plan.batch_size,
        "blocks": values.blocks,
        "said": [*patients.said, *prepared.readout.said],
        "warnings": list(notes),
    }


def _target_words(target: Any) -> str | int:
    if isinstance(target, str):
        return target
    return int(target) if isinstance(target, int | np.integer) else "one a patient"


@cache
def _version(package: str) -> str:
    """Of an installed package: read from disk once."""
    return importlib.metadata.version(package)


def _value_words(prepared: Prepared) -> str:
    measured = " ".join(filter(None, (_quantity_words(prepared), _which_words(prepared))))
    linked = (
        "the link is applied to each row first, then rows are averaged"
        if prepared.readout.link
        else "rows are averaged"
    )
    own = f"; the model's own output is {said}" if (said := prepared.setting.model.says) else ""
    return f"v(S) = {measured}, with what is outside S replaced; {linked}{own}"


def _quantity_words(prepared: Prepared) -> str:
    """What the outputs are."""
    space, task, units = prepared.problem.space, prepared.problem.task, prepared.readout.units
    exact = {
        "logit": "log-odds, log p - log(1 - p)," if task == "multilabel" else "log-odds (log p_c - mean log p)",
        "log-hazard": "log cumulative hazard, log(-log S),",
    }
    if space in exact:
        return exact[space]
    if task == "survival" and space == "raw":
        return "the log-risk that the model returns (higher = earlier event)"
    own = {"probability": quantity("probability", task=task), "raw": "the model's own output"}
    words = own.get(space, f"{space} of the output")
    return f"{words} in {units}" if units else words


def _which_words(prepared: Prepared) -> str:
    """Which of the outputs counts."""
    problem = prepared.problem
    survival, names = problem.task == "survival", listed(problem.outputs[:12])
    if problem.target is None:
        kind = {"multilabel": "labels", "survival": "times"}.get(problem.task, "outputs")
        more = ", ..." if len(problem.outputs) > 12 else ""
        return f"{'at' if survival else 'of'} each of {len(problem.outputs)} {kind} by itself ({names}{more})"
    if problem.predicted:
        return "of the class predicted on the whole input"
    if len(problem.outputs) == 1:
        return ""
    one = len(set(problem.target.tolist())) == 1
    if survival:
        return f"at {problem.outputs[int(problem.target[0])]!r}" if one else "at the time named for each patient"
    return f"of {problem.outputs[int(problem.target[0])]!r}" if one else "of the output named for each patient"
