"""EMAP: how well the model would predict if it only added its modalities up (Hessel and Lee 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from modalens.measures.base import Arrays, by_output
from modalens.measures.scales import adding_space, probabilities
from modalens.measures.scored import Scored, alone
from modalens.problem import PRESENT, Mask, Outputs, Problem, Values


@dataclass(frozen=True, kw_only=True)
class EMAP(Scored):
    """What the model scores, and what is left of it in its best additive approximation, which can't combine
    modalities: the empirical multimodally-additive projection. Needs labels.

    The projection of a sample is f_add(x) = sum_m v(m alone) - (M - 1) c, taken on the log-odds (the log hazard of a
    survival) where there are any. c is the mean output over modalities of different patients, v(none) + mean over
    samples [sum_m v(m alone) - f - (M - 1) v(none)] / M: for an additive model, v(none), so that f_add is f; and where
    the explained patients themselves stand in, all of them, the mean over EMAP's grid of N x N pairs of two
    modalities. There the projection is EMAP to the bit of rounding; with other patients as background it is the same
    estimate from other rows.

    A gap near 0 says that the labels can be predicted as well without combining modalities, not that the model does
    not combine them; for that there is InterSHAP.

    Parameters
    ----------
    metric : "accuracy" (the default for classes and labels), "auc", "r2" (the default for regression), or
        "concordance" (the default for survival).

    Result
    ------
    score: of the model. additive: of its projection. gap: score - additive.
    values (sample, output): the projection, in the space that `settings` names.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> bits = np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> inputs = {"a": bits[0], "b": bits[1]}
    >>> found = ml.explain(
    ...     lambda a, b: 0.1 + 0.8 * (a != b)[:, 0], inputs, measures=[ml.EMAP()], labels=[0, 1, 1, 0], background=inputs, baseline="background"
    ... ).emap
    >>> found.score.item(), found.additive.item(), found.gap.item()
    (1.0, 0.5, 0.5)
    """

    default_name: ClassVar[str] = "emap"
    title: ClassVar[str] = "The score without combining modalities (EMAP)"
    fewest: ClassVar[int] = 2
    citation: ClassVar[str] = """@inproceedings{hessel2020does,
  title = {Does my multimodal model learn cross-modal interactions? It's harder to tell than you might think!},
  author = {Hessel, Jack and Lee, Lillian},
  booktitle = {Empirical Methods in Natural Language Processing}, year = {2020}
}"""

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        problem.require_several("EMAP")
        problem.require_complete("EMAP")
        self._require_labels(problem)
        return (Outputs(masks=_masks(problem), baseline=problem.coalition_baselines[0]),)

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        present = values.mean([PRESENT], problem.coalition_baselines[0], space=self._space(problem))[0]
        additive = _projection(problem, values)
        if self._space(problem) == "probability" and adding_space(problem) != "probability":
            additive = probabilities(problem, additive)
        return {"score": by_output(problem, present), "additive": by_output(problem, additive)}

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        found = {name: self._scores(problem, outputs, weights) for name, outputs in samples.items()}
        return found | {"gap": found["score"] - found["additive"]}

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        super().details(problem, values, samples)
        return {"values": by_output(problem, _projection(problem, values))}

    def settings(self, problem: Problem) -> dict[str, Any]:
        return super().settings(problem) | {"space": adding_space(problem)}


def _masks(problem: Problem) -> tuple[Mask, ...]:
    """Everything present, nothing, and each modality alone."""
    return (PRESENT, Mask.without(*problem.modalities), *alone(problem))


def _projection(problem: Problem, values: Values) -> np.ndarray:
    """The additive approximation of every sample's outputs, (sample, output)."""
    present, nothing, *each = values.mean(_masks(problem), problem.coalition_baselines[0], space=adding_space(problem))
    together, others = np.sum(each, axis=0), len(each) - 1
    mixed = nothing + (together - present - others * nothing).mean(axis=0) / len(each)
    return np.asarray(together - others * mixed)
