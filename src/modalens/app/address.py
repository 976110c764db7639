"""The state of a page is in its address, so that a link or a reload comes back to it, and the next page goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from modalens.app.words import as_it_is

LAST = "the address of the page before"


def resume() -> None:
    """Go on with what the address said last, where it says nothing: links of the menu forget it."""
    if len(st.query_params):
        st.session_state[LAST] = told()
    elif LAST in st.session_state:
        st.query_params.from_dict(st.session_state[LAST])


def told() -> dict[str, list[str]]:
    """All that the address says, by name."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def tell(name: str, values: Sequence[str]) -> None:
    """Say these values in the address; none of them takes the name out of it."""
    if values:
        st.query_params[name] = list(values)
    elif name in st.query_params:
        del st.query_params[name]
    st.session_state[LAST] = told()


def choice(name: str, label: str, options: Sequence[str], *, shown: Callable[[str], str] = str, place: Any = st) -> str:
    """One of these, chosen in a box and kept in the address; the first unless it says another. What the address asks for and is
    not there is said.
    """
    asked = st.query_params.get(name)
    if asked is not None and asked not in options:
        st.warning(as_it_is(f"{label}: there is no {asked!r} here; shown is {shown(options[0])}."))
    now = asked if asked is not None and asked in options else options[0]
    return held(name, label, options, now, shown=shown, place=place)


def held(
    name: str, label: str, options: Sequence[str], now: str, *, shown: Callable[[str], str] = str, place: Any = st
) -> str:
    """The same box, showing what is chosen now."""
    key = f"box of {name}"
    st.session_state[key] = now
    place.selectbox(as_it_is(label), options, key=key, format_func=shown, on_change=_follow, args=(name, key))
    return now


def _follow(name: str, key: str) -> None:
    tell(name, [st.session_state[key]])
