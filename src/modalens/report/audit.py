"""An audit as one plain HTML file and a folder: do the highlights show what the sentences say, and how that was found out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from modalens.report.folder import Found, write_found
from modalens.report.layout import Section, picture, written


class Audited(Found, Protocol):
    """What `ml.audit` returns."""

    @property
    def words(self) -> list[str]: ...


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


def write_audit(audit: Audited, folder: str | Path) -> list[Path]:
    """Write `audit.nc`, `.csv`, `.svg`, `.png` and `.html`, and say which files there are. Raises InputError where the folder can't be
    written to.
    """
    return write_found(audit, folder, name="audit", ending="nc", page=lambda path: write_audit_page(audit, path))


def write_audit_page(audit: Audited, path: str | Path) -> Path:
    """Write the page alone."""
    first, *others = audit.tables()
    sections = [
        Section(
            title="Do the highlights show the region, and does the text matter?",
            words=WORDS,
            figures=(
                picture(
                    audit.plot(),
                    "Above, scores by subset beside those of maps that ignore the text, and changes of the score beside those of a map that follows it; the numbers are in the tables. "
                    "Below, images with the annotated region outlined, and the maps of the sentence and of the sentence with left and right exchanged.",
                ),
            ),
            tables=(first, *others),
        ),
        Section(title="What this cannot show", words=CANNOT, figures=(), tables=()),
    ]
    settings = {name: _said(value) for name, value in audit.settings.items()}
    return written(path, "board.html", title="Does the highlighted region show what the sentence says?", headline=audit.words, sections=sections, settings=settings)  # fmt: skip


def _said(value: Any) -> str:
    return (
        "; ".join(f"{name}: {one}" for name, one in value.items()) or "–" if isinstance(value, Mapping) else str(value)
    )
