"""Cohorts and studies, on small tables made here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from modalens import InputError, Tabular, Text
from modalens.datasets import Cohort, Study
from modalens.datasets.study import standardise, stratified, tables


def cohort(n: int = 6, **more: Any) -> Cohort:
    inputs = {
        "table": pd.DataFrame({"age": np.arange(n)}),
        "words": [f"report {i}" for i in range(n)],
        "ids": np.arange(2 * n).reshape(n, 2),
    }
    return Cohort(**{"inputs": inputs, "labels": np.arange(n) % 2, "groups": np.arange(n) // 2, **more})


def test_take_keeps_the_kinds_and_the_order_asked_for() -> None:
    taken = cohort().take([4, 0])
    assert len(taken) == 2
    assert taken.inputs["table"]["age"].tolist() == [4, 0]
    assert taken.inputs["words"] == ["report 4", "report 0"]
    assert taken.inputs["ids"].tolist() == [[8, 9], [0, 1]]
    assert taken.labels.tolist() == [0, 0]
    assert taken.groups.tolist() == [2, 0]


def test_take_reads_booleans_as_a_choice() -> None:
    assert cohort().take(np.array([False, True, False, True, False, False])).inputs["table"]["age"].tolist() == [1, 3]


def test_take_of_nothing_is_empty() -> None:
    assert len(cohort().take([])) == 0


def test_uneven_rows_are_refused() -> None:
    with pytest.raises(InputError, match="labels has 5"):
        cohort(labels=np.zeros(5, dtype=int))


def test_a_study_is_refused_whose_cohorts_lack_a_modality() -> None:
    with pytest.raises(InputError, match="train cohort holds 'table', 'words', 'ids'"):
        Study(
            name="s", title="", question="", classes=("a", "b"), metric="auc", train=cohort(), validation=cohort(), test=cohort(),
            modalities={"table": Tabular(), "words": Text()}, notes=(),
        )  # fmt: skip


def test_standardise_looks_at_the_training_rows_only() -> None:
    train, other = pd.DataFrame({"a": [0.0, 2.0], "same": [5.0, 5.0]}), pd.DataFrame({"a": [101.0], "same": [7.0]})
    scaled, scaled_other = standardise(train, other)
    assert scaled["a"].tolist() == [-1, 1]
    assert scaled_other["a"].tolist() == [100]
    assert scaled["same"].tolist() == [0, 0]
    assert scaled_other["same"].tolist() == [2]
    assert (scaled.dtypes == np.float32).all()


def test_stratified_shares_out_each_row_once_with_even_classes() -> None:
    labels = np.repeat([0, 1], [900, 100])
    train, validation, test = stratified(labels, seed=3)
    assert np.array_equal(np.sort(np.concatenate([train, validation, test])), np.arange(1000))
    assert [len(rows) for rows in (train, validation, test)] == [600, 150, 250]
    assert all(labels[rows].mean() == pytest.approx(0.1, abs=0.01) for rows in (train, validation, test))
    assert np.array_equal(train, stratified(labels, seed=3)[0])
    assert not np.array_equal(train, stratified(labels, seed=4)[0])


def test_tables_keeps_patients_with_their_labels() -> None:
    frame = pd.DataFrame({"a": np.arange(8.0)})
    labels = np.arange(8) % 3
    _, _, test = tables({"t": frame}, labels, (np.array([1, 3, 5]), np.array([0]), np.array([7, 2])))
    assert test.groups.tolist() == [7, 2]
    assert test.labels.tolist() == [1, 2]
    spread = np.std([1, 3, 5])
    assert np.allclose(test.inputs["t"]["a"], [(7 - 3) / spread, (2 - 3) / spread])
