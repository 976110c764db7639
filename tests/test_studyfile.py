"""Study files and the commands that read them: what is right runs, what is wrong is told with its line and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modalens as ml
from modalens.cli import inspect
from modalens.studyfile import read_study

NETWORK = """
import numpy as np

def network(image, clinical):
    return 1 / (1 + np.exp(-image.mean(axis=(1, 2)) * 5 - clinical["age"].to_numpy()))

def load():
    return network
"""

TORCH = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Tanh())
        self.head = nn.Linear(5 + 2, 2)

    def forward(self, image, clinical):
        return self.head(torch.cat([self.backbone(image), clinical], dim=1))

class Branching(Network):
    def forward(self, image, clinical):
        return super().forward(image if float(image.detach().sum()) < 1e9 else -image, clinical)

def split():
    torch.manual_seed(0)
    return Network()

def whole():
    torch.manual_seed(0)
    return Branching()
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
        *(f"explanation.{ending}" for ending in ("nc", "csv", "svg", "png")),
        "report.html",
        "report.json",
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
        (
            "encoders of what is no modality",
            STUDY + "encoders: {imag: backbone}\n",
            16,
            "encoders.imag is not known (did you mean 'image'?): expected 'image', 'clinical'.",
        ),
        (
            "a way of finding encoders that there is not",
            STUDY + "encoders: grph\n",
            16,
            "encoders: came 'grph', expected 'auto', 'graph' or 'whole' or a valid dictionary.",
        ),
        (
            "an encoder that is no name",
            STUDY + "encoders: {image: 3}\n",
            16,
            "encoders.image: came 3, expected a valid string.",
        ),
        (
            "rows of what is no modality",
            STUDY + "batch_size: {hed: 3}\n",
            16,
            "batch_size.hed is not known (did you mean 'head'?): expected 'image', 'clinical', 'head'.",
        ),
        (
            "too few rows of a modality",
            STUDY + "batch_size:\n  head: 8\n  image: 0\n",
            18,
            "batch_size.image: came 0, expected greater than or equal to 1.",
        ),
        (
            "rows that are no number",
            STUDY + "batch_size: yes\n",
            16,
            "batch_size: came True, expected a valid integer or a valid dictionary.",
        ),
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


def test_all_that_is_wrong_in_one_place_is_told(study: Path):
    study.write_text(STUDY.replace("{file: test.npz, key: image, kind: image, patch: 4}", "{kind: image, patch: four}"))
    with pytest.raises(ml.InputError) as caught:
        read_study(study)
    missing, wrong = str(caught.value).splitlines()
    assert missing.endswith("line 3: inputs.image.file: is missing.")
    assert "line 3: inputs.image.patch: came 'four'" in wrong


def test_what_is_wrong_inside_a_mapping_is_not_told_of_the_mapping(study: Path):
    """Rows a call may be a number too, and nobody who names modalities wants to hear that."""
    study.write_text(STUDY + "batch_size: {image: 0}\n")
    with pytest.raises(ml.InputError) as caught:
        read_study(study)
    assert str(caught.value) == f"{study}, line 16: batch_size.image: came 0, expected greater than or equal to 1."


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


@pytest.mark.parametrize("command", ["demo", "explain", "plan", "inspect"])
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


def torch_study(study: Path, model: str, *lines: str) -> Path:
    """The study of a torch model, with these lines more."""
    (study.parent / "network.py").write_text(TORCH)
    kept = [line for line in STUDY.splitlines() if "reading" not in line and not line.startswith("measures")]
    text = "\n".join(line for line in kept if not line.startswith("  - "))
    study.write_text(f"{text.replace(':load', f':{model}')}\nlink: softmax\n" + "\n".join(lines))
    return study


def test_encoders_and_rows_a_call_are_read(study: Path):
    torch_study(
        study, "whole", "encoders: {image: backbone}", "batch_size: {image: 7, head: 50}", "measures: [fusion_gradient]"
    )
    run = read_study(study)
    assert run.settings["encoders"] == {"image": "backbone"}
    explanation = ml.explain(run.model, run.inputs, **run.settings)
    assert explanation.provenance["fusion_point"]["source"] == "names"
    assert explanation.provenance["batch_size"]["image"] == 7
    assert explanation.provenance["batch_size"]["head"] == 50
    assert explanation.provenance["measures"]["fusion_gradient"]["estimator"] == "expected"
    torch_study(
        study, "split", "encoders: whole", "batch_size: 9", "measures: [{fusion_gradient: {estimator: grouped}}]"
    )
    run = read_study(study)
    assert (run.settings["encoders"], run.settings["batch_size"]) == ("whole", 9)
    assert run.settings["measures"] == [ml.FusionGradient(estimator="grouped")]
    assert read_study(torch_study(study, "split")).settings["encoders"] == "auto"


def test_inspect_prints_the_fusion_point_and_the_cost(study: Path):
    ran = shell("inspect", torch_study(study, "split", "encoders: graph", "measures: [shapley]"))
    assert ran.returncode == 0, ran.stderr
    assert "Fusion point, found in the model's exported graph" in ran.stdout
    cells = [[cell.strip() for cell in line.split("│")] for line in ran.stdout.splitlines()]
    rows = {row[1]: row[2:5] for row in cells if len(row) > 4}
    assert rows["encoder of image"][:2] == ["5", "325"]
    assert rows["encoder of clinical"][:2] == ["2 (enters the head as it is)", "0"]
    assert rows["head"][1] == "16"
    assert "not used" not in ran.stdout
    run = read_study(study)
    about = ml.explain(run.model, run.inputs, **run.settings).provenance
    cost = ran.stdout.split("What explaining the study would run")[1]
    for part, count in {
        **{f"encoder of {name}": rows for name, rows in about["encoder_rows"].items()},
        "head": about["head_rows"],
    }.items():
        assert f"{part} {count:,} rows" in " ".join(cost.split())


def test_inspect_says_why_a_model_is_not_split_and_what_to_do(study: Path, capsys: pytest.CaptureFixture[str]):
    inspect(torch_study(study, "whole", "measures: [shapley]"))
    said = " ".join(capsys.readouterr().out.split())
    assert "No fusion point was found: it can't be exported" in said
    assert "such as encoders: {image: backbone} in the study file; the parts of the model are backbone, head." in said
    assert "rows through the model" in said
    inspect(torch_study(study, "whole", "measures: [shapley]", "encoders: {image: backbone}"))
    said = " ".join(capsys.readouterr().out.split())
    assert "found at the submodules named" in said
    assert "rows through the head" in said


def test_inspect_says_why_a_split_is_not_used(study: Path, capsys: pytest.CaptureFixture[str]):
    inspect(torch_study(study, "split", "measures: [shapley]"))
    said = " ".join(capsys.readouterr().out.split())
    assert "It is not used: running the whole model takes less time than finding it." in said
    assert "rows through the model" in said
    inspect(torch_study(study, "split", "measures: [shapley]", "encoders: whole"))
    assert "the study file asks for encoders: whole" in " ".join(capsys.readouterr().out.split())


def test_inspect_of_a_function_says_that_it_has_no_parts(study: Path, capsys: pytest.CaptureFixture[str]):
    inspect(study)
    said = " ".join(capsys.readouterr().out.split())
    assert "the model is no torch.nn.Module (it is a function)" in said
    assert "rows through the model" in said


def test_inspect_ends_with_code_2_for_wrong_input(study: Path):
    ran = shell("inspect", torch_study(study, "split", "encoders: {image: backbon}"))
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "encoders['image']='backbon' is no submodule of Network (did you mean 'backbone'?)" in ran.stderr


def test_inspect_takes_reasons_as_they_are(study: Path, capsys: pytest.CaptureFixture[str]):
    """What an exporter says may hold brackets, which are no markup."""
    torch_study(study, "split", "measures: [shapley]")
    refusing = (
        "    def forward(self, image, clinical):\n        assert not torch.compiler.is_exporting(), '[/red] of [4, 8]'"
    )
    (study.parent / "network.py").write_text(TORCH.replace("    def forward(self, image, clinical):", refusing, 1))
    inspect(study)
    assert "[/red] of [4, 8]" in capsys.readouterr().out
