"""The chest phantom: drawn findings are where the boxes say, sentences say what was drawn, and the knobs hold."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from scipy.stats import binomtest

from modalens.alignment.phantom import FINDINGS, SIDED, Phantom, _Body
from modalens.alignment.records import Record
from modalens.alignment.regions import around, painted
from modalens.errors import InputError

KNOBS = Phantom(bilateral=0.3, right=0.7, stripped=0.4)


def studies_of(records: list[Record]) -> list[list[Record]]:
    return [list(study) for _, study in groupby(records, key=lambda record: record.study)]


def findings_of(study: list[Record]) -> list[Record]:
    return [record for record in study if record.located]


def bilateral(study: list[Record]) -> bool:
    return len(findings_of(study)) == 2 and len({record.labels for record in findings_of(study)}) == 1


def first_study(phantom: Phantom, seed: int) -> tuple[_Body, list[Record]]:
    """The first patient of a seed without noise, and the body that was drawn for them."""
    body = _Body.drawn(np.random.default_rng(np.random.SeedSequence((seed, 11))))
    return body, replace(phantom, noise=0).records(1, seed=seed)


def changed(body: _Body, study: list[Record]) -> np.ndarray:
    """The pixels that the findings of a study have changed."""
    return np.asarray(study[0].image != np.clip(body.picture(), 0, 1).astype(np.float32))


@pytest.fixture(scope="module")
def studies() -> list[list[Record]]:
    return studies_of(KNOBS.records(1200, seed=3))


@pytest.fixture(scope="module")
def one_patient_a_seed() -> list[tuple[_Body, list[Record]]]:
    return [first_study(Phantom(), seed) for seed in range(120)]


def near(count: int, of: int, share: float) -> bool:
    """Whether a count could come from a share; a wrong alarm once in ten thousand."""
    return bool(binomtest(count, of, share).pvalue > 1e-4)


# Where findings are


def test_the_box_is_that_of_the_pixels_that_a_finding_changed(
    one_patient_a_seed: list[tuple[_Body, list[Record]]],
) -> None:
    seen = Counter()
    for body, study in one_patient_a_seed:
        pixels, located = changed(body, study), findings_of(study)
        if len(located) == 1:
            np.testing.assert_array_equal(located[0].boxes, around(pixels)[None])
        elif bilateral(study):
            for record in located:
                half = np.s_[:, :32] if record.laterality == "right" else np.s_[:, 32:]
                mine = np.zeros_like(pixels)
                mine[half] = pixels[half]
                np.testing.assert_array_equal(record.boxes, around(mine)[None])
        elif located:
            assert not (pixels & ~painted(np.vstack([record.boxes for record in located]), (64, 64))).any()
            np.testing.assert_array_equal(around(pixels), around(located[0].truth | located[1].truth))
        else:
            assert not pixels.any()
        seen[len(located), bilateral(study)] += 1
        seen.update(record.labels for record in located)
    assert min(seen[key] for key in [(0, False), (1, False), (2, False), (2, True)]) >= 10
    assert min(seen[finding,] for finding in FINDINGS) >= 5


def test_findings_lie_in_the_lung_that_is_named_or_in_the_heart(
    one_patient_a_seed: list[tuple[_Body, list[Record]]],
) -> None:
    for body, study in one_patient_a_seed:
        allowed = np.zeros((64, 64), dtype=bool)
        for record in findings_of(study):
            allowed |= body._heart(1.8) if record.labels == ("cardiomegaly",) else body.lung(record.laterality)
        assert not (changed(body, study) & ~allowed).any()


def test_right_is_on_the_left_of_the_picture(studies: list[list[Record]]) -> None:
    for record in (record for study in studies for record in findings_of(study)):
        if record.labels == ("cardiomegaly",):
            assert record.laterality == ""
            continue
        assert (record.boxes[0][2] <= 32) == (record.laterality == "right")
        assert (record.boxes[0][0] >= 32) == (record.laterality == "left")
        assert replace(record, laterality="").side == record.laterality  # as the box says


def test_zones_are_one_above_the_other(studies: list[list[Record]]) -> None:
    heights: dict[str, list[float]] = {"upper": [], "middle": [], "lower": []}
    for record in (record for study in studies for record in findings_of(study)):
        for zone in heights:
            if zone in record.phrase.lower():
                heights[zone].append(float(record.boxes[0][[1, 3]].mean()))
    assert max(heights["upper"]) < min(heights["middle"])
    assert max(heights["middle"]) < min(heights["lower"])


def test_the_lungs_mirror_each_other() -> None:
    body = _Body(x=32, y=32, scale=1)
    np.testing.assert_array_equal(body.lung("right"), body.lung("left")[:, ::-1])
    assert not (body.lung("right") & body.lung("left")).any()
    assert (body.picture()[body.lung("right")][0], body.picture()[0, 0]) == (0.22, 0.05)


# What sentences say


def test_sentences_name_what_was_drawn(studies: list[list[Record]]) -> None:
    names = {"cardiomegaly": ("cardiomegaly", "heart")}
    for record in (record for study in studies for record in study):
        (finding,) = record.labels
        text = record.phrase.lower()
        assert any(name in text for name in names.get(finding, (finding,)))
        assert not any(other in text for other in FINDINGS if other != finding)
        sides = [side for side in ("left", "right") if side in text.strip(".").split()]
        assert sides in ([], [record.laterality])
        assert record.phrase[0].isupper()
        assert record.phrase.endswith(".")
        assert "  " not in record.phrase
        assert " ." not in record.phrase


def test_two_sentences_of_every_study_deny_what_is_not_there(studies: list[list[Record]]) -> None:
    for study in studies:
        shown = {record.labels for record in findings_of(study)}
        denied = [record for record in study if not record.located]
        assert len({record.labels for record in denied}) == len(denied) == 2
        assert not shown & {record.labels for record in denied}
        assert all(not record.of_finding and not record.laterality for record in denied)
        assert all(record.of_finding for record in findings_of(study))
        assert all(record.image is study[0].image for record in study)


def test_the_vocabulary_is_small() -> None:
    words = {word for record in Phantom().records(400, seed=0) for word in record.phrase.lower().strip(".").split()}
    assert 25 <= len(words) <= 40


# Knobs


def test_shares_are_those_of_the_knobs(studies: list[list[Record]]) -> None:
    with_findings = [study for study in studies if findings_of(study)]
    one_kind = [study for study in with_findings if not bilateral(study)]
    assert near(len(studies) - len(with_findings), len(studies), 0.15)
    assert near(sum(map(bilateral, with_findings)), len(with_findings), KNOBS.bilateral)
    assert near(sum(len(findings_of(study)) == 1 for study in one_kind), len(one_kind), 0.5 / 0.85)
    sided = [record for study in one_kind for record in findings_of(study) if record.labels[0] in SIDED]
    assert near(sum(record.laterality == "right" for record in sided), len(sided), KNOBS.right)
    sided += [record for study in studies if bilateral(study) for record in findings_of(study)]
    without = sum(not {"left", "right"} & set(record.phrase.lower().strip(".").split()) for record in sided)
    assert near(without, len(sided), KNOBS.stripped)
    for finding in FINDINGS:
        alone = [findings_of(study)[0] for study in one_kind if len(findings_of(study)) == 1]
        assert near(sum(record.labels == (finding,) for record in alone), len(alone), 1 / 5)


def test_bilateral_studies_show_one_kind_on_both_sides(studies: list[list[Record]]) -> None:
    for study in filter(bilateral, studies):
        assert [record.laterality for record in findings_of(study)] == ["right", "left"]
        assert study[0].labels[0] in SIDED


def test_knobs_at_their_ends() -> None:
    records = Phantom(bilateral=0, right=1, stripped=1).records(60, seed=1)
    assert not any(map(bilateral, studies_of(records)))
    assert {record.laterality for record in records} == {"right", ""}
    assert not any(word in record.phrase.lower() for record in records for word in ("left", "right"))
    assert "A pleural effusion is seen." in {record.phrase for record in records}
    every = studies_of(Phantom(bilateral=1, stripped=0).records(60, seed=1))
    assert all(bilateral(study) for study in every if findings_of(study))
    assert all(record.laterality in record.phrase.lower() for study in every for record in findings_of(study))


def test_stripping_and_noise_leave_the_patients_as_they_are() -> None:
    plain, stripped, clean = (Phantom(**knobs).records(40, seed=5) for knobs in ({}, {"stripped": 1.0}, {"noise": 0.0}))
    for one, other, still in zip(plain, stripped, clean, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.boxes, still.boxes)
        assert one.phrase == still.phrase
    # Grey pixels only: black and white ones are cut off at 0 and 1.
    noise = np.concatenate(
        [
            (np.asarray(one.image) - still.image)[(still.image > 0.2) & (still.image < 0.7)]
            for one, still in zip(plain, clean, strict=True)
        ]
    )
    assert noise.std() == pytest.approx(Phantom().noise, rel=0.02)
    assert abs(noise.mean()) < 1e-3


def test_pictures_are_float32_from_0_to_1() -> None:
    image = np.asarray(Phantom(noise=0.5).records(1, seed=0)[0].image)
    assert (image.shape, image.dtype, image.min(), image.max()) == ((64, 64), np.float32, 0, 1)


def test_a_seed_gives_the_same_patients_and_another_seed_others() -> None:
    first, again, other = (Phantom().records(30, seed=seed) for seed in (4, 4, 5))
    assert [record.phrase for record in first] == [record.phrase for record in again]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.boxes, two.boxes)
    assert not np.array_equal(first[0].image, other[0].image)
    assert not {record.patient for record in first} & {record.patient for record in other}
    assert {record.patient for record in Phantom().records(3, seed=4, prefix="test")} == {
        "test-4-0",
        "test-4-1",
        "test-4-2",
    }
    longer = Phantom().records(31, seed=4)
    assert [record.phrase for record in longer[: len(first)]] == [record.phrase for record in first]


def test_hundreds_of_studies_are_drawn_at_once() -> None:
    start = time.process_time()
    Phantom().records(400, seed=0)
    assert time.process_time() - start < 2  # about .3 on a quiet machine


@pytest.mark.parametrize("name", ["bilateral", "right", "stripped"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"{name} is a share, 0 to 1; {value} came"):
        Phantom(**{name: value})


@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_noise_below_zero_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"noise is a standard deviation"):
        Phantom(noise=value)
