"""Measures beside each other: agreement by hand, symmetric, and not defined where nothing is ranked."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import modalens as ml
from modalens.validation import agreement, rbo
from modalens.validation.agreement import mean_rank_correlation, rank_correlation

NAMES = ["a", "b", "c", "d"]


def result(name: str, contribution: list[float], by_sample: list[list[float]] | None = None) -> ml.Result:
    coords = {"modality": NAMES}
    arrays = {"contribution": xr.DataArray(contribution, dims="modality", coords=coords)}
    if by_sample is not None:
        arrays["by_sample"] = xr.DataArray(by_sample, dims=("sample", "modality"), coords=coords)
    return ml.Result(measure=name, title="", arrays=arrays)


def explanation(*results: ml.Result) -> ml.Explanation:
    return ml.Explanation(results={one.measure: one for one in results}, provenance={"modalities": NAMES})


def test_agreement_by_hand() -> None:
    found = agreement(
        explanation(
            result("one", [0.4, 0.3, 0.2, 0.1], [[4, 3, 2, 1], [1, 2, 3, 4]]),
            result("two", [0.4, 0.3, 0.1, 0.2], [[4, 3, 1, 2], [4, 3, 2, 1]]),
            result("three", [0.25, 0.25, 0.25, 0.25]),
        )
    )
    at = {"measure": "one", "measure_2": "two"}
    assert found.tau.sel(at).item() == pytest.approx(4 / 6)
    assert found.rbo.sel(at).item() == pytest.approx(rbo(["a", "b", "c", "d"], ["a", "b", "d", "c"]))
    assert found.spearman.sel(at).item() == pytest.approx((0.8 - 1) / 2)
    assert found.top_one.sel(at).item() == 0.5
    for name in ("tau", "rbo", "spearman", "top_one"):
        np.testing.assert_array_equal(found[name].values, found[name].values.T)
        assert found[name].values[0, 0] == pytest.approx(1)
        assert np.isnan(found[name].values[2]).all()


def test_ties_on_top_are_shared_in_both_directions() -> None:
    found = agreement(
        explanation(
            result("one", [4, 3, 2, 1], [[1, 0, 0, 0]]),
            result("two", [4, 3, 2, 1], [[1, 1, 0, 0]]),
        )
    )
    assert found.top_one.values[0, 1] == pytest.approx(0.75)


def test_measures_of_a_real_run() -> None:
    draw = np.random.default_rng(0)
    inputs = {name: draw.normal(size=(30, 1)) for name in "abc"}

    def model(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return 4 * a[:, 0] + 2 * b[:, 0] + c[:, 0]

    found = agreement(
        ml.explain(
            model, inputs, measures=[ml.Occlusion(), ml.Shapley(), ml.InterSHAP()], baseline="zeros", output="raw"
        )
    )
    assert found.measure.values.tolist() == ["occlusion", "shapley", "intershap"]
    pair = found.sel(measure="occlusion", measure_2="shapley")
    assert [float(pair[name]) for name in ("tau", "rbo", "spearman", "top_one")] == pytest.approx([1, 1, 1, 1])
    assert np.isnan(found.spearman.sel(measure="intershap")).all()


def test_rank_correlation_of_what_both_have() -> None:
    nan = float("nan")
    assert rank_correlation(np.array([1, 2, nan, 4]), np.array([1, nan, 3, 0])) == pytest.approx(-1)
    assert np.isnan(rank_correlation(np.array([1.0, 1.0]), np.array([1.0, 2.0])))
    assert mean_rank_correlation(
        np.array([[1.0, 2.0], [3.0, 3.0]]), np.array([[1.0, 2.0], [1.0, 2.0]])
    ) == pytest.approx(1)
    assert np.isnan(mean_rank_correlation(np.ones((2, 3)), np.ones((2, 3))))


def test_one_measure_agrees_with_nobody() -> None:
    with pytest.raises(ml.InputError, match="explain with two or more"):
        agreement(explanation(result("one", [4, 3, 2, 1])))
