"""Measures on problems whose answer is known: ranked, by problem, and how far seeds move them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from modalens.app import address, opened, pictures, tables
from modalens.app.serving import served
from modalens.app.words import as_it_is
from modalens.spreadsheet import as_csv


def page() -> None:
    """A leaderboard: the best measures in words, the figure, and every table."""
    address.resume()
    found = served().findings.leaderboards
    st.title("Leaderboard")
    name = address.choice("leaderboard", "Leaderboard", list(found))
    board = opened.leaderboard(found[name])
    st.markdown(as_it_is(board.words))
    st.download_button(
        "All runs (CSV)", lambda: as_csv(board.to_frame()), f"{Path(name).name}.csv", "text/csv", on_click="ignore"
    )
    pictures.picture(
        _drawn(found[name], opened.changed(found[name])),
        "Errors by measure, and the shares of each measure against their truths; the numbers are in the tables below.",
    )
    for table in board.tables():
        tables.shown(table)
    with st.expander("How it was made"):
        st.json(dict(board.settings))


@st.cache_data(max_entries=8, show_spinner="Drawing…")
def _drawn(path: Path, changed: int) -> str:
    return pictures.svg_of(opened.leaderboard(path).plot)
