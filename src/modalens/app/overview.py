"""The first page: what lies in the folder, and what one explanation says."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from modalens.app import address, opened, pictures, tables
from modalens.app.beside import beside
from modalens.app.serving import served
from modalens.app.words import as_it_is
from modalens.explanation import Explanation
from modalens.findings import Findings
from modalens.plots.overview import tables_of
from modalens.plots.scores import score_parts
from modalens.reading import by_output_views, contribution_views, results_of
from modalens.spreadsheet import as_csv
from modalens.summary import caveats, title_words
from modalens.summary.cells import Table
from modalens.summary.tables import by_topic
from modalens.summary.verdicts import verdicts

TOPICS = {
    "contribution": "How much each modality carries",
    "gradients": "Gradients",
    "interaction": "Whether modalities are combined",
    "reliance": "How well it predicts without them",
    "score": "What the score rests on",
    "other": "Other measures",
}
"""What each topic of tables and figures asks."""


def page() -> None:
    """What lies in the folder, and one explanation: its verdicts, figures, tables and provenance."""
    address.resume()
    found = served().findings
    st.title("Overview")
    with st.expander(f"What lies in this folder: {_counted(found)}", expanded=not found.explanations):
        tables.shown(contents(found))
    for name, path in found.audits.items():
        st.markdown(f"**{as_it_is(name)}:** {as_it_is(opened.audit(path).verdict)}")
    if not found.explanations:
        return
    name = address.choice("explanation", "Explanation", list(found.explanations))
    path = found.explanations[name]
    explanation = opened.explanation(path)
    st.subheader(as_it_is(title_words(explanation)))
    for warning in explanation.provenance["warnings"]:
        st.warning(as_it_is(warning))
    st.markdown(_verdicts(explanation))
    _downloads(name, path, explanation)
    _topics(path, explanation)
    st.subheader("What to know about these numbers")
    st.markdown("\n".join(f"- {as_it_is(sentence)}" for sentence in caveats(explanation)))
    with st.expander("Provenance: model, data, settings and versions"):
        st.code(json.dumps(explanation.provenance, indent=1, ensure_ascii=False), language=None)
    with st.expander("What to cite"):
        st.code(explanation.citation(), language=None)


def _verdicts(explanation: Explanation) -> str:
    """What a reader wants to know first, as Markdown; the warnings stand above."""
    warned = explanation.provenance["warnings"]
    return "\n".join(
        f"- **{as_it_is(label)}:** {as_it_is(' '.join(one for one in sentences if one not in warned))}"
        for label, sentences in verdicts(explanation).items()
        if sentences
    )


def contents(found: Findings) -> Table:
    """Everything in the folder by name, with what it is of."""
    rows = [
        *(("explanation", name, *_said(opened.provenance(path))) for name, path in found.explanations.items()),
        *(("audit", name, "–", "–", "see the page Audit") for name in found.audits),
        *(("leaderboard", name, "–", "–", "see the page Leaderboard") for name in found.leaderboards),
    ]
    return Table(
        title=f"In {found.folder.resolve().name}", columns=("kind", "name", "model", "patients", "of"), rows=tuple(rows)
    )


def _said(about: Mapping[str, Any]) -> tuple[str, str, str]:
    kinds = "; ".join(f"{name} ({words})" for name, words in about["modalities"].items())
    return str(about["model"]), f"{about['samples']:,}", kinds


def _counted(found: Findings) -> str:
    counts = {
        "explanation": len(found.explanations),
        "audit": len(found.audits),
        "leaderboard": len(found.leaderboards),
    }
    return ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items() if count)


def _downloads(name: str, path: Path, explanation: Explanation) -> None:
    """The report, the numbers and the citation, made when they are asked for."""
    stem = Path(name).name
    with st.container(horizontal=True):
        st.download_button(
            "Report (HTML)", lambda: _report(explanation), f"{stem}.html", "text/html", on_click="ignore"
        )
        st.download_button(
            "Numbers (CSV)", lambda: as_csv(explanation.to_frame()), f"{stem}.csv", "text/csv", on_click="ignore"
        )
        st.download_button("Citation (BibTeX)", explanation.citation(), f"{stem}.bib", "text/plain", on_click="ignore")


def _report(explanation: Explanation) -> bytes:
    with tempfile.TemporaryDirectory() as folder, pictures.drawing:
        return explanation.report(Path(folder) / "report.html").read_bytes()


def _topics(path: Path, explanation: Explanation) -> None:
    """The questions that there is an answer to, a tab each: figures two by two, then the tables."""
    found = {topic: made for topic, made in by_topic(explanation).items() if made}
    if not found:
        return
    for topic, tab in zip(found, st.tabs([TOPICS[topic] for topic in found]), strict=True):
        with tab:
            figures = list(_figures(explanation, topic))
            for place, (figure, alt, settings) in zip(beside(len(figures)), figures, strict=True):
                with place:
                    pictures.figure_of(path, figure, alt, **settings)
            for table in found[topic]:
                tables.shown(table)


def _figures(explanation: Explanation, topic: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """The figures of a topic that there are numbers for, by their function in `modalens.plots`, and what each shows."""
    about = explanation.provenance
    several = len(about["outputs"]) > (2 if about["task"] == "classification" else 1)
    shapes = {
        "contribution": (
            ("contributions", "Bars of the share of each modality, with intervals.", bool(contribution_views(explanation))),
            ("contributions_by_output", "Dots of the share of each modality for each output, with intervals.", several and bool(by_output_views(explanation))),
        ),
        "gradients": (
            ("fusion_gradients", "Dots of the share of each modality by each estimator.", bool(results_of(explanation, "fusion_gradient"))),
            ("fusion_diagnostics", "Dots of the features of each modality, and of the directions that they use.", bool(results_of(explanation, "fusion_gradient"))),
        ),
        "interaction": (
            ("interaction_scores", "Dots of the interaction, beside that of an additive model.", bool(results_of(explanation, "intershap"))),
            ("orders", "Stacked bars of what single modalities, pairs and larger sets do.", bool(results_of(explanation, "intershap") or results_of(explanation, "interactions"))),
            ("interaction_matrix", "Heat map of what each modality does by itself and with each other one.", bool(results_of(explanation, "intershap"))),
        ),
        "reliance": (("reliance", "Dots of the score with everything, with each modality alone, and without it.", bool(results_of(explanation, "reliance"))),),
        "score": (("scores", "Bars of what each modality, and combining them, brings to the score.", bool(score_parts(explanation))),),
    }  # fmt: skip
    for figure, alt, there in shapes.get(topic, ()):
        if there:
            yield figure, f"{alt} The numbers are in the tables below.", {}
    for name in tables_of(explanation) if topic == "contribution" else ():
        alt = f"Bars of the parts of {name} that carry most; the largest are in the table of parts."
        yield "part_contributions", alt, {"modality": name}
