"""Rows of other patients: one row for all absent modalities of a draw, one set of rows for all coalitions, seeded; and how baselines are chosen and doubted."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import modalens as ml

BACKGROUND_ID = 100


def numbered(count: int, first: int = 0, names: str = "abc") -> dict[str, np.ndarray]:
    """Every patient's number in every modality, so that whoever stands in can be seen."""
    return {name: np.arange(first, first + count, dtype=float)[:, None] for name in names}


class Witness:
    """A model that remembers every row that it was given."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def __call__(self, **inputs: Any) -> np.ndarray:
        self.seen += [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]
        return sum(
            np.asarray([float(np.sum(value)) for value in values]) * (place + 1)
            for place, values in enumerate(inputs.values())
        )

    def drawn(self) -> dict[frozenset[str], set[float]]:
        """The background rows that stood in, by which modalities were absent."""
        found: dict[frozenset[str], set[float]] = {}
        for row in self.seen:
            absent = frozenset(name for name, value in row.items() if value[0] >= BACKGROUND_ID)
            found.setdefault(absent, set()).update(float(row[name][0]) for name in absent)
        return found


def explained(model: Any, inputs: Mapping[str, Any], **settings: Any) -> ml.Explanation:
    return ml.explain(
        model,
        inputs,
        **{
            "measures": [ml.Shapley()],
            "output": "raw",
            "background": numbered(30, BACKGROUND_ID, "".join(inputs)),
            **settings,
        },
    )


def test_all_absent_modalities_of_a_draw_are_one_patients() -> None:
    witness = Witness()
    explained(witness, numbered(3), baseline=ml.Background(rows=7))
    mixed = [
        row for row in witness.seen if len({float(value[0]) for value in row.values() if value[0] >= BACKGROUND_ID}) > 1
    ]
    assert mixed == []
    assert any(sum(value[0] >= BACKGROUND_ID for value in row.values()) == 2 for row in witness.seen)


def test_all_coalitions_share_one_set_of_rows_the_empty_one_included() -> None:
    witness = Witness()
    explained(witness, numbered(3), baseline=ml.Background(rows=7))
    drawn = witness.drawn()
    assert len(drawn) == 8
    rows = [one for absent, one in drawn.items() if absent]
    assert all(one == rows[0] for one in rows)
    assert len(rows[0]) == 7


def test_the_seed_decides_which_rows() -> None:
    def rows(seed: int) -> set[float]:
        witness = Witness()
        explained(witness, numbered(3), baseline=ml.Background(rows=7), seed=seed)
        return witness.drawn()[frozenset("abc")]

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


def test_all_rows_stand_in_where_there_are_fewer_than_asked_for() -> None:
    witness = Witness()
    explained(witness, numbered(3), baseline=ml.Background(rows=500))
    assert witness.drawn()[frozenset("a")] == set(range(BACKGROUND_ID, BACKGROUND_ID + 30))


def test_parts_get_fewer_rows_and_the_same_ones() -> None:
    witness = Witness()
    explained(witness, numbered(3), measures=[ml.Occlusion()], baseline=ml.Background(rows=20, part_rows=4))
    for_parts = witness.drawn()[frozenset("a")]
    assert len(for_parts) == 4
    explained(other := Witness(), numbered(3), baseline=ml.Background(rows=20))
    assert for_parts < other.drawn()[frozenset("a")]


def test_a_part_is_filled_with_the_rows_same_part() -> None:
    seen = []

    def model(lab: np.ndarray) -> np.ndarray:
        seen.append(lab.copy())
        return lab.sum(axis=1)

    others = np.array([[10.0, 20.0, 30.0], [11.0, 21.0, 31.0]])
    ml.explain(
        model,
        {"lab": np.array([[1.0, 2.0, 3.0]])},
        measures=[ml.Occlusion()],
        background={"lab": others},
        baseline="background",
        output="raw",
    )
    rows = {tuple(row) for row in np.concatenate(seen).tolist()}
    assert {(1, 20, 3), (1, 21, 3), (10, 2, 3), (11, 2, 3), (1, 2, 30), (1, 2, 31)} <= rows
    assert rows <= {
        (1, 2, 3),
        (1, 20, 3),
        (1, 21, 3),
        (10, 2, 3),
        (11, 2, 3),
        (1, 2, 30),
        (1, 2, 31),
        (10, 20, 30),
        (11, 21, 31),
    }


def test_conditional_rows_are_the_nearest_in_what_is_present() -> None:
    low, high = np.array([0.0, 0.1, 0.2]), np.array([10.0, 10.1, 10.2])
    background = {"a": np.concatenate([low, high])[:, None], "b": np.concatenate([high, low])[:, None]}
    seen: list[tuple[float, float]] = []

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        seen.extend(zip(a[:, 0].tolist(), b[:, 0].tolist(), strict=True))
        return a[:, 0] + b[:, 0]

    ml.explain(
        model,
        {"a": np.array([[0.05], [10.04]]), "b": np.array([[10.06], [0.07]])},
        measures=[ml.Shapley()],
        baseline=ml.Conditional(rows=3),
        background=background,
        output="raw",
    )
    assert {b for a, b in seen if a == 0.05} == {10.06, *high}  # where b is absent, it comes from those like a
    assert {a for a, b in seen if b == 0.07} == {10.04, *high}
    assert not {(a, b) for a, b in seen if a < 5 and b < 5}  # no impossible patient


def test_conditional_rows_are_ordered_by_distance() -> None:
    background = {"a": np.arange(5.0)[:, None], "b": 100 + np.arange(5.0)[:, None]}
    seen = []

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        seen.append((a[:, 0].copy(), b[:, 0].copy()))
        return a[:, 0] + b[:, 0]

    ml.explain(
        model,
        {"a": np.array([[3.4]]), "b": np.array([[0.0]])},
        measures=[ml.Shapley()],
        baseline=ml.Conditional(rows=2),
        background=background,
        output="raw",
    )
    stood_in = {float(b) for values in seen for a, b in zip(*values, strict=True) if a == 3.4 and b >= 100}
    assert stood_in == {103.0, 104.0}


def test_a_word_is_masked_where_background_rows_stand_in_and_provenance_says_so() -> None:
    seen: set[str] = set()

    def model(report: list[str], lab: np.ndarray) -> np.ndarray:
        seen.update(report)
        return np.array([float(len(text)) for text in report]) + lab[:, 0]

    background = {"report": ["clear lungs", "large mass"], "lab": np.array([[7.0], [8.0]])}
    found = ml.explain(
        model,
        {"report": ["no effusion"], "lab": np.array([[1.0]])},
        measures=[ml.Occlusion()],
        background=background,
        baseline="background",
        output="raw",
    )
    assert seen == {"no effusion", "[MASK] effusion", "no [MASK]", "clear lungs", "large mass"}
    assert "a single word by the mask token" in found.provenance["baselines"]["background"]["report"]
    assert "mask token" not in found.provenance["baselines"]["background"]["lab"]


def test_a_baseline_for_all_or_one_a_modality_by_name_or_as_an_object() -> None:
    inputs = numbered(4, first=1, names="ab")
    values = {
        label: ml.explain(
            lambda a, b: a[:, 0] + 10 * b[:, 0],
            inputs,
            measures=[ml.Shapley()],
            baseline=baseline,
            output="raw",
            background=numbered(4, 50, "ab"),
        ).shapley.values.sel(output="output")
        for label, baseline in {
            "name": "zeros",
            "object": ml.Zeros(),
            "each": {"a": "zeros", "b": ml.Constant(value=1.0)},
            "mean": {"b": "mean", "a": "zeros"},
        }.items()
    }
    np.testing.assert_array_equal(values["name"], values["object"])
    np.testing.assert_allclose(values["name"].sel(modality="b"), [10, 20, 30, 40])
    np.testing.assert_allclose(values["each"].sel(modality="b"), [0, 10, 20, 30])
    np.testing.assert_allclose(values["mean"].sel(modality="b"), np.array([1, 2, 3, 4]) * 10 - 515)
    for one in values.values():
        np.testing.assert_allclose(one.sel(modality="a"), [1, 2, 3, 4])


def test_without_a_choice_rows_stand_in_for_modalities_and_a_mean_for_parts() -> None:
    found = explained(lambda a, b: a[:, 0] + b[:, 0], numbered(6, names="ab"), measures=[ml.Occlusion(), ml.Shapley()])
    assert set(found.provenance["baselines"]) == {"background", "mean"}
    assert found.shapley.by_baseline.baseline.values.tolist() == ["background", "mean"]
    assert found.occlusion.anchor_by_baseline.baseline.values.tolist() == ["mean", "background"]
    np.testing.assert_allclose(found.occlusion.parts["a"].values.ravel(), np.arange(6) - 114.5)


def warned(**settings: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = explained(lambda a, b: a[:, 0] + b[:, 0], numbered(6, names="ab"), **settings)
    messages = [str(one.message) for one in caught if issubclass(one.category, ml.ModalensWarning)]
    assert messages == found.provenance["warnings"]
    return messages


def test_a_fill_outside_the_backgrounds_range_is_a_warning() -> None:
    assert any(
        "'a'" in one and "100%" in one and "outside the range" in one
        for one in warned(baseline={"a": ml.Constant(value=1000.0), "b": "mean"})
    )
    assert not any("of its baseline" in one for one in warned(baseline="mean"))


def test_a_fill_that_changes_nothing_in_some_samples_is_a_warning() -> None:
    assert any("'a'" in one and "1 of 6 samples" in one for one in warned(baseline={"a": "zeros", "b": "mean"}))


def test_patients_who_stand_in_for_themselves_are_a_warning() -> None:
    assert any("no background was given" in one for one in warned(background=None))
    assert not any("no background" in one for one in warned(background=None, baseline="zeros"))


def test_baselines_that_disagree_are_a_warning() -> None:
    background = {"a": np.full((10, 1), 5.0), "b": np.tile([[-9.0], [9.0]], (5, 1))}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Against the mean of b, which is 0, nothing of b is lost; against rows of it, everything.
        ml.explain(
            lambda a, b: a[:, 0] + b[:, 0] ** 2,
            {"a": np.arange(6.0)[:, None], "b": np.full((6, 1), 0.1)},
            measures=[ml.Shapley()],
            background=background,
            output="raw",
        )
    assert any("baselines disagree on" in str(one.message) for one in caught)


@pytest.mark.parametrize("baseline", ["background", "mean", "conditional"])
def test_per_sample_segments_take_a_background_of_another_size(baseline: str) -> None:
    random = np.random.default_rng(0)
    segments = np.stack([np.array([[0, 0], [1, 1]]), np.array([[0, 1], [1, 1]])])
    inputs = {"image": random.normal(size=(2, 2, 2)), "lab": random.normal(size=(2, 1))}
    background = {"image": random.normal(size=(5, 2, 2)), "lab": random.normal(size=(5, 1))}
    found = ml.explain(
        lambda image, lab: image.sum(axis=(1, 2)) + lab[:, 0],
        inputs,
        modalities={"image": ml.Image(segments=segments)},
        measures=[ml.Occlusion()],
        background=background,
        baseline=baseline,
        output="raw",
    )
    assert found.occlusion.parts["image"].shape == (2, 2, 1)


def test_nobody_stands_in_for_themselves_by_being_nearest() -> None:
    inputs = {"a": np.array([[0.0], [1.0], [10.0], [11.0]]), "b": np.array([[5.0], [6.0], [7.0], [8.0]])}
    found = ml.explain(
        lambda a, b: b[:, 0], inputs, measures=[ml.Shapley()], baseline=ml.Conditional(rows=1), output="raw"
    ).shapley
    # Without b, each has the b of its neighbour in a; without both, v is the b of one row for all.
    nothing = (np.array([5.0, 6.0, 7.0, 8.0]) - found.values.sum("modality").values[:, 0])[0]
    np.testing.assert_allclose(
        found.values.sel(modality="a").values[:, 0], (np.array([6.0, 5.0, 8.0, 7.0]) - nothing) / 2
    )
