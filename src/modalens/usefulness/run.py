"""The verb usefulness: train with and without each modality, and score on patients held out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
import xarray as xr

from modalens.errors import InputError, choice, listed
from modalens.evaluation.progress import Bar
from modalens.folds import held_out
from modalens.measures.performance import KNOWS_NOTHING
from modalens.modalities import Modality
from modalens.modalities.patients import Patients, gather
from modalens.models import Calling, Collate, Forward
from modalens.models.calling import checked_collate
from modalens.models.readout import Selector
from modalens.refits import ROWS_A_CALL, Reading, Train, classes_of, complete, count_of, fit, only, rows_of
from modalens.usefulness.result import Subset, Usefulness, labelled, named


def usefulness(
    train: Train | None = None,
    inputs: Mapping[str, Any] | None = None,
    labels: Any = None,
    *,
    scores: Mapping[str | Subset, Any] | None = None,
    modalities: Mapping[str, Modality] | None = None,
    present: Mapping[str, Any] | None = None,
    groups: Any = None,
    folds: int = 5,
    seeds: int = 3,
    metric: str | None = None,
    chance: float | None = None,
    link: str | None = None,
    output: str = "probability",
    task: str | None = None,
    classes: Sequence[str] | None = None,
    select: Selector = None,
    forward: Forward = None,
    collate: Collate = None,
    batch_size: int = ROWS_A_CALL,
    intervals: Literal["corrected", "bootstrap"] = "corrected",
    confidence: float = 0.95,
    test_share: float | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Usefulness:
    """What is each modality useful for, beside what a model relies on?

    Models are trained with all modalities, with each alone, and with all but one, and scored on patients that they
    have not seen: cross-validation, stratified by class, the rows of a group kept together, repeated with other folds
    for each seed. A modality can be relied on and useless, or useful and ignored by one model.

    Parameters
    ----------
    train : (inputs of some modalities, labels, seed) -> model, trained; it takes these modalities by keyword (a torch
        module, a fitted scikit-learn estimator, a function). `inputs` come in the form in which they were given.
    inputs, labels : of all patients, as `explain` takes them. Patients who lack a modality are left out, and said, since
        the same patients must be scored with and without it.
    scores : instead of these, scores that you have: modality or tuple of modalities -> array (seeds, folds), or (folds,);
        higher is better. Nothing is trained then; a subset that is missing is NaN.
    groups : of each row, such as the patient where there are several rows of one.
    folds, seeds : how many patients are held out (1 / folds), and how often all is repeated.
    metric : "auc" (the default for classes and labels), "accuracy", "r2" (regression), "concordance" (survival); with
        `scores` any name. `chance` is the score of a model that knows nothing, where the metric does not say.
    modalities, present, link, output, task, classes, select, forward, collate : as `explain` takes them.
    batch_size : rows a call of a trained model.
    intervals : "corrected" for the corrected resampled t interval (Nadeau and Bengio 2003), "bootstrap" for percentiles
        over seeds, and folds within each. Folds share their training patients, so neither is a confidence interval in
        the strict sense; the bootstrap, which takes them for independent, is too narrow.
    confidence : of the intervals. test_share : the share of patients held out, for `scores` that are not of folds.
    seed : all that is random follows from it: repetition i has the folds of, and trains with, seed + i.
    progress : a progress bar; None shows one for runs of more than two seconds.

    Returns
    -------
    Usefulness: arrays with names, `interval`, `verdict`, `plot(explanation)`, `to_frame()`.

    Raises
    ------
    InputError : what was given can't be trained on, scored or paired; the message says what to do.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from sklearn.linear_model import LogisticRegression
    >>> random = np.random.default_rng(0)
    >>> labels = np.arange(60) % 2
    >>> inputs = {"lab": labels[:, None] + random.normal(size=(60, 1)), "age": random.normal(size=(60, 1))}
    >>> def train(inputs, labels, seed):
    ...     return LogisticRegression().fit(np.hstack(list(inputs.values())), labels)
    >>> found = ml.usefulness(train, inputs, labels, seeds=2)
    >>> found.lost.sel(modality="lab").item() > 0.2, found.verdict.values.tolist()
    (True, ['useful', 'not shown to be useful'])
    """
    choice("intervals", intervals, ("corrected", "bootstrap"))
    if not isinstance(confidence, float) or not 0 < confidence < 1:
        raise InputError(f"confidence={confidence!r}: give a share between 0 and 1.")
    if test_share is not None and not 0 < test_share < 1:
        raise InputError(f"test_share={test_share!r}: give the share of patients held out, between 0 and 1.")
    if scores is not None:
        if train is not None or inputs is not None:
            raise InputError("scores= stands instead of train and inputs: give either, not both.")
        found, names, why = _given(scores)
        if np.isnan(_known_chance(metric, chance, labels)):
            why["gained"] = f"what a model that knows nothing scores in {metric!r} was not said; chance= says it"
        measured, floor = _named_metric(metric), _known_chance(metric, chance, labels)
        notes: tuple[str, ...] = ()
    else:
        _require_training(train, inputs, labels, folds, seeds)
        assert train is not None
        assert inputs is not None
        reading = Reading(
            link=link,
            output=output,
            task=task,
            classes=classes,
            select=select,
            metric=metric,
            calling=Calling(forward=forward, collate=checked_collate(collate)),
            batch_size=batch_size,
        )
        patients, labels, groups, notes = complete(gather(inputs, modalities, present), labels, groups)
        names, why = tuple(patients.modalities), {}
        _require_several(names)
        found, measured, known = _trained(train, patients, labels, groups, reading, folds, seeds, seed, progress)
        floor = known if chance is None else chance
    share = test_share or (1 / found.sizes["fold"] if found.sizes["fold"] > 1 else np.nan)
    return Usefulness(
        modalities=names,
        metric=measured,
        chance=floor,
        scores=found,
        reasons=why | _undefined(found, why),
        notes=notes,
        settings={
            "folds": found.sizes["fold"],
            "seeds": found.sizes["seed"],
            "intervals": intervals,
            "confidence": confidence,
            "ratio": share / (1 - share),
            "seed": seed,
        },
    )


def needed(names: Sequence[str]) -> tuple[Subset, ...]:
    """The sets of modalities that tell: all, each alone, and all but each; every set once."""
    alone = [(name,) for name in names]
    without = [tuple(other for other in names if other != name) for name in names]
    return tuple(dict.fromkeys([tuple(names), *alone, *without]))


def _trained(
    train: Train,
    patients: Patients,
    labels: Any,
    groups: np.ndarray | None,
    reading: Reading,
    folds: int,
    seeds: int,
    seed: int,
    progress: bool | None,
) -> tuple[xr.DataArray, str, float]:
    """The score of every model, (subset, seed, fold), the metric, and its chance: the mean over folds."""
    subsets, classes = needed(tuple(patients.modalities)), classes_of(labels, reading.task)
    found = np.full((len(subsets), seeds, folds), np.nan)
    chances, metrics = [], set()
    everyone = np.arange(len(patients))
    with Bar(found.size, progress, doing="training models", unit="models") as bar:
        for repetition in range(seeds):
            tests = held_out(len(patients), folds=folds, seed=seed + repetition, classes=classes, groups=groups)
            for (fold, test), (place, names) in product(enumerate(tests), enumerate(subsets)):
                rest = np.setdiff1d(everyone, test)
                chosen = only(patients, names)
                model = fit(train, chosen.take(rest), rows_of(labels, rest), seed + repetition, reading.calling)
                one = reading.score(model, chosen.take(test), rows_of(labels, test))
                found[place, repetition, fold] = one.value
                chances.append(one.chance)
                metrics.add(one.metric)
                bar.advance(1)
    if len(metrics) > 1:
        raise InputError(
            f"the trained models have different tasks (scored by {listed(sorted(metrics))}): say which, task= or metric=."
        )
    return labelled(found, subsets), metrics.pop(), float(np.mean(chances))


def _require_training(train: Any, inputs: Any, labels: Any, folds: int, seeds: int) -> None:
    if not callable(train) or inputs is None or labels is None:
        raise InputError(
            "usefulness needs your training function, inputs and labels: usefulness(train, inputs, labels), train(inputs, labels, seed) -> model; "
            "or the scores that you have: usefulness(scores={('image',): array, ...}, metric='auc')."
        )
    for name, value in (("folds", folds), ("seeds", seeds)):
        if not isinstance(value, int) or value < (2 if name == "folds" else 1):
            raise InputError(f"{name}={value!r}: give a whole number, at least {2 if name == 'folds' else 1}.")


def _require_several(names: Sequence[str]) -> None:
    if len(names) < 2:
        raise InputError(
            f"usefulness compares models with and without a modality, and {listed(names)} is one: give at least two."
        )


# Scores that the user has -----------------------------------------------------------------------------------------------------------


def _given(scores: Mapping[str | Subset, Any]) -> tuple[xr.DataArray, Subset, dict[str, str]]:
    """The scores as an array (subset, seed, fold), the modalities, and why some are NaN."""
    if not isinstance(scores, Mapping) or not scores:
        raise InputError("scores: expected a dict such as {('image', 'labs'): array (seeds, folds), ('image',): ...}.")
    by_set: dict[frozenset[str], np.ndarray] = {}
    for key, values in scores.items():
        chosen = frozenset([key] if isinstance(key, str) else key)
        if not chosen or chosen in by_set:
            raise InputError(
                f"scores: {key!r} {'names no modality' if not chosen else 'is given twice'}; give every set of modalities once."
            )
        by_set[chosen] = np.atleast_2d(np.asarray(values, dtype=float))
    names = tuple(dict.fromkeys(name for key in scores for name in ([key] if isinstance(key, str) else key)))
    _require_several(names)
    shapes = {values.shape for values in by_set.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) != 2:
        raise InputError(
            f"scores: expected arrays (seeds, folds) of one shape, since scores of the same seed and fold are paired; came {listed(sorted(shapes))}."
        )
    order = [*needed(names), *(tuple(n for n in names if n in chosen) for chosen in by_set)]
    subsets = tuple(dict.fromkeys(order))
    nothing = np.full(shapes.pop(), np.nan)
    found = np.stack([by_set.get(frozenset(subset), nothing) for subset in subsets])
    why = {named(one): "no score of these modalities was given" for one in subsets if frozenset(one) not in by_set}
    return labelled(found, subsets), names, why


def _named_metric(metric: str | None) -> str:
    if metric is None:
        raise InputError(
            "scores: say what they are, metric='auc' (or 'accuracy', 'r2', 'concordance', another name with chance=)."
        )
    return metric


def _known_chance(metric: str | None, chance: float | None, labels: Any) -> float:
    """What a model that knows nothing scores; NaN where nobody says."""
    if chance is not None:
        return float(chance)
    if metric == "accuracy" and labels is not None:
        return float(np.unique(np.asarray(labels), return_counts=True)[1].max() / count_of(labels))
    return KNOWS_NOTHING.get(str(metric), np.nan)


# Words ------------------------------------------------------------------------------------------------------------------------------


def _undefined(scores: xr.DataArray, known: Mapping[str, str]) -> dict[str, str]:
    """Why scores are NaN that were computed or given."""

    def gaps() -> Iterator[tuple[str, str]]:
        for name in map(str, scores.subset.values):
            missing = int(scores.sel(subset=name).isnull().sum())
            if missing and name not in known:
                yield (
                    name,
                    f"{missing} of {scores.sel(subset=name).size} folds have no score, since their labels are all the same; they are left out",
                )

    return dict(gaps())
