"""`ml.audit` on small records whose scores are known by hand, and on the phantom with models whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import modalens as ml
from audited import (  # fmt: skip
    LEFT,
    RIGHT,
    SIZE,
    Maps,
    bilateral,
    blind,
    exchanged,
    half,
    mirrored,
    obedient,
    oracle,
    phantom,
    picture,
    record,
)
from modalens.alignment import Crop, Flip, Given, HeatMap, Record, Resize, SwapLaterality
from modalens.alignment.perturbations import Changed
from modalens.alignment.result import Audit
from modalens.alignment.sheet import FLOOR
from modalens.errors import InputError

SWAP, RANDOM = "swap left/right", "random sentence"


def value(audit: Audit, score: str, condition: str = "as it is") -> np.ndarray:
    return audit.data.value.sel(score=score, condition=condition).values


# What must hold of models whose answers are known ---------------------------------------------------------------------------------


def test_a_model_that_does_not_read_has_exactly_no_change() -> None:
    audit = ml.audit(blind, phantom(), scores=["auroc", "iou@10%"])
    for condition in (SWAP, RANDOM, "shuffle", "template", "template, other finding"):
        changed = audit.deltas.sel(condition=condition)
        assert (changed.fillna(0) == 0).all()
        assert audit.moved.sel(condition=condition) == 0
    assert int(audit.data.flipped.notnull().sum()) > 10
    assert audit.flip_rate == 0


def test_an_oracle_reaches_what_can_be_reached() -> None:
    records = phantom()
    audit = ml.audit(oracle(records), records, perturbations=[SWAP, RANDOM, "random boxes"])
    np.testing.assert_allclose(audit.scores.sel(score="auroc").values, 1)
    np.testing.assert_allclose(audit.scores.sel(score="average_precision").values, 1)
    assert audit.flip_rate == 1
    swapped = {"condition": SWAP, "subset": "one lung"}
    for score in ("auroc", "average_precision", "wrong_lung", "iou@10%"):
        at = swapped | {"score": score}
        np.testing.assert_allclose(audit.deltas.sel(at), audit.attainable_deltas.sel(at))
    assert audit.deltas.sel(swapped | {"score": "auroc"}) < -0.5
    for score in ("auroc", "average_precision"):
        at = {"condition": "random boxes", "subset": "all", "score": score}
        np.testing.assert_allclose(audit.deltas.sel(at), audit.attainable_deltas.sel(at))


def test_an_oracle_after_the_swap_has_the_auroc_of_the_closed_form() -> None:
    audit = ml.audit(oracle(bilateral(5)), bilateral(5), perturbations=[SWAP])
    area = 9 / 64
    np.testing.assert_allclose(value(audit, "auroc", SWAP), 0.5 - area / (2 * (1 - area)))


@pytest.mark.parametrize("model", [obedient, mirrored, blind])
def test_flipping_image_and_boxes_and_swapping_the_text_leaves_an_equivariant_model_as_it_is(model: object) -> None:
    records = [one for one in phantom() if one.side in ("left", "right")]
    turned = [replace(exchanged(one), steps=(Flip(),)) for one in records]
    one, other = (ml.audit(model, each, perturbations=[SWAP]) for each in (records, turned))
    np.testing.assert_allclose(one.data.value, other.data.value, atol=1e-6)
    np.testing.assert_allclose(one.data.followed, other.data.followed, atol=1e-6)
    np.testing.assert_array_equal(one.data.flipped, other.data.flipped)


# By hand ----------------------------------------------------------------------------------------------------------------------------


def few() -> list[Record]:
    return [
        record("Opacity in the right lung.", RIGHT, name="a", number=1),
        record("Opacity in the left lung.", LEFT, name="a", number=1),
        record("Right middle lobe opacity.", RIGHT, name="b", number=2),
        record("Cardiomegaly.", (3, 3, 5, 6), name="c", number=3, labels=("cardiomegaly",)),
        record("Left nodule.", LEFT, name="d", number=4, frontal=False, labels=("nodule",), laterality="left"),
        record("No effusion.", None, name="d", number=4, labels=("effusion",), abnormal=False),
    ]


def test_scores_are_those_of_each_pixel() -> None:
    audit = ml.audit(obedient, few(), perturbations=[SWAP])
    for place, one in enumerate(few()[:5]):
        shown = obedient([one.pixels()], [one.phrase])[0]
        assert value(audit, "auroc")[place] == pytest.approx(roc_auc_score(one.truth.ravel(), shown.ravel()))
        # 9 pixels of 64 lie in a box; half of the image ties at the top
        assert value(audit, "pointing_game")[place] == pytest.approx(one.truth[shown == 1].mean())
    assert np.isnan(value(audit, "auroc")[5])
    assert audit.scores.sel(subset="all", score="auroc") == pytest.approx(np.mean(value(audit, "auroc")[:5]))
    assert audit.counted("one lung") == 3
    np.testing.assert_allclose(value(audit, "wrong_lung"), [0, 0, 0, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(value(audit, "side_mass")[:3], 1 / 1.1)


def test_swapped_records_change_by_hand() -> None:
    audit = ml.audit(obedient, few(), perturbations=[SWAP])
    # 9 of 64 pixels are the region, 32 of the map are bright: .5 + 23/55 of the pairs, half of them tied
    right = (32 + 23 / 2) / 55
    np.testing.assert_allclose(value(audit, "auroc")[:2], right)
    np.testing.assert_allclose(value(audit, "auroc", SWAP)[:2], (23 / 2) / 55)
    assert np.isnan(value(audit, "auroc", SWAP)[2:]).all()
    at = {"condition": SWAP, "subset": "all", "score": "auroc"}
    assert audit.deltas.sel(at) == pytest.approx(23 / 2 / 55 - right)
    assert audit.attainable_deltas.sel(at) == pytest.approx((55 - 9) / 2 / 55 - 1)
    assert audit.wrong_lung.values == pytest.approx([0, 1])
    assert audit.moved.sel(condition=SWAP) == pytest.approx(32 * (1 - 0.1) / 35.2 * np.log(10))
    np.testing.assert_array_equal(audit.data.flipped.values, [1, 1, np.nan, np.nan, np.nan, np.nan])


def test_what_is_left_out_is_counted() -> None:
    audit = ml.audit(obedient, few())
    assert audit.left_out(SWAP) == {
        "the phrase has no mirror: 'middle lobe' is in the right lung only": 1,
        "the phrase names no side": 1,
        "the view is not frontal: left and right can't be told apart in it": 1,
    }
    assert audit.left_out("shuffle") == {"its report has no other phrase": 2}
    assert audit.reasons["wrong_lung", "the region does not lie on one side of a frontal view"] == 2
    shown = str(audit)
    assert "Left out of the swap: 3 of 5 sentences" in shown
    assert "nobody has annotated where the phrase points" in shown


def test_a_map_of_zeros_where_the_other_is_not_moves_far_but_not_infinitely() -> None:
    records = bilateral(6)
    audit = ml.audit(oracle(records), records, perturbations=[SWAP])
    assert audit.moved.sel(condition=SWAP) == pytest.approx(np.log(1 / 9 / FLOOR), rel=1e-6)
    assert np.isfinite(audit.interval.moved).all()


# Means and intervals --------------------------------------------------------------------------------------------------------------


def slow_interval(values: np.ndarray, patients: Sequence[str], seed: int) -> np.ndarray:
    """Patients drawn with replacement, all records of each; quantiles of the means."""
    names = sorted(set(patients))
    generator = np.random.default_rng(np.random.SeedSequence((seed, 2)))
    means = []
    for counts in generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=1000):
        drawn = [v for name, count in zip(names, counts, strict=True) for v in values[np.array(patients) == name].tolist() * count]  # fmt: skip
        means.append(np.mean(drawn))
    return np.quantile(means, [0.025, 0.975])


def test_all_records_of_a_patient_move_together() -> None:
    records = [
        record("Left opacity.", LEFT, name=f"i{place}", number=place, patient=f"p{place % 6}") for place in range(17)
    ]
    audit = ml.audit(blind, records, perturbations=[], seed=4)
    expected = slow_interval(value(audit, "auroc"), [one.patient for one in records], seed=4)
    np.testing.assert_allclose(audit.interval.scores.sel(score="auroc", subset="all"), expected)
    gains = value(audit, "auroc") - audit.data.baseline_value.sel(score="auroc", baseline="centre").values
    expected = slow_interval(gains, [one.patient for one in records], seed=4)
    np.testing.assert_allclose(audit.interval.gains.sel(score="auroc", subset="all", baseline="centre"), expected)


def test_fewer_than_five_patients_have_no_interval() -> None:
    five = ml.audit(obedient, bilateral(5), perturbations=[SWAP])
    four = ml.audit(obedient, bilateral(4), perturbations=[SWAP])
    assert not five.interval.flip_rate.isnull().any()
    assert all(one.isnull().all() for one in four.interval.data_vars.values())


def test_fewer_than_five_patients_behind_one_number_leave_that_without_an_interval() -> None:
    others = [
        record("Left nodule.", LEFT, name=f"q{place}", number=50 + place, labels=("nodule",)) for place in range(3)
    ]
    audit = ml.audit(obedient, [*bilateral(4), *others], perturbations=[SWAP])
    assert audit.interval.flip_rate.isnull().all()
    assert audit.interval.scores.sel(subset="bilateral", score="auroc").isnull().all()
    assert audit.interval.scores.sel(subset="all", score="auroc").notnull().all()
    assert audit.verdict.startswith("Too few patients")


def test_the_swap_moves_maps_of_one_lung_and_others_all() -> None:
    across = record("Right opacity.", (2, 2, 7, 5), name="x", number=80)  # its region reaches into both halves
    audit = ml.audit(obedient, [*bilateral(2), across], perturbations=[SWAP, "template"])
    one_lung = audit.data.member.sel(subset="one lung").values
    moved = audit.data.divergence.sel(condition=SWAP).values
    assert not one_lung[-1]
    assert moved[-1] > 0
    assert audit.moved.sel(condition=SWAP) == pytest.approx(moved[one_lung].mean())
    others = audit.data.divergence.sel(condition="template").values
    assert audit.moved.sel(condition="template") == pytest.approx(np.nanmean(others))


def test_phrases_of_one_image_without_a_name_are_of_one_patient() -> None:
    image, another = np.zeros((8, 8)), np.zeros((8, 8))
    pictures = (image, another, image)
    records = [Record(phrase="Left opacity.", image=picture, boxes=[LEFT]) for picture in pictures]
    patients = ml.audit(blind, records, perturbations=[]).data.patient.values
    assert patients.tolist() == ["record 0", "record 1", "record 0"]


def test_only_records_of_one_lung_count_for_the_wrong_lung() -> None:
    denied = record("No left effusion.", None, name="n", number=70, laterality="left", abnormal=False)
    lateral = record("Left opacity.", LEFT, name="v", number=71, laterality="left", frontal=False)
    audit = ml.audit(mirrored, [*bilateral(2), denied, lateral], perturbations=[])
    assert audit.wrong_lung.item() == 1
    assert audit.data.value.sel(score="wrong_lung").notnull().sum() == 5  # the denied one has a side, and no region
    kept = ml.audit(obedient, [*bilateral(2), replace(denied, laterality="right")], perturbations=[])
    assert kept.wrong_lung.item() == 0


# How the model is asked ----------------------------------------------------------------------------------------------------------


@dataclass
class Counting:
    """Counts what it is asked."""

    asked: list[tuple[bytes, str]]
    most: int = 0

    def heat_maps(self, images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        self.asked += [(image.tobytes(), phrase) for image, phrase in zip(images, phrases, strict=True)]
        self.most = max(self.most, len(phrases))
        return obedient(images, phrases)


def test_every_pair_is_asked_for_once() -> None:
    model = Counting([])
    records = bilateral(6)
    ml.audit(model, records, batch_size=5)
    assert len(model.asked) == len(set(model.asked))
    assert model.most == 5
    # two phrases and two templates an image; the swap, shuffles and random sentences are among the phrases
    assert len(model.asked) == 6 * 4


def test_an_image_without_a_name_is_known_by_itself() -> None:
    model = Counting([])
    shared, other = picture(1), picture(1)
    records = [Record(phrase="Left opacity.", image=image, boxes=[LEFT]) for image in (shared, shared, other)]
    ml.audit(model, records, perturbations=[])
    assert len(model.asked) == 2


def test_the_same_seed_gives_the_same_to_the_bit_whatever_the_batches() -> None:
    one, same, batched, other = (
        ml.audit(blind, phantom(12), seed=seed, batch_size=size) for seed, size in ((5, 32), (5, 32), (5, 3), (6, 32))
    )
    assert one.data.identical(same.data)
    assert str(one) == str(same)
    assert one.interval.identical(same.interval)
    assert one.data.identical(batched.data)
    assert not one.data.equals(other.data)


# Where maps lie -------------------------------------------------------------------------------------------------------------------


def large(images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[HeatMap]:
    """Looks at the middle of the image only."""
    height, width = images[0].shape
    values = np.random.default_rng(0).random((6, 6))
    return [HeatMap(values=values, extent=(width / 4, height / 4, width, height)) for _ in images]


def test_large_images_are_scored_on_fewer_pixels() -> None:
    image = np.random.default_rng(0).random((400, 600))
    records = [Record(phrase="Left opacity.", image=image, boxes=[(330, 120, 480, 260)], image_id=str(place)) for place in range(2)]  # fmt: skip
    whole, fewer = (ml.audit(large, records, longest=longest) for longest in (None, 120))
    for score in ("auroc", "average_precision", "iou@10%", "side_mass"):
        np.testing.assert_allclose(value(whole, score), value(fewer, score), atol=0.02)
    assert not whole.data.equals(fewer.data)
    assert fewer.settings["longest"] == 120


def test_scores_within_an_extent_are_those_of_the_crop() -> None:
    def looks_right_below(images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[HeatMap]:
        return [HeatMap(values=image[4:, 2:], extent=(2, 4, 8, 8)) for image in images]

    cropped = [replace(one, steps=(Crop(height=4, width=6, top=4, left=2),)) for one in bilateral(3)]
    seen, crop = ml.audit(looks_right_below, bilateral(3), perturbations=[]), ml.audit(blind, cropped, perturbations=[])
    for score in ("auroc", "average_precision", "contrast_to_noise", "precision@20%"):
        np.testing.assert_allclose(value(seen, score), value(crop, score))


def test_cells_are_blocks() -> None:
    def grid(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        return [np.array([[4.0, 1.0], [3.0, 2.0]]) for _ in images]

    records = bilateral(2)
    blocks = np.kron([[4, 1], [3, 2]], np.ones((4, 4)))
    expected = [roc_auc_score(one.truth.ravel(), blocks.ravel()) for one in records]
    audit = ml.audit(grid, records, perturbations=[], interpolation="cells")
    np.testing.assert_allclose(value(audit, "auroc"), expected)
    assert not np.allclose(value(ml.audit(grid, records, perturbations=[]), "auroc"), expected)


def test_signed_maps_are_ranked_whole_and_weighed_where_above_0() -> None:
    def signed(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        return [half("right", low=-3.0) - half("left", low=0.0) * np.arange(8) for _ in images]

    audit = ml.audit(signed, bilateral(2), perturbations=[])
    shown = signed([picture()], [""])[0]
    np.testing.assert_allclose(value(audit, "auroc"), [roc_auc_score(one.truth.ravel(), shown.ravel()) for one in bilateral(2)])  # fmt: skip
    assert (value(audit, "side_mass") == [1, 0, 1, 0]).all()


def test_maps_of_unequal_grids_are_scored_and_their_divergence_is_not() -> None:
    def uneven(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        return [half("left", (4, 4) if "left" in phrase else SIZE) for phrase in phrases]

    audit = ml.audit(uneven, bilateral(5), perturbations=[SWAP])
    assert not np.isnan(value(audit, "auroc")).any()
    assert audit.data.divergence.sel(condition=SWAP).isnull().all()
    assert not np.isnan(audit.flip_rate)


def test_another_size_of_the_same_image_is_no_counterpart() -> None:
    right, left = bilateral(1)
    audit = ml.audit(obedient, [right, left.through(Resize(to=(16, 16)))], perturbations=[SWAP])
    assert audit.data.flipped.isnull().all()


def test_regions_are_those_after_the_steps() -> None:
    records = [one.through(Resize(to=(32, 32)), Crop(height=24, width=24)) for one in bilateral(2)]
    audit = ml.audit(obedient, records, perturbations=[])
    expected = [roc_auc_score(one.truth.ravel(), half(one.side, (24, 24)).ravel()) for one in records]
    np.testing.assert_allclose(value(audit, "auroc"), expected)


def test_a_region_that_was_cropped_away_is_counted() -> None:
    records = [*bilateral(2), bilateral(3)[4].through(Crop(height=2, width=8, top=6, left=0))]
    audit = ml.audit(obedient, records)
    assert np.isnan(value(audit, "auroc")[4])
    assert audit.reasons["auroc", "the region is empty"] == 1


# Scores, baselines, perturbations of one's own ------------------------------------------------------------------------------------


def test_scores_of_ones_own_stand_beside_what_the_verdict_needs() -> None:
    audit = ml.audit(obedient, few(), perturbations=[], scores={"in the region": lambda map, mask: map[mask].sum()})
    assert audit.data.score.values.tolist() == ["in the region", "auroc", "wrong_lung", "entropy"]
    np.testing.assert_allclose(value(audit, "in the region")[:3], 9.0)
    assert "in the region" in str(audit)


def test_a_score_of_ones_own_that_is_no_number_is_counted() -> None:
    audit = ml.audit(obedient, few(), perturbations=[], scores={"mine": lambda map, mask: float("nan")})
    assert audit.reasons["mine", "the score given is not a number here"] == 5


@dataclass(frozen=True)
class Backwards:
    """Every phrase from its end."""

    name: str = "backwards"
    words: str = "Phrases are read from the end."
    rows: int | None = None
    region: np.ndarray | None = None

    def changed(self, records: Sequence[Record], rng: np.random.Generator) -> Changed:
        phrases = tuple(one.phrase[::-1] for one in records)[: self.rows]
        nothing = (None,) * len(phrases)
        return Changed(phrases=phrases, truths=(self.region,) * len(phrases), targets=nothing, reasons=("",) * len(phrases))  # fmt: skip


def test_perturbations_and_baselines_of_ones_own() -> None:
    audit = ml.audit(obedient, few(), perturbations=[Backwards()], baselines={"mirror": mirrored}, training=few()[:1])
    assert audit.conditions == ["as it is", "backwards"]
    assert audit.data.baseline.values.tolist() == ["uniform", "centre", "mean box", "mirror"]
    np.testing.assert_allclose(
        value(audit, "auroc", "backwards")[:2], [11.5 / 55, 43.5 / 55]
    )  # no "right" in it: the left
    np.testing.assert_allclose(audit.data.baseline_value.sel(baseline="mirror", score="auroc")[:2], 11.5 / 55)


def test_languages_are_those_of_the_perturbation() -> None:
    records = [record("Erguss rechts.", RIGHT, name="a"), record("Erguss links.", LEFT, name="a")]
    audit = ml.audit(blind, records, perturbations=[SwapLaterality(language="de")])
    assert audit.data.phrase.sel(condition=SWAP).values.tolist() == ["Erguss links.", "Erguss rechts."]


# What is refused ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"records": []}, r"there is no record to audit"),
        ({"records": [Record(phrase="x", image=picture())]}, r"none of 1 records has a region"),
        ({"records": ["x"]}, r"records\[0\] is a str"),
        ({"model": 3}, r"int is neither"),
        ({"perturbations": [SWAP, SWAP]}, r"two perturbations are named 'swap left/right'"),
        ({"perturbations": ["swop left/right"]}, r"did you mean 'swap left/right'"),
        ({"perturbations": [SwapLaterality]}, r"write SwapLaterality\(\)"),
        ({"perturbations": [Backwards(name="as it is")]}, r"two perturbations are named 'as it is'"),
        ({"perturbations": [Backwards(rows=2)]}, r"'backwards' gives 2 rows for 6 records"),
        ({"perturbations": [Backwards(region=np.ones((3, 3), bool))]}, r"a region of \(3, 3\) for record of image 'a'.*expected \(8, 8\)"),
        ({"scores": ["aurok"]}, r"did you mean 'auroc'"),
        ({"scores": ["auroc", "auroc"]}, r"'auroc' is asked for twice"),
        ({"scores": ["iou@0.1"]}, r'such as "iou@10%"'),
        ({"scores": "auroc"}, r"give a list of names"),
        ({"scores": [len]}, r"Give functions of your own by name"),
        ({"scores": {"auroc": len}}, r"'auroc' is a score that is there already"),
        ({"scores": {"mine": 3}}, r"'mine' must be a function of a map and a mask"),
        ({"scores": {"mine": lambda map, mask: map}}, r"'mine' must give one number"),
        ({"interpolation": "bilinaer"}, r"did you mean 'bilinear'"),
        ({"batch_size": 0}, r"batch_size=0"),
        ({"confidence": 95}, r"confidence=95"),
        ({"longest": 0}, r"longest=0"),
        ({"network": 3}, r"network must be the torch.nn.Module"),
        ({"training": [Record(phrase="x", image=picture())]}, r"MeanBox.fit"),
    ],
)  # fmt: skip
def test_what_is_refused(given: dict, said: str) -> None:
    settings: dict = {"model": obedient, "records": few()} | given
    with pytest.raises(InputError, match=said):
        ml.audit(settings.pop("model"), settings.pop("records"), **settings)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda images, phrases: [picture()], r"the model gave 1 heat maps for 3 images and phrases"),
        (lambda images, phrases: None, r"the model gave NoneType for 3 images and phrases"),
        (lambda images, phrases: [np.full(SIZE, np.nan)] * 3, r"image 'a', phrase 'Opacity in the left lung.': a heat map holds NaN"),
        (lambda images, phrases: [np.ones(3)] * 3, r"image 'a'.*a heat map has rows and columns; an array of shape \(3,\) came"),
        (lambda images, phrases: [["x"]] * 3, r"image 'a'.*could not convert"),
    ],
)  # fmt: skip
def test_maps_that_are_none_are_refused(model: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ml.audit(model, few(), perturbations=[], batch_size=3)


def test_what_a_model_raises_has_a_note_of_where() -> None:
    def breaks(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory") as caught:
        ml.audit(breaks, few(), perturbations=[])
    assert "first one image 'a', phrase 'Opacity in the left lung.'" in caught.value.__notes__[0]


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(InputError, match=r"x\.png"):
        ml.audit(obedient, [Record(phrase="Left opacity.", image=tmp_path / "x.png", boxes=[LEFT])])


def test_boxes_outside_of_a_file_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", picture())
    with pytest.raises(InputError, match=r"lies outside the image of 8 x 8"):
        ml.audit(obedient, [Record(phrase="Left opacity.", image=tmp_path / "x.npy", boxes=[(5, 5, 20, 20)])])


def test_maps_given_are_found_by_image_and_phrase() -> None:
    records = bilateral(2)
    maps = {(one.image_id, one.phrase): half(one.side) for one in records}
    audit = ml.audit(Given(maps=maps), records, perturbations=[SWAP])
    assert audit.data.equals(ml.audit(obedient, records, perturbations=[SWAP]).data)
    with pytest.raises(InputError, match=r"no heat map of image 'p0' for the phrase 'There is opacity in the"):
        ml.audit(Given(maps=maps), records, perturbations=["template"])
    with pytest.raises(InputError, match=r"give it an image_id"):
        ml.audit(Given(maps=maps), [replace(records[0], image_id="")], perturbations=[])
