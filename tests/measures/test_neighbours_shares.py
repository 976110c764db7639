"""LIME at the fusion point and MM-SHAP: answers known by hand, slow code written from the papers, other people's code."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations, product
from math import factorial
from typing import Any

import numpy as np
import pytest
from games import explain_game, names
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from shapiq.game_theory.exact import ExactComputer
from sklearn.linear_model import LinearRegression

import modalens as ml
from strategies import games

# LIME --------------------------------------------------------------------------------------------------------------------------


def inside(players: int) -> np.ndarray:
    return np.array([[code >> place & 1 for place in range(players)] for code in range(1 << players)], dtype=float)


def kernel(players: int, width: float) -> np.ndarray:
    """exp(-D^2 / width^2) with the cosine distance to the vector of ones, coalition by coalition."""
    found = []
    for vector in inside(players):
        length = np.linalg.norm(vector) * np.sqrt(players)
        distance = 1 - (vector.sum() / length if length else 0)
        found.append(np.exp(-(distance**2) / width**2))
    return np.array(found)


@given(table=games(), width=st.sampled_from([0.25, 0.6, 5.0]))
def test_lime_against_sklearn(table: np.ndarray, width: float) -> None:
    found = explain_game(table, ml.LIME(width=width)).lime
    players, samples, outputs = len(table).bit_length() - 1, *table.shape[1:]
    for sample, output in product(range(samples), range(outputs)):
        fitted = LinearRegression().fit(inside(players), table[:, sample, output], sample_weight=kernel(players, width))
        np.testing.assert_allclose(found.coefficients.values[sample, :, output], fitted.coef_, atol=1e-6)
        assert found.intercept.values[sample, output] == pytest.approx(fitted.intercept_, abs=1e-6)


@given(table=games(), width=st.sampled_from([0.25, 1.0]))
def test_lime_is_the_best_weighted_line(table: np.ndarray, width: float) -> None:
    """Normal equations: what is left over is orthogonal to every modality and to the intercept."""
    found = explain_game(table, ml.LIME(width=width)).lime
    players = len(table).bit_length() - 1
    design = np.column_stack([np.ones(1 << players), inside(players)])
    both = np.concatenate(
        [found.intercept.values[:, None], found.coefficients.values], axis=1
    )  # (sample, 1 + M, output)
    left = table - np.einsum("cp,spo->cso", design, both)
    np.testing.assert_allclose(np.einsum("cp,c,cso->pso", design, kernel(players, width), left), 0, atol=1e-9)


@given(seed=st.integers(0, 99), players=st.integers(2, 5), width=st.sampled_from([0.15, 0.25, 2.0]))
def test_lime_of_an_additive_game_is_the_shapley_value(seed: int, players: int, width: float) -> None:
    generator = np.random.default_rng(seed)
    effects = generator.normal(size=(players, 3, 2))
    table = 0.5 + np.einsum("cp,pso->cso", inside(players), effects)
    found = explain_game(table, ml.LIME(width=width), ml.Shapley())
    np.testing.assert_allclose(found.lime.coefficients, found.shapley.values, atol=1e-10)
    np.testing.assert_allclose(found.lime.contribution, found.shapley.contribution, atol=1e-10)
    np.testing.assert_allclose(found.lime.intercept, 0.5, atol=1e-10)


def test_lime_by_hand() -> None:
    """v = 1 where both are there. A narrow kernel leaves the full set and its neighbours: what each loses. A wide one
    weighs all alike: half of that.
    """
    narrow = explain_game([0.0, 0.0, 0.0, 1.0], ml.LIME(width=0.1)).lime
    np.testing.assert_allclose(narrow.coefficients.values.ravel(), [1, 1], atol=1e-6)
    wide = explain_game([0.0, 0.0, 0.0, 1.0], ml.LIME(width=1e6)).lime
    np.testing.assert_allclose(wide.coefficients.values.ravel(), [0.5, 0.5], atol=1e-6)
    assert wide.intercept.item() == pytest.approx(-0.25, abs=1e-6)


def test_lime_has_no_dummy_axiom_as_its_docstring_says() -> None:
    table = np.array([float(code & 1 and code >> 1 & 1) for code in range(8)])  # a and b; c is ignored
    found = explain_game(table, ml.LIME(), ml.Shapley())
    assert found.shapley.values.sel(modality="c").item() == 0
    assert abs(found.lime.coefficients.sel(modality="c").item()) > 1e-3


def test_limes_shares_are_of_all_outputs_and_of_each() -> None:
    table = np.zeros((4, 1, 2))
    table[1] += [[3.0, 1.0]]
    table[2] += [[1.0, -1.0]]
    table[3] += [[4.0, 0.0]]
    found = explain_game(table, ml.LIME()).lime
    np.testing.assert_allclose(found.contribution, [4 / 6, 2 / 6], atol=1e-10)
    np.testing.assert_allclose(found.by_output, [[0.75, 0.25], [0.5, 0.5]], atol=1e-10)
    np.testing.assert_allclose(found.by_sample, [[4 / 6, 2 / 6]], atol=1e-10)
    np.testing.assert_allclose(found.mean, [[3, 1], [1, -1]], atol=1e-10)


@pytest.mark.parametrize("width", [0, -1.0, 0.05, float("inf"), float("nan"), "wide"])
def test_widths_of_lime_that_make_no_sense_are_refused(width: Any) -> None:
    with pytest.raises(ml.InputError, match=r"LIME\(width="):
        ml.LIME(width=width)


# MM-SHAP -----------------------------------------------------------------------------------------------------------------------


def exact_shapley(value: Callable[[frozenset[Any]], float], players: list[Any]) -> dict[Any, float]:
    """The textbook sum over all coalitions."""
    count = len(players)
    return {
        player: sum(
            factorial(size) * factorial(count - size - 1) / factorial(count) * (value(rest | {player}) - value(rest))
            for size in range(count)
            for rest in map(frozenset, combinations([other for other in players if other != player], size))
        )
        for player in players
    }


def combined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.stack([a[:, 0] * b[:, 0] + a[:, 1], np.tanh(a).sum(axis=1) * b.sum(axis=1)], axis=1)


def draw(rows: int, seed: int = 0, widths: tuple[int, int] = (3, 2)) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=(rows, width)) for name, width in zip("ab", widths, strict=True)}


def explained(model: Any, inputs: dict[str, Any], **settings: Any) -> ml.Result:
    given = {"measures": [ml.MMSHAP()], "baseline": "zeros", "output": "raw", "confidence": None} | settings
    found: ml.Result = ml.explain(model, inputs, **given).mm_shap
    return found


def test_few_parts_are_exact_against_the_textbook_sum() -> None:
    inputs = draw(3)
    found = explained(combined, inputs)
    assert found.settings["permutations"] == "all"
    players = [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1)]
    for sample, output in product(range(3), range(2)):

        def value(there: frozenset[Any], sample: int = sample, output: int = output) -> float:
            kept = {
                name: np.array([[x if (name, part) in there else 0.0 for part, x in enumerate(values[sample])]])
                for name, values in inputs.items()
            }
            return float(combined(**kept)[0, output])

        for (name, part), expected in exact_shapley(value, players).items():
            assert found.parts[name].values[sample, part, output] == pytest.approx(expected, abs=1e-12)


def test_few_parts_are_exact_against_shapiq() -> None:
    inputs = draw(1, 4)

    def game(coalitions: np.ndarray) -> np.ndarray:
        kept = coalitions * np.concatenate([inputs["a"][0], inputs["b"][0]])
        return combined(kept[:, :3], kept[:, 3:])[:, 1]

    values = ExactComputer(game, n_players=5)("SV", order=1)
    found = explained(combined, inputs)
    flat = np.concatenate([found.parts["a"].values[0, :, 1], found.parts["b"].values[0, :, 1]])
    np.testing.assert_allclose(flat, [values[(place,)] for place in range(5)], atol=1e-12)


def test_drawn_orders_against_a_loop_over_them() -> None:
    """The orders are those that the seed draws; each is walked by hand, part by part."""
    inputs = draw(4, 1, (7, 5))
    found = explained(combined, inputs, measures=[ml.MMSHAP(permutations=4)], seed=3)
    assert found.settings["permutations"] == 4
    generator = np.random.default_rng(np.random.SeedSequence((3, 7)))
    drawn = [generator.permutation(12) for _ in range(2)]
    phi = np.zeros((12, 4, 2))
    for order in (drawn[0], drawn[0][::-1], drawn[1], drawn[1][::-1]):
        now = {name: values.copy() for name, values in inputs.items()}
        for player in order:
            before = combined(**now)
            name, part = ("a", player) if player < 7 else ("b", player - 7)
            now[name][:, part] = 0
            phi[player] += (before - combined(**now)) / 4
    np.testing.assert_allclose(found.parts["a"].transpose("part", "sample", "output"), phi[:7], atol=1e-12)
    np.testing.assert_allclose(found.parts["b"].transpose("part", "sample", "output"), phi[7:], atol=1e-12)
    amounts = np.stack([np.abs(phi[:7]).sum(axis=(0, 2)), np.abs(phi[7:]).sum(axis=(0, 2))])
    np.testing.assert_allclose(found.by_sample.T, amounts / amounts.sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.contribution, (amounts / amounts.sum(axis=0)).mean(axis=1), atol=1e-12)


@given(seed=st.integers(0, 99), wide=st.booleans(), baseline=st.sampled_from(["zeros", "mean", "background"]))
def test_all_values_of_a_sample_sum_to_the_whole_change(seed: int, wide: bool, baseline: str) -> None:
    inputs = draw(4, seed, (8, 6) if wide else (2, 2))
    background = draw(3, seed + 1, (8, 6) if wide else (2, 2))
    found = explained(combined_wide, inputs, baseline=baseline, background=background)
    changed = {
        "zeros": lambda: combined_wide(*(np.zeros_like(values) for values in inputs.values())),
        "mean": lambda: combined_wide(
            *(np.broadcast_to(values.mean(axis=0), inputs[name].shape) for name, values in background.items())
        ),
        "background": lambda: np.broadcast_to(combined_wide(**background).mean(axis=0), (4, 2)),
    }[baseline]()
    total = sum(array.sum("part") for array in found.parts.values())
    np.testing.assert_allclose(total, combined_wide(**inputs) - changed, atol=1e-10)


def combined_wide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.stack([np.tanh(a.sum(axis=1)) * b[:, 0], (a**2).sum(axis=1) + b[:, 1]], axis=1)


def test_additive_parts_need_one_order() -> None:
    inputs = draw(5, 2, (9, 7))
    weights = {"a": np.arange(1.0, 10), "b": np.arange(-3.0, 4)}
    found = explained(lambda a, b: a @ weights["a"] + b @ weights["b"], inputs, measures=[ml.MMSHAP(permutations=2)])
    for name, own in weights.items():
        np.testing.assert_allclose(found.parts[name].values[:, :, 0], inputs[name] * own, atol=1e-12)


def test_orders_come_near_the_exact_values() -> None:
    inputs = draw(6, 0, (6, 5))  # 11 parts: one more than would be exact

    def value(sample: int) -> Callable[[np.ndarray], np.ndarray]:
        every = np.concatenate([inputs["a"][sample], inputs["b"][sample]])
        return lambda coalitions: combined_wide((coalitions * every)[:, :6], (coalitions * every)[:, 6:])[:, 0]

    exact = [ExactComputer(value(sample), n_players=11)("SV", order=1) for sample in range(6)]
    expected = np.array([[one[(place,)] for place in range(11)] for one in exact])
    errors = []
    for orders in (2, 8, 64):
        found = explained(combined_wide, inputs, measures=[ml.MMSHAP(permutations=orders)])
        phi = np.concatenate([found.parts["a"].values[:, :, 0], found.parts["b"].values[:, :, 0]], axis=1)
        errors.append(np.sqrt(((phi - expected) ** 2).mean()))
    assert errors[2] < 0.5 * errors[0]
    assert errors[2] < 0.1 * expected.std()


@pytest.mark.parametrize("permutations", [2, 8])
@pytest.mark.parametrize("words", [("a b c", "d e", "f"), tuple(" ".join("xyzuvw"[:n]) for n in (6, 1, 4))])
def test_samples_with_fewer_words_play_without_those_that_they_lack(words: tuple[str, ...], permutations: int) -> None:
    """Each text beside a table of six columns, explained by itself with the same orders, restricted to its words."""
    value = {word: float(place + 1) for place, word in enumerate("abcdefxyzuvw")} | {"[MASK]": 0.0}

    def model(text: list[str], lab: np.ndarray) -> np.ndarray:
        length = np.array([sum(value[word] * (1 + 0.1 * at) for at, word in enumerate(one.split())) for one in text])
        return np.tanh(length / 20) * lab.sum(axis=1) + length

    lab = np.random.default_rng(0).normal(size=(3, 6))
    found = explained(
        model,
        {"text": list(words), "lab": lab},
        measures=[ml.MMSHAP(permutations=permutations)],
        baseline={"text": "mask_token", "lab": "zeros"},
        modalities={"text": ml.Text()},
    )
    longest = max(len(one.split()) for one in words)
    players = [("text", part) for part in range(longest)] + [("lab", part) for part in range(6)]
    if len(players) <= 10:
        orders = None
    else:
        generator = np.random.default_rng(np.random.SeedSequence((0, 7)))
        drawn = [generator.permutation(len(players)) for _ in range(permutations // 2)]
        orders = [order for one in drawn for order in (one, one[::-1])]
    for sample, text in enumerate(words):
        own = [player for player in players if player[0] == "lab" or player[1] < len(text.split())]

        def output(there: frozenset[Any], sample: int = sample, text: str = text) -> float:
            kept = [word if ("text", at) in there else "[MASK]" for at, word in enumerate(text.split())]
            left = np.array([[x if ("lab", part) in there else 0.0 for part, x in enumerate(lab[sample])]])
            return float(model([" ".join(kept)], left)[0])

        if orders is None:
            expected = exact_shapley(output, own)
        else:
            expected = dict.fromkeys(own, 0.0)
            for order in orders:
                there = frozenset(own)
                for player in (players[place] for place in order):
                    if player in there:
                        expected[player] += (output(there) - output(there - {player})) / len(orders)
                        there = there - {player}
        for name in ("text", "lab"):
            row = found.parts[name].values[sample, :, 0]
            known = [expected[name, part] for part in range(len(row)) if (name, part) in expected]
            np.testing.assert_allclose(row[: len(known)], known, atol=1e-10)
            assert np.isnan(row[len(known) :]).all()
    assert found.part_count.sel(modality="text").values.tolist() == [len(one.split()) for one in words]
    assert found.parts["text"].word.values[0].tolist()[:1] == [words[0].split()[0]]


def test_the_share_is_the_mean_of_ratios_unless_asked_otherwise() -> None:
    inputs = {"a": np.array([[9.0], [0.1]]), "b": np.array([[1.0], [0.9]])}

    def total(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a[:, 0] + b[:, 0]

    np.testing.assert_allclose(explained(total, inputs).contribution, [0.5, 0.5])
    found = explained(total, inputs, measures=[ml.MMSHAP(reading="ratio_of_sums")])
    np.testing.assert_allclose(found.contribution, [9.1 / 11, 1.9 / 11])
    np.testing.assert_allclose(found.by_sample, [[0.9, 0.1], [0.1, 0.9]])


def test_an_ignored_modality_gets_exactly_0_and_parts_change_the_share() -> None:
    inputs = draw(5, 0, (12, 4))
    ignored = explained(lambda a, b: np.tanh(a).sum(axis=1), inputs)
    assert ignored.contribution.sel(modality="b").item() == 0
    assert (ignored.parts["b"] == 0).all()


def test_the_share_depends_on_how_a_modality_is_cut() -> None:
    inputs = {"a": np.array([[2.0, 2.0]]), "b": np.array([[1.0]])}

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a[:, 0] - a[:, 1] / 2 + b[:, 0]

    whole = {"a": ml.Tabular(parts=1), "b": ml.Tabular()}
    np.testing.assert_allclose(explained(model, inputs).contribution, [3 / 4, 1 / 4])
    np.testing.assert_allclose(explained(model, inputs, modalities=whole).contribution, [1 / 2, 1 / 2])


@given(seed=st.integers(0, 99))
def test_whole_modalities_as_parts_are_modality_shapley_values(seed: int) -> None:
    inputs = draw(5, seed)
    kinds = {"a": ml.Tabular(parts=1), "b": ml.Tabular(parts=1)}
    found = ml.explain(
        combined, inputs, measures=[ml.MMSHAP(), ml.Shapley()], baseline="zeros", output="raw", modalities=kinds
    )
    for name in names(2):
        np.testing.assert_allclose(
            found.mm_shap.parts[name].isel(part=0, drop=True),
            found.shapley.values.sel(modality=name, drop=True),
            atol=1e-12,
        )


def test_background_rows_and_a_split_model_give_the_same() -> None:
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.image, self.table = torch.nn.Linear(16, 4), torch.nn.Linear(3, 4)
            self.head = torch.nn.Linear(8, 2)

        def forward(self, image: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
            return self.head(torch.cat([torch.relu(self.image(image.flatten(1))), torch.tanh(self.table(table))], 1))

    generator = np.random.default_rng(0)
    inputs = {
        "image": generator.normal(size=(6, 4, 4)).astype(np.float32),
        "table": generator.normal(size=(6, 3)).astype(np.float32),
    }
    settings: dict[str, Any] = {
        "link": "softmax",
        "output": "probability",
        "modalities": {"image": ml.Image(patch=1)},
        "background": {name: values[::-1].copy() for name, values in inputs.items()},
        "baseline": "background",
    }
    split = explained(Net().double().float(), inputs, encoders="graph", **settings)
    whole = explained(Net().double().float(), inputs, encoders="whole", **settings)
    np.testing.assert_allclose(split.contribution, whole.contribution, atol=1e-5)
    np.testing.assert_allclose(split.parts["image"], whole.parts["image"], atol=1e-6)


def test_the_cost_is_a_row_a_part_and_order() -> None:
    inputs = draw(5, 0, (8, 6))
    planned = ml.plan(combined_wide, inputs, measures=[ml.MMSHAP(permutations=4)], baseline="zeros", output="raw")
    # 13 steps between everything and nothing in each of four orders, at most; both ends are shared, the last by all.
    assert 5 * 2 * 13 < planned.rows <= 5 * 4 * 13 + 5 + 1


@pytest.mark.parametrize("permutations", [0, 3, -2, 2.0, True])
def test_orders_that_make_no_sense_are_refused(permutations: Any) -> None:
    with pytest.raises(ml.InputError, match=r"MMSHAP\(permutations="):
        ml.MMSHAP(permutations=permutations)


def test_a_reading_that_is_not_known_is_refused() -> None:
    with pytest.raises(ml.InputError, match="did you mean 'mean_of_ratios'"):
        ml.MMSHAP(reading="mean_of_ratio")  # type: ignore[arg-type]


def test_antithetic_orders_are_exact_for_pairs() -> None:
    """An order and the same backwards give each of two factors half of their product, whichever order it is."""
    inputs = {"a": np.arange(1.0, 13)[None], "b": np.full((1, 4), 2.0)}
    found = explained(lambda a, b: a[:, 0] * b[:, 0], inputs, measures=[ml.MMSHAP(permutations=2)], seed=11)
    assert found.parts["a"].values[0, 0, 0] == found.parts["b"].values[0, 0, 0] == 1.0
    assert len(list(permutations(range(2)))) == 2


def test_logits_and_multilabel_outputs() -> None:
    inputs = draw(10, 0)
    found = ml.explain(
        lambda a, b: expit(np.stack([2 * a[:, 0] + b[:, 0], b[:, 1]], axis=1)),
        inputs,
        measures=[ml.LIME(), ml.MMSHAP()],
        background=draw(8, 1),
        task="multilabel",
        output="logit",
        baseline="mean",
    )
    for result in found.results.values():
        np.testing.assert_allclose(result.by_output.isel(output=1), [0, 1], atol=1e-12)
        np.testing.assert_allclose(result.by_output.sum("modality"), 1)
        assert result.interval["contribution"].notnull().all()
