"""How well the explained patients are predicted, with intervals by patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.cohort.predictions import CONFIDENCE, Predictions, predictions_of
from modalens.explanation import Explanation
from modalens.measures import performance as metrics

Score = Callable[[np.ndarray], np.ndarray]
"""Weights (draw, sample) -> the score under each, (draw,) or (draw, output)."""

NO_LABELS = "no labels were given: explain(..., labels=...)"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One way to say how well outputs agree with labels: its name in words, how it is taken, and by what it is undefined."""

    name: str
    words: str
    score: Score
    undefined: str
    by_output: bool = False
    smaller_is_better: bool = False
    units: str = ""


def performance(explanation: Explanation) -> xr.Dataset:
    """How well the model predicts the explained patients, by the metrics that fit the task.

    Returns
    -------
    Dataset: a variable a metric, and `<metric>_interval` (bound, ...) with its lower and upper bound, by bootstrap of patients
    with the explanation's own seed and confidence. Where a number is undefined it is NaN, and its attribute `reason` says why;
    `words` is its name in words, `units` its units, `better` "larger" or "smaller". The attributes of the Dataset say what was
    `resampled`, the `confidence`, and `reason` where there are no metrics at all (no labels).

    classification: `auc` (each class against the rest, their mean), `accuracy`, `brier` (mean squared error of probabilities:
        of two classes that of one, 0 to 1; of more the sum over them, 0 to 2); by class (output): `class_auc`, `sensitivity`
        (of those who are of the class, the share predicted so), `specificity` (of the others, the share not predicted so).
    multilabel: the same, of each label by itself and its mean over labels, a label being predicted above one half.
    regression: `r2` (the mean over outputs); by output: `rmse` and `mae`, in units of the output.
    survival: `concordance` (Harrell's c).

    The patients are those that were explained. If the model was trained on them, these numbers flatter it.

    Raises InputError where the explanation holds no predictions.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import cohort
    >>> inputs = {"a": np.array([[-2.0], [-1.0], [1.0], [2.0]]), "b": np.ones((4, 1))}
    >>> explanation = ml.explain(lambda a, b: 1 / (1 + np.exp(-a[:, 0])), inputs, labels=[0, 1, 0, 1], measures=[ml.Occlusion()], baseline="zeros", progress=False)
    >>> found = cohort.performance(explanation)
    >>> found.auc.item(), found.accuracy.item(), round(found.brier.item(), 3)
    (0.75, 0.5, 0.274)
    """
    found = predictions_of(explanation)
    clusters = int(found.cluster.max()) + 1
    about = {
        "confidence": found.confidence or np.nan,
        "resampled": f"{clusters} {'groups' if 'group' in explanation.cohort else 'samples'}, {statistics.DRAWS} times with replacement",
        "why_no_interval": found.why_no_interval,
    }
    if found.labels is None:
        return xr.Dataset(attrs=about | {"reason": NO_LABELS})
    fitting = list(metrics_of(found, units=str(explanation.provenance.get("units") or "")))
    once = np.full((1, found.samples), 1 / found.samples)
    draws = None if found.why_no_interval else found.bootstrap
    variables = {}
    for metric in fitting:
        dims = ("output",) if metric.by_output else ()
        value = metric.score(once)[0]
        drawn = np.full((1, *np.shape(value)), np.nan) if draws is None else metric.score(draws)
        named = xr.Dataset({"drawn": (("draw", *dims), drawn)})
        bounds = statistics.interval(named, found.confidence or CONFIDENCE)["drawn"]
        reason = {"reason": metric.undefined} if np.isnan(value).any() else {}
        better = "smaller" if metric.smaller_is_better else "larger"
        told = {"words": metric.words, "units": metric.units, "better": better} | reason
        variables[metric.name] = xr.DataArray(value, dims=dims, attrs=told)
        variables[f"{metric.name}_interval"] = bounds.where(~np.isnan(variables[metric.name])).transpose("bound", *dims)
    return xr.Dataset(variables, coords={"output": list(found.outputs)}, attrs=about)


def metrics_of(found: Predictions, units: str = "") -> Iterator[Metric]:
    """The metrics that fit the task, the usual one first; predictions with labels."""
    match found.task:
        case "classification" | "multilabel":
            yield from _of_classes(found)
        case "survival":
            yield _metric_of(found, "concordance", "concordance", "no pair of patients has a known order of events")
        case _:
            yield from _of_values(found, units)


def _of_classes(found: Predictions) -> Iterator[Metric]:
    labels = _labels(found)
    alike = "the labels are all the same, so there is nothing to tell apart"
    yield _metric_of(found, "auc", "area under the ROC curve", alike)
    wanted = metrics.one_against_the_rest(labels, by_class(found).shape[1])
    said = _predicted(found)
    if said is not None:
        hit = (said == wanted).mean(axis=1) if found.task == "multilabel" else (said & wanted).any(axis=1)
        yield Metric(name="accuracy", words="accuracy", score=_mean_of(hit), undefined="")
    if found.of_probability:
        yield Metric(
            name="brier",
            words="Brier score",
            score=_mean_of(_squared_errors(found)),
            undefined="",
            smaller_is_better=True,
        )
    if len(found.outputs) > 1:
        outputs = by_class(found)
        each = [(wanted[:, [place]].astype(int), outputs[:, [place]]) for place in range(outputs.shape[1])]
        lacking = "all patients are of this class, or none is"
        yield Metric(
            name="class_auc", words="area under the ROC curve, against the rest", undefined=lacking, by_output=True,
            score=lambda weights: np.stack([_one_auc(*one, weights) for one in each], axis=1),
        )  # fmt: skip
    if said is not None and len(found.outputs) > 1:
        yield Metric(
            name="sensitivity",
            words="sensitivity",
            score=_share_of(said, wanted),
            undefined="nobody is of this class",
            by_output=True,
        )
        yield Metric(
            name="specificity",
            words="specificity",
            score=_share_of(~said, ~wanted),
            undefined="everybody is of this class",
            by_output=True,
        )


def _of_values(found: Predictions, units: str) -> Iterator[Metric]:
    labels = _labels(found)
    if labels.shape[1] != len(found.outputs):
        return
    yield _metric_of(found, "r2", "R squared", "the labels are all the same, so there is nothing to tell apart")
    residual = labels - found.values
    squared, absolute = _mean_of(residual**2), _mean_of(np.abs(residual))
    yield Metric(
        name="rmse", words="root mean squared error", score=lambda weights: np.sqrt(squared(weights)), undefined="",
        by_output=True, smaller_is_better=True, units=units,
    )  # fmt: skip
    yield Metric(
        name="mae",
        words="mean absolute error",
        score=absolute,
        undefined="",
        by_output=True,
        smaller_is_better=True,
        units=units,
    )


def _metric_of(found: Predictions, name: str, words: str, undefined: str) -> Metric:
    """A metric of the measures; NaN where there is nothing that it could tell apart."""
    labels, outputs = _labels(found), by_class(found)
    if name == "concordance":
        defined = metrics.has_comparable_pair(labels)
    elif name == "auc":
        defined = bool(metrics.varying(metrics.one_against_the_rest(labels, outputs.shape[1])).any())
    else:
        defined = True

    def score(weights: np.ndarray) -> np.ndarray:
        return metrics.METRICS[name](labels, outputs, weights) if defined else np.full(len(weights), np.nan)

    return Metric(name=name, words=words, score=score, undefined=undefined)


def by_class(found: Predictions) -> np.ndarray:
    """Outputs with a column a class: one raw number ranks patients for the second of two classes, and against the first."""
    if found.task == "classification" and found.values.shape[1] == 1:
        return np.concatenate([-found.values, found.values], axis=1)
    return found.values


def _labels(found: Predictions) -> np.ndarray:
    assert found.labels is not None
    return found.labels


def _predicted(found: Predictions) -> np.ndarray | None:
    """Whether each output is what the model names, (sample, output); None where it names none."""
    if found.named is not None:
        return np.asarray(found.named[:, None] == np.arange(len(found.outputs)))
    return found.values > 0.5 if found.task == "multilabel" and found.of_probability else None


def _squared_errors(found: Predictions) -> np.ndarray:
    """The Brier score of each sample."""
    squared = (metrics.one_against_the_rest(_labels(found), len(found.outputs)) - found.values) ** 2
    if found.task == "multilabel":
        return np.asarray(squared.mean(axis=1))
    return np.asarray(squared.sum(axis=1) / (2 if len(found.outputs) == 2 else 1))


def _one_auc(wanted: np.ndarray, output: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if not metrics.varying(wanted.astype(bool))[0]:
        return np.full(len(weights), np.nan)
    return metrics.auc(wanted, output, weights)


def _mean_of(values: np.ndarray) -> Score:
    return lambda weights: np.asarray(
        weights @ values.astype(float) / weights.sum(axis=1).reshape(-1, *[1] * (values.ndim - 1))
    )


def _share_of(hit: np.ndarray, among: np.ndarray) -> Score:
    """Of those in `among`, the share that is hit; each (sample, output)."""

    def score(weights: np.ndarray) -> np.ndarray:
        size = weights @ among.astype(float)
        return np.asarray(weights @ (hit & among).astype(float) / np.where(size > 0, size, np.nan))

    return score
