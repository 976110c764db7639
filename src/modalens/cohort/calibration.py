"""Whether what the model predicts is what is observed: of 100 patients who are given 30 %, about 30 should have it."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm

from modalens import statistics
from modalens.cohort.performance import NO_LABELS
from modalens.cohort.predictions import CONFIDENCE, Predictions, predictions_of
from modalens.errors import InputError
from modalens.explanation import Explanation
from modalens.measures.performance import one_against_the_rest

TOP = "the predicted class"
"""The name of the curve of what the model names, whichever it is."""

NEAR = 1e-6
"""Probabilities are kept this far from 0 and 1 before log-odds are taken."""

NOT_OF_SURVIVAL = (
    "calibration of survival is not done: where patients are censored, the share that survived must be estimated, at a time that "
    "somebody has to choose; use a package for survival, such as scikit-survival"
)
TOGETHER = (
    "Some patients have several samples: shares' intervals, and what chance makes of the error, are those of as many patients, as if the samples of one all "
    "went the same way. They are rather too wide than too narrow"
)

NO_PROBABILITIES = "the model gives scores and no probabilities, so there is nothing to hold against observed shares: link= turns scores into probabilities"


def calibration(explanation: Explanation, bins: int = 10) -> xr.Dataset:
    """Whether predicted probabilities are observed shares, and predicted values observed ones.

    bins: samples are sorted by what is predicted and cut into this many groups of about equal size; equal predictions stay
    together, so there may be fewer.

    Returns
    -------
    Dataset, by output and bin (NaN in bins that are not there): `predicted`, the mean prediction; `observed`, the share who
    have it, or the mean value; `observed_interval` (bound); `count`. Outputs are the second of two classes (the first mirrors
    it), each label of several, each value; of more classes first "the predicted class", held against whether it is true, then each
    class against the rest. A share's interval is Wilson's, of as many patients as are in the bin. Where patients have several
    samples, this takes them to go the same way, and is rather too wide than too narrow: the attribute `together` says so.
    There are no intervals at all where the explanation has none (`why_no_interval`).

    Of probabilities also, by output:
    error: the expected calibration error, sum over bins of their share of samples times |observed - predicted|;
        `error_interval` (bound) by bootstrap of patients, which
        lies rather high, since each draw adds chance of its own.
    error_if_calibrated: the mean error of a model of this size whose probabilities are perfectly true: 1,000 times, labels are
        drawn from them, those of a patient together, which is the most that chance can do. Above 0 by chance alone.
        error_if_calibrated_interval (bound): where such a model's error lies; an `error`
        above it is more than chance.
    slope, intercept: of the logistic regression of what is true on the log-odds of what is predicted; 1 and 0 if calibrated.
        A slope below 1: predictions are too extreme. in_the_large: the intercept where the slope is held at 1; below 0:
        predicted too high.
    Of values: slope and intercept of the straight line of observed on predicted values; `residual` (output, bin), the mean of
        observed - predicted, with `residual_interval` (bound) by bootstrap of patients.

    The attribute `reason` says why there is nothing: no labels, no probabilities, survival; `slope.attrs["reason"]` why that is NaN.

    Raises InputError for fewer than two bins, and where the explanation holds no predictions.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import cohort
    >>> inputs = {"a": np.repeat([[-2.0], [2.0]], 10, axis=0), "b": np.ones((20, 1))}
    >>> labels = [0] * 8 + [1] * 2 + [0] * 2 + [1] * 8
    >>> explanation = ml.explain(lambda a, b: 0.5 + 0.2 * a[:, 0], inputs, labels=labels, measures=[ml.Occlusion()], baseline="zeros", progress=False)
    >>> found = cohort.calibration(explanation, bins=2).sel(output="1")
    >>> found.predicted.values.round(2), found.observed.values.round(2), round(found.error.item(), 3)
    (array([0.1, 0.9]), array([0.2, 0.8]), 0.1)
    """
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 2:
        raise InputError(f"bins={bins!r}: expected a whole number of bins, at least 2; give one, such as 10.")
    found = predictions_of(explanation)
    if reason := _why_not(found):
        return xr.Dataset(attrs={"reason": reason})
    if found.task == "regression":
        return _of_values(found, bins)
    return _of_probabilities(found, bins)


def _why_not(found: Predictions) -> str:
    if found.task == "survival":
        return NOT_OF_SURVIVAL
    if found.labels is None:
        return NO_LABELS
    if found.task == "regression" and found.labels.shape[1] != len(found.outputs):
        return f"there are {found.labels.shape[1]} labels a patient, and {len(found.outputs)} outputs"
    return "" if found.task == "regression" or found.of_probability else NO_PROBABILITIES


def questions(found: Predictions) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What is predicted and what is true of each sample, (sample,) each, by the output that it is about."""
    assert found.labels is not None
    if found.task == "regression":
        return {name: (found.values[:, place], found.labels[:, place]) for place, name in enumerate(found.outputs)}
    wanted = one_against_the_rest(found.labels, len(found.outputs)).astype(float)
    each = {name: (found.values[:, place], wanted[:, place]) for place, name in enumerate(found.outputs)}
    if found.task == "multilabel":
        return each
    if len(found.outputs) == 2:
        return {found.outputs[1]: each[found.outputs[1]]}
    assert found.named is not None
    return {TOP: (found.values.max(axis=1), (found.named == found.labels).astype(float))} | each


def bin_of(predicted: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each sample, from 0: equal counts, and equal predictions in the same one."""
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    return np.unique(np.searchsorted(edges, predicted, side="left"), return_inverse=True)[1]


# Probabilities --------------------------------------------------------------------------------------------------------------------


def _of_probabilities(found: Predictions, bins: int) -> xr.Dataset:
    asked = questions(found)
    draws = None if found.why_no_interval else found.bootstrap
    each = [_curve(found, predicted, true, bins, draws) for predicted, true in asked.values()]
    joined = xr.concat(each, dim=xr.DataArray(list(asked), dims="output", name="output"))
    joined = joined.transpose("bound", "output", "bin")
    joined["slope"].attrs |= _why_no_slope(asked, joined["slope"])
    several = int(found.cluster.max()) + 1 < found.samples
    together = {"together": TOGETHER} if several and not found.why_no_interval else {}
    return joined.assign_attrs(_about(found) | together | {"kind": "probability", "simulated": statistics.DRAWS})


def _curve(
    found: Predictions, predicted: np.ndarray, true: np.ndarray, bins: int, draws: np.ndarray | None
) -> xr.Dataset:
    """The reliability curve of one question, and what sums it up."""
    member = _membership(bin_of(predicted, bins), bins)
    count = member.sum(axis=0)
    once = np.full((1, found.samples), 1 / found.samples)
    confidence = found.confidence or CONFIDENCE
    slope, intercept = _recalibration(predicted, true)
    drawn = np.full(2, np.nan) if draws is None else _error(draws, predicted, true, member)
    chance = _error_if_calibrated(found, predicted, member)
    patients = np.array([len(np.unique(found.cluster[inside > 0])) for inside in member.T])
    wilson = _wilson(true @ member / np.maximum(count, 1), patients, confidence)
    return _binned(member, predicted, true).assign(
        observed_interval=(("bound", "bin"), np.full_like(wilson, np.nan) if draws is None else wilson),
        error=_error(once, predicted, true, member)[0],
        error_interval=("bound", _percentiles(drawn, confidence)),
        error_if_calibrated=chance.mean(),
        error_if_calibrated_interval=("bound", _percentiles(drawn if draws is None else chance, confidence)),
        slope=slope,
        intercept=intercept,
        in_the_large=_in_the_large(predicted, true),
    )


def _binned(member: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> xr.Dataset:
    count = member.sum(axis=0)
    size = np.where(count > 0, count, np.nan)
    numbers = {
        "predicted": ("bin", predicted @ member / size),
        "observed": ("bin", true @ member / size),
        "count": ("bin", count.astype(int)),
    }
    return xr.Dataset(numbers, coords={"bin": np.arange(member.shape[1]), "bound": ["lower", "upper"]})


def _membership(place: np.ndarray, bins: int) -> np.ndarray:
    """Whether each sample is in each bin, (sample, bin), as 0 and 1."""
    return np.asarray(place[:, None] == np.arange(bins), dtype=float)


def _error(weights: np.ndarray, predicted: np.ndarray, true: np.ndarray, member: np.ndarray) -> np.ndarray:
    """The expected calibration error under weights (draw, sample) that sum to 1: the sum over bins of |sum of w (true - predicted)|."""
    return np.asarray(np.abs(weights @ (member * (true - predicted)[:, None])).sum(axis=1))


def _error_if_calibrated(found: Predictions, predicted: np.ndarray, member: np.ndarray) -> np.ndarray:
    """The error in each of many cohorts in which the predictions are true: labels are drawn from them, with one random number a
    patient.
    """
    random = np.random.default_rng(np.random.SeedSequence((found.seed, 3)))
    patients = int(found.cluster.max()) + 1
    drawn = random.random((statistics.DRAWS, patients))[:, found.cluster] < predicted
    return np.asarray(np.abs((drawn - predicted) @ member).sum(axis=1) / found.samples)


def _wilson(share: np.ndarray, patients: np.ndarray, confidence: float) -> np.ndarray:
    """Wilson's (1927) interval of the share in each bin, of as many patients, (bound, bin); NaN where there is nobody."""
    squared = norm.ppf((1 + confidence) / 2) ** 2
    size = np.where(patients > 0, patients, np.nan)
    half = np.sqrt(squared * share * (1 - share) / size + squared**2 / (4 * size**2))
    middle = share + squared / (2 * size)
    return np.clip(np.array([middle - half, middle + half]) / (1 + squared / size), 0.0, 1.0)


def _percentiles(drawn: np.ndarray, confidence: float) -> np.ndarray:
    tail = (1 - confidence) / 2
    return np.asarray(np.quantile(drawn, [tail, 1 - tail]))


def _log_odds(predicted: np.ndarray) -> np.ndarray:
    return np.asarray(logit(np.clip(predicted, NEAR, 1 - NEAR)))


def _recalibration(predicted: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the logistic regression of what is true on the log-odds; NaN where that has no finite answer."""
    if _why_not_recalibrated(predicted, true):
        return np.nan, np.nan
    from sklearn.linear_model import LogisticRegression  # takes long to import, and is not always needed

    fit = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(_log_odds(predicted)[:, None], true)
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def _why_not_recalibrated(predicted: np.ndarray, true: np.ndarray) -> str:
    odds = _log_odds(predicted)
    have, have_not = odds[true > 0], odds[true == 0]
    if not len(have) or not len(have_not):
        return "it is true of all patients, or of none"
    if odds.max() == odds.min():
        near = "" if predicted.max() == predicted.min() else f", up to the {NEAR:g} that is kept from 0 and 1"
        return f"the prediction is the same for all patients{near}"
    if have.min() >= have_not.max() or have.max() <= have_not.min():
        return "one threshold tells all patients apart, so the slope has no bound"
    return ""


def _in_the_large(predicted: np.ndarray, true: np.ndarray) -> float:
    """The shift of all log-odds that makes the mean prediction the share who have it; NaN where all have it, or none."""
    if true.min() == true.max():
        return np.nan
    odds, share = _log_odds(predicted), true.mean()
    reach = float(np.abs(odds).max() + np.abs(logit(share)) + 1)
    return float(brentq(lambda shift: expit(odds + shift).mean() - share, -reach, reach, xtol=1e-12))


def _why_no_slope(asked: dict[str, tuple[np.ndarray, np.ndarray]], slope: xr.DataArray) -> dict[str, str]:
    missing = [str(name) for name in slope.output.values[np.isnan(slope.values)]]
    return (
        {"reason": "; ".join(f"{name}: {_why_not_recalibrated(*asked[name])}" for name in missing)} if missing else {}
    )


# Values ---------------------------------------------------------------------------------------------------------------------------


def _of_values(found: Predictions, bins: int) -> xr.Dataset:
    asked = questions(found)
    draws = None if found.why_no_interval else found.bootstrap
    each = [_line(found, predicted, true, bins, draws) for predicted, true in asked.values()]
    joined = xr.concat(each, dim=xr.DataArray(list(asked), dims="output", name="output"))
    joined = joined.transpose("bound", "output", "bin")
    if bool(joined["slope"].isnull().any()):
        joined["slope"].attrs["reason"] = "the prediction is the same for all patients"
    return joined.assign_attrs(_about(found) | {"kind": "value"})


def _line(
    found: Predictions, predicted: np.ndarray, true: np.ndarray, bins: int, draws: np.ndarray | None
) -> xr.Dataset:
    """Observed values and residuals by what was predicted, and the straight line through all of them."""
    member = _membership(bin_of(predicted, bins), bins)
    binned = _binned(member, predicted, true)
    constant = predicted.max() == predicted.min()
    slope, intercept = (np.nan, np.nan) if constant else np.polyfit(predicted, true, 1)
    confidence = found.confidence or CONFIDENCE
    return binned.assign(
        residual=binned["observed"] - binned["predicted"],
        observed_interval=(("bound", "bin"), _interval_of_means(true, member, draws, confidence)),
        residual_interval=(("bound", "bin"), _interval_of_means(true - predicted, member, draws, confidence)),
        slope=float(slope),
        intercept=float(intercept),
    )


def _interval_of_means(
    values: np.ndarray, member: np.ndarray, draws: np.ndarray | None, confidence: float
) -> np.ndarray:
    """The bounds of the mean in each bin, (bound, bin), by bootstrap of patients."""
    if draws is None:
        return np.full((2, member.shape[1]), np.nan)
    size = draws @ member
    means = draws @ (member * values[:, None]) / np.where(size > 0, size, np.nan)
    return np.asarray(statistics.interval(xr.Dataset({"mean": (("draw", "bin"), means)}), confidence)["mean"].values)


def _about(found: Predictions) -> dict[str, object]:
    return {"confidence": found.confidence or CONFIDENCE, "why_no_interval": found.why_no_interval}
