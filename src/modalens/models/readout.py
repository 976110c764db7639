"""From what a model returns to named numbers: which of its outputs, on which scale, for which task."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from modalens.errors import InputError, ModalensWarning, choice, listed, nearest
from modalens.problem import Task
from modalens.quantity import ALL

Selector = str | int | Callable[[Any], Any] | None

LINKS = ("softmax", "sigmoid", "identity")
SPACES = ("probability", "logit", "raw")
OF_SURVIVAL = ("probability", "log-hazard", "raw")
TASKS = ("classification", "multilabel", "regression", "survival")


def read(output: Any, rows: int, select: Selector = None) -> np.ndarray:
    """What a model returned, as an array (rows, outputs); one number a row becomes one output.

    Raises InputError for a tuple, dict or ModelOutput without a selector, for another number of rows than patients,
    and for NaN or infinity.
    """
    chosen = selected(output, select)
    if chosen is None:
        raise InputError(
            "the model returned None: expected its outputs, (n,) or (n, outputs); does its forward end with return?"
        )
    values = _as_array(chosen)
    if values.ndim == 0 or len(values) != rows:
        raise InputError(
            f"the model's output has shape {values.shape} for {rows} patients: expected one row each, (n,) or (n, outputs). "
            "A model that averages over the batch, or returns other things first, needs select= (a key, a position, or a function of its output)."
        )
    if values.ndim > 2:
        raise InputError(
            f"the model's output has shape {values.shape}: expected (n,) or (n, outputs); reduce it with select=lambda output: ... ."
        )
    if values.dtype.kind not in "fiub":
        raise InputError(
            f"the model's output has type {values.dtype}: expected numbers (probabilities, logits or values), not labels; use predict_proba or the logits."
        )
    return values.reshape(rows, -1)


def selected(output: Any, select: Selector) -> Any:
    """The entry that counts of what a model returned. Raises InputError where there are several and none is named."""
    if callable(select):
        return select(output)
    keyed = isinstance(output, Mapping)
    if select is not None:
        try:
            return (
                output[select]
                if keyed or (isinstance(output, Sequence) and isinstance(select, int))
                else getattr(output, str(select))
            )
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            known = (
                listed(output)
                if keyed
                else f"{len(output)} entries"
                if isinstance(output, Sequence)
                else type(output).__name__
            )
            raise InputError(f"select={select!r} is not in the model's output, which holds {known}.") from error
    if keyed and len(output) > 1:
        raise InputError(
            f"the model returns {type(output).__name__} with {listed(output)}: say which one counts, such as select={next(iter(output))!r}."
        )
    if isinstance(output, tuple) and len(output) != 1:
        raise InputError(f"the model returns a tuple of {len(output)}: say which entry counts, such as select=0.")
    if keyed:
        return next(iter(output.values()))
    return output[0] if isinstance(output, tuple) else output


def _as_array(output: Any) -> np.ndarray:
    if type(output).__module__.partition(".")[0] == "torch":
        output = output.detach().cpu()
        output = output.float().numpy() if str(output.dtype) in ("torch.bfloat16", "torch.float16") else output.numpy()
    return np.asarray(output)


@dataclass(frozen=True, kw_only=True)
class Readout:
    """How the model's numbers are read: the task, the names of the outputs, the link, the space asked for, and the
    units of values.
    """

    task: Task
    outputs: tuple[str, ...]
    link: str | None
    space: str
    spaces: tuple[str, ...]
    custom: Callable[[np.ndarray], np.ndarray] | None = None
    units: str | None = None
    said: tuple[str, ...] = ()

    def __call__(self, raw: np.ndarray) -> dict[str, np.ndarray]:
        """Every space kept, float64 (rows, outputs), from raw output (rows, raw outputs)."""
        values = raw.astype(np.float64)
        if self.custom is not None:
            found = _checked_custom(self.custom(values), len(values))
            if self.task == "survival" and found.shape[1] > 1:
                _require_survival(found)
            return {self.space: found}
        if self.spaces == ("raw",):
            return {"raw": values}
        if self.task == "survival":
            _require_survival(values)
            clipped = _clipped(values, "log(-log S)", "look at output='probability' instead")
            return {"probability": values, "log-hazard": np.log(-np.log(clipped))}
        return {"softmax": self._from_softmax, "sigmoid": self._from_sigmoid}.get(
            self.link or "", self._from_probability
        )(values)

    def _from_softmax(self, values: np.ndarray) -> dict[str, np.ndarray]:
        return {"probability": softmax(values, axis=1), "logit": values - values.mean(axis=1, keepdims=True)}

    def _from_sigmoid(self, values: np.ndarray) -> dict[str, np.ndarray]:
        if self.task == "multilabel":
            return {"probability": expit(values), "logit": values}
        return {
            "probability": np.concatenate([expit(-values), expit(values)], axis=1),
            "logit": np.concatenate([-values, values], axis=1) / 2,
        }

    def _from_probability(self, values: np.ndarray) -> dict[str, np.ndarray]:
        _require_probabilities(values)
        if self.task == "multilabel":
            clipped = _clipped(values)
            return {"probability": values, "logit": np.log(clipped) - np.log1p(-clipped)}
        probability = np.concatenate([1 - values, values], axis=1) if values.shape[1] == 1 else values
        logs = np.log(_clipped(probability))
        return {"probability": probability, "logit": logs - logs.mean(axis=1, keepdims=True)}


TINY = 1e-12
"""Probabilities are kept this far from 0 and 1 before a logarithm is taken."""


def _clipped(
    probability: np.ndarray, scale: str = "log-odds", remedy: str = "give logits, with link='softmax' or 'sigmoid'"
) -> np.ndarray:
    """Probabilities as near to 0 and 1 as a scale is finite; said where that moves one, since what is cut off there
    looks like interaction.
    """
    clipped = np.clip(probability, TINY, 1 - TINY)
    if (clipped != probability).any():
        warnings.warn(
            f"some probabilities are 0 or 1 (to {TINY:g}), where the {scale} are infinite: they are cut off there, which an additive model shows as interaction on the {scale}; {remedy}.",
            ModalensWarning,
            stacklevel=2,
        )
    return clipped


def _checked_custom(values: np.ndarray, rows: int) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim not in (1, 2) or len(values) != rows:
        raise InputError(
            f"output= gave shape {values.shape} for {rows} patients: the function must return one row each, (n,) or (n, outputs)."
        )
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).reshape(rows, -1).any(axis=1).sum())
        raise InputError(
            f"output= gave NaN or infinite values for {bad} of {rows} rows: expected finite numbers; clip the model's output before a logarithm or a division."
        )
    return values.reshape(rows, -1)


def warn_of_two_links(raw: np.ndarray, link: str | None) -> None:
    """Say so where outputs look like probabilities already, and a link takes them for logits."""
    if link not in ("softmax", "sigmoid") or len(raw) < 8 or raw.min() < 0 or raw.max() > 1:
        return
    if link == "sigmoid" or np.allclose(raw.sum(axis=1), 1, atol=1e-4):
        warnings.warn(
            f"all outputs lie in [0, 1]{' and sum to 1' if link == 'softmax' else ''}, and link={link!r} takes them for logits; leave link= out if they are probabilities.",
            ModalensWarning,
            stacklevel=2,
        )


def decide(
    raw: np.ndarray,
    *,
    link: str | None,
    output: str | Callable[[np.ndarray], np.ndarray],
    task: str | None,
    classes: Sequence[str] | None,
    units: str | None = None,
) -> Readout:
    """The readout that fits the model's first outputs and what the user said; raises InputError where probabilities
    and logits can't be told apart, and for units of what has none.
    """
    if link is not None:
        choice("link", link, LINKS)
    if task is not None:
        choice("task", task, TASKS)
    decided = (
        _survival(raw, link=link, output=output, classes=classes)
        if task == "survival"
        else _decided(raw, link=link, output=output, task=task, classes=classes)
    )
    if units is None:
        return decided
    if not isinstance(units, str) or not units.strip():
        raise InputError(f"units={units!r}: expected the units of the output in words, such as units='mmHg'.")
    if decided.task != "regression":
        kind = "log-risk" if decided.spaces == ("raw",) and decided.task == "survival" else decided.space
        raise InputError(
            f"units={units!r}: expected a regression, and the output is a {kind} (task {decided.task!r}), which has no units; "
            "leave units= out, or say task='regression' where the model returns values."
        )
    return replace(decided, units=units.strip())


def _decided(
    raw: np.ndarray,
    *,
    link: str | None,
    output: str | Callable[[np.ndarray], np.ndarray],
    task: str | None,
    classes: Sequence[str] | None,
) -> Readout:
    """The readout of classes, labels or values."""
    if callable(output):
        width = _checked_custom(output(raw.astype(np.float64)), len(raw)).shape[1]
        space = getattr(output, "__name__", "custom").strip("<>")
        return Readout(
            task="regression",
            outputs=_names(classes, width),
            link=None,
            space=space,
            spaces=(space,),
            custom=output,
            said=("every output is scored by itself",),
        )
    choice("output", output, SPACES)
    width = raw.shape[1]
    if task == "regression" or (task is None and output == "raw" and link is None):
        if output == "logit" or link in ("softmax", "sigmoid"):
            raise InputError(
                f"task='regression' has no log-odds, and output={output!r}, link={link!r} ask for them: leave both out, or name the task."
            )
        return Readout(
            task="regression",
            outputs=_names(classes, width),
            link=link,
            space="raw",
            spaces=("raw",),
            said=() if task else ("task: regression (output='raw' without a link)",),
        )
    decided, said = _decide_task(raw, link, task)
    outputs = _names(
        classes, 2 if decided == "classification" and width == 1 else width, binary=decided == "classification"
    )
    # Several raw logits are identified only up to a constant, so what is kept of them is centred: the log-odds.
    centred = output == "raw" and link == "softmax"
    space = "logit" if centred else output
    return Readout(
        task=decided,
        outputs=outputs if space != "raw" else _names(classes if width > 1 else None, width),
        link=link,
        space=space,
        spaces=("raw",) if space == "raw" else ("probability", "logit"),
        said=(
            *said,
            *(("raw logits are centred in each row, since a softmax does not see a constant",) if centred else ()),
        ),
    )


def _survival(
    raw: np.ndarray,
    *,
    link: str | None,
    output: str | Callable[[np.ndarray], np.ndarray],
    classes: Sequence[str] | None,
) -> Readout:
    """The readout of a log-risk (one column), or of the probabilities of surviving to several times."""
    if link not in (None, "identity"):
        raise InputError(
            f"link={link!r} with task='survival': expected a log-risk (one column, higher = earlier event) or probabilities of surviving to each time; "
            "leave link= out, and make such probabilities of hazards with output=, such as output=lambda hazards: np.cumprod(1 - hazards, axis=1)."
        )
    custom = output if callable(output) else None
    if not callable(output):
        choice("output", output, OF_SURVIVAL)
    values = raw.astype(np.float64) if custom is None else _checked_custom(custom(raw.astype(np.float64)), len(raw))
    width = values.shape[1]
    if width > 1:
        _require_survival(values)
        _warn_of_rises(values)
    elif output == "log-hazard":
        raise InputError(
            "output='log-hazard' needs probabilities of surviving to several times, and the model has one output, a log-risk; leave output= out."
        )
    names = classes or (["log-risk"] if width == 1 else [f"time {place}" for place in range(width)])
    spaces: tuple[str, ...] = ("raw",) if width == 1 else ("probability", "log-hazard")
    space = "raw" if width == 1 else "log-hazard" if output == "log-hazard" else "probability"
    if custom is not None:
        space = getattr(custom, "__name__", "custom").strip("<>")
        spaces = (space,)
    return Readout(task="survival", outputs=_names(names, width), link=None, space=space, spaces=spaces, custom=custom)


def _require_survival(values: np.ndarray) -> None:
    """Refuse probabilities of surviving outside [0, 1]."""
    low, high = float(values.min()), float(values.max())
    if low < -1e-6 or high > 1 + 1e-6:
        raise InputError(
            f"task='survival' with {values.shape[1]} outputs: they lie between {low:.3g} and {high:.3g}, expected probabilities of surviving to each time, in [0, 1]. "
            "Give one column for a log-risk (higher = earlier event), or make such probabilities of hazards with output=, such as "
            "output=lambda hazards: np.cumprod(1 - hazards, axis=1)."
        )


def _warn_of_rises(values: np.ndarray) -> None:
    """Say so where survival rises with time, as hazards, densities and the probability of an event do."""
    if (np.diff(values, axis=1) > 1e-3).any():
        warnings.warn(
            "task='survival': some patients' outputs rise from one time to a later one, and the probability of surviving can't: "
            "expected columns in order of time; hazards, densities and probabilities of the event are no survival (output= can turn them into it).",
            ModalensWarning,
            stacklevel=2,
        )


def _decide_task(raw: np.ndarray, link: str | None, task: str | None) -> tuple[Task, tuple[str, ...]]:
    width = raw.shape[1]
    if link == "softmax":
        if width < 2 or task == "multilabel":
            raise InputError(
                f"link='softmax' needs at least two exclusive outputs; the model has {width} and task={task!r}: use link='sigmoid'."
            )
        return "classification", () if task else ("task: classification (link='softmax')",)
    if link == "sigmoid":
        if task == "classification" and width > 1:
            raise InputError(
                f"link='sigmoid' with {width} outputs is multilabel: say task='multilabel', or link='softmax' for exclusive classes."
            )
        decided: Task = "multilabel" if width > 1 or task == "multilabel" else "classification"
        return decided, () if task else (f"task: {decided} (link='sigmoid', {width} outputs)",)
    _require_probabilities(raw)
    exclusive = width > 1 and bool(np.allclose(raw.sum(axis=1), 1, atol=1e-3))
    if task == "classification" and width > 1 and not exclusive:
        raise InputError(
            "task='classification', and the outputs of a row do not sum to 1: say task='multilabel', or give link='softmax' if they are logits."
        )
    decided = "multilabel" if task == "multilabel" or (width > 1 and not exclusive) else "classification"
    why = (
        "one probability a patient"
        if width == 1
        else "outputs sum to 1"
        if exclusive
        else "outputs in [0, 1] that do not sum to 1"
    )
    return decided, () if task else (f"task: {decided} ({why})",)


def _require_probabilities(values: np.ndarray) -> None:
    """Refuse outputs outside [0, 1] where no link says how they become probabilities: at once, or under the first
    mask that shows it.
    """
    low, high = float(values.min()), float(values.max())
    if low < -1e-6 or high > 1 + 1e-6:
        raise InputError(
            f"the model's outputs lie between {low:.3g} and {high:.3g}, expected probabilities in [0, 1], and nothing says how they become some: "
            "give link='softmax' (exclusive classes) or link='sigmoid' (one class, or several labels) if they are logits, or task='regression' if they are values."
        )


def _names(classes: Sequence[str] | None, width: int, binary: bool = False) -> tuple[str, ...]:
    if classes is None:
        return ("output",) if width == 1 else tuple(map(str, range(width)))
    if len(classes) != width or len(set(classes)) != width:
        hint = "; one probability counts as the two classes (1 - p, p)" if binary and width == 2 else ""
        raise InputError(
            f"classes={list(classes)!r}: expected {width} different names{hint}; give one for each output."
        )
    return tuple(map(str, classes))


def targets(target: Any, probability: np.ndarray, readout: Readout) -> tuple[np.ndarray | None, bool]:
    """The output that counts for each patient, and whether it is the predicted class; None where every output is
    scored by itself.

    Raises InputError for a name or number that is no output, and for another number of targets than patients.
    """
    rows, width = probability.shape
    if isinstance(target, str) and target == "predicted":
        if readout.task == "classification" and width > 1:
            return probability.argmax(axis=1), True
        return (np.zeros(rows, dtype=int), False) if width == 1 else (None, False)
    names = list(readout.outputs)
    if isinstance(target, str) and target == ALL and ALL not in names:
        if readout.task == "classification":
            raise InputError(
                "target='all' is for several labels, values or times, and these outputs are exclusive classes: give 'predicted', a class, or one a patient."
            )
        return (np.zeros(rows, dtype=int), False) if width == 1 else (None, False)
    single = isinstance(target, str | int | np.integer)
    if not single and not np.iterable(target):
        raise InputError(
            f"target={target!r}: expected 'predicted', an output's name or number, or one a patient; the model has {listed(names[:12])}."
        )
    wanted = [target] if single else list(target)
    if not single and len(wanted) != rows:
        raise InputError(
            f"target: expected one output for all, or one for each of the {rows} patients, came {len(wanted)}; give target='predicted', a name, a number, or {rows} of them."
        )
    positions = [_position(value, names) for value in wanted]
    return np.broadcast_to(np.array(positions), rows).copy(), False


def _position(target: Any, names: list[str]) -> int:
    if isinstance(target, str | np.str_):
        if str(target) not in names:
            raise InputError(
                f"target={str(target)!r} is no output of the model, which has {listed(names[:12])}{nearest(str(target), names)}; give one of them, or their names in classes=."
            )
        return names.index(str(target))
    if isinstance(target, bool | float) or not 0 <= int(target) < len(names):
        raise InputError(
            f"target={target!r} is out of range: the model has {len(names)} outputs, {listed(names[:12])}; give 0 to {len(names) - 1}, or a name."
        )
    return int(target)
