"""The verdict: each kind of model is told for what it is, in sentences whose numbers are those of the audit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

import modalens as ml
from audited import LEFT, RIGHT, Maps, bilateral, blind, half, mirrored, obedient, phantom, record
from modalens.alignment import HeatMap, Record, local_attention
from modalens.alignment.result import Audit
from modalens.alignment.verdict import opposite

SWAP, RANDOM = "swap left/right", "random sentence"
FOLLOW = "The highlights follow “left” and “right”: "
NOT = "The highlights do not follow “left” and “right”: "


def audited(model: object, records: Sequence[Record] | None = None, **settings: object) -> Audit:
    return ml.audit(model, bilateral(8) if records is None else records, **({"perturbations": [SWAP, RANDOM]} | settings))  # type: ignore[arg-type]  # fmt: skip


def one_sided(patients: int, side: str = "right") -> list[Record]:
    """One opacity a patient, half of them said plainly and half otherwise, so that a random sentence is another one."""
    box = RIGHT if side == "right" else LEFT
    return [
        record(f"{'Opacity' if number % 2 else 'Shadow'} in the {side} lung.", box, name=f"p{number}", number=number)
        for number in range(patients)
    ]


def always_right(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
    """Reads the first word, and no side: the right lung, brighter or less."""
    return [half("right", low=0.1 if "There" in phrase or "Opacity" in phrase else 0.3) for phrase in phrases]


def published(images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[HeatMap]:
    """The published attention between words and regions that have nothing to do with each other."""
    regions = np.random.default_rng(1).normal(size=(16, 5))
    words = [np.random.default_rng(len(phrase)).normal(size=(8, 5)) for phrase in phrases]
    return [HeatMap(values=local_attention(one, regions, "gloria").map.mean(0).reshape(4, 4)) for one in words]


def test_a_model_that_follows() -> None:
    audit = audited(obedient)
    assert audit.verdict.startswith(FOLLOW)
    assert "in 100 % (100 to 100) of 16 sentences." in audit.verdict
    assert "train" not in audit.verdict


def test_a_model_that_looks_at_one_lung_whatever_is_said() -> None:
    records = [*bilateral(8), *(record("Left nodule.", LEFT, name=f"n{n}", number=90 + n, labels=("nodule",)) for n in range(8))]  # fmt: skip
    audit = audited(always_right, [replace(one, phrase=one.phrase.replace("Opacity", "Shadow")) if k % 3 else one for k, one in enumerate(records)])  # fmt: skip
    assert audit.verdict.startswith(NOT)
    assert "in 0 % (0 to 0) of 16 sentences" in audit.verdict
    assert "The text matters, its side does not: train with left/right hard negatives (HardNegatives)" in audit.verdict


def test_a_model_that_looks_at_the_lung_that_is_not_named() -> None:
    audit = audited(mirrored)
    assert audit.verdict.startswith(NOT)
    assert "They lie in the lung that is not named: the patient's right is the left of the image" in audit.verdict
    assert opposite(audit)
    assert not opposite(audited(obedient))
    assert not opposite(audited(blind))
    alone = audited(mirrored, one_sided(8))
    assert "weaker test" in alone.verdict
    assert "They lie in the lung that is not named" in alone.verdict


def test_a_model_that_does_not_read() -> None:
    def nothing(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        return [image**6 for image in images]

    audit = audited(nothing)
    assert audit.verdict.startswith(NOT)
    assert "The text hardly matters at all: train on sentences that speak of findings (AbnormalOnly)" in audit.verdict
    assert audit.words[2].startswith("With another patient's sentence the maps hardly move (0.000 nats), and AUROC changes by +0.00;")  # fmt: skip


def test_maps_that_are_nearly_even_as_published() -> None:
    audit = audited(published)
    assert audit.verdict.startswith(NOT)
    found = re.search(
        r"nearly even \(entropy ([\d.]+) % of the highest\), as the published double softmax", audit.verdict
    )
    assert found is not None
    assert float(found[1]) == pytest.approx(100 * float(audit.data.evenness.mean()), abs=0.051)


def test_a_model_that_follows_in_part() -> None:
    def sometimes(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        follows = obedient(images, phrases)
        return [map if image[0, 0] < np.median([one[0, 0] for one in pictures]) else half("right") for map, image in zip(follows, images, strict=True)]  # fmt: skip

    records = bilateral(12)
    pictures = [one.pixels() for one in records]
    audit = audited(sometimes, records)
    assert audit.verdict.startswith("The highlights follow only in part “left” and “right”: ")
    assert "The text matters, its side too little: train with" in audit.verdict


def test_an_interval_from_failing_to_perfect_settles_nothing() -> None:
    records = bilateral(5)

    def four_of_five(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        return [
            half("right") if image[0, 0] == records[0].pixels()[0, 0] else map
            for map, image in zip(obedient(images, phrases), images, strict=True)
        ]

    said = audited(four_of_five, records).verdict
    assert said.startswith("Whether the highlights follow “left” and “right” can't be settled with so few patients: ")
    assert "in 80 %" in said
    assert "train" not in said


def test_without_the_random_sentence_nothing_is_said_of_the_text() -> None:
    audit = audited(always_right, perturbations=[SWAP])
    assert "exchanged, in 0 % (0 to 0) of 16 sentences. Train with left/right" in audit.verdict
    assert "matter" not in audit.verdict


def test_without_the_swap_it_was_not_asked() -> None:
    assert audited(obedient, perturbations=[RANDOM]).verdict.endswith("the swap is not among the perturbations.")


def test_without_findings_in_both_lungs_the_test_is_weaker() -> None:
    still, moves = audited(lambda images, phrases: [image**6 for image in images], one_sided(8)), audited(obedient, one_sided(8))  # fmt: skip
    assert still.verdict.startswith(f"{NOT}no image shows the same finding in both lungs, so this is the weaker test")
    assert "on 8 sentences of one lung: the maps move by 0.000 nats" in still.verdict
    assert "The text hardly matters at all" in still.verdict
    assert moves.verdict.startswith("Whether the highlights follow “left” and “right” can't be settled here: no image")
    assert moves.verdict.endswith("they are in the wrong lung in 0 % (0 to 0), and after the exchange in 100 % (100 to 100).")  # fmt: skip


def test_without_any_laterality_nothing_says_it() -> None:
    records = [record("Cardiomegaly.", (2, 2, 6, 6), name=f"p{n}", number=n) for n in range(6)]
    audit = audited(obedient, records)
    assert audit.verdict == (
        "Nothing says whether the highlights follow “left” and “right”: no sentence with a mirror has a region on one side (6: the phrase names no side)."
    )
    across = [record("Left opacity.", (2, 2, 6, 6), name=f"p{n}", number=n) for n in range(6)]
    assert audited(obedient, across).verdict.endswith("has a region on one side.")


@pytest.mark.parametrize("records", [bilateral(3), one_sided(3)])
def test_too_few_patients(records: list[Record]) -> None:
    audit = audited(obedient, records)
    assert re.match(
        r"Too few patients have .* to say whether the highlights follow “left” and “right”: ", audit.verdict
    )
    assert audit.words[1].startswith("Too few patients have a region to say whether the highlights show it better than")
    assert "nan" not in str(audit)


def test_one_sentence_is_not_several() -> None:
    right, left = bilateral(1)
    assert "of 1 sentence." in audited(obedient, [right, replace(left, phrase="Opacity.")]).verdict


# The other sentences --------------------------------------------------------------------------------------------------------------


def test_the_best_map_that_ignores_the_text_is_beaten_or_not() -> None:
    better, worse = audited(obedient).words[1], audited(mirrored).words[1]
    assert better.startswith("The highlights show the annotated region better than the best map that ignores the text")
    assert worse.startswith("The highlights show the annotated region worse than")
    same = audited(blind, baselines={"the same": blind, "none": lambda images, phrases: [-image for image in images]})
    best = float(same.baselines.sel(subset="all", score="auroc").max())
    assert f"AUROC {float(same.scores.sel(subset='all', score='auroc')):.2f} beside {best:.2f}" in same.words[1]


def test_constant_maps_are_counted_and_score_one_half() -> None:
    def mostly(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        return [np.ones((2, 2)) if "left" in phrase else half("right") for phrase in phrases]

    audit = audited(mostly, perturbations=[])
    assert "8 of 16 maps are the same everywhere: they rank no pixel above another, which counts as an AUROC of .5." in audit.words  # fmt: skip
    np.testing.assert_allclose(audit.data.value.sel(score="auroc", condition="as it is")[1::2], 0.5)
    assert "1 of 2 maps is the same everywhere: it ranks no pixel" in str(audited(mostly, bilateral(1), perturbations=[]))  # fmt: skip
    assert "same everywhere" not in str(audited(blind))


def test_maps_of_nothing_are_counted() -> None:
    audit = audited(lambda images, phrases: [np.zeros((2, 2)) for _ in images])
    assert audit.reasons["entropy", "nothing is highlighted"] == 16
    assert audit.scores.sel(score="entropy").isnull().all()
    assert "nan" not in str(audit)


def test_where_no_score_is_defined_it_says_so() -> None:
    whole = [replace(one, boxes=[(0, 0, 8, 8)], laterality="") for one in bilateral(6)]
    audit = audited(blind, whole)
    assert "No score against the regions is defined; the table of what is not counted says why." in audit.words
    assert audit.reasons["auroc", "the region covers the whole image"] == 12
    assert "nan" not in str(audit)


def test_the_opt_out_tells_what_is_not_there() -> None:
    def absent(images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[HeatMap]:
        return [HeatMap(values=map, opt_out=0.1 if "opacity" in phrase.lower() else 0.9) for map, phrase in zip(obedient(images, phrases), phrases, strict=True)]  # fmt: skip

    records = [*bilateral(5), *(record("Left nodule.", LEFT, name=f"n{n}", number=60 + n, labels=("nodule",)) for n in range(5))]  # fmt: skip
    audit = audited(absent, records, perturbations=["template", "template, other finding"])
    # there: ten opacities of mass .1, five nodules of .9; absent: ten "nodule" of .9, five "opacity" of .1
    assert audit.opt_out_auroc == pytest.approx((10 * 10 + 0.5 * (10 * 5 + 5 * 10)) / 225)
    assert f"with AUROC {audit.opt_out_auroc:.2f} (.5 is chance)" in str(audit)
    assert np.isnan(audited(obedient).opt_out_auroc)


class Linear(torch.nn.Module):
    """Weighs pixels by their place: 1 in the lung that is named, until its weights are drawn anew."""

    def __init__(self) -> None:
        super().__init__()
        self.place = torch.nn.Linear(64, 2, bias=False)
        with torch.no_grad():
            self.place.weight.copy_(torch.as_tensor(np.stack([half("left").ravel(), half("right").ravel()])))

    def forward(self, images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[torch.Tensor]:
        return [self.place.weight[int("right" in phrase)].reshape(8, 8) for phrase in phrases]


def test_random_weights_take_the_agreement_away() -> None:
    words = audited(Linear()).words
    said = r"With all weights drawn anew AUROC is 0\.\d\d instead of 0\.79 \(on 16 sentences\), so the agreement is due to what it learned\."
    assert any(re.fullmatch(said, one) for one in words)


def test_random_weights_that_leave_the_agreement() -> None:
    network = Linear()
    with torch.no_grad():
        network.place.weight.copy_(torch.as_tensor(np.stack([half("right").ravel(), half("left").ravel()])))
    assert any("so the agreement is not due to what the model learned" in one for one in audited(network).words)


def test_random_weights_with_too_few_patients_settle_nothing() -> None:
    words = audited(Linear(), bilateral(4)).words
    assert any("which does not settle whether the agreement is due to what the model learned" in one for one in words)


def test_a_network_that_is_not_the_models_is_noticed() -> None:
    words = audited(obedient, network=Linear()).words
    assert any("every score stays as it is" in one and "network= is not the module" in one for one in words)


def test_without_a_network_it_says_so() -> None:
    assert any(one.startswith("Random weights were not tried") and "give network=" in one for one in audited(obedient).words)  # fmt: skip


# Numbers and language -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [obedient, mirrored, blind, always_right, published, Linear()])
def test_sentences_are_whole_and_their_numbers_are_those_of_the_tables(model: object) -> None:
    audit = audited(model, phantom(20) if model in (blind, obedient) else None)
    for one in audit.words:
        assert re.fullmatch(r"[A-Z0-9].*[^\s.]\.", one)
        assert not re.search(r"  | \.|\.\.|,,|nan|None|\{|\}", one)
    tables = {table.title: table for table in audit.tables()}
    scores = tables["Do the highlights show the region?"].rows[0]
    assert f"AUROC {scores[2].split()[0]}" in audit.words[1]
    moved = next(row for row in tables["Does the text matter?"].rows if row[0] == RANDOM)
    assert f"({float(audit.moved.sel(condition=RANDOM)):.3f} nats)" in audit.words[2]
    assert float(moved[2].split()[0]) == pytest.approx(float(audit.moved.sel(condition=RANDOM)), abs=0.005)
