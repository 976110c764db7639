"""What gradients at the fusion point say: the shares by every estimator, and the features that the estimators work on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.reading import GRADIENTS, estimators_of, gradients_words, results_of
from modalens.summary.cells import Table, cells, footnotes, of_measured, rows_of, undefined
from modalens.summary.wording import NOT_THERE, baseline_label, capital, in_words, quote, rounded_percent

ESTIMATORS = {
    "expected": "how much the output changes along straight lines from {start} to the patient's, by the modality that changes it",
    "integrated": "how much the output changes along one straight line from {middle} to the patient's, by the modality that changes it",
    "covariance": "how steep the output is at the patient, times how much the modality's features vary in {start}",
    "grouped": "how steep the output is at the patient, times how far the modality's features lie from {middle}",
    "gradient": "how steep the output is at the patient in each feature by itself, however little that feature varies (Azmat and Alessio 2022)",
}
"""What each estimator adds up, in plain words; `start` is what stands in, `middle` the mean of it."""


def gradients(explanation: Explanation) -> Iterator[Table]:
    """Shares by the estimator that was asked for, and by the others beside it."""
    for name, result in results_of(explanation, "fusion_gradient").items():
        first, *others = estimators_of(result)
        columns = [cells(result, "contribution", "modality", explanation.modalities)]
        columns += [cells(result, "by_estimator", "modality", explanation.modalities, estimator=one) for one in others]
        yield Table(
            title=f"{_place(explanation)} (shares; each column sums to 100 %){of_measured(explanation, 'fusion_gradient', name)}",
            columns=("modality", f"contribution ({first})", *others),
            rows=rows_of(explanation.modalities, columns),
            notes=(
                *_estimators_in_words(result),
                *_doubts(result),
                "These shares compare modalities within one model: another architecture has another fusion point.",
                *footnotes(result, "contribution", "by_estimator"),
            ),
        )


def features(explanation: Explanation) -> Iterator[Table]:
    """How many features each modality has there, how many of them say something of their own, and what that does to
    the paper's estimator.
    """
    at_fusion = gradients_words(explanation) == GRADIENTS
    for name, result in results_of(explanation, "fusion_gradient").items():
        yield Table(
            title=f"The features that {'reach the fusion point' if at_fusion else 'enter the model'}{of_measured(explanation, 'fusion_gradient', name)}",
            columns=("modality", "features", "their spread", "directions really used", "counted by “gradient” at"),
            rows=tuple((modality, *_facts(result, modality)) for modality in explanation.modalities),
            notes=(
                "Directions really used: how many of the features vary by themselves (participation ratio)."
                + (" A trained encoder often says one thing in many features." if at_fusion else ""),
                "The estimator “gradient” takes each feature by itself: features that are nearly copies of each other are counted at about this share of what they carry together, "
                "and features of small spread (standard deviation) too high. The others add up within the modality first, and weigh with how far features move.",
                *_without_features(result),
            ),
        )


def by_start(explanation: Explanation) -> Iterator[Table]:
    """Whether it matters from where the features are followed: shares under each baseline, where there are several."""
    for name, result in results_of(explanation, "fusion_gradient").items():
        starts = [str(one) for one in result.array("by_baseline").baseline.values]
        if len(starts) < 2 or estimators_of(result)[0] == "gradient":
            continue
        columns = [cells(result, "by_baseline", "modality", explanation.modalities, baseline=one) for one in starts]
        yield Table(
            title=f"{_place(explanation)}: whether it matters where they start{of_measured(explanation, 'fusion_gradient', name)}",
            columns=("modality", *(f"from {baseline_label(one)}" for one in starts)),
            rows=rows_of(explanation.modalities, columns),
            notes=(
                "Columns that differ much mean that the answer holds for its baseline only.",
                *undefined(result, "by_baseline"),
            ),
        )


def _place(explanation: Explanation) -> str:
    return capital(gradients_words(explanation))


def _facts(result: Result, modality: str) -> tuple[str, str, str, str]:
    width, spread, used, bias = (
        float(result.array(one).sel(modality=modality))
        for one in ("width", "spread", "participation", "predicted_bias")
    )
    return (
        f"{width:,.0f}",
        f"{spread:.2g}" if width else NOT_THERE,
        NOT_THERE if np.isnan(used) else f"{used:.1f}",
        NOT_THERE if np.isnan(bias) else rounded_percent(bias),
    )


def _estimators_in_words(result: Result) -> Iterator[str]:
    start = baseline_label(str(result.array("by_baseline").baseline.values[0]))
    middle = f"the mean of {start}" if "patients" in start else start
    for one in estimators_of(result):
        yield f"{capital(one)}: {ESTIMATORS[one].format(start=start, middle=middle)}."


def _doubts(result: Result) -> Iterator[str]:
    """How far the numbers can be trusted: saturation, completeness, and whether the model knows anything."""
    yield (
        f"Saturated samples: {rounded_percent(float(result.saturation))}. Their output hardly moves any more at the patient, "
        "and estimators other than those along lines miss what moved it."
    )
    missed = float(result.completeness_error)
    yield (
        "Completeness can't be told: the output does not change along the lines."
        if np.isnan(missed)
        else f"The changes along the lines add up to the whole change of the output but for {rounded_percent(missed)} of it (completeness error)."
    )
    if "accuracy" in result.arrays:
        right, guessed = (rounded_percent(float(result.array(one))) for one in ("accuracy", "chance"))
        yield (
            f"The model is right on {right} of the samples; always giving the most frequent answer would be right on {guessed}. "
            "Gradients of a model that is no better look even, and say nothing about its modalities."
        )


def _without_features(result: Result) -> Iterator[str]:
    width = result.array("width")
    ignored = [quote(name) for name in width.modality.values[(width == 0).values]]
    if ignored:
        yield f"No features: the model ignores {in_words(ignored)}."
