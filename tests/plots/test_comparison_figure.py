"""Two models on the same patients: a dot a difference, and a line its paired interval."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest

import modalens as ml
from explained import multilabel, pair, sigmoid
from modalens import plots
from modalens.paired import INTERACTION, differences_of


@cache
def models() -> tuple[ml.Explanation, ml.Explanation]:
    """One that multiplies, and one that reads the first table only."""
    return pair(samples=30), pair(lambda a, b: sigmoid(2 * a[:, 0]), samples=30)


def test_differences_are_those_of_the_explanations() -> None:
    first, second = models()
    found = {(one.what, one.of): one for one in differences_of(ml.compare(first, second))}
    for what, measure, array in (
        ("hidden part by part", "occlusion", "contribution"),
        ("hidden as a whole", "occlusion", "anchor"),
        ("Shapley value", "shapley", "contribution"),
    ):
        for name in "ab":
            expected = second[measure].array(array).sel(modality=name) - first[measure].array(array).sel(modality=name)
            assert found[what, name].value == pytest.approx(float(expected))
    gone = found[INTERACTION, ""]
    assert gone.value == pytest.approx(float(second.intershap.score - first.intershap.score))
    draws = second.intershap.draws["score"] - first.intershap.draws["score"]
    assert (gone.lower, gone.upper) == pytest.approx(tuple(np.nanquantile(draws, [0.025, 0.975])))
    assert gone.is_clear


def test_the_figure_shows_them_in_points() -> None:
    compared = ml.compare(*models())
    ax = plots.comparison(compared, names=("one", "$other"))
    found = differences_of(compared)
    dots = {
        int(y): x
        for line in ax.lines
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
        if line.get_marker() == "o"
    }
    np.testing.assert_allclose([dots[row] for row in range(len(found))], [100 * one.value for one in found])
    filled = next(line for line in ax.lines if line.get_label() == "the interval leaves out 0")
    assert list(filled.get_ydata()) == [row for row, one in enumerate(found) if one.is_clear]
    ends = [segment[:, 0] for segment in ax.collections[0].get_segments()]
    np.testing.assert_allclose(ends, [[100 * one.lower, 100 * one.upper] for one in found if not np.isnan(one.lower)])
    assert ax.get_xlabel() == r"percentage points: \$other minus one"
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(io.BytesIO(), format="svg")


def test_outputs_that_are_scored_apart_have_a_row_each_and_long_ones_are_cut() -> None:
    compared = ml.compare(multilabel(), multilabel())
    rows = [one.of for one in differences_of(compared) if one.what == INTERACTION]
    assert rows == ["effusion", "nodule"]
    assert not any(one.is_clear for one in differences_of(compared))
    ax = plots.comparison(compared, top=3)
    assert len(ax.get_yticklabels()) == 3
    assert "more are not shown" in ax.get_xlabel()


def test_models_that_share_no_share_are_refused() -> None:
    found = pair(measures=[ml.EMAP()], labels=np.arange(12) % 2)
    with pytest.raises(ml.InputError, match=r"this needs shares of modalities that both explanations have"):
        plots.comparison(ml.compare(found, found))
