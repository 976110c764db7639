"""SHAPE: what each modality, and their cooperation, adds to the model's score (Hu, Li and Zhou 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.measures import indices
from modalens.measures.base import Arrays, by_output
from modalens.measures.scored import LEAST, Scored
from modalens.measures.shapley import coalition_needs
from modalens.problem import Outputs, Problem, Values


@dataclass(frozen=True, kw_only=True)
class SHAPE(Scored):
    """What each modality adds to the model's score, averaged over all orders of arrival, and what they add together
    beyond that: exact Shapley values of the game whose value V(S) is the score of the outputs v(S). Needs labels.

    v(S) is the mean output with the modalities outside S replaced (the paper replaces by zeros; here by background
    rows, unless explain is given a baseline). Up to 12 modalities.

    Parameters
    ----------
    metric : "accuracy" (the paper's, and the default for classes and labels), "auc", "r2" (the default for
        regression), or "concordance" (the default for survival).

    Result
    ------
    values (modality): Shapley values, signed, in units of the metric; they sum to everything - nothing.
    everything, nothing: the score with all modalities, and with none.
    contribution (modality): max(value, 0), normalised. A modality that misleads has a negative value, and no share:
        shares of everything - nothing would exceed 1 for the others.
    cooperation: [V(all) - V(none)] - sum_m [V(m) - V(none)]: above 0 where modalities score together what none does
        alone, below 0 where they say the same.
    matrix (modality, modality_2): the values split as InterSHAP splits a prediction: half of each pair's Shapley
        interaction off the diagonal, the rest on it, so that a row sums to the modality's value; off the diagonal of
        two modalities it is half of the cooperation.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> bits = np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> inputs = {"a": bits[0], "b": bits[1]}
    >>> found = ml.explain(
    ...     lambda a, b: 0.1 + 0.8 * (a != b)[:, 0], inputs, measures=[ml.SHAPE()], labels=[0, 1, 1, 0], background=inputs, baseline="background"
    ... ).shape
    >>> found.values.values, found.cooperation.item()
    (array([0.25, 0.25]), 0.5)
    """

    default_name: ClassVar[str] = "shape"
    title: ClassVar[str] = "Shapley values of the score (SHAPE)"
    fewest: ClassVar[int] = 1
    citation: ClassVar[str] = """@inproceedings{hu2022shape,
  title = {SHAPE: An Unified Approach to Evaluate the Contribution and Cooperation of Individual Modalities},
  author = {Hu, Pengbo and Li, Xingyu and Zhou, Yi},
  booktitle = {International Joint Conference on Artificial Intelligence}, year = {2022}
}"""

    @property
    def estimands(self) -> Mapping[str, str]:
        return {"contribution": "reliance"} if self.metric in (None, "accuracy") else {}

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        self._require_labels(problem)
        return coalition_needs(problem, "SHAPE")[:1]

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        game = values.mean(problem.coalition_masks, problem.coalition_baselines[0], space=self._space(problem))
        return {"game": by_output(problem, game, ("member", None))}

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        scores = self._scores(problem, samples["game"], weights).transpose("member", ...)
        coefficients = indices.moebius(scores.values)
        values = _named(problem, indices.shapley_values(coefficients), scores)
        everything, nothing = scores.isel(member=-1), scores.isel(member=0)
        singles = scores.isel(member=[1 << place for place in range(len(problem.modalities))])
        return {
            "values": values,
            "everything": everything,
            "nothing": nothing,
            "contribution": statistics.share(values.clip(min=0), floor=LEAST),
            "cooperation": everything - nothing - (singles - nothing).sum("member", skipna=False),
            "matrix": _named(problem, indices.pairwise(coefficients), scores),
        }

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        why = super().reasons(problem, found)
        if "values" not in why and "contribution" in why:
            why["contribution"] = "no modality raises the score, so there is nothing to share: 0 / 0"
        return why


def _named(problem: Problem, found: np.ndarray, scores: xr.DataArray) -> xr.DataArray:
    """Numbers of modalities, or of pairs of them, and of draws where the scores have any."""
    drawn = scores.dims[1:]
    leading = ("modality", "modality_2")[: found.ndim - len(drawn)]
    return xr.DataArray(
        found, dims=(*leading, *drawn), coords={name: list(problem.modalities) for name in leading}
    ).transpose(*drawn, ...)
