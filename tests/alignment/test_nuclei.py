"""Sentences about nuclei are true of the picture, training and test share nothing, and a model learns to find what is named."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import modalens as ml
from modalens.alignment import HeatMap, Record
from modalens.alignment.attention import Attention
from modalens.alignment.contrast.network import DualEncoder, Sentence, Vocabulary
from modalens.alignment.contrast.remedies import Batch
from modalens.alignment.nuclei import (
    TEST,
    TRAINING,
    WINDOW,
    Neighbours,
    OwnRegion,
    Picture,
    Slide,
    brightness,
    nuclei,
    nuclei_encoder,
)
from modalens.datasets import packages
from modalens.errors import InputError

needs_image = pytest.mark.skipif(
    bool(packages.absent("stardist")), reason="the image is not installed: pip install --no-deps stardist==0.9.2"
)

SIDE = 40
Square = tuple[int, int, int, float]


def picture(*squares: Square, sizes: dict[int, int] | None = None) -> Picture:
    """A picture of 40 x 40 with square nuclei (top, left, side, brightness), numbered from 1, on a ground of .1; `sizes` says
    how large those are that reach out of the picture.
    """
    image, numbers = np.full((SIDE, SIDE), 0.1, dtype=np.float32), np.zeros((SIDE, SIDE), dtype=int)
    for number, (top, left, side, value) in enumerate(squares, start=1):
        image[top : top + side, left : left + side] = value
        numbers[top : top + side, left : left + side] = number
    whole = np.bincount(numbers.ravel())
    for number, size in (sizes or {}).items():
        whole[number] = size
    return Picture(image=image, numbers=numbers, sizes=whole)


def said(given: Picture) -> dict[str, int]:
    """The number of the nucleus that each sentence names."""
    return {phrase: number for phrase, _, number in given.sentences()}


LARGE, SMALL = (4, 4, 10, 0.5), (26, 26, 6, 0.9)

OF_TWO = {
    "The nucleus in the upper left.": 1,
    "The nucleus in the lower right.": 2,
    "The uppermost nucleus.": 1,
    "The lowermost nucleus.": 2,
    "The leftmost nucleus.": 1,
    "The rightmost nucleus.": 2,
    "The largest nucleus.": 1,
    "The smallest nucleus.": 2,
    "The brightest nucleus.": 2,
    "The darkest nucleus.": 1,
}


def test_what_is_said_of_two_nuclei() -> None:
    assert said(picture(LARGE, SMALL)) == OF_TWO


@pytest.mark.parametrize(
    ("squares", "in_doubt"),
    [
        ([LARGE, (24, 24, 10, 0.9)], ["largest", "smallest"]),  # of one size
        ([LARGE, (26, 26, 6, 0.55)], ["brightest", "darkest"]),  # 1.1 times as bright
        ([(4, 12, 10, 0.5), SMALL], ["in the upper left", "in the upper right"]),  # its middle 3 pixels from the border
        ([(2, 2, 6, 0.5), (10, 10, 6, 0.9)], ["in the upper left"]),  # two in one quarter
        ([LARGE, (26, 6, 6, 0.9)], ["leftmost", "rightmost"]),  # their middles one above the other
        ([LARGE, (6, 26, 6, 0.9)], ["uppermost", "lowermost"]),  # side by side
    ],
)
def test_nothing_is_said_that_is_in_doubt(squares: list[Square], in_doubt: list[str]) -> None:
    text = " ".join(said(picture(*squares)))
    assert text
    assert not [words for words in in_doubt if words in text]


@pytest.mark.parametrize("squares", [[], [LARGE]])
def test_one_nucleus_is_no_choice(squares: list[Square]) -> None:
    assert said(picture(*squares)) == {}


def test_a_nucleus_of_which_less_than_half_is_seen_is_not_named() -> None:
    assert 2 in said(picture(LARGE, SMALL, sizes={2: 72})).values()  # 36 pixels of 72
    assert 2 not in said(picture(LARGE, SMALL, sizes={2: 73})).values()


def test_the_size_of_a_nucleus_that_is_cut_off_is_not_known() -> None:
    """Nucleus 2 shows 64 pixels: the smaller one as it is seen, but not as it is where the rest of it is out of the picture."""
    cut = LARGE, (24, 24, 8, 0.9)
    assert said(picture(*cut, sizes={2: 70}))["The smallest nucleus."] == 2
    for size in (90, 110, 125):
        assert {"The largest nucleus.", "The smallest nucleus."}.isdisjoint(said(picture(*cut, sizes={2: size})))


FLIPPED = {"left": "right", "right": "left"}
TURNED = {"upper": "left", "left": "lower", "lower": "right", "right": "upper"}  # counter-clockwise


def worded(phrase: str, words: dict[str, str]) -> str:
    """The phrase with places exchanged, the row named before the column."""
    found = re.sub(rf"\b({'|'.join(words)})", lambda word: words[word[0]], phrase)
    return re.sub(r"(left|right) (upper|lower)", r"\2 \1", found)


@needs_image
def test_sentences_follow_flips_and_turns() -> None:
    tiles = [picture(LARGE, SMALL), *Slide.read().tiles()]
    assert sum(len(said(tile)) for tile in tiles) > 50
    for tile in tiles:
        before = said(tile)
        assert said(tile.turned(0, flip=True)) == {worded(phrase, FLIPPED): one for phrase, one in before.items()}
        assert said(tile.turned(1, flip=False)) == {worded(phrase, TURNED): one for phrase, one in before.items()}
        assert said(tile.brighter(1.3)) == before


def true_of(phrase: str, image: np.ndarray, numbers: np.ndarray, one: int) -> bool:
    """Whether a phrase is true of a nucleus, and of no other, pixel by pixel and without any margin."""
    every = sorted(set(numbers.ravel().tolist()) - {0})
    rows, columns = {}, {}
    for number in every:
        pixels = [(row, column) for row, column in np.ndindex(*numbers.shape) if numbers[row, column] == number]
        rows[number] = sum(row for row, _ in pixels) / len(pixels)
        columns[number] = sum(column for _, column in pixels) / len(pixels)
    middle = (len(numbers) - 1) / 2
    place = re.search(r"in the (upper|lower) (left|right)", phrase)
    if place:
        there = [
            number
            for number in every
            if (rows[number] < middle) == (place[1] == "upper") and (columns[number] < middle) == (place[2] == "left")
        ]
        return there == [one]
    values = {
        "uppermost": {number: -rows[number] for number in every},
        "lowermost": rows,
        "leftmost": {number: -columns[number] for number in every},
        "rightmost": columns,
        "largest": {number: float((numbers == number).sum()) for number in every},
        "smallest": {number: -float((numbers == number).sum()) for number in every},
        "brightest": {number: float(image[numbers == number].mean()) for number in every},
        "darkest": {number: -float(image[numbers == number].mean()) for number in every},
    }[phrase.split()[1]]
    return all(values[one] > values[number] for number in every if number != one)


@needs_image
def test_every_sentence_is_true_of_its_nucleus_and_of_no_other() -> None:
    slide = Slide.read()
    pictures = [*slide.tiles(), *slide.drawn(40, np.random.default_rng(0))]
    for one in pictures:
        for phrase, _, number in one.sentences():
            assert true_of(phrase, one.image, one.numbers, number), phrase


@needs_image
def test_no_nucleus_is_in_training_and_test() -> None:
    slide = Slide.read()
    assert np.count_nonzero(slide.sizes) == 126  # 125 nuclei, and none
    seen = {
        "training": {one for each in slide.drawn(300, np.random.default_rng(1)) for one in np.unique(each.numbers)},
        "test": {one for each in slide.tiles() for one in np.unique(each.numbers)},
    }
    assert seen["training"] & seen["test"] == {0}
    assert seen["training"] <= set(np.unique(slide.numbers[:, TRAINING]))
    assert set(np.unique(slide.numbers[:, TRAINING])) & set(np.unique(slide.numbers[:, TEST])) == {0}


@needs_image
def test_records() -> None:
    test = nuclei("test")
    assert len(test) > 40
    assert {record.size for record in test} == {(WINDOW, WINDOW)}
    assert {record.labels for record in test} == {("place",), ("size",), ("brightness",)}
    for record in test:
        assert record.located
        assert record.side == ""
        assert record.patient == record.study == record.image_id
        assert record.truth.sum() == record.masks[0].sum()
        assert record.truth.any()
    images = {record.image_id: record.image for record in test}
    assert len({image.tobytes() for image in images.values()}) == len(images) == 16


@needs_image
def test_training_pictures_are_drawn_from_the_seed() -> None:
    first, again, other = (nuclei("train", windows=20, seed=seed) for seed in (0, 0, 1))
    assert [record.phrase for record in first] == [record.phrase for record in again]
    assert all(np.array_equal(one.image, two.image) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[0].image, other[0].image)
    assert not {record.image_id for record in first} & {record.image_id for record in nuclei("test")}


def test_what_can_not_be_asked_for() -> None:
    with pytest.raises(InputError, match=r"split='validation'.*train.*test"):
        nuclei("validation")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"windows=0: give a number of pictures"):
        nuclei(windows=0)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install --no-deps stardist==0.9.2"):
        nuclei("test")


def encoder(phrases: list[str]) -> DualEncoder:
    torch.manual_seed(0)
    vocabulary = Vocabulary.of(phrases)
    return DualEncoder(Neighbours(16), Sentence(len(vocabulary), 16), vocabulary.encode, width=16)


def batch_of(records: list[Record], maps: torch.Tensor) -> Batch:
    """A batch whose phrases have one word each, with these maps (n, cells)."""
    empty = torch.zeros(len(records), 1, 16)
    return Batch(
        records=records,
        phrases=[record.phrase for record in records],
        findings=[frozenset()] * len(records),
        regions=empty,
        words=empty,
        padding=torch.zeros(len(records), 1, dtype=torch.bool),
        attention=Attention(maps[:, None], torch.zeros(len(records), 1)),
    )


def test_own_region_is_the_share_of_attention_inside() -> None:
    """Cells of 8 pixels: a mask of 8 x 12 covers one cell whole and half of the next."""
    mask = np.zeros((WINDOW, WINDOW), dtype=bool)
    mask[:8, :12] = True
    image = np.zeros((WINDOW, WINDOW), dtype=np.float32)
    maps = torch.zeros(2, 100)
    maps[0, 0], maps[0, 1], maps[0, 99] = 0.3, 0.4, 0.3  # .3 + .4 / 2 lie inside
    maps[1] = 0.01
    records = [Record(phrase="Left.", image=image, masks=(mask,)), Record(phrase="Nowhere.", image=image)]
    loss = OwnRegion(weight=2.0).loss(encoder(["Left."]), batch_of(records, maps), np.random.default_rng(0))
    assert float(loss) == pytest.approx(-2 * np.log(0.5), rel=1e-6)
    none = OwnRegion().loss(encoder(["Left."]), batch_of(records[1:], maps[1:]), np.random.default_rng(0))
    assert none == 0.0


def test_cells_see_one_another() -> None:
    """Another corner changes what the first cell says: without that no cell could know whether its nucleus is the largest."""
    regions = encoder(["Left."]).regions.eval()
    image = torch.rand(1, WINDOW, WINDOW)
    other = image.clone()
    other[0, -8:, -8:] = 0
    with torch.no_grad():
        before, after = regions(image), regions(other)
    assert before.shape == (1, 100, 16)
    assert float((before[0, 0] - after[0, 0]).abs().max()) > 1e-6


def audited(model: object, **settings: object) -> ml.Audit:
    return ml.audit(
        model,
        nuclei("test"),
        perturbations=("shuffle", "random sentence", "swap left/right"),
        baselines={"brightness": brightness},
        scores=("auroc", "average_precision", "pointing_game"),
        progress=False,
        **settings,  # type: ignore[arg-type]
    )


@needs_image
def test_a_map_of_the_mask_is_perfect() -> None:
    regions = {(record.image.tobytes(), record.phrase): record.truth for record in nuclei("test")}  # type: ignore[union-attr]

    def perfect(images: list[np.ndarray], phrases: list[str]) -> list[HeatMap]:
        blank = np.ones((WINDOW, WINDOW))
        return [
            HeatMap(values=regions.get((image.tobytes(), phrase), blank).astype(float))
            for image, phrase in zip(images, phrases, strict=True)
        ]

    audit = audited(perfect)
    for score in ("auroc", "average_precision", "pointing_game"):
        assert float(audit.scores.sel(subset="all", score=score)) == pytest.approx(1)
    assert float(audit.deltas.sel(condition="shuffle", subset="all", score="auroc")) == pytest.approx(
        float(audit.attainable_deltas.sel(condition="shuffle", subset="all", score="auroc"))
    )


@needs_image
def test_brightness_alone_has_a_high_auroc_and_follows_no_text() -> None:
    audit = audited(brightness)
    assert float(audit.scores.sel(subset="all", score="auroc")) > 0.85
    assert float(audit.scores.sel(subset="all", score="average_precision")) < 0.5
    assert float(abs(audit.deltas.sel(condition="shuffle", subset="all")).max()) == 0


@needs_image
def test_a_patients_sides_are_left_out() -> None:
    audit = audited(brightness)
    why = audit.left_out("swap left/right")
    assert sum(why.values()) == len(nuclei("test"))
    assert all("not frontal" in reason for reason in why)
    assert np.isnan(float(audit.flip_rate))
    assert audit.data.value.sel(score="wrong_lung").isnull().all()
    assert audit.counted("one lung") == 0


@needs_image
def test_an_encoder_learns_to_find_the_nucleus_that_is_named() -> None:
    """A small one: better than maps of nothing and of places, and another sentence of the picture moves its maps away."""
    training = nuclei("train", windows=400)
    model = nuclei_encoder(training, steps=120, progress=False)
    audit = audited(model, training=training)
    gains = audit.interval.gains.sel(subset="all", score="auroc", bound="lower")
    assert (gains.sel(baseline=["uniform", "centre", "mean box"]) > 0).all()
    gain = audit.interval.gains.sel(subset="all", score="average_precision", baseline="brightness", bound="lower")
    assert float(gain) > 0
    assert (
        float(audit.interval.deltas.sel(condition="shuffle", subset="all", score="average_precision", bound="upper"))
        < 0
    )


@needs_image
@pytest.mark.slow
def test_a_trained_encoder_beats_a_map_of_all_nuclei() -> None:
    audit = audited(nuclei_encoder(progress=False), training=nuclei("train"))
    assert any("better than the best map that ignores the text (brightness)" in sentence for sentence in audit.words)
    assert (audit.interval.gains.sel(subset="all", score="auroc", bound="lower") > 0).all()


@needs_image
@pytest.mark.slow
def test_pairs_alone_do_not_say_where_nuclei_are() -> None:
    audit = audited(nuclei_encoder(masks=0, progress=False), training=nuclei("train"))
    assert float(audit.interval.gains.sel(subset="all", score="auroc", baseline="brightness", bound="upper")) < 0
    assert any("no better than" in sentence or "worse than" in sentence for sentence in audit.words)
