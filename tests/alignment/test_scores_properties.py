"""Scores of heat maps: slow re-implementations, and what must hold for every map and region."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modalens.alignment.attainable import attainable, auroc_after_swap, on_both_boxes
from modalens.alignment.scores import (
    TopShare,
    auroc,
    average_precision,
    contrast_to_noise,
    divergence,
    entropy,
    pointing_game,
    side_mass,
    top_share,
    wrong_lung,
)

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4))
FEW = st.integers(-3, 3).map(float)
"""Values with many ties, on which increasing transforms stay exact."""


@st.composite
def maps(draw: st.DrawFn, lowest: int = -3) -> np.ndarray:
    return draw(arrays.arrays(np.float64, draw(SHAPES), elements=st.integers(lowest, 3).map(float)))


@st.composite
def scored_maps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A map of whole numbers and a region that is neither empty nor everything."""
    shape = draw(SHAPES.filter(lambda shape: shape[0] * shape[1] > 1))
    mask = draw(arrays.arrays(np.bool_, shape))
    assume(mask.any() and not mask.all())
    return draw(arrays.arrays(np.float64, shape, elements=FEW)), mask


@st.composite
def pairs_of_maps(draw: st.DrawFn, lowest: int = 0) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(SHAPES)
    elements = st.integers(lowest, 5).map(float)
    one, other = (draw(arrays.arrays(np.float64, shape, elements=elements)) for _ in range(2))
    assume((one > 0).any() and (other > 0).any())
    return one, other


# Slow re-implementations


def slow_auroc(map: np.ndarray, mask: np.ndarray) -> float:
    wins = [(a > b) + (a == b) / 2 for a in map[mask] for b in map[~mask]]
    return float(np.mean(wins))


def slow_average_precision(map: np.ndarray, mask: np.ndarray) -> float:
    total, before = 0.0, 0.0
    for threshold in sorted(set(map.ravel()), reverse=True):
        above = map >= threshold
        recall = mask[above].sum() / mask.sum()
        total, before = total + (recall - before) * mask[above].mean(), recall
    return float(total)


def slow_top_share(map: np.ndarray, mask: np.ndarray, taken: int) -> TopShare:
    """The mean over all sets of `taken` pixels of which none is darker than a pixel left out."""
    values, inside = map.ravel(), mask.ravel()
    found = []
    for chosen in combinations(range(len(values)), taken):
        top = np.isin(np.arange(len(values)), chosen)
        if top.all() or values[top].min() >= values[~top].max():
            hits, either = (top & inside).sum(), (top | inside).sum()
            found.append((hits / taken, hits / inside.sum(), 2 * hits / (taken + inside.sum()), hits / either))
    return TopShare(*np.mean(found, axis=0).tolist())


def slow_side_mass(map: np.ndarray, side: str) -> float:
    on_side, total = 0.0, 0.0
    middle = map.shape[1] / 2
    for row in map:
        for column, value in enumerate(row):
            centre = column + 0.5
            whose = {"right": centre < middle, "left": centre > middle}[side] + (centre == middle) / 2
            on_side, total = on_side + whose * max(value, 0), total + max(value, 0)
    return on_side / total


@given(scored_maps())
def test_rankings_agree_with_counting_pairs_and_thresholds(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    assert auroc(*drawn) == pytest.approx(slow_auroc(*drawn), abs=1e-12)
    assert average_precision(*drawn) == pytest.approx(slow_average_precision(*drawn), abs=1e-12)


@settings(deadline=None)
@given(scored_maps(), st.data())
def test_the_top_share_is_the_mean_over_all_ways_to_break_ties(
    drawn: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    pixels = drawn[0].size
    taken = data.draw(st.integers(1, pixels))
    assert top_share(*drawn, taken / pixels) == pytest.approx(slow_top_share(*drawn, taken), abs=1e-9)


@given(scored_maps())
def test_pointing_is_the_top_share_of_one_pixel(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    assert pointing_game(*drawn) == pytest.approx(top_share(*drawn, 1 / drawn[0].size).precision, abs=1e-12)


@given(maps(), st.sampled_from(["left", "right"]))
def test_sides_agree_with_counting_columns(map: np.ndarray, side: str) -> None:
    assume((map > 0).any())
    assert side_mass(map, side) == pytest.approx(slow_side_mass(map, side), abs=1e-12)  # type: ignore[arg-type]


# What must hold


@given(scored_maps())
def test_rankings_are_unchanged_by_increasing_transforms(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    map, mask = drawn
    for transformed in (map**3, 2 * map - 7, np.exp(map), np.arctan(map)):
        assert auroc(transformed, mask) == auroc(map, mask)
        assert average_precision(transformed, mask) == average_precision(map, mask)
        assert top_share(transformed, mask, 0.3) == top_share(map, mask, 0.3)
        assert pointing_game(transformed, mask) == pointing_game(map, mask)


@given(scored_maps())
def test_what_is_said_of_a_map_holds_of_its_opposite(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    map, mask = drawn
    assert auroc(-map, mask) == pytest.approx(1 - auroc(map, mask), abs=1e-12)
    assert auroc(map, ~mask) == pytest.approx(1 - auroc(map, mask), abs=1e-12)
    assert contrast_to_noise(-map, mask) == pytest.approx(-contrast_to_noise(map, mask), nan_ok=True, abs=1e-12)


@settings(deadline=None)
@given(scored_maps(), st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.7]))
def test_every_score_lies_within_what_can_be_reached(drawn: tuple[np.ndarray, np.ndarray], share: float) -> None:
    map, mask = drawn
    found = top_share(map, mask, share)._asdict() | {
        "auroc": auroc(map, mask),
        "average_precision": average_precision(map, mask),
        "pointing_game": pointing_game(map, mask),
    }
    for name, value in found.items():
        lowest, highest = attainable(name, mask, share=share)  # type: ignore[arg-type]
        assert lowest - 1e-12 <= value <= highest + 1e-12, name


@given(pairs_of_maps(lowest=-2))
def test_the_divergence_is_symmetric_and_0_only_for_equal_maps(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = drawn
    found = divergence(one, other)
    assert found == divergence(other, one)
    shares = [np.clip(map, 0, None) / np.clip(map, 0, None).sum() for map in drawn]
    assert (found < 1e-12) == np.allclose(*shares, rtol=0, atol=1e-9)
    assert np.isinf(found) == ((shares[0] > 0) != (shares[1] > 0)).any()
    assert divergence(3 * one, one) == pytest.approx(0, abs=1e-12)


@given(pairs_of_maps(lowest=1))
def test_the_divergence_is_the_mean_of_both_directions(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    p, q = (map / map.sum() for map in drawn)
    both = (np.sum(p * np.log(p / q)) + np.sum(q * np.log(q / p))) / 2
    assert divergence(*drawn) == pytest.approx(both, abs=1e-12)


@given(maps(lowest=0))
def test_the_entropy_lies_between_one_cell_and_all(map: np.ndarray) -> None:
    assume(map.any())
    lowest, highest = attainable("entropy", grid=(map.shape[0], map.shape[1]))
    assert lowest - 1e-12 <= entropy(map) <= highest + 1e-12
    assert entropy(map) == pytest.approx(entropy(7 * map.T), abs=1e-12)


@given(maps())
def test_mirrored_maps_lie_on_the_other_side(map: np.ndarray) -> None:
    assume((map > 0).any())
    assert side_mass(map, "left") + side_mass(map, "right") == pytest.approx(1)
    assert side_mass(map[:, ::-1], "left") == pytest.approx(side_mass(map, "right"))
    assert wrong_lung(map, "left") + wrong_lung(map, "right") == 1
    assert wrong_lung(map[:, ::-1], "left") == wrong_lung(map, "right")


@given(st.integers(1, 8), st.integers(1, 4))
def test_two_boxes_of_any_size(columns: int, rows: int) -> None:
    one, other = np.zeros((2, 10, 20), dtype=bool)
    one[:rows, :columns], other[:rows, -columns:] = True, True
    assert auroc(one | other, one) == pytest.approx(on_both_boxes(one.mean()).auroc)
    assert average_precision(one | other, one) == pytest.approx(0.5)
    assert auroc(other, one) == pytest.approx(auroc_after_swap(one.mean()))
