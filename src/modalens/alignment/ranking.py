"""The pixels of a map from the brightest to the darkest, sorted once for all scores of rankings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, eq=False)
class Ranking:
    """Pixels in steps, ties as one. taken, hits (step): how many pixels, and how many of the region, are as bright as that or
    brighter.

    scikit-learn computes the same; its checks of inputs take some twenty times as long as the scores of a small image, and
    every score sorts anew.

    >>> ranking = Ranking.of(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]))
    >>> ranking.auroc, ranking.average_precision
    (0.875, 0.8333333333333333)
    """

    taken: np.ndarray
    hits: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, inside: np.ndarray) -> Ranking:
        """values (n,): the pixels; inside (n,): whether each lies in the region."""
        order = np.argsort(-values)
        last = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))
        return cls(last + 1, np.cumsum(inside[order])[last])

    @property
    def pixels(self) -> int:
        return int(self.taken[-1])

    @property
    def region(self) -> int:
        return int(self.hits[-1])

    @property
    def auroc(self) -> float:
        """The chance that a pixel of the region is brighter than one outside it, ties counted half."""
        before = np.append(0, self.hits[:-1])
        outside = np.diff(self.taken - self.hits, prepend=0)
        return float(outside @ (before + self.hits) / 2 / (self.region * (self.pixels - self.region)))

    @property
    def average_precision(self) -> float:
        """The precision of what is taken so far, averaged over the region's pixels as they come."""
        return float(np.diff(self.hits, prepend=0) @ (self.hits / self.taken) / self.region)

    @property
    def brightest(self) -> float:
        """The share of the brightest pixels that lie in the region."""
        return float(self.hits[0] / self.taken[0])

    def among(self, taken: int) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of brightest pixels that may lie in the region, and the chance of each: those above the edge are certain,
        and those drawn from the tied ones hit as often as the hypergeometric distribution says.
        """
        step = int(np.searchsorted(self.taken, taken))
        above, certain = (int(self.taken[step - 1]), int(self.hits[step - 1])) if step else (0, 0)
        tied, possible = int(self.taken[step]) - above, int(self.hits[step]) - certain
        drawn = taken - above
        more = np.arange(max(0, drawn - tied + possible), min(drawn, possible) + 1)
        if len(more) == 1:
            return certain + more, np.ones(1)
        # By logarithms: scipy's pmf takes seconds for an image of one value.
        logarithm = stats.hypergeom.logpmf(more, tied, possible, drawn)
        chance = np.exp(logarithm - logarithm.max())
        return certain + more, chance / chance.sum()
