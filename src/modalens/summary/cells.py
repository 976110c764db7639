"""What a table is, and the words and numbers in its cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.reading import (
    bounds_of,
    results_of,
)
from modalens.summary.wording import (
    NOT_DEFINED,
    percent,
    quote,
    with_bounds,
)

MOST_ROWS = 20
"""Longer tables are cut here; all numbers are in `to_frame()`."""

TOP_PARTS = 8

NEGLIGIBLE = 0.002
"""A standard error of drawing background rows that is not worth a footnote."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table: what it shows, its cells as text, and what to know when reading it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def is_numeric(self, column: int) -> bool:
        """Whether a column holds numbers, and so is set flush right."""
        return all(re.match(r"[+−]?\d|n/a|–", row[column]) for row in self.rows)


def cell(result: Result, array: str, words: Callable[[float], str], **at: Any) -> str:
    bounds = bounds_of(result, array)
    return with_bounds(result.array(array).sel(at), None if bounds is None else bounds.sel(at), words)


def cells(result: Result, array: str, axis: str, names: Any, **at: Any) -> list[str]:
    return [cell(result, array, percent, **{axis: name}, **at) for name in names]


def rows_of(labels: Any, columns: list[list[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(zip(map(str, labels), *columns, strict=True))


def of_measured(explanation: Explanation, kind: Any, name: str) -> str:
    """Which one, where there are several of a kind."""
    return f" {quote(name)}" if len(results_of(explanation, kind)) > 1 else ""


def cut(names: Any) -> tuple[str, ...]:
    return (
        (f"{len(names) - MOST_ROWS} more outputs are not listed; to_frame() has them.",)
        if len(names) > MOST_ROWS
        else ()
    )


def footnotes(result: Result, *arrays: str, words: Callable[[float], str] = percent) -> list[str]:
    """What drawing background rows adds to the error, and why a number is n/a."""
    return footnotes_of([(result, name) for name in arrays if name in result.arrays], words=words)


def footnotes_of(shown: Sequence[tuple[Result, str]], words: Callable[[float], str] = percent) -> list[str]:
    """The same of numbers from several results, the largest error for all of them."""
    noise = max((drawing_noise(result, name) for result, name in shown), default=0.0)
    drawn = [
        f"Not in the brackets: another draw of background rows would move these numbers by up to about {words(noise).lstrip('+').replace(' %', ' points')} (standard error)."
    ]
    whys = dict.fromkeys(why for result, name in shown for why in undefined(result, name))
    return [*(drawn if noise > NEGLIGIBLE else []), *whys]


def undefined(result: Result, *arrays: str) -> list[str]:
    """Why a number is n/a."""
    whys = dict.fromkeys(result.reasons[name] for name in arrays if name in result.reasons)
    return [f"{NOT_DEFINED}: {why}." for why in whys]


def drawing_noise(result: Result, name: str) -> float:
    """The largest Monte-Carlo error of the numbers shown: of pairs and sets, not of single modalities, in the space
    that is scored.
    """
    found = result.monte_carlo_error.get(name)
    if found is None:
        return 0.0
    if "space" in found.dims:
        found = found.sel(space=result.settings["space"])
    if "coalition" in found.dims:
        found = found.isel(coalition=[" x " in str(one) for one in found.coalition.values])
    if "modality_2" in found.dims:
        found = found.where(found.modality != found.modality_2)
    return float(found.fillna(0).max()) if found.size else 0.0
