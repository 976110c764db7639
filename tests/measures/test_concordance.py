"""Concordance with survival times: by hand, beside scikit-survival, beside a slow double loop, and under weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sksurv.metrics import concordance_index_censored

import modalens as ml
from modalens.measures import performance
from modalens.measures.performance import concordance, has_comparable_pair


def slowly(labels: np.ndarray, risk: np.ndarray, weights: np.ndarray) -> float:
    """Harrell's c, pair by pair."""
    right = pairs = 0.0
    for i, (time, event) in enumerate(labels):
        for j, (other, other_event) in enumerate(labels):
            if event and (time < other or (time == other and not other_event)):
                weight = weights[i] * weights[j]
                pairs += weight
                right += weight * (1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0)
    return right / pairs if pairs else float("nan")


def once(labels: Any, risk: Any) -> float:
    """The concordance of one risk, every sample counting the same."""
    found = concordance(
        np.asarray(labels, dtype=float), np.asarray(risk, dtype=float)[:, None], np.ones((1, len(risk)))
    )
    return float(found[0])


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times and events (n, 2), risks (n,) and weights (3, n), with many ties and zeros."""
    count = draw(st.integers(2, 12))
    whole = st.lists(st.integers(1, 5), min_size=count, max_size=count)
    time, risk = np.array(draw(whole), dtype=float), np.array(draw(whole), dtype=float)
    event = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    weights = np.array(
        [draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)) for _ in range(3)], dtype=float
    )
    return np.stack([time, event], axis=1), risk, weights


def test_by_hand() -> None:
    """Events at 1 and 3, censored at 2 and 4. Comparable: 1 with each of the others (3 pairs), 3 with 4 (1 pair).

    Risks 9, 5, 9, 9: 9 > 5 is right, 9 = 9 twice counts half, and 9 = 9 of the last pair too: (1 + 3 / 2) / 4.
    """
    labels = [(1, 1), (2, 0), (3, 1), (4, 0)]
    assert once(labels, [9, 5, 9, 9]) == 2.5 / 4
    assert once(labels, [4, 3, 2, 1]) == 1.0
    assert once(labels, [1, 2, 3, 4]) == 0.0
    assert once(labels, [7, 7, 7, 7]) == 0.5


def test_equal_times() -> None:
    """At one time, two events are not comparable; who was censored outlived who had the event."""
    assert once([(2, 1), (2, 0)], [1, 0]) == 1.0
    assert once([(2, 1), (2, 0)], [0, 1]) == 0.0
    assert np.isnan(once([(2, 1), (2, 1)], [1, 0]))
    assert np.isnan(once([(2, 0), (2, 0)], [1, 0]))
    assert np.isnan(once([(1, 0), (2, 1)], [1, 0]))  # the first may have had the event later


def test_weights_by_hand() -> None:
    """The pairs (1, 2) right, (1, 3) wrong, (2, 3) wrong of events at 1, 2, 3 with weights 1, 2, 3: 2 / (2 + 3 + 6)."""
    labels = np.array([(1, 1), (2, 1), (3, 1)], dtype=float)
    found = concordance(
        labels, np.array([[2.0], [1.0], [3.0]]), np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 0.0], [0.0, 0.0, 5.0]])
    )
    np.testing.assert_allclose(found, [2 / 11, 1.0, np.nan], rtol=0, atol=1e-15)


def test_survival_at_times_is_ranked_by_its_mean() -> None:
    """1 - S is .1 and .7 (mean .4), .5 and .1 (mean .3): the first has the higher risk, and the earlier event."""
    labels = np.array([(1, 1), (2, 1)], dtype=float)
    survival = np.array([[0.9, 0.3], [0.5, 0.9]])
    assert concordance(labels, survival, np.ones((1, 2))).tolist() == [1.0]
    assert concordance(labels, survival[::-1], np.ones((1, 2))).tolist() == [0.0]


@given(cohorts())
def test_equal_to_scikit_survival(cohort: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    labels, risk, _ = cohort
    ours = once(labels, risk)
    if not has_comparable_pair(labels):
        assert np.isnan(ours)
        return
    theirs = concordance_index_censored(labels[:, 1].astype(bool), labels[:, 0], risk)[0]
    assert ours == pytest.approx(theirs, abs=1e-14)


@given(cohorts())
def test_equal_to_a_double_loop_under_weights(cohort: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    labels, risk, weights = cohort
    oracle = [slowly(labels, risk, row) for row in weights]
    np.testing.assert_allclose(concordance(labels, risk[:, None], weights), oracle, rtol=0, atol=1e-14)


@given(cohorts())
def test_weights_are_patients_who_stand_there_more_than_once(cohort: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    labels, risk, weights = cohort
    rows = np.repeat(np.arange(len(risk)), weights[0].astype(int))
    found = concordance(labels, risk[:, None], weights[:1])[0]
    repeated = once(labels[rows], risk[rows]) if len(rows) else np.nan
    np.testing.assert_allclose(found, repeated, rtol=0, atol=1e-14)


@given(cohorts())
def test_only_the_order_of_risks_counts_and_turning_it_round_turns_the_score(
    cohort: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    labels, risk, weights = cohort
    found = concordance(labels, risk[:, None], weights)
    np.testing.assert_array_equal(concordance(labels, np.exp(risk)[:, None], weights), found)
    np.testing.assert_allclose(concordance(labels, -risk[:, None], weights), 1 - found, rtol=0, atol=1e-14)
    assert ((found >= 0) & (found <= 1) | np.isnan(found)).all()


@given(cohorts())
def test_whether_there_is_a_pair(cohort: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    labels, risk, _ = cohort
    assert has_comparable_pair(labels) == (not np.isnan(slowly(labels, risk, np.ones(len(risk)))))


def test_the_number_of_pairs_held_at_a_time_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    labels = np.stack([random.integers(1, 40, 200), random.integers(0, 2, 200)], axis=1).astype(float)
    risk, weights = random.integers(0, 9, (200, 1)).astype(float), random.multinomial(200, np.full(200, 1 / 200), 30)
    at_once = concordance(labels, risk, weights.astype(float))
    monkeypatch.setattr(performance, "PAIR_BUDGET", 8 * 230 * 7)  # seven events at a time
    np.testing.assert_allclose(concordance(labels, risk, weights.astype(float)), at_once, rtol=0, atol=1e-13)
    theirs = concordance_index_censored(labels[:, 1] > 0, labels[:, 0], risk[:, 0])[0]
    assert once(labels, risk[:, 0]) == pytest.approx(theirs, abs=1e-13)


def cohort(samples: int = 60) -> tuple[dict[str, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Patients whose hazard is exp(age + marker), a third of them censored."""
    random = np.random.default_rng(0)
    inputs = {"age": random.normal(size=(samples, 1)), "marker": random.normal(size=(samples, 1))}
    time = random.exponential(np.exp(-inputs["age"] - inputs["marker"])[:, 0])
    end = random.exponential(2.0, samples)
    return inputs, (np.minimum(time, end), time <= end)


def relied_on(labels: Any, inputs: Any, **settings: Any) -> ml.Result:
    return ml.explain(
        lambda age, marker: 2 * age[:, 0] + marker[:, 0],
        inputs,
        measures=[ml.Reliance()],
        task="survival",
        labels=labels,
        baseline="zeros",
        **settings,
    ).reliance


def test_reliance_is_scikit_survivals_concordance_of_each_setting() -> None:
    inputs, (time, event) = cohort()
    found = relied_on((time, event), inputs)
    age, marker = inputs["age"][:, 0], inputs["marker"][:, 0]

    def score(risk: np.ndarray) -> float:
        return float(concordance_index_censored(event, time, risk)[0])

    assert found.settings["metric"] == "concordance"
    assert float(found.everything) == pytest.approx(score(2 * age + marker), abs=1e-12)
    assert found.alone.values == pytest.approx([score(age), score(marker)], abs=1e-12)
    assert found.without.values == pytest.approx([score(marker), score(age)], abs=1e-12)
    lower, upper = found.interval["everything"].values
    assert lower < float(found.everything) < upper


def test_intervals_are_of_patients_drawn_again() -> None:
    """The bootstrap draw k is the score of the patients that it drew, each as often as it was drawn."""
    inputs, (time, event) = cohort(20)
    found = relied_on((time, event), inputs)
    risk = 2 * inputs["age"][:, 0] + inputs["marker"][:, 0]
    draws = np.random.default_rng(np.random.SeedSequence((0, 2))).multinomial(20, np.full(20, 1 / 20), size=1000)
    for k in (0, 1, 999):
        rows = np.repeat(np.arange(20), draws[k])
        theirs = concordance_index_censored(event[rows], time[rows], risk[rows])[0]
        assert found.draws["everything"].values[k] == pytest.approx(theirs, abs=1e-12)


def test_no_order_of_events_is_refused_and_few_leave_draws_undefined() -> None:
    inputs, _ = cohort(8)
    with pytest.raises(ml.InputError, match="needs an event, and a patient who is known to have survived longer"):
        relied_on((np.arange(1.0, 9), np.zeros(8)), inputs)
    with pytest.raises(ml.InputError, match="needs an event"):
        relied_on((np.arange(1.0, 9), np.arange(8) == 7), inputs)  # only the last has an event
    single = relied_on((np.arange(1.0, 9), np.arange(8) == 6), inputs)  # one pair, which many draws lack
    draws = single.draws["everything"].values
    assert np.isnan(draws).any()
    assert set(draws[~np.isnan(draws)]) == {float(single.everything)}


@pytest.mark.parametrize("metric", ["auc", "accuracy", "r2"])
def test_other_metrics_are_refused(metric: Any) -> None:
    inputs, labels = cohort(8)
    with pytest.raises(ml.InputError, match=f"metric='{metric}'.*task is survival: use metric='concordance'"):
        ml.explain(
            lambda age, marker: age[:, 0],
            inputs,
            measures=[ml.Reliance(metric=metric)],
            task="survival",
            labels=labels,
            baseline="zeros",
        )
    with pytest.raises(ml.InputError, match="needs survival times, and the task is regression: use metric='r2'"):
        ml.explain(
            lambda age, marker: age[:, 0],
            inputs,
            measures=[ml.Reliance(metric="concordance")],
            task="regression",
            labels=labels[0],
            baseline="zeros",
        )
