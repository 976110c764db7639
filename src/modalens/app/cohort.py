"""The patients of an explanation: sorted, narrowed, and opened one by one."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from modalens.app import address, charts, filters, opened, patient
from modalens.app.narrowing import NAMES, Narrowed, is_number
from modalens.app.serving import served
from modalens.app.words import as_it_is
from modalens.spreadsheet import as_csv


def page() -> None:
    """The table and the chart of the patients that the filters leave, each opened by a click."""
    address.resume()
    found = served().findings.explanations
    st.title("Cohort")
    name = address.choice("explanation", "Explanation", list(found), place=st.sidebar)
    table = opened.patients(found[name])
    filters.sidebar(table)
    shown = filters.narrowed(found[name])
    _say(shown, len(table), name)
    if shown.table.empty:
        st.info("No patient meets all that is asked. Widen a filter, or show all patients, on the left.")
        return
    clicked = _chart(shown.table)
    ticked = _table(shown.table)
    if (sample := clicked if clicked is not None else ticked) is not None:
        st.switch_page(
            patient.place(), query_params=address.told() | {"explanation": [name], patient.PATIENT: [str(sample)]}
        )


def _say(shown: Narrowed, total: int, name: str) -> None:
    """How many there are, who is left out, and the table as a file."""
    asked = filters.words()
    count = f"{len(shown.table):,} of {total:,} patients" if asked else f"{total:,} patients"
    left, right = st.columns([4, 1], vertical_alignment="center")
    with left:
        st.markdown(f"**{as_it_is(count)}**" + (as_it_is(f" – {asked}") if asked else ""))
        for sentence in filters.unknown_words(shown):
            st.caption(as_it_is(sentence))
    right.download_button(
        "Table (CSV)",
        lambda: as_csv(shown.table.reset_index(names="sample")),
        "patients.csv",
        "text/csv",
        on_click="ignore",
        help=as_it_is(f"The {len(shown.table):,} patients shown, of {name}."),
    )


def _chart(table: pd.DataFrame) -> int | None:
    """The chart of two numbers of each patient, and the patient that was clicked on."""
    numbers = [
        name for name in table.columns if name not in NAMES and is_number(table[name]) and table[name].notna().any()
    ]
    if not numbers:
        return None
    shares = [name for name in numbers if name.endswith(" share")]
    first = max(shares, key=lambda name: table[name].mean()) if shares else numbers[0]
    second = next((name for name in ("interaction", "error", *numbers) if name in numbers and name != first), "")
    left, right = st.columns(2)
    across = address.choice("across", "Across", [first, *(name for name in numbers if name != first)], place=left)
    others = [second, *(name for name in numbers if name not in (across, second))]
    up = address.choice("up", "Up", [name for name in others if name != across] or [""], place=right)
    clicked = charts.points(table, across, up or None, key="points")
    undrawn = int(table[[name for name in (across, up) if name]].isna().any(axis=1).sum())
    if undrawn:
        st.caption(as_it_is(f"{undrawn:,} of these patients are not in the chart, since one of the two numbers is not known; they are in the table."))  # fmt: skip
    return clicked


def _table(table: pd.DataFrame) -> int | None:
    """The table of patients, and the one whose row was ticked."""
    st.caption("Click a point, or tick a row, to open the patient. Click a column's name to sort by it.")
    ticked = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config=_columns(table),
        placeholder="–",
        key="patients",
        height=420,
        alt="Patients",
    )
    rows = ticked["selection"]["rows"]
    return int(table.index[rows[0]]) if rows else None


def _columns(table: pd.DataFrame) -> dict[str, Any]:
    """How columns are written: shares in per cent, other numbers in three digits."""
    config: dict[str, Any] = {"patient": st.column_config.TextColumn(pinned=True)}
    for name in table.columns:
        if filters.is_share(name):
            config[name] = st.column_config.NumberColumn(format="percent")
        elif name in ("error", "discordance"):
            config[name] = st.column_config.NumberColumn(format="%.3g")
    return config
