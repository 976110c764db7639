"""Numbers of any weighting of the patients: what modalities contribute, how much they interact, how well the model predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from modalens.cohort.patients import patients
from modalens.cohort.performance import by_class, metrics_of
from modalens.cohort.predictions import Predictions
from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.measures.performance import one_against_the_rest, varying
from modalens.reading import result_of

Numbers = Callable[[np.ndarray], np.ndarray]
"""Weights (draw, sample) -> numbers (draw, one of the quantity's)."""

Beside = Callable[[np.ndarray], Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]
"""Weights of everybody -> weights of a part of them -> the numbers of that part, and of the rest."""

SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")

MOST_PAIRS = 4 * 10**6
"""Pairs of samples up to which a concordance is compared between subgroups: it takes time with their number."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A quantity that any weighting of the patients has: its name, that in words, which modalities it is of ("" for none),
    and its numbers. of_performance: it says how well the model predicts. over: the classes or outputs whose numbers `each`
    gives, and of which the quantity is the mean over those that are defined; empty where `each` gives the numbers themselves.
    """

    name: str
    words: str
    modalities: tuple[str, ...]
    each: Numbers
    of_performance: bool = False
    quick: Beside | None = None
    over: tuple[str, ...] = ()

    def numbers(self, weights: np.ndarray) -> np.ndarray:
        """Of weights (draw, sample): the numbers, (draw, number)."""
        found = self.each(weights)
        return _mean_of_known(found, ~np.isnan(found)) if self.over else found

    def beside(self, everybody: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Of weights (draw, sample) of a part of everybody: the numbers of that part, and of the rest. A mean is over what is
        defined in both.
        """
        each = self._each_beside(everybody)
        return (lambda inside: _means_of_shared(*each(inside))) if self.over else each

    def undefined(self, everybody: np.ndarray, inside: np.ndarray) -> list[str]:
        """The classes or outputs that are left out of the mean, since they are undefined in a part of everybody or in the rest."""
        own, rest = self._each_beside(everybody)(inside)
        known = ~(np.isnan(own) | np.isnan(rest))[0]
        return [name for name, is_known in zip(self.over, known, strict=False) if not is_known]

    def _each_beside(self, everybody: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        if self.quick is not None:
            return self.quick(everybody)
        return lambda inside: (self.each(inside), self.each(everybody - inside))


def _means_of_shared(own: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The means of two arrays (draw, class) over the classes that are defined in both, (draw, 1) each."""
    known = ~(np.isnan(own) | np.isnan(rest))
    return _mean_of_known(own, known), _mean_of_known(rest, known)


def _mean_of_known(numbers: np.ndarray, known: np.ndarray) -> np.ndarray:
    count = known.sum(axis=1, keepdims=True)
    return np.asarray(np.where(known, numbers, 0.0).sum(axis=1, keepdims=True) / np.where(count > 0, count, np.nan))


def quantities(explanation: Explanation, found: Predictions) -> tuple[list[Quantity], list[str]]:
    """All that can be had again from what the explanation keeps by patient, and what can't."""
    asked = (_contribution(explanation), _interaction(explanation), _performance(explanation, found))
    return [one for one in asked if isinstance(one, Quantity)], [one for one in asked if isinstance(one, str) and one]


# Contribution ---------------------------------------------------------------------------------------------------------------------


def _contribution(explanation: Explanation) -> Quantity | str:
    """The measure's own contribution: by occlusion, else by Shapley values."""
    names = explanation.modalities
    available = _available(explanation)
    if (result := result_of(explanation, "occlusion")) is not None:
        parts = result.by_modality("parts")
        each = [abs(parts[name]).sum("part").transpose("sample", "output").values for name in names]
        amounts, words = np.stack(each, axis=1), "share of the change in the output, hidden part by part"
    elif (result := result_of(explanation, "shapley")) is not None:
        amounts = np.nan_to_num(abs(result.array("values")).transpose("sample", "modality", "output").values)
        words = "share of the change in the output, Shapley value"
    else:
        return "Contributions are not compared: they need the measure Occlusion or Shapley"
    floor = _rounding(amounts.sum(axis=(1, 2)), result.array("by_sample").isnull().all("modality").values)
    sets = _sets(available)
    if result.settings.get("reading") == "mean_of_ratios":
        with np.errstate(invalid="ignore", divide="ignore"):
            amounts = np.where(amounts.sum(1, keepdims=True) > floor, amounts / amounts.sum(1, keepdims=True), np.nan)
        shares = amounts.mean(axis=2)
        return Quantity(
            name="contribution",
            words=words,
            modalities=names,
            each=_over_sets(sets, lambda rows: _means(shares[rows]), by_modality=True),
        )
    total = amounts.sum(axis=2)
    return Quantity(
        name="contribution",
        words=words,
        modalities=names,
        each=_over_sets(sets, lambda rows: _ratios_of_sums(total[rows], floor), by_modality=True),
    )


def _ratios_of_sums(amounts: np.ndarray, floor: float) -> Numbers:
    def numbers(weights: np.ndarray) -> np.ndarray:
        size = weights.sum(axis=1, keepdims=True)
        sums = weights @ amounts
        total = sums.sum(axis=1, keepdims=True)
        return np.asarray(sums / np.where(total > floor * size, total, np.nan))

    return numbers


def _means(values: np.ndarray) -> Numbers:
    known = ~np.isnan(values)

    def numbers(weights: np.ndarray) -> np.ndarray:
        size = weights @ known.astype(float)
        return np.asarray(weights @ np.where(known, values, 0.0) / np.where(size > 0, size, np.nan))

    return numbers


# Interaction ----------------------------------------------------------------------------------------------------------------------


def _interaction(explanation: Explanation) -> Quantity | str:
    """The measure's own InterSHAP score; its mean over outputs where each is scored by itself."""
    result = result_of(explanation, "intershap")
    if result is None:
        return ""
    values = result.array("values")
    values = values if "output" in values.dims else values.expand_dims("output")
    phi = np.nan_to_num(values.transpose("sample", "output", "modality", "modality_2").values)
    local = result.array("by_sample")
    undefined = (
        (local if "output" in local.dims else local.expand_dims("output")).transpose("sample", "output").isnull()
    )
    floor = _rounding(np.abs(phi).sum(axis=(2, 3)), undefined.values)
    reading = _reading(result)
    sets = _sets(_available(explanation))
    scores = _over_sets(sets, lambda rows: _intershap(phi[rows], reading, floor))
    words = "InterSHAP, the share that is interaction"
    return Quantity(
        name="interaction",
        words=words if phi.shape[1] == 1 else f"{words}, mean over outputs",
        modalities=("",),
        each=scores,
        over=tuple(map(str, values.output.values)) if phi.shape[1] > 1 else (),
    )


def _reading(result: Result) -> str:
    return str(result.settings.get("reading") or "paper")


def _intershap(phi: np.ndarray, reading: str, floor: float) -> Numbers:
    """The score of phi (sample, output, modality, modality) by output."""
    samples, outputs, players, _ = phi.shape
    own = np.eye(players, dtype=bool).ravel()
    if reading == "package":
        each = np.abs(phi).reshape(samples, outputs, -1)
        diagonal = each[:, :, own].sum(axis=2)
        total = (each.sum(axis=2) + diagonal) / 2
        return _means(1 - diagonal / np.where(total > floor, total, np.nan))
    terms = (phi if reading == "paper" else np.abs(phi)).reshape(samples, -1)

    def numbers(weights: np.ndarray) -> np.ndarray:
        size = np.where(weights.sum(axis=1) > 0, weights.sum(axis=1), np.nan)[:, None, None]
        matrix = np.abs(weights @ terms).reshape(len(weights), outputs, -1) / size
        total = matrix.sum(axis=2)
        return np.asarray(1 - matrix[:, :, own].sum(axis=2) / np.where(total > floor, total, np.nan))

    return numbers


# Performance ----------------------------------------------------------------------------------------------------------------------


def _performance(explanation: Explanation, found: Predictions) -> Quantity | str:
    """The usual score of the task; of values the mean error, since R squared depends on how much the patients differ."""
    if found.labels is None:
        return "Performance is not compared: no labels were given"
    match found.task:
        case "regression":
            frame = patients(explanation)
            if "error" not in frame or frame["error"].isna().any():
                return (
                    "Performance is not compared: labels and outputs differ in number, or a label is the same for all"
                )
            units = explanation.provenance.get("units")
            words = f"mean absolute error{f' in {units}' if units else ''}"
            several = len(found.outputs) > 1
            words = "mean error, in standard deviations of the labels" if several else words
            numbers = _means(frame[["error"]].to_numpy())
            return Quantity(name="mean_error", words=words, modalities=("",), each=numbers, of_performance=True)
        case "survival":
            if found.samples * int((found.labels[:, 1] > 0).sum()) > MOST_PAIRS:
                return "Performance is not compared: a concordance of so many patients takes too long"
            (metric,) = metrics_of(found)
            score: Numbers = lambda weights: metric.score(weights)[:, None]  # noqa: E731
            return Quantity(name=metric.name, words=metric.words, modalities=("",), each=score, of_performance=True)
    outputs = by_class(found)
    wanted = one_against_the_rest(found.labels, outputs.shape[1])
    asked = np.flatnonzero(varying(wanted))
    asked = asked[-1:] if found.task == "classification" and outputs.shape[1] == 2 else asked
    if not len(asked):
        return "Performance is not compared: the labels are all the same"
    ranked = [RankedAUC.of(wanted[:, place], outputs[:, place]) for place in asked]

    def beside(everybody: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        each = [one.beside(everybody) for one in ranked]

        def both(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            own, rest = zip(*(one(inside) for one in each), strict=True)
            return np.stack(own, axis=1), np.stack(rest, axis=1)

        return both

    return Quantity(
        name="auc",
        words="area under the ROC curve",
        modalities=("",),
        each=lambda weights: np.stack([one(weights) for one in ranked], axis=1),
        of_performance=True,
        quick=beside,
        over=tuple(found.outputs[place] for place in asked) if len(asked) > 1 else (),
    )


@dataclass(frozen=True, kw_only=True)
class RankedAUC:
    """The area under the ROC curve of any weights (draw, sample), as `measures.performance.auc` takes it, with the sorting
    done once, and that of the rest of the samples along with it: subgroups ask for both many thousand times.

    have, lack: the samples that are positive, and negative, by score. lower, up_to: how many negatives each positive is above,
    and at least equal to.
    """

    have: np.ndarray
    lack: np.ndarray
    lower: np.ndarray
    up_to: np.ndarray

    @classmethod
    def of(cls, positive: np.ndarray, scores: np.ndarray) -> RankedAUC:
        """From what is true and what is scored, (sample,) each."""
        have, lack = (
            rows[np.argsort(scores[rows], kind="stable")] for rows in map(np.flatnonzero, (positive, ~positive))
        )
        lower, up_to = (np.searchsorted(scores[lack], scores[have], side=side) for side in SIDES)
        return cls(have=have, lack=lack, lower=lower, up_to=up_to)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        own, beaten, lacking = self._beaten(weights)
        return _over(np.einsum("ij,ij->j", own, beaten), own.sum(axis=0) * lacking)

    def beside(self, everybody: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """The area of a part of everybody, and of the rest, whose pairs are all pairs less those with somebody inside."""
        all_own, all_beaten, all_lacking = self._beaten(everybody)
        all_won = (all_own * all_beaten).sum(axis=0)

        def both(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            own, beaten, lacking = self._beaten(inside)
            won = np.einsum("ij,ij->j", own, beaten)
            mixed = np.einsum("ij,ij->j", own, all_beaten) + np.einsum("ij,ij->j", all_own, beaten)
            pairs = (all_own.sum(axis=0) - own.sum(axis=0)) * (all_lacking - lacking)
            known = np.where(pairs > 1e-12 * all_own.sum(axis=0) * all_lacking, pairs, 0.0)
            return _over(won, own.sum(axis=0) * lacking), _over(all_won - mixed + won, known)

        return both

    def _beaten(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The weights of the positives (positive, draw), those of the negatives that each is above, and of all negatives."""
        by_sample = np.ascontiguousarray(weights.T)
        below = np.zeros((len(self.lack) + 1, len(weights)))
        np.cumsum(by_sample[self.lack], axis=0, out=below[1:])
        ties = bool((self.lower != self.up_to).any())
        beaten = (below[self.lower] + below[self.up_to]) / 2 if ties else below[self.lower]
        return by_sample[self.have], beaten, below[-1]


def _over(won: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.asarray(won / np.where(pairs > 0, pairs, np.nan))


# Patients who differ in the modalities that they have -----------------------------------------------------------------------------


def _available(explanation: Explanation) -> np.ndarray:
    """Which samples have which modality, (sample, modality)."""
    return np.asarray(explanation.cohort["available"].sel(modality=list(explanation.modalities)).values, dtype=bool)


def _sets(available: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The sets of modalities that samples have, (modality,), and the samples that have just these."""
    kinds, place = np.unique(available, axis=0, return_inverse=True)
    return [(kind, np.flatnonzero(np.ravel(place) == which)) for which, kind in enumerate(kinds)]


def _over_sets(
    sets: Sequence[tuple[np.ndarray, np.ndarray]],
    of_rows: Callable[[np.ndarray], Numbers],
    *,
    by_modality: bool = False,
) -> Numbers:
    """The mean over patients of the numbers of their set of modalities, as measures take it; where there is one a modality,
    that of the patients who have it.
    """
    each = [(kind, rows, of_rows(rows)) for kind, rows in sets]
    if len(each) == 1 and each[0][0].all():
        return each[0][2]

    def numbers(weights: np.ndarray) -> np.ndarray:
        found, sizes = [], []
        for kind, rows, own in each:
            inside = weights[:, rows]
            values = own(inside)
            values = np.where(kind, values, np.nan) if by_modality else values
            found.append(values)
            sizes.append(np.where(np.isnan(values), 0.0, inside.sum(axis=1, keepdims=True)))
        size = np.sum(sizes, axis=0)
        return np.asarray(np.nansum(np.array(found) * sizes, axis=0) / np.where(size > 0, size, np.nan))

    return numbers


def _rounding(totals: np.ndarray, undefined: np.ndarray) -> float:
    """The largest sum that the measure itself took for rounding; 0 where it took none."""
    return float(np.max(totals[undefined], initial=0.0))
