"""Predicted probabilities are held against observed shares, as scikit-learn and slow re-implementations do it."""

from __future__ import annotations

import numpy as np
import pytest
from cohorts import OCCLUSION, stated, summed
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve

import modalens as ml
from modalens import cohort, statistics
from modalens.cohort.calibration import bin_of


def predicted_and_true(samples: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    p = random.beta(1, 2, samples)
    return p, (random.random(samples) < p**1.5).astype(int)


def test_by_hand() -> None:
    p = [0.1] * 5 + [0.4] * 5 + [0.9] * 10
    labels = [0] * 4 + [1] + [0] * 3 + [1] * 2 + [1] * 7 + [0] * 3
    found = cohort.calibration(stated(p, labels=labels), bins=4).sel(output="1")
    known = found.sel(bin=slice(0, 2))
    assert known.predicted.values == pytest.approx([0.1, 0.4, 0.9])
    assert known.observed.values == pytest.approx([0.2, 0.4, 0.7])
    assert known["count"].values.tolist() == [5, 5, 10]
    assert found["count"].values.tolist() == [5, 5, 10, 0]
    assert np.isnan(found.observed.values[3])
    assert found.error.item() == pytest.approx(0.25 * 0.1 + 0.5 * 0.2)
    # Wilson's interval of 1 in 5: (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n).
    z = 1.959963985
    middle, half = (0.2 + z**2 / 10) / (1 + z**2 / 5), z * np.sqrt(0.2 * 0.8 / 5 + z**2 / 100) / (1 + z**2 / 5)
    assert known.observed_interval.values[:, 0] == pytest.approx([middle - half, middle + half])


def test_the_curve_is_that_of_scikit_learn() -> None:
    p, labels = predicted_and_true(201)  # of which quantiles are samples
    found = cohort.calibration(stated(p, labels=labels)).sel(output="1")
    observed, predicted = calibration_curve(labels, p, n_bins=10, strategy="quantile")
    assert found.predicted.values == pytest.approx(predicted)
    assert found.observed.values == pytest.approx(observed)
    assert found["count"].values.tolist() == [21] + [20] * 9


def test_slope_and_intercept_are_the_maximum_of_the_likelihood() -> None:
    p, labels = predicted_and_true()
    found = cohort.calibration(stated(p, labels=labels)).sel(output="1")

    def loss(line: np.ndarray) -> float:
        fitted = expit(line[0] * logit(p) + line[1])
        return -float(np.log(np.where(labels == 1, fitted, 1 - fitted)).sum())

    slope, intercept = minimize(loss, [1.0, 0.0], tol=1e-10).x
    assert (found.slope.item(), found.intercept.item()) == pytest.approx((slope, intercept), abs=1e-4)
    shift = minimize(lambda one: loss(np.array([1.0, one[0]])), [0.0], tol=1e-10).x[0]
    assert found.in_the_large.item() == pytest.approx(shift, abs=1e-4)
    assert shift < 0  # predicted too high


def test_predictions_that_are_too_extreme_have_a_slope_below_one() -> None:
    random = np.random.default_rng(1)
    truth = expit(random.normal(size=900))
    labels = (random.random(900) < truth).astype(int)
    slopes = [cohort.calibration(stated(expit(by * logit(truth)), labels=labels)).slope.item() for by in (0.5, 1, 2)]
    assert slopes == pytest.approx([2, 1, 0.5], rel=0.25)


def slow_error(p: np.ndarray, labels: np.ndarray, weights: np.ndarray, bins: np.ndarray) -> float:
    error = 0.0
    for place in np.unique(bins):
        own = weights * (bins == place)
        if own.sum() > 0:
            error += own.sum() * abs(own @ labels / own.sum() - own @ p / own.sum())
    return error


def test_the_error_and_its_draws_against_a_slow_one() -> None:
    p, labels = predicted_and_true(60)
    groups = np.arange(60) // 3
    found = cohort.calibration(stated(p, labels=labels, groups=groups), bins=5).sel(output="1")
    bins = bin_of(p, 5)
    assert found.error.item() == pytest.approx(slow_error(p, labels, np.full(60, 1 / 60), bins))
    weights = statistics.bootstrap_weights(groups, 60, 0).values
    drawn = [slow_error(p, labels, row, bins) for row in weights]
    assert found.error_interval.values == pytest.approx(np.quantile(drawn, [0.025, 0.975]))


def test_a_calibrated_model_has_the_error_that_chance_makes() -> None:
    random = np.random.default_rng(2)
    p = random.random(60)
    inside, errors = 0, []
    for _ in range(40):
        found = cohort.calibration(stated(p, labels=(random.random(60) < p).astype(int), confidence=0.9))
        lower, upper = found.error_if_calibrated_interval.sel(output="1").values
        inside += int(lower <= found.error.item() <= upper)
        errors.append(found.error.item())
    assert 31 <= inside <= 40  # 36 are expected; fewer than 31 come by chance in 1 of 100 such simulations
    assert found.error_if_calibrated.item() == pytest.approx(np.mean(errors), rel=0.15)
    wrong = cohort.calibration(stated(p, labels=(random.random(60) < 1 - p).astype(int)))
    assert wrong.error.item() > wrong.error_if_calibrated_interval.sel(bound="upper").item()


def repeated(p: np.ndarray, labels: np.ndarray) -> ml.Explanation:
    """Eight samples of each patient, all alike."""
    return stated(np.repeat(p, 8), labels=np.repeat(labels, 8), groups=np.repeat(np.arange(len(p)), 8))


def test_samples_of_a_patient_are_no_evidence_of_their_own() -> None:
    random = np.random.default_rng(0)
    above = 0
    for _ in range(30):
        p = random.random(30)
        found = cohort.calibration(repeated(p, (random.random(30) < p).astype(int))).sel(output="1")
        above += bool(found.error > found.error_if_calibrated_interval.sel(bound="upper"))
    assert above <= 3  # 0.75 are expected
    assert "several samples" in found.attrs["together"]
    wrong = cohort.calibration(repeated(p, (random.random(30) < 1 - p).astype(int))).sel(output="1")
    assert wrong.error > wrong.error_if_calibrated_interval.sel(bound="upper")
    p, labels = predicted_and_true(60)
    alone, eight = (cohort.calibration(one) for one in (stated(p, labels=labels), repeated(p, labels)))
    assert eight.observed_interval.values == pytest.approx(alone.observed_interval.values, nan_ok=True)
    assert "together" not in alone.attrs


def test_where_intervals_are_turned_off_there_is_none() -> None:
    p, labels = predicted_and_true(60)
    found = cohort.calibration(stated(p, labels=labels, confidence=None))
    assert found.attrs["why_no_interval"] == "intervals were turned off"
    for name in ("observed", "error", "error_if_calibrated"):
        assert bool(found[f"{name}_interval"].isnull().all())
    assert np.isfinite(found.error_if_calibrated.item())


def test_predictions_that_differ_only_next_to_one_have_no_slope() -> None:
    p = np.clip(1 - 10.0 ** -np.arange(7, 19), 0, 1 - 1e-16)
    found = cohort.calibration(stated(p, labels=[1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1]))
    assert np.isnan(found.slope.item())
    assert np.isnan(found.intercept.item())
    assert "the same for all patients, up to the 1e-06 that is kept from 0 and 1" in found.slope.attrs["reason"]


def test_more_classes_have_the_predicted_one_first() -> None:
    random = np.random.default_rng(3)
    p = random.dirichlet([1, 1, 1], 120)
    labels = np.array([random.choice(3, p=one) for one in p])
    found = cohort.calibration(stated(p, labels=labels, classes=["x", "y", "z"]))
    assert found.output.values.tolist() == ["the predicted class", "x", "y", "z"]
    top = cohort.calibration(stated(p.max(1), labels=(p.argmax(1) == labels).astype(int)))
    for name in ("observed", "predicted", "error", "slope"):
        assert found[name].isel(output=0).values == pytest.approx(top[name].isel(output=0).values)
    alone = cohort.calibration(stated(p[:, 1], labels=(labels == 1).astype(int)))
    assert found.observed.sel(output="y").values == pytest.approx(alone.observed.isel(output=0).values)


def test_several_labels_have_a_curve_each() -> None:
    random = np.random.default_rng(4)
    p = random.random((60, 2))
    labels = (random.random((60, 2)) < p).astype(int)
    found = cohort.calibration(stated(p, labels=labels, task="multilabel", classes=["p", "q"]))
    for place, name in enumerate("pq"):
        alone = cohort.calibration(stated(p[:, place], labels=labels[:, place]))
        assert found.observed.sel(output=name).values == pytest.approx(alone.observed.isel(output=0).values)


def test_values_by_hand() -> None:
    explanation = summed([0, 1, 2, 3], [1, 1, 1, 1], labels=[1, 5, 3, 7])
    found = cohort.calibration(explanation, bins=2).isel(output=0)
    assert found.predicted.values.tolist() == [1.5, 3.5]
    assert found.observed.values.tolist() == [3.0, 5.0]
    assert found.residual.values.tolist() == [1.5, 1.5]
    assert (found.slope.item(), found.intercept.item()) == pytest.approx((1.6, 0.0))
    assert bool(found.residual_interval.isnull().all())
    random = np.random.default_rng(5)
    a, b = random.normal(size=(2, 40))
    many = cohort.calibration(summed(a, b, labels=a + b + 1), bins=4).isel(output=0)
    assert many.residual.values == pytest.approx([1] * 4)
    assert many.residual_interval.values == pytest.approx(np.ones((2, 4)))


def test_what_is_not_done_has_a_reason() -> None:
    survival = stated([[0.9, 0.5], [0.6, 0.2]], task="survival", labels=([1.0, 2.0], [1, 0]))
    assert "calibration of survival is not done" in cohort.calibration(survival).attrs["reason"]
    assert "no labels were given" in cohort.calibration(stated([0.2, 0.7])).attrs["reason"]
    inputs = {"a": np.arange(4.0)[:, None] + 1, "b": np.ones((4, 1))}
    known = {"task": "classification", "output": "raw", "link": "sigmoid", "labels": [0, 1, 0, 1]}
    scores = ml.explain(lambda a, b: a[:, 0], inputs, **known, **OCCLUSION)
    assert "scores and no probabilities" in cohort.calibration(scores).attrs["reason"]
    with pytest.raises(ml.InputError, match=r"bins=1: expected a whole number of bins, at least 2"):
        cohort.calibration(scores, bins=1)


def test_a_slope_without_a_bound_is_nan_with_a_reason() -> None:
    apart = cohort.calibration(stated([0.1, 0.2, 0.8, 0.9], labels=[0, 0, 1, 1]))
    assert np.isnan(apart.slope.item())
    assert "one threshold tells all patients apart" in apart.slope.attrs["reason"]
    alike = cohort.calibration(stated([0.3, 0.4, 0.8], labels=[1, 1, 1]))
    assert np.isnan(alike.slope.item())
    assert np.isnan(alike.in_the_large.item())
    assert "true of all patients" in alike.slope.attrs["reason"]


def test_certain_predictions_are_calibrated_too() -> None:
    found = cohort.calibration(stated([0.0, 0.0, 1.0, 1.0, 0.5, 0.5], labels=[0, 1, 1, 1, 0, 1]), bins=3).sel(
        output="1"
    )
    assert found.observed.values.tolist() == [0.5, 0.5, 1.0]
    assert np.isfinite(found.slope.item())


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40), st.integers(2, 12))
def test_bins_are_in_order_keep_equals_together_and_are_of_about_equal_size(values: list[int], bins: int) -> None:
    found = bin_of(np.array(values) / 12, bins)
    assert sorted(set(found.tolist())) == list(range(found.max() + 1))
    assert found.max() < bins
    for one, place in zip(values, found, strict=True):
        for other, there in zip(values, found, strict=True):
            assert (one < other) <= (place <= there)
            assert (one == other) <= (place == there)
    if len(set(values)) == len(values):
        sizes = np.bincount(found)
        assert sizes.max() - sizes.min() <= 1 or len(values) < bins
