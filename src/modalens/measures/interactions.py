"""Interaction indices of every order, exact over all coalitions of modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.errors import InputError, choice
from modalens.measures import indices
from modalens.measures.base import Arrays, Measure, by_output, nothing_changes
from modalens.measures.shapley import coalition_needs
from modalens.problem import Outputs, Problem, Values

ORDERS = ("1", "2", "3+")


@dataclass(frozen=True, kw_only=True)
class Interactions(Measure):
    """What sets of modalities add together that their subsets do not: any index, any order up to the number of
    modalities.

    Parameters
    ----------
    index : "moebius" (the game itself, term by term), "sii", "k-sii", "stii", "fsii" or "banzhaf".
    order : the largest set; the number of modalities, but at most 3, unless given.

    Result
    ------
    values (sample, coalition, output): the index of each set, named `ct` or `ct x report`. mean (coalition, output):
        signed, with an interval. of_target (sample, coalition).
    orders (order): how the sum of |mean Moebius coefficients| of the target splits into sets of one, two, and three
        or more. by_space (space, coalition): the mean of the target in every space kept; an effect in probability
        that is none in log-odds is the link's.
    orders_by_space (space, order): that split in every space kept.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"a": np.array([[2.0]]), "b": np.array([[3.0]])}
    >>> found = ml.explain(lambda a, b: (a * b)[:, 0], inputs, measures=[ml.Interactions()], baseline="zeros", output="raw").interactions
    >>> found.values.sel(coalition="a x b").item()
    6.0
    """

    index: Literal["moebius", "sii", "k-sii", "stii", "fsii", "banzhaf"] = "moebius"
    order: int | None = None

    default_name: ClassVar[str] = "interactions"
    title: ClassVar[str] = "Interactions of modalities"
    citation: ClassVar[str] = """@article{grabisch1999axiomatic,
  title = {An axiomatic approach to the concept of interaction among players in cooperative games},
  author = {Grabisch, Michel and Roubens, Marc},
  journal = {International Journal of Game Theory}, volume = {28}, pages = {547--565}, year = {1999}
}"""

    def __post_init__(self) -> None:
        choice("index", self.index, indices.WEIGHTS)
        if self.order is not None and self.order < 1:
            raise InputError(f"Interactions(order={self.order}): give at least 1.")

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        needed = coalition_needs(problem, "Interactions")[:1]
        if self.order is not None and self.order > len(problem.modalities):
            raise InputError(
                f"Interactions(order={self.order}): there are {len(problem.modalities)} modalities; give at most that."
            )
        return needed

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        order = self._order(problem)
        sets = [" x ".join(names) for names in problem.subsets(order)]
        everyone = [" x ".join(inside) for inside in problem.coalitions]
        spaces: Arrays = {}
        for space in problem.spaces:
            coefficients = indices.moebius(
                values.mean(problem.coalition_masks, problem.coalition_baselines[0], space=space)
            )
            spaces[f"index {space}"] = by_output(
                problem, indices.index_values(coefficients, self.index, order), ("coalition", sets)
            )
            spaces[f"moebius {space}"] = problem.of_target(by_output(problem, coefficients, ("member", everyone)))
        return spaces

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        targets = {
            space: statistics.average(problem.of_target(samples[f"index {space}"]), weights) for space in problem.spaces
        }
        orders = {space: self._orders(problem, samples[f"moebius {space}"], weights) for space in problem.spaces}
        return {
            "mean": statistics.average(samples[f"index {problem.space}"], weights),
            "by_space": statistics.side_by_side(targets, "space"),
            "orders": orders[problem.space],
            "orders_by_space": statistics.side_by_side(orders, "space"),
        }

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        signed = samples[f"index {problem.space}"].transpose("sample", "coalition", "output")
        return {"values": signed, "of_target": problem.of_target(signed)}

    def settings(self, problem: Problem) -> dict[str, Any]:
        return super().settings(problem) | {"order": self._order(problem)}

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        return {
            name: nothing_changes(problem, "the output is the same in all coalitions: 0 / 0")
            for name in ("orders", "orders_by_space")
            if bool(found[name].isnull().any())
        }

    def _order(self, problem: Problem) -> int:
        return min(len(problem.modalities), 3) if self.order is None else self.order

    def _orders(self, problem: Problem, coefficients: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
        mean = statistics.average(coefficients, weights)
        return order_shares(
            abs(mean) if problem.predicted else statistics.average(abs(coefficients), weights), problem.resolution
        )


def order_shares(amounts: xr.DataArray, resolution: float) -> xr.DataArray:
    """Amounts of all 2^M coefficients (axis `member`) as the shares of order 1, 2 and 3+; the empty set does not
    count.
    """
    size = indices.sizes(int(amounts.sizes["member"]).bit_length() - 1)
    belongs = xr.DataArray(
        np.stack([size == 1, size == 2, size >= 3]).astype(float),
        dims=("order", "member"),
        coords={"order": list(ORDERS)},
    )
    return statistics.share(
        xr.dot(belongs, amounts.drop_vars("member", errors="ignore"), dim="member"),
        dim="order",
        floor=resolution * len(size),
    )
