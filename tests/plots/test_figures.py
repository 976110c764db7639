"""Figures show the numbers of the explanation, leave nothing behind, and take names as they are."""

from __future__ import annotations

import io
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

import modalens as ml
from explained import EVERY, lesion, multilabel, omics, pair, report
from modalens import plots
from modalens.evaluation import plan

FIGURES: dict[str, Callable[..., Axes]] = {
    "contributions": plots.contributions,
    "interaction_matrix": plots.interaction_matrix,
    "interaction_scores": plots.interaction_scores,
    "orders": plots.orders,
    "reliance": plots.reliance,
    "part_contributions": lambda explanation, **settings: plots.part_contributions(explanation, "blood", **settings),
    "parts": lambda explanation, **settings: plots.parts(explanation, "image", **settings),
}


def rendered(ax: Axes) -> None:
    """Drawing finds what making it doesn't: text that is no formula, colours that are none."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(io.BytesIO(), format="svg")


def widths(ax: Axes) -> list[list[float]]:
    """Lengths of the bars, by series."""
    return [
        [bar.get_width() for bar in container] for container in ax.containers if isinstance(container, BarContainer)
    ]


def error_bar(ax: Axes, series: int) -> np.ndarray:
    """Ends of the horizontal error bars of one series, (rows, 2)."""
    bars = [container for container in ax.containers if not isinstance(container, BarContainer)]
    return np.array([segment[:, 0] for segment in bars[series].lines[2][0].get_segments()])


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_returns_axes_and_leaves_nothing_behind(name: str) -> None:
    with mpl.rc_context({"font.size": 33.0}):
        before = {**mpl.rcParams}
        own = FIGURES[name](lesion())
        rendered(own)
        given = Figure().subplots()
        assert FIGURES[name](lesion(), ax=given) is given
        assert {**mpl.rcParams} == before
    assert isinstance(own, Axes)
    assert plt.get_fignums() == []


def test_figures_do_not_take_the_readers_settings() -> None:
    with mpl.rc_context({"font.size": 30.0, "axes.facecolor": "black"}):
        ax = plots.contributions(lesion())
    assert ax.xaxis.label.get_fontsize() < 12
    assert mpl.colors.to_hex(ax.get_facecolor()) == "#ffffff"


def test_contributions_are_bars_with_their_intervals() -> None:
    explanation = omics()
    ax = plots.contributions(explanation)
    expected = [explanation.occlusion.contribution, explanation.occlusion.anchor, explanation.shapley.contribution]
    np.testing.assert_allclose(widths(ax), 100 * np.array(expected))
    bounds = explanation.occlusion.interval["contribution"].transpose("modality", "bound")
    inside = bounds.copy()
    inside[:, 0], inside[:, 1] = np.minimum(bounds[:, 0], expected[0]), np.maximum(bounds[:, 1], expected[0])
    np.testing.assert_allclose(error_bar(ax, 0), 100 * inside, atol=1e-9)
    assert "%" in ax.get_xlabel()
    assert [label.get_text() for label in ax.get_yticklabels()] == list(explanation.modalities)


def test_contributions_without_intervals_have_no_error_bars() -> None:
    ax = plots.contributions(pair(confidence=None, measures=[ml.Shapley()]))
    assert all(isinstance(container, BarContainer) for container in ax.containers)


def test_undefined_contributions_are_named_so() -> None:
    ax = plots.contributions(pair(lambda a, b: np.full(len(a), 0.5)))
    assert {text.get_text() for text in ax.texts} == {"n/a"}
    rendered(ax)


def test_the_matrix_holds_phi_and_says_it() -> None:
    ax = plots.interaction_matrix(omics())
    phi = omics().intershap.matrix.values
    np.testing.assert_allclose(ax.images[0].get_array(), phi)
    assert ax.texts[1].get_text() == f"{phi[0, 1]:.3f}\n{100 * phi[0, 1] / phi.sum():.0f} %"
    assert ax.images[0].norm.vmin == 0


def test_the_matrix_of_an_output_is_named() -> None:
    explanation = multilabel()
    ax = plots.interaction_matrix(explanation, output="effusion")
    np.testing.assert_allclose(ax.images[0].get_array(), explanation.intershap.matrix.sel(output="effusion"))
    assert "effusion" in ax.get_title(loc="left")
    assert "nodule" in plots.interaction_matrix(explanation).get_title(loc="left")  # the one that interacts most
    with pytest.raises(ml.InputError, match=r"did you mean 'nodule'"):
        plots.interaction_matrix(explanation, output="nodul")


def test_orders_are_stacked_to_one_hundred() -> None:
    ax = plots.orders(omics())
    found = omics().interactions.orders_by_space.sel(order=["1", "2", "3+"]).transpose("order", "space")
    np.testing.assert_allclose(widths(ax), 100 * found, atol=1e-9)
    np.testing.assert_allclose(np.sum(widths(ax), axis=0), 100)
    ends = [bar.get_x() + bar.get_width() for bar in ax.containers[0]]
    np.testing.assert_allclose([bar.get_x() for bar in ax.containers[1]], ends)


def test_orders_come_from_intershap_where_interactions_are_missing() -> None:
    explanation = pair(measures=[ml.InterSHAP()])
    np.testing.assert_allclose(
        np.ravel(widths(plots.orders(explanation))), 100 * explanation.intershap.orders.sel(order=["1", "2"])
    )


def test_scores_stand_beside_the_additive_null() -> None:
    ax = plots.interaction_scores(omics())
    for series, array in enumerate(("by_space", "null")):
        np.testing.assert_allclose(ax.containers[series].lines[0].get_xdata(), 100 * omics().intershap.arrays[array])
    bounds = 100 * omics().intershap.interval["by_space"].transpose("space", "bound").values
    np.testing.assert_allclose(error_bar(ax, 0), bounds)


def test_a_missing_null_is_said_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        plan, "VALUES_BUDGET", 0
    )  # so that background rows are pooled, and an additive model can't be fitted to single ones
    ax = plots.interaction_scores(pair())
    assert len(ax.containers) == 1
    assert "not defined" in ax.texts[0].get_text()


def test_reliance_shows_alone_and_without() -> None:
    ax = plots.reliance(omics())
    np.testing.assert_allclose(ax.containers[0].lines[0].get_xdata(), omics().reliance.alone)
    np.testing.assert_allclose(ax.containers[1].lines[0].get_xdata(), omics().reliance.without)
    assert ax.lines[0].get_xdata()[0] == pytest.approx(float(omics().reliance.everything))
    assert "AUC" in ax.get_xlabel()


def test_part_contributions_are_sorted_and_count_the_rest() -> None:
    ax = plots.part_contributions(lesion(), "blood", top=1)
    shares = 100 * lesion().occlusion.part_contribution["blood"]
    np.testing.assert_allclose(widths(ax), [[shares.max().item()]])
    assert ax.get_yticklabels()[0].get_text() == str(shares.idxmax().item())
    assert f"16 others together: {float(shares.sum() - shares.max()):.1f} %" in ax.get_xlabel()
    with pytest.raises(ml.InputError, match="not the same in all samples"):
        plots.part_contributions(report(), "report")


@pytest.mark.parametrize("name", EVERY)
def test_the_overview_draws_all_there_is(name: str) -> None:
    figure = EVERY[name]().plot()
    assert isinstance(figure, Figure)
    figure.savefig(io.BytesIO(), format="pdf")
    assert plt.get_fignums() == []
    titles = " ".join(ax.get_title(loc="left") for ax in figure.axes)
    assert "How much each modality carries" in titles
    assert ("How well it predicts" in titles) == ("reliance" in EVERY[name]().results)


@pytest.mark.parametrize(
    "measure",
    [ml.Occlusion(name="mine"), ml.Shapley(), ml.InterSHAP(), ml.Interactions(), ml.Reliance()],
    ids=lambda measure: measure.key,
)
def test_the_overview_of_a_single_measure(measure: ml.Measure) -> None:
    assert len(pair(measures=[measure], labels=np.arange(12) % 2).plot().axes) >= 1


@pytest.mark.parametrize("name", ["contributions", "interaction_matrix", "interaction_scores", "orders", "reliance"])
def test_a_missing_measure_is_named(name: str) -> None:
    other = (
        ml.Interactions()
        if name in ("contributions", "interaction_matrix", "interaction_scores", "reliance")
        else ml.Shapley()
    )
    with pytest.raises(ml.InputError, match="needs the measure"):
        FIGURES[name](pair(measures=[other]))


def test_names_are_no_formulas() -> None:
    explanation = pair(
        classes=["no$_x$", "$\\frac$"],
        task="multilabel",
        model=lambda a, b: np.stack([0.5 + 0 * a[:, 0], 1 / (1 + np.exp(-a[:, 0] * b[:, 0]))], 1),
    )
    ax = plots.interaction_matrix(explanation, output="$\\frac$")
    rendered(ax)
    rendered(plots.parts(explanation, "a", output="$\\frac$"))
    assert ax.get_title(loc="left").endswith("\\$\\frac\\$")
