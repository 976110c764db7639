"""The way from a model and its data to an explanation, taken step by step on a few rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from modalens.baselines import Background
from modalens.evaluation import StandIns, check_rows
from modalens.evaluation.checks import Checked
from modalens.evaluation.engine import as_torch, few_rows
from modalens.modalities.patients import Patients, gather
from modalens.models import Calling, Model, Readout, adapt, output_of, read
from modalens.models.calling import checked_collate
from modalens.problem import Mask, Problem
from modalens.setting import Setting, prepare

if TYPE_CHECKING:
    from modalens.models.fusion import FusionPoint

FEW = 4
"""Patients that are run as they are, and under each replacement."""

MORE = 64
"""Patients that are run, a few at a time, before it is said that nothing changes."""

OF_THE_MODEL = ("modalities", "present", "forward", "collate")
"""Settings without which neither the inputs nor the model can be looked at."""

T = TypeVar("T")


class NotReached(Exception):
    """A step that can't be taken before something else is mended; the message says what."""


class Step(Generic[T]):
    """A step of the way, taken when it is asked for, and once. Whoever asks first gets its error; later ones learn
    which check that was.
    """

    def __init__(self, take: Callable[[Any], T]) -> None:
        self.take, self.__doc__ = take, take.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, trial: Trial, owner: type) -> T:
        if self.name in trial.failed:
            raise NotReached(f"it rests on what is told under “{trial.failed[self.name]}”")
        if self.name not in trial.taken:
            try:
                trial.taken[self.name] = self.take(trial)
            except NotReached:
                raise
            except Exception:
                trial.failed[self.name] = trial.check
                raise
        return trial.taken[self.name]


@dataclass(frozen=True)
class Counted(Model):
    """A model whose rows are counted by a trial."""

    model: Model
    trial: Trial

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def precision(self) -> float:  # type: ignore[override]
        return self.model.precision

    def require(self, bundles: Any) -> None:
        self.model.require(bundles)

    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        first = next(iter(inputs.values()))
        self.trial.rows += len(next(iter(first.values())) if isinstance(first, Mapping) else first)
        return self.model(inputs)


class Trial:
    """A model, its data, and the settings of `explain`. `check` is the check that is under way, `obstacles` whether one
    has been found so far, `rows` the rows run, `refused` the settings that can't be used, and why.
    """

    def __init__(self, given: Any, inputs: Any, settings: Mapping[str, Any], closing: ExitStack) -> None:
        self.given, self.inputs, self.settings, self.closing = given, inputs, dict(settings), closing
        self.check = ""
        self.obstacles = False
        self.rows = 0
        self.refused: dict[str, Exception] = {}
        self.taken: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        self.known: dict[tuple[int, ...], np.ndarray] = {}

    def reach(self, step: str) -> None:
        """Take a step for what it needs. Raises NotReached where that stands in its way."""
        getattr(self, step)

    def go_on_with(self, calling: Calling) -> None:
        """Call the model in another way from here on."""
        self.settings |= {"forward": calling.forward, "collate": calling.collate}
        for step in ("adapted", "model", "output"):
            self.failed.pop(step, None)
            self.taken.pop(step, None)

    # what was given --------------------------------------------------------------------------------------------------

    @Step
    def patients(self) -> Patients:
        """The inputs, checked and cut."""
        return gather(self.inputs, self.settings.get("modalities"), self.settings.get("present"))

    @Step
    def adapted(self) -> Model:
        """The model behind one interface, in its session for as long as the checks go on."""
        collate = checked_collate(self.settings.get("collate"))
        model = adapt(self.given, Calling(forward=self.settings.get("forward"), collate=collate))
        self.closing.enter_context(model.session())
        return model

    @Step
    def model(self) -> Model:
        """The same, known to take these modalities."""
        self.adapted.require(self.patients.members)
        return self.adapted

    @Step
    def setting(self) -> Setting:
        """Everything together. Settings that can't be used are `refused`, each by itself, and left out."""
        model = self.model
        try:
            return prepare(model, self.inputs, **self.settings)
        except Exception:
            accepted = {name: self.settings[name] for name in OF_THE_MODEL if name in self.settings}
        # The background first: the others are fitted on it.
        for name in sorted(set(self.settings) - set(accepted), key=lambda one: (one != "background", one)):
            try:
                prepare(model, self.inputs, **accepted, **{name: self.settings[name]})
                accepted[name] = self.settings[name]
            except Exception as error:
                self.refused[name] = error
        try:
            return prepare(model, self.inputs, **accepted)
        except Exception:
            self.refused.clear()
            raise

    @Step
    def stand_ins(self) -> StandIns:
        """What replaces each modality."""
        one = self.setting
        return StandIns(patients=one.patients, background=one.background, assignments=one.assignments, seed=one.seed)

    @Step
    def torch_rows(self) -> tuple[Any, dict[str, Any]] | None:
        """The torch model and a few rows as it takes them; None where it is none."""
        model = as_torch(self.model)
        return None if model is None else (model, few_rows(model, self.stand_ins))

    @Step
    def point(self) -> FusionPoint | None:
        """The fusion point, looked for as the settings say; None for what is no torch module, and where none is asked."""
        asked = self.setting.encoders
        if self.torch_rows is None or asked == "whole":
            return None
        model, few = self.torch_rows
        known: FusionPoint | None = model.remembered(few, asked)
        found: FusionPoint = known or model.separate(few, "graph" if isinstance(asked, str) else asked)
        self.rows += 0 if known else found.check_rows
        return found

    # what the model says ---------------------------------------------------------------------------------------------

    @Step
    def few(self) -> Patients:
        """A few patients, those with every modality if there are any."""
        return self.patients.take(self.patients.first(FEW))

    @Step
    def output(self) -> Any:
        """What the model returns for them, as it comes."""
        few = self.few
        return output_of(self.counted, few.restored())

    @Step
    def raw(self) -> np.ndarray:
        """The same as an array (rows, outputs), finite or not."""
        found = read(self.output, len(self.few), self.settings.get("select"))
        self.known[tuple(self.patients.first(FEW).tolist())] = found
        return found

    @Step
    def finite(self) -> np.ndarray:
        """Which of the few have a finite output, (rows,)."""
        found = np.isfinite(self.raw).all(axis=1)
        if not found.any():
            raise NotReached("none of the first outputs is a finite number")
        return found

    @Step
    def readout(self) -> Readout:
        """How the model's numbers are read."""
        return self.setting.readout(self.raw[self.finite])

    @Step
    def checked(self) -> Checked:
        """The few with a finite output, run again and beside others."""
        able = self.few.take(np.flatnonzero(self.finite))
        return check_rows(self.counted, able, self.setting.background, self.setting.select)

    @Step
    def problem(self) -> Problem:
        """What is measured, whatever the targets and labels are."""
        return self.of_any_target.problem(self.raw[self.finite], self.readout, self.checked.noise)

    @property
    def of_any_target(self) -> Setting:
        """The setting without what is compared with the outputs."""
        return replace(self.setting, target="predicted", labels=None)

    @property
    def counted(self) -> Model:
        return Counted(self.model, self)

    def outputs(self, patients: Patients) -> np.ndarray:
        """The model's outputs for these patients, (patients, outputs)."""
        return read(output_of(self.counted, patients.restored()), len(patients), self.setting.select)

    def as_they_are(self, rows: np.ndarray) -> np.ndarray:
        """The outputs for patients of the inputs, each few of them run once."""
        key = tuple(rows.tolist())
        if key not in self.known:
            self.known[key] = self.outputs(self.setting.patients.take(rows))
        return self.known[key]

    # which patients, and what stands in for their modalities ------------------------------------------------------------

    def spread_out(self, name: str | None = None) -> Iterator[np.ndarray]:
        """Patients a few at a time, the first ones and then others from all over the data; those who have this
        modality. Complete ones where there are any.
        """
        known = np.arange(len(self.patients)) if name is None else np.flatnonzero(self.patients.having(name))
        complete = np.intersect1d(known, self.patients.complete)
        rows = complete if len(complete) else known
        everywhere = rows[np.linspace(0, len(rows) - 1, min(MORE, len(rows))).astype(int)]
        chosen = np.array(list(dict.fromkeys([*rows[:FEW], *everywhere])))
        for start in range(0, len(chosen), FEW):
            yield chosen[start : start + FEW]

    def replaced(self, rows: np.ndarray, names: tuple[str, ...], label: str) -> Patients:
        """These patients with what a baseline puts in the place of modalities: a fill, or one background row each."""
        stand_ins, patients = self.stand_ins, self.setting.patients.take(rows)
        key, draws = stand_ins.key(Mask.without(*names), label, "part")
        samples, place = dict(patients.samples), np.arange(len(rows))
        for name, _, slot in key:
            kind = patients.modalities[name]
            if isinstance(stand_ins.baseline(name, slot), Background):
                donors = stand_ins.donors(name, slot, draws, frozenset(names))
                chosen = donors[place % draws] if donors.ndim == 1 else donors[rows, place % draws]
                samples[name] = kind.take(stand_ins.background.samples[name], chosen)
            else:
                fill = stand_ins.fill(name, slot)
                samples[name] = kind.take(fill, rows if len(fill) > 1 else np.zeros_like(rows))
        return replace(patients, samples=samples)

    def exchanged(self, rows: np.ndarray, name: str) -> Patients:
        """These patients with this modality of others: background patients, half of all further on."""
        patients, others = self.setting.patients.take(rows), self.setting.background
        donors = (rows + max(len(others) // 2, 1)) % len(others)
        samples = patients.modalities[name].take(others.samples[name], donors)
        return replace(patients, samples=dict(patients.samples) | {name: samples})


@contextmanager
def same_randomness() -> Iterator[None]:
    """Python's and NumPy's own random numbers go on afterwards as if nobody had drawn any; torch's are kept by the
    session of its model.
    """
    before, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002 (a model may draw from it)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numbers)  # noqa: NPY002
