"""How well outputs agree with labels, under many weightings of the samples at once: accuracy, area under the ROC
curve, R squared, concordance with survival times.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

PAIR_BUDGET = 32 * 2**20
"""Bytes of pairs of samples that are compared at a time."""


def accuracy(labels: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted share of samples whose largest output is their label: labels (n,) or (n, outputs) of 0 and 1,
    outputs (n, outputs), weights (draws, n).
    """
    right = (outputs.argmax(axis=1) == labels) if labels.ndim == 1 else ((outputs > 0.5) == labels).mean(axis=1)
    return np.asarray(weights @ right.astype(float) / weights.sum(axis=1))


def auc(labels: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted area under the ROC curve: each output against the rest, the mean over those of which there are
    both kinds among the labels; NaN for a draw that lacks a kind.

    Two classes are one question, and asked once.
    """
    wanted = one_against_the_rest(labels, outputs.shape[1])
    columns = np.flatnonzero(varying(wanted))
    columns = columns[-1:] if labels.ndim == 1 and outputs.shape[1] == 2 else columns
    return np.asarray(
        np.mean([_binary_auc(wanted[:, column], outputs[:, column], weights) for column in columns], axis=0)
    )


def one_against_the_rest(labels: np.ndarray, outputs: int) -> np.ndarray:
    """Whether each output is true of each sample, (n, outputs), from classes (n,) or 0 and 1 (n, outputs)."""
    return labels.astype(bool) if labels.ndim == 2 else labels[:, None] == np.arange(outputs)


def varying(wanted: np.ndarray) -> np.ndarray:
    """Of which outputs there are both kinds of samples."""
    return np.asarray(wanted.any(axis=0) & ~wanted.all(axis=0))


def _binary_auc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """P(score of a positive > score of a negative) + half of P(equal), for each row of weights (draws, n)."""
    order = np.argsort(scores, kind="stable")
    _, starts = np.unique(scores[order], return_index=True)
    positives, negatives = (
        np.add.reduceat(weights[:, order] * kind[order], starts, axis=1) for kind in (positive, ~positive)
    )
    below = negatives.cumsum(axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return np.asarray((positives * below).sum(axis=1) / np.where(pairs > 0, pairs, np.nan))


def r_squared(labels: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """1 - residual over total weighted sum of squares, the mean over outputs."""
    values = labels.reshape(len(labels), -1).astype(float)
    mean = weights @ values / weights.sum(axis=1, keepdims=True)
    total = weights @ values**2 - weights.sum(axis=1, keepdims=True) * mean**2
    return np.asarray((1 - weights @ (values - outputs) ** 2 / np.where(total > 0, total, np.nan)).mean(axis=1))


def concordance(labels: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Harrell's c: of the comparable pairs, the weighted share in which the sample with the earlier event has the
    higher risk; equal risks count half. NaN for a draw without such a pair.

    A pair is comparable where the shorter time ended in an event; of two equal times, where one ended in an event and
    the other was censored, who survived longer. Labels (n, 2) are times and events, outputs (n, 1) a risk, or (n,
    times) probabilities of surviving, of which the risk is 1 - S, the mean over times. Weights (draws, n); a pair
    weighs w_i w_j.
    """
    risk = outputs[:, 0] if outputs.shape[1] == 1 else 1 - outputs.mean(axis=1)
    time, event = labels[:, 0], labels[:, 1] > 0
    right, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for early in _chunks(np.flatnonzero(event), len(time) + len(weights)):
        later = outlives(time, event, early)
        higher = (risk[early, None] > risk) + 0.5 * (risk[early, None] == risk)
        right += (weights[:, early] * (weights @ (later * higher).T)).sum(axis=1)
        pairs += (weights[:, early] * (weights @ later.T.astype(float))).sum(axis=1)
    return right / np.where(pairs > 0, pairs, np.nan)


def outlives(time: np.ndarray, event: np.ndarray, early: np.ndarray) -> np.ndarray:
    """Which samples are known to have survived longer than each of these, who had an event: (early, n)."""
    return np.asarray((time > time[early, None]) | ((time == time[early, None]) & ~event))


def has_comparable_pair(labels: np.ndarray) -> bool:
    """Whether somebody is known to have survived longer than another; labels (n, 2) are times and events."""
    time, event = labels[:, 0], labels[:, 1] > 0
    return bool(event.any()) and bool(outlives(time, event, np.flatnonzero(event)[[time[event].argmin()]]).any())


def _chunks(rows: np.ndarray, width: int) -> list[np.ndarray]:
    """The rows in runs, whose arrays of this width fit into the budget."""
    size = max(1, PAIR_BUDGET // (8 * width))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


METRICS: dict[str, Metric] = {"auc": auc, "accuracy": accuracy, "r2": r_squared, "concordance": concordance}

OF_TASK: dict[str, tuple[str, ...]] = {
    "classification": ("auc", "accuracy"),
    "multilabel": ("auc", "accuracy"),
    "regression": ("r2",),
    "survival": ("concordance",),
}
"""The metrics that fit a task, the default first."""


def chance(metric: str, labels: np.ndarray) -> float:
    """The score of a model that knows nothing of the patient: 0.5 of an AUC or a concordance, 0 of R squared, and of
    an accuracy that of always naming the commonest class.
    """
    if metric == "accuracy":
        shares = np.bincount(labels) / len(labels) if labels.ndim == 1 else labels.mean(axis=0)
        return float(shares.max() if labels.ndim == 1 else np.maximum(shares, 1 - shares).mean())
    return KNOWS_NOTHING[metric]


KNOWS_NOTHING = {"auc": 0.5, "concordance": 0.5, "r2": 0.0}
