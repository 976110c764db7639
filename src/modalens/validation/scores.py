"""How near a measure comes to what is true: error, ranking, leakage, interaction, coverage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from scipy.stats import norm

from modalens.measures import Result
from modalens.validation.known import KnownProblem
from modalens.validation.rankings import above_chance, rbo, rbo_chance, tau, top_one
from modalens.validation.truths import Truth

PAPER = "sensitivity"
"""The gradient paper's truth, to which every measure is held beside its own."""

P = 0.9
"""How far down a ranking RBO looks."""


def scores(known: KnownProblem, result: Result, array: str, estimand: str) -> dict[str, float]:
    """All scores of one array of shares (modality) against the truth that it estimates, and against the paper's."""
    shares = result.array(array).sel(modality=list(known.modalities)).values
    truth = known.truth.get(estimand)
    found = {} if truth is None else against(known, truth, shares) | coverage(known, truth, result, array)
    paper = known.truth.get(PAPER)
    if paper is not None:
        found |= {f"paper_{name}": value for name, value in against(known, paper, shares).items()}
    return found


def against(known: KnownProblem, truth: Truth, shares: np.ndarray) -> dict[str, float]:
    """rmse: root of the mean squared error over modalities. rbo: rank-biased overlap, ties by rule b, with its level of
    `chance` and the scale on which chance is 0 (`above_chance`). tau: Kendall's tau-b. top_one: whether the first is
    found. leakage: what is given to modalities that do nothing. Rankings are NaN where the truth ties all.
    """
    true, found = (joined(known, values) for values in (truth.values, shares))
    ranked = joined(known, truth.ranked)
    unused = np.isclose(true, 0, atol=1e-9)
    return {
        "rmse": float(np.sqrt(np.mean((found - true) ** 2))),
        "leakage": float(found[unused].sum()) if unused.any() else np.nan,
    } | (_of_ranking(ranked, found) if not np.isnan(found).any() else dict.fromkeys(RANKINGS, np.nan))


RANKINGS = ("rbo", "chance", "above_chance", "tau", "top_one")


def _of_ranking(true: np.ndarray, found: np.ndarray) -> dict[str, float]:
    if np.ptp(true) == 0:
        return dict.fromkeys(RANKINGS, np.nan)
    values = rbo(true, found, P), _chance(tuple(true)), above_chance(true, found, P), tau(true.tolist(), found.tolist()), top_one(true.tolist(), found.tolist())  # fmt: skip
    return dict(zip(RANKINGS, values, strict=True))


@cache
def _chance(true: tuple[float, ...]) -> float:
    return rbo_chance(true, P)


def joined(known: KnownProblem, shares: np.ndarray) -> np.ndarray:
    """Shares by modality, those of modalities that copy one another as one."""
    together = np.isin(known.modalities, known.inseparable)
    if not together.any():
        return shares
    return np.concatenate([[shares[together].sum()], shares[~together]])


def coverage(known: KnownProblem, truth: Truth, result: Result, array: str) -> dict[str, float]:
    """covered: the share of modalities whose interval holds the truth. width: the mean length of the intervals. An interval
    is of drawing patients; the error of drawing background rows, which stands beside it in a result, is added to it, as
    independent errors add up. Truths at the end of the range (0 or 1) don't count: no percentile interval of a share
    holds them.
    """
    if array not in result.interval or known.inseparable:
        return {}
    names = list(known.modalities)
    shares, bounds = result.array(array).sel(modality=names), result.interval[array].sel(modality=names)
    confidence = 0.95 if result.confidence is None else result.confidence
    rows = norm.ppf((1 + confidence) / 2) * _of_rows(result, array, names)
    lower, upper = (
        shares.values + sign * np.hypot(bounds.sel(bound=bound).values - shares.values, rows)
        for bound, sign in (("lower", -1), ("upper", 1))
    )
    inside = (truth.values > 1e-9) & (truth.values < 1 - 1e-9) & ~np.isnan(lower)
    held = (lower <= truth.values) & (truth.values <= upper)
    return {"covered": float(held[inside].mean()) if inside.any() else np.nan, "width": float(np.mean(upper - lower))}


def _of_rows(result: Result, array: str, names: list[str]) -> np.ndarray:
    """The standard error of drawing a finite number of background rows; 0 where none are drawn."""
    if array not in result.monte_carlo_error:
        return np.zeros(len(names))
    return np.asarray(result.monte_carlo_error[array].sel(modality=names).fillna(0).values)


def interaction_error(known: KnownProblem, result: Result) -> float:
    """Root of the mean squared error of the shares of order 1, 2 and 3 or more; NaN where the measure has none, or the
    problem.
    """
    orders = result.arrays.get("orders")
    if known.orders is None or orders is None or isinstance(orders, Mapping):
        return float("nan")
    if "output" in orders.dims:
        orders = orders.mean("output")
    return float(np.sqrt(np.mean((orders.values - known.orders) ** 2)))
