"""What is true of a decision function: closed forms, gradients against differences, Monte Carlo against both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modalens.validation.functions import FUNCTIONS, linear
from modalens.validation.latents import Gaussian, independent
from modalens.validation.problems import problem, problems
from modalens.validation.suite import correlated
from modalens.validation.truths import ESTIMANDS, closed_form, interaction_orders, truth_of

FOUR = independent((10, 10, 10, 10))
GRADED = (0.4, 0.3, 0.2, 0.1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_those_of_the_function(name: str) -> None:
    function, step = FUNCTIONS[name], 1e-6
    z = FOUR.draw(5, np.random.default_rng(0))
    slopes = function.gradient(z)
    for group in range(4):
        for column in range(10):
            moved = [one.copy() for one in z]
            moved[group][:, column] += step
            difference = (function.value(tuple(moved)) - function.value(z)) / step
            np.testing.assert_allclose(slopes[group][:, column], difference, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((f"F{place}", np.eye(4)[place]) for place in range(4)),
        ("F4", (0.5, 0.5, 0, 0)),
        ("F5", (0, 0, 0.5, 0.5)),
        ("F6", (0.25,) * 4),
        ("F7", (0.95, 0.05, 0, 0)),
        ("C4", GRADED),
        ("C5", GRADED[::-1]),
        ("C6", (0.5, 0, 0.5, 0)),
    ],
)
def test_the_papers_truth(name: str, expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(truth_of(FUNCTIONS[name], FOUR, "sensitivity").values, expected, atol=0.02)


def test_sensitivity_grows_with_the_width_and_contribution_with_its_root() -> None:
    both = linear("both", (1, 1), scaled=False)
    wide = independent((100, 4))
    np.testing.assert_allclose(truth_of(both, wide, "sensitivity").values, (100 / 104, 4 / 104))
    np.testing.assert_allclose(truth_of(both, wide, "contribution").values, (10 / 12, 2 / 12))
    np.testing.assert_allclose(truth_of(both, wide, "variance").values, (100 / 104, 4 / 104))


@pytest.mark.parametrize("estimand", ["sensitivity", "contribution", "shapley", "variance", "shapley_effects"])
def test_monte_carlo_agrees_with_the_closed_form(estimand: str) -> None:
    function = FUNCTIONS["C4"]
    exact = closed_form(function, FOUR, estimand)
    assert exact is not None
    sampled = truth_of(replace(function, weights=None), FOUR, estimand)
    assert (np.abs(sampled.values - exact / exact.sum()) < 4 * sampled.error + 1e-9).all()
    assert sampled.error.max() < 0.03


@pytest.mark.parametrize("r", [0.3, 0.6, 0.9])
def test_shapley_effects_of_two_correlated_gaussians(r: float) -> None:
    first = linear("first", (1, 0), scaled=False)
    pair = Gaussian(widths=(1, 1), correlation=np.array([[1, r], [r, 1]]))
    found = truth_of(first, pair, "shapley_effects")
    assert abs(found.values[0] - (1 - r**2 / 2)) < 4 * found.error[0]


def test_reliance_and_loss_of_two_normal_terms_by_hand() -> None:
    """f = z1 + z2 / 2. The mean over z2 has the sign of z1, which is right with probability 1/2 + atan(2) / pi; with one other
    patient's z2 both sums have correlation .8, and the same sign with probability 1/2 + asin(.8) / pi (Sheppard).
    """
    pair, function = independent((1, 1)), linear("two", (1, 0.5), scaled=False)
    lost = 0.5 - np.arcsin([0.2, 0.8]) / np.pi
    for estimand, expected in (("reliance", 2 * np.arctan(2) / np.pi), ("loss", lost[0] / lost.sum())):
        found = [truth_of(function, pair, estimand, seed) for seed in range(6)]
        error = np.sqrt(sum(one.error[0] ** 2 for one in found)) / 6
        assert abs(np.mean([one.values[0] for one in found]) - expected) < 4 * error
        assert error < 0.005  # reliance as the accuracy with single patients would lie .026 apart


def test_what_is_not_used_is_exactly_nothing_to_its_neighbours() -> None:
    for estimand in ("sensitivity", "contribution", "shapley", "variance"):
        assert truth_of(FUNCTIONS["C6"], FOUR, estimand).values[[1, 3]] == pytest.approx(0, abs=1e-12)


def test_a_sum_has_no_interaction_and_a_product_nothing_else() -> None:
    np.testing.assert_allclose(interaction_orders(FUNCTIONS["C4"], FOUR), (1, 0, 0), atol=1e-9)
    orders = interaction_orders(FUNCTIONS["C6"], FOUR)
    assert orders[1] > 0.8
    assert orders[2] < 1e-9


def test_conditional_draws_have_the_conditional_distribution() -> None:
    pair = Gaussian(widths=(1, 1), correlation=np.array([[1, 0.8], [0.8, 1]]))
    drawn = pair.given((np.full((1, 1), 2.0), np.zeros((1, 1))), [0], 40_000, np.random.default_rng(0))
    assert (drawn[0] == 2).all()
    assert drawn[1].mean() == pytest.approx(1.6, abs=0.02)
    assert drawn[1].std() == pytest.approx(0.6, abs=0.02)


def test_a_problem_follows_from_its_seed_and_halves_its_labels() -> None:
    one, again, other = (problem("C4", seed, train=200, test=50, pictures="fields") for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.inputs["image_1"], again.inputs["image_1"])
    np.testing.assert_array_equal(one.labels, again.labels)
    assert (one.inputs["image_1"] != other.inputs["image_1"]).any()
    assert one.train.labels.mean() == 0.5
    assert set(problems()) > set(FUNCTIONS)
    assert set(one.truth) == set(ESTIMANDS)


def test_clinical_variables_are_correlated_as_in_the_paper() -> None:
    clinical = problem("F2", train=20_000, test=10, pictures="fields").train.inputs["clinical_1"]
    found = np.corrcoef(clinical.T)
    assert found[8, [2, 3, 4]] == pytest.approx(0.5, abs=0.03)
    assert np.abs(np.delete(found[8], [2, 3, 4, 8])).max() < 0.03


def test_flipped_labels_are_as_many_as_the_function_says() -> None:
    found = problem("C8", train=4_000, test=10, pictures="fields")
    f = found.function.value(tuple(found.train.latents.values()))
    assert ((f > np.median(f)) != found.train.labels).mean() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("name", ["F7", "C8"])
@pytest.mark.parametrize("estimand", ["contribution", "shapley"])
def test_terms_that_add_up_give_what_the_game_gives(name: str, estimand: str) -> None:
    function, gaussian = FUNCTIONS[name], correlated(name)
    exact, by_game = (truth_of(one, gaussian, estimand) for one in (function, replace(function, terms=None)))
    z = gaussian.draw(50, np.random.default_rng(0))
    assert function.terms is not None
    np.testing.assert_allclose(sum(function.terms(z)), function.value(z))
    np.testing.assert_allclose(exact.values, by_game.values, atol=4 * by_game.error.max())
    assert exact.error.max() < by_game.error.max() / 3
