"""What is said of one explanation, in the order in which it is read: first the answer, last what it cannot show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from modalens.explanation import Explanation
from modalens.report.cohort import about_cohort, judged
from modalens.report.figures import about_modalities, about_scores
from modalens.report.layout import Section
from modalens.report.limits import about_limits
from modalens.report.methods import about_methods
from modalens.report.patients import LEFT_OUT, about_patients
from modalens.report.sensitivity import about_choices
from modalens.summary import title_words
from modalens.summary.verdicts import verdicts


def sections_of(
    explanation: Explanation,
    *,
    patients: bool,
    samples: Sequence[int] = (),
    planting: Section | None = None,
    useful: Sequence[Section] = (),
    useful_elsewhere: bool = False,
    sensitivity: pd.DataFrame | None = None,
    notes: Sequence[str] = (),
) -> list[Section]:
    """The sections of a page, or of a part of one. planting, useful: sections that are known beside the explanation; useful_elsewhere:
    the latter stand in another part.
    """
    found = judged(explanation)
    return [
        in_short(explanation),
        *([] if planting is None else [planting]),
        *about_modalities(explanation),
        about_patients(explanation, samples) if patients else Section(title="Single patients", words=(LEFT_OUT,)),
        *about_cohort(explanation, found),
        *about_scores(explanation),
        *useful,
        about_choices(explanation, sensitivity),
        *about_methods(explanation, found),
        about_limits(
            explanation,
            notes=tuple(notes),
            planted=planting is not None,
            useful=bool(useful) or useful_elsewhere,
            patients=patients,
        ),
    ]


def shown_in_notebooks(explanation: Explanation) -> Iterator[Section]:
    """What is shown where it is asked for again and again: no patients, and nothing that takes long."""
    yield in_short(explanation)
    yield from about_modalities(explanation)
    yield from about_scores(explanation)
    yield from about_methods(explanation)
    yield about_limits(explanation, planted=False, useful=False, patients=False)


def in_short(explanation: Explanation) -> Section:
    """The verdicts."""
    return Section(title="The answer in short", words=(f"{title_words(explanation)}.",), verdicts=verdicts(explanation))
