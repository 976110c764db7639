"""Who has what, where samples differ in the modalities that they have."""

from __future__ import annotations

from collections.abc import Iterator

import xarray as xr

from modalens.explanation import Explanation
from modalens.reading import contribution_views, sets_of_modalities
from modalens.summary.cells import Table
from modalens.summary.wording import NOT_THERE, percent


def who_has_what(explanation: Explanation) -> Iterator[Table]:
    """How many samples have which modalities, and the shares among them."""
    sets = sets_of_modalities(explanation)
    if not sets:
        return
    views = [(words, result) for words, result, name in contribution_views(explanation) if name == "contribution"]
    asked = [(words, result.array("by_available")) for words, result in views if "by_available" in result.arrays][:1]
    rows = [
        (label, str(count), *(_share(shares, label, name) for _, shares in asked for name in explanation.modalities))
        for label, count in sets.items()
    ]
    of_what = "".join(f" (and the shares among them, {words}; each row sums to 100 %)" for words, _ in asked)
    yield Table(
        title=f"Who has what{of_what}",
        columns=("modalities", "samples", *(name for _ in asked for name in explanation.modalities)),
        rows=tuple(rows),
        notes=(
            "A modality that a sample lacks is not hidden in it, and has no share there.",
            "In the other tables the number of a modality is the mean over the samples that have it, so shares need not sum to 100 %.",
        ),
    )


def sum_of_shares(explanation: Explanation, line: str) -> str:
    """What the shares of a column or a row come to."""
    if sets_of_modalities(explanation):
        return "of each modality among the samples that have it"
    return f"each {line} sums to 100 %"


def _share(shares: xr.DataArray, label: str, name: str) -> str:
    if name not in label.split(" + "):
        return NOT_THERE
    return percent(float(shares.sel(available=label, modality=name)))
