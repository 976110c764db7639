"""The page of a patient: every modality as it is seen best, and all of them on one scale."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import modalens as ml
from explained import EVERY, lesion, omics, pair, regression
from modalens import plots
from modalens.plots.parts import OPAQUE
from modalens.plots.style import PART_AMOUNTS, SIGNED

KINDS: dict[str, Any] = {
    "scan": ml.Volume(block=2),
    "xray": ml.Image(patch=4),
    "ecg": ml.Series(window=4),
    "note": ml.Text(),
    "blood": ml.Tabular(),
}


@cache
def everything() -> ml.Explanation:
    """A modality of each kind, of which every part changes the output, and a patient without a volume."""
    random = np.random.default_rng(0)
    inputs = {
        "scan": random.uniform(1, 2, size=(6, 4, 4, 4)),
        "xray": random.uniform(1, 2, size=(6, 8, 8)),
        "ecg": [random.normal(size=(length, 3)) for length in (8, 12, 16, 9, 10, 11)],
        "note": ["no effusion", "large effusion on the left", "clear", "no", "yes", "an effusion"],
        "blood": pd.DataFrame(random.normal(size=(6, 3)), columns=["age", "albumin", "sodium"]),
    }

    def model(scan: Any, xray: Any, ecg: Any, note: Any, blood: Any) -> np.ndarray:
        words = np.array([3.0 * text.split().count("effusion") for text in note])
        waves = np.array([one[:, 0].sum() for one in ecg])
        return scan.sum((1, 2, 3)) / 20 + xray.sum((1, 2)) / 20 + waves + words + blood["age"].to_numpy()

    fills = {"scan": "zeros", "xray": "zeros", "ecg": "zeros", "note": "mask_token", "blood": "zeros"}
    return ml.explain(
        model,
        inputs,
        modalities=KINDS,
        present={"scan": np.arange(6) != 5},
        baseline=fills,
        output="raw",
        measures=[ml.Occlusion(), ml.Shapley()],
        progress=False,
    )


def panel(figure: Figure, start: str) -> Axes:
    (found,) = [ax for ax in figure.axes if ax.get_title(loc="left").startswith(start)]
    return found


def largest(explanation: ml.Explanation, sample: int) -> float:
    parts = explanation.occlusion.parts
    return max(float(abs(changes.isel(sample=sample)).sum("output").max()) for changes in parts.values())


def test_every_modality_is_there_as_it_is_seen_best() -> None:
    figure = plots.patient(everything(), 1)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["How the output of sample 1 comes about", *(f"{name}, sample 1" for name in KINDS), ""]
    assert len(panel(figure, "scan").images) == 6
    beneath, layer, alone = panel(figure, "xray").images
    np.testing.assert_allclose(np.asarray(alone.get_array()).mean(axis=-1), beneath.get_array(), atol=1e-12)
    assert alone.get_extent()[1] < layer.get_extent()[0]  # on the left, not under the colours
    assert len(panel(figure, "ecg").lines) >= 3
    assert [one.get_label() for one in panel(figure, "note").patches if isinstance(one, Rectangle)] == ["large", "effusion", "on", "the", "left"]  # fmt: skip
    assert len(panel(figure, "blood").containers[0]) == 1


def test_one_scale_for_all_parts_drawn_once() -> None:
    explanation = everything()
    for sample in range(5):
        figure = plots.patient(explanation, sample)
        most = largest(explanation, sample)
        assert {image.norm.vmax for name in ("scan", "xray") for image in panel(figure, name).images[1::2]} == {most}
        assert panel(figure, "blood").get_xlim()[1] == pytest.approx(1.04 * most)
        assert figure.axes[-1].get_xlim() == (0, most)
        colours = mpl.colormaps[PART_AMOUNTS]
        own = explanation.occlusion.parts
        windows = [patch for patch in panel(figure, "ecg").patches if isinstance(patch, Rectangle)]
        amounts = abs(own["ecg"].isel(sample=sample, output=0)).values[: len(windows)]
        for window, amount in zip(windows, amounts, strict=True):
            np.testing.assert_allclose(window.get_facecolor(), colours(amount / most), atol=1 / 255)
        amount = abs(own["blood"].isel(sample=sample, output=0)).sel(part="age").item()
        (bar,) = panel(figure, "blood").containers[0]
        np.testing.assert_allclose(bar.get_facecolor(), colours(amount / most), atol=1 / 255)
        assert bar.get_width() == pytest.approx(amount)


def test_with_an_output_all_parts_are_signed_on_one_scale() -> None:
    explanation = lesion()
    figure = plots.patient(explanation, 3, output="malignant")
    parts = explanation.occlusion.parts
    most = max(float(abs(one.isel(sample=3).sel(output="malignant")).max()) for one in parts.values())
    layer = panel(figure, "image").images[1]
    assert (layer.norm.vmin, layer.norm.vmax) == (-most, most)
    assert panel(figure, "blood").get_xlim() == pytest.approx((-1.04 * most, 1.04 * most))
    assert figure.axes[-1].get_xlim() == (-most, most)
    assert "probability of malignant" in figure.axes[-1].get_xlabel()
    top = figure.axes[-1].images[0].get_array()
    np.testing.assert_allclose(top[0, 0], mpl.colormaps[SIGNED](0.0))
    assert "probability of malignant" in panel(figure, "How").get_xlabel()


def test_the_scale_says_what_it_is_and_how_it_looks_over_a_picture() -> None:
    scale = plots.patient(lesion(), 0).axes[-1]
    assert scale.get_xlabel() == "one scale for all parts: change of the probability, summed over outputs"
    opaque, over = (np.asarray(image.get_array()) for image in scale.images)
    assert (opaque[..., 3] == 1).all()
    assert over[0, 0, 3] == 0
    assert over[0, -1, 3] == pytest.approx(OPAQUE)
    assert scale.images[1].get_zorder() > scale.patches[0].get_zorder()


def test_a_modality_that_the_patient_lacks_is_said() -> None:
    figure = plots.patient(everything(), 5)
    absent = panel(figure, "scan")
    assert [text.get_text() for text in absent.texts] == ["this sample does not have it"]
    assert absent.get_title(loc="left") == "scan"
    assert not absent.images
    assert "not there: scan" in panel(figure, "How").get_xlabel()


def test_the_waterfall_is_that_of_the_sample() -> None:
    drawn = panel(plots.patient(omics(), 4), "How")
    alone = plots.waterfall(omics(), 4, top=8)
    assert [bar.get_x() for bar in drawn.patches] == [bar.get_x() for bar in alone.patches]
    assert [bar.get_width() for bar in drawn.patches] == [bar.get_width() for bar in alone.patches]
    figure = plots.patient(pair(measures=[ml.Occlusion()]))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a, sample 0", "b, sample 0", ""]


def test_the_page_is_headed_by_the_patients_name() -> None:
    assert plots.patient(lesion(), 2).get_suptitle() == ""
    rows = range(30)
    numbered = replace(lesion(), characteristics=pd.DataFrame({"age": [60.0 + row for row in rows]}))
    assert plots.patient(numbered, 2).get_suptitle() == ""
    named = replace(lesion(), characteristics=numbered.characteristics.set_axis([f"p{row + 15}" for row in rows]))
    assert plots.patient(named, 2).get_suptitle() == "Sample 2: patient p17"
    odd = replace(lesion(), characteristics=numbered.characteristics.set_axis(["a$_{" for row in rows]))
    plots.patient(odd, 2).savefig(io.BytesIO(), format="pdf")


def test_settings_reach_the_figure_of_their_modality() -> None:
    more = {"ecg": {"channels": ["I", "II", "III"]}, "scan": {"spacing": (5.0, 1.0, 1.0)}, "blood": {"top": 1}}
    figure = plots.patient(everything(), 0, settings=more)
    assert [text.get_text() for text in panel(figure, "ecg").texts] == ["I", "II", "III"]
    assert panel(figure, "scan").images[2].get_extent()[2] - panel(figure, "scan").images[2].get_extent()[3] == 20
    with pytest.raises(ml.InputError, match=r"settings names 'ekg', and the modalities are 'scan'"):
        plots.patient(everything(), 0, settings={"ekg": {}})


def test_a_patient_whom_nothing_changes_and_one_modality() -> None:
    still = plots.patient(pair(lambda a, b: np.full(len(a), 0.5)))
    assert still.axes[-1].get_xlim() == (0, 1)
    still.savefig(io.BytesIO(), format="pdf")
    inputs = {"ct": np.random.default_rng(0).uniform(size=(4, 8, 8))}
    single = ml.explain(
        lambda ct: ct.mean((1, 2)),
        inputs,
        modalities={"ct": ml.Image(patch=4)},
        baseline="zeros",
        output="raw",
        progress=False,
    )
    figure = plots.patient(single, 2)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["ct, sample 2", ""]


@pytest.mark.parametrize("name", EVERY)
def test_it_leaves_nothing_behind_and_is_printed_as_vectors(name: str) -> None:
    with mpl.rc_context({"font.size": 33.0}):
        before = {**mpl.rcParams}
        figure = plots.patient(EVERY[name](), 1)
        assert {**mpl.rcParams} == before
    figure.savefig(io.BytesIO(), format="pdf")
    assert plt.get_fignums() == []


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(ml.InputError, match=r"needs the measure Occlusion"):
        plots.patient(pair(measures=[ml.Shapley()]))
    with pytest.raises(ml.InputError, match=r"sample=20 is not there"):
        plots.patient(regression(), 20)
    with pytest.raises(ml.InputError, match=r"did you mean 'benign'"):
        plots.patient(lesion(), output="bening")
