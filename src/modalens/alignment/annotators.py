"""What annotators say of heat maps: the table of their answers, how far they agree, and which model they find better.

The table is that of McInerney et al. 2022 (arXiv:2210.06565): three questions, each answered from 1 to 5. They had one
annotator; the column `rater` tells several apart.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from modalens import statistics
from modalens.alignment.weighted import krippendorff_alpha, quadratic_kappa, weighted_spearman
from modalens.errors import InputError, ModalensWarning, choice, listed, nearest
from modalens.spreadsheet import guarded, unguarded

Question = Literal["has_good_recall", "has_good_precision", "is_intuitive"]
Statistic = Literal["alpha", "kappa"]

QUESTIONS: dict[Question, str] = {
    "has_good_recall": "How much of the region of interest does the map cover?",
    "has_good_precision": "How much of the map is of interest?",
    "is_intuitive": "How intuitive is the map?",
}
"""The three questions, each answered from 1 (worst) to 5 (best)."""

ANSWERS = np.arange(1, 6)

COLUMNS = ("dicom_sent_id", "dicom_id", "sent_id", "checkpoint_name", "prompt", *QUESTIONS, "is_custom_prompt", "no_attn_score")  # fmt: skip
"""The columns of the paper. `no_attn_score` is how far the model looked nowhere."""

NAMED = ("dicom_sent_id", "dicom_id", "checkpoint_name")
"""Columns that may not be blank."""

ITEM = ["dicom_sent_id", "prompt"]
"""What is shown: a sentence of a picture, or a prompt of the annotator's own."""

MAP = [*ITEM, "checkpoint_name"]
"""What is judged: one model's map of one item."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its interval. count: from how many maps, answers or pairs. reason: why something is NaN."""

    value: float
    lower: float
    upper: float
    count: int
    reason: str = ""

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, kw_only=True, eq=False)
class Annotations:
    """The answers of annotators, a row for each rater, item and model.

    table: the columns of the paper, and perhaps `rater` (blank: one rater without a name) and `patient` (blank: intervals draw
    pictures, `dicom_id`). Answers are whole numbers from 1 to 5, or missing. Other columns are kept as text. Where a rater
    judged a map twice, the last answers count, and a warning says so.

    Raises InputError for a missing column, another answer, or no rows; it names the row.

    >>> row = {"dicom_sent_id": "d1_0", "dicom_id": "d1", "sent_id": "0", "prompt": "Opacity.", "has_good_recall": 4}
    >>> row |= {"has_good_precision": 2, "is_intuitive": 3, "is_custom_prompt": False, "no_attn_score": None}
    >>> both = [row | {"checkpoint_name": "gloria"}, row | {"checkpoint_name": "opt-out", "is_intuitive": 5}]
    >>> Annotations(table=pd.DataFrame(both)).difference("opt-out", "gloria").difference.tolist()
    [0.0, 0.0, 2.0]
    """

    table: pd.DataFrame

    def __post_init__(self) -> None:
        if not isinstance(self.table, pd.DataFrame):
            raise InputError(f"annotations: expected a DataFrame, came {type(self.table).__name__}.")
        places = [f"annotations, row {row}" for row in self.table.index]
        object.__setattr__(self, "table", _checked(self.table, places, "annotations"))

    @property
    def models(self) -> tuple[str, ...]:
        """The models that were judged, in order of their names."""
        return tuple(sorted(self.table["checkpoint_name"].unique()))

    @property
    def raters(self) -> tuple[str, ...]:
        """Who judged, in order of their names."""
        return tuple(sorted(self.table["rater"].unique()))

    def agreement(
        self, question: Question, statistic: Statistic = "alpha", *, confidence: float = 0.95, seed: int = 0
    ) -> Estimate:
        """How far raters agree on a question: 1 is perfect, 0 is chance.

        Parameters
        ----------
        question : one of `QUESTIONS`. statistic : "alpha", Krippendorff's for ordered answers, of any number of raters with
            gaps; "kappa", Cohen's of two raters with quadratic weights, over the maps that both judged.
        confidence, seed : of the interval, a bootstrap by patient (by picture, where no patients are named).

        Returns
        -------
        Estimate, its count the maps that two or more judged; NaN with a reason where there is none, where all answers are the
        same, and for a kappa of other than two raters.

        Source: Krippendorff, Content Analysis (2004), ch. 11; Cohen, Psychological Bulletin 70 (1968).
        """
        choice("question", question, QUESTIONS)
        choice("statistic", statistic, ("alpha", "kappa"))
        answers = self.table.pivot(index=MAP, columns="rater", values=question).dropna(axis=1, how="all")
        judged = answers[answers.notna().sum(axis=1) > 1]
        found = judged.to_numpy(dtype=float)
        reason = _no_agreement(found, raters=answers.shape[1], statistic=statistic)
        groups = self._groups.loc[judged.index].to_numpy()
        if statistic == "kappa":
            return _estimate(
                lambda weights: quadratic_kappa(found[:, 0], found[:, 1], weights), groups, confidence, seed, reason
            )
        counts = (found[:, :, None] == ANSWERS).sum(axis=1)
        return _estimate(lambda weights: krippendorff_alpha(counts, weights), groups, confidence, seed, reason)

    def means(self, *, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
        """The mean answer by model and question.

        Returns
        -------
        DataFrame with model, question, value, lower, upper (bootstrap by patient, or by picture), answers, blank (how many
        were not given) and reason (why something is NaN).
        """
        rows = []
        for model in self.models:
            of = self.table[self.table["checkpoint_name"] == model]
            for question in QUESTIONS:
                mean = self._mean(of, of[question], confidence, seed)
                rows.append({"model": model, "question": question, "blank": len(of) - mean.count} | asdict(mean))
        found = pd.DataFrame(rows).rename(columns={"count": "answers"})
        return found[["model", "question", "value", "lower", "upper", "answers", "blank", "reason"]]

    def difference(self, model_a: str, model_b: str, *, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
        """How much better annotators find one model than another, over what the same rater judged of both.

        Returns
        -------
        DataFrame with question, difference (mean of a minus b), lower, upper (paired bootstrap by patient, or by picture),
        pairs (of answers) and reason (why something is NaN).

        Raises InputError for a model that nobody judged, and for one compared with itself.
        """
        for argument, model in (("model_a", model_a), ("model_b", model_b)):
            choice(argument, model, self.models)
        if model_a == model_b:
            raise InputError(f"difference: {model_a!r} is compared with itself: give two of {listed(self.models)}.")
        one, other = (self.table[self.table["checkpoint_name"] == model] for model in (model_a, model_b))
        paired = one.merge(other, on=[*ITEM, "rater"], suffixes=("", "_of_b"))
        rows = []
        for question in QUESTIONS:
            mean = self._mean(paired, paired[question] - paired[f"{question}_of_b"], confidence, seed)
            rows.append({"question": question} | asdict(mean))
        found = pd.DataFrame(rows).rename(columns={"value": "difference", "count": "pairs"})
        return found[["question", "difference", "lower", "upper", "pairs", "reason"]]

    def correlation(self, scores: pd.DataFrame, *, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
        """Whether automatic scores rank the maps as annotators do.

        Parameters
        ----------
        scores : dicom_sent_id, checkpoint_name and a column of numbers for each score; with a column prompt, prompts of the
            annotators' own are matched too, else they are left out.

        Returns
        -------
        DataFrame with score, question, model ("all" of them, then each), value (Spearman's correlation of the score and the
        raters' mean answer), lower, upper (bootstrap by patient, or by picture), maps (that have both) and reason (why
        something is NaN). Over all models, a difference between models counts as well as one between maps.

        Raises InputError for scores without these columns, for two rows of one map, and where no row is of a map judged.
        """
        keys, names = _columns_of(scores)
        shown = self.table if "prompt" in keys else self.table[~self.table["is_custom_prompt"]]
        judged = shown.groupby(MAP, as_index=False)[list(QUESTIONS)].mean()
        both = judged.merge(
            scores[[*keys, *names]].astype(dict.fromkeys(keys, str)), on=keys, suffixes=(None, " (score)")
        )
        if both.empty:
            raise InputError(
                f"correlation: no row of scores has the {listed(keys)} of a map that was judged; {dict(judged.iloc[0][keys]) if len(judged) else 'none'} was."
            )
        rows = []
        for model in ("all", *self.models):
            of = both if model == "all" else both[both["checkpoint_name"] == model]
            for name in names:
                for question in QUESTIONS:
                    found = self._spearman(of, of[question], of[name], confidence, seed)
                    rows.append({"score": name, "question": question, "model": model} | asdict(found))
        table = pd.DataFrame(rows).rename(columns={"count": "maps"})
        return table[["score", "question", "model", "value", "lower", "upper", "maps", "reason"]]

    def write(self, path: str | Path) -> None:
        """The table as CSV. A text that a spreadsheet would take for a formula gets an apostrophe before it, which
        `read_annotations` takes away again.
        """
        texts = {column: self.table[column].map(guarded) for column in _texts_of(self.table)}
        answers = {question: self.table[question].astype("Int64") for question in QUESTIONS}
        self.table.assign(**texts, **answers).to_csv(path, index=False, encoding="utf-8", quoting=csv.QUOTE_NONNUMERIC)

    @property
    def _groups(self) -> pd.Series:
        """Of whom each map is: the patient, or the picture where no patient is named."""
        maps = self.table.drop_duplicates(MAP).set_index(MAP)
        return maps["patient"].where(maps["patient"] != "", maps["dicom_id"])

    def _mean(self, rows: pd.DataFrame, values: pd.Series, confidence: float, seed: int) -> Estimate:
        known = values.notna().to_numpy()
        groups = self._groups.loc[pd.MultiIndex.from_frame(rows.loc[known, MAP])].to_numpy()
        numbers = values[known].to_numpy(dtype=float)
        reason = "" if known.any() else "no answer was given"
        return _estimate(lambda weights: weights @ numbers, groups, confidence, seed, reason)

    def _spearman(
        self, rows: pd.DataFrame, answers: pd.Series, score: pd.Series, confidence: float, seed: int
    ) -> Estimate:
        known = (answers.notna() & score.notna()).to_numpy()
        groups = self._groups.loc[pd.MultiIndex.from_frame(rows.loc[known, MAP])].to_numpy()
        one, other = (numbers[known].to_numpy(dtype=float) for numbers in (answers, score))
        few = "fewer than two maps have both an answer and a score" if known.sum() < 2 else ""
        tied = few or ("all answers or all scores are the same" if not (np.ptp(one) and np.ptp(other)) else "")
        return _estimate(lambda weights: weighted_spearman(one, other, weights), groups, confidence, seed, tied)


def read_annotations(path: str | Path) -> Annotations:
    """The answers of annotators from a CSV file with the columns `COLUMNS`, and perhaps `rater` and `patient`.

    Raises InputError for a file that is not there or is no such table; it names the line.

    >>> read_annotations("answers.csv").means()  # doctest: +SKIP
    """
    rows, places = [], []
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = next(lines, [])
            start = lines.line_num + 1
            for cells in lines:
                place, start = f"{path}, line {start}", lines.line_num + 1
                if cells and len(cells) != len(header):
                    raise InputError(f"{place}: expected {len(header)} cells, as in the first line, came {len(cells)}.")
                if cells:
                    rows.append([unguarded(cell) for cell in cells])
                    places.append(place)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} can't be read as a CSV file: {error}.") from error
    if len(set(header)) < len(header):
        raise InputError(f"{path}: each column must be there once; {listed(header)} came.")
    return Annotations(table=_checked(pd.DataFrame(rows, columns=header, dtype=object), places, str(path)))


def _checked(table: pd.DataFrame, places: Sequence[str], where: str) -> pd.DataFrame:
    """The table in the form that everything else counts on. `places` says where each row is from, for messages."""
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise InputError(
            f"{where}: the columns {listed(missing)} are missing{nearest(missing[0], map(str, table.columns))}; {listed(table.columns)} came."
        )
    if not len(table):
        raise InputError(f"{where}: there are no rows.")
    columns = {str(column): list(table[column]) for column in table.columns}
    columns = {"rater": [""] * len(table), "patient": [""] * len(table)} | columns
    found = pd.DataFrame({column: _column(column, cells, places) for column, cells in columns.items()})
    twice = found.duplicated([*MAP, "rater"], keep="last").to_numpy()
    if twice.any():
        warnings.warn(
            f"{where}: {twice.sum()} answers of a rater to a map were given again later, the first in {places[int(twice.argmax())]}; the last ones count.",
            ModalensWarning,
            stacklevel=4,
        )
    return found[~twice].reset_index(drop=True)


def _column(column: str, cells: Sequence[Any], places: Sequence[str]) -> list[Any]:
    """The cells of a column as what they are. Raises InputError with the place of one that is not."""
    kind = "answer" if column in QUESTIONS else "name" if column in NAMED else column
    read = {"answer": _answer, "name": _name, "is_custom_prompt": _yes_or_no, "no_attn_score": _number}.get(kind, _text)
    found = []
    for place, cell in zip(places, cells, strict=True):
        try:
            found.append(read(cell))
        except ValueError as error:
            raise InputError(f"{place}: {column} must be {error}; {cell!r} came.") from error
    return found


def _blank(cell: Any) -> bool:
    return cell is None or cell is pd.NA or str(cell).strip().lower() in ("", "nan")


def _text(cell: Any) -> str:
    return cell if isinstance(cell, str) else "" if _blank(cell) else str(cell)


def _name(cell: Any) -> str:
    if not _text(cell).strip():
        raise ValueError("a name")
    return _text(cell)


def _answer(cell: Any) -> float:
    found = _number(cell, "a whole number from 1 to 5, or blank")
    if not np.isnan(found) and found not in ANSWERS:
        raise ValueError("a whole number from 1 to 5, or blank")
    return found


def _number(cell: Any, expected: str = "a number, or blank") -> float:
    if _blank(cell):
        return float("nan")
    try:
        found = float(str(cell))
    except ValueError as error:
        raise ValueError(expected) from error
    if not np.isfinite(found):
        raise ValueError(expected)
    return found


def _yes_or_no(cell: Any) -> bool:
    word = str(cell).strip().lower()
    if word not in ("true", "false", "1", "0", "1.0", "0.0"):
        raise ValueError("true or false")
    return word in ("true", "1", "1.0")


def _texts_of(table: pd.DataFrame) -> list[str]:
    return [column for column in table.columns if column not in (*QUESTIONS, "is_custom_prompt", "no_attn_score")]


def _columns_of(scores: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The columns of a table of scores that name a map, and those that hold scores."""
    keys = [column for column in MAP if column in scores]
    names = [
        str(column)
        for column in scores.columns
        if column not in COLUMNS and pd.api.types.is_numeric_dtype(scores[column])
    ]
    if not {"dicom_sent_id", "checkpoint_name"} <= set(keys) or not names:
        raise InputError(
            f"correlation: scores need dicom_sent_id, checkpoint_name and one or more columns of numbers; {listed(scores.columns)} came."
        )
    twice = scores[scores.duplicated(keys)]
    if len(twice):
        raise InputError(f"correlation: scores has two rows for {dict(twice.iloc[0][keys])}: give one a map.")
    return keys, names


def _no_agreement(judged: np.ndarray, *, raters: int, statistic: Statistic) -> str:
    """Why answers (map, rater) have no agreement; empty where they have one."""
    if raters < 2:
        return f"{raters or 'no'} rater: agreement takes two or more"
    if statistic == "kappa" and raters != 2:
        return f"kappa is of two raters, and {raters} judged; alpha takes any number"
    if not len(judged):
        return "no map was judged by two raters"
    return "all answers are the same" if np.nanmin(judged) == np.nanmax(judged) else ""


def _estimate(
    measure: Callable[[np.ndarray], np.ndarray], groups: np.ndarray, confidence: float, seed: int, reason: str
) -> Estimate:
    """A number with its bootstrap interval by group; NaN with a reason. measure: weights (draw, row) of sum 1 -> (draw,)."""
    rows = len(groups)
    if reason:
        return Estimate(value=np.nan, lower=np.nan, upper=np.nan, count=rows, reason=reason)
    value = float(measure(np.full((1, rows), 1 / rows))[0])
    clusters = statistics.cluster_count(groups, rows)
    if clusters < statistics.MIN_CLUSTERS:
        few = f"no interval: {clusters} patients or pictures, and it takes {statistics.MIN_CLUSTERS}"
        return Estimate(value=value, lower=np.nan, upper=np.nan, count=rows, reason=few)
    drawn = measure(statistics.bootstrap_weights(groups, rows, seed).to_numpy())
    lower, upper = statistics.interval(xr.Dataset({"value": ("draw", drawn)}), confidence)["value"].to_numpy()
    undefined = "no interval: the number is undefined in too many draws" if np.isnan(lower) else ""
    return Estimate(value=value, lower=float(lower), upper=float(upper), count=rows, reason=undefined)
