"""Shapley values of many parts: answers known by hand, slow code written from the formulas, other people's code, and
whether the errors that are given hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise, product
from math import comb
from typing import Any

import numpy as np
import pytest
import shapiq
from games import as_model, names
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from shapiq.game_theory.exact import ExactComputer

import modalens as ml
from modalens.measures import indices, part_estimates, sampled_games
from modalens.problem import Outputs
from modalens.reading import contribution_views, kind_of
from modalens.studyfile import MEASURES
from modalens.testing import check_measure


def binary(players: int) -> np.ndarray:
    return (np.arange(1 << players)[:, None] >> np.arange(players) & 1).astype(bool)


class Sets:
    """A game that pays amounts (sets, games) where all players of a set are there, whose indices are sums over sets."""

    def __init__(self, players: int, sets: Sequence[tuple[int, ...]], amounts: np.ndarray) -> None:
        self.members = np.zeros((len(sets), players))
        for place, one in enumerate(sets):
            self.members[place, list(one)] = 1
        self.amounts, self.size = amounts, self.members.sum(axis=1)

    def __call__(self, inside: np.ndarray) -> np.ndarray:
        return (np.atleast_2d(inside).astype(float) @ self.members.T == self.size).astype(float) @ self.amounts

    @property
    def shapley(self) -> np.ndarray:
        return self.members.T @ (self.amounts / self.size[:, None])


def of_sets(players: int, order: int, seed: int, terms: int = 60, games: int = 2) -> Sets:
    """Random sets of up to so many players, each player alone among them."""
    generator = np.random.default_rng(seed)
    sets = [(player,) for player in range(players)]
    sets += [tuple(generator.choice(players, generator.integers(1, order + 1), replace=False)) for _ in range(terms)]
    return Sets(players, sets, generator.normal(size=(len(sets), games)))


def known(game: Any, pairs: sampled_games.Pairs) -> np.ndarray:
    """What the estimators are given: the values with everyone, with nobody, and with each coalition and its complement."""
    players = pairs.players
    ends = [game(np.ones((1, players), bool)), game(np.zeros((1, players), bool))]
    both = np.stack([game(pairs.inside), game(~pairs.inside)], axis=1).reshape(2 * len(pairs), -1)
    return np.concatenate([*ends, both])[:, None]


def fitted(game: Any, players: int, count: int, seed: int = 0, interactions: bool = False) -> part_estimates.Estimates:
    pairs = sampled_games.draw_pairs(players, count, seed)
    own = np.ones((1, players), dtype=bool)
    return part_estimates.fitted(known(game, pairs), pairs, own, interactions)


def draw(rows: int, seed: int = 0, widths: tuple[int, int] = (9, 7)) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=(rows, width)) for name, width in zip("ab", widths, strict=True)}


def mixed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.stack([np.tanh(a.sum(axis=1)) * b[:, 0] + a[:, 1], (a**2).sum(axis=1) * np.tanh(b.sum(axis=1))], axis=1)


def explained(model: Any, inputs: dict[str, Any], measure: ml.Measure, **given_settings: Any) -> ml.Result:
    given = {"measures": [measure], "baseline": "zeros", "output": "raw", "confidence": None} | given_settings
    found: ml.Result = ml.explain(model, inputs, **given)[measure.key]
    return found


# The masks that are drawn ----------------------------------------------------------------------------------------------------------


@given(players=st.integers(2, 40), seed=st.integers(0, 9), share=st.floats(0, 1))
def test_pairs_are_all_different_and_a_larger_budget_keeps_them(players: int, seed: int, share: float) -> None:
    everyone = 2 ** (players - 1) - 1
    count = min(everyone, 1 + int(share * 300))
    pairs = sampled_games.draw_pairs(players, count, seed)
    fewer = sampled_games.draw_pairs(players, max(1, count // 2), seed)
    both = {tuple(one) for inside in (pairs.inside, ~pairs.inside) for one in inside.tolist()}
    assert len(both) == 2 * count
    assert not both & {(True,) * players, (False,) * players}
    np.testing.assert_array_equal(pairs.inside[: len(fewer)], fewer.inside)
    kernel = sum((1 if 2 * size == players else 2) / (size * (players - size)) for size in range(1, players // 2 + 1))
    assert pairs.weight.sum() == pytest.approx(kernel)


def test_players_alone_come_first_and_every_size_its_share() -> None:
    pairs = sampled_games.draw_pairs(20, 20 + 400, 0)
    sizes = pairs.inside.sum(axis=1)
    assert (sizes[:20] == 1).all()
    assert (sizes[20:] > 1).all()
    counted = np.bincount(sizes[20:], minlength=11)[2:]
    due = np.array([(1 if size == 10 else 2) / np.sqrt(size * (20 - size)) for size in range(2, 11)])
    assert (abs(counted - 400 * due / due.sum()) < 1).all()


def test_another_seed_draws_other_masks() -> None:
    one, other = (sampled_games.draw_pairs(30, 100, seed).inside for seed in (0, 1))
    assert (one[30:] != other[30:]).any(axis=1).mean() > 0.9


# Values that are known -------------------------------------------------------------------------------------------------------------


def test_by_hand() -> None:
    """Twenty columns that add up, two of which are also multiplied: each has half of the product."""
    inputs = {"a": np.arange(1.0, 13)[None], "b": np.full((1, 8), 2.0)}

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a.sum(axis=1) + b.sum(axis=1) + a[:, 11] * b[:, 0]

    found = explained(model, inputs, ml.PartShapley(interactions=True))
    expected = np.arange(1.0, 13) + 12 * (np.arange(12) == 11)
    np.testing.assert_allclose(found.parts["a"].values[0, :, 0], expected, atol=1e-8)
    np.testing.assert_allclose(found.parts["b"].values[0, :, 0], [14, *[2] * 7], atol=1e-8)
    np.testing.assert_allclose(found.contribution, [90 / 118, 28 / 118], atol=1e-8)
    np.testing.assert_allclose(found.net, [90 / 118, 28 / 118], atol=1e-8)
    (strongest,) = np.flatnonzero(abs(found.pairs.values[0, :, 0]) > 1e-6)
    assert found.pairs.pair.values[strongest] == "a: column 11 x b: column 0"
    assert (found.pairs["first"].values[strongest], found.pairs["second"].values[strongest]) == ("a", "b")
    assert found.pairs.values[0, strongest, 0] == pytest.approx(24)
    assert found.settings["masks"] == 1142  # six of each of 190 pairs of parts, everything and nothing
    assert found.settings["estimator"] == "regression"


@pytest.mark.parametrize("players", [11, 24, 60])
@pytest.mark.parametrize("estimator", ["regression", "permutation"])
def test_a_game_that_adds_up_is_exact_from_the_fewest_masks(players: int, estimator: Any) -> None:
    weights = np.random.default_rng(players).normal(size=(players, 2))
    inputs = {"a": np.arange(1.0, players)[None], "b": np.array([[-3.0]])}
    fewest = 2 * players + 2 if estimator == "regression" else players + 1

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a, b], axis=1) @ weights + 5

    found = explained(model, inputs, ml.PartShapley(budget=fewest, estimator=estimator))
    got = np.concatenate([found.parts["a"].values[0], found.parts["b"].values[0]])
    np.testing.assert_allclose(got, np.concatenate([np.arange(1.0, players), [-3]])[:, None] * weights, atol=1e-8)
    assert found.settings["masks"] == fewest
    with pytest.raises(ml.InputError, match=rf"{players} parts need at least {fewest} masks by {estimator}"):
        explained(model, inputs, ml.PartShapley(budget=fewest - 1, estimator=estimator))


@settings(max_examples=25)
@given(players=st.integers(6, 16), seed=st.integers(0, 99))
def test_a_game_of_couples_is_exact(players: int, seed: int) -> None:
    """Values from the fewest masks; interactions with three pairs of masks a couple."""
    game = of_sets(players, 2, seed)
    expected = np.zeros((players * (players - 1) // 2, 2))
    for members, amount in zip(game.members, game.amounts, strict=True):
        if members.sum() == 2:
            expected[
                list(combinations(range(players), 2)).index(
                    (int(np.flatnonzero(members)[0]), int(np.flatnonzero(members)[1]))
                )
            ] += amount
    np.testing.assert_allclose(fitted(game, players, players).values[:, 0], game.shapley, atol=1e-8)
    count = 3 * len(expected)
    if count < 2 ** (players - 1) - 1:
        found = fitted(game, players, count, interactions=True)
        np.testing.assert_allclose(found.pairs[:, 0], expected, atol=1e-7)
        np.testing.assert_allclose(found.values[:, 0], game.shapley, atol=1e-8)
        np.testing.assert_allclose(found.pair_errors, 0, atol=1e-7)


@settings(max_examples=25)
@given(seed=st.integers(0, 99), players=st.integers(3, 20), many=st.integers(0, 12))
def test_values_sum_to_the_whole_change(seed: int, players: int, many: int) -> None:
    game = of_sets(players, players, seed)
    count = min(players + many * players, 2 ** (players - 1) - 1)
    total = game(np.ones((1, players), bool)) - game(np.zeros((1, players), bool))
    np.testing.assert_allclose(fitted(game, players, count).values[:, 0].sum(axis=0), total[0], atol=1e-10)


def enumerated(players: int, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray], Any]:
    """A random game of so many parts of two modalities, one sample and two outputs."""
    table = np.random.default_rng(seed).normal(size=(1 << players, 2))
    inputs = {"a": np.ones((1, players - 3)), "b": np.ones((1, 3))}

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return table[np.concatenate([a, b], axis=1).astype(int) @ (1 << np.arange(players))]

    return table, inputs, model


def test_all_subsets_are_evaluated_where_the_budget_holds_them() -> None:
    """Twelve parts by brute force: the textbook's sum over all coalitions without a player."""
    table, inputs, model = enumerated(12)
    found = explained(model, inputs, ml.PartShapley(budget=4096, interactions=True))
    size = binary(12).sum(axis=1)
    for player in range(12):
        without = np.flatnonzero(~binary(12)[:, player])
        share = np.array([1 / (12 * comb(11, int(each))) for each in size[without]])
        expected = share @ (table[without | 1 << player] - table[without])
        got = found.parts["a"].values[0, player] if player < 9 else found.parts["b"].values[0, player - 9]
        np.testing.assert_allclose(got, expected, atol=1e-9)
    assert found.settings["estimator"] == "all subsets"
    assert found.settings["masks"] == 4096
    assert (found.parts_error["a"].values == 0).all()
    assert (found.pairs_error.values == 0).all()
    sampled = explained(model, inputs, ml.PartShapley(budget=1000))
    assert sampled.settings["estimator"] == "regression"
    assert (sampled.parts_error["a"].values > 0).all()


def test_all_subsets_against_shapiq() -> None:
    table = np.random.default_rng(3).normal(size=256)
    computer = ExactComputer(lambda inside: table[np.asarray(inside, int) @ (1 << np.arange(8))], 8)
    found = part_estimates.exact(table[:, None, None], interactions=True)
    values, both = computer("SV", 1), computer("FSII", 2)
    np.testing.assert_allclose(found.values[:, 0, 0], [values[(player,)] for player in range(8)], atol=1e-9)
    couples = combinations(range(8), 2)
    np.testing.assert_allclose(found.pairs[:, 0, 0], [both[couple] for couple in couples], atol=1e-6)


@pytest.mark.parametrize("players", [3, 4, 7, 10])
def test_with_all_masks_the_line_is_the_shapley_value(players: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Least squares over all coalitions (Charnes et al. 1988), whose weights are those of the Shapley kernel; and the
    quadratic fit is Faith-Shap.
    """
    monkeypatch.setattr(sampled_games, "PROXY_PAIRS", 0)
    table = np.random.default_rng(players).normal(size=(1 << players, 3))
    count = 2 ** (players - 1) - 1
    found = fitted(lambda inside: table[inside @ (1 << np.arange(players))], players, count, seed=11 + players)
    coefficients = indices.moebius(table)
    np.testing.assert_allclose(found.values[:, 0], indices.shapley_values(coefficients), atol=1e-9)
    if players == 10:
        pairs = sampled_games.draw_pairs(players, count, 1)
        given_values = known(lambda inside: table[inside @ (1 << np.arange(players))], pairs)
        quadratic = part_estimates.fitted(given_values, pairs, np.ones((1, players), bool), True).pairs[:, 0]
        np.testing.assert_allclose(quadratic, indices.index_values(coefficients, "fsii", 2)[players:], atol=1e-9)


@pytest.mark.parametrize("players", [6, 9])
def test_the_proxys_values_are_those_of_its_kernel(players: int) -> None:
    """The closed form, against the sum over all coalitions of the function that the kernel is."""
    alike, everyone = 0.8, binary(players)
    chosen = everyone[[1, 5, 2**players - 1, 22]]
    differ = (everyone[:, None] != chosen[None]).sum(axis=-1)
    odd = indices.moebius(alike**differ - alike ** (players - differ))
    even = indices.moebius(alike**differ + alike ** (players - differ))
    np.testing.assert_allclose(sampled_games._of_kernel(chosen, alike), indices.shapley_values(odd), atol=1e-12)
    expected = indices.index_values(even, "fsii", 2)[players:]
    np.testing.assert_allclose(sampled_games._couples_of_kernel(chosen, alike), expected, atol=1e-12)


def test_values_of_kriging_against_a_slow_one() -> None:
    """What is left over of each pair, by leaving it out and solving again; and the proxy, by asking it everywhere."""
    players, count, game = 7, 20, of_sets(7, 5, 0)
    pairs = sampled_games.draw_pairs(players, count, 0)
    values = known(game, pairs)[:, 0]
    odd, total = (values[2::2] - values[3::2]) / 2, values[0] - values[1]
    outputs = np.vstack([total / 2, odd])
    inside = np.vstack([np.ones((1, players), bool), pairs.inside])
    alike = np.exp(-sampled_games.RANGE / players)

    def covariance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        differ = (one[:, None] != other[None]).sum(axis=-1)
        return alike**differ - alike ** (players - differ)

    own = np.diag([1e-8, *[sampled_games.NUGGET] * count]) * covariance(inside[:1], inside[:1])

    def predicted(rows: list[int], at: np.ndarray) -> np.ndarray:
        there, signs = inside[rows], np.where(inside[rows], 1.0, -1.0)
        around = np.linalg.inv(covariance(there, there) + own[np.ix_(rows, rows)])
        slopes = np.linalg.solve(signs.T @ around @ signs, signs.T @ around @ outputs[rows])
        return np.where(at, 1.0, -1.0) @ slopes + covariance(at, there) @ around @ (outputs[rows] - signs @ slopes)

    rows = list(range(count + 1))
    proxy = indices.shapley_values(indices.moebius(predicted(rows, binary(players))))
    signs = np.where(pairs.inside, 1.0, -1.0)
    root = np.sqrt(pairs.weight)[:, None]
    left_over = root * (odd - predicted(rows, pairs.inside))
    line = np.linalg.lstsq(root * (signs - signs.mean(axis=1, keepdims=True)), left_over, rcond=1e-9)[0]
    np.testing.assert_allclose(fitted(game, players, count).values[:, 0], proxy + 2 * line, atol=1e-6)
    for place in (3, 15):
        rest = [row for row in rows if row != place]
        left = outputs[place] - predicted(rest, inside[[place]])[0]
        np.testing.assert_allclose(sampled_games._left_by_proxy(pairs, odd, total)[place - 1], left, atol=1e-8)


@pytest.mark.parametrize(("players", "count"), [(5, 12), (16, 40), (60, 599), (60, 600), (60, 601), (120, 400)])
def test_the_line_says_nothing_of_the_mean_over_players(players: int, count: int) -> None:
    """Of which the masks know nothing; v(all) - v(none) does. What is left of it by rounding must not be divided by."""
    line = sampled_games._line(sampled_games.draw_pairs(players, count, 0))
    np.testing.assert_allclose(line.sum(axis=0), 0, atol=1e-9)
    assert np.abs(line).max() < 5


def test_the_jackknife_of_the_line_against_leaving_out_each_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_games, "PROXY_PAIRS", 0)
    players, count, game = 9, 40, of_sets(9, 9, 4)
    pairs = sampled_games.draw_pairs(players, count, 0)
    values = known(game, pairs)[:, 0]
    odd, total = (values[2::2] - values[3::2]) / 2, values[0] - values[1]
    whole = sampled_games.shapley_values(pairs, odd, total)
    changes = []
    for place in range(count):
        rest = np.arange(count) != place
        fewer = sampled_games.Pairs(inside=pairs.inside[rest], weight=pairs.weight[rest])
        changes.append(sampled_games.shapley_values(fewer, odd[rest], total) - whole)
    np.testing.assert_allclose(
        sampled_games.shapley_errors(pairs, odd, total), np.sqrt((np.array(changes) ** 2).sum(axis=0)), atol=1e-9
    )


def test_the_line_against_shapiqs_kernel_shap_on_the_same_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve players and all masks of up to three or of nine and more: weighted least squares, solved by shapiq."""
    monkeypatch.setattr(sampled_games, "PROXY_PAIRS", 0)
    game = of_sets(12, 6, 5, games=1)
    approximator = shapiq.KernelSHAP(n=12, pairing_trick=True, random_state=0)
    theirs = approximator.approximate(budget=600, game=lambda inside: game(inside)[:, 0])
    sampler = approximator._sampler
    sizes = sampler.coalitions_size
    kernel = np.array([0 if size in (0, 12) else 1 / (comb(12, int(size)) * size * (12 - size)) for size in sizes])
    weight = kernel * sampler.sampling_adjustment_weights
    inner = (sizes > 0) & (sizes < 12)
    inside = sampler.coalitions_matrix[inner].astype(bool)
    pairs = sampled_games.Pairs(inside=inside, weight=weight[inner])  # each mask as a pair: its complement is one too
    values = known(game, pairs)[:, 0]
    ours = sampled_games.shapley_values(pairs, (values[2::2] - values[3::2]) / 2, values[0] - values[1])
    np.testing.assert_allclose(ours[:, 0], [theirs[(player,)] for player in range(12)], atol=1e-5)


# Errors ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [40, 70, 160])
def test_intervals_hold_the_truth_as_often_as_they_say(count: int) -> None:
    """Of 200 draws of the masks of a game of 14 players: each player's interval of 95 % holds in at least as many as a
    fair one would, but for what chance alone would miss in one of a thousand tests.
    """
    game, held, widths, errors = of_sets(14, 6, 1), [], [], []
    for seed in range(200):
        found = fitted(game, 14, count, seed)
        held.append(abs(found.values[:, 0] - game.shapley) <= 1.96 * found.errors[:, 0])
        errors.append((found.values[:, 0] - game.shapley) ** 2)
        widths.append(found.errors[:, 0] ** 2)
    assert np.sum(held, axis=0).min() >= binom.ppf(1e-3 / 28, 200, 0.95)
    assert np.sqrt(np.mean(widths) / np.mean(errors)) < 2.5


def test_intervals_of_orders_hold_the_truth() -> None:
    game, truth, held = of_sets(12, 6, 3), of_sets(12, 6, 3).shapley, []
    for seed in range(200):
        drawn = sampled_games.orders(12, 24, seed)
        paths = []
        for order in drawn:
            inside = np.ones((13, 12), dtype=bool)
            for step, player in enumerate(order, start=1):
                inside[step:, player] = False
            paths.append(game(inside)[:, None])
        found = part_estimates.walked(drawn, paths)
        held.append(abs(found.values[:, 0] - truth) <= 2.2 * found.errors[:, 0])  # t with 11 degrees of freedom
    assert np.mean(held) >= 0.92
    assert np.mean(held) <= 0.99


def test_intervals_of_interactions_hold_the_truth() -> None:
    players = 9
    game, held = of_sets(players, 5, 7), []
    everywhere = indices.index_values(indices.moebius(game(binary(players))), "fsii", 2)[players:]
    for seed in range(40):
        found = fitted(game, players, 3 * 36, seed, interactions=True)
        held.append(abs(found.pairs[:, 0] - everywhere) <= 1.96 * found.pair_errors[:, 0])
    assert np.mean(held) >= 0.95


def test_errors_that_are_not_known_are_nan_with_a_reason() -> None:
    inputs = draw(2)
    few = explained(mixed, inputs, ml.PartShapley(budget=34, interactions=True))
    assert np.isnan(few.parts_error["a"].values).all()
    assert "give a larger budget" in few.reasons["parts_error"]
    assert "drawn towards 0" in few.reasons["pairs_error"]
    assert few.pairs.notnull().all()
    assert few.settings["precision_reached"] == np.inf
    enough = explained(mixed, inputs, ml.PartShapley(interactions=True))
    assert not {"parts_error", "pairs_error"} & set(enough.reasons)


def test_values_come_near_the_truth_and_symmetric_players_get_the_same() -> None:
    """Players 0 and 1 are alike and player 2 does nothing, in a game of sets of up to five."""
    generator = np.random.default_rng(0)
    rest = [tuple(generator.choice(np.arange(3, 15), 3, replace=False)) for _ in range(30)]
    sets = [(0, *one) for one in rest] + [(1, *one) for one in rest] + [(0, 1, 5, 6, 7)]
    amounts = generator.normal(size=(30, 1))
    game = Sets(15, sets, np.concatenate([amounts, amounts, [[2.0]]]))
    found, more = (
        np.array([fitted(game, 15, count, seed).values[:, 0, 0] for seed in range(60)]) for count in (120, 360)
    )
    spread = found.std(axis=0, ddof=1)
    bias, less = (np.sqrt(((one.mean(axis=0) - game.shapley[:, 0]) ** 2).mean()) for one in (found, more))
    assert less < 0.5 * bias
    assert bias < 0.75 * np.sqrt((spread**2).mean())
    assert abs((found[:, 0] - found[:, 1]).mean()) < 4 * np.hypot(spread[0], spread[1]) / np.sqrt(60)
    assert abs(found[:, 2].mean()) < 4 * spread[2] / np.sqrt(60)


# The measure -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "measure",
    [
        ml.PartShapley(budget=60, estimator="permutation"),
        ml.PartShapley(budget=60, precision=0.1, interactions=True),
    ],
    ids=["permutation", "regression"],
)
def test_it_keeps_the_promises_of_measures(measure: ml.Measure) -> None:
    found = check_measure(measure)
    assert found.ok, str(found)
    assert {one.check for one in found.findings if one.verdict == "note"} <= {"ignored modality"}


@pytest.mark.parametrize("estimator", ["regression", "permutation"])
def test_all_samples_and_outputs_have_the_values_that_each_has_by_itself(estimator: Any) -> None:
    inputs = draw(4)
    measure = ml.PartShapley(budget=200, estimator=estimator)
    together = explained(mixed, inputs, measure, seed=5)
    turned = explained(mixed, dict(reversed(inputs.items())), measure, seed=5)
    for name, sample in product("ab", range(4)):
        alone = explained(mixed, {key: one[[sample]] for key, one in inputs.items()}, measure, seed=5)
        for array in ("parts", "parts_error"):
            one = together.by_modality(array)[name].values[sample]
            np.testing.assert_allclose(alone.by_modality(array)[name].values[0], one, atol=1e-10)
            np.testing.assert_allclose(turned.by_modality(array)[name].values[sample], one, atol=1e-10)
    other = explained(mixed, inputs, measure, seed=6)
    assert not np.allclose(other.parts["a"], together.parts["a"], atol=1e-6)


@pytest.mark.parametrize("estimator", ["regression", "permutation"])
def test_values_are_near_the_truth_by_as_much_as_their_errors_say(estimator: Any) -> None:
    inputs = draw(2, 3, (9, 4))
    found = explained(mixed, inputs, ml.PartShapley(budget=1000, estimator=estimator))
    for sample in range(2):
        row = np.concatenate([inputs["a"][sample], inputs["b"][sample]])
        players = np.concatenate([found.parts[name].values[sample] for name in "ab"])
        errors = np.concatenate([found.parts_error[name].values[sample] for name in "ab"])
        table = mixed((binary(13) * row)[:, :9], (binary(13) * row)[:, 9:])
        truth = indices.shapley_values(indices.moebius(table))
        assert (abs(players - truth) < 4.5 * errors + 1e-9).all()
        assert ((players - truth) ** 2).sum() < 0.02 * (truth**2).sum()


@pytest.mark.parametrize("estimator", ["regression", "permutation"])
def test_samples_with_fewer_words_play_without_those_that_they_lack(estimator: Any) -> None:
    """Words add up and neighbours are multiplied, so that regression is exact whatever a text's length."""
    texts = ["a b c d e f g h", "c d", "h g f e d"]
    value = {word: float(place + 1) for place, word in enumerate("abcdefgh")} | {"[MASK]": 0.0}
    lab = np.random.default_rng(0).normal(size=(3, 6))

    def model(text: list[str], lab: np.ndarray) -> np.ndarray:
        words = [[value[word] for word in one.split()] for one in text]
        return np.array([sum(one) + sum(x * y for x, y in pairwise(one)) for one in words]) + lab.sum(axis=1)

    found = explained(
        model,
        {"text": texts, "lab": lab},
        ml.PartShapley(budget=150, estimator=estimator),
        baseline={"text": "mask_token", "lab": "zeros"},
        modalities={"text": ml.Text()},
    )
    for sample, text in enumerate(texts):
        own = [value[word] for word in text.split()]
        beside = [0.0, *own, 0.0]
        expected = [x * (1 + (beside[at] + beside[at + 2]) / 2) for at, x in enumerate(own)]
        row, errors = found.parts["text"].values[sample, :, 0], found.parts_error["text"].values[sample, :, 0]
        np.testing.assert_allclose(row[: len(own)], expected, atol=1e-8)
        assert np.isnan(row[len(own) :]).all()
        assert np.isnan(errors[len(own) :]).all()
        np.testing.assert_allclose(found.parts["lab"].values[sample, :, 0], lab[sample], atol=1e-8)
    assert found.part_count.sel(modality="text").values.tolist() == [8, 2, 5]
    assert found.parts["text"].word.values[1].tolist()[:3] == ["c", "d", ""]
    assert not found.reasons


def test_fewer_words_with_terms_of_three() -> None:
    """Where regression is no longer exact: the values of a short text are those that its own game has."""
    texts = ["a b c d e f g h i j k l", "c d e"]

    def model(text: list[str]) -> np.ndarray:
        return np.array([np.tanh(sum(word != "[MASK]" for word in one.split()) - 1.5) for one in text])

    found = explained(
        model,
        {"text": texts},
        ml.PartShapley(budget=400, interactions=True),
        baseline="mask_token",
        modalities={"text": ml.Text()},
    )
    short = found.parts["text"].values[1, :3, 0]
    np.testing.assert_allclose(short, (np.tanh(1.5) - np.tanh(-1.5)) / 3, atol=2e-3)
    assert short.sum() == pytest.approx(2 * np.tanh(1.5), abs=1e-10)
    assert found.pairs.notnull().sum("pair").values.ravel().tolist() == [66, 3]


def test_precision_stops_before_the_budget_and_says_what_it_reached() -> None:
    inputs = draw(3)
    loose, fine, never = (
        explained(mixed, inputs, ml.PartShapley(budget=1500, precision=precision)) for precision in (0.2, 0.02, 1e-6)
    )
    assert loose.settings["masks"] < fine.settings["masks"] < never.settings["masks"] == 1500
    assert loose.settings["precision_reached"] <= 0.2
    assert fine.settings["precision_reached"] <= 0.02 < loose.settings["precision_reached"]
    assert never.settings["precision_reached"] > 1e-6
    half = max(1.96 * float(error.max()) for error in fine.parts_error.values())
    assert half > 0
    again = explained(mixed, inputs, ml.PartShapley(budget=fine.settings["masks"]))
    np.testing.assert_array_equal(again.parts["a"], fine.parts["a"])


def test_background_rows_stand_in_and_intervals_are_given() -> None:
    inputs, background = draw(8), draw(5, 1)
    explanation = ml.explain(
        mixed,
        inputs,
        measures=[ml.PartShapley(budget=130)],
        baseline="background",
        background=background,
        output="raw",
    )
    found = explanation.part_shapley
    changed = mixed(**inputs) - mixed(**background).mean(axis=0)
    np.testing.assert_allclose(sum(one.sum("part") for one in found.parts.values()), changed, atol=1e-10)
    assert {"contribution", "net", "by_output"} <= set(found.interval)
    assert (found.monte_carlo_error["contribution"] > 0).all()
    assert kind_of(found) == "part_shapley"
    assert ("parts' Shapley values", found, "contribution") in contribution_views(explanation)


def test_net_does_not_grow_with_the_cut() -> None:
    inputs = {"a": np.array([[5.0, -4.0]]), "b": np.array([[1.0]])}
    found = explained(lambda a, b: a.sum(axis=1) + b[:, 0], inputs, ml.PartShapley())
    np.testing.assert_allclose(found.contribution, [9 / 10, 1 / 10])
    np.testing.assert_allclose(found.net, [1 / 2, 1 / 2])
    np.testing.assert_allclose(found.by_sample, [[9 / 10, 1 / 10]])


def test_a_constant_model_has_no_shares() -> None:
    found = explained(lambda a, b: np.full(len(a), 0.3), draw(3), ml.PartShapley(budget=100, precision=0.1))
    assert found.contribution.isnull().all()
    assert "does not change" in found.reasons["contribution"]
    assert found.settings["precision_reached"] == 0
    np.testing.assert_allclose(found.parts["a"], 0, atol=1e-12)


def test_the_cost_is_a_row_a_mask_and_the_default_grows_with_the_parts() -> None:
    inputs = draw(5)
    planned = ml.plan(mixed, inputs, measures=[ml.PartShapley(budget=100)], baseline="zeros", output="raw")
    assert planned.rows == 5 * 99 + 1  # where all parts are gone, nothing is left of the sample
    masks = [
        explained(lambda a, b: a.sum(axis=1), draw(1, 0, (width, 2)), ml.PartShapley()).settings["masks"]
        for width in (6, 20, 98)
    ]
    assert masks == [256, 1024, 1602]


def test_nothing_is_asked_that_is_there() -> None:
    _, inputs, model = enumerated(12)
    explanation = ml.explain(
        model, inputs, measures=[ml.PartShapley(budget=150), ml.MMSHAP()], baseline="zeros", output="raw"
    )
    assert explanation.provenance["head_rows"] <= 150 + 8 * 12


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"budget": 3}, r"PartShapley\(budget=3\): give a number of masks, at least 4"),
        ({"budget": 2.5}, r"PartShapley\(budget=2\.5\)"),
        ({"budget": True}, r"PartShapley\(budget=True\)"),
        ({"estimator": "regresion"}, r"did you mean 'regression'"),
        ({"interactions": 2}, r"give True or False"),
        ({"interactions": True, "estimator": "permutation"}, r"leave out estimator='permutation'"),
        ({"precision": 0.0}, r"PartShapley\(precision=0\.0\)"),
        ({"precision": 2}, r"PartShapley\(precision=2\)"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ml.InputError, match=words):
        ml.PartShapley(**wrong)


def test_too_many_parts_for_interactions_are_refused_in_words() -> None:
    with pytest.raises(ml.InputError, match=r"takes at most 100 parts, and there are 101"):
        explained(lambda a, b: a[:, 0], draw(1, 0, (100, 1)), ml.PartShapley(interactions=True))


def test_study_files_know_it_and_its_needs_are_of_parts() -> None:
    assert MEASURES["part_shapley"] is ml.PartShapley
    model, inputs = as_model(np.zeros((4, 1, 1)))
    assert list(inputs) == names(2)
    planned = ml.plan(model, inputs, measures=[ml.PartShapley()], baseline="zeros", output="raw")
    assert len(planned) == 4
    assert Outputs.__dataclass_fields__["draws"].default == "coalition"
