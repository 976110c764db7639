"""How well patients are predicted agrees with scikit-learn and scikit-survival, and so does every draw of the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from cohorts import OCCLUSION, stated, summed
from sklearn import metrics
from sksurv.metrics import concordance_index_censored

import modalens as ml
from modalens import cohort, statistics


def two_classes(samples: int = 60, **settings: object) -> tuple[np.ndarray, np.ndarray, ml.Explanation]:
    random = np.random.default_rng(3)
    p = random.random(samples).round(2)  # with ties
    labels = (random.random(samples) < p).astype(int)
    return p, labels, stated(p, labels=labels, **settings)


def three_classes(samples: int = 80) -> tuple[np.ndarray, np.ndarray, ml.Explanation]:
    random = np.random.default_rng(4)
    p = random.dirichlet([1, 1, 1], samples)
    labels = np.array([random.choice(3, p=one) for one in p])
    return p, labels, stated(p, labels=labels, classes=["x", "y", "z"])


def test_two_classes_against_scikit_learn() -> None:
    p, labels, explanation = two_classes()
    found = cohort.performance(explanation)
    said = (p > 0.5).astype(int)
    assert found.auc.item() == pytest.approx(metrics.roc_auc_score(labels, p))
    assert found.brier.item() == pytest.approx(metrics.brier_score_loss(labels, p))
    assert found.accuracy.item() == pytest.approx(metrics.accuracy_score(labels, said))
    assert found.sensitivity.sel(output="1").item() == pytest.approx(metrics.recall_score(labels, said))
    assert found.specificity.sel(output="1").item() == pytest.approx(metrics.recall_score(1 - labels, 1 - said))
    assert found.class_auc.values == pytest.approx([found.auc.item()] * 2)
    assert found.auc.attrs["better"] == "larger"
    assert found.brier.attrs["better"] == "smaller"


def test_three_classes_against_scikit_learn() -> None:
    p, labels, explanation = three_classes()
    found = cohort.performance(explanation)
    assert found.auc.item() == pytest.approx(metrics.roc_auc_score(labels, p, multi_class="ovr"))
    assert found.brier.item() == pytest.approx(metrics.brier_score_loss(labels, p, labels=[0, 1, 2]))
    assert found.accuracy.item() == pytest.approx(metrics.accuracy_score(labels, p.argmax(1)))
    for place, name in enumerate("xyz"):
        true, said = labels == place, p.argmax(1) == place
        assert found.class_auc.sel(output=name).item() == pytest.approx(metrics.roc_auc_score(true, p[:, place]))
        assert found.sensitivity.sel(output=name).item() == pytest.approx(metrics.recall_score(true, said))
        assert found.specificity.sel(output=name).item() == pytest.approx(metrics.recall_score(~true, ~said))


def test_several_labels_against_scikit_learn() -> None:
    random = np.random.default_rng(5)
    p = random.random((50, 2))
    labels = (random.random((50, 2)) < p).astype(int)
    found = cohort.performance(stated(p, labels=labels, task="multilabel", classes=["p", "q"]))
    assert found.auc.item() == pytest.approx(metrics.roc_auc_score(labels, p))
    assert found.accuracy.item() == pytest.approx(((p > 0.5) == labels).mean())
    assert found.brier.item() == pytest.approx(((p - labels) ** 2).mean())
    assert found.sensitivity.values == pytest.approx(metrics.recall_score(labels, p > 0.5, average=None))


def test_values_against_scikit_learn_in_their_units() -> None:
    random = np.random.default_rng(6)
    a, b = random.normal(size=(2, 30))
    labels = a + b + random.normal(size=30)
    found = cohort.performance(summed(a, b, labels=labels, units="mmHg"))
    assert found.r2.item() == pytest.approx(metrics.r2_score(labels, a + b))
    assert found.rmse.item() == pytest.approx(metrics.root_mean_squared_error(labels, a + b))
    assert found.mae.item() == pytest.approx(metrics.mean_absolute_error(labels, a + b))
    assert found.rmse.attrs["units"] == "mmHg"


def test_survival_against_scikit_survival() -> None:
    random = np.random.default_rng(7)
    risk, time, event = random.normal(size=(40, 1)), random.exponential(size=40) + 0.1, random.random(40) < 0.6
    inputs = {"a": risk, "b": np.ones((40, 1))}
    explanation = ml.explain(lambda a, b: a[:, 0], inputs, task="survival", labels=(time, event), **OCCLUSION)
    found = cohort.performance(explanation)
    assert found.concordance.item() == pytest.approx(concordance_index_censored(event, time, risk[:, 0])[0])
    assert (
        found.concordance_interval.sel(bound="lower")
        < found.concordance
        < found.concordance_interval.sel(bound="upper")
    )


def test_intervals_are_those_of_scikit_learn_on_every_draw_of_whole_patients() -> None:
    groups = np.arange(60) // 2
    p, labels, explanation = two_classes(groups=groups, seed=5)
    found = cohort.performance(explanation)
    weights = statistics.bootstrap_weights(groups, 60, 5).values
    assert (weights[:, ::2] == weights[:, 1::2]).all()
    above = (p[:, None] > p) + 0.5 * (p[:, None] == p)
    have, lack = weights * labels, weights * (1 - labels)
    drawn = np.einsum("di,ij,dj->d", have, above, lack, optimize=True) / (have.sum(1) * lack.sum(1))
    assert drawn[:9] == pytest.approx([metrics.roc_auc_score(labels, p, sample_weight=row) for row in weights[:9]])
    assert found.auc_interval.values == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
    drawn = [row[(labels == 1) & (p > 0.5)].sum() / row[labels == 1].sum() for row in weights]
    assert found.sensitivity_interval.sel(output="1").values == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
    assert found.attrs["resampled"] == "30 groups, 1000 times with replacement"


def test_confidence_is_that_of_the_explanation() -> None:
    _, _, wide = two_classes(confidence=0.95)
    _, _, narrow = two_classes(confidence=0.5)
    wide, narrow = (cohort.performance(one).auc_interval for one in (wide, narrow))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_what_is_undefined_is_nan_with_a_reason() -> None:
    found = cohort.performance(stated([0.2, 0.7, 0.4], labels=[1, 1, 1]))
    assert np.isnan(found.auc)
    assert "the labels are all the same" in found.auc.attrs["reason"]
    assert np.isnan(found.sensitivity.sel(output="0"))
    assert found.sensitivity.sel(output="1") == pytest.approx(1 / 3)
    assert found.sensitivity.attrs["reason"] == "nobody is of this class"
    assert "reason" not in found.accuracy.attrs
    assert "3 resampling units are too few" in found.attrs["why_no_interval"]
    assert bool(found.accuracy_interval.isnull().all())
    censored = summed([1, 2, 3], [1, 2, 3], task="survival", labels=([1.0, 2.0, 3.0], [0, 0, 0]))
    assert cohort.performance(censored).concordance.attrs["reason"] == "no pair of patients has a known order of events"


def test_without_labels_there_are_no_metrics_and_a_reason() -> None:
    found = cohort.performance(stated([0.2, 0.7]))
    assert not found.data_vars
    assert "no labels were given" in found.attrs["reason"]


def test_a_score_without_probabilities_is_ranked_only() -> None:
    random = np.random.default_rng(8)
    score, labels = random.normal(size=(30, 1)), random.integers(0, 2, 30)
    inputs = {"a": score, "b": np.ones((30, 1))}
    known = {"task": "classification", "output": "raw", "link": "sigmoid", "labels": labels}
    explanation = ml.explain(lambda a, b: a[:, 0], inputs, **known, **OCCLUSION)
    found = cohort.performance(explanation)
    assert found.auc.item() == pytest.approx(metrics.roc_auc_score(labels, score))
    assert {str(name) for name in found.data_vars} == {"auc", "auc_interval"}
    frame = cohort.patients(explanation)
    assert frame["label"].tolist() == labels.astype(str).tolist()
    assert frame["predicted"].to_numpy() == pytest.approx(score[:, 0])
    assert not {"probability", "correct", "error"} & set(frame)
