"""What modalities are useful for: scores of models that are trained with and without them, worked out by hand where they
can be.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import modalens as ml
from modalens.datasets import load, missing
from modalens.folds import bootstrap_interval, corrected_interval, held_out

RANDOM = np.random.default_rng(0)
LABELS = np.arange(90) % 2
INPUTS = {
    "lab": LABELS[:, None] + RANDOM.normal(size=(90, 1)),
    "copy": LABELS[:, None] + 0.3 * RANDOM.normal(size=(90, 1)),
    "age": RANDOM.normal(size=(90, 1)),
}
BY_HAND = {
    ("labs", "image"): [[0.9, 0.8], [0.7, 0.8]],
    ("image",): [[0.6, 0.7], [0.6, 0.5]],
    "labs": [[0.5, 0.5], [0.5, 0.5]],
}


def regression(inputs, labels, seed):
    return LogisticRegression().fit(np.hstack(list(inputs.values())), labels)


def test_numbers_are_means_of_the_scores_given():
    found = ml.usefulness(scores=BY_HAND, metric="auc")
    assert found.modalities == ("labs", "image")
    assert found.everything.item() == pytest.approx((0.9 + 0.8 + 0.7 + 0.8) / 4)
    assert found.alone.sel(modality=["image", "labs"]).values == pytest.approx([0.6, 0.5])
    assert found.without.sel(modality=["image", "labs"]).values == pytest.approx([0.5, 0.6])
    assert found.lost.sel(modality=["image", "labs"]).values == pytest.approx([0.3, 0.2])
    assert found.gained.sel(modality=["image", "labs"]).values == pytest.approx([0.1, 0.0])
    assert found.scores.sel(subset="image").values.tolist() == BY_HAND[("image",)]


def test_the_interval_is_that_of_nadeau_and_bengio():
    """Without image: differences .4, .3, .2, .3; mean .3, s^2 = (.01 + 0 + .01 + 0) / 3; two folds, so n_test/n_train = 1."""
    found = ml.usefulness(scores=BY_HAND, metric="auc")
    half = student.ppf(0.975, 3) * np.sqrt((1 / 4 + 1) * 0.02 / 3)
    assert found.interval["lost"].sel(modality="image").values == pytest.approx([0.3 - half, 0.3 + half])
    assert found.interval["alone"].sel(modality="labs").values == pytest.approx([0.5, 0.5])
    tenth = ml.usefulness(scores=BY_HAND, metric="auc", test_share=0.1)
    half = student.ppf(0.975, 3) * np.sqrt((1 / 4 + 1 / 9) * 0.02 / 3)
    assert tenth.interval["lost"].sel(modality="image").values == pytest.approx([0.3 - half, 0.3 + half])


def test_differences_are_paired_by_seed_and_fold():
    """Scores that vary a lot, and a difference that never does: its interval is a point, whichever way."""
    all_together = RANDOM.uniform(size=(3, 4))
    scores = {("a", "b"): all_together, "a": all_together - 0.1, "b": all_together - 0.2}
    for intervals in ("corrected", "bootstrap"):
        found = ml.usefulness(scores=scores, metric="auc", intervals=intervals)
        np.testing.assert_allclose(found.interval["lost"].sel(modality="b"), [0.1, 0.1])
        assert np.ptp(found.interval["everything"].values) > 0.05


def test_a_missing_subset_is_nan_with_a_reason():
    found = ml.usefulness(
        scores={("a", "b", "c"): [[0.9, 0.8]], "a": [[0.7, 0.6]], ("c", "b"): [[0.6, 0.6]]}, metric="auc"
    )
    assert found.lost.sel(modality="a").item() == pytest.approx(0.25)
    assert np.isnan(found.lost.sel(modality="b").item())
    assert found.reasons["a + c"] == "no score of these modalities was given"
    assert found.verdict.sel(modality="b").item() == "withheld: no interval"
    assert "n/a" in str(found)


def test_a_metric_of_ones_own_has_no_chance_unless_it_is_said():
    found = ml.usefulness(scores=BY_HAND, metric="kappa")
    assert np.isnan(found.gained).all()
    assert "chance=" in found.reasons["gained"]
    assert found.verdict.sel(modality="image").item() == "useful"
    told = ml.usefulness(scores=BY_HAND, metric="kappa", chance=0.0)
    assert told.gained.sel(modality="image").item() == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("scores", "settings", "says"),
    [
        ({("a", "b"): [[1.0]], "a": [[1.0, 1.0]]}, {"metric": "auc"}, "of one shape"),
        ({("a", "b"): [1.0], ("b", "a"): [1.0]}, {"metric": "auc"}, "given twice"),
        ({"a": [1.0]}, {"metric": "auc"}, "at least two"),
        ({("a", "b"): [1.0]}, {}, "metric='auc'"),
        ({}, {"metric": "auc"}, "expected a dict"),
        ({("a", "b"): [1.0]}, {"metric": "auc", "test_share": 1.5}, "between 0 and 1"),
        ({("a", "b"): [1.0]}, {"metric": "auc", "intervals": "normal"}, "corrected"),
    ],
)
def test_scores_that_say_nothing_are_refused(scores, settings, says):
    with pytest.raises(ml.InputError, match=says):
        ml.usefulness(scores=scores, **settings)


def test_every_score_is_that_of_a_model_trained_without_those_patients():
    """The same by a slow loop, with scikit-learn's area under the curve."""
    found = ml.usefulness(regression, INPUTS, LABELS, folds=3, seeds=2, seed=5)
    for repetition in range(2):
        tests = held_out(90, folds=3, seed=5 + repetition, classes=LABELS)
        for fold, test in enumerate(tests):
            rest = np.setdiff1d(np.arange(90), test)
            for subset in found.scores.subset.values:
                table = np.hstack([INPUTS[name] for name in subset.split(" + ")])
                model = LogisticRegression().fit(table[rest], LABELS[rest])
                expected = roc_auc_score(LABELS[test], model.predict_proba(table[test])[:, 1])
                assert found.scores.sel(subset=subset).values[repetition, fold] == pytest.approx(expected)


def test_a_copy_makes_a_modality_replaceable_and_noise_is_not_useful():
    found = ml.usefulness(regression, INPUTS, LABELS, seeds=2)
    assert found.verdict.sel(modality="copy").item() == "useful"
    assert found.verdict.sel(modality="lab").item() == "useful alone, not beside the others"
    assert found.verdict.sel(modality="age").item() == "not shown to be useful"
    shuffled = ml.usefulness(regression, INPUTS, np.random.default_rng(1).permutation(LABELS), seeds=2)
    assert set(shuffled.verdict.values) == {"withheld: the models are no better than chance"}


def test_the_same_seed_gives_the_same_bits_and_train_gets_seeds():
    seen = []

    def train(inputs, labels, seed):
        seen.append(seed)
        return regression(inputs, labels, seed)

    one, two = (ml.usefulness(train, INPUTS, LABELS, folds=2, seeds=2, seed=3) for _ in range(2))
    assert one.scores.equals(two.scores)
    assert set(seen) == {3, 4}


def test_inputs_come_as_they_were_given():
    """Lists of texts, arrays of any length, a dict of arrays, a table with categories and tensors, one subset at a time."""
    count = 24
    labels = ["ill" if row % 2 else "well" for row in range(count)]
    inputs = {
        "report": [f"{word} heart" for word in labels],
        "vitals": [np.ones((3 + row % 4, 2)) * row for row in range(count)],
        "ct": {"image": np.arange(count * 4.0).reshape(count, 2, 2), "mask": np.ones((count, 2, 2))},
        "table": pd.DataFrame({"sex": pd.Categorical(["f", "m"] * 12), "age": np.arange(24)}),
        "genes": torch.arange(48.0).reshape(24, 2),
    }
    kinds = {name: type(values) for name, values in inputs.items()}
    subsets = set()

    def train(given, known, seed):
        assert {name: type(values) for name, values in given.items()} == {name: kinds[name] for name in given}
        assert isinstance(known, list)
        assert len(known) == 12
        subsets.add(frozenset(given))
        if "vitals" in given:
            assert len({len(one) for one in given["vitals"]}) > 1
        if "table" in given:
            assert given["table"].dtypes.astype(str).tolist() == ["category", "int64"]

        def model(**inputs):
            rows = len(next(iter(inputs.values()))) if "ct" not in inputs else len(inputs["ct"]["image"])
            ill = np.full(rows, 0.5)
            if "report" in inputs:
                ill = np.array([0.9 if text.startswith("ill") else 0.1 for text in inputs["report"]])
            return np.stack([ill, 1 - ill], axis=1)

        return model

    kinds_given = {"ct": ml.Image(patch=1)}
    found = ml.usefulness(train, inputs, labels, modalities=kinds_given, classes=["ill", "well"], folds=2, seeds=1)
    assert len(subsets) == 11
    assert found.alone.sel(modality="report").item() == 1
    assert found.without.sel(modality="report").item() == 0.5
    assert found.metric == "auc"


def test_regression_is_scored_by_r_squared_and_a_torch_module_is_run_in_evaluation_mode():
    values = INPUTS["lab"][:, 0] * 2 + 1

    def train(inputs, labels, seed):
        table = np.hstack([*inputs.values(), np.ones((len(labels), 1))])
        weights = torch.tensor(np.linalg.lstsq(table, labels, rcond=None)[0])

        class Line(torch.nn.Module):
            def forward(self, **inputs):
                assert not self.training
                return torch.cat(list(inputs.values()), 1).double() @ weights[:-1] + weights[-1]

        return Line()

    found = ml.usefulness(train, {"lab": INPUTS["lab"], "age": INPUTS["age"]}, values, task="regression", folds=3)
    assert found.metric == "r2"
    assert found.chance == 0
    assert found.everything.item() == pytest.approx(1, abs=1e-6)
    assert found.lost.sel(modality="lab").item() > 0.9
    assert abs(found.lost.sel(modality="age").item()) < 1e-6


def test_survival_is_scored_by_concordance():
    time = np.exp(-INPUTS["lab"][:, 0])
    event = np.arange(90) % 3 > 0

    def train(inputs, labels, seed):
        assert isinstance(labels, tuple)
        return lambda **given: given["lab"][:, 0] if "lab" in given else np.zeros(len(given["age"]))

    found = ml.usefulness(
        train, {"lab": INPUTS["lab"], "age": INPUTS["age"]}, (time, event), task="survival", folds=3, seeds=1
    )
    assert found.metric == "concordance"
    assert found.alone.values.tolist() == [1.0, 0.5]


def test_patients_who_lack_a_modality_are_left_out_and_said():
    inputs = {"report": [None if row < 10 else "x" for row in range(90)], "lab": INPUTS["lab"]}
    sizes = set()

    def train(given, labels, seed):
        sizes.add(len(labels))
        return lambda **given: np.full(len(next(iter(given.values()))), 0.5)

    with pytest.warns(ml.ModalensWarning, match="10 of 90 patients"):
        found = ml.usefulness(train, inputs, LABELS, folds=2, seeds=1)
    assert sizes == {40}
    assert found.notes


def test_training_that_goes_wrong_is_told():
    with pytest.raises(ml.InputError, match="returned None"):
        ml.usefulness(lambda inputs, labels, seed: None, INPUTS, LABELS, folds=2)
    with pytest.raises(ml.InputError, match="at least two"):
        ml.usefulness(regression, {"lab": INPUTS["lab"]}, LABELS)
    with pytest.raises(ml.InputError, match="expected one for each of the 90"):
        ml.usefulness(regression, INPUTS, LABELS[:80])
    with pytest.raises(ml.InputError, match="each class"):
        ml.usefulness(regression, INPUTS, np.arange(90), folds=5)
    with pytest.raises(ml.InputError, match="does not fit the task"):
        ml.usefulness(regression, INPUTS, LABELS, metric="r2")
    with pytest.raises(ml.InputError, match="either, not both"):
        ml.usefulness(regression, INPUTS, LABELS, scores=BY_HAND, metric="auc")


@settings(max_examples=30, deadline=None)
@given(
    samples=st.integers(20, 60), folds=st.integers(2, 5), seed=st.integers(0, 5), grouped=st.booleans(), data=st.data()
)
def test_folds_hold_every_patient_out_once_and_keep_groups_and_classes(samples, folds, seed, grouped, data):
    groups = np.arange(samples) // 3 if grouped else None
    classes = np.arange(samples) % 2 if data.draw(st.booleans()) else None
    tests = held_out(samples, folds=folds, seed=seed, classes=classes, groups=groups)
    assert np.sort(np.concatenate(tests)).tolist() == list(range(samples))
    assert len(tests) == folds
    if groups is not None:
        assert sum(len(np.unique(groups[test])) for test in tests) == len(np.unique(groups))
    if classes is not None and not grouped:
        shares = [classes[test].sum() for test in tests]
        assert max(shares) - min(shares) <= 1
    again = held_out(samples, folds=folds, seed=seed, classes=classes, groups=groups)
    assert all(np.array_equal(one, other) for one, other in zip(tests, again, strict=True))


def test_too_few_scores_give_no_interval():
    assert np.isnan(corrected_interval(np.array([0.5]), 0.25, 0.95)).all()
    assert np.isnan(bootstrap_interval(np.array([[0.5]]), 0.95, 0)).all()
    assert not np.isnan(corrected_interval(np.array([0.5, np.nan, 0.7]), 0.25, 0.95)).any()


def test_table_frame_and_figure_say_the_same():
    found = ml.usefulness(scores=BY_HAND, metric="auc")
    frame = found.to_frame()
    row = frame[(frame["quantity"] == "lost") & (frame["modality"] == "image")].iloc[0]
    assert row["value"] == pytest.approx(0.3)
    assert row["lower"] == pytest.approx(found.interval["lost"].sel(modality="image", bound="lower").item())
    assert frame[frame["quantity"] == "everything"]["value"].item() == pytest.approx(0.8)
    for word in ("image", "labs", "+0.30", "Nadeau and Bengio"):
        assert word in str(found)
    assert len(found.plot().axes) == 1


def test_the_figure_sets_what_is_relied_on_beside_what_is_useful():
    model = regression(INPUTS, LABELS, 0)
    explanation = ml.explain(model, INPUTS, labels=LABELS, measures=[ml.Shapley(), ml.Reliance()])
    found = ml.usefulness(regression, INPUTS, LABELS, folds=2, seeds=1)
    left, right = found.plot(explanation).axes
    widths = [bar.get_width() for bar in left.patches]
    np.testing.assert_allclose(widths, 100 * explanation.shapley.contribution)
    assert len(right.get_legend_handles_labels()[1]) == 3


@pytest.mark.skipif(missing("dermoscopy") is not None, reason="needs the dermoscopy package")
def test_lesions_are_held_out_as_a_whole():
    study = load("dermoscopy")
    tests = held_out(len(study.test), folds=5, seed=0, classes=study.test.labels, groups=study.test.groups)
    for test in tests:
        rest = np.setdiff1d(np.arange(len(study.test)), test)
        assert not set(study.test.groups[test]) & set(study.test.groups[rest])
