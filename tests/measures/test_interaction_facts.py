"""The facts known of InterSHAP (Wenderoth et al. 2025) and of interaction indices, each through `explain`."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import shapiq
from games import bits, explain_bits, explain_game, names
from scipy.special import expit
from shapiq.game_theory.exact import ExactComputer

import modalens as ml
from modalens.evaluation import plan


def intershap(table: Any, *, reading: str | None = None, **settings: Any) -> Any:
    return explain_game(table, ml.InterSHAP(reading=reading), **settings).intershap  # type: ignore[arg-type]


def random_game(players: int, samples: int = 5, outputs: int = 1, seed: int = 0) -> np.ndarray:
    table = np.random.default_rng(seed).normal(size=(1 << players, samples, outputs))
    table[0] = table[0, :1]
    return table


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    return matrix[~np.eye(len(matrix), dtype=bool)]


@pytest.mark.parametrize("players", [2, 3, 4])
def test_fact_01_the_matrix_adds_up(players: int) -> None:
    table = random_game(players)
    explanation = explain_game(table, ml.InterSHAP(), ml.Shapley())
    phi = (
        explanation.intershap.values.squeeze("output")
        if "output" in explanation.intershap.values.dims
        else explanation.intershap.values
    )
    np.testing.assert_allclose(phi.sum(("modality", "modality_2")), table[-1, :, 0] - table[0, :, 0], atol=1e-12)
    np.testing.assert_array_equal(phi, phi.transpose("sample", "modality_2", "modality").values)
    np.testing.assert_allclose(phi.sum("modality_2"), explanation.shapley.values.squeeze("output"), atol=1e-12)


@pytest.mark.parametrize("reading", ["paper", "absolute", "package"])
def test_fact_01_score_and_contributions_sum_to_1(reading: str) -> None:
    found = intershap(random_game(3), reading=reading)
    assert found.score.item() + found.contribution.sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("reading", ["paper", "absolute", "package"])
def test_fact_01_invariant_to_scale_offset_and_relabelling(reading: str) -> None:
    table = random_game(3)
    found = intershap(table, reading=reading)
    moved = intershap(-2.5 * table + 3, reading=reading)
    cube = table.reshape(2, 2, 2, 5, 1)  # axes: players c, b, a
    relabelled = intershap(cube.transpose(1, 0, 2, 3, 4).reshape(8, 5, 1), reading=reading)  # b and c change places
    for other in (moved, relabelled):
        for name in ("score", "local", "orders"):
            np.testing.assert_allclose(other.arrays[name], found.arrays[name], rtol=0, atol=1e-12)
    np.testing.assert_allclose(relabelled.contribution, found.contribution[[0, 2, 1]], rtol=0, atol=1e-12)


def test_fact_01_the_matrices_of_two_classes_are_negatives() -> None:
    random = np.random.default_rng(0)
    inputs = {"a": random.normal(size=(6, 1)), "b": random.normal(size=(6, 1))}
    logits = lambda a, b: np.concatenate([a * b, a - b], axis=1)  # noqa: E731
    first, second = (
        ml.explain(
            logits,
            inputs,
            measures=[ml.InterSHAP()],
            background=inputs,
            baseline="background",
            link="softmax",
            target=target,
            confidence=None,
        ).intershap.values
        for target in (0, 1)
    )
    assert abs(first).min() > 1e-6
    np.testing.assert_allclose(first, -second, rtol=0, atol=1e-12)


def whole_numbers(rows: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.integers(-4, 5, size=(rows, 2)).astype(float) for name in names(3)}


@pytest.mark.parametrize("budget", [plan.VALUES_BUDGET, 0])
def test_fact_02_a_dummy_has_a_row_and_column_of_exact_zeros(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        plan, "VALUES_BUDGET", budget
    )  # without memory for single background rows, they are averaged in blocks
    model = lambda a, b, c: np.tanh(a[:, 0] * c[:, 1]) + c[:, 0]  # noqa: E731
    explanation = ml.explain(
        model,
        whole_numbers(9, 0),
        measures=[ml.InterSHAP(), ml.Shapley()],
        background=whole_numbers(40, 1),
        baseline="background",
        output="raw",
        confidence=None,
    )
    found = explanation.intershap
    for name in ("matrix", "signed", "values"):
        assert not found.arrays[name].sel(modality="b").values.any()
        assert not found.arrays[name].sel(modality_2="b").values.any()
    assert found.contribution.sel(modality="b").item() == 0
    assert explanation.shapley.contribution.sel(modality="b").item() == 0
    assert found.score.item() > 0.1
    assert explanation.provenance["blocks"] == (40 if budget else 10)


@pytest.mark.parametrize("reading", ["absolute", "package"])
def test_fact_02_an_additive_model_scores_exactly_0(reading: Any) -> None:
    # Whole numbers and a power of two of background rows: every mean is exact, so the zero must be exact too.
    model = lambda a, b, c: a[:, 0] ** 2 - 3 * b.sum(axis=1) + np.abs(c[:, 1])  # noqa: E731
    settings: dict[str, Any] = {
        "background": whole_numbers(32, 1),
        "baseline": "background",
        "output": "raw",
        "confidence": None,
    }
    found = ml.explain(model, whole_numbers(9, 0), measures=[ml.InterSHAP(reading=reading)], **settings).intershap
    assert found.score.item() == 0
    assert found.local.item() == 0
    assert found.orders.values.tolist() == [1.0, 0.0, 0.0]
    assert not off_diagonal(found.matrix.values).any()


def test_fact_03_a_constant_model_is_nan_with_a_reason() -> None:
    for found in (
        intershap(np.full((8, 4), 0.3)),
        intershap(np.full((8, 4), 0.3), reading="paper"),
        intershap(np.full((8, 4), 0.3), reading="package"),
    ):
        for name in ("score", "local", "contribution", "orders"):
            assert found.arrays[name].isnull().all(), name
            assert "0 / 0" in found.reasons[name]


@pytest.mark.parametrize("measure", [ml.InterSHAP(), ml.Interactions(), ml.Shapley()])
def test_fact_03_one_modality_is_refused(measure: ml.Measure) -> None:
    with pytest.raises(ml.InputError, match=r"needs at least two modalities, and 'a' is one: use Occlusion"):
        explain_game([0.0, 1.0], measure)


def test_fact_04_two_modalities_worked_out() -> None:
    found = intershap([0.5, 0.6, 0.7, 1.0])
    np.testing.assert_allclose(found.matrix, [[0.1, 0.1], [0.1, 0.2]], atol=1e-12)
    assert found.score.item() == pytest.approx(0.4, abs=1e-12)
    np.testing.assert_allclose(found.contribution, [0.2, 0.4], atol=1e-12)


def test_fact_04_the_same_as_a_probability_of_the_predicted_class() -> None:
    found = intershap([0.5, 0.6, 0.7, 1.0], output="probability")
    assert found.settings["reading"] == "paper"
    np.testing.assert_allclose(found.matrix, [[0.1, 0.1], [0.1, 0.2]], atol=1e-12)
    np.testing.assert_allclose(found.signed, [[0.1, 0.1], [0.1, 0.2]], atol=1e-12)


def test_fact_05_exclusive_or_of_two() -> None:
    assert intershap([0.5, 0.5, 0.5, 1.0]).score.item() == pytest.approx(1, abs=1e-12)
    assert explain_bits(lambda bit: bit.sum(axis=1) % 2, 2, ml.InterSHAP()).intershap.score.item() == pytest.approx(
        1, abs=1e-12
    )


@pytest.mark.parametrize(("players", "score"), [(2, 1.0), (3, 0.75), (4, 4 / 6)])
def test_fact_06_parity_scores_less_for_more_players_but_is_all_of_its_order(players: int, score: float) -> None:
    found = explain_bits(lambda bit: bit.sum(axis=1) % 2, players, ml.InterSHAP(), ml.Interactions(order=players))
    assert found.intershap.score.item() == pytest.approx(score, abs=1e-12)
    orders = [0, 1, 0] if players == 2 else [0, 0, 1]
    np.testing.assert_allclose(found.intershap.orders, orders, atol=1e-12)
    np.testing.assert_allclose(found.interactions.orders, orders, atol=1e-12)
    np.testing.assert_allclose(found.interactions.of_target.mean("sample"), [0] * (2**players - 2) + [0.5], atol=1e-12)


EXACTLY_ONE = {
    # (how many of the 8 patterns, |phi| of the three pairs, |phi_ii|), in 32nds, by the number of ones in the pattern: worked out by hand from
    # v = 3/8 (nothing known), 1/2 or 1/4 (a zero or a one known), 1/2, 1/2 or 0 (two zeros, a zero and a one, two ones).
    0: (1, (5, 5, 5), (6, 6, 6)),
    1: (3, (5, 5, 1), (6, 2, 2)),
    2: (3, (5, 1, 1), (2, 2, 6)),
    3: (1, (1, 1, 1), (6, 6, 6)),
}


def local_share(pairs_once: bool) -> Fraction:
    """The mean over patterns of each pattern's own share of interaction."""
    weight = 1 if pairs_once else 2
    return (
        sum(
            Fraction(count * weight * sum(pairs), weight * sum(pairs) + sum(own))
            for count, pairs, own in EXACTLY_ONE.values()
        )
        / 8
    )


def test_fact_07_exactly_one_of_three_in_both_published_readings() -> None:
    exactly_one = lambda bit: bit.sum(axis=1) == 1  # noqa: E731
    found = explain_bits(exactly_one, 3, ml.InterSHAP(), ml.InterSHAP(reading="package", name="package"))
    # The signed means over the patterns are 22/256 for each pair and -4/256 for each modality: 6 * 22 / (6 * 22 + 3 * 4).
    np.testing.assert_allclose(found.intershap.signed, np.where(np.eye(3), -4, 22) / 256, atol=1e-12)
    assert found.intershap.score.item() == pytest.approx(11 / 12, abs=1e-12)
    assert local_share(pairs_once=False) == Fraction(75, 128)
    assert found.intershap.local.item() == pytest.approx(75 / 128, abs=1e-12)
    assert local_share(pairs_once=True) == Fraction(557, 1309)
    assert found.package.score.item() == pytest.approx(557 / 1309, abs=1e-12)
    np.testing.assert_allclose(found.package.contribution, (1 - 557 / 1309) / 3, atol=1e-12)


def test_fact_07_each_pattern_as_worked_out_by_hand() -> None:
    found = explain_bits(lambda bit: bit.sum(axis=1) == 1, 3, ml.InterSHAP()).intershap
    ones = np.stack([values[:, 0] for values in bits(3).values()], axis=1).sum(axis=1).astype(int)
    for phi, count in zip(abs(found.values.values) * 32, ones, strict=True):
        _, pairs, own = EXACTLY_ONE[count]
        np.testing.assert_allclose(sorted(phi[np.triu_indices(3, 1)]), sorted(pairs), atol=1e-10)
        np.testing.assert_allclose(sorted(np.diag(phi)), sorted(own), atol=1e-10)


OPPOSITE = [[0.55, 0.55], [0.65, 0.65], [0.65, 0.65], [0.95, 0.55]]
"""Two samples with phi_12 = +.1 and -.1, and phi_ii = .1 in both."""


def test_fact_08_opposite_interactions_cancel_globally_but_not_locally() -> None:
    found = intershap(OPPOSITE, output="probability")
    np.testing.assert_allclose(found.values.isel(modality=0, modality_2=1), [0.1, -0.1], atol=1e-12)
    np.testing.assert_allclose(found.values.isel(modality=0, modality_2=0), 0.1, atol=1e-12)
    assert found.score.item() == pytest.approx(0, abs=1e-12)
    assert found.local.item() == pytest.approx(0.5, abs=1e-12)
    assert intershap(OPPOSITE, reading="absolute").score.item() == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize(
    ("index", "oracle"),
    [
        ("moebius", "Moebius"),
        ("sii", "SII"),
        ("k-sii", "k-SII"),
        ("stii", "STII"),
        ("fsii", "FSII"),
        ("banzhaf", "BII"),
    ],
)
def test_fact_10_shapiq_agrees_on_every_index(index: Any, oracle: str) -> None:
    table = random_game(3, samples=1)
    found = explain_game(table, ml.Interactions(index=index, order=2)).interactions.values.squeeze()
    exact: shapiq.InteractionValues = ExactComputer(lambda who: table[who.astype(int) @ [1, 2, 4], 0, 0], 3)(oracle, 2)  # type: ignore[arg-type]
    expected = {
        " x ".join(names(3)[i] for i in chosen): exact[chosen] for chosen in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
    }
    np.testing.assert_allclose(found.sel(coalition=list(expected)), list(expected.values()), atol=1e-6)


# Fixed outputs: |mean phi| is wrong there --------------------------------------------------------------------------------------


def product(bit: np.ndarray) -> np.ndarray:
    return bit[:, 0] * bit[:, 1] + 0.25 * bit[:, 0]


def test_fixed_output_of_independent_modalities_is_0_over_0_in_the_papers_reading() -> None:
    found = explain_bits(product, 2, ml.InterSHAP(reading="paper"), output="raw").intershap
    assert found.score.isnull()
    assert "0 / 0" in found.reasons["score"]


@pytest.mark.parametrize(
    "function", [lambda a, b: a * b, lambda a, b: np.maximum(a, b), lambda a, b: np.exp(a + 2 * b)]
)
def test_fixed_output_of_dependent_modalities_is_one_half_in_the_papers_reading_whatever_the_model(
    function: Callable[..., np.ndarray],
) -> None:
    a = np.array([[0.0], [0.0], [1.0], [2.0]])
    inputs = {"a": a, "b": a**2 + np.array([[0.0], [1.0], [0.0], [0.0]])}
    settings: dict[str, Any] = {"background": inputs, "baseline": "background", "output": "raw", "confidence": None}
    model = lambda a, b: function(a, b)[:, 0]  # noqa: E731
    assert ml.explain(
        model, inputs, measures=[ml.InterSHAP(reading="paper")], **settings
    ).intershap.score.item() == pytest.approx(0.5, abs=1e-12)
    assert abs(ml.explain(model, inputs, measures=[ml.InterSHAP()], **settings).intershap.score.item() - 0.5) > 0.01


@pytest.mark.parametrize(
    ("settings", "reading"),
    [
        ({"output": "raw"}, "absolute"),
        ({"output": "probability"}, "paper"),
        ({"output": "logit"}, "paper"),
        ({"output": "probability", "target": 1}, "absolute"),
        ({"output": "probability", "task": "multilabel"}, "absolute"),
        ({"output": "probability", "task": "regression"}, "absolute"),
    ],
)
def test_the_mean_before_the_absolute_value_is_taken_for_the_predicted_class_only(
    settings: dict[str, Any], reading: str
) -> None:
    found = intershap([0.5, 0.6, 0.7, 0.9], **settings)
    assert found.settings["reading"] == reading
    assert found.matrix.squeeze().shape == (2, 2)


def test_the_absolute_reading_by_hand() -> None:
    found = explain_bits(product, 2, ml.InterSHAP(), output="raw").intershap
    # phi_12 = 1/2 (ab - a/2 - b/2 + 1/4) up to sums of one bit: +-1/8 in every pattern.
    np.testing.assert_allclose(abs(found.values.isel(modality=0, modality_2=1)), 1 / 8, atol=1e-12)
    expected = found.values.values
    np.testing.assert_allclose(found.matrix, np.abs(expected).mean(axis=0), atol=1e-12)
    assert found.score.item() == pytest.approx(0.25 / np.abs(expected).mean(axis=0).sum(), abs=1e-12)


def test_super_and_sub_additive_parts_are_apart() -> None:
    found = intershap(OPPOSITE)
    np.testing.assert_allclose(found.super_additive.isel(modality=0, modality_2=1), 0.05, atol=1e-12)
    np.testing.assert_allclose(found.sub_additive.isel(modality=0, modality_2=1), -0.05, atol=1e-12)
    np.testing.assert_allclose(found.super_additive + found.sub_additive, found.signed, atol=1e-12)


# The output space, and the additive null -----------------------------------------------------------------------------------------


def normal(rows: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {"x1": random.normal(size=(rows, 1)), "x2": random.normal(size=(rows, 1))}


@pytest.mark.parametrize(("steepness", "low", "high"), [(0.5, 0.001, 0.06), (8.0, 0.2, 0.4)])
def test_additive_in_log_odds_scores_0_there_and_above_0_in_probability(
    steepness: float, low: float, high: float
) -> None:
    model = lambda x1, x2: steepness * (x1 + x2)[:, 0]  # noqa: E731
    settings: dict[str, Any] = {
        "background": normal(50, 1),
        "baseline": "background",
        "link": "sigmoid",
        "confidence": None,
    }
    found = ml.explain(model, normal(150, 0), measures=[ml.InterSHAP()], **settings).intershap
    assert found.by_space.sel(space="logit").item() == pytest.approx(0, abs=1e-10)
    assert low < found.by_space.sel(space="probability").item() < high
    assert found.score.item() == found.by_space.sel(space="probability").item()
    np.testing.assert_allclose(found.null, found.by_space, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.excess, 0, atol=1e-9)


def test_a_synergy_exceeds_its_additive_null() -> None:
    model = lambda x1, x2: 3 * (x1 * x2)[:, 0]  # noqa: E731
    found = ml.explain(
        model,
        normal(60, 0),
        measures=[ml.InterSHAP()],
        background=normal(50, 1),
        baseline="background",
        link="sigmoid",
        confidence=None,
    ).intershap
    assert (found.excess > 0.3).all()


def test_a_constant_added_to_all_logits_of_a_row_changes_nothing() -> None:
    model = lambda x1, x2: np.concatenate([x1, x2, x1 * x2], axis=1)  # noqa: E731
    moved = lambda x1, x2: model(x1, x2) + 5 * np.sin(x1 * x2)  # noqa: E731
    settings: dict[str, Any] = {
        "background": normal(20, 1),
        "baseline": "background",
        "link": "softmax",
        "confidence": None,
        "measures": [ml.InterSHAP()],
    }
    for output in ("logit", "probability", "raw"):
        first, second = (ml.explain(one, normal(10, 0), output=output, **settings).intershap for one in (model, moved))
        np.testing.assert_allclose(first.by_space, second.by_space, rtol=0, atol=1e-12)
        np.testing.assert_allclose(first.matrix, second.matrix, rtol=0, atol=1e-12)


def test_the_link_is_applied_before_rows_are_averaged() -> None:
    inputs, others = (
        {"a": np.array([[1.0]]), "b": np.array([[0.0]])},
        {"a": np.array([[-3.0], [2.0]]), "b": np.array([[0.0], [1.0]])},
    )
    found = ml.explain(
        lambda a, b: (a + b)[:, 0],
        inputs,
        measures=[ml.Shapley()],
        background=others,
        baseline="background",
        link="sigmoid",
        confidence=None,
    ).shapley
    value = {
        "ab": expit(1.0),
        "a": np.mean(expit([1.0, 2.0])),
        "b": np.mean(expit([-3.0, 2.0])),
        "": np.mean(expit([-3.0, 3.0])),
    }
    expected = [
        (value["a"] - value[""] + value["ab"] - value["b"]) / 2,
        (value["b"] - value[""] + value["ab"] - value["a"]) / 2,
    ]
    np.testing.assert_allclose(found.values.isel(sample=0, output=1), expected, atol=1e-12)


# What pairs can't see ------------------------------------------------------------------------------------------------------------


def test_higher_orders_leak_into_the_self_terms() -> None:
    three = np.zeros(8)
    three[7] = 1.0
    found = intershap(three).values.squeeze()
    np.testing.assert_allclose(np.diag(found), 1 / 3 - 1 / 2, atol=1e-12)
    np.testing.assert_allclose(off_diagonal(found.values), 1 / 4, atol=1e-12)


@pytest.mark.parametrize("players", [3, 4])
def test_the_matrix_from_moebius_coefficients(players: int) -> None:
    explanation = explain_game(random_game(players, samples=2), ml.InterSHAP(), ml.Interactions(order=players))
    phi, moebius = explanation.intershap.values, explanation.interactions.values.squeeze("output")
    phi = phi.squeeze("output") if "output" in phi.dims else phi
    members = {name: set(name.split(" x ")) for name in moebius.coalition.values}
    for i in names(players):
        own = moebius.sel(coalition=i) + sum(
            moebius.sel(coalition=name) * (1 / len(who) - 1 / 2)
            for name, who in members.items()
            if i in who and len(who) >= 3
        )
        np.testing.assert_allclose(phi.sel(modality=i, modality_2=i), own, atol=1e-12)
        for j in set(names(players)) - {i}:
            pair = (
                sum(moebius.sel(coalition=name) / (len(who) - 1) for name, who in members.items() if {i, j} <= who) / 2
            )
            np.testing.assert_allclose(phi.sel(modality=i, modality_2=j), pair, atol=1e-12)
