"""Scores of heat maps: the numbered facts of the method, by hand, where they are undefined, and what they can reach."""

from __future__ import annotations

import math
from itertools import product
from typing import get_args

import numpy as np
import pytest
import torch

from modalens.alignment.attainable import attainable, auroc_after_swap, on_both_boxes
from modalens.alignment.priors import CentrePrior, MeanBox, Uniform
from modalens.alignment.records import Record
from modalens.alignment.regions import Crop, painted
from modalens.alignment.scores import (
    OF_MASS,
    OF_TOP_SHARE,
    Score,
    auroc,
    average_precision,
    contrast_to_noise,
    divergence,
    entropy,
    pointing_game,
    reason,
    side_mass,
    taken_of,
    top_share,
    wrong_lung,
)
from modalens.errors import InputError

NAMES = get_args(Score)
NAN = float("nan")

RIGHT = painted(np.array([[2.0, 3, 6, 8]]), (20, 20))  # 4 x 5 of 400 pixels: the patient's right is the image's left
LEFT = painted(np.array([[14.0, 3, 18, 8]]), (20, 20))
AREA = 0.05


def noise(shape: tuple[int, int] = (20, 20), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def score(name: str, map: np.ndarray, mask: np.ndarray, share: float = 0.3) -> float:
    """Any score of a map and a mask by name."""
    if name in OF_TOP_SHARE:
        return float(getattr(top_share(map, mask, share), name))
    ways = {
        "auroc": auroc,
        "average_precision": average_precision,
        "pointing_game": pointing_game,
        "contrast_to_noise": contrast_to_noise,
    }
    if name in ways:
        return ways[name](map, mask)
    return {
        "entropy": entropy(map),
        "divergence": divergence(map, map[::-1]),
        "side_mass": side_mass(map, "left"),
        "wrong_lung": wrong_lung(map, "left"),
    }[name]


# 1


def test_fact_1_auroc_and_average_precision_of_known_maps() -> None:
    assert auroc(RIGHT, RIGHT) == 1
    assert auroc(~RIGHT, RIGHT) == 0
    assert average_precision(RIGHT, RIGHT) == 1
    for constant in (0.1, -3, 1e-9):
        assert auroc(np.full((20, 20), constant), RIGHT) == 0.5
        assert average_precision(np.full((20, 20), constant), RIGHT) == pytest.approx(AREA, abs=1e-15)
    for transformed in (np.exp(noise()), noise() * 7 - 100, np.arctan(noise())):
        assert auroc(transformed, RIGHT) == pytest.approx(auroc(noise(), RIGHT), abs=1e-15)


def test_fact_1_no_region_and_the_whole_image_rank_nothing() -> None:
    for way, mask in product((auroc, average_precision), (np.zeros((20, 20), bool), np.ones((20, 20), bool))):
        assert math.isnan(way(noise(), mask))


# 2, 3


def test_fact_2_auroc_hardly_sees_that_the_other_lung_is_highlighted_too() -> None:
    found = on_both_boxes(AREA)
    assert found.auroc == pytest.approx(0.974, abs=5e-4)
    assert found == pytest.approx((auroc(RIGHT | LEFT, RIGHT), average_precision(RIGHT | LEFT, RIGHT)))
    assert found.average_precision == 0.5


def test_fact_3_after_the_swap_a_perfect_map_is_on_the_other_box() -> None:
    assert auroc(LEFT, RIGHT) == pytest.approx(auroc_after_swap(AREA))
    assert auroc_after_swap(AREA) == pytest.approx(0.5 - 0.05 / 1.9)
    halves = np.arange(20) < 10
    assert auroc(np.tile(~halves, (20, 1)), np.tile(halves, (20, 1))) == auroc_after_swap(0.5) == 0


@pytest.mark.parametrize("area", [0, 0.6, NAN])
def test_two_boxes_fit_into_one_image(area: float) -> None:
    with pytest.raises(InputError, match=r"area=.*at most one half"):
        on_both_boxes(area)
    with pytest.raises(InputError, match=r"area=.*at most one half"):
        auroc_after_swap(area)


# 4


@pytest.mark.parametrize("share", [0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1])
def test_fact_4_a_perfect_map_at_the_top_share(share: float) -> None:
    found = top_share(RIGHT, RIGHT, share)
    assert found.iou == pytest.approx(share / AREA if share <= AREA else AREA / share)
    assert found.precision == pytest.approx(min(1, AREA / share))
    assert found.recall == pytest.approx(min(1, share / AREA))
    assert found.f1 == pytest.approx(2 * min(share, AREA) / (share + AREA))
    # No map does better, and no map worse than the opposite one.
    for name in OF_TOP_SHARE:
        lowest, highest = attainable(name, RIGHT, share=share)  # type: ignore[arg-type]
        assert highest == pytest.approx(getattr(found, name))
        assert lowest == pytest.approx(getattr(top_share(~RIGHT, RIGHT, share), name))


def test_fact_4_pointing_at_everything_hits_as_often_as_the_region_is_large() -> None:
    assert pointing_game(np.ones((20, 20)), RIGHT) == pytest.approx(AREA)
    assert pointing_game(RIGHT, RIGHT) == 1
    assert pointing_game(LEFT, RIGHT) == 0
    assert pointing_game(RIGHT.astype(float) + LEFT, RIGHT) == 0.5


def test_ties_at_the_edge_by_hand() -> None:
    # Of 2 x 3 pixels three are taken: the 9, and two of the three 5s; two of the 5s and nothing else lie in the region.
    found = top_share([[9, 5, 5], [5, 1, 0]], [[0, 1, 1], [0, 0, 0]], 0.5)
    # Pairs of 5s: both of the region (1 in 3), or one of it (2 in 3): 4/3 hits.
    assert found.precision == pytest.approx(4 / 9)
    assert found.recall == pytest.approx(2 / 3)
    assert found.f1 == pytest.approx(2 * 4 / 3 / 5)
    assert found.iou == pytest.approx(2 / 3 / 3 + 1 / 4 * 2 / 3)


def test_a_large_constant_map_has_the_hypergeometric_expectation() -> None:
    mask = np.arange(300 * 300).reshape(300, 300) < 30_000
    found = top_share(np.full((300, 300), 0.1), mask, 0.2)
    assert found.precision == pytest.approx(1 / 3, rel=1e-12)
    assert found.recall == pytest.approx(0.2, rel=1e-12)
    # 6000 hits expected, standard deviation 56.6: the expectation of a curved function is not the function of it.
    generator = np.random.default_rng(0)
    drawn = generator.hypergeometric(30_000, 60_000, 18_000, size=200_000)
    assert found.iou == pytest.approx((drawn / (48_000 - drawn)).mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("share", "pixels", "taken"), [(0.05, 400, 20), (0.1, 7, 1), (0.01, 7, 1), (1, 7, 7), (0.3, 9, 3)]
)
def test_a_share_of_pixels_is_rounded_and_at_least_one(share: float, pixels: int, taken: int) -> None:
    assert taken_of(share, pixels) == taken


@pytest.mark.parametrize("share", [0, -0.1, 1.1, 5, NAN])
def test_a_share_is_no_percentage(share: float) -> None:
    with pytest.raises(InputError, match=r"share=.*at most 1, such as 0\.1"):
        top_share(noise(), RIGHT, share)


# 5


def test_fact_5_the_divergence() -> None:
    assert divergence([[0.9, 0.1]], [[0.1, 0.9]]) == pytest.approx(1.7578, abs=5e-5)
    assert divergence([[0.9, 0.1]], [[0.1, 0.9]]) == pytest.approx(0.8 * np.log(9))
    assert divergence([[9, 1]], [[2, 18]]) == pytest.approx(0.8 * np.log(9))  # normalised
    assert divergence([[1, 0]], [[1, 1]]) == np.inf
    assert divergence([[1, 0, 3]], [[2, 0, 6]]) == 0  # where both are 0 they do not differ
    assert divergence([[-5, 1, 3]], [[0, 1, 3]]) == 0  # below 0 is 0
    assert divergence([[NAN, 1, 3, 4]], [[7, 1, 3, NAN]]) == 0  # what only one of them saw does not count


def test_fact_5_contrast_to_noise_flips_its_sign() -> None:
    assert contrast_to_noise([[4, 2, 1], [1, 0, 0]], [[1, 1, 0], [0, 0, 0]]) == pytest.approx(2.5 / np.sqrt(1 + 0.25))
    assert contrast_to_noise(-noise(), RIGHT) == -contrast_to_noise(noise(), RIGHT) != 0
    assert contrast_to_noise(noise() * 3 + 5, RIGHT) == pytest.approx(contrast_to_noise(noise(), RIGHT))
    # The rounding of a mean is no noise.
    assert math.isnan(contrast_to_noise(np.full((20, 20), 0.1), RIGHT))
    assert math.isnan(contrast_to_noise(np.where(RIGHT, 0.3, 0.1), RIGHT))


# 6


def test_fact_6_a_model_that_ignores_the_text_changes_nothing_at_all() -> None:
    before = np.abs(noise(seed=3)) / 7
    after = before.copy()
    assert divergence(before, after) == 0.0
    for name in NAMES:
        assert score(name, before, RIGHT) - score(name, after, RIGHT) == 0.0


# Concentration and sides


def test_entropy_by_hand() -> None:
    assert entropy(np.full((19, 19), 0.3)) == pytest.approx(np.log(361))
    assert entropy([[0, 7], [0, 0]]) == 0
    assert entropy([[1, 1, 2]]) == pytest.approx(1.5 * np.log(2))
    assert entropy([[1, 1, 2, -4, NAN]]) == pytest.approx(1.5 * np.log(2))
    assert entropy([[1e308, 1e308]]) == pytest.approx(np.log(2))


def test_the_patient_s_right_is_the_image_s_left() -> None:
    assert side_mass(RIGHT, "right") == 1
    assert side_mass(RIGHT, "left") == 0
    assert [wrong_lung(RIGHT, "right"), wrong_lung(RIGHT, "left")] == [0, 1]
    assert side_mass([[3, 2, 1]], "right") == pytest.approx(4 / 6)  # the middle column counts half
    assert side_mass([[3, 2, 1]], "left") == pytest.approx(2 / 6)
    assert side_mass([[3, -8, NAN, 1]], "right") == pytest.approx(3 / 4)
    assert side_mass([[1, 1, NAN, NAN]], "left") == 0


def test_a_tie_is_neither_lung() -> None:
    assert wrong_lung([[1, 9, 1]], "left") == wrong_lung([[1, 9, 1]], "right") == 0.5
    assert wrong_lung(np.full((7, 6), 0.1), "left") == 0.5
    assert wrong_lung([[1, 0, 1 + 1e-6]], "right") == 1


def test_a_side_is_left_or_right() -> None:
    with pytest.raises(InputError, match=r"side='both' is not known"):
        side_mass(noise(), "both")  # type: ignore[arg-type]


# What the model did not see, and what can't be scored


def test_pixels_that_the_model_did_not_see_are_not_scored() -> None:
    seen = np.abs(noise())
    whole = np.full((20, 26), NAN)
    whole[:, 3:23] = seen
    around = np.ones((20, 26), dtype=bool)  # a region that reaches out of what was seen
    around[:, 3:23] = RIGHT
    for name in NAMES:
        assert score(name, whole, around) == score(name, seen, RIGHT), name


@pytest.mark.parametrize("name", NAMES)
def test_a_score_is_nan_exactly_where_there_is_a_reason(name: Score) -> None:
    maps = (noise(), np.abs(noise()), RIGHT, np.ones((20, 20)), np.zeros((20, 20)), -RIGHT.astype(float), np.full((20, 20), NAN))  # fmt: skip
    masks = (RIGHT, np.zeros((20, 20), dtype=bool), np.ones((20, 20), dtype=bool))
    found = [(score(name, map, mask), reason(name, map, mask)) for map, mask in product(maps, masks)]
    assert all(math.isnan(value) == bool(why) for value, why in found)
    assert any(why for _, why in found)
    assert any(not why for _, why in found)


@pytest.mark.parametrize(
    ("name", "map", "mask", "expected"),
    [
        ("auroc", noise(), ~RIGHT & RIGHT, "the region is empty"),
        ("iou", noise(), ~RIGHT & RIGHT, "the region is empty"),
        ("average_precision", noise(), RIGHT | ~RIGHT, "the region covers the whole image"),
        ("iou", noise(), RIGHT | ~RIGHT, ""),
        ("auroc", np.where(RIGHT, NAN, 1), RIGHT, "the region lies outside of what the model saw"),
        ("pointing_game", np.full((20, 20), NAN), RIGHT, "the model saw none of the image"),
        ("contrast_to_noise", np.ones((20, 20)), RIGHT, "the map is constant"),
        ("contrast_to_noise", RIGHT, RIGHT, "the map is flat inside the region and outside"),
        ("auroc", np.ones((20, 20)), RIGHT, ""),
        ("entropy", -RIGHT.astype(float), None, "nothing is highlighted"),
        ("wrong_lung", np.zeros((20, 20)), None, "nothing is highlighted"),
    ],
)
def test_why_a_score_is_undefined(name: Score, map: np.ndarray, mask: np.ndarray | None, expected: str) -> None:
    assert reason(name, map, mask) == expected


def test_lists_and_tensors_are_maps_too() -> None:
    map, mask = noise(), RIGHT
    assert auroc(map.tolist(), mask.tolist()) == auroc(torch.tensor(map), torch.tensor(mask)) == auroc(map, mask)
    assert top_share(map.tolist(), mask.astype(int), 0.1) == top_share(torch.tensor(map), mask, 0.1)


@pytest.mark.parametrize(
    ("map", "mask", "message"),
    [
        (noise((20, 21)), RIGHT, r"\(20, 21\) and a mask of \(20, 20\).*HeatMap\.on\(size\)"),
        (noise((20, 20)).ravel(), RIGHT.ravel(), r"rows and columns.*\(400,\)"),
        (np.where(RIGHT, np.inf, 1), RIGHT, r"holds infinity"),
        (noise(), np.where(RIGHT, 0.4, 1), r"a mask says of each pixel"),
        ([["a", "b"]], [[1, 0]], r"an array of numbers"),
        (torch.ones(20, 20, requires_grad=True), RIGHT, r"an array of numbers.*detach"),
    ],
)
def test_what_is_no_map_or_mask(map: np.ndarray, mask: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        auroc(map, mask)


def test_maps_of_two_grids_do_not_compare() -> None:
    with pytest.raises(InputError, match=r"their shapes are \(2, 2\) and \(2, 3\)"):
        divergence(np.ones((2, 2)), np.ones((2, 3)))


def test_a_score_is_known_by_name() -> None:
    with pytest.raises(InputError, match=r"did you mean 'auroc'"):
        reason("aurok", noise(), RIGHT)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"auroc compares a map with a region: give mask="):
        reason("auroc", noise())


# What can be reached


def weak_orders(pixels: int) -> list[np.ndarray]:
    """All rankings of a 1 x n image, ties among them: values are dense ranks."""
    drawn = np.array(list(product(range(pixels), repeat=pixels)))
    dense = {tuple(np.unique(row, return_inverse=True)[1].tolist()) for row in drawn}
    return [np.array([row], dtype=float) for row in sorted(dense)]


@pytest.mark.parametrize("name", ["auroc", "average_precision", "pointing_game", *OF_TOP_SHARE])
@pytest.mark.parametrize("region", [1, 2, 3])
def test_no_ranking_of_a_tiny_image_leaves_the_range_and_some_reach_its_ends(name: Score, region: int) -> None:
    mask = np.array([[True] * region + [False] * (4 - region)])
    for share in (0.25, 0.5, 0.75, 1) if name in OF_TOP_SHARE else (None,):
        values = [score(name, map, mask, share or 0.5) for map in weak_orders(4)]
        assert len(values) == 75
        assert (min(values), max(values)) == pytest.approx(attainable(name, mask, share=share), abs=1e-12)


def test_a_map_that_ranks_the_region_last_by_hand() -> None:
    # Three others first, then the two of the region: precision 1/4 and 2/5.
    assert attainable("average_precision", [[1, 1, 0, 0, 0]]).lowest == pytest.approx((1 / 4 + 2 / 5) / 2)
    assert average_precision(~RIGHT, RIGHT) > attainable("average_precision", RIGHT).lowest


def test_ranges_without_a_region() -> None:
    assert attainable("entropy", grid=(19, 19)) == pytest.approx((0, np.log(361)))
    assert attainable("divergence") == (0, np.inf)
    assert attainable("side_mass") == attainable("wrong_lung") == (0, 1)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OF_MASS])
@pytest.mark.parametrize("mask", [np.zeros((3, 3), dtype=bool), np.ones((3, 3), dtype=bool)])
def test_a_range_is_undefined_exactly_where_the_score_is(name: Score, mask: np.ndarray) -> None:
    lowest, highest = attainable(name, mask, share=0.3)
    value = score(name, noise((3, 3)), mask)
    assert (math.isnan(lowest), math.isnan(highest)) == (math.isnan(value),) * 2
    if mask.all() and not math.isnan(value):
        assert lowest == value == highest  # a region that is everywhere leaves no choice


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("iou", {"mask": RIGHT}, r"give share=, such as 0\.1"),
        ("auroc", {}, r"give mask=, \(height, width\)"),
        ("entropy", {}, r"give grid=\(rows, columns\)"),
        ("dice", {"mask": RIGHT}, r"score='dice' is not known"),
    ],
)
def test_what_a_range_depends_on_must_be_given(name: Score, arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        attainable(name, **arguments)


# Maps that know nothing


def record(*boxes: list[float], size: tuple[int, int] = (20, 20)) -> Record:
    return Record(phrase="Opacity.", image=np.zeros(size), boxes=boxes)


def test_priors_give_each_phrase_the_same_map_whatever_it_says() -> None:
    priors = (Uniform(), CentrePrior(), MeanBox.fit([record([2, 3, 6, 8])]))
    for prior in priors:
        one, other = prior([np.zeros((20, 20))] * 2, ["Opacity in the left lung.", "Opacity in the right lung."])
        assert divergence(one.values, other.values) == 0
    assert auroc(Uniform()([RIGHT], ["Opacity."])[0].on((20, 20)), RIGHT) == 0.5
    uniform = entropy(Uniform()([RIGHT], ["Opacity."])[0].values)
    assert uniform == pytest.approx(5.889, abs=5e-4)  # of 361 regions, as published


def test_the_centre_prior_is_a_gaussian_in_the_middle_of_the_image() -> None:
    (found,) = CentrePrior(width=0.2, grid=(5, 10))([np.zeros((20, 40))], ["Cardiomegaly."])
    assert found.values[2, 4] == found.values[2, 5] == found.values.max()
    np.testing.assert_allclose(found.values, found.values[::-1, ::-1])
    # One cell down is .2 of the height, which is one standard deviation.
    np.testing.assert_allclose(found.values[1] / found.values[2], np.exp(-0.5))
    np.testing.assert_allclose(found.values[2, 0], np.exp(-0.5 * ((0.45 / 0.2) ** 2)))
    with pytest.raises(InputError, match=r"CentrePrior\(width=0\)"):
        CentrePrior(width=0)


def test_the_mean_box_says_how_often_a_place_lay_in_a_region() -> None:
    # Images of other sizes are laid over one another from edge to edge; a record without boxes does not count.
    prior = MeanBox.fit([record([0, 0, 10, 20]), record([0, 0, 40, 20], size=(40, 40)), record()], grid=(4, 4))
    np.testing.assert_allclose(prior.values, [[1, 1, 0.5, 0.5]] * 2 + [[0.5, 0.5, 0, 0]] * 2)
    (found,) = prior([np.zeros((20, 20))], ["Opacity."])
    assert found.values is prior.values


def test_the_mean_box_follows_the_image_as_the_model_sees_it() -> None:
    cropped = record([0, 0, 10, 20]).through(Crop(height=20, width=10, left=5))
    np.testing.assert_allclose(MeanBox.fit([cropped], grid=(2, 2)).values, [[1, 0], [1, 0]])


def test_a_mean_of_no_box() -> None:
    with pytest.raises(InputError, match=r"of 0 records with boxes or masks none"):
        MeanBox.fit([record()])
    with pytest.raises(InputError, match=r"of 1 records with boxes or masks none"):
        MeanBox.fit([record([0, 0, 5, 5]).through(Crop(height=10, width=10, top=10, left=10))])
