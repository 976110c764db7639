"""Which patients are looked at: the values and ranges that the columns of the cohort's table are narrowed to, as they stand in the
page's address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from modalens.cohort.divisions import exact

ONLY, FROM, TO = "only.", "from.", "to."
"""What the names of an address begin with: `only.site=A`, `from.age=40`, `to.age=60`."""

NOT_KNOWN = "not known"

MOST_WORDS = 50
"""Columns of more different texts than these are looked through by searching, not by choosing."""

NAMES = ("patient", "group")
"""Columns that name patients."""


@dataclass(frozen=True, kw_only=True)
class Narrowed:
    """The patients that are left, and by column how many are not, since what is asked of them is not known."""

    table: pd.DataFrame
    unknown: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Narrowing:
    """What is asked of patients. only: by column, the texts that are wanted. least, most: by column, the bounds of a number, which
    belong to what is wanted.

    Example
    -------
    >>> table = pd.DataFrame({"site": ["A", "B", None], "age": [30.0, 50.0, np.nan]})
    >>> Narrowing(most={"age": 40}).of(table).table.index.to_list()
    [0]
    >>> Narrowing(most={"age": 40}).of(table).unknown
    {'age': 1}
    """

    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)

    def of(self, table: pd.DataFrame) -> Narrowed:
        """The rows that meet all that is asked, in their order. Columns that the table does not have ask nothing."""
        kept = np.ones(len(table), dtype=bool)
        unknown: dict[str, int] = {}
        for name, wanted in self.only.items():
            if name in table:
                said = texts(table[name])
                kept &= said.isin(wanted).to_numpy()
                unknown |= _counted(name, (said == NOT_KNOWN).to_numpy() & (NOT_KNOWN not in wanted))
        for name in dict.fromkeys([*self.least, *self.most]):
            if name in table and is_number(table[name]):
                values = table[name].to_numpy(dtype=float)
                kept &= (values >= self.least.get(name, -np.inf)) & (values <= self.most.get(name, np.inf))
                unknown |= _counted(name, np.isnan(values))
        return Narrowed(table=table[kept], unknown=unknown)

    def words(self) -> list[str]:
        """What is asked, in words."""
        bounds = {
            name: " ".join(
                [
                    *([f"from {exact(self.least[name])}"] if name in self.least else []),
                    *([f"to {exact(self.most[name])}"] if name in self.most else []),
                ]
            )
            for name in dict.fromkeys([*self.least, *self.most])
        }
        return [
            *(f"{name}: {' or '.join(wanted)}" for name, wanted in self.only.items()),
            *(f"{name}: {said}" for name, said in bounds.items()),
        ]


def narrowing_of(address: Mapping[str, Sequence[str]]) -> Narrowing:
    """What an address asks for; bounds in it that are no numbers ask nothing.

    Example
    -------
    >>> narrowing_of({"only.site": ["A", "B"], "from.age": ["40"], "patient": ["3"]}).words()
    ['site: A or B', 'age: from 40']
    """
    return Narrowing(
        only={name.removeprefix(ONLY): tuple(found) for name, found in address.items() if name.startswith(ONLY)},
        least=_bounds(address, FROM),
        most=_bounds(address, TO),
    )


def texts(column: pd.Series) -> pd.Series:
    """The values of a column as they are chosen from: texts, with words for yes, no, and what is missing."""
    words = {True: "right", False: "wrong"} if column.name == "correct" else {True: "yes", False: "no"}
    return column.map(
        lambda value: NOT_KNOWN if pd.isna(value) else words[bool(value)] if isinstance(value, bool | np.bool_) else str(value)
    ).astype(object)  # fmt: skip


def is_number(column: pd.Series) -> bool:
    """Whether a column is narrowed by a range."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def range_of(column: pd.Series) -> tuple[float, float, float] | None:
    """The smallest and largest number of a column, rounded outwards to steps of about a hundredth of their distance, and the step; None where
    all are alike.

    Example
    -------
    >>> range_of(pd.Series([0.123, 0.987, np.nan])), range_of(pd.Series([31.0, 80.0]))
    ((0.12, 0.99, 0.01), (31.0, 80.0, 1.0))
    """
    values = column.to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if not values.size or values.min() == values.max():
        return None
    low, high = float(values.min()), float(values.max())
    whole = bool((values == np.round(values)).all())
    exponent = int(np.floor(np.log10((high - low) / 50)))
    exponent = max(exponent, 0) if whole else exponent
    step = 10.0**exponent
    digits = max(0, -exponent)
    return round(float(np.floor(low / step)) * step, digits), round(float(np.ceil(high / step)) * step, digits), step


def options_of(column: pd.Series) -> list[str] | None:
    """The different texts of a column; None where there is nothing to choose, or too much."""
    found = sorted(texts(column).unique())
    return found if 1 < len(found) <= MOST_WORDS else None


def _bounds(address: Mapping[str, Sequence[str]], start: str) -> dict[str, float]:
    found = {}
    for name, values in address.items():
        if name.startswith(start):
            try:
                found[name.removeprefix(start)] = float(values[-1])
            except (ValueError, IndexError):
                continue
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _counted(name: str, unknown: np.ndarray) -> dict[str, int]:
    count = int(np.sum(unknown))
    return {name: count} if count else {}
