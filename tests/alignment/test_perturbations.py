"""Changes of text and regions: what each does, whom it leaves out and why, where a perfect map would go, and the seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modalens as ml
from modalens.alignment.laterality import BOTH_SIDES
from modalens.alignment.perturbations import (
    STANDARD,
    Changed,
    RandomBoxes,
    RandomSentence,
    Row,
    Shuffle,
    SwapLaterality,
    Template,
    TemplateOtherFinding,
    perturbation_of,
)
from modalens.alignment.records import Record
from modalens.alignment.regions import Crop, Flip, Resize

SIZE = (20, 40)
RIGHT, LEFT = (2, 3, 12, 9), (25, 5, 35, 15)
"""A box on the patient's right, which is the image's left, and one on the patient's left."""


def record(phrase: str, box: tuple[float, ...] | None = RIGHT, **more: Any) -> Record:
    """A record of an image of its own, unless `image_id` says otherwise."""
    return Record(phrase=phrase, image=np.zeros(SIZE), boxes=[box] if box else [], **more)


def after(perturbation: Any, records: list[Record], seed: int = 0) -> Changed:
    return perturbation.changed(records, np.random.default_rng(seed))


def box_mask(x1: int, y1: int, x2: int, y2: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[y1:y2, x1:x2] = True
    return mask


def cohort(patients: int = 6) -> list[Record]:
    """Patients with two findings each, one on either side, and one sentence about nothing."""
    names = ["opacity", "effusion", "nodule", "pneumothorax"]
    found = []
    for k in range(patients):
        of = {"patient": f"p{k}", "study": f"s{k}", "image_id": f"i{k}"}
        one, other = names[k % 4], names[(k + 1) % 4]
        found += [
            record(f"{one.title()} in the right lung, {k}.", RIGHT, labels=(one,), **of),
            record(f"There is a left {other}, {k}.", (24 + k, 5, 34, 15), labels=(other,), **of),
            record("The heart is normal.", None, **of),
        ]
    return found


# Swap left and right


def test_swap_exchanges_the_words_and_flips_a_region_that_has_no_counterpart() -> None:
    found = after(SwapLaterality(), [record("Opacity in the right lung.")])
    assert found.phrases == ("Opacity in the left lung.",)
    assert found.truths == (None,)
    assert found.reasons == ("",)
    np.testing.assert_array_equal(found.targets[0], box_mask(28, 3, 38, 9))


def test_swap_goes_to_the_same_finding_on_the_other_side_of_the_same_image() -> None:
    labels = ("Opacity",)
    right = record("Right opacity.", RIGHT, labels=labels, image_id="a")
    left = record("Patchy on the left.", LEFT, labels=labels, image_id="a")
    elsewhere = record("Patchy on the left.", (30, 0, 40, 4), labels=labels, image_id="b")
    another = record("Effusion.", (30, 0, 40, 4), labels=("Effusion",), image_id="a")
    found = after(SwapLaterality(), [right, another, elsewhere, left])
    np.testing.assert_array_equal(found.targets[0], box_mask(*LEFT))
    np.testing.assert_array_equal(found.targets[3], box_mask(*RIGHT))
    np.testing.assert_array_equal(found.targets[2], box_mask(0, 0, 10, 4))


def test_the_swapped_words_themselves_tell_more_than_labels() -> None:
    labels = ("Opacity",)
    right = record("Right upper opacity.", RIGHT, labels=labels, image_id="a")
    upper = record("left upper opacity", LEFT, labels=labels, image_id="a")
    lower = record("left lower opacity", (25, 16, 35, 20), labels=labels, image_id="a")
    np.testing.assert_array_equal(after(SwapLaterality(), [right, upper, lower]).targets[0], box_mask(*LEFT))
    both = after(SwapLaterality(), [record("Right opacity.", RIGHT, labels=labels, image_id="a"), upper, lower])
    np.testing.assert_array_equal(both.targets[0], box_mask(*LEFT) | box_mask(25, 16, 35, 20))


def test_records_without_labels_are_not_taken_for_the_same_finding() -> None:
    right, left = record("Right opacity.", RIGHT, image_id="a"), record("Left effusion.", LEFT, image_id="a")
    np.testing.assert_array_equal(after(SwapLaterality(), [right, left]).targets[0], box_mask(28, 3, 38, 9))


def test_flipping_the_image_is_swapping_the_text() -> None:
    mask = np.zeros(SIZE, dtype=bool)
    mask[12:16, 1:5] = True
    given = [record("Right opacity."), record("Right opacity.", (0, 0, 3, 3), masks=(mask,)).through(Resize(to=10))]
    for one, target in zip(given, after(SwapLaterality(), given).targets, strict=True):
        np.testing.assert_array_equal(target, one.through(Flip()).truth)


def test_a_region_flips_about_the_middle_of_the_whole_image_not_of_a_crop() -> None:
    crop = Crop(height=20, width=20, top=0, left=10)
    found = after(SwapLaterality(), [record("Left opacity.", (25, 0, 28, 20)).through(crop)])
    np.testing.assert_array_equal(found.targets[0], box_mask(2, 0, 5, 20, (20, 20)))
    gone = after(
        SwapLaterality(), [record("Left opacity.", (10, 0, 12, 20)).through(Crop(height=20, width=20, top=0, left=0))]
    )
    assert gone.phrases == ("Right opacity.",)
    assert gone.targets == (None,)


@pytest.mark.parametrize(
    ("phrase", "more", "reason"),
    [
        ("No effusion.", {}, "the phrase names no side"),
        ("Left and right effusions.", {}, f"the phrase {BOTH_SIDES}"),
        ("Right middle lobe opacity.", {}, "the phrase has no mirror: 'middle lobe' is in the right lung only"),
        ("Left opacity.", {"frontal": False}, "the view is not frontal: left and right can't be told apart in it"),
    ],
)
def test_swap_leaves_out_what_has_no_mirror(phrase: str, more: dict, reason: str) -> None:
    found = after(SwapLaterality(), [record(phrase, **more)])
    assert (found.phrases, found.targets, found.reasons) == ((None,), (None,), (reason,))
    assert not found.kept.any()


def test_swap_speaks_other_languages_and_needs_no_region() -> None:
    found = after(SwapLaterality(language="es"), [record("Derrame derecho.", None)])
    assert found.phrases == ("Derrame izquierdo.",)
    assert found.targets == (None,)


# Shuffle


@settings(max_examples=200)
@given(reports=st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=9), min_size=1, max_size=4), seed=st.integers(0, 99))  # fmt: skip
def test_a_shuffle_is_a_derangement_that_gives_nobody_their_own_words(reports: list[list[str]], seed: int) -> None:
    given = [record(word, study=str(k), patient="p") for k, report in enumerate(reports) for word in report]
    found = after(Shuffle(), given, seed)
    for k, report in enumerate(reports):
        own = [place for place, one in enumerate(given) if one.study == str(k)]
        most = max(Counter(report).values())
        left_out = [place for place in own if found.phrases[place] is None]
        # No shuffle can do better: the others are too few to give the most frequent phrase something else.
        assert len(left_out) == max(0, 2 * most - len(report))
        kept = [place for place in own if place not in left_out]
        assert all(found.phrases[place] != given[place].phrase for place in kept)
        got = Counter(str(found.phrases[place]) for place in kept)
        assert got == Counter(given[place].phrase for place in kept)
        if len(report) == 1:
            assert found.reasons[own[0]] == "its report has no other phrase"


def test_equal_words_are_equal_whatever_case_spaces_and_stop() -> None:
    found = after(Shuffle(), [record("No effusion.", study="s"), record("no  EFFUSION", study="s")])
    assert found.reasons == ("too few phrases of its report have other words",) * 2


def test_a_shuffle_stays_in_the_report_of_one_patient() -> None:
    given = [record(f"{patient} {k}", study="1", patient=patient) for k in range(3) for patient in "ab"]
    found = after(Shuffle(), given)
    assert all(str(new).startswith(one.patient) for new, one in zip(found.phrases, given, strict=True))


def test_without_a_study_nothing_is_shuffled() -> None:
    found = after(Shuffle(), [record("a", patient="p"), record("b", patient="p")])
    assert found.reasons == ("its report is not known: give the record's study",) * 2


def test_the_target_of_a_shuffle_is_the_region_of_the_phrase_that_came_if_it_is_of_this_image() -> None:
    of = {"study": "s", "patient": "p"}
    same = [record("a", RIGHT, image_id="i", **of), record("b", LEFT, image_id="i", **of)]
    found = after(Shuffle(), same)
    assert found.phrases == ("b", "a")
    np.testing.assert_array_equal(found.targets[0], same[1].truth)
    np.testing.assert_array_equal(found.targets[1], same[0].truth)
    apart = after(Shuffle(), [same[0], record("b", LEFT, image_id="lateral", **of)])
    assert apart.phrases == ("b", "a")
    assert apart.targets == (None, None)
    resized = after(Shuffle(), [same[0], same[1].through(Resize(to=10))])
    assert resized.targets == (None, None)


def test_every_phrase_of_a_report_is_as_likely_to_come() -> None:
    given = [record(word, study="s") for word in "abcd"]
    came = Counter(after(Shuffle(), given, seed).phrases[0] for seed in range(300))
    assert set(came) == {"b", "c", "d"}
    assert min(came.values()) > 70


# Random sentences and boxes


@settings(max_examples=50)
@given(words=st.lists(st.sampled_from("abc"), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_a_random_sentence_is_of_another_patient_and_of_other_words(words: list[str], seed: int) -> None:
    given = [record(word, patient=str(k % 3)) for k, word in enumerate(words)]
    found = after(RandomSentence(), given, seed)
    for one, phrase, reason in zip(given, found.phrases, found.reasons, strict=True):
        others = {other.phrase for other in given if other.patient != one.patient and other.phrase != one.phrase}
        assert phrase in others if others else reason == "no other patient has a phrase of other words"
    assert set(found.targets) == set(found.truths) == {None}


def test_records_without_a_patient_are_told_apart_by_study_and_image_and_else_each_is_somebody() -> None:
    assert after(RandomSentence(), [record("a", study="s"), record("b", study="s")]).phrases == (None, None)
    assert after(RandomSentence(), [record("a", image_id="i"), record("b", image_id="i")]).phrases == (None, None)
    assert after(RandomSentence(), [record("a"), record("b")]).phrases == ("b", "a")


def test_a_random_sentence_is_any_of_those_that_fit() -> None:
    given = [record(word, patient=word) for word in "abcd"]
    assert {after(RandomSentence(), given, seed).phrases[0] for seed in range(50)} == {"b", "c", "d"}


def test_random_boxes_come_from_another_patient_and_the_phrase_stays() -> None:
    large = Record(phrase="b", image=np.zeros((40, 80)), boxes=[(10, 20, 30, 40)], patient="b")
    given = [record("a", patient="a"), large, record("c", None, patient="c"), record("d", (0, 0, 1, 1), patient="b")]
    found = after(RandomBoxes(), given)
    assert found.phrases == ("a", "b", None, "d")
    assert found.reasons == ("", "", "it has no region that another could replace", "")
    np.testing.assert_array_equal(found.truths[1], box_mask(4, 6, 24, 18, (40, 80)))
    np.testing.assert_array_equal(found.targets[1], large.truth)
    drawn = {after(RandomBoxes(), given, seed).truths[0].tobytes() for seed in range(20)}  # type: ignore[union-attr]
    assert drawn == {box_mask(5, 10, 15, 20).tobytes(), box_mask(0, 0, 1, 1).tobytes()}


def test_random_boxes_need_another_patient() -> None:
    found = after(RandomBoxes(), [record("a", patient="p"), record("b", LEFT, patient="p")])
    assert found.reasons == ("no other patient has a region",) * 2


# Templates


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (record("x", labels=("Pleural Effusion",)), "There is pleural effusion in the right lung."),
        (record("x", LEFT, labels=("lung_opacity", "Nodule")), "There is lung opacity and nodule in the left lung."),
        (record("x", (10, 3, 30, 9), labels=("edema",)), "There is edema in the left and right lung."),
        (record("LUL nodule", None, labels=("nodule",)), "There is nodule in the left lung."),
        (record("left nodule", labels=("nodule",), laterality="right"), "There is nodule in the right lung."),
    ],
)
def test_template_sentences(one: Record, said: str) -> None:
    found = after(Template(), [one])
    assert found.phrases == (said,)
    assert (found.targets[0] is None) == (not one.located)
    if one.located:
        np.testing.assert_array_equal(found.targets[0], one.truth)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (record("Right opacity."), "it has no label of a finding"),
        (record("Right opacity.", labels=("No Finding",)), "it has no label of a finding"),
        (record("Opacity.", None, labels=("opacity",)), "its side is not known, and the template names a place"),
    ],
)
def test_templates_leave_out_what_they_have_no_words_for(one: Record, reason: str) -> None:
    for perturbation in (Template(), TemplateOtherFinding()):
        found = after(perturbation, [one, record("Left nodule", labels=("nodule",))])
        assert found.reasons[0] == reason


def test_what_a_phrase_denies_is_not_said_plainly() -> None:
    denied = record("No effusion in the right lung.", labels=("effusion",), abnormal=False)
    other = record("Left nodule.", LEFT, labels=("nodule",))
    for perturbation in (Template(), TemplateOtherFinding()):
        found = after(perturbation, [denied, other])
        assert found.phrases[0] is None
        assert found.reasons[0] == "it speaks of no finding, or denies one"


def test_phrases_of_one_image_without_a_name_are_of_one_patient() -> None:
    image = np.zeros(SIZE)
    same = [Record(phrase=phrase, image=image, boxes=[RIGHT]) for phrase in ("Right nodule.", "Left effusion.")]
    for perturbation in (RandomSentence(), RandomBoxes()):
        assert after(perturbation, same).phrases == (None, None)


def test_a_template_of_ones_own() -> None:
    german = Template(text="{finding} {place}", left="links", right="rechts", both="beidseits", language="de")
    found = after(
        german, [record("Erguss", LEFT, labels=("Erguss",)), record("Im linken Lappen", None, labels=("Herd",))]
    )
    assert found.phrases == ("erguss links", "herd links")
    assert after(Template(text="{finding} {{"), [record("x", None, labels=("a",))]).phrases == ("a {",)


@pytest.mark.parametrize("text", ["There is opacity.", "{finding} {where}", "{} {finding}"])
def test_a_template_with_other_fields_is_refused(text: str) -> None:
    with pytest.raises(ml.InputError, match=r"must have \{finding\}"):
        Template(text=text)


def test_the_other_finding_is_one_that_the_study_does_not_have() -> None:
    of_study = {"patient": "p", "study": "s"}
    given = [
        record("x", labels=("opacity",), **of_study),
        record("y", LEFT, labels=("effusion",), **of_study),
        record("z", labels=("Nodule",), patient="q", study="t"),
    ]
    draws = [after(TemplateOtherFinding(), given, seed) for seed in range(20)]
    assert {found.phrases[0] for found in draws} == {"There is nodule in the right lung."}
    assert {found.phrases[1] for found in draws} == {"There is nodule in the left lung."}
    assert {found.phrases[2] for found in draws} == {
        f"There is {it} in the right lung." for it in ("opacity", "effusion")
    }
    assert draws[0].targets == (None, None, None)


def test_where_the_study_has_every_finding_there_is_no_other() -> None:
    found = after(TemplateOtherFinding(), [record("x", labels=("opacity",))])
    assert found.reasons == ("no record has a finding that its study does not have",)


# All of them


@pytest.mark.parametrize("perturbation", STANDARD, ids=lambda one: one.name)
def test_the_same_seed_gives_the_same_and_rows_stay_in_line(perturbation: Any) -> None:
    given = cohort()
    one, again = after(perturbation, given, 3), after(perturbation, given, 3)
    assert one.phrases == again.phrases
    assert one.reasons == again.reasons
    assert len(one.phrases) == len(given)
    for column in ("truths", "targets"):
        for first, second in zip(getattr(one, column), getattr(again, column), strict=True):
            np.testing.assert_array_equal(first, second)
    assert one.kept.any()
    for phrase, truth, target, reason, own in zip(
        one.phrases, one.truths, one.targets, one.reasons, given, strict=True
    ):
        assert (phrase is None) == bool(reason)
        if phrase is None:
            assert truth is target is None
        for mask in (truth, target):
            assert mask is None or (mask.dtype == bool and mask.shape == own.size)


@pytest.mark.parametrize("name", ["shuffle", "random sentence", "random boxes", "template, other finding"])
def test_another_seed_gives_something_else(name: str) -> None:
    found = [after(perturbation_of(name), cohort(), seed) for seed in range(4)]
    masks = {tuple(None if truth is None else truth.tobytes() for truth in one.truths) for one in found}
    assert len({one.phrases for one in found}) > 1 or len(masks) > 1


@pytest.mark.parametrize("perturbation", STANDARD, ids=lambda one: one.name)
def test_no_records_are_no_rows(perturbation: Any) -> None:
    found = after(perturbation, [])
    assert found.phrases == found.truths == found.targets == found.reasons == ()
    assert found.kept.shape == (0,)


def test_perturbations_by_name() -> None:
    names = [one.name for one in STANDARD]
    assert names == [
        "swap left/right",
        "shuffle",
        "random sentence",
        "random boxes",
        "template",
        "template, other finding",
    ]
    assert [perturbation_of(name) for name in names] == list(STANDARD)
    assert perturbation_of(SwapLaterality(language="de")) == SwapLaterality(language="de")
    assert all(one.words.endswith(".") for one in STANDARD)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("shufle", r"perturbations='shufle' is not known \(did you mean 'shuffle'\?\)"),
        (Shuffle, r"came the class Shuffle; write Shuffle\(\)"),
        (7, r"expected one of 'swap left/right', .*or an object with name, words and changed\(records, rng\); came 7"),
    ],
)
def test_what_is_no_perturbation_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ml.InputError, match=message):
        perturbation_of(given)


def test_a_change_of_ones_own_is_checked() -> None:
    with pytest.raises(ml.InputError, match=r"have \[1, 1, 1, 2\] rows"):
        Changed(phrases=("a",), truths=(None,), targets=(None,), reasons=("", ""))
    with pytest.raises(ml.InputError, match=r"record 0 has the phrase None and the reason ''"):
        Changed.of([Row()])
