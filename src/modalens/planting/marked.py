"""Patients of whom a random half carries each mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modalens.errors import InputError, listed, nearest
from modalens.modalities.patients import Patients
from modalens.planting.markers import Mark, Marker, fitted


@dataclass(frozen=True, kw_only=True)
class Marks:
    """One mark, or two in two modalities. Two are planted as an interaction: what counts is whether just one is there."""

    by_modality: Mapping[str, Mark]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.by_modality)

    @property
    def words(self) -> str:
        each = " and ".join(mark.words for mark in self.by_modality.values())
        return f"{each}: what counts is whether just one of them is there" if len(self.by_modality) > 1 else each

    def sign(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """What the marks of each patient come to, (n,) bool, read from inputs as a model is given them."""
        found = [mark.carried(inputs[name]) for name, mark in self.by_modality.items()]
        return np.asarray(np.logical_xor.reduce(found))

    def put(self, patients: Patients, carriers: Mapping[str, np.ndarray]) -> Patients:
        """The patients, of whom these carry the mark of each modality; who lacks a modality carries none. They
        are not cut into parts yet.
        """
        samples = dict(patients.samples)
        for name, mark in self.by_modality.items():
            rows = np.flatnonzero(carriers[name] & patients.having(name))
            samples[name] = _written(samples[name], rows, mark) if len(rows) else samples[name]
        return replace(patients, samples=samples, parts={})

    def require_readable(self, patients: Patients) -> None:
        """Refuse a mark that patients carry by chance, or that can't be read from those who carry it."""
        everyone = {name: np.ones(len(patients), dtype=bool) for name in self.by_modality}
        before, after = patients.restored(), self.put(patients, everyone).restored()
        for name, mark in self.by_modality.items():
            has = patients.having(name)
            if mark.carried(before[name])[has].any():
                count = int(mark.carried(before[name])[has].sum())
                raise InputError(
                    f"modality {name!r}: {count} patients carry {mark.words} as they are, so it can't mark anybody; give Marker({name!r}, value=...) or another place."
                )
            if not mark.carried(after[name])[has].all():
                raise InputError(
                    f"modality {name!r}: {mark.words} can't be read again from marked patients, as the model gets them; give Marker({name!r}, value=...) that its type can hold."
                )


def marks_for(markers: Any, patients: Patients) -> Marks:
    """One or two markers, fitted to the patients. Raises InputError for an unknown modality, and for two marks in one."""
    given = [markers] if isinstance(markers, str | Marker) else list(markers)
    chosen = [Marker(one) if isinstance(one, str) else one for one in given]
    if not chosen or len(chosen) > 2 or any(not isinstance(one, Marker) for one in chosen):
        raise InputError(
            f"marker={markers!r}: give the name of a modality, an ml.Marker, or two of them in two modalities for an interaction."
        )
    unknown = [one.modality for one in chosen if one.modality not in patients.modalities]
    if unknown:
        raise InputError(
            f"marker names the modality {unknown[0]!r}{nearest(unknown[0], patients.modalities)}, and the inputs are {listed(patients.modalities)}."
        )
    if len({one.modality for one in chosen}) < len(chosen):
        raise InputError(
            "marker: an interaction is planted across two modalities, and both marks are in one; name two."
        )
    return Marks(
        by_modality={
            one.modality: fitted(
                one, patients.modalities[one.modality], patients.samples[one.modality][patients.having(one.modality)]
            )
            for one in chosen
        }
    )


def random_half(count: int, names: Sequence[str], seed: int) -> dict[str, np.ndarray]:
    """Who carries which mark: half of the patients each, every combination about equally often, independent of all
    else.
    """
    combinations = np.indices((2,) * len(names)).reshape(len(names), -1).astype(bool)
    generator = np.random.default_rng(np.random.SeedSequence((seed, 4)))
    order = generator.permutation(np.arange(count) % combinations.shape[1])
    return {name: combinations[place][order] for place, name in enumerate(names)}


def _written(samples: np.ndarray, rows: np.ndarray, mark: Mark) -> np.ndarray:
    marked = samples.copy()
    marked[rows] = mark.put(samples[rows])
    return marked
