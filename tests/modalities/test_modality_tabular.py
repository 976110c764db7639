"""Tables: columns and groups as parts, mixed types, and every value given back in its own column's type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import modalens as ml
from modalens import Tabular
from modalens.modalities import Parts

MIXED = pd.DataFrame(
    {
        "age": [61, 47, 80, 33],
        "crp": [1.5, 2.5, 0.5, 11.25],
        "smoker": [True, False, True, True],
        "stage": pd.Categorical(["I", "III", "I", "II"], categories=["I", "II", "III", "IV"], ordered=True),
        "site": ["left", "right", "left", "left"],
    }
)


def cut(kind: Tabular, samples: Any) -> tuple[Tabular, np.ndarray, Parts]:
    resolved = kind.resolve("lab", samples)
    canonical = resolved.canonical("lab", samples)
    return resolved, canonical, resolved.cut(canonical)


def test_a_column_is_a_part() -> None:
    _, _, parts = cut(Tabular(), np.zeros((2, 3)))
    assert parts.names[0] == ("column 0", "column 1", "column 2")
    assert parts.where.tolist() == [[0, 1, 2]]
    assert cut(Tabular(columns=("age", "crp")), np.zeros((2, 2)))[2].names[0] == ("age", "crp")
    assert cut(Tabular(), MIXED)[2].names[0] == ("age", "crp", "smoker", "stage", "site")


def test_fact_11_a_block_of_thirty_columns_and_six_others_are_seven_parts() -> None:
    _, _, parts = cut(Tabular(groups={"one-hot": range(1, 31)}), np.zeros((2, 36)))
    assert len(parts.names[0]) == 7
    assert parts.names[0][:2] == ("column 0", "one-hot")
    assert np.bincount(parts.where[0]).tolist() == [1, 30, 1, 1, 1, 1, 1]


def test_groups_by_name_by_position_and_by_both() -> None:
    frame = pd.DataFrame(np.zeros((2, 5)), columns=list("abcde"))
    by_name = cut(Tabular(groups={"ends": ["a", "e"], "middle": ["b", "d"]}), frame)[2]
    by_position = cut(Tabular(groups={"ends": [0, 4], "middle": [1, "d"]}), frame)[2]
    assert by_name.names == by_position.names == (("ends", "middle", "c"),)
    assert by_name.where.tolist() == by_position.where.tolist() == [[0, 1, 2, 1, 0]]
    assert cut(Tabular(groups={"alone": "c"}), frame)[2].names[0] == ("a", "b", "alone", "d", "e")


@given(
    columns=st.integers(1, 12),
    groups=st.integers(0, 4),
    wanted=st.one_of(st.none(), st.integers(1, 14)),
    seed=st.integers(0, 99),
)
def test_parts_are_disjoint_and_cover_all_columns(columns: int, groups: int, wanted: int | None, seed: int) -> None:
    owner = np.random.default_rng(seed).integers(0, groups + 1, columns)
    chosen = {f"group {i}": np.flatnonzero(owner == i).tolist() for i in range(groups) if (owner == i).any()}
    _, _, parts = cut(Tabular(groups=chosen, parts=wanted), np.zeros((1, columns)))
    count = len(parts.names[0])
    assert sorted(set(parts.where[0].tolist())) == list(range(count))
    assert count <= (wanted or columns)
    for members in chosen.values():
        assert len(set(parts.where[0, members].tolist())) == 1
    if wanted is None:
        assert count == len(chosen) + int((owner == groups).sum())


def test_a_number_of_parts_joins_neighbours() -> None:
    _, _, parts = cut(Tabular(parts=2, groups={"g": [1, 2]}), np.zeros((1, 5)))
    assert parts.names[0] == ("column 0 .. g", "column 3 .. column 4")
    assert parts.where.tolist() == [[0, 0, 0, 1, 1]]


@pytest.mark.parametrize(
    "frame",
    [
        MIXED,
        MIXED[["age", "crp"]],
        MIXED[["age"]],
        MIXED.astype({"crp": np.float32})[["crp"]],
        MIXED[["stage", "site"]],
    ],
    ids=lambda one: ",".join(one.columns),
)
def test_a_frame_is_given_back_with_its_types_and_categories(frame: pd.DataFrame) -> None:
    kind, canonical, _ = cut(Tabular(), frame)
    pd.testing.assert_frame_equal(kind.restore(canonical), frame)
    pd.testing.assert_frame_equal(
        kind.restore(kind.take(canonical, np.array([3, 0]))), frame.iloc[[3, 0]].reset_index(drop=True)
    )


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((3, 2), np.float32),
        np.arange(6).reshape(3, 2),
        np.array([1.5, 2.5, 3.5]),
        np.array([True, False, True]),
        torch.ones(3, 2),
        torch.ones(3),
        torch.arange(3),
    ],
    ids=[
        "float32",
        "integers",
        "one number",
        "one truth value",
        "tensor",
        "one number in a tensor",
        "one integer in a tensor",
    ],
)
def test_an_array_is_given_back_as_it_came(samples: Any) -> None:
    kind, canonical, _ = cut(Tabular(), samples)
    assert canonical.ndim == 2
    back = kind.restore(canonical)
    assert type(back) is type(samples)
    assert (back.dtype, back.shape) == (samples.dtype, samples.shape)
    assert bool((back == samples).all())


def test_a_pandas_series_is_given_back_with_its_name_and_type() -> None:
    for values in (pd.Series([61, 47, 80], name="age"), pd.Series(pd.Categorical(["I", "II", "I"]), name="stage")):
        kind, canonical, parts = cut(Tabular(), values)
        assert parts.names[0] == ("lab",)
        pd.testing.assert_series_equal(kind.restore(canonical), values)


def test_replace_keeps_the_type_of_every_column() -> None:
    kind, canonical, parts = cut(Tabular(groups={"habits": ["smoker", "site"]}), MIXED)
    others = kind.take(canonical, np.array([1, 1, 1, 1]))
    before = canonical.copy()
    masked = kind.restore(
        kind.replace(canonical, others, parts, [parts.names[0].index("habits"), parts.names[0].index("stage")])
    )
    pd.testing.assert_frame_equal(
        masked,
        MIXED.assign(
            smoker=False,
            site="right",
            stage=pd.Categorical(["III"] * 4, categories=["I", "II", "III", "IV"], ordered=True),
        ),
    )
    np.testing.assert_array_equal(canonical, before)


def test_the_mean_of_whole_numbers_is_rounded_also_beside_others() -> None:
    ages = pd.DataFrame({"age": [50, 51, 51], "crp": [1.0, 2.0, 4.5]})
    for frame in (ages, ages.assign(site=["left", "left", "right"])):
        kind, canonical, _ = cut(Tabular(), frame)
        filled = kind.restore(kind.mean(canonical))
        assert filled["age"].tolist() == [51]  # the mean is 50.67: cut off, it would be 50
        assert filled["crp"].tolist() == [2.5]
        assert filled.dtypes.tolist() == frame.dtypes.tolist()


def test_the_mean_of_categories_and_text_is_the_most_frequent_value() -> None:
    kind, canonical, _ = cut(Tabular(), MIXED)
    filled = kind.restore(kind.mean(canonical)).iloc[0]
    assert filled.to_dict() == {"age": 55, "crp": 3.9375, "smoker": True, "stage": "I", "site": "left"}


def test_a_mean_of_mixed_columns_lies_inside_their_range() -> None:
    kind, canonical, _ = cut(Tabular(), MIXED)
    assert kind.outside(kind.mean(canonical), canonical) == 0
    far = kind.mean(canonical)
    far[0, [1, 4]] = [99.0, "middle"]
    assert kind.outside(far, canonical) == pytest.approx(2 / 5)


def test_a_constant_a_column_keeps_numbers_as_numbers() -> None:
    kind, canonical, _ = cut(Tabular(), MIXED)
    filled = kind.restore(kind.constant(canonical, [40, 1.25, False, "IV", "right"]))
    assert filled.iloc[0].to_dict() == {"age": 40, "crp": 1.25, "smoker": False, "stage": "IV", "site": "right"}
    assert filled.dtypes.tolist() == MIXED.dtypes.tolist()


@pytest.mark.parametrize(
    "value",
    [0, [40, 1.25, False, "V", "right"], ["old", 1.25, False, "I", "right"], [40, 1.25, False, "I", 3]],
    ids=["zero", "unknown category", "word for a number", "number for a word"],
)
def test_a_constant_that_a_column_can_not_hold_is_refused(value: Any) -> None:
    kind, canonical, _ = cut(Tabular(), MIXED)
    with pytest.raises(ml.InputError, match="no value of theirs"):
        kind.constant(canonical, value)


def test_a_background_frame_must_have_the_same_types() -> None:
    kind, _, _ = cut(Tabular(), MIXED[["age", "crp"]])
    with pytest.raises(ml.InputError, match="'age' is of type float64, expected int64"):
        kind.canonical("lab", MIXED[["age", "crp"]].astype(float))
    with pytest.raises(ml.InputError, match="'age' is of type float64, expected int64"):
        kind.canonical("lab", MIXED[["age", "crp"]].to_numpy())


def test_distances_see_every_category() -> None:
    kind, canonical, _ = cut(
        Tabular(),
        pd.DataFrame({"stage": pd.Categorical(["I", "I", "II", "II"]), "site": ["left", "right", "left", "right"]}),
    )
    np.testing.assert_allclose(kind.distances(canonical, canonical)[0], [0, 1, 1, 2], rtol=0, atol=1e-12)


def test_described_in_one_line() -> None:
    kind, canonical, parts = cut(Tabular(), MIXED)
    assert kind.describe(canonical, parts) == "Tabular 5, 5 columns"
