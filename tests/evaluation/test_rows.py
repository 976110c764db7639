"""What is run: each needed evaluation once, as many rows as the plan says, and no more at a time than asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import modalens as ml
from modalens.evaluation import Plan

CHECKS = 10  # four patients twice, the first and the last of them alone


class Counter:
    """An additive model of any modalities that counts its rows and its calls."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, **inputs: np.ndarray) -> np.ndarray:
        self.batches.append(len(next(iter(inputs.values()))))
        return sum(
            (place + 1.0) * values.reshape(len(values), -1).sum(axis=1) for place, values in enumerate(inputs.values())
        )

    @property
    def rows(self) -> int:
        return sum(self.batches)


def tables(samples: int, *widths: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {f"table_{place}": generator.normal(1.0, 1.0, size=(samples, width)) for place, width in enumerate(widths)}


def run(inputs: dict[str, Any], **settings: Any) -> tuple[Counter, ml.Explanation, Plan]:
    counter = Counter()
    settings = {"output": "raw", **settings}
    planned = ml.plan(counter, inputs, **settings)
    counter.batches.clear()
    return counter, ml.explain(counter, inputs, **settings), planned


def assert_counted(counter: Counter, explanation: ml.Explanation, planned: Plan, samples: int, rows: int) -> None:
    """The plan, the provenance and the model agree on `rows`, of which the plain inputs are the first."""
    about = explanation.provenance
    assert planned.rows + (0 if planned_has_present(planned) else samples) == rows
    assert about["head_rows"] == rows
    assert set(about["encoder_rows"].values()) == {rows}
    assert about["check_rows"] == CHECKS
    assert counter.rows == rows + CHECKS


def planned_has_present(planned: Plan) -> bool:
    return any(not one.mask.absent for one in planned.evaluations)


def test_occlusion_costs_a_row_a_part_and_one_a_modality() -> None:
    samples, widths = 7, (3, 5, 1)
    found = run(tables(samples, *widths), measures=[ml.Occlusion()], baseline="zeros")
    # A modality of one part is its own anchor: the same mask, run once.
    assert_counted(*found, samples, samples * (1 + 3 + 5 + 1 + 2))


def test_occlusion_with_background_rows_costs_as_many_times_more() -> None:
    samples, drawn = 7, 4
    found = run(
        tables(samples, 3, 5),
        measures=[ml.Occlusion()],
        baseline=ml.Background(rows=50, part_rows=drawn),
        background=tables(20, 3, 5, seed=1),
    )
    assert_counted(*found, samples, samples * (1 + drawn * (3 + 1) + drawn * (5 + 1)))


@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_exact_coalitions_cost_their_rows_and_the_empty_one_only_the_background(modalities: int) -> None:
    samples, drawn = 6, 5
    widths = (2,) * modalities
    found = run(
        tables(samples, *widths),
        measures=[ml.Shapley()],
        baseline=ml.Background(rows=drawn),
        background=tables(20, *widths, seed=1),
    )
    assert_counted(*found, samples, (2**modalities - 2) * samples * drawn + samples + drawn)


def test_the_empty_coalition_of_one_fill_for_all_costs_one_row() -> None:
    found = run(tables(6, 2, 2), measures=[ml.Shapley()], baseline="mean")
    assert_counted(*found, 6, 2 * 6 + 6 + 1)


def test_conditional_rows_cost_as_much_as_others() -> None:
    found = run(
        tables(6, 2, 2), measures=[ml.Shapley()], baseline=ml.Conditional(rows=5), background=tables(20, 2, 2, seed=1)
    )
    assert_counted(*found, 6, 2 * 6 * 5 + 6 + 5)


def test_what_several_measures_ask_for_is_run_once() -> None:
    given = {"baseline": ml.Background(rows=5), "background": tables(20, 2, 2, seed=1)}
    alone = run(tables(6, 2, 2), measures=[ml.Shapley()], **given)[1]
    counter, together, _ = run(
        tables(6, 2, 2), measures=[ml.Shapley(), ml.InterSHAP(), ml.Interactions(), ml.Shapley(name="again")], **given
    )
    assert together.provenance["head_rows"] == alone.provenance["head_rows"] == counter.rows - CHECKS
    np.testing.assert_array_equal(together.again.values, together.shapley.values)


def test_coalitions_and_anchors_under_one_fill_are_the_same_evaluations() -> None:
    both = run(tables(6, 2, 3), measures=[ml.Occlusion(), ml.Shapley()], baseline="zeros")
    # 5 parts, and 2 modalities as a whole, which are the coalitions of one; then the empty one.
    assert_counted(*both, 6, 6 * (1 + 5 + 2) + 1)


def test_another_space_costs_nothing() -> None:
    def model(table_0: np.ndarray, table_1: np.ndarray) -> np.ndarray:
        calls.append(len(table_0))
        return 1 / (1 + np.exp(-table_0[:, 0] - table_1[:, 0]))

    calls: list[int] = []
    found = ml.explain(model, tables(6, 1, 1), measures=[ml.InterSHAP()], baseline="mean")
    assert found.intershap.by_space.space.values.tolist() == ["probability", "logit"]
    assert sum(calls) - CHECKS == found.provenance["head_rows"] == 6 * 3 + 1


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_batches_hold_at_most_what_was_asked_for(batch_size: int) -> None:
    counter, explanation, planned = run(
        tables(9, 2, 3),
        measures=[ml.Occlusion(), ml.Shapley()],
        baseline=ml.Background(rows=5),
        background=tables(20, 2, 3, seed=1),
        batch_size=batch_size,
    )
    # Only the check that the same patients give the same outputs runs four of them, twice.
    assert [rows for rows in counter.batches if rows > batch_size] == ([4, 4] if batch_size < 4 else [])
    assert max(counter.batches) > 0.75 * max(batch_size, 4)
    assert explanation.provenance["batch_size"] == planned.batch_size == batch_size


def test_the_batch_size_changes_nothing() -> None:
    inputs, background = tables(9, 2, 3), tables(20, 2, 3, seed=1)
    one, other = (
        run(inputs, measures=[ml.Occlusion(), ml.Shapley()], background=background, batch_size=size)[1]
        for size in (1, 37)
    )
    for name in ("occlusion", "shapley"):
        np.testing.assert_allclose(one[name].contribution, other[name].contribution, rtol=0, atol=1e-12)
    np.testing.assert_allclose(one.shapley.values, other.shapley.values, rtol=0, atol=1e-12)


def test_large_inputs_come_in_small_batches() -> None:
    image = np.zeros((2, 1, 1024, 1024), np.float32)
    image[1] = 1
    planned = ml.plan(
        lambda image: image.mean(axis=(1, 2, 3)), {"image": image}, measures=[ml.Occlusion()], output="raw"
    )
    assert planned.batch_size == 16
    small = ml.plan(lambda table_0: table_0[:, 0], tables(9, 2), measures=[ml.Occlusion()], output="raw")
    assert small.batch_size == 256


def test_planning_runs_a_few_rows_only() -> None:
    counter = Counter()
    ml.plan(counter, tables(5000, 2, 2), measures=[ml.Shapley()], output="raw")
    assert counter.rows == CHECKS


def test_the_plan_tells_its_cost() -> None:
    printed = str(
        run(
            tables(6, 2, 3),
            measures=[ml.Occlusion(), ml.Shapley()],
            baseline=ml.Background(rows=5, part_rows=2),
            background=tables(20, 2, 3, seed=1),
        )[2]
    )
    assert "single parts (background (rows=5, part_rows=2))" in printed
    assert "encoder of table_0" in printed
    assert "head" in printed
    assert "MiB of values" in printed
    # The inputs, five parts with two rows each, two modalities with two rows, and with five; and nothing with five rows.
    assert f"{6 * (1 + 5 * 2 + 2 * 2 + 2 * 5) + 5:,} rows through the model" in printed
