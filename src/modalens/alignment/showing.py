"""Every pair of an image and a phrase that an audit needs is shown to the model once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modalens.alignment.heatmaps import HeatMap, as_heat_map
from modalens.alignment.perturbations import Changed
from modalens.alignment.records import Record
from modalens.alignment.regions import Size
from modalens.alignment.sources import Given, highlighter_of, pair_in_words
from modalens.errors import InputError

Pair = tuple[int, str]
"""The first record of an image, and a phrase."""

Maps = dict[Pair, HeatMap]


@dataclass(frozen=True, eq=False)
class Pairs:
    """The images of records, each known by the first record that has it."""

    records: Sequence[Record]
    first: tuple[int, ...]

    @classmethod
    def of(cls, records: Sequence[Record]) -> Pairs:
        seen: dict[Any, int] = {}
        return cls(records, tuple(seen.setdefault(record.picture_seen, place) for place, record in enumerate(records)))

    def of_change(self, change: Changed) -> list[Pair | None]:
        """The pair of every record under a change; None where it is left out."""
        return [None if phrase is None else (self.first[place], phrase) for place, phrase in enumerate(change.phrases)]

    def maps(self, model: Any, wanted: Iterable[Pair], batch_size: int, advance: Callable[[int], None]) -> Maps:
        """The model's heat map of every pair, each asked for once; pictures are read batch by batch.

        Raises InputError where the model gives another number of maps than it was asked for, or one that is none. What the
        model itself raises has a note of where it was.
        """
        ordered = sorted(set(wanted))
        found: Maps = {}
        for batch in batched_pairs(ordered, batch_size):
            found |= dict(zip(batch, self._asked(model, batch), strict=True))
            advance(len(batch))
        return found

    def _asked(self, model: Any, batch: Sequence[Pair]) -> list[HeatMap]:
        records = [self.records[place] for place, _ in batch]
        phrases = [phrase for _, phrase in batch]
        if isinstance(model, Given):
            return [model.of(record, phrase) for record, phrase in zip(records, phrases, strict=True)]
        pixels = {place: self.records[place].pixels() for place, _ in batch}
        try:
            found = highlighter_of(model)([pixels[place] for place, _ in batch], phrases)
            given = list(found) if isinstance(found, Iterable) else None
        except Exception as error:
            error.add_note(
                f"modalens.audit was asking for the heat maps of {len(batch)} pairs, the first one {pair_in_words(records[0], phrases[0])}."
            )
            raise
        if given is None or len(given) != len(batch):
            came = type(found).__name__ if given is None else f"{len(given)} heat maps"
            raise InputError(
                f"the model gave {came} for {len(batch)} images and phrases: expected a heat map for each pair."
            )
        return [
            as_heat_map(one, pair_in_words(record, phrase))
            for one, record, phrase in zip(given, records, phrases, strict=True)
        ]


def batched_pairs(pairs: Sequence[Pair], size: int) -> list[tuple[Pair, ...]]:
    """Pairs in their order, at most `size` at a time."""
    return [tuple(pairs[start : start + size]) for start in range(0, len(pairs), size)]


def on_scale(found: HeatMap, seen: Size, scored: Size) -> HeatMap:
    """A map whose extent is in pixels of the image as the model sees it, on the pixels on which it is scored."""
    if found.extent is None or seen == scored:
        return found
    across, down = scored[1] / seen[1], scored[0] / seen[0]
    x1, y1, x2, y2 = found.extent
    return replace(found, extent=(x1 * across, y1 * down, x2 * across, y2 * down))
