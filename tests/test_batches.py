"""A loader's batches become the inputs of explain: every row once, in order, in the type that it had."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import modalens as ml

PATIENTS = 7


def patient(row: int) -> dict[str, Any]:
    """What a patient's entries hold follows from the row, so that every row can be told."""
    return {
        "ct": torch.full((1, 4, 4), float(row)),
        "labs": torch.arange(3, dtype=torch.float64) + 10 * row,
        "report": f"report {row}",
        "died": row % 2,
        "id": f"patient {row // 2}",
    }


class Patients(Dataset):
    """A dataset of dicts that says which of its samples were read."""

    def __init__(self, sample: Callable[[int], Any] = patient, length: int = PATIENTS) -> None:
        self.sample, self.length = sample, length
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, row: int) -> Any:
        self.read.append(row)
        return self.sample(row)


def require_patients(found: Any, rows: int = PATIENTS) -> None:
    """All of these patients, in order."""
    np.testing.assert_array_equal(found.inputs["ct"][:, 0, 0, 0], np.arange(rows))
    np.testing.assert_array_equal(found.inputs["labs"], 10 * np.arange(rows)[:, None] + np.arange(3))
    assert found.inputs["report"] == [f"report {row}" for row in range(rows)]
    assert found.labels.tolist() == [row % 2 for row in range(rows)]
    assert found.ids.tolist() == [f"patient {row // 2}" for row in range(rows)]


@given(st.integers(1, 9), st.one_of(st.none(), st.integers(1, 9)))
def test_every_patient_once_in_order_whatever_the_batches(batch_size: int, limit: int | None) -> None:
    loader = DataLoader(Patients(), batch_size=batch_size)
    found = ml.from_batches(loader, labels="died", ids="id", limit=limit)
    assert list(found.inputs) == ["ct", "labs", "report"]
    require_patients(found, min(limit or PATIENTS, PATIENTS))


def test_a_dataset_is_read_sample_by_sample() -> None:
    found = ml.from_batches(Patients(), labels="died", ids="id")
    require_patients(found)
    assert found.inputs["ct"].shape == (PATIENTS, 1, 4, 4)


def test_what_comes_after_the_limit_is_not_read() -> None:
    patients = Patients()
    ml.from_batches(patients, labels="died", ids="id", limit=3)
    assert patients.read == [0, 1, 2]
    endless = ({"ct": np.full((2, 4), number)} for number in iter(int, 1))
    assert len(ml.from_batches(endless, limit=5).inputs["ct"]) == 5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int32, torch.int64, torch.bool])
@pytest.mark.parametrize("batch_size", [2, None], ids=["batches", "samples"])
def test_types_are_kept(dtype: torch.dtype, batch_size: int | None) -> None:
    dataset = TensorDataset(torch.arange(12).reshape(4, 3).to(dtype))
    loader = dataset if batch_size is None else DataLoader(dataset, batch_size=batch_size)
    values = ml.from_batches(loader, inputs={"codes": 0}).inputs["codes"]
    assert values.dtype == dtype
    assert torch.equal(values, torch.arange(12).reshape(4, 3).to(dtype))


def test_gradients_are_left_behind() -> None:
    ct = nn.Linear(2, 2)(torch.ones(3, 2))
    assert ct.requires_grad
    assert not ml.from_batches([{"ct": ct}]).inputs["ct"].requires_grad


Pair = namedtuple("Pair", ["image", "age"])


@dataclass
class Study:
    image: np.ndarray
    age: np.ndarray


IMAGE, AGE = np.arange(8.0).reshape(2, 4), np.array([50, 60])


@pytest.mark.parametrize(
    ("batch", "places"),
    [
        ((IMAGE, AGE), {"ct": 0, "age": 1}),
        ([IMAGE, AGE], {"ct": -2, "age": -1}),
        ({"image": IMAGE, "age": AGE}, {"ct": "image", "age": "age"}),
        ({0: IMAGE, 1: AGE}, {"ct": 0, "age": 1}),
        (Pair(IMAGE, AGE), {"ct": "image", "age": 1}),
        (Study(IMAGE, AGE), {"ct": "image", "age": "age"}),
        ((IMAGE, {"age": AGE}), {"ct": 0, "age": lambda batch: batch[1]["age"]}),
    ],
    ids=["tuple", "list", "dict", "numbered", "namedtuple", "dataclass", "function"],
)
def test_every_form_of_batch(batch: Any, places: dict[str, Any]) -> None:
    found = ml.from_batches(iter([batch, batch]), inputs=places).inputs
    np.testing.assert_array_equal(found["ct"], np.concatenate([IMAGE, IMAGE]))
    np.testing.assert_array_equal(found["age"], [50, 60, 50, 60])


def test_bundles_stay_dicts() -> None:
    batches = [{"report": {"input_ids": torch.full((2, 3), row), "attention_mask": torch.ones(2, 3)}} for row in (1, 2)]
    report = ml.from_batches(batches).inputs["report"]
    assert list(report) == ["input_ids", "attention_mask"]
    assert report["input_ids"][:, 0].tolist() == [1, 1, 2, 2]


def test_tables_are_joined_with_their_columns() -> None:
    tables = [pd.DataFrame({"age": [50, 61], "sex": pd.Categorical(["f", "m"])}) for _ in range(2)]
    clinical = ml.from_batches([{"clinical": table} for table in tables]).inputs["clinical"]
    assert clinical.dtypes.astype(str).to_dict() == {"age": "int64", "sex": "category"}
    assert clinical.index.tolist() == [0, 1, 2, 3]


SERIES = [torch.arange(float(length))[:, None] for length in (3, 1, 4, 2)]


def require_series(vitals: list[Tensor]) -> None:
    assert isinstance(vitals, list)
    assert all(torch.equal(found, expected) for found, expected in zip(vitals, SERIES, strict=True))


@pytest.mark.parametrize(
    "collate",
    [list, pack_sequence, torch.nested.as_nested_tensor],
    ids=["list", "packed", "nested"],
)
def test_series_of_any_length_come_as_a_list(collate: Callable[[list[Tensor]], Any]) -> None:
    if collate is pack_sequence:
        collate = lambda series: pack_sequence(series, enforce_sorted=False)  # noqa: E731
    loader = DataLoader(
        Patients(lambda row: SERIES[row], 4), batch_size=2, collate_fn=lambda rows: {"vitals": collate(rows)}
    )
    require_series(ml.from_batches(loader).inputs["vitals"])


def test_samples_of_any_length_come_as_a_list() -> None:
    require_series(ml.from_batches(Patients(lambda row: {"vitals": SERIES[row]}, 4)).inputs["vitals"])


def test_batches_padded_to_different_lengths_become_a_list() -> None:
    batches = [{"vitals": pad_sequence(SERIES[start : start + 2], batch_first=True)} for start in (0, 2)]
    vitals = ml.from_batches(batches).inputs["vitals"]
    assert [tuple(one.shape) for one in vitals] == [(3, 1), (3, 1), (4, 1), (4, 1)]
    assert vitals[1].ravel().tolist() == [0, 0, 0]


def test_a_modality_that_a_patient_lacks_stays_none() -> None:
    samples = Patients(lambda row: {"vitals": None if row == 1 else SERIES[row], "age": 50.0 + row}, 4)
    vitals = ml.from_batches(samples).inputs["vitals"]
    assert [one is None for one in vitals] == [False, True, False, False]


def test_labels_and_ids_become_arrays() -> None:
    batch = {"ct": torch.ones(2, 3), "died": torch.tensor([0.5, 1.0]).bfloat16(), "id": ("a", "b")}
    found = ml.from_batches([batch], labels="died", ids="id")
    assert found.labels.tolist() == [0.5, 1.0]
    assert found.ids.tolist() == ["a", "b"]
    assert list(found.inputs) == ["ct"]
    assert ml.from_batches([batch]).labels is None


def test_what_is_loaded_is_what_explain_takes() -> None:
    """A loader, and the arrays that it was made of: the same numbers."""
    random = np.random.default_rng(0)
    image, labs = random.normal(size=(12, 4, 4)).astype(np.float32), random.normal(size=(12, 2)).astype(np.float32)
    died = np.arange(12) % 2
    dataset = TensorDataset(*map(torch.from_numpy, (image, labs, died)))
    found = ml.from_batches(DataLoader(dataset, batch_size=5), inputs={"image": 0, "labs": 1}, labels=2)

    def model(image: Any, labs: Any) -> Any:
        return torch.sigmoid(torch.as_tensor(image).mean((1, 2)) * torch.as_tensor(labs)[:, 0])

    settings: dict[str, Any] = {"measures": [ml.Shapley(), ml.Reliance()], "modalities": {"image": ml.Image(patch=2)}}
    loaded = ml.explain(model, found.inputs, labels=found.labels, **settings)
    plain = ml.explain(model, {"image": image, "labs": labs}, labels=died, **settings)
    np.testing.assert_array_equal(loaded.shapley.values, plain.shapley.values)
    assert loaded.reliance.everything == plain.reliance.everything


# what is refused ---------------------------------------------------------------------------------------------------------


def emptied() -> Iterator[Any]:
    loader = iter([{"ct": IMAGE}])
    next(loader)
    return loader


class Stream(IterableDataset):
    """Samples one after the other, without a length."""

    def __iter__(self) -> Iterator[Any]:
        return iter([{"ct": torch.ones(4), "labs": torch.ones(4)}])


BATCH = {"image": IMAGE, "age": AGE}


@pytest.mark.parametrize(
    ("loader", "settings", "said"),
    [
        ([BATCH], {"inputs": {"ct": "imagge"}}, r"'ct'.*'imagge' of batch 0.*'image', 'age'.*did you mean 'image'"),
        ([BATCH, {"image": IMAGE}], {}, r"'age'.*batch 1.*holds 'image'"),
        ([BATCH], {"labels": "died"}, r"'labels'.*'died' of batch 0"),
        ([(IMAGE, AGE)], {}, r"batch 0 is a tuple of 2.*inputs=\{'ct': 0"),
        ([(IMAGE, AGE)], {"inputs": {"ct": 2}}, r"'ct'.*2 of batch 0.*tuple of 2.*position"),
        ([(IMAGE, AGE)], {"inputs": {"ct": "image"}}, r"'ct'.*'image' of batch 0.*tuple of 2.*position"),
        ([Study(IMAGE, AGE)], {}, r"batch 0 is a Study.*where each modality lies"),
        ([BATCH, {"image": IMAGE, "age": AGE[:1]}], {}, r"batch 1.*different numbers.*'image': 2, 'age': 1"),
        ([{"image": IMAGE, "age": AGE}], {"ids": lambda batch: ["one"]}, r"batch 0.*'image': 2.*'ids': 1"),
        ([{"report": {"ids": IMAGE, "mask": AGE[:1]}}], {}, r"batch 0.*'report\[ids\]': 2, 'report\[mask\]': 1"),
        ([{"report": {"ids": IMAGE}}, {"report": {"mask": IMAGE}}], {}, r"members 'mask', and the first 'ids'"),
        ([{"image": IMAGE, "site": "a"}], {}, r"batch 0: 'site' is one value for all patients"),
        ([{"image": IMAGE, "loss": torch.tensor(1.0)}], {}, r"'loss' is one value for all patients"),
        ([{"died": AGE}], {"labels": "died"}, r"batch 0 holds no modality"),
        ([BATCH], {"limit": 0}, r"limit=0.*whole number"),
        ([BATCH], {"limit": 2.0}, r"limit=2.0.*whole number"),
        ([], {}, r"no patients.*read only once"),
        (emptied(), {}, r"no patients.*read only once"),
        (BATCH, {}, r"dict of 2, which is a batch itself.*\[batch\]"),
        (torch.ones(3, 2), {}, r"Tensor, which is a batch itself"),
        (3, {}, r"came int.*DataLoader"),
        (Stream(), {}, r"IterableDataset Stream.*DataLoader"),
        (Patients(lambda row: (row, row)), {}, r"sample 0 is a tuple of 2"),
        (Patients(lambda row: {"ct": row} if row < 2 else {}), {}, r"'ct'.*sample 2, which holds none"),
    ],
)
def test_what_can_not_be_read_is_refused_with_a_remedy(loader: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ml.InputError, match=said):
        ml.from_batches(loader, **settings)
