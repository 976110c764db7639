"""Shapley values of modalities, exact over all coalitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.measures import indices
from modalens.measures.base import Arrays, Measure, by_output, error_reason, nothing_changes
from modalens.problem import Outputs, Problem, Values


def coalition_needs(problem: Problem, measure: str) -> tuple[Outputs, ...]:
    """All coalitions, under each baseline for them."""
    problem.require_exact(measure)
    return tuple(Outputs(masks=problem.coalition_masks, baseline=baseline) for baseline in problem.coalition_baselines)


@dataclass(frozen=True, kw_only=True)
class Shapley(Measure):
    """What each modality adds to the output, averaged over all orders in which modalities could arrive: exact Shapley
    values.

    The players are the modalities, v(S) is the output with the modalities outside S replaced (by background rows,
    unless explain is given a baseline), averaged over rows. Values of a sample sum to v(all) - v(none). Up to 12
    modalities.

    Result
    ------
    values (sample, modality, output): signed, in units of the output. mean (modality, output): their mean over samples.
    contribution (modality): mean |value|, summed over outputs and normalised. by_output (output, modality), by_sample
        (sample, modality), by_baseline (baseline, modality).
    of_target (sample, modality): the values of the target output, such as the predicted class.
    standard_error (modality): of the contribution, by the delta method.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> def model(a, b):
    ...     return a[:, 0] + a[:, 0] * b[:, 0]
    >>> inputs = {"a": np.array([[2.0]]), "b": np.array([[3.0]])}
    >>> ml.explain(model, inputs, measures=[ml.Shapley()], baseline="zeros", output="raw").shapley.values.values.ravel()
    array([5., 3.])
    """

    default_name: ClassVar[str] = "shapley"
    title: ClassVar[str] = "Shapley values of modalities"
    citation: ClassVar[str] = """@incollection{shapley1953value,
  title = {A value for n-person games},
  author = {Shapley, Lloyd S.},
  booktitle = {Contributions to the Theory of Games II}, publisher = {Princeton University Press}, pages = {307--317},
  year = {1953}
}
@inproceedings{lundberg2017unified,
  title = {A unified approach to interpreting model predictions},
  author = {Lundberg, Scott M. and Lee, Su-In},
  booktitle = {Advances in Neural Information Processing Systems}, year = {2017}
}"""

    @property
    def estimands(self) -> Mapping[str, str]:
        return {"contribution": "shapley"}

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        return coalition_needs(problem, "Shapley")

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        games = {
            baseline: by_output(
                problem,
                indices.shapley_values(indices.moebius(values.mean(problem.coalition_masks, baseline))),
                ("modality", problem.modalities),
            )
            for baseline in problem.coalition_baselines
        }
        return {"values": statistics.side_by_side(games, "baseline")}

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        amounts = statistics.average(abs(samples["values"]), weights)
        mean = statistics.average(samples["values"].isel(baseline=0, drop=True), weights)
        return shares_by_baseline(amounts, floor(problem)) | {"mean": mean}

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        signed = samples["values"].isel(baseline=0, drop=True).transpose("sample", "modality", "output")
        amounts = abs(signed).sum("output")
        least = floor(problem)
        return {
            "values": signed,
            "of_target": problem.of_target(signed),
            "by_sample": statistics.share(amounts, floor=least),
            "standard_error": statistics.ratio_standard_error(amounts, problem.groups).where(
                float(amounts.sum("modality").mean()) > least
            ),
        }

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        why = {
            name: nothing_changes(problem, "the output is the same whatever is replaced: 0 / 0")
            for name, array in found.items()
            if np.isnan(array.values).any()
        }
        return why | error_reason(problem, why)


def shares_by_baseline(amounts: xr.DataArray, least: float) -> Arrays:
    """Mean amounts (..., baseline, modality, output) as shares: of all outputs together under each baseline, and of each
    output under the first. A sum that is not above the least gives NaN.
    """
    by_baseline = statistics.share(amounts.sum("output"), floor=least)
    by_output = statistics.share(amounts.isel(baseline=0, drop=True), floor=least)
    return {
        "contribution": by_baseline.isel(baseline=0, drop=True),
        "by_baseline": by_baseline,
        "by_output": by_output.transpose(..., "output", "modality"),
    }


def floor(problem: Problem) -> float:
    """A sum of absolute values that rounding alone could make."""
    return problem.resolution * len(problem.modalities) * len(problem.outputs)
