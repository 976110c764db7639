"""Text in the cells of a CSV file, which a spreadsheet must not take for a formula."""

from __future__ import annotations

import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a cell for a formula."""


def guarded(text: str) -> str:
    """A text with an apostrophe where a spreadsheet would take it for a formula, or reading would take one away.

    >>> guarded("=1+1"), guarded("left lung")
    ("'=1+1", 'left lung')
    """
    return f"'{text}" if text.lstrip("'").startswith(FORMULA) else text


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(FORMULA) else text


def as_csv(table: pd.DataFrame) -> str:
    """A table as CSV, without its index: numbers as they are, every text guarded, also in the names of columns.

    >>> as_csv(pd.DataFrame({"name": ["@home", "x"], "change": [-1.5, 2.0]}))
    "name,change\\n'@home,-1.5\\nx,2.0\\n"
    """
    safe = table.map(lambda cell: guarded(cell) if isinstance(cell, str) else cell)
    return safe.rename(columns=lambda name: guarded(str(name))).to_csv(index=False, lineterminator="\n")
