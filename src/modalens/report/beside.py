"""What is known beside an explanation, such as a planted shortcut and models trained without a modality: as sections of a page, and kept
in a small JSON file in the folder, from which a page can be written again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from modalens.errors import InputError
from modalens.explanation import Explanation
from modalens.report.layout import Picture, Section, alt_of, picture, vector_picture
from modalens.summary.cells import Table
from modalens.summary.wording import NOT_DEFINED, capital

FILE = "report.json"


class Planted(Protocol):
    """What is known of a planted shortcut, such as `ml.plant` returns: the verdict, the tables, and the figure."""

    @property
    def verdict(self) -> str: ...

    def tables(self) -> Sequence[Table]: ...

    def plot(self) -> Any: ...


class Useful(Protocol):
    """What models reach that are trained with and without a modality, such as `ml.usefulness` returns: the table, and the figure."""

    def table(self) -> Table: ...

    def plot(self, explanation: Explanation | None = None) -> Any: ...


PLANTING_WORDS = (
    "Before the measures are believed, they were put to the test on this very model: a mark that says nothing about the patient was put into a random half of the patients, and "
    "a known share of the output was made to depend on it. Measures that see such a shortcut grow with it; at 100 % nothing else counts, and the right answer is 100 %.",
    "Models that can know nothing, since their weights were drawn at random or their labels shuffled, stand apart. They are scored against shuffled labels, as random weights may follow the "
    "true ones by luck: a verdict on them would be a false one.",
)

USEFUL_WORDS = (
    "These models were trained with and without modalities. Where one without a modality scores as well, that modality is not needed, however much the explained model uses it.",
)


def planting_section(planting: Planted, figure: Picture | None = None) -> Section:
    """Whether the measures saw a shortcut of known size. figure: its picture, where it is drawn already."""
    tables = tuple(planting.tables())
    return Section(
        title="Would a shortcut be seen?",
        words=(f"{capital(planting.verdict)}.", *PLANTING_WORDS),
        figures=(figure or picture(planting.plot(), alt_of(tables)),),
        tables=tables,
    )


def usefulness_section(usefulness: Useful, explanation: Explanation | None = None) -> Section:
    """What models reach that are trained without a modality."""
    tables = (usefulness.table(),)
    return Section(
        title="Whether the modalities are useful",
        words=USEFUL_WORDS,
        figures=(picture(usefulness.plot(explanation), alt_of(tables)),),
        tables=tables,
    )


def scores_section(scores: pd.DataFrame) -> Section:
    """Scores of trained models, a row each."""
    rows = tuple(
        (str(index), *(_number(value) for value in row))
        for index, row in zip(scores.index, scores.to_numpy(dtype=object), strict=True)
    )
    columns = (str(scores.index.name or "model"), *map(str, scores.columns))
    table = Table(title="Scores of trained models", columns=columns, rows=rows)
    return Section(title="How trained models score", words=USEFUL_WORDS, tables=(table,))


def _number(value: Any) -> str:
    if pd.isna(value):
        return NOT_DEFINED
    return f"{value:.3f}" if isinstance(value, float) else str(value)


# In a file --------------------------------------------------------------------------------------------------------------------------


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoredTable(_Stored):
    """A table as text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    @field_validator("rows")
    @classmethod
    def _as_wide_as_its_columns(cls, rows: tuple[tuple[str, ...], ...], info: Any) -> tuple[tuple[str, ...], ...]:
        if any(len(row) != len(info.data.get("columns", ())) for row in rows):
            raise ValueError("a row of a table has not as many cells as there are columns")
        return rows


class StoredFigure(_Stored):
    """A figure in a file of the same folder, and what it shows."""

    file: str
    alt: str

    @field_validator("file")
    @classmethod
    def _in_the_folder(cls, file: str) -> str:
        if Path(file).name != file or not file.endswith(".svg") or "\\" in file:
            raise ValueError(f"{file!r} is no SVG file of the folder itself")
        return file


class StoredSection(_Stored):
    """A section without sections below it."""

    title: str
    words: tuple[str, ...] = ()
    figures: tuple[StoredFigure, ...] = ()
    tables: tuple[StoredTable, ...] = ()


class Beside(_Stored):
    """What is known of a folder beside its explanations.

    title, preface: of the page. notes: what it cannot show. planting: by the name of the explanation. useful: of all of them.
    """

    title: str | None = None
    preface: str | None = None
    notes: tuple[str, ...] = ()
    planting: Mapping[str, StoredSection] = {}
    useful: tuple[StoredSection, ...] = ()

    def save(self, folder: Path) -> Path:
        """Write the JSON file; the figures that it names are in the folder already."""
        target = folder / FILE
        content = {"modalens_report": 1, **self.model_dump(mode="json")}
        target.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
        return target


def beside_in(folder: Path) -> Beside:
    """What is known of a folder; nothing where there is no file. Raises InputError for one that is damaged."""
    source = folder / FILE
    if not source.is_file():
        return Beside()
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        mark = content.pop("modalens_report")
        if mark != 1:
            raise ValueError(f"its format is {mark!r}")
        return Beside.model_validate(content)
    except (OSError, ValueError, RecursionError, KeyError, AttributeError, TypeError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise InputError(
            f"{source} is not what modalens wrote beside its explanations, or it is damaged ({why}); write the folder again, or delete the file: the page is then written without it."
        ) from error


def stored(section: Section, figures: Sequence[str]) -> StoredSection:
    """A section, its pictures left in these files."""
    return StoredSection(
        title=section.title,
        words=section.words,
        figures=tuple(StoredFigure(file=file, alt=one.alt) for file, one in zip(figures, section.figures, strict=True)),
        tables=tuple(StoredTable(title=one.title, columns=one.columns, rows=one.rows, notes=one.notes) for one in section.tables),
    )  # fmt: skip


def restored(section: StoredSection, folder: Path) -> Section:
    """The section with its pictures; raises InputError where one is missing."""
    return Section(
        title=section.title,
        words=section.words,
        figures=tuple(_picture(folder / one.file, one.alt) for one in section.figures),
        tables=tuple(Table(**one.model_dump()) for one in section.tables),
    )


def _picture(path: Path, alt: str) -> Picture:
    try:
        return vector_picture(path.read_bytes(), alt)
    except OSError as error:
        raise InputError(f"the figure {path} can't be read: {error}; write the folder again.") from error
