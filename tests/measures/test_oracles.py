"""The measures against other people's code (captum, shapiq, scikit-learn) and against slow ones written straight from the formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from captum.attr import FeatureAblation, ShapleyValues
from games import explain_game, names
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from shapiq.game_theory.exact import ExactComputer
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

import modalens as ml
from modalens import statistics
from modalens.measures import indices
from modalens.measures.performance import accuracy, auc, r_squared
from strategies import games

# captum --------------------------------------------------------------------------------------------------------------------------


class Net(torch.nn.Module):
    """A random network of an image and a table with three classes; channels first."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.image = torch.nn.Conv2d(2, 4, 3, padding=1)
        self.table = torch.nn.Linear(5, 4)
        self.head = torch.nn.Linear(4 * 36 + 4, 3)
        self.to(dtype)

    def forward(self, image: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([torch.relu(self.image(image)).flatten(1), torch.tanh(self.table(table))], dim=1))


def probabilities(net: Net) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    return lambda image, table: torch.softmax(net(image, table), dim=1)


def scans(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {"image": torch.randn(4, 2, 6, 6, dtype=dtype), "table": torch.randn(4, 5, dtype=dtype)}


IMAGE_PARTS = (torch.arange(6)[:, None] // 4 * 2 + torch.arange(6)[None, :] // 4).expand(1, 2, 6, 6)
TABLE_PARTS = torch.tensor([[4, 5, 5, 6, 7]])
"""The same parts as below, numbered on over both modalities: captum merges parts of two inputs that have one number."""
KINDS = {"image": ml.Image(patch=4), "table": ml.Tabular(groups={"site": [1, 2]})}
PRECISION = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
"""All probabilities lie in 0 to 1, so this is relative to the output's scale too."""


@PRECISION
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_occlusion_against_captum(dtype: torch.dtype, tolerance: float, seed: int, value: float) -> None:
    net, inputs = Net(seed, dtype), scans(dtype)
    found = ml.explain(
        net,
        inputs,
        measures=[ml.Occlusion()],
        modalities=KINDS,
        baseline=ml.Constant(value=value),
        link="softmax",
        confidence=None,
    ).occlusion
    amounts = np.zeros(2)
    with torch.no_grad():
        for output in range(3):
            changes = FeatureAblation(probabilities(net)).attribute(
                tuple(inputs.values()), baselines=(value, value), target=output, feature_mask=(IMAGE_PARTS, TABLE_PARTS)
            )
            # captum repeats a part's change over the part's features: one feature of each is taken.
            once = [changes[0][:, 0][:, [0, 0, 4, 4], [0, 4, 0, 4]].numpy(), changes[1][:, [0, 1, 3, 4]].numpy()]
            for name, change in zip(inputs, once, strict=True):
                np.testing.assert_allclose(found.parts[name].isel(output=output), change, rtol=0, atol=tolerance)
            amounts += [np.abs(change).sum(axis=1).mean() for change in once]
    np.testing.assert_allclose(found.amount, amounts, rtol=0, atol=20 * tolerance)
    np.testing.assert_allclose(found.contribution, amounts / amounts.sum(), rtol=0, atol=1e3 * tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapley_values_against_captum(dtype: torch.dtype) -> None:
    net, inputs = Net(0, dtype), scans(dtype)
    found = ml.explain(
        net, inputs, measures=[ml.Shapley()], modalities=KINDS, baseline="zeros", link="softmax", confidence=None
    ).shapley
    whole = torch.zeros(1, 2, 6, 6, dtype=torch.long), torch.ones(1, 5, dtype=torch.long)
    with torch.no_grad():
        for output in range(3):
            image, table = ShapleyValues(probabilities(net)).attribute(
                tuple(inputs.values()), target=output, feature_mask=whole
            )
            expected = torch.stack([image[:, 0, 0, 0], table[:, 0]], dim=1)
            # captum adds in float32 whatever the model's type.
            np.testing.assert_allclose(
                found.values.isel(output=output), expected, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-8
            )


# shapiq --------------------------------------------------------------------------------------------------------------------------

SHAPIQ = {"moebius": "Moebius", "sii": "SII", "k-sii": "k-SII", "stii": "STII", "fsii": "FSII", "banzhaf": "BII"}


def exact(table: np.ndarray) -> ExactComputer:
    """shapiq's exact computer of one game, (2^M,)."""
    players = len(table).bit_length() - 1
    return ExactComputer(lambda who: table[who.astype(int) @ (1 << np.arange(players))], players)


@pytest.mark.parametrize("index", SHAPIQ)
@pytest.mark.parametrize(
    ("players", "order"), [(players, order) for players in range(2, 6) for order in range(1, players + 1)]
)
def test_interactions_of_every_index_and_order_against_shapiq(index: Any, players: int, order: int) -> None:
    table = np.random.default_rng(players).normal(size=(1 << players))
    found = explain_game(table, ml.Interactions(index=index, order=order)).interactions.values.squeeze(
        ("sample", "output")
    )
    oracle = exact(table)(SHAPIQ[index], players if index == "moebius" else order)  # type: ignore[arg-type]
    sets = [chosen for size in range(1, order + 1) for chosen in combinations(range(players), size)]
    assert found.coalition.values.tolist() == [" x ".join(names(players)[i] for i in chosen) for chosen in sets]
    # shapiq fits FSII by a regression with large weights, so its own error is larger.
    np.testing.assert_allclose(
        found, [oracle[chosen] for chosen in sets], rtol=0, atol=1e-5 if index == "fsii" else 1e-10
    )


@pytest.mark.parametrize("players", [2, 3, 4, 5])
def test_shapley_values_against_shapiq(players: int) -> None:
    table = np.random.default_rng(players).normal(size=(1 << players, 3, 2))
    table[0] = table[0, :1]
    found = explain_game(table, ml.Shapley()).shapley.values
    for sample in range(3):
        for output in range(2):
            oracle = exact(table[:, sample, output])("SV", 1)
            np.testing.assert_allclose(
                found.isel(sample=sample, output=output), [oracle[(i,)] for i in range(players)], rtol=0, atol=1e-10
            )


# InterSHAP from its formulas -----------------------------------------------------------------------------------------------------


def coalitions(players: list[int]) -> Iterator[tuple[int, ...]]:
    """All subsets of these players."""
    for size in range(len(players) + 1):
        yield from combinations(players, size)


def slow_phi(value: Callable[..., float], players: int) -> np.ndarray:
    """The double sums of the paper, with their factorials: phi_ij off the diagonal, phi_ii = phi_i - sum_j phi_ij on it."""
    everyone = range(players)
    phi = np.zeros((players, players))
    for i in everyone:
        for j in everyone:
            if i != j:
                for inside in coalitions([one for one in everyone if one not in (i, j)]):
                    weight = (
                        factorial(len(inside)) * factorial(players - len(inside) - 2) / (2 * factorial(players - 1))
                    )
                    phi[i, j] += weight * (
                        value(*inside, i, j) - value(*inside, i) - value(*inside, j) + value(*inside)
                    )
    for i in everyone:
        shapley = 0.0
        for inside in coalitions([one for one in everyone if one != i]):
            shapley += (
                factorial(len(inside))
                * factorial(players - len(inside) - 1)
                / factorial(players)
                * (value(*inside, i) - value(*inside))
            )
        phi[i, i] = shapley - phi[i].sum()
    return phi


def slow_intershap(phi: np.ndarray, reading: str) -> tuple[float, np.ndarray]:
    """Score and contributions from phi (samples, M, M), as the paper and the authors' newer code take them."""
    own = np.eye(phi.shape[1], dtype=bool)
    if reading == "package":
        pairs = [np.abs(one[np.triu_indices(len(one), 1)]).sum() for one in phi]
        selves = [np.abs(np.diag(one)) for one in phi]
        return float(
            np.mean([pair / (pair + alone.sum()) for pair, alone in zip(pairs, selves, strict=True)])
        ), np.mean([alone / (pair + alone.sum()) for pair, alone in zip(pairs, selves, strict=True)], axis=0)
    matrix = np.abs(phi.mean(axis=0)) if reading == "paper" else np.abs(phi).mean(axis=0)
    return float(matrix[~own].sum() / matrix.sum()), np.diag(matrix) / matrix.sum()


@pytest.mark.parametrize("reading", ["paper", "absolute", "package"])
@pytest.mark.parametrize("players", [2, 3, 4])
def test_intershap_against_its_formulas(reading: Any, players: int) -> None:
    table = np.random.default_rng(players).normal(size=(1 << players, 4))
    table[0] = table[0, 0]
    found = explain_game(table, ml.InterSHAP(reading=reading)).intershap
    phi = np.stack([slow_phi(lambda *inside, k=k: table[sum(1 << i for i in inside), k], players) for k in range(4)])  # type: ignore[misc]
    np.testing.assert_allclose(found.values.squeeze(), phi, rtol=0, atol=1e-12)
    score, contribution = slow_intershap(phi, reading)
    assert found.score.item() == pytest.approx(score, abs=1e-12)
    np.testing.assert_allclose(found.contribution.squeeze(), contribution, rtol=0, atol=1e-12)
    local = [1 - np.abs(np.diag(one)).sum() / np.abs(one).sum() for one in phi]
    np.testing.assert_allclose(found.by_sample.squeeze(), local, rtol=0, atol=1e-12)


# Algorithm 1 ---------------------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 99), rows=st.integers(2, 5), patch=st.integers(1, 3), outputs=st.integers(1, 3))
def test_occlusion_against_algorithm_1_in_loops(seed: int, rows: int, patch: int, outputs: int) -> None:
    random = np.random.default_rng(seed)
    first, second, last = random.normal(size=(20, 6)), random.normal(size=(3, 6)), random.normal(size=(6, outputs))

    def model(image: np.ndarray, table: np.ndarray) -> np.ndarray:
        return np.tanh(image.reshape(len(image), -1) @ first + table @ second) @ last

    inputs = {"image": random.normal(size=(rows, 4, 5)), "table": random.normal(size=(rows, 3))}
    fills = {"image": random.normal(size=(4, 5)), "table": random.normal(size=3)}
    baseline = {name: ml.Constant(value=fill) for name, fill in fills.items()}
    kinds = {"image": ml.Image(patch=patch)}
    found = ml.explain(
        model,
        inputs,
        measures=[ml.Occlusion(), ml.Occlusion(reading="mean_of_ratios", name="ratios")],
        modalities=kinds,
        baseline=baseline,
        output="raw",
        confidence=None,
    )

    amounts, per_sample = np.zeros(2), np.zeros((rows, outputs, 2))
    for k in range(rows):
        sample = {name: values[k : k + 1] for name, values in inputs.items()}
        p0 = model(**sample)[0]
        for top in range(0, 4, patch):
            for left in range(0, 5, patch):
                image = sample["image"].copy()
                image[0, top : top + patch, left : left + patch] = fills["image"][
                    top : top + patch, left : left + patch
                ]
                per_sample[k, :, 0] += np.abs(p0 - model(image, sample["table"])[0])
        for column in range(3):
            table = sample["table"].copy()
            table[0, column] = fills["table"][column]
            per_sample[k, :, 1] += np.abs(p0 - model(sample["image"], table)[0])
        amounts += per_sample[k].sum(axis=0) / rows
    np.testing.assert_allclose(found.occlusion.amount, amounts, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.occlusion.contribution, amounts / amounts.sum(), rtol=0, atol=1e-12)
    by_output = per_sample.mean(axis=0)
    np.testing.assert_allclose(
        found.occlusion.by_output, by_output / by_output.sum(axis=1, keepdims=True), rtol=0, atol=1e-12
    )
    shares = per_sample / per_sample.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(found.ratios.contribution, shares.mean(axis=(0, 1)), rtol=0, atol=1e-12)


# The additive projection ---------------------------------------------------------------------------------------------------------


def slow_projection(values: np.ndarray) -> np.ndarray:
    """The least-squares fit of sum_{i in S} a_i(k) + sum_{i not in S} c_i(b) to v(S, b, k), with a dense design matrix."""
    players = len(values).bit_length() - 1
    _, rows, samples = values.shape
    design = []
    for coalition, row, sample in np.ndindex(values.shape):
        of_samples, of_rows = np.zeros((players, samples)), np.zeros((players, rows))
        for i in range(players):
            if coalition >> i & 1:
                of_samples[i, sample] = 1
            else:
                of_rows[i, row] = 1
        design.append(np.concatenate([of_samples.ravel(), of_rows.ravel()]))
    matrix = np.array(design)
    return (matrix @ np.linalg.lstsq(matrix, values.ravel(), rcond=None)[0]).reshape(values.shape)


@pytest.mark.parametrize(("players", "rows", "samples"), [(2, 3, 4), (3, 2, 5), (3, 4, 1), (4, 1, 3), (1, 3, 3)])
def test_additive_projection_against_dense_least_squares(players: int, rows: int, samples: int) -> None:
    values = np.random.default_rng(rows).normal(size=(1 << players, rows, samples))
    np.testing.assert_allclose(indices.additive_projection(values), slow_projection(values), rtol=0, atol=1e-10)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_the_null_against_dense_least_squares_on_the_models_log_odds(link: str) -> None:
    random = np.random.default_rng(0)
    inputs, others = ({name: random.normal(size=(rows, 1)) for name in names(2)} for rows in (5, 4))

    def logits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a * b, a - b], axis=1)

    found = ml.explain(
        logits, inputs, measures=[ml.InterSHAP()], background=others, baseline="background", link=link, confidence=None
    ).intershap
    # v(S, b, k) for every output: bit i of S says whether modality i comes from sample k or from row b.
    values = np.empty((4, 4, 5, 2))
    for coalition, row, sample in np.ndindex(4, 4, 5):
        source = {
            name: inputs[name][[sample]] if coalition >> i & 1 else others[name][[row]]
            for i, name in enumerate(names(2))
        }
        values[coalition, row, sample] = logits(**source)[0]
    values = values - values.mean(axis=-1, keepdims=True) if link == "softmax" else values
    additive = np.stack([slow_projection(values[..., output]) for output in range(2)], axis=-1)
    probability = softmax(additive, axis=-1) if link == "softmax" else expit(additive)
    whole = logits(**inputs).argmax(axis=1)
    for space, rows_of_space in (("logit", additive), ("probability", probability)):
        game = rows_of_space.mean(axis=1)
        scores = []
        for output in range(2):
            chosen = game[:, np.arange(5), whole] if link == "softmax" else game[..., output]
            phi = np.stack(
                [
                    slow_phi(lambda *inside, k=k, chosen=chosen: chosen[sum(1 << i for i in inside), k], 2)
                    for k in range(5)
                ]
            )  # type: ignore[misc]
            scores.append(slow_intershap(phi, "paper" if link == "softmax" else "absolute")[0])
        np.testing.assert_allclose(
            found.null.sel(space=space), scores[0] if link == "softmax" else scores, rtol=0, atol=1e-9
        )


# Performance ---------------------------------------------------------------------------------------------------------------------


def weightings(rows: int) -> np.ndarray:
    """Weights of three draws: all the same, whole numbers with zeros as a bootstrap has, and any."""
    random = np.random.default_rng(rows)
    return np.stack([np.ones(rows), random.multinomial(rows, np.full(rows, 1 / rows)) + 0.0, random.random(rows)])


@given(seed=st.integers(0, 999), rows=st.integers(12, 40), levels=st.sampled_from([2, 4, 100]))
def test_auc_of_two_classes_against_sklearn_with_ties(seed: int, rows: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    positive, weights = random.integers(0, levels, size=rows) / levels, weightings(rows)
    labels = np.arange(rows) % 2
    found = auc(labels, np.stack([1 - positive, positive], axis=1), weights)
    np.testing.assert_allclose(
        found, [roc_auc_score(labels, positive, sample_weight=weight) for weight in weights], rtol=0, atol=1e-12
    )


@given(seed=st.integers(0, 999), rows=st.integers(20, 40))
def test_auc_of_several_classes_and_labels_against_sklearn(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    outputs = softmax(random.normal(size=(rows, 3)), axis=1).round(1 if seed % 2 else 9)
    classes, weights = np.arange(rows) % 3, random.random((2, rows))
    each = [
        [roc_auc_score(classes == one, outputs[:, one], sample_weight=weight) for one in range(3)] for weight in weights
    ]
    np.testing.assert_allclose(auc(classes, outputs, weights), np.mean(each, axis=1), rtol=0, atol=1e-12)
    labels = np.stack([classes == 0, classes != 1, classes == 2], axis=1).astype(int)
    np.testing.assert_allclose(
        auc(labels, outputs, weights),
        [roc_auc_score(labels, outputs, average="macro", sample_weight=weight) for weight in weights],
        rtol=0,
        atol=1e-12,
    )


def test_auc_of_a_draw_without_one_class_is_nan() -> None:
    labels, outputs = np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    found = auc(labels, outputs, np.array([[1.0, 1, 1], [1, 1, 0], [0, 0, 1]]))
    assert found[0] == 0.5
    assert np.isnan(found[1:]).all()


@given(seed=st.integers(0, 999), rows=st.integers(5, 30))
def test_accuracy_against_sklearn(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    outputs, classes, weights = random.random((rows, 3)), random.integers(0, 3, size=rows), weightings(rows)
    expected = [accuracy_score(classes, outputs.argmax(axis=1), sample_weight=weight) for weight in weights]
    np.testing.assert_allclose(accuracy(classes, outputs, weights), expected, rtol=0, atol=1e-12)
    labels = random.integers(0, 2, size=(rows, 3))
    each = [
        np.mean([accuracy_score(labels[:, one], outputs[:, one] > 0.5, sample_weight=weight) for one in range(3)])
        for weight in weights
    ]
    np.testing.assert_allclose(accuracy(labels, outputs, weights), each, rtol=0, atol=1e-12)


@given(seed=st.integers(0, 999), rows=st.integers(5, 30), columns=st.integers(1, 3))
def test_r_squared_against_sklearn(seed: int, rows: int, columns: int) -> None:
    random = np.random.default_rng(seed)
    labels, weights = random.normal(size=(rows, columns)), random.random((3, rows))
    outputs = labels + random.normal(size=(rows, columns))
    expected = [r2_score(labels, outputs, sample_weight=weight) for weight in weights]
    np.testing.assert_allclose(r_squared(labels, outputs, weights), expected, rtol=0, atol=1e-10)


def test_reliance_against_predictions_made_by_hand() -> None:
    random = np.random.default_rng(0)
    inputs = {name: random.normal(size=(40, 2)) for name in names(3)}
    labels = (inputs["a"][:, 0] + inputs["b"][:, 1] + random.normal(size=40) > 0).astype(int)

    def model(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return expit(a[:, 0] + b[:, 1] * (1 + c[:, 0]))

    def predict(present: str) -> np.ndarray:
        return model(**{name: values if name in present else np.zeros_like(values) for name, values in inputs.items()})

    found = ml.explain(
        model,
        inputs,
        measures=[ml.Reliance(), ml.Reliance(metric="accuracy", name="hits")],
        labels=labels,
        baseline="zeros",
    ).results
    for result, score in (
        (found["reliance"], roc_auc_score),
        (found["hits"], lambda truth, p: accuracy_score(truth, p > 0.5)),
    ):
        assert result.everything.item() == pytest.approx(score(labels, predict("abc")), abs=1e-12)
        np.testing.assert_allclose(result.alone, [score(labels, predict(name)) for name in "abc"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            result.without, [score(labels, predict(present)) for present in ("bc", "ac", "ab")], rtol=0, atol=1e-12
        )
        np.testing.assert_allclose(result.lost, result.everything - result.without, rtol=0, atol=1e-12)


# Standard errors and the bootstrap -----------------------------------------------------------------------------------------------


def slow_standard_error(amounts: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """sd over clusters of the summed D_i - m_i T, times the root of their number, over the sum of T."""
    shares = amounts.sum(axis=0) / amounts.sum()
    errors = []
    for i, share in enumerate(shares):
        sums = [
            sum(amounts[k, i] - share * amounts[k].sum() for k in np.flatnonzero(cluster == one))
            for one in sorted(set(cluster))
        ]
        errors.append(np.sqrt(len(sums)) * np.std(sums, ddof=1) / amounts.sum())
    return np.array(errors)


@given(seed=st.integers(0, 999), rows=st.integers(4, 30), clusters=st.integers(2, 4))
def test_delta_method_error_against_loops(seed: int, rows: int, clusters: int) -> None:
    random = np.random.default_rng(seed)
    amounts, cluster = random.exponential(size=(rows, 3)), np.arange(rows) % clusters
    named = xr.DataArray(amounts, dims=("sample", "modality"))
    np.testing.assert_allclose(
        statistics.ratio_standard_error(named, cluster), slow_standard_error(amounts, cluster), rtol=1e-10
    )
    np.testing.assert_allclose(
        statistics.ratio_standard_error(named), slow_standard_error(amounts, np.arange(rows)), rtol=1e-10
    )


def two_tables(rows: int, seed: int = 0) -> tuple[Callable[..., np.ndarray], dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return lambda a, b: a @ [1.0, 2.0] + b[:, 0], {
        "a": random.normal(size=(rows, 2)),
        "b": random.normal(size=(rows, 1)),
    }


def test_clustered_bootstrap_against_resampled_rows() -> None:
    model, inputs = two_tables(24)
    groups = np.array([f"patient {k // 3 if k < 12 else k}" for k in range(24)])
    found = ml.explain(
        model, inputs, measures=[ml.Occlusion()], groups=groups, baseline="zeros", output="raw"
    ).occlusion
    amounts = np.stack([np.abs(inputs["a"] * [1, 2]).sum(axis=1), np.abs(inputs["b"][:, 0])], axis=1)
    patients = sorted(set(groups))
    drawn = np.random.default_rng(np.random.SeedSequence((0, 2))).multinomial(
        len(patients), np.full(len(patients), 1 / len(patients)), size=1000
    )
    shares = []
    for counts in drawn:
        rows = np.concatenate(
            [np.repeat(np.flatnonzero(groups == one), count) for one, count in zip(patients, counts, strict=True)]
        )
        shares.append(amounts[rows].sum(axis=0) / amounts[rows].sum())
    np.testing.assert_allclose(found.draws.contribution.transpose("draw", "modality"), shares, rtol=0, atol=1e-12)
    bounds = np.quantile(shares, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(found.interval.contribution.transpose("bound", "modality"), bounds, rtol=0, atol=1e-12)


def test_bootstrap_and_delta_method_agree() -> None:
    model, inputs = two_tables(200)
    for groups in (None, np.arange(200) // 4):
        found = ml.explain(
            model, inputs, measures=[ml.Occlusion(), ml.Shapley()], groups=groups, baseline="zeros", output="raw"
        )
        for result in found.results.values():
            np.testing.assert_allclose(result.draws.contribution.std("draw"), result.standard_error, rtol=0.15)


@given(table=games(players=(2, 4), samples=(1, 3), outputs=(1, 2)))
def test_moebius_transform_against_its_sum(table: np.ndarray) -> None:
    slow = np.zeros_like(table)
    for inside in range(len(table)):
        for subset in range(len(table)):
            if subset & inside == subset:
                slow[inside] += (-1) ** (inside.bit_count() - subset.bit_count()) * table[subset]
    np.testing.assert_array_equal(indices.moebius(table), slow)
