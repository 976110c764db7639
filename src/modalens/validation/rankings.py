"""How well a ranking of modalities agrees with the true one: rank-biased overlap with ties, Kendall's tau-b, top 1.

W. Webber, A. Moffat, J. Zobel, "A similarity measure for indefinite rankings", ACM TOIS 2010; ties as in M. Corsi and
J. Urbano, "The treatment of ties in rank-biased overlap", SIGIR 2024.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise, permutations
from typing import Any, Literal

import numpy as np
from scipy.stats import kendalltau

from modalens.errors import InputError, choice

Ranking = tuple[tuple[Hashable, ...], ...]
"""Groups of tied items, the best first."""

EXACT_CHANCE = 7
"""Most items of which all orders are gone through for the level of chance."""


def rbo(truth: Any, estimate: Any, p: float = 0.9, ties: Literal["a", "b"] = "b") -> float:
    """How much do two rankings agree, the top counting most? 1 for the same, 0 for rankings without a common item.

    Parameters
    ----------
    truth, estimate : importances, one an item (an array, or item -> importance; the highest first, equal values tied),
        or ranked lists whose elements are items or groups of tied items.
    p : how far down one looks: the weight of depth d falls with p^d.
    ties : an item whose group of ties spans the ranks t to b counts (d - t + 1) / (b - t + 1) at depth d, between. "a"
        divides the overlap by d, "b" by the root of the product of both sums of squares.

    Returns
    -------
    The extrapolated RBO; NaN where the truth ties everything, since it then ranks nothing. A random order of few items
    has a high value already: see `rbo_chance`.

    Raises
    ------
    InputError : p outside (0, 1), an item twice, NaN among importances, or ties in lists of different length.

    Source: RBO_ext of Webber et al. 2010, eq. 30, and eq. 32 for lists of different length.

    Example
    -------
    >>> round(rbo(["a", "b", "c", "d"], ["a", "b", "d", "c"]), 3), round(rbo([.5, .3, .2, 0], [0, .2, .3, .5]), 3)
    (0.973, 0.783)
    """
    choice("ties", ties, ("a", "b"))
    if not 0 < p < 1:
        raise InputError(f"rbo(p={p}): expected a number between 0 and 1, such as 0.9.")
    first, second = ranking(truth), ranking(estimate)
    lengths = [sum(map(len, one)) for one in (first, second)]
    if lengths[0] != lengths[1]:
        return _uneven(first, second, p)
    if len(first) == 1 and len(first[0]) > 1:
        return float("nan")
    depth = np.arange(1, lengths[0] + 1)
    own, other = (_counts(one, depth, items=_items(first, second)) for one in (first, second))
    overlap = (own * other).sum(axis=0)
    scale = depth if ties == "a" else np.sqrt((own**2).sum(axis=0) * (other**2).sum(axis=0))
    agreement = overlap / scale
    return float(agreement[-1] * p ** depth[-1] + (1 - p) / p * (agreement * p**depth).sum())


def rbo_chance(truth: Any, p: float = 0.9, ties: Literal["a", "b"] = "b") -> float:
    """The mean RBO of all orders of the same items, none tied: what a ranking that knows nothing reaches.

    Example
    -------
    >>> round(rbo_chance([4, 3, 2, 1]), 3), round(rbo_chance([1, 0, 0, 0]), 3)
    (0.86, 0.878)
    """
    known = ranking(truth)
    items = [item for group in known for item in group]
    if len(items) <= EXACT_CHANCE:
        orders: Iterable[Sequence[Hashable]] = permutations(items)
    else:
        generator = np.random.default_rng(0)
        orders = [[items[place] for place in generator.permutation(len(items))] for _ in range(2000)]
    return float(np.mean([rbo(known, list(order), p, ties) for order in orders]))


def above_chance(truth: Any, estimate: Any, p: float = 0.9, ties: Literal["a", "b"] = "b") -> float:
    """RBO on a scale on which chance is 0 and agreement 1: (RBO - chance) / (1 - chance)."""
    chance = rbo_chance(truth, p, ties)
    return (rbo(truth, estimate, p, ties) - chance) / (1 - chance)


def tau(truth: Sequence[float], estimate: Sequence[float]) -> float:
    """Kendall's tau-b of importances; NaN where one of them ties everything."""
    return float(kendalltau(np.asarray(truth), np.asarray(estimate), variant="b").statistic)


def top_one(truth: Sequence[float], estimate: Sequence[float]) -> float:
    """1 where the most important is one of the truly most important, shared where several are estimated so."""
    known, found = np.asarray(truth, float), np.asarray(estimate, float)
    if np.isnan(found).any() or np.isclose(known, known[0]).all():
        return float("nan")
    return float(np.isclose(known, known.max())[found == found.max()].mean())


def ranking(given: Any) -> Ranking:
    """Importances, or lists of items and groups, as groups of tied items, the best first."""
    if hasattr(given, "items"):
        return _by_value(dict(given))
    if not _is_list_of_items(given):
        return _by_value(dict(enumerate(np.asarray(given, dtype=float).ravel().tolist())))
    groups = tuple(tuple(one) if isinstance(one, tuple | list | set | frozenset) else (one,) for one in given)
    items = [item for group in groups for item in group]
    if len(set(items)) != len(items) or not items:
        raise InputError(f"rbo: expected every item once, came {items!r:.80}; give importances, or a ranked list.")
    return groups


def _is_list_of_items(given: Any) -> bool:
    """Numbers are importances; anything else in a list is an item, or a group of some."""
    return isinstance(given, list | tuple) and not all(isinstance(one, int | float | np.number) for one in given)


def _by_value(importance: dict[Hashable, float]) -> Ranking:
    if not importance:
        raise InputError("rbo: expected every item once, came nothing; give importances, or a ranked list.")
    if any(value != value for value in importance.values()):
        raise InputError("rbo: some importances are NaN; expected numbers. Leave out runs that have none.")
    values = sorted(set(importance.values()), reverse=True)
    return tuple(tuple(item for item, own in importance.items() if own == value) for value in values)


def _items(*rankings: Ranking) -> list[Hashable]:
    return list(dict.fromkeys(item for one in rankings for group in one for item in group))


def _counts(groups: Ranking, depth: np.ndarray, items: Sequence[Hashable]) -> np.ndarray:
    """How much each item counts at each depth, (items, depths)."""
    counts = np.zeros((len(items), len(depth)))
    edges = np.cumsum([0, *map(len, groups)])
    for group, (start, stop) in zip(groups, pairwise(edges), strict=True):
        for item in group:
            counts[items.index(item)] = np.clip((depth - start) / (stop - start), 0, 1)
    return counts


def _uneven(first: Ranking, second: Ranking, p: float) -> float:
    """Eq. 32, for lists of different length without ties."""
    if any(len(group) > 1 for group in (*first, *second)):
        raise InputError(
            "rbo: lists of different length can't be compared where items are tied; rank the same items in both."
        )
    short, long = sorted((first, second), key=len)
    s, depth = len(short), np.arange(1, len(long) + 1)
    own, other = (_counts(one, depth, items=_items(first, second)) for one in (short, long))
    overlap = (own * other).sum(axis=0)
    at_s, at_l = overlap[s - 1], overlap[-1]
    beyond = depth[s:]
    total = (overlap / depth * p**depth).sum() + (at_s * (beyond - s) / (s * beyond) * p**beyond).sum()
    return float((1 - p) / p * total + ((at_l - at_s) / len(long) + at_s / s) * p ** len(long))
