"""Ways to take away: modalities, whose coalitions are all known, and parts, in each sample's own order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.errors import InputError, listed
from modalens.measures import Measure, Result
from modalens.measures.base import Arrays, by_output
from modalens.measures.shapley import coalition_needs
from modalens.pipeline import evaluate
from modalens.problem import PRESENT, Mask, Outputs, OwnParts, Problem, Values
from modalens.setting import Prepared, Setting
from modalens.validation.curves import (
    BY,
    RANDOM,
    REVERSED,
    absent,
    modality_curves,
    named,
    places,
    random_places,
    reversed_places,
    steps_of,
)

ORDERS_BY_CHANCE = 5
"""Random orders of parts, of which the mean is taken."""

Part = tuple[str, int]
"""A modality and the position of its part."""


# What is followed ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What is followed of each sample's outputs: sum_c weight_c (v_c - start_c), both (sample, output)."""

    weights: np.ndarray
    start: np.ndarray
    words: str

    def of(self, values: np.ndarray) -> np.ndarray:
        """Of values (..., sample, output): (..., sample)."""
        return np.asarray(((values - self.start) * self.weights).sum(axis=-1))

    def importance(self, signed: xr.DataArray) -> np.ndarray:
        """Of signed scores (sample, unit, output): (sample, unit)."""
        return np.asarray((signed.values * self.weights[:, None]).sum(axis=-1))


def followed_in(problem: Problem, present: np.ndarray, nothing: np.ndarray) -> Followed:
    """The target class's output; of values, and labels each by themselves, the way from `nothing` to `present`, both
    (sample, output).
    """
    if problem.target is not None and problem.task in ("classification", "multilabel"):
        weights = np.eye(len(problem.outputs))[problem.target]
        words = " of the predicted class" if problem.predicted else " of the target"
        return Followed(weights=weights, start=np.zeros_like(nothing), words=words)
    counted = 1.0 if problem.target is None else np.eye(len(problem.outputs))[problem.target]
    return Followed(
        weights=np.sign(present - nothing) * counted, start=nothing, words=", change from that with nothing"
    )


class Way(Protocol):
    """How curves come about: (order, step, sample), of which problem, and what is followed."""

    def curves(
        self, setting: Setting, measure: Measure, insertion: bool, progress: bool | None
    ) -> tuple[xr.DataArray, Problem, Followed]: ...


# Modalities ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Coalitions(Measure):
    """The game itself: v(S) of every coalition and sample, of which all else is arithmetic.

    Result
    ------
    value (coalition, output): the mean over samples. game (coalition, sample, output), of_target (coalition, sample).
    """

    default_name: ClassVar[str] = "coalitions"
    title: ClassVar[str] = "The value of every coalition"
    citation: ClassVar[str] = ""

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        return coalition_needs(problem, "Coalitions")[:1]

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        game = values.mean(problem.coalition_masks, problem.coalition_baselines[0])
        names = [" x ".join(inside) or "none" for inside in problem.coalitions]
        return {"game": by_output(problem, game, ("coalition", names))}

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        return {"value": statistics.average(samples["game"], weights)}

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        return {"game": samples["game"], "of_target": problem.of_target(samples["game"])}


@dataclass(frozen=True)
class OfModalities:
    """Curves over modalities."""

    given: Any

    def curves(
        self, setting: Setting, measure: Measure, insertion: bool, progress: bool | None
    ) -> tuple[xr.DataArray, Problem, Followed]:
        played = Coalitions(name="coalitions_of_deletion")
        measures = (played,) if self.given is not None else (measure, played)
        prepared, values = evaluated(setting, measures, progress)
        problem = prepared.problem
        game = played.per_sample(problem, values)["game"].transpose("coalition", "sample", "output").values
        followed = followed_in(problem, game[-1], game[0])
        everyone = np.ones((problem.samples, len(problem.modalities)), dtype=bool)
        there = everyone if problem.available is None else problem.available
        found = modality_curves(
            xr.DataArray(followed.of(game), dims=("coalition", "sample")),
            xr.DataArray(self._ranked(measure, problem, values, followed, there), dims=("sample", "modality")),
            insertion=insertion,
            seed=problem.seed,
        )
        return found, problem, followed

    def _ranked(
        self, measure: Measure, problem: Problem, values: Values, followed: Followed, there: np.ndarray
    ) -> np.ndarray:
        """The importances that are given, or the measure's, NaN where a sample lacks the modality."""
        if self.given is not None:
            return np.where(there, checked(self.given, "modality", there, names=problem.modalities), np.nan)
        found = importance_of(measure.score(problem, values), problem.modalities, followed)
        return np.where(there, np.nan_to_num(found), np.nan)


def importance_of(result: Result, modalities: Sequence[str], followed: Followed | None = None) -> np.ndarray:
    """How important a result calls each modality, (sample, modality) or, where it says nothing of single samples, (1,
    modality): signed values of what is followed where it has such, else shares of samples, else of all.

    Raises InputError where it says nothing of modalities.
    """
    signed = result.arrays.get("values")
    if (
        followed is not None
        and isinstance(signed, xr.DataArray)
        and set(signed.dims) == {"sample", "modality", "output"}
    ):
        return followed.importance(signed.sel(modality=list(modalities)).transpose("sample", "modality", "output"))
    for name, dims in (("by_sample", ("sample", "modality")), ("contribution", ("modality",))):
        found = result.arrays.get(name)
        if isinstance(found, xr.DataArray) and set(found.dims) == set(dims):
            return np.atleast_2d(found.sel(modality=list(modalities)).transpose(*dims).values)
    raise InputError(
        f"the result of {result.measure!r} has no importance of modalities: expected values (sample, modality, output), by_sample (sample, modality) or contribution (modality), "
        f"came {listed(result.arrays)}; give another measure, or importance=."
    )


# Parts ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Removals(Measure):
    """The outputs under given masks of parts, which are replaced as Occlusion replaces them."""

    masks: tuple[Mask, ...] = ()

    default_name: ClassVar[str] = "removals"
    title: ClassVar[str] = "The output under given masks"
    citation: ClassVar[str] = ""

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        return (Outputs(masks=self.masks, baseline=problem.part_baselines[0], draws="part"),)

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        return {"outputs": by_output(problem, self.outputs(problem, values), ("mask", range(len(self.masks))))}

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        return {"outputs": statistics.average(samples["outputs"], weights)}

    def outputs(self, problem: Problem, values: Values) -> np.ndarray:
        """(mask, sample, output)."""
        return values.mean(self.masks, problem.part_baselines[0], draws="part")


@dataclass(frozen=True)
class OfParts:
    """Curves over the parts of these modalities."""

    given: Any
    modalities: tuple[str, ...]
    steps: int

    def curves(
        self, setting: Setting, measure: Measure, insertion: bool, progress: bool | None
    ) -> tuple[xr.DataArray, Problem, Followed]:
        units, there = self._units(setting)
        ends = Removals(name="ends_of_deletion", masks=(PRESENT, mask_of(there, units)))
        measures = (ends,) if self.given is not None else (measure, ends)
        prepared, values = evaluated(setting, measures, progress)
        problem = prepared.problem
        followed = followed_in(problem, *ends.outputs(problem, values))
        given = self.given is not None
        ranked = self._given(there, units) if given else self._measured(measure.score(problem, values), followed)
        generator = np.random.default_rng(np.random.SeedSequence((problem.seed, 42)))
        by = places(np.where(there, np.nan_to_num(ranked), np.nan), generator)
        chance = {f"{RANDOM} {k}": random_places(there, generator) for k in range(ORDERS_BY_CHANCE)}
        orders = {BY: by, REVERSED: reversed_places(by)} | chance
        steps = steps_of(there, self.steps)
        masks = {
            (order, k): mask_of(absent(of, step, insertion=insertion), units)
            for order, of in orders.items()
            for k, step in enumerate(steps)
        }
        removals = Removals(name="deletion", masks=tuple(masks.values()))
        prepared, values = evaluated(setting, (removals,), progress)
        read = followed.of(removals.outputs(prepared.problem, values)).reshape(len(orders), len(steps), -1)
        by_order = dict(zip(orders, np.where(there.any(axis=1), read, np.nan), strict=True))
        mean = np.mean([by_order.pop(name) for name in chance], axis=0)
        return named(by_order | {RANDOM: mean}, steps), prepared.problem, followed

    def _units(self, setting: Setting) -> tuple[list[Part], np.ndarray]:
        """All parts, and which sample has which, (sample, unit)."""
        patients = setting.patients
        counts = {name: patients.parts[name].count(len(patients)) * patients.having(name) for name in self.modalities}
        units = [(name, part) for name, count in counts.items() for part in range(int(count.max()))]
        return units, np.stack([counts[name] > part for name, part in units], axis=1)

    def _given(self, there: np.ndarray, units: Sequence[Part]) -> np.ndarray:
        """The given importances side by side, (sample, unit)."""
        given = self.given
        if not isinstance(given, Mapping):
            if len(self.modalities) > 1:
                raise InputError(
                    f"importance: parts of several modalities need one array each, {{{self.modalities[0]!r}: (sample, part), ...}}, "
                    f"came {type(given).__name__}; name one modality=, or give a dict."
                )
            given = {self.modalities[0]: given}
        if set(given) != set(self.modalities):
            raise InputError(
                f"importance names {listed(given)}, and the parts are those of {listed(self.modalities)}: give one array for each."
            )
        each = []
        for name in self.modalities:
            own = there[:, [of == name for of, _ in units]]
            each.append(checked(given[name], "part", own, of=name))
        return np.concatenate(each, axis=1)

    def _measured(self, result: Result, followed: Followed) -> np.ndarray:
        """What taking each part by itself does to what is followed, (sample, unit)."""
        if "parts" not in result.arrays:
            raise InputError(
                f"the result of {result.measure!r} says nothing of parts: expected parts {{modality: (sample, part, output)}}, came {listed(result.arrays)}; "
                "use Occlusion(), or give importance=."
            )
        parts = result.by_modality("parts")
        return np.concatenate([followed.importance(parts[name]) for name in self.modalities], axis=1)


def mask_of(absent: np.ndarray, units: Sequence[Part]) -> Mask:
    """The mask in which each sample loses its own parts, (sample, unit)."""
    gone = []
    for name in sorted({name for name, _ in units}):
        columns = [place for place, (of, _) in enumerate(units) if of == name]
        own = absent[:, columns]
        if own.any():
            gone.append((name, OwnParts(tuple(tuple(np.flatnonzero(row).tolist()) for row in own))))
    return Mask(tuple(gone))


def evaluated(setting: Setting, measures: tuple[Measure, ...], progress: bool | None) -> tuple[Prepared, Values]:
    prepared, _, values = evaluate(replace(setting, measures=measures).open(), progress)
    return prepared, values


def checked(given: Any, unit: str, there: np.ndarray, *, names: Sequence[str] = (), of: str = "") -> np.ndarray:
    """Importances of every sample, or one for all, as (sample, unit); `there` says which sample has which unit."""
    where = f"importance of {of!r}" if of else "importance"
    if isinstance(given, xr.DataArray):
        if names and "modality" in given.coords:
            given = given.sel(modality=list(names))
        given = given.transpose(*(name for name in ("sample", unit) if name in given.dims), ...).values
    try:
        found = np.asarray(given, dtype=float)
        found = np.broadcast_to(found, there.shape)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where}: expected numbers (sample, {unit}) of shape {there.shape}, or ({unit},), came shape {np.shape(given)}; give one for each, the highest goes first."
        ) from error
    if np.isnan(found[there]).any():
        raise InputError(f"{where}: some are NaN for a {unit} that the sample has; expected numbers there.")
    return found
