"""The verb plant: a known contribution is put into a model, and the measures are asked for it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from modalens.errors import InputError, ModalensWarning, require_keywords_of
from modalens.evaluation.progress import Bar
from modalens.explanation import Explanation
from modalens.folds import held_out
from modalens.measures import InterSHAP, Measure, Occlusion, Reliance, Shapley
from modalens.modalities import Modality
from modalens.modalities.patients import Patients, gather, gather_background
from modalens.models import Calling, Model, adapt
from modalens.models.calling import checked_collate
from modalens.pipeline import explain, noting
from modalens.planting.marked import Marks, marks_for, random_half
from modalens.planting.markers import Marker
from modalens.planting.measured import OWN_PART, Bounded, beside, of_marked_parts, shares, stacked
from modalens.planting.mixture import Planted, ends, values_of
from modalens.planting.opposites import shuffled, with_random_weights
from modalens.planting.result import Opposite, Planting, Way
from modalens.problem import EXACT_LIMIT
from modalens.refits import Reading, Train, classes_of, complete, count_of, fit, rows_of

SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)
STRENGTHS = (0.5, 0.75, 0.95)

OPPOSITE = 0.99
"""Confidence of the verdicts on models that can know nothing: of several modalities one would get a verdict by chance in more than
one check of twenty at .95.
"""


def plant(
    model: Any = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    marker: str | Marker | Sequence[str | Marker],
    train: Train | None = None,
    labels: Any = None,
    share: Sequence[float] = SHARES,
    strength: Sequence[float] = STRENGTHS,
    background: Mapping[str, Any] | None = None,
    measures: Sequence[Measure] | None = None,
    modalities: Mapping[str, Modality] | None = None,
    present: Mapping[str, Any] | None = None,
    groups: Any = None,
    folds: int = 4,
    randomised: bool = True,
    seed: int = 0,
    progress: bool | None = None,
    **settings: Any,
) -> Planting:
    """Would the measures see a shortcut in this model if there were one?

    With a trained `model`: a mark is put into a random half of the patients, and a known contribution of it is mixed
    into the model, planted(x) = (1 - share) f(x) + share g(mark of x), in probabilities (in values for a regression).
    At share 1 the mark is everything that counts, so the truth is known: 1 for its modality, 0 for the others. With
    `train`: the mark is put into training patients so that it agrees with the label as often as `strength` says, and a
    model is trained on them; on patients held out, whose marks are random, the measures stand beside what the model
    does when only the mark is changed.

    Parameters
    ----------
    model, inputs : as `explain` takes them; or
    train, inputs, labels : (inputs, labels, seed) -> trained model, as `usefulness` takes it.
    marker : the modality that is marked, or `ml.Marker(modality, at=, size=, value=)`; two of them, in two modalities,
        for an interaction: what counts is whether just one of the marks is there.
    labels : with a model, of the patients: shuffled, they tell whether a randomised model is no better than chance.
    share : how much is mixed in, each between 0 and 1. strength : how often mark and label agree, each 0.5 to 1.
    background : other patients, as `explain` takes them; half of them are marked too. Without it, and with `train`, the
        patients themselves, or those trained on.
    measures : those that are asked; `Occlusion()`, `Shapley()` and `InterSHAP()` unless given. Judged are shares.
    groups : resampling unit of each row; with `train` it is held out as a whole. folds : one in so many is held out.
    randomised : whether the opposite is checked too: a copy of a torch module whose weights are drawn anew, and a model
        trained on shuffled labels. No verdict may be given on them; they are scored against shuffled labels too.
    seed : all that is random follows from it. progress : None shows a bar for runs of more than two seconds.
    modalities, present and all further settings : as `explain` takes them (link, output, task, classes, forward, ...).

    Returns
    -------
    Planting: `verdict` ("found: ...", "not found: ...", "withheld: ..."), `planted`, `measured`, `plot()`.

    Raises
    ------
    InputError : a modality that is not there, or a mark that patients carry already.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> random = np.random.default_rng(0)
    >>> inputs = {"image": random.normal(size=(40, 16, 16)), "age": random.normal(size=(40, 1))}
    >>> model = lambda image, age: 1 / (1 + np.exp(-image.mean(axis=(1, 2)) * 16 - age[:, 0]))
    >>> found = ml.plant(model, inputs, marker="image", share=(0, 0.5, 1))
    >>> found.verdict.partition(":")[0], found.measured["value"].sel(view="Shapley value", step=1).item()
    ('found', 1.0)
    """
    require_keywords_of(explain, "plant", settings)
    if inputs is None or (model is None) == (train is None):
        raise InputError(
            "plant needs inputs and either a trained model or a training function: plant(model, inputs, marker='ct'), or plant(inputs=inputs, labels=labels, train=train, marker='ct')."
        )
    if callable(settings.get("output")):
        raise InputError(
            "plant mixes probabilities or values, and output= is a function: give 'probability', 'logit' or 'raw', and the function inside of the model."
        )
    request = _Request(
        measures=measures,
        modalities=modalities,
        present=present,
        background=background,
        groups=None if groups is None else np.asarray(groups),
        labels=labels,
        seed=seed,
        settings=settings,
    )
    patients = gather(inputs, modalities, present)
    marks = marks_for(marker, patients)
    marks.require_readable(patients)
    with noting() as notes:
        if train is not None:
            steps = _checked(strength, "strength", 0.5)
            found = _Retrained(request, marks, patients, train, folds).planting(steps, randomised, progress)
        else:
            steps = _checked(share, "share", 0.0)
            found = _Mixed(request, marks, patients, model).planting(steps, randomised, progress)
    for message in notes:
        warnings.warn(message, ModalensWarning, stacklevel=2)
    return found


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What is asked of every model, whatever was planted."""

    measures: Sequence[Measure] | None
    modalities: Mapping[str, Modality] | None
    present: Mapping[str, Any] | None
    background: Mapping[str, Any] | None
    groups: np.ndarray | None
    labels: Any
    seed: int
    settings: Mapping[str, Any]

    @property
    def reading(self) -> Reading:
        """How outputs are read before anything is mixed in."""
        given = self.settings
        return Reading(
            link=given.get("link"),
            output="raw" if given.get("output") == "raw" else "probability",
            task=given.get("task"),
            classes=given.get("classes"),
            select=given.get("select"),
            calling=Calling(forward=given.get("forward"), collate=checked_collate(given.get("collate"))),
        )

    def asked(self, modalities: int) -> list[Measure]:
        if self.measures is not None:
            return list(self.measures)
        return [Occlusion(), Shapley(), InterSHAP()] if 2 <= modalities <= EXACT_LIMIT else [Occlusion()]


class _Way:
    """What both ways of planting share: marked patients, and what measures say of them."""

    def __init__(self, request: _Request, marks: Marks, patients: Patients) -> None:
        self.request, self.marks = request, marks
        self.carriers = random_half(len(patients), marks.names, request.seed)
        self.marked = marks.put(patients, self.carriers)

    def explained(
        self, model: Any, background: Mapping[str, Any] | None, labels: Any, *, labelled: bool = False, **settings: Any
    ) -> Explanation:
        """The measures on marked patients; with `labelled`, and Reliance where there are labels, which are shuffled."""
        measures = self.request.asked(len(self.marked.modalities))
        if labelled and labels is not None:
            # Of random weights some follow the true labels by luck, and a verdict on those would be right.
            labels = rows_of(labels, shuffled(count_of(labels), self.request.seed))
            settings["confidence"] = OPPOSITE
            measures = measures if any(isinstance(one, Reliance) for one in measures) else [*measures, Reliance()]
        return explain(
            model,
            self.marked.restored(),
            measures=measures,
            modalities=self.request.modalities,
            background=background,
            present=self.present,
            groups=self.groups,
            labels=labels,
            seed=self.request.seed,
            progress=False,
            **settings,
        )

    @property
    def present(self) -> dict[str, np.ndarray] | None:
        return dict(self.marked.has) or None

    @property
    def groups(self) -> np.ndarray | None:
        return self.request.groups

    def collected(
        self,
        way: Way,
        planted: Mapping[float, float],
        found: Mapping[float, Explanation],
        opposites: Sequence[Opposite],
    ) -> Planting:
        """All that was measured, by step."""
        measured = {step: self.measured(one) for step, one in found.items()}
        steps = {"step": list(found)}
        return Planting(
            way=way,
            markers=self.marks.names,
            words=self.marks.words,
            planted=xr.DataArray([planted[step] for step in found], dims="step", coords=steps),
            measured=stacked({step: views for step, (views, _) in measured.items()}),
            on_top=xr.DataArray([top for _, top in measured.values()], dims="step", coords=steps),
            opposites=tuple(opposites),
            explanations=dict(found),
            settings={"seed": self.request.seed, "patients": len(self.marked)},
        )

    def measured(self, explanation: Explanation) -> tuple[dict[str, Bounded], bool]:
        """The share by every view, and whether the mark's part is the top one of its modality."""
        views = shares(explanation, self.marks.names)
        own, on_top = of_marked_parts(explanation, self.marks, self.cut, self.groups, self.request.seed)
        return (views | {OWN_PART: own} if "occlusion" in explanation.results else views), on_top

    @cached_property
    def cut(self) -> Patients:
        """The marked patients, cut into parts."""
        return gather(self.marked.restored(), self.request.modalities, self.present)

    def opposite(self, name: str, explanation: Explanation) -> Opposite:
        return Opposite(name=name, explanation=explanation, shares=beside(self.measured(explanation)[0]))


class _Mixed(_Way):
    """A known contribution is mixed into a trained model."""

    def __init__(self, request: _Request, marks: Marks, patients: Patients, model: Any) -> None:
        super().__init__(request, marks, patients)
        self.model = adapt(model, request.reading.calling)
        self.module = model
        self.model.require(patients.members)
        self.background: dict[str, Any] | None = None
        if request.background is not None:
            others = gather_background(request.background, patients)
            marks.require_readable(others)
            self.background = marks.put(others, random_half(len(others), marks.names, request.seed + 1)).restored()

    def planting(self, steps: Sequence[float], randomised: bool, progress: bool | None) -> Planting:
        reading = self.request.reading
        raw = reading.raw(self.model, self.marked)
        readout = reading.readout(self.model, raw)
        low, high = ends(readout, values_of(readout, raw))
        read_here = ("link", "select", "forward", "collate", "encoders", "batch_size", "task", "classes")
        settings = {name: value for name, value in self.request.settings.items() if name not in read_here}
        known: dict[bytes, np.ndarray] = {}
        found = {}
        with Bar(len(steps) + randomised, progress, doing="explaining planted models", unit="models") as bar:
            for step in steps:
                planted = Planted(
                    model=self.model, marks=self.marks, share=step, readout=readout, select=reading.select, low=low, high=high, known=known
                )  # fmt: skip
                found[step] = self.explained(
                    planted,
                    self.background,
                    self.request.labels,
                    task=readout.task,
                    classes=readout.outputs,
                    **settings,
                )
                bar.advance(1)
            opposites = [self._random_weights()] if randomised and is_module(self.module) else []
            bar.advance(1)
        return self.collected("mixed", {step: step for step in steps}, found, opposites)

    def _random_weights(self) -> Opposite:
        drawn = with_random_weights(self.module, self.request.seed)
        explanation = self.explained(
            drawn, self.background, self.request.labels, labelled=True, **self.request.settings
        )
        return self.opposite("randomised weights", explanation)


class _Retrained(_Way):
    """The mark is planted into the data that models are trained on."""

    def __init__(self, request: _Request, marks: Marks, patients: Patients, train: Train, folds: int) -> None:
        if request.labels is None:
            raise InputError("plant(train=...) needs labels, one for each patient.")
        if request.background is not None:
            raise InputError(
                "background: with train=, the patients that are trained on stand in for what is absent; leave it out."
            )
        everyone, labels, groups, _ = complete(patients, request.labels, request.groups)
        classes = classes_of(labels, request.settings.get("task"))
        test = held_out(len(everyone), folds=folds, seed=request.seed, classes=classes, groups=groups)[0]
        rest = np.setdiff1d(np.arange(len(everyone)), test)
        super().__init__(request, marks, everyone.take(test))
        self.train, self.fitted, self.held = train, everyone.take(rest), everyone.take(test)
        self.labels, self.test_labels = rows_of(labels, rest), rows_of(labels, test)
        self.test_groups = None if groups is None else groups[test]
        self.positive = _positive(self.labels)
        half = random_half(len(rest), marks.names, request.seed + 1)
        self.half_marked = marks.put(self.fitted, half)

    @property
    def groups(self) -> np.ndarray | None:
        return self.test_groups

    def planting(self, steps: Sequence[float], randomised: bool, progress: bool | None) -> Planting:
        found, behaviour = {}, {}
        with Bar(len(steps) + 2 * randomised, progress, doing="training and explaining", unit="models") as bar:
            for step in steps:
                model = self._trained(self.marks.put(self.fitted, self._agreeing(step)), self.labels)
                found[step], behaviour[step] = self._explained_here(model), self._behaviour(model)
                bar.advance(1)
            opposites = list(self._opposites(model, bar.advance)) if randomised else []
        return self.collected("trained", behaviour, found, opposites)

    def _explained_here(self, model: Model, *, labelled: bool = False) -> Explanation:
        return self.explained(
            model, self.half_marked.restored(), self.test_labels, labelled=labelled, **self.request.settings
        )

    def _opposites(self, model: Model, advance: Callable[[int], None]) -> list[Opposite]:
        order = shuffled(count_of(self.labels), self.request.seed)
        ignorant = self._trained(self.half_marked, rows_of(self.labels, order))
        found = [self.opposite("randomised labels", self._explained_here(ignorant, labelled=True))]
        advance(1)
        module = getattr(model, "module", None)
        if is_module(module):
            drawn = adapt(with_random_weights(module, self.request.seed), self.request.reading.calling)
            found.insert(0, self.opposite("randomised weights", self._explained_here(drawn, labelled=True)))
        advance(1)
        return found

    def _trained(self, patients: Patients, labels: Any) -> Model:
        return fit(self.train, patients, labels, self.request.seed, self.request.reading.calling)

    def _agreeing(self, strength: float) -> dict[str, np.ndarray]:
        """Who carries which mark, so that the sign of the marks agrees with the label as often as asked for."""
        generator = np.random.default_rng(np.random.SeedSequence((self.request.seed, 6)))
        agrees = generator.random(len(self.positive)) < strength
        sign = np.where(agrees, self.positive, ~self.positive)
        first, *rest = self.marks.names
        if not rest:
            return {first: sign}
        own = generator.random(len(sign)) < 0.5
        return {first: own, rest[0]: own ^ sign}

    def _behaviour(self, model: Model) -> float:
        """How much the model's answer changes when only the (first) mark of each patient is put in or taken out: the
        share of other predictions; of values, the share of their variance that the mark makes.
        """
        first = self.marks.names[0]
        flipped = self.marks.put(self.held, self.carriers | {first: ~self.carriers[first]})
        reading = self.request.reading
        (one, readout), (other, _) = reading.outputs(model, self.marked), reading.outputs(model, flipped)
        if readout.task == "classification" and one.shape[1] > 1:
            return float((one.argmax(axis=1) != other.argmax(axis=1)).mean())
        if readout.task in ("classification", "multilabel"):
            return float(((one > 0.5) != (other > 0.5)).mean())
        spread = np.concatenate([one, other]).var(axis=0).mean()
        return float(((one - other) ** 2).mean() / 4 / spread) if spread > 0 else 0.0


def is_module(model: Any) -> bool:
    """Whether this is a torch module; torch is not imported for those who have none."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _positive(labels: Any) -> np.ndarray:
    """Whose label the mark is to agree with, (n,) bool: the last class, values above the median, the first of several
    labels, an event.
    """
    values = np.asarray(labels[1] if isinstance(labels, tuple) else labels)
    if values.dtype.names or values.ndim > 2:
        raise InputError(
            "labels: plant(train=...) needs classes or values, one for each patient; survival times can't be agreed with."
        )
    values = values[:, 0] if values.ndim == 2 else values
    kinds = np.unique(values)
    if len(kinds) < 2:
        raise InputError("labels: all are the same, so no mark can agree with them.")
    if values.dtype.kind == "f" and len(kinds) > 2:
        return np.asarray(values > np.median(values))
    return np.asarray(values == kinds[-1])


def _checked(steps: Sequence[float], name: str, least: float) -> list[float]:
    found = [steps] if isinstance(steps, int | float) else list(steps)
    if (
        not found
        or any(not isinstance(one, int | float) or not least <= one <= 1 for one in found)
        or len(set(found)) < len(found)
    ):
        raise InputError(
            f"{name}={steps!r}: give different shares between {least:g} and 1, such as {SHARES if name == 'share' else STRENGTHS}."
        )
    return [float(one) for one in found]
