"""What holds for every game, every model and every measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from games import arrays_of, as_model, assert_close, assert_identical, explain_game, names
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import expit

import modalens as ml
from strategies import games, pairs_of_games, tables

EVERY_MEASURE = (ml.Occlusion(), ml.Shapley(), ml.InterSHAP(), ml.Interactions())
GAMES = (ml.Shapley(), ml.InterSHAP(), ml.Interactions())


def exchanged(table: np.ndarray, i: int, j: int) -> np.ndarray:
    """The game in which two players have changed places."""
    players = len(table).bit_length() - 1
    axes = list(range(players))
    one, two = players - 1 - i, players - 1 - j
    axes[one], axes[two] = axes[two], axes[one]
    return table.reshape((2,) * players + table.shape[1:]).transpose(*axes, players, players + 1).reshape(table.shape)


def blind_to(table: np.ndarray, i: int) -> np.ndarray:
    """The game in which player i changes nothing."""
    return table[np.arange(len(table)) & ~(1 << i)]


# Axioms of games -----------------------------------------------------------------------------------------------------------------


@given(table=games())
def test_efficiency(table: np.ndarray) -> None:
    sums_up = [
        ml.Interactions(index=index, order=2, name=name)
        for index, name in (("k-sii", "ksii"), ("stii", "stii"), ("fsii", "fsii"))
    ]  # type: ignore[arg-type]
    found = explain_game(
        table, ml.Shapley(), ml.InterSHAP(), ml.Interactions(order=len(table).bit_length() - 1), *sums_up
    )
    gained = table[-1] - table[0]
    np.testing.assert_allclose(found.shapley.values.sum("modality"), gained, atol=1e-12)
    phi = found.intershap.values.sum(("modality", "modality_2"))
    np.testing.assert_allclose(phi if "output" in phi.dims else phi.expand_dims("output", 1), gained, atol=1e-12)
    for measure in ("interactions", "ksii", "stii", "fsii"):
        np.testing.assert_allclose(found[measure].values.sum("coalition"), gained, atol=1e-11)


@given(table=games())
def test_symmetry(table: np.ndarray) -> None:
    found = explain_game((table + exchanged(table, 0, 1)) / 2, *GAMES)
    np.testing.assert_allclose(
        found.shapley.values.sel(modality="a"), found.shapley.values.sel(modality="b"), atol=1e-12
    )
    np.testing.assert_allclose(
        found.shapley.contribution.sel(modality="a"), found.shapley.contribution.sel(modality="b"), atol=1e-12
    )
    matrix = found.intershap.values
    np.testing.assert_allclose(
        matrix.sel(modality="a", modality_2="a"), matrix.sel(modality="b", modality_2="b"), atol=1e-12
    )
    for other in names(len(table).bit_length() - 1)[2:]:
        np.testing.assert_allclose(
            matrix.sel(modality="a", modality_2=other), matrix.sel(modality="b", modality_2=other), atol=1e-12
        )
    np.testing.assert_allclose(
        found.interactions.values.sel(coalition="a"), found.interactions.values.sel(coalition="b"), atol=1e-12
    )


@given(table=games(players=(2, 4)), index=st.sampled_from(["moebius", "sii", "k-sii", "stii", "fsii", "banzhaf"]))
def test_a_dummy_gets_exactly_0(table: np.ndarray, index: Any) -> None:
    found = explain_game(blind_to(table, 0), ml.Occlusion(), ml.Shapley(), ml.InterSHAP(), ml.Interactions(index=index))
    assert not found.occlusion.parts["a"].values.any()
    assert not found.shapley.values.sel(modality="a").values.any()
    assert not found.intershap.values.sel(modality="a").values.any()
    of_dummy = [name for name in found.interactions.values.coalition.values if "a" in name.split(" x ")]
    assert not found.interactions.values.sel(coalition=of_dummy).values.any()


@given(both=pairs_of_games())
def test_linearity(both: tuple[np.ndarray, np.ndarray]) -> None:
    first, second, together = (explain_game(table, *GAMES) for table in (both[0], both[1], 2 * both[0] - both[1]))
    for measure in ("shapley", "intershap", "interactions"):
        np.testing.assert_allclose(
            together[measure].values, 2 * first[measure].values - second[measure].values, atol=1e-11
        )


@given(table=games(players=(3, 3), outputs=(1, 2)))
def test_equivariant_to_the_order_of_modalities(table: np.ndarray) -> None:
    model, inputs = as_model(table)
    measures = [*EVERY_MEASURE[:3], ml.Interactions(order=1)]
    forwards, backwards = (
        ml.explain(model, one, measures=measures, baseline="zeros", output="raw", confidence=None)
        for one in (inputs, dict(reversed(inputs.items())))
    )
    assert backwards.modalities == tuple(reversed(forwards.modalities))
    for name, result in backwards.results.items():
        one, two = arrays_of(forwards[name]), arrays_of(result)
        for key, array in two.items():
            order = {
                axis: one[key][axis].values for axis in ("modality", "modality_2", "coalition") if axis in array.coords
            }
            np.testing.assert_allclose(array.sel(order), one[key], atol=1e-12, err_msg=f"{name} {key}")


@given(table=games(players=(2, 3), samples=(3, 5), outputs=(1, 2)), seed=st.integers(0, 99))
def test_invariant_to_the_order_of_samples(table: np.ndarray, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(table.shape[1])
    one, two = explain_game(table, *EVERY_MEASURE), explain_game(table[:, shuffled], *EVERY_MEASURE)
    for name, result in two.results.items():
        for key, array in arrays_of(result).items():
            expected = arrays_of(one[name])[key]
            np.testing.assert_allclose(
                array,
                expected.isel(sample=shuffled) if "sample" in expected.dims else expected,
                atol=1e-12,
                err_msg=f"{name} {key}",
            )


@given(table=games(players=(2, 3), samples=(1, 3), outputs=(1, 2)), copies=st.integers(2, 3))
def test_duplicated_data_leaves_every_number_unchanged(table: np.ndarray, copies: int) -> None:
    one, two = explain_game(table, *EVERY_MEASURE), explain_game(np.tile(table, (1, copies, 1)), *EVERY_MEASURE)
    for name, result in one.results.items():
        for key, array in arrays_of(result).items():
            if "sample" not in array.dims and key != "standard_error":  # the error does fall with the number of samples
                np.testing.assert_allclose(arrays_of(two[name])[key], array, atol=1e-12, err_msg=f"{name} {key}")


SHARES = {
    "occlusion": (
        "contribution",
        "anchor",
        "anchor_by_baseline",
        "by_output",
        "by_sample",
        "entropy",
        "standard_error",
    ),
    "shapley": ("contribution", "by_output", "by_sample", "by_baseline", "standard_error"),
    "intershap": ("score", "contribution", "local", "orders", "by_space", "by_baseline", "by_sample"),
    "interactions": ("orders", "orders_by_space"),
}


@given(
    table=games(samples=(2, 4), outputs=(1, 2)),
    factor=st.sampled_from([-3.0, -0.5, 0.25, 7.0]),
    offset=st.sampled_from([0.0, -2.0, 5.0]),
)
def test_shares_do_not_change_with_scale_and_offset(table: np.ndarray, factor: float, offset: float) -> None:
    one, two = explain_game(table, *EVERY_MEASURE), explain_game(factor * table + offset, *EVERY_MEASURE)
    for measure, shares in SHARES.items():
        assert_close(
            one[measure], two[measure], atol=1e-11, only=[name for name in shares if name in one[measure].arrays]
        )


@given(table=games(samples=(2, 4)), reading=st.sampled_from(["paper", "absolute", "package"]))
def test_shares_sum_to_1(table: np.ndarray, reading: Any) -> None:
    found = explain_game(table, ml.Occlusion(), ml.Shapley(), ml.InterSHAP(reading=reading), ml.Interactions())
    everything = {
        "score": found.intershap.score + found.intershap.contribution.sum("modality", skipna=False),
        "orders": found.intershap.orders.sum("order", skipna=False),
        "orders of interactions": found.interactions.orders.sum("order", skipna=False),
        "occlusion": found.occlusion.contribution.sum("modality", skipna=False),
        "shapley": found.shapley.contribution.sum("modality", skipna=False),
    }
    for name, total in everything.items():
        known = total.values[np.isfinite(total.values)]
        np.testing.assert_allclose(known, 1, atol=1e-12, err_msg=name)
    # The shares are unknown only where nothing changes.
    assert np.isfinite(everything["shapley"].values).all() == bool(np.abs(found.shapley.values).sum() > 0)
    assert np.isfinite(everything["occlusion"].values).all() == bool(found.occlusion.amount.sum() > 0)


# No silent 0 / 0 -----------------------------------------------------------------------------------------------------------------


@given(value=st.sampled_from([0.0, 0.3, -7.0, 1e9, 1e-9]), outputs=st.integers(1, 3))
def test_a_constant_model_has_no_shares_and_says_why(value: float, outputs: int) -> None:
    found = explain_game(np.full((8, 6, outputs), value), *EVERY_MEASURE, confidence=0.95)
    for measure, shares in SHARES.items():
        for name in shares:
            assert found[measure].arrays[name].isnull().all(), (measure, name)
    for result in found.results.values():
        require_reasons(result)


@pytest.mark.parametrize("said", [{}, {"task": "multilabel"}, {"output": "raw"}, {"target": 0, "link": "sigmoid"}])
def test_a_constant_probability_has_no_shares_under_any_reading_of_the_output(said: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    inputs, others = ({name: random.normal(size=(rows, 1)) for name in "ab"} for rows in (6, 4))
    found = ml.explain(lambda a, b: np.full(len(a), 0.3), inputs, background=others, confidence=None, **said)
    for measure, shares in SHARES.items():
        for name in shares:
            assert found[measure].arrays[name].isnull().all(), (measure, name)
    for result in found.results.values():
        require_reasons(result)


@given(table=games(samples=(1, 6)))
def test_every_number_that_is_unknown_has_a_reason(table: np.ndarray) -> None:
    for result in explain_game(table, *EVERY_MEASURE, confidence=0.95).results.values():
        require_reasons(result)


def require_reasons(result: ml.Result) -> None:
    for name in result.global_numbers:
        if bool(result.arrays[name].isnull().any()):  # type: ignore[union-attr]
            assert result.reasons.get(name), f"{result.measure}: {name} is NaN without a reason"


# Runs ----------------------------------------------------------------------------------------------------------------------------


def study(seed: int, rows: int = 7) -> tuple[Callable[..., np.ndarray], dict[str, Any], dict[str, Any]]:
    """A network in float64 of an image, a report and a table, its inputs, and background patients."""
    random = np.random.default_rng(seed)
    first, second, last = random.normal(size=(16, 6)), random.normal(size=(3, 6)), random.normal(size=(6, 3))

    def model(image: np.ndarray, report: Any, table: Any) -> np.ndarray:
        shadows = np.array([text.count("shadow") for text in report])[:, None]
        return expit(
            np.tanh(image.reshape(len(image), -1) @ first + np.asarray(table, dtype=float) @ second + shadows) @ last
        )

    def patients(count: int) -> dict[str, Any]:
        words = [
            " ".join(random.choice(["a", "shadow", "left", "clear"], size=length))
            for length in random.integers(1, 6, size=count)
        ]
        return {
            "image": random.normal(size=(count, 4, 4)),
            "report": words,
            "table": pd.DataFrame(random.normal(size=(count, 3)), columns=["age", "bmi", "alt"]),
        }

    return model, patients(rows), patients(6)


def explain_study(data: int = 0, **settings: Any) -> ml.Explanation:
    model, inputs, others = study(data)
    labels = (np.arange(21).reshape(7, 3) % 2).astype(int)
    return ml.explain(
        model,
        inputs,
        **{"modalities": {"image": ml.Image(patch=2)}, "background": others, "task": "multilabel", "labels": labels}
        | settings,
    )


@settings(max_examples=3)
@given(seed=st.integers(0, 99), first=st.integers(1, 9), second=st.sampled_from([64, 4096]))
def test_batch_size_changes_nothing(seed: int, first: int, second: int) -> None:
    one, two = (
        explain_study(seed, batch_size=size, confidence=None, measures=list(EVERY_MEASURE)) for size in (first, second)
    )
    for measure, result in one.results.items():
        # Values agree to 1e-12; shares divide by small sums of them.
        values = {
            "occlusion": ["parts/image", "parts/report", "parts/table", "amount"],
            "shapley": ["values"],
            "intershap": ["values"],
            "interactions": ["values"],
        }[measure]
        assert_close(result, two[measure], atol=1e-12, only=values)
        assert_close(result, two[measure], atol=1e-9)


@given(inputs=tables(), baseline=st.sampled_from(["zeros", "mean", "background", "conditional"]))
def test_inputs_are_bit_identical_afterwards(inputs: Mapping[str, np.ndarray], baseline: str) -> None:
    assume(all(len(np.unique(values, axis=0)) > 1 for values in inputs.values()))
    before = {name: values.tobytes() for name, values in inputs.items()}

    def greedy(**given_inputs: np.ndarray) -> np.ndarray:
        total = sum(values.sum(axis=1) for values in given_inputs.values())
        for values in given_inputs.values():
            values *= 0  # a model that writes into what it is given must not reach the user's arrays
        return np.asarray(total)

    ml.explain(greedy, inputs, baseline=baseline, output="raw", confidence=None)
    assert {name: values.tobytes() for name, values in inputs.items()} == before


def test_frames_texts_and_tensors_are_unchanged_afterwards() -> None:
    model, inputs, others = study(0)

    def greedy(image: np.ndarray, report: list[str], table: pd.DataFrame) -> np.ndarray:
        output = model(image, report, table)
        image *= 0
        report[:] = ["gone"] * len(report)
        table["age"] = 0.0
        return output

    ml.explain(
        greedy, inputs, background=others, task="multilabel", confidence=None, measures=[ml.Occlusion(), ml.Shapley()]
    )
    fresh = study(0)[1]
    np.testing.assert_array_equal(inputs["image"], fresh["image"])
    assert inputs["report"] == fresh["report"]
    pd.testing.assert_frame_equal(inputs["table"], fresh["table"])
    tensors = {"a": torch.ones(4, 2), "b": torch.arange(4.0)[:, None]}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    ml.explain(
        lambda a, b: (a.mul_(2).sum(1) + b[:, 0]).numpy(),
        tensors,
        baseline="zeros",
        output="raw",
        confidence=None,
        measures=[ml.Occlusion()],
    )
    for name, tensor in tensors.items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("seed", [7])
def test_the_same_seed_gives_the_same_bits(seed: int) -> None:
    one, two = (explain_study(0, seed=seed, measures=[ml.Occlusion(), ml.InterSHAP()]) for _ in range(2))
    for name, result in one.results.items():
        assert_identical(result, two[name])
    assert one.provenance == two.provenance


def test_another_seed_gives_other_draws_and_other_rows() -> None:
    one, two = (
        explain_study(0, seed=seed, baseline=ml.Background(rows=4, part_rows=2), measures=EVERY_MEASURE[:2])
        for seed in (0, 1)
    )
    assert not one.shapley.values.equals(two.shapley.values)
    assert not one.occlusion.draws.equals(two.occlusion.draws)


def test_global_random_states_are_neither_used_nor_changed() -> None:
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # type: ignore[union-attr,index]  # noqa: NPY002
    one = explain_study(0, measures=EVERY_MEASURE[:2])
    assert np.array_equal(np.random.get_state()[1], before[0])  # type: ignore[index]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    two = explain_study(0, measures=EVERY_MEASURE[:2])
    for name, result in one.results.items():
        assert_identical(result, two[name])


@pytest.mark.parametrize(
    "baseline", [ml.Background(rows=6, part_rows=2), {"image": "mean", "report": "mask_token", "table": "background"}]
)
def test_a_measure_says_the_same_alone_and_in_company(baseline: Any) -> None:
    together = explain_study(0, baseline=baseline)
    for measure in (ml.Occlusion(), ml.InterSHAP(), ml.Reliance()):
        assert_identical(explain_study(0, baseline=baseline, measures=[measure])[measure.key], together[measure.key])


# The file ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        {"measures": [ml.Occlusion(), ml.Interactions(), ml.Reliance()]},
        {"confidence": None, "measures": [ml.Occlusion(), ml.Reliance()]},
        {"groups": list("aabbcde"), "seed": 3, "output": "logit", "measures": [ml.Shapley()]},
        {"baseline": ml.Background(rows=5, part_rows=2), "measures": [ml.InterSHAP(reading="package", name="package")]},
        {"groups": [0, 0, 0, 1, 1, 1, 1], "measures": [ml.Occlusion()]},
    ],
)
def test_save_and_load_give_back_everything(tmp_path: Path, said: dict[str, Any]) -> None:
    saved = explain_study(0, **said)
    loaded = ml.load(saved.save(tmp_path / "explanation.nc"))
    assert list(loaded.results) == list(saved.results)
    assert loaded.provenance == saved.provenance
    assert loaded.citation() == saved.citation()
    for name, result in saved.results.items():
        assert_identical(loaded[name], result)
        assert loaded[name].interval.attrs == result.interval.attrs
        assert (loaded[name].settings, loaded[name].title, loaded[name].confidence) == (
            dict(result.settings),
            result.title,
            result.confidence,
        )
    pd.testing.assert_frame_equal(loaded.to_frame(), saved.to_frame())


def test_save_and_load_give_back_unknown_numbers_and_their_reasons(tmp_path: Path) -> None:
    saved = explain_game(np.full((4, 3), 0.5), ml.Shapley(), ml.InterSHAP(), confidence=0.9)
    loaded = ml.load(saved.save(tmp_path / "explanation.nc"))
    for name, result in saved.results.items():
        assert result.reasons
        assert_identical(loaded[name], result)


def test_a_number_a_row_with_and_without_intervals() -> None:
    with_intervals, without = (
        explain_study(0, confidence=confidence, measures=EVERY_MEASURE[:2]).to_frame() for confidence in (0.95, None)
    )
    assert len(without) == len(with_intervals) > 30
    assert "lower" not in without.columns or without["lower"].isna().all()
    np.testing.assert_array_equal(without["value"], with_intervals["value"])
