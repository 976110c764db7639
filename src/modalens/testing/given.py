"""Checks of what was given: the inputs, the settings, and what stands in for what is absent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from modalens.errors import InputError, listed
from modalens.modalities import Tabular
from modalens.modalities.base import is_tensor
from modalens.modalities.patients import Patients, gather
from modalens.testing.result import Finding, told
from modalens.testing.trial import Trial

OF_THE_BACKGROUND = ("background", "baseline")

MOST_CODES = 32
"""Whole numbers above this are rather words of a vocabulary than categories."""


def inputs(trial: Trial) -> Iterator[Finding]:
    """What was each modality taken as, and who lacks one?"""
    try:
        patients = trial.patients
    except InputError as error:
        yield from _refused(trial, error)
        return
    inferred = set(patients) - set(trial.settings.get("modalities") or {})
    for name, words in patients.describe().items():
        yield Finding(
            check="inputs",
            verdict="fine",
            found=f"{name!r}: {len(patients)} samples, {words}{' (inferred)' if name in inferred else ''}",
        )
    yield from _token_ids(trial, patients, inferred)
    yield from _gaps(patients)


def _refused(trial: Trial, error: InputError) -> Iterator[Finding]:
    """What is wrong with each modality by itself; with all of them together where each is right."""
    given = trial.inputs if isinstance(trial.inputs, Mapping) else {}
    kinds, present = trial.settings.get("modalities"), trial.settings.get("present")
    own = []
    for name in given if len(given) > 1 else ():
        try:
            gather({name: given[name]}, _only(kinds, name), _only(present, name))
        except Exception as alone:
            own.append(str(alone))
    for message in own or [str(error)]:
        yield told("inputs", "obstacle", message)


def _only(settings: Any, name: str) -> Any:
    return {name: settings[name]} if isinstance(settings, Mapping) and name in settings else None


def _token_ids(trial: Trial, patients: Patients, inferred: set[str]) -> Iterator[Finding]:
    """Whole numbers that look like words of a vocabulary, taken for the columns of a table."""
    for name in sorted(inferred):
        values = trial.inputs[name]
        if not isinstance(patients.modalities[name], Tabular) or isinstance(values, pd.DataFrame):
            continue
        numbers = values.detach().cpu().numpy() if is_tensor(values) else np.asarray(values)
        if numbers.dtype.kind in "iu" and numbers.ndim == 2 and numbers.min() >= 0 and numbers.max() > MOST_CODES:
            yield Finding(
                check="inputs",
                verdict="note",
                found=f"{name!r} holds whole numbers from {numbers.min()} to {numbers.max()} in {numbers.shape[1]} columns, taken as quantities: of token ids a mean is another word.",
                remedy=f"If they are token ids, give their tokenizer: modalities={{{name!r}: ml.Text(tokenizer)}}.",
            )


def _gaps(patients: Patients) -> Iterator[Finding]:
    available = patients.available
    if available is None:
        return
    names = np.array(list(patients), dtype=object)
    patterns, counts = np.unique(available, axis=0, return_counts=True)
    who = [
        f"{count} lack {listed(names[~pattern])}"
        for pattern, count in zip(patterns, counts, strict=True)
        if not pattern.all()
    ]
    yield Finding(
        check="inputs",
        verdict="note",
        found=f"some patients lack a modality: of {len(patients)}, {'; '.join(who)}.",
        remedy="Nothing, if that is so: they have fewer players, NaN where they lack one, and shares within those who have the same.",
    )


def background(trial: Trial) -> Iterator[Finding]:
    """What stands in for what is absent, and has the model seen the like?"""
    setting = trial.setting
    for name in OF_THE_BACKGROUND:
        if name in trial.refused:
            yield told("background", "obstacle", _named(name, trial.refused[name]))
    if "background" not in trial.refused:
        setting.note_background()
    if not setting.own_background:
        yield Finding(check="background", verdict="fine", found=f"{len(setting.background)} background patients")
    for label, assigned in setting.assignments.items():
        unfit = list(_unfit(trial, label, assigned))
        yield from unfit
        if not unfit:
            yield Finding(check="background", verdict="fine", found=f"“{label}” can stand in for every modality")


def _unfit(trial: Trial, label: str, assigned: Iterable[str]) -> Iterator[Finding]:
    """The modalities that a baseline has nothing for, or nothing else."""
    patients = trial.setting.patients
    for name in assigned:
        try:
            trial.replaced(np.flatnonzero(patients.having(name))[:1], (name,), label)
        except InputError as error:
            yield told("background", "obstacle", str(error))


def settings(trial: Trial) -> Iterator[Finding]:
    """Are the other settings understood?"""
    trial.reach("setting")
    wrong = {name: error for name, error in trial.refused.items() if name not in OF_THE_BACKGROUND}
    for name, error in wrong.items():
        yield told("settings", "obstacle", _named(name, error))
    if not wrong:
        yield Finding(check="settings", verdict="fine", found="all of them are understood")


def _named(name: str, error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else f"{name}: {type(error).__name__}: {error}"
