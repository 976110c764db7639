"""Shares of patients who differ in the modalities that they have: on tables made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import modalens as ml
from modalens import statistics
from modalens.measures import availability
from modalens.problem import PRESENT, Mask, Problem, Values

HAS = np.array([[1, 1], [1, 1], [1, 0], [0, 1], [1, 0], [1, 1]], dtype=bool)


def problem(has: np.ndarray | None = HAS, samples: int = 6, **settings: Any) -> Problem:
    names = tuple("abcd"[: 2 if has is None else has.shape[1]])
    return Problem(
        modalities=names,
        samples=samples if has is None else len(has),
        outputs=("y",),
        task="regression",
        space="raw",
        spaces=("raw",),
        part_count={name: np.ones(samples, dtype=int) for name in names},
        part_names=dict.fromkeys(names, (("all",),)),
        coalition_baselines=("zeros",),
        part_baselines=("zeros",),
        target=np.zeros(samples if has is None else len(has), dtype=int),
        predicted=False,
        available=has,
        **settings,
    )


def table(of: Problem, values: dict[Mask, Any], sizes: dict[Mask, Any] | None = None) -> Values:
    """Values by mask: (blocks, samples)."""
    return Values(
        table={mask: {"raw": np.asarray(rows, dtype=float)[:, :, None]} for mask, rows in values.items()},
        sizes={mask: np.asarray((sizes or {}).get(mask, [1] * len(rows))) for mask, rows in values.items()},
        key=lambda mask, baseline, draws: mask,
        problem=of,
    )


A, B, NOTHING = Mask.without("a"), Mask.without("b"), Mask.without("a", "b")
NAN = np.nan


def test_a_mask_takes_from_each_sample_what_it_has() -> None:
    """What is absent and was never there changes nothing: the value is that of the smaller mask."""
    values = table(
        problem(),
        {
            PRESENT: [[1, 2, 3, 4, 5, 6]],
            A: [[10, 20, 30, NAN, 50, 60]],
            B: [[100, 200, NAN, 400, NAN, 600]],
            NOTHING: [[7, 7, NAN, NAN, NAN, 7]],
        },
    )
    found = values.mean([PRESENT, A, B, NOTHING], "zeros")[..., 0]
    assert found.tolist() == [
        [1, 2, 3, 4, 5, 6],
        [10, 20, 30, 4, 50, 60],
        [100, 200, 3, 400, 5, 600],
        [7, 7, 30, 400, 50, 7],
    ]
    np.testing.assert_array_equal(values.mean([NOTHING], "zeros")[0], found[3][:, None])


def test_nobody_has_both_and_blocks_differ_in_number_and_size() -> None:
    """Each sample's mean is over the blocks of its own mask, weighted by their rows; and one block can be left out of it."""
    apart = np.array([[1, 0], [0, 1]], dtype=bool)
    values = table(
        problem(apart),
        {PRESENT: [[1, 1]], A: [[2, NAN], [4, NAN], [9, NAN]], B: [[NAN, 5], [NAN, 8]]},
        {A: [1, 1, 2], B: [3, 1]},
    )
    assert values.mean([NOTHING], "zeros")[0, :, 0].tolist() == [(2 + 4 + 2 * 9) / 4, (3 * 5 + 8) / 4]
    left = values.without_block(0, 2)
    assert left.mean([NOTHING], "zeros")[0, :, 0].tolist() == [(4 + 2 * 9) / 3, 8]
    assert values.blocks_of([NOTHING, A, B], "zeros", single=True) is None


def test_single_rows_by_block() -> None:
    values = table(problem(HAS[:4]), {PRESENT: [[1, 2, 3, 4]], A: [[5, 6, 7, NAN], [8, 9, 10, NAN]]})
    found = values.blocks_of([PRESENT, A], "zeros", single=True)
    assert found is not None
    assert found[..., 0].tolist() == [[[1, 2, 3, 4], [1, 2, 3, 4]], [[5, 6, 7, 4], [8, 9, 10, 4]]]


def numbers(amounts: xr.DataArray) -> availability.Numbers:
    def summarise(weights: xr.DataArray) -> dict[str, xr.DataArray]:
        return {
            "contribution": statistics.share(statistics.average(amounts, weights)),
            "entropy": statistics.average(amounts.sum("modality"), weights),
        }

    return summarise


def amounts_of(values: Any, names: str) -> xr.DataArray:
    return xr.DataArray(np.asarray(values, dtype=float), dims=("sample", "modality"), coords={"modality": list(names)})


def test_contribution_by_hand() -> None:
    amounts = amounts_of([[1, 3], [3, 1], [5, 0], [0, 2], [7, 0], [2, 2]], "ab")
    weights = statistics.uniform_weights(6)
    found = availability.over_sets(problem(), numbers(amounts), weights)
    both = 6 / 12
    assert found["contribution"].values.tolist() == pytest.approx(
        [(3 * both + 2 * 1) / 5, (3 * both + 1) / 4], abs=1e-15
    )
    assert float(found["entropy"]) == pytest.approx((4 + 4 + 4) / 3, abs=1e-15), "of those who have everything"
    each = availability.by_set(problem(), numbers(amounts), weights)
    assert each["by_available"].available.values.tolist() == ["a + b", "b", "a"]
    np.testing.assert_allclose(each["by_available"].values, [[0.5, 0.5], [NAN, 1], [1, NAN]], rtol=0, atol=1e-15)
    assert each["available_count"].values.tolist() == [3, 1, 2]


@given(
    has=st.lists(st.lists(st.booleans(), min_size=3, max_size=3).filter(any), min_size=1, max_size=8),
    seed=st.integers(0, 99),
)
def test_over_sets_is_the_weighted_mean_of_the_groups(has: list[list[bool]], seed: int) -> None:
    """A slow re-implementation, under weights of a bootstrap in which whole groups are missing."""
    random = np.random.default_rng(seed)
    available = np.array(has)
    amounts = amounts_of(np.where(available, random.uniform(1, 2, available.shape), 0), "abc")
    weights = xr.DataArray(random.multinomial(3, np.full(len(has), 1 / len(has)), size=4) / 3, dims=("draw", "sample"))
    found = availability.over_sets(problem(available), numbers(amounts), weights)["contribution"]
    for draw in range(4):
        for place, name in enumerate("abc"):
            total = share = 0.0
            for pattern in {tuple(row) for row in has}:
                members = [row for row, own in enumerate(has) if tuple(own) == pattern]
                size = float(weights[draw, members].sum())
                if not pattern[place] or size == 0:
                    continue
                sums = (weights.values[draw, members][:, None] * amounts.values[members]).sum(0)
                total, share = total + size, share + size * sums[place] / sums.sum()
            expected = share / total if total else NAN
            np.testing.assert_allclose(float(found.sel(modality=name)[draw]), expected, rtol=0, atol=1e-12)


def test_arrays_of_samples_are_of_those_who_have() -> None:
    arrays = {
        "values": xr.DataArray(np.ones((6, 2, 1)), dims=("sample", "modality", "output"), coords={"modality": ["a", "b"]}),
        "pairs": xr.DataArray(np.ones((6, 2, 2)), dims=("sample", "modality", "modality_2"), coords={"modality": ["a", "b"], "modality_2": ["a", "b"]}),
        "sets": xr.DataArray(np.ones((6, 3)), dims=("sample", "coalition"), coords={"coalition": ["a", "b", "a x b"]}),
        "part_count": xr.DataArray(np.full((6, 2), 4), dims=("sample", "modality"), coords={"modality": ["a", "b"]}),
        "standard_error": xr.DataArray(np.ones(2), dims="modality", coords={"modality": ["a", "b"]}),
        "verdict": xr.DataArray(np.array(["used", "used"], dtype=object), dims="modality"),
        "parts": {"a": xr.DataArray(np.ones((6, 1)), dims=("sample", "part"))},
    }  # fmt: skip
    found = availability.of_those_who_have(problem(), arrays)
    both = HAS[:, 0] & HAS[:, 1]
    assert list(found) == list(arrays)
    for name, array in found.items():
        if name != "parts":
            assert array.dims == arrays[name].dims
    np.testing.assert_array_equal(np.isnan(found["values"].values[:, :, 0]), ~HAS)
    np.testing.assert_array_equal(np.isnan(found["pairs"].values), ~(HAS[:, :, None] & HAS[:, None, :]))
    np.testing.assert_array_equal(np.isnan(found["sets"].values), ~np.stack([HAS[:, 0], HAS[:, 1], both], axis=1))
    np.testing.assert_array_equal(found["part_count"].values, np.where(HAS, 4, 0))
    assert found["part_count"].dtype.kind == "i"
    assert np.isnan(found["standard_error"].values).all()
    assert found["verdict"].values.tolist() == ["used", "used"]
    own = availability.where_had(problem(), "b", arrays["values"].isel(modality=0, drop=True))
    np.testing.assert_array_equal(np.isnan(own.values[:, 0]), ~HAS[:, 1])
    whole = arrays["values"]
    assert availability.where_had(problem(None), "b", whole) is whole


def test_reasons_name_what_nobody_has() -> None:
    apart = np.array([[1, 0, 1], [0, 1, 1]], dtype=bool)
    names = list("abc")
    pairs = np.ones((3, 3))
    pairs[0, 1] = pairs[1, 0] = NAN
    coords = {"modality": names, "modality_2": names}
    matrix = xr.DataArray(pairs, dims=("modality", "modality_2"), coords=coords)
    of = problem(apart)
    assert list(availability.reasons(of, {"matrix": matrix})) == ["matrix"]
    assert list(availability.reasons(of, {"entropy": xr.DataArray(NAN)})) == ["entropy"]
    assert availability.reasons(of, {"score": xr.DataArray(NAN)}) == {}, "that has another reason"
    assert availability.reasons(of, {"matrix": matrix.where(matrix.modality != "c")}) == {}
    assert availability.reasons(of, {"matrix": matrix.fillna(0)}) == {}
    sets = xr.DataArray([1.0, NAN, NAN], dims="coalition", coords={"coalition": ["a x c", "a x b", "a x b x c"]})
    assert list(availability.reasons(of, {"mean": sets})) == ["mean"]
    assert list(
        availability.reasons(of, {"standard_error": xr.DataArray([NAN], dims="modality", coords={"modality": ["a"]})})
    ) == ["standard_error"]


def test_sets_largest_first() -> None:
    assert [(names, members.tolist()) for names, members in problem().sets] == [
        (("a", "b"), [True, True, False, False, False, True]),
        (("b",), [False, False, False, True, False, False]),
        (("a",), [False, False, True, False, True, False]),
    ]
    assert problem(None).sets[0][0] == ("a", "b")
    found = dict(problem().effective(NOTHING))
    assert {str(mask): members.sum() for mask, members in found.items()} == {"without b": 1, "without a": 2}
    assert list(problem().effective(PRESENT)) == []
    assert list(problem().effective(Mask.part("a", 0))) == []


def test_scores_are_taken_within_each_set_too() -> None:
    """Reliance: an AUC of the patients who have the same, then the mean over patients."""
    random = np.random.default_rng(0)
    has = np.arange(40) % 2 == 0
    inputs = {"a": random.normal(size=(40, 1)), "b": np.where(has[:, None], random.normal(size=(40, 1)), 0)}
    labels = (inputs["a"][:, 0] + inputs["b"][:, 0] + random.normal(size=40) > 0).astype(int)

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-a[:, 0] - b[:, 0]))

    found = ml.explain(
        model, inputs, present={"b": has}, labels=labels, baseline="zeros", measures=[ml.Reliance()], progress=False
    ).reliance

    def auc(rows: np.ndarray, scores: np.ndarray) -> float:
        pairs = [
            (scores[one] > scores[other]) + 0.5 * (scores[one] == scores[other])
            for one in np.flatnonzero(rows & (labels == 1))
            for other in np.flatnonzero(rows & (labels == 0))
        ]
        return float(np.mean(pairs))

    whole = model(**inputs)
    assert float(found.everything) == pytest.approx((auc(has, whole) + auc(~has, whole)) / 2, abs=1e-12)
    without_b = model(inputs["a"], 0 * inputs["b"])
    assert float(found.without.sel(modality="b")) == pytest.approx(auc(has, without_b), abs=1e-12)
    assert float(found.without.sel(modality="a")) == pytest.approx(
        (auc(has, model(0 * inputs["a"], inputs["b"])) + 0.5) / 2, abs=1e-12
    )
    assert found.interval.lost.notnull().all()
