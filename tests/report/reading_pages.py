"""A page as a machine reads it: its elements, tables, headings and words."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "img", "br", "link", "hr"}


@dataclass
class Shown:
    """A table: its caption, columns and rows as text."""

    caption: str = ""
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def cell(self, row: str, column: str) -> str:
        """The cell of a row that begins with this name."""
        (found,) = [one for one in self.rows if one[0] == row]
        return found[self.columns.index(column)]


class Reader(HTMLParser):
    """What is in a page: its elements in order, their attributes, its text and tables; refuses elements that do not close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.tables: list[Shown] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append(Shown())
        if tag == "tr" and "tbody" in self.open:
            self.tables[-1].rows.append([])
        if tag in ("th", "td"):
            line = self.tables[-1].rows[-1] if "tbody" in self.open else self.tables[-1].columns
            line.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if "caption" in self.open:
            self.tables[-1].caption += data
        if "th" in self.open or "td" in self.open:
            line = self.tables[-1].rows[-1] if "tbody" in self.open else self.tables[-1].columns
            line[-1] += data

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    def table(self, caption: str) -> Shown:
        """The first table whose caption begins so."""
        return next(one for one in self.tables if one.caption.startswith(caption))

    def alt(self, begins: str) -> str:
        """What is read of the first figure whose words begin so."""
        return next(image["alt"] or "" for image in self.all("img") if (image["alt"] or "").startswith(begins))

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def pictures_of_patients(page: str) -> int:
    """How many pictures of dots are within the vector images of a page, as pictures of patients and maps over them are; lines and
    dots of figures are none.
    """
    images = [(one["src"] or "").partition(",") for one in Reader(page).all("img")]
    assert all(kind == "data:image/svg+xml;base64" for kind, _, _ in images)
    return sum(base64.b64decode(content).count(b"<image") for _, _, content in images)


def require_well_built(page: Reader) -> None:
    """Headings in order, one title, figures that say what they show, tables that a screen reader can read."""
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert headings.count(1) == 1
    assert headings[0] == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(headings))
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("title")) == len(page.all("main")) == len(page.all("nav")) == len(page.all("header")) == 1
    assert all(image["alt"] and len(image["alt"]) > 20 and re.search(r"\d", image["alt"]) for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(cell.get("scope") in ("row", "col") for cell in page.all("th"))
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    for link in page.all("a"):
        assert (link["href"] or "").removeprefix("#") in names
    for _, attributes in page.elements:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in names


def require_self_contained(text: str) -> None:
    """Nothing is loaded, nothing runs."""
    page = Reader(text)
    assert page.all("script", "link", "iframe", "object", "embed", "form") == []
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in text
    assert "@import" not in text
    (policy,) = [one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert (policy or "").startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
