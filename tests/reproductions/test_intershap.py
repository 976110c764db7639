"""InterSHAP's experiments: what is exact, what untaught layers are, and the numbers that are expected of trained networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from modalens.reproductions import intershap
from modalens.reproductions.intershap_figures import printed
from modalens.reproductions.intershap_models import (
    ASKED,
    FULL,
    ROWS,
    SMALL,
    UNTAUGHT,
    Answers,
    Found,
    answer,
    data,
    made,
)

TINY = replace(SMALL, train=300, test=60, explained=20, rows=20, schedule={"epochs": 1, "batch": 50})


def invented(score: float) -> Found:
    """What might be said of one model."""
    others = dict.fromkeys(("EMAP gap", "SHAPE", "PID synergy (bits)"), 1.0)
    return Found(
        score=score,
        local=score,
        corrected=score,
        orders=(60.0, 30.0, 10.0),
        f1=95.0,
        reachable=96.0,
        others=others,
        swept=dict.fromkeys(ROWS, (score, score, score)),
    )


def answers(score: float) -> Answers:
    return {(name, model): (invented(score), invented(score)) for name, models in ASKED.items() for model in models}


@pytest.mark.parametrize("slope", intershap.SLOPES)
def test_a_model_that_adds_up_has_no_interaction_on_the_log_odds(slope: float) -> None:
    probability, logit = intershap.logistic(slope, 0, SMALL)
    assert logit == pytest.approx(0, abs=1e-9)
    assert probability > 1


def test_on_probabilities_the_score_grows_with_the_slope() -> None:
    found = [intershap.logistic(slope, 0, replace(SMALL, explained=300, rows=300))[0] for slope in intershap.SLOPES]
    assert (np.diff(found) > 0).all()
    assert found[0] == pytest.approx(2.6, abs=1.5)
    assert found[-1] == pytest.approx(28, abs=5)


@pytest.mark.parametrize(
    ("name", "expected", "orders"),
    [
        ("hdxor2-uniqueness-1", 0, (100, 0, 0)),
        ("hdxor2-synergy", 100, (0, 100, 0)),
        ("hdxor3-parity", 75, (0, 0, 100)),
        ("hdxor4-parity", 200 / 3, (0, 0, 100)),
    ],
)
def test_functions_of_bits_by_hand(name: str, expected: float, orders: tuple[float, ...]) -> None:
    # Pure k-way parity: k / (2 (k - 1)), and all of it of order k.
    size = replace(SMALL, explained=80, rows=240)
    found = answer(data(name, 0, size), "function", size)
    assert found.score == pytest.approx(expected, abs=2 if expected else 1e-9)
    np.testing.assert_allclose(found.orders, orders, atol=15 if orders[2] else 2)
    assert found.f1 == 100


def test_untaught_layers_keep_the_weights_they_were_drawn_with() -> None:
    known = data("hdxor2-synergy", 0, TINY)
    longer = known.taught(epochs=3)
    for network in ("intermediate", "late"):
        (one, link), (two, _) = (made(each, f"{UNTAUGHT}{network}") for each in (known, longer))
        assert link == "softmax"
        assert isinstance(one, torch.nn.Module)
        assert isinstance(two, torch.nn.Module)
        moved = {name for name, own in one.named_parameters() if not torch.equal(own, two.state_dict()[name])}
        last = {f"networks.modality_{place}.4.{kind}" for place in (1, 2) for kind in ("weight", "bias")}
        assert moved == (
            last if network == "late" else {name for name, _ in one.named_parameters() if name.startswith("head")}
        )


def test_a_network_is_asked_about_with_its_neighbours_and_by_rows() -> None:
    found = answer(data("hdxor2-synergy", 0, TINY), "early", TINY)
    assert set(found.swept) == set(ROWS)
    assert found.swept[30][0] != found.score
    assert set(found.others) == {
        "EMAP gap",
        "SHAPE",
        "PerceptualScore, modality_1",
        "PerceptualScore, modality_2",
        "PID synergy (bits)",
    }
    assert sum(found.orders) == pytest.approx(100)
    assert answer(data("sum-mix-1", 0, TINY), "early", TINY).others == {}


def test_the_paper_s_numbers_stand_beside_models_that_were_asked() -> None:
    for name, model, _ in (*intershap.THEIRS, *intershap.BANDS):
        assert model in ASKED[name]
    assert printed("98.0 ± 0.5") == (98.0, 0.5)
    assert printed("-47.1") == (-47.1, 0.0)


def test_bands_are_claimed_of_the_full_version_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intershap, "logistic", lambda slope, seed, size: (slope, 0.0))
    for size, some in ((FULL, True), (SMALL, False)):
        found = intershap.of(intershap.Results(answers=answers(50.0), size=replace(size) if not some else size))
        assert any(number.band for number in found.numbers) == some
        assert ("small version" in found.words) != some
    full = intershap.of(intershap.Results(answers=answers(97.0), size=FULL))
    missed = {(number.experiment, number.quantity) for number in full.outside}
    assert missed == {
        ("uniqueness, early", "InterSHAP"),
        ("uniqueness, regularised early", "InterSHAP"),
        ("redundancy, early", "InterSHAP"),
        ("synergy, the function", "InterSHAP"),
    }


def test_every_number_of_the_paper_is_on_the_page() -> None:
    found = intershap.of(intershap.Results(answers=answers(50.0), size=SMALL))
    assert sorted(number.theirs for number in found.numbers if number.theirs) == sorted(
        each
        for key, each in intershap.THEIRS.items()
        for _ in range(2 if key[1:] == ("early", "InterSHAP") and key[0] in intershap.FUSION else 1)
    )
    assert sum(section.figure is not None for section in found.sections) == 5


@pytest.mark.slow
def test_the_small_version_shows_what_the_paper_says() -> None:
    found = intershap.run(quick=True, progress=False)
    score = {number.experiment: number.mean for number in found.numbers if number.quantity == "InterSHAP"}
    assert score["uniqueness, early"] < 12
    assert score["synergy, early"] > 80
    assert 30 < score["redundancy, early"] < 65
    assert max(score[f"{name}, untaught late"] for name in ("uniqueness", "synergy", "redundancy")) < 2
    assert score["synergy, intermediate"] > 80 > score["synergy, late"]


@pytest.mark.slow
def test_bands_of_one_seed_at_the_paper_s_size() -> None:
    known = data("hdxor2-synergy", 1, FULL)
    network, function = (answer(known, model, FULL) for model in ("early", "function"))
    assert 96 < network.score < 99.5
    assert network.f1 > network.reachable - 5
    assert function.score > 99.3
    assert answer(data("hdxor2-uniqueness-1", 1, FULL), "early", FULL).score < 2
