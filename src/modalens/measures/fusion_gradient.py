"""Importance by gradients at the fusion point (Azmat and Alessio 2022), and estimators that do not under-count a
collapsed encoder.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr

from modalens import statistics
from modalens.errors import InputError, ModalensWarning, choice
from modalens.measures.base import Arrays, Measure, by_output, error_reason
from modalens.measures.performance import METRICS
from modalens.problem import PRESENT, Gradients, Need, Outputs, Problem, Slopes, Values

ESTIMATORS = ("gradient", "grouped", "covariance", "integrated", "expected")

SATURATED = 0.1
"""A sample is saturated where its own gradient says less than this share of what the line to it says."""

INCOMPLETE = 0.2
"""A completeness error above this share is said."""

COLLAPSED = 0.5
"""An encoder whose features are under-counted by more than this factor is named in a warning."""


@dataclass(frozen=True, kw_only=True)
class FusionGradient(Measure):
    """How strongly the output follows each modality's features at the fusion point, where encoders end and the head
    begins.

    With g_j the gradient of an output with respect to feature j, h the features of a sample, b those of what stands
    in (background rows, unless explain is given a baseline), and sums over the features j of a modality m:

    - "gradient", the paper's: sum_j |g_j|. No baseline; the width of a modality and copies of one feature change it.
    - "grouped": |sum_j g_j (h_j - mean b_j)|.
    - "covariance": sqrt(g_m' Cov_m g_m), the standard deviation of sum_j g_j b_j over background rows.
    - "integrated": |sum_j (h_j - mean b_j) times the mean of g_j on the line from mean b to h| (Sundararajan 2017).
    - "expected", the default: the same on lines from each of `draws` background rows, averaged (Erion 2021).

    The contribution is the mean over samples, summed over outputs and normalised. A trained encoder turns its d
    features into copies of one scalar, which the paper's estimator under-counts by 1/sqrt(d); the others sum within
    the modality first, and do not. Numbers compare within one model: another architecture has another fusion point.
    Gradients are of the space that explain is asked for (probability, logit, raw).

    Parameters
    ----------
    estimator : one of those. draws : background rows at which lines start ("expected"). steps : points on a line,
        Gauss-Legendre; 8 ("expected") or 50 ("integrated") unless given.

    Result
    ------
    contribution (modality): sums to 1. by_output (output, modality), by_sample (sample, modality), by_baseline
        (baseline, modality), by_estimator (estimator, modality): the others beside it.
    values (sample, modality, output): signed where the estimator is ("grouped", "integrated", "expected").
    width, participation, spread, predicted_bias (modality): the number of features, how many directions they really
        use, their standard deviation, and sqrt(participation / width), by which the paper's estimator under-counts.
    saturation: share of samples whose own gradient says less than a tenth of what the line to them says.
    completeness_error: mean |sum_m values - (F(h) - F(b))| over mean |F(h) - F(b)| on the lines.
    accuracy, chance: with labels, and what always guessing the most frequent class would have.

    Raises InputError for a model without gradients, or that takes a modality as whole numbers that no embedding reads.

    Example
    -------
    >>> import torch, modalens as ml
    >>> class Net(torch.nn.Module):
    ...     def forward(self, a, b):
    ...         return torch.cat([a, b], dim=1) @ torch.tensor([[1.0], [-2.0], [3.0], [0.5]])
    >>> inputs = {"a": torch.randn(20, 2), "b": torch.randn(20, 2)}
    >>> found = ml.explain(Net(), inputs, measures=[ml.FusionGradient(estimator="gradient")], output="raw", background=inputs)
    >>> found.fusion_gradient.contribution.values.round(4)
    array([0.4615, 0.5385])
    """

    estimator: Literal["gradient", "grouped", "covariance", "integrated", "expected"] = "expected"
    draws: int = 16
    steps: int | None = None

    default_name: ClassVar[str] = "fusion_gradient"
    title: ClassVar[str] = "Gradients at the fusion point"
    citation: ClassVar[str] = """@inproceedings{azmat2022feature,
  title = {Feature Importance Estimation Using Gradient Based Method for Multimodal Fused Neural Networks},
  author = {Azmat, Muhammad and Alessio, Adam},
  booktitle = {IEEE Nuclear Science Symposium and Medical Imaging Conference}, year = {2022}
}
@inproceedings{sundararajan2017axiomatic,
  title = {Axiomatic Attribution for Deep Networks},
  author = {Sundararajan, Mukund and Taly, Ankur and Yan, Qiqi},
  booktitle = {International Conference on Machine Learning}, year = {2017}
}
@article{erion2021improving,
  title = {Improving performance of deep learning models with axiomatic attribution priors and expected gradients},
  author = {Erion, Gabriel and Janizek, Joseph D. and Sturmfels, Pascal and Lundberg, Scott M. and Lee, Su-In},
  journal = {Nature Machine Intelligence}, volume = {3}, pages = {620--631}, year = {2021}
}"""

    def __post_init__(self) -> None:
        choice("estimator", self.estimator, ESTIMATORS)
        if not isinstance(self.draws, int) or self.draws < 1:
            raise InputError(
                f"FusionGradient(draws={self.draws!r}): give a whole number of background rows, at least 1."
            )
        if self.steps is not None and (not isinstance(self.steps, int) or self.steps < 1):
            raise InputError(
                f"FusionGradient(steps={self.steps!r}): give a whole number of points on a line, at least 1."
            )

    @property
    def estimands(self) -> Mapping[str, str]:
        return {"contribution": "sensitivity" if self.estimator == "gradient" else "contribution"}

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Need]:
        problem.require_complete("FusionGradient")
        first, *others = problem.coalition_baselines
        present = Outputs(masks=(PRESENT,), baseline=problem.part_baselines[0], draws="part")
        return (
            present,
            self._at_sample(problem, first),
            self._on_lines(problem, first),
            *(self._own(problem, baseline) for baseline in others),
        )

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        first, baselines, estimators = problem.coalition_baselines[0], problem.coalition_baselines, self._side_by_side
        own = np.stack([self._values(problem, values, self.estimator, baseline) for baseline in baselines])
        others = np.stack([self._values(problem, values, estimator, first) for estimator in estimators])
        by_modality = ("modality", problem.modalities)
        return {
            "amount": by_output(problem, np.abs(own), ("baseline", baselines), by_modality),
            "estimators": by_output(problem, np.abs(others), ("estimator", estimators), by_modality),
        }

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        amounts = statistics.average(samples["amount"], weights)
        by_baseline = statistics.share(amounts.sum("output", skipna=False))
        return {
            "contribution": by_baseline.isel(baseline=0, drop=True),
            "by_baseline": by_baseline,
            "by_output": statistics.share(amounts.isel(baseline=0, drop=True)).transpose(..., "output", "modality"),
            "by_estimator": statistics.share(
                statistics.average(samples["estimators"], weights).sum("output", skipna=False)
            ).transpose(..., "estimator", "modality"),
        }

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        first = problem.coalition_baselines[0]
        found = self._values(problem, values, self.estimator, first)
        signed = by_output(problem, found, ("modality", problem.modalities)).transpose("sample", "modality", "output")
        amounts = abs(signed).sum("output", skipna=False)
        bias = self._features(problem, values)
        self._warn(problem, values, bias["predicted_bias"])
        return {
            "values": signed,
            "of_target": problem.of_target(signed),
            "by_sample": statistics.share(amounts),
            "standard_error": statistics.ratio_standard_error(amounts, problem.groups),
            **bias,
            "saturation": xr.DataArray(self._saturation(problem, values)),
            "completeness_error": xr.DataArray(self._completeness_error(problem, values)),
            **{name: xr.DataArray(score) for name, score in _accuracy(problem, values).items()},
        }

    def reasons(self, problem: Problem, found: Arrays) -> dict[str, str]:
        why = {}
        for name, array in found.items():
            if np.isnan(array.values).any():
                covariance = self.estimator == "covariance" or name == "by_estimator"
                few = (
                    ", or there are not the at least two background rows that the covariance needs"
                    if covariance
                    else ""
                )
                why[name] = f"every gradient is 0: 0 / 0{few}"
        return why | error_reason(problem, why)

    def settings(self, problem: Problem) -> dict[str, Any]:
        return super().settings(problem) | {"steps": len(self._quadrature()[0])}

    def monte_carlo(self, problem: Problem, values: Values) -> xr.Dataset:
        found = super().monte_carlo(problem, values)
        # Lines from the mean of all rows can't be left out row by row.
        return found * np.nan if self.estimator == "integrated" else found

    # what is asked for -------------------------------------------------------------------------------------------------

    @property
    def _side_by_side(self) -> tuple[str, ...]:
        """The estimators that one run gives: those at the sample, and the one on lines."""
        return ("gradient", "grouped", "covariance", self._lines_of)

    @property
    def _lines_of(self) -> str:
        return "integrated" if self.estimator == "integrated" else "expected"

    def _own(self, problem: Problem, baseline: str) -> Gradients:
        """The need that the estimator itself has."""
        on_lines = self.estimator in ("integrated", "expected")
        return self._on_lines(problem, baseline) if on_lines else self._at_sample(problem, baseline)

    def _at_sample(self, problem: Problem, baseline: str) -> Gradients:
        return Gradients(baseline=baseline, space=problem.space, positions=(1.0,))

    def _on_lines(self, problem: Problem, baseline: str) -> Gradients:
        points = tuple(float(point) for point in self._quadrature()[0])
        if self.estimator == "integrated":
            return Gradients(baseline=baseline, space=problem.space, positions=points, start="mean")
        return Gradients(baseline=baseline, space=problem.space, positions=points, draws=self.draws)

    def _quadrature(self) -> tuple[np.ndarray, np.ndarray]:
        """Points on [0, 1], and their weights."""
        return gauss_legendre(self.steps or (50 if self.estimator == "integrated" else 8))

    # what comes of it --------------------------------------------------------------------------------------------------

    def _values(self, problem: Problem, values: Values, estimator: str, baseline: str) -> np.ndarray:
        """An estimator's value of every modality, (modality, sample, output); signed where it has a sign."""
        at_sample = estimator in ("gradient", "grouped", "covariance")
        need = self._at_sample(problem, baseline) if at_sample else self._on_lines(problem, baseline)
        slopes = values.slopes(need)
        match estimator:
            case "gradient":
                found = slopes.size
            case "grouped":
                found = slopes.along[:, 0].mean(axis=0)
            case "covariance":
                found = _spread(slopes.along[:, 0])
            case _:
                found = self._integral(slopes)
        return found.transpose(1, 0, 2)

    def _integral(self, slopes: Slopes) -> np.ndarray:
        """sum_t w_t sum_j g_j(t) (h_j - b_j), the mean over lines: (sample, modality, output)."""
        return np.asarray(np.tensordot(self._quadrature()[1], slopes.along.mean(axis=0), axes=1))

    def _saturation(self, problem: Problem, values: Values) -> float:
        first = problem.coalition_baselines[0]
        local, whole = (
            np.abs(self._values(problem, values, estimator, first)).sum(axis=(0, 2))
            for estimator in ("grouped", self._lines_of)
        )
        return float((local < SATURATED * whole).mean())

    def _completeness_error(self, problem: Problem, values: Values) -> float:
        slopes = values.slopes(self._on_lines(problem, problem.coalition_baselines[0]))
        change = slopes.outputs - slopes.starts.mean(axis=0)
        missed = np.abs(self._integral(slopes).sum(axis=1) - change).mean()
        return float(missed / scale) if (scale := np.abs(change).mean()) > 0 else float("nan")

    def _features(self, problem: Problem, values: Values) -> dict[str, xr.DataArray]:
        assert values.features is not None
        features = values.features

        def named(found: np.ndarray) -> xr.DataArray:
            return xr.DataArray(found, dims="modality", coords={"modality": list(problem.modalities)})

        with np.errstate(invalid="ignore", divide="ignore"):
            bias = np.sqrt(features.participation / features.width)
        return {
            "width": named(features.width),
            "participation": named(features.participation),
            "spread": named(features.spread),
            "predicted_bias": named(bias),
        }

    def _warn(self, problem: Problem, values: Values, bias: xr.DataArray) -> None:
        assert values.features is not None
        if values.features.note:
            warnings.warn(f"{self.key}: {values.features.note}", ModalensWarning, stacklevel=2)
        collapsed = [str(name) for name in bias.modality.values[(bias < COLLAPSED).values]]
        if self.estimator == "gradient" and collapsed:
            counted = ", ".join(f"{name!r} by {bias.sel(modality=name).item():.2f}" for name in collapsed)
            warnings.warn(
                f"{self.key}: the features of some modalities are nearly copies of each other, which this estimator under-counts (predicted: {counted}); "
                "estimator='expected' does not.",
                ModalensWarning,
                stacklevel=2,
            )
        error = self._completeness_error(problem, values)
        if self.estimator in ("expected", "integrated") and error > INCOMPLETE:
            warnings.warn(
                f"{self.key}: the values of a sample add up to the change of the output only to {error:.0%} of it (the output turns sharply between the points); "
                f"shares over many samples are steadier. Give more points, such as steps={4 * len(self._quadrature()[0])}, or output='logit'.",
                ModalensWarning,
                stacklevel=2,
            )
        found = _accuracy(problem, values)
        if found and _no_better(found["accuracy"], found["chance"], problem.samples):
            warnings.warn(
                f"{self.key}: the model is right on {found['accuracy']:.0%} of the samples, no better than always guessing the same ({found['chance']:.0%}); "
                "its gradients look even, and say nothing about the modalities.",
                ModalensWarning,
                stacklevel=2,
            )


@cache
def gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points on [0, 1] and their weights: exact for polynomials of degree 2 steps - 1."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (points + 1) / 2, weights / 2


def _spread(along: np.ndarray) -> np.ndarray:
    """The standard deviation over draws, (sample, modality, output); NaN for a single one."""
    return along.std(axis=0, ddof=1) if len(along) > 1 else np.full(along.shape[1:], np.nan)


def _accuracy(problem: Problem, values: Values) -> dict[str, float]:
    """How often the model is right, and how often the most frequent answer would be; nothing without labels, for a
    regression or a survival.
    """
    if problem.labels is None or problem.task in ("regression", "survival") or "probability" not in problem.spaces:
        return {}
    probability = values.mean([PRESENT], problem.part_baselines[0], space="probability", draws="part")[0]
    right = METRICS["accuracy"](problem.labels, probability, np.ones((1, problem.samples)))
    return {"accuracy": float(right[0]), "chance": _most_frequent(problem.labels)}


def _most_frequent(labels: np.ndarray) -> float:
    """The share of the most frequent class; the mean over labels where there are several."""
    if labels.ndim == 1:
        return float(np.bincount(labels).max() / len(labels))
    return float(np.maximum(labels.mean(axis=0), 1 - labels.mean(axis=0)).mean())


def _no_better(accuracy: float, chance: float, samples: int) -> bool:
    """Whether an accuracy lies within two standard errors of chance; a model that is always right never does."""
    return accuracy < 1 and accuracy <= chance + 2 * np.sqrt(max(chance * (1 - chance), 1e-12) / samples)
