"""An audit as one plain HTML file and a folder: do the highlights show what the sentences say, and how that was found out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure

from modalens.plots.audit import Audited as Drawable
from modalens.plots.audit import examples
from modalens.report.folder import Found, write_found
from modalens.report.layout import Section, alt_of, picture, terms_of
from modalens.report.page import write_page


class Audited(Found, Drawable, Protocol):
    """What `ml.audit` returns."""

    @property
    def words(self) -> list[str]: ...

    def plot(self, *, records: Sequence[int] | None = None) -> Figure: ...

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


PICTURES = "Below, images with the annotated region outlined, and the maps of the sentence and of the sentence with left and right exchanged."

NO_PICTURES = (
    "No picture of a patient is shown. There are some where the audit is written with them, by audit.write(folder, pictures=True) or modalens audit study.yaml --pictures, "
    "and where patients are not left out of the page."
)


def write_audit(audit: Audited, folder: str | Path, pictures: bool = False) -> list[Path]:
    """Write `audit.nc`, `.csv`, `.svg`, `.png` and `.html`, and say which files there are. pictures: keep every picture in
    `audit.nc`, and show some in the figure and the page; without it no file holds one.
    Raises InputError where the folder can't be written to.
    """
    return write_found(
        audit,
        folder,
        name="audit",
        ending="nc",
        page=lambda path: write_audit_page(audit, path, patients=pictures),
        save=lambda path: audit.save(path, pictures=pictures),
        plot=partial(audit.plot, records=shown_records(audit, patients=pictures)),
    )


def write_audit_page(audit: Audited, path: str | Path, *, patients: bool = True) -> Path:
    """Write the page alone. patients: whether pictures of patients are on it."""
    return write_page(path, title=AUDIT_TITLE, sections=audit_sections(audit, patients=patients))


def shown_records(audit: Audited, *, patients: bool) -> list[int]:
    """The records whose pictures are shown: by a fixed rule, or none."""
    return examples(audit) if patients else []


def audit_sections(audit: Audited, *, patients: bool = True) -> list[Section]:
    """The sections of a page, or of a part of one: the answer, the figure and tables, settings, limits. patients: whether pictures
    of patients are shown, where the audit holds them.
    """
    tables = tuple(audit.tables())
    shown = shown_records(audit, patients=patients)
    above = "Scores by subset beside those of maps that ignore the text, and changes of the score beside those of a map that follows it; the numbers are in the tables."
    alt = " ".join([above, *([PICTURES] if shown else []), alt_of(tables)])
    return [
        Section(title="The answer in short", verdicts={"Found": audit.words}),
        Section(
            title="Do the highlights show the region, and does the text matter?",
            words=(*WORDS, *(() if shown else (NO_PICTURES,))),
            figures=(picture(audit.plot(records=shown), alt),),
            tables=tables,
            private=bool(shown),
        ),
        Section(title="Settings", terms=terms_of(audit.settings)),
        Section(title="What this cannot show", points=CANNOT),
    ]
