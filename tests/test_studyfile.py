"""Study files and the commands that read them: what is right runs, what is wrong is told with its line and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modalens as ml
from modalens.studyfile import read_study

NETWORK = """
import numpy as np

def network(image, clinical):
    return 1 / (1 + np.exp(-image.mean(axis=(1, 2)) * 5 - clinical["age"].to_numpy()))

def load():
    return network
"""

STUDY = """\
model: network.py:load
inputs:
  image: {file: test.npz, key: image, kind: image, patch: 4}
  clinical: {file: test.csv, columns: [age, creatinine]}
background:
  image: {file: train.npz, key: image}
  clinical: {file: train.csv, columns: [age, creatinine]}
labels: {file: test.csv, column: died}
groups: {file: test.csv, column: patient}
measures:
  - occlusion: {reading: mean_of_ratios}
  - shapley
  - reliance
classes: [alive, dead]
folder: results
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name, rows in (("train", 40), ("test", 20)):
        np.savez(tmp_path / f"{name}.npz", image=random.normal(size=(rows, 8, 8)), other=np.zeros(3))
        columns = {
            "age": random.normal(size=rows),
            "creatinine": random.normal(size=rows),
            "died": random.integers(0, 2, rows),
            "patient": [f"p{row // 2}" for row in range(rows)],
        }
        pd.DataFrame(columns).to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "network.py").write_text(NETWORK)
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path / "study.yaml"


def shell(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modalens", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def test_a_study_is_explained_as_from_python(study: Path):
    ran = shell("explain", study)
    assert ran.returncode == 0, ran.stderr
    folder = study.parent / "results"
    assert {path.name for path in folder.iterdir()} == {
        f"explanation.{ending}" for ending in ("nc", "csv", "svg", "png", "html")
    }
    saved = ml.load(folder / "explanation.nc")
    run = read_study(study)
    direct = ml.explain(run.model, run.inputs, **run.settings)
    assert set(saved.results) == {"occlusion", "shapley", "reliance"}
    np.testing.assert_array_equal(saved.occlusion.contribution, direct.occlusion.contribution)
    assert saved.provenance["measures"]["occlusion"]["reading"] == "mean_of_ratios"
    assert "10 groups" in saved.shapley.interval.attrs["resampled"]


def test_the_plan_counts_the_rows_that_are_run(study: Path):
    ran = shell("plan", study)
    assert ran.returncode == 0, ran.stderr
    run = read_study(study)
    rows = ml.explain(run.model, run.inputs, **run.settings).provenance["head_rows"]
    assert f"{rows:,} rows" in ran.stdout


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("links", "links: softmax\nmodel: network.py:load", 1, "unknown key"),
        ("typo in a section", STUDY.replace("patch: 4", "pach: 4"), 3, "pach: unknown key (did you mean 'patch'?)"),
        ("doubled key", STUDY + "model: other.py:load\n", 16, "'model' stands twice"),
        (
            "doubled modality",
            STUDY.replace("  clinical: {file: test.csv", "  image: {file: test.csv", 1),
            4,
            "'image' stands twice",
        ),
        (
            "wrong kind of value",
            STUDY.replace("patch: 4", "patch: four"),
            3,
            "inputs.image.patch: came 'four', expected a valid integer or a valid tuple.",
        ),
        ("unknown kind", STUDY.replace("kind: image", "kind: picture"), 3, "'image', 'volume'"),
        ("missing model", STUDY.replace("model: network.py:load", "seed: 1"), 1, "model: is missing"),
        ("missing file", STUDY.replace("test.npz", "tset.npz"), 3, "did you mean 'test.npz'"),
        (
            "missing key of an archive",
            STUDY.replace("key: image, kind", "key: imag, kind"),
            3,
            "it holds 'image', 'other'",
        ),
        ("missing column", STUDY.replace("column: died", "column: dead"), 8, "no column 'dead'"),
        (
            "missing name in the model's file",
            STUDY.replace("network.py:load", "network.py:lod"),
            1,
            "did you mean 'load'",
        ),
        ("missing model file", STUDY.replace("network.py:load", "net.py:load"), 1, "there is no file"),
        ("no reference", STUDY.replace("network.py:load", "network"), 1, "write file.py:name"),
        ("unknown measure", STUDY.replace("- shapley", "- shaply"), 10, "did you mean 'shapley'"),
        ("unknown setting of a measure", STUDY.replace("reading: mean", "readin: mean"), 10, "takes the settings"),
        ("option of another kind", STUDY.replace("patch: 4", "window: 4"), 3, "does not take 'window'"),
        ("kind missing", STUDY.replace("kind: image, ", ""), 3, "kind= is missing"),
        ("no YAML", STUDY.replace("inputs:", "inputs: ]"), 2, "no valid YAML"),
        ("a list", "- model\n", 1, "expected keys"),
    ],
)
def test_wrong_study_files_are_told_with_their_line(study: Path, before: str, after: str, line: int, says: str):
    study.write_text(after)
    with pytest.raises(ml.InputError) as caught:
        read_study(study)
    assert says in str(caught.value), before
    assert f"line {line}" in str(caught.value) or before == "a list"


def test_wrong_input_ends_with_code_2_and_no_traceback(study: Path):
    study.write_text(STUDY.replace("classes: [alive, dead]", "classes: [alive]"))
    ran = shell("explain", study)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "expected 2 different names" in ran.stderr
    missing = shell("explain", study.parent / "no.yaml")
    assert missing.returncode == 2
    assert "there is no study file" in missing.stderr
    assert shell("explan").returncode == 2


def test_a_folder_that_cannot_be_written_is_told(study: Path):
    (study.parent / "results").write_text("a file")
    ran = shell("explain", study)
    assert ran.returncode == 2
    assert "can't be written" in ran.stderr


@pytest.mark.parametrize("command", ["demo", "explain", "plan"])
def test_help_has_an_example(command: str):
    ran = shell(command, "--help")
    assert ran.returncode == 0
    assert f"Example: modalens {command}" in ran.stdout


def test_texts_images_and_tokenizers_are_read(tmp_path: Path):
    from PIL import Image as Picture

    (tmp_path / "scans").mkdir()
    random = np.random.default_rng(0)
    for row in range(6):
        Picture.fromarray(random.integers(0, 255, (8, 8), dtype=np.uint8)).save(tmp_path / "scans" / f"{row}.png")
    pd.DataFrame({"report": ["no finding", "large mass left", "small mass", "clear", "mass", "clear lungs"]}).to_csv(
        tmp_path / "reports.csv", index=False
    )
    (tmp_path / "net.py").write_text(
        "import numpy as np\ndef model(scan, report):\n    return np.array([0.5 * ('mass' in text) for text in report]) + 0.4 * scan.mean(axis=(1, 2, 3))\n"
    )
    (tmp_path / "study.yaml").write_text(
        "model: net.py:model\ninputs:\n  scan: {file: scans, kind: image, parts: 4}\n  report: {file: reports.csv, column: report, kind: text, unit: word}\n"
    )
    run = read_study(tmp_path / "study.yaml")
    explanation = ml.explain(run.model, run.inputs, **run.settings)
    assert explanation.occlusion.part_count.sel(modality="report").values.tolist() == [2, 3, 2, 1, 1, 2]
    assert explanation.occlusion.parts["scan"].sizes["part"] == 4
