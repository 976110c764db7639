"""The tables of an explanation: first the answer in sentences, then every number with its interval, then what to know before believing them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import rich.box
import rich.table
import xarray as xr
from rich.console import Group
from rich.text import Text

from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.plots.reading import SIGNS, bounds_of, contribution_views, pairs, result_of, results_of, space_of, space_words, target_words
from modalens.report.headline import headline
from modalens.report.wording import NOT_DEFINED, NOT_THERE, baseline_label, capital, change, difference, in_words, metric_words, percent, points, quote, score, with_bounds

MOST_ROWS = 20
"""Longer tables are cut here; all numbers are in `to_frame()`."""

TOP_PARTS = 8

NEGLIGIBLE = 0.002
"""A standard error of drawing background rows that is not worth a footnote."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table: what it shows, its cells as text, and what to know when reading it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def is_numeric(self, column: int) -> bool:
        """Whether a column holds numbers, and so is set flush right."""
        return all(re.match(r"[+−]?\d|n/a|–", row[column]) for row in self.rows)


def tables(explanation: Explanation) -> list[Any]:
    """The explanation for a rich console: headline, tables, notes."""
    top = Group(Text(title_words(explanation), style="bold"), _bulleted(headline(explanation)), Text())
    bottom = Group(Text("What to know about these numbers", style="bold"), _bulleted(notes(explanation)))
    return [top, *(_as_rich(table) for table in content(explanation)), bottom]


def title_words(explanation: Explanation) -> str:
    """What was explained: which model, on how many samples of which modalities."""
    about = explanation.provenance
    modalities = in_words([f"{name} ({words})" for name, words in about["modalities"].items()])
    return f"What {quote(about['model'])} looks at, on {about['samples']:,} samples of {modalities}"


def content(explanation: Explanation) -> list[Table]:
    """All tables that the explanation has numbers for, in the order in which they are read."""
    return [table for topic in by_topic(explanation).values() for table in topic]


def by_topic(explanation: Explanation) -> dict[str, list[Table]]:
    """The tables by what they are about: contribution, interaction, reliance, and other measures."""
    topics = {
        "contribution": (_contribution, _by_baseline, _by_output, _parts),
        "interaction": (_interaction, _orders, _pairs, _sets),
        "reliance": (_reliance,),
        "other": (_others,),
    }
    return {topic: [table for maker in makers for table in maker(explanation)] for topic, makers in topics.items()}


def notes(explanation: Explanation) -> list[str]:
    """Warnings first, then how to read the numbers, what they are of, and what they cost."""
    about = explanation.provenance
    rows = in_words([f"{count:,} of {name}" for name, count in about["encoder_rows"].items()])
    return [
        *(f"Warning: {warning}" for warning in about["warnings"]),
        *caveats(explanation),
        f"Measured is {about['value_function']}.",
        *(f"{capital(baseline_label(label))} ({label}): {words}." for label, words in baselines_in_words(explanation).items()),
        f"The model saw {rows}, {about['head_rows']:,} rows in all, and {about['check_rows']:,} to check it; seed {about['seed']}.",
    ]


def caveats(explanation: Explanation) -> list[str]:
    """How to read the numbers: what the brackets are, what a share is not, and what was inferred."""
    return [
        *dict.fromkeys(_intervals_in_words(result) for result in explanation.results.values()),
        "A large share says that the model uses a modality, not that it is right to do so.",
        *(f"Inferred: {said}." for said in explanation.provenance["said"]),
    ]


def _intervals_in_words(result: Result) -> str:
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
        described[label] = f"what is hidden is {next(iter(by_modality.values()))}" if alike else "; ".join(f"{name} is {words}" for name, words in by_modality.items())
    return described


# How much each modality carries ----------------------------------------------------------------------------------------------------


def _contribution(explanation: Explanation) -> Iterator[Table]:
    views = contribution_views(explanation)
    if not views:
        return
    columns = [_cells(result, name, "modality", explanation.modalities) for _, result, name in views]
    yield Table(
        title="How much each modality carries (shares of the change in the output; each column sums to 100 %)",
        columns=("modality", *(words for words, _, _ in views)),
        rows=_rows(explanation.modalities, columns),
        notes=(
            _replaced([(words, baseline_label(_baselines_of(result)[0])) for words, result, _ in views]),
            *dict.fromkeys(note for _, result, name in views for note in _footnotes(result, name)),
        ),
    )


def _replaced(views: list[tuple[str, str]]) -> str:
    """What stands in for what is hidden, in each column."""
    columns: dict[str, list[str]] = {}
    for words, baseline in views:
        columns.setdefault(baseline, []).append(words)
    return "What is hidden is replaced by " + ", and by ".join(f"{baseline} ({', '.join(words)})" for baseline, words in columns.items()) + "."


def _baselines_of(result: Result) -> list[str]:
    found: xr.DataArray = result.arrays["anchor_by_baseline" if "anchor_by_baseline" in result.arrays else "by_baseline"]  # type: ignore[assignment]
    return [str(one) for one in found.baseline.values]


def _by_baseline(explanation: Explanation) -> Iterator[Table]:
    """Whether it matters what stands in: shares under each baseline, where there are several."""
    columns, names = [], []
    for words, result, name in contribution_views(explanation):
        array = {"anchor": "anchor_by_baseline", "contribution": "by_baseline"}[name]
        if array not in result.arrays or len(_baselines_of(result)) < 2:
            continue
        for baseline in _baselines_of(result):
            columns.append(_cells(result, array, "modality", explanation.modalities, baseline=baseline))
            names.append(f"{words}: {baseline_label(baseline)}")
    if columns:
        yield Table(
            title="Whether it matters what stands in for what is hidden",
            columns=("modality", *names),
            rows=_rows(explanation.modalities, columns),
            notes=("Columns that differ much mean that the answer holds for its baseline only.",),
        )


def _by_output(explanation: Explanation) -> Iterator[Table]:
    """Shares for each output, where these can differ (two classes of one probability can't)."""
    outputs = explanation.provenance["outputs"]
    result = result_of(explanation, "occlusion")
    if result is None or len(outputs) < 2 or (explanation.provenance["task"] == "classification" and len(outputs) == 2):
        return
    shown = outputs[:MOST_ROWS]
    columns = [_cells(result, "by_output", "output", shown, modality=name) for name in explanation.modalities]
    yield Table(
        title="How much each modality carries for each output (hidden part by part; each row sums to 100 %)",
        columns=("output", *explanation.modalities),
        rows=_rows(shown, columns),
        notes=(*_cut(outputs), *_footnotes(result, "by_output")),
    )


def _parts(explanation: Explanation) -> Iterator[Table]:
    result = result_of(explanation, "occlusion")
    found: Any = {} if result is None else result.arrays["part_contribution"]
    shares = sorted(((float(share), name, str(part)) for name, array in found.items() for share, part in zip(array.values, array.part.values, strict=True)), reverse=True)
    top = [(name, part, percent(share)) for share, name, part in shares[:TOP_PARTS] if share > 0]
    if len(shares) > 1 and top:
        assert result is not None
        yield Table(
            title=f"The parts that count most ({len(top)} of {len(shares)})",
            columns=("modality", "part", "share of the whole"),
            rows=tuple(top),
            notes=("Without intervals. Parts that differ between patients, such as words, are not listed.",),
        )


# Whether they are combined ------------------------------------------------------------------------------------------------------------


def _interaction(explanation: Explanation) -> Iterator[Table]:
    for name, result in results_of(explanation, "intershap").items():
        here = space_of(explanation)
        outputs = [str(output) for output in result.score.output.values] if "output" in result.score.dims else [None]
        rows = []
        for output in outputs[:MOST_ROWS]:
            at = {} if output is None else {"output": output}
            label = () if output is None else (output,)
            for space in result.by_space.space.values:
                there = at | {"space": space}
                rows.append((*label, space_words(str(space)), *(_cell(result, array, words, **there) for array, words in (("by_space", percent), ("null", percent), ("excess", points)))))
            rows.append((*label, f"{space_words(here)}, by sample", _cell(result, "local", percent, **at), NOT_THERE, NOT_THERE))
        corrected = [f"{'' if output is None else output + ': '}{percent(float(result.local_corrected.sel({} if output is None else {'output': output})))}" for output in outputs[:MOST_ROWS]]
        yield Table(
            title=f"Whether modalities are combined (InterSHAP: share of the behaviour that is interaction){_of(explanation, 'intershap', name)}",
            columns=(*(() if outputs == [None] else ("output",)), "measured on", "interaction", "an additive model would show", "beyond it (points)"),
            rows=tuple(rows),
            notes=(
                f"About the {target_words(explanation)} (reading “{result.settings.get('reading', '')}”).",
                "An additive model only adds up what each modality says by itself; on probabilities even that seems to interact.",
                f"By sample: the mean of each sample's own share; less the noise of drawing background rows it is {', '.join(corrected)}.",
                *_cut(outputs),
                *_footnotes(result, "score", "local", "null"),
            ),
        )


def _orders(explanation: Explanation) -> Iterator[Table]:
    """How the behaviour splits into what single modalities, pairs, and larger sets do."""
    interactions, intershap = result_of(explanation, "interactions"), result_of(explanation, "intershap")
    result = interactions or intershap
    if result is None:
        return
    array = "orders_by_space" if interactions is not None else "orders"
    found: xr.DataArray = result.arrays[array]  # type: ignore[assignment]
    spaces = [str(space) for space in found.space.values] if "space" in found.dims else [None]
    outputs = [str(output) for output in found.output.values] if "output" in found.dims else [None]
    rows = []
    for output in outputs[:MOST_ROWS]:
        for space in spaces:
            at = {name: value for name, value in (("space", space), ("output", output)) if value is not None}
            cells = [_cell(result, array, percent, order=order, **at) for order in found.order.values]
            rows.append((*(() if output is None else (output,)), space_words(space or space_of(explanation)), *cells))
    last = ("three or more",) if len(explanation.modalities) > 2 else ()
    width = len(rows[0]) - (0 if last else 1)
    yield Table(
        title="What single modalities, pairs and larger sets do (each row sums to 100 %)",
        columns=(*(() if outputs == [None] else ("output",)), "measured on", "one modality by itself", "two together", *last),
        rows=tuple(row[:width] for row in rows),
        notes=(*_cut(outputs), *_footnotes(result, array)),
    )


def _pairs(explanation: Explanation) -> Iterator[Table]:
    for name, result in results_of(explanation, "intershap").items():
        outputs = [str(output) for output in result.score.output.values] if "output" in result.score.dims else [None]
        arrays = ("signed", "super_additive", "sub_additive") if outputs == [None] else ("signed",)
        rows = []
        for output in outputs[:MOST_ROWS]:
            for first, second in pairs(explanation):
                at = {"modality": first, "modality_2": second} | ({} if output is None else {"output": output})
                cells = (_cell(result, array, change, **at) for array in arrays)
                rows.append((*(() if output is None else (output,)), f"{first} x {second}", *cells))
        yield Table(
            title=f"Which pairs interact (signed, in units of the {target_words(explanation)}){_of(explanation, 'intershap', name)}",
            columns=(*(() if outputs == [None] else ("output",)), "pair", *("mean", "positive part", "negative part")[: len(arrays)]),
            rows=tuple(rows[: 3 * MOST_ROWS]),
            notes=(
                "+ : together they raise it by more than each does by itself; − : by less. An interval that leaves out 0 is evidence for that pair. "
                "The sign turns with the class: it proves no synergy or redundancy of the data.",
                *_cut(outputs),
                *_footnotes(result, "signed", words=change),
            ),
        )


def _sets(explanation: Explanation) -> Iterator[Table]:
    for name, result in results_of(explanation, "interactions").items():
        found: xr.DataArray = result.by_space
        sets = [str(one) for one in found.coalition.values if " x " in str(one)]
        spaces = [str(space) for space in found.space.values]
        outputs = [str(output) for output in found.output.values] if "output" in found.dims else [None]
        rows = []
        for output in outputs[:MOST_ROWS]:
            at = {} if output is None else {"output": output}
            rows += [(*(() if output is None else (output,)), one, *(_cell(result, "by_space", change, coalition=one, space=space, **at) for space in spaces)) for one in sets]
        if rows:
            index = {"moebius": "Möbius coefficients"}.get(str(result.settings.get("index")), str(result.settings.get("index")).upper())
            yield Table(
                title=f"What sets of modalities add beyond their subsets ({index}, signed){_of(explanation, 'interactions', name)}",
                columns=(*(() if outputs == [None] else ("output",)), "set", *(f"on the {space_words(space)}" for space in spaces)),
                rows=tuple(rows[: 3 * MOST_ROWS]),
                notes=(
                    *(("An effect on the probability that is none on the log-odds is owed to the link, not to the modalities.",) if len(spaces) > 1 else ()),
                    *(("InterSHAP's number for a pair is half of its coefficient, and a part of those of larger sets.",) if results_of(explanation, "intershap") else ()),
                    *_footnotes(result, "by_space", words=change),
                ),
            )


# Whether the model needs them ------------------------------------------------------------------------------------------------------------


def _reliance(explanation: Explanation) -> Iterator[Table]:
    for name, result in results_of(explanation, "reliance").items():
        metric = metric_words(str(result.settings.get("metric", "score")))
        rows: list[tuple[str, ...]] = [("all together", _cell(result, "everything", score), NOT_THERE, NOT_THERE, "")]
        for modality in explanation.modalities:
            cells = (_cell(result, array, words, modality=modality) for array, words in (("alone", score), ("without", score), ("lost", difference)))
            rows.append((modality, *cells, str(result.verdict.sel(modality=modality).item())))
        yield Table(
            title=f"How well this model predicts ({metric}){_of(explanation, 'reliance', name)}",
            columns=("modality", "with it alone", "without it", "lost without it", "verdict"),
            rows=tuple(rows),
            notes=(
                "The same trained model, with the other inputs replaced. How useful a modality is, only models trained without it can tell.",
                f"Ignored: less than {100 * float(result.settings['collapse']):g} % of the change in the output, up to the upper bound, by parts and as a whole.",
                *_footnotes(result, "everything", "alone", "without", words=score),
            ),
        )


# Measures of one's own ------------------------------------------------------------------------------------------------------------------


def _others(explanation: Explanation) -> Iterator[Table]:
    """The global numbers of measures that have no table of their own."""
    for result in explanation.results.values():
        if any(signs <= set(result.arrays) for signs in SIGNS.values()):
            continue
        rows = []
        for number in result.global_numbers or tuple(array for array, found in result.arrays.items() if isinstance(found, xr.DataArray) and "sample" not in found.dims):
            found: xr.DataArray = result.arrays[number]  # type: ignore[assignment]
            stacked = found.stack(at=found.dims) if found.dims else found.expand_dims(at=1)
            bounds = bounds_of(result, number)
            for place in range(min(stacked.sizes["at"], MOST_ROWS)):
                at = {str(dim): stacked.isel(at=place)[dim].item() for dim in found.dims if dim in found.coords}
                where = ", ".join(map(str, at.values()))
                rows.append((number, where, with_bounds(stacked.isel(at=place), None if bounds is None or len(at) < len(found.dims) else bounds.sel(at), change)))
        if rows:
            yield Table(title=result.title, columns=("number", "of", "value"), rows=tuple(rows), notes=tuple(_footnotes(result, *result.global_numbers, words=change)))


# Cells and footnotes -----------------------------------------------------------------------------------------------------------------------


def _cell(result: Result, array: str, words: Callable[[float], str], **at: Any) -> str:
    bounds = bounds_of(result, array)
    found: xr.DataArray = result.arrays[array]  # type: ignore[assignment]
    return with_bounds(found.sel(at), None if bounds is None else bounds.sel(at), words)


def _cells(result: Result, array: str, axis: str, names: Any, **at: Any) -> list[str]:
    return [_cell(result, array, percent, **{axis: name}, **at) for name in names]


def _rows(labels: Any, columns: list[list[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(zip(map(str, labels), *columns, strict=True))


def _of(explanation: Explanation, kind: Any, name: str) -> str:
    """Which one, where there are several of a kind."""
    return f" {quote(name)}" if len(results_of(explanation, kind)) > 1 else ""


def _cut(names: Any) -> tuple[str, ...]:
    return (f"{len(names) - MOST_ROWS} more outputs are not listed; to_frame() has them.",) if len(names) > MOST_ROWS else ()


def _footnotes(result: Result, *arrays: str, words: Callable[[float], str] = percent) -> list[str]:
    """What drawing background rows adds to the error, and why a number is n/a."""
    shown = [name for name in arrays if name in result.arrays]
    noise = max((_drawing_noise(result, name) for name in shown), default=0.0)
    drawn = [f"Another draw of background rows would move these numbers by about {words(noise).lstrip('+').replace(' %', ' points')} (standard error)."]
    undefined = [f"{NOT_DEFINED}: {why}." for why in dict.fromkeys(result.reasons[name] for name in shown if name in result.reasons)]
    return [*(drawn if noise > NEGLIGIBLE else []), *undefined]


def _drawing_noise(result: Result, name: str) -> float:
    """The largest Monte-Carlo error of the numbers shown: of pairs and sets, not of single modalities, in the space that is scored."""
    found = result.monte_carlo_error.get(name)
    if found is None:
        return 0.0
    if "space" in found.dims:
        found = found.sel(space=result.settings["space"])
    if "coalition" in found.dims:
        found = found.isel(coalition=[" x " in str(one) for one in found.coalition.values])
    if "modality_2" in found.dims:
        found = found.where(found.modality != found.modality_2)
    return float(found.fillna(0).max()) if found.size else 0.0


def _bulleted(sentences: list[str]) -> rich.table.Table:
    grid = rich.table.Table.grid(padding=(0, 1))
    for sentence in sentences:
        grid.add_row(Text("•"), Text(sentence))
    return grid


def _as_rich(table: Table) -> Group:
    """A table for the console. Text objects, so that nothing in a name is taken for markup."""
    shown = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for place, column in enumerate(table.columns):
        shown.add_column(Text(column), justify="right" if place and table.is_numeric(place) else "left")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    return Group(Text(table.title, style="bold"), shown, *([_bulleted(list(table.notes))] if table.notes else []), Text())
