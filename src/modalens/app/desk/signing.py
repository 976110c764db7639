"""Who sits at the desk. On this machine a name is enough; from elsewhere it takes an access key, looked at anew at every step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import streamlit as st

from modalens.app.desk.answers import Answers
from modalens.app.desk.names import as_name
from modalens.app.desk.opening import door_of
from modalens.app.desk.telling import ForAnnotator, told
from modalens.app.serving import Served
from modalens.app.words import as_it_is

SIGNED = "desk signed in"
"""Where the server keeps, for each window, who signed in."""


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """An annotator at a window. granted: what the door gave for the key; "" where no keys are asked for."""

    id: int
    name: str
    granted: str = ""


def annotator(what: Served, answers: Answers) -> SignedIn | None:
    """Who sits at this window; None, with the form to sign in, where nobody does."""
    signed: SignedIn | None = st.session_state.get(SIGNED)
    if signed is not None and _still_admitted(what, signed):
        return signed
    sign_out()
    _form(what, answers)
    return None


def sign_out() -> None:
    """Forget who sat at this window, and where he was."""
    for key in [key for key in st.session_state if str(key).startswith("desk")]:
        del st.session_state[key]


def _still_admitted(what: Served, signed: SignedIn) -> bool:
    if what.annotators is None:
        return not signed.granted
    return bool(signed.granted) and door_of(what.annotators).admits(signed.name, signed.granted)


def _form(what: Served, answers: Answers) -> None:
    st.title("Annotation desk")
    st.text(
        "You see one sentence of a report, its picture, and the heat maps of several models, one after the other. "
        "Which map is of which model is hidden. Of each map you answer three questions, from 1 to 5. "
        "Every answer is kept at once: you can stop at any time and go on later under the same name."
    )
    with st.form("desk form", width=420):
        name = st.text_input("Your name", max_chars=100, autocomplete="off")
        key = st.text_input("Your access key", type="password", max_chars=200) if what.annotators is not None else ""
        sent = st.form_submit_button("Start", type="primary")
    if sent:
        try:
            signed = _entered(what, answers, name, key)
        except Exception as error:
            st.error(as_it_is(told(error)))
            return
        st.session_state[SIGNED] = signed
        st.rerun()


def _entered(what: Served, answers: Answers, name: str, key: str) -> SignedIn:
    """Raises ForAnnotator where the door stays closed."""
    if what.annotators is None:
        return SignedIn(id=answers.annotator(name), name=as_name(name))
    found = door_of(what.annotators).enter(name, key)
    if isinstance(found, float):
        raise ForAnnotator(f"Too many tries: wait {math.ceil(found)} seconds, then try again.")
    if found is None:
        raise ForAnnotator("The name or the key is wrong.")
    return SignedIn(id=answers.annotator(name), name=as_name(name), granted=found)
