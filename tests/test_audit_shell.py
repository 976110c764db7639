"""`modalens audit` from the shell, and what its study file may say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import modalens as ml
from audited import bilateral
from modalens.alignment import Audit
from modalens.cli import app
from modalens.studyfile.auditing import read_audit

MODEL = """
import numpy as np, torch
network = torch.nn.Linear(4, 2)
def heat_maps(images, phrases):
    w = network.weight.detach().numpy()
    return [np.resize(w[int("left" in phrase.lower())], image.shape[-2:]) for image, phrase in zip(images, phrases)]
"""

STUDY = """\
model: network.py:heat_maps
network: network.py:network
records: {file: test.jsonl, images: pictures}
training: {file: test.jsonl, images: pictures, options: {missing: refuse}}
resize: [16, 16]
crop: [12, 14]
perturbations: [swap left/right, template]
language: en
scores: [auroc, iou@10%]
interpolation: cells
longest: 10
batch_size: 4
confidence: 0.9
seed: 3
folder: out
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    lines = []
    for one in bilateral(5):
        np.save(tmp_path / "pictures" / f"{one.image_id}.npy", one.image)
        lines.append({"image": f"{one.image_id}.npy", "text": one.phrase, "boxes": np.asarray(one.boxes).tolist(), "labels": ["opacity"], "group": one.patient})  # fmt: skip
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "network.py").write_text(MODEL)
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path / "study.yaml"


def test_a_study_is_audited_into_its_folder(study: Path) -> None:
    found = CliRunner().invoke(app, ["audit", str(study)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    assert "“left” and “right”" in found.output
    assert sorted(path.name for path in (study.parent / "out").iterdir()) == ["audit.csv", "audit.html", "audit.nc", "audit.png", "audit.svg"]  # fmt: skip
    audit = Audit.load(study.parent / "out" / "audit.nc")
    assert audit.conditions == ["as it is", "swap left/right", "template"]
    assert audit.data.score.values.tolist() == ["auroc", "iou@10%", "wrong_lung", "entropy"]
    assert audit.data.baseline.values.tolist() == ["uniform", "centre", "mean box"]
    assert {name: audit.settings[name] for name in ("interpolation", "longest", "confidence", "seed")} == {"interpolation": "cells", "longest": 10, "confidence": 0.9, "seed": 3}  # fmt: skip
    # the network is that of the model, so that other weights make other maps
    assert "every score stays as it is" not in str(audit)


def test_pictures_are_kept_where_that_is_asked_for(study: Path) -> None:
    CliRunner().invoke(app, ["audit", str(study), "--pictures"], catch_exceptions=False)
    kept = Audit.load(study.parent / "out" / "audit.nc").records
    assert len(kept) == 10
    for one, other in zip(read_audit(study).records, kept, strict=True):
        np.testing.assert_array_equal(other.pixels(), one.pixels())  # as the model sees them
        np.testing.assert_array_equal(other.truth, one.truth)


def test_the_file_says_all_arguments(study: Path) -> None:
    run = read_audit(study)
    assert [one.size for one in run.records] == [(12, 14)] * 10
    assert run.settings["batch_size"] == 4
    assert run.model.__globals__["network"] is run.settings["network"]
    assert run.folder == study.parent / "out"


def test_a_language_is_that_of_every_perturbation(study: Path) -> None:
    study.write_text(STUDY.replace("language: en", "language: de").replace("perturbations: [swap left/right, template]\n", ""))  # fmt: skip
    known = {one.name: one for one in read_audit(study).settings["perturbations"]}
    assert known["swap left/right"].language == known["template"].language == "de"
    assert known["template, other finding"].template.language == "de"


def test_another_folder_may_be_named(study: Path, tmp_path: Path) -> None:
    CliRunner().invoke(app, ["audit", str(study), "--output", str(tmp_path / "there")], catch_exceptions=False)
    assert (tmp_path / "there" / "audit.html").is_file()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("records:", "recods:", r"line 3: recods: unknown key \(did you mean 'records'"),
        ("network.py:heat_maps", "network.py:heatmaps", r"line 1: network.py has no 'heatmaps' \(did you mean 'heat_maps'"),
        ("network.py:network", "network.py:heat_maps", r"network must be the torch.nn.Module"),
        ("file: test.jsonl, images", "file: tset.jsonl, images", r"line 3: .*tset\.jsonl"),
        ("missing: refuse", "mising: refuse", r"line 4: options: .*mising"),
        ("missing: refuse", "missing: perhaps", r"line 4: .*perhaps"),
        ("[12, 14]", "[12, 40]", r"line 6: a crop of 12 x 40"),
        ("[12, 14]", "12", r"line 6: crop: came 12"),
        ("swap left/right", "swap", r"line 7: perturbations='swap' is not known"),
        ("language: en", "language: fr", r"line 8: language='fr' is not known"),
        ("iou@10%", "iuo@10%", r"line 9: scores='iuo@10%' is not known"),
        ("interpolation: cells", "interpolation: cubic", r"line 10: interpolation: came 'cubic'"),
        ("longest: 10", "longest: 0", r"line 11: longest: came 0"),
        ("batch_size: 4", "batch_size: 4.5", r"line 12: batch_size: came 4\.5"),
        ("confidence: 0.9", "confidence: 90", r"line 13: confidence: came 90"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(study: Path, old: str, new: str, said: str) -> None:
    assert old in STUDY
    study.write_text(STUDY.replace(old, new, 1))
    with pytest.raises(ml.InputError, match=said):
        CliRunner().invoke(app, ["audit", str(study)], catch_exceptions=False)


def test_help_has_an_example() -> None:
    assert "Example: modalens audit study.yaml" in CliRunner().invoke(app, ["audit", "--help"]).output
