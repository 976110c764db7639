"""InterSHAP: how much of a model's behaviour is cross-modal interaction (Wenderoth et al. 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.errors import choice
from modalens.measures import indices
from modalens.measures.base import JACKKNIFE_BLOCKS, Arrays, Measure, nothing_changes
from modalens.measures.interactions import order_shares
from modalens.measures.scales import adding_space, probabilities
from modalens.measures.shapley import coalition_needs
from modalens.problem import Outputs, Problem, Values

READINGS = ("paper", "absolute", "package")


@dataclass(frozen=True, kw_only=True)
class InterSHAP(Measure):
    """What share of the model's behaviour is interaction of modalities, and what share each modality has by itself.

    phi_ij = sum_{S not ij} |S|!(M-|S|-2)!/(2(M-1)!) [f(S+ij) - f(S+i) - f(S+j) + f(S)] for each pair, phi_ii = phi_i
    - sum_j phi_ij; the score is the off-diagonal share of Phi.

    Parameters
    ----------
    reading : None takes "paper" where the target is the class predicted on the whole input, and "absolute" for every
        fixed output. "paper": Phi_ij = |mean over samples of phi_ij|, which by efficiency is 0/0 or constant for
        fixed outputs. "absolute": Phi_ij = mean |phi_ij|. "package": the authors' newer code, the mean over samples
        of local shares in which a pair counts once.

    Result
    ------
    score: InterSHAP, 0 to 1. matrix (modality, modality_2): Phi. contribution (modality): M_i = Phi_ii / sum Phi;
        score + sum of contributions = 1.
    local: mean over samples of each sample's own share; by_sample (sample): these shares. orders (order): the exact
        split of |Moebius coefficients| into orders 1, 2, 3+.
    signed (modality, modality_2): mean of phi_ij for the target, with an interval that can exclude 0; super_additive
        and sub_additive: its positive and negative parts, averaged apart.
    by_space (space), by_baseline (baseline): the score under the other spaces and baselines.
    null (space), excess (space): the score of the additive projection of the model's log-odds on the same samples,
        and what the model has beyond it. An additive model in log-odds scores above 0 in probability; that much
        proves nothing. local_corrected: the local score less the noise of finitely many background rows.
    values (sample, modality, modality_2): phi of the target.
    Where each output is scored by itself, all of these have an axis `output`.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> bits = np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> inputs = {"a": bits[0], "b": bits[1]}
    >>> found = ml.explain(lambda a, b: (a != b)[:, 0] * 1.0, inputs, measures=[ml.InterSHAP()], background=inputs, baseline="background").intershap
    >>> round(found.score.item(), 3)
    1.0
    """

    reading: Literal["paper", "absolute", "package"] | None = None

    default_name: ClassVar[str] = "intershap"
    fewest: ClassVar[int] = 2
    title: ClassVar[str] = "Cross-modal interaction (InterSHAP)"
    citation: ClassVar[str] = """@inproceedings{wenderoth2025measuring,
  title = {Measuring Cross-Modal Interactions in Multimodal Models},
  author = {Wenderoth, Laura and Hemker, Konstantin and Simidjievski, Nikola and Jamnik, Mateja},
  booktitle = {AAAI Conference on Artificial Intelligence}, year = {2025}, note = {arXiv:2412.15828}
}
@inproceedings{hessel2020does,
  title = {Does my multimodal model learn cross-modal interactions? It's harder to tell than you might think!},
  author = {Hessel, Jack and Lee, Lillian},
  booktitle = {Empirical Methods in Natural Language Processing}, year = {2020}
}"""

    def __post_init__(self) -> None:
        if self.reading is not None:
            choice("reading", self.reading, READINGS)

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        return coalition_needs(problem, "InterSHAP")

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        first = problem.coalition_baselines[0]
        games = {f"space {space}": values.mean(problem.coalition_masks, first, space=space) for space in problem.spaces}
        games |= {
            f"baseline {baseline}": values.mean(problem.coalition_masks, baseline)
            for baseline in problem.coalition_baselines[1:]
        }
        games |= _additive_games(problem, values)
        phi = {f"phi {name}": _phi(problem, game) for name, game in games.items()}
        return phi | {"moebius": _named(problem, indices.moebius(games[f"space {problem.space}"]), ("member",))}

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        phi = samples[f"phi space {problem.space}"]
        matrix = self._matrix(problem, phi, weights)
        scores = {
            name.removeprefix("phi "): self._score(problem, samples[name], weights)
            for name in samples
            if name.startswith("phi ")
        }
        by_space = statistics.side_by_side({space: scores[f"space {space}"] for space in problem.spaces}, "space")
        null = statistics.side_by_side(
            {
                space: _null(scores.get(f"additive {space}"), by_space.sel(space=space, drop=True))
                for space in problem.spaces
            },
            "space",
        )
        first = problem.coalition_baselines[0]
        return {
            "score": self._score(problem, phi, weights),
            "matrix": matrix,
            "contribution": self._contribution(problem, phi, weights),
            "local": statistics.average(_local(problem, phi), weights),
            "orders": self._orders(problem, samples["moebius"], weights),
            "signed": statistics.average(phi, weights),
            "super_additive": statistics.average(phi.clip(min=0), weights),
            "sub_additive": statistics.average(phi.clip(max=0), weights),
            "by_space": by_space,
            "by_baseline": statistics.side_by_side(
                {first: scores[f"space {problem.space}"]}
                | {one: scores[f"baseline {one}"] for one in problem.coalition_baselines[1:]},
                "baseline",
            ),
            "null": null,
            "excess": by_space - null,
        }

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        phi = samples[f"phi space {problem.space}"]
        return {
            "values": _sample_first(phi),
            "by_sample": _sample_first(_local(problem, phi)),
            "local_corrected": self._local_corrected(problem, values, phi),
        }

    def settings(self, problem: Problem) -> dict[str, Any]:
        return super().settings(problem) | {
            "reading": self._reading(problem),
            "target": "predicted on the whole input" if problem.predicted else "fixed output",
        }

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        why = {
            name: nothing_changes(problem, "the output is the same in all coalitions: 0 / 0")
            for name, array in found.items()
            if np.isnan(array.values).any()
        }
        if "null" in why and not bool(found["by_space"].isnull().all()):
            text = "the additive projection is fitted on single background rows, and they were pooled for lack of memory; fewer rows would fit"
            why |= {"null": text, "excess": text}
        return why

    def _reading(self, problem: Problem) -> str:
        return self.reading or ("paper" if problem.predicted else "absolute")

    def _matrix(self, problem: Problem, phi: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
        """Phi."""
        if self._reading(problem) == "paper":
            return abs(statistics.average(phi, weights))
        return statistics.average(abs(phi), weights)

    def _score(self, problem: Problem, phi: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
        if self._reading(problem) == "package":
            return statistics.average(_local(problem, phi, pairs_once=True), weights)
        matrix = self._matrix(problem, phi, weights)
        total = matrix.sum(("modality", "modality_2"))
        return (total - _diagonal(matrix).sum("modality")) / total.where(total > _floor(problem))

    def _contribution(self, problem: Problem, phi: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
        if self._reading(problem) == "package":
            own = _diagonal(abs(phi))
            return statistics.average(own / _total(problem, phi, pairs_once=True), weights)
        matrix = self._matrix(problem, phi, weights)
        total = matrix.sum(("modality", "modality_2"))
        return _diagonal(matrix) / total.where(total > _floor(problem))

    def _orders(self, problem: Problem, coefficients: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
        match self._reading(problem):
            case "paper":
                return order_shares(abs(statistics.average(coefficients, weights)), problem.resolution)
            case "absolute":
                return order_shares(statistics.average(abs(coefficients), weights), problem.resolution)
            case _:
                return statistics.average(order_shares(abs(coefficients), problem.resolution), weights)

    def _local_corrected(self, problem: Problem, values: Values, phi: xr.DataArray) -> xr.DataArray:
        """The local score with sqrt(max(phi^2 - s^2, 0)) for |phi|, s being phi's own Monte-Carlo error (jackknife
        over blocks of background rows).

        On average noise adds s^2 to phi^2, so a term that is 0 looks like one of size s, which falls only with the
        root of the rows.
        """
        first = problem.coalition_baselines[0]
        blocks = min(JACKKNIFE_BLOCKS, values.blocks_in([Outputs(masks=problem.coalition_masks, baseline=first)]))
        if blocks < 2:
            return _local(problem, phi).mean("sample")
        left_out = [
            {"phi": _phi(problem, values.without_block(block, blocks).mean(problem.coalition_masks, first))}
            for block in range(blocks)
        ]
        noise = statistics.jackknife_error(left_out)["phi"]
        return _local(problem, (phi**2 - noise**2).clip(min=0) ** 0.5).mean("sample")


def _additive_games(problem: Problem, values: Values) -> dict[str, np.ndarray]:
    """v(S) of the model's best additive approximation, in every space: additive on the log-odds, or the log hazard of
    a survival, where there are any; nothing where single background rows are not kept.
    """
    base = adding_space(problem)
    rows = values.blocks_of(problem.coalition_masks, problem.coalition_baselines[0], space=base, single=True)
    if rows is None:
        return {}
    additive = indices.additive_projection(rows)
    games = {f"additive {base}": additive.mean(axis=1)}
    if "probability" in problem.spaces and base != "probability":
        games["additive probability"] = probabilities(problem, additive).mean(axis=1)
    return games


def _null(additive: xr.DataArray | None, score: xr.DataArray) -> xr.DataArray:
    """The additive projection's score: 0 where it is constant, since then nothing interacts; undefined where the
    model's own score is, or where there is no projection.
    """
    return (score * np.nan if additive is None else additive.fillna(0.0)).where(score.notnull())


def _named(problem: Problem, scores: np.ndarray, leading: tuple[str, ...]) -> xr.DataArray:
    """Scores (..., samples, outputs) of the target."""
    coords = {name: list(problem.modalities) for name in leading if name.startswith("modality")}
    return problem.of_target(
        xr.DataArray(scores, dims=(*leading, "sample", "output"), coords=coords | {"output": list(problem.outputs)})
    )


def _phi(problem: Problem, game: np.ndarray) -> xr.DataArray:
    return _named(problem, indices.pairwise(indices.moebius(game)), ("modality", "modality_2"))


def _diagonal(matrix: xr.DataArray) -> xr.DataArray:
    return matrix.isel(
        modality_2=xr.DataArray(np.arange(matrix.sizes["modality"]), dims="modality"),
        modality=xr.DataArray(np.arange(matrix.sizes["modality"]), dims="modality"),
    ).drop_vars("modality_2")


def _floor(problem: Problem) -> float:
    return problem.resolution * len(problem.modalities) ** 2


def _total(problem: Problem, phi: xr.DataArray, *, pairs_once: bool) -> xr.DataArray:
    """The sum of |phi| over the matrix; NaN where it is 0."""
    everything, own = abs(phi).sum(("modality", "modality_2")), _diagonal(abs(phi)).sum("modality")
    total = (everything + own) / 2 if pairs_once else everything
    return total.where(total > _floor(problem))


def _local(problem: Problem, phi: xr.DataArray, *, pairs_once: bool = False) -> xr.DataArray:
    """Each sample's own share of interaction: I_a = sum_{i != j} |phi_ij| / sum_{ij} |phi_ij|."""
    total = _total(problem, phi, pairs_once=pairs_once)
    return 1 - _diagonal(abs(phi)).sum("modality") / total


def _sample_first(array: xr.DataArray) -> xr.DataArray:
    return array.transpose("sample", ...)
