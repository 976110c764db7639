"""Models that the user's own function trains on some patients, and what they say of others."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from modalens.errors import InputError, ModalensWarning, choice
from modalens.labels import checked_labels
from modalens.measures.performance import METRICS, OF_TASK, chance, one_against_the_rest, varying
from modalens.modalities.patients import Patients
from modalens.models import Calling, Model, Readout, adapt, output_of, read
from modalens.models.readout import Selector, decide

Train = Callable[[dict[str, Any], Any, int], Any]
"""(inputs of some modalities, labels, seed) -> model that takes these modalities by keyword."""

ROWS_A_CALL = 256


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the outputs of trained models are read and scored, as `explain` and `Reliance` do it."""

    link: str | None = None
    output: str = "probability"
    task: str | None = None
    classes: Sequence[str] | None = None
    select: Selector = None
    metric: str | None = None
    calling: Calling = field(default_factory=Calling)
    batch_size: int = ROWS_A_CALL

    def __post_init__(self) -> None:
        if self.metric is not None:
            choice("metric", self.metric, METRICS)

    def readout(self, model: Model, raw: np.ndarray) -> Readout:
        """How outputs like these are read."""
        classes = self.classes if self.classes is not None else model.classes
        return decide(raw, link=self.link, output=self.output, task=self.task or model.task, classes=classes)

    def raw(self, model: Model, patients: Patients) -> np.ndarray:
        """The model's own outputs for all patients, (patients, outputs)."""
        with model.session():
            parts = [
                patients.take(np.arange(start, min(start + self.batch_size, len(patients))))
                for start in range(0, len(patients), self.batch_size)
            ]
            return np.concatenate([read(output_of(model, one.restored()), len(one), self.select) for one in parts])

    def outputs(self, model: Model, patients: Patients) -> tuple[np.ndarray, Readout]:
        """Probabilities, or values where there are none, (patients, outputs), and how they were read."""
        raw = self.raw(model, patients)
        readout = self.readout(model, raw)
        spaces = readout(raw)
        return spaces.get("probability", spaces[readout.space]), readout

    def metric_of(self, readout: Readout) -> str:
        """The metric asked for, or the task's own. Raises InputError where it does not fit the task."""
        fitting = OF_TASK[readout.task]
        if self.metric is not None and self.metric not in fitting:
            raise InputError(f"metric={self.metric!r} does not fit the task {readout.task!r}: use {fitting[0]!r}.")
        return self.metric or fitting[0]

    def score(self, model: Model, patients: Patients, labels: Any) -> Score:
        """How well the model predicts the labels of these patients; NaN where there is nothing to predict."""
        outputs, readout = self.outputs(model, patients)
        known, metric = checked_labels(labels, len(patients), readout), self.metric_of(readout)
        if readout.task == "classification" and outputs.shape[1] == 1:
            outputs = np.concatenate([-outputs, outputs], axis=1)
        nothing = metric == "auc" and not varying(one_against_the_rest(known, outputs.shape[1])).any()
        found = np.nan if nothing else METRICS[metric](known, outputs, np.ones((1, len(patients))))[0]
        return Score(value=float(found), metric=metric, readout=readout, labels=known)


@dataclass(frozen=True, kw_only=True)
class Score:
    """One score, in which metric, and of what."""

    value: float
    metric: str
    readout: Readout
    labels: np.ndarray

    @property
    def chance(self) -> float:
        """The score of a model that knows nothing of these patients."""
        return chance(self.metric, self.labels)


def fit(train: Train, patients: Patients, labels: Any, seed: int, calling: Calling) -> Model:
    """The model that the user's function trains on these patients. Raises InputError where it returns none, or one
    that does not take their modalities.
    """
    given = ", ".join(patients.modalities)
    try:
        model = train(patients.restored(), labels, seed)
    except Exception as error:
        error.add_note(f"raised by train, which was given {len(patients)} patients with {given}, and seed {seed}.")
        raise
    if model is None:
        raise InputError(
            f"train returned None for the modalities {given}: expected the trained model; end the function with `return model`."
        )
    adapted = adapt(model, calling)
    adapted.require(patients.members)
    return adapted


def only(patients: Patients, names: Sequence[str]) -> Patients:
    """The patients with these modalities, the others left out."""

    def those(by_name: Mapping[str, Any]) -> dict[str, Any]:
        return {name: by_name[name] for name in names if name in by_name}

    return replace(
        patients,
        modalities=those(patients.modalities),
        samples=those(patients.samples),
        parts=those(patients.parts),
        has=those(patients.has),
    )


def rows_of(labels: Any, rows: np.ndarray) -> Any:
    """The labels of these patients, in the form in which all came: an array, a tensor, a list, a table, or a pair of
    arrays (times and events).
    """
    if isinstance(labels, tuple) and len(labels) == 2 and np.ndim(labels[0]) == 1:
        return tuple(rows_of(one, rows) for one in labels)
    if hasattr(labels, "iloc"):
        return labels.iloc[rows]
    return [labels[row] for row in rows] if isinstance(labels, list | tuple) else labels[rows]


def count_of(labels: Any) -> int:
    """How many patients there are labels of."""
    pair = isinstance(labels, tuple) and len(labels) == 2 and np.ndim(labels[0]) == 1
    return len(labels[0]) if pair else len(labels)


def classes_of(labels: Any, task: str | None) -> np.ndarray | None:
    """The class of each patient (n,), where the labels are classes: names, truth values or whole numbers; None where
    they are values, several labels a patient, or survival times.
    """
    if task not in (None, "classification") or isinstance(labels, tuple) or hasattr(labels, "columns"):
        return None
    values = np.asarray(labels)
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim != 1 or values.dtype.names:
        return None
    if values.dtype.kind == "f" and not np.equal(np.mod(values, 1), 0).all():
        return None
    return np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1]


def complete(patients: Patients, labels: Any, groups: Any) -> tuple[Patients, Any, np.ndarray | None, tuple[str, ...]]:
    """The patients who have every modality, and what was left out, in words."""
    if count_of(labels) != len(patients):
        raise InputError(f"labels: expected one for each of the {len(patients)} patients, came {count_of(labels)}.")
    units = None if groups is None else np.asarray(groups)
    if units is not None and units.shape != (len(patients),):
        raise InputError(f"groups: expected one for each of the {len(patients)} patients, came shape {units.shape}.")
    rows = patients.complete
    if len(rows) == len(patients):
        return patients, labels, units, ()
    note = f"{len(patients) - len(rows)} of {len(patients)} patients lack a modality and were left out, so that the same patients are scored with and without it."
    warnings.warn(note, ModalensWarning, stacklevel=3)
    return patients.take(rows), rows_of(labels, rows), None if units is None else units[rows], (note,)
