"""How well outputs agree with labels, under many weightings of the samples at once: accuracy, area under the ROC
curve, R squared.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


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


METRICS: dict[str, Metric] = {"auc": auc, "accuracy": accuracy, "r2": r_squared}
