"""How much the answer depends on choices that nobody can make for sure: what stands in, the scale, how finely one cuts."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from modalens.errors import InputError, listed
from modalens.explanation import Explanation
from modalens.reading import AS_A_WHOLE, contribution_views, hides, results_of, space_words
from modalens.report.layout import Section
from modalens.summary.cells import Table, cell, of_measured
from modalens.summary.contribution import baselines_of
from modalens.summary.wording import NOT_DEFINED, NOT_THERE, baseline_label, capital, percent, quote, rounded_percent

WORDS = (
    "The same numbers under other choices: other things in the place of what is hidden, the modality cut into parts or hidden as one, another scale. An answer that changes with "
    "them holds for its choice only."
)

NO_CHOICES = "The explanation holds no shares or interactions, so there is nothing that a choice could change."

ONE_CHOICE = "The explanation holds its numbers under one choice only. ml.sensitivity(model, inputs, ...) runs others; report(..., sensitivity=table) shows them here."

CUT_NOTE = "“Part by part” depends on how finely a modality is cut, “as a whole” does not."

COLUMNS = ("baseline", "output", "parts", "measure", "quantity", "modality", "value", "lower", "upper")

NAMES = {
    ("occlusion", "contribution"): "hidden part by part",
    ("occlusion", "anchor"): "hidden as a whole",
    ("shapley", "contribution"): "Shapley value",
    ("intershap", "score"): "interaction (InterSHAP)",
    ("intershap", "contribution"): "by itself and half of its pairs (InterSHAP)",
}


def about_choices(explanation: Explanation, more: pd.DataFrame | None = None) -> Section:
    """The shares and the interaction under every choice that the explanation holds; `more` is what ml.sensitivity returned."""
    shares = list(_shares(explanation))
    tables = [*_as_table(explanation, shares), *_interactions(explanation)]
    tables += [] if more is None else list(_given(more))
    if not tables:
        return Section(title="How much the answer depends on choices", words=(NO_CHOICES,))
    lone = len(shares) < 2 and more is None and not any(len(table.rows) > 1 for table in tables)
    return Section(
        title="How much the answer depends on choices",
        words=(WORDS, *_spread(explanation, shares), *((ONE_CHOICE,) if lone else ())),
        tables=tuple(tables),
    )


def _shares(explanation: Explanation) -> Iterator[tuple[str, dict[str, float], tuple[str, ...]]]:
    """Each way of asking under each baseline: its name, the shares by modality, and these as cells with bounds."""
    for words, result, name in contribution_views(explanation):
        array = {"anchor": "anchor_by_baseline", "contribution": "by_baseline"}[name]
        known = array if array in result.arrays else name
        found = result.array(known)
        each = [{"baseline": one} for one in found.baseline.values] if "baseline" in found.dims else [{}]
        for at in each:
            label = at.get("baseline") or baselines_of(result)[0]
            under = f", {baseline_label(str(label))} in its place" if hides(result) else ""
            values = {one: float(found.sel(at | {"modality": one})) for one in explanation.modalities}
            cells = tuple(cell(result, known, percent, modality=one, **at) for one in explanation.modalities)
            yield f"{words}{under}", values, cells


def _as_table(explanation: Explanation, shares: list[tuple[str, dict[str, float], tuple[str, ...]]]) -> Iterator[Table]:
    if shares:
        yield Table(
            title="The share of each modality, by the way it is asked for and what stands in",
            columns=("choice", *explanation.modalities),
            rows=tuple((capital(words), *cells) for words, _, cells in shares),
            notes=(CUT_NOTE,) if any(words.startswith(AS_A_WHOLE) for words, _, _ in shares) else (),
        )


def _interactions(explanation: Explanation) -> Iterator[Table]:
    """InterSHAP on each scale, and under each baseline."""
    for name, result in results_of(explanation, "intershap").items():
        by_space = result.array("by_space")
        outputs = [{"output": str(one)} for one in by_space.output.values] if "output" in by_space.dims else [{}]
        rows = []
        for at in outputs:
            label = tuple(at.values())
            rows += [(*label, f"on the {space_words(explanation, str(space))}", cell(result, "by_space", percent, space=space, **at)) for space in by_space.space.values]  # fmt: skip
            if "by_baseline" in result.arrays and result.array("by_baseline").sizes["baseline"] > 1:
                baselines = result.array("by_baseline").baseline.values
                rows += [(*label, f"with {baseline_label(str(one))} in its place", cell(result, "by_baseline", percent, baseline=one, **at)) for one in baselines]  # fmt: skip
        yield Table(
            title=f"The share of interaction (InterSHAP), by choice{of_measured(explanation, 'intershap', name)}",
            columns=(*(("output",) if "output" in by_space.dims else ()), "choice", "interaction"),
            rows=tuple(rows),
        )


def _spread(explanation: Explanation, shares: list[tuple[str, dict[str, float], tuple[str, ...]]]) -> Iterator[str]:
    """Between which shares a modality lies, and whether the same one comes first under all choices."""
    known = [values for _, values, _ in shares if not any(value != value for value in values.values())]
    if len(known) < 2 or len(explanation.modalities) < 2:
        return
    firsts = list(dict.fromkeys(max(values, key=values.__getitem__) for values in known))
    ranges = [
        f"{quote(name)} has {rounded_percent(min(values[name] for values in known))} to {rounded_percent(max(values[name] for values in known))}"
        for name in explanation.modalities
    ]
    first = (
        f"{quote(firsts[0])} comes first under each of {len(known)} choices"
        if len(firsts) == 1
        else f"which modality comes first depends on the choice ({', '.join(map(quote, firsts))})"
    )
    yield f"{capital(first)}: {'; '.join(ranges)}."


def _given(table: pd.DataFrame) -> Iterator[Table]:
    """What ml.sensitivity returned: a row a choice, a column a modality."""
    if not isinstance(table, pd.DataFrame) or not set(COLUMNS) <= set(table.columns):
        came = listed(table.columns) if isinstance(table, pd.DataFrame) else type(table).__name__
        raise InputError(
            f"sensitivity: expected the table that ml.sensitivity(...) returns, with the columns {listed(COLUMNS)}, came {came}; give that table as it is."
        )
    choices = ["measure", "quantity", "baseline", "output", "parts"]
    modalities = list(dict.fromkeys(str(name) for name in table["modality"].dropna()))
    rows = []
    for choice, rest in table.groupby(choices, sort=False):
        measure, quantity, baseline, output, parts = map(str, choice)
        cells = {str(row.modality) if isinstance(row.modality, str) else "": row for row in rest.itertuples()}
        words = NAMES.get((measure, quantity), f"{measure}: {quantity}")
        numbers = [_bounded(cells[name]) if name in cells else NOT_THERE for name in modalities]
        rows.append((capital(words), baseline_label(baseline), output, parts, *numbers, _bounded(cells[""]) if "" in cells else NOT_THERE))  # fmt: skip
    yield Table(
        title="Every combination of what stands in, scale and number of parts (ml.sensitivity)",
        columns=("what", "in its place", "scale", "parts", *modalities, "all together"),
        rows=tuple(rows),
    )


def _bounded(row: object) -> str:
    value, lower, upper = (float(getattr(row, name)) for name in ("value", "lower", "upper"))
    if value != value:
        return NOT_DEFINED
    bounds = (
        ""
        if lower != lower or upper != upper
        else f" ({percent(lower).removesuffix(' %')} to {percent(upper).removesuffix(' %')})"
    )
    return f"{percent(value)}{bounds}"
