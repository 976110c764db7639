"""The annotation desk: people judge the heat maps of several models without knowing which is whose.

What reaches the browser names no model and no file: pictures are drawn here, maps bear aliases, and errors that would say more
than that stay in the terminal where others than this machine are served. What a map itself gives away, its grain or its crop,
can't be hidden.
"""

from __future__ import annotations

import streamlit as st

from modalens.app.desk import judging, results, signing
from modalens.app.desk.opening import answers_of, items_of
from modalens.app.desk.telling import told
from modalens.app.serving import Served, served

LOOK = """<style>
[data-testid='stMainBlockContainer'] {padding: 2.6rem 2rem 1rem 2rem}
[class*='st-key-desk-answer'] kbd {display: none}
</style>"""
"""Everything on one screen; the answers' buttons are named as their keys."""

ANNOTATE, RESULTS = "Annotate", "Results"


def page() -> None:
    """The desk; on this machine, the results too, where aliases become models again."""
    what = served()
    st.html(LOOK)
    if what.annotators is None:
        _with_results(what)
        return
    try:
        _annotate(what)
    except Exception as error:
        st.error(told(error))


def _with_results(what: Served) -> None:
    """Results are sent to the browser only when they are asked for, so that whoever annotates stays blinded."""
    view = st.sidebar.radio("Desk", [ANNOTATE, RESULTS], key="view of the desk", horizontal=True)
    if view == RESULTS:
        results.show(what, answers_of(what))
    else:
        _annotate(what)


def _annotate(what: Served) -> None:
    answers = answers_of(what)
    signed = signing.annotator(what, answers)
    if signed is not None:
        judging.show(what, answers, signed, items_of(what))
