"""The alignment experiments in small: failures and remedies told apart by the primary end-point, and the page that is made."""

from __future__ import annotations

import numpy as np
import pytest

from modalens.alignment.contrast.recipes import RECIPES
from modalens.reproductions import alignment


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, float]]:
    names = ("published, stripped", "repaired")
    return {name: alignment.one_run(name, seed=0, studies=1500, steps=350) for name in names}


def test_the_end_point_separates_the_failure_from_the_repaired_model(found: dict[str, dict[str, float]]) -> None:
    failing, repaired = found["published, stripped"], found["repaired"]
    assert failing["flip rate"] < 0.2 < 0.5 < repaired["flip rate"]
    assert failing["follows"] == 0
    assert repaired["follows"] == 1


def test_the_failure_hardly_moves_and_the_repaired_model_does(found: dict[str, dict[str, float]]) -> None:
    failing, repaired = found["published, stripped"], found["repaired"]
    assert abs(failing["swap ΔAUROC"]) < 0.03
    assert failing["swap J"] < 0.02 < 5 * 0.02 < repaired["swap J"]
    assert repaired["wrong lung"] < 0.2


def test_the_agreement_of_the_repaired_model_is_learned(found: dict[str, dict[str, float]]) -> None:
    assert found["repaired"]["AUROC"] > found["repaired"]["AUROC with random weights"] + 0.2


def test_every_number_of_the_table_is_measured(found: dict[str, dict[str, float]]) -> None:
    assert {quantity for _, quantity in [*alignment.THEIRS, *alignment.BANDS]} <= set(found["repaired"])
    assert {name for name, _ in [*alignment.THEIRS, *alignment.BANDS]} <= set(RECIPES)
    assert all(np.isfinite(value) for name, value in found["repaired"].items() if name != "opt-out AUROC")
