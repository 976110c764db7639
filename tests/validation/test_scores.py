"""Scores of shares against a truth: by hand, and where they are undefined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from modalens.measures import Result
from modalens.validation import Truth, problem
from modalens.validation.known import KnownProblem
from modalens.validation.scores import against, coverage, interaction_error, joined, scores

NAMES = ("image_1", "image_2", "clinical_1", "clinical_2")


@pytest.fixture(scope="module")
def graded() -> KnownProblem:
    return problem("C4", train=40, test=20)


def shares(*values: float) -> xr.DataArray:
    return xr.DataArray(list(values), dims="modality", coords={"modality": list(NAMES)})


def result(contribution: xr.DataArray, **others: xr.DataArray) -> Result:
    """A result whose bootstrap draws are the shares -.02 to +.02."""
    around = xr.DataArray(np.linspace(-0.02, 0.02, 101), dims="draw")
    return Result(
        measure="some",
        title="some",
        arrays={"contribution": contribution, **others},
        draws=xr.Dataset({"contribution": contribution + around}),
    )


def truth(*values: float, error: float = 0.0) -> Truth:
    return Truth(estimand="contribution", values=np.array(values), error=np.full(len(values), error))


def test_the_paper_s_estimator_on_the_graded_truth(graded: KnownProblem) -> None:
    found = against(graded, truth(0.4, 0.3, 0.2, 0.1), np.array([0.245, 0.185, 0.382, 0.19]))
    assert found["rmse"] == pytest.approx(np.sqrt((0.155**2 + 0.115**2 + 0.182**2 + 0.09**2) / 4))
    assert found["above_chance"] < 0  # methods: a ranking below chance
    assert found["top_one"] == 0
    assert found["tau"] == pytest.approx(0.0)  # three of six pairs in the right order
    assert np.isnan(found["leakage"])  # nothing is unused


def test_what_goes_to_unused_modalities_leaks(graded: KnownProblem) -> None:
    found = against(graded, truth(0.5, 0.5, 0.0, 0.0), np.array([0.4, 0.5, 0.07, 0.03]))
    assert found["leakage"] == pytest.approx(0.1)
    assert found["top_one"] == 1


def test_a_truth_that_ties_all_ranks_nothing(graded: KnownProblem) -> None:
    found = against(graded, truth(0.25, 0.25, 0.25, 0.25), np.array([0.3, 0.2, 0.3, 0.2]))
    assert found["rmse"] == pytest.approx(0.05)
    assert all(np.isnan(found[name]) for name in ("rbo", "chance", "above_chance", "tau", "top_one"))


def test_truths_that_monte_carlo_can_t_tell_apart_are_tied() -> None:
    known = truth(0.45, 0.452, 0.05, 0.048, error=0.001)
    np.testing.assert_allclose(known.ranked, [0.451, 0.451, 0.049, 0.049])
    assert not known.tied
    assert truth(0.25, 0.251, 0.249, 0.25, error=0.001).tied
    np.testing.assert_array_equal(truth(0.4, 0.3, 0.2, 0.1).ranked, [0.4, 0.3, 0.2, 0.1])


def test_undefined_shares_have_no_ranking(graded: KnownProblem) -> None:
    found = against(graded, truth(0.4, 0.3, 0.2, 0.1), np.full(4, np.nan))
    assert np.isnan(found["rmse"])
    assert np.isnan(found["rbo"])


def test_copies_are_scored_as_one() -> None:
    copied = problem("C7", train=40, test=20)
    np.testing.assert_allclose(joined(copied, np.array([0.6, 0.02, 0.35, 0.03])), [0.95, 0.02, 0.03])
    half = against(copied, truth(1.0, 0.0, 0.0, 0.0), np.array([0.5, 0.0, 0.5, 0.0]))
    assert half["rmse"] == 0
    assert half["leakage"] == 0
    assert coverage(copied, truth(1.0, 0.0, 0.0, 0.0), result(shares(0.5, 0, 0.5, 0)), "contribution") == {}


def test_intervals_hold_the_truth_or_not(graded: KnownProblem) -> None:
    found = coverage(graded, truth(0.4, 0.3, 0.2, 0.1), result(shares(0.41, 0.29, 0.25, 0.05)), "contribution")
    assert found["covered"] == 0.5
    assert found["width"] == pytest.approx(0.038)


def test_the_error_of_drawing_rows_is_added_to_the_interval(graded: KnownProblem) -> None:
    error = xr.Dataset({"contribution": shares(0.0, 0.0, 0.03, 0.03)})
    one = replace(result(shares(0.41, 0.29, 0.25, 0.05)), monte_carlo_error=error)
    found = coverage(graded, truth(0.4, 0.3, 0.2, 0.1), one, "contribution")
    half = np.hypot(0.019, 1.959964 * 0.03)
    assert found["covered"] == 1.0  # .25 and .05 lie within .0618 of .2 and .1
    assert found["width"] == pytest.approx((0.038 + 2 * half) / 2)


def test_truths_at_the_end_of_the_range_don_t_count(graded: KnownProblem) -> None:
    found = coverage(graded, truth(0.5, 0.5, 0.0, 0.0), result(shares(0.49, 0.45, 0.03, 0.03)), "contribution")
    assert found["covered"] == 0.5


def test_every_measure_is_held_to_its_own_truth_and_to_the_paper_s(graded: KnownProblem) -> None:
    found = scores(graded, result(shares(0.4, 0.3, 0.2, 0.1)), "contribution", "variance")
    variance = np.array([16, 9, 4, 1]) / 30
    own = graded.truth["variance"].values
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((own - [0.4, 0.3, 0.2, 0.1]) ** 2)))
    np.testing.assert_allclose(own[:2] / own[:2].sum(), variance[:2] / variance[:2].sum(), atol=1e-9)
    assert found["paper_rmse"] == pytest.approx(0.0, abs=1e-12)
    assert found["rbo"] == found["paper_rbo"] == pytest.approx(1.0)


def test_interactions_are_compared_order_by_order(graded: KnownProblem) -> None:
    orders = xr.DataArray([0.7, 0.3, 0.0], dims="order", coords={"order": ["1", "2", "3+"]})
    found = interaction_error(graded, result(shares(0.25, 0.25, 0.25, 0.25), orders=orders))
    assert found == pytest.approx(np.sqrt((0.3**2 + 0.3**2) / 3), abs=2e-3)  # a linear f is all of order 1
    assert np.isnan(interaction_error(graded, result(shares(0.25, 0.25, 0.25, 0.25))))
