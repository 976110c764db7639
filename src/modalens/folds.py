"""Cross-validation: which patients are held out, and how sure a mean over folds is."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import t as student

from modalens.errors import InputError
from modalens.statistics import DRAWS


def held_out(
    samples: int, *, folds: int, seed: int, classes: np.ndarray | None = None, groups: np.ndarray | None = None
) -> list[np.ndarray]:
    """The rows that each fold holds out, sorted: every row is held out once.

    With `classes` (samples,) each fold has about the same share of each class; with `groups` (samples,) the rows of
    one group are held out together. Raises InputError where there are too few rows, groups or members of a class.

    Example
    -------
    >>> [rows.tolist() for rows in held_out(4, folds=2, seed=0, groups=np.array([7, 7, 9, 9]))]
    [[2, 3], [0, 1]]
    """
    from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

    names, units = np.unique(np.arange(samples) if groups is None else groups, return_inverse=True)
    if not isinstance(folds, int) or not 2 <= folds <= len(names):
        of = "patients" if groups is None else "groups"
        raise InputError(f"folds={folds!r}: expected a whole number from 2 to {len(names)}, the number of {of}.")
    if classes is None:
        parts: Any = KFold(folds, shuffle=True, random_state=seed).split(names)
        return [np.flatnonzero(np.isin(units, chosen)) for _, chosen in parts]
    values, counts = np.unique(classes, return_counts=True)
    if counts.min() < folds:
        rarest = values[counts.argmin()]
        raise InputError(
            f"labels: {folds} folds need at least {folds} patients of each class, and there are {counts.min()} with the label {rarest!s}; "
            "give fewer folds, or leave that class out. (Values to be predicted as numbers: task='regression'.)"
        )
    rows = np.zeros((samples, 1))
    if groups is None:
        parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, classes)
    else:
        parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(rows, classes, units)
    return [np.sort(chosen) for _, chosen in parts]


def corrected_interval(cells: np.ndarray, ratio: float, confidence: float) -> np.ndarray:
    """Lower and upper bound of the mean over cells (..., seeds x folds), shape (2, ...): the corrected resampled t
    interval of Nadeau and Bengio (2003).

    Folds share most of their training data, so their scores are alike and s / sqrt(J) is far too small. For J cells
    the mean's variance is taken as (1/J + n_test/n_train) s^2 instead, with J - 1 degrees of freedom; `ratio` is
    n_test/n_train. It is an approximation: the variance of cross-validation has no unbiased estimator. NaN cells don't
    count, and fewer than two give NaN.

    Example
    -------
    >>> corrected_interval(np.array([0.1, 0.2, 0.3]), ratio=0.5, confidence=0.95).round(3)
    array([-0.193,  0.593])
    """
    known = ~np.isnan(cells)
    count = known.sum(axis=-1)
    enough = count > 1
    means = np.where(known, cells, 0.0).sum(axis=-1) / np.where(count > 0, count, np.nan)
    squares = np.where(known, (cells - means[..., None]) ** 2, 0.0).sum(axis=-1)
    variance = squares / np.where(enough, count - 1, np.nan)
    half = student.ppf((1 + confidence) / 2, np.where(enough, count - 1, 1)) * np.sqrt(
        (1 / np.where(enough, count, np.nan) + ratio) * variance
    )
    return np.stack([means - half, means + half])


def bootstrap_interval(cells: np.ndarray, confidence: float, seed: int) -> np.ndarray:
    """The same from a bootstrap, of cells (..., seeds, folds): seeds are drawn with replacement, and folds within each;
    the draws depend on the seed alone, so those of two scores are paired.
    """
    *_, seeds, folds = cells.shape
    generator = np.random.default_rng(np.random.SeedSequence((seed, 3)))
    rows = generator.integers(seeds, size=(DRAWS, seeds))[:, :, None]
    drawn = cells[..., rows, generator.integers(folds, size=(DRAWS, seeds, folds))]
    known = ~np.isnan(drawn)
    count = known.sum(axis=(-2, -1))
    means = np.where(known, drawn, 0.0).sum(axis=(-2, -1)) / np.where(count > 0, count, np.nan)
    bounds = np.full((2, *cells.shape[:-2]), np.nan)
    sure = (~np.isnan(cells)).sum(axis=(-2, -1)) > 1
    tail = (1 - confidence) / 2
    bounds[:, sure] = np.nanquantile(means[sure], [tail, 1 - tail], axis=-1)
    return bounds
