"""The patients to look at first: the most typical, and those who stand out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from modalens.cohort.patients import discordance_of, patients
from modalens.cohort.predictions import Predictions, predictions_of
from modalens.explanation import Explanation
from modalens.reading import output_words, require, space_of, target_words

NOTHING = 1e-9
"""An interaction or a discordance up to this is rounding, and chooses nobody."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A patient who was chosen: as what ("most typical"), which (the sample's position), and why, with the numbers."""

    kind: str
    sample: int
    words: str


def chosen(explanation: Explanation) -> tuple[Chosen, ...]:
    """The patients whom a reader should see first, one of each kind, by fixed rules: nobody picks them by hand.

    "most typical": the shares of modalities nearest to their mean over the cohort, among those predicted right where labels
    are known. "most interactive": the largest interaction of their own. "most wrong": the largest error. "most discordant":
    the target output is pulled hardest in two directions at once (see `patients`). A kind is missing where its numbers are,
    and a patient is chosen once: the next best stands for the later kind. Of equals the first is chosen.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import cohort
    >>> inputs = {"a": np.array([[2.0], [-3.0], [0.5]]), "b": np.array([[1.0], [1.0], [1.0]])}
    >>> settings = {"measures": [ml.Occlusion()], "baseline": "zeros", "progress": False}
    >>> explanation = ml.explain(lambda a, b: 1 / (1 + np.exp(-a[:, 0])), inputs, labels=[1, 1, 1], classes=["benign", "malignant"], **settings)
    >>> cohort.chosen(explanation)[1]
    Chosen(kind='most wrong', sample=1, words='Most wrong: the model gives 5 % to “malignant”, the true class.')
    """
    frame = patients(explanation)
    taken: list[Chosen] = []
    for kind, order, say in _rules(explanation, frame):
        sample = next((place for place in order if place not in [one.sample for one in taken]), None)
        if sample is not None:
            taken.append(Chosen(kind=kind, sample=sample, words=f"{kind.capitalize()}: {say(sample)}"))
    return tuple(taken)


Rule = tuple[str, list[int], Callable[[int], str]]
"""A kind, the samples from the best on, and what is said of one."""


def _rules(explanation: Explanation, frame: pd.DataFrame) -> Iterator[Rule]:
    """The kinds that there are numbers for."""
    names = [name for name in explanation.modalities if f"{name} share" in frame]
    if len(names) > 1:
        yield "most typical", *_typical(frame, names)
    if "interaction" in frame:
        yield "most interactive", _from_largest(frame["interaction"]), partial(_interactive_words, frame)
    if "error" in frame:
        found = predictions_of(explanation)
        yield "most wrong", _from_largest(frame["error"]), partial(_wrong_words, explanation, found)
    if "discordance" in frame:
        yield "most discordant", _from_largest(frame["discordance"]), partial(_discordant_words, explanation)


def _from_largest(numbers: pd.Series) -> list[int]:
    """The samples with a number above rounding, the largest first."""
    values = numbers.to_numpy(dtype=float)
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    return [int(place) for place in order if values[place] > NOTHING]


def _typical(frame: pd.DataFrame, names: list[str]) -> tuple[list[int], Callable[[int], str]]:
    """The samples that have all shares, among those predicted right where that is known, the nearest to the mean first; and what
    is said of one.
    """
    shares = frame[[f"{name} share" for name in names]].to_numpy()
    known = ~np.isnan(shares).any(axis=1)
    if not known.any():
        return [], str
    mean = shares[known].mean(axis=0)
    distance = np.linalg.norm(shares - mean, axis=1)
    right = known & frame["correct"].to_numpy() if "correct" in frame else known
    order = np.argsort(distance.round(12), kind="stable")
    of = "" if known.all() else f" of the {int(known.sum()):,} patients who have all of them"
    say = partial(_typical_words, frame, dict(zip(names, mean, strict=True)), of)
    return [int(place) for place in order if right[place]], say


def _typical_words(frame: pd.DataFrame, means: dict[str, float], of: str, sample: int) -> str:
    own = ", ".join(f"{_percent(_at(frame, f'{name} share', sample))} “{name}”" for name in means)
    mean = ", ".join(map(_percent, means.values()))
    right = " The model is right here." if "correct" in frame else ""
    return f"the modalities' shares ({own}) are nearest to the cohort's mean ({mean}){of}.{right}"


def _interactive_words(frame: pd.DataFrame, sample: int) -> str:
    own, mean = _at(frame, "interaction", sample), float(frame["interaction"].mean())
    return f"{_percent(own)} of the model's behaviour on this patient is interaction of modalities; the mean is {_percent(mean)}."


def _wrong_words(explanation: Explanation, found: Predictions, sample: int) -> str:
    assert found.labels is not None
    label, values = found.labels[sample], found.values[sample]
    if found.task == "classification":
        right = "; it is the predicted class all the same" if values.argmax() == label else ""
        return f"the model gives {_percent(values[label])} to “{found.outputs[label]}”, the true class{right}."
    if found.task == "multilabel":
        worst = int(np.abs(label - values).argmax())
        truth = "holds" if label[worst] else "does not hold"
        return f"the model gives {_percent(values[worst])} to “{found.outputs[worst]}”, which {truth}."
    spread = np.where(found.labels.std(axis=0) > 0, found.labels.std(axis=0), np.nan)
    worst = int(np.nan_to_num(np.abs(label - values) / spread).argmax()) if len(values) > 1 else 0
    units = f" {explanation.provenance['units']}" if explanation.provenance.get("units") else ""
    of = f" of “{found.outputs[worst]}”" if len(values) > 1 else ""
    return f"the model says {values[worst]:.3g}{units}{of}, and {label[worst]:.3g}{units} is true."


def _discordant_words(explanation: Explanation, sample: int) -> str:
    values = require(explanation, "shapley").array("of_target").isel(sample=sample)
    what = target_words(explanation)
    if "output" in values.dims:
        values = values.isel(output=int(discordance_of(values).argmax("output")))
        what = output_words(explanation, str(values.output.item()))
    up, down = float(values.clip(min=0).sum()), float(values.clip(max=0).sum())
    raising = _quoted([str(name) for name in values.modality.values if values.sel(modality=name) > 0])
    lowering = _quoted([str(name) for name in values.modality.values if values.sel(modality=name) < 0])
    points = space_of(explanation) == "probability"
    return (
        f"{raising} raises the {what} by {_amount(up, points)}, and {lowering} lowers it by {_amount(-down, points)}."
    )


def _at(frame: pd.DataFrame, column: str, sample: int) -> float:
    return float(frame[column].to_numpy()[sample])


def _quoted(names: list[str]) -> str:
    return " with ".join(f"“{name}”" for name in names)


def _amount(value: float, points: bool) -> str:
    return f"{100 * value:.1f} points" if points else f"{value:.3g}"


def _percent(share: float) -> str:
    """A share as whole per cent, which says 0 or 100 only where it is that."""
    whole = f"{100 * share:.0f}"
    if whole == "0" and share > 0:
        return "less than 1 %"
    return "more than 99 %" if whole == "100" and share < 1 else f"{whole} %"
