"""A row a patient: what the model says, what is true, what it looked at, and what else is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from modalens.cohort.predictions import Predictions, predictions_of
from modalens.explanation import Explanation
from modalens.reading import contribution_views, result_of


def patients(explanation: Explanation) -> pd.DataFrame:
    """What is known of every patient, to sort and to choose by.

    Returns
    -------
    DataFrame, a row a sample; its index is the sample's position. A column is there only where there is something to
    say. In this order:

    patient: the name in the characteristics' index, else the position as text. group: the number of the resampling unit.
    label, predicted: of a classification, names of classes; of several labels, the names of those that hold, and of those
        with a probability above one half, joined by " + " ("none" where no label holds); of a regression, values ("label <output>"
        where there are several). A survival has `time` and `event`, and `predicted` is the risk: the log-risk, or the
        mean of 1 - S over the times.
    probability: of the predicted class. correct: whether the predicted class, or every label, is the true one.
    "<modality> share": of the change in this patient's output, by occlusion, else by Shapley values, else by gradients or
        whatever else gives shares by patient; NaN where the patient lacks the modality, or nothing changes.
    interaction: the patient's own share of interaction (InterSHAP), the mean over outputs where each is scored by itself.
    error: how wrong the model is. 1 - the probability of what is true (the mean over several labels); |residual| of a
        regression (of several outputs, the root of the mean square after each is divided by the spread of its labels).
        A survival has none: where the event was not seen, nobody knows.
    discordance: how hard modalities pull the target output against each other: min(sum of the positive, -sum of the
        negative Shapley values), in units of the output; where outputs are scored apart, of the one with most.
    Then the characteristics, as they were given; " (given)" is added where a name is taken.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import cohort
    >>> inputs = {"a": np.array([[2.0], [-1.0]]), "b": np.array([[1.0], [3.0]])}
    >>> explanation = ml.explain(lambda a, b: 1 / (1 + np.exp(-a[:, 0])), inputs, labels=[1, 1], measures=[ml.Occlusion()], baseline="zeros", progress=False)
    >>> cohort.patients(explanation)[["label", "predicted", "probability", "correct", "a share", "error"]].round(2)
      label predicted  probability  correct  a share  error
    0     1         1         0.88     True      1.0   0.12
    1     1         0         0.73    False      1.0   0.73
    """
    samples = int(explanation.provenance["samples"])
    known = explanation.characteristics
    columns: dict[str, object] = {"patient": _names(known, samples)}
    if "prediction" in explanation.cohort:
        found = predictions_of(explanation)
        if "group" in explanation.cohort:
            columns["group"] = found.cluster
        columns |= _said_and_true(found)
    if (shares := shares_by_sample(explanation)) is not None:
        columns |= {f"{name} share": shares.sel(modality=name).values for name in explanation.modalities}
    if (interaction := interaction_by_sample(explanation)) is not None:
        columns["interaction"] = interaction
    if "prediction" in explanation.cohort and (error := _errors(found)) is not None:
        columns["error"] = error
    if (discordance := discordance_by_sample(explanation)) is not None:
        columns["discordance"] = discordance
    for name in known.columns:
        columns[name if name not in columns else f"{name} (given)"] = known[name].to_numpy()
    return pd.DataFrame(columns, index=pd.RangeIndex(samples))


def shares_by_sample(explanation: Explanation) -> xr.DataArray | None:
    """The shares (sample, modality) of the first way to ask for them that gives them by patient."""
    for _, result, _ in contribution_views(explanation):
        found = result.arrays.get("by_sample")
        if isinstance(found, xr.DataArray) and set(found.dims) == {"sample", "modality"}:
            return found.transpose("sample", "modality")
    return None


def interaction_by_sample(explanation: Explanation) -> np.ndarray | None:
    """Each sample's own share of interaction; the mean over outputs where each is scored by itself."""
    result = result_of(explanation, "intershap")
    if result is None:
        return None
    found = result.array("by_sample")
    return np.asarray((found.mean("output") if "output" in found.dims else found).values)


def discordance_by_sample(explanation: Explanation) -> np.ndarray | None:
    """The largest min(sum of positive, -sum of negative) of the target's Shapley values; NaN where there are none."""
    result = result_of(explanation, "shapley")
    if result is None:
        return None
    values = result.array("of_target")
    both = discordance_of(values).where(values.notnull().any("modality"))
    return np.asarray((both.max("output") if "output" in both.dims else both).values)


def discordance_of(values: xr.DataArray) -> xr.DataArray:
    """How hard modalities pull against each other, of signed values with an axis `modality`."""
    raising, lowering = values.clip(min=0).sum("modality"), abs(values.clip(max=0)).sum("modality")
    return raising.where(raising < lowering, lowering)


def _names(known: pd.DataFrame, samples: int) -> list[str]:
    named = len(known) == samples and not isinstance(known.index, pd.RangeIndex)
    return [str(name) for name in (known.index if named else range(samples))]


def _said_and_true(found: Predictions) -> dict[str, object]:
    """The columns of label, prediction, probability and correctness that fit the task."""
    match found.task:
        case "classification":
            return _of_classes(found)
        case "multilabel":
            return _of_several_labels(found)
        case "survival":
            return _of_survival(found)
        case _:
            return _of_values(found)


def _of_classes(found: Predictions) -> dict[str, object]:
    columns: dict[str, object] = {}
    if found.labels is not None:
        columns["label"] = [class_name(found, label) for label in found.labels]
    if found.named is None:
        return columns | {"predicted": found.values[:, 0]}
    columns["predicted"] = np.array(found.outputs, dtype=object)[found.named]
    if found.of_probability:
        columns["probability"] = found.values.max(axis=1)
    if found.labels is not None:
        columns["correct"] = found.named == found.labels
    return columns


def class_name(found: Predictions, label: int) -> str:
    """The name of a class; its number where a single score stands for two classes."""
    return found.outputs[label] if len(found.outputs) > 1 else str(label)


def _of_several_labels(found: Predictions) -> dict[str, object]:
    columns: dict[str, object] = {}
    if found.labels is not None:
        columns["label"] = _joined(found.labels > 0, found.outputs)
    if found.of_probability:
        columns["predicted"] = _joined(found.values > 0.5, found.outputs)
        if found.labels is not None:
            columns["correct"] = ((found.values > 0.5) == found.labels).all(axis=1)
    return columns


def _joined(holds: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """The names of what holds of each sample; those who are alike share one text."""
    kinds, place = np.unique(holds, axis=0, return_inverse=True)
    words = [" + ".join(name for name, is_so in zip(names, kind, strict=True) if is_so) or "none" for kind in kinds]
    return [words[which] for which in np.ravel(place)]


def _of_values(found: Predictions) -> dict[str, object]:
    columns: dict[str, object] = {}
    if found.labels is not None:
        columns |= _by_name("label", found.labels, found.outputs)
    return columns | _by_name("predicted", found.values, found.outputs)


def _by_name(word: str, values: np.ndarray, outputs: tuple[str, ...]) -> dict[str, object]:
    if values.shape[1] == 1:
        return {word: values[:, 0]}
    names = outputs if values.shape[1] == len(outputs) else tuple(map(str, range(values.shape[1])))
    return {f"{word} {name}": values[:, place] for place, name in enumerate(names)}


def _of_survival(found: Predictions) -> dict[str, object]:
    columns: dict[str, object] = {}
    if found.labels is not None:
        columns |= {"time": found.labels[:, 0], "event": found.labels[:, 1] > 0}
    return columns | {"predicted": found.risk}


def _errors(found: Predictions) -> np.ndarray | None:
    """How wrong the model is for each sample; None where that can't be said."""
    if found.labels is None:
        return None
    if found.of_probability:
        if found.task == "classification":
            return np.asarray(1 - found.values[np.arange(found.samples), found.labels])
        return np.asarray(np.abs(found.labels - found.values).mean(axis=1))
    if found.task != "regression" or found.labels.shape[1] != len(found.outputs):
        return None
    residuals = np.abs(found.labels - found.values)
    if residuals.shape[1] == 1:
        return np.asarray(residuals[:, 0])
    spread = found.labels.std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(((residuals / np.where(spread > 0, spread, np.nan)) ** 2).mean(axis=1)))
