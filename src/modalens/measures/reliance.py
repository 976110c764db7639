"""What a trained model relies on, measured by its own score: with all modalities, each alone, each left out; and the
verdict on unimodal collapse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.errors import InputError
from modalens.measures.base import Arrays, by_output
from modalens.measures.occlusion import Occlusion
from modalens.measures.performance import chance
from modalens.measures.scored import Scored, alone, without
from modalens.problem import PRESENT, Outputs, Problem, Values

COLLAPSE = 0.05
"""A modality with a smaller share counts as ignored: a convention."""


@dataclass(frozen=True, kw_only=True)
class Reliance(Scored):
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

    collapse: float = COLLAPSE
    occlusion: Occlusion = field(default_factory=Occlusion)

    usual: ClassVar[str] = "auc"
    default_name: ClassVar[str] = "reliance"
    title: ClassVar[str] = "What this model's score relies on"
    citation: ClassVar[str] = """@article{fisher2019all,
  title = {All Models are Wrong, but Many are Useful: Learning a Variable's Importance by Studying an Entire Class of Prediction Models Simultaneously},
  author = {Fisher, Aaron and Rudin, Cynthia and Dominici, Francesca},
  journal = {Journal of Machine Learning Research}, volume = {20}, number = {177}, pages = {1--81}, year = {2019}
}"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.collapse < 1:
            raise InputError(f"Reliance(collapse={self.collapse}): give a share between 0 and 1.")

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        self._require_labels(problem)
        masks = (PRESENT, *alone(problem), *without(problem))
        return (Outputs(masks=masks, baseline=problem.coalition_baselines[0]), *self.occlusion.needs(problem, values))

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        space = self._space(problem)
        baseline = problem.coalition_baselines[0]
        settings = {"everything": [PRESENT], "alone": alone(problem), "without": without(problem)}
        return {
            name: by_output(
                problem,
                values.mean(masks, baseline, space=space),
                ("modality", problem.modalities if name != "everything" else ["all"]),
            )
            for name, masks in settings.items()
        }

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        found = {name: self._scores(problem, outputs, weights) for name, outputs in samples.items()}
        found["everything"] = found["everything"].isel(modality=0, drop=True)
        return found | ({"lost": found["everything"] - found["without"]} if "without" in found else {})

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        super().details(problem, values, samples)
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

    def settings(self, problem: Problem) -> dict[str, Any]:
        return super().settings(problem) | {"collapse": self.collapse}

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
