"""The perceptual score: what the model's score loses when one modality is another patient's (Gat, Schwartz and Schwing
2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.measures.base import Arrays, by_output
from modalens.measures.scored import LEAST, Scored, without
from modalens.problem import PRESENT, Outputs, Problem, Values


@dataclass(frozen=True, kw_only=True)
class PerceptualScore(Scored):
    """What the score loses when one modality is taken from another patient: block permutation importance. Needs labels.

    The score is taken with the modality from one background row, and averaged over the rows; Reliance's `lost` is of
    the mean output over the rows, which is a better prediction. (The authors permute the modality among the explained
    patients; every row for every patient is the same without the draw.) With a baseline that fills in one value, the
    loss is that under this value.

    Parameters
    ----------
    metric : "accuracy" (the paper's, and the default for classes and labels), "auc", "r2" (the default for
        regression), or "concordance" (the default for survival).

    Result
    ------
    everything: the score on the inputs as they are. permuted (modality): with the modality from another patient.
    values (modality): everything - permuted. Below 0 where the modality misleads the model.
    normalised (modality): values / everything, the paper's share of the score that rests on the modality.
    contribution (modality): max(value, 0), normalised.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> x = np.array([[-2.0], [-1.0], [1.0], [2.0]]); noise = np.random.default_rng(0).normal(size=(4, 1))
    >>> inputs = {"lab": x, "age": noise}
    >>> found = ml.explain(
    ...     lambda lab, age: 1 / (1 + np.exp(-lab[:, 0])), inputs, measures=[ml.PerceptualScore()], labels=[0, 0, 1, 1], background=inputs, baseline="background"
    ... ).perceptual_score
    >>> found.values.values
    array([0.5, 0. ])
    """

    default_name: ClassVar[str] = "perceptual_score"
    title: ClassVar[str] = "What the score loses with another patient's modality (perceptual score)"
    citation: ClassVar[str] = """@inproceedings{gat2021perceptual,
  title = {Perceptual Score: What Data Modalities Does Your Model Perceive?},
  author = {Gat, Itai and Schwartz, Idan and Schwing, Alexander},
  booktitle = {Advances in Neural Information Processing Systems}, year = {2021}
}"""

    @property
    def estimands(self) -> Mapping[str, str]:
        return {"contribution": "loss"} if self.metric in (None, "accuracy") else {}

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        self._require_labels(problem)
        return (Outputs(masks=(PRESENT, *without(problem)), baseline=problem.coalition_baselines[0]),)

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        first, space = problem.coalition_baselines[0], self._space(problem)
        found = {"everything": by_output(problem, values.mean([PRESENT], first, space=space)[0])}
        rows = values.blocks_of(without(problem), first, space=space, single=True)
        if rows is not None:
            found["permuted"] = by_output(problem, rows, ("modality", problem.modalities), ("row", None))
        return found

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        everything = self._scores(problem, samples["everything"], weights)
        if "permuted" in samples:
            permuted = self._scores(problem, samples["permuted"], weights).mean("row", skipna=False)
        else:
            permuted = everything.expand_dims(modality=list(problem.modalities), axis=-1) * np.nan
        values = everything - permuted
        return {
            "everything": everything,
            "permuted": permuted,
            "values": values,
            "normalised": values / everything.where(everything > 0),
            "contribution": statistics.share(values.clip(min=0), floor=LEAST),
        }

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        why = super().reasons(problem, found)
        if "everything" in why:
            return why
        if "permuted" in why:
            text = "the score is taken for single background rows, and they were pooled for lack of memory: fewer rows, Background(rows=...), would fit"
            return dict.fromkeys(why, text)
        texts = {
            "normalised": "the score on the inputs as they are is not above 0",
            "contribution": "no modality is missed, so there is nothing to share: 0 / 0",
        }
        return {name: texts[name] for name in why}
