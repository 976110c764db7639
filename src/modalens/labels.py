"""Labels, checked, in the one form that measures score against: classes, labels, values, or times and events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from modalens.errors import InputError, listed
from modalens.models import Readout

TIME_AND_EVENT = (
    "(time, event) of each sample: an array (n, 2), a structured array or a DataFrame with these two columns, or a pair of arrays; "
    "the event is 1 where it was seen and 0 where the sample was censored"
)


def checked_labels(labels: Any, samples: int, readout: Readout) -> np.ndarray:
    """Labels as measures take them.

    Parameters
    ----------
    labels : class numbers or names (n,), 0/1 (n, labels), values (n,) or (n, outputs), or times and events; as the
        task asks for.
    samples : how many patients are explained. readout : the task, and the names of the outputs.

    Returns
    -------
    Positions of classes (n,) int, 0/1 (n, outputs) int, values (n, outputs) float, or times and events (n, 2) float.

    Raises InputError for another number of labels than samples, and for those that are not of the task's kind.

    Example
    -------
    >>> import numpy as np
    >>> readout = Readout(task="survival", outputs=("log-risk",), link=None, space="raw", spaces=("raw",))
    >>> checked_labels(([5.0, 2.5], [True, False]), 2, readout)
    array([[5. , 1. ],
           [2.5, 0. ]])
    """
    found = _times_and_events(labels) if readout.task == "survival" else np.asarray(labels)
    if found.ndim == 0:
        raise InputError(
            f"labels: expected one for each of the {samples} samples, came {labels!r}; give an array or list."
        )
    if len(found) != samples:
        raise InputError(
            f"labels: expected one for each of the {samples} samples, came {len(found)}; give those of the explained samples."
        )
    match readout.task:
        case "survival":
            return _checked_survival(found)
        case "regression":
            return _checked_values(found)
        case "multilabel":
            return _checked_multilabel(found, len(readout.outputs))
        case _:
            return _checked_classes(found, list(readout.outputs))


def _checked_values(found: np.ndarray) -> np.ndarray:
    if found.dtype.kind not in "fiub" or not np.isfinite(found.astype(float)).all():
        raise InputError("labels: expected finite numbers for a regression.")
    return found.reshape(len(found), -1).astype(float)


def _checked_multilabel(found: np.ndarray, outputs: int) -> np.ndarray:
    if found.shape != (len(found), outputs) or not np.isin(found, (0, 1)).all():
        raise InputError(
            f"labels: a multilabel model needs 0 or 1 for each of its {outputs} outputs, shape {(len(found), outputs)}; came {found.shape}."
        )
    return found.astype(int)


def _checked_classes(found: np.ndarray, names: list[str]) -> np.ndarray:
    found = found.reshape(-1) if found.ndim == 2 and found.shape[1] == 1 else found
    if found.ndim == 1 and (
        found.dtype.kind in "iub" or (found.dtype.kind == "f" and np.equal(np.mod(found, 1), 0).all())
    ):
        positions = found.astype(int)
    elif found.ndim == 1 and all(str(label) in names for label in found):
        positions = np.array([names.index(str(label)) for label in found])
    else:
        raise InputError(
            f"labels: expected class numbers (n,) or names out of {listed(names[:8])}; came shape {found.shape} of {found.dtype}, such as {str(found.ravel()[0])!r}. "
            "Name the outputs as the labels with classes=, or give numbers (of one-hot rows their argmax)."
        )
    if positions.min() < 0 or positions.max() >= max(len(names), 2):
        raise InputError(
            f"labels: class numbers from {positions.min()} to {positions.max()}, and the model has the outputs {listed(names[:8])} (0 to {len(names) - 1}); "
            "give positions of outputs, from 0."
        )
    return positions


# Survival ---------------------------------------------------------------------------------------------------------------------------


def _times_and_events(labels: Any) -> np.ndarray:
    """Times and events as they come, side by side (n, 2)."""
    columns = _columns(labels)
    if columns is None:
        found = np.asarray(labels)
        if found.ndim != 2 or found.shape[1] != 2:
            raise InputError(f"labels: survival needs {TIME_AND_EVENT}. Came shape {found.shape} of {found.dtype}.")
        columns = found[:, 0], found[:, 1]
    time, event = (np.asarray(column) for column in columns)
    if time.ndim != 1 or time.shape != event.shape:
        raise InputError(
            f"labels: survival needs {TIME_AND_EVENT}. Came times of shape {time.shape} and events of shape {event.shape}."
        )
    try:
        return np.stack([time.astype(float), event.astype(float)], axis=1)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"labels: survival needs {TIME_AND_EVENT}. Came times of {time.dtype} and events of {event.dtype}, which are no numbers: {error}."
        ) from error


def _columns(labels: Any) -> tuple[Any, Any] | None:
    """The times and the events where they come apart; None for a plain array."""
    if isinstance(labels, pd.DataFrame):
        time, event = _named(list(labels.columns), [labels[name].dtype.kind for name in labels.columns])
        return labels[time], labels[event]
    if isinstance(labels, np.ndarray) and labels.dtype.names:
        time, event = _named(list(labels.dtype.names), [labels.dtype[name].kind for name in labels.dtype.names])
        return labels[time], labels[event]
    apart = isinstance(labels, tuple) or (isinstance(labels, list) and all(hasattr(one, "dtype") for one in labels))
    if apart and len(labels) == 2:
        return labels[0], labels[1]
    return None


def _named(names: list[Any], kinds: list[str]) -> tuple[Any, Any]:
    """Which column is the time, and which the event: by name, else the event is the one of truth values, else in this
    order.
    """
    if {"time", "event"} <= set(names):
        return "time", "event"
    if len(names) != 2:
        raise InputError(f"labels: survival needs {TIME_AND_EVENT}. Came the columns {listed(names[:12])}.")
    first, second = names
    return (second, first) if kinds[0] == "b" and kinds[1] != "b" else (first, second)


def _checked_survival(found: np.ndarray) -> np.ndarray:
    time, event = found.T
    if not np.isin(event, (0, 1)).all():
        odd = event[~np.isin(event, (0, 1))][0]
        raise InputError(
            f"labels: events are 1 (seen) or 0 (censored), came {odd:g}; give (time, event) in this order, and code other kinds of events as 0 or 1."
        )
    if not np.isfinite(time).all() or (time <= 0).any():
        odd = time[~(np.isfinite(time) & (time > 0))][0]
        raise InputError(
            f"labels: times of events or censoring are finite and above 0, came {odd:g}; give (time, event) in this order, and leave out patients without follow-up."
        )
    return found
