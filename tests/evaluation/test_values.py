"""The table of values: means over background rows, blocks of them kept apart, and NaN where a sample has no such part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import modalens as ml
from modalens.evaluation import Evaluation, Table
from modalens.evaluation.plan import Piece
from modalens.models.readout import decide
from modalens.pipeline import evaluate
from modalens.problem import PRESENT, Mask
from modalens.setting import Prepared, prepare

GENERATOR = np.random.default_rng(0)
INPUTS = {"a": GENERATOR.normal(size=(5, 2)), "b": GENERATOR.normal(size=(5, 3))}
BACKGROUND = {"a": GENERATOR.normal(size=(23, 2)), "b": GENERATOR.normal(size=(23, 3))}


def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.tanh(a).sum(axis=1) * np.cos(b).sum(axis=1) + b[:, 0]


def opened(**settings: Any) -> Prepared:
    return prepare(
        model,
        INPUTS,
        **{
            "measures": [ml.Occlusion(), ml.Shapley()],
            "output": "raw",
            "background": BACKGROUND,
            "baseline": ml.Background(rows=23, part_rows=23),
            **settings,
        },
    ).open()


def test_values_are_means_over_all_background_rows() -> None:
    prepared = opened()
    _, _, values = evaluate(prepared, progress=False)
    label = prepared.problem.coalition_baselines[0]
    without_a = np.mean([model(np.broadcast_to(row, (5, 2)), INPUTS["b"]) for row in BACKGROUND["a"]], axis=0)
    nothing = model(**BACKGROUND).mean()
    found = values.mean([PRESENT, Mask.without("a"), Mask.without("a", "b")], label)[..., 0]
    np.testing.assert_allclose(found, [model(**INPUTS), without_a, np.full(5, nothing)], rtol=0, atol=1e-12)
    part = INPUTS["b"].copy()
    without_part = []
    for row in BACKGROUND["b"]:
        part[:, 1] = row[1]
        without_part.append(model(INPUTS["a"], part))
    np.testing.assert_allclose(
        values.mean([Mask.part("b", 1)], label, draws="part")[0, :, 0],
        np.mean(without_part, axis=0),
        rtol=0,
        atol=1e-12,
    )


def test_absent_modalities_of_a_draw_are_filled_together() -> None:
    """f(empty) is the mean over whole background patients, not over every pair of their modalities."""
    prepared = opened()
    _, _, values = evaluate(prepared, progress=False)
    mixed = np.mean([model(np.broadcast_to(row, (23, 2)), BACKGROUND["b"]).mean() for row in BACKGROUND["a"]])
    found = values.mean([Mask.without("a", "b")], prepared.problem.coalition_baselines[0])[0, 0, 0]
    assert abs(found - model(**BACKGROUND).mean()) < 1e-12
    assert abs(found - mixed) > 1e-3


def stored(
    outputs: np.ndarray, samples: int, draws: int, blocks: int, rows: np.ndarray | None = None, shared: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    table = Table()
    one = Evaluation(
        identity=((("a", None, "background"),), draws),
        mask=Mask.without("a"),
        samples=np.arange(samples) if rows is None else rows,
        shared=shared,
    )
    readout = decide(outputs, link=None, output="raw", task="regression", classes=None)
    table.add([Piece(of=one, patients=one.samples, draws=np.arange(draws))], outputs, readout, blocks, samples)
    return table.values[one.identity]["raw"], table.sizes[one.identity]


@pytest.mark.parametrize("blocks", [1, 2, 3, 7, 20])
def test_blocks_of_unequal_size_average_to_the_plain_mean(blocks: int) -> None:
    rows = GENERATOR.normal(size=(4 * 7, 2))
    found, sizes = stored(rows, samples=4, draws=7, blocks=blocks)
    assert found.shape == (min(blocks, 7), 4, 2)
    assert sizes.sum() == 7
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_allclose(
        np.tensordot(sizes / 7, found, axes=1), rows.reshape(4, 7, 2).mean(axis=1), rtol=0, atol=1e-12
    )


def test_patients_without_the_part_are_nan() -> None:
    found, _ = stored(np.array([[1.0], [2.0]]), samples=4, draws=1, blocks=1, rows=np.array([1, 3]))
    np.testing.assert_array_equal(found[0, :, 0], [np.nan, 1.0, np.nan, 2.0])


def test_ragged_samples_are_nan_where_there_is_no_such_part_and_are_not_run() -> None:
    texts = ["one", "one two three", "one two"]
    seen: list[str] = []

    def count(report: list[str], lab: np.ndarray) -> np.ndarray:
        seen.extend(report)
        return np.array([float(len(text)) for text in report]) + lab[:, 0]

    found = ml.explain(
        count,
        {"report": texts, "lab": np.array([[1.0], [2.0], [3.0]])},
        measures=[ml.Occlusion()],
        baseline={"report": "mask_token", "lab": "zeros"},
        output="raw",
    ).occlusion
    changes = found.parts["report"].sel(output="output")
    mask = len("[MASK]")
    np.testing.assert_array_equal(
        changes, [[3 - mask, np.nan, np.nan], [3 - mask, 3 - mask, 5 - mask], [3 - mask, 3 - mask, np.nan]]
    )
    assert sum(text.count("[MASK]") == 1 and len(text.split()) > 1 for text in seen) == 3 + 2


def test_values_that_do_not_fit_the_memory_are_pooled_into_fewer_blocks() -> None:
    """40 labels in two spaces, 62 coalitions and 4000 patients: a row apart takes 160 MB."""
    inputs = {name: np.random.default_rng(place).random((4000, 1)) for place, name in enumerate("abcdef")}

    def labels(**tables: np.ndarray) -> np.ndarray:
        return np.tile(sum(tables.values()) / 6, 40)

    planned = ml.plan(labels, inputs, measures=[ml.Shapley()], baseline=ml.Background(rows=100), task="multilabel")
    assert planned.blocks == 10
    assert planned.value_bytes == 8 * 40 * 2 * (62 * 4000 + 1) * 10 + 8 * 40 * 2 * 4000
    small = ml.plan(
        model, INPUTS, measures=[ml.Shapley()], baseline=ml.Background(rows=20), background=BACKGROUND, output="raw"
    )
    assert small.blocks == 20
    assert small.value_bytes == 8 * ((2 * 5 + 1) * 20 + 5)


def test_the_link_is_applied_before_rows_are_averaged() -> None:
    prepared = opened(link="sigmoid", output="probability")
    _, _, values = evaluate(prepared, progress=False)
    rows = np.stack([model(np.broadcast_to(row, (5, 2)), INPUTS["b"]) for row in BACKGROUND["a"]])
    label = prepared.problem.coalition_baselines[0]
    np.testing.assert_allclose(
        values.mean([Mask.without("a")], label)[0, :, 1], (1 / (1 + np.exp(-rows))).mean(axis=0), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        values.mean([Mask.without("a")], label, space="logit")[0, :, 1], rows.mean(axis=0) / 2, rtol=0, atol=1e-12
    )


def test_the_link_and_the_mean_are_taken_in_float64_whatever_the_model_gives() -> None:
    def single(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return model(a, b).astype(np.float32)

    prepared = prepare(
        single, INPUTS, measures=[ml.Shapley()], link="sigmoid", background=BACKGROUND, baseline=ml.Background(rows=23)
    ).open()
    _, _, values = evaluate(prepared, progress=False)
    rows = np.stack([single(np.broadcast_to(row, (5, 2)), INPUTS["b"]) for row in BACKGROUND["a"]]).astype(np.float64)
    found = values.mean([PRESENT, Mask.without("a")], prepared.problem.coalition_baselines[0])[..., 1]
    np.testing.assert_allclose(
        found,
        [1 / (1 + np.exp(-single(**INPUTS).astype(np.float64))), (1 / (1 + np.exp(-rows))).mean(axis=0)],
        rtol=0,
        atol=1e-14,
    )


def test_an_ignored_modality_is_exactly_0() -> None:
    found = ml.explain(
        lambda a, b: np.tanh(a).sum(axis=1),
        INPUTS,
        measures=[ml.Occlusion(), ml.Shapley()],
        background=BACKGROUND,
        output="raw",
    )
    assert (found.occlusion.contribution.sel(modality="b") == 0).all()
    assert (found.shapley.values.sel(modality="b") == 0).all()
