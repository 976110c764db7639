"""What the page of an audit says and draws of single maps: halves of the patient, sentences, pictures, the list of records."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import modalens as ml
from audited import RIGHT, bilateral, obedient, record
from modalens.alignment import HeatMap, Record
from modalens.alignment.perturbations import SwapLaterality
from modalens.alignment.regions import Flip
from modalens.app import live
from modalens.app.audited_record import Audited, _scores
from modalens.app.following import followed, language_of, lies, mass_on
from modalens.app.listed_records import Asked, findings_of, table_of
from modalens.app.overlay import LONGER, difference, layers, png
from modalens.errors import InputError


def halves(on_image_left: float) -> HeatMap:
    """This share of the map in the image's left half, which is the patient's right."""
    return HeatMap(values=np.repeat([[on_image_left, 1 - on_image_left]], 8, axis=0))


PLAIN = Record(phrase="Right opacity.", image=np.linspace(0, 1, 64).reshape(8, 8), boxes=[RIGHT])


def told(was: float, now: float, changed: str = "Left opacity.", of: Record = PLAIN) -> str:
    return followed(of, halves(was), halves(now), phrase="Right opacity.", changed=changed, smooth=False)


@pytest.mark.parametrize(
    ("was", "now", "ends"),
    [
        (0.75, 0.25, "75 % of the map lies in the patient's right half; with the changed sentence 25 %: the map follows the text."),
        (0.63, 0.61, "right half; with the changed sentence 61 %: the map hardly follows the text."),
        (0.9, 0.6, "the map moves towards the side that the text names, but does not change sides."),
        (0.4, 0.7, "60 % of the map lies in the patient's left half; with the changed sentence 30 %: the map moves away from the side that the text names."),
        (0.4, 0.1, "60 % of the map lies in the patient's left half; with the changed sentence 90 %: the map moves towards the side that the text names, but does not change sides."),
    ],
)  # fmt: skip
def test_whether_a_map_follows_is_said(was: float, now: float, ends: str) -> None:
    said, moved = told(was, now).rsplit(" The map ", 1)
    assert said.endswith(ends)
    p, q = np.array([was, 1 - was]), np.array([now, 1 - now])
    assert f"(J divergence {0.5 * ((p - q) * np.log(p / q)).sum():.2g} nats)." in moved
    mirrored = replace(PLAIN, steps=(Flip(),))
    assert told(1 - was, 1 - now, of=mirrored) == told(was, now)  # the model sees it flipped, and so is its map


def test_only_a_change_of_sides_is_judged_by_sides() -> None:
    assert told(0.6, 0.2, "Nodule.").endswith("with the changed sentence 20 %. The map moves (J divergence 0.36 nats).")
    assert told(0.6, 0.6, "Right nodule.").endswith("60 %. The map hardly moves (J divergence 0 nats).")


def test_where_there_are_no_sides_none_is_named() -> None:
    lateral = replace(PLAIN, frontal=False)
    assert lies(lateral, halves(0.9)) == "In this view left and right can't be told apart."
    assert told(0.9, 0.1, of=lateral).startswith("In this view left and right can't be told apart. The map moves")
    nothing = HeatMap(values=np.zeros((2, 2)))
    assert lies(PLAIN, nothing) == "Nothing is highlighted."
    assert followed(PLAIN, nothing, halves(0.5), phrase="a", changed="b").startswith("Nothing is highlighted. With the")


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_mass_on_a_side_is_that_of_the_patient(mirrored: bool) -> None:
    of = replace(PLAIN, steps=(Flip(),) if mirrored else ())
    on_image_left = mass_on(of, halves(0.8), "left" if mirrored else "right", smooth=False)
    assert on_image_left == pytest.approx(0.8)


def pixels(drawn: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(drawn)), dtype=int)


def marks(of: Record) -> tuple[np.ndarray, np.ndarray]:
    """What is written in the upper corners of a black picture."""
    drawn = pixels(png(of)).sum(axis=2) > 300
    left, right = drawn[:40, : LONGER // 2], drawn[:40, LONGER // 2 :]
    cut = [corner[np.ix_(corner.any(axis=1), corner.any(axis=0))] for corner in (left, right)]
    return cut[0], cut[1]


def test_the_patients_sides_are_marked_as_on_a_film() -> None:
    black = Record(phrase="Opacity.", image=np.zeros((8, 8)))
    right, left = marks(black)
    assert right.sum() > left.sum() > 20  # an R has more ink than an L
    assert left[:4, -3:].sum() == 0  # an L is open above on the right
    mirrored = marks(replace(black, steps=(Flip(),)))
    np.testing.assert_array_equal(mirrored[0], left)
    np.testing.assert_array_equal(mirrored[1], right)
    assert not any(corner.size for corner in marks(replace(black, frontal=False)))


def test_a_map_colours_where_it_is_above_an_even_share() -> None:
    of = Record(phrase="Opacity.", image=np.full((8, 8), 0.5), boxes=[RIGHT], frontal=False)
    (layer,) = layers(of, [halves(0.9)], smooth=False)
    without, with_map = pixels(png(of)), pixels(png(of, layer))
    changed = (without != with_map).any(axis=2)
    assert changed[:, : LONGER // 2].all()
    assert not changed[:, LONGER // 2 :].any()
    np.testing.assert_array_equal(pixels(png(of, layer, strength=0)), without)
    assert 0 < (pixels(png(of, regions=True)) != without).any(axis=2).mean() < 0.1


def test_maps_of_one_record_share_their_colours_and_differences_have_a_sign() -> None:
    one, other = layers(PLAIN, [halves(0.6), halves(1.0)], smooth=False)
    assert one.largest == other.largest == 2.0  # attention has the strongest colour at three even shares
    gap = difference(PLAIN, halves(0.9), halves(0.1), smooth=False)
    np.testing.assert_allclose(gap.values[:, : LONGER // 2], -1.6)
    np.testing.assert_allclose(gap.values[:, LONGER // 2 :], 1.6)
    assert gap.signed
    assert gap.largest == pytest.approx(1.6)
    drawn = pixels(png(replace(PLAIN, image=np.zeros((8, 8)), frontal=False), gap))
    red, blue = drawn[..., 0], drawn[..., 2]
    assert (red[:, LONGER // 2 :] > blue[:, LONGER // 2 :]).all()  # more: red
    assert (red[:, : LONGER // 2] < blue[:, : LONGER // 2]).all()


def test_records_are_listed_by_what_is_asked() -> None:
    other = record("Nodule =1+1 in the lung.", None, name="q", number=9, labels=("nodule", "mass"))
    right, left = bilateral(2)[:2]
    wrong = [replace(right, image=np.eye(8) + 1, image_id="w"), replace(left, phrase="Right (sic) opacity.", image=np.eye(8) + 1, image_id="w")]  # fmt: skip
    audit = ml.audit(obedient, [*bilateral(2), *wrong, other], perturbations=("swap left/right",))
    table = table_of(audit)
    assert list(table.index) == list(range(7))
    np.testing.assert_array_equal(table.auroc, audit.data.value.sel(condition="as it is", score="auroc"))
    assert findings_of(table) == ["mass", "nodule", "opacity"]

    def listed(**asked: Any) -> list[int]:
        return list(Asked(**asked).of(audit, table).index)

    assert listed() == list(range(7))
    assert listed(subset="all") == list(range(6))
    assert listed(finding="mass") == [6]
    assert listed(words="(SIC)") == [5]
    assert listed(map="wrong") == [5]
    assert listed(map="named") == [0, 1, 2, 3, 4]
    flipped = audit.data.flipped.values
    assert listed(map="flipped") == np.flatnonzero(flipped == 1).tolist() != []
    assert listed(map="stays") == np.flatnonzero(flipped == 0).tolist() != []
    low = float(table.auroc[5])
    assert listed(score="auroc", high=low) == [5]
    assert listed(score="auroc", low=low, subset="all") == list(range(6))


def test_the_means_beside_a_record_are_of_the_subset() -> None:
    def sometimes_nowhere(images: list[np.ndarray], phrases: list[str]) -> list[HeatMap]:
        return [HeatMap(values=np.eye(8) + 1, opt_out=0.8 if "Nodule" in phrase else 0.2) for phrase in phrases]

    other = record("Nodule in the right lung.", RIGHT, name="q", number=9, labels=("nodule",))
    audit = ml.audit(sometimes_nowhere, [*bilateral(1), other], perturbations=())
    assert audit.data.member.sel(subset="bilateral").values.tolist() == [True, True, False]
    for subset, mean in {"bilateral": "0.20", "all": "0.40"}.items():
        table = _scores(Audited(name="one", audit=audit, changed=1), 0, None, subset, named=False)
        asked = next(row for row in table.rows if row[0] == "attention that goes nowhere")
        assert asked[1:] == ("0.20", mean)


def test_the_language_is_that_of_the_swap() -> None:
    english = ml.audit(obedient, bilateral(2), perturbations=("swap left/right",))
    assert language_of(english) == "en"
    german = [replace(one, phrase=one.phrase.replace("Opacity in the right lung", "Verschattung in der rechten Lunge")) for one in bilateral(2)]  # fmt: skip
    assert language_of(ml.audit(obedient, german, perturbations=(SwapLaterality(language="de"),))) == "de"
    assert language_of(ml.audit(obedient, bilateral(2), perturbations=())) == "en"


def test_sentences_are_offered_and_models_asked() -> None:
    audit = ml.audit(obedient, bilateral(2), perturbations=("swap left/right", "random sentence"))
    assert live.exchanged(audit, audit.records[0], "Nodule on the right.") == ("Nodule on the left.", "")
    assert live.exchanged(audit, audit.records[0], "Nodule.")[0] is None
    assert live.exchanged(audit, audit.records[0], " ") == (None, "the sentence is empty")
    assert live.offered(audit, audit.records[0], 0)["Said plainly"] == "There is opacity in the right lung."

    def fails(images: object, phrases: object) -> list[np.ndarray]:
        raise ValueError("no")

    def ask(model: object, phrase: str) -> HeatMap:
        return live.answer(f"{model}", 1, model, 0, audit.records[0], phrase)

    found = ask(obedient, audit.records[0].phrase)
    assert live.is_of_audit(audit, 0, found)
    assert not live.is_of_audit(audit, 0, HeatMap(values=1 - found.values))
    assert not live.is_of_audit(audit, 0, HeatMap(values=np.eye(3)))
    assert ask(obedient, "left").values.tolist() == obedient([PLAIN.image], ["left"])[0].tolist()
    with pytest.raises(InputError, match=r"the model failed: ValueError: no"):
        ask(fails, "left")
    with pytest.raises(InputError, match=r"0 heat maps"):
        ask(lambda images, phrases: [], "left")
    with pytest.raises(InputError, match=r"the sentence is empty"):
        ask(obedient, "  ")
    with pytest.raises(InputError, match=r"has 1001 characters: 1000 are read"):
        ask(obedient, "a" * 1001)
