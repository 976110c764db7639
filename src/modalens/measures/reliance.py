"""What a trained model relies on, measured by its own score: with all modalities, each alone, each left out; and the
verdict on unimodal collapse.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.errors import InputError, ModalensWarning, choice, listed
from modalens.measures.base import Arrays, Measure, by_output
from modalens.measures.occlusion import Occlusion
from modalens.measures.performance import METRICS, OF_TASK, chance, has_comparable_pair, one_against_the_rest, varying
from modalens.problem import PRESENT, Mask, Outputs, Problem, Values

COLLAPSE = 0.05
"""A modality with a smaller share counts as ignored: a convention."""

NEEDED = {"auc": "classes", "accuracy": "classes", "r2": "values", "concordance": "survival times"}
"""What labels a metric takes."""


@dataclass(frozen=True, kw_only=True)
class Reliance(Measure):
    """How well *this* model predicts with all modalities, with each alone, and with each left out (the others
    replaced). Needs labels.

    It is not how useful a modality is: for that, models are trained without it (Fisher, Rudin, Dominici 2019). A
        modality can be unused and useful, or used and useless, so the scores stand beside the verdict.

    Parameters
    ----------
    metric : "auc" (mean of each output against the rest; the default for classes and labels), "accuracy", "r2" (the
        default for regression), or "concordance" (Harrell's c, the default for survival: of pairs whose order is
        known, the share that the risk orders the same way, ties half; of several times, the mean of 1 - S is the risk).
    collapse : a modality counts as ignored where the upper bound of its contribution by occlusion lies below this
        share, a convention.

    Result
    ------
    everything: the score on the whole inputs. alone (modality), without (modality): with the others replaced, with
        this one replaced. lost (modality): everything - without.
    verdict (modality): "used", "ignored" (below `collapse` as it is cut, for every label where there are several, and
        as one part under every baseline), or "withheld: ..." where baselines disagree, there is no interval, or the
        interval of the score with everything does not lie above chance.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> x = np.linspace(-2, 2, 40)[:, None]; noise = np.random.default_rng(0).normal(size=(40, 1))
    >>> found = ml.explain(lambda lab, age: 1 / (1 + np.exp(-lab[:, 0])), {"lab": x, "age": noise}, measures=[ml.Reliance()], labels=(x[:, 0] > 0) * 1, baseline="mean").reliance
    >>> found.without.values, found.verdict.values.tolist()
    (array([0.5, 1. ]), ['used', 'ignored'])
    """

    metric: Literal["auc", "accuracy", "r2", "concordance"] | None = None
    collapse: float = COLLAPSE
    occlusion: Occlusion = field(default_factory=Occlusion)

    default_name: ClassVar[str] = "reliance"
    title: ClassVar[str] = "What this model's score relies on"
    citation: ClassVar[str] = """@article{fisher2019all,
  title = {All Models are Wrong, but Many are Useful: Learning a Variable's Importance by Studying an Entire Class of Prediction Models Simultaneously},
  author = {Fisher, Aaron and Rudin, Cynthia and Dominici, Francesca},
  journal = {Journal of Machine Learning Research}, volume = {20}, number = {177}, pages = {1--81}, year = {2019}
}"""

    def __post_init__(self) -> None:
        if self.metric is not None:
            choice("metric", self.metric, METRICS)
        if not 0 < self.collapse < 1:
            raise InputError(f"Reliance(collapse={self.collapse}): give a share between 0 and 1.")

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        self._require_labels(problem)
        masks = (PRESENT, *self._alone(problem), *self._without(problem))
        return (Outputs(masks=masks, baseline=problem.coalition_baselines[0]), *self.occlusion.needs(problem, values))

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        space = "probability" if "probability" in problem.spaces else problem.space
        baseline = problem.coalition_baselines[0]
        settings = {"everything": [PRESENT], "alone": self._alone(problem), "without": self._without(problem)}
        return {
            name: by_output(
                problem,
                values.mean(masks, baseline, space=space),
                ("modality", problem.modalities if name != "everything" else ["all"]),
            )
            for name, masks in settings.items()
        }

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        found = {name: self._scored(problem, outputs, weights) for name, outputs in samples.items()}
        found["everything"] = found["everything"].isel(modality=0, drop=True)
        return found | ({"lost": found["everything"] - found["without"]} if "without" in found else {})

    def _scored(self, problem: Problem, outputs: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
        """The score of each of these outputs, (modality), and (draw) where there are draws of weights."""
        metric, labels = METRICS[self._metric(problem)], self._require_labels(problem)
        rows = np.atleast_2d(weights.transpose(..., "sample").values)
        scores = [
            metric(labels, _by_class(problem, outputs.sel(modality=name).values), rows)
            for name in outputs.modality.values
        ]
        found = xr.DataArray(scores, dims=("modality", "draw"), coords={"modality": outputs.modality})
        return found if "draw" in weights.dims else found.isel(draw=0)

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        if left_out := self._not_scored(problem):
            warnings.warn(
                f"{self.key}: the AUC is the mean over the other outputs, since all patients or none have {listed(left_out)}.",
                ModalensWarning,
                stacklevel=2,
            )
        changes = self.occlusion.per_sample(problem, values)
        found = self.occlusion.numbers(problem, changes, statistics.uniform_weights(problem.samples))
        draws, *_ = self.occlusion.bootstrap(problem, changes, found)
        bounds = statistics.interval(draws, problem.confidence) if problem.confidence else xr.Dataset()
        each = problem.task == "multilabel"
        no_better = self._no_better_than_chance(problem, samples)
        verdicts = [
            no_better or self._verdict(bounds, name, "by_output" if each else "contribution")
            for name in problem.modalities
        ]
        return {
            "verdict": xr.DataArray(
                np.array(verdicts, dtype=object), dims="modality", coords={"modality": list(problem.modalities)}
            )
        }

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        undefined = [name for name, array in found.items() if np.isnan(array.values).any()]
        survival = problem.task == "survival"
        why = "no pair of patients has a known order of events" if survival else "the labels are all the same"
        return dict.fromkeys(undefined, f"{why}, so there is nothing to predict")

    def settings(self, problem: Problem) -> dict[str, Any]:
        return {
            "metric": self._metric(problem),
            "collapse": self.collapse,
            "baseline": problem.coalition_baselines[0],
            "not_scored": self._not_scored(problem),
        }

    def _not_scored(self, problem: Problem) -> list[str]:
        """The outputs that have no AUC, since all patients have them or none has."""
        if self._metric(problem) != "auc" or (len(problem.outputs) < 3 and problem.task == "classification"):
            return []
        known = varying(one_against_the_rest(self._require_labels(problem), len(problem.outputs)))
        return [name for name, scored in zip(problem.outputs, known, strict=True) if not scored]

    def _verdict(self, bounds: xr.Dataset, name: str, share: str) -> str:
        """Ignored, used, or why neither can be said; from the intervals of occlusion. A modality is not ignored that one
        of several labels reads.
        """
        if "contribution" not in bounds or bool(bounds["contribution"].isnull().any()):
            return "withheld: no interval"
        upper = bounds.sel(bound="upper", modality=name)
        as_cut = bool(upper[share].max() < self.collapse)
        whole = upper["anchor_by_baseline"] < self.collapse
        if bool(whole.all()):
            return "ignored" if as_cut else "withheld: ignored as one part, but not as it is cut"
        if not bool(whole.any()):
            return "used" if not as_cut else "withheld: ignored as it is cut, but not as one part"
        below = ", ".join(map(str, whole.baseline.values[whole.values]))
        return f"withheld: baselines disagree (ignored under {below} only)"

    def _no_better_than_chance(self, problem: Problem, samples: Arrays) -> str:
        """Why no verdict is given, where the interval of the score with everything does not lie above chance."""
        whole = {"everything": samples["everything"]}
        found = self.numbers(problem, whole, statistics.uniform_weights(problem.samples))
        draws, *_ = self.bootstrap(problem, whole, found)
        if problem.confidence is None:
            return ""
        lower = statistics.interval(draws, problem.confidence)["everything"].sel(bound="lower")
        known = chance(self._metric(problem), self._require_labels(problem))
        return "withheld: the model is no better than chance" if float(lower) <= known else ""

    def _metric(self, problem: Problem) -> str:
        return self.metric or OF_TASK[problem.task][0]

    def _require_labels(self, problem: Problem) -> np.ndarray:
        if problem.labels is None:
            raise InputError(
                "Reliance scores the model against labels, and none were given: labels= one a patient, or leave Reliance out."
            )
        metric = self._metric(problem)
        if metric not in OF_TASK[problem.task]:
            raise InputError(
                f"Reliance(metric={metric!r}) needs {NEEDED[metric]}, and the task is {problem.task}: use metric={OF_TASK[problem.task][0]!r}."
            )
        if (
            metric == "accuracy"
            and "probability" not in problem.spaces
            and (problem.task == "multilabel" or len(problem.outputs) == 1)
        ):
            raise InputError(
                f"Reliance(metric='accuracy') needs probabilities to tell a hit from a miss; output={problem.space!r} keeps none: use output='probability', or metric='auc'."
            )
        if metric == "r2" and problem.labels.shape[1] != len(problem.outputs):
            raise InputError(
                f"labels: expected a value for each of the outputs {listed(problem.outputs)}, came {problem.labels.shape[1]} a patient; "
                f"give labels of shape {(problem.samples, len(problem.outputs))}."
            )
        if metric == "concordance" and not has_comparable_pair(problem.labels):
            raise InputError(
                "labels: a concordance needs an event, and a patient who is known to have survived longer; these have no such pair; give more patients, or leave Reliance out."
            )
        if metric == "auc" and not varying(one_against_the_rest(problem.labels, max(2, len(problem.outputs)))).any():
            raise InputError(
                "labels: an AUC needs at least two classes, and all labels are the same; give more patients, or Reliance(metric='accuracy')."
            )
        return problem.labels

    def _alone(self, problem: Problem) -> list[Mask]:
        return [Mask.without(*(other for other in problem.modalities if other != name)) for name in problem.modalities]

    def _without(self, problem: Problem) -> list[Mask]:
        return [Mask.without(name) for name in problem.modalities]


def _by_class(problem: Problem, outputs: np.ndarray) -> np.ndarray:
    """Outputs with a column a class: one raw number ranks patients for the second of two classes, and against the
    first.
    """
    return (
        np.concatenate([-outputs, outputs], axis=1)
        if problem.task == "classification" and outputs.shape[1] == 1
        else outputs
    )
