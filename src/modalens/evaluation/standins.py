"""Which replacement each absent modality or part gets, for every baseline of a run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from modalens.baselines import NAMED, Background, Baseline, Conditional, Fill, Missing
from modalens.errors import InputError, ModalensWarning, about, listed
from modalens.modalities.patients import Patients
from modalens.problem import Absent, Draws, Key, Mask, OwnParts

Slot = tuple[str, str]
"""A modality and the identity of the baseline that stands in for it."""


@dataclass(frozen=True, kw_only=True)
class StandIns:
    """The fitted baselines of a run: assignments by label, each a baseline for every modality.

    All coalitions share one set of background rows, and a draw's absent modalities come from the same row.
    """

    patients: Patients
    background: Patients
    assignments: Mapping[str, Mapping[str, Baseline]]
    seed: int = 0
    ignored: frozenset[str] = frozenset()
    """Modalities that the model does not look at: nothing needs to stand in for them."""
    _fills: dict[Slot, np.ndarray] = field(default_factory=dict, repr=False)
    _slots: dict[Slot, Baseline] = field(default_factory=dict, repr=False)
    _keys: dict[tuple[Mask, str, Draws], tuple[Key, int]] = field(default_factory=dict, repr=False)
    _named: dict[tuple[str, str, bool], str] = field(default_factory=dict, repr=False)
    _nearest: dict[frozenset[str], np.ndarray] = field(default_factory=dict, repr=False)

    def ignoring(self, modalities: frozenset[str]) -> StandIns:
        """The same for a model that does not look at these modalities. Where what is present decides what stands in
        for the rest, they still tell.
        """
        if any(isinstance(one, Conditional) for assigned in self.assignments.values() for one in assigned.values()):
            return self
        return replace(self, ignored=modalities, _keys={})

    def key(self, mask: Mask, label: str, draws: Draws) -> tuple[Key, int]:
        """What an evaluation is: for each absent modality the parts and the baseline that is really used, and how
        many rows are drawn.
        """
        known = self._keys.get((mask, label, draws))
        if known is None:
            known = self._keys[mask, label, draws] = self._key(mask, label, draws)
        return known

    def _key(self, mask: Mask, label: str, draws: Draws) -> tuple[Key, int]:
        effective: list[tuple[str, Absent, str]] = []
        for name, parts in mask.absent:
            if name in self.ignored:
                continue
            if self._is_whole(name, parts):
                parts = None
            effective.append((name, parts, self._slot(name, label, partial=parts is not None)))
        return tuple(effective), self._draws(effective, draws)

    def baseline(self, name: str, slot: str) -> Baseline:
        return self._slots[name, slot]

    def _slot(self, name: str, label: str, *, partial: bool) -> str:
        known = self._named.get((name, label, partial))
        if known is not None:
            return known
        baseline = self.assignments[label][name]
        whole_only = isinstance(baseline, Missing) or not self.patients.modalities[name].aligned
        if partial and isinstance(baseline, Background | Missing) and whole_only:
            baseline = NAMED[self.patients.modalities[name].typical]()
        slot = baseline.label if np.ndim(getattr(baseline, "value", 0)) == 0 else f"{baseline.label} {id(baseline)}"
        self._slots.setdefault((name, slot), baseline)
        self._named[name, label, partial] = slot
        return slot

    def _is_whole(self, name: str, parts: Absent) -> bool:
        if not isinstance(parts, tuple):
            return parts is None
        names = self.patients.parts[name].names
        return len(names) == 1 and len(set(parts)) == len(names[0])

    def _draws(self, absent: list[tuple[str, Absent, str]], draws: Draws) -> int:
        rows = [
            baseline.draws(len(self.background), draws)
            for name, _, slot in absent
            if isinstance(baseline := self._slots[name, slot], Background)
        ]
        return min(rows, default=1)

    @cached_property
    def order(self) -> np.ndarray:
        """The background rows in the order in which they are drawn: the same for every mask."""
        return np.random.default_rng(np.random.SeedSequence((self.seed, 1))).permutation(len(self.background))

    @cached_property
    def distances(self) -> dict[str, np.ndarray]:
        """How unlike each patient is to each background row, by modality."""
        if self.patients.has:
            raise InputError(
                f"baseline 'conditional' compares patients in every modality, and some lack {listed(self.patients.has)}; use 'background'."
            )
        return {
            name: kind.distances(self.patients.samples[name], self.background.samples[name])
            for name, kind in self.patients.modalities.items()
        }

    def donors(self, name: str, slot: str, draws: int, absent: frozenset[str]) -> np.ndarray:
        """The background rows that stand in while these modalities are absent, shape (draws,), or (patients, draws)
        where they depend on what is present.
        """
        present = [other for other in self.patients.modalities if other not in absent]
        if not isinstance(self._slots[name, slot], Conditional) or not present:
            return self.order[:draws]
        if absent not in self._nearest:
            unlike = np.sum([self.distances[other] for other in present], axis=0)
            if self.background is self.patients:
                np.fill_diagonal(unlike, np.inf)  # nobody is their own neighbour
            self._nearest[absent] = np.argsort(unlike, axis=1, kind="stable")
        return self._nearest[absent][:, :draws]

    def fill(self, name: str, slot: str) -> np.ndarray:
        """The replacement of every patient, or one for all (leading axis 1)."""
        if (name, slot) not in self._fills:
            self._fills[name, slot] = self._fitted(name, self._slots[name, slot])
        return self._fills[name, slot]

    def _fitted(self, name: str, baseline: Baseline) -> np.ndarray:
        kind, has = self.patients.modalities[name], self.patients.having(name)
        samples = self.patients.samples[name][has]
        assert isinstance(baseline, Fill)
        with about(name):
            fill = baseline.fill(kind, samples, self.background.samples[name])
            _require_like(fill, samples, baseline.label)
        unchanged = kind.same(samples, fill)
        if unchanged.all():
            raise InputError(
                f"modality {name!r}: its baseline {baseline.label!r} equals all {len(samples)} samples, so masking changes nothing. "
                "Use another baseline, such as 'background', or leave the modality out."
            )
        if unchanged.any():
            warnings.warn(
                f"modality {name!r}: the baseline {baseline.label!r} changes nothing in {int(unchanged.sum())} of {len(samples)} samples, which already equal it.",
                ModalensWarning,
                stacklevel=2,
            )
        outside = kind.outside(fill, self.background.samples[name])
        if outside > 0:
            warnings.warn(
                f"modality {name!r}: {outside:.0%} of the values of its baseline {baseline.label!r} lie outside the range of the background, where the model has never been; "
                "the answer may be an artefact. 'mean' or 'background' stay inside.",
                ModalensWarning,
                stacklevel=2,
            )
        if len(fill) == 1 or has.all():
            return fill
        everyone = np.empty(len(has), dtype=fill.dtype) if fill.dtype == object else self.patients.samples[name].copy()
        everyone[has] = fill
        return everyone

    def by_patient(self, key: Key) -> bool:
        """Whether the masked inputs differ between patients; where everything is replaced by the same, one evaluation
        serves all.
        """
        absent = {name: (parts, slot) for name, parts, slot in key}
        if set(absent) != set(self.patients.modalities) - self.ignored:
            return True
        return any(
            parts is not None or (isinstance(self._slots[name, slot], Fill) and len(self.fill(name, slot)) > 1)
            for name, (parts, slot) in absent.items()
        )

    def rows(self, mask: Mask) -> np.ndarray:
        """The patients that have the mask's absent modalities and parts: nothing can be taken from the others. What the
        model does not look at is not asked for, since the mask without it is the same evaluation.
        """
        has = [self.having(name, parts) for name, parts in mask.absent if name not in self.ignored]
        return np.flatnonzero(np.logical_and.reduce([np.ones(len(self.patients), dtype=bool), *has]))

    def having(self, name: str, parts: Absent) -> np.ndarray:
        """Which patients have a modality and these parts of it, (patients,); where each loses its own parts, all who have
        the modality, or lose none of it.
        """
        has = self.patients.having(name)
        if isinstance(parts, OwnParts) and not has.all():
            return has | np.array([not own for own in parts.of])
        if not isinstance(parts, tuple):
            return has
        return has & (self.patients.parts[name].count(len(self.patients)) > max(parts))

    def words(self) -> dict[str, dict[str, str]]:
        """What stands in, in words: by assignment and modality."""
        described = {}
        for label, assignment in self.assignments.items():
            described[label] = {
                name: f"replaced by {baseline.words}{self._part_words(name, baseline)}"
                for name, baseline in assignment.items()
            }
        return described

    def _part_words(self, name: str, baseline: Baseline) -> str:
        kind = self.patients.modalities[name]
        if isinstance(baseline, Background) and not kind.aligned:
            return f"; a single {kind.noun} by {NAMED[kind.typical].words}, since the {kind.noun}s of two patients do not correspond"
        return ""


def _require_like(fill: np.ndarray, samples: np.ndarray, label: str) -> None:
    """Refuse replacements that are not of the samples' form, or hold what is no number."""
    if fill.shape[1:] != samples.shape[1:] or len(fill) not in (1, len(samples)) or fill.dtype != samples.dtype:
        raise InputError(
            f"its baseline {label!r} gives replacements of shape {fill.shape} and type {fill.dtype}; expected one for all or one for each of the {len(samples)} samples, "
            f"of shape {samples.shape[1:]} and type {samples.dtype}. Cast or reshape them in its fill."
        )
    if fill.dtype.kind == "f" and not np.isfinite(fill).all():
        raise InputError(
            f"its baseline {label!r} holds NaN or infinite values; expected finite numbers. Use another one, such as 'background'."
        )
