"""How much each modality carries, under which baseline, for which output, and by which of its parts."""

from __future__ import annotations

from collections.abc import Iterator

from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.reading import (
    SHAPLEY,
    by_output_views,
    contribution_views,
    hides,
    lead_outputs,
    result_of,
    results_of,
    space_words,
)
from modalens.summary.availability import sum_of_shares
from modalens.summary.cells import (
    MOST_ROWS,
    TOP_PARTS,
    Table,
    cell,
    cells,
    cut,
    footnotes,
    footnotes_of,
    of_measured,
    rows_of,
)
from modalens.summary.wording import (
    baseline_label,
    change,
    percent,
)

ON_REQUEST = "Each label by itself. The sum over labels is in contribution, and leads with target='all'."

NOT_HIDDEN = "For gradients nothing is hidden: they say how strongly the output follows the features of each modality."


def contribution(explanation: Explanation) -> Iterator[Table]:
    views = contribution_views(explanation)
    if not views or lead_outputs(explanation):
        return
    columns = [cells(result, name, "modality", explanation.modalities) for _, result, name in views]
    hidden = [(words, baseline_label(baselines_of(result)[0])) for words, result, _ in views if hides(result)]
    yield Table(
        title=f"How much each modality carries (shares of the change in the output; {sum_of_shares(explanation, 'column')})",
        columns=("modality", *(words for words, _, _ in views)),
        rows=rows_of(explanation.modalities, columns),
        notes=(
            *((_replaced(hidden),) if hidden else ()),
            *((NOT_HIDDEN,) if len(hidden) < len(views) else ()),
            *footnotes_of([(result, name) for _, result, name in views]),
        ),
    )


def _replaced(views: list[tuple[str, str]]) -> str:
    """What stands in for what is hidden, in each column."""
    columns: dict[str, list[str]] = {}
    for words, baseline in views:
        columns.setdefault(baseline, []).append(words)
    return (
        "What is hidden is replaced by "
        + ", and by ".join(f"{baseline} ({', '.join(words)})" for baseline, words in columns.items())
        + "."
    )


def baselines_of(result: Result) -> list[str]:
    """The baselines of a result, that of its contribution first."""
    for name in ("anchor_by_baseline", "by_baseline"):
        if name in result.arrays:
            return [str(one) for one in result.array(name).baseline.values]
    return [str(result.settings["baseline"])]


def by_baseline(explanation: Explanation) -> Iterator[Table]:
    """Whether it matters what stands in: shares under each baseline, where there are several."""
    columns, names = [], []
    for words, result, name in contribution_views(explanation):
        array = {"anchor": "anchor_by_baseline", "contribution": "by_baseline"}[name]
        if not hides(result) or array not in result.arrays or len(baselines_of(result)) < 2:
            continue
        for baseline in baselines_of(result):
            columns.append(cells(result, array, "modality", explanation.modalities, baseline=baseline))
            names.append(f"{words}: {baseline_label(baseline)}")
    if columns:
        yield Table(
            title="Whether it matters what stands in for what is hidden",
            columns=("modality", *names),
            rows=rows_of(explanation.modalities, columns),
            notes=(
                "Columns that differ much mean that the answer holds for its baseline only.",
                *(("All labels together.",) if lead_outputs(explanation) else ()),
            ),
        )


def by_output(explanation: Explanation) -> Iterator[Table]:
    """Shares for each output, where these can differ (two classes of one probability can't): of parts that are hidden,
    or else by gradients; in every way there is where the outputs are labels, each to be read by itself.
    """
    about = explanation.provenance
    views, leading = by_output_views(explanation), lead_outputs(explanation)
    if not leading:
        views = [(words, result) for words, result in views if not words.startswith(SHAPLEY)][:1]
    outputs = leading or about["outputs"]
    if not views or len(about["outputs"]) < 2 or (about["task"] == "classification" and len(outputs) == 2):
        return
    shown = outputs[:MOST_ROWS]
    for place, (words, result) in enumerate(views):
        columns = [cells(result, "by_output", "output", shown, modality=name) for name in explanation.modalities]
        asked = "The same for each output" if place else "How much each modality carries for each output"
        yield Table(
            title=f"{asked} ({words}; {sum_of_shares(explanation, 'row')})",
            columns=("output", *explanation.modalities),
            rows=rows_of(shown, columns),
            notes=(*cut(outputs), *((ON_REQUEST,) if leading else ()), *footnotes(result, "by_output")),
        )


def in_units(explanation: Explanation) -> Iterator[Table]:
    """What each modality adds to an output that has units."""
    outputs = explanation.provenance["outputs"]
    if not explanation.provenance.get("units"):
        return
    for name, result in results_of(explanation, "shapley").items():
        columns = [
            [cell(result, "mean", change, modality=modality, output=output) for modality in explanation.modalities]
            for output in outputs[:MOST_ROWS]
        ]
        yield Table(
            title=f"What each modality adds to the {space_words(explanation)} (Shapley value, mean over samples){of_measured(explanation, 'shapley', name)}",
            columns=("modality", *outputs[:MOST_ROWS]),
            rows=rows_of(explanation.modalities, columns),
            notes=(
                "Signed: over samples, more and less cancel out. They add up to how far the mean output lies from that with everything hidden.",
                *cut(outputs),
                *footnotes(result, "mean", words=change),
            ),
        )


def parts(explanation: Explanation) -> Iterator[Table]:
    result = result_of(explanation, "occlusion")
    found = {} if result is None else result.by_modality("part_contribution")
    shares = sorted(
        (
            (float(share), name, str(part))
            for name, array in found.items()
            for share, part in zip(array.values, array.part.values, strict=True)
        ),
        reverse=True,
    )
    top = [(name, part, percent(share)) for share, name, part in shares[:TOP_PARTS] if share > 0]
    if len(shares) > 1 and top:
        assert result is not None
        yield Table(
            title=f"The parts that count most ({len(top)} of {len(shares)})",
            columns=("modality", "part", "share of the whole"),
            rows=tuple(top),
            notes=("Without intervals. Parts that differ between patients, such as words, are not listed.",),
        )
