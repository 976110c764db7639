"""The report and the app say the same of two models on the same patients."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import modalens as ml
from explained import pair, sigmoid
from modalens.app.comparison import table_of, verdicts
from modalens.paired import EVERYTHING, differences_of, multiplicity
from modalens.report.comparison import comparisons


@cache
def models() -> dict[str, ml.Explanation]:
    asked: dict[str, Any] = {"samples": 30, "measures": [ml.Shapley(), ml.Reliance()], "labels": np.arange(30) % 2}
    return {"first": pair(**asked), "second": pair(lambda a, b: sigmoid(2 * a[:, 0]), **asked)}


def test_the_app_lists_the_numbers_of_the_report() -> None:
    """Shares in percentage points, and the score, which is none; with the word on how many intervals there are."""
    compared = ml.compare(*models().values())
    found = differences_of(compared)
    (section,) = comparisons(models())
    (table,) = section.tables
    assert [row[-1] for row in table.rows] == [row[-1] for row in table_of(found, "first", "second").rows]
    (score,) = [one for one in found if one.what == EVERYTHING]
    change = float(models()["second"].reliance.everything - models()["first"].reliance.everything)
    assert score.value == change
    assert table.rows[-1][0] == "score with everything (AUC)"
    assert table.rows[-1][-1].startswith(f"{change:+.2f} (".replace("-", "−"))
    said = multiplicity(found)
    assert said.startswith("3 differences have an interval (95 %), which is not adjusted")
    assert "about one interval in 20" in said
    assert said in section.words
    assert said == verdicts(found, "first", "second")[-1]


def test_a_clear_difference_of_shares_is_told_in_points() -> None:
    found = differences_of(ml.compare(*models().values()))
    (clear,) = [one for one in found if one.is_clear and one.of == "a"]
    size, low, high = (100 * one for one in (clear.value, clear.lower, clear.upper))
    assert f"“a” {size:.1f} ({low:.1f} to {high:.1f}) more" in verdicts(found, "first", "second")[0]
    assert "(percentage points)" in verdicts(found, "first", "second")[0]


def test_without_intervals_there_is_no_word_on_them() -> None:
    asked: dict[str, Any] = {"measures": [ml.Shapley()], "confidence": None}
    found = differences_of(ml.compare(pair(**asked), pair(**asked)))
    assert multiplicity(found) == ""
    assert not any(one.is_clear or one.is_bounded for one in found)
