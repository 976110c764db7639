"""What the desk works with, opened once for all visitors: the items, the answers, the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import streamlit as st

from modalens.alignment.sources import Highlighter
from modalens.app import opened
from modalens.app.asking import map_of
from modalens.app.desk.answers import Answers
from modalens.app.desk.items import Item, Shown, shared_items
from modalens.app.desk.keys import Door
from modalens.app.desk.telling import ForAnnotator, told
from modalens.app.serving import Served
from modalens.errors import InputError


def items_of(what: Served) -> list[Item]:
    """The sentences that all audits of the folder share; read again when a file has changed."""
    audits = what.findings.audits
    return _items(tuple((name, path, opened.changed(path)) for name, path in audits.items()))


def answers_of(what: Served) -> Answers:
    """The data base of answers."""
    if what.answers is None:
        raise InputError("the desk has nowhere to keep answers: give the URL of a data base with --answers.")
    return _answers(what.answers)


def door_of(annotators: Path) -> Door:
    """The door for annotators with keys: one for the whole process, so that it remembers who tried."""
    return _door(annotators)


def answered_live(models: Mapping[str, Highlighter], item: Item, phrase: str, author: str) -> Item:
    """An annotator's own sentence for the picture of an item, with the maps that the models make of it now. No region was
    annotated for it.

    Raises ForAnnotator where a model can't make one; the terminal says why, since what a model says of itself may name it.
    """
    maps = {name: _asked(models[name], shown, phrase) for name, shown in item.maps.items() if name in models}
    return Item(picture=item.picture, phrase=phrase, patient=item.patient, author=author, maps=maps)


def _asked(model: Highlighter, shown: Shown, phrase: str) -> Shown:
    record = replace(shown.record, phrase=phrase, boxes=[], masks=(), laterality="", labels=(), abnormal=None)
    try:
        map = map_of(model, record, phrase)
    except InputError as error:
        told(error)
        raise ForAnnotator("No map could be made of this sentence; the terminal of the app says why.") from error
    return replace(shown, record=record, map=map)


@st.cache_resource(max_entries=2, show_spinner="Opening…")
def _items(audits: tuple[tuple[str, Path, int], ...]) -> list[Item]:
    return shared_items({name: opened.audit(path) for name, path, _ in audits})


@st.cache_resource(show_spinner="Opening…")
def _answers(url: str) -> Answers:
    return Answers(url)


@st.cache_resource(show_spinner="Opening…")
def _door(annotators: Path) -> Door:
    return Door(annotators)
