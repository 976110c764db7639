"""How patients are divided: by age, sex, site, or by whether the model is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from modalens.cohort.patients import patients
from modalens.cohort.predictions import predictions_of
from modalens.errors import InputError, listed, nearest
from modalens.explanation import Explanation
from modalens.statistics import MIN_CLUSTERS

ERROR = "error"
"""The division by whether the model is right."""

MOST_VALUES = 8
"""A number with more different values than this is cut at its tertiles."""

OTHERS = "all others"
"""The name of small categories together."""


@dataclass(frozen=True, kw_only=True)
class Division:
    """Patients divided by one characteristic: the subgroups' names, which of them each sample is in (-1: in none), and what
    a reader must know of how it was done. of_errors: it is by whether the model is right.
    """

    name: str
    subgroups: tuple[str, ...]
    place: np.ndarray
    said: tuple[str, ...] = ()
    of_errors: bool = False


def divisions(explanation: Explanation, by: str | Sequence[str] | None = None) -> list[Division]:
    """The divisions asked for; all characteristics and the model's errors unless named. One with fewer than two subgroups
    compares nothing: it stands there for what is said of it. A characteristic called "error" is "error (given)" where the model's
    errors are known.

    Raises InputError for a characteristic that is not there.
    """
    error = _of_errors(explanation)
    known = explanation.characteristics
    known = known.rename(columns={ERROR: f"{ERROR} (given)"}) if error else known
    there = [*map(str, known.columns), *([ERROR] if error else [])]
    wanted = there if by is None else [by] if isinstance(by, str) else list(by)
    for name in wanted:
        if name not in there:
            raise InputError(
                f"by={name!r} is no characteristic of the patients{nearest(str(name), there)}: known are {listed(there)}. "
                "Give a table of them with explain(..., characteristics=frame)."
            )
    cluster = predictions_of(explanation).cluster
    found = [error if error and name == ERROR else _of_column(name, known[name]) for name in wanted]
    return [_with_enough(one, cluster) for one in found]


def _of_errors(explanation: Explanation) -> Division | None:
    """Who is predicted wrong and who right; of values, the quarter with the largest errors. None where nobody knows."""
    frame = patients(explanation)
    if "correct" in frame:
        names = ("predicted wrong", "predicted right")
        return Division(name=ERROR, subgroups=names, place=frame["correct"].to_numpy().astype(int), of_errors=True)
    if explanation.provenance["task"] != "regression" or "error" not in frame or frame["error"].isna().any():
        return None
    error = frame["error"].to_numpy()
    edge = float(np.quantile(error, 0.75))
    said = f"{ERROR}: the quarter of the samples with the largest error (above {edge:.3g}) against the rest"
    names, place = ("largest errors", "smaller errors"), (error <= edge).astype(int)
    return Division(name=ERROR, subgroups=names, place=place, said=(said,), of_errors=True)


def _of_column(name: str, column: pd.Series) -> Division:
    """By a column: a number of many values by its tertiles, everything else by category."""
    missing = column.isna().to_numpy()
    gone = int(missing.sum())
    left_out = f"{name}: {gone} {'sample' if gone == 1 else 'samples'} without a value left out"
    said = (left_out,) if gone else ()
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numeric and column.nunique() > MOST_VALUES:
        values = column.to_numpy(dtype=float, na_value=np.nan)
        edges = np.unique(np.quantile(values[~missing], [1 / 3, 2 / 3], method="inverted_cdf"))
        place = np.where(missing, -1, np.searchsorted(edges, values, side="left"))
        edges_said = _edge_texts(edges, values[~missing])
        cut = f"{name}: cut at its tertiles, {' and '.join(edges_said)}"
        return Division(name=name, subgroups=_ranges(edges_said), place=place, said=(cut, *said))
    texts = np.array([_text(value) for value in column], dtype=object)
    order = sorted(column[~missing].unique()) if numeric else sorted(set(texts[~missing]))
    names = tuple(dict.fromkeys(map(_text, order)))
    place = np.array(
        [-1 if absent else names.index(text) for text, absent in zip(texts, missing, strict=True)], dtype=int
    )
    return Division(name=name, subgroups=names, place=place, said=said)


def _text(value: object) -> str:
    """A category's name: 1 and 1.0 are the same."""
    return exact(value) if isinstance(value, float) else str(value)


def exact(number: float) -> str:
    """A number with all its digits, and without the point of a whole one.

    Example
    -------
    >>> exact(20231115.0), exact(0.1)
    ('20231115', '0.1')
    """
    return repr(float(number)).removesuffix(".0")


def _edge_texts(edges: np.ndarray, values: np.ndarray) -> list[str]:
    """Edges in words: whole ones as they are, others with so many digits that at most 1 in 100 values is on another side of them."""
    place = np.searchsorted(edges, values, side="left")
    for digits in range(4, 17):
        said = [exact(edge) if edge == round(edge) else f"{edge:.{digits}g}" for edge in edges]
        moved = np.searchsorted(np.array(said, dtype=float), values, side="left") != place
        if len(set(said)) == len(edges) and moved.mean() <= 0.01:
            return said
    return [exact(edge) for edge in edges]


def _ranges(said: list[str]) -> tuple[str, ...]:
    between = [f"above {low} to {high}" for low, high in pairwise(said)]
    return (f"up to {said[0]}", *between, f"above {said[-1]}")


def _with_enough(division: Division, cluster: np.ndarray) -> Division:
    """The division with subgroups of at least five patients: smaller ones are joined, or left out if they are too few even so."""
    units = [len(np.unique(cluster[division.place == place])) for place in range(len(division.subgroups))]
    kept = [place for place, count in enumerate(units) if count >= MIN_CLUSTERS]
    small = [place for place, count in enumerate(units) if 0 < count < MIN_CLUSTERS]
    names = [division.subgroups[place] for place in kept]
    moved = np.full(len(units) + 1, -1)
    moved[kept] = np.arange(len(kept))
    said = list(division.said)
    if small:
        joined = np.isin(division.place, small)
        enough = len(small) > 1 and len(np.unique(cluster[joined])) >= MIN_CLUSTERS
        moved[small] = len(kept) if enough else -1
        names += [OTHERS] if enough else []
        what = f"joined as “{OTHERS}”" if enough else "left out"
        said.append(f"{division.name}: {_counted(small)} of fewer than {MIN_CLUSTERS} patients {what}")
    if len(names) < 2:
        said.append(
            f"{division.name}: fewer than two subgroups of at least {MIN_CLUSTERS} patients, so nothing is compared"
        )
    return replace(division, subgroups=tuple(names), place=moved[division.place], said=tuple(said))


def _counted(places: list[int]) -> str:
    return "1 subgroup" if len(places) == 1 else f"{len(places)} subgroups"
