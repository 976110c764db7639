"""A row a patient says what the model says, what is true and what was looked at, for every task."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts import OCCLUSION, ZEROS, combined, stated, summed
from hypothesis import given
from hypothesis import strategies as st

import modalens as ml
from modalens import cohort


def test_classes_by_hand() -> None:
    frame = cohort.patients(
        stated([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.1, 0.8, 0.1]], labels=[0, 1, 1], classes=["x", "y", "z"])
    )
    assert frame["patient"].tolist() == ["0", "1", "2"]
    assert frame["label"].tolist() == ["x", "y", "y"]
    assert frame["predicted"].tolist() == ["x", "z", "y"]
    assert frame["probability"].tolist() == [0.7, 0.4, 0.8]
    assert frame["correct"].tolist() == [True, False, True]
    assert frame["correct"].dtype == bool
    assert frame["error"].to_numpy() == pytest.approx([0.3, 0.7, 0.2])
    assert frame["said share"].tolist() == [1.0, 1.0, 1.0]
    assert frame["unread share"].tolist() == [0.0, 0.0, 0.0]
    assert "interaction" not in frame
    assert "discordance" not in frame


def test_several_labels_by_hand() -> None:
    frame = cohort.patients(
        stated(
            [[0.9, 0.6], [0.2, 0.4], [0.7, 0.1]], labels=[[1, 1], [0, 1], [1, 0]], task="multilabel", classes=["p", "q"]
        )
    )
    assert frame["label"].tolist() == ["p + q", "q", "p"]
    assert frame["predicted"].tolist() == ["p + q", "none", "p"]
    assert frame["correct"].tolist() == [True, False, True]
    assert frame["error"].to_numpy() == pytest.approx([0.25, 0.4, 0.2])
    assert "probability" not in frame


def test_values_by_hand() -> None:
    frame = cohort.patients(summed([1, 2, 3], [1, -4, 3], labels=[2.5, -2, 4], measures=[ml.Occlusion(), ml.Shapley()]))
    assert frame["label"].tolist() == [2.5, -2.0, 4.0]
    assert frame["predicted"].tolist() == [2.0, -2.0, 6.0]
    assert frame["error"].tolist() == [0.5, 0.0, 2.0]
    assert frame["a share"].to_numpy() == pytest.approx([0.5, 1 / 3, 0.5])
    assert frame["discordance"].to_numpy() == pytest.approx([0, 2, 0])
    assert "correct" not in frame


def test_several_values_are_compared_on_the_scale_of_their_labels() -> None:
    inputs = {"a": np.array([[1.0, 10.0], [2.0, 30.0], [4.0, 20.0]]), "b": np.ones((3, 1))}
    labels = np.array([[1.0, 10.0], [3.0, 30.0], [5.0, 50.0]])
    explanation = ml.explain(
        lambda a, b: a, inputs, labels=labels, task="regression", output="raw", classes=["u", "v"], **OCCLUSION
    )
    frame = cohort.patients(explanation)
    assert frame["label v"].tolist() == [10.0, 30.0, 50.0]
    assert frame["predicted u"].tolist() == [1.0, 2.0, 4.0]
    expected = np.sqrt((((labels - inputs["a"]) / labels.std(0)) ** 2).mean(1))
    assert frame["error"].to_numpy() == pytest.approx(expected)
    flat = ml.explain(lambda a, b: a, inputs, labels=labels * [1, 0], task="regression", output="raw", **OCCLUSION)
    assert cohort.patients(flat)["error"].isna().all()


def test_survival_has_times_events_and_a_risk() -> None:
    frame = cohort.patients(summed([1, 2], [3, -5], task="survival", labels=([5.0, 7.0], [True, False])))
    assert frame["time"].tolist() == [5.0, 7.0]
    assert frame["event"].tolist() == [True, False]
    assert frame["predicted"].tolist() == [4.0, -3.0]
    assert "error" not in frame
    several = stated([[0.9, 0.5], [0.6, 0.2]], task="survival", classes=["1 year", "5 years"])
    assert cohort.patients(several)["predicted"].to_numpy() == pytest.approx([0.3, 0.6])


def test_a_missing_modality_has_no_share() -> None:
    frame = cohort.patients(summed([1, 2, 3], [1, 2, 9], present={"b": [True, False, True]}))
    assert frame["b share"].isna().tolist() == [False, True, False]
    assert frame["a share"].to_numpy() == pytest.approx([0.5, 1.0, 0.25])


def test_shares_are_of_shapley_values_where_nothing_was_occluded() -> None:
    frame = cohort.patients(summed([1, 2], [1, -6], measures=[ml.Shapley()]))
    assert frame["b share"].to_numpy() == pytest.approx([0.5, 0.75])


def test_interaction_is_each_patients_own() -> None:
    explanation = combined()
    frame = cohort.patients(explanation)
    assert frame["interaction"].to_numpy() == pytest.approx(explanation.intershap.by_sample.values)
    assert frame["discordance"].max() > 0


def test_names_groups_and_characteristics() -> None:
    known = pd.DataFrame({"age": [50, 60, 70], "label": ["u", "v", "w"]}, index=["p7", "p8", "p9"])
    explanation = stated([0.1, 0.9, 0.4], labels=[0, 1, 1], characteristics=known, groups=["x", "y", "x"])
    frame = cohort.patients(explanation)
    assert frame["patient"].tolist() == ["p7", "p8", "p9"]
    assert frame["group"].tolist() == [0, 1, 0]
    assert frame["age"].tolist() == [50, 60, 70]
    assert frame["label (given)"].tolist() == ["u", "v", "w"]
    assert frame["label"].tolist() == ["0", "1", "1"]
    assert frame.index.tolist() == [0, 1, 2]


def test_without_predictions_there_is_what_the_measures_say() -> None:
    whole = combined()
    bare = ml.Explanation(results=whole.results, provenance=whole.provenance)
    frame = cohort.patients(bare)
    assert {"patient", "a share", "interaction", "discordance"} == set(frame.columns) - {"b share", "c share"}
    assert [one.kind for one in cohort.chosen(bare)] == ["most typical", "most interactive", "most discordant"]
    for question in (cohort.performance, cohort.calibration, cohort.subgroups):
        with pytest.raises(ml.InputError, match=r"needs the model's predictions"):
            question(bare)


def test_a_saved_explanation_says_the_same(tmp_path) -> None:
    known = pd.DataFrame({"age": [50.0, 60.0, 70.0], "sex": ["f", "m", None]}, index=["p7", "p8", "p9"])
    explanation = stated([0.1, 0.9, 0.4], labels=[0, 1, 1], characteristics=known)
    saved = ml.load(explanation.save(tmp_path / "cohort.nc"))
    pd.testing.assert_frame_equal(cohort.patients(saved), cohort.patients(explanation), check_dtype=False)


@given(st.lists(st.tuples(st.integers(-8, 8), st.integers(-8, 8)), min_size=2, max_size=6).filter(lambda rows: all(any(column) for column in zip(*rows, strict=True))))  # fmt: skip
def test_discordance_is_what_the_smaller_side_pulls(rows: list[tuple[int, int]]) -> None:
    a, b = np.array(rows, dtype=float).T
    frame = cohort.patients(summed(a, b, measures=[ml.Shapley()], **{"task": "regression", **ZEROS}))
    expected = [min(abs(one), abs(other)) if one * other < 0 else 0 for one, other in rows]
    assert frame["discordance"].to_numpy() == pytest.approx(expected, abs=1e-12)
