"""Figures of the cohort show the numbers that the cohort has, and take any name."""

from __future__ import annotations

import io
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from cohorts import OCCLUSION, ZEROS, combined, stated, summed
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import modalens as ml
from modalens import cohort, plots


def rendered(ax: Axes) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    for kind in ("svg", "pdf"):
        figure.savefig(io.BytesIO(), format=kind)


def test_the_flow_has_a_bar_a_set_and_dots_for_what_is_in_it() -> None:
    explanation = summed(np.ones(8), np.ones(8), present={"b": np.arange(8) % 4 > 0}, groups=np.arange(8) // 2)
    ax = plots.cohort_flow(explanation)
    assert [bar.get_width() for bar in ax.patches] == [6, 2]
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 1]
    said = " ".join(text.get_text() for text in ax.texts)
    for words in (
        "6  (75 %)",
        "2  (25 %)",
        "a (8)",
        "b (6)",
        "8 samples of 4 patients were explained.",
        "No labels were given.",
    ):
        assert words in said
    rendered(plots.cohort_flow(cohort.flow(explanation)))


def test_the_flow_joins_what_is_rare() -> None:
    random = np.random.default_rng(0)
    names = list("abcd")
    inputs = {name: np.ones((60, 1)) for name in names}
    present = {name: random.random(60) < 0.5 for name in names[1:]}
    explanation = ml.explain(lambda a, b, c, d: a[:, 0], inputs, present=present, output="raw", task="regression", **OCCLUSION)  # fmt: skip
    found = cohort.flow(explanation)
    many = replace(found, by_combination={**found.by_combination, **{f"set {place}": 1 for place in range(12)}})
    ax = plots.cohort_flow(many)
    assert len(ax.patches) == 12
    assert f"{len(many.by_combination) - 12} rarer sets" in " ".join(text.get_text() for text in ax.texts)


def test_the_calibration_curve_is_drawn_at_its_numbers() -> None:
    random = np.random.default_rng(0)
    p = random.random(120)
    explanation = stated(p, labels=(random.random(120) < p).astype(int))
    curve = cohort.calibration(explanation).isel(output=0)
    ax = plots.calibration(explanation)
    (line,) = [one for one in ax.lines if one.get_marker() == "o"]
    assert line.get_xdata() == pytest.approx(curve.predicted.values)
    assert line.get_ydata() == pytest.approx(curve.observed.values)
    counts = np.histogram(p, bins=25, range=(0, 1))[0]
    heights = np.array([bar.get_height() for bar in ax.patches])
    assert heights / heights.max() == pytest.approx(counts / counts.max())
    said = " ".join(text.get_text() for text in ax.texts)
    assert f"calibration error {100 * curve.error.item():.1f} points" in said
    assert ax.get_xlabel() == "predicted probability of 1"
    rendered(ax)


def test_the_calibration_says_when_chance_is_counted_by_patient_and_when_it_is_not_told() -> None:
    random = np.random.default_rng(0)
    p = random.random(30)
    labels = (random.random(30) < p).astype(int)
    eight = stated(np.repeat(p, 8), labels=np.repeat(labels, 8), groups=np.repeat(np.arange(30), 8))
    ax = plots.calibration(eight)
    bound = 100 * cohort.calibration(eight).error_if_calibrated_interval.sel(bound="upper").item()
    (said,) = [text for text in ax.texts if "calibration error" in text.get_text()]
    assert f"; by chance up to {bound:.1f}, by patient\n" in said.get_text()
    rendered(ax)  # which lays it out
    assert said.get_window_extent().width <= ax.get_window_extent().width
    without = plots.calibration(stated(p, labels=labels, confidence=None))
    (said,) = [text for text in without.texts if "calibration error" in text.get_text()]
    assert "chance" not in said.get_text()


def test_another_output_and_values_have_a_curve() -> None:
    random = np.random.default_rng(1)
    p = random.dirichlet([1, 1, 1], 90)
    labels = np.array([random.choice(3, p=one) for one in p])
    classes = stated(p, labels=labels, classes=["x", "$y_", "z"])
    assert plots.calibration(classes).get_xlabel() == "predicted probability of the predicted class"
    rendered(plots.calibration(classes, "$y_"))
    with pytest.raises(ml.InputError, match=r"output='w' has no curve.*there are 'the predicted class', 'x'"):
        plots.calibration(classes, "w")
    a, b = random.normal(size=(2, 40))
    values = plots.calibration(summed(a, b, labels=a + b + 1, units="mmHg"), bins=5)
    assert values.get_xlabel() == "predicted output in mmHg"
    assert values.get_ylabel() == "observed value in mmHg"
    assert values.get_xlim()[0] < (a + b).min() < (a + b).max() < values.get_xlim()[1]
    rendered(values)
    with pytest.raises(ml.InputError, match=r"there is no calibration to draw: no labels were given"):
        plots.calibration(summed([1, 2], [2, 1]))


def test_subgroups_are_drawn_at_their_numbers_and_filled_where_they_differ() -> None:
    explanation = summed([9] * 20 + [1] * 20, [1, 2] * 10 + [9, 8] * 10, characteristics={"sex": ["f"] * 20 + ["m"] * 20, "site": ["x", "y"] * 20})  # fmt: skip
    found = cohort.subgroups(explanation)
    ax = plots.subgroups(found, modality="a")
    frame = found.to_frame().query("modality == 'a'")
    dots = [line for line in ax.lines if line.get_marker() in "oD"]
    assert [line.get_xdata()[0] for line in dots] == pytest.approx((100 * frame["value"]).tolist())
    filled = [mpl.colors.to_rgb(line.get_markerfacecolor()) != (1, 1, 1) for line in dots]
    assert filled == [True, True, True, False, False]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["all patients (40)", "f (20)", "m (20)", "x (20)", "y (20)"]
    assert ax.get_title(loc="left") == "Contribution of a, by subgroup"
    rendered(ax)


def test_other_numbers_of_subgroups_can_be_drawn() -> None:
    explanation = combined(40, characteristics=pd.DataFrame({"site": np.arange(40) % 2}))
    for quantity, title in (("interaction", "Interaction by subgroup"), ("auc", "AUC by subgroup")):
        ax = plots.subgroups(explanation, quantity=quantity)
        assert ax.get_title(loc="left") == title
        rendered(ax)


def test_what_is_not_compared_is_said() -> None:
    with pytest.raises(ml.InputError, match=r"there are no subgroups to draw"):
        plots.subgroups(summed([1, 2], [2, 1]))
    explanation = combined(40, characteristics=pd.DataFrame({"site": np.arange(40) % 2}))
    found = cohort.subgroups(explanation)
    with pytest.raises(ml.InputError, match=r"quantity='AUC' is not compared"):
        plots.subgroups(found, quantity="AUC")
    with pytest.raises(ml.InputError, match=r"modality='d' is not compared.*'a', 'b', 'c'"):
        plots.subgroups(found, modality="d")
    with pytest.raises(ml.InputError, match=r"quantity='auc' is not compared between these subgroups"):
        plots.subgroups(cohort.subgroups(explanation, by="error"), quantity="auc")


def test_the_figures_leave_nothing_behind() -> None:
    explanation = combined(40, characteristics=pd.DataFrame({"a_very_long_name_of_a_characteristic_$_<script>": ["Universitätsklinikum für Innere Medizin <b>", "東京"] * 20}))  # fmt: skip
    with mpl.rc_context({"font.size": 33.0}):
        before = {**mpl.rcParams}
        for figure in (plots.cohort_flow, plots.calibration, plots.subgroups):
            given = Figure().subplots()
            assert figure(explanation, ax=given) is given
        assert {**mpl.rcParams} == before
    assert plt.get_fignums() == []
    rendered(plots.subgroups(explanation))


def test_a_cohort_without_intervals_is_drawn() -> None:
    explanation = combined(12, confidence=None, characteristics=pd.DataFrame({"site": np.arange(12) % 2}), **{"measures": [ml.Occlusion()], **ZEROS})  # fmt: skip
    rendered(plots.calibration(explanation))
    rendered(plots.subgroups(explanation))
