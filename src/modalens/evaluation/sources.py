"""Which rows of each modality an evaluation reads. An encoding depends on nothing else, so each is made once.

A source is a run of such rows: the patients as they are, background rows, a fill, or the patients with some parts
replaced. What differs between patients is encoded block by block of patients, all else once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from modalens.baselines import Background, Conditional
from modalens.evaluation.standins import StandIns
from modalens.modalities import Modality, Parts
from modalens.problem import Absent, Key, OwnParts


@dataclass(frozen=True)
class Source:
    """Rows of one modality: the patients as they are (no `slot`), or with something in their place. `parts` are those
    that are replaced (None: everything).
    """

    slot: str | None = None
    parts: Absent = None
    draws: int = 1
    """Background rows that fill the parts in turn."""
    absent: frozenset[str] = frozenset()
    """The modalities absent with them, where they decide which background rows are drawn."""
    from_rows: bool = False
    """Whether background rows stand in for all of it."""


PLAIN = Source()
"""The patients as they are."""


class Sources:
    """The sources that a run reads, by modality, and the rows that each of them holds."""

    def __init__(self, stand_ins: StandIns, keys: Iterable[tuple[Key, int]]) -> None:
        self.stand_ins = stand_ins
        self._conditional = any(
            isinstance(baseline, Conditional)
            for assignment in stand_ins.assignments.values()
            for baseline in assignment.values()
        )
        names = [name for name in stand_ins.patients if name not in stand_ins.ignored]
        self.needed: dict[str, dict[Source, None]] = {name: {} for name in names}
        self.background = {name: np.zeros(len(stand_ins.background), dtype=bool) for name in names}
        """Which background rows stand in for a whole modality."""
        self._known: dict[tuple[Hashable, int, frozenset[str]], Source] = {}
        read = ((name, source, draws) for key, draws in keys for name, source in self.of(key, draws).items())
        for name, source, draws in dict.fromkeys(read):
            self.needed[name][source] = None
            if source.from_rows:
                self.background[name][self.donors(name, source, draws)] = True

    def of(self, key: Key, draws: int) -> dict[str, Source]:
        """What the evaluation of this key reads of every modality."""
        absent = {item[0]: item for item in key}
        together = frozenset(absent) if self._conditional else frozenset()
        return {name: self._source(absent[name], draws, together) if name in absent else PLAIN for name in self.needed}

    def _source(self, item: tuple[str, Absent, str], draws: int, together: frozenset[str]) -> Source:
        """The source of one absent modality; the same object for the same rows, since there are as many as coalitions."""
        known = self._known.get((item, draws, together))
        if known is None:
            name, parts, slot = item
            baseline = self.stand_ins.baseline(name, slot)
            rows = isinstance(baseline, Background)
            known = Source(
                slot,
                parts,
                draws if rows and parts is not None else 1,
                together if isinstance(baseline, Conditional) else frozenset(),
                from_rows=rows and parts is None,
            )
            self._known[item, draws, together] = known
        return known

    def donors(self, name: str, source: Source, draws: int) -> np.ndarray:
        """The background rows that stand in for a whole modality, (draws,) or (patients, draws)."""
        assert source.slot is not None
        return self.stand_ins.donors(name, source.slot, draws, source.absent)

    def own(self, name: str) -> list[Source]:
        """The sources that differ between patients."""
        return [one for one in self.needed[name] if not one.from_rows and not self._one_for_all(name, one)]

    def fills(self, name: str) -> list[Source]:
        """The sources that are one row for all patients."""
        return [one for one in self.needed[name] if not one.from_rows and self._one_for_all(name, one)]

    def _one_for_all(self, name: str, source: Source) -> bool:
        return source.slot is not None and source.parts is None and len(self.stand_ins.fill(name, source.slot)) == 1

    def of_patients(self, name: str, source: Source, patients: np.ndarray) -> np.ndarray:
        """Those of the patients that have rows of this source: all, unless not every patient has the modality or the
        parts that are replaced.
        """
        if source.slot is None:
            return patients
        return patients[self.stand_ins.having(name, source.parts)[patients]]

    def own_rows(self, name: str, patients: np.ndarray) -> int:
        """The rows of this modality that belong to these patients."""
        return sum(len(self.of_patients(name, one, patients)) * one.draws for one in self.own(name))

    def rows(self, name: str) -> int:
        """All rows of this modality that have to be encoded."""
        everyone = np.arange(len(self.stand_ins.patients))
        return self.own_rows(name, everyone) + len(self.fills(name)) + int(self.background[name].sum())

    def samples(self, name: str, source: Source, patients: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """The rows of a source for these pairs of patient and draw, in canonical form."""
        stand_ins, kind = self.stand_ins, self.stand_ins.patients.modalities[name]
        plain = stand_ins.patients.samples[name]
        if source.slot is None:
            return _run_of_rows(kind, plain, patients)
        if isinstance(stand_ins.baseline(name, source.slot), Background):
            donors = stand_ins.donors(name, source.slot, source.draws, source.absent)
            rows = donors[draw] if donors.ndim == 1 else donors[patients, draw]
            replacements = kind.take(stand_ins.background.samples[name], rows)
        else:
            fill = stand_ins.fill(name, source.slot)
            replacements = kind.take(fill, patients if len(fill) > 1 else np.zeros_like(patients))
        if source.parts is None:
            return replacements
        parts, taken = stand_ins.patients.parts[name].take(patients), kind.take(plain, patients)
        if isinstance(source.parts, OwnParts):
            return _own_replaced(kind, taken, replacements, parts, [source.parts.of[patient] for patient in patients])
        return kind.replace(taken, replacements, parts, source.parts)


def _own_replaced(
    kind: Modality, samples: np.ndarray, replacements: np.ndarray, parts: Parts, absent: list[tuple[int, ...]]
) -> np.ndarray:
    """Samples of which each loses its own parts, `absent`; neighbours that lose the same are replaced together."""
    pieces = []
    for gone, run in groupby(range(len(absent)), key=absent.__getitem__):
        rows = np.array(list(run))
        few = kind.take(samples, rows)
        pieces.append(kind.replace(few, kind.take(replacements, rows), parts.take(rows), gone) if gone else few)
    return kind.stack(pieces)


def _run_of_rows(kind: Modality, samples: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of samples; neighbours without a copy, since what is encoded is only read."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1:
        return samples[rows[0] : rows[-1] + 1]
    return kind.take(samples, rows)
