"""The page on which maps are judged: the picture on the left, the questions beside it, everything under a key."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import streamlit as st

from modalens.alignment.annotators import QUESTIONS, Question
from modalens.app.desk.answers import LONGEST, Answers
from modalens.app.desk.given import Placed
from modalens.app.desk.items import Item
from modalens.app.desk.pictures import SIDE, png, signed
from modalens.app.desk.signing import SignedIn, sign_out
from modalens.app.desk.sitting import LONGEST_SENTENCE, STRENGTH, Now, Sitting
from modalens.app.desk.telling import ForAnnotator
from modalens.app.serving import Served
from modalens.app.words import as_it_is

ENDS: dict[Question, tuple[str, str]] = {
    "has_good_recall": ("nothing of it", "all of it"),
    "has_good_precision": ("nothing of it", "all of it"),
    "is_intuitive": ("not at all", "entirely"),
}
"""What 1 and 5 mean."""


def show(what: Served, answers: Answers, who: SignedIn, items: Sequence[Item]) -> None:
    """Draw the place at which the annotator is."""
    sitting = Sitting(what=what, answers=answers, who=who, items=items)
    sitting.begin()
    places = sitting.places()
    at = sitting.at(places)
    place = places[at]
    _header(sitting, places, at)
    left, right = st.columns([SIDE, 460], gap="medium")
    try:
        item = sitting.item(place)
    except ForAnnotator as error:
        with right:
            st.warning(as_it_is(error))
            _moves(sitting, places, at)
        return
    now = sitting.now(place)
    with right:  # first: the next question is there before the picture is drawn
        _sentence(place, item)
        _maps(sitting, now)
        _asked(sitting, place, now)
        _answered(sitting, now)
        _moves(sitting, places, at)
        _more(sitting, places, at, item)
        _done(places, now)
    with left:
        _picture(sitting, place, item, now)


def _header(sitting: Sitting, places: Sequence[Placed], at: int) -> None:
    """How far the annotator is, and who he is."""
    judged = sum(place.judged for place in places)
    progress, name, out = st.columns([SIDE, 320, 140], gap="medium", vertical_alignment="center")
    said = f"Sentence {at + 1} of {len(places)} · {judged} of {len(places)} judged"
    progress.progress(judged / len(places), text=said)
    name.text(f"Annotator: {sitting.who.name}")
    out.button("Sign out", key="desk out", on_click=sign_out, width="stretch")
    if sitting.window.said:
        st.toast(as_it_is(sitting.window.said), icon=":material/info:")
        sitting.window.said = ""


def _picture(sitting: Sitting, place: Placed, item: Item, now: Now) -> None:
    """The picture with the map, and what changes how it is seen."""
    window, shown = sitting.window, item.maps[now.map.model]
    strength = 0 if window.hidden else int(st.session_state.get(STRENGTH, 100))
    st.image(png(shown, strength=strength / 100, boxes=window.boxes), width=SIDE, alt=f"Map {now.map.alias}")
    boxes, map, slider = st.columns([170, 150, 240], vertical_alignment="center")
    boxes.button(
        ("Hide regions" if window.boxes else "Show regions") if item.located else "No region",
        key="desk boxes",
        shortcut="b",
        disabled=not item.located,
        on_click=sitting.turn_boxes,
        args=(place,),
        width="stretch",
    )
    map.button(
        "Show map" if window.hidden else "Hide map",
        key="desk hide",
        shortcut="m",
        on_click=sitting.turn_map,
        width="stretch",
    )
    slider.slider("Strength of the map (%)", 0, 100, 100, step=10, key=STRENGTH, label_visibility="collapsed")
    st.caption(
        "Red: the map speaks for it. Blue: against it. The stronger, the more."
        if signed(shown)
        else "Colour: more attention than an even share; the darker, the more. Where there is none, the picture is left as it is."
    )
    if shown.record.frontal:
        st.caption("R and L: the patient's right and left.")


def _sentence(place: Placed, item: Item) -> None:
    st.markdown(f"#### {as_it_is(item.phrase)}")
    if place.custom:
        st.caption("Your own sentence: no region was annotated for it.")


def _maps(sitting: Sitting, now: Now) -> None:
    """One button a map; more than one row where there are many."""
    with st.container(horizontal=True, gap="small"):
        for map in now.maps:
            st.button(
                f"Map {map.alias}",
                key=f"desk map {map.id}",
                type="primary" if map == now.map else "secondary",
                icon=":material/check:" if now.done(map) else None,
                on_click=sitting.look_at,
                args=(map.id,),
            )


def _asked(sitting: Sitting, place: Placed, now: Now) -> None:
    """The question that is asked now, always at the same spot, with a button for each answer, under the keys 0 to 5."""
    with st.container(border=True, gap="small", height=168):
        if now.question is None:
            st.markdown(f"**Map {now.map.alias}: all three questions are answered.**")
            st.caption("To answer one again, click on its answer below.")
            return
        question, given = now.question, now.given[now.map.id, now.question]
        st.markdown(f"**Map {now.map.alias}, question {list(QUESTIONS).index(question) + 1}: {QUESTIONS[question]}**")
        keys = {value: f"desk answer {now.map.id} {question} {given.turn} {value}" for value in (1, 2, 3, 4, 5, 0)}
        draw = secrets.token_hex(16)
        for column, (value, key) in zip(st.columns([1, 1, 1, 1, 1, 2.2], gap="small"), keys.items(), strict=True):
            column.button(
                str(value) if value else "0 can't judge",
                key=key,
                shortcut=str(value),
                type="primary" if given.answered and (given.value or 0) == value else "secondary",
                on_click=sitting.answer,
                args=(place, now.map.id, question, value or None, given.turn, draw, list(keys.values())),
                width="stretch",
            )
        st.caption(f"1: {ENDS[question][0]} · 5: {ENDS[question][1]}")


def _answered(sitting: Sitting, now: Now) -> None:
    """The answers to the map that is shown, each a button by which it is given again."""
    with st.container(gap=None):
        for number, question in enumerate(QUESTIONS, start=1):
            given = now.given[now.map.id, question]
            words, button = st.columns([340, 100], vertical_alignment="center", gap="small")
            words.caption(f"{number}\\. {QUESTIONS[question]}")
            button.button(
                _said(given.value) if given.answered else "open",
                key=f"desk question {now.map.id} {question}",
                type="secondary" if given.answered else "tertiary",
                on_click=sitting.look_at,
                args=(now.map.id, question),
                width="stretch",
            )


def _said(value: int | None) -> str:
    return "can't judge" if value is None else str(value)


def _done(places: Sequence[Placed], now: Now) -> None:
    """What is done, where something is."""
    if all(place.judged for place in places):
        st.success("All sentences are judged. Thank you.")
    elif all(now.done(map) for map in now.maps):
        st.success("All maps of this sentence are judged.")


def _moves(sitting: Sitting, places: Sequence[Placed], at: int) -> None:
    """To other places."""
    open_one = sitting.next_open(places, at)
    there = {
        ("Previous", "p"): at - 1 if at else None,
        ("Next", "n"): at + 1 if at + 1 < len(places) else None,
        ("Next open", "o"): None if open_one == at else open_one,
    }
    with st.container(horizontal=True, gap="small"):
        for (label, key), number in there.items():
            st.button(
                label,
                key=f"desk move {key}",
                shortcut=key,
                disabled=number is None,
                on_click=sitting.go,
                args=() if number is None else (places[number].id,),
            )
        st.button("Undo", key="desk undo", shortcut="u", on_click=sitting.undo)


def _more(sitting: Sitting, places: Sequence[Placed], at: int, item: Item) -> None:
    """What is needed less often."""
    place = places[at]
    with st.container(horizontal=True, gap="small"):
        with st.popover("Remark"):
            key = f"desk remark {place.id}"
            before = sitting.answers.comment_of(sitting.who.id, place.id)
            st.text_area(
                "A remark on this sentence or its maps",
                value=before,
                key=key,
                max_chars=LONGEST,
                on_change=sitting.remark,
                args=(place, key),
            )
        with st.popover("Go to"):
            wanted = st.number_input("Sentence", 1, len(places), at + 1, key=f"desk number {place.id}")
            st.button("Go", key="desk go", on_click=sitting.go, args=(places[int(wanted) - 1].id,))
            others = sum(not one.located for one in sitting.items)
            taken = {one.key for one in places}
            if any(one.key not in taken for one in sitting.items):
                st.button(f"Take also {others} sentences without a region", key="desk all", on_click=sitting.take_all)
        if sitting.live:
            with st.popover("Own sentence"), st.form("desk own sentence", clear_on_submit=False, border=False):
                st.text_input("A sentence for this picture", key="desk own", max_chars=LONGEST_SENTENCE)
                st.form_submit_button("Show maps", on_click=sitting.write, args=(item.picture, "desk own"))
