"""The scores of all records under one change of phrases or regions, as arrays (score, record)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.perturbations import Changed
from modalens.alignment.records import Record
from modalens.alignment.scores import divergence
from modalens.alignment.scoring import Named, Scored, flipped
from modalens.alignment.showing import on_scale

FLOOR = 1e-12
"""The least share of a map that a cell counts with in a divergence: a map can move by some 27 nats at most."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """Records as the model sees them, the same on the pixels on which they are scored, and the scores."""

    seen: Sequence[Record]
    scored: Sequence[Record]
    named: Sequence[Named]
    smooth: bool
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often a score is NaN, by score and reason."""

    def scores(self, maps: Sequence[HeatMap | None], change: Changed, advance: Callable[[int], None]) -> np.ndarray:
        """Of the model's maps, None where it was not asked, against the region of each record, or what stands in for it."""
        found = np.full((len(self.named), len(self.scored)), np.nan)
        for place, map in enumerate(maps):
            if map is not None:
                found[:, place] = self._row(self._laid(map, place, change), place)
            advance(1)
        return found

    def followed(self, change: Changed, advance: Callable[[int], None]) -> np.ndarray:
        """What a map would have that follows the text perfectly: the region of which the changed phrase is true and nothing
        else, or everything alike where that is not known.
        """
        found = np.full((len(self.named), len(self.scored)), np.nan)
        for place, (phrase, target) in enumerate(zip(change.phrases, change.targets, strict=True)):
            if phrase is not None and self.scored[place].located:
                truth = self._truth(change, place)
                perfect = HeatMap(values=np.ones(truth.shape) if target is None else target.astype(float))
                found[:, place] = self._row(Scored(perfect, truth, self.seen[place].half, self.smooth), place)
            advance(1)
        return found

    def ranges(self, maps: Sequence[HeatMap | None], change: Changed) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and highest value that any map could have, each (score, record)."""
        found = np.full((2, len(self.named), len(self.scored)), np.nan)
        for place, map in enumerate(maps):
            if map is not None and self.scored[place].located:
                laid = self._laid(map, place, change)
                found[:, :, place] = np.array([laid.range(named) for named in self.named]).T
        return found[0], found[1]

    def count(self, maps: Sequence[HeatMap | None], change: Changed) -> None:
        """Count what is NaN, with its reason."""
        for place, map in enumerate(maps):
            if map is not None and self.scored[place].located:
                laid = self._laid(map, place, change)
                self.reasons.update((named.name, why) for named in self.named if (why := laid.why(named)))

    def flips(
        self, before: Sequence[HeatMap | None], after: Sequence[HeatMap | None], others: Sequence[int | None]
    ) -> np.ndarray:
        """Whether each record's map goes to the other lung when the text does, (record); NaN where only one lung has it."""
        found = np.full(len(self.scored), np.nan)
        for place, other in enumerate(others):
            first, second = before[place], after[place]
            if other is not None and first is not None and second is not None:
                record = self.scored[place]
                one, two = (self._on_pixels(map, place).on(record.size, smooth=self.smooth) for map in (first, second))
                found[place] = flipped(record, self.scored[other], one, two)
        return found

    def _row(self, laid: Scored, place: int) -> list[float]:
        located = self.scored[place].located
        return [laid.score(named) if located or not named.of_region else float("nan") for named in self.named]

    def _laid(self, map: HeatMap, place: int, change: Changed) -> Scored:
        return Scored(self._on_pixels(map, place), self._truth(change, place), self.seen[place].half, self.smooth)

    def _truth(self, change: Changed, place: int) -> np.ndarray:
        changed = change.truths[place]
        return self.scored[place].truth if changed is None else changed

    def _on_pixels(self, map: HeatMap, place: int) -> HeatMap:
        return on_scale(map, self.seen[place].size, self.scored[place].size)


def divergences(before: Sequence[HeatMap | None], after: Sequence[HeatMap | None]) -> np.ndarray:
    """How far each record's map moved, in nats, on its own grid, (record); NaN where grids differ or there is none. A share of
    less than `FLOOR` counts as that, so that one empty cell does not make a mean infinite.
    """
    return np.array(
        [
            divergence(_floored(one.values), _floored(other.values))
            if one is not None and other is not None and one.values.shape == other.values.shape
            else np.nan
            for one, other in zip(before, after, strict=True)
        ]
    )


def _floored(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, FLOOR * values.clip(min=0).sum())


def opt_outs(maps: Sequence[HeatMap | None]) -> np.ndarray:
    """The share of attention that went nowhere, (record)."""
    return np.array([np.nan if map is None else map.opt_out for map in maps])


def unchanged(records: Sequence[Record]) -> Changed:
    """The records as they are, which a perfect map shows."""
    return Changed(
        phrases=tuple(record.phrase for record in records),
        truths=(None,) * len(records),
        targets=tuple(record.truth if record.located else None for record in records),
        reasons=("",) * len(records),
    )


def patients_of(records: Sequence[Record]) -> list[str]:
    """A name for whom each record is of: the patient; where none is named the report, the image, or the first record of it."""
    first: dict[Hashable, int] = {}
    places = [first.setdefault(record.subject, place) for place, record in enumerate(records)]
    return [
        record.patient
        or (record.study and f"report {record.study}")
        or (record.name and f"image {record.name}")
        or f"record {place}"
        for record, place in zip(records, places, strict=True)
    ]
