"""Tables and JSON as they are published: read with their line numbers, and never run as code."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modalens.alignment.regions import checked_boxes
from modalens.errors import InputError, listed, nearest

LARGEST = 2 * 2**30
"""Bytes of the largest file that is read."""

Prompts = str | Mapping[str, str]
"""What is asked of a finding that comes without a sentence: a template with "{finding}", or the text of each finding."""


@dataclass(frozen=True)
class Row:
    """One row of a table. where: its file and line, for messages."""

    where: str
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def get(self, column: str) -> str:
        """The text of a column that not every release has; empty where it is missing."""
        return self.cells.get(column, "")

    def number(self, column: str) -> float:
        """Raises InputError where the text is no number."""
        return number(self.cells[column], f"{self.where}, column {column!r}")


def existing(path: str | Path) -> Path:
    """A file that is there, isn't empty and isn't too large to be read."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is not there, or no file: give the path of the annotations.")
    size = path.stat().st_size
    if not size:
        raise InputError(f"{path} is empty: copy or download it again.")
    if size > LARGEST:
        raise InputError(
            f"{path} has {size:,} bytes, more than the {LARGEST:,} that are read: cut it into several files."
        )
    return path


def text_of(path: str | Path) -> str:
    """A file's text. Raises InputError where it is none."""
    path = existing(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8 ({error}): is it compressed? Unpack it first.") from error


def json_of(path: str | Path) -> Any:
    """What a JSON file holds. Raises InputError where it is none."""
    return parsed(text_of(path), str(path))


def parsed(text: str, where: str) -> Any:
    """What a text in JSON holds."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: this is no JSON ({error}): copy or download the file again.") from error


def rows_of(path: str | Path, columns: Sequence[str], *, separator: str = ",") -> list[Row]:
    """The rows of a table with a header. Raises InputError where a column is missing, or a row has more or fewer cells."""
    path = existing(path)
    header, *rows = cells_of(path, separator=separator)
    names = header[1]
    for column in columns:
        if column not in names:
            raise InputError(f"{path} has no column {column!r}{nearest(column, names)}: it has {listed(names)}.")
    for line, cells in rows:
        if len(cells) != len(names):
            raise InputError(
                f"{path}, line {line}: {len(cells)} cells under {len(names)} columns: is the line cut off, or a comma not in quotes?"
            )
    return [Row(f"{path}, line {line}", dict(zip(names, cells, strict=True))) for line, cells in rows]


def cells_of(path: Path, *, separator: str = ",") -> list[tuple[int, list[str]]]:
    """The lines of a table as (line, cells), the header first; empty lines are left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=separator)
            found = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read as a table ({error}): is it compressed, or a spreadsheet? Save it as text.") from error  # fmt: skip
    if len(found) < 2:
        raise InputError(f"{path} has no rows under its header: copy or download it again.")
    return found


def literal(text: str, where: str) -> Any:
    """A list that stands in a cell as text, such as "[1, 2, 3, 4]"; read as a literal and never run."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise InputError(f"{where}: {text[:60]!r} is no list of numbers such as [10, 20, 30, 40].") from error


def number(value: Any, where: str) -> float:
    """A finite number, from text or as it is."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = np.nan
    if not np.isfinite(found):
        raise InputError(f"{where}: a number was expected, {value!r} came.")
    return found


def checked_numbers(values: Any, count: int, where: str) -> list[float]:
    """So many finite numbers."""
    if not isinstance(values, list | tuple) or len(values) != count:
        raise InputError(f"{where}: {count} numbers were expected, {str(values)[:60]!r} came.")
    return [number(value, where) for value in values]


def corners(box: Any, where: str) -> tuple[float, float, float, float]:
    """A box (x1, y1, x2, y2) with an area."""
    x1, y1, x2, y2 = checked_boxes([checked_numbers(box, 4, where)], where)[0].tolist()
    return x1, y1, x2, y2


def corners_of_xywh(box: Any, where: str) -> tuple[float, float, float, float]:
    """The corners of a box that is published as (x, y, width, height)."""
    x, y, width, height = checked_numbers(box, 4, where)
    if width <= 0 or height <= 0:
        raise InputError(
            f"{where}: the box {[x, y, width, height]} has no width or height; boxes are (x, y, width, height) here."
        )
    return x, y, x + width, y + height


def asked(prompts: Prompts, finding: str) -> str:
    """The phrase for a finding that comes without a sentence.

    >>> asked("There is {finding}.", "edema")
    'There is edema.'
    """
    if isinstance(prompts, str):
        if "{finding}" not in prompts:
            raise InputError(
                f"prompts={prompts!r} has no place for the finding: write it as '{{finding}}', such as 'There is {{finding}}.'"
            )
        return prompts.replace("{finding}", finding)
    if finding not in prompts:
        raise InputError(f"prompts has no text for {finding!r}{nearest(finding, prompts)}: it has {listed(prompts)}.")
    return prompts[finding]


def field(of: Any, name: str, where: str) -> Any:
    """What an object of a JSON file holds under a name. Raises InputError where it has none."""
    if not isinstance(of, Mapping):
        raise InputError(f"{where}: an object with {name!r} was expected, {str(of)[:60]!r} came.")
    if name not in of:
        raise InputError(f"{where}: {name!r} is missing{nearest(name, of)}; there are {listed(of)}.")
    return of[name]


def items(of: Any, where: str) -> list[Any]:
    """A list of a JSON file."""
    if not isinstance(of, list):
        raise InputError(f"{where}: a list was expected, {str(of)[:60]!r} came.")
    return of


@contextmanager
def at(where: str) -> Iterator[None]:
    """Put the file and line before an error that was raised where nobody knows them."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
