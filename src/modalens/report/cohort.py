"""What a reviewer asks of the patients: who they are, how well they are predicted, and in whom the answer is another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from modalens import cohort
from modalens.cohort import Flow, Subgroups
from modalens.explanation import Explanation
from modalens.plots import cohort as figures
from modalens.report.layout import Section, alt_of, picture
from modalens.summary.cells import MOST_ROWS, Table
from modalens.summary.wording import NOT_THERE, capital, change, percent, points, score, with_bounds

NO_COHORT = "The explanation does not hold what the model predicts for each patient, as one made by hand does not: ml.explain(...) keeps it."

NO_LABELS = "How well the model predicts these patients can't be said: no labels were given. explain(..., labels=...) takes them."

FLOW_WORDS = "Everyone who was explained, the modalities that they have, and who stood in for what was hidden."

PERFORMANCE_WORDS = "The model on whole inputs, held against what is true of the explained patients. If it was trained on them, these numbers flatter it."

CALIBRATION_WORDS = (
    "Whether a prediction can be taken at its word: of all patients to whom the model gives 30 %, about 30 % should have it. "
    "A curve below the diagonal says that it gives too much."
)

SUBGROUPS_WORDS = (
    "Whether the model looks at something else where it errs, and in some patients rather than others. A difference is no proof of bias: groups differ in more than their name, "
    "and small groups differ by chance."
)

VALUES_WORDS = "Whether a predicted value can be taken at its word: of all patients with about the same prediction, the mean of what is true should be the prediction."

SHARES = ("contribution", "interaction")
"""What is compared that is a share; the scores are none."""

ERROR_NOTE = (
    "Calibration error: the mean distance between what is predicted and what is observed, by bins. It is above 0 by chance alone; "
    "only what lies above the second column counts."
)

SLOPE_NOTE = "Slope 1 and intercept 0 are right. A slope below 1: predictions are too extreme."

MOST_CURVES = 4
"""Outputs whose curve is listed point by point."""

NO_CHARACTERISTICS = (
    "Nothing else is known of the patients, such as age, sex or site, so they can't be compared by it: "
    "explain(..., characteristics=frame) takes a table with a row a patient."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """What was asked of the patients; None for what was not, since predictions or labels are missing. A Dataset's `reason` says why
    there are no numbers in it.
    """

    performance: xr.Dataset | None = None
    calibration: xr.Dataset | None = None
    subgroups: Subgroups | None = None


def judged(explanation: Explanation) -> Judged:
    """How well patients are predicted, whether predictions are true, and subgroups, as far as the explanation holds what it takes."""
    if "prediction" not in explanation.cohort:
        return Judged()
    compared = cohort.subgroups(explanation)
    if "label" not in explanation.cohort:
        return Judged(subgroups=compared)
    return Judged(
        performance=cohort.performance(explanation),
        calibration=cohort.calibration(explanation),
        subgroups=compared,
    )


def about_cohort(explanation: Explanation, found: Judged) -> Iterator[Section]:
    """Who was explained, how well they are predicted, whether probabilities are true, and subgroups."""
    yield _flow(explanation)
    yield from _performance(explanation, found)
    yield _subgroups(explanation, found.subgroups)


# Who was explained ------------------------------------------------------------------------------------------------------------------


def _flow(explanation: Explanation) -> Section:
    found = cohort.flow(explanation)
    tables = tuple(_flow_tables(found))
    return Section(
        title="Who was explained",
        words=(FLOW_WORDS,),
        figures=(picture(figures.cohort_flow(explanation), alt_of(tables)),),
        tables=tables,
    )


def _flow_tables(found: Flow) -> Iterator[Table]:
    names = {"samples": "", "groups": "", "modality": "with “{}”", "combination": "with exactly {}", "label": "", "class": "of “{}”", "background": "stand in: {}"}  # fmt: skip
    rows = []
    for row in found.table().to_dict("records"):
        if row["what"] == "combination" and len(found.by_combination) == 1:
            continue
        named = names[row["what"]].format(row["name"]) if names[row["what"]] else str(row["name"])
        share = NOT_THERE if np.isnan(row["share"]) else f"{100 * row['share']:.1f} %"
        rows.append((named, f"{row['count']:,}", share))
    yield Table(title="Who was explained", columns=("who", "number", "share of the samples"), rows=tuple(rows))


# How well they are predicted --------------------------------------------------------------------------------------------------------


def _performance(explanation: Explanation, found: Judged) -> Iterator[Section]:
    title = "How well it predicts"
    if found.performance is None or found.calibration is None:
        yield Section(title=title, words=(NO_LABELS if "prediction" in explanation.cohort else NO_COHORT,))
        return
    tables = tuple(_performance_tables(found.performance))
    why = found.performance.attrs.get("reason")
    nothing = () if why is None else (f"There is no score: {why}.",)
    yield Section(title=title, words=(PERFORMANCE_WORDS, *nothing), tables=tables)
    yield _calibration(explanation, found.calibration)


def _performance_tables(found: xr.Dataset) -> Iterator[Table]:
    """The scores of all outputs together, and those of each output."""
    scores = [str(name) for name in found.data_vars if not str(name).endswith("_interval")]
    overall = [name for name in scores if "output" not in found[name].dims]
    each = [name for name in scores if "output" in found[name].dims]
    notes = _performance_notes(found)
    if overall:
        rows = tuple((_named(found, name), _score(found, name), found[name].attrs["better"]) for name in overall)
        yield Table(title="Performance of the model on the explained patients", columns=("score", "value", "better is"), rows=rows, notes=notes)  # fmt: skip
    if each:
        outputs = [str(name) for name in found.output.values][:MOST_ROWS]
        columns = ("output", *(_named(found, name) for name in each))
        lines = tuple((output, *(_score(found, name, output=output) for name in each)) for output in outputs)
        yield Table(title="The same for each output", columns=columns, rows=lines, notes=() if overall else notes)


def _named(found: xr.Dataset, name: str) -> str:
    words, units = str(found[name].attrs["words"]), str(found[name].attrs["units"])
    return f"{words} ({units})" if units else words


def _score(found: xr.Dataset, name: str, **at: str) -> str:
    small = found[name].attrs["units"] or name in ("rmse", "mae")
    bounds = found[f"{name}_interval"].sel(at)
    return with_bounds(found[name].sel(at), bounds, _amount if small else score)


def _amount(value: float) -> str:
    return change(value).removeprefix("+")


def _performance_notes(found: xr.Dataset) -> tuple[str, ...]:
    why = str(found.attrs.get("why_no_interval", ""))
    brackets = (
        f"There are no intervals: {why}."
        if why
        else f"In brackets: the {100 * float(found.attrs['confidence']):g} % interval, from drawing {found.attrs['resampled']}."
    )
    undefined = dict.fromkeys(str(one.attrs["reason"]) for one in found.data_vars.values() if "reason" in one.attrs)
    return (brackets, *(f"n/a: {reason}." for reason in undefined))


# Whether probabilities are true -----------------------------------------------------------------------------------------------------


def _calibration(explanation: Explanation, found: xr.Dataset) -> Section:
    title = "Whether its predictions can be taken at their word"
    if "reason" in found.attrs:
        return Section(title=title, words=(f"Calibration is not shown: {found.attrs['reason']}.",))
    tables = (_calibration_table(found), _bins_table(found))
    return Section(
        title=title,
        words=(CALIBRATION_WORDS if found.attrs["kind"] == "probability" else VALUES_WORDS,),
        figures=(picture(figures.calibration(explanation), alt_of(tables[1:])),),
        tables=tables,
    )


def _calibration_table(found: xr.Dataset) -> Table:
    """What sums a curve up."""
    of_probability = found.attrs["kind"] == "probability"
    outputs = [str(name) for name in found.output.values][:MOST_ROWS]
    columns: dict[str, Callable[[str], str]] = {}
    if of_probability:
        columns |= {
            "calibration error": lambda one: _cell(found, "error", one),
            "of a calibrated model, by chance": lambda one: _cell(found, "error_if_calibrated", one),
        }
    columns |= {name: partial(_plain, found, name) for name in ("slope", "intercept")}
    if of_probability:
        columns["intercept at slope 1"] = partial(_plain, found, "in_the_large")
    why = str(found.attrs["why_no_interval"])
    notes = (*((ERROR_NOTE,) if of_probability else ()), SLOPE_NOTE)
    notes += (f"There are no intervals: {why}.",) if why else ()
    notes += (f"{found.attrs['together']}.",) if "together" in found.attrs else ()
    notes += (f"n/a: {found['slope'].attrs['reason']}.",) if "reason" in found["slope"].attrs else ()
    rows = tuple((one, *(say(one) for say in columns.values())) for one in outputs)
    return Table(title="Calibration", columns=("output", *columns), rows=rows, notes=notes)


def _bins_table(found: xr.Dataset) -> Table:
    """The points of the curves."""
    rows = []
    for output in [str(name) for name in found.output.values][:MOST_CURVES]:
        at = found.sel(output=output)
        for place in np.flatnonzero(at["count"].values):
            one = at.isel(bin=int(place))
            observed = with_bounds(one["observed"], one["observed_interval"], _amount)
            rows.append((output, f"{int(one['count'])}", _amount(float(one["predicted"])), observed))
    more = found.sizes["output"] - MOST_CURVES
    notes = ("Samples are sorted by what is predicted, and cut into bins of about equal size.",)
    return Table(
        title="What is predicted, and what is observed",
        columns=("output", "samples", "mean prediction", "observed"),
        rows=tuple(rows),
        notes=(*notes, *((f"{more} more outputs are not listed.",) if more > 0 else ())),
    )


def _cell(found: xr.Dataset, name: str, output: str) -> str:
    return with_bounds(found[name].sel(output=output), found[f"{name}_interval"].sel(output=output), _amount)


def _plain(found: xr.Dataset, name: str, output: str) -> str:
    return change(float(found[name].sel(output=output))).removeprefix("+")


# In whom the answer is another one --------------------------------------------------------------------------------------------------


def _subgroups(explanation: Explanation, found: Subgroups | None) -> Section:
    """Patients predicted wrong against those predicted right, and those who differ in what is known of them."""
    title = "Where it errs, and in whom"
    unknown = () if len(explanation.characteristics.columns) else (NO_CHARACTERISTICS,)
    if found is None:
        return Section(title=title, words=(NO_COHORT, *unknown))
    frame = found.to_frame()
    compared = [str(name) for name in dict.fromkeys(frame["characteristic"]) if name]
    words = (SUBGROUPS_WORDS, *found.words) if compared else (_nothing_to_compare(explanation),)
    tables = tuple(
        _subgroup_table(name, frame[frame["characteristic"].isin(["", name])], _brackets(found)) for name in compared
    )
    return Section(
        title=title,
        words=(*words, *unknown),
        figures=(picture(figures.subgroups(found), " ".join(map(alt_of, ([one] for one in tables)))),)
        if tables
        else (),
        tables=tables,
        points=(*map(_sentence, found.said), *(found.caveats if tables else ())),
    )


def _sentence(said: str) -> str:
    return f"{capital(said).rstrip('.')}."


def _nothing_to_compare(explanation: Explanation) -> str:
    labels = (
        ""
        if "label" in explanation.cohort
        else " Without labels nobody knows who is predicted wrong: explain(..., labels=...)."
    )
    return f"There are no subgroups to compare.{labels}"


def _brackets(found: Subgroups) -> str:
    if not found.frame["lower"].notna().any():
        return "There are no intervals: they were turned off, or there are too few patients."
    return f"In brackets: {100 * found.confidence:g} % intervals, by bootstrap of patients."


def _subgroup_table(name: str, frame: pd.DataFrame, brackets: str) -> Table:
    return Table(
        title=f"By {name}",
        columns=("subgroup", "what", "samples", "value", "difference from the rest", "adjusted p"),
        rows=tuple(_subgroup_row(row) for row in frame.to_dict("records")),
        notes=(
            f"{brackets} Differences of shares are in percentage points.",
            "p by permutation, adjusted (Westfall and Young) for all comparisons of this section.",
        ),
    )


def _subgroup_row(row: Mapping[Any, Any]) -> tuple[str, ...]:
    """A number of one subgroup, and how it differs from the rest; shares in per cent."""
    share = row["quantity"] in SHARES
    difference, p = row["difference"], row["p_adjusted"]
    bounds = row["difference_lower"], row["difference_upper"]
    return (
        str(row["subgroup"]),
        str(row["what"]),
        f"{row['samples']:,}",
        _bounded(row["value"], row["lower"], row["upper"], percent if share else _amount),
        NOT_THERE if np.isnan(difference) else _bounded(difference, *bounds, points if share else change),
        NOT_THERE if np.isnan(p) else f"{p:.2g}",
    )


def _bounded(value: float, lower: float, upper: float, words: Callable[[float], str]) -> str:
    bounds = xr.DataArray([lower, upper], dims="bound", coords={"bound": ["lower", "upper"]})
    return with_bounds(xr.DataArray(value), bounds, words)
