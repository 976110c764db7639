"""What every page is made of: sections with words, figures and tables, in a template in which all text is escaped, and figures as
images within the file.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalens.errors import InputError
from modalens.summary.cells import Table

FOLDER = Path(__file__).parent

PIXELS_PER_POINT = 96 / 72

LARGE = 400_000
"""Bytes of a vector image beyond which dots are smaller: a figure of very many pieces is then an image of dots."""

DOTS_PER_INCH = 160


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as it stands in the page: the image itself, and what it shows, for those who can't see it."""

    source: str
    alt: str
    width: int


@dataclass(frozen=True, kw_only=True)
class Section:
    """One question: what it means in plain words, and the figures and tables that answer it.

    verdicts: short labels, and the sentences that answer them. words: paragraphs. warnings, points: lists of sentences.
    terms: what is set, and how; `code` where that is no sentence. quoted: text to copy as it is. within: sections below it.
    private: whether it shows single patients, which the page then says above everything.
    """

    title: str
    verdicts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    figures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    points: tuple[str, ...] = ()
    terms: Mapping[str, str] = field(default_factory=dict)
    quoted: str = ""
    within: tuple[Section, ...] = ()
    private: bool = False

    @property
    def holds_patients(self) -> bool:
        """Whether single patients are in it, or in a section below it."""
        return self.private or any(one.holds_patients for one in self.within)


def written(path: str | Path, **contents: Any) -> Path:
    """Write a page: its title, preface and sections. Raises InputError where that can't be done."""
    target = Path(path)
    try:
        target.write_text(filled("page.html", **contents), encoding="utf-8")
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


def picture(drawn: Figure | Axes, alt: str) -> Picture:
    """A figure as a vector image within the page; one of very many pieces as an image of dots. As an image it can't run or load
    anything, and its names can't clash with another's.
    """
    figure = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
    assert isinstance(figure, Figure)
    vector = _numbered(_saved(figure, "svg", metadata={"Date": None, "Creator": None}))
    if len(vector) <= LARGE:
        return vector_picture(vector, alt)
    dots = _saved(figure, "png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return Picture(source=_embedded(dots, "png"), alt=alt, width=_width(vector))


def vector_picture(image: bytes, alt: str) -> Picture:
    """A figure that matplotlib saved as SVG."""
    return Picture(source=_embedded(image, "svg+xml"), alt=alt, width=_width(image))


def _saved(figure: Figure, ending: str, **settings: Any) -> bytes:
    drawing = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "modalens"}):
        figure.savefig(drawing, format=ending, bbox_inches="tight", pad_inches=0.05, **settings)
    return drawing.getvalue()


def _numbered(image: bytes) -> bytes:
    """The same image with its frames numbered in their order: matplotlib names them by the last bits of where they lie."""
    names = dict.fromkeys(re.findall(rb'<clipPath id="(p[0-9a-f]{10})"', image))
    for place, name in enumerate(names):
        image = image.replace(name, b"frame%d" % place)
    return image


def _embedded(image: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def _width(image: bytes) -> int:
    """The width in pixels that an SVG image says."""
    points = re.search(rb'<svg[^>]*? width="([\d.]+)pt"', image)
    if points is None:
        raise InputError("a figure's file is no SVG image of ours: it says no width in points; write the folder again.")
    return round(float(points[1]) * PIXELS_PER_POINT)


def terms_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings in words, by their names."""
    return {name: _said(value) for name, value in settings.items()}


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {one}" for name, one in value.items()) or "–"
    return (", ".join(map(str, value)) or "–") if isinstance(value, list | tuple) else str(value)


def alt_of(tables: Sequence[Table]) -> str:
    """A figure in words: the rows of the table it is drawn from."""
    table = tables[0]
    rows = "; ".join(
        f"{row[0]}: "
        + ", ".join(f"{column} {cell}" for column, cell in zip(table.columns[1:], row[1:], strict=True) if cell)
        for row in table.rows
    )
    return f"{table.title}. {rows}."
