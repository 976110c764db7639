"""The filters of a cohort's table: a box or a slider a column in the sidebar, and what they ask in the page's address."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from modalens.app import address, opened
from modalens.app.narrowing import (
    FROM,
    MOST_WORDS,
    NAMES,
    ONLY,
    TO,
    Narrowed,
    is_number,
    narrowing_of,
    options_of,
    range_of,
)
from modalens.app.words import as_it_is
from modalens.cohort.divisions import exact

ORDER = "order"
"""The name under which the address says by which column patients are ordered."""

OUTCOME = {"correct": "Outcome", "label": "Label", "predicted": "Predicted"}
"""What a column is called above its filter, where that is not its name."""


def narrowed(path: Path) -> Narrowed:
    """The patients whom the address asks for, in the order that it asks for."""
    found = narrowing_of(address.told()).of(opened.patients(path))
    order = st.query_params.get(ORDER, "")
    if order in found.table and is_number(found.table[order]):
        return Narrowed(
            table=found.table.sort_values(order, ascending=False, kind="stable", na_position="last"),
            unknown=found.unknown,
        )
    return found


def words() -> str:
    """What the address asks of patients; empty where it asks nothing."""
    return "; ".join(narrowing_of(address.told()).words())


def unknown_words(found: Narrowed) -> list[str]:
    """Who is left out since nothing is known of what is asked."""
    return [
        f"{count:,} {'patient has' if count == 1 else 'patients have'} no “{name}”, and so can't be among those shown."
        for name, count in found.unknown.items()
    ]


def sidebar(table: pd.DataFrame) -> None:
    """A filter for each column that has something to choose, and the order."""
    asked = narrowing_of(address.told())
    unfiltered = []
    with st.sidebar:
        st.subheader("Which patients")
        if asked.words() or ORDER in st.query_params:
            st.button("Show all patients", on_click=clear)
        for name in table.columns:
            if name in NAMES:
                continue
            if is_number(table[name]):
                _slider(name, table[name], asked.least.get(name), asked.most.get(name))
            elif (options := options_of(table[name])) is not None:
                _box(name, options, asked.only.get(name, ()))
            elif table[name].nunique() > MOST_WORDS:
                unfiltered.append(name)
        numbers = [name for name in table.columns if name not in NAMES and is_number(table[name])]
        address.choice(ORDER, "Order, largest first", ["", *numbers], shown=lambda name: name or "as in the data")
        if unfiltered:
            st.caption(as_it_is(f"Of more than {MOST_WORDS} different texts, found by the search above the table: {', '.join(unfiltered)}."))  # fmt: skip


def clear() -> None:
    """Ask nothing of patients any more."""
    for name in [*address.told()]:
        if name.startswith((ONLY, FROM, TO)) or name == ORDER:
            address.tell(name, [])


def _box(name: str, options: list[str], chosen: tuple[str, ...]) -> None:
    key = f"filter of {name}"
    st.session_state[key] = [one for one in chosen if one in options]
    st.multiselect(
        as_it_is(OUTCOME.get(name, name)), options, key=key, placeholder="all", on_change=_only, args=(name, key)
    )


def _slider(name: str, column: pd.Series, least: float | None, most: float | None) -> None:
    found = range_of(column)
    if found is None:
        return
    low, high, step = found
    key = f"filter of {name}"
    inside = [min(max(value, low), high) for value in (low if least is None else least, high if most is None else most)]
    st.session_state[key] = (min(inside), max(inside))
    shares = low >= 0 and high <= 1 and is_share(name)
    st.slider(
        as_it_is(OUTCOME.get(name, name)),
        low,
        high,
        step=step,
        format="percent" if shares else "%g",
        key=key,
        on_change=_between,
        args=(name, key, low, high),
    )


def is_share(name: str) -> bool:
    """Whether a column of the table holds shares of one."""
    return name in ("interaction", "probability") or name.endswith(" share")


def _only(name: str, key: str) -> None:
    address.tell(f"{ONLY}{name}", st.session_state[key])


def _between(name: str, key: str, low: float, high: float) -> None:
    """A bound is asked for only where it leaves somebody out."""
    least, most = st.session_state[key]
    address.tell(f"{FROM}{name}", [exact(least)] if least > low else [])
    address.tell(f"{TO}{name}", [exact(most)] if most < high else [])
