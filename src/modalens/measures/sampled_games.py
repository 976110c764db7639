"""Games of too many players for all their coalitions: Shapley values and pair interactions from a sample of coalitions,
the same for any number of games, and how far off they may be.

Coalitions are drawn in pairs, S and its complement. Half their difference, o(S) = (v(S) - v(N - S)) / 2, has the same
Shapley values as v, and half their sum, e(S), none; so each pair is one equation for the values, and one for the
interactions of two. Shapley values are the least-squares fit of a line to o, weighted by the Shapley kernel, that meets
v at everyone and at nobody (Lundberg and Lee 2017, Covert and Lee 2021), which is exact already where players interact
in twos. Arrays have pairs of coalitions, or players, first and games last.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, islice
from math import comb

import numpy as np

LISTED = 2**14
"""Most coalitions of a size that are listed and shuffled; more are drawn, and drawn again where they come twice."""

PROXY_PAIRS = 3000
"""Most pairs of coalitions to which a proxy is fitted: it takes a square matrix of them."""

SAME = 1e-9
"""Below this share of the largest direction is rounding: a line says nothing of the mean over players."""

UNSHRUNK_FROM = 3
"""So many pairs a couple of players are needed before their interaction is left as the quadratic fit has it."""

RANGE, NUGGET, PAIR_NUGGET = 2.0, 0.01, 0.001
"""Of the proxy's kernel: coalitions that differ in all players correlate by exp(-RANGE) at first, and so much of the
variance is each coalition's own, for values and for interactions. Tried on networks, trees and unanimity games: half or
twice as much changes little.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Pairs of coalitions of `players`: `inside` (pairs, players) says who is in the first, the others are in the second.
    `weight` (pairs,) is what a pair stands for in the Shapley kernel.
    """

    inside: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.inside)

    @property
    def players(self) -> int:
        return int(self.inside.shape[1])

    def of(self, own: np.ndarray) -> Pairs:
        """The same pairs in the game of some of the players (bool), the others being there or not without effect."""
        return self if own.all() else _of(self, own.tobytes())


@lru_cache(maxsize=64)
def _of(pairs: Pairs, own: bytes) -> Pairs:
    return Pairs(inside=pairs.inside[:, np.frombuffer(own, dtype=bool)], weight=pairs.weight)


@lru_cache(maxsize=16)
def draw_pairs(players: int, count: int, seed: int) -> Pairs:
    """The first `count` of an endless row of pairs of coalitions, without repetition: what a larger count draws begins
    with what a smaller one did.

    First each player alone (and all but that one), which identifies every value; then sizes in turn, in proportion to
    1 / sqrt(s (n - s)) (Witter et al. 2025), between the Shapley kernel and its leverage scores (Musco and Witter 2025).
    """
    sizes = np.array(list(islice(_sizes(players), count)), dtype=np.int64)
    drawn = {int(size): int(number) for size, number in zip(*np.unique(sizes, return_counts=True), strict=True)}
    inside = np.empty((len(sizes), players), dtype=bool)
    for size, number in drawn.items():
        inside[sizes == size] = _of_size(players, size, number, seed)
    masses = _masses(players, np.array(sorted(drawn)))
    return Pairs(inside=inside, weight=np.array([masses[size] / drawn[size] for size in sizes.tolist()]))


def _number(players: int, size: int) -> int:
    """How many pairs there are of a coalition of this size, at most half of all, and its complement."""
    return comb(players, size) // (2 if 2 * size == players else 1)


def _sizes(players: int) -> Iterator[int]:
    """The size of the smaller coalition of each pair: all of size 1, then by Webster's rule, which never takes back what
    it gave to a size.
    """
    yield from (1 for _ in range(_number(players, 1)))
    waiting = [(-2 * share, size, 0, share) for size in range(2, players // 2 + 1) for share in [_share(players, size)]]
    heapq.heapify(waiting)
    while waiting:
        _, size, given, share = heapq.heappop(waiting)
        yield size
        if given + 1 < _number(players, size):
            heapq.heappush(waiting, (-share / (given + 1.5), size, given + 1, share))


def _share(players: int, size: int) -> float:
    return float((1 if 2 * size == players else 2) / np.sqrt(size * (players - size)))


def _masses(players: int, drawn: np.ndarray) -> dict[int, float]:
    """What each size that was drawn stands for in the Shapley kernel: itself, and the sizes nearer to it than to others
    of which none was drawn.
    """
    masses = dict.fromkeys(drawn.tolist(), 0.0)
    for size in range(1, players // 2 + 1):
        nearest = int(drawn[np.argmin(np.abs(drawn - size))])
        masses[nearest] += (1 if 2 * size == players else 2) / (size * (players - size))
    return masses


def _of_size(players: int, size: int, number: int, seed: int) -> np.ndarray:
    """The first coalitions of one size in an order that depends on the seed alone, (number, players)."""
    generator = np.random.default_rng(np.random.SeedSequence((seed, 8, size)))
    if _number(players, size) <= LISTED:
        listed = _listed(players, size)
        return np.asarray(listed[generator.permutation(len(listed))[:number]])
    found: dict[bytes, np.ndarray] = {}
    while len(found) < number:
        members = np.zeros(players, dtype=bool)
        members[generator.permutation(players)[:size]] = True
        members ^= 2 * size == players and not members[0]  # of two halves, that with the first player
        found.setdefault(members.tobytes(), members)
    return np.array(list(found.values()))


@lru_cache(maxsize=64)
def _listed(players: int, size: int) -> np.ndarray:
    """All coalitions of one size, (coalitions, players); of two halves that with the first player."""
    chosen = np.array([one for one in combinations(range(players), size) if 2 * size < players or one[0] == 0])
    inside = np.zeros((len(chosen), players), dtype=bool)
    np.put_along_axis(inside, chosen, True, axis=1)
    return inside


# Shapley values --------------------------------------------------------------------------------------------------------------------


def shapley_values(pairs: Pairs, odd: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Shapley values (players, games), from o(S) of every pair (pairs, games) and v(all) - v(none) (games,), to which
    they sum.

    Up to 3,000 pairs, they are those of a proxy and of the line that is fitted to what the proxy leaves over (regression
    adjustment, Witter et al. 2025). The proxy is a line plus a Gaussian process whose correlation falls with the number
    of players in which coalitions differ (as in Rundel et al. 2026): it is linear in the values, so one matrix serves all
    games. It is not free of bias, but far nearer than the line alone on smooth games, and no farther on others.
    """
    known = np.vstack([total[None] / 2, odd])
    values = _solution(pairs) @ known
    return np.asarray(values + (total - values.sum(axis=0)) / pairs.players)  # rounding


def shapley_errors(pairs: Pairs, odd: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The standard error of each of these values from drawing coalitions, (players, games): the jackknife of the line,
    which leaves out a pair at a time, on what a proxy leaves over of the pair that it did not see. It counts no coalition
    as drawn for good, so it is rather too large, the more so the more of all there are. NaN with fewer than two pairs a
    player, where too little is left over to tell.
    """
    if len(pairs) < 2 * pairs.players:
        return np.full((pairs.players, odd.shape[1]), np.nan)
    left = _left_by_line(pairs, odd, total) if len(pairs) > PROXY_PAIRS else _left_by_proxy(pairs, odd, total)
    return np.asarray(np.sqrt(_line(pairs) ** 2 @ left**2))


@lru_cache(maxsize=64)
def _solution(pairs: Pairs) -> np.ndarray:
    """The matrix (players, 1 + pairs) that turns o of everyone and of all pairs into Shapley values."""
    line = _line(pairs)
    if len(pairs) > PROXY_PAIRS:
        # A coalition of k has (2k - n) / n of o(everyone) by its size alone, and a player 2 / n.
        return np.column_stack([2 / pairs.players - line @ _signs(pairs.inside).mean(axis=1), line])
    proxy = _proxy(pairs)
    left = NUGGET * (1 - np.exp(-RANGE)) * proxy.weights[1:]  # of the pairs that it saw: their own variance times these
    return np.asarray(proxy.values + line @ left)


@lru_cache(maxsize=64)
def _line(pairs: Pairs) -> np.ndarray:
    """The matrix (players, pairs) that turns o, less what a coalition has of v(all) - v(none) by its size, into what
    players differ by from their mean: least squares, weighted by the Shapley kernel.
    """
    root = np.sqrt(pairs.weight)[:, None]
    return np.asarray(2 * np.linalg.pinv(root * _centred(pairs), rcond=SAME) * root.T)


def _left_by_line(pairs: Pairs, odd: np.ndarray, total: np.ndarray) -> np.ndarray:
    """What the line without a pair leaves over of that pair, (pairs, games)."""
    line, centred = _line(pairs), _centred(pairs)
    beyond_size = odd - _signs(pairs.inside).mean(axis=1)[:, None] * total / 2
    leverage = np.einsum("pi,ip->p", centred, line) / 2
    return np.asarray((beyond_size - centred @ (line @ beyond_size) / 2) / (1 - leverage)[:, None])


def _left_by_proxy(pairs: Pairs, odd: np.ndarray, total: np.ndarray) -> np.ndarray:
    """What the proxy without a pair leaves over of that pair, (pairs, games)."""
    weights = _proxy(pairs).weights
    return np.asarray(((weights @ np.vstack([total[None] / 2, odd])) / np.diag(weights)[:, None])[1:])


def _signs(inside: np.ndarray) -> np.ndarray:
    """1 for who is inside, -1 for who is not."""
    return np.where(inside, 1.0, -1.0)


def _centred(pairs: Pairs) -> np.ndarray:
    signs = _signs(pairs.inside)
    return np.asarray(signs - signs.mean(axis=1, keepdims=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class Proxy:
    """What a Gaussian process and a line make of o of everyone and of all pairs (1 + pairs). `values` turns them into
    the Shapley values of the proxy. `weights` is the inverse of their covariance less what the line takes, from which
    follows what the proxy without a pair leaves over of it: (weights o)_p / weights_pp.
    """

    values: np.ndarray
    weights: np.ndarray


@lru_cache(maxsize=1)
def _proxy(pairs: Pairs) -> Proxy:
    """Universal kriging: the line is not shrunk, so that a game that adds up is met exactly."""
    inside = np.vstack([np.ones((1, pairs.players), dtype=bool), pairs.inside])
    signs, alike = _signs(inside), np.exp(-RANGE / pairs.players)
    differ = (pairs.players - signs @ signs.T) / 2
    covariance = alike**differ - alike ** (pairs.players - differ)  # of the odd half
    weights, slopes = _kriged(covariance, NUGGET, signs)
    return Proxy(values=_of_kernel(inside, alike) @ weights + 2 * slopes, weights=weights)


def _kriged(covariance: np.ndarray, nugget: float, terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse covariance less what the terms (1 + pairs, terms) take, and the matrix that gives the terms' slopes."""
    own = nugget * covariance[0, 0] * np.eye(len(terms))
    own[0, 0] *= 1e-6  # what is known of everyone is met, as the Shapley kernel does
    inverse = np.linalg.inv(covariance + own)
    weighted = inverse @ terms
    slopes = np.linalg.solve(terms.T @ weighted, weighted.T)
    return np.asarray(inverse - weighted @ slopes), np.asarray(slopes)


def _of_kernel(inside: np.ndarray, alike: float) -> np.ndarray:
    """The Shapley values (players, coalitions) of S -> k(S, T) - k(N - S, T), k = alike^(players in whom they differ),
    for each coalition T: products over players, whose values are integrals of a polynomial (Owen 1972), by quadrature.
    """
    players = inside.shape[1]
    nodes, weights = np.polynomial.legendre.leggauss(players // 2 + 1)
    there, share = (nodes + 1) / 2, weights / 2
    same, other = there + (1 - there) * alike, there * alike + 1 - there  # a player of T, and one outside it
    sizes = np.arange(players + 1)[:, None]
    gained = (1 - alike) * (same ** np.maximum(sizes - 1, 0) * other ** (players - sizes)) @ share
    lost = (alike - 1) * (same**sizes * other ** np.maximum(players - sizes - 1, 0)) @ share
    size = inside.sum(axis=1)[:, None]
    values = np.where(inside, gained[size], lost[size])
    complement = np.where(inside, lost[players - size], gained[players - size])
    return np.asarray((values - complement).T)


# Interactions of two ---------------------------------------------------------------------------------------------------------------


def couples(players: int) -> np.ndarray:
    """All couples of players, (couples, 2)."""
    return np.array(list(combinations(range(players), 2)), dtype=np.int64).reshape(-1, 2)


def pair_interactions(pairs: Pairs, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Faith-Shap interactions of order two (Tsai, Yeh and Ravikumar 2023) and their standard errors, (couples,
    games), from (v(all) + v(none)) / 2 - e(S) of every pair (pairs, games). They are those of the quadratic function
    nearest to v by the Shapley kernel, which loses half the interaction of each couple that S parts; a player's Shapley
    value is its own term and half its interactions.

    They are read off a proxy, as the values are. With three pairs of coalitions a couple it leaves the quadratic part as
    it is, so that a game of couples is met exactly; with fewer it draws interactions towards 0, and errors are NaN, since
    how far is not known. With more than 3,000 pairs, they are fitted by least squares alone where two pairs a couple
    are there, else the proxy sees the first 3,000.
    """
    unknowns = len(couples(pairs.players))
    if len(pairs) > PROXY_PAIRS and len(pairs) >= 2 * unknowns:
        solution, parted = _quadratic(pairs), _parted(pairs)
        found = solution @ lost
        left = (lost - parted @ found) / (1 - np.einsum("pc,cp->p", parted, solution))[:, None]
        return found, np.sqrt(solution**2 @ left**2)
    seen = _first(pairs)
    known = np.vstack([np.zeros((1, lost.shape[1])), -lost[: len(seen)]])
    proxy = _coupled(seen)
    found = proxy.values @ known
    if not _unshrunk(seen):
        return found, np.full(found.shape, np.nan)
    left = ((proxy.weights @ known) / np.diag(proxy.weights)[:, None])[1:]
    return found, np.sqrt(_quadratic(seen) ** 2 @ left**2)


def _unshrunk(pairs: Pairs) -> bool:
    return len(pairs) >= UNSHRUNK_FROM * len(couples(pairs.players))


@lru_cache(maxsize=4)
def _first(pairs: Pairs) -> Pairs:
    if len(pairs) <= PROXY_PAIRS:
        return pairs
    return Pairs(inside=pairs.inside[:PROXY_PAIRS], weight=pairs.weight[:PROXY_PAIRS])


def _parted(pairs: Pairs) -> np.ndarray:
    """One half for each couple that a pair of coalitions parts, (pairs, couples)."""
    one, other = couples(pairs.players).T
    return np.asarray((pairs.inside[:, one] ^ pairs.inside[:, other]) / 2)


@lru_cache(maxsize=4)
def _quadratic(pairs: Pairs) -> np.ndarray:
    """The matrix (couples, pairs) of the least squares that are weighted by the Shapley kernel."""
    parted = _parted(pairs)
    weighted = parted.T * pairs.weight
    return np.asarray(np.linalg.solve(weighted @ parted, weighted))


@lru_cache(maxsize=4)
def _coupled(pairs: Pairs) -> Proxy:
    """Kriging of e, with a constant that is not shrunk, and a term of each couple where there are pairs enough."""
    inside = np.vstack([np.ones((1, pairs.players), dtype=bool), pairs.inside])
    signs, alike = _signs(inside), np.exp(-RANGE / pairs.players)
    differ = (pairs.players - signs @ signs.T) / 2
    covariance = alike**differ + alike ** (pairs.players - differ)  # of the even half
    one, other = couples(pairs.players).T
    terms = np.ones((len(inside), 1))
    if _unshrunk(pairs):
        terms = np.hstack([terms, signs[:, one] * signs[:, other]])
    weights, slopes = _kriged(covariance, PAIR_NUGGET, terms)
    values = _couples_of_kernel(inside, alike) @ weights
    return Proxy(values=values + 4 * slopes[1:] if _unshrunk(pairs) else values, weights=weights)


def _couples_of_kernel(inside: np.ndarray, alike: float) -> np.ndarray:
    """The Faith-Shap interactions of order two (couples, coalitions) of S -> k(S, T) + k(N - S, T): the mean, over chances
    t of being there with density 6 t (1 - t), of what a couple adds together.
    """
    players = inside.shape[1]
    nodes, weights = np.polynomial.legendre.leggauss(players // 2 + 2)
    there, share = (nodes + 1) / 2, weights / 2
    same, other = there + (1 - there) * alike, there * alike + 1 - there
    density = 6 * share * there * (1 - there) * (1 - alike) ** 2
    sizes = np.arange(players + 1)[:, None]

    def rest(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
        return np.asarray((same ** np.maximum(inner, 0) * other ** np.maximum(outer, 0)) @ density)

    both, neither = rest(sizes - 2, players - sizes), rest(sizes, players - sizes - 2)
    one_of_them = -rest(sizes - 1, players - sizes - 1)
    i, j = couples(players).T

    def values(members: np.ndarray) -> np.ndarray:
        size, count = members.sum(axis=1)[:, None], members[:, i].astype(int) + members[:, j]
        return np.where(count == 2, both[size], np.where(count == 1, one_of_them[size], neither[size]))

    return np.asarray((values(inside) + values(~inside)).T)


# Orders ----------------------------------------------------------------------------------------------------------------------------


def orders(players: int, count: int, seed: int) -> list[np.ndarray]:
    """Orders in which players are taken away: every second one is the one before, backwards (Mitchell et al. 2022). A
    larger count begins with what a smaller one gives.
    """
    generator = np.random.default_rng(np.random.SeedSequence((seed, 7)))
    drawn = [generator.permutation(players) for _ in range(-(-count // 2))]
    return [order for one in drawn for order in (one, one[::-1])][:count]


def gains(order: np.ndarray, path: np.ndarray) -> np.ndarray:
    """What each player loses when it goes, (players, ...), from the values along an order, from everyone to nobody,
    (players + 1, ...).
    """
    found = np.empty_like(path[:-1])
    found[order] = path[:-1] - path[1:]
    return found
