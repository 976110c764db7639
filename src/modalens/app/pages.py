"""Which pages there are, for what is served."""

from __future__ import annotations

import streamlit as st

from modalens.app import audit, cohort, comparison, desk, leaderboard, overview, patient
from modalens.app.serving import Served, served
from modalens.app.words import as_it_is
from modalens.errors import InputError


def show() -> None:
    """Draw the page that is asked for."""
    what = served()
    st.set_page_config(page_title="modalens", layout="wide")
    asked = st.navigation(pages(what), position="sidebar" if what.annotators is None else "hidden")
    try:
        asked.run()
    except InputError as error:
        st.error(as_it_is(error))


def pages(what: Served) -> list[st.Page]:
    """The pages for which there is something to show. Annotators who come from elsewhere see the desk only: every other page names
    the models.
    """
    if what.annotators is not None:
        return [st.Page(desk.page, title="Annotation desk", default=True)]
    found = what.findings
    return [
        st.Page(overview.page, title="Overview", default=True),
        *(
            [
                st.Page(cohort.page, title="Cohort", url_path="cohort"),
                st.Page(patient.page, title="Patient", url_path="patient"),
            ]
            if found.explanations
            else []
        ),
        *([st.Page(comparison.page, title="Two models", url_path="comparison")] if len(found.explanations) > 1 else []),
        *(
            [
                st.Page(audit.page, title="Audit", url_path="audit"),
                st.Page(desk.page, title="Annotation desk", url_path="desk"),
            ]
            if found.audits
            else []
        ),
        *([st.Page(leaderboard.page, title="Leaderboard", url_path="leaderboard")] if found.leaderboards else []),
    ]
