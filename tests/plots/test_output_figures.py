"""Contributions by class, and what gradients at the fusion point stand on."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

import modalens as ml
from explained import followed, fused, lesion, multilabel, omics, pair
from modalens import plots


def test_dots_are_the_shares_by_class_with_their_intervals() -> None:
    explanation = omics()
    ax = plots.contributions_by_output(explanation)
    result = explanation.occlusion
    assert [container.get_label() for container in ax.containers] == list(explanation.modalities)
    for container in ax.containers:
        at = {"modality": container.get_label()}
        shares = 100 * result.by_output.sel(at).sel(output=["basal", "luminal", "normal"])
        np.testing.assert_allclose(container.lines[0].get_xdata(), shares)
        bounds = 100 * result.interval["by_output"].sel(at).transpose("output", "bound").values
        ends = np.array([segment[:, 0] for segment in container.lines[2][0].get_segments()])
        np.testing.assert_allclose(ends[:, 0], np.minimum(bounds[:, 0], shares))
        np.testing.assert_allclose(ends[:, 1], np.maximum(bounds[:, 1], shares))
    np.testing.assert_allclose(np.sum([one.lines[0].get_xdata() for one in ax.containers], axis=0), 100)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["basal", "luminal", "normal"]


def test_dots_of_a_class_lie_in_its_row() -> None:
    rows = np.stack([container.lines[0].get_ydata() for container in plots.contributions_by_output(omics()).containers])
    np.testing.assert_array_equal(rows.round(), np.tile(np.arange(3), (4, 1)))
    assert len(np.unique(rows)) == 12


def test_another_measure_can_be_named() -> None:
    ax = plots.contributions_by_output(multilabel(), measure="shapley")
    shares = 100 * multilabel().shapley.by_output.sel(modality="xray")
    np.testing.assert_allclose(ax.containers[0].lines[0].get_xdata(), shares)
    assert "Shapley value" in ax.get_xlabel()
    assert ax.get_title(loc="left").endswith("by label")
    assert plots.contributions_by_output(lesion()).get_title(loc="left").endswith("by class")


def test_a_class_that_nothing_changes_is_said() -> None:
    explanation = pair(
        lambda a, b: np.stack([a[:, 0], 0 * a[:, 0]], axis=1), output="raw", task="regression", classes=["x", "y$_1$"]
    )
    ax = plots.contributions_by_output(explanation)
    assert [text.get_text() for text in ax.texts] == ["n/a: nothing changes it"]
    assert ax.texts[0].get_position()[1] == 1
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(io.BytesIO(), format="pdf")


def test_many_outputs_are_cut_and_counted() -> None:
    ax = plots.contributions_by_output(omics(), top=2)
    assert len(ax.get_yticks()) == 2
    assert "1 other is not shown" in ax.get_xlabel()


def test_missing_measures_are_named() -> None:
    with pytest.raises(
        ml.InputError, match=r"needs a measure with shares by output, and the explanation holds 'reliance'"
    ):
        plots.contributions_by_output(pair(measures=[ml.Reliance()], labels=np.arange(12) % 2))
    with pytest.raises(ml.InputError, match=r"needs the shares by output of 'intershap'"):
        plots.contributions_by_output(omics(), measure="intershap")


def test_features_and_the_directions_that_they_use() -> None:
    result = fused().fusion_gradient
    ax = plots.fusion_diagnostics(fused())
    features, used = (container.lines[0].get_xdata() for container in ax.containers)
    np.testing.assert_array_equal(features, [5, 4, np.nan])
    np.testing.assert_allclose(used, result.participation.sel(modality=["ct", "labs", "report"]))
    said = [text.get_text() for text in ax.texts]
    assert said[:3] == [f"× {result.predicted_bias.sel(modality='ct').item():.2f}", f"× {result.predicted_bias.sel(modality='labs').item():.2f}", "no features"]  # fmt: skip
    assert result.predicted_bias.sel(modality="ct").item() == pytest.approx(np.sqrt(1 / 5), abs=0.01)


def test_what_the_values_miss_is_said() -> None:
    result = fused().fusion_gradient
    said = plots.fusion_diagnostics(fused()).get_xlabel()
    assert f"by {float(result.completeness_error):.1%} of it" in said
    assert f"{float(result.saturation):.0%} of the samples are saturated" in said
    assert f"right on {float(result.accuracy):.0%}; always guessing the same, {float(result.chance):.0%}" in said
    assert "right on" not in plots.fusion_diagnostics(followed()).get_xlabel()


def test_diagnostics_are_drawn_on_the_axes_given() -> None:
    given = Figure().subplots()
    assert plots.fusion_diagnostics(fused(), ax=given) is given
    with pytest.raises(ml.InputError, match=r"needs the measure FusionGradient"):
        plots.fusion_diagnostics(lesion())
