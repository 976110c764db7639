"""The patients to look at first are chosen by rule, each once, and said with their numbers."""

from __future__ import annotations

import numpy as np
from cohorts import combined, stated, summed

import modalens as ml
from modalens import cohort


def by_kind(explanation: ml.Explanation) -> dict[str, cohort.Chosen]:
    return {one.kind: one for one in cohort.chosen(explanation)}


def test_the_most_wrong_by_hand() -> None:
    explanation = stated([[0.6, 0.4], [0.97, 0.03], [0.2, 0.8]], labels=[0, 1, 1], classes=["benign", "malignant"])
    found = by_kind(explanation)["most wrong"]
    assert found.sample == 1
    assert found.words == "Most wrong: the model gives 3 % to “malignant”, the true class."


def test_the_most_wrong_of_several_labels_names_the_label() -> None:
    labels = [[1, 1], [0, 0]]
    explanation = stated([[0.9, 0.7], [0.2, 0.999]], labels=labels, task="multilabel", classes=["p", "q"])
    words = by_kind(explanation)["most wrong"].words
    assert words == "Most wrong: the model gives more than 99 % to “q”, which does not hold."
    explanation = stated([[0.9, 0.002], [0.2, 0.1]], labels=labels, task="multilabel", classes=["p", "q"])
    words = by_kind(explanation)["most wrong"].words
    assert words == "Most wrong: the model gives less than 1 % to “q”, which holds."


def test_values_are_said_in_their_units() -> None:
    explanation = summed([100, 120, 130], [1, 5, 3], labels=[101, 180, 133], units="mmHg")
    assert by_kind(explanation)["most wrong"].words == "Most wrong: the model says 125 mmHg, and 180 mmHg is true."


def test_typical_discordant_and_interactive_by_hand() -> None:
    measures = [ml.Occlusion(), ml.Shapley(), ml.InterSHAP()]
    explanation = summed([1, 3, 1, -2, 2], [1, 1, 3, 9, 2.1], measures=measures)
    # Shares of a: 0.5, 0.75, 0.25, 0.18, 0.488; their mean is 0.434.
    found = by_kind(explanation)
    assert found["most typical"].sample == 4
    assert found["most typical"].words.startswith("Most typical: the modalities' shares (49 % “a”, 51 % “b”) are nearest to the cohort's mean (43 %, 57 %).")  # fmt: skip
    assert found["most discordant"].sample == 3
    assert found["most discordant"].words == "Most discordant: “b” raises the output by 9, and “a” lowers it by 2."
    assert "most interactive" not in found  # nothing interacts in a sum
    assert "most wrong" not in found


def test_the_mean_that_is_said_is_the_one_that_was_used() -> None:
    # Who lacks b has nothing but a: the mean over everybody would be 72 % a and 44 % b.
    explanation = summed([1, 3, 1, 5], [1, 1, 3, 5], present={"b": np.array([True, True, True, False])})
    words = by_kind(explanation)["most typical"].words
    assert words == "Most typical: the modalities' shares (50 % “a”, 50 % “b”) are nearest to the cohort's mean (50 %, 50 %) of the 3 patients who have all of them."  # fmt: skip


def test_a_patient_is_chosen_once() -> None:
    explanation = combined(samples=12)
    frame = cohort.patients(explanation)
    found = cohort.chosen(explanation)
    assert [one.kind for one in found] == ["most typical", "most interactive", "most wrong", "most discordant"]
    assert len({one.sample for one in found}) == 4
    taken: list[int] = [found[0].sample]
    for one, column in zip(found[1:], ("interaction", "error", "discordance"), strict=True):
        assert one.sample == frame[column].drop(taken).idxmax()
        taken.append(one.sample)
    assert f"{100 * frame['interaction'][found[1].sample]:.0f} % of the model's behaviour" in found[1].words
    few = combined(samples=2)
    assert len({one.sample for one in cohort.chosen(few)}) == len(cohort.chosen(few)) <= 2


def test_the_typical_is_one_that_is_predicted_right() -> None:
    rows = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    explanation = stated(rows, labels=[1, 1, 1])
    assert by_kind(explanation)["most typical"].sample in (1, 2)
    wrong = stated(rows, labels=[1, 0, 0])
    assert "most typical" not in by_kind(wrong)


def test_of_outputs_by_themselves_the_one_that_is_pulled_most_is_named() -> None:
    inputs = {"a": np.array([[1.0, 4.0], [1.0, 1.0], [1.0, 1.0]]), "b": np.array([[1.0, -3.0], [2.0, 1.0], [1.0, 1.0]])}
    explanation = ml.explain(lambda a, b: a + b, inputs, measures=[ml.Shapley()], baseline="zeros", output="raw", task="regression", classes=["u", "v"], progress=False)  # fmt: skip
    found = by_kind(explanation)["most discordant"]
    assert found.sample == 0
    assert found.words == "Most discordant: “a” raises the output of v by 4, and “b” lowers it by 3."
