"""What an explanation cannot show: said of what is there, and of what was not asked."""

from __future__ import annotations

from collections.abc import Iterator

from modalens.explanation import Explanation
from modalens.reading import hides, result_of, results_of, sets_of_modalities
from modalens.report.layout import Section
from modalens.summary import intervals_in_words
from modalens.summary.verdicts import NOT_RIGHT

FEW = 30
"""Fewer samples than this are few for any sentence about patients, a convention."""


def about_limits(
    explanation: Explanation, *, notes: tuple[str, ...] = (), planted: bool, useful: bool, patients: bool
) -> Section:
    """What the page cannot show. notes: of the author, first. planted, useful, patients: whether a planted shortcut, models trained
    without a modality, and single patients are on the page.
    """
    return Section(
        title="What this cannot show",
        points=(
            *notes,
            *_always(),
            *_of_hiding(explanation),
            *_of_scores(explanation, useful),
            *_of_patients(explanation, patients),
            *_of_checks(explanation, planted),
            *_of_reading(explanation),
        ),
    )


def _always() -> Iterator[str]:
    yield "What the model uses is not what causes the disease, and not what a physician should use: a contribution is no cause."
    yield NOT_RIGHT


def _of_hiding(explanation: Explanation) -> Iterator[str]:
    """What hiding does, and following gradients instead."""
    if any(map(hides, explanation.results.values())):
        yield (
            "Replacing an input makes patients that do not exist, such as one's image with another's age; the more unlikely they are, the less the model's answer on them means. "
            "ml.validation.off_manifold(...) tells which of them can be told from real ones."
        )
    if result_of(explanation, "occlusion") is not None:
        yield "The share of a modality that is hidden part by part depends on how finely it is cut; ml.sweep(...) shows how."
    if results_of(explanation, "fusion_gradient"):
        yield "Shares by gradients compare modalities within this one model: another architecture has another fusion point."
    if result_of(explanation, "intershap") is not None:
        yield "That a model combines its modalities does not show that it has to: one that only adds up may predict as well."
    if explanation.provenance["background"]["are_the_explained_samples"]:
        yield "The explained samples stood in for one another, so the background is no independent cohort: explain(..., background=) takes one."


def _of_scores(explanation: Explanation, useful: bool) -> Iterator[str]:
    """Performance and usefulness."""
    if "label" not in explanation.cohort:
        yield "Without labels nothing here says whether the model is any good; what a bad model looks at is of no use to anybody."
    else:
        yield "The performance is that on these patients. If the model was trained on them it is flattered, and in another hospital it may be another."
    if not useful:
        yield "What this model relies on is not what is useful: whether a modality is needed, only models tell that are trained without it (ml.usefulness)."


def _of_patients(explanation: Explanation, patients: bool) -> Iterator[str]:
    """Who was explained."""
    samples = explanation.provenance["samples"]
    if samples < FEW:
        yield f"{samples} samples are few: the next {samples} may say something else."
    if sets_of_modalities(explanation):
        yield "Patients who lack a modality may differ from those who have it in more than that; shares among them are of other patients."
    if len(explanation.characteristics.columns):
        yield "Differences between subgroups are not adjusted for one another: older patients may come from another hospital."
    if patients:
        yield "The single patients were chosen because they stand out, or are typical; they are examples, and no evidence."


def _of_checks(explanation: Explanation, planted: bool) -> Iterator[str]:
    """How far the measures themselves can be trusted here."""
    if not planted:
        yield (
            "Whether the measures would see a shortcut in this very model, and say nothing about one with random weights, was not tried here: ml.plant(...) and "
            "ml.validation.randomised(...) try it."
        )
    else:
        yield "That a planted shortcut is seen does not show that every shortcut would be."
    if any(
        result.confidence is not None and "interval" not in result.reasons for result in explanation.results.values()
    ):
        yield "Intervals are over patients. They do not hold what another training of the model, another hospital or another way to cut would change."


def _of_reading(explanation: Explanation) -> Iterator[str]:
    """What the brackets are, and what was taken for granted."""
    yield from dict.fromkeys(map(intervals_in_words, explanation.results.values()))
    yield from (f"Inferred: {said}." for said in explanation.provenance["said"])
