"""Who is in the data: how many samples of how many patients, with which modalities and labels, beside which background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from modalens.explanation import Explanation


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Counts of the explained samples.

    samples: the rows. groups: the resampling units (patients) that they are of; None where each row is one.
    by_modality: how many have each modality. by_combination: how many have just this set of modalities, the largest set
        first. labelled: how many have a label. by_class: how many of each class or label, or events and censored; empty
        for values. background: rows that stand in for absent modalities; background_is_explained: they are the explained
        samples themselves.
    """

    samples: int
    groups: int | None
    by_modality: Mapping[str, int]
    by_combination: Mapping[str, int]
    labelled: int
    by_class: Mapping[str, int] = field(default_factory=dict)
    background: int
    background_is_explained: bool

    def table(self) -> pd.DataFrame:
        """A row a count: what is counted, its name, how many, and which share of the samples that is (NaN where it is
        no part of them).
        """
        rows: list[tuple[str, str, int, float]] = [("samples", "explained", self.samples, 1.0)]
        if self.groups is not None:
            rows.append(("groups", "resampling units (patients)", self.groups, np.nan))
        rows += [("modality", name, count, count / self.samples) for name, count in self.by_modality.items()]
        rows += [("combination", name, count, count / self.samples) for name, count in self.by_combination.items()]
        rows.append(("label", "labelled", self.labelled, self.labelled / self.samples))
        rows += [("class", name, count, count / self.samples) for name, count in self.by_class.items()]
        own = "the explained samples" if self.background_is_explained else "other samples"
        rows.append(("background", own, self.background, np.nan))
        return pd.DataFrame(rows, columns=["what", "name", "count", "share"])


def flow(explanation: Explanation) -> Flow:
    """How many samples there are, of how many patients, and what they have.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import cohort
    >>> inputs = {"ct": np.ones((4, 2)), "labs": np.ones((4, 1))}
    >>> settings = {"measures": [ml.Occlusion()], "baseline": "zeros", "progress": False}
    >>> known = {"labels": [0, 1, 1, 1], "groups": [1, 1, 2, 3], "present": {"labs": [True, True, True, False]}}
    >>> explanation = ml.explain(lambda ct, labs: ct.mean(1) / 2, inputs, **known, **settings)
    >>> found = cohort.flow(explanation)
    >>> found.groups, found.by_combination, found.by_class
    (3, {'ct + labs': 3, 'ct': 1}, {'0': 1, '1': 3})
    """
    about, held = explanation.provenance, explanation.cohort
    samples = int(about["samples"])
    available = about.get("available") or {" + ".join(explanation.modalities): samples}
    combinations = {str(name): int(count) for name, count in available.items()}
    background = about.get("background", {})
    return Flow(
        samples=samples,
        groups=len(np.unique(held["group"].values)) if "group" in held else None,
        by_modality=_by_modality(explanation, combinations),
        by_combination=combinations,
        labelled=samples if "label" in held else 0,
        by_class=_by_class(explanation),
        background=int(background.get("rows", 0)),
        background_is_explained=bool(background.get("are_the_explained_samples", False)),
    )


def _by_modality(explanation: Explanation, combinations: Mapping[str, int]) -> dict[str, int]:
    """How many have each modality; read off the names of the combinations where the explanation does not hold who has what."""
    if "available" in explanation.cohort:
        available = explanation.cohort["available"]
        return {name: int(available.sel(modality=name).sum()) for name in explanation.modalities}
    return {
        name: sum(count for together, count in combinations.items() if name in together.split(" + "))
        for name in explanation.modalities
    }


def _by_class(explanation: Explanation) -> dict[str, int]:
    """How many there are of each class; of each label, which may overlap; of events and censored samples."""
    held, task = explanation.cohort, explanation.provenance["task"]
    if "label" not in held or task == "regression":
        return {}
    labels, names = held["label"].values, [str(name) for name in explanation.provenance["outputs"]]
    if task == "survival":
        events = int((labels[:, 1] > 0).sum())
        return {"event seen": events, "censored": len(labels) - events}
    if task == "multilabel":
        return {name: int(count) for name, count in zip(names, labels.sum(axis=0), strict=True)}
    names = names if len(names) > 1 else ["0", "1"]
    return {name: int((labels == place).sum()) for place, name in enumerate(names)}
