"""Maps that know nothing of the text: what a model has to beat before its highlights mean anything.

Each is called as a model is, with images and phrases, and gives a heat map a phrase.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.records import Record
from modalens.alignment.regions import Resize, Size
from modalens.errors import InputError

GRID = (19, 19)
"""Rows and columns of a prior's map, as many as the regions of GLoRIA: the entropies of two maps compare on one grid only."""


@dataclass(frozen=True, kw_only=True)
class Uniform:
    """Everything alike.

    >>> Uniform(grid=(2, 2))([np.zeros((8, 8))], ["Opacity in the left lung."])[0].values.tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """

    grid: Size = GRID

    def __call__(self, images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[HeatMap]:
        return [HeatMap(values=np.ones(self.grid)) for _ in phrases]


@dataclass(frozen=True, kw_only=True)
class CentrePrior:
    """A Gaussian in the middle of the image; `width` is its standard deviation, as a share of the image's height and width.

    Raises InputError for a width of 0 or less.

    >>> CentrePrior(grid=(1, 3))([np.zeros((8, 8))], ["Cardiomegaly."])[0].values.round(3).tolist()
    [[0.411, 1.0, 0.411]]
    """

    width: float = 0.25
    grid: Size = GRID

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise InputError(f"CentrePrior(width={self.width!r}): give a share of the image above 0, such as 0.25.")

    def __call__(self, images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[HeatMap]:
        down, across = (np.exp(-0.5 * (_from_middle(cells) / self.width) ** 2) for cells in self.grid)
        return [HeatMap(values=np.outer(down, across)) for _ in phrases]


def _from_middle(cells: int) -> np.ndarray:
    """How far the centre of each of this many cells in a row lies from the middle of the image, as a share of the image."""
    return (2 * np.arange(cells) + 1 - cells) / (2 * cells)  # mirrored to the bit: neither side wins by rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanBox:
    """How often the centre of each cell lay in a region of the training records.

    >>> one, other = (Record(phrase="Opacity.", image=np.zeros((4, 4)), boxes=[box]) for box in ([0, 0, 2, 4], [0, 0, 2, 2]))
    >>> MeanBox.fit([one, other], grid=(2, 2)).values.tolist()
    [[1.0, 0.0], [0.5, 0.0]]
    """

    values: np.ndarray

    @classmethod
    def fit(cls, records: Iterable[Record], *, grid: Size = GRID) -> MeanBox:
        """The mean region of records, each from edge to edge of its image as the model sees it.

        records: those of *training*; ones without a region are left out. Fitted on the records that are scored, a prior
        has seen the answers. grid: rows and columns. Raises InputError where no record has a region.
        """
        regions = [record.through(Resize(to=grid)).truth for record in records if record.located]
        if not np.any(regions):
            raise InputError(
                f"MeanBox.fit: of {len(regions)} records with boxes or masks none has a region on the image as the model sees it: give located training records."
            )
        return cls(values=np.mean(regions, axis=0))

    def __call__(self, images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[HeatMap]:
        return [HeatMap(values=self.values) for _ in phrases]
