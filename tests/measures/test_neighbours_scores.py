"""EMAP, SHAPE and the perceptual score: answers known by hand, slow code written from the papers, other people's code."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from games import bits, explain_bits, explain_game, names
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from shapiq.game_theory.exact import ExactComputer
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

import modalens as ml

ALL = (ml.EMAP(), ml.SHAPE(), ml.PerceptualScore())


def parity(patterns: np.ndarray) -> np.ndarray:
    """The probability that the number of bits that are set is odd."""
    return 0.1 + 0.8 * (patterns.sum(axis=1) % 2)


def odd(players: int) -> np.ndarray:
    return (np.stack(list(bits(players).values()), axis=1).sum(axis=(1, 2)) % 2).astype(int)


def draw(rows: int, seed: int, widths: tuple[int, ...] = (2, 3)) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=(rows, width)) for name, width in zip("abcd", widths, strict=False)}


class Mixing:
    """A random network of tables, with these many logits, that combines them; `link` makes what it returns of them."""

    def __init__(self, seed: int, outputs: int, widths: tuple[int, ...] = (2, 3)) -> None:
        generator = np.random.default_rng(seed)
        self.first = {name: generator.normal(size=(width, 6)) for name, width in zip("abcd", widths, strict=False)}
        self.last = generator.normal(size=(6, outputs))

    def logits(self, **inputs: np.ndarray) -> np.ndarray:
        return np.prod(
            [1.5 * np.tanh(values @ self.first[name]) for name, values in inputs.items()], axis=0
        ) @ self.last + (sum(np.tanh(values @ self.first[name]) for name, values in inputs.items()) @ self.last)

    def __call__(self, **inputs: np.ndarray) -> np.ndarray:
        return softmax(self.logits(**inputs), axis=1)


# EMAP --------------------------------------------------------------------------------------------------------------------------


def centred(probability: np.ndarray) -> np.ndarray:
    logs = np.log(probability)
    return np.asarray(logs - logs.mean(axis=-1, keepdims=True))


def grid_projection(model: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Hessel and Lee (2020), algorithm 1: the logits of all N x N pairs, their row and column means, and their mean."""
    rows = len(inputs["a"])
    grid = np.array(
        [[centred(model(a=inputs["a"][[i]], b=inputs["b"][[j]]))[0] for j in range(rows)] for i in range(rows)]
    )
    return np.array([grid[i].mean(axis=0) + grid[:, i].mean(axis=0) - grid.mean(axis=(0, 1)) for i in range(rows)])


@pytest.mark.parametrize(("rows", "outputs", "seed"), [(5, 2, 0), (12, 3, 1), (9, 4, 2)])
def test_emap_is_the_projection_of_the_grid_where_the_patients_stand_in_for_each_other(
    rows: int, outputs: int, seed: int
) -> None:
    model, inputs = Mixing(seed, outputs), draw(rows, seed)
    labels = np.random.default_rng(seed).integers(outputs, size=rows)
    found = ml.explain(
        model, inputs, measures=[ml.EMAP()], labels=labels, background=inputs, baseline=ml.Background(rows=rows)
    ).emap
    expected = grid_projection(model, inputs)
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    assert found.score.item() == pytest.approx(accuracy_score(labels, model(**inputs).argmax(axis=1)))
    assert found.additive.item() == pytest.approx(accuracy_score(labels, expected.argmax(axis=1)))
    assert found.gap.item() == pytest.approx(found.score.item() - found.additive.item())
    assert found.settings["space"] == "logit"


def test_the_mean_of_pairs_of_one_patient_is_not_that_of_the_grid() -> None:
    """What tells the grid's mean from its diagonal's: modalities that go together, and are multiplied."""
    inputs = {"a": np.array([[-1.0], [1.0]]), "b": np.array([[-1.0], [1.0]])}
    found = ml.explain(
        lambda a, b: (a * b)[:, 0],
        inputs,
        measures=[ml.EMAP()],
        labels=np.array([0.0, 1.0]),
        background=inputs,
        baseline="background",
        output="raw",
        task="regression",
    ).emap
    np.testing.assert_allclose(found.values, 0, atol=1e-12)  # v(none) is 1, and twice 0 less 1 would be -1


@given(players=st.integers(2, 4), seed=st.integers(0, 99), baseline=st.sampled_from(["background", "mean", "zeros"]))
def test_an_additive_model_is_its_own_projection(players: int, seed: int, baseline: str) -> None:
    inputs, background = draw(8, seed, (2,) * players), draw(11, seed + 100, (2,) * players)

    def model(**tables: np.ndarray) -> np.ndarray:
        return expit(sum(np.sin((place + 1) * table).sum(axis=1) for place, table in enumerate(tables.values())))

    labels = np.arange(8) % 2
    found = ml.explain(
        model, inputs, measures=[ml.EMAP()], labels=labels, background=background, baseline=baseline
    ).emap
    probability = model(**inputs)
    np.testing.assert_allclose(found.values, centred(np.stack([1 - probability, probability], axis=1)), atol=1e-10)
    assert found.gap.item() == 0


@pytest.mark.parametrize("players", [2, 3, 4])
def test_parity_has_nothing_left_without_combination(players: int) -> None:
    found = explain_bits(parity, players, *ALL, labels=odd(players))
    assert (found.emap.score.item(), found.emap.additive.item(), found.emap.gap.item()) == (1.0, 0.5, 0.5)


@pytest.mark.parametrize("metric", ["auc", "accuracy"])
def test_emap_of_several_labels_and_of_any_metric(metric: Any) -> None:
    inputs, background = draw(30, 0), draw(20, 1)
    model = Mixing(0, 2)
    labels = np.random.default_rng(0).integers(2, size=(30, 2))

    def both(**tables: np.ndarray) -> np.ndarray:
        return expit(model.logits(**tables))

    found = ml.explain(
        both, inputs, measures=[ml.EMAP(metric=metric)], labels=labels, task="multilabel", background=background
    ).emap
    additive = expit(found.values.values)
    if metric == "auc":
        assert found.score.item() == pytest.approx(roc_auc_score(labels, both(**inputs)))
        assert found.additive.item() == pytest.approx(roc_auc_score(labels, additive))
    else:
        assert found.additive.item() == pytest.approx(((additive > 0.5) == labels).mean())


def test_emap_of_a_regression_is_taken_on_its_output() -> None:
    inputs = draw(40, 0)
    target = inputs["a"][:, 0] * inputs["b"][:, 0] + inputs["a"][:, 1]

    def product_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a[:, 0] * b[:, 0] + a[:, 1]

    found = ml.explain(
        product_of, inputs, measures=[ml.EMAP()], labels=target, background=draw(50, 1), output="raw", task="regression"
    ).emap
    assert found.settings["metric"] == "r2"
    assert found.score.item() == pytest.approx(1)
    assert found.additive.item() == pytest.approx(r2_score(target, found.values.values[:, 0]))
    assert found.gap.item() > 0.1


# SHAPE -------------------------------------------------------------------------------------------------------------------------


def scores_of_coalitions(model: Any, inputs: Any, background: Any, labels: np.ndarray) -> np.ndarray:
    """The accuracy of the mean probability of every coalition, bit i of its place being modality i; in loops."""
    players, rows = list(inputs), len(next(iter(background.values())))
    found = []
    for code in range(1 << len(players)):
        mean = np.mean(
            [
                model(
                    **{
                        name: inputs[name]
                        if code >> place & 1
                        else np.repeat(background[name][[row]], len(labels), axis=0)
                        for place, name in enumerate(players)
                    }
                )
                for row in range(rows)
            ],
            axis=0,
        )
        found.append(accuracy_score(labels, mean.argmax(axis=1)))
    return np.array(found)


@pytest.mark.parametrize(("players", "outputs", "seed"), [(2, 2, 0), (3, 3, 1), (4, 2, 2)])
def test_shape_against_loops_and_shapiq(players: int, outputs: int, seed: int) -> None:
    widths = (2,) * players
    model, inputs, background = Mixing(seed, outputs, widths), draw(30, seed, widths), draw(7, seed + 50, widths)
    labels = model(**inputs).argmax(axis=1)
    found = ml.explain(
        model, inputs, measures=[ml.SHAPE()], labels=labels, background=background, baseline="background"
    ).shape
    game = scores_of_coalitions(model, inputs, background, labels)
    exact = ExactComputer(
        lambda coalitions: game[(coalitions * (1 << np.arange(players))).sum(axis=1)], n_players=players
    )
    values = exact("SV", order=1)
    pairs = exact("SII", order=2)
    for i, name in enumerate(names(players)):
        assert found.values.sel(modality=name).item() == pytest.approx(values[(i,)], abs=1e-12)
        for j, other in enumerate(names(players)):
            if i < j:
                half = found.matrix.sel(modality=name, modality_2=other).item()
                assert half == pytest.approx(pairs[(i, j)] / 2, abs=1e-12)
    assert found.everything.item() == pytest.approx(1)
    assert found.nothing.item() == pytest.approx(game[0])
    singles = game[[1 << place for place in range(players)]]
    assert found.cooperation.item() == pytest.approx(game[-1] - game[0] - (singles - game[0]).sum(), abs=1e-12)
    positive = np.clip(found.values.values, 0, None)
    np.testing.assert_allclose(found.contribution, positive / positive.sum(), atol=1e-12)


@given(seed=st.integers(0, 99), players=st.integers(2, 4))
def test_shape_adds_up(seed: int, players: int) -> None:
    widths = (2,) * players
    model, inputs = Mixing(seed, 2, widths), draw(12, seed, widths)
    labels = np.arange(12) % 2
    found = ml.explain(model, inputs, measures=[ml.SHAPE()], labels=labels, background=draw(5, seed + 1, widths)).shape
    gained = found.everything.item() - found.nothing.item()
    assert found.values.sum().item() == pytest.approx(gained, abs=1e-12)
    np.testing.assert_allclose(found.matrix.sum("modality_2"), found.values, atol=1e-12)
    np.testing.assert_array_equal(found.matrix, found.matrix.T)


def test_cooperation_is_above_0_for_synergy_and_below_for_redundancy() -> None:
    def copies(patterns: np.ndarray) -> np.ndarray:
        """Either of two bits tells the label, and both are always alike where it counts: the patients below."""
        return 0.1 + 0.8 * (patterns.sum(axis=1) > 0.5)

    synergy = explain_bits(parity, 2, ml.SHAPE(), labels=odd(2)).shape
    np.testing.assert_allclose(synergy.values, 0.25, atol=1e-12)
    assert synergy.cooperation.item() == pytest.approx(0.5)
    inputs = {"a": np.array([[0.0], [1.0]] * 5), "b": np.array([[0.0], [1.0]] * 5)}
    redundancy = ml.explain(
        lambda a, b: copies(np.concatenate([a, b], axis=1)),
        inputs,
        measures=[ml.SHAPE()],
        labels=np.arange(10) % 2,
        baseline="zeros",
    ).shape
    # V(none) = .5, V(a) = V(b) = V(a, b) = 1.
    np.testing.assert_allclose(redundancy.values, 0.25, atol=1e-12)
    assert redundancy.cooperation.item() == pytest.approx(-0.5)


def test_a_modality_that_misleads_has_a_negative_value_and_no_share() -> None:
    inputs = {"good": np.array([[-1.0], [1.0]] * 10), "bad": np.array([[3.0], [-3.0]] * 4 + [[0.1], [0.1]] * 6)}
    found = ml.explain(
        lambda good, bad: expit(good + bad)[:, 0],
        inputs,
        measures=[ml.SHAPE(), ml.PerceptualScore()],
        labels=np.arange(20) % 2,
        baseline="zeros",
    )
    assert found.shape.values.sel(modality="bad").item() < 0
    assert found.shape.contribution.values.tolist() == [1.0, 0.0]
    assert found.perceptual_score.values.sel(modality="bad").item() < 0
    assert found.perceptual_score.contribution.values.tolist() == [1.0, 0.0]


# Perceptual score --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("players", "outputs", "seed"), [(2, 2, 0), (3, 3, 1)])
def test_perceptual_score_against_loops(players: int, outputs: int, seed: int) -> None:
    widths = (2,) * players
    model, inputs, background = Mixing(seed, outputs, widths), draw(25, seed, widths), draw(9, seed + 50, widths)
    labels = model(**inputs).argmax(axis=1)
    labels[:5] = 0
    found = ml.explain(
        model, inputs, measures=[ml.PerceptualScore()], labels=labels, background=background, baseline="background"
    ).perceptual_score
    everything = accuracy_score(labels, model(**inputs).argmax(axis=1))
    assert found.everything.item() == pytest.approx(everything)
    for name in inputs:
        each = [
            accuracy_score(
                labels, model(**inputs | {name: np.repeat(background[name][[row]], 25, axis=0)}).argmax(axis=1)
            )
            for row in range(9)
        ]
        assert found.permuted.sel(modality=name).item() == pytest.approx(np.mean(each), abs=1e-12)
        assert found.normalised.sel(modality=name).item() == pytest.approx(1 - np.mean(each) / everything, abs=1e-12)
    np.testing.assert_allclose(found.values, found.everything - found.permuted)


def test_the_score_of_single_rows_is_not_that_of_their_mean() -> None:
    """Two rows of three push the patient over the edge: the mean output is wrong once, the single ones twice in three."""
    inputs, rows = (
        {"a": np.array([[1.0]]), "b": np.array([[0.0]])},
        {"a": np.zeros((3, 1)), "b": np.array([[-2.0], [-2.0], [9.0]])},
    )
    found = ml.explain(
        lambda a, b: 0.5 + np.clip(a + b, -5, 5)[:, 0] / 20,
        inputs,
        measures=[ml.PerceptualScore(), ml.Reliance(metric="accuracy")],
        labels=[1],
        background=rows,
        baseline="background",
        confidence=None,
    )
    assert found.perceptual_score.permuted.sel(modality="b").item() == pytest.approx(1 / 3)
    assert found.reliance.without.sel(modality="b").item() == 1


def test_the_gradient_papers_oracle_loses_what_block_permutation_says() -> None:
    """A linear rule of three standard normal scores, two of which count: shares by the angle between f and f permuted."""
    inputs, background = draw(4000, 0, (1, 1, 1)), draw(60, 1, (1, 1, 1))
    found = ml.explain(
        lambda a, b, c: expit(8 * (a + b))[:, 0],
        inputs,
        measures=[ml.PerceptualScore()],
        labels=(inputs["a"] + inputs["b"] > 0)[:, 0] * 1,
        background=background,
        baseline="background",
        confidence=None,
    ).perceptual_score
    # corr(a + b, a' + b) = 1/2: P(another sign) = arccos(1/2) / pi = 1/3.
    np.testing.assert_allclose(found.values.values, [1 / 3, 1 / 3, 0], atol=0.03)
    assert found.values.sel(modality="c").item() == 0


def test_every_permutation_of_the_patients_is_in_the_rows() -> None:
    model, inputs = Mixing(3, 2), draw(4, 3)
    labels = np.array([0, 1, 0, 1])
    found = ml.explain(
        model, inputs, measures=[ml.PerceptualScore()], labels=labels, background=inputs, baseline="background"
    ).perceptual_score
    from itertools import permutations

    each = [
        accuracy_score(labels, model(a=inputs["a"][list(order)], b=inputs["b"]).argmax(axis=1))
        for order in permutations(range(4))
    ]
    assert found.permuted.sel(modality="a").item() == pytest.approx(np.mean(each), abs=1e-12)


# All three ---------------------------------------------------------------------------------------------------------------------


def every(**settings: Any) -> ml.Explanation:
    inputs = draw(20, 0)
    given = {"labels": np.arange(20) % 2, "background": draw(15, 1), "measures": list(ALL)} | settings
    return ml.explain(Mixing(0, 2), inputs, **given)


def test_an_ignored_modality_changes_no_score_at_all() -> None:
    inputs = draw(20, 0)
    found = ml.explain(
        lambda a, b: expit(3 * a.sum(axis=1)),
        inputs,
        measures=list(ALL),
        labels=(inputs["a"].sum(axis=1) > 0) * 1,
        background=draw(30, 1),
    )
    assert found.shape.values.sel(modality="b").item() == 0
    assert found.perceptual_score.values.sel(modality="b").item() == 0
    assert found.emap.gap.item() == 0


@pytest.mark.parametrize("measure", ALL)
def test_labels_are_needed_and_it_is_said(measure: ml.Measure) -> None:
    kind = type(measure).__name__
    with pytest.raises(ml.InputError, match=f"{kind} scores the model against labels, and none were given: labels="):
        every(measures=[measure], labels=None)


@pytest.mark.parametrize("measure", ALL)
@pytest.mark.parametrize("output", ["raw", "logit", "probability"])
def test_the_space_that_is_asked_for_does_not_change_the_score(measure: ml.Measure, output: str) -> None:
    model = Mixing(0, 2)
    inputs, labels = draw(20, 0), np.arange(20) % 2
    settings: dict[str, Any] = {"background": draw(15, 1), "labels": labels, "link": "softmax", "measures": [measure]}
    found = ml.explain(model.logits, inputs, output=output, **settings)[measure.key]
    expected = ml.explain(model.logits, inputs, **settings)[measure.key]
    everything = "score" if isinstance(measure, ml.EMAP) else "everything"
    assert found.array(everything).item() == expected.array(everything).item()
    if output == "logit":
        for name, array in expected.global_numbers.items():
            np.testing.assert_allclose(found.array(name), array, atol=1e-12)


@pytest.mark.parametrize("measure", [ml.SHAPE(), ml.PerceptualScore()])
def test_patients_without_a_modality_are_scored_among_their_like(measure: ml.Measure) -> None:
    has = np.arange(20) < 14
    model, inputs, background, labels = Mixing(0, 2), draw(20, 0), draw(15, 1), np.arange(20) % 2
    settings: dict[str, Any] = {"background": background, "baseline": "background", "measures": [measure]}
    found = ml.explain(model, inputs, labels=labels, present={"b": has}, **settings)[measure.key]
    those = ml.explain(model, {name: x[has] for name, x in inputs.items()}, labels=labels[has], **settings)[measure.key]
    np.testing.assert_allclose(found.values.sel(modality="b"), those.values.sel(modality="b"), atol=1e-12)
    assert found.by_available.sizes["available"] == 2


@pytest.mark.parametrize("measure", [ml.EMAP(), ml.LIME(), ml.MMSHAP()])
def test_patients_without_a_modality_are_refused_where_there_is_no_answer_for_them(measure: ml.Measure) -> None:
    with pytest.raises(ml.InputError, match=f"{type(measure).__name__} needs every modality of every patient"):
        every(measures=[measure], present={"b": np.arange(20) < 14})


@pytest.mark.parametrize("measure", [ml.EMAP(), ml.SHAPE(), ml.LIME()])
def test_one_modality_is_refused(measure: ml.Measure) -> None:
    with pytest.raises(ml.InputError, match="needs at least two modalities, and 'a' is one"):
        ml.explain(
            lambda a: expit(a[:, 0]), {"a": np.ones((3, 2))}, measures=[measure], labels=[0, 1, 0], baseline="zeros"
        )


def test_numbers_that_are_unknown_have_reasons() -> None:
    inputs = draw(12, 0)
    constant = ml.explain(
        lambda a, b: np.full(len(a), 0.3),
        inputs,
        measures=[ml.SHAPE(), ml.PerceptualScore(), ml.LIME(), ml.MMSHAP()],
        labels=np.arange(12) % 2,
        baseline="zeros",
    )
    for result in constant.results.values():
        assert bool(result.contribution.isnull().all())
        assert "0 / 0" in result.reasons["contribution"]
    undefined = ml.explain(
        lambda a, b: a[:, 0] + b[:, 0],
        inputs,
        measures=list(ALL),
        labels=np.ones(12),
        baseline="zeros",
        output="raw",
        task="regression",
    )
    for result in undefined.results.values():
        for name, array in result.global_numbers.items():
            assert not bool(array.isnull().any()) or "all the same" in result.reasons[name]
    assert undefined.emap.score.isnull()


def test_the_perceptual_score_needs_single_rows_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import modalens.evaluation.plan as plan

    monkeypatch.setattr(plan, "VALUES_BUDGET", 1)
    found = every(measures=[ml.PerceptualScore()], baseline="background").perceptual_score
    assert found.values.isnull().all()
    assert found.everything.notnull()
    assert "Background(rows=" in found.reasons["values"]


def test_intervals_and_errors_of_drawing_rows() -> None:
    found = every(baseline="background")
    for measure, name in (("emap", "gap"), ("shape", "values"), ("perceptual_score", "values")):
        bounds = found[measure].interval[name]
        assert bool((bounds.sel(bound="lower") <= found[measure].array(name) + 1e-12).all())
        assert bool((bounds.sel(bound="upper") >= found[measure].array(name) - 1e-12).all())
        assert bool((found[measure].monte_carlo_error[name] >= 0).all())


def test_what_they_estimate() -> None:
    from modalens.validation import ESTIMANDS

    declared = {
        ml.SHAPE(): {"contribution": "reliance"},
        ml.SHAPE(metric="auc"): {},
        ml.PerceptualScore(): {"contribution": "loss"},
        ml.LIME(): {"contribution": "contribution"},
        ml.MMSHAP(): {},
        ml.EMAP(): {},
        ml.Shapley(): {"contribution": "shapley"},
        ml.Occlusion(): {"contribution": "sensitivity", "anchor": "contribution"},
        ml.FusionGradient(): {"contribution": "contribution"},
        ml.FusionGradient(estimator="gradient"): {"contribution": "sensitivity"},
        ml.Reliance(): {},
        ml.InterSHAP(): {},
    }
    for measure, estimands in declared.items():
        assert dict(measure.estimands) == estimands
        assert set(estimands.values()) <= set(ESTIMANDS)


def test_a_game_of_accuracies_by_hand() -> None:
    """Values .25 and .75 of class 1 in every coalition, so that each patient's hit can be read off the table."""
    outputs = np.array([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])  # (coalition, sample)
    found = explain_game(outputs, ml.SHAPE(), output="probability", labels=[1, 1]).shape
    # V = 0, 1/2, 1/2, 1.
    assert found.values.values.tolist() == [0.5, 0.5]
    assert found.cooperation.item() == 0
    assert [found.matrix.values[i, j] for i, j in product(range(2), repeat=2)] == [0.5, 0, 0, 0.5]
