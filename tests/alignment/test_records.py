"""Boxes and masks painted onto pixels, through the steps that an image takes; and what a record refuses."""

from __future__ import annotations

from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco
from scipy.ndimage import binary_dilation, binary_erosion

from modalens.alignment.records import Record
from modalens.alignment.regions import (
    Crop,
    Flip,
    Pad,
    Polygons,
    Resize,
    RunLengths,
    Step,
    around,
    boxes_after,
    image_after,
    intersection_over_union,
    letterbox,
    mask_after,
    painted,
    run_lengths_of,
    size_after,
)
from modalens.errors import InputError

SIZE = (48, 64)


def record(**given_: object) -> Record:
    return Record(**({"phrase": "Opacity.", "image": np.zeros(SIZE)} | given_))  # type: ignore[arg-type]


def box_on(draw: st.DrawFn, size: tuple[int, int], least: int) -> np.ndarray:
    """A box with corners on pixels, `least` wide and high or more."""
    x = draw(st.integers(0, size[1] - least))
    y = draw(st.integers(0, size[0] - least))
    return np.array([[x, y, draw(st.integers(x + least, size[1])), draw(st.integers(y + least, size[0]))]], dtype=float)


def drawn_steps(draw: st.DrawFn, kind: str, size: tuple[int, int]) -> list[Step]:
    """Steps of a kind that fit an image of this size."""
    (height, width), sides, few = size, st.integers(32, 96), st.integers(0, 9)
    match kind:
        case "resize":
            return [Resize(to=(draw(sides), draw(sides)))]
        case "shorter side":
            return [Resize(to=draw(sides))]
        case "pad":
            return [Pad(left=draw(few), top=draw(few), right=draw(few), bottom=draw(few))]
        case "centre crop":
            return [Crop(height=draw(st.integers(30, height)), width=draw(st.integers(30, width)))]
        case "crop":
            top, left = draw(st.integers(0, height - 30)), draw(st.integers(0, width - 30))
            return [Crop(height=30, width=30, top=top, left=left)]
        case "letterbox":
            return list(letterbox(size, (draw(sides), draw(sides))))
        case _:
            return [Flip()]


KINDS = ["resize", "shorter side", "pad", "centre crop", "crop", "letterbox", "flip"]


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[Step], np.ndarray]:
    """Up to four kinds of steps that fit an image of SIZE, and a box on it."""
    steps: list[Step] = []
    for kind in draw(st.lists(st.sampled_from(KINDS), max_size=4)):
        if min(size_after(SIZE, steps)) < 30:  # a letterbox and a crop can leave less
            break
        steps += drawn_steps(draw, kind, size_after(SIZE, steps))
    return steps, box_on(draw, SIZE, 6)


@given(chains())
@settings(max_examples=150)
def test_painting_then_transforming_is_transforming_then_painting_within_a_pixel(
    drawn: tuple[list[Step], np.ndarray],
) -> None:
    steps, box = drawn
    of_box = np.pad(painted(boxes_after(box, SIZE, steps), size_after(SIZE, steps)), 4)
    of_mask = np.pad(mask_after(painted(box, SIZE), steps), 4)
    assert of_mask.shape == of_box.shape
    reach, slack = np.ones((3, 3), dtype=bool), pixels_of_rounding(steps)
    assert not (of_mask & ~binary_dilation(of_box, reach, slack)).any()
    assert not (binary_erosion(of_box, reach, slack) & ~of_mask).any()


def pixels_of_rounding(steps: list[Step]) -> int:
    """A mask is rounded to pixels, by half of one, each time it is resized, and an earlier rounding grows with it."""
    slack, size = 0.0, SIZE
    for step in steps:
        if isinstance(step, Resize):
            slack = 0.5 + slack * max(np.divide(step.size(size), size))
        size = step.size(size)
    return max(1, int(np.ceil(slack)))


@given(chains())
def test_sizes_are_those_of_the_images(drawn: tuple[list[Step], np.ndarray]) -> None:
    steps, _ = drawn
    assert image_after(np.zeros((3, *SIZE)), steps).shape == (3, *size_after(SIZE, steps))


def test_boxes_by_hand() -> None:
    box = np.array([[10.0, 20.0, 30.0, 40.0]])
    assert boxes_after(box, (48, 64), [Resize(to=(24, 128))]).tolist() == [[20, 10, 60, 20]]
    assert boxes_after(box, (48, 64), [Resize(to=24)]).tolist() == [[5, 10, 15, 20]]
    assert boxes_after(box, (48, 64), [Pad(left=3, top=5)]).tolist() == [[13, 25, 33, 45]]
    assert boxes_after(box, (48, 64), [Crop(height=20, width=24)]).tolist() == [[0, 6, 10, 20]]  # at (14, 20)
    assert boxes_after(box, (48, 64), [Crop(height=20, width=24, top=25, left=8)]).tolist() == [[2, 0, 22, 15]]
    assert boxes_after(box, (48, 64), [Flip()]).tolist() == [[34, 20, 54, 40]]
    assert boxes_after(box, (48, 64), letterbox((48, 64), (32, 32))).tolist() == [[5, 14, 15, 24]]  # x .5, 4 rows above
    assert boxes_after(box, (48, 64), [Crop(height=8, width=8, top=0, left=0)])[0, 1] == 8  # nothing is left


def test_steps_are_taken_in_order() -> None:
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    assert boxes_after(box, SIZE, [Flip(), Pad(left=4)]).tolist() == [[58, 0, 68, 10]]
    assert boxes_after(box, SIZE, [Pad(left=4), Flip()]).tolist() == [[54, 0, 64, 10]]


def test_the_union_is_painted_pixel_by_pixel() -> None:
    boxes = [(1.0, 2.0, 4.0, 5.0), (3.0, 3.0, 6.4, 4.6), (6.6, 0.0, 7.0, 1.0)]
    slow = np.zeros((8, 9), dtype=bool)
    for row in range(8):
        for column in range(9):
            slow[row, column] = any(x1 <= column + 0.5 < x2 and y1 <= row + 0.5 < y2 for x1, y1, x2, y2 in boxes)
    assert (painted(np.array(boxes), (8, 9)) == slow).all()
    assert slow.sum() == 9 + 4  # columns 3 to 5 of rows 3 and 4, less what both share; the last holds no centre


def test_a_centre_crop_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"crop of 50 x 10 .* image of 48 x 64: resize or pad first"):
        image_after(np.zeros(SIZE), [Crop(height=50, width=10)])


def slowly_decoded(counts: list[int], size: tuple[int, int]) -> np.ndarray:
    """Down the columns, outside first."""
    pixels = [place % 2 for place, run in enumerate(counts) for _ in range(run)]
    return np.array(
        [[pixels[column * size[0] + row] for column in range(size[1])] for row in range(size[0])], dtype=bool
    )


MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 40)))


@given(MASKS)
@settings(max_examples=60)
def test_run_lengths_are_those_of_coco(mask: np.ndarray) -> None:
    text = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()
    size = (mask.shape[0], mask.shape[1])
    assert (RunLengths(size=size, counts=text).painted() == mask).all()
    runs = run_lengths_of(mask)
    assert (runs.painted() == mask).all()
    assert (slowly_decoded(list(runs.counts), size) == mask).all()  # type: ignore[arg-type]
    written = {"size": list(size), "counts": list(runs.counts)}
    assert (coco.decode(coco.frPyObjects(written, *size)).astype(bool) == mask).all()


def test_long_runs_take_several_characters() -> None:
    mask = np.zeros((2320, 500), dtype=bool)
    mask[100:2000, 20:480] = True
    mask[0, 0] = True
    text = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()
    assert (RunLengths(size=(2320, 500), counts=text).painted() == mask).all()


@pytest.mark.parametrize("counts", ["", "0", "T3P", "62309", "!!", "ifdl3", "\x80", (5, 5), (110, -10), ()])
def test_runs_that_do_not_fill_the_image_are_refused(counts: str | tuple[int, ...]) -> None:
    """pycocotools reads beyond the end of such texts, and gives what happens to lie in memory."""
    with pytest.raises(InputError, match=r"run lengths"):
        RunLengths(size=(10, 10), counts=counts).painted()


def test_a_polygon_covers_what_a_box_of_its_corners_does() -> None:
    square = ((2, 3), (12, 3), (12, 13), (2, 13))
    assert (
        Polygons(size=(20, 20), outlines=(square,)).painted() == painted(np.array([[2, 3, 12, 13]]), (20, 20))
    ).all()


def test_a_disc_has_its_area_and_overlapping_pieces_are_one() -> None:
    turn = np.linspace(0, 2 * np.pi, 90)
    disc = tuple(zip((50 + 30 * np.cos(turn)).tolist(), (40 + 30 * np.sin(turn)).tolist(), strict=True))
    once = Polygons(size=(90, 100), outlines=(disc,)).painted()
    assert once.sum() == pytest.approx(np.pi * 900, rel=0.02)
    assert (Polygons(size=(90, 100), outlines=(disc, disc)).painted() == once).all()


@pytest.mark.parametrize("outlines", [(), (((0, 0), (1, 1)),), ((1, 2, 3),)])
def test_outlines_without_three_points_are_refused(outlines: tuple) -> None:
    with pytest.raises(InputError, match=r"three points|without an outline"):
        Polygons(size=(9, 9), outlines=outlines)


def test_the_box_around_a_mask_is_the_box_that_was_painted() -> None:
    assert around(painted(np.array([[3, 5, 9, 21]]), SIZE)).tolist() == [3, 5, 9, 21]
    with pytest.raises(InputError, match=r"empty mask"):
        around(np.zeros(SIZE, dtype=bool))


def test_intersection_over_union_by_hand() -> None:
    one, other = (painted(np.array([box]), SIZE) for box in ((0, 0, 10, 10), (5, 0, 15, 10)))
    assert intersection_over_union(one, other) == pytest.approx(50 / 150)
    assert np.isnan(intersection_over_union(one & ~one, one & ~one))


# Records


def test_the_truth_is_the_union_of_boxes_and_masks() -> None:
    drawn = np.zeros(SIZE, dtype=bool)
    drawn[0:5, 0:5] = True
    both = record(boxes=[(4, 4, 10, 10)], masks=(drawn, run_lengths_of(drawn)))
    assert both.truth.sum() == 36 + 25 - 1
    assert both.located
    assert both.of_finding


def test_masks_follow_the_steps() -> None:
    drawn = painted(np.array([[10, 10, 30, 30]]), SIZE)
    of_mask, of_box = (record(masks=(drawn,)), record(boxes=[(10, 10, 30, 30)]))
    steps = (Resize(to=(96, 128)), Crop(height=80, width=80), Flip())
    assert (of_mask.through(*steps).truth == of_box.through(*steps).truth).all()
    assert of_mask.through(*steps[:1]).through(*steps[1:]).steps == steps


def test_a_box_that_is_cropped_away_leaves_an_empty_truth_and_a_record() -> None:
    kept = record(boxes=[(0, 0, 10, 10)], laterality="").through(Crop(height=20, width=20, top=28, left=44))
    assert kept.located
    assert kept.of_finding
    assert kept.truth.shape == (20, 20)
    assert not kept.truth.any()
    assert kept.seen_boxes.shape == (0, 4)
    assert kept.side == "right"  # as it was annotated


def test_a_record_without_a_region() -> None:
    nowhere = record(phrase="No pneumothorax.")
    assert (nowhere.located, nowhere.of_finding, nowhere.side) == (False, False, "")
    assert record(abnormal=True).of_finding
    assert not record(boxes=[(0, 0, 5, 5)], abnormal=False).of_finding


@pytest.mark.parametrize(
    ("boxes", "side"),
    [
        ([(2, 2, 20, 20)], "right"),  # the patient's right is the image's left
        ([(40, 2, 60, 20)], "left"),
        ([(2, 2, 20, 20), (40, 2, 60, 20)], "both"),
        ([(14, 0, 34, 10)], "both"),  # 2 of 20 columns lie over the middle: exactly a tenth
        ([(13, 0, 34, 10)], "right"),  # 2 of 21
    ],
)
def test_the_side_of_the_region(boxes: list[tuple[int, ...]], side: str) -> None:
    assert record(boxes=boxes).side == side
    assert record(boxes=boxes).through(Flip()).side == side  # that of the patient, whatever is done to the image
    assert record(boxes=boxes, frontal=False).side == ""
    assert record(boxes=boxes, laterality="left").side == "left"


def test_the_image_follows_the_steps_in_colour_too() -> None:
    image = np.zeros((3, *SIZE))
    image[1, 10:20, 10:20] = 1
    seen = record(image=image).through(Flip(), Crop(height=48, width=32, top=0, left=32)).pixels()
    assert seen.shape == (3, 48, 32)
    assert (seen[1] == painted(np.array([[12, 10, 22, 20]]), (48, 32))).all()
    assert not seen[[0, 2]].any()


def test_a_file_is_read_when_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    lazy = Record(phrase="Opacity.", image=path, boxes=[(0, 0, 20, 10)])
    with pytest.raises(InputError, match=r"a\.png is not there"):
        lazy.truth
    Image.fromarray(np.full(SIZE, 255, dtype=np.uint8)).save(path)
    assert lazy.truth.sum() == 200
    assert lazy.pixels().min() == 1
    assert lazy.name == str(path)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"phrase": " "}, r"phrase is empty: leave the record out"),
        ({"phrase": None}, r"phrase is empty"),
        ({"image": "chest.png"}, r"image must be an array or a Path, str came"),
        ({"laterality": "rihgt"}, r"laterality='rihgt' is not known \(did you mean 'right'"),
        ({"boxes": [(10, 10, 60, 49.5)]}, r"outside the image of 64 x 48 .* resized or cropped after that"),
        ({"boxes": [(-1.5, 10, 20, 20)]}, r"outside the image"),
        ({"boxes": [(10, 10, 10, 20)]}, r"\[10\.0, 10\.0, 10\.0, 20\.0\] has no area"),
        ({"boxes": [(40, 30, 12, 8)]}, r"is it \(x, y, width, height\)\? Then give \(x, y, x \+ width"),
        ({"boxes": [(40, 30, np.nan, 8)]}, r"NaN or infinity"),
        ({"boxes": [(40, 30, 8)]}, r"boxes must be numbers \(x1, y1, x2, y2\)"),
        ({"boxes": [("a", "b", "c", "d")]}, r"boxes must be numbers"),
        ({"masks": (np.zeros((64, 48)),)}, r"a mask of \(64, 48\) on an image of \(48, 64\)"),
        ({"masks": (RunLengths(size=(9, 9), counts=(81,)),)}, r"a mask of \(9, 9\)"),
    ],
)
def test_what_is_refused(given_: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        record(image_id="cxr_7", **given_) if "image" not in given_ else record(**given_)
    assert "laterality" in given_ or "cxr_7" in str(caught.value) or "Opacity" in str(caught.value)


def test_boxes_of_the_image_before_it_was_resized_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((24, 32), dtype=np.uint8)).save(tmp_path / "small.png")
    annotated_larger = Record(phrase="Opacity.", image=tmp_path / "small.png", boxes=[(10, 10, 60, 40)])
    with pytest.raises(InputError, match=r"outside the image of 32 x 24 pixels .* was the image resized"):
        annotated_larger.truth


def test_boxes_that_reach_over_the_edge_by_rounding_are_cut_off() -> None:
    rounded = record(boxes=[(-0.6, 0, 10, 10), (60, 40, 64.9, 48.3)])
    assert rounded.truth.sum() == 100 + 32
    assert rounded.seen_boxes.tolist() == [[0, 0, 10, 10], [60, 40, 64, 48]]


def test_an_image_with_nan_is_refused() -> None:
    with pytest.raises(InputError, match=r"image holds NaN"):
        record(image=np.full(SIZE, np.nan)).pixels()
