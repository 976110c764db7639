"""The tables of an explanation: first the answer in sentences, then every number with its interval, then what to know
before believing them.
"""

from __future__ import annotations

from typing import Any

import rich.box
import rich.table
from rich.console import Group
from rich.text import Text

from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.summary.headline import headline
from modalens.summary.running import how_it_ran
from modalens.summary.tables import Table, content
from modalens.summary.wording import (
    baseline_label,
    capital,
    in_words,
    quote,
)


def renderables(explanation: Explanation) -> list[Any]:
    """The explanation for a rich console: headline, tables, notes."""
    top = Group(Text(title_words(explanation), style="bold"), _bulleted(headline(explanation)), Text())
    bottom = Group(Text("What to know about these numbers", style="bold"), _bulleted(notes(explanation)))
    return [top, *(as_rich(table) for table in content(explanation)), bottom]


def title_words(explanation: Explanation) -> str:
    """What was explained: which model, on how many samples of which modalities."""
    about = explanation.provenance
    modalities = in_words([f"{name} ({words})" for name, words in about["modalities"].items()])
    return f"What {quote(about['model'])} looks at, on {about['samples']:,} samples of {modalities}"


def notes(explanation: Explanation) -> list[str]:
    """Warnings first, then how to read the numbers, what they are of, and what they cost."""
    about = explanation.provenance
    return [
        *(f"Warning: {warning}" for warning in about["warnings"]),
        *caveats(explanation),
        f"Measured is {about['value_function']}.",
        *(
            f"{capital(baseline_label(label))} ({label}): {words}."
            for label, words in baselines_in_words(explanation).items()
        ),
        f"{how_it_ran(explanation)} Seed {about['seed']}.",
    ]


def caveats(explanation: Explanation) -> list[str]:
    """How to read the numbers: what the brackets are, what a share is not, and what was inferred."""
    return [
        *dict.fromkeys(intervals_in_words(result) for result in explanation.results.values()),
        "A large share says that the model uses a modality, not that it is right to do so.",
        *(f"Inferred: {said}." for said in explanation.provenance["said"]),
    ]


def intervals_in_words(result: Result) -> str:
    """What the brackets are, or why there are none."""
    if result.confidence is None:
        return "There are no intervals: they were turned off."
    if "interval" in result.reasons:
        return f"There are no intervals: {result.reasons['interval']}."
    return f"In brackets: the {100 * result.confidence:g} % interval, from drawing {result.resampled}."


def baselines_in_words(explanation: Explanation) -> dict[str, str]:
    """What stands in for what is hidden, by the baseline's name."""
    described = {}
    for label, by_modality in explanation.provenance["baselines"].items():
        alike = len(set(by_modality.values())) == 1
        described[label] = (
            f"what is hidden is {next(iter(by_modality.values()))}"
            if alike
            else "; ".join(f"{name} is {words}" for name, words in by_modality.items())
        )
    return described


def _bulleted(sentences: list[str]) -> rich.table.Table:
    grid = rich.table.Table.grid(padding=(0, 1))
    for sentence in sentences:
        grid.add_row(Text("•"), Text(sentence))
    return grid


def as_rich(table: Table) -> Group:
    """A table for the console. Text objects, so that nothing in a name is taken for markup."""
    shown = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for place, column in enumerate(table.columns):
        shown.add_column(Text(column), justify="right" if place and table.is_numeric(place) else "left")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    return Group(
        Text(table.title, style="bold"), shown, *([_bulleted(list(table.notes))] if table.notes else []), Text()
    )
