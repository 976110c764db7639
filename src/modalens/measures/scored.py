"""What measures of a model's score share: which metric, which labels it takes, and the score of any outputs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr

from modalens.errors import InputError, ModalensWarning, choice, listed
from modalens.measures.base import Arrays, Measure
from modalens.measures.performance import METRICS, OF_TASK, has_comparable_pair, one_against_the_rest, varying
from modalens.problem import Mask, Problem, Values

NEEDED = {"auc": "classes", "accuracy": "classes", "r2": "values", "concordance": "survival times"}
"""What labels a metric takes."""

LEAST = 1e-12
"""A sum of scores up to this is rounding."""


@dataclass(frozen=True, kw_only=True)
class Scored(Measure):
    """A measure that scores outputs against labels.

    Parameters
    ----------
    metric : "accuracy", "auc" (mean of each output against the rest), "r2" (the default for regression), or
        "concordance" (Harrell's c, the default for survival: of pairs whose order is known, the share that the risk
        orders the same way, ties half; of several times, the mean of 1 - S is the risk).
    """

    metric: Literal["auc", "accuracy", "r2", "concordance"] | None = None

    usual: ClassVar[str] = "accuracy"
    """The metric for classes and labels unless one is asked for."""

    def __post_init__(self) -> None:
        if self.metric is not None:
            choice("metric", self.metric, METRICS)

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        if left_out := self._not_scored(problem):
            warnings.warn(
                f"{self.key}: the AUC is the mean over the other outputs, since all patients or none have {listed(left_out)}.",
                ModalensWarning,
                stacklevel=2,
            )
        return {}

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        undefined = [name for name, array in found.items() if np.isnan(array.values).any()]
        survival = problem.task == "survival"
        why = "no pair of patients has a known order of events" if survival else "the labels are all the same"
        return dict.fromkeys(undefined, f"{why}, so there is nothing to predict")

    def settings(self, problem: Problem) -> dict[str, Any]:
        return {
            "metric": self._metric(problem),
            "baseline": problem.coalition_baselines[0],
            "not_scored": self._not_scored(problem),
        }

    def _metric(self, problem: Problem) -> str:
        fitting = OF_TASK[problem.task]
        return self.metric or (self.usual if self.usual in fitting else fitting[0])

    def _space(self, problem: Problem) -> str:
        """The space whose outputs are scored: probabilities where there are any, whichever is asked for."""
        return "probability" if "probability" in problem.spaces else problem.space

    def _scores(self, problem: Problem, outputs: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
        """The score of outputs (..., sample, output), (...); (draw, ...) where there are draws of weights."""
        metric, labels = METRICS[self._metric(problem)], self._require_labels(problem)
        rows = np.atleast_2d(weights.transpose(..., "sample").values)
        each = outputs.transpose(..., "sample", "output")
        if metric is METRICS["accuracy"]:
            each = _with_ties(problem, each)
        flat = each.values.reshape(-1, *each.shape[-2:])
        found = np.stack([metric(labels, _by_class(problem, one), rows) for one in flat], axis=1)
        named = each.isel(sample=0, output=0, drop=True)
        if "draw" in weights.dims:
            named = named.expand_dims(draw=len(rows))
        return named.copy(deep=False, data=found.reshape(named.shape))

    def _not_scored(self, problem: Problem) -> list[str]:
        """The outputs that have no AUC, since all patients have them or none has."""
        if self._metric(problem) != "auc" or (len(problem.outputs) < 3 and problem.task == "classification"):
            return []
        known = varying(one_against_the_rest(self._require_labels(problem), len(problem.outputs)))
        return [name for name, scored in zip(problem.outputs, known, strict=True) if not scored]

    def _require_labels(self, problem: Problem) -> np.ndarray:
        """The labels. Raises InputError where there are none, or none that the metric takes."""
        called, metric = type(self).__name__, self._metric(problem)
        if problem.labels is None:
            raise InputError(
                f"{called} scores the model against labels, and none were given: labels= one a patient, or leave {called} out."
            )
        if metric not in OF_TASK[problem.task]:
            raise InputError(
                f"{called}(metric={metric!r}) needs {NEEDED[metric]}, and the task is {problem.task}: use metric={OF_TASK[problem.task][0]!r}."
            )
        if (
            metric == "accuracy"
            and "probability" not in problem.spaces
            and (problem.task == "multilabel" or len(problem.outputs) == 1)
        ):
            raise InputError(
                f"{called}(metric='accuracy') needs probabilities to tell a hit from a miss; output={problem.space!r} keeps none: use output='probability', or metric='auc'."
            )
        if metric == "r2" and problem.labels.shape[1] != len(problem.outputs):
            raise InputError(
                f"labels: expected a value for each of the outputs {listed(problem.outputs)}, came {problem.labels.shape[1]} a patient; "
                f"give labels of shape {(problem.samples, len(problem.outputs))}."
            )
        if metric == "concordance" and not has_comparable_pair(problem.labels):
            raise InputError(
                f"labels: a concordance needs an event, and a patient who is known to have survived longer; these have no such pair; give more patients, or leave {called} out."
            )
        if metric == "auc" and not varying(one_against_the_rest(problem.labels, max(2, len(problem.outputs)))).any():
            raise InputError(
                f"labels: an AUC needs at least two classes, and all labels are the same; give more patients, or {called}(metric='accuracy')."
            )
        return problem.labels


def alone(problem: Problem) -> list[Mask]:
    """The masks in which one modality is present."""
    return [Mask.without(*(other for other in problem.modalities if other != name)) for name in problem.modalities]


def without(problem: Problem) -> list[Mask]:
    """The masks in which one modality is absent."""
    return [Mask.without(name) for name in problem.modalities]


def _with_ties(problem: Problem, outputs: xr.DataArray) -> xr.DataArray:
    """Outputs that differ by the model's rounding only made equal: else rounding decides which class is named where
    nothing is known.
    """
    if problem.resolution <= 0:
        return outputs
    return outputs.round(int(np.floor(-np.log10(16 * problem.resolution))))


def _by_class(problem: Problem, outputs: np.ndarray) -> np.ndarray:
    """Outputs with a column a class: one raw number ranks patients for the second of two classes, and against the
    first.
    """
    return (
        np.concatenate([-outputs, outputs], axis=1)
        if problem.task == "classification" and outputs.shape[1] == 1
        else outputs
    )
