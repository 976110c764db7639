"""Two models on the same patients: what they look at, side by side, with paired intervals."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from modalens.errors import InputError
from modalens.explanation import Comparison, Explanation, compare
from modalens.paired import Difference, differences_of, multiplicity
from modalens.report.layout import Section
from modalens.summary.cells import Table, cell
from modalens.summary.wording import capital, difference, metric_words, percent, points, quote, score

WORDS = (
    "Both models were explained on the same patients, so their numbers are compared in pairs: the interval of a difference comes from the same draws of patients for both, and is "
    "narrower than the two intervals beside each other would suggest."
)


def comparisons(explanations: dict[str, Explanation]) -> Iterator[Section]:
    """Every two explanations that can be paired; those of other patients, seeds or baselines can't."""
    for (one, first), (two, second) in combinations(explanations.items(), 2):
        try:
            found = compare(first, second)
        except InputError:
            continue
        yield _section(one, two, found)


def _section(one: str, two: str, compared: Comparison) -> Section:
    found = differences_of(compared)
    clear = [_named(each) for each in found if each.is_clear]
    said = (
        f"Differences whose interval leaves out 0: {'; '.join(clear)}."
        if clear
        else "No difference has an interval that leaves out 0."
    )
    return Section(
        title=f"{capital(two)} beside {one}: two models on the same patients",
        words=(WORDS, said, *filter(None, [multiplicity(found)])),
        tables=(
            Table(
                title=f"{capital(two)} minus {one}",
                columns=("number", one, two, "difference"),
                rows=tuple(_row(each, compared) for each in found),
                notes=("Differences of shares are in percentage points.",),
            ),
        ),
    )


def _named(found: Difference) -> str:
    """`share of “ct”, Shapley value`."""
    if not found.is_share:
        return f"{found.what} ({metric_words(found.metric)})"
    if "modality" in found.at:
        return f"share of {quote(found.of)}, {found.what}"
    return f"{found.what} for {quote(found.of)}" if found.of else found.what


def _row(found: Difference, compared: Comparison) -> tuple[str, ...]:
    """A number of both models, and how they differ."""
    say, say_change = (percent, points) if found.is_share else (score, difference)
    each = (cell(one.results[found.measure], found.array, say, **found.at) for one in compared.explanations)
    bounds = f" ({say_change(found.lower)} to {say_change(found.upper)})" if found.is_bounded else ""
    return (_named(found), *each, say_change(found.value) + bounds)
