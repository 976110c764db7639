"""What is said of one patient: sentences, tables and coloured words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from modalens.app.words import as_it_is
from modalens.cohort.predictions import predictions_of
from modalens.explanation import Explanation
from modalens.plots.parts import changes_of
from modalens.reading import output_words, require, result_of, space_words
from modalens.summary.cells import MOST_ROWS, Table
from modalens.summary.wording import NOT_DEFINED, NOT_THERE, change, percent

STRONG, WEAK = 1 / 2, 1 / 7
"""From which part of the largest change a word is coloured strongly, and at all."""

TOP = 12
"""Parts in the table."""


def names(table: pd.DataFrame) -> list[str]:
    """What each patient is called: name and position, or the position where there are no names."""
    return [
        f"sample {sample}" if name == str(sample) else f"{name} (sample {sample})"
        for sample, name in zip(table.index, table["patient"], strict=True)
    ]


def called(table: pd.DataFrame, sample: int) -> str:
    """What one patient is called."""
    own = names(table.loc[[sample]])[0]
    return own[:1].upper() + own[1:] if own.startswith("sample ") else own


def in_words(explanation: Explanation, table: pd.DataFrame, sample: int) -> str:
    """What the model says of the patient, and what is true."""
    row = table.iloc[sample].to_dict()
    if "predicted" not in row:
        return "The explanation does not hold what the model says of this patient."
    units = explanation.provenance.get("units")
    said = f"The model says {_value(row['predicted'], units)}"
    if "probability" in row:
        said += f" with a probability of {percent(float(row['probability']))}"
    if "label" not in row:
        return f"{said}. Whether that is true is not known."
    if "correct" not in row:
        return f"{said}; the label is {_value(row['label'], units)}."
    return f"{said}; the label is {_value(row['label'], units)}: the model is {'right' if row['correct'] else 'wrong'}."


def predictions(explanation: Explanation, sample: int) -> Table:
    """What the model gives to each output, and what is true of it."""
    if "prediction" not in explanation.cohort:
        return Table(
            title="What the model says", columns=("output",), rows=(), notes=("The explanation does not hold it.",)
        )
    found = predictions_of(explanation)
    values = found.values[sample]
    order = np.argsort(-values, kind="stable") if len(values) > MOST_ROWS else np.arange(len(values))
    shown = order[:MOST_ROWS]
    truth = _truth(explanation, sample)
    rows = tuple(
        (found.outputs[place], _number(values[place], found.space), *((truth[place],) if truth else ()))
        for place in shown
    )
    more = len(values) - len(shown)
    return Table(
        title="What the model says",
        columns=("output", space_words(explanation, found.space), *(("true",) if truth else ())),
        rows=rows,
        notes=(f"{more} more outputs are not listed.",) if more else (),
    )


def _truth(explanation: Explanation, sample: int) -> list[str] | None:
    """What is true of each output, in words; None where that is not known, or not said by output."""
    found = predictions_of(explanation)
    if found.labels is None or found.task == "survival":
        return None
    own = found.labels[sample]
    if found.task == "classification":
        return ["yes" if place == own else "" for place in range(len(found.outputs))]
    if found.task == "multilabel":
        return ["yes" if one else "no" for one in own]
    return [f"{one:.4g}" for one in own] if len(own) == len(found.outputs) else None


def among(table: pd.DataFrame, modalities: Sequence[str], sample: int) -> Table:
    """The patient's shares beside the cohort's."""
    rows = []
    for name in modalities:
        column = table[f"{name} share"]
        own, known = column[sample], column.dropna()
        if pd.isna(own):
            rows.append((name, NOT_THERE, percent(float(known.median())) if len(known) else NOT_DEFINED, NOT_THERE))
        else:
            rows.append((name, percent(float(own)), percent(float(known.median())), f"{100 * float((known < own).mean()):.0f} %"))  # fmt: skip
    return Table(
        title="This patient's shares among those of all",
        columns=("modality", "this patient", "median of all", "patients with less"),
        rows=tuple(rows),
        notes=("–: the patient does not have it, or nothing changes the output.",)
        if any(row[1] == NOT_THERE for row in rows)
        else (),
    )


def largest_parts(explanation: Explanation, sample: int, output: str | None) -> Table:
    """The parts of all modalities that change the output most, the largest first."""
    found = []
    for name in _had(explanation, sample):
        changes = changes_of(explanation, name, sample, output)
        labels = changes.part.values if "part" in changes.coords else changes.word.values
        found += [(float(value), name, str(part)) for value, part in zip(changes.values, labels, strict=True)]
    found = sorted((one for one in found if one[0]), key=lambda one: -abs(one[0]))
    what = (
        f"change of the {output_words(explanation, output)}" if output else f"change of the {space_words(explanation)}"
    )
    rest = found[TOP:]
    return Table(
        title=f"The parts that change the output most ({min(TOP, len(found))} of {len(found)} that change it)",
        columns=("modality", "part", what),
        rows=tuple(
            (name, part, change(value) if output else change(value).removeprefix("+")) for value, name, part in found[:TOP]
        ),
        notes=(
            *(() if output else ("Summed over all outputs, so it has no sign; choose an output to see what raises and what lowers it.",)),
            *((f"The others change it by at most {change(abs(rest[0][0])).removeprefix('+')} each.",) if rest else ()),
        ),
    )  # fmt: skip


def texts(explanation: Explanation, sample: int) -> list[str]:
    """The modalities of the patient that are texts, whose words have changes of their own."""
    if result_of(explanation, "occlusion") is None:
        return []
    return [name for name in _had(explanation, sample) if explanation.provenance["modalities"][name].startswith("Text")]


def coloured(explanation: Explanation, modality: str, sample: int, output: str | None) -> str:
    """The words of a text as Markdown, those coloured that change the output; nothing in a word is taken for markup."""
    changes = changes_of(explanation, modality, sample, output)
    everything = [changes_of(explanation, name, sample, output).values for name in _had(explanation, sample)]
    largest = max(float(np.nanmax(np.abs(own), initial=0.0)) for own in everything)
    labels = changes.word.values if "word" in changes.coords else changes.part.values
    return " ".join(
        _coloured(str(word), float(value) / largest if largest else 0.0, signed=output is not None)
        for word, value in zip(labels, changes.values, strict=True)
    )


def _coloured(word: str, strength: float, *, signed: bool) -> str:
    said = as_it_is(word)
    if not said or abs(strength) < WEAK:
        return said
    strong = abs(strength) >= STRONG
    if signed:
        return f":{'red' if strength > 0 else 'blue'}-background[{f'**{said}**' if strong else said}]"
    return f":orange-background[**{said}**]" if strong else f":yellow-background[{said}]"


def characteristics(explanation: Explanation, sample: int) -> Table | None:
    """What else is known of the patient; None where nothing is."""
    known = explanation.characteristics
    if known.shape[1] == 0:
        return None
    row = known.iloc[sample]
    rows = tuple((str(name), "not known" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value)) for name, value in row.items())  # fmt: skip
    return Table(title="What else is known", columns=("characteristic", "value"), rows=rows)


def _had(explanation: Explanation, sample: int) -> list[str]:
    """The modalities that the patient has."""
    counts: xr.DataArray = require(explanation, "occlusion").array("part_count").isel(sample=sample)
    return [name for name in explanation.modalities if int(counts.sel(modality=name))]


def _number(value: float, space: str) -> str:
    return percent(float(value)) if space == "probability" else f"{value:.4g}"


def _value(value: object, units: str | None) -> str:
    if isinstance(value, float):
        return f"{value:.4g} {units}" if units else f"{value:.4g}"
    return f"“{value}”"
