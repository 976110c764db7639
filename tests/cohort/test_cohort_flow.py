"""Who is in the data is counted by patient, modality, set of modalities and label."""

from __future__ import annotations

import numpy as np
import pytest
from cohorts import OCCLUSION, stated, summed

import modalens as ml
from modalens import cohort


def test_counts_by_hand() -> None:
    inputs = {name: np.ones((6, 1)) for name in ("ct", "labs", "report")}
    present = {"labs": [1, 1, 0, 0, 1, 1], "report": [1, 1, 1, 0, 0, 0]}
    explanation = ml.explain(
        lambda ct, labs, report: np.stack([ct[:, 0] * 0.2, ct[:, 0] * 0.8], 1),
        inputs,
        labels=[0, 1, 1, 1, 1, 1],
        classes=["benign", "malignant"],
        groups=[1, 1, 2, 2, 3, 4],
        present={name: np.array(values, bool) for name, values in present.items()},
        **OCCLUSION,
    )
    found = cohort.flow(explanation)
    assert (found.samples, found.groups, found.labelled) == (6, 4, 6)
    assert found.by_modality == {"ct": 6, "labs": 4, "report": 3}
    assert found.by_combination == {"ct + labs + report": 2, "ct + labs": 2, "ct + report": 1, "ct": 1}
    assert found.by_class == {"benign": 1, "malignant": 5}
    table = found.table()
    assert table.set_index("name").loc["ct + labs", "count"] == 2
    assert table.set_index("name").loc["ct + labs", "share"] == pytest.approx(1 / 3)
    assert table[table["what"] == "combination"]["count"].sum() == 6


def test_background_rows() -> None:
    explanation = summed([1, 2, 3], [3, 2, 1])
    found = cohort.flow(explanation)
    assert found.background_is_explained
    assert found.background == 3
    assert found.by_combination == {"a + b": 3}
    assert found.groups is None
    assert found.labelled == 0
    assert found.by_class == {}
    inputs, background = ({name: np.full((rows, 1), 1.0 * rows) for name in "ab"} for rows in (2, 7))
    own = ml.explain(lambda a, b: a[:, 0], inputs, background=background, output="raw", measures=[ml.Occlusion()])
    assert cohort.flow(own).background == 7
    assert not cohort.flow(own).background_is_explained


def test_labels_may_overlap_and_events_are_counted() -> None:
    labels = stated([[0.1, 0.9], [0.3, 0.4]], labels=[[1, 1], [0, 1]], task="multilabel", classes=["p", "q"])
    assert cohort.flow(labels).by_class == {"p": 1, "q": 2}
    survival = stated([[0.9, 0.5], [0.6, 0.2], [0.5, 0.1]], task="survival", labels=([1.0, 2.0, 3.0], [1, 0, 0]))
    assert cohort.flow(survival).by_class == {"event seen": 1, "censored": 2}


def test_without_a_cohort_what_provenance_says_is_counted() -> None:
    whole = summed([1, 2, 3], [3, 2, 1], present={"b": [True, True, False]}, labels=[1.0, 2.0, 3.0])
    found = cohort.flow(ml.Explanation(results=whole.results, provenance=whole.provenance))
    assert found.samples == 3
    assert found.by_combination == {"a + b": 2, "a": 1}
    assert found.by_modality == {"a": 3, "b": 2}
    assert found.labelled == 0
