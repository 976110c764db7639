"""The verb explain: inputs -> parts -> needs -> one merged plan -> model -> values -> scores -> explanation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from modalens import baselines
from modalens.errors import ModalensWarning, require_keywords_of
from modalens.evaluation import Plan, Table, merge, run
from modalens.evaluation.engine import BatchSize, Encoders
from modalens.explanation import DISAGREEMENT, Explanation
from modalens.measures import Measure, Result
from modalens.modalities import Modality
from modalens.models import Collate, Forward
from modalens.models.readout import Selector
from modalens.problem import Need, Problem, Values
from modalens.provenance import provenance
from modalens.roster import roster
from modalens.setting import Prepared, prepare


def explain(
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
    progress: bool | None = None,
) -> Explanation:
    """Which modality does the model use, which part of it, and does it combine them?

    Parameters
    ----------
    model : anything that takes modalities by keyword and returns (n,) or (n, outputs): a function, a torch module
        (put into evaluation mode and restored), or a fitted scikit-learn estimator, whose column groups the
        modalities then are.
    inputs : modality name -> samples of the patients explained, first axis the patient: array, tensor, DataFrame,
        list of str; a list with an array for each patient where they differ in length; a dict of such for a modality
        that has several arrays (token ids and their mask). Never changed.
    measures : `Occlusion()`, `Shapley()`, `InterSHAP()`, `Interactions()`, `Reliance()`, `FusionGradient()`; those
        that fit, unless given. On request also `EMAP()`, `SHAPE()`, `PerceptualScore()`, `LIME()`, `MMSHAP()`, `PartShapley()`.
    modalities : name -> `Image(...)`, `Volume(...)`, `Text(...)`, `Tabular(...)`, `Series(...)`, `Vector(...)`; a
        kind that is not given is inferred, and said.
    background : inputs of other patients, such as the training data: baselines are fitted on them, and their rows
        stand in for absent modalities.
    baseline : None lets background rows stand in for modalities and a fitted mean or mask token for parts, and runs
        the other as a check. A name ("background", "conditional", "mean", "mode", "zeros", "sample_mean", "blur",
        "mask_token"), a Baseline, or modality -> either, holds for every measure.
    link : how outputs become probabilities: "softmax", "sigmoid" or "identity"; without it they must be in [0, 1].
    output : the space that is scored: "probability", "logit" (log p_c - mean log p), "log-hazard" (log(-log S), of
        survival at several times), "raw", or a function of the model's output array.
    target : "predicted" (the class predicted on the whole input; several labels, values or times each by itself), an
        output's name or position, or one a patient. "all": what is said of several labels leads with the sum over
        them, which is `contribution` either way; each by itself is `by_output`.
    task : "classification", "multilabel", "regression", inferred and said; or "survival": one column is a log-risk
        (higher = earlier event), several are probabilities of surviving to each time.
    labels : class numbers or names (n,), 0/1 (n, labels), or values; for survival (time, event), (n, 2), a structured
        array or DataFrame of these, or a pair of arrays. Used for scores only.
    units : of a regression's output, such as "mmHg".
    classes : names of the outputs; the times of a survival, such as "5 years".
    select : which entry counts of a tuple, dict or ModelOutput: a key, a position, or a function.
    batch_size : rows a call of the model, or of each of its parts, {modality: rows, "head": rows}. By memory, or by a
        short measurement where the model is split; `provenance["batch_size"]` can be given back here.
    encoders : how a torch module is split into one encoder a modality and a head, so that each row is encoded once:
        "auto" (found in its exported graph where that is worth the second that it takes, see `fusion_point`), "graph"
        (always, or InputError), modality -> submodule for models that can't be exported ({"ct": "backbone"}), or
        "whole" (never).
    forward : (model, inputs by modality) -> output, for a model that is not called with modalities by keyword: one
        that takes a dict (`lambda model, inputs: model(inputs)`) or positions.
    collate : modality -> function that makes the batch of its samples, such as padding or packing a list of arrays; or
        "patient": one patient a call, without an axis for patients.
    present : modality -> which patients have it, (n,) of bool; None in the place of a sample says the same. A patient
        without a modality has fewer players, and NaN in its place; the model is given what stands there.
    groups : the resampling unit of each patient's row, such as the patient where there are several rows of one.
    characteristics : what else is known of the patients (age, sex, site), a DataFrame with a row each and their names as index.
        The model never sees it; reports and the app compare patients by it, and it is in the saved file.
    confidence : of the intervals; None turns them off.
    seed : all that is random follows from it.
    progress : a progress bar; None shows one for runs of more than two seconds.

    Returns
    -------
    Explanation, with a result for each measure as attribute, and `provenance`.

    Raises
    ------
    InputError : what was given can't be explained as it is; the message says which modality, what was expected, what
        came, and what to do.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> random = np.random.default_rng(0)
    >>> draw = lambda n: {"image": random.normal(size=(n, 8, 8)), "lab": random.normal(size=(n, 2))}
    >>> def model(image, lab):
    ...     return 1 / (1 + np.exp(-image.mean(axis=(1, 2)) - lab[:, 0]))
    >>> explanation = ml.explain(model, draw(20), modalities={"image": ml.Image(patch=4)}, background=draw(50))
    >>> float(explanation.occlusion.contribution.sum().round(6))
    1.0
    """
    setting = prepare(
        model,
        inputs,
        measures=measures,
        modalities=modalities,
        background=background,
        baseline=baseline,
        link=link,
        output=output,
        target=target,
        task=task,
        labels=labels,
        units=units,
        classes=classes,
        select=select,
        batch_size=batch_size,
        encoders=encoders,
        forward=forward,
        collate=collate,
        present=present,
        groups=groups,
        characteristics=characteristics,
        confidence=confidence,
        seed=seed,
    )
    with noting() as notes, setting.model.session():
        setting.note_background()
        prepared, executed, values = evaluate(setting.open(), progress)
        results = {measure.key: measure.score(prepared.problem, values) for measure in prepared.measures}
        _flag_disagreement(results)
    for message in notes:
        warnings.warn(message, ModalensWarning, stacklevel=2)
    return Explanation(
        results=results,
        provenance=provenance(prepared, executed, values, notes),
        inputs=dict(inputs),
        cohort=roster(prepared),
        characteristics=setting.characteristics,
    )


def plan(model: Any, inputs: Mapping[str, Any], **settings: Any) -> Plan:
    """What `explain` with the same arguments would run: masks, rows through every encoder and the head, memory, and
    about how long. Runs a few rows only.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"a": np.random.default_rng(0).normal(size=(10, 3)), "b": np.random.default_rng(1).normal(size=(10, 2))}
    >>> ml.plan(lambda a, b: a.sum(1) + b.sum(1), inputs, measures=[ml.Occlusion()], baseline="zeros", output="raw").rows
    80
    """
    require_keywords_of(explain, "plan", settings)
    settings.pop("progress", None)
    setting = prepare(model, inputs, **settings)
    with warnings.catch_warnings(), setting.model.session():
        warnings.simplefilter("ignore", ModalensWarning)
        prepared = setting.open()
        return first_plan(prepared, (prepared.problem,))


def first_plan(prepared: Prepared, problems: Sequence[Problem]) -> Plan:
    """What the measures need before they have seen any values."""
    return _merged(prepared, _needs(prepared, problems, None), Table())


def evaluate(
    prepared: Prepared, progress: bool | None, views: Callable[[Problem], Sequence[Problem]] = lambda problem: [problem]
) -> tuple[Prepared, Plan, Values]:
    """Ask the measures what they need for the problem (or for several views of it), run what is not known yet, and
    ask again, until nothing is missing. The readout was decided on a few rows; should all rows say otherwise, the run
    is repeated.
    """
    table = Table()
    executed = first_plan(prepared, views(prepared.problem))
    _run(executed, table, prepared, progress)
    assert table.present is not None
    completed = prepared.completed(table.present)
    if completed.readout != prepared.readout:
        return evaluate(completed, progress, views)
    values = Values(
        table=table.values,
        sizes=table.sizes,
        key=completed.stand_ins.key,
        problem=completed.problem,
        lines=table.lines,
        features=table.features,
    )
    while True:
        missing = _merged(completed, _needs(completed, views(completed.problem), values), table)
        if not len(missing):
            return completed, executed, values
        _run(missing, table, completed, progress)
        executed = executed.joined(missing)


def _needs(prepared: Prepared, problems: Sequence[Problem], values: Values | None) -> list[Need]:
    return [need for problem in problems for measure in prepared.measures for need in measure.needs(problem, values)]


def _merged(prepared: Prepared, needs: Sequence[Need], table: Table) -> Plan:
    return merge(
        needs,
        prepared.problem,
        prepared.stand_ins,
        prepared.engine.split,
        known=table.values,
        known_lines=table.lines,
        seconds_per_row=prepared.checked.seconds,
    )


def _run(plan: Plan, table: Table, prepared: Prepared, progress: bool | None) -> None:
    run(
        plan,
        table,
        prepared.stand_ins,
        prepared.engine.split,
        prepared.readout,
        select=prepared.setting.select,
        progress=progress,
    )


def _flag_disagreement(results: Mapping[str, Result]) -> None:
    """Warn where two baselines give different contributions."""
    for result in results.values():
        for name in ("by_baseline", "anchor_by_baseline"):
            found = result.global_numbers.get(name)
            if found is None or "modality" not in found.dims or found.sizes["baseline"] < 2:
                continue
            spread = found.max("baseline") - found.min("baseline")
            worst = spread.fillna(0).idxmax("modality").item() if bool((spread > DISAGREEMENT).any()) else None
            if worst is not None:
                each = ", ".join(
                    f"{found.sel(modality=worst, baseline=one).item():.2f} under {one}" for one in found.baseline.values
                )
                warnings.warn(
                    f"{result.measure}: baselines disagree on {worst!r} ({each}); a statement about it holds for its baseline only.",
                    ModalensWarning,
                    stacklevel=2,
                )


@contextmanager
def noting() -> Iterator[list[str]]:
    """Collect modalens' warnings, each once, and pass others through."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield notes
    for warning in caught:
        if issubclass(warning.category, ModalensWarning):
            notes.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    notes[:] = list(dict.fromkeys(notes))
