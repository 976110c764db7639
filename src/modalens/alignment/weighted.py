"""Correlation and agreement under weights, so that a bootstrap is a few matrix products: Spearman's correlation, Krippendorff's
alpha for ordered answers, Cohen's kappa with quadratic weights.
"""

from __future__ import annotations

import numpy as np


def weighted_spearman(one: np.ndarray, other: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's correlation of two lists of numbers (n,), ties by mean rank, under each row of weights (draw, n).

    Weights are how often each pair was drawn, to any scale. Returns (draw,); NaN where one list is all the same.

    >>> weighted_spearman(np.array([1, 2, 3, 9]), np.array([2, 1, 4, 8]), np.full((1, 4), 0.25)).round(3)
    array([0.8])
    """
    shares = weights / weights.sum(axis=1, keepdims=True)
    first, second = (_centred_ranks(numbers, shares) for numbers in (one, other))
    spread = np.sqrt((shares * first**2).sum(axis=1) * (shares * second**2).sum(axis=1))
    together = (shares * first * second).sum(axis=1)
    return np.divide(together, spread, out=np.full(len(shares), np.nan), where=spread > 1e-12)


def _centred_ranks(numbers: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The mean rank of each number, in shares of all (draw, n): what lies below it, and half of what ties with it; less the
    mean of all, which is one half.
    """
    _, value, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    order, starts = np.argsort(numbers, kind="stable"), np.cumsum(sizes) - sizes
    of_value = np.add.reduceat(shares[:, order], starts, axis=1)
    return np.asarray((np.cumsum(of_value, axis=1) - of_value / 2)[:, value] - 0.5)


def krippendorff_alpha(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Krippendorff's alpha for ordered answers: 1 - (disagreement seen) / (disagreement by chance).

    Parameters
    ----------
    counts : (unit, value) how many raters gave a unit each value, values in their order; two answers or more a unit.
    weights : (draw, unit), rows that sum to 1; a draw counts as many units as there are.

    Returns
    -------
    (draw,); NaN where all answers are the same.

    Source: Krippendorff, Content Analysis (2004), ch. 11. A unit with m answers counts its pairs of answers 1/(m - 1) times;
    the squared distance of two values is that of their mean ranks among all answers.

    >>> perfect = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2]])
    >>> krippendorff_alpha(perfect, np.full((1, 3), 1 / 3))
    array([1.])
    """
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(counts.shape[1])
    seen = np.tensordot(weights * len(counts), pairs / (counts.sum(axis=1) - 1)[:, None, None], axes=1)
    often = seen.sum(axis=2)
    ranks = np.cumsum(often, axis=1) - often / 2
    apart = (ranks[:, :, None] - ranks[:, None, :]) ** 2
    by_chance = often[:, :, None] * often[:, None, :] / (often.sum(axis=1) - 1)[:, None, None]
    disagreement, expected = ((table * apart).sum(axis=(1, 2)) for table in (seen, by_chance))
    return 1 - np.divide(disagreement, expected, out=np.full(len(weights), np.nan), where=expected > 0)


def quadratic_kappa(one: np.ndarray, other: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Cohen's kappa with quadratic weights of the answers of two raters (n,), under each row of weights (draw, n) that sums to
    1: 1 - (mean squared distance) / (that of an answer of one and any answer of the other).

    Returns (draw,); NaN where all answers are the same. Source: Cohen, Psychological Bulletin 70 (1968).

    >>> quadratic_kappa(np.array([1, 1, 2, 5]), np.array([1, 2, 2, 3]), np.full((1, 4), 0.25)).round(3)
    array([0.615])
    """
    apart = weights @ (one - other) ** 2
    by_chance = weights @ (one**2 + other**2) - 2 * (weights @ one) * (weights @ other)
    return 1 - np.divide(apart, by_chance, out=np.full(len(weights), np.nan), where=by_chance > 1e-12)
