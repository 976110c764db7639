"""Of which phrases a score is the mean: by hand, on few records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modalens.alignment.records import Record
from modalens.alignment.regions import Crop, Flip, Polygons, Resize
from modalens.alignment.subsets import counterparts, reports_alike, subsets

SIZE = (100, 100)
RIGHT, LEFT, ACROSS = [10, 20, 40, 60], [60, 20, 90, 60], [30, 40, 80, 80]


def record(*boxes: list[float], image_id: str = "a", **given: object) -> Record:
    phrase = str(given.pop("phrase", "Opacity."))
    return Record(phrase=phrase, image=np.zeros(SIZE), boxes=boxes, image_id=image_id, **given)  # type: ignore[arg-type]


def rows(name: str, *records: Record) -> list[bool]:
    found = subsets(records)[name]
    assert found.dtype == bool
    return found.tolist()


def test_all_are_the_located_ones_by_box_or_mask() -> None:
    drawn = replace(record(), masks=(Polygons(size=SIZE, outlines=(((5, 5), (20, 5), (5, 20)),)),))
    assert rows("all", record(RIGHT), record(), drawn) == [True, False, True]


def test_abnormal_ones_speak_of_a_finding() -> None:
    records = record(RIGHT), record(RIGHT, abnormal=False), record(RIGHT, abnormal=True), record(abnormal=True)
    assert rows("abnormal", *records) == [True, False, True, False]  # a finding without a region can't be scored


def test_one_lung_is_one_side_in_a_frontal_view() -> None:
    records = (
        record(RIGHT),
        record(LEFT),
        record(ACROSS),
        record(RIGHT, LEFT),
        record(RIGHT, frontal=False),
        record(RIGHT, laterality="right", frontal=False),
        record(laterality="left"),
        record(RIGHT, laterality="both"),
    )
    assert rows("one lung", *records) == [True, True, False, False, False, False, False, False]


def test_counterparts_show_the_same_finding_of_the_same_image_on_the_other_side() -> None:
    opacity = {"labels": ("opacity",)}
    records = [
        record(RIGHT, **opacity),
        record(LEFT, labels=("nodule",)),
        record(LEFT, image_id="b", **opacity),
        record(LEFT, **opacity),
        record(LEFT, **opacity, phrase="Another opacity."),
        record(RIGHT, LEFT, **opacity),
        record(RIGHT, image_id="c"),
        record(LEFT, image_id="c"),
        record(RIGHT, image_id="d", labels=("opacity", "effusion")),
        record(LEFT, image_id="d", labels=("effusion", "opacity")),
    ]
    # Both left ones of the first image lead to its right one, which leads to the first of them; without labels, nobody
    # knows whether the two of image c are of one finding.
    assert counterparts(records) == [3, None, None, 0, 0, None, None, None, 9, 8]
    assert rows("bilateral", *records) == [other is not None for other in counterparts(records)]


def test_what_is_denied_on_one_side_is_no_counterpart() -> None:
    seen = record(RIGHT, labels=("effusion",), phrase="Right effusion.", abnormal=True)
    denied = record(LEFT, labels=("effusion",), phrase="No left effusion.", abnormal=False)
    assert counterparts([seen, denied]) == [None, None]
    assert counterparts([denied, replace(denied, boxes=[RIGHT])]) == [None, None]
    assert counterparts([seen, replace(denied, abnormal=True)]) == [1, 0]


def test_a_study_is_told_from_another_patients_of_the_same_name() -> None:
    records = [record(RIGHT, study="1", patient="a"), record(LEFT, study="1", patient="b")]
    assert reports_alike(records) == {}
    assert records[0].report != records[1].report


def test_images_without_a_name_are_told_apart_by_their_arrays() -> None:
    image, another = np.zeros(SIZE), np.zeros(SIZE)
    right, left, elsewhere = (
        Record(phrase="Opacity.", image=picture, boxes=[box], labels=("opacity",))
        for picture, box in ((image, RIGHT), (image, LEFT), (another, LEFT))
    )
    assert counterparts([right, elsewhere]) == [None, None]
    assert counterparts([right, elsewhere, left]) == [2, None, 0]


def test_how_alike_the_regions_of_a_report_are() -> None:
    top, half = [0, 0, 100, 50], [0, 0, 50, 50]
    records = [
        record(top, study="s"),
        record(half, study="s"),
        record(RIGHT, study="t"),
        record(study="t"),  # one located phrase: no pair
        record(top, study="u"),
        record(top, study="u", image_id="b"),  # another image: no common coordinates
        *(record([x, 0, x + 50, 100], study="v") for x in (0, 25, 50)),
    ]
    found = reports_alike(records)
    # Windows of half the width: shifted by a quarter 1/3, by a half 0.
    assert found == pytest.approx({("study", "", "s"): 1 / 2, ("study", "", "v"): (1 / 3 + 1 / 3 + 0) / 3})


def test_the_lowest_tenth_of_reports_is_the_most_diverse() -> None:
    def report(study: int, overlap: float) -> list[Record]:
        """Two phrases, the second one's box a share of the first one's."""
        named = {"study": f"s{study}", "image_id": f"i{study}"}
        return [record([0, 0, 100, 100], **named), record([0, 0, 100, 100 * overlap], **named)]  # type: ignore[arg-type]

    overlaps = [0.5, 0.9, 0.2, 0.8, 0.7, 0.6, 0.4, 0.95, 0.3, 0.85, *(0.5 + k / 50 for k in range(10))]
    records = [one for study, overlap in enumerate(overlaps) for one in report(study, overlap)]
    others = record(study="s2", image_id="i2"), record(RIGHT, image_id="alone")  # no region; no pair
    assert np.flatnonzero(rows("most diverse boxes", *records, *others)).tolist() == [4, 5, 16, 17]  # .2 and .3 of 20

    tied = [one for study in range(10) for one in report(study, 0.2 if study < 3 else 0.5)]
    assert rows("most diverse boxes", *tied) == [True] * 6 + [False] * 14


def test_without_a_study_the_phrases_of_an_image_are_a_report() -> None:
    records = record(RIGHT), record(LEFT), record(RIGHT, image_id="b"), record(RIGHT, image_id="b")
    assert rows("most diverse boxes", *records) == [True, True, False, False]


def test_no_pair_anywhere_is_no_diverse_report() -> None:
    assert rows("most diverse boxes", record(RIGHT), record(LEFT, image_id="b")) == [False, False]


def test_subsets_do_not_depend_on_what_the_model_makes_of_the_image() -> None:
    records = [record(RIGHT, labels=("opacity",)), record(LEFT, labels=("opacity",)), record(ACROSS), record()]
    prepared = [one.through(Crop(height=30, width=100, top=20), Resize(to=(32, 48)), Flip()) for one in records]
    for name, found in subsets(records).items():
        np.testing.assert_array_equal(found, subsets(prepared)[name])
    assert reports_alike(prepared) == reports_alike(records)
    assert subsets(records)["bilateral"].tolist() == [True, True, False, False]


def test_no_records() -> None:
    assert {name: found.shape for name, found in subsets([]).items()} == dict.fromkeys(
        ("all", "abnormal", "one lung", "most diverse boxes", "bilateral"), (0,)
    )
