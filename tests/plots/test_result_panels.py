"""The panels of results beside explanations hold their numbers, on the axes that they are given."""

from __future__ import annotations

import inspect
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from pictured import audited, board, curves, planting, study, tables, useful

import modalens as ml
from modalens import plots
from modalens.validation.leaderboard import Leaderboard

PANELS = {
    "error_panel": lambda **given: plots.error_panel(board(), **given),
    "truth_panel": lambda **given: plots.truth_panel(board(), "shapley", **given),
    "planting_panel": lambda **given: plots.planting_panel(planting(), **given),
    "opposites_panel": lambda **given: plots.opposites_panel(planting(), **given),
    "usefulness_panel": lambda **given: plots.usefulness_panel(useful(), tables(), **given),
    "relied_on_panel": lambda **given: plots.relied_on_panel(tables(), **given),
    "curves_panel": lambda **given: plots.curves_panel(curves(), **given),
    "study_panel": lambda **given: plots.study_panel(study(), **given),
    "map_panel": lambda **given: plots.map_panel(audited(), 0, condition="as it is", **given),
    "score_panel": lambda **given: plots.score_panel(audited(), **given),
    "delta_panel": lambda **given: plots.delta_panel(audited(), **given),
}


@pytest.mark.parametrize("name", PANELS)
def test_panels_draw_on_the_axes_they_are_given_and_leave_nothing_behind(name: str) -> None:
    with mpl.rc_context({"font.size": 33.0}):
        before = {**mpl.rcParams}
        given = Figure().subplots()
        assert PANELS[name](ax=given) is given
        assert {**mpl.rcParams} == before
    assert isinstance(PANELS[name](), Axes)
    assert plt.get_fignums() == []


def test_everything_exported_says_what_it_shows() -> None:
    for name in plots.__all__:
        figure = getattr(plots, name)
        assert len(inspect.getdoc(figure) or "") > 40
        returned = inspect.signature(figure).return_annotation
        assert returned == ("Figure" if name.endswith("_figure") or name in ("overview", "patient") else "Axes")
        assert ("ax" in inspect.signature(figure).parameters) == (returned == "Axes")
    assert set(PANELS) == {name for name in plots.__all__ if name.endswith("_panel")}


def test_errors_are_those_of_the_board_the_best_on_top() -> None:
    ax = plots.error_panel(board())
    assert [label.get_text() for label in ax.get_yticklabels()] == list(board().table.index)
    (bars,) = ax.containers
    np.testing.assert_allclose(bars.lines[0].get_xdata().astype(float), board().table["rmse"])
    single = [line.get_xdata() for line in ax.lines if line.get_marker() == "|"][: len(board().table)]
    runs = board().scored
    for name, drawn in zip(board().table.index, single, strict=True):
        np.testing.assert_allclose(np.sort(drawn), np.sort(runs.loc[runs["measure"] == name, "rmse"]))


def test_shares_lie_against_their_truth() -> None:
    ax = plots.truth_panel(board(), "occlusion")
    found = board().shares()
    found = found[found["measure"] == "occlusion"]
    np.testing.assert_allclose(ax.lines[1].get_xdata(), 100 * found["truth"])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), 100 * found["share"])
    with pytest.raises(ml.InputError, match=r"measure='shaply' has no shares .*did you mean 'shapley'"):
        plots.truth_panel(board(), "shaply")


def test_models_that_did_not_learn_are_not_drawn() -> None:
    first, *others = board().runs
    some = Leaderboard(runs=(replace(first, learned=False), *others))
    assert len(plots.truth_panel(some, first.entry).lines[1].get_xdata()) == 10
    empty = Leaderboard(runs=tuple(replace(run, learned=False) for run in board().runs))
    assert [text.get_text() for text in plots.error_panel(empty).texts] == ["no shares can be held to a truth"]
    assert isinstance(plots.leaderboard_figure(empty), Figure)


def test_the_page_of_a_board_has_all_panels() -> None:
    figure = board().plot()
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()]
    assert titles == ["How far are the shares from the truth?", *board().table.index]


def test_planted_shares_lie_against_measured_ones() -> None:
    found = planting()
    ax = plots.planting_panel(found)
    for place, view in enumerate(found.measured.view.values):
        line = ax.containers[place].lines[0]
        np.testing.assert_allclose(line.get_ydata(), 100 * found.measured.value.sel(view=view))
        np.testing.assert_allclose(line.get_xdata(), 100 * found.planted, atol=0.71)  # beside each other
    apart = plots.opposites_panel(found)
    np.testing.assert_allclose([one.lines[0].get_ydata()[0] for one in apart.containers], [45, 55, 20, 30])
    assert [label.get_text() for label in apart.get_xticklabels()] == ["random\nweights", "shuffled\nlabels"]
    alone = replace(found, opposites=())
    assert len(alone.plot().axes) == 1
    assert "no model that knows nothing" in plots.opposites_panel(alone).texts[0].get_text()


def test_what_is_useful_stands_beside_what_the_model_loses() -> None:
    found = useful()
    own = tables().reliance
    lost, gained, *hidden = plots.usefulness_panel(found, tables()).containers
    names = list(found.modalities)
    np.testing.assert_allclose(lost.lines[0].get_xdata(), found.lost.sel(modality=names))
    np.testing.assert_allclose(gained.lines[0].get_xdata(), found.gained.sel(modality=names))
    assert not hidden  # the model's own score is another one
    same = replace(found, metric=str(own.settings["metric"]))
    *_, drawn = plots.usefulness_panel(same, tables()).containers
    np.testing.assert_allclose(drawn.lines[0].get_xdata(), own.lost.sel(modality=names))


def test_what_a_model_relies_on_is_its_shapley_share() -> None:
    (bars,) = [one for one in plots.relied_on_panel(tables()).containers if isinstance(one, BarContainer)]
    np.testing.assert_allclose([bar.get_width() for bar in bars], 100 * tables().shapley.contribution)
    with pytest.raises(ml.InputError, match=r"needs the measure Shapley or Occlusion, and the explanation holds"):
        plots.relied_on_panel(replace(tables(), results={"orders": tables().interactions}))


def test_curves_are_drawn_with_their_bands() -> None:
    found = curves()
    ax = found.plot()
    for line, order in zip(ax.lines, found.curve.order.values, strict=True):
        np.testing.assert_allclose(line.get_ydata(), found.curve.sel(order=order))
        np.testing.assert_allclose(line.get_xdata(), 100 * found.curve.step)
    assert len(ax.collections) == 3
    assert ax.get_xlabel() == "share of patches taken away (%)"
    assert replace(found, insertion=True).plot().get_xlabel() == "share of patches put in (%)"


def test_a_map_of_a_record_has_its_outline_and_the_colours_of_its_row() -> None:
    audit = audited()
    swapped = next(name for name in audit.maps if name != "as it is")
    one, other = (plots.map_panel(audit, 0, condition=name) for name in ("as it is", swapped))
    assert one.images[1].norm.vmax == other.images[1].norm.vmax
    assert not np.array_equal(one.images[1].get_array(), other.images[1].get_array())
    assert len(one.collections) == 1
    bare = plots.map_panel(audit, 0)
    assert bare.get_title(loc="left") == "annotated"
    assert not np.asarray(bare.images[1].get_array()).any()
    with pytest.raises(ml.InputError, match=r"record=999 is not there: the audit holds \d+ images"):
        plots.map_panel(audit, 999)
    with pytest.raises(ml.InputError, match=r"condition='swap' has no maps"):
        plots.map_panel(audit, 0, condition="swap")
