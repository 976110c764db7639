"""What the user gave, checked and completed: the step before anything is evaluated."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from modalens import baselines
from modalens.errors import InputError, ModalensWarning, listed
from modalens.evaluation import StandIns, check_rows
from modalens.evaluation.checks import Checked
from modalens.evaluation.engine import (
    BatchSize,
    Encoders,
    Engine,
    check_batch_size,
    check_encoders,
    known_split,
    open_engine,
    still_holds,
)
from modalens.explanation import Explanation
from modalens.labels import checked_labels
from modalens.measures import FusionGradient, Interactions, InterSHAP, Measure, Occlusion, Reliance, Shapley
from modalens.modalities import Modality
from modalens.modalities.patients import Patients, gather, gather_background, require_one_order
from modalens.models import Calling, Collate, Forward, Model, Readout, adapt
from modalens.models.calling import checked_collate, checked_forward
from modalens.models.readout import Selector, decide, targets, warn_of_two_links
from modalens.problem import EXACT_LIMIT, Problem

FEW, MANY = 8, 256
"""Explained and background patients whose ranges are compared."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A setting with the model's first outputs read. Before the run these are a few rows; `completed` reads all."""

    setting: Setting
    measures: tuple[Measure, ...]
    readout: Readout
    problem: Problem
    engine: Engine
    raw: np.ndarray
    checked: Checked
    check_rows: int

    @property
    def patients(self) -> Patients:
        return self.setting.patients

    @property
    def stand_ins(self) -> StandIns:
        return self.engine.stand_ins

    def completed(self, raw: np.ndarray) -> Prepared:
        """The same, with the raw outputs of all patients."""
        readout = self.setting.readout(raw)
        warn_of_two_links(raw, self.setting.link)
        return replace(self, raw=raw, readout=readout, problem=self.setting.problem(raw, readout, self.checked.noise))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the user gave, checked as far as it goes without running the model."""

    model: Model
    patients: Patients
    background: Patients
    own_background: bool
    """Whether the explained patients stand in for each other."""
    coalition: tuple[str, ...]
    part: tuple[str, ...]
    assignments: Mapping[str, Mapping[str, baselines.Baseline]]
    measures: tuple[Measure, ...] | None
    link: str | None
    output: str | Callable[[np.ndarray], np.ndarray]
    task: str | None
    units: str | None
    classes: Sequence[str] | None
    select: Selector
    batch_size: BatchSize
    encoders: Encoders
    seed: int
    target: Any
    labels: Any
    groups: np.ndarray | None
    characteristics: pd.DataFrame
    confidence: float | None

    def note_background(self) -> None:
        """Say so where the explained patients stand in for each other, and where the background is of another kind."""
        for name, kind in self.patients.modalities.items():
            rows = np.flatnonzero(self.patients.having(name))[:FEW]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                apart = kind.outside(self.patients.samples[name][rows], self.background.samples[name][:MANY])
            if apart > 0.5 and not self.own_background:
                warnings.warn(
                    f"modality {name!r}: {apart:.0%} of the values of the explained patients lie outside the range of the background; prepare both in the same way (scaling, units).",
                    ModalensWarning,
                    stacklevel=2,
                )
        fitted = any(
            baseline.from_background for assignment in self.assignments.values() for baseline in assignment.values()
        )
        if self.own_background and fitted:
            warnings.warn(
                "no background was given but the explained patients themselves, who stand in for each other; give background=, other patients such as the training data.",
                ModalensWarning,
                stacklevel=2,
            )

    def readout(self, raw: np.ndarray) -> Readout:
        """How outputs like these are read."""
        return decide(
            raw,
            link=self.link,
            output=self.output,
            task=self.task or self.model.task,
            units=self.units,
            classes=self.classes if self.classes is not None else self.model.classes,
        )

    def problem(self, raw: np.ndarray, readout: Readout, noise: float) -> Problem:
        """What is measured, from raw outputs of all patients, or of a few: then the targets are not final. Raw outputs
        of the same input differ by `noise`.
        """
        samples = len(self.patients)
        spaces = readout(raw)
        values = spaces[readout.space]
        probability = spaces.get("probability", values)
        if len(raw) < samples:
            probability = np.broadcast_to(probability[:1], (samples, probability.shape[1]))
        chosen, predicted = targets(self.target, probability, readout)
        return Problem(
            modalities=tuple(self.patients.modalities),
            samples=samples,
            outputs=readout.outputs,
            task=readout.task,
            space=readout.space,
            spaces=readout.spaces,
            part_count={name: parts.count(samples) for name, parts in self.patients.parts.items()},
            part_names={name: parts.names for name, parts in self.patients.parts.items()},
            coalition_baselines=self.coalition,
            part_baselines=self.part,
            target=chosen,
            predicted=predicted,
            labels=None if self.labels is None else checked_labels(self.labels, samples, readout),
            groups=self.groups,
            seed=self.seed,
            confidence=self.confidence,
            available=self.patients.available,
            resolution=_resolution(raw, values, noise),
        )

    def open(self) -> Prepared:
        """Run a few rows, decide how outputs are read, and how the model is run."""
        stand_ins = StandIns(
            patients=self.patients, background=self.background, assignments=self.assignments, seed=self.seed
        )
        known = known_split(self.model, stand_ins, self.encoders)
        checked = check_rows(self.model, self.patients, self.background, self.select, trusted=known is not None)
        raw = checked.raw
        if known is not None and not still_holds(self.model, known, self.patients, raw, self.select):
            return self.open()
        readout = self.readout(raw)
        problem = self.problem(raw, readout, checked.noise)
        chosen = _chosen_measures(self.measures, len(self.patients.modalities), self.labels is not None)
        engine = open_engine(
            self.model,
            stand_ins,
            [need for measure in chosen for need in measure.needs(problem, None)],
            problem,
            known=known,
            encoders=self.encoders,
            batch_size=self.batch_size,
        )
        if self.measures is None and engine.differentiable(self.patients, readout, self.select):
            chosen = (*chosen, FusionGradient())
        return Prepared(
            setting=self,
            measures=chosen,
            readout=readout,
            problem=problem,
            engine=engine,
            raw=raw,
            checked=checked,
            check_rows=checked.rows + engine.checked,
        )


def prepare(
    model: Any,
    inputs: Mapping[str, Any],
    *,
    measures: Sequence[Measure] | None = None,
    modalities: Mapping[str, Modality] | None = None,
    background: Mapping[str, Any] | None = None,
    baseline: baselines.Choice | None = None,
    link: str | None = None,
    output: str | Callable[[np.ndarray], np.ndarray] = "probability",
    target: Any = "predicted",
    task: str | None = None,
    labels: Any = None,
    units: str | None = None,
    classes: Sequence[str] | None = None,
    select: Selector = None,
    batch_size: BatchSize = None,
    encoders: Encoders = "auto",
    forward: Forward = None,
    collate: Collate = None,
    present: Mapping[str, Any] | None = None,
    groups: Any = None,
    characteristics: pd.DataFrame | None = None,
    confidence: float | None = 0.95,
    seed: int = 0,
) -> Setting:
    """Check the arguments of explain, as far as that goes without running the model; the same defaults."""
    patients = gather(inputs, modalities, present)
    adapted = adapt(model, Calling(forward=checked_forward(forward), collate=checked_collate(collate)))
    adapted.require(patients.members)
    require_one_order({**inputs, "labels": labels, "groups": groups, "characteristics": characteristics})
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed={seed!r}: expected a whole number, at least 0; give one.")
    if confidence is not None and (not isinstance(confidence, float) or not 0 < confidence < 1):
        raise InputError(f"confidence={confidence!r}: give a share between 0 and 1, or None for no intervals.")
    check_batch_size(batch_size, patients.modalities)
    check_encoders(encoders)
    own = background is None or background is inputs
    rows = _standing_in(patients) if own else gather_background(background, patients)
    if baseline is None:
        by_row = dict.fromkeys(patients.modalities, baselines.named("background"))
        by_fill = baselines.typical(patients.modalities)
        assignments = {baselines.label(by_row): by_row, baselines.label(by_fill): by_fill}
        coalition: tuple[str, ...] = tuple(assignments)
        part: tuple[str, ...] = (baselines.label(by_fill),)
    else:
        assigned = baselines.assign(baseline, patients.modalities)
        assignments = {baselines.label(assigned): assigned}
        coalition = part = tuple(assignments)
    return Setting(
        model=adapted,
        patients=patients,
        background=rows,
        own_background=own,
        coalition=coalition,
        part=part,
        assignments=assignments,
        measures=None if measures is None else _checked_measures(measures),
        link=link,
        output=output,
        task=task,
        units=units,
        classes=classes,
        select=select,
        batch_size=batch_size,
        encoders=encoders,
        seed=seed,
        target=target,
        labels=labels,
        groups=_checked_groups(groups, len(patients)),
        characteristics=_checked_characteristics(characteristics, len(patients)),
        confidence=confidence,
    )


def _standing_in(patients: Patients) -> Patients:
    """The explained patients as background: those who have every modality."""
    if not patients.has:
        return patients
    if not len(patients.complete):
        raise InputError(
            "no background was given, and no patient has every modality, so nobody can stand in for the others; give background=, other patients who have all of them."
        )
    return patients.take(patients.complete)


def _chosen_measures(measures: tuple[Measure, ...] | None, players: int, labelled: bool) -> tuple[Measure, ...]:
    """Those asked for; else those that fit the number of modalities and the labels."""
    if measures is not None:
        return measures
    games: tuple[Measure, ...] = (Shapley(), InterSHAP(), Interactions()) if 2 <= players <= EXACT_LIMIT else ()
    return (Occlusion(), *games, *((Reliance(),) if labelled else ()))


def _checked_measures(measures: Sequence[Measure] | Measure) -> tuple[Measure, ...]:
    """Those asked for, with different names."""
    chosen = tuple(measures) if isinstance(measures, Sequence) and not isinstance(measures, str) else (measures,)
    wrong = [measure for measure in chosen if not isinstance(measure, Measure)]
    if wrong or not chosen:
        raise InputError(
            f"measures: expected measures such as [ml.Occlusion(), ml.Shapley()], came {listed(wrong) if wrong else 'an empty list'}; a class needs its brackets."
        )
    keys = [measure.key for measure in chosen]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise InputError(
            f"measures: {listed(twice)} is asked for twice; tell them apart with name=, such as Occlusion(name='occlusion_mean')."
        )
    odd = [
        key
        for key in keys
        if not key.isidentifier() or hasattr(Explanation, key) or key in Explanation.__dataclass_fields__
    ]
    if odd:
        raise InputError(
            f"measures: name={odd[0]!r} can't be an attribute of the explanation; choose another Python name."
        )
    return chosen


def _checked_groups(groups: Any, samples: int) -> np.ndarray | None:
    if groups is None:
        return None
    found = np.asarray(groups)
    if found.ndim == 1 and found.dtype == object and any(one is None for one in found):
        raise InputError("groups: some are None; every sample needs its resampling unit.")
    if found.shape != (samples,):
        raise InputError(
            f"groups: expected one for each of the {samples} samples, came shape {found.shape}; give each sample's patient."
        )
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise InputError("groups: some are NaN; every sample needs its resampling unit.")
    return found


def _checked_characteristics(characteristics: Any, samples: int) -> pd.DataFrame:
    """What else is known of the patients, a row each; without columns where nothing was given."""
    if characteristics is None:
        return pd.DataFrame(index=pd.RangeIndex(samples))
    if not isinstance(characteristics, pd.DataFrame):
        raise InputError(
            f"characteristics: expected a DataFrame, a row a patient, such as frame[['age', 'sex', 'site']]; came {type(characteristics).__name__}."
        )
    if len(characteristics) != samples:
        raise InputError(
            f"characteristics: expected a row for each of the {samples} samples, came {len(characteristics)}; give those of the explained samples."
        )
    names = list(map(str, characteristics.columns))
    if len(set(names)) < len(names):
        raise InputError(f"characteristics: each column must be there once; {listed(names)} came.")
    return characteristics.set_axis(names, axis=1)


def _resolution(raw: np.ndarray, values: np.ndarray, noise: float) -> float:
    """Changes below this are rounding of the model's own arithmetic: by its type, and by how much the same input gave
    different outputs.
    """
    precision = np.finfo(raw.dtype if raw.dtype.kind == "f" else np.float64).eps
    relative = noise / max(np.abs(raw).max(), np.finfo(float).tiny)
    return float(max(4 * precision, relative) * max(np.abs(values).max(), np.finfo(float).tiny))
