"""The answer in sentences says what the numbers allow, and no more."""

from __future__ import annotations

import numpy as np
import pytest

import modalens as ml
from explained import lesion, multilabel, omics, pair, regression, report, sigmoid
from modalens.summary.headline import headline


def said(explanation: ml.Explanation) -> str:
    return " ".join(headline(explanation))


def test_who_carries_most_with_interval_and_the_other_ways_of_asking() -> None:
    explanation = report()
    share, bounds = (
        explanation.occlusion.contribution.sel(modality="report"),
        explanation.occlusion.interval["contribution"].sel(modality="report").values,
    )
    first = headline(explanation)[0]
    assert first.startswith(
        f"“report” carries most: {100 * float(share):.0f} % (95 % interval {100 * bounds[0]:.0f} to {100 * bounds[1]:.0f}) of the change"
    )
    assert "by the Shapley value" in first


def test_a_lead_that_may_be_chance_is_not_called_one() -> None:
    explanation = pair(lambda a, b: a[:, 0] + b[:, 0], output="raw", measures=[ml.Occlusion()])
    lead = explanation.occlusion.draws["contribution"].diff("modality").quantile([0.025, 0.975])
    assert float(lead[0]) < 0 < float(lead[1])
    assert headline(explanation)[0].startswith("Which modality carries most is not clear")


def test_ways_of_asking_that_disagree_are_named() -> None:
    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return 1.5 * a[:, 0] + b[:, 0] - b[:, 1]  # b changes more in parts than as a whole, where its columns are alike

    random = np.random.default_rng(0)
    b = random.normal(size=(40, 1)) + 0.1 * random.normal(size=(40, 2))
    explanation = ml.explain(
        model,
        {"a": random.normal(size=(40, 1)), "b": b},
        measures=[ml.Occlusion()],
        baseline="zeros",
        output="raw",
        progress=False,
    )
    assert explanation.occlusion.contribution.idxmax().item() == "b"
    assert "But “a” comes first when hidden as a whole" in headline(explanation)[0]


def test_combination_beyond_an_additive_model_is_told_with_its_interval() -> None:
    explanation = omics()
    excess = 100 * float(explanation.intershap.excess.sel(space="probability"))
    assert "The model combines its modalities" in said(explanation)
    assert f"leaves {excess:+.1f} (" in said(explanation)


def test_an_additive_model_is_not_said_to_combine() -> None:
    explanation = pair(lambda a, b: sigmoid(3 * a[:, 0] + 3 * b[:, 0] + 1), measures=[ml.InterSHAP()])
    assert float(explanation.intershap.score) > 0.03  # probabilities flatten, so the score alone would mislead
    assert "adds its modalities up rather than combining them" in said(explanation)


def test_a_score_of_means_needs_a_pair_that_leaves_out_zero() -> None:
    """Two samples out of three push one way, the others the other way: |mean| is far above 0 by chance alone."""
    sign = np.where(np.arange(12) % 2, 1.0, -1.0)[:, None]
    inputs = {"a": sign, "b": np.abs(np.random.default_rng(0).normal(size=(12, 1)))}
    explanation = ml.explain(
        lambda a, b: a[:, 0] * b[:, 0],
        inputs,
        measures=[ml.InterSHAP(reading="paper")],
        baseline="zeros",
        output="raw",
        progress=False,
    )
    bounds = explanation.intershap.interval["signed"].sel(modality="a", modality_2="b").values
    assert bounds[0] < 0 < bounds[1]
    assert float(explanation.intershap.interval["score"].min()) > 0.01
    assert "is not shown" in said(explanation)
    assert "for no pair of modalities does the interval of the signed interaction leave out 0" in said(explanation)


def test_outputs_scored_apart_are_judged_apart() -> None:
    assert "for “nodule”" in said(multilabel())
    assert "not shown for “effusion”" in said(multilabel())


def test_an_ignored_modality_is_named_with_labels_and_without() -> None:
    assert "“clinical” is ignored" in said(omics())
    assert "“ecg” is ignored" in said(regression())
    unlabelled = pair(lambda a, b: sigmoid(a[:, 0]), measures=[ml.Occlusion()])
    assert "“b” is ignored" in said(unlabelled)
    assert "ignored" not in said(pair(measures=[ml.Occlusion()]))


def test_a_withheld_verdict_is_left_open() -> None:
    explanation = pair(confidence=None, measures=[ml.Reliance()], labels=np.arange(12) % 2)
    assert "Whether “a” and “b” are ignored is left open: no interval." in said(explanation)


def test_baselines_that_disagree_are_told() -> None:
    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (abs(a[:, 0]) > 1) + 0.5 * b[:, 0]  # the mean of a lies where nothing happens

    explanation = pair(model, samples=40, output="raw", measures=[ml.Occlusion()])
    shares = explanation.occlusion.anchor_by_baseline.sel(modality="a")
    assert float(shares.max() - shares.min()) > 0.1
    assert "depends on what stands in for what is hidden: the share of “" in said(explanation)


def test_agreeing_baselines_are_not_mentioned() -> None:
    assert "depends on what stands in" not in said(report())


def test_a_model_no_better_than_chance_is_told() -> None:
    labels = np.arange(12) % 2
    assert "not shown to be better than chance" in said(pair(labels=labels))
    assert "better than chance" not in said(lesion())


@pytest.mark.parametrize("measures", [[ml.Occlusion()], [ml.InterSHAP()]], ids=["occlusion", "intershap"])
def test_without_intervals_nothing_is_claimed(measures: list[ml.Measure]) -> None:
    sentences = said(pair(confidence=None, measures=measures))
    assert "without intervals" in sentences
    assert "carries most" not in sentences
    assert "combines" not in sentences


def test_nothing_changes_nothing_said() -> None:
    assert headline(pair(lambda a, b: np.full(len(a), 0.5), measures=[ml.Occlusion()])) == [
        "The output stays the same whatever is hidden, so no modality has a share of it."
    ]
