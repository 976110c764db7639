"""One record of one audit, or of two: the picture, the map of its sentence beside that of a changed one, and the sentence as the
visitor changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from modalens.alignment import Audit
from modalens.alignment.contrast.network import split
from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.records import Record
from modalens.alignment.result import AS_IT_IS, SWAP
from modalens.app import address, live, tables
from modalens.app.following import followed, language_of, lies
from modalens.app.overlay import Layer, difference, layers, png
from modalens.app.words import as_it_is
from modalens.errors import InputError
from modalens.summary.cells import Table
from modalens.summary.wording import rounded_percent
from modalens.summary.wording import score as in_digits

MOST_WORDS = 24
"""Words whose own maps are shown."""

HOW = {SWAP: "with left and right exchanged"}
"""What is done to the sentence, in the middle of one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Audited:
    """An audit by its name; changed: the time of its file. model: what was audited, where it is given."""

    name: str
    audit: Audit
    changed: int
    model: Any = None

    @property
    def smooth(self) -> bool:
        return bool(self.audit.settings["interpolation"] == "bilinear")

    def phrase(self, place: int, condition: str = AS_IT_IS) -> str:
        return str(self.audit.data.phrase.sel(condition=condition)[place].item())

    def map(self, place: int, condition: str = AS_IT_IS) -> HeatMap | None:
        maps = self.audit.maps.get(condition, ())
        return maps[place] if place < len(maps) else None


@dataclass(frozen=True, kw_only=True)
class Look:
    """How pictures are drawn: the strength of the maps, 0 to 1, and whether regions are outlined."""

    strength: float
    regions: bool


def show(audits: Sequence[Audited], place: int, subset: str) -> None:
    """Draw the record at a place, which all audits have; subset: whose means stand beside its scores."""
    first = audits[0]
    st.markdown(f"#### {as_it_is(first.phrase(place))}")
    st.caption(as_it_is(_about(first.audit, place)))
    condition = _condition(first.audit, place)
    without = [one.name for one in audits if not len(one.audit.records)]
    if without:
        st.info(
            as_it_is(
                f"{' and '.join(without)}: saved without pictures, as audits are unless that is asked for. To look at maps over pictures here, audit again with "
                "modalens audit study.yaml --pictures, or save with audit.save(path, pictures=True). Pictures of patients then lie in audit.nc."
            )
        )
    if len(without) < len(audits):
        look = _look(first.audit.records[place] if len(first.audit.records) else None)
        for one in audits:
            if len(one.audit.records):
                _maps(one, place, condition, look, named=len(audits) > 1)
        _live([one for one in audits if len(one.audit.records)], place, look)
    with st.expander("Scores of this record beside the means", expanded=len(without) == len(audits)):
        for column, one in zip(st.columns(len(audits)), audits, strict=True):
            with column:
                tables.shown(_scores(one, place, condition, subset, named=len(audits) > 1))


def _about(audit: Audit, place: int) -> str:
    row = audit.data.isel(record=place)
    said = {"Patient": row.patient, "image": row.image, "side": row.side, "findings": row.labels}
    return " · ".join(f"{name} {value.item()}" for name, value in said.items() if value.item())


def _condition(audit: Audit, place: int) -> str | None:
    """The perturbation whose map is looked at; None where the audit has none that changes a sentence."""
    as_it_is_said = audit.data.phrase.sel(condition=AS_IT_IS).values
    changing = [
        name
        for name in audit.conditions[1:]
        if any(one and one != own for one, own in zip(audit.data.phrase.sel(condition=name).values, as_it_is_said, strict=True))
    ]  # fmt: skip
    if not changing:
        return None
    condition = address.choice("condition", "Changed sentence", changing)
    why = str(audit.data.left_out.sel(condition=condition)[place].item())
    if why:
        st.caption(as_it_is(f"This record is left out of “{condition}”: {why}."))
    return condition


def _look(record: Record | None) -> Look:
    left, right = st.columns([1, 3], vertical_alignment="center")
    located = record is not None and record.located
    regions = left.toggle("Annotated regions", key="regions", disabled=not located)
    strength = right.slider("Strength of the maps (%)", 0, 100, 100, step=5, key="strength")
    return Look(strength=strength / 100, regions=regions and located)


def _maps(one: Audited, place: int, condition: str | None, look: Look, *, named: bool) -> None:
    """The picture, both maps and their difference, and what they say in words."""
    record, before = one.audit.records[place], one.map(place)
    after = None if condition is None else one.map(place, condition)
    if named:
        st.markdown(f"**{as_it_is(one.name)}**")
    columns = st.columns(4)
    with columns[0]:
        _draw(record, None, look, "The picture", "The picture without a map")
    if before is None:
        st.caption("The audit holds no map of this record.")
        return
    shown = [before] if after is None else [before, after]
    for column, layer, which, map in zip(
        columns[1:3], layers(record, shown, smooth=one.smooth), (AS_IT_IS, condition or ""), shown, strict=False
    ):
        with column:
            _draw(record, layer, look, f"“{one.phrase(place, which)}”{_nowhere(map)}", f"Map of the sentence, {which}")
    if after is None:
        st.markdown(as_it_is(lies(record, before, smooth=one.smooth)))
        return
    with columns[3]:
        _draw(record, difference(record, before, after, smooth=one.smooth), look, "Difference: red, more with the changed sentence; blue, less", "Difference of the two maps")  # fmt: skip
    assert condition is not None
    words = followed(
        record,
        before,
        after,
        phrase=one.phrase(place),
        changed=one.phrase(place, condition),
        how=HOW.get(condition, f"with “{condition}”"),
        language=language_of(one.audit),
        smooth=one.smooth,
    )
    st.markdown(as_it_is(words))


def _draw(record: Record, layer: Layer | None, look: Look, caption: str, alt: str) -> None:
    st.image(
        png(record, layer, strength=look.strength, regions=look.regions),
        caption=as_it_is(caption),
        alt=alt,
        width="stretch",
    )


def _nowhere(map: HeatMap) -> str:
    return "" if np.isnan(map.opt_out) else f"; {rounded_percent(map.opt_out)} of the attention goes nowhere"


def _scores(one: Audited, place: int, condition: str | None, subset: str, *, named: bool) -> Table:
    """The record's scores beside the means of a subset."""
    data = one.audit.data
    conditions = [AS_IT_IS, *([] if condition is None else [condition])]
    rows = tuple(
        (
            str(score).replace("_", " "),
            *(in_digits(float(data.value.sel(condition=name, score=score)[place])) for name in conditions),
            in_digits(float(one.audit.scores.sel(subset=subset, score=score))),
        )
        for score in data.score.values
    )
    shifts = []
    if condition is not None:
        own, mean = data.divergence.sel(condition=condition)[place], one.audit.moved.sel(condition=condition)
        shifts = [
            ("J divergence from the sentence as it is, in nats", "–", in_digits(float(own)), in_digits(float(mean)))
        ]
    nowhere = [in_digits(float(data.opt_out.sel(condition=name)[place])) for name in conditions]
    asks = [
        (
            "attention that goes nowhere",
            *nowhere,
            in_digits(float(data.opt_out.sel(condition=AS_IT_IS).where(data.member.sel(subset=subset)).mean())),
        )
    ]
    silent = bool(data.opt_out.isnull().all())
    return Table(
        title=f"Scores of this record{f', {one.name}' if named else ''}",
        columns=("score", *conditions, f"mean of “{subset}”, as it is"),
        rows=(*rows, *shifts, *([] if silent else asks)),
        notes=("n/a: not defined for this record, such as scores against a region where none is annotated. The mean of the divergence is that of all changed sentences.",),
    )  # fmt: skip


# The sentence as the visitor changes it -----------------------------------------------------------------------------------------


@st.fragment
def _live(audits: Sequence[Audited], place: int, look: Look) -> None:
    """A box with the sentence, buttons that change it, and what the models make of it."""
    st.header("Change the sentence", divider="gray")
    asked = [one for one in audits if one.model is not None]
    silent = [one.name for one in audits if one.model is None]
    if silent:
        st.info(
            as_it_is(
                f"{' and '.join(silent)}: no model is given, so that only the sentences of the audit have maps. To type your own, start the app with the "
                "study file: modalens app FOLDER --study study.yaml"
            )
        )
    if not asked:
        return
    first = audits[0]
    record, phrase = first.audit.records[place], first.phrase(place)
    key = f"sentence {first.name} {place}"
    typed = str(st.session_state.setdefault(key, phrase))
    swapped, why = live.exchanged(first.audit, record, typed)
    offers = live.offered(first.audit, record, place)
    with st.container(horizontal=True):
        st.button(
            "Swap left and right",
            disabled=swapped is None,
            help=as_it_is(f"The sentence {why.removeprefix('the phrase ')}.") if why else None,
            on_click=_put,
            args=(key, swapped or typed),
        )
        for words, offer in offers.items():
            st.button(words, on_click=_put, args=(key, offer))
        st.button("Reset", on_click=_put, args=(key, phrase))
    st.text_area("Sentence", key=key, max_chars=live.LONGEST, height=80)
    st.button("Show the map", type="primary")
    sentence = str(st.session_state[key])
    for one in asked:
        if len(audits) > 1:
            st.markdown(f"**{as_it_is(one.name)}**")
        try:
            _answer(one, place, sentence, look)
        except InputError as error:
            st.error(as_it_is(error))


def _put(key: str, sentence: str) -> None:
    st.session_state[key] = sentence


def _answer(one: Audited, place: int, sentence: str, look: Look) -> None:
    """The model's maps of the sentence as it is and as it was changed."""
    record, phrase = one.audit.records[place], one.phrase(place)
    before, after = (live.answer(one.name, one.changed, one.model, place, record, said) for said in (phrase, sentence))
    if not live.is_of_audit(one.audit, place, before):
        st.warning(
            "The model's map of the unchanged sentence is not the one in the audit: is this the model that was audited?"
        )
    columns = st.columns(4)
    shown = zip(columns, layers(record, [before, after], smooth=one.smooth), (phrase, sentence), (before, after), strict=False)  # fmt: skip
    for column, layer, said, map in shown:
        with column:
            _draw(record, layer, look, f"“{said}”{_nowhere(map)}", "Map of the sentence in the box" if map is after else "Map of the sentence as it is")  # fmt: skip
    with columns[2]:
        _draw(record, difference(record, before, after, smooth=one.smooth), look, "Difference: red, more with your sentence; blue, less", "Difference of the two maps")  # fmt: skip
    with columns[3]:
        if sentence == phrase:
            st.markdown(as_it_is(lies(record, after, smooth=one.smooth)))
            st.caption("The sentence is not changed yet: swap left and right, or type your own.")
        else:
            swapped, _ = live.exchanged(one.audit, record, phrase)
            how = HOW[SWAP] if sentence == swapped else "with your sentence"
            st.markdown(as_it_is(followed(record, before, after, phrase=phrase, changed=sentence, how=how, language=language_of(one.audit), smooth=one.smooth)))  # fmt: skip
    if after.words is not None and len(after.words) and st.toggle("Word by word", key=f"words of {one.name}"):
        _words(record, after, sentence, look, smooth=one.smooth)


def _words(record: Record, map: HeatMap, sentence: str, look: Look, *, smooth: bool) -> None:
    """The map of each word of a sentence, in one scale."""
    assert map.words is not None
    said = split(sentence)
    names = said if len(said) == len(map.words) else [f"word {place + 1}" for place in range(len(map.words))]
    maps = [HeatMap(values=values, extent=map.extent) for values in map.words[:MOST_WORDS]]
    drawn = list(zip(names, layers(record, maps, smooth=smooth), strict=False))
    for start in range(0, len(drawn), 6):
        for column, (name, layer) in zip(st.columns(6), drawn[start : start + 6], strict=False):
            with column:
                _draw(record, layer, look, name, f"Map of the word {name}")
    if len(names) > MOST_WORDS:
        st.caption(f"The first {MOST_WORDS} of {len(names)} words are shown.")
