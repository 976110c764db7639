"""What is shown, saved and read of EMAP, SHAPE, the perceptual score, LIME and MM-SHAP."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modalens as ml
from explained import sigmoid
from modalens import plots
from modalens.reading import kind_of
from modalens.studyfile import MEASURES
from modalens.summary.tables import by_topic, content

MEASURED: tuple[ml.Measure, ...] = (ml.EMAP(), ml.SHAPE(), ml.PerceptualScore(), ml.LIME(), ml.MMSHAP())


def explained(*measures: ml.Measure, **settings: Any) -> ml.Explanation:
    random = np.random.default_rng(0)

    def draw(rows: int) -> dict[str, np.ndarray]:
        return {"a": random.normal(size=(rows, 4)), "b": random.normal(size=(rows, 3))}

    inputs = draw(16)
    given: dict[str, Any] = {
        "background": draw(12),
        "progress": False,
        "labels": (inputs["a"][:, 0] > 0) * 1,
    } | settings
    return ml.explain(lambda a, b: sigmoid(2 * a[:, 0] + a[:, 1] * b[:, 0]), inputs, measures=measures, **given)


@cache
def every() -> ml.Explanation:
    return explained(*MEASURED)


def test_each_result_is_known_by_its_arrays() -> None:
    assert {name: kind_of(result) for name, result in every().results.items()} == {
        name: name for name in every().results
    }
    others = explained(ml.Occlusion(), ml.Shapley(), ml.InterSHAP(), ml.Interactions(), ml.Reliance())
    assert {name: kind_of(result) for name, result in others.results.items()} == {name: name for name in others.results}


def test_shares_stand_beside_the_other_ways_to_ask() -> None:
    (table, *_) = by_topic(every())["contribution"]
    assert table.columns == ("modality", "LIME coefficient", "parts' Shapley values (MM-SHAP)")
    share = f"{100 * every().lime.contribution.sel(modality='a').item():.1f} %"
    assert table.rows[0][1].startswith(share)
    assert "other patients' data (LIME coefficient)" in table.notes[0]


def test_scores_have_a_small_table_each() -> None:
    titles = [table.title for table in by_topic(every())["score"]]
    assert [title.split("(")[1].split(",")[0] for title in titles] == ["EMAP", "SHAPE", "perceptual score"]
    emap, shape, perceptual = by_topic(every())["score"]
    found = every()
    assert emap.rows[0][0].startswith(f"{found.emap.score.item():.2f} (")
    assert "log-odds" in emap.notes[0]
    assert [row[0] for row in shape.rows] == ["a", "b", "cooperation"]
    assert shape.rows[0][1].startswith(f"{found['shape'].values.values[0]:+.2f}")
    assert perceptual.rows[1][1].startswith(f"{found.perceptual_score.permuted.values[0]:.2f}")


@pytest.mark.parametrize("measure", MEASURED)
@pytest.mark.parametrize("confidence", [0.95, None])
def test_each_alone_is_printed_drawn_and_written(measure: ml.Measure, confidence: float | None, tmp_path: Path) -> None:
    found = explained(measure, confidence=confidence)
    assert content(found)
    assert "n/a" not in str(found)
    assert len(found.plot().axes) == 1
    page = found.report(tmp_path / "page.html", patients=False).read_text(encoding="utf-8")
    assert "<img" in page
    restored = ml.load(found.save(tmp_path / "found.nc"))
    assert str(restored) == str(found)
    assert restored.to_frame().equals(found.to_frame())


@pytest.mark.parametrize("measure", MEASURED)
def test_two_of_a_kind_are_told_apart(measure: ml.Measure) -> None:
    from dataclasses import replace

    found = explained(measure, replace(measure, name="again"))
    assert "“again”" in str(found) or "(again)" in str(found)
    assert len(found.plot().axes) == 1


def test_unknown_numbers_are_shown_with_their_reason(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    inputs = {"a": random.normal(size=(8, 2)), "b": random.normal(size=(8, 2))}
    found = ml.explain(
        lambda a, b: np.full(len(a), 0.3), inputs, measures=MEASURED, labels=np.arange(8) % 2, baseline="zeros"
    )
    assert "n/a: no modality raises the score" in str(found)
    found.plot()
    found.report(tmp_path / "page.html", patients=False)


def test_bars_of_the_score_are_the_numbers() -> None:
    ax = plots.scores(every())
    drawn = sorted(round(float(patch.get_width()), 9) for patch in ax.patches)  # type: ignore[attr-defined]
    found = every()
    expected = [
        *found["shape"].values.values,
        *found.perceptual_score.values.values,
        found["shape"].cooperation.item(),
        found.emap.gap.item(),
    ]
    assert drawn == sorted(round(float(one), 9) for one in expected)
    with pytest.raises(ml.InputError, match="needs the measure SHAPE, PerceptualScore or EMAP"):
        plots.scores(explained(ml.LIME()))


def test_several_labels_are_shown_one_by_one(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    inputs = {"a": random.normal(size=(20, 2)), "b": random.normal(size=(20, 2))}

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return sigmoid(np.stack([a[:, 0] + b[:, 0], a[:, 1] * b[:, 1]], axis=1))

    labels = (model(**inputs) > 0.5).astype(int)
    found = ml.explain(model, inputs, measures=MEASURED, labels=labels, task="multilabel", background=inputs)
    assert any("LIME coefficient" in table.title for table in by_topic(found)["contribution"])
    assert any("MM-SHAP" in table.title for table in by_topic(found)["contribution"])
    found.report(tmp_path / "page.html", patients=False)


def test_study_files_know_their_names() -> None:
    for measure in MEASURED:
        assert MEASURES[measure.default_name] is type(measure)
    assert {"emap", "shape", "perceptual_score", "lime", "mm_shap"} <= set(MEASURES)


def test_citations_name_their_papers() -> None:
    cited = every().citation()
    for key in ("hessel2020does", "hu2022shape", "gat2021perceptual", "ribeiro2016should", "parcalabescu2023mmshap"):
        assert f"{{{key}," in cited
