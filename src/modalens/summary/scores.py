"""What the model's score owes to combining its modalities, and to each of them: tables of EMAP, SHAPE and the perceptual
score.
"""

from __future__ import annotations

from collections.abc import Iterator

from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.reading import results_of, space_words
from modalens.summary.cells import Table, cell, footnotes, of_measured
from modalens.summary.wording import NOT_THERE, baseline_label, difference, metric_words, percent, score


def additive(explanation: Explanation) -> Iterator[Table]:
    """The score beside that of the best additive approximation."""
    for name, result in results_of(explanation, "emap").items():
        scale = space_words(explanation, str(result.settings["space"]))
        yield Table(
            title=f"What the score owes to combining modalities (EMAP, {_metric(result)}){of_measured(explanation, 'emap', name)}",
            columns=("the model", "if it only added up", "owed to combining"),
            rows=((cell(result, "score", score), cell(result, "additive", score), cell(result, "gap", difference)),),
            notes=(
                f"If it only added up: the scores of the model's best additive approximation on the {scale}, {_replaced(result)}.",
                "A difference near 0 says that combining does not help to predict these labels, not that the model does not combine.",
                *footnotes(result, "score", "additive", "gap", words=score),
            ),
        )


def cooperation(explanation: Explanation) -> Iterator[Table]:
    """The Shapley values of the score, and what only modalities together score."""
    for name, result in results_of(explanation, "shape").items():
        rows = [
            (
                modality,
                cell(result, "values", difference, modality=modality),
                cell(result, "contribution", percent, modality=modality),
            )
            for modality in explanation.modalities
        ]
        rows.append(("cooperation", cell(result, "cooperation", difference), NOT_THERE))
        yield Table(
            title=f"How much of the score each modality brings (SHAPE, {_metric(result)}){of_measured(explanation, 'shape', name)}",
            columns=("modality", "Shapley value", "share"),
            rows=tuple(rows),
            notes=(
                f"The values sum to the score with all modalities, {cell(result, 'everything', score)}, less that with none, {cell(result, 'nothing', score)}, {_replaced(result)}.",
                "Cooperation: what all score together beyond what each brings alone; below 0 where they say the same. It is contained in the values.",
                "A modality that lowers the score has no share of it.",
                *footnotes(result, "values", "contribution", "cooperation", words=score),
            ),
        )


def perceptual(explanation: Explanation) -> Iterator[Table]:
    """The score with one modality from another patient."""
    for name, result in results_of(explanation, "perceptual_score").items():
        rows = [("all its own", cell(result, "everything", score), NOT_THERE, NOT_THERE)]
        for modality in explanation.modalities:
            at = {"modality": modality}
            rows.append(
                (
                    modality,
                    cell(result, "permuted", score, **at),
                    cell(result, "values", difference, **at),
                    cell(result, "normalised", percent, **at),
                )
            )
        yield Table(
            title=f"What the score loses with another patient's modality (perceptual score, {_metric(result)}){of_measured(explanation, 'perceptual_score', name)}",
            columns=("modality", "with another's", "lost", "of the score"),
            rows=tuple(rows),
            notes=(
                f"One modality at a time, {_replaced(result)}, the mean score over single replacements.",
                *footnotes(result, "everything", "permuted", "values", "normalised", words=score),
            ),
        )


def _metric(result: Result) -> str:
    return metric_words(str(result.settings["metric"]))


def _replaced(result: Result) -> str:
    return f"{baseline_label(str(result.settings['baseline']))} standing in for what is absent"
