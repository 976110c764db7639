"""Modality contribution by occlusion (Gapp et al. 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.errors import choice
from modalens.measures import availability
from modalens.measures.base import Arrays, Measure, by_output, error_reason, nothing_changes
from modalens.measures.parts import of_parts, part_count
from modalens.problem import PRESENT, Mask, Outputs, Problem, Values


@dataclass(frozen=True, kw_only=True)
class Occlusion(Measure):
    """How much the output changes when one part at a time is replaced: Algorithm 1 of Gapp et al. (2025).

    d[k, i, l, c] = |p_c(x^k) - p_c(x^k without part l of modality i)|, D_i = mean_k sum_{l, c} d, and the
    contribution m_i = D_i / sum_j D_j: a ratio of sums. Parts are replaced by a fitted mean or mask token, unless
    explain is given a baseline. The number depends on how finely a modality is cut, so `anchor`, where each modality
    is one part, stands beside it. No label enters: a bad model gets a well-formed m.

    Parameters
    ----------
    reading : "ratio_of_sums" (the paper's Algorithm 1), or "mean_of_ratios" (two of the authors' scripts: shares of
        each sample and output, then averaged).

    Result
    ------
    contribution (modality): sums to 1. by_output (output, modality), by_sample (sample, modality).
    anchor (modality): the contribution with every modality as one part; anchor_by_baseline (baseline, modality) under
        each baseline of the run.
    entropy: of the contribution, 0 (one modality has it all) to 1 (equal shares). standard_error (modality): by the
        delta method.
    amount (modality): D_i, in units of the output. parts {modality: (sample, part, output)}: signed p0 - p_l, NaN
        where a sample has fewer parts; the coordinate `part` names shared parts, `word` a sample's own. part_count
        (sample, modality). part_contribution {modality: (part)}: m_i^l, the share of the whole, where samples share
        their parts.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> def model(image, table):
    ...     return image.sum(axis=(1, 2)) + table @ [2.0, -3.0]
    >>> inputs = {"image": np.array([[[1.0, 2.0], [3.0, 4.0]]]), "table": np.array([[1.0, 1.0]])}
    >>> explanation = ml.explain(model, inputs, measures=[ml.Occlusion()], modalities={"image": ml.Image(patch=1)}, baseline="zeros", output="raw")
    >>> explanation.occlusion.contribution.values.round(4)
    array([0.6667, 0.3333])
    """

    reading: Literal["ratio_of_sums", "mean_of_ratios"] = "ratio_of_sums"

    default_name: ClassVar[str] = "occlusion"
    title: ClassVar[str] = "Contribution by occlusion"
    citation: ClassVar[str] = """@article{gapp2025modality,
  title = {What are You Looking at? Modality Contribution in Multimodal Medical Deep Learning},
  author = {Gapp, Christian and Tappeiner, Elias and Welk, Martin and Fritscher, Karl and Gizewski, Elke R. and Schubert, Rainer},
  journal = {International Journal of Computer Assisted Radiology and Surgery},
  year = {2025}, note = {arXiv:2503.01904}
}"""

    def __post_init__(self) -> None:
        choice("reading", self.reading, ("ratio_of_sums", "mean_of_ratios"))

    @property
    def estimands(self) -> Mapping[str, str]:
        return {"contribution": "sensitivity", "anchor": "contribution"}

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        singles = tuple(
            Mask.part(name, part) for name in problem.modalities for part in range(int(problem.part_count[name].max()))
        )
        wholes = tuple(Mask.without(name) for name in problem.modalities)
        own = Outputs(masks=(PRESENT, *singles, *wholes), baseline=problem.part_baselines[0], draws="part")
        return (own, *(Outputs(masks=wholes, baseline=baseline, draws="part") for baseline in _baselines(problem)[1:]))

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        changes = {name: abs(signed).sum("part") for name, signed in self._signed(problem, values).items()}
        wholes = {baseline: self._whole(problem, values, baseline) for baseline in _baselines(problem)}
        return {
            "amount": statistics.side_by_side(changes, "modality"),
            "anchor": statistics.side_by_side(wholes, "baseline"),
        }

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        floor = self._floor(problem)
        amounts = statistics.average(samples["amount"], weights)
        contribution = self._contribution(samples["amount"], weights, floor)
        anchors = self._contribution(
            samples["anchor"], weights, problem.resolution * len(problem.modalities) * len(problem.outputs)
        )
        return {
            "contribution": contribution,
            "anchor": anchors.isel(baseline=0, drop=True),
            "anchor_by_baseline": anchors,
            "by_output": statistics.share(amounts, floor=floor).transpose(..., "output", "modality"),
            "entropy": normalised_entropy(contribution),
            "amount": amounts.sum("output"),
        }

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        signed = self._signed(problem, values)
        floor = self._floor(problem)
        per_patient = samples["amount"].sum("output")
        total = float(per_patient.sum("modality").mean("sample"))
        return {
            "by_sample": statistics.share(per_patient, floor=floor).transpose("sample", "modality"),
            "standard_error": statistics.ratio_standard_error(per_patient, problem.groups).where(total > floor),
            "parts": signed,
            "part_count": part_count(problem),
            "part_contribution": self._part_contribution(problem, signed),
        }

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        why = {
            name: nothing_changes(problem, "the output does not change whatever part is replaced: 0 / 0")
            for name, array in found.items()
            if np.isnan(array.values).any()
        }
        if len(problem.modalities) == 1:
            why["entropy"] = "there is one modality, and nothing that it could share with"
        return why | error_reason(problem, why)

    def _signed(self, problem: Problem, values: Values) -> dict[str, xr.DataArray]:
        """p0 - p_l of each part, by modality: (sample, part, output)."""
        baseline = problem.part_baselines[0]
        present = values.mean([PRESENT], baseline, draws="part")[0]
        signed = {}
        for name in problem.modalities:
            parts = range(int(problem.part_count[name].max()))
            without = values.mean([Mask.part(name, part) for part in parts], baseline, draws="part")
            signed[name] = availability.where_had(problem, name, of_parts(problem, name, present - without))
        return signed

    def _part_contribution(self, problem: Problem, signed: Mapping[str, xr.DataArray]) -> Arrays:
        """m_i^l of the parts that samples share; among those who have the same modalities, as the contribution is."""
        amounts = {name: abs(changes).sum("output", min_count=1) for name, changes in signed.items()}
        floor = self._floor(problem)

        def shares(weights: xr.DataArray) -> Arrays:
            means = {name: statistics.average(amount, weights) for name, amount in amounts.items()}
            total = sum(float(mean.sum()) for mean in means.values())
            return {
                name: mean / (total if total > floor else np.nan)
                for name, mean in means.items()
                if problem.shared_parts(name)
            }

        weights = statistics.uniform_weights(problem.samples)
        return shares(weights) if problem.available is None else availability.over_sets(problem, shares, weights)

    def _whole(self, problem: Problem, values: Values, baseline: str) -> xr.DataArray:
        """|p0 - p without the whole modality|: (modality, sample, output)."""
        present = values.mean([PRESENT], baseline, draws="part")
        without = values.mean([Mask.without(name) for name in problem.modalities], baseline, draws="part")
        return by_output(problem, np.abs(present - without), ("modality", problem.modalities))

    def _contribution(self, amounts: xr.DataArray, weights: xr.DataArray, floor: float) -> xr.DataArray:
        if self.reading == "mean_of_ratios":
            return statistics.average(statistics.share(amounts, floor=floor).mean("output"), weights)
        return statistics.share(statistics.average(amounts.sum("output"), weights), floor=floor)  # D_i / sum_j D_j

    def _floor(self, problem: Problem) -> float:
        """A total change that rounding alone could make."""
        parts = sum(int(problem.part_count[name].max()) for name in problem.modalities)
        return problem.resolution * parts * len(problem.outputs)


def _baselines(problem: Problem) -> list[str]:
    """The baseline of the parts, and the others under which the anchor is shown."""
    return list(dict.fromkeys((*problem.part_baselines, *problem.coalition_baselines)))


def normalised_entropy(shares: xr.DataArray, dim: str = "modality") -> xr.DataArray:
    """Entropy of shares over its largest value, log M: 0 where one has it all, 1 where all are equal; NaN for a
    single one.
    """
    logs = np.log(shares.where(shares > 0, 1.0))
    count = shares.sizes[dim]
    return -(shares * logs).sum(dim, skipna=False) / (np.log(count) if count > 1 else np.nan)
