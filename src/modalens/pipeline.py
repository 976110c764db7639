"""The verb explain: inputs -> parts -> needs -> one merged plan -> model -> values -> scores -> explanation."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modalens import baselines
from modalens.errors import InputError, ModalensWarning, listed
from modalens.evaluation import Evaluation, Plan, StandIns, Table, check_rows, merge, run, run_present, store
from modalens.evaluation.plan import default_batch
from modalens.explanation import Explanation
from modalens.measures import Interactions, InterSHAP, Measure, Occlusion, Reliance, Result, Shapley
from modalens.modalities import Modality
from modalens.modalities.patients import Patients, gather, gather_background
from modalens.models import Model, Readout, adapt
from modalens.models.readout import Selector, decide, targets
from modalens.problem import EXACT_LIMIT, PRESENT, Problem, Values

DISAGREEMENT = 0.1
"""Two baselines disagree where a modality's contribution under them differs by more than this share."""


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
    classes: Sequence[str] | None = None,
    select: Selector = None,
    batch_size: int | None = None,
    groups: Any = None,
    confidence: float | None = 0.95,
    seed: int = 0,
    progress: bool | None = None,
) -> Explanation:
    """Which modality does the model use, which part of it, and does it combine them?

    Parameters
    ----------
    model : anything that takes modalities by keyword and returns (n,) or (n, outputs): a function, a torch module (put into evaluation mode and restored), or a fitted scikit-learn
        estimator, whose column groups the modalities then are.
    inputs : modality name -> samples of the patients explained, first axis the patient: array, tensor, DataFrame, or list of str. Never changed.
    measures : `Occlusion()`, `Shapley()`, `InterSHAP()`, `Interactions()`, `Reliance()`; those that fit, unless given.
    modalities : name -> `Image(...)`, `Volume(...)`, `Text(...)`, `Tabular(...)`, `Series(...)`, `Vector(...)`; a kind that is not given is inferred, and said.
    background : inputs of other patients, such as the training data: baselines are fitted on them, and their rows stand in for absent modalities.
    baseline : None lets background rows stand in for modalities and a fitted mean or mask token for parts, and runs the other as a check. A name ("background", "conditional", "mean", "mode",
        "zeros", "sample_mean", "blur", "mask_token"), a Baseline, or modality -> either, holds for every measure.
    link : how outputs become probabilities: "softmax", "sigmoid" or "identity"; without it they must be in [0, 1].
    output : the space that is scored: "probability", "logit" (log p_c - mean log p), "raw", or a function of the model's output array.
    target : "predicted" (the class predicted on the whole input), an output's name or position, or one a patient.
    task : "classification", "multilabel", "regression"; inferred and said.
    labels : class numbers or names (n,), 0/1 (n, labels), or values; used for scores only.
    classes : names of the outputs.
    select : which entry counts of a tuple, dict or ModelOutput: a key, a position, or a function.
    batch_size : rows a call of the model; chosen by memory unless given.
    groups : the resampling unit of each patient's row, such as the patient where there are several rows of one.
    confidence : of the intervals; None turns them off.
    seed : all that is random follows from it.
    progress : a progress bar; None shows one for runs of more than two seconds.

    Returns
    -------
    Explanation, with a result for each measure as attribute, and `provenance`.

    Raises
    ------
    InputError : what was given can't be explained as it is; the message says which modality, what was expected, what came, and what to do.

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
    setting = _prepare(model, inputs, modalities, background, baseline, link, output, task, classes, select, batch_size, seed, target, labels, groups, confidence, measures)
    with _noting() as notes, setting.model.session():
        setting.note_background()
        prepared = setting.open()
        plan, values = _evaluate(prepared, progress)
        results = {measure.key: measure.score(prepared.problem, values) for measure in prepared.measures}
        _flag_disagreement(results)
    for message in notes:
        warnings.warn(message, ModalensWarning, stacklevel=2)
    provenance = _provenance(prepared, plan, values, notes)
    return Explanation(results=results, provenance=provenance, inputs=dict(inputs))


def plan(model: Any, inputs: Mapping[str, Any], **settings: Any) -> Plan:
    """What `explain` with the same arguments would run: masks, rows through every encoder and the head, memory, and about how long. Runs a few rows only.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"a": np.random.default_rng(0).normal(size=(10, 3)), "b": np.random.default_rng(1).normal(size=(10, 2))}
    >>> ml.plan(lambda a, b: a.sum(1) + b.sum(1), inputs, measures=[ml.Occlusion()], baseline="zeros", output="raw").rows
    80
    """
    defaults = {"modalities": None, "background": None, "baseline": None, "link": None, "output": "probability", "task": None, "classes": None, "select": None, "batch_size": None}
    defaults |= {"seed": 0, "target": "predicted", "labels": None, "groups": None, "confidence": 0.95, "measures": None}
    unknown = set(settings) - set(defaults) - {"progress"}
    if unknown:
        raise TypeError(f"plan() got unexpected arguments {listed(sorted(unknown))}; it takes those of explain().")
    settings.pop("progress", None)
    setting = _prepare(model, inputs, **(defaults | settings))
    with warnings.catch_warnings(), setting.model.session():
        warnings.simplefilter("ignore", ModalensWarning)
        prepared = setting.open(few=True)
        needs = [need for measure in prepared.measures for need in measure.needs(prepared.problem, None)]
        return merge(needs, prepared.problem, prepared.stand_ins, known={}, batch_size=setting.batch_size, seconds_per_row=prepared.seconds_per_row)


# How it goes ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """A setting with the model's first outputs read."""

    model: Model
    readout: Readout
    problem: Problem
    stand_ins: StandIns
    measures: tuple[Measure, ...]
    patients: Patients
    raw: np.ndarray
    checked: int
    seconds_per_row: float
    batch_size: int
    select: Selector
    target: Any


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """What the user gave, checked as far as it goes without running the model."""

    model: Model
    patients: Patients
    background: Patients
    coalition: tuple[str, ...]
    part: tuple[str, ...]
    assignments: Mapping[str, Mapping[str, baselines.Baseline]]
    measures: tuple[Measure, ...]
    link: str | None
    output: str | Callable[[np.ndarray], np.ndarray]
    task: str | None
    classes: Sequence[str] | None
    select: Selector
    batch_size: int | None
    seed: int
    target: Any
    labels: Any
    groups: np.ndarray | None
    confidence: float | None

    def note_background(self) -> None:
        """Say so where the explained patients stand in for each other."""
        fitted = any(baseline.from_background for assignment in self.assignments.values() for baseline in assignment.values())
        if self.background is self.patients and fitted:
            warnings.warn(
                "no background was given, so the explained patients themselves stand in for what is absent; give background=, other patients such as the training data.",
                ModalensWarning,
                stacklevel=2,
            )

    def open(self, few: bool = False) -> _Prepared:
        """Run the model on the inputs as they are (on `few` of them, for a plan), and decide how its outputs are read."""
        batch = self.batch_size or default_batch(self.patients.row_bytes)
        patients = self.patients.take(np.arange(min(len(self.patients), 16))) if few else self.patients
        raw = run_present(self.model, patients, batch, self.select)
        checked, seconds = check_rows(self.model, patients, raw, self.select)
        classes = self.classes if self.classes is not None else self.model.classes
        readout = decide(raw, link=self.link, output=self.output, task=self.task or self.model.task, classes=classes)
        spaces = readout(raw)
        chosen, predicted = targets(self.target if not few or isinstance(self.target, str) else "predicted", spaces.get("probability", spaces[readout.space]), readout)
        if few:
            chosen = None if chosen is None else np.zeros(len(self.patients), dtype=int)
        problem = Problem(
            modalities=tuple(self.patients.modalities),
            samples=len(self.patients),
            outputs=readout.outputs,
            task=readout.task,
            space=readout.space,
            spaces=readout.spaces,
            part_count={name: parts.count(len(self.patients)) for name, parts in self.patients.parts.items()},
            part_names={name: parts.names for name, parts in self.patients.parts.items()},
            coalition_baselines=self.coalition,
            part_baselines=self.part,
            target=chosen,
            predicted=predicted,
            labels=None if self.labels is None else _checked_labels(self.labels, len(self.patients), readout),
            groups=self.groups,
            seed=self.seed,
            confidence=self.confidence,
            resolution=_resolution(raw, spaces[readout.space]),
        )
        return _Prepared(
            model=self.model,
            readout=readout,
            problem=problem,
            stand_ins=StandIns(patients=self.patients, background=self.background, assignments=self.assignments, seed=self.seed),
            measures=self.measures,
            patients=self.patients,
            raw=raw,
            checked=checked,
            seconds_per_row=seconds,
            batch_size=batch,
            select=self.select,
            target=self.target,
        )


def _prepare(
    model: Any,
    inputs: Mapping[str, Any],
    modalities: Mapping[str, Modality] | None,
    background: Mapping[str, Any] | None,
    baseline: baselines.Choice | None,
    link: str | None,
    output: str | Callable[[np.ndarray], np.ndarray],
    task: str | None,
    classes: Sequence[str] | None,
    select: Selector,
    batch_size: int | None,
    seed: int,
    target: Any,
    labels: Any,
    groups: Any,
    confidence: float | None,
    measures: Sequence[Measure] | None,
) -> _Setting:
    patients = gather(inputs, modalities)
    adapted = adapt(model)
    adapted.require(tuple(patients.modalities))
    if confidence is not None and not 0 < confidence < 1:
        raise InputError(f"confidence={confidence}: give a share between 0 and 1, or None for no intervals.")
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise InputError(f"batch_size={batch_size!r}: give a whole number of rows, at least 1, or None.")
    rows = gather_background(background, patients) if background is not None else patients
    if baseline is None:
        by_row = dict.fromkeys(patients.modalities, baselines.named("background"))
        by_fill = baselines.typical(patients.modalities)
        assignments = {baselines.label(by_row): by_row, baselines.label(by_fill): by_fill}
        coalition, part = tuple(assignments), (baselines.label(by_fill),)
    else:
        assigned = baselines.assign(baseline, patients.modalities)
        assignments = {baselines.label(assigned): assigned}
        coalition = part = tuple(assignments)
    return _Setting(
        model=adapted,
        patients=patients,
        background=rows,
        coalition=coalition,
        part=part,
        assignments=assignments,
        measures=_chosen_measures(measures, len(patients.modalities), labels is not None),
        link=link,
        output=output,
        task=task,
        classes=classes,
        select=select,
        batch_size=batch_size,
        seed=seed,
        target=target,
        labels=labels,
        groups=_checked_groups(groups, len(patients)),
        confidence=confidence,
    )


def _chosen_measures(measures: Sequence[Measure] | None, players: int, labelled: bool) -> tuple[Measure, ...]:
    """Those asked for, with different names; else those that fit the number of modalities and the labels."""
    if measures is None:
        games: tuple[Measure, ...] = (Shapley(), InterSHAP(), Interactions()) if 2 <= players <= EXACT_LIMIT else ()
        return (Occlusion(), *games, *((Reliance(),) if labelled else ()))
    chosen = tuple(measures)
    wrong = [measure for measure in chosen if not isinstance(measure, Measure)]
    if wrong or not chosen:
        raise InputError(f"measures: expected measures such as [ml.Occlusion(), ml.Shapley()], came {listed(wrong) if wrong else 'an empty list'}; a class needs its brackets.")
    keys = [measure.key for measure in chosen]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise InputError(f"measures: {listed(twice)} is asked for twice; tell them apart with name=, such as Occlusion(name='occlusion_mean').")
    odd = [key for key in keys if not key.isidentifier() or hasattr(Explanation, key) or key in ("provenance", "inputs", "results")]
    if odd:
        raise InputError(f"measures: name={odd[0]!r} can't be an attribute of the explanation; choose another Python name.")
    return chosen


def _evaluate(prepared: _Prepared, progress: bool | None) -> tuple[Plan, Values]:
    """Ask the measures what they need, run what is not known yet, and ask again, until nothing is missing."""
    table = Table()
    _seed_present(table, prepared)
    values = Values(table=table.values, sizes=table.sizes, key=prepared.stand_ins.key, problem=prepared.problem)
    first: Plan | None = None
    while True:
        needs = [need for measure in prepared.measures for need in measure.needs(prepared.problem, values if first else None)]
        merged = merge(needs, prepared.problem, prepared.stand_ins, known=table.values, batch_size=prepared.batch_size)
        if not merged.evaluations:
            break
        run(merged, table, prepared.stand_ins, prepared.model, prepared.readout, select=prepared.select, progress=progress)
        first = merged if first is None else _joined(first, merged)
    return first if first is not None else merged, values


def _joined(one: Plan, two: Plan) -> Plan:
    return replace(one, evaluations=one.evaluations + two.evaluations)


def _seed_present(table: Table, prepared: _Prepared) -> None:
    """The outputs on the inputs as they are were needed to read the model; they are not run again."""
    identity = prepared.stand_ins.key(PRESENT, prepared.problem.part_baselines[0], "part")
    spaces = {space: values for space, values in prepared.readout(prepared.raw).items() if space in prepared.readout.spaces}
    store(table, Evaluation(identity=identity, mask=PRESENT, samples=np.arange(len(prepared.patients)), shared=False), spaces, len(prepared.patients), 1)


def _flag_disagreement(results: Mapping[str, Result]) -> None:
    """Warn where two baselines give different contributions."""
    for result in results.values():
        for name in ("by_baseline", "anchor_by_baseline"):
            found = result.arrays.get(name)
            if found is None or "modality" not in found.dims or found.sizes["baseline"] < 2:  # type: ignore[union-attr]
                continue
            spread = found.max("baseline") - found.min("baseline")  # type: ignore[union-attr]
            worst = spread.fillna(0).idxmax("modality").item() if bool((spread > DISAGREEMENT).any()) else None
            if worst is not None:
                each = ", ".join(f"{found.sel(modality=worst, baseline=one).item():.2f} under {one}" for one in found.baseline.values)  # type: ignore[union-attr]
                warnings.warn(f"{result.measure}: baselines disagree on {worst!r} ({each}); a statement about it holds for its baseline only.", ModalensWarning, stacklevel=2)


@contextmanager
def _noting() -> Iterator[list[str]]:
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


# Checks and provenance -----------------------------------------------------------------------------------------------------------


def _checked_groups(groups: Any, samples: int) -> np.ndarray | None:
    if groups is None:
        return None
    found = np.asarray(groups)
    if found.shape != (samples,):
        raise InputError(f"groups: expected one for each of the {samples} samples, came shape {found.shape}.")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise InputError("groups: some are NaN; every sample needs its resampling unit.")
    return found


def _checked_labels(labels: Any, samples: int, readout: Readout) -> np.ndarray:
    """Labels as class positions (n,), 0/1 (n, outputs), or values."""
    found = np.asarray(labels)
    if len(found) != samples:
        raise InputError(f"labels: expected one for each of the {samples} samples, came {len(found)}.")
    if readout.task == "regression":
        if found.dtype.kind not in "fiub" or not np.isfinite(found.astype(float)).all():
            raise InputError("labels: expected finite numbers for a regression.")
        return found.reshape(samples, -1).astype(float)
    if readout.task == "multilabel":
        if found.shape != (samples, len(readout.outputs)) or not np.isin(found, (0, 1)).all():
            raise InputError(f"labels: a multilabel model needs 0 or 1 for each of its {len(readout.outputs)} outputs, shape {(samples, len(readout.outputs))}; came {found.shape}.")
        return found.astype(int)
    found = found.reshape(-1) if found.ndim == 2 and found.shape[1] == 1 else found
    names = list(readout.outputs)
    if found.ndim == 1 and found.dtype.kind in "iu" or found.dtype.kind == "b" or (found.dtype.kind == "f" and np.equal(np.mod(found, 1), 0).all()):
        positions = found.astype(int)
    elif found.ndim == 1 and all(str(label) in names for label in found):
        positions = np.array([names.index(str(label)) for label in found])
    else:
        raise InputError(f"labels: expected class numbers (n,) or names out of {listed(names[:8])}; came shape {found.shape} of {found.dtype}, such as {found.ravel()[0]!r}.")
    if positions.min() < 0 or positions.max() >= max(len(names), 2):
        raise InputError(f"labels: class numbers from {positions.min()} to {positions.max()}, and the model has the outputs {listed(names[:8])} (0 to {len(names) - 1}).")
    return positions


def _resolution(raw: np.ndarray, values: np.ndarray) -> float:
    """Changes below this are rounding of the model's own arithmetic."""
    precision = np.finfo(raw.dtype if raw.dtype.kind == "f" else np.float64).eps
    return float(4 * precision * max(np.abs(values).max(), np.finfo(float).tiny))


def _provenance(prepared: _Prepared, plan: Plan, values: Values, notes: Sequence[str]) -> dict[str, Any]:
    """All that a reader needs to know where the numbers come from; JSON-ready."""
    problem, patients, model = prepared.problem, prepared.patients, prepared.model
    present = len(patients)
    probe = np.ascontiguousarray(prepared.raw[:8])
    rows = {name: count + present for name, count in plan.encoder_rows.items()}
    same = prepared.stand_ins.background is patients
    return {
        "modalens": importlib.metadata.version("modalens"),
        "versions": {name: importlib.metadata.version(name) for name in ("numpy", "scipy", "xarray", "pandas", "scikit-learn", "torch")} | {"python": platform.python_version()},
        "model": model.name,
        "model_fingerprint": model.fingerprint() or f"outputs on probe rows {hashlib.sha256(probe.tobytes()).hexdigest()[:16]}",
        "data": patients.fingerprint(),
        "background": {"rows": len(prepared.stand_ins.background), "data": prepared.stand_ins.background.fingerprint(), "are_the_explained_samples": same},
        "samples": present,
        "groups": None if problem.groups is None else hashlib.sha256(repr(np.unique(problem.groups, return_inverse=True)[1].tolist()).encode()).hexdigest()[:16],
        "seed": problem.seed,
        "modalities": patients.describe(),
        "task": problem.task,
        "outputs": list(problem.outputs),
        "space": problem.space,
        "link": prepared.readout.link,
        "target": prepared.target if isinstance(prepared.target, str | int) else "one a patient",
        "value_function": _value_words(prepared),
        "baselines": prepared.stand_ins.words(),
        "measures": {measure.key: measure.settings(problem) for measure in prepared.measures},
        "encoder_rows": rows,
        "head_rows": plan.head_rows + present,
        "check_rows": prepared.checked,
        "batch_size": prepared.batch_size,
        "blocks": values.blocks,
        "said": [*patients.said, *prepared.readout.said],
        "warnings": list(notes),
    }


def _value_words(prepared: _Prepared) -> str:
    problem = prepared.problem
    quantity = {"probability": "probability", "logit": "log-odds (log p_c - mean log p)", "raw": "output as it comes"}.get(problem.space, f"{problem.space} of the output")
    if problem.target is None:
        which = f"of each of {len(problem.outputs)} outputs by itself"
    elif problem.predicted:
        which = "of the class predicted on the whole input"
    else:
        which = f"of {problem.outputs[int(problem.target[0])]!r}" if len(set(problem.target.tolist())) == 1 else "of the output named for each patient"
    return f"v(S) = {quantity} {which}, with what is outside S replaced; the link is applied to each row first, then rows are averaged"
