"""A model that is asked while its sentences are edited: each pair once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from modalens.alignment import Audit
from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.perturbations import SwapLaterality, Template
from modalens.alignment.records import Record
from modalens.alignment.result import AS_IT_IS, OTHER_FINDING, RANDOM, TEMPLATE
from modalens.app.asking import map_of
from modalens.app.following import language_of
from modalens.errors import InputError

LONGEST = 1000
"""Characters of a sentence that is typed in."""

OFFERED = {TEMPLATE: "Said plainly", OTHER_FINDING: "Another finding", RANDOM: "Another patient's sentence"}
"""The perturbations whose sentences can be put into the box, by the words on their buttons."""


def answer(name: str, changed: int, model: Any, place: int, record: Record, phrase: str) -> HeatMap:
    """The model's map of a record's picture for a sentence. name, changed: the audit and the time of its file, by which answers
    are kept.

    Raises InputError for an empty sentence, and where the model fails or gives no map; what it raised is said.
    """
    if not phrase.strip():
        raise InputError("the sentence is empty: type one.")
    if len(phrase) > LONGEST:
        raise InputError(f"the sentence has {len(phrase)} characters: {LONGEST} are read.")
    return _answer(name, changed, model, place, record, phrase)


@st.cache_resource(max_entries=256, show_spinner="Asking the model…")
def _answer(name: str, changed: int, _model: Any, place: int, _record: Record, phrase: str) -> HeatMap:
    return map_of(_model, _record, phrase)


def is_of_audit(audit: Audit, place: int, found: HeatMap) -> bool:
    """Whether the model gives the map that the audit holds, for the sentence as it is: else it is another model, or not
    repeatable.
    """
    held = audit.maps.get(AS_IT_IS, ())
    map = held[place] if place < len(held) else None
    if map is None:
        return True
    scale = float(np.abs(map.values).max()) or 1.0
    return map.values.shape == found.values.shape and bool(np.allclose(map.values, found.values, atol=1e-3 * scale))


def exchanged(audit: Audit, record: Record, phrase: str) -> tuple[str | None, str]:
    """A sentence with left and right exchanged, as the audit does it; None with the reason where that can't be done."""
    if not phrase.strip():
        return None, "the sentence is empty"
    swap = SwapLaterality(language=language_of(audit))
    changed = swap.changed([replace(record, phrase=phrase)], np.random.default_rng(0))
    return changed.phrases[0], changed.reasons[0]


def offered(audit: Audit, record: Record, place: int) -> dict[str, str]:
    """Other sentences for a record, by the words on their buttons: those of the audit's perturbations, and a plain one."""
    found = {}
    for condition, words in OFFERED.items():
        if condition in audit.conditions and (phrase := str(audit.data.phrase.sel(condition=condition)[place].item())):
            found[words] = phrase
    plain = Template().changed([record], np.random.default_rng(0)).phrases[0]
    return ({OFFERED[TEMPLATE]: plain} if plain is not None else {}) | found
