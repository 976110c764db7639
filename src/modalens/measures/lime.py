"""LIME at the fusion point: a weighted linear model of the output in which modalities are present (Ribeiro, Singh and
Guestrin 2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.errors import InputError
from modalens.measures.base import Arrays, Measure, by_output, nothing_changes
from modalens.measures.shapley import coalition_needs, floor, shares_by_baseline
from modalens.problem import Outputs, Problem, Values


@dataclass(frozen=True, kw_only=True)
class LIME(Measure):
    """A linear model of each sample's output in which modalities are present, fitted where most of them are: a
    coefficient for each modality, by weighted least squares over all 2^M coalitions of modalities, which are the masks
    of the blocks of features at the fusion point.

    A coalition S weighs exp(-D^2 / width^2), D = 1 - sqrt(|S| / M) being the cosine distance of its vector of zeros and
    ones to that of all ones (of the empty one: 1), as in the paper. There is an intercept. Nothing is sampled, and no
    features are selected. Up to 12 modalities.

    Where modalities add up, the coefficients are the Shapley values. Where they interact they are not: a modality that
    the model ignores then gets a coefficient from the others' interaction.

    Parameters
    ----------
    width : of the kernel; 0.25 unless given, as in the authors' code for images.

    Result
    ------
    coefficients (sample, modality, output): signed, in units of the output. mean (modality, output): their mean over
        samples. intercept (sample, output).
    contribution (modality): mean |coefficient|, summed over outputs and normalised. by_output (output, modality),
        by_sample (sample, modality), by_baseline (baseline, modality).

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"a": np.array([[2.0]]), "b": np.array([[3.0]])}
    >>> found = ml.explain(lambda a, b: (a - b)[:, 0], inputs, measures=[ml.LIME()], baseline="zeros", output="raw").lime
    >>> found.coefficients.values.ravel().round(6)
    array([ 2., -3.])
    """

    width: float = 0.25

    default_name: ClassVar[str] = "lime"
    title: ClassVar[str] = "Linear model of the coalitions (LIME)"
    citation: ClassVar[str] = """@inproceedings{ribeiro2016should,
  title = {"Why Should I Trust You?": Explaining the Predictions of Any Classifier},
  author = {Ribeiro, Marco Tulio and Singh, Sameer and Guestrin, Carlos},
  booktitle = {Knowledge Discovery and Data Mining}, year = {2016}
}"""

    def __post_init__(self) -> None:
        if isinstance(self.width, bool) or not isinstance(self.width, int | float) or not 0.1 <= self.width < np.inf:
            raise InputError(
                f"LIME(width={self.width!r}): give a number, at least 0.1; below that nothing but the whole input has a weight."
            )

    @property
    def estimands(self) -> Mapping[str, str]:
        return {"contribution": "contribution"}

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        problem.require_complete("LIME")
        return coalition_needs(problem, "LIME")

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        fits = {
            baseline: by_output(problem, self._fitted(problem, values, baseline)[1:], ("modality", problem.modalities))
            for baseline in problem.coalition_baselines
        }
        return {"coefficients": statistics.side_by_side(fits, "baseline")}

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        amounts = statistics.average(abs(samples["coefficients"]), weights)
        mean = statistics.average(samples["coefficients"].isel(baseline=0, drop=True), weights)
        return shares_by_baseline(amounts, floor(problem)) | {"mean": mean}

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        signed = samples["coefficients"].isel(baseline=0, drop=True).transpose("sample", "modality", "output")
        return {
            "coefficients": signed,
            "intercept": by_output(problem, self._fitted(problem, values, problem.coalition_baselines[0])[0]),
            "by_sample": statistics.share(abs(signed).sum("output"), floor=floor(problem)),
        }

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        return {
            name: nothing_changes(problem, "the output is the same whatever is replaced: 0 / 0")
            for name, array in found.items()
            if np.isnan(array.values).any()
        }

    def _fitted(self, problem: Problem, values: Values, baseline: str) -> np.ndarray:
        """The intercept and the coefficients of every sample and output, (1 + M, samples, outputs)."""
        solution = weighted_fit(len(problem.modalities), self.width)
        return np.tensordot(solution, values.mean(problem.coalition_masks, baseline), axes=1)


def weighted_fit(players: int, width: float) -> np.ndarray:
    """The matrix (1 + M, 2^M) that turns the values of all coalitions into intercept and coefficients."""
    inside = (np.arange(1 << players)[:, None] >> np.arange(players) & 1).astype(float)
    distance = 1 - np.sqrt(inside.mean(axis=1))
    root = np.exp(-((distance / width) ** 2) / 2)
    design = np.column_stack([np.ones(len(inside)), inside])
    return np.asarray(np.linalg.pinv(root[:, None] * design) * root)
