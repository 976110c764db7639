"""One HTML file from an explanation: the answer in words, figures, patients, what a reviewer asks for, and everything needed to doubt
it. It loads nothing and runs nothing.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from modalens.errors import InputError
from modalens.explanation import Explanation
from modalens.report.beside import Planted, Useful, planting_section, scores_section, usefulness_section
from modalens.report.explained import sections_of, shown_in_notebooks
from modalens.report.layout import Section, filled, written
from modalens.summary.wording import quote

PRIVATE = (
    "This page holds data of single patients (what they were given, what the model said, their names where these were saved). Keep it as you keep their records, or leave them out: "
    "patients=False, or --no-patients from the shell."
)


def body(explanation: Explanation) -> str:
    """The explanation as an HTML fragment, for notebooks; single patients are not in it."""
    return filled("fragment.html", sections=list(shown_in_notebooks(explanation)))


def report(
    explanation: Explanation,
    path: str | Path = "report.html",
    *,
    title: str | None = None,
    preface: str | None = None,
    patients: bool = True,
    samples: Sequence[int] = (),
    sensitivity: pd.DataFrame | None = None,
    planting: Planted | None = None,
    usefulness: Useful | None = None,
    scores: pd.DataFrame | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Write the explanation as one HTML file that needs no other file and no network, and can be printed; returns its path.

    Parameters
    ----------
    title : of the page; the model's name unless given.
    preface : what the reader should know first, in plain text; an empty line begins a paragraph.
    patients : whether single patients are shown: those whom fixed rules choose. What is shown of them, such as the image or the
        words, is in the file.
    samples : positions of more patients to show.
    sensitivity : the table of `ml.sensitivity(...)`, the numbers under other choices.
    planting : what `ml.plant(...)` found with this model; its verdict stands before all pictures.
    usefulness : what `ml.usefulness(...)` found of models trained with and without each modality.
    scores : scores of trained models, a row each, where there is no `usefulness`.
    notes : further sentences for what the page cannot show.

    Raises InputError where the file can't be written, a sample is not there or named though patients are left out, or `sensitivity` is
    another table.
    """
    if samples and not patients:
        raise InputError(
            "patients=False leaves all patients out, and samples= names some to show: give one of the two."
        )
    useful = [
        *([] if scores is None else [scores_section(scores)]),
        *([] if usefulness is None else [usefulness_section(usefulness, explanation)]),
    ]
    sections = sections_of(
        explanation,
        patients=patients,
        samples=samples,
        planting=None if planting is None else planting_section(planting),
        useful=useful,
        sensitivity=sensitivity,
        notes=notes,
    )
    return write_page(path, title=title or looks_at(explanation), preface=preface, sections=sections)


def looks_at(explanation: Explanation) -> str:
    """The title of what is said of a model."""
    return f"What {quote(explanation.provenance['model'])} looks at"


def write_page(
    path: str | Path,
    *,
    title: str,
    sections: Sequence[Section],
    preface: str | None = None,
    nested: bool = False,
) -> Path:
    """A page of these sections, with a table of contents. nested: the sections are parts, whose own sections are listed too. Where
    single patients are on it, that is said.
    """
    return written(
        path,
        title=title,
        preface=preface,
        sections=sections,
        private=PRIVATE if any(one.holds_patients for one in sections) else "",
        nested=nested,
        footer=f"Written by modalens {importlib.metadata.version('modalens')}. Nothing on this page is loaded from elsewhere, and nothing on it runs.",
    )
