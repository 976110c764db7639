"""Deletion and insertion: curves by hand, the best order of all orders, what must always hold, and the leaderboard's scores."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import modalens as ml
from modalens.validation import deletion, faithful_scores, game, learn, modality_curves, problem
from modalens.validation.curves import absent, areas, moved, oriented, places, random_places, reversed_places, steps_of

BY, REVERSED, RANDOM = "by the measure", "reversed", "random"


def additive(**inputs: np.ndarray) -> np.ndarray:
    return sum(values.sum(axis=1) for values in inputs.values())  # type: ignore[return-value]


def three(samples: int = 6) -> dict[str, np.ndarray]:
    """Modalities that add 4, 2 and 1 to the output."""
    return {name: np.full((samples, 1), value) for name, value in (("a", 2.0), ("b", 4.0), ("c", 1.0))}


def of_curve(found: ml.validation.Curves, order: str = BY) -> list[float]:
    return [round(value, 9) for value in found.curve.sel(order=order).values.tolist()]


# Modalities ----------------------------------------------------------------------------------------------------------------


def test_an_additive_model_by_hand() -> None:
    found = deletion(additive, three(), baseline="zeros", output="raw")
    assert of_curve(found) == [7, 3, 1, 0]
    assert of_curve(found, REVERSED) == [7, 6, 4, 0]
    assert of_curve(found, RANDOM) == [7, round(14 / 3, 9), round(7 / 3, 9), 0]
    assert found.area.values == pytest.approx([(3.5 + 3 + 1) / 3, (3.5 + 6 + 4) / 3, 3.5])
    assert float(found.gain) == pytest.approx(1.0)
    inserted = deletion(additive, three(), insertion=True, baseline="zeros", output="raw")
    assert of_curve(inserted) == [0, 4, 6, 7]
    assert of_curve(inserted, REVERSED) == [0, 1, 3, 7]
    assert float(inserted.gain) == pytest.approx((4 + 6 + 3.5) / 3 - 3.5)


def test_the_class_that_is_predicted_is_followed() -> None:
    """Samples of either class: what speaks for the sample's own goes first, and its probability falls."""

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-a[:, 0] - b[:, 0]))

    inputs = {"a": np.array([[2.0], [-2.0]]), "b": np.array([[-1.0], [1.0]])}
    found = deletion(model, inputs, baseline="zeros", confidence=None)
    p = 1 / (1 + np.exp(-np.array([1.0, -1.0, 0.0])))
    assert of_curve(found) == pytest.approx(p.tolist())
    assert found.output == "probability of the predicted class"
    against = deletion(model, inputs, baseline="zeros", confidence=None, target=[0, 1])
    assert of_curve(against) == pytest.approx((1 / (1 + np.exp(-np.array([-1.0, -2.0, 0.0])))).tolist())


def test_values_are_followed_from_where_nothing_is_left() -> None:
    inputs = {"a": np.array([[3.0], [-3.0]]), "b": np.array([[1.0], [-1.0]])}
    found = deletion(additive, inputs, baseline="zeros", output="raw", confidence=None)
    assert of_curve(found) == [4, 1, 0]


def test_a_given_importance_is_the_order() -> None:
    settings: dict[str, Any] = {"baseline": "zeros", "output": "raw"}
    by_name = xr.DataArray([1.0, 2.0, 3.0], dims="modality", coords={"modality": ["c", "b", "a"]})
    for importance in ([3, 2, 1], np.tile([3, 2, 1], (6, 1)), by_name):
        assert of_curve(deletion(additive, three(), importance=importance, **settings)) == [7, 5, 1, 0]
    own = np.array([[3, 2, 1]] * 3 + [[1, 2, 3]] * 3)
    assert of_curve(deletion(additive, three(), importance=own, **settings)) == [7, (5 + 6) / 2, (1 + 2) / 2, 0]


def test_measures_without_sign_or_samples_give_an_order_too() -> None:
    for measure in (ml.Occlusion(), ml.InterSHAP()):
        assert of_curve(deletion(additive, three(), measure=measure, baseline="zeros", output="raw")) == [7, 3, 1, 0]


def test_patients_lose_only_what_they_have() -> None:
    """Those without b lose a, then c, and end where their b, which nobody can take, still counts 4. After thirds of two, 0.67 and 1.33, one is gone."""
    inputs = three(8)
    found = deletion(
        additive, inputs, importance=[2, 4, 1], baseline="zeros", output="raw", present={"b": np.arange(8) < 4}
    )
    assert found.by_sample.sel(order=BY).isel(sample=0).values.tolist() == [7, 3, 1, 0]
    assert found.by_sample.sel(order=BY).isel(sample=7).values.tolist() == [3, 1, 1, 0]


def test_intervals_are_of_the_patients() -> None:
    draw = np.random.default_rng(0)
    inputs = {name: draw.normal(size=(40, 1)) for name in "ab"}
    found = deletion(additive, inputs, baseline="zeros", output="raw")
    for name in ("curve", "area", "gain"):
        array, bounds = getattr(found, name), found.interval[name]
        assert bool((bounds.sel(bound="lower") <= array + 1e-12).all())
        assert bool((array <= bounds.sel(bound="upper") + 1e-12).all())
    assert float(found.interval["gain"].sel(bound="lower")) > 0
    assert "against random orders" in str(found)
    assert found.to_frame()["order"].tolist() == [BY, REVERSED, RANDOM]
    few = deletion(additive, {name: values[:3] for name, values in inputs.items()}, baseline="zeros", output="raw")
    assert bool(few.interval["area"].isnull().all())


# Parts ---------------------------------------------------------------------------------------------------------------------


def test_the_measure_has_the_smallest_area_of_all_orders() -> None:
    """Four parts of an additive model whose effects differ from sample to sample: of all 24 orders that of the effects is the best, its reverse the worst."""
    draw = np.random.default_rng(0)
    values = draw.uniform(0.5, 3, size=(3, 4)) * draw.choice([-1, 1], size=(3, 4), p=[0.3, 0.7])
    inputs = {"lab": values, "age": np.zeros((3, 1))}
    settings: dict[str, Any] = {
        "output": "raw",
        "baseline": "zeros",
        "level": "part",
        "modality": "lab",
        "confidence": None,
    }
    inputs["age"][:] = 1.0
    found = deletion(additive, inputs, **settings)
    total = values.sum(axis=1, keepdims=True)
    each = {}
    for order in permutations(range(4)):
        left = np.concatenate([total, total - np.cumsum(values[:, order], axis=1)], axis=1) * np.sign(total)
        each[order] = np.trapezoid(left, dx=0.25, axis=1)
    areas_of_all = np.stack(list(each.values()))
    by_sample = areas(found.by_sample)
    np.testing.assert_allclose(by_sample.sel(order=BY), areas_of_all.min(axis=0), atol=1e-12)
    np.testing.assert_allclose(by_sample.sel(order=REVERSED), areas_of_all.max(axis=0), atol=1e-12)


def test_one_given_order_equals_the_masked_inputs() -> None:
    """An interacting model, parts of two modalities, whose masked inputs are built by hand."""
    draw = np.random.default_rng(1)
    inputs = {"a": draw.normal(size=(4, 2)), "b": draw.normal(size=(4, 3))}
    background = {"a": draw.normal(size=(9, 2)), "b": draw.normal(size=(9, 3))}

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        score = np.stack([a[:, 0] * b[:, 1], a[:, 1] + b[:, 0] * b[:, 2], np.zeros(len(a))], axis=1)
        return np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)

    importance = {"a": draw.normal(size=(4, 2)), "b": draw.normal(size=(4, 3))}
    both, ranked = np.concatenate(list(inputs.values()), axis=1), np.concatenate(list(importance.values()), axis=1)
    fill = np.concatenate([rows.mean(axis=0) for rows in background.values()])
    target = model(**inputs).argmax(axis=1)
    for insertion in (False, True):
        found = deletion(
            model,
            inputs,
            background=background,
            level="part",
            importance=importance,
            insertion=insertion,
            confidence=None,
        )
        for k in range(6):
            masked = both.copy()
            for row, order in enumerate(np.argsort(-ranked, axis=1)):
                gone = order[k:] if insertion else order[:k]
                masked[row, gone] = fill[gone]
            expected = model(masked[:, :2], masked[:, 2:])[np.arange(4), target]
            np.testing.assert_allclose(found.by_sample.sel(order=BY).isel(step=k), expected, atol=1e-12)


def test_background_rows_fill_each_samples_own_parts() -> None:
    draw = np.random.default_rng(2)
    inputs = {"a": draw.normal(size=(3, 2)), "b": draw.normal(size=(3, 1))}
    background = {"a": draw.normal(size=(5, 2)), "b": draw.normal(size=(5, 1))}

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a[:, 0] * a[:, 1] * b[:, 0]

    importance = np.array([[2, 1], [1, 2], [2, 1]])
    found = deletion(
        model, inputs, background=background, baseline=ml.Background(rows=5, part_rows=5), level="part", modality="a",
        importance=importance, output="raw", confidence=None,
    )  # fmt: skip
    start = np.mean([row.prod() for row in background["a"]]) * inputs["b"][:, 0]
    one = np.where(
        importance[:, 0] == 2,
        background["a"][:, 0].mean() * inputs["a"][:, 1],
        background["a"][:, 1].mean() * inputs["a"][:, 0],
    )
    change = np.stack([model(**inputs), one * inputs["b"][:, 0], start]) - start
    np.testing.assert_allclose(found.by_sample.sel(order=BY), change * np.sign(change[0]), atol=1e-12)


def test_words_of_texts_of_any_length() -> None:
    texts = ["bad bad good", "good bad", "good good good bad bad", "bad"]

    def model(report: list[str], age: np.ndarray) -> np.ndarray:
        return np.array([sum({"bad": 1.0, "good": -1.0}.get(word, 0) for word in text.split()) for text in report])

    inputs = {"report": texts, "age": np.ones((4, 1))}
    importance = np.full((4, 5), np.nan)
    for row, text in enumerate(texts):
        for place, word in enumerate(text.split()):
            importance[row, place] = {"bad": 1.0, "good": -1.0}[word]
    found = deletion(
        model, inputs, level="part", modality="report", importance=importance, steps=5, confidence=None,
        output="raw", background={"report": texts, "age": np.zeros((4, 1))},
    )  # fmt: skip
    # sample 2, "good good good bad bad": -1; without bads -2, -3; then -2, -1, 0. Its direction is down.
    assert found.by_sample.sel(order=BY).isel(sample=2).values.tolist() == [1, 2, 3, 2, 1, 0]
    assert found.by_sample.sel(order=BY).isel(sample=3).values.tolist() == [1, 1, 1, 0, 0, 0]


def test_patients_without_a_modality_lose_the_parts_that_they_have() -> None:
    """The second has no report, the third no table: their orders are of their own parts only."""
    inputs = {"report": ["bad bad good", None, "bad"], "table": np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]])}

    def model(report: list[str | None], table: np.ndarray) -> np.ndarray:
        words = [0.0 if text is None else text.split().count("bad") * 10.0 for text in report]
        return np.array(words) + table.sum(axis=1)

    found = deletion(
        model, inputs, level="part", output="raw", confidence=None, present={"table": [True, True, False]},
        baseline={"report": "mask_token", "table": "zeros"}, background={"report": ["x"] * 3, "table": np.ones((3, 2))},
    )  # fmt: skip
    by = found.by_sample.sel(order=BY)
    assert found.curve.step.size == 6
    assert by.isel(sample=0).values.tolist() == [23, 13, 3, 1, 0, 0]
    assert by.isel(sample=1).values.tolist() == [7, 7, 3, 3, 0, 0]
    assert by.isel(sample=2).values.tolist() == [10, 10, 10, 0, 0, 0]


def test_series_of_any_length_tables_with_categories_and_bundles_lose_parts() -> None:
    draw = np.random.default_rng(3)
    series = [draw.normal(size=(length, 2)) for length in (4, 9, 6)]
    table = pd.DataFrame({"age": draw.normal(size=3), "site": pd.Categorical(["x", "y", "x"])})
    bundle = {"values": draw.normal(size=(3, 8)), "mask": np.ones((3, 8))}

    def model(series: list[np.ndarray], table: pd.DataFrame, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.array([one.sum() for one in series]) + table["age"].to_numpy() + (values * mask).sum(axis=1)

    found = deletion(
        model,
        {"series": series, "table": table, "bundle": bundle},
        level="part",
        modalities={"series": ml.Series(window=2), "bundle": ml.Series(window=2)},
        output="raw",
        confidence=None,
    )
    assert not np.isnan(found.curve).any()
    assert float(found.gain) > 0
    change = found.by_sample.sel(order=BY)
    np.testing.assert_allclose(change.isel(step=-1), 0, atol=1e-9)


def test_few_steps_and_all_orders_begin_and_end_alike() -> None:
    draw = np.random.default_rng(4)
    inputs = {"image": draw.normal(size=(5, 8, 8)), "age": draw.normal(size=(5, 1))}

    def model(image: np.ndarray, age: np.ndarray) -> np.ndarray:
        return image[:, :4].sum(axis=(1, 2)) * age[:, 0]

    found = deletion(
        model,
        inputs,
        level="part",
        modality="image",
        modalities={"image": ml.Image(patch=1)},
        baseline="zeros",
        output="raw",
        steps=4,
    )
    assert found.curve.step.values.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert np.ptp(found.curve.isel(step=[0, -1]).values, axis=0) == pytest.approx([0, 0])
    assert float(found.area.sel(order=BY)) < float(found.area.sel(order=RANDOM)) < float(found.area.sel(order=REVERSED))


def test_a_split_torch_model_gives_what_the_whole_one_does() -> None:
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image, self.table = torch.nn.Linear(16, 3), torch.nn.Linear(4, 3)
            self.head = torch.nn.Linear(6, 2)

        def forward(self, image: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
            return self.head(torch.cat([self.image(image.flatten(1)).relu(), self.table(table).relu()], dim=1))

    torch.manual_seed(0)
    net, draw = Net(), np.random.default_rng(5)
    inputs = {"image": draw.normal(size=(7, 4, 4)).astype("f4"), "table": draw.normal(size=(7, 4)).astype("f4")}
    each = [
        deletion(net, inputs, level="part", modalities={"image": ml.Image(patch=2)}, link="softmax", encoders=encoders)  # type: ignore[arg-type]
        for encoders in ("graph", "whole")
    ]
    xr.testing.assert_allclose(each[0].by_sample, each[1].by_sample, atol=1e-6)


# What must always hold -------------------------------------------------------------------------------------------------------

importances = st.lists(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan]), min_size=4, max_size=4).filter(
        lambda row: not all(np.isnan(row))
    ),
    min_size=1,
    max_size=4,
).map(np.array)


@given(importances, st.integers(0, 9))
def test_places_are_an_order_of_what_is_there(importance: np.ndarray, seed: int) -> None:
    generator = np.random.default_rng(seed)
    for of in (places(importance, generator), random_places(~np.isnan(importance), generator)):
        for row, has in zip(of, ~np.isnan(importance), strict=True):
            assert sorted(row[has]) == list(range(has.sum()))
            assert (row[~has] == -1).all()
        there = ~np.isnan(importance)
        last = np.broadcast_to(there.sum(axis=1, keepdims=True) - 1, of.shape)
        assert np.array_equal(reversed_places(of)[there], (last - of)[there])
        assert (reversed_places(of)[~there] == -1).all()
    ranked = places(importance, generator)
    for row, own in zip(ranked, importance, strict=True):
        first = [own[row == k][0] for k in range((row >= 0).sum())]
        assert first == sorted(first, reverse=True)


@given(importances, st.integers(1, 10))
def test_what_is_taken_only_grows_and_what_is_put_in_is_the_rest(importance: np.ndarray, most: int) -> None:
    of = places(importance, np.random.default_rng(0))
    there = of >= 0
    steps = steps_of(there, most)
    taken = [absent(of, step, insertion=False) for step in steps]
    left = [absent(of, step, insertion=True) for step in steps]
    assert not taken[0].any()
    assert not left[-1].any()
    assert np.array_equal(taken[-1], there)
    assert np.array_equal(left[0], there)
    for before, after in pairwise(taken):
        assert (before <= after).all()
    for step, gone, rest in zip(steps, taken, left, strict=True):
        assert np.array_equal(gone | rest, there)
        assert not (gone & rest).any()
        assert np.array_equal(gone.sum(axis=1), moved(there, step))


def test_equal_importances_are_in_random_order() -> None:
    of = places(np.zeros((2000, 2)), np.random.default_rng(0))
    assert 0.45 < (of[:, 0] == 0).mean() < 0.55


@given(st.integers(0, 99), st.integers(2, 4))
def test_chance_is_the_mean_over_all_orders(seed: int, players: int) -> None:
    draw = np.random.default_rng(seed)
    table = xr.DataArray(draw.normal(size=(1 << players, 3)), dims=("coalition", "sample"))
    dims = ("sample", "modality")
    for insertion in (False, True):
        each = [
            modality_curves(table, xr.DataArray(np.tile(order, (3, 1)) * 1.0, dims=dims), insertion=insertion)
            for order in permutations(range(players))
        ]
        mean = np.mean([one.sel(order=BY).values for one in each], axis=0)
        np.testing.assert_allclose(each[0].sel(order=RANDOM), mean, atol=1e-12)
    # Putting in by the measure is taking away in reversed order, read backwards.
    one, other = (
        modality_curves(table, xr.DataArray(np.tile(np.arange(players) * 1.0, (3, 1)), dims=dims), insertion=way)
        for way in (False, True)
    )
    np.testing.assert_allclose(other.sel(order=BY), one.sel(order=REVERSED).values[::-1], atol=1e-12)


def test_an_oriented_game_goes_from_0_to_1() -> None:
    table = xr.DataArray([[1.0, 1.0], [3.0, 1.0], [1.0, 0.0], [4.0, 0.0]], dims=("coalition", "sample"))
    found = oriented(table)
    assert found.mean("sample").values.tolist() == pytest.approx([0, 0.5, 0.25, 1])
    assert found.values[:, 1].tolist() == pytest.approx([0, 0, 0.5, 0.5])
    assert bool(oriented(table * 0).isnull().all())


# The leaderboard -------------------------------------------------------------------------------------------------------------


def test_scores_tell_a_right_measure_from_a_wrong_one() -> None:
    learned = learn(problem("C4", train=300, test=60), "function")
    settings = {"background": {name: values[:64] for name, values in learned.background.items()}, **learned.asked}
    inputs = {name: values[:40] for name, values in learned.inputs.items()}
    right = ml.explain(learned.model, inputs, measures=[ml.Shapley()], **settings).shapley
    played = game(learned, samples=40)
    assert played.mean("sample").values[[0, -1]] == pytest.approx([0, 1])
    good = faithful_scores(learned, right, played=played)
    assert good == faithful_scores(learned, right)
    wrong = ml.Result(measure="wrong", title="", arrays={"by_sample": 1 - right.by_sample})
    bad = faithful_scores(learned, wrong, played=played)
    assert good["deletion"] > 0.1
    assert good["insertion"] > 0.1
    assert bad["deletion"] == pytest.approx(-good["insertion"])
    assert bad["insertion"] == pytest.approx(-good["deletion"])
    silent = ml.Result(measure="silent", title="", arrays={})
    assert all(np.isnan(score) for score in faithful_scores(learned, silent, played=played).values())
    of_all = ml.Result(measure="of all", title="", arrays={"contribution": right.contribution})
    assert 0 < faithful_scores(learned, of_all, played=played)["deletion"] < good["deletion"]


# Refusals and the picture ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"measure": ml.Shapley(), "importance": [1, 2, 3]}, "both measure= and importance="),
        ({"importance": [1, 2]}, r"shape \(6, 3\), or \(modality,\)"),
        ({"importance": [1, 2, np.nan]}, "NaN"),
        ({"importance": "abc"}, "expected numbers"),
        ({"level": "parts"}, "did you mean 'part'"),
        ({"modality": "a"}, "level='part'"),
        ({"level": "part", "modality": "d"}, "'d' is none of"),
        ({"level": "part", "importance": np.ones((6, 1))}, "need one array each"),
        ({"level": "part", "importance": {"a": np.ones((6, 1))}}, "give one array for each"),
        ({"level": "part", "modality": "a", "importance": np.full((6, 1), np.nan)}, "NaN for a part"),
        ({"level": "part", "measure": ml.Shapley()}, "says nothing of parts"),
        ({"measures": [ml.Shapley()]}, "measure="),
        ({"measure": ml.Shapley}, "brackets"),
        ({"level": "part", "steps": 0}, "at least 1"),
    ],
)
def test_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ml.InputError, match=match):
        deletion(additive, three(), **{"baseline": "zeros", "output": "raw", **settings})


def test_an_unknown_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="did you mean 'baseline'"):
        deletion(additive, three(), baselines="zeros")


def test_the_figure_shows_the_curves() -> None:
    found = deletion(additive, three(), baseline="zeros", output="raw", units="mmHg")
    ax = found.plot()
    assert [line.get_label() for line in ax.get_lines()] == [BY, REVERSED, RANDOM]
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), [7, 3, 1, 0])
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), [0, 100 / 3, 200 / 3, 100])
    assert len(ax.collections) == 3
    assert "mmHg" in ax.get_ylabel()
    ax.figure.savefig("/dev/null", format="svg")
    assert len(deletion(additive, three(), baseline="zeros", output="raw", confidence=None).plot().collections) == 0
