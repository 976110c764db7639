"""Subgroups say what an explanation of just these patients would say, and chance is accounted for."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cohorts import ZEROS, combined, multiplied, stated, summed
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import roc_auc_score

import modalens as ml
from modalens import cohort, statistics
from modalens.cohort.divisions import Division, divisions
from modalens.cohort.permutations import permuted, step_down
from modalens.cohort.predictions import predictions_of
from modalens.cohort.quantities import RankedAUC, quantities
from modalens.measures.performance import auc


def row_of(found: cohort.Subgroups, subgroup: str, quantity: str = "contribution", modality: str = "") -> Any:
    frame = found.to_frame()
    (row,) = frame[(frame.subgroup == subgroup) & (frame.quantity == quantity) & (frame.modality == modality)].to_dict("records")  # fmt: skip
    return row


def test_by_hand() -> None:
    sex = ["f"] * 6 + ["m"] * 6
    explanation = summed([1, 3] * 6, [1] * 6 + [4] * 6, characteristics={"sex": sex})
    found = cohort.subgroups(explanation)
    # A ratio of sums: 2 / (2 + 1) and 2 / (2 + 4); the mean of the ratios would be 0.625 and 0.314.
    assert row_of(found, "f", modality="a")["value"] == pytest.approx(2 / 3)
    assert row_of(found, "m", modality="a")["value"] == pytest.approx(1 / 3)
    assert row_of(found, "f", modality="a")["difference"] == pytest.approx(1 / 3)
    assert row_of(found, "m", modality="a")["difference"] == pytest.approx(-1 / 3)
    assert row_of(found, "all patients", modality="a")["value"] == pytest.approx(2 / 4.5)
    assert row_of(found, "f", modality="a")["samples"] == 6
    assert found.tests == 2
    assert row_of(found, "f", modality="a")["tested"]
    assert not row_of(found, "m", modality="a")["tested"]
    assert row_of(found, "m", modality="a")["p"] == row_of(found, "f", modality="a")["p"]


def characteristics(samples: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({"age": random.normal(60, 10, samples), "site": random.choice(["x", "y"], samples), "grade": random.integers(1, 4, samples)})  # fmt: skip


MISSING = {"c": np.arange(60) % 4 > 0, "b": np.arange(60) % 4 > 1}


@pytest.mark.parametrize("present", [None, MISSING], ids=["complete", "missing"])
@pytest.mark.parametrize(
    ("shares", "reading"),
    [(ml.Occlusion(), "paper"), (ml.Occlusion(reading="mean_of_ratios"), "absolute"), (ml.Shapley(), "package")],
    ids=["occlusion", "ratios", "shapley"],
)
def test_each_subgroup_is_what_explaining_just_these_patients_says(reading: Any, present: Any, shares: Any) -> None:
    measures = [shares, ml.InterSHAP(reading=reading)]
    known = characteristics(60)
    explanation = combined(60, measures=measures, characteristics=known, present=present, confidence=None)
    found = cohort.subgroups(explanation, by="grade")
    alike = {"all patients": explanation}
    for grade in (1, 2):
        rows = np.flatnonzero(known["grade"] == grade)
        inputs = {modality: explanation.inputs[modality][rows] for modality in "abc"}
        having = None if present is None else {modality: values[rows] for modality, values in present.items()}
        alike[str(grade)] = ml.explain(multiplied, inputs, measures=measures, present=having, confidence=None, **ZEROS)
    for name, alone in alike.items():
        expected = alone.results[shares.key].contribution
        for modality in "abc":
            value = row_of(found, name, modality=modality)["value"]
            assert value == pytest.approx(expected.sel(modality=modality).item(), abs=1e-12)
        assert row_of(found, name, "interaction")["value"] == pytest.approx(alone.intershap.score.item(), abs=1e-12)


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_outputs_by_themselves_have_their_mean_interaction(task: str) -> None:
    random = np.random.default_rng(2)
    inputs = {name: random.random(size=(30, 2)) for name in "ab"}
    output = "probability" if task == "multilabel" else "raw"
    known = {"task": task, "output": output, "characteristics": characteristics(30)}
    measures = [ml.InterSHAP(), ml.Occlusion()]
    explanation = ml.explain(lambda a, b: a * b * [1, 0.5] + a * [0, 0.5], inputs, measures=measures, **known, **ZEROS)
    found = row_of(cohort.subgroups(explanation, by="site"), "all patients", "interaction")
    assert found["value"] == pytest.approx(explanation.intershap.score.mean().item(), abs=1e-12)
    assert "mean over outputs" in found["what"]


def test_what_nothing_changes_is_undefined_and_not_tested() -> None:
    sex = np.array(["f"] * 8 + ["m"] * 8)
    inputs = {"a": np.where(sex == "f", 0.0, 1.0)[:, None], "b": np.where(sex == "f", 0.0, 2.0)[:, None]}
    explanation = summed(inputs["a"][:, 0], inputs["b"][:, 0], characteristics={"sex": sex})
    found = cohort.subgroups(explanation)
    assert np.isnan(row_of(found, "f", modality="a")["value"])
    assert row_of(found, "m", modality="a")["value"] == pytest.approx(1 / 3)
    assert found.tests == 0
    assert np.isnan(row_of(found, "f", modality="a")["p"])
    assert found.words == ("No subgroups are compared.",)


def test_performance_and_its_intervals_within_a_subgroup() -> None:
    random = np.random.default_rng(5)
    p = random.random(80).round(1)
    labels = (random.random(80) < p).astype(int)
    site, groups = np.repeat(["x", "x", "y", "z"], 20), np.arange(80) // 2
    explanation = stated(p, labels=labels, groups=groups, characteristics=pd.DataFrame({"site": site}), seed=3)
    found = row_of(cohort.subgroups(explanation, by="site"), "x", "auc")
    inside = site == "x"
    assert found["value"] == pytest.approx(roc_auc_score(labels[inside], p[inside]))
    assert found["difference"] == pytest.approx(found["value"] - roc_auc_score(labels[~inside], p[~inside]))
    assert (found["samples"], found["patients"]) == (40, 20)
    weights = statistics.bootstrap_weights(groups, 80, 3).values
    outputs = np.stack([1 - p, p], 1)
    own, rest = (auc(labels, outputs, weights * members) for members in (inside, ~inside))
    assert [found["lower"], found["upper"]] == pytest.approx(np.quantile(own, [0.025, 0.975]))
    bounds = [found["difference_lower"], found["difference_upper"]]
    assert bounds == pytest.approx(np.quantile(own - rest, [0.025, 0.975]))


def test_performance_of_values_and_survival() -> None:
    random = np.random.default_rng(6)
    a, b = random.normal(size=(2, 40))
    labels, site = a + b + random.normal(size=40), np.repeat(["x", "y"], 20)
    regression = summed(a, b, labels=labels, characteristics={"site": site}, units="mmHg")
    found = row_of(cohort.subgroups(regression, by="site"), "x", "mean_error")
    assert found["value"] == pytest.approx(np.abs(labels - a - b)[:20].mean())
    assert found["what"] == "mean absolute error in mmHg"
    time, event = random.exponential(size=40) + 0.1, random.random(40) < 0.7
    survival = summed(a, b, task="survival", labels=(time, event), characteristics={"site": site})
    alone = summed(a[:20], b[:20], task="survival", labels=(time[:20], event[:20]))
    found = row_of(cohort.subgroups(survival), "x", "concordance")
    assert found["value"] == pytest.approx(cohort.performance(alone).concordance.item())


def test_errors_against_right_predictions() -> None:
    explanation = combined(60)
    found = cohort.subgroups(explanation)
    frame = cohort.patients(explanation)
    assert row_of(found, "predicted wrong", modality="a")["samples"] == (~frame["correct"]).sum()
    assert "auc" not in set(found.to_frame().query("characteristic == 'error'")["quantity"])
    parts = explanation.occlusion.parts
    wrong = ~frame["correct"].to_numpy()
    sums = {name: float(abs(parts[name]).values[wrong].sum()) for name in "abc"}
    value = row_of(found, "predicted wrong", modality="a")["value"]
    assert value == pytest.approx(sums["a"] / sum(sums.values()))


def test_of_values_the_worst_quarter_is_compared() -> None:
    a = np.arange(1.0, 41)
    explanation = summed(a, np.ones(40), labels=a + 1 + np.arange(40) % 4)
    found = cohort.subgroups(explanation, by="error")
    assert row_of(found, "largest errors", modality="a")["samples"] == 10
    assert any("a quarter" in sentence or "the quarter" in sentence for sentence in found.said)
    assert "mean_error" not in set(found.to_frame().query("characteristic == 'error'")["quantity"])


# How patients are divided ---------------------------------------------------------------------------------------------------------


def test_numbers_of_many_values_are_cut_at_their_tertiles_and_few_are_categories() -> None:
    age, grade = np.arange(30.0), np.arange(30) % 3 + 1
    explanation = summed(np.ones(30), np.ones(30), characteristics={"age": age, "grade": grade.astype(float)})
    by_age, by_grade = divisions(explanation)
    assert by_age.subgroups == ("up to 9", "above 9 to 19", "above 19")
    assert np.bincount(by_age.place).tolist() == [10, 10, 10]
    assert by_age.said == ("age: cut at its tertiles, 9 and 19",)
    assert by_grade.subgroups == ("1", "2", "3")
    assert by_grade.place.tolist() == (grade - 1).tolist()


def test_small_categories_are_joined_or_left_out_and_said() -> None:
    site = ["x"] * 10 + ["y"] * 9 + ["u"] * 3 + ["v"] * 2
    (division,) = divisions(summed(np.ones(24), np.ones(24), characteristics={"site": site}))
    assert division.subgroups == ("x", "y", "all others")
    assert np.bincount(division.place).tolist() == [10, 9, 5]
    assert division.said == ("site: 2 subgroups of fewer than 5 patients joined as “all others”",)
    site[-1] = None
    (division,) = divisions(summed(np.ones(24), np.ones(24), characteristics={"site": site}))
    assert division.subgroups == ("x", "y")
    assert (division.place == -1).tolist() == [False] * 19 + [True] * 5
    assert division.said[0] == "site: 1 sample without a value left out"
    assert division.said[1] == "site: 2 subgroups of fewer than 5 patients left out"


def test_patients_are_counted_not_their_rows() -> None:
    site = ["x"] * 12 + ["y"] * 12
    groups = [*range(12), *[90 + row % 4 for row in range(12)]]
    (division,) = divisions(summed(np.ones(24), np.ones(24), characteristics={"site": site}, groups=groups))
    assert division.subgroups == ("x",)
    assert "fewer than two subgroups" in division.said[-1]


def test_a_characteristic_that_is_not_there_is_named() -> None:
    explanation = summed(np.ones(6), np.ones(6), characteristics={"site": list("xxxyyy")})
    with pytest.raises(ml.InputError, match=r"by='sites' is no characteristic .*did you mean 'site'"):
        cohort.subgroups(explanation, by=["site", "sites"])
    with pytest.raises(ml.InputError, match=r"by='error' is no characteristic"):
        cohort.subgroups(explanation, by="error")  # there are no labels


def test_without_characteristics_nothing_is_compared() -> None:
    found = cohort.subgroups(summed([1, 2, 3], [3, 2, 1]))
    assert found.tests == 0
    assert found.tables() == {}
    assert set(found.to_frame()["subgroup"]) == {"all patients"}
    other = ml.explain(lambda a, b: a[:, 0] + b[:, 0], {"a": np.ones((3, 1)), "b": np.ones((3, 1))}, measures=[ml.LIME()], output="raw", **ZEROS)  # fmt: skip
    assert "Contributions are not compared: they need the measure Occlusion or Shapley" in cohort.subgroups(other).said


def test_a_saved_explanation_says_the_same(tmp_path) -> None:
    known = characteristics(40).assign(smoker=np.arange(40) % 2 == 0)
    explanation = combined(40, characteristics=known)
    saved = ml.load(explanation.save(tmp_path / "cohort.nc"))
    pd.testing.assert_frame_equal(cohort.subgroups(saved).to_frame(), cohort.subgroups(explanation).to_frame())


# Chance ---------------------------------------------------------------------------------------------------------------------------


def test_p_is_that_of_all_permutations() -> None:
    random = np.random.default_rng(8)
    a, b = random.exponential(size=(2, 10))
    a[:5] *= 2.5
    explanation = summed(a, b, characteristics={"sex": ["f"] * 5 + ["m"] * 5})
    found = row_of(cohort.subgroups(explanation), "f", modality="a")

    def difference(inside: list[int]) -> float:
        outside = [row for row in range(10) if row not in inside]
        own, rest = (a[rows].sum() / (a[rows].sum() + b[rows].sum()) for rows in (inside, outside))
        return abs(own - rest)

    drawn = [difference(list(inside)) for inside in combinations(range(10), 5)]
    exact = np.mean([one >= difference([0, 1, 2, 3, 4]) - 1e-12 for one in drawn])
    assert 0.01 < exact < 0.5
    assert found["p"] == pytest.approx(exact, abs=4 * np.sqrt(exact / 2000))


def test_the_smallest_p_is_that_of_the_draws() -> None:
    explanation = summed([9] * 20 + [1] * 20, [1] * 20 + [9] * 20, characteristics={"sex": ["f"] * 20 + ["m"] * 20})
    found = cohort.subgroups(explanation)
    assert row_of(found, "f", modality="a")["p"] == 1 / 2001
    assert row_of(found, "f", modality="a")["p_adjusted"] == 1 / 2001  # two shares are one difference, and cost nothing
    assert found.words[0] == "2 differences between subgroups were tested. Larger than chance would make them:"
    assert found.words[1].startswith("sex, f: share of the change in the output, hidden part by part: “a” 0.9 against 0.1 in the rest (difference +0.8,")  # fmt: skip
    assert len(found.words) == 3


def test_samples_of_a_patient_stay_together() -> None:
    cluster = np.array([0, 0, 0, 1, 2, 2, 3, 4, 4, 5])
    place = np.array([0, 0, 0, 1, 1, 1, 0, 0, 0, -1])
    division = Division(name="sex", subgroups=("f", "m"), place=place)
    dealt = np.concatenate(list(permuted(division, cluster, 500, np.random.default_rng(0))))
    assert (dealt[:, 9] == -1).all()
    for rows in ([0, 1, 2], [4, 5], [7, 8]):
        assert (dealt[:, rows] == dealt[:, rows[:1]]).all()
    patients = dealt[:, [0, 3, 4, 6, 7]]
    assert (np.sort(patients, axis=1) == [0, 0, 0, 1, 1]).all()
    assert len(np.unique(patients, axis=0)) == 10  # 5 over 2


def test_where_samples_of_a_patient_differ_they_and_patients_with_as_many_exchange_them() -> None:
    cluster = np.array([0, 0, 1, 1, 2, 2, 3])
    place = np.array([0, 1, 1, 1, 0, 0, 1])
    division = Division(name="error", subgroups=("wrong", "right"), place=place)
    dealt = np.concatenate(list(permuted(division, cluster, 500, np.random.default_rng(0))))
    assert (dealt[:, 6] == 1).all()
    pairs = dealt[:, :6].reshape(500, 3, 2)
    assert {tuple(sorted(sum(one) for one in each)) for each in pairs.tolist()} == {(0, 1, 2)}
    assert len(np.unique(dealt, axis=0)) == 12  # 3! orders of patients, and 2 of the one whose samples differ


def slow_step_down(differences: np.ndarray, chance: np.ndarray) -> list[float]:
    """Westfall and Young's procedure, test by test."""
    both = np.abs(np.vstack([differences, chance]))
    scales = [np.sqrt(np.mean(column[~np.isnan(column)] ** 2)) for column in both.T]
    sizes = [
        [0.0 if np.isnan(one) or scale == 0 else one / scale for one, scale in zip(row, scales, strict=True)]
        for row in both
    ]
    left, last, found = list(range(len(differences))), 0.0, {}
    while left:
        first = max(left, key=lambda test: sizes[0][test])
        as_large = sum(max(row[test] for test in left) >= sizes[0][first] - 1e-9 for row in sizes[1:])
        last = found[first] = max(last, (as_large + 1) / (len(chance) + 1))
        left.remove(first)
    return [found[test] for test in range(len(differences))]


@given(
    st.integers(1, 5).flatmap(
        lambda tests: st.tuples(
            arrays.arrays(float, tests, elements=st.integers(-6, 6).map(float)),
            arrays.arrays(float, (12, tests), elements=st.sampled_from([*map(float, range(-6, 7)), np.nan])),
        )
    )
)
def test_step_down_against_a_slow_one(drawn: Any) -> None:
    assert step_down(*drawn).tolist() == pytest.approx(slow_step_down(*drawn))


def test_one_difference_among_many_is_found() -> None:
    random = np.random.default_rng(3)
    strong = np.arange(60) % 2
    a, b = random.normal(size=(2, 60))
    noise = {f"c{place}": random.permutation(strong) for place in range(75)}
    explanation = summed(a * np.where(strong, 5, 0.05), b, characteristics=noise | {"strong": strong}, confidence=None)
    found = cohort.subgroups(explanation)
    assert found.tests == 152
    row = row_of(replace(found, frame=found.to_frame().query("characteristic == 'strong'")), "1", modality="a")
    assert row["p_adjusted"] <= 0.05
    assert set(found.to_frame().query("p_adjusted <= 0.05")["characteristic"]) == {"strong"}
    assert (found.to_frame()["p_adjusted"] >= found.to_frame()["p"] - 1e-12)[found.to_frame()["p"].notna()].all()
    quiet = cohort.subgroups(replace(explanation, characteristics=pd.DataFrame(noise)))
    assert quiet.words == ("150 differences between subgroups were tested; none was shown (adjusted p above 0.05 for each), and none is ruled out.",)  # fmt: skip


def eyes(effect: bool, seed: int = 1) -> ml.Explanation:
    """20 patients, no two of whom have as many samples; the characteristic differs within each but the first."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(20), np.arange(1, 21))
    eye = random.integers(0, 2, len(groups))
    a, b = random.normal(size=(2, len(groups)))
    return summed(a * np.where(eye & effect, 8, 0.5), b, groups=groups, characteristics={"eye": eye}, confidence=None)


def test_a_difference_within_patients_is_found_where_no_two_have_as_many_samples() -> None:
    found = cohort.subgroups(eyes(effect=True))
    assert row_of(found, "1", modality="a")["p_adjusted"] <= 0.01
    assert any("they exchange them in the test" in sentence for sentence in found.said)
    explanation = eyes(effect=True)
    kinds = pd.Series(explanation.characteristics["eye"]).groupby(np.asarray(explanation.cohort["group"])).nunique()
    assert f"eye: {(kinds == 1).sum()} of 20 patients have nobody with as many samples" in found.said[-1]
    by_chance = [row_of(cohort.subgroups(eyes(effect=False, seed=seed)), "1", modality="a")["p"] for seed in range(8)]
    assert sum(p <= 0.05 for p in by_chance) <= 2


def test_samples_in_the_same_order_exchange_too() -> None:
    explanation = summed([9, 1, 8, 2] * 10, [1, 2, 1, 3] * 10, groups=np.arange(40) // 2, characteristics={"eye": ["left", "right"] * 20})  # fmt: skip
    assert row_of(cohort.subgroups(explanation), "left", modality="a")["p"] <= 0.01


def test_where_few_patients_can_exchange_nothing_is_tested_and_that_is_said() -> None:
    sizes = np.arange(1, 13)
    groups, place = np.repeat(np.arange(12), sizes), np.repeat(np.arange(12) % 2, sizes)
    place[groups == 11] = np.arange(12) % 2
    found = cohort.subgroups(summed(np.arange(78.0) + 1, np.ones(78), groups=groups, characteristics={"eye": place}))
    assert found.tests == 0
    assert np.isnan(row_of(found, "1", modality="a")["p"])
    assert np.isfinite(row_of(found, "1", modality="a")["difference_lower"])
    assert "eye: no difference is tested: only 1 of 12 patients can exchange subgroups" in found.said[-1]


def test_a_class_that_a_subgroup_lacks_is_left_out_on_both_sides_and_named() -> None:
    random = np.random.default_rng(3)
    p = random.dirichlet([1, 1, 1], 120)
    labels = np.array([random.choice(3, p=one) for one in p])
    site = np.where(np.arange(120) % 2, "x", "y")
    labels[(site == "x") & (labels == 2)] = 0
    explanation = stated(p, labels=labels, classes=["u", "v", "w"], characteristics=pd.DataFrame({"site": site}))
    found = cohort.subgroups(explanation, by="site")
    row, inside = row_of(found, "x", "auc"), site == "x"
    alone = cohort.performance(stated(p[inside], labels=labels[inside], classes=["u", "v", "w"]))
    assert row["value"] == pytest.approx(alone.auc.item())
    rest = np.mean([roc_auc_score(labels[~inside] == one, p[~inside, one]) for one in (0, 1)])
    assert row["difference"] == pytest.approx(alone.auc.item() - rest)
    assert row["tested"]
    assert "site: area under the ROC curve, of “x” and of the rest, leaves out 'w', for which it is undefined in one of them" in found.said  # fmt: skip


def test_a_characteristic_called_error_is_compared_beside_the_models_errors() -> None:
    explanation = combined(60, characteristics=pd.DataFrame({"error": ["typo", "none"] * 30}))
    frame = cohort.subgroups(explanation).to_frame()
    assert dict.fromkeys(frame["characteristic"]) == {"": None, "error (given)": None, "error": None}
    assert "auc" in set(frame.query("characteristic == 'error (given)'")["quantity"])
    assert set(frame.query("characteristic == 'error'")["subgroup"]) == {"predicted wrong", "predicted right"}
    unlabelled = combined(60, labels=None, characteristics=pd.DataFrame({"error": ["typo", "none"] * 30}))
    assert [one.name for one in divisions(unlabelled)] == ["error"]


def test_large_and_close_numbers_are_told_apart() -> None:
    known = {"visit": np.arange(30) + 2023110100.0, "code": np.where(np.arange(30) % 2, 20231115.0, 20231118.0), "dose": 1 + np.arange(30) / 1e6}  # fmt: skip
    visit, code, dose = divisions(summed(np.ones(30), np.ones(30), characteristics=known))
    assert visit.subgroups == ("up to 2023110109", "above 2023110109 to 2023110119", "above 2023110119")
    assert code.subgroups == ("20231115", "20231118")
    low, high = (float(one) for one in dose.said[0].removeprefix("dose: cut at its tertiles, ").split(" and "))
    assert np.searchsorted([low, high], known["dose"]).tolist() == dose.place.tolist()


def test_a_random_characteristic_is_found_to_differ_at_most_as_often_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["modalens.cohort.subgroups"], "PERMUTATIONS", 199)
    random = np.random.default_rng(9)
    explanation = combined(24, measures=[ml.Occlusion()], labels=None, confidence=None)
    families, single = [], []
    for _ in range(150):
        known = pd.DataFrame({name: random.permutation(np.arange(24) % 2) for name in ("sex", "site")})
        found = cohort.subgroups(replace(explanation, characteristics=known))
        assert found.tests == 6
        frame = found.to_frame().query("tested")
        families.append(bool((frame["p_adjusted"] <= 0.05).any()))
        single += (frame["p"] <= 0.05).tolist()
    assert sum(families) <= 14  # 7.5 are allowed; more than 14 come by chance in 1 of 100 such simulations
    assert 0.03 < np.mean(single) < 0.07  # so each test by itself is neither too strict nor too lenient


# The area under the curve, many times ---------------------------------------------------------------------------------------------


@given(
    arrays.arrays(int, st.integers(2, 12), elements=st.integers(0, 4)).flatmap(
        lambda scores: st.tuples(
            st.just(scores),
            arrays.arrays(bool, len(scores)),
            arrays.arrays(float, (3, len(scores)), elements=st.integers(0, 3).map(float)),
            arrays.arrays(bool, len(scores)),
        )
    )
)
def test_the_quick_area_is_that_of_the_measures(drawn: Any) -> None:
    scores, positive, weights, members = drawn
    if positive.all() or not positive.any():
        return
    quick = RankedAUC.of(positive, scores.astype(float))
    outputs = np.stack([-scores, scores], 1).astype(float)

    def slow(rows: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return auc(positive.astype(int), outputs, rows)

    np.testing.assert_allclose(quick(weights), slow(weights), atol=1e-12)
    inside, rest = quick.beside(weights)(weights * members)
    np.testing.assert_allclose(inside, slow(weights * members), atol=1e-12)
    np.testing.assert_allclose(rest, slow(weights * ~members), atol=1e-12)


def test_quantities_take_any_scale_of_weights() -> None:
    explanation = combined(30)
    found = predictions_of(explanation)
    asked, missing = quantities(explanation, found)
    assert [one.name for one in asked] == ["contribution", "interaction", "auc"]
    assert missing == []
    weights = np.random.default_rng(0).integers(0, 3, size=(4, 30)).astype(float)
    for one in asked:
        np.testing.assert_allclose(one.numbers(weights), one.numbers(weights / 30), atol=1e-12)
        inside, rest = one.beside(weights)(weights * (np.arange(30) < 12))
        np.testing.assert_allclose(rest, one.numbers(weights * (np.arange(30) >= 12)), atol=1e-12)
        np.testing.assert_allclose(inside, one.numbers(weights * (np.arange(30) < 12)), atol=1e-12)
