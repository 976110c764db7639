"""Study files with data as they are: several arrays, samples of any length, patients who lack something, models that are
called in their own way; and what a user's own files raise.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modalens as ml
from modalens.studyfile import read_study

NETWORK = """
import numpy as np
from weights import WEIGHT

def longest(series):
    return np.array([len(one) for one in series]) / 10

def network(vitals, report, clinical):
    words = (report["ids"] * report["mask"]).sum(axis=1)
    return 1 / (1 + np.exp(-WEIGHT * clinical["age"].to_numpy() - vitals - 0.1 * words))

def as_dict(batch):
    return network(**batch)

def call(model, inputs):
    return model(inputs)
"""

STUDY = """\
model: network.py:as_dict
forward: network.py:call
collate: {vitals: network.py:longest}
inputs:
  vitals: {file: data.npz, key: values, lengths: lengths, kind: bag, by: item}
  report: {members: {ids: {file: data.npz, key: ids}, mask: {file: data.npz, key: mask}}, kind: series, window: 2}
  clinical: {file: data.csv, columns: [age]}
present: {clinical: {file: data.csv, column: has_age}}
measures: [occlusion, shapley]
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for own in ("weights", "network"):  # each study's own
        monkeypatch.delitem(sys.modules, own, raising=False)
    random = np.random.default_rng(0)
    lengths = random.integers(2, 6, 12)
    np.savez(
        tmp_path / "data.npz",
        values=random.normal(size=(lengths.sum(), 3)),
        lengths=lengths,
        ids=random.integers(1, 5, (12, 4)),
        mask=np.ones((12, 4), int),
    )
    has = (np.arange(12) % 3 > 0).astype(int)
    pd.DataFrame({"age": random.normal(size=12) * has, "has_age": has}).to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "weights.py").write_text("WEIGHT = 2.0\n")
    (tmp_path / "network.py").write_text(NETWORK)
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path / "study.yaml"


def test_data_as_they_are_come_as_from_python(study: Path) -> None:
    run = read_study(study)
    assert [len(one) for one in run.inputs["vitals"]] == np.load(study.parent / "data.npz")["lengths"].tolist()
    assert set(run.inputs["report"]) == {"ids", "mask"}
    assert run.settings["present"]["clinical"].tolist() == (np.arange(12) % 3 > 0).tolist()
    explanation = ml.explain(run.model, run.inputs, **run.settings)
    assert np.isnan(explanation.shapley.values.sel(modality="clinical").values[::3]).all()
    assert explanation.provenance["available"] == {"vitals + report + clinical": 8, "vitals + report": 4}
    assert explanation.occlusion.part_count.sel(modality="vitals").values.tolist() == [
        len(one) for one in run.inputs["vitals"]
    ]


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("lengths: lengths", "lengths: ids", 5, "adds up to"),
        ("column: has_age", "column: age", 8, "expected 0 or 1"),
        ("present: {clinical", "present: {clinic", 8, "did you mean 'clinical'"),
        ("{vitals: network.py:longest}", "{vitals: network.py:shortest}", 3, "has no 'shortest'"),
        ("forward: network.py:call", "forward: network.py", 2, "file.py:name"),
        ("{vitals: network.py:longest}", "{vital: network.py:longest}", 3, "did you mean 'vitals'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(study: Path, before: str, after: str, line: int, says: str) -> None:
    study.write_text(STUDY.replace(before, after))
    with pytest.raises(ml.InputError, match=f"line {line}: .*{says}"):
        read_study(study)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("network.py", "def as_dict(:\n", "network.py.*can't be loaded.*SyntaxError"),
        ("network.py", "raise OSError('no weights.pt')\n", "network.py.*OSError: no weights.pt"),
        ("weights.py", "", "cannot import name 'WEIGHT'"),
        ("network.py", "def as_dict():\n    raise FileNotFoundError('weights.pt')\n", "as_dict.*weights.pt"),
    ],
)
def test_what_a_users_own_file_raises_is_told_with_its_place(study: Path, file: str, content: str, says: str) -> None:
    (study.parent / file).write_text(content)
    with pytest.raises(ml.InputError, match=says):
        read_study(study)


def test_a_file_of_bytes_is_no_study_file(study: Path) -> None:
    with pytest.raises(ml.InputError, match="no text file"):
        read_study(study.parent / "data.npz")


def test_characteristics_are_columns_of_a_table_with_the_patients_names(study: Path) -> None:
    table = pd.read_csv(study.parent / "data.csv")
    table.assign(name=[f"p{row}" for row in range(12)], sex=["f", "m"] * 6).to_csv(
        study.parent / "data.csv", index=False
    )
    study.write_text(STUDY + "characteristics: {file: data.csv, columns: [age, sex], patient: name}\n")
    run = read_study(study)
    found = ml.explain(run.model, run.inputs, **run.settings).characteristics
    assert list(found.columns) == ["age", "sex"]
    assert list(found.index) == [f"p{row}" for row in range(12)]
    study.write_text(STUDY + "characteristics: {file: data.csv, columns: [agee]}\n")
    with pytest.raises(ml.InputError, match=r"study.yaml, line 10: .*data.csv has no column 'agee'"):
        read_study(study)
    study.write_text(STUDY + "characteristics: {file: data.csv, column: age}\n")
    with pytest.raises(ml.InputError, match=r"line \d+: characteristics.column: unknown key .*'columns'"):
        read_study(study)
