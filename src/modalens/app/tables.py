"""Tables on a page: text in every cell, which screen readers read row by row."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from modalens.app.words import as_it_is
from modalens.summary.cells import Table


def shown(table: Table) -> None:
    """A table with its title above and its notes below, all as text."""
    st.markdown(f"**{as_it_is(table.title)}**")
    columns = [f"{as_it_is(name) or 'row'}{chr(0x200B) * table.columns[:place].count(name)}" for place, name in enumerate(table.columns)]  # fmt: skip
    cells = [[as_it_is(cell) for cell in row] for row in table.rows]
    st.table(pd.DataFrame(cells, columns=columns), hide_index=True, border="horizontal", width="content")
    for note in table.notes:
        st.caption(as_it_is(note))
