"""Samples of any length: series and bags of items, cut, replaced and removed patient by patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import modalens as ml
from modalens.baselines import Baseline, Fill, named
from modalens.modalities import Modality, Parts, fitted, infer
from modalens.modalities.items import Bag, Ragged
from modalens.plots import parts as draw_parts

LENGTHS = (3, 7, 1, 5)


def walks(*lengths: int, width: int = 2, seed: int = 0) -> list[np.ndarray]:
    """A series for each patient."""
    random = np.random.default_rng(seed)
    return [random.normal(size=(length, width)).astype(np.float32) for length in lengths]


def slides(*counts: int, seed: int = 0) -> dict[str, list[np.ndarray]]:
    """Tiles, where they lie, and which block of tissue each is from."""
    random = np.random.default_rng(seed)
    return {
        "tiles": [random.normal(size=(count, 4)) for count in counts],
        "places": [random.integers(0, 100, size=(count, 2)) for count in counts],
        "block": [random.integers(5, 8, size=count) for count in counts],
    }


def opened(samples: Any, kind: Modality | None = None) -> tuple[Modality, np.ndarray, Parts]:
    resolved = fitted(kind or infer("slide", samples), samples).resolve("slide", samples)
    canonical = resolved.canonical("slide", samples)
    return resolved, canonical, resolved.cut(canonical)


def without(samples: Any, absent: list[int], baseline: str | Baseline, kind: Modality | None = None) -> Any:
    """The samples with these parts replaced, as a model gets them."""
    resolved, canonical, parts = opened(samples, kind)
    fill = named(baseline)
    assert isinstance(fill, Fill)
    made = fill.fill(resolved, canonical, canonical)
    return resolved.restore(resolved.replace(canonical, np.broadcast_to(made, canonical.shape), parts, absent))


# Series ------------------------------------------------------------------------------------------------------------------------


def test_windows_of_each_series() -> None:
    _, _, parts = opened(walks(*LENGTHS), ml.Series(window=2))
    assert parts.names == (
        ("steps 0-1", "steps 2-2"),
        ("steps 0-1", "steps 2-3", "steps 4-5", "steps 6-6"),
        ("steps 0-0",),
        ("steps 0-1", "steps 2-3", "steps 4-4"),
    )
    assert [where.tolist() for where in parts.where] == [[0, 0, 1], [0, 0, 1, 1, 2, 2, 3], [0], [0, 0, 1, 1, 2]]
    assert isinstance(opened(walks(*LENGTHS))[0], Ragged)
    assert opened(walks(*LENGTHS), ml.Series(parts=2))[2].count(4).tolist() == [2, 2, 1, 2]
    assert opened(walks(40, 3))[2].count(2).tolist() == [8, 3]


def test_channels_of_each_series() -> None:
    given_ = walks(*LENGTHS)
    kind = ml.Series(by="channel", names=("pulse", "pressure"))
    assert opened(given_, kind)[2].names == (("pulse", "pressure"),)
    found = without(given_, [1], "zeros", kind)
    for series, changed in zip(given_, found, strict=True):
        np.testing.assert_array_equal(changed, series * np.array([1, 0], dtype=np.float32))
    with pytest.raises(ml.InputError, match=r"channels can't be removed from a series.*use 'mean'"):
        without(given_, [1], "removed", kind)
    with pytest.raises(ml.InputError, match="1 names for 2 channels; give one name a channel"):
        opened(given_, ml.Series(by="channel", names=("pulse",)))


def test_removed_steps_are_not_in_what_the_model_gets() -> None:
    given_ = walks(*LENGTHS)
    found = without(given_, [0], "removed", ml.Series(window=2))
    for series, left in zip(given_, found, strict=True):
        np.testing.assert_array_equal(left, series[2:])
        assert left.dtype == np.float32
    assert found[2].shape == (0, 2), "everything removed leaves an empty series of the right width"


def test_series_of_single_numbers() -> None:
    given_ = [np.array([1, 2, 3]), np.array([4, 5])]
    found = without(given_, [0], "removed", ml.Series(window=1))
    assert [left.tolist() for left in found] == [[2, 3], [5]]
    assert without(given_, [0, 1, 2], "removed", ml.Series(window=1))[0].shape == (0,)
    assert [one.tolist() for one in without(given_, [1], "mean", ml.Series(window=1))] == [[1, 3, 3], [4, 3]]
    assert found[0].dtype == given_[0].dtype


@pytest.mark.parametrize("baseline", ["mean", "zeros", "sample_mean", ml.Constant(value=2.5)])
def test_steps_are_replaced_by_hand(baseline: Any) -> None:
    given_ = walks(*LENGTHS)
    everything = np.concatenate(given_).mean(axis=0, dtype=np.float64)
    for series, changed in zip(given_, without(given_, [1], baseline, ml.Series(window=2)), strict=True):
        stand_in = {"mean": everything, "zeros": 0, "sample_mean": series.mean(axis=0, dtype=np.float64)}.get(
            str(baseline), 2.5
        )
        expected = series.copy()
        expected[2:4] = stand_in
        np.testing.assert_array_equal(changed, expected)


# Bags --------------------------------------------------------------------------------------------------------------------------


def test_items_are_parts_of_small_bags_and_clusters_of_large_ones() -> None:
    resolved, _, parts = opened(slides(3, 5), Bag())
    assert parts.names == (("item 0", "item 1", "item 2"), tuple(f"item {k}" for k in range(5)))
    assert resolved.typical == "removed"
    resolved, canonical, parts = opened(slides(33, 5), Bag())
    assert parts.names == (tuple(f"cluster {k}" for k in range(8)),)
    assert resolved.describe(canonical, parts) == "Bag of 5 to 33 items of 4, 8 clusters"
    assert opened(slides(7), Bag(parts=3))[2].names == (("items 0-2", "items 3-5", "item 6"),)


def test_regions_are_squares_of_the_coordinates() -> None:
    given_ = {"tiles": [np.ones((4, 2))], "places": [np.array([[10, 10], [19, 10], [10, 30], [21, 30]])]}
    _, _, parts = opened(given_, Bag(by="region", region=10))
    assert parts.names == (("10-20 x 10-20", "10-20 x 20-30", "20-30 x 20-30"),)
    assert parts.where[0].tolist() == [0, 0, 1, 2]


def test_groups_are_those_of_a_member() -> None:
    given_ = {"tiles": [np.ones((4, 2)), np.ones((2, 2))], "block": [np.array([7, 5, 7, 9]), np.array([9, 9])]}
    _, _, parts = opened(given_, Bag(by="block"))
    assert parts.names == (("block 5", "block 7", "block 9"), ("block 9",))
    assert [where.tolist() for where in parts.where] == [[1, 0, 1, 2], [0, 0]]
    assert opened(given_, Bag(by="block", parts=2))[2].names == (("block 5, 7", "block 9"), ("block 9",))


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    by=st.sampled_from(["item", "cluster", "region", "block"]),
    seed=st.integers(0, 99),
)
def test_removed_items_are_really_not_there(counts: list[int], by: str, seed: int) -> None:
    """Whatever a part is: the others are left, in their order, in every member."""
    given_ = slides(*counts, seed=seed)
    _, _, parts = opened(given_, Bag(by=by))
    for part in range(int(parts.count(len(counts)).max())):
        found = without(given_, [part], "removed", Bag(by=by))
        for row in range(len(counts)):
            left = np.flatnonzero(parts.where[row] != part)
            for member, values in given_.items():
                np.testing.assert_array_equal(found[member][row], values[row][left])
                assert found[member][row].dtype == values[row].dtype
    everything = without(given_, list(range(16)), "removed", Bag(by=by))
    assert [one.shape for one in everything["tiles"]] == [(0, 4)] * len(counts)
    assert [one.shape for one in everything["block"]] == [(0,)] * len(counts)


def test_items_are_replaced_by_their_mean() -> None:
    given_ = slides(3, 2)
    found = without(given_, [1], "mean", Bag(by="item"))
    for member, values in given_.items():
        mean = np.concatenate(values).mean(axis=0, dtype=np.float64)
        mean = mean if member == "tiles" else np.rint(mean).astype(values[0].dtype)
        for row in range(2):
            expected = values[row].copy()
            expected[1] = mean
            np.testing.assert_array_equal(found[member][row], expected)
            assert found[member][row].dtype == values[row].dtype
    own = without(given_, [0], ml.Constant(value={"block": 3, "places": 7.6, "tiles": 0}), Bag(by="item"))
    assert (own["places"][0][0] == 8).all()
    assert own["block"][1][0] == 3
    with pytest.raises(ml.InputError, match="missing 'places', 'block'"):
        without(given_, [0], ml.Constant(value={"tiles": 0}), Bag(by="item"))
    with pytest.raises(ml.InputError, match="expected one number, or an array of that shape"):
        without(walks(2, 3), [0], ml.Constant(value=np.ones(3)))


def test_tensors_stay_tensors() -> None:
    given_ = [torch.arange(6).reshape(3, 2), torch.arange(2).reshape(1, 2)]
    found = without(given_, [0], "removed", Bag(by="item"))
    assert torch.equal(found[0], given_[0][1:])
    assert found[1].shape == (0, 2)
    assert found[0].dtype == torch.int64
    half = [torch.ones(2, 2, dtype=torch.bfloat16), torch.ones(1, 2, dtype=torch.bfloat16)]
    assert {one.dtype for one in without(half, [0], "zeros", Bag(by="item"))} == {torch.bfloat16}


def test_no_two_draws_share_memory_with_the_users_arrays() -> None:
    given_ = slides(3, 5)
    before = {member: [one.copy() for one in values] for member, values in given_.items()}
    resolved, canonical, _ = opened(given_, Bag())
    first, second = (resolved.restore(resolved.take(canonical, np.array([1, 0, 1]))) for _ in range(2))
    for member, values in given_.items():
        for found in (first[member], second[member]):
            assert not any(np.shares_memory(one, own) for one in found for own in values)
            assert not np.shares_memory(found[0], found[2])
    for member in given_:
        for one in first[member]:
            one[:] = 77
    for member, values in before.items():
        for one, other, again in zip(given_[member], values, (second[member][1], second[member][0]), strict=True):
            np.testing.assert_array_equal(one, other)
            np.testing.assert_array_equal(again, other)


def test_a_model_that_writes_into_its_bags_changes_nobodys() -> None:
    given_ = walks(3, 4, 2)
    before = [one.copy() for one in given_]

    def rude(tiles: list[np.ndarray], age: np.ndarray) -> np.ndarray:
        found = np.array([one.sum() for one in tiles]) + age[:, 0]
        for one in tiles:
            one[:] = 1e6
        return found

    inputs = {"tiles": given_, "age": np.arange(3.0)[:, None]}
    ml.explain(rude, inputs, modalities={"tiles": Bag()}, output="raw", progress=False)
    for one, other in zip(given_, before, strict=True):
        np.testing.assert_array_equal(one, other)


@given(seed=st.integers(0, 99))
def test_digests_and_equality(seed: int) -> None:
    resolved, canonical, parts = opened(slides(3, 5, seed=seed), Bag(by="item"))
    again = opened(slides(3, 5, seed=seed), Bag(by="item"))[1]
    assert resolved.digest(canonical) == resolved.digest(again)
    assert resolved.same(canonical, again).all()
    gone = resolved.replace(canonical, resolved.removed(canonical), parts, [4])
    assert resolved.same(canonical, gone).tolist() == [True, False]
    assert resolved.digest(gone) != resolved.digest(canonical)
    assert resolved.row_bytes(canonical) == (8 * (3 + 5) * (4 + 2 + 1)) // 2
    lacking = np.array([canonical[0], None], dtype=object)
    assert resolved.digest(lacking) != resolved.digest(lacking[::-1])


# By hand, through explain ------------------------------------------------------------------------------------------------------


def test_occlusion_of_clusters_by_hand() -> None:
    """A model that sums the first feature of all tiles changes, without a cluster, by the sum over its tiles."""
    bags = {"tiles": slides(40, 12, 35)["tiles"]}
    bags = {"tiles": [np.round(one * 64) / 64 for one in bags["tiles"]]}
    found = ml.explain(
        lambda tiles, age: np.array([one[:, 0].sum() for one in tiles]) + age[:, 0],
        bags | {"age": np.array([[1.0], [2.0], [4.0]])},
        modalities={"tiles": Bag()},
        baseline={"tiles": "removed", "age": "zeros"},
        output="raw",
        progress=False,
    )
    _, _, parts = opened(bags["tiles"], Bag())
    signed = found.occlusion.parts["tiles"]
    assert signed.part.values.tolist() == [f"cluster {k}" for k in range(8)]
    for row, tiles in enumerate(bags["tiles"]):
        for cluster in range(8):
            expected = tiles[parts.where[row] == cluster, 0].sum()
            assert signed.values[row, cluster, 0] == expected
        assert found.shapley.values.sel(modality="tiles").values[row, 0] == tiles[:, 0].sum()
    amounts = np.abs(signed.values).sum((1, 2))
    np.testing.assert_allclose(found.occlusion.amount.sel(modality="tiles"), amounts.mean(), rtol=1e-14)


@pytest.mark.parametrize("counts", [(1,), (4,), (1, 1, 1)])
def test_one_patient_and_one_item(counts: tuple[int, ...]) -> None:
    found = ml.explain(
        lambda tiles, age: np.array([one.sum() for one in tiles]) + age[:, 0],
        {"tiles": [np.full((count, 2), 2.0) for count in counts], "age": np.ones((len(counts), 1))},
        modalities={"tiles": Bag()},
        baseline={"tiles": "removed", "age": "zeros"},
        output="raw",
        progress=False,
    )
    assert found.occlusion.parts["tiles"].values.tolist() == [[[4.0]] * count for count in counts]
    np.testing.assert_array_equal(found.shapley.values.values[:, 0, 0], np.array(counts) * 4.0)


@pytest.mark.parametrize("baseline", [None, "background", "removed", "mean"])
def test_the_batch_size_does_not_matter(baseline: Any) -> None:
    inputs = {"tiles": walks(3, 5, 1, 4, width=3), "age": np.arange(4.0)[:, None]}
    chosen = {"tiles": "removed", "age": "background"} if baseline == "removed" else baseline

    def model(tiles: list[np.ndarray], age: np.ndarray) -> np.ndarray:
        return np.array([np.tanh(one[:, 0]).sum() for one in tiles]) * age[:, 0]

    first, *others = (
        ml.explain(
            model, inputs, modalities={"tiles": Bag()}, baseline=chosen, output="raw", batch_size=size, progress=False
        )
        for size in (1, 3, 500)
    )
    for other in others:
        np.testing.assert_array_equal(first.shapley.values.values, other.shapley.values.values)
        np.testing.assert_array_equal(first.occlusion.parts["tiles"].values, other.occlusion.parts["tiles"].values)


def test_a_series_that_some_lack_stays_a_list() -> None:
    """Also where those who have it are of one length, and where only one patient has it."""
    inputs = {"walk": [np.ones((3, 2)), None, np.zeros((3, 2)), np.ones((3, 2)) * 2], "age": np.arange(4.0)[:, None]}
    seen: list[Any] = []

    def model(walk: list[np.ndarray | None], age: np.ndarray) -> np.ndarray:
        seen.append(walk)
        return np.array([0.0 if one is None else one.sum() for one in walk]) + age[:, 0]

    found = ml.explain(model, inputs, baseline="zeros", output="raw", progress=False)
    assert {type(walk) for walk in seen} == {list}
    assert found.shapley.values.sel(modality="walk").values[:, 0].tolist()[0] == 6
    assert np.isnan(found.shapley.values.sel(modality="walk").values[1, 0])
    single = {"walk": [None, np.ones((3, 2)), None, None], "age": inputs["age"]}
    for kind in (None, {"walk": Bag()}):
        found = ml.explain(model, single, modalities=kind, baseline="zeros", output="raw", progress=False)
        assert found.occlusion.part_count.sel(modality="walk").values.tolist() == [0, 3, 0, 0]
        assert found.occlusion.parts["walk"].values[1, :, 0].tolist() == [2.0, 2.0, 2.0]
        assert np.isnan(found.occlusion.parts["walk"].values[[0, 2, 3]]).all()


# Refusals ------------------------------------------------------------------------------------------------------------------------

AGE = np.ones((2, 1))


@pytest.mark.parametrize(
    ("samples", "kind", "says"),
    [
        ([np.ones((2, 3)), np.ones((0, 3))], Bag(), "modality 'slide': patient 1 has no items, expected at least one; say that it is missing with None"),
        ([np.ones((2, 3)), np.ones((2, 4))], Bag(), r"modality 'slide': the items of patient 1 have the shape \(4,\), those of the first \(3,\).*pad or crop"),
        ({"tiles": [np.ones((2, 3)), np.ones((1, 3))], "places": [np.ones((2, 2)), np.ones((2, 2))]}, Bag(), "modality 'slide': of patient 1 its members 'tiles', 'places' hold 1, 2 items"),
        ({"tiles": [np.ones((2, 3))] * 2, "places": [np.ones((2, 2))]}, Bag(), "modality 'slide': its members 'tiles', 'places' hold 2, 1 samples"),
        ([np.ones((2, 3)), np.full((1, 3), np.nan)], Bag(), "modality 'slide': 3 of 3 values are NaN.*of the items of patient 1"),
        ({"tiles": [np.ones((2, 3))] * 2, "places": [np.ones((2, 2)), np.full((2, 2), np.inf)]}, Bag(), r"modality 'slide\[places\]': 4 of 4 .* of patient 1"),
        (np.ones((2, 5, 3)), Bag(), r"modality 'slide': Bag expects the samples as a list of arrays.*list\(array\)"),
        ([], Bag(), "modality 'slide' has no samples; give at least one"),
        ({}, Bag(), "modality 'slide': expected its arrays by name, came an empty dict"),
        ({"tiles": [np.ones((2, 3))] * 2}, Bag(by="region"), "Bag.by='region'. needs each item's coordinates"),
        ({"tiles": [np.ones((2, 3))] * 2}, Bag(by="blocks"), "Bag.by=. of modality 'slide'='blocks' is not known"),
        ({"tiles": [np.ones((2, 3))] * 2, "block": [np.ones(2)] * 2}, Bag(by="block"), "Bag.by='block'. needs each item's group as a whole number"),
        ([np.ones((2, 3)), 5.0], Bag(), "modality 'slide': patient 1 has no items"),
    ],
)  # fmt: skip
def test_refused(samples: Any, kind: Modality, says: str) -> None:
    with pytest.raises(ml.InputError, match=says):
        ml.explain(lambda slide, age: age[:, 0], {"slide": samples, "age": AGE}, modalities={"slide": kind})


def test_a_background_of_other_members_is_refused() -> None:
    inputs = {"slide": slides(3, 2), "age": AGE}
    with pytest.raises(
        ml.InputError, match="modality 'slide': expected the members 'tiles', 'places', 'block', came 'tiles'"
    ):
        ml.explain(
            lambda slide, age: age[:, 0],
            inputs,
            modalities={"slide": Bag()},
            background={"slide": {"tiles": slides(3, 2)["tiles"]}, "age": AGE},
        )


# Files and figures ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Bag(by="item"), Bag(by="cluster", parts=3), Bag(by="region"), Bag(by="block")])
def test_bags_are_kept_in_a_file_and_drawn(kind: Bag, tmp_path: Path) -> None:
    inputs = {"slide": slides(3, 6, 2), "age": np.arange(3.0)[:, None]}
    found = ml.explain(
        lambda slide, age: np.array([one.sum() for one in slide["tiles"]]) * age[:, 0],
        inputs,
        modalities={"slide": kind},
        output="raw",
        measures=[ml.Occlusion()],
        progress=False,
    )
    loaded = ml.load(found.save(tmp_path / "found.nc", inputs=True))
    for member, values in inputs["slide"].items():
        for one, other in zip(loaded.inputs["slide"][member], values, strict=True):
            np.testing.assert_array_equal(one, other)
    labels = [label.get_text() for label in draw_parts(found, "slide", 1).get_yticklabels()]
    assert labels
    assert all(label.startswith(("item ", "cluster ", "block ")) or " x " in label for label in labels)
    loaded.report(tmp_path / "page.html", samples=[0])


def test_series_with_gaps_are_kept_in_a_file_and_drawn(tmp_path: Path) -> None:
    walk = [*walks(3, 5), None, *walks(2)]
    found = ml.explain(
        lambda walk, age: np.array([0.0 if one is None else one.sum() for one in walk]) * age[:, 0],
        {"walk": walk, "age": np.arange(1.0, 5.0)[:, None]},
        output="raw",
        measures=[ml.Occlusion()],
        progress=False,
    )
    loaded = ml.load(found.save(tmp_path / "found.nc", inputs=True)).inputs["walk"]
    assert loaded[2] is None
    for row in (0, 1, 3):
        np.testing.assert_array_equal(loaded[row], walk[row])
    assert [label.get_text() for label in draw_parts(found, "walk", 0).get_yticklabels()] == [
        f"steps {k}-{k}" for k in range(3)
    ]
    with pytest.raises(ml.InputError, match="sample 2 has no 'walk'"):
        draw_parts(found, "walk", 2)
    found.report(tmp_path / "page.html", samples=[2])
