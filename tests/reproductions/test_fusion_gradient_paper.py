"""The gradient paper run again: the law by formula, and the bands of a small version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modalens as ml
from modalens.reproductions import Number, Reproduction, Section, reproduce
from modalens.reproductions.fusion_gradient import collapsed_shares


@pytest.mark.parametrize("width", [1, 4, 10])
def test_copies_are_under_counted_by_the_root_of_their_number(width: int) -> None:
    found = collapsed_shares(width)
    alone = 1 / (2 + 2 * np.sqrt(width))
    np.testing.assert_allclose(found["gradient"], [alone, alone, 0.5 - alone, 0.5 - alone], atol=1e-3)
    np.testing.assert_allclose(found["expected"], 0.25, atol=0.04)


@pytest.mark.slow
def test_the_bands_hold_for_a_small_version() -> None:
    found = reproduce("fusion-gradient", quick=True, progress=False)
    mean = {(number.experiment, number.quantity): number.mean for number in found.numbers}
    pooled = "RMSE, pooled over cases and modalities"
    assert 0.11 <= mean["gradient (the paper's)", pooled] <= 0.16
    assert mean["expected", pooled] < 0.08
    assert mean["block permutation", pooled] < 0.03
    assert all(0.1 <= mean["F6, gradient (the paper's)", f"image_{place}"] <= 0.16 for place in (1, 2))
    assert mean["gradient (the paper's)", "share of networks in which all four are in the right order"] == 0
    assert mean["expected", "share of networks in which all four are in the right order"] == 1
    assert not found.outside


@pytest.fixture
def small() -> Reproduction:
    numbers = [
        Number(experiment="a", quantity="q", ours=(1.0, 3.0), theirs="2.1", band=(1.5, 2.5), note="as it should"),
        Number(experiment="b", quantity="q", ours=(5.0,), band=(-np.inf, 4.0)),
    ]
    return Reproduction(
        name="small",
        title="A small one",
        paper="Nobody, Nowhere",
        words="Words.",
        sections=[Section(title="One", words="What it says.", numbers=numbers)],
        seeds=(0, 1),
        command="modalens reproduce small",
    )


def test_a_reproduction_says_what_misses_its_band(small: Reproduction, tmp_path: Path) -> None:
    assert [number.experiment for number in small.outside] == ["b"]
    page, table = small.write(tmp_path)
    text = page.read_text()
    assert "| a | q | 2.00 ± 1.41 | 2.1 | 1.50 to 2.50 | as it should |" in text
    assert "| b | q | 5.00 |  | < 4.00 **missed** |  |" in text
    assert "`modalens reproduce small`, seeds 0, 1" in text
    frame = small.to_frame()
    assert frame["mean"].tolist() == [2.0, 5.0]
    assert frame["within"].tolist() == [True, False]
    assert table.read_text().startswith("section,experiment,quantity,mean")


def test_an_unknown_paper_is_refused() -> None:
    with pytest.raises(ml.InputError, match="did you mean 'intershap'"):
        reproduce("intershapp")
