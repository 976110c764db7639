"""Audits: what was found, the records, and one record with its maps, whose sentence can be changed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from modalens.alignment import Audit
from modalens.alignment.result import AS_IT_IS
from modalens.app import address, opened, pictures, tables
from modalens.app.audited_record import Audited, show
from modalens.app.listed_records import EVERY, MAPS, Asked, findings_of, table_of
from modalens.app.serving import Served, served
from modalens.app.words import as_it_is
from modalens.errors import InputError
from modalens.plots.audit import delta_panel, examples, score_panel
from modalens.summary.cells import Table

NONE = "none"

ALONE = "no other audit"


def page() -> None:
    """What an audit found, its records, and one of them."""
    address.resume()
    what = served()
    found = what.findings.audits
    st.title("Audit")
    name = address.choice("audit", "Audit", list(found), place=st.sidebar)
    audits = _audits(what, name)
    for column, one in zip(st.columns(len(audits), gap="large"), audits, strict=True):
        with column:
            _found(one, found[one.name], alone=len(audits) == 1)
    st.header("Records", divider="gray")
    table = _table(audits[0].audit, found[name])
    asked = _asked(audits[0].audit, table)
    listed = asked.of(audits[0].audit, table)
    _list(listed, len(table), name)
    place = _place(audits[0].audit, table, listed)
    st.header(as_it_is(f"Record {place}"), divider="gray")
    show(audits, place, subset="all" if asked.subset == EVERY else asked.subset)


def _audits(what: Served, name: str) -> list[Audited]:
    """The audit that is looked at, and the one beside it."""
    found = what.findings.audits
    others = [other for other in found if other != name and _same_records(found[name], found[other])]
    beside = NONE
    if others:
        said = {NONE: ALONE}
        beside = address.choice(
            "beside", "Beside it", [NONE, *others], shown=lambda one: said.get(one, one), place=st.sidebar
        )
    names = [name, *([] if beside == NONE else [beside])]
    return [
        Audited(
            name=one,
            audit=opened.audit(found[one]),
            changed=opened.changed(found[one]),
            model=what.models.get(one),
        )
        for one in names
    ]


def _same_records(path: Path, other: Path) -> bool:
    """Whether two audits are of the same sentences and pictures; one that can't be read is not."""
    try:
        one, two = (opened.audit(each).data for each in (path, other))
    except InputError:
        return False
    return all(
        np.array_equal(one[name].values.astype(str), two[name].values.astype(str))
        for name in ("image", "patient", "side")
    ) and np.array_equal(*(each.phrase.sel(condition=AS_IT_IS).values.astype(str) for each in (one, two)))


def _found(one: Audited, path: Path, *, alone: bool) -> None:
    """What was found, in words, figures and tables."""
    audit = one.audit
    if not alone:
        st.markdown(f"**{as_it_is(one.name)}**")
    st.markdown(f"##### {as_it_is(audit.verdict)}")
    st.markdown("\n".join(f"- {as_it_is(sentence)}" for sentence in audit.words[1:]))
    with st.expander("Figures: scores beside those of maps that ignore the text, and what changed sentences change", expanded=alone):  # fmt: skip
        columns = st.columns(2) if alone else (st.container(), st.container())
        with columns[0]:
            pictures.picture(_panel(path, opened.changed(path), "score"), "Scores by subset beside those of maps that ignore the text")  # fmt: skip
        with columns[1]:
            pictures.picture(_panel(path, opened.changed(path), "delta"), "Changes of the score with each changed sentence, beside those of a map that follows the text")  # fmt: skip
    with st.expander("Tables"):
        for table in _tables(path, opened.changed(path)):
            tables.shown(table)


@st.cache_data(max_entries=32, show_spinner="Drawing…")
def _panel(path: Path, changed: int, panel: str) -> str:
    draw = {"score": score_panel, "delta": delta_panel}[panel]
    return pictures.svg_of(partial(draw, opened.audit(path)))


@st.cache_resource(max_entries=8, show_spinner=False)
def _tables(path: Path, changed: int) -> list[Table]:
    return opened.audit(path).tables()


def _table(audit: Audit, path: Path) -> pd.DataFrame:
    return _table_of(path, opened.changed(path), audit)


@st.cache_resource(max_entries=8, show_spinner=False)
def _table_of(path: Path, changed: int, _audit: Audit) -> pd.DataFrame:
    return table_of(_audit)


def _asked(audit: Audit, table: pd.DataFrame) -> Asked:
    """Which records are listed, as it stands in the address."""
    subsets = [EVERY, *(str(one) for one in audit.data.subset.values)]
    findings = findings_of(table)
    scores = [str(one) for one in audit.data.score.values]
    first, second, third, fourth = st.columns(4)
    subset = address.choice("subset", "Subset", subsets, place=first)
    finding = address.choice("finding", "Finding", ["", *findings], shown=lambda one: one or "any", place=second)
    map = address.choice("map", "The map", list(MAPS), shown=lambda one: MAPS[one], place=third)
    words = fourth.text_input("Words in the sentence", key="words in the sentence", max_chars=200)
    left, right = st.columns([1, 3])
    score = address.choice("score", "Score", scores, place=left)
    low, high = _range(table[score], score, right)
    return Asked(subset=subset, finding=finding, map=map, words=words, score=score, low=low, high=high)


def _range(values: pd.Series, score: str, place: Any) -> tuple[float, float]:
    """The range of a score that is asked for; from end to end everything is, also what has no score."""
    known = values.dropna()
    if known.empty or known.min() == known.max():
        place.caption(as_it_is(f"{score} is the same, or not defined, for all records."))
        return -np.inf, np.inf
    ends = float(np.floor(100 * known.min()) / 100), float(np.ceil(100 * known.max()) / 100)
    low, high = place.slider(as_it_is(f"Range of {score}"), *ends, ends, step=0.01, key=f"range of {score}")
    return (-np.inf if low <= ends[0] else low), (np.inf if high >= ends[1] else high)


def _list(listed: pd.DataFrame, total: int, name: str) -> None:
    st.caption(f"{len(listed):,} of {total:,} records. Click a column's name to sort by it; tick a row to look at it.")
    numbers = {
        column: st.column_config.NumberColumn(format="%.3f")
        for column in listed.columns
        if pd.api.types.is_numeric_dtype(listed[column])
    }
    key = f"records of {name}"
    st.dataframe(
        listed.reset_index(names="record"),
        hide_index=True,
        height=280,
        key=key,
        selection_mode="single-row",
        on_select=partial(_ticked, key, tuple(listed.index)),
        column_config={"sentence": st.column_config.TextColumn(width="large"), **numbers},
        placeholder="–",
        alt="Records",
    )


def _ticked(key: str, listed: tuple[int, ...]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows and rows[0] < len(listed):
        address.tell("record", [str(listed[rows[0]])])


def _place(audit: Audit, table: pd.DataFrame, listed: pd.DataFrame) -> int:
    """The record that is looked at: that of the address; else one in which only the text can choose."""
    options = [str(place) for place in table.index]
    asked = st.query_params.get("record")
    if asked is not None and asked not in options:
        st.warning(as_it_is(f"There is no record {asked!r} here."))
    first = str(next(iter(examples(audit)), 0))
    now = asked if asked in options else first
    before, box, after = st.columns([1, 8, 1], vertical_alignment="bottom")
    said: Mapping[str, str] = {
        str(place): f"{place} · {patient} · {sentence}"
        for place, patient, sentence in zip(table.index, table.patient, table.sentence, strict=True)
    }
    address.held("record", "Record", options, now, shown=lambda one: said[one], place=box)
    places = [int(one) for one in listed.index]
    earlier = [place for place in places if place < int(now)][-1:]
    later = [place for place in places if place > int(now)][:1]
    for column, words, near in ((before, "Previous", earlier), (after, "Next", later)):
        column.button(
            words,
            disabled=not near,
            on_click=address.tell,
            args=("record", [str(one) for one in near]),
            width="stretch",
        )
    return int(now)
