"""One page about a folder: what explain, audit, validate and demo wrote, read back and written again."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reading_pages import Reader, pictures_of_patients, require_self_contained, require_well_built

import modalens as ml
from audited import bilateral, obedient
from explained import pair, sigmoid
from modalens.alignment import Audit
from modalens.findings import findings_in, report_on
from modalens.report.beside import Beside
from modalens.report.page import PRIVATE
from modalens.report.together import write_folder
from modalens.summary.cells import Table

EVIL = "<script>alert(1)</script>"


class Planted:
    """A planting as a page sees it, with a hostile name in it."""

    verdict = f"found: a mark grows with {EVIL}"

    def tables(self) -> list[Table]:
        return [Table(title="What was planted", columns=("planted", EVIL), rows=(("0 %", "10 %"), ("50 %", "48 %")))]

    def plot(self) -> Any:
        return one().plot()


class Useful:
    """Usefulness as a page sees it."""

    def table(self) -> Table:
        return Table(title="What models reach", columns=("modality", "alone"), rows=(("a", "0.71"), ("b", "0.52")))

    def plot(self, explanation: ml.Explanation | None = None) -> Any:
        return one().plot()


@cache
def one() -> ml.Explanation:
    return pair(measures=[ml.Occlusion(), ml.Shapley()])


@cache
def other() -> ml.Explanation:
    """Another model on the same patients, which reads the second table more."""
    return pair(lambda a, b: sigmoid(a[:, 0] + 3 * b[:, 0]), measures=[ml.Occlusion(), ml.Shapley()])


@cache
def plain() -> ml.Explanation:
    """One with the least on its page."""
    return pair(measures=[ml.Occlusion()])


@cache
def audited() -> Audit:
    return ml.audit(obedient, bilateral(5), perturbations=[])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two explanations with everything that can be known beside them."""
    target = tmp_path_factory.mktemp("results")
    scores = pd.DataFrame({"AUC": [0.8, 0.6]}, index=pd.Index(["both", "a alone"], name="model"))
    write_folder(
        {"first": one(), "second": other()},
        target,
        title=f"A study {EVIL}",
        preface="Who was asked.\n\nAnd why.",
        notes=["One hospital only."],
        scores=scores,
        planting={"first": Planted()},
        usefulness=Useful(),
        patients=False,
    )
    return target


def test_a_folder_holds_its_files_and_one_page(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    each = {
        f"{name}.{ending}" for name in ("first", "second", "first-planting", "usefulness") for ending in ("svg", "png")
    }
    tables = {f"{name}.{ending}" for name in ("first", "second") for ending in ("nc", "csv")}
    assert names == each | tables | {"report.json", "report.html"}
    page = Reader((folder / "report.html").read_text(encoding="utf-8"))
    require_well_built(page)
    require_self_contained((folder / "report.html").read_text(encoding="utf-8"))
    for words in (
        "First: what",
        "Second: what",
        "And why.",
        "One hospital only.",
        "A mark grows".lower(),
        "Would a shortcut be seen?",
    ):
        assert words in page.words
    assert page.table("Scores of trained models").cell("a alone", "AUC") == "0.600"
    assert page.table("What models reach").rows == [["a", "0.71"], ["b", "0.52"]]
    assert page.table("What was planted").rows == [["0 %", "10 %"], ["50 %", "48 %"]]


def test_the_page_that_is_written_again_is_the_same(folder: Path, tmp_path: Path) -> None:
    again = report_on(folder, tmp_path / "again.html", patients=False)
    assert again.read_text(encoding="utf-8") == (folder / "report.html").read_text(encoding="utf-8")


def test_two_models_on_the_same_patients_are_compared(folder: Path) -> None:
    table = Reader((folder / "report.html").read_text(encoding="utf-8")).table("Second minus first")
    found = ml.compare(one(), other())
    change = 100 * float(found.differences["shapley"]["contribution"].sel(modality="b"))
    low, high = (100 * found.interval["shapley"]["contribution"].sel(modality="b")).values
    assert table.cell(
        "share of “b”, Shapley value", "difference"
    ) == f"{change:+.1f} ({low:+.1f} to {high:+.1f})".replace("-", "−")
    share = 100 * float(other().shapley.contribution.sel(modality="b"))
    assert table.cell("share of “b”, Shapley value", "second").startswith(f"{share:.1f} % (")


def test_everything_in_a_folder_is_on_the_page(tmp_path: Path) -> None:
    """Explanations of other patients, which can't be compared, in folders of their own; an audit; and no patients."""
    for name, samples in (("one", 12), ("deep/two", 14)):
        target = tmp_path / name
        target.mkdir(parents=True)
        pair(samples=samples, measures=[ml.Occlusion()]).save(target / "explanation.nc")
    (tmp_path / "audit").mkdir()
    audited().save(tmp_path / "audit" / "audit.nc")
    page = Reader(report_on(tmp_path, patients=False).read_text(encoding="utf-8"))
    require_well_built(page)
    for title in ("Deep/two/explanation: what", "One/explanation: what", "Audit/audit: does the highlighted region"):
        assert title in page.words
    assert "two models on the same patients" not in page.words
    assert "Single patients were left out" in page.words
    assert len(findings_in(tmp_path)) == 3


def test_one_audit_alone_is_a_page_of_its_own(tmp_path: Path) -> None:
    audited().save(tmp_path / "audit.nc")
    text = report_on(tmp_path).read_text(encoding="utf-8")
    assert "<h1>Does the highlighted region show what the sentence says?</h1>" in text
    assert all(word in Reader(text).words for word in audited().words)
    assert pictures_of_patients(text) == 0
    assert PRIVATE[:50] not in text


def test_pictures_of_audits_are_left_out_with_the_patients(tmp_path: Path) -> None:
    """A page that shows some says above that it holds data of patients; without patients it shows none, and says that."""
    audited().save(tmp_path / "audit.nc", pictures=True)
    plain().save(tmp_path / "fused.nc")
    without = report_on(tmp_path, tmp_path / "without.html", patients=False).read_text(encoding="utf-8")
    assert pictures_of_patients(without) == 0
    assert PRIVATE[:50] not in without
    assert "No picture of a patient is shown" in without
    shown = report_on(tmp_path / "audit.nc").read_text(encoding="utf-8")
    assert pictures_of_patients(shown) > 0
    assert PRIVATE[:50] in shown
    assert "No picture of a patient is shown" not in shown


def test_title_and_preface_of_another_folder_stand_in_their_part(tmp_path: Path) -> None:
    plain().save(tmp_path / "main.nc")
    (tmp_path / "sub").mkdir()
    plain().save(tmp_path / "sub" / "pilot.nc")
    Beside(title="Pilot study, superseded", preface="Do not use.\n\nAsk first.").save(tmp_path / "sub")
    text = report_on(tmp_path, patients=False).read_text(encoding="utf-8")
    assert "<h1>What was found</h1>" in text
    assert text.count("Pilot study, superseded") == 1
    part = text.index('-title">Sub/pilot: what')
    assert part < text.index("<p>Pilot study, superseded</p>") < text.index("<p>Do not use.</p>") < text.index("<p>Ask first.</p>")  # fmt: skip
    alone = report_on(tmp_path / "sub", patients=False).read_text(encoding="utf-8")
    assert "<h1>Pilot study, superseded</h1>" in alone
    assert alone.count("Do not use.") == 1


def test_the_page_of_one_file_bears_its_name(tmp_path: Path) -> None:
    """And leaves the page about everything as it is; its patients are shown, which it says."""
    plain().save(tmp_path / "one.v2.nc")
    everything = tmp_path / "report.html"
    everything.write_text("all of it")
    assert report_on(tmp_path / "one.v2.nc") == tmp_path / "one.v2.html"
    assert everything.read_text() == "all of it"
    assert PRIVATE[:50] in (tmp_path / "one.v2.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"useful": [{"title": "x", "figures": [{"file": "../secret.svg", "alt": "x"}]}]}, r"no SVG file of the folder itself"),
        ({"useful": [{"title": "x", "figures": [{"file": "/etc/passwd", "alt": "x"}]}]}, r"no SVG file of the folder itself"),
        ({"useful": [{"title": "x", "tables": [{"title": "t", "columns": ["a"], "rows": [["1", "2"]]}]}]}, r"as many cells"),
        ({"modalens_report": 9}, r"its format is 9"),
        ({"surprise": 1}, r"is not what modalens wrote"),
        ({"useful": [{"title": "x", "figures": [{"file": "gone.svg", "alt": "x"}]}]}, r"the figure .*gone\.svg can't be read"),
    ],
)  # fmt: skip
def test_a_damaged_file_beside_the_explanations_is_refused(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    one().save(tmp_path / "found.nc")
    (tmp_path / "report.json").write_text(json.dumps({"modalens_report": 1} | change), encoding="utf-8")
    with pytest.raises(ml.InputError, match=why):
        report_on(tmp_path)


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    one().save(tmp_path / "found.nc")
    (tmp_path / "report.json").write_text("[1, 2", encoding="utf-8")
    with pytest.raises(ml.InputError, match=r"damaged.*delete the file"):
        report_on(tmp_path)


def test_from_the_shell(tmp_path: Path) -> None:
    one().save(tmp_path / "found.nc", inputs=True)
    run = subprocess.run(
        [sys.executable, "-m", "modalens", "report", str(tmp_path), "--no-patients", "--output", str(tmp_path / "out.html")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"wrote {tmp_path / 'out.html'}" in run.stdout
    assert "Single patients were left out" in (tmp_path / "out.html").read_text(encoding="utf-8")
    with pytest.raises(ml.InputError, match=r"there is no folder"):
        report_on(tmp_path / "none")


def test_a_damaged_file_is_not_left_out_in_silence(tmp_path: Path) -> None:
    explanation = ml.explain(
        lambda a: a[:, 0], {"a": np.eye(6)}, output="raw", baseline="zeros", measures=[ml.Occlusion()]
    )
    explanation.save(tmp_path / "whole.nc")
    content = explanation.save(tmp_path / "cut.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(content[:5000])
    (tmp_path / "notes.nc").write_text("no file of ours")
    with pytest.raises(ml.InputError, match=r"cut.nc is damaged, perhaps cut off"):
        findings_in(tmp_path)
    (tmp_path / "cut.nc").unlink()
    assert set(findings_in(tmp_path).explanations) == {"whole"}
