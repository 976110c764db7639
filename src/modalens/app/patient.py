"""One patient: what the model says, how that comes about, and where it lies among the others."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from modalens.app import address, charts, filters, one_patient, opened, pictures, tables
from modalens.app.beside import beside
from modalens.app.serving import served
from modalens.app.words import as_it_is
from modalens.explanation import Explanation
from modalens.reading import result_of

PATIENT, OUTPUT = "patient", "output"
"""Under which names the address says who is looked at, by position, and which output."""


def place() -> st.Page:
    """Where this page is, for links to it."""
    return st.Page(page, title="Patient", url_path="patient")


def page() -> None:
    """One patient of an explanation, chosen by name, by going on within the filters of the cohort, or from those to look at first."""
    address.resume()
    found = served().findings.explanations
    st.title("Patient")
    name = address.choice("explanation", "Explanation", list(found), place=st.sidebar)
    path = found[name]
    explanation, table = opened.explanation(path), opened.patients(path)
    _to_look_at_first(path)
    sample = _sample(table, filters.narrowed(path).table)
    output = _output(explanation)
    st.subheader(as_it_is(one_patient.called(table, sample)), anchor=False)
    st.markdown(as_it_is(one_patient.in_words(explanation, table, sample)))
    _figure(path, explanation, sample, output)  # first: what people come for; the browser takes longer over charts
    left, right = beside(2)
    with left:
        tables.shown(one_patient.predictions(explanation, sample))
        _among(explanation, table, sample)
    with right:
        if result_of(explanation, "occlusion") is not None:
            tables.shown(one_patient.largest_parts(explanation, sample, output))
    _texts(explanation, sample, output)
    known = one_patient.characteristics(explanation, sample)
    if known is not None:
        tables.shown(known)


def _sample(table: pd.DataFrame, shown: pd.DataFrame) -> int:
    """The patient whom the address asks for, with ways to the ones before and after within the filters."""
    asked = st.query_params.get(PATIENT, "")
    there = asked.isdecimal() and int(asked) < len(table)
    sample = int(asked) if there else int(shown.index[0]) if len(shown) else 0
    if asked and not there:
        st.warning(
            as_it_is(f"There is no patient {asked!r}: they are numbered from 0 to {len(table) - 1}. Shown is {sample}.")
        )
    order = shown.index.to_list()
    where = order.index(sample) if sample in order else None
    before = None if not where else order[where - 1]
    after = (order[0] if order else None) if where is None else order[where + 1] if where + 1 < len(order) else None
    options = [str(one) for one in (order if where is not None else [sample, *order])]
    names = one_patient.names(table)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button("← Previous", on_click=_go, args=(before,), disabled=before is None)
        address.held(PATIENT, "Patient", options, str(sample), shown=lambda one: names[int(one)])
        st.button("Next →", on_click=_go, args=(after,), disabled=after is None)
    asked_for = filters.words()
    if asked_for or filters.ORDER in st.query_params:
        among = f"of {len(order):,} patients" + (f" ({asked_for})" if asked_for else "")
        st.caption(as_it_is(f"Not one {among}." if where is None else f"{where + 1:,} {among}, in the order of the cohort's page."))  # fmt: skip
    return sample


def _go(sample: int | None) -> None:
    if sample is not None:
        address.tell(PATIENT, [str(sample)])


def _output(explanation: Explanation) -> str | None:
    """The output that is looked at; None for all of them, by amounts."""
    outputs = [str(name) for name in explanation.provenance["outputs"]]
    said = "all together: how much each part changes them"
    if len(outputs) == 1:
        said = "how much each part changes it"
    found = address.choice(
        OUTPUT,
        "Output",
        ["", *outputs],
        shown=lambda name: f"{name}: which parts raise or lower it" if name else said,
    )
    return found or None


def _to_look_at_first(path: Path) -> None:
    """Ways to the patients who were chosen by rule."""
    chosen = opened.chosen(path)
    if not chosen:
        return
    with st.sidebar:
        st.subheader("Patients to look at first")
        for one in chosen:
            kind, _, why = one.words.partition(": ")
            st.button(as_it_is(f"{kind}: sample {one.sample}"), on_click=_go, args=(one.sample,), width="stretch")
            st.caption(as_it_is(why[:1].upper() + why[1:]))


def _figure(path: Path, explanation: Explanation, sample: int, output: str | None) -> None:
    if result_of(explanation, "occlusion") is None:
        st.info("There is no figure of this patient's parts: it needs explain(..., measures=[ml.Occlusion(), ...]).")
        return
    alt = f"Sample {sample}: how its output comes about, and what each part of its modalities changes; the largest changes are in the table below."
    pictures.figure_of(path, "patient", alt, sample=sample, output=output)


def _among(explanation: Explanation, table: pd.DataFrame, sample: int) -> None:
    """This patient's shares among those of all."""
    names = [name for name in explanation.modalities if f"{name} share" in table]
    if not names:
        return
    tables.shown(one_patient.among(table, names, sample))
    charts.among(table, [f"{name} share" for name in names], sample, names)
    st.caption(
        "Dot: this patient. Stroke: the median of all patients; grey: their middle half; line: from the 5th to the 95th of a hundred."
    )


def _texts(explanation: Explanation, sample: int, output: str | None) -> None:
    """The texts of the patient, with the words coloured that change the output, and as they were given."""
    for name in one_patient.texts(explanation, sample):
        st.subheader(as_it_is(name), anchor=False)
        st.markdown(one_patient.coloured(explanation, name, sample, output))
        if output is None:
            st.caption(
                "Orange: words that change the output by more than half of what the strongest part of this patient does; yellow: by more than a seventh."
            )
        else:
            said = "bold: by more than half of what the strongest part of this patient does; without colour: by less than a seventh."
            st.caption(as_it_is(f"Red words raise “{output}”, blue ones lower it; {said}"))
        given = explanation.inputs.get(name)
        if given is not None and isinstance(text := given[sample], str):
            with st.expander("The text as it was given"):
                st.text(text)
