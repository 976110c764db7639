"""The page stands by itself, escapes everything, and is built so that a reader, a printer and a screen reader can use it."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import modalens as ml
from explained import EVERY, Branching, followed, fused, lesion, omics, pair, regression, report
from modalens.report.page import body, write_page
from modalens.summary.headline import headline
from modalens.summary.tables import content

EVIL = '<script>alert("x")</script>'
VOID = {"meta", "img", "br", "link", "hr"}


class Reader(HTMLParser):
    """What is in a page: its elements in order, their attributes, and its text; refuses elements that do not close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def page_of(explanation: ml.Explanation, folder: Path, **settings: object) -> str:
    return write_page(explanation, folder / "page.html", **settings).read_text(encoding="utf-8")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EVERY)
def test_a_page_is_well_built(name: str, tmp_path: Path) -> None:
    page = Reader(page_of(EVERY[name](), tmp_path))
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert headings.count(1) == 1
    assert headings[0] == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(headings))
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("title")) == 1
    assert len(page.all("img")) >= 1
    assert all(image["alt"] and len(image["alt"]) > 20 for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) == len(content(EVERY[name]()))
    assert all(cell.get("scope") in ("row", "col") for cell in page.all("th"))
    assert plt.get_fignums() == []


def test_a_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    text = page_of(lesion(), tmp_path, samples=[0])
    page = Reader(text)
    assert page.all("script", "link", "iframe", "object", "embed") == []
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "url(" not in text
    assert "@import" not in text
    for image in page.all("img"):
        drawing = base64.b64decode((image["src"] or "").split(",", 1)[1]).decode()
        assert drawing.lstrip().startswith("<?xml")
        assert "<script" not in drawing
        assert not re.search(r'(?:xlink:)?href="(?!#|data:)', drawing)


def test_the_page_says_what_the_tables_and_sentences_say(tmp_path: Path) -> None:
    page = Reader(page_of(omics(), tmp_path))
    for sentence in headline(omics()):
        assert " ".join(sentence.split()) in page.words
    for table in content(omics()):
        assert table.title in page.words
        for row in table.rows:
            assert all(cell in page.words for cell in row)
        assert all(note in page.words for note in table.notes)


def test_the_page_says_what_was_evaluated(tmp_path: Path) -> None:
    explanation = lesion()
    words = Reader(page_of(explanation, tmp_path)).words
    about = explanation.provenance
    versions = (about["modalens"], f"numpy {about['versions']['numpy']}")
    for expected in (
        about["value_function"],
        about["model_fingerprint"],
        about["data"],
        about["background"]["data"],
        f"{about['head_rows']:,}",
        *versions,
    ):
        assert expected in words
    assert "replaced by rows of background patients" in words
    assert "gapp2025modality" in words
    assert "wenderoth2025measuring" in words


def test_warnings_are_on_the_page(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    inputs = {"a": random.normal(size=(8, 1)), "b": random.normal(size=(8, 1))}
    explanation = ml.explain(lambda a, b: a[:, 0] * b[:, 0], inputs, output="raw", progress=False)
    assert explanation.provenance["warnings"]
    words = Reader(page_of(explanation, tmp_path)).words
    assert all(warning in words for warning in explanation.provenance["warnings"])
    assert Reader(page_of(regression(), tmp_path)).all("ul")[1].get("class") != "warnings"


def test_everything_from_outside_is_escaped(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    inputs = {
        "a": pd.DataFrame({EVIL: random.normal(size=10), "b": random.normal(size=10)}),
        "note": [f"fine {EVIL}", "not fine"] * 5,
    }
    explanation = ml.explain(
        lambda a, note: 1 / (1 + np.exp(-a.iloc[:, 0].to_numpy() * (1 + np.array(["not" in text for text in note])))),
        inputs,
        classes=["well", EVIL],
        target=EVIL,
        measures=[ml.Occlusion(), ml.InterSHAP(), ml.Interactions()],
        progress=False,
    )
    settings = {
        "title": EVIL,
        "preface": EVIL,
        "notes": [EVIL],
        "scores": pd.DataFrame({EVIL: [0.5]}, index=[EVIL]),
        "samples": [0],
    }
    for text in (page_of(explanation, tmp_path, **settings), body(explanation)):
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        assert Reader(text).all("script") == []


def test_title_preface_notes_and_scores_are_shown(tmp_path: Path) -> None:
    scores = pd.DataFrame(
        {"AUC": [0.912, float("nan")], "patients": [40, 40]}, index=pd.Index(["both", "image only"], name="trained on")
    )
    text = page_of(
        lesion(),
        tmp_path,
        title="Skin lesions",
        preface="First.\n\nSecond.",
        notes=["One hospital only."],
        scores=scores,
    )
    words = Reader(text).words
    assert "<h1>Skin lesions</h1>" in text
    assert "<p>First.</p>" in text
    assert "<p>Second.</p>" in text
    assert "One hospital only." in words
    assert "trained on AUC patients both 0.912 40 image only n/a 40" in words


def test_no_patient_is_shown_unless_asked_for(tmp_path: Path) -> None:
    private = "pneumonia"
    assert any(private in text for text in report().inputs["report"])
    assert private not in page_of(report(), tmp_path)
    shown = Reader(page_of(report(), tmp_path, samples=[2]))
    assert "Sample 2, part by part" in shown.words
    with pytest.raises(ml.InputError, match="sample=99"):
        page_of(report(), tmp_path, samples=[99])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ml.InputError, match="can't be written"):
        page_of(lesion(), tmp_path / "missing")


def test_the_fragment_keeps_to_itself() -> None:
    """In a notebook: no page around it, no first heading, and no style for what is outside."""
    fragment = body(omics())
    reader = Reader(fragment)
    assert reader.elements[0] == ("div", {"class": "modalens"})
    assert reader.all("html", "body", "h1", "script") == []
    style = re.search(r"<style>(.*?)</style>", fragment, re.DOTALL)
    assert style is not None
    rules = re.sub(r"@page \{.*?\}", "", style[1])
    for selector in re.findall(r"(?:^|\})\s*([^{}@]+)\{", rules):
        assert all(one.strip().startswith(".modalens") for one in selector.split(",")), selector
    assert omics()._repr_html_() == fragment


@pytest.mark.parametrize(
    "measure",
    [ml.Occlusion(name="mine"), ml.Shapley(), ml.InterSHAP(), ml.Interactions(), ml.Reliance()],
    ids=lambda measure: measure.key,
)
def test_any_measure_by_itself_has_a_page(measure: ml.Measure) -> None:
    Reader(body(pair(measures=[measure], labels=np.arange(12) % 2)))


def test_the_same_explanation_gives_the_same_page(tmp_path: Path) -> None:
    assert page_of(lesion(), tmp_path) == page_of(lesion(), tmp_path)


def test_the_page_shows_gradients_and_what_they_are(tmp_path: Path) -> None:
    page = Reader(page_of(fused(), tmp_path))
    assert "Gradients at the fusion point Each modality first goes through an encoder of its own" in page.words
    assert "The first column counts" in page.words
    (alt,) = [image["alt"] or "" for image in page.all("img") if (image["alt"] or "").startswith("Gradients at the")]
    assert f"ct: contribution (expected) {100 * float(fused().fusion_gradient.contribution[0]):.1f} %" in alt


def test_the_page_of_gradients_alone_speaks_of_nothing_hidden(tmp_path: Path) -> None:
    words = Reader(page_of(followed(), tmp_path)).words
    assert "The more the model's output follows what it is told by a modality" in words
    assert "A part of the input is hidden" not in words
    assert "It is asked in up to six ways" in Reader(page_of(fused(), tmp_path)).words


def test_the_page_says_how_the_model_was_run(tmp_path: Path) -> None:
    split = Reader(page_of(fused(), tmp_path)).words
    assert "Where the modalities meet (fusion point) Found in the model's exported graph" in split
    assert "so that every row was encoded once" in split
    assert f"head {fused().provenance['batch_size']['head']:,}" in split
    whole = Reader(page_of(followed(Branching()), tmp_path)).words
    assert "The model ran whole (it can't be exported" in whole
    assert "Gradients at the inputs The model's output is followed while its inputs change" in whole


def test_an_explanation_from_before_has_a_page(tmp_path: Path) -> None:
    about = {name: value for name, value in lesion().provenance.items() if name != "fusion_point"}
    old = replace(lesion(), provenance=about | {"batch_size": 64})
    words = Reader(page_of(old, tmp_path)).words
    assert f"{about['head_rows']:,} rows in all" in words
    assert "Where the modalities meet" not in words
    assert "Rows a call 64" in words
