"""The page stands by itself, escapes everything, and is built so that a reader, a printer and a screen reader can use it."""

from __future__ import annotations

import base64
import re
import tempfile
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from reading_pages import Reader, require_self_contained, require_well_built

import modalens as ml
from explained import EVERY, Branching, followed, fused, lesion, multilabel, omics, pair, regression, report
from modalens.report.layout import FOLDER
from modalens.report.page import body
from modalens.summary.contribution import by_baseline
from modalens.summary.tables import content
from modalens.summary.verdicts import verdicts

EVIL = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror="alert(2)">'


@cache
def known_page(name: str) -> str:
    """The report of an explanation that is known by heart, written once; patients are on that of the lesion."""
    with tempfile.TemporaryDirectory() as folder:
        return page_of(EVERY[name](), Path(folder), patients=name == "lesion")


def page_of(explanation: ml.Explanation, folder: Path, **settings: Any) -> str:
    return explanation.report(folder / "page.html", **settings).read_text(encoding="utf-8")


def small(**settings: Any) -> ml.Explanation:
    """Two tables, one measure."""
    return pair(**({"measures": [ml.Occlusion()]} | settings))


@pytest.mark.parametrize("name", EVERY)
def test_a_page_is_well_built_and_self_contained(name: str) -> None:
    page = Reader(known_page(name))
    require_well_built(page)
    require_self_contained(known_page(name))
    assert plt.get_fignums() == []
    assert len(known_page(name)) < 3_000_000


def test_images_in_a_page_load_and_run_nothing() -> None:
    for image in Reader(known_page("lesion")).all("img"):
        drawing = base64.b64decode((image["src"] or "").split(",", 1)[1])
        if (image["src"] or "").startswith("data:image/svg"):
            assert drawing.lstrip().startswith(b"<?xml")
            assert b"<script" not in drawing
            assert not re.search(rb'(?:xlink:)?href="(?!#|data:)', drawing)


@pytest.mark.parametrize("name", EVERY)
def test_the_page_says_what_the_tables_and_verdicts_say(name: str) -> None:
    explanation, page = EVERY[name](), Reader(known_page(name))
    labels = verdicts(explanation)
    assert list(labels) == ["Carries most", "Ignored", "Combines", "How sure", "Careful"]
    terms = [tag for tag, _ in page.elements].count("dt")
    assert terms >= len(labels)
    for label, sentences in labels.items():
        assert sentences
        for sentence in (label, *sentences):
            assert " ".join(sentence.split()) in page.words
    elsewhere = list(by_baseline(explanation))
    for table in content(explanation):
        if table in elsewhere:
            continue
        shown = page.table(table.title)
        assert [tuple(row) for row in shown.rows] == list(table.rows)
        assert tuple(shown.columns) == table.columns
        assert all(" ".join(note.split()) in page.words for note in table.notes)


def test_the_answer_stands_first_and_its_limits_last() -> None:
    text = known_page("lesion")
    titles = re.findall(r"<h2[^>]*>([^<]*)</h2>", text)
    assert titles[:2] == ["Contents", "The answer in short"]
    assert titles[-1] == "What this cannot show"
    wanted = [
        "How much each modality carries", "Single patients", "Who was explained", "How well it predicts", "Where it errs, and in whom",
        "What a lost modality does to the performance", "How much the answer depends on choices", "Methods", "Citation",
    ]  # fmt: skip
    assert [title for title in titles if title in wanted] == wanted
    assert text.index("Carries most") < text.index("<img")
    assert "How much each modality carries, output by output" in re.findall(
        r"<h2[^>]*>([^<]*)</h2>", known_page("omics")
    )


def test_the_page_says_what_was_evaluated() -> None:
    words, about = Reader(known_page("lesion")).words, lesion().provenance
    for expected in (
        about["value_function"],
        about["model_fingerprint"],
        about["data"],
        about["background"]["data"],
        f"{about['head_rows']:,}",
        about["modalens"],
        f"numpy {about['versions']['numpy']}",
        "replaced by rows of background patients",
        "gapp2025modality",
        "wenderoth2025measuring",
    ):
        assert expected in words


def test_warnings_are_under_careful(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    inputs = {"a": random.normal(size=(8, 1)), "b": random.normal(size=(8, 1))}
    explanation = ml.explain(
        lambda a, b: a[:, 0] * b[:, 0], inputs, output="raw", measures=[ml.Occlusion()], progress=False
    )
    warnings = explanation.provenance["warnings"]
    assert warnings
    assert set(warnings) <= set(verdicts(explanation)["Careful"])
    assert all(warning in Reader(page_of(explanation, tmp_path, patients=False)).words for warning in warnings)


# Everything from outside is text ----------------------------------------------------------------------------------------------------


def test_everything_from_outside_is_escaped(tmp_path: Path) -> None:
    """Names of the model, classes, modalities, columns, characteristics and patients, words of texts, and what the author adds."""
    evil = EVIL + IMAGE
    explanation = hostile(evil)
    settings: dict[str, Any] = {
        "title": evil,
        "preface": f"One.\n\n{evil}",
        "notes": [evil],
        "scores": pd.DataFrame({evil: [0.5]}, index=pd.Index([evil], name=evil)),
        "samples": [0],
    }
    for text in (page_of(explanation, tmp_path, **settings), body(explanation)):
        assert not re.search(r"<script|<img src=x|onerror=\"", text)
        assert "&lt;script&gt;" in text
        assert "&#34;&gt;&lt;img" in text
        assert Reader(text).all("script") == []
        assert all((image["src"] or "").startswith("data:image/") for image in Reader(text).all("img"))


def hostile(evil: str) -> ml.Explanation:
    """An explanation in which every name is hostile. `explain` takes no such name of a modality, but a file may hold one."""
    random = np.random.default_rng(0)
    inputs = {
        "labs": pd.DataFrame({evil: random.normal(size=12), "b": random.normal(size=12)}),
        "note": [f"fine {evil}", "not fine"] * 6,
    }

    def model(labs: pd.DataFrame, note: list[str]) -> np.ndarray:
        return np.asarray(
            1 / (1 + np.exp(-labs.iloc[:, 0].to_numpy() * (1 + np.array(["not" in text for text in note]))))
        )

    model.__name__ = evil
    known = pd.DataFrame({evil: [f"x {evil}", "y"] * 6}, index=[f"{evil} {place}" for place in range(12)])
    explanation = ml.explain(
        model,
        inputs,
        classes=["well", evil],
        labels=np.arange(12) % 2,
        characteristics=known,
        measures=[ml.Occlusion(), ml.InterSHAP(), ml.Interactions(), ml.Reliance()],
        progress=False,
    )
    return with_modality_named(explanation, "labs", f"labs {evil}")


def with_modality_named(explanation: ml.Explanation, old: str, new: str) -> ml.Explanation:
    """The same with another name of a modality, everywhere."""

    def named(value: Any) -> Any:
        if isinstance(value, xr.DataArray | xr.Dataset):
            held = {
                dim: list(map(named, value[dim].values))
                for dim in value.coords
                if value[dim].dtype.kind in "OU" and value[dim].ndim == 1
            }
            return value.assign_coords(
                {
                    str(dim): (dim, names)
                    for dim, names in held.items()
                    if dim in ("modality", "modality_2", "coalition", "available")
                }
            )
        if isinstance(value, dict):
            return {named(key): named(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(named, value))
        return re.sub(rf"\b{old}\b", lambda _: new, str(value)) if isinstance(value, str) else value

    results = {
        name: replace(
            result,
            arrays=named(dict(result.arrays)),
            draws=named(result.draws),
            monte_carlo_error=named(result.monte_carlo_error),
            settings=named(dict(result.settings)),
        )
        for name, result in explanation.results.items()
    }
    about, held = named(dict(explanation.provenance)), named(explanation.cohort)
    return replace(explanation, results=results, provenance=about, inputs=named(dict(explanation.inputs)), cohort=held)  # fmt: skip


# What the author gives ----------------------------------------------------------------------------------------------------------------


def test_title_preface_notes_and_scores_are_shown(tmp_path: Path) -> None:
    scores = pd.DataFrame(
        {"AUC": [0.912, float("nan")], "patients": [40, 40]}, index=pd.Index(["both", "image only"], name="trained on")
    )
    notes = ["One hospital only."]
    text = page_of(
        small(), tmp_path, title="Skin", preface="First.\n\nSecond.", notes=notes, scores=scores, patients=False
    )
    page = Reader(text)
    assert "<h1>Skin</h1>" in text
    assert "<p>First.</p>" in text
    assert "<p>Second.</p>" in text
    table = page.table("Scores of trained models")
    assert table.columns == ["trained on", "AUC", "patients"]
    assert table.rows == [["both", "0.912", "40"], ["image only", "n/a", "40"]]
    assert text.rindex("One hospital only.") > text.rindex("What this cannot show")


def test_the_sensitivity_table_is_shown(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    inputs = {"a": random.normal(size=(20, 3)), "b": random.normal(size=(20, 2))}

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-a.sum(1) - b[:, 0])))

    table = ml.sensitivity(model, inputs, background=inputs, outputs="logit", progress=False)
    explanation = ml.explain(model, inputs, background=inputs, measures=[ml.Occlusion()], progress=False)
    shown = Reader(page_of(explanation, tmp_path, sensitivity=table, patients=False)).table("Every combination")
    assert len(shown.rows) == len(table[["measure", "quantity", "baseline"]].drop_duplicates())
    for row in table[table["measure"] == "shapley"].itertuples():
        place = {"background": "other patients' data", "mean": "the mean"}[row.baseline]
        (line,) = [one for one in shown.rows if one[0] == "Shapley value" and one[1] == place]
        assert line[shown.columns.index(row.modality)].startswith(f"{100 * row.value:.1f} % (")
    with pytest.raises(ml.InputError, match=r"sensitivity: expected the table that ml\.sensitivity"):
        page_of(explanation, tmp_path, sensitivity=pd.DataFrame({"a": [1]}), patients=False)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ml.InputError, match=r"can't be written"):
        page_of(small(), tmp_path / "missing", patients=False)


def test_the_same_explanation_gives_the_same_page(tmp_path: Path) -> None:
    assert page_of(small(), tmp_path) == page_of(small(), tmp_path)


# In notebooks -------------------------------------------------------------------------------------------------------------------------


def test_the_fragment_keeps_to_itself() -> None:
    """In a notebook: no page around it, no first heading, and no style for what is outside; no patients."""
    fragment = body(report())
    reader = Reader(fragment)
    assert reader.elements[0] == ("div", {"class": "modalens"})
    assert reader.all("html", "body", "h1", "script") == []
    assert "pneumonia" not in fragment
    style = re.search(r"<style>(.*?)</style>", fragment, re.DOTALL)
    assert style is not None
    rules = re.sub(r"@page \{.*?\}", "", style[1])
    for selector in re.findall(r"(?:^|\})\s*([^{}@]+)\{", rules):
        assert all(one.strip().startswith(".modalens") for one in selector.split(",")), selector
    assert report()._repr_html_() == fragment


@pytest.mark.parametrize(
    "measure",
    [ml.Occlusion(name="mine"), ml.Shapley(), ml.InterSHAP(), ml.Interactions(), ml.Reliance()],
    ids=lambda measure: measure.key,
)
def test_any_measure_by_itself_has_a_page(measure: ml.Measure, tmp_path: Path) -> None:
    explanation = pair(measures=[measure], labels=np.arange(12) % 2)
    Reader(body(explanation))
    require_well_built(Reader(page_of(explanation, tmp_path)))


# What is there, and what is not -------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_said_with_its_remedy(tmp_path: Path) -> None:
    """No labels, no characteristics, no Shapley values, no interactions, no cohort: a sentence each, and no empty section."""
    page = Reader(page_of(small(), tmp_path, patients=False))
    for remedy in ("explain(..., labels=...)", "explain(..., characteristics=frame)", "measures=[ml.InterSHAP(), ...]", "measures=[ml.Reliance(), ...]"):  # fmt: skip
        assert remedy in page.words
    no_occlusion = Reader(page_of(pair(measures=[ml.Shapley()]), tmp_path))
    assert "measures=[ml.Occlusion(), ...]" in no_occlusion.words
    by_hand = replace(small(), cohort=xr.Dataset())
    page = Reader(page_of(by_hand, tmp_path, patients=False))
    require_well_built(page)
    assert "as one made by hand does not" in page.words


def test_the_page_shows_gradients_and_what_they_are() -> None:
    page = Reader(known_page("fused"))
    assert "Gradients at the fusion point Each modality first goes through an encoder of its own" in page.words
    assert "The first column counts" in page.words
    alt = page.alt("Gradients at the")
    assert f"ct: contribution (expected) {100 * float(fused().fusion_gradient.contribution[0]):.1f} %" in alt
    assert "It is asked in up to six ways" in page.words


def test_the_page_of_gradients_alone_speaks_of_nothing_hidden(tmp_path: Path) -> None:
    words = Reader(page_of(followed(), tmp_path, patients=False)).words
    assert "The more the model's output follows what it is told by a modality" in words
    assert "A part of the input is hidden" not in words
    assert "makes patients that do not exist" not in words


def test_the_page_says_how_the_model_was_run(tmp_path: Path) -> None:
    split = Reader(known_page("fused")).words
    assert "Where the modalities meet (fusion point) Found in the model's exported graph" in split
    assert "so that every row was encoded once" in split
    assert f"head {fused().provenance['batch_size']['head']:,}" in split
    whole = Reader(page_of(followed(Branching()), tmp_path, patients=False)).words
    assert "The model ran whole (it can't be exported" in whole
    assert "Gradients at the inputs The model's output is followed while its inputs change" in whole


def test_an_explanation_from_before_has_a_page(tmp_path: Path) -> None:
    about = {name: value for name, value in small().provenance.items() if name != "fusion_point"}
    old = replace(small(), provenance=about | {"batch_size": 64})
    words = Reader(page_of(old, tmp_path, patients=False)).words
    assert f"{about['head_rows']:,} rows in all" in words
    assert "Where the modalities meet" not in words
    assert "Rows a call 64" in words


# Contrast -----------------------------------------------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast of two colours.

    >>> round(contrast("#000000", "#ffffff"), 1)
    21.0
    """
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_colour_of_text_can_be_read_on_every_background() -> None:
    """The style sheet sets all colours; any of its text colours has enough contrast on any of its backgrounds."""
    style = (FOLDER / "page.css").read_text(encoding="utf-8")
    texts = set(re.findall(r"[^-]color: (#[0-9a-f]{6})", style))
    backgrounds = set(re.findall(r"background: (#[0-9a-f]{6})", style))
    assert len(texts) > 3
    assert len(backgrounds) > 3
    assert round(contrast("#000000", "#ffffff"), 6) == 21
    for text, ground in product(texts, backgrounds):
        assert contrast(text, ground) >= 4.5, (text, ground)
    outline = re.search(r"focus-visible \{ outline: 3px solid (#[0-9a-f]{6})", style)
    assert outline is not None
    assert all(contrast(outline[1], ground) >= 3 for ground in backgrounds)


def test_numbers_of_a_regression_and_of_labels_are_there() -> None:
    page = Reader(known_page("regression"))
    residual = regression().cohort.label.values.ravel() - regression().cohort.prediction.values.ravel()
    assert page.table("Performance").cell("R squared", "value")
    assert float(page.table("The same for each output").rows[0][1].split(" ")[0]) == pytest.approx(np.sqrt((residual**2).mean()), abs=1e-3)  # fmt: skip
    table = Reader(known_page("multilabel")).table("How much each modality carries for each output")
    shares = multilabel().occlusion.by_output.sel(output="nodule")
    assert table.cell("nodule", "xray").startswith(f"{100 * float(shares.sel(modality='xray')):.1f} % (")
    assert omics().provenance["outputs"] == ["basal", "luminal", "normal"]
