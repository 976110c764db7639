"""Shapley values and pair interactions of many parts, from a sample of masks that all patients and outputs share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr
from scipy.stats import norm

from modalens import statistics
from modalens.errors import InputError, choice
from modalens.measures import part_estimates, sampled_games
from modalens.measures.base import Arrays, Measure, by_output, nothing_changes
from modalens.measures.part_estimates import Estimates
from modalens.measures.parts import (
    Part,
    amounts,
    floor,
    has,
    of_parts,
    part_count,
    path,
    players,
    subsets,
    without,
)
from modalens.measures.result import Result
from modalens.problem import Mask, Outputs, Problem, Values

MASKS_A_PART, FEWEST_MASKS = 16, 1024
"""The default budget: so many masks a part, and at least so many."""

COUPLED_PARTS = 100
"""Most parts for whose interactions the equations are solved: those of all pairs of parts, at once."""

FIRST, GROWTH = 4, 1.5
"""Where a precision is asked for: at first so many pairs of masks a part, then so many times more."""


@dataclass(frozen=True, kw_only=True)
class PartShapley(Measure):
    """What each part adds to the output, such as each patch, word or column, averaged over all orders in which parts of
    all modalities could arrive: Shapley values of 10 to 500 parts, each with its error, and interactions of two.

    The players are the parts, and v of a subset is the output with the other parts replaced (by a fitted mean or mask
    token, unless explain is given a baseline). A sample that lacks a part, such as the twentieth word, plays without it.
    Where the budget holds all 2^n subsets, the values are exact. Else subsets are drawn, the same for all samples and
    outputs, and the values are estimates, whose error comes with them. All of a sample sum to v(all) - v(none).

    By "regression", masks are drawn in pairs of a subset and its complement, small and large subsets first, and a line is
    fitted with the weights of the Shapley kernel, helped by a smooth stand-in for the model (see
    `modalens.measures.sampled_games`). It needs a few masks a part, and is exact where parts interact in twos at most. A
    part that changes nothing gets about 0, not 0 to the bit. By "permutation", orders of the parts are walked, each also
    backwards: a larger error at the same cost, but nothing gets exactly 0.

    Parameters
    ----------
    budget : masks in all; 16 a part and at least 1,024 unless given (with `interactions`, at least six a pair of
        parts). Each costs a row a sample, or a row a background row where rows stand in.
    estimator : "regression" or "permutation".
    interactions : whether to give interactions of two parts too (Faith-Shap of order 2, from the same masks, by
        regression): at most 100 parts. With fewer than six masks a pair of parts they are drawn towards 0.
    precision : stop before the budget is spent, once no value of any sample is farther off than this share of the sum of
        |values| of that sample, with the confidence of explain (95 %). Looking again and again makes an interval slightly
        too narrow.

    Result
    ------
    contribution (modality): |values| of its parts and all outputs, averaged over samples, as a share of those of all: the
        sum of MM-SHAP (Parcalabescu and Frank 2023), as a ratio of sums. It grows with the number of parts that a modality
        is cut into, and with their errors. by_output (output, modality), by_sample (sample, modality).
    net (modality): the same of |sum of its parts' values|, which no cutting finer adds to where parts agree.
    parts {modality: (sample, part, output)}: signed, in units of the output; NaN where a sample has fewer parts.
    parts_error {modality: (sample, part, output)}: the standard error of each from drawing masks; 0 where exact.
        part_count (sample, modality).
    pairs, pairs_error (sample, pair, output): interactions, named `image: rows 0-3, columns 0-3 x table: age`; the
        coordinates `first` and `second` are the modalities. Half of a part's interactions belong to its value.
    settings: `masks` that were spent, `estimator` ("all subsets" where exact), `precision_reached`.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"image": np.arange(1.0, 17)[None], "table": np.array([[2.0, 1.0, 3.0, 1.0]])}
    >>> def model(image, table):
    ...     return image.sum(axis=1) + table.sum(axis=1) + image[:, 0] * table[:, 0]
    >>> measure = ml.PartShapley(interactions=True)
    >>> found = ml.explain(model, inputs, measures=[measure], baseline="zeros", output="raw").part_shapley
    >>> found.parts["image"].values[0, :3, 0].round(6), found.parts["table"].values[0, :2, 0].round(6)
    (array([2., 2., 3.]), array([3., 1.]))
    >>> found.pairs.isel(sample=0, output=0).max().round(6).item()
    2.0
    """

    budget: int | None = None
    estimator: Literal["regression", "permutation"] = "regression"
    interactions: bool = False
    precision: float | None = None

    default_name: ClassVar[str] = "part_shapley"
    title: ClassVar[str] = "Shapley values of many parts"
    citation: ClassVar[str] = """@inproceedings{covert2021improving,
  title = {Improving KernelSHAP: Practical Shapley Value Estimation via Linear Regression},
  author = {Covert, Ian and Lee, Su-In},
  booktitle = {Artificial Intelligence and Statistics}, year = {2021}
}
@inproceedings{musco2025provably,
  title = {Provably Accurate Shapley Value Estimation via Leverage Score Sampling},
  author = {Musco, Christopher and Witter, R. Teal},
  booktitle = {International Conference on Learning Representations}, year = {2025}
}
@article{witter2025regression,
  title = {Regression-adjusted Monte Carlo Estimators for Shapley Values and Probabilistic Values},
  author = {Witter, R. Teal and Liu, Yurong and Musco, Christopher},
  year = {2025}, note = {arXiv:2506.11849}
}
@inproceedings{rundel2026shapleig,
  title = {ShaplEIG: Bayesian Experimental Design for Shapley Value Estimation},
  author = {Rundel, David and Fumagalli, Fabian and Muschalik, Maximilian and Bischl, Bernd and Feurer, Matthias},
  booktitle = {International Conference on Machine Learning}, year = {2026}
}
@article{tsai2023faith,
  title = {Faith-Shap: The Faithful Shapley Interaction Index},
  author = {Tsai, Che-Ping and Yeh, Chih-Kuan and Ravikumar, Pradeep},
  journal = {Journal of Machine Learning Research}, volume = {24}, year = {2023}
}"""

    def __post_init__(self) -> None:
        choice("estimator", self.estimator, ("regression", "permutation"))
        if self.budget is not None and (type(self.budget) is not int or self.budget < 4):
            raise InputError(f"PartShapley(budget={self.budget!r}): give a number of masks, at least 4.")
        if type(self.interactions) is not bool:
            raise InputError(f"PartShapley(interactions={self.interactions!r}): give True or False.")
        if self.interactions and self.estimator == "permutation":
            raise InputError("PartShapley(interactions=True) is a regression: leave out estimator='permutation'.")
        if self.precision is not None and not (isinstance(self.precision, float) and 0 < self.precision < 1):
            raise InputError(
                f"PartShapley(precision={self.precision!r}): give a share of the sum of |values|, such as 0.02, or None to spend the budget."
            )

    # Masks -------------------------------------------------------------------------------------------------------------------------

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        problem.require_complete("PartShapley")
        masks = dict.fromkeys(self._masks(problem, self._wanted(problem, values)))
        return (Outputs(masks=tuple(masks), baseline=problem.part_baselines[0], draws="part"),)

    def _steps(self, problem: Problem) -> list[int]:
        """The numbers of masks at which it is asked whether they are enough; the last is the budget."""
        parts = len(players(problem))
        budget = self._budget(parts)
        if budget >= 1 << parts:
            return [1 << parts]
        if self.precision is None:
            return [budget]
        step, steps = 2 * FIRST * parts + 2, []
        while step < budget:
            steps.append(step)
            step = int(step * GROWTH)
        least = self._fewest(parts)
        return [*(step for step in steps if step >= least), budget]

    def _budget(self, parts: int) -> int:
        """The masks in all. Raises InputError where they are too few for this many parts, or the parts too many."""
        couples = parts * (parts - 1) // 2
        of_couples = 2 * sampled_games.UNSHRUNK_FROM * couples + 2 if self.interactions else 0
        default = max(FEWEST_MASKS, MASKS_A_PART * parts + 2, of_couples)
        budget = default if self.budget is None else self.budget
        if budget >= 1 << parts:
            return budget
        if self.interactions and parts > COUPLED_PARTS:
            raise InputError(
                f"PartShapley(interactions=True) takes at most {COUPLED_PARTS} parts, and there are {parts}: cut the modalities into fewer parts, or leave the interactions out."
            )
        if budget < (fewest := self._fewest(parts)):
            raise InputError(
                f"PartShapley(budget={budget}): {parts} parts need at least {fewest} masks by {self.estimator}; give more, or cut into fewer parts."
            )
        return budget

    def _fewest(self, parts: int) -> int:
        """The masks that determine the values: everything, nothing, and one order, or each part alone and all but it."""
        return parts + 1 if self.estimator == "permutation" else 2 * parts + 2

    def _masks(self, problem: Problem, number: int) -> list[Mask]:
        """So many masks: with everything, with nothing, and in between."""
        everyone = _players(problem)
        if number >= 1 << len(everyone):
            return subsets(problem, everyone)
        if self.estimator == "permutation":
            return [mask for one in self._paths(problem, number) for mask in one]
        inside = self._pairs(problem, number).inside
        ends = [np.ones(len(everyone), dtype=bool), np.zeros(len(everyone), dtype=bool)]
        both = (each for one in inside for each in (one, ~one))
        return [
            without(problem, [part for part, there in zip(everyone, each, strict=True) if not there])
            for each in (*ends, *both)
        ]

    def _pairs(self, problem: Problem, number: int) -> sampled_games.Pairs:
        return sampled_games.draw_pairs(len(_players(problem)), (number - 2) // 2, problem.seed)

    def _orders(self, problem: Problem, number: int) -> list[np.ndarray]:
        """As many orders as so many masks pay for, backwards ones too where there are two."""
        parts = len(_players(problem))
        affordable = (number - 2) // (parts - 1)
        return sampled_games.orders(parts, affordable - (affordable % 2 if affordable > 1 else 0), problem.seed)

    def _paths(self, problem: Problem, number: int) -> Iterator[list[Mask]]:
        return (path(problem, _players(problem), order) for order in self._orders(problem, number))

    def _spent(self, problem: Problem, values: Values) -> int:
        """The most masks, of the steps, whose values are all known; 0 where not even the first are."""
        baseline, spent = problem.part_baselines[0], 0
        for step in self._steps(problem):
            if any(values.key(mask, baseline, "part") not in values.table for mask in self._masks(problem, step)):
                return spent
            spent = step
        return spent

    def _wanted(self, problem: Problem, values: Values | None) -> int:
        """The masks that are needed: those that there are, if they are enough, or the next step's."""
        steps, spent = self._steps(problem), 0 if values is None else self._spent(problem, values)
        if values is None or spent == 0 or spent == steps[-1]:
            return spent or steps[0]
        assert self.precision is not None  # else there is one step
        narrow = self._precision(problem, self._estimates(problem, values, spent)) <= self.precision
        return spent if narrow else next(step for step in steps if step > spent)

    def _precision(self, problem: Problem, found: Estimates) -> float:
        """The half-width of the widest interval as a share of the sum of |values|, in the worst sample; infinite where no
        error is known, 0 where no sample's output changes.
        """
        total = np.nansum(np.abs(found.values), axis=0).max(axis=1)
        changes = total > floor(problem)
        if not changes.any():
            return 0.0
        known = np.where(np.isnan(found.values), 0.0, found.errors)
        half = norm.ppf((1 + (problem.confidence or 0.95)) / 2) * known.max(axis=(0, 2))
        worst = (half[changes] / total[changes]).max()
        return float(np.inf if np.isnan(worst) else worst)

    # Values ------------------------------------------------------------------------------------------------------------------------

    def _estimates(self, problem: Problem, values: Values, spent: int) -> Estimates:
        """The values of all parts from so many masks, NaN where a sample lacks a part."""
        own = has(problem, _players(problem))

        def mean(masks: Sequence[Mask]) -> np.ndarray:
            return values.mean(masks, problem.part_baselines[0], draws="part")

        if spent >= 1 << own.shape[1]:
            found = part_estimates.exact(mean(self._masks(problem, spent)), self.interactions)
        elif self.estimator == "permutation":
            paths = [mean(one) for one in self._paths(problem, spent)]
            found = part_estimates.walked(self._orders(problem, spent), paths)
        else:
            pairs, known = self._pairs(problem, spent), mean(self._masks(problem, spent))
            found = part_estimates.fitted(known, pairs, own, self.interactions)
        return found.of_those_who_have(own)

    # Scores ------------------------------------------------------------------------------------------------------------------------

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        everyone = _players(problem)
        found = self._estimates(problem, values, self._spent(problem, values))
        whose = np.array([name for name, _ in everyone])
        net = [np.abs(np.nansum(found.values[whose == name], axis=0)) for name in problem.modalities]
        arrays = {
            "value": by_output(problem, found.values, ("player", None)),
            "error": by_output(problem, found.errors, ("player", None)),
            "amount": by_output(problem, amounts(problem, everyone, found.values), ("modality", problem.modalities)),
            "net": by_output(problem, np.stack(net), ("modality", problem.modalities)),
        }
        if self.interactions:
            arrays["pair"] = by_output(problem, found.pairs, ("pair", None))
            arrays["pair_error"] = by_output(problem, found.pair_errors, ("pair", None))
        return arrays

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        least = floor(problem)
        amount = statistics.average(samples["amount"], weights)
        return {
            "contribution": statistics.share(amount.sum("output"), floor=least),
            "by_output": statistics.share(amount, floor=least).transpose(..., "output", "modality"),
            "net": statistics.share(statistics.average(samples["net"], weights).sum("output"), floor=least),
        }

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        whose = np.array([name for name, _ in _players(problem)])
        found: dict[str, xr.DataArray | Mapping[str, xr.DataArray]] = {
            "by_sample": statistics.share(samples["amount"].sum("output"), floor=floor(problem)).transpose(
                "sample", "modality"
            ),
            "part_count": part_count(problem),
        }
        for name, array in (("parts", samples["value"].values), ("parts_error", samples["error"].values)):
            found[name] = {one: of_parts(problem, one, array[whose == one]) for one in problem.modalities}
        if self.interactions:
            named = _pair_names(problem)
            for name, of_pairs in (("pairs", samples["pair"]), ("pairs_error", samples["pair_error"])):
                found[name] = of_pairs.transpose("sample", "pair", "output").assign_coords(named)
        return found

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        return {
            name: nothing_changes(problem, "the output does not change whatever parts are replaced: 0 / 0")
            for name, array in found.items()
            if np.isnan(array.values).any()
        }

    def score(self, problem: Problem, values: Values) -> Result:
        result, spent = super().score(problem, values), self._spent(problem, values)
        found = self._estimates(problem, values, spent)
        own = has(problem, _players(problem)).T
        said = {
            "masks": len(set(self._masks(problem, spent))),
            "estimator": "all subsets" if spent >= 1 << len(own) else self.estimator,
            "precision_reached": self._precision(problem, found),
        }
        why = _why_unknown(found, own)
        return replace(result, reasons={**result.reasons, **why}, settings={**result.settings, **said})

    def settings(self, problem: Problem) -> dict[str, Any]:
        return super().settings(problem) | {
            "budget": self._steps(problem)[-1],
            "baseline": problem.part_baselines[0],
        }


def _players(problem: Problem) -> list[Part]:
    """All parts, in an order that does not depend on that of the modalities: masks are drawn for it."""
    return sorted(players(problem))


def _why_unknown(found: Estimates, own: np.ndarray) -> dict[str, str]:
    """Why errors are NaN, where no part (`own`, (parts, samples)) is lacking."""
    few = "too few masks are left over to tell how far off the values are; give a larger budget"
    why = {"parts_error": few} if np.isnan(found.errors[own]).any() else {}
    one, other = sampled_games.couples(len(own)).T
    both = (own[one] & own[other])[: len(found.pairs)]
    shrunk = "with fewer than six masks for each pair of parts interactions are drawn towards 0, and nobody knows how far; give a larger budget"
    return why | ({"pairs_error": shrunk} if np.isnan(found.pair_errors[both]).any() else {})


def _pair_names(problem: Problem) -> dict[str, Any]:
    """The names of all pairs of parts, and of the modalities of the first and of the second."""
    everyone = _players(problem)

    def named(part: Part) -> str:
        modality, place = part
        known = problem.part_names[modality][0][place] if problem.shared_parts(modality) else f"part {place + 1}"
        return f"{modality}: {known}"

    couples = sampled_games.couples(len(everyone)).tolist()
    return {
        "pair": [f"{named(everyone[one])} x {named(everyone[other])}" for one, other in couples],
        "first": ("pair", [everyone[one][0] for one, _ in couples]),
        "second": ("pair", [everyone[other][0] for _, other in couples]),
    }
