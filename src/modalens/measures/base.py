"""What a measure is: it says which values it needs, and turns values into scores. It never sees a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.measures import availability
from modalens.measures.result import Result
from modalens.problem import Need, Problem, Values

Arrays = dict[str, xr.DataArray]

JACKKNIFE_BLOCKS = 10


@dataclass(frozen=True, kw_only=True)
class Measure(ABC):
    """A published measure. `name` tells two of the same kind apart, in one call of explain.

    A measure has three parts: what it takes from the values for each sample (`per_sample`), the global numbers that
        are functions of their weighted averages (`summarise`), and whatever else it shows (`details`). Intervals
        follow from that: other weights, other averages. Arrays are xarray's, with the axes sample, modality, output;
        weights are (sample,), or (draw, sample), and `statistics.average` takes both.

    Your own measure is a subclass with `default_name`, `title`, `citation`, `needs`, `per_sample` and `summarise`; with
        `estimands` it can be held to a known truth (`ml.validate`).

    Example
    -------
    >>> import numpy as np, xarray as xr, modalens as ml
    >>> from modalens.problem import PRESENT, Mask, Outputs
    >>> from modalens.statistics import average, share
    >>> class Drop(ml.Measure):
    ...     default_name, title, citation = "drop", "What is lost without each modality", ""
    ...     estimands = {"contribution": "contribution"}
    ...     def needs(self, problem, values):
    ...         masks = (PRESENT, *(Mask.without(name) for name in problem.modalities))
    ...         return [Outputs(masks=masks, baseline=problem.coalition_baselines[0])]
    ...     def per_sample(self, problem, values):
    ...         (need,) = self.needs(problem, None)
    ...         whole, *without = values.mean(need.masks, need.baseline)  # each (sample, output)
    ...         lost = np.abs(whole - np.stack(without)).sum(axis=-1)
    ...         return {"lost": xr.DataArray(lost, dims=("modality", "sample"), coords={"modality": list(problem.modalities)})}
    ...     def summarise(self, problem, samples, weights):
    ...         return {"contribution": share(average(samples["lost"], weights))}
    >>> inputs = {"a": np.array([[1.0], [3.0]]), "b": np.array([[1.0], [1.0]])}
    >>> ml.explain(lambda a, b: a[:, 0] + b[:, 0], inputs, measures=[Drop()], baseline="zeros", output="raw").drop.contribution.values.round(3)
    array([0.667, 0.333])
    """

    name: str = ""

    default_name: ClassVar[str]
    title: ClassVar[str]
    fewest: ClassVar[int] = 1
    """The modalities that a patient must have for the measure to say anything."""
    citation: ClassVar[str]
    """BibTeX of the papers that the measure is from."""

    @property
    def key(self) -> str:
        """The attribute under which the explanation holds the result."""
        return self.name or self.default_name

    @property
    def estimands(self) -> Mapping[str, str]:
        """What its arrays (modality) estimate, array -> one of `modalens.validation.ESTIMANDS`: where the truth is known,
        they are held to it. Nothing where the arrays are no shares of modalities.
        """
        return {}

    @abstractmethod
    def needs(self, problem: Problem, values: Values | None) -> Sequence[Need]:
        """The values that the measure still needs, given those that there are; nothing when it has enough. Raises
        InputError for a problem that it can't score.
        """

    @abstractmethod
    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        """What is averaged over samples: arrays with an axis `sample`."""

    @abstractmethod
    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        """The global numbers, from averages of the per-sample arrays with these weights, (sample,) or (draw, sample)."""

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        """Arrays of single samples and parts, and all else that has no interval."""
        return {}

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        """Why a number is NaN, by its name."""
        return {}

    def settings(self, problem: Problem) -> dict[str, Any]:
        """How the measure was set, for provenance."""
        return {name: value for name, value in asdict(self).items() if name != "name" and value is not None} | {
            "space": problem.space
        }

    def score(self, problem: Problem, values: Values) -> Result:
        """The scores, from values under the masks that were needed."""
        samples = self.per_sample(problem, values)
        found = self.numbers(problem, samples, statistics.uniform_weights(problem.samples))
        reasons = self.reasons(problem, found)
        draws, resampled, why = self.bootstrap(problem, samples, found)
        details = self.details(problem, values, samples)
        if problem.available is not None:
            details = availability.of_those_who_have(problem, details, self.fewest) | self.by_set(problem, samples)
            reasons |= availability.reasons(problem, {**found, **details})
        why = why or _partly_undefined(draws, problem.confidence)
        return Result(
            measure=self.key,
            title=self.title,
            arrays={**found, **details},
            draws=draws,
            monte_carlo_error=self.monte_carlo(problem, values),
            confidence=problem.confidence,
            resampled=resampled,
            reasons=reasons | ({"interval": why} if why else {}),
            settings=self.settings(problem),
            citation=self.citation,
        )

    def numbers(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        """The global numbers. Where patients differ in the modalities that they have: those of each set of modalities
        by itself, then their mean over patients.
        """
        if problem.available is None:
            return self.summarise(problem, samples, weights)
        return availability.over_sets(problem, partial(self.summarise, problem, samples), weights, self.fewest)

    def by_set(self, problem: Problem, samples: Arrays) -> Arrays:
        """The contribution among the patients who have the same modalities, (available, modality)."""
        weights = statistics.uniform_weights(problem.samples)
        return availability.by_set(problem, partial(self.summarise, problem, samples), weights, self.fewest)

    def bootstrap(self, problem: Problem, samples: Arrays, found: Arrays) -> tuple[xr.Dataset, str, str]:
        """The global numbers that were found, under resampled weights (axis `draw`), what was resampled, and why there
        is no interval, if there is none.
        """
        if problem.confidence is None:
            return _no_draws(found), "nothing: intervals were turned off", ""
        clusters = statistics.cluster_count(problem.groups, problem.samples)
        resampled = f"{clusters} {'groups' if problem.groups is not None else 'samples'}, {statistics.DRAWS} times with replacement"
        weights = statistics.bootstrap_weights(problem.groups, problem.samples, problem.seed)
        drawn = xr.Dataset(self.numbers(problem, samples, weights))
        if clusters >= statistics.MIN_CLUSTERS:
            return drawn, resampled, ""
        return (
            drawn * np.nan,
            resampled,
            f"{clusters} resampling units are too few for an interval; at least {statistics.MIN_CLUSTERS} are needed",
        )

    def monte_carlo(self, problem: Problem, values: Values) -> xr.Dataset:
        """The part of the global numbers' error that comes from drawing a finite number of background rows."""
        blocks = min(JACKKNIFE_BLOCKS, values.blocks_in(self.needs(problem, None)))
        if problem.confidence is None or blocks < 2:
            return xr.Dataset()
        weights = statistics.uniform_weights(problem.samples)
        left_out = [
            self.numbers(problem, self.per_sample(problem, values.without_block(block, blocks)), weights)
            for block in range(blocks)
        ]
        return statistics.jackknife_error(left_out)


def _partly_undefined(draws: xr.Dataset, confidence: float | None) -> str:
    """Why an interval is withheld where there is a number: it is undefined in too many draws."""
    if confidence is None or not draws or "contribution" not in draws:
        return ""
    undefined = float(draws["contribution"].isnull().mean("draw").max())
    if not (1 - confidence) / 2 < undefined < 1:
        return ""
    return f"in {undefined:.0%} of the draws the change is below the model's rounding, so their share is undefined; output='logit' may tell more"


def _no_draws(found: Arrays) -> xr.Dataset:
    """The names and axes of the global numbers, without a draw."""
    return xr.Dataset({name: (("draw", *array.dims), np.empty((0, *array.shape))) for name, array in found.items()})


def by_output(problem: Problem, values: np.ndarray, *axes: tuple[str, Sequence[Any] | None]) -> xr.DataArray:
    """Values (..., samples, outputs) with names on their axes; `axes` names the leading ones, with their coordinates."""
    dims = (*(name for name, _ in axes), "sample", "output")
    labels = {name: tuple(labels) for name, labels in axes if labels is not None} | {"output": tuple(problem.outputs)}
    return xr.DataArray(values, dims=dims, coords=_coordinates(tuple(labels.items())))


@lru_cache(maxsize=64)
def _coordinates(labels: tuple[tuple[str, tuple[Any, ...]], ...]) -> xr.Coordinates:
    """The same names again and again, which take xarray longer to make than the numbers that they stand on."""
    return xr.Coordinates({name: list(values) for name, values in labels})


def nothing_changes(problem: Problem, why: str) -> str:
    """Why a share is NaN: nothing changes by more than rounding. A saturated probability may hide that much does."""
    saturated = problem.space == "probability" and "logit" in problem.spaces
    return why + (
        f" (changes below {problem.resolution:.1g} are the model's rounding; a saturated model changes by less: output='logit' would still show it)"
        if saturated
        else ""
    )


def error_reason(problem: Problem, why: Mapping[str, str]) -> dict[str, str]:
    """Why the standard error of the contribution is NaN, if it is: the contribution is, or there is nothing to take a
    spread of.
    """
    if statistics.cluster_count(problem.groups, problem.samples) < 2:
        return {"standard_error": "a single resampling unit has no spread; at least 2 are needed"}
    return {"standard_error": why["contribution"]} if "contribution" in why else {}
