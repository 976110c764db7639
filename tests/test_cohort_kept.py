"""An explanation knows whom it explains: predictions, labels and characteristics, saved and loaded; samples read one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

import modalens as ml

PATIENTS = 12


def model(picture: Any, words: list[str], vitals: list[np.ndarray]) -> np.ndarray:
    long = np.array([0 if text is None else len(text.split()) for text in words])
    return np.asarray(1 / (1 + np.exp(-picture.mean((1, 2)) * long - [one.mean() for one in vitals])))


def inputs() -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "picture": random.normal(size=(PATIENTS, 4, 4)),
        "words": [f"opacity {'left ' * (row % 3)}no {row}" for row in range(PATIENTS)],
        "vitals": [random.normal(size=(3 + row % 4, 2)) for row in range(PATIENTS)],
    }


def characteristics() -> pd.DataFrame:
    names = pd.Index([f"p{row:02}" for row in range(PATIENTS)])
    sexes = ["f", "m", None] * (PATIENTS // 3)
    return pd.DataFrame({"age": np.arange(40.0, 40 + PATIENTS), "sex": sexes, "site/ward": "A"}, index=names)


def explained(**settings: Any) -> ml.Explanation:
    return ml.explain(model, inputs(), measures=[ml.Shapley()], **settings)


def test_predictions_labels_and_targets_are_those_of_the_whole_inputs() -> None:
    labels, groups = np.arange(PATIENTS) % 2, np.arange(PATIENTS) // 2
    found = explained(labels=labels, groups=[f"patient {group}" for group in groups]).cohort
    probability = model(**inputs())
    np.testing.assert_allclose(found.prediction.sel(space="probability", output="1"), probability, atol=1e-12)
    log_odds = np.log(probability / (1 - probability)) / 2  # log p - mean log p over (1 - p, p)
    np.testing.assert_allclose(found.prediction.sel(space="logit", output="1"), log_odds, atol=1e-9)
    np.testing.assert_array_equal(found.target, probability > 0.5)
    np.testing.assert_array_equal(found.label, labels)
    np.testing.assert_array_equal(found.group.values[:, None] == found.group.values, groups[:, None] == groups)
    assert found.available.all()


def test_each_task_keeps_labels_as_it_takes_them() -> None:
    lab = {"lab": np.linspace(-1, 1, 8)[:, None]}

    def of(model: Any, **settings: Any) -> Any:
        return ml.explain(model, lab, measures=[ml.Occlusion()], baseline="zeros", **settings).cohort

    survival = of(lambda lab: lab[:, 0], task="survival", output="raw", labels=(np.arange(1.0, 9), [1, 0] * 4))
    assert survival.label.sel(of_event="event").values.tolist() == [1, 0] * 4
    many = of(lambda lab: np.tile(0.5 + lab / 4, 3), link="identity", task="multilabel", labels=np.eye(8, 3, dtype=int))
    assert many.label.dims == ("sample", "output")
    assert "target" not in many
    value = of(lambda lab: 3 * lab[:, 0], task="regression", output="raw", labels=np.arange(8.0))
    assert value.label.dims == ("sample", "output")
    assert "label" not in of(lambda lab: 3 * lab[:, 0], output="raw")


def test_who_lacks_a_modality_is_known() -> None:
    random = np.random.default_rng(1)
    given = {"a": [None, *random.normal(size=(9, 4, 1))], "b": random.normal(size=(10, 2))}
    found = ml.explain(
        lambda a, b: np.array([0.0 if one is None else one.mean() for one in a]) + b.sum(1),
        given,
        measures=[ml.Shapley()],
        output="raw",
        baseline="zeros",
    )
    assert found.cohort.available.sel(modality="a").values.tolist() == [False] + 9 * [True]
    assert found.cohort.available.sel(modality="b").all()


@pytest.mark.parametrize("lazy", [False, True])
def test_what_is_known_of_patients_is_saved(tmp_path: Path, lazy: bool) -> None:
    explanation = explained(labels=np.arange(PATIENTS) % 2, characteristics=characteristics())
    loaded = ml.load(explanation.save(tmp_path / "saved.nc", inputs=True), lazy=lazy)
    assert loaded.cohort.identical(explanation.cohort)
    known = characteristics()
    assert list(loaded.characteristics.index) == list(known.index)
    assert list(loaded.characteristics.columns) == ["age", "sex", "site/ward"]
    np.testing.assert_array_equal(loaded.characteristics["age"], known["age"])
    assert loaded.characteristics["sex"].isna().sum() == PATIENTS // 3
    for sample in (0, 5, PATIENTS - 1):
        assert loaded.inputs["words"][sample] == inputs()["words"][sample]
        np.testing.assert_array_equal(loaded.inputs["picture"][sample], inputs()["picture"][sample])
        np.testing.assert_array_equal(loaded.inputs["vitals"][sample], inputs()["vitals"][sample])
    assert all(len(samples) == PATIENTS for samples in loaded.inputs.values())


def test_without_characteristics_patients_are_numbered(tmp_path: Path) -> None:
    loaded = ml.load(explained().save(tmp_path / "saved.nc"))
    assert list(loaded.characteristics.index) == list(range(PATIENTS))
    assert not len(loaded.characteristics.columns)
    assert not loaded.inputs


def test_a_lazily_loaded_file_can_be_written_again(tmp_path: Path) -> None:
    path = explained().save(tmp_path / "saved.nc", inputs=True)
    loaded = ml.load(path, lazy=True)
    assert loaded.inputs["words"][1] == inputs()["words"][1]
    explained(seed=1).save(path, inputs=True)  # nothing holds the file open
    assert loaded.inputs["words"][1] == inputs()["words"][1]


def test_damaged_samples_are_noticed_where_they_are_read_at_once(tmp_path: Path) -> None:
    path = explained().save(tmp_path / "saved.nc", inputs=True)
    content = path.read_bytes()
    needle = inputs()["picture"][3].astype(float).tobytes()
    assert content.count(needle) == 1
    path.write_bytes(content.replace(needle, needle[::-1]))
    with pytest.raises(ml.InputError, match="is damaged: its contents differ"):
        ml.load(path)


@given(st.lists(st.lists(st.floats(allow_nan=False), max_size=4).map(np.array) | st.none(), min_size=1, max_size=6))
def test_every_list_of_items_is_read_as_it_was(tmp_path_factory: pytest.TempPathFactory, samples: list[Any]) -> None:
    from modalens.stored import SamplesInFile, stored_inputs

    if all(one is None for one in samples):
        samples = [*samples, np.zeros(2)]
    path = tmp_path_factory.mktemp("items") / "items.nc"
    stored_inputs({"series": samples}).to_netcdf(path, group="inputs", engine="h5netcdf")
    found = SamplesInFile(path=path, variable="series")
    assert len(found) == len(samples)
    for place, one in enumerate(samples):
        read = found[place]
        assert (read is None) == (one is None)
        if one is not None:
            np.testing.assert_array_equal(read, one)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"age": [1, 2]}, r"characteristics: expected a DataFrame, a row a patient, .* came dict"),
        (pd.DataFrame({"age": [1, 2]}), r"a row for each of the 12 samples, came 2"),
        (pd.DataFrame([range(2)] * 12, columns=["age", "age"]), r"each column must be there once"),
    ],
)
def test_what_is_no_table_of_the_patients_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ml.InputError, match=message):
        explained(characteristics=given)


def test_characteristics_in_another_order_are_refused() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(6, 2)), columns=["x", "y"], index=list("abcdef"))
    known = pd.DataFrame({"age": range(6)}, index=table.index)
    with pytest.raises(ml.InputError, match=r"'table' and 'characteristics': their row labels differ"):
        ml.explain(
            lambda table: table.sum(axis=1).to_numpy(),
            {"table": table},
            output="raw",
            baseline="zeros",
            characteristics=known.iloc[::-1],
        )
