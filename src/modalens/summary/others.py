"""What the model's score relies on, and whatever a measure of the user's own found."""

from __future__ import annotations

from collections.abc import Iterator

import xarray as xr

from modalens.explanation import Explanation
from modalens.reading import (
    bounds_of,
    kind_of,
    results_of,
)
from modalens.summary.cells import (
    MOST_ROWS,
    Table,
    cell,
    footnotes,
    of_measured,
)
from modalens.summary.wording import (
    NOT_THERE,
    change,
    difference,
    metric_words,
    score,
    with_bounds,
)


def reliance(explanation: Explanation) -> Iterator[Table]:
    for name, result in results_of(explanation, "reliance").items():
        metric = metric_words(str(result.settings.get("metric", "score")))
        rows: list[tuple[str, ...]] = [("all together", cell(result, "everything", score), NOT_THERE, NOT_THERE, "")]
        for modality in explanation.modalities:
            cells = (
                cell(result, array, words, modality=modality)
                for array, words in (("alone", score), ("without", score), ("lost", difference))
            )
            rows.append((modality, *cells, str(result.verdict.sel(modality=modality).item())))
        yield Table(
            title=f"How well this model predicts ({metric}){of_measured(explanation, 'reliance', name)}",
            columns=("modality", "with it alone", "without it", "lost without it", "verdict"),
            rows=tuple(rows),
            notes=(
                "The same trained model, with the other inputs replaced. How useful a modality is, only models trained without it can tell.",
                f"Ignored: less than {100 * float(result.settings['collapse']):g} % of the change in the output, up to the upper bound, by parts and as a whole.",
                "Used: the output depends on it, which is not to say that it helps.",
                *footnotes(result, "everything", "alone", "without", words=score),
            ),
        )


def others(explanation: Explanation) -> Iterator[Table]:
    """The global numbers of measures that have no table of their own."""
    for result in explanation.results.values():
        if kind_of(result) is not None:
            continue
        rows = []
        for number in result.global_numbers or tuple(
            array
            for array, found in result.arrays.items()
            if isinstance(found, xr.DataArray) and "sample" not in found.dims
        ):
            found = result.array(number)
            stacked = found.stack(at=found.dims) if found.dims else found.expand_dims(at=1)
            bounds = bounds_of(result, number)
            for place in range(min(stacked.sizes["at"], MOST_ROWS)):
                at = {str(dim): stacked.isel(at=place)[dim].item() for dim in found.dims if dim in found.coords}
                where = ", ".join(map(str, at.values()))
                rows.append(
                    (
                        number,
                        where,
                        with_bounds(
                            stacked.isel(at=place),
                            None if bounds is None or len(at) < len(found.dims) else bounds.sel(at),
                            change,
                        ),
                    )
                )
        if rows:
            yield Table(
                title=result.title,
                columns=("number", "of", "value"),
                rows=tuple(rows),
                notes=tuple(footnotes(result, *result.global_numbers, words=change)),
            )
