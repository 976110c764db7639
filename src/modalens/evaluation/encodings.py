"""Encoding: every row of a modality that the run reads, once; what serves all patients is kept, all else is made for
the patients at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modalens.evaluation.checks import telling_replaced
from modalens.evaluation.memory import note_halving
from modalens.evaluation.sources import PLAIN, Source, Sources
from modalens.models.memory import out_of_memory
from modalens.models.split import Arrays, Split
from modalens.problem import Key


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The encoded rows of one modality: where each source's rows begin, and whose they are."""

    arrays: Arrays
    starts: dict[Source, int]
    patients: dict[Source, np.ndarray]
    background: np.ndarray
    """Where each background row lies, -1 for those that are not needed."""


def encode_common(sources: Sources, split: Split, name: str, done: Callable[[int], None]) -> Encoded:
    """The background rows and fills of a modality, which serve all patients."""
    used = np.flatnonzero(sources.background[name])
    background = np.full(len(sources.background[name]), -1)
    background[used] = np.arange(len(used))
    kind, rows = sources.stand_ins.patients.modalities[name], sources.stand_ins.background.samples[name]
    fills = sources.fills(name)
    first = np.zeros(1, dtype=np.int64)
    pieces = [kind.take(rows, chunk) for chunk in _chunks(used, split.batch.get(name))]
    pieces += [sources.samples(name, fill, first, first) for fill in fills]
    with telling_replaced((name, source.slot) for source in sources.needed[name]):
        arrays = _encoded(split, name, pieces, done)
    return Encoded(
        arrays=arrays,
        starts={fill: len(used) + place for place, fill in enumerate(fills)},
        patients={},
        background=background,
    )


def encode_own(
    sources: Sources, split: Split, name: str, common: Encoded, patients: np.ndarray, done: Callable[[int], None]
) -> Encoded:
    """All rows of a modality that these patients need: the common ones first, then their own."""
    kind = sources.stand_ins.patients.modalities[name]
    start = len(common.arrays[0]) if common.arrays else 0
    starts, whose, pieces = dict(common.starts), {}, []
    pending: list[np.ndarray] = []
    room = full = split.batch.get(name) or np.iinfo(np.int64).max
    for source in sources.own(name):
        whose[source] = sources.of_patients(name, source, patients)
        starts[source] = start
        start += len(whose[source]) * source.draws
        rows = np.arange(len(whose[source]) * source.draws)
        while len(rows):
            now, rows = rows[:room], rows[room:]
            pending.append(sources.samples(name, source, whose[source][now // source.draws], now % source.draws))
            room -= len(now)
            if room == 0:
                pieces.append(kind.stack(pending))
                pending, room = [], full
    if pending:
        pieces.append(kind.stack(pending))
    with telling_replaced((name, source.slot) for source in sources.needed[name]):
        own = _encoded(split, name, pieces, done)
    arrays = split.join(name, [one for one in (common.arrays, own) if one]) if common.arrays or own else ()
    return Encoded(arrays=arrays, starts=starts, patients=whose, background=common.background)


class Grids:
    """Where the rows of evaluations lie among the encoded ones, for one block of patients."""

    def __init__(self, sources: Sources, encoded: Mapping[str, Encoded]) -> None:
        self.sources, self.encoded = sources, encoded
        self._known: dict[Hashable, np.ndarray] = {}

    def of(self, key: Key, patients: np.ndarray, draws: np.ndarray, of_draws: int) -> dict[str, np.ndarray]:
        """Which encoded row each (patient, draw) of an evaluation reads, by modality: (patients or 1, draws or 1).
        `of_draws` is the number of draws of the whole evaluation. Evaluations that read the same get the same array.
        """
        where = (patients[0], patients[-1], len(patients), draws[0], len(draws), of_draws) if len(patients) else None
        found = {}
        for name, source in self.sources.of(key, of_draws).items():
            if name not in self.encoded:
                continue
            index = self._known.get((name, source, where))
            if index is None or len(patients) != patients[-1] - patients[0] + 1:
                index = self._index(name, source, patients, draws, of_draws)
                self._known[name, source, where] = index
            found[name] = index
        return found

    def _index(self, name: str, source: Source, patients: np.ndarray, draws: np.ndarray, of_draws: int) -> np.ndarray:
        encoded = self.encoded[name]
        if source.from_rows:
            donors = self.sources.donors(name, source, of_draws)
            return encoded.background[donors[draws][None] if donors.ndim == 1 else donors[patients][:, draws]]
        if source not in encoded.patients:
            return np.array([[encoded.starts[source]]])
        place = np.searchsorted(encoded.patients[source], patients)[:, None]
        if source.draws == 1:
            return encoded.starts[source] + place
        return encoded.starts[source] + place * source.draws + draws[None]


def plain(encoded: Encoded, patients: np.ndarray) -> np.ndarray:
    """Where the rows of these patients lie, as they are."""
    return encoded.starts[PLAIN] + np.searchsorted(encoded.patients[PLAIN], patients)


def _chunks(rows: np.ndarray, size: int | None) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size or max(len(rows), 1)):
        yield rows[start : start + (size or len(rows))]


def _encoded(split: Split, name: str, pieces: Sequence[np.ndarray], done: Callable[[int], None]) -> Arrays:
    said = []
    for piece in pieces:
        said.append(_in_memory(split, name, piece))
        if name in split.encoded:
            done(len(piece))
    return split.join(name, said) if said else ()


def _in_memory(split: Split, name: str, samples: np.ndarray) -> Arrays:
    """The encoding of these samples, of each half where they do not fit into memory."""
    try:
        return split.encode(name, samples)
    except Exception as error:
        if len(samples) < 2 or not out_of_memory(error):
            raise
        note_halving(len(samples))
    middle = len(samples) // 2
    return split.join(name, [_in_memory(split, name, half) for half in (samples[:middle], samples[middle:])])
