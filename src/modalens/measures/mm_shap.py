"""MM-SHAP: Shapley values of parts, such as patches and words, added up by modality (Parcalabescu and Frank 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.errors import InputError, choice
from modalens.measures import indices, sampled_games
from modalens.measures.base import Arrays, Measure, by_output, nothing_changes
from modalens.measures.parts import amounts, floor, has, of_parts, part_count, path, players, subsets
from modalens.problem import Mask, Outputs, Problem, Values

EXACT_PARTS = 10
"""Most parts in all for which every subset of them is evaluated."""


@dataclass(frozen=True, kw_only=True)
class MMSHAP(Measure):
    """What the parts of each modality add to the output, averaged over orders in which parts of all modalities could be
    taken away: the absolute Shapley values of a modality's parts, added up, as a share of those of all (the paper's
    T-SHAP and V-SHAP).

    The players are the parts, and v of a subset is the output with the other parts replaced (by a fitted mean or mask
    token, unless explain is given a baseline). With at most 10 parts in all the values are exact. Beyond, orders of the
    parts are drawn, the same for all samples, and each also taken backwards; every order costs a row a part. A sample
    that lacks a part, such as the twentieth word, plays without it.

    The number says nothing that does not depend on how modalities are cut: more parts, more terms in the sum. And
    absolute values of noisy estimates are too large, the more so the more parts a modality has; more orders help.

    Parameters
    ----------
    permutations : orders of the parts, an even number: each second one is the one before, backwards.
    reading : "mean_of_ratios" (the paper's: the share in each sample, then averaged), or "ratio_of_sums".

    Result
    ------
    contribution (modality): sums to 1. by_output (output, modality), by_sample (sample, modality).
    parts {modality: (sample, part, output)}: Shapley values, signed, in units of the output; NaN where a sample has
        fewer parts. All of a sample's sum to v(all) - v(none). part_count (sample, modality).

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"image": np.array([[1.0, 2.0]]), "table": np.array([[3.0]])}
    >>> found = ml.explain(lambda image, table: image.sum(1) * table[:, 0], inputs, measures=[ml.MMSHAP()], baseline="zeros", output="raw").mm_shap
    >>> found.parts["image"].values.ravel(), found.contribution.values
    (array([1.5, 3. ]), array([0.5, 0.5]))
    """

    permutations: int = 8
    reading: Literal["mean_of_ratios", "ratio_of_sums"] = "mean_of_ratios"

    default_name: ClassVar[str] = "mm_shap"
    title: ClassVar[str] = "Shapley values of parts, by modality (MM-SHAP)"
    citation: ClassVar[str] = """@inproceedings{parcalabescu2023mmshap,
  title = {MM-SHAP: A Performance-agnostic Metric for Measuring Multimodal Contributions in Vision and Language Models \\& Tasks},
  author = {Parcalabescu, Letitia and Frank, Anette},
  booktitle = {Association for Computational Linguistics}, year = {2023}
}"""

    def __post_init__(self) -> None:
        choice("reading", self.reading, ("mean_of_ratios", "ratio_of_sums"))
        if not isinstance(self.permutations, int) or self.permutations < 2 or self.permutations % 2:
            raise InputError(
                f"MMSHAP(permutations={self.permutations!r}): give an even number of orders, at least 2: each is also taken backwards."
            )

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        problem.require_complete("MMSHAP")
        masks = dict.fromkeys(mask for one in self._paths(problem) for mask in one)
        return (Outputs(masks=tuple(masks), baseline=problem.part_baselines[0], draws="part"),)

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        everyone, phi = players(problem), self._phi(problem, values)
        phi[~has(problem, everyone).T] = np.nan
        return {
            "phi": by_output(problem, phi, ("player", None)),
            "amount": by_output(problem, amounts(problem, everyone, phi), ("modality", problem.modalities)),
        }

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        amount, least = samples["amount"], floor(problem)
        return {
            "contribution": self._shares(amount.sum("output"), weights, least),
            "by_output": self._shares(amount, weights, least).transpose(..., "output", "modality"),
        }

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        phi = samples["phi"].values
        whose = np.array([name for name, _ in players(problem)])
        by_sample = statistics.share(samples["amount"].sum("output"), floor=floor(problem))
        return {
            "by_sample": by_sample.transpose("sample", "modality"),
            "parts": {name: of_parts(problem, name, phi[whose == name]) for name in problem.modalities},
            "part_count": part_count(problem),
        }

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        return {
            name: nothing_changes(problem, "the output does not change whatever parts are replaced: 0 / 0")
            for name, array in found.items()
            if np.isnan(array.values).any()
        }

    def settings(self, problem: Problem) -> dict[str, Any]:
        exact = _is_exact(problem)
        return super().settings(problem) | {
            "permutations": "all" if exact else self.permutations,
            "baseline": problem.part_baselines[0],
        }

    def _shares(self, amount: xr.DataArray, weights: xr.DataArray, least: float) -> xr.DataArray:
        if self.reading == "ratio_of_sums":
            return statistics.share(statistics.average(amount, weights), floor=least)
        return statistics.average(statistics.share(amount, floor=least), weights)

    def _phi(self, problem: Problem, values: Values) -> np.ndarray:
        """The Shapley value of every part, (player, samples, outputs)."""
        paths = (values.mean(one, problem.part_baselines[0], draws="part") for one in self._paths(problem))
        if _is_exact(problem):
            return indices.shapley_values(indices.moebius(next(paths)))
        phi = np.zeros((len(players(problem)), problem.samples, len(problem.outputs)))
        for order, values_along in zip(self._orders(problem), paths, strict=True):
            phi += sampled_games.gains(order, values_along)
        return phi / self.permutations

    def _paths(self, problem: Problem) -> list[list[Mask]]:
        """The masks along every order; or those of all subsets, in one path."""
        everyone = players(problem)
        if _is_exact(problem):
            return [subsets(problem, everyone)]
        return [path(problem, everyone, order) for order in self._orders(problem)]

    def _orders(self, problem: Problem) -> list[np.ndarray]:
        """The orders in which parts are taken away: half of them drawn, and the same backwards."""
        return sampled_games.orders(len(players(problem)), self.permutations, problem.seed)


def _is_exact(problem: Problem) -> bool:
    return len(players(problem)) <= EXACT_PARTS
