"""Two models on the same patients: paired differences, and the patients on whom they differ most."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from modalens.app import address, one_patient, opened, pictures, tables
from modalens.app.beside import beside
from modalens.app.serving import served
from modalens.app.words import as_it_is
from modalens.explanation import Comparison, compare
from modalens.paired import Difference, differences_of, multiplicity
from modalens.plots.comparison import comparison
from modalens.spreadsheet import as_csv
from modalens.summary.cells import Table
from modalens.summary.wording import NOT_DEFINED, capital, difference, metric_words, points, quote

FIRST, SECOND, PATIENT = "first", "second", "patient"

MOVED = "shares moved"
"""How far the shares of the modalities of one patient lie apart: half the sum of their differences, 0 to 1."""


def page() -> None:
    """Two explanations side by side; in words, where their patients are not the same."""
    address.resume()
    found = served().findings.explanations
    st.title("Two models")
    left, right = st.columns(2)
    names = list(found)
    first = address.choice(FIRST, "First", names, place=left)
    others = _same_patients_first(found, first)
    second = address.choice(SECOND, "Second", others, place=right)
    compared = _compared(found[first], found[second])
    differences = differences_of(compared)
    st.markdown("\n".join(f"- {as_it_is(one)}" for one in verdicts(differences, first, second)))
    left, right = beside(2)
    with left:
        shares = any(one.is_share for one in differences)
        drawn = _forest(found[first], found[second], (first, second)) if shares else None
        if drawn:
            pictures.picture(drawn, f"Differences of shares, {second} minus {first}, with intervals; the numbers are in the table beside.")  # fmt: skip
    with right:
        tables.shown(table_of(differences, first, second))
        st.download_button(
            "All differences (CSV)",
            lambda: as_csv(compared.to_frame()),
            "comparison.csv",
            "text/csv",
            on_click="ignore",
        )
    _patients(found[first], found[second], first, second)


def _same_patients_first(found: Mapping[str, Path], first: str) -> list[str]:
    """The other explanations, those of the same patients first."""
    data = opened.provenance(found[first])["data"]
    return sorted(
        (name for name in found if name != first), key=lambda name: opened.provenance(found[name])["data"] != data
    )


def verdicts(differences: list[Difference], first: str, second: str) -> list[str]:
    """The differences whose interval leaves out 0, in words."""
    clear = [one for one in differences if one.is_clear]
    by_way: dict[tuple[str, str], list[str]] = {}
    for one in clear:
        by_way.setdefault((one.what, _units(one)), []).append(_verdict(one))
    said = [
        f"{capital(what)}: {'; '.join(found)} in “{second}” than in “{first}” ({units})."
        for (what, units), found in by_way.items()
    ]
    rest = len(differences) - len(clear)
    if rest:
        said.append(
            f"For {rest} of {len(differences)} differences none is shown: their interval holds 0, or there is none."
        )
    return [*said, *filter(None, [multiplicity(differences)])]


def _units(one: Difference) -> str:
    return "percentage points" if one.is_share else metric_words(one.metric)


def _verdict(one: Difference) -> str:
    say = points if one.is_share else difference
    size, low, high = (
        say(amount).lstrip("+") for amount in (abs(one.value), *sorted((abs(one.lower), abs(one.upper))))
    )
    return f"{quote(one.of) + ' ' if one.of else ''}{size} ({low} to {high}) {'more' if one.value > 0 else 'less'}"


def table_of(differences: list[Difference], first: str, second: str) -> Table:
    """Every difference, with its paired interval."""
    rows = tuple(
        (one.of or "all", one.what if one.is_share else f"{one.what} ({_units(one)})", _said(one))
        for one in differences
    )
    undefined = any(np.isnan(one.value) for one in differences)
    return Table(
        title=f"“{second}” minus “{first}”",
        columns=("of", "number", "difference"),
        rows=rows,
        notes=(
            "Differences of shares are in percentage points. In brackets: the interval, from drawing the same patients for both models.",
            *((f"{NOT_DEFINED}: the number is not defined for one of the two.",) if undefined else ()),
        ),
    )


def _said(one: Difference) -> str:
    say = points if one.is_share else difference
    return say(one.value) + (f" ({say(one.lower)} to {say(one.upper)})" if one.is_bounded else "")


def apart(one: pd.DataFrame, other: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """The patients, those first on whom two models differ most: how far their shares lie apart, and what each model says."""
    shares = [name for name in one.columns if name.endswith(" share") and name in other]
    found = pd.DataFrame({"patient": one["patient"]})
    if shares:
        found[MOVED] = np.abs(one[shares].to_numpy() - other[shares].to_numpy()).sum(axis=1) / 2
    if "label" in one:
        found["label"] = one["label"]
    for name, table in ((first, one), (second, other)):
        for column in ("predicted", "probability"):
            if column in table:
                found[f"{column}, {name}"] = table[column]
    return found.sort_values(MOVED, ascending=False, kind="stable", na_position="last") if shares else found


def _patients(one: Path, other: Path, first: str, second: str) -> None:
    """The table of patients, and the one whose row was ticked, by both models."""
    st.subheader("Patients on whom they differ most")
    found = apart(opened.patients(one), opened.patients(other), first, second)
    unknown = int(found[MOVED].isna().sum()) if MOVED in found else len(found)
    st.caption("Shares moved: the part of the shares that goes to other modalities in the other model, 0 to 100 %. Tick a row to see the patient by both.")  # fmt: skip
    if unknown:
        st.caption(f"Not known for {unknown:,} of {len(found):,} patients, who come last.")
    config = {
        MOVED: st.column_config.NumberColumn(format="percent"),
        **{
            str(name): st.column_config.NumberColumn(format="percent")
            for name in found
            if str(name).startswith("probability, ")
        },
    }
    ticked = st.dataframe(
        found,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config=config,
        placeholder="–",
        key="apart",
        height=300,
        alt="Patients by difference",
    )
    rows = ticked["selection"]["rows"]
    if rows and str(found.index[rows[0]]) != st.query_params.get(PATIENT):
        address.tell(PATIENT, [str(found.index[rows[0]])])
    asked = st.query_params.get(PATIENT, "")
    if not asked.isdecimal() or int(asked) >= len(found):
        return
    sample = int(asked)
    for place, name, path in zip(beside(2), (first, second), (one, other), strict=True):
        with place:
            table = opened.patients(path)
            st.subheader(as_it_is(f"{one_patient.called(table, sample)} by {name}"), anchor=False)
            st.markdown(as_it_is(one_patient.in_words(opened.explanation(path), table, sample)))
            alt = (
                f"Sample {sample} by {name}: how its output comes about, and what each part of its modalities changes."
            )
            pictures.figure_of(path, "patient", alt, sample=sample, width=7.0)


def _compared(first: Path, second: Path) -> Comparison:
    return _of_files(first, first.stat().st_mtime_ns, second, second.stat().st_mtime_ns)


@st.cache_resource(max_entries=8, show_spinner="Comparing…")
def _of_files(first: Path, changed: int, second: Path, also_changed: int) -> Comparison:
    return compare(opened.explanation(first), opened.explanation(second))


def _forest(first: Path, second: Path, names: tuple[str, str]) -> str:
    return _drawn(first, first.stat().st_mtime_ns, second, second.stat().st_mtime_ns, names)


@st.cache_data(max_entries=8, show_spinner="Drawing…")
def _drawn(first: Path, changed: int, second: Path, also_changed: int, names: tuple[str, str]) -> str:
    return pictures.svg_of(lambda: comparison(_of_files(first, changed, second, also_changed), names=names))
