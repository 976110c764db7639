"""Shapley values and pair interactions of the parts of all samples at once, from what the model said under masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modalens.measures import indices, sampled_games
from modalens.measures.sampled_games import Pairs, couples


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimates:
    """Shapley values of parts and their standard errors, (part, samples, outputs), and those of all pairs of parts
    (pair, samples, outputs), none unless asked for.
    """

    values: np.ndarray
    errors: np.ndarray
    pairs: np.ndarray
    pair_errors: np.ndarray

    def of_those_who_have(self, own: np.ndarray) -> Estimates:
        """The same, NaN where a sample lacks a part; `own` is (samples, parts)."""
        one, other = couples(own.shape[1]).T
        part, pair = own.T[..., None], (own.T[one] & own.T[other])[: len(self.pairs), :, None]
        return Estimates(
            values=np.where(part, self.values, np.nan),
            errors=np.where(part, self.errors, np.nan),
            pairs=np.where(pair, self.pairs, np.nan),
            pair_errors=np.where(pair, self.pair_errors, np.nan),
        )


def exact(subsets: np.ndarray, interactions: bool) -> Estimates:
    """From the values of all subsets of the parts, (2^parts, samples, outputs)."""
    coefficients = indices.moebius(subsets)
    values = indices.shapley_values(coefficients)
    pairs = (
        indices.index_values(coefficients, "fsii", min(2, len(values)))[len(values) :] if interactions else values[:0]
    )
    return Estimates(values=values, errors=np.zeros_like(values), pairs=pairs, pair_errors=np.zeros_like(pairs))


def walked(orders: Sequence[np.ndarray], paths: Sequence[np.ndarray]) -> Estimates:
    """From the values along orders, each (parts + 1, samples, outputs): the mean of what parts lose when they go, and its
    error from the spread of orders, each together with itself backwards; NaN of a single one.
    """
    gains = [sampled_games.gains(order, path) for order, path in zip(orders, paths, strict=True)]
    if len(gains) > 1:
        gains = [(forth + back) / 2 for forth, back in zip(gains[::2], gains[1::2], strict=True)]
    values = np.asarray(np.mean(gains, axis=0))
    spread = np.std(gains, axis=0, ddof=1) if len(gains) > 1 else np.full_like(values, np.nan)
    return Estimates(values=values, errors=spread / np.sqrt(len(gains)), pairs=values[:0], pair_errors=values[:0])


def fitted(known: np.ndarray, pairs: Pairs, own: np.ndarray, interactions: bool) -> Estimates:
    """By regression, from the values with everything, with nothing, and with each coalition and its complement in turn,
    (2 + 2 pairs, samples, outputs). Samples that have the same parts, `own` (samples, parts), are solved for together.
    """
    total, level = known[0] - known[1], (known[0] + known[1]) / 2
    odd, even = (known[2::2] - known[3::2]) / 2, (known[2::2] + known[3::2]) / 2
    two = couples(pairs.players)[: None if interactions else 0]
    values, of_two = np.zeros((2, pairs.players, *total.shape)), np.zeros((2, len(two), *total.shape))
    for parts in np.unique(own, axis=0):
        members = (own == parts).all(axis=1)
        game, shape = pairs.of(parts), (2, -1, int(members.sum()), total.shape[1])
        odds, totals = _games(odd, members), _games(total, members)
        found = sampled_games.shapley_values(game, odds, totals), sampled_games.shapley_errors(game, odds, totals)
        values[np.ix_([0, 1], parts, members)] = np.reshape(found, shape)
        if interactions:
            between = sampled_games.pair_interactions(game, _games(level - even, members))
            of_two[np.ix_([0, 1], parts[two].all(axis=1), members)] = np.reshape(between, shape)
    return Estimates(values=values[0], errors=values[1], pairs=of_two[0], pair_errors=of_two[1])


def _games(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """The values of some samples (..., samples, outputs) with a game for each sample and output, (..., games)."""
    chosen = values[..., members, :]
    return chosen.reshape(*chosen.shape[:-2], -1)
