"""Whether modalities are combined: shares, orders, pairs and sets."""

from __future__ import annotations

from collections.abc import Iterator

from modalens.explanation import Explanation
from modalens.reading import (
    pairs,
    result_of,
    results_of,
    space_words,
    target_words,
)
from modalens.summary.cells import (
    MOST_ROWS,
    Table,
    cell,
    cut,
    footnotes,
    of_measured,
)
from modalens.summary.wording import (
    NOT_THERE,
    change,
    percent,
    points,
)


def interaction(explanation: Explanation) -> Iterator[Table]:
    for name, result in results_of(explanation, "intershap").items():
        outputs = [str(output) for output in result.score.output.values] if "output" in result.score.dims else [None]
        rows = []
        for output in outputs[:MOST_ROWS]:
            at = {} if output is None else {"output": output}
            label = () if output is None else (output,)
            for space in result.by_space.space.values:
                there = at | {"space": space}
                rows.append(
                    (
                        *label,
                        space_words(explanation, str(space)),
                        *(
                            cell(result, array, words, **there)
                            for array, words in (("by_space", percent), ("null", percent), ("excess", points))
                        ),
                    )
                )
            rows.append(
                (
                    *label,
                    f"{space_words(explanation)}, by sample",
                    cell(result, "local", percent, **at),
                    NOT_THERE,
                    NOT_THERE,
                )
            )
        corrected = [
            f"{'' if output is None else output + ': '}{percent(float(result.local_corrected.sel({} if output is None else {'output': output})))}"
            for output in outputs[:MOST_ROWS]
        ]
        yield Table(
            title=f"Whether modalities are combined (InterSHAP: share of the behaviour that is interaction){of_measured(explanation, 'intershap', name)}",
            columns=(
                *(() if outputs == [None] else ("output",)),
                "measured on",
                "interaction",
                "an additive model would show",
                "beyond it (points)",
            ),
            rows=tuple(rows),
            notes=(
                f"About the {target_words(explanation)} (reading “{result.settings.get('reading', '')}”).",
                "An additive model only adds up what each modality says by itself; on probabilities even that seems to interact.",
                f"By sample: the mean of each sample's own share; corrected for the bias that few background rows leave, which the brackets do not hold, it is {', '.join(corrected)}.",
                *cut(outputs),
                *footnotes(result, "score", "local", "null"),
            ),
        )


def orders(explanation: Explanation) -> Iterator[Table]:
    """How the behaviour splits into what single modalities, pairs, and larger sets do."""
    interactions, intershap = result_of(explanation, "interactions"), result_of(explanation, "intershap")
    result = interactions or intershap
    if result is None:
        return
    array = "orders_by_space" if interactions is not None else "orders"
    found = result.array(array)
    spaces = [str(space) for space in found.space.values] if "space" in found.dims else [None]
    outputs = [str(output) for output in found.output.values] if "output" in found.dims else [None]
    rows = []
    for output in outputs[:MOST_ROWS]:
        for space in spaces:
            at = {name: value for name, value in (("space", space), ("output", output)) if value is not None}
            cells = [cell(result, array, percent, order=order, **at) for order in found.order.values]
            rows.append((*(() if output is None else (output,)), space_words(explanation, space), *cells))
    last = ("three or more",) if len(explanation.modalities) > 2 else ()
    width = len(rows[0]) - (0 if last else 1)
    yield Table(
        title="What single modalities, pairs and larger sets do (each row sums to 100 %)",
        columns=(
            *(() if outputs == [None] else ("output",)),
            "measured on",
            "one modality by itself",
            "two together",
            *last,
        ),
        rows=tuple(row[:width] for row in rows),
        notes=(*cut(outputs), *footnotes(result, array)),
    )


def pair_table(explanation: Explanation) -> Iterator[Table]:
    for name, result in results_of(explanation, "intershap").items():
        outputs = [str(output) for output in result.score.output.values] if "output" in result.score.dims else [None]
        arrays = ("signed", "super_additive", "sub_additive") if outputs == [None] else ("signed",)
        rows = []
        for output in outputs[:MOST_ROWS]:
            for first, second in pairs(explanation):
                at = {"modality": first, "modality_2": second} | ({} if output is None else {"output": output})
                cells = (cell(result, array, change, **at) for array in arrays)
                rows.append((*(() if output is None else (output,)), f"{first} x {second}", *cells))
        yield Table(
            title=f"Which pairs interact (signed, in units of the {target_words(explanation)}){of_measured(explanation, 'intershap', name)}",
            columns=(
                *(() if outputs == [None] else ("output",)),
                "pair",
                *("mean", "positive part", "negative part")[: len(arrays)],
            ),
            rows=tuple(rows[: 3 * MOST_ROWS]),
            notes=(
                "+ : together they raise it by more than each does by itself; − : by less. An interval that leaves out 0 is evidence for that pair. "
                "The sign turns with the class: it proves no synergy or redundancy of the data.",
                *cut(outputs),
                *footnotes(result, "signed", words=change),
            ),
        )


def sets(explanation: Explanation) -> Iterator[Table]:
    for name, result in results_of(explanation, "interactions").items():
        found = result.array("by_space")
        sets = [str(one) for one in found.coalition.values if " x " in str(one)]
        spaces = [str(space) for space in found.space.values]
        outputs = [str(output) for output in found.output.values] if "output" in found.dims else [None]
        rows = []
        for output in outputs[:MOST_ROWS]:
            at = {} if output is None else {"output": output}
            rows += [
                (
                    *(() if output is None else (output,)),
                    one,
                    *(cell(result, "by_space", change, coalition=one, space=space, **at) for space in spaces),
                )
                for one in sets
            ]
        if rows:
            index = {"moebius": "Möbius coefficients"}.get(
                str(result.settings.get("index")), str(result.settings.get("index")).upper()
            )
            yield Table(
                title=f"What sets of modalities add beyond their subsets ({index}, signed){of_measured(explanation, 'interactions', name)}",
                columns=(
                    *(() if outputs == [None] else ("output",)),
                    "set",
                    *(f"on the {space_words(explanation, space)}" for space in spaces),
                ),
                rows=tuple(rows[: 3 * MOST_ROWS]),
                notes=(
                    *(
                        (
                            "An effect on the probability that is none on the log-odds is owed to the link, not to the modalities.",
                        )
                        if len(spaces) > 1
                        else ()
                    ),
                    *(
                        (
                            "InterSHAP's number for a pair is half of its coefficient, and a part of those of larger sets.",
                        )
                        if results_of(explanation, "intershap")
                        else ()
                    ),
                    *footnotes(result, "by_space", words=change),
                ),
            )
