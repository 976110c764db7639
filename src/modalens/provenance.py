"""Where the numbers of an explanation come from: everything a reader needs to run it again or to doubt it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from modalens.evaluation import Plan
from modalens.problem import Values
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
        "link": prepared.readout.link,
        "target": target if isinstance(target := prepared.setting.target, str | int) else "one a patient",
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


@cache
def _version(package: str) -> str:
    """Of an installed package: read from disk once."""
    return importlib.metadata.version(package)


def _value_words(prepared: Prepared) -> str:
    problem = prepared.problem
    quantity = {
        "probability": "probability",
        "logit": "log-odds (log p_c - mean log p)",
        "raw": "the model's own output",
    }.get(problem.space, f"{problem.space} of the output")
    if problem.target is None:
        which = f"of each of {len(problem.outputs)} outputs by itself"
    elif problem.predicted:
        which = "of the class predicted on the whole input"
    else:
        which = (
            ""
            if len(problem.outputs) == 1
            else f"of {problem.outputs[int(problem.target[0])]!r}"
            if len(set(problem.target.tolist())) == 1
            else "of the output named for each patient"
        )
    linked = (
        "the link is applied to each row first, then rows are averaged"
        if prepared.readout.link
        else "rows are averaged"
    )
    return f"v(S) = {' '.join(filter(None, (quantity, which)))}, with what is outside S replaced; {linked}"
