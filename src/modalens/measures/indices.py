"""Interaction indices of games whose values are known for all 2^M coalitions.

All of them are linear in the Moebius coefficients m(R) = sum_{S subset R} (-1)^{|R|-|S|} v(S), and their weight
depends on sizes only: index(T) = sum_{R contains T} w(|T|, |R|) m(R). A coalition is a position: bit i of it says
whether player i is inside. Arrays have coalitions first.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import comb

import numpy as np
from scipy.special import bernoulli


def moebius(values: np.ndarray) -> np.ndarray:
    """Moebius coefficients of v, shape (2^M, ...), by the fast transform; a player who changes nothing gets exact
    zeros.
    """
    players = int(values.shape[0]).bit_length() - 1
    coefficients = np.array(values, dtype=np.float64).reshape((2,) * players + values.shape[1:])
    for axis in range(players):
        inside = (slice(None),) * axis + (1,)
        outside = (slice(None),) * axis + (0,)
        coefficients[inside] -= coefficients[outside]
    return coefficients.reshape(values.shape)


def sizes(players: int) -> np.ndarray:
    """The number of players in each coalition, by position."""
    return np.array([position.bit_count() for position in range(1 << players)])


def subsets(players: int, order: int) -> list[int]:
    """The positions of all sets of one to `order` players, small sets first."""
    return [
        sum(1 << i for i in chosen) for size in range(1, order + 1) for chosen in combinations(range(players), size)
    ]


def moebius_weight(t: int, r: int, order: int) -> float:
    """m(T) itself."""
    return float(t == r)


def shapley_interaction_weight(t: int, r: int, order: int) -> float:
    """SII (Grabisch and Roubens 1999): 1 / (|R| - |T| + 1)."""
    return 1 / (r - t + 1)


def banzhaf_weight(t: int, r: int, order: int) -> float:
    """Banzhaf interaction index (Grabisch and Roubens 1999): 2^(|T| - |R|)."""
    return float(2.0 ** (t - r))


def k_shapley_weight(t: int, r: int, order: int) -> float:
    """k-SII (Bord and von Luxburg 2023): SII of all supersets up to the order, with Bernoulli numbers, so that the
    sum is v(N) - v(empty).
    """
    numbers = bernoulli(order)
    return float(sum(numbers[j] * comb(r - t, j) / (r - t - j + 1) for j in range(min(order - t, r - t) + 1)))


def shapley_taylor_weight(t: int, r: int, order: int) -> float:
    """STII (Sundararajan, Dhamdhere, Agarwal 2020): m(T) below the top order; at the top, 1 / C(|R|, order)."""
    return float(t == r) if t < order else 1 / comb(r, order)


def faith_shapley_weight(t: int, r: int, order: int) -> float:
    """FSII (Tsai, Yeh, Ravikumar 2023, theorem 19): m(T) plus a share of every coefficient above the order."""
    if r <= order:
        return float(t == r)
    return (-1) ** (order - t) * t / (order + t) * comb(order, t) * comb(r - 1, order) / comb(r + order - 1, order + t)


WEIGHTS: dict[str, Callable[[int, int, int], float]] = {
    "moebius": moebius_weight,
    "sii": shapley_interaction_weight,
    "k-sii": k_shapley_weight,
    "stii": shapley_taylor_weight,
    "fsii": faith_shapley_weight,
    "banzhaf": banzhaf_weight,
}


def matrix(index: str, players: int, order: int) -> np.ndarray:
    """The matrix that turns Moebius coefficients (2^M) into the index of all sets of one to `order` players."""
    sets = np.array(subsets(players, order))
    everyone = np.arange(1 << players)
    by_size = np.array(
        [[WEIGHTS[index](t, r, order) if r >= t else 0.0 for r in range(players + 1)] for t in range(1, order + 1)]
    )
    contains = (everyone[None, :] & sets[:, None]) == sets[:, None]
    size = sizes(players)
    return np.asarray(np.where(contains, by_size[size[sets] - 1][:, size], 0.0))


def index_values(coefficients: np.ndarray, index: str, order: int) -> np.ndarray:
    """The index of all sets of one to `order` players, shape (sets, ...), from Moebius coefficients (2^M, ...): one
    matrix product.
    """
    players = int(coefficients.shape[0]).bit_length() - 1
    return np.tensordot(matrix(index, players, order), coefficients, axes=1)


def shapley_values(coefficients: np.ndarray) -> np.ndarray:
    """Shapley values, shape (M, ...): phi_i = sum_{R contains i} m(R) / |R|."""
    return index_values(coefficients, "sii", 1)


def pairwise(coefficients: np.ndarray) -> np.ndarray:
    """InterSHAP's matrix phi, shape (M, M, ...): phi_ij = 1/2 sum_{R contains ij} m(R) / (|R| - 1), and phi_ii =
    phi_i - sum_j phi_ij (Wenderoth et al. 2025).
    """
    players = int(coefficients.shape[0]).bit_length() - 1
    scores = index_values(coefficients, "sii", 2)
    phi = np.zeros((players, players, *coefficients.shape[1:]))
    for position, (i, j) in enumerate(combinations(range(players), 2), start=players):
        phi[i, j] = phi[j, i] = scores[position] / 2
    for i in range(players):
        phi[i, i] = scores[i] - phi[i].sum(axis=0)
    return phi


def additive_projection(values: np.ndarray) -> np.ndarray:
    """The values of the best additive model, f(x) = sum_i g_i(x_i), on the same masked inputs.

    `values` are v(S, b, k) = f(x_k with the modalities outside S taken from background row b), shape (2^M, rows,
    samples, ...). The least-squares fit of sum_{i in S} a_i(k) + sum_{i not in S} c_i(b) over all of them is closed,
    since the design is balanced: with signs z_i(S) = +-1 the mean over S and the M signed means are fitted apart in
    sample effects, row effects and the grand mean. It is the empirical projection of Hessel and Lee (2020) on the
    rows that are there.
    """
    players = int(values.shape[0]).bit_length() - 1
    signs = np.array([[1.0 if position >> i & 1 else -1.0 for position in range(1 << players)] for i in range(players)])
    level = values.mean(axis=0)
    slopes = np.tensordot(signs, values, axes=1) / values.shape[0]
    level_grand, slope_grand = level.mean(axis=(0, 1)), slopes.mean(axis=(1, 2))
    by_sample = _shrunk(slopes.mean(axis=1) - slope_grand[:, None], level.mean(axis=0) - level_grand)
    by_row = _shrunk(-(slopes.mean(axis=2) - slope_grand[:, None]), level.mean(axis=1) - level_grand)
    fitted = np.broadcast_to(level_grand, values.shape).copy()
    for i, sign in enumerate(signs):
        z = sign.reshape(-1, *(1,) * (values.ndim - 1))
        fitted += z * slope_grand[i] + (1 + z) * by_sample[i][None, None] + (1 - z) * by_row[i][None, :, None]
    return fitted


def _shrunk(slopes: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The effects e_i that minimise (level - sum e)^2 + sum_i (slope_i - e_i)^2: (I + 11') e = slope + level."""
    target = slopes + level
    return np.asarray(target - target.sum(axis=0) / (1 + len(slopes)))
