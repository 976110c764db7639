"""Two models on the same patients: what they look at, side by side, with paired intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import xarray as xr

from modalens.errors import InputError
from modalens.explanation import Comparison, Explanation, compare
from modalens.measures import Result
from modalens.reading import contribution_views, kind_of
from modalens.report.layout import Section
from modalens.summary.cells import Table, cell
from modalens.summary.wording import capital, difference, metric_words, percent, points, quote, score, with_bounds

WORDS = (
    "Both models were explained on the same patients, so their numbers are compared in pairs: the interval of a difference comes from the same draws of patients for both, and is "
    "narrower than the two intervals beside each other would suggest."
)

Words = Callable[[float], str]

Row = tuple[str, str, str, dict[str, str], Words, Words]
"""What it is called; the result and the array that it is of, and where in it; how the number is said, and a difference."""


def comparisons(explanations: dict[str, Explanation]) -> Iterator[Section]:
    """Every two explanations that can be paired; those of other patients, seeds or baselines can't."""
    for (one, first), (two, second) in combinations(explanations.items(), 2):
        try:
            found = compare(first, second)
        except InputError:
            continue
        yield _section(one, two, first, second, found)


def _section(one: str, two: str, first: Explanation, second: Explanation, found: Comparison) -> Section:
    rows, clear = [], []
    for words, name, array, at, say, say_difference in _numbers(first):
        if name not in found.differences or array not in found.differences[name]:
            continue
        change, bounds = found.differences[name][array].sel(at), found.interval[name].get(array)
        bounds = None if bounds is None else bounds.sel(at)
        cells = (cell(each.results[name], array, say, **at) for each in (first, second))
        rows.append((words, *cells, with_bounds(change, bounds, say_difference)))
        if bounds is not None and _leaves_out_zero(bounds):
            clear.append(words)
    said = (
        f"Differences whose interval leaves out 0: {'; '.join(clear)}."
        if clear
        else "No difference has an interval that leaves out 0."
    )
    return Section(
        title=f"{capital(two)} beside {one}: two models on the same patients",
        words=(WORDS, said),
        tables=(
            Table(
                title=f"{capital(two)} minus {one}",
                columns=("number", one, two, "difference"),
                rows=tuple(rows),
                notes=("Differences of shares are in percentage points. One number in twenty or so has a 95 % interval that leaves out 0 by chance.",),
            ),
        ),
    )  # fmt: skip


def _numbers(explanation: Explanation) -> Iterator[Row]:
    """The numbers that are compared: shares, interaction, and the score."""
    for words, result, array in contribution_views(explanation):
        for modality in explanation.modalities:
            yield (
                f"share of {quote(modality)}, {words}",
                _key(explanation, result),
                array,
                {"modality": modality},
                percent,
                points,
            )
    for name, result in explanation.results.items():
        if kind_of(result) == "intershap":
            found = result.array("score")
            for output in found.output.values if "output" in found.dims else [None]:
                at, of = ({}, "") if output is None else ({"output": str(output)}, f" for {quote(output)}")
                yield f"interaction (InterSHAP){of}", name, "score", at, percent, points
        if kind_of(result) == "reliance":
            metric = metric_words(str(result.settings.get("metric", "score")))
            yield f"score with everything ({metric})", name, "everything", {}, score, difference


def _key(explanation: Explanation, result: Result) -> str:
    return next(name for name, one in explanation.results.items() if one is result)


def _leaves_out_zero(bounds: xr.DataArray) -> bool:
    return float(bounds.sel(bound="lower")) > 0 or float(bounds.sel(bound="upper")) < 0
