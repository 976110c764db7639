"""Whether the answer differs between subgroups of patients, and how much of that chance alone would make."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from modalens import statistics
from modalens.cohort.divisions import Division, divisions
from modalens.cohort.permutations import chunks, exchange_words, permuted, step_down
from modalens.cohort.predictions import CONFIDENCE, Predictions, predictions_of
from modalens.cohort.quantities import Quantity, quantities
from modalens.errors import listed
from modalens.explanation import Explanation

PERMUTATIONS = 2000

ALPHA = 0.05
"""A difference counts as shown where its adjusted p-value is not above this."""

EVERYBODY = "all patients"

COLUMNS = (
    "characteristic", "subgroup", "samples", "patients", "quantity", "modality", "what", "value", "lower", "upper",
    "difference", "difference_lower", "difference_upper", "p", "p_adjusted", "tested",
)  # fmt: skip

CAVEATS = (
    "These comparisons are exploratory: nobody said beforehand which of them matter.",
    "The p-values are adjusted for all comparisons made here (Westfall and Young), however many they are.",
    "A small subgroup is imprecise: where its interval is wide, no difference was shown, and none was ruled out.",
    "A difference is no proof of bias, and no difference is no proof of fairness: subgroups may differ in how ill they are, or in how their data were taken.",
)


@dataclass(frozen=True, kw_only=True)
class Subgroups:
    """What is found in each subgroup, beside the rest of the patients.

    frame: a row a subgroup and number, first those of all patients (`to_frame` says what the columns are). said: what a
    reader must know of how the subgroups were made. tests: how many p-values were adjusted together. caveats: how to read it.
    """

    frame: pd.DataFrame
    said: tuple[str, ...]
    tests: int
    confidence: float
    caveats: tuple[str, ...] = CAVEATS

    def to_frame(self) -> pd.DataFrame:
        """Every number as a row.

        characteristic, subgroup; samples, patients: how many are in it; quantity ("contribution", "interaction", or the score's
        name), modality (of a contribution, else ""), what: both in words; value with its bounds lower and upper; difference
        from the rest of the patients (those of the other subgroups) with its bounds; p, of the difference, by permutation;
        p_adjusted, over all tests; tested, whether the row is one of these: of two subgroups the second repeats the first with
        the sign turned. NaN where a number is undefined.
        """
        return self.frame.copy()

    def tables(self) -> dict[str, pd.DataFrame]:
        """By characteristic: a row a subgroup and number, and the rows of all patients above them."""
        everybody = self.frame["characteristic"] == ""
        return {
            str(name): self.frame[everybody | (self.frame["characteristic"] == name)]
            .drop(columns=["characteristic", "quantity", "modality", "tested"])
            .reset_index(drop=True)
            for name in dict.fromkeys(self.frame.loc[~everybody, "characteristic"])
        }

    @property
    def words(self) -> tuple[str, ...]:
        """What was found, in sentences."""
        if not self.tests:
            return ("No subgroups are compared.",)
        shown = self.frame[self.frame["tested"] & (self.frame["p_adjusted"] <= ALPHA)]
        count = f"{self.tests} difference{'s' if self.tests > 1 else ''} between subgroups {'were' if self.tests > 1 else 'was'} tested"
        if shown.empty:
            return (f"{count}; none was shown (adjusted p above {ALPHA:g} for each), and none is ruled out.",)
        found = [_sentence(row) for row in shown.to_dict("records")]
        return (f"{count}. Larger than chance would make them:", *found)


def subgroups(explanation: Explanation, by: str | Sequence[str] | None = None) -> Subgroups:
    """What modalities contribute, how much they interact and how well the model predicts, in each subgroup of patients, and
    whether that differs from the rest by more than chance.

    by: a characteristic, or several; unless given all of them, and "error": the patients who are predicted wrong against
    those predicted right (of a regression, the quarter with the largest errors; of a survival, nothing). A number of more than
    8 values is cut at its tertiles. A category of fewer than 5 patients is joined with other such ones, or left out.

    In a subgroup the contribution is the measure's own, by occlusion, else by Shapley values: a ratio of sums over its patients,
    not a mean of their ratios. Interaction is the measure's own InterSHAP score. The score is the AUC, the mean error of a
    regression, or the concordance; it is not compared between right and wrong predictions. A mean over classes or outputs is, of a
    subgroup and of the rest, over those that are defined in both; `said` names those that are not.

    Intervals are by bootstrap of patients. The p-value says how often the difference would be as large if subgroups were dealt
    out among patients anew (2,000 times; (b + 1) / (B + 1)). The adjusted one says how often the largest of all differences, each
    in units of its own spread, would be as large (Westfall and Young's step-down), which keeps the chance of a single false
    finding among all of them at the level asked for, whatever their number. Two subgroups are one comparison, and tested once.
    Where a characteristic differs between samples of a patient, and fewer than 5 patients can exchange subgroups, p is NaN, and
    `said` says so.

    Raises InputError for a characteristic that is not there, and where the explanation holds no predictions.

    Example
    -------
    >>> import numpy as np, pandas as pd, modalens as ml
    >>> from modalens import cohort
    >>> sign = np.repeat([[-1.0], [1.0]], 20, axis=0); size = np.tile([[1.0], [3.0]], (20, 1))
    >>> patients = pd.DataFrame({"sex": ["f", "m"] * 20})
    >>> inputs, settings = {"a": sign, "b": size}, {"baseline": "zeros", "output": "raw", "task": "regression", "progress": False}
    >>> explanation = ml.explain(lambda a, b: (a + 2 * b)[:, 0], inputs, measures=[ml.Occlusion()], characteristics=patients, **settings)
    >>> found = cohort.subgroups(explanation).to_frame()
    >>> found.loc[found.modality == "b", ["subgroup", "samples", "value", "difference"]].round(3)
           subgroup  samples  value  difference
    1  all patients       40  0.800         NaN
    3             f       20  0.667       -0.19
    5             m       20  0.857        0.19
    """
    found = predictions_of(explanation)
    asked, missing = quantities(explanation, found)
    divided = divisions(explanation, by)
    said = [sentence for one in divided for sentence in one.said] + missing
    rows = _everybody(found, asked)
    by_chance: dict[str, np.ndarray] = {}
    for place, division in enumerate(divided):
        if len(division.subgroups) > 1:
            fitting = [one for one in asked if not (one.of_performance and division.of_errors)]
            compared = _compared(found, fitting, division, place)
            rows, said = rows + compared.rows, said + compared.said
            by_chance |= compared.chance
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "test"])
    frame["tested"] = frame["tested"].eq(True) & frame["p"].notna()
    once = frame[frame["tested"]].set_index("test")
    if len(once):
        chance = np.stack([by_chance[test] for test in once.index], axis=1)
        adjusted = np.maximum(step_down(once["difference"].to_numpy(dtype=float), chance), once["p"])
        frame["p_adjusted"] = frame["test"].map(adjusted)
    frame["p_adjusted"] = frame["p_adjusted"].astype(float)
    return Subgroups(
        frame=frame.drop(columns="test"),
        said=tuple(dict.fromkeys(said)),
        tests=len(once),
        confidence=found.confidence or CONFIDENCE,
    )


def _everybody(found: Predictions, asked: Sequence[Quantity]) -> list[dict[str, object]]:
    """The numbers of all patients."""
    everybody = np.ones(found.samples)
    values = _numbers(asked, everybody[None])[0]
    drawn = [_numbers(asked, some) for some in chunks(found.bootstrap)] if not found.why_no_interval else []
    bounds = np.concatenate(drawn) if drawn else np.full((1, len(values)), np.nan)
    units = len(np.unique(found.cluster))
    known = {"characteristic": "", "subgroup": EVERYBODY, "samples": found.samples, "patients": units}
    return [
        known | named | {"value": value, "lower": lower, "upper": upper}
        for named, value, lower, upper in zip(_names(asked), values, *_interval(found, bounds), strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One division: its rows, what a reader must know, and by test the differences that chance makes, (draw,)."""

    rows: list[dict[str, object]]
    said: list[str]
    chance: dict[str, np.ndarray]


def _compared(found: Predictions, asked: Sequence[Quantity], division: Division, place: int) -> Compared:
    """The numbers of each subgroup, its difference from the rest, and how often chance makes one as large."""
    known = (division.place >= 0).astype(float)
    members = [(division.place == which).astype(float) for which in range(len(division.subgroups))]
    beside = _beside(asked, known[None])
    values, rest = (np.concatenate(those) for those in zip(*(beside(inside[None]) for inside in members), strict=True))
    how, enough = exchange_words(division, found.cluster)
    chance = _chance(found, asked, division, place) if enough else np.full((1, *values.shape), np.nan)
    p = permutation_p(values - rest, chance)
    drawn, drawn_rest = _drawn(found, asked, members, known)
    # Of two subgroups, each is the rest of the other.
    pair = len(members) == 2
    rows: list[dict[str, object]] = []
    by_test: dict[str, np.ndarray] = {}
    for which, name in enumerate(division.subgroups):
        inside = division.place == which
        about = {
            "characteristic": division.name,
            "subgroup": name,
            "samples": int(inside.sum()),
            "patients": len(np.unique(found.cluster[inside])),
        }
        bounds = _interval(found, drawn[which])
        differences = _interval(found, drawn[which] - drawn_rest[which])
        for number, named in enumerate(_names(asked)):
            test = f"{place} {0 if pair else which} {number}"
            by_test.setdefault(test, chance[:, which, number])
            rows.append(
                about
                | named
                | {
                    "value": values[which, number],
                    "lower": bounds[0][number],
                    "upper": bounds[1][number],
                    "difference": (values - rest)[which, number],
                    "difference_lower": differences[0][number],
                    "difference_upper": differences[1][number],
                    "p": p[which, number],
                    "test": test,
                    "tested": not (pair and which),
                }
            )
    said = [*how, *_lacking(asked, division, members, known)]
    return Compared(rows=rows, said=said, chance=by_test)


def _lacking(
    asked: Sequence[Quantity], division: Division, members: Sequence[np.ndarray], known: np.ndarray
) -> list[str]:
    """Which classes or outputs are left out of a mean, since a subgroup or the rest says nothing of them."""
    said = []
    for one in asked:
        for name, inside in zip(division.subgroups, members, strict=True):
            if gone := one.undefined(known[None], inside[None]):
                of = f"{one.words}, of “{name}” and of the rest, leaves out {listed(gone)}"
                said.append(f"{division.name}: {of}, for which it is undefined in one of them")
    return said


def _chance(found: Predictions, asked: Sequence[Quantity], division: Division, place: int) -> np.ndarray:
    """The differences between each subgroup and the rest when subgroups are dealt out anew among patients,
    (draw, subgroup, number).
    """
    random = np.random.default_rng(np.random.SeedSequence((found.seed, 4, place)))
    count = len(division.subgroups)
    pair = count == 2
    beside = _beside(asked, (division.place >= 0).astype(float)[None])
    drawn = []
    for dealt in permuted(division, found.cluster, PERMUTATIONS, random):
        sides = [beside((dealt == which).astype(float)) for which in range(1 if pair else count)]
        each = [inside - rest for inside, rest in sides]
        drawn.append(np.stack([each[0], -each[0]] if pair else each, axis=1))
    return np.concatenate(drawn)


def permutation_p(differences: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """How often the difference between a subgroup and the rest, (subgroup, number), is as large by chance, (draw, subgroup, number):
    (b + 1) / (B + 1), of the draws in which it is defined; NaN where the difference is not, or none of the draws.
    """
    # What differs by rounding only is as large.
    exceeded = (np.abs(chance) >= np.abs(differences) - 1e-12).sum(axis=0)
    defined = (~np.isnan(chance)).sum(axis=0)
    return np.where(np.isnan(differences) | (defined == 0), np.nan, (exceeded + 1) / (defined + 1))


def _numbers(asked: Sequence[Quantity], weights: np.ndarray) -> np.ndarray:
    """All numbers under weights (draw, sample): (draw, number)."""
    return np.concatenate([np.empty((len(weights), 0)), *(one.numbers(weights) for one in asked)], axis=1)


def _beside(asked: Sequence[Quantity], everybody: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Of weights (draw, sample) of a part of everybody: all numbers of that part, and of the rest, (draw, number) each."""
    each = [one.beside(everybody) for one in asked]

    def both(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nothing = np.empty((len(inside), 0))
        found = [(nothing, nothing), *(one(inside) for one in each)]
        numbers, rest = (np.concatenate(those, axis=1) for those in zip(*found, strict=True))
        return numbers, rest

    return both


def _drawn(
    found: Predictions, asked: Sequence[Quantity], members: Sequence[np.ndarray], everybody: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """All numbers of each part of everybody, and of the rest, in each draw of the bootstrap: (draw, number) each."""
    if found.why_no_interval:
        nothing = [np.full((1, len(_names(asked))), np.nan)] * len(members)
        return nothing, nothing
    of_parts: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in members]
    pair = len(members) == 2
    for some in chunks(found.bootstrap):
        beside = _beside(asked, some * everybody)
        for inside, drawn in zip(members[:1] if pair else members, of_parts, strict=False):
            drawn.append(beside(some * inside))
    if pair:
        of_parts[1] = [(rest, own) for own, rest in of_parts[0]]
    numbers, rest = ([np.concatenate([draw[which] for draw in drawn]) for drawn in of_parts] for which in (0, 1))
    return numbers, rest


def _interval(found: Predictions, drawn: np.ndarray) -> np.ndarray:
    """The bounds of each number, (bound, number)."""
    if found.why_no_interval or not drawn.shape[1]:
        return np.full((2, drawn.shape[1]), np.nan)
    named = xr.Dataset({"drawn": (("draw", "number"), drawn)})
    return np.asarray(
        statistics.interval(named, found.confidence or CONFIDENCE)["drawn"].transpose("bound", ...).values
    )


def _names(asked: Sequence[Quantity]) -> list[dict[str, object]]:
    return [
        {"quantity": one.name, "modality": name, "what": f"{one.words}: “{name}”" if name else one.words}
        for one in asked
        for name in one.modalities
    ]


def _sentence(row: Mapping[Hashable, Any]) -> str:
    """A difference that was shown."""
    rest = row["value"] - row["difference"]
    between = _bounds(row["difference_lower"], row["difference_upper"])
    return (
        f"{row['characteristic']}, {row['subgroup']}: {row['what']} {_number(row['value'])} against {_number(rest)} in the rest "
        f"(difference {_signed(row['difference'])}{between}; adjusted p = {row['p_adjusted']:.2g})."
    )


def _number(value: float) -> str:
    return f"{value:.3g}"


def _signed(value: float) -> str:
    return f"{value:+.2g}".replace("-", "−")


def _bounds(lower: float, upper: float) -> str:
    return "" if np.isnan(lower) or np.isnan(upper) else f", {_signed(lower)} to {_signed(upper)}"
