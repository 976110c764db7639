"""The figure of gradients shows every estimator with its interval, and the features that they work on."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

import modalens as ml
from explained import Branching, followed, fused, lesion
from modalens import plots


def rendered(ax: Axes) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(io.BytesIO(), format="svg")


def words(ax: Axes) -> str:
    return " | ".join(text.get_text() for text in ax.texts)


def test_every_estimator_is_drawn_with_its_interval() -> None:
    result = fused().fusion_gradient
    ax = plots.fusion_gradients(fused())
    labels = [container.get_label() for container in ax.containers]
    assert labels == ["expected (the contribution)", "covariance", "grouped", "gradient"]
    for label, container in zip(labels, ax.containers, strict=True):
        at = {"estimator": label.split(" ")[0]}
        shares = 100 * result.by_estimator.sel(at)
        np.testing.assert_allclose(container.lines[0].get_xdata(), shares)
        bounds = 100 * result.interval["by_estimator"].sel(at).transpose("modality", "bound").values
        ends = np.array([segment[:, 0] for segment in container.lines[2][0].get_segments()])
        assert (ends[:, 0] <= bounds[:, 0] + 1e-9).all()
        assert (ends[:, 1] >= bounds[:, 1] - 1e-9).all()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ct", "labs", "report"]


def test_dots_of_one_modality_lie_in_its_row() -> None:
    rows = np.stack([container.lines[0].get_ydata() for container in plots.fusion_gradients(fused()).containers])
    np.testing.assert_array_equal(rows.round(), np.tile(np.arange(3), (4, 1)))
    assert len(np.unique(rows)) == 12


def test_the_features_stand_beside() -> None:
    ax = plots.fusion_gradients(fused())
    assert words(ax).startswith("5 features,\n1.0 really used | 4 features,\n")
    assert words(ax).endswith("no features")


def test_the_figure_leaves_nothing_behind() -> None:
    with mpl.rc_context({"font.size": 33.0}):
        before = {**mpl.rcParams}
        rendered(plots.fusion_gradients(fused()))
        given = Figure().subplots()
        assert plots.fusion_gradients(fused(), ax=given) is given
        assert {**mpl.rcParams} == before
    assert plt.get_fignums() == []


def test_without_intervals_there_are_no_whiskers() -> None:
    ax = plots.fusion_gradients(followed(confidence=None))
    assert all(not container.has_xerr for container in ax.containers)


def test_an_undefined_estimator_is_said_not_drawn() -> None:
    ax = plots.fusion_gradients(followed(baseline="mean", measures=[ml.FusionGradient(estimator="covariance")]))
    assert len(ax.containers) == 3
    assert "not defined: covariance" in words(ax)


def test_gradients_at_inputs_are_named_so() -> None:
    ax = plots.fusion_gradients(followed(Branching()))
    assert ax.get_title(loc="left") == "Gradients at the inputs"
    assert "16 features" in words(ax)


def test_a_missing_measure_is_named() -> None:
    with pytest.raises(ml.InputError, match="needs the measure FusionGradient"):
        plots.fusion_gradients(lesion())


def test_contributions_have_a_fourth_bar_and_room_for_its_name() -> None:
    ax = plots.contributions(fused())
    figure = ax.get_figure(root=True)
    assert figure is not None
    rendered(ax)
    legend = ax.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["hidden part by part", "hidden as a whole", "Shapley value", "gradients at the fusion point"]
    (title,) = [
        one for one in ax.get_children() if isinstance(one, Text) and one.get_text() == ax.get_title(loc="left")
    ]
    assert not legend.get_window_extent().overlaps(title.get_window_extent())
    assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_the_overview_holds_the_figure_of_gradients() -> None:
    titles = [ax.get_title(loc="left") for ax in fused().plot().axes]
    assert "Gradients at the fusion point" in titles
    alone = [ax.get_title(loc="left") for ax in followed().plot().axes]
    assert alone == ["How much each modality carries", "Gradients at the fusion point"]
