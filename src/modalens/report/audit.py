"""An audit as one plain HTML file and a folder: do the highlights show what the sentences say, and how that was found out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from modalens.report.folder import Found, write_found
from modalens.report.layout import Section, alt_of, picture
from modalens.report.page import write_page


class Audited(Found, Protocol):
    """What `ml.audit` returns."""

    @property
    def words(self) -> list[str]: ...

    def save(self, path: str | Path, pictures: bool = False) -> Path: ...


AUDIT_TITLE = "Does the highlighted region show what the sentence says?"

WORDS = (
    "Each sentence was shown to the model with its image, and then changed: left for right, another sentence of the report, another patient's. "
    "A model that reads must look elsewhere when the sentence says so. "
    "Where both lungs show the same finding, only the text can choose: whether the highlights change sides there is the number to go by.",
    "A high score against the regions alone says little: a map over both lungs has an AUROC of .97 for a small box in one of them, "
    "and maps that ignore the text altogether, such as the mean of all boxes, are often close.",
)

CANNOT = (
    "Agreement with the boxes of a radiologist is plausibility: it does not show that the model's answer rests on what is highlighted. "
    "What is left of it when the weights are drawn anew stands beside it.",
    "On one-sided images the swapped sentence is false, and looking nowhere is as right as looking at the other side; changes there are secondary.",
)


def write_audit(audit: Audited, folder: str | Path, pictures: bool = False) -> list[Path]:
    """Write `audit.nc`, `.csv`, `.svg`, `.png` and `.html`, and say which files there are. pictures: keep every picture in `audit.nc`.
    Raises InputError where the folder can't be written to.
    """
    return write_found(
        audit,
        folder,
        name="audit",
        ending="nc",
        page=lambda path: write_audit_page(audit, path),
        save=lambda path: audit.save(path, pictures=pictures),
    )


def write_audit_page(audit: Audited, path: str | Path) -> Path:
    """Write the page alone."""
    return write_page(path, title=AUDIT_TITLE, sections=audit_sections(audit))


def audit_sections(audit: Audited) -> list[Section]:
    """The sections of a page, or of a part of one: the answer, the figure and tables, settings, limits."""
    settings = {name: _said(value) for name, value in audit.settings.items()}
    tables = tuple(audit.tables())
    return [
        Section(title="The answer in short", verdicts={"Found": audit.words}),
        Section(
            title="Do the highlights show the region, and does the text matter?",
            words=WORDS,
            figures=(
                picture(
                    audit.plot(),
                    "Above, scores by subset beside those of maps that ignore the text, and changes of the score beside those of a map that follows it; the numbers are in the tables. "
                    f"Below, images with the annotated region outlined, and the maps of the sentence and of the sentence with left and right exchanged. {alt_of(tables)}",
                ),
            ),
            tables=tables,
        ),
        Section(title="Settings", terms=settings),
        Section(title="What this cannot show", points=CANNOT),
    ]


def _said(value: Any) -> str:
    return (
        "; ".join(f"{name}: {one}" for name, one in value.items()) or "–" if isinstance(value, Mapping) else str(value)
    )
