"""Checks of what the model returns: can it be read, does it come again, is it finite, and what does it follow?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from modalens.errors import InputError, listed
from modalens.testing.calling import failure
from modalens.testing.result import Finding, told
from modalens.testing.trial import Trial

HARDLY = 1e-6
"""A change of the output, as a share of its scale, that hardly is one."""


def output(trial: Trial) -> Iterator[Finding]:
    """What do the model's numbers mean?"""
    raw = trial.raw
    setting = trial.setting
    readout = trial.readout
    yield Finding(
        check="output",
        verdict="fine",
        found=f"{raw.shape[1]} number{'s' * (raw.shape[1] > 1)} a patient: {readout.task} of {listed(readout.outputs[:8])}",
    )
    for said in readout.said:
        guessed = setting.link is None and setting.task is None and readout.task == "multilabel"
        yield Finding(
            check="output",
            verdict="note" if guessed else "fine",
            found=said,
            remedy="Give task='multilabel', or link='softmax' if they are logits of exclusive classes."
            if guessed
            else "",
        )
    yield from _linked_twice(raw[trial.finite], setting.link)
    for name in ("target", "labels"):
        try:
            replace(trial.of_any_target, **{name: getattr(setting, name)}).problem(raw[trial.finite], readout, 0.0)
        except InputError as error:
            yield told("output", "obstacle", str(error))


def _linked_twice(raw: np.ndarray, link: str | None) -> Iterator[Finding]:
    """Probabilities that a link takes for logits: certainly where they sum to 1."""
    if link not in ("softmax", "sigmoid") or raw.min() < 0 or raw.max() > 1:
        return
    if link == "softmax" and np.allclose(raw.sum(axis=1), 1, atol=1e-4):
        found = (
            "the outputs lie in [0, 1] and sum to 1, and link='softmax' takes them for logits: a softmax of a softmax."
        )
        yield Finding(check="output", verdict="obstacle", found=found, remedy="Leave link= out.")
    else:
        found = f"the outputs lie in [0, 1], and link={link!r} takes them for logits."
        yield Finding(check="output", verdict="note", found=found, remedy="Leave link= out if they are probabilities.")


def repeatable(trial: Trial) -> Iterator[Finding]:
    """Does the same input give the same output, whatever else is in the batch?"""
    checked = trial.checked
    yield Finding(
        check="same again",
        verdict="fine",
        found=f"the same input gives the same output, with other patients beside it too (to {checked.noise:.1g})",
    )


def finite(trial: Trial) -> Iterator[Finding]:
    """Are the outputs finite numbers, and do they stay so when a modality is replaced?"""
    bad = np.flatnonzero(~np.isfinite(trial.raw).all(axis=1))
    if len(bad):
        rows = trial.patients.first(len(trial.raw))[bad]
        yield Finding(
            check="finite",
            verdict="obstacle",
            found=f"the output is NaN or infinite on the inputs as they are, for patient {', '.join(map(str, rows))} of the first {len(trial.raw)}.",
            remedy="Look for a division by zero or a logarithm in the model, and leave the patients out that it can't score.",
        )
    broken = [finding for names, label in _replacements(trial) for finding in _broken(trial, names, label)]
    yield from broken
    if not broken and not len(bad):
        yield Finding(check="finite", verdict="fine", found="on the inputs as they are, and with modalities replaced")


def _replacements(trial: Trial) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every modality under each of its baselines, and all of them at once."""
    names = tuple(trial.patients)
    for label in trial.setting.assignments:
        for name in names:
            yield (name,), label
        if len(names) > 1 and len(trial.patients.complete):
            yield names, label


def _broken(trial: Trial, names: tuple[str, ...], label: str) -> Iterator[Finding]:
    """What the model can't do where these are replaced."""
    rows = next(trial.spread_out(names[0]))
    able = rows[~np.isin(rows, _failing(trial))]
    try:
        replaced = trial.replaced(able, names, label)
    except InputError:  # told with the background
        return
    if not len(able):
        return
    own = trial.setting.assignments[label][names[0]].label
    of = f"with {names[0]!r} replaced by {own!r}" if len(names) == 1 else f"with every modality replaced by {label!r}"
    remedy = "Use another baseline for it, such as baseline='background'."
    try:
        raw = trial.outputs(replaced)
    except InputError as error:
        yield told("finite", "obstacle", f"{of}, {error}")
    except Exception as error:
        yield Finding(
            check="finite", verdict="obstacle", found=f"{of} the model raises {failure(error)}", remedy=remedy
        )
    else:
        bad = ~np.isfinite(raw).all(axis=1)
        if bad.any():
            found = f"{of} the output is NaN or infinite for {int(bad.sum())} of {len(bad)} patients."
            yield Finding(check="finite", verdict="obstacle", found=found, remedy=remedy)


def _failing(trial: Trial) -> np.ndarray:
    """Patients whose output is not finite as they are."""
    return trial.patients.first(len(trial.raw))[~np.isfinite(trial.raw).all(axis=1)]


def varies(trial: Trial) -> Iterator[Finding]:
    """Does the output differ between patients?"""
    if len(trial.patients) < 2:
        yield Finding(check="varies", verdict="not checked", found="there is one patient only")
        return
    noise = trial.checked.noise
    seen = _finite_rows(trial.raw[:0])
    for rows in trial.spread_out():
        seen = np.concatenate([seen, _finite_rows(trial.as_they_are(rows))])
        if not len(seen):
            continue
        apart, scale = float(np.ptp(seen, axis=0).max()), float(np.abs(seen).max())
        if apart > max(noise, HARDLY * scale):
            yield Finding(
                check="varies", verdict="fine", found=f"the output differs between patients, by up to {apart:.2g}"
            )
            return
    never = apart <= noise
    full = " It is 0 or 1 for all, as where logits are too large." if np.isin(seen, (0, 1)).all() else ""
    yield Finding(
        check="varies",
        verdict="obstacle" if never else "note",
        found=f"the output is {'the same' if never else 'hardly different'} for {len(seen)} patients (they differ by {apart:.1g}).{full}",
        remedy="Load the trained weights, prepare the inputs as in training, and look for a saturated or clipped output.",
    )


def _finite_rows(raw: np.ndarray) -> np.ndarray:
    return raw[np.isfinite(raw).all(axis=1)].astype(float)


def read_at_all(trial: Trial) -> Iterator[Finding]:
    """Does the output follow each modality?"""
    noise = trial.checked.noise
    for name in trial.patients:
        change, scale, patients = _change(trial, name, noise)
        if not patients:
            yield Finding(
                check="reads",
                verdict="note",
                found=f"{name!r} is the same in all patients and in the background, so nothing can be told of it.",
                remedy="Leave it out, or give a background that differs in it.",
            )
        elif change == 0:
            yield Finding(
                check="reads",
                verdict="obstacle",
                found=f"{name!r} is never read: the output stays the same when {patients} patients get that of others.",
                remedy="Look whether the model uses it in forward (and not under another name), or leave it out.",
            )
        else:
            hardly = change <= max(HARDLY * scale, noise)
            yield Finding(
                check="reads",
                verdict="note" if hardly else "fine",
                found=f"{name!r} {'hardly ' * hardly}changes the output: by up to {change:.2g}, of a scale of {scale:.2g}",
                remedy="Look whether its scale is that of training." if hardly else "",
            )


def _change(trial: Trial, name: str, noise: float) -> tuple[float, float, int]:
    """The largest change of an output when a modality is exchanged for that of others, the outputs' scale, and the
    patients who got another one: few, unless there is no change.
    """
    kind = trial.patients.modalities[name]
    change, scale, patients = 0.0, 1e-12, 0
    for rows in trial.spread_out(name):
        exchanged = trial.exchanged(rows, name)
        other = ~kind.same(trial.patients.samples[name][rows], exchanged.samples[name])
        if not other.any():
            continue
        before = trial.as_they_are(rows)
        able = np.isfinite(before).all(axis=1)
        differences = np.abs(trial.outputs(exchanged).astype(float) - before)[able & other]
        change = max(change, float(differences[np.isfinite(differences)].max(initial=0)))
        scale = max(scale, float(np.abs(before[able]).max(initial=0)))
        patients += int(other.sum())
        if change > max(HARDLY * scale, noise):
            break
    return change, scale, patients
