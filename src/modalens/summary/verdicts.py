"""The five things that a reader wants to know first, each answered on a line of its own."""

from __future__ import annotations

from collections.abc import Iterator

from modalens.explanation import DISAGREEMENT, Explanation
from modalens.reading import hides, lead_outputs, results_of
from modalens.summary import intervals_in_words
from modalens.summary.headline import (
    carries,
    combines,
    depends_on_baseline,
    ignores,
    knows_nothing,
    of_those_who_have,
    shown_by_baseline,
)

CARRIES, IGNORED, COMBINES, SURE, CAREFUL = "Carries most", "Ignored", "Combines", "How sure", "Careful"

NOT_RIGHT = "A large share says that the model uses a modality, not that it is right to do so."


def verdicts(explanation: Explanation) -> dict[str, tuple[str, ...]]:
    """Which modality carries most, whether one is ignored, whether they are combined, how sure that is, and what to be careful
    about: sentences by label, in this order. Where nothing was asked that answers a question, one says what to ask.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens.summary.verdicts import verdicts
    >>> inputs = {"a": np.ones((9, 1)), "b": np.arange(9.0)[:, None]}
    >>> found = ml.explain(lambda a, b: b[:, 0], inputs, measures=[ml.Occlusion()], baseline="zeros", output="raw", progress=False)
    >>> found = verdicts(found)
    >>> list(found), found["Ignored"]
    (['Carries most', 'Ignored', 'Combines', 'How sure', 'Careful'], ('“a” is ignored: even the upper bound of its share lies below 5 %, hidden part by part and as a whole.',))
    """
    several = len(explanation.modalities) > 1
    return {
        CARRIES: (*_said(carries(explanation), _ask("which modality carries most", "Shapley", several)), *of_those_who_have(explanation)),
        IGNORED: _said(ignores(explanation), _nothing_ignored(explanation)),
        COMBINES: _said(combines(explanation), _ask("whether modalities are combined", "InterSHAP", several)),
        SURE: (*_how_sure(explanation), *_said(depends_on_baseline(explanation), _baselines_agree(explanation))),
        CAREFUL: (*knows_nothing(explanation), *explanation.provenance["warnings"], *_own_background(explanation), NOT_RIGHT),
    }  # fmt: skip


def _said(sentences: Iterator[str], otherwise: str) -> tuple[str, ...]:
    return tuple(sentences) or ((otherwise,) if otherwise else ())


def _ask(question: str, measure: str, several: bool) -> str:
    if not several:
        return "There is only one modality, so there is nothing to compare."
    return f"Not asked: {question} is told by explain(..., measures=[ml.{measure}(), ...])."


def _nothing_ignored(explanation: Explanation) -> str:
    """That no modality counts as ignored, or that nothing was asked that could tell."""
    if len(explanation.modalities) < 2:
        return "There is only one modality, so there is nothing to compare."
    asked = [
        result for kind in ("reliance", "occlusion", "fusion_gradient") for result in results_of(explanation, kind).values()
    ]  # fmt: skip
    if not asked:
        return _ask("whether a modality is ignored", "Occlusion", True)
    if not any(map(hides, asked)):
        return "No modality is cut off from the output. Whether one hardly counts is told by explain(..., measures=[ml.Occlusion(), ...])."
    if all(result.confidence is None or "interval" in result.reasons for result in asked):
        return "Without intervals it can't be said whether a modality is ignored."
    by_label = " for every label" if lead_outputs(explanation) else ""
    return f"No modality is shown to be ignored{by_label}."


def _how_sure(explanation: Explanation) -> tuple[str, ...]:
    samples = explanation.provenance["samples"]
    words = dict.fromkeys(map(intervals_in_words, explanation.results.values()))
    return (f"From {samples:,} explained samples.", *words)


def _baselines_agree(explanation: Explanation) -> str:
    """That several baselines say the same; nothing where there is only one."""
    several = [array for _, array in shown_by_baseline(explanation) if array.sizes["baseline"] > 1]
    if not several:
        return "Only one thing stood in for what is hidden, so whether the answer depends on it is not known: ml.sensitivity(...) tells." if _hides(explanation) else ""  # fmt: skip
    return f"What stands in for what is hidden makes little difference: no share changes by more than {100 * DISAGREEMENT:g} percentage points."


def _hides(explanation: Explanation) -> bool:
    return any(hides(result) for result in explanation.results.values())


def _own_background(explanation: Explanation) -> tuple[str, ...]:
    """That the explained patients stood in for one another, which a reader may not expect."""
    if not explanation.provenance["background"]["are_the_explained_samples"]:
        return ()
    return (
        "The explained samples themselves stood in for what is hidden: explain(..., background=) takes other patients.",
    )
