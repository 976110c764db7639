"""What every page is made of: templates in which all text is escaped, sections, and figures as images within the file."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from modalens.errors import InputError
from modalens.summary.cells import Table

FOLDER = Path(__file__).parent

PIXELS_PER_POINT = 96 / 72


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as it stands in the page: the image itself, and what it shows, for those who can't see it."""

    source: str
    alt: str
    width: int


@dataclass(frozen=True, kw_only=True)
class Section:
    """One question: what it means in plain words, and the figures and tables that answer it."""

    title: str
    words: tuple[str, ...]
    figures: tuple[Picture, ...]
    tables: tuple[Table, ...]


def written(path: str | Path, template: str, **contents: Any) -> Path:
    """Write a page. Raises InputError where that can't be done."""
    target = Path(path)
    try:
        target.write_text(filled(template, **contents), encoding="utf-8")
    except OSError as error:
        raise InputError(f"the page can't be written to {target}: {error}.") from error
    return target


def filled(template: str, **contents: Any) -> str:
    """A template with its contents, in the common style."""
    style = Markup((FOLDER / "page.css").read_text(encoding="utf-8"))
    return _templates().get_template(template).render(style=style, **contents)


@cache
def _templates() -> jinja2.Environment:
    """The templates, in which everything is escaped unless it is the style sheet, which is ours."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def picture(figure: Figure, alt: str) -> Picture:
    """A figure as a vector image within the page. As an image it can't run or load anything, and its names can't
    clash with another's.
    """
    drawing = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "modalens"}):
        figure.savefig(
            drawing, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight", pad_inches=0.05
        )
    image = drawing.getvalue()
    points = re.search(rb'<svg[^>]*? width="([\d.]+)pt"', image)
    assert points is not None
    return Picture(
        source=f"data:image/svg+xml;base64,{base64.b64encode(image).decode('ascii')}",
        alt=alt,
        width=round(float(points[1]) * PIXELS_PER_POINT),
    )


def alt_of(tables: Sequence[Table]) -> str:
    """A figure in words: the rows of the table it is drawn from."""
    table = tables[0]
    rows = "; ".join(
        f"{row[0]}: "
        + ", ".join(f"{column} {cell}" for column, cell in zip(table.columns[1:], row[1:], strict=True) if cell)
        for row in table.rows
    )
    return f"{table.title}. {rows}."
