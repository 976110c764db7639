"""From what a model returns to named numbers: which of its outputs, on which scale, for which task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from modalens.errors import InputError, choice, listed, nearest
from modalens.problem import Task

Selector = str | int | Callable[[Any], Any] | None

LINKS = ("softmax", "sigmoid", "identity")
SPACES = ("probability", "logit", "raw")
TASKS = ("classification", "multilabel", "regression")


def read(output: Any, rows: int, select: Selector = None) -> np.ndarray:
    """What a model returned, as an array (rows, outputs); one number a row becomes one output.

    Raises InputError for a tuple, dict or ModelOutput without a selector, for another number of rows than patients,
    and for NaN or infinity.
    """
    values = _as_array(selected(output, select))
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
    """How the model's numbers are read: the task, the names of the outputs, the link, and the space asked for."""

    task: Task
    outputs: tuple[str, ...]
    link: str | None
    space: str
    spaces: tuple[str, ...]
    custom: Callable[[np.ndarray], np.ndarray] | None = None
    said: tuple[str, ...] = ()

    def __call__(self, raw: np.ndarray) -> dict[str, np.ndarray]:
        """Every space kept, float64 (rows, outputs), from raw output (rows, raw outputs)."""
        values = raw.astype(np.float64)
        if self.custom is not None:
            return {self.space: _checked_custom(self.custom(values), len(values))}
        if self.spaces == ("raw",):
            return {"raw": values}
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

    def probability_of_logit(self, logit: np.ndarray) -> np.ndarray:
        """The probabilities that belong to log-odds as `spaces` holds them, outputs on the last axis."""
        if self.task == "multilabel":
            return np.asarray(expit(logit))
        return np.asarray(softmax(logit, axis=-1))


TINY = 1e-12
"""Probabilities are kept this far from 0 and 1 before a logarithm is taken."""


def _clipped(probability: np.ndarray) -> np.ndarray:
    return np.clip(probability, TINY, 1 - TINY)


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


def decide(
    raw: np.ndarray,
    *,
    link: str | None,
    output: str | Callable[[np.ndarray], np.ndarray],
    task: str | None,
    classes: Sequence[str] | None,
) -> Readout:
    """The readout that fits the model's first outputs and what the user said; raises InputError where probabilities
    and logits can't be told apart.
    """
    if link is not None:
        choice("link", link, LINKS)
    if task is not None:
        choice("task", task, TASKS)
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
