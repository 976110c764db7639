"""A series lies over windows, or channels, that are shaded by how much they change the output."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

import modalens as ml
from explained import lesion, regression, report
from modalens import plots
from modalens.plots.series import REACH
from modalens.plots.style import PART_AMOUNTS, SIGNED

LENGTHS = (20, 13, 9, 24)


def ragged() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(size=(length, 2)) for length in LENGTHS]


def model(ecg: Any, age: np.ndarray) -> np.ndarray:
    """The first window counts most, and the second channel turns the sign."""
    return np.array([3 * one[:4].sum() + one[:, 0].sum() - one[:, 1].sum() for one in ecg]) + age[:, 0]


@cache
def monitored(by: Any = "window", **settings: Any) -> ml.Explanation:
    window = {"window": 4} if by == "window" else {}
    kinds = {"ecg": ml.Series(by=by, **window, **settings), "age": ml.Tabular()}
    inputs = {"ecg": ragged(), "age": np.random.default_rng(1).normal(size=(4, 1))}
    return ml.explain(
        model, inputs, modalities=kinds, baseline="zeros", output="raw", measures=[ml.Occlusion()], progress=False
    )


def shades(ax: Axes) -> list[Rectangle]:
    return [patch for patch in ax.patches if isinstance(patch, Rectangle)]


def values_of(ax: Axes, lane: int) -> np.ndarray:
    """The values of a channel, read back from its line and the ticks beside it."""
    ticks = dict(zip(ax.get_yticks(), (float(one.get_text().replace("−", "-")) for one in ax.get_yticklabels()), strict=True))  # fmt: skip
    high, low = ticks[lane - REACH], ticks[lane + REACH]
    height = (lane + REACH - np.asarray(ax.lines[lane].get_ydata())) / (2 * REACH)
    return low + height * (high - low)


@pytest.mark.parametrize("sample", range(4))
def test_windows_are_shaded_by_their_change_where_they_lie(sample: int) -> None:
    ax = plots.series(monitored(), "ecg", sample)
    own = ragged()[sample]
    starts = range(0, LENGTHS[sample], 4)
    changes = np.array([abs((3 * own[:4].sum() if start == 0 else 0) + own[start : start + 4, 0].sum() - own[start : start + 4, 1].sum()) for start in starts])  # fmt: skip
    colours = mpl.colormaps[PART_AMOUNTS]
    drawn = shades(ax)
    assert len(drawn) == len(changes)
    for shade, start, change in zip(drawn, starts, changes, strict=True):
        assert shade.get_x() == start - 0.5
        assert shade.get_x() + shade.get_width() == min(start + 4, LENGTHS[sample]) - 0.5
        np.testing.assert_allclose(shade.get_facecolor(), colours(change / changes.max()), atol=1 / 255)
    assert ax.get_xlim() == (-0.5, LENGTHS[sample] - 0.5)


def test_lines_are_the_values_of_the_channels() -> None:
    ax = plots.series(monitored(), "ecg", 1, channels=["lead I", "lead II"])
    for lane in (0, 1):
        np.testing.assert_allclose(values_of(ax, lane), ragged()[1][:, lane], atol=0.01)
        np.testing.assert_array_equal(ax.lines[lane].get_xdata(), range(13))
    assert [text.get_text() for text in ax.texts] == ["lead I", "lead II"]


def test_signed_windows_have_the_colour_of_their_sign() -> None:
    (output,) = monitored().provenance["outputs"]
    changes = monitored().occlusion.parts["ecg"].isel(sample=0, output=0).values[:5]
    ax = plots.series(monitored(), "ecg", 0, output=output)
    colours = mpl.colormaps[SIGNED]
    for shade, change in zip(shades(ax), changes, strict=True):
        np.testing.assert_allclose(
            shade.get_facecolor(), colours(0.5 + change / (2 * abs(changes).max())), atol=1 / 255
        )
    assert min(changes) < 0 < max(changes)


def test_channels_are_shaded_along_their_lane() -> None:
    explanation = monitored("channel", names=("I", "II"))
    ax = plots.series(explanation, "ecg", 0)
    changes = abs(explanation.occlusion.parts["ecg"].isel(sample=0, output=0)).values
    first, second = shades(ax)
    assert (first.get_y(), first.get_height(), second.get_y()) == (-0.5, 1.0, 0.5)
    assert (first.get_x(), first.get_width()) == (-0.5, 20.0)
    colours = mpl.colormaps[PART_AMOUNTS]
    for shade, change in zip((first, second), changes, strict=True):
        np.testing.assert_allclose(shade.get_facecolor(), colours(change / changes.max()), atol=1 / 255)
    assert [text.get_text() for text in ax.texts] == ["I", "II"]


def test_a_part_of_several_channels_covers_their_lanes() -> None:
    names = ("a", "b", "c", "d", "e")
    inputs = {"ecg": np.random.default_rng(0).normal(size=(4, 12, 5)), "age": np.ones((4, 1))}
    kinds = {"ecg": ml.Series(by="channel", names=names, parts=3), "age": ml.Tabular()}
    explanation = ml.explain(
        lambda ecg, age: ecg[:, :, 2].sum(1) + age[:, 0],
        inputs,
        modalities=kinds,
        baseline="zeros",
        output="raw",
        measures=[ml.Occlusion()],
        progress=False,
    )
    ax = plots.series(explanation, "ecg", 0)
    assert [(shade.get_y(), shade.get_height()) for shade in shades(ax)] == [(-0.5, 2), (1.5, 2), (3.5, 1)]
    assert [text.get_text() for text in ax.texts] == list(names)
    white, strong, _ = (shade.get_facecolor() for shade in shades(ax))
    assert sum(strong[:3]) < sum(white[:3])


def test_one_channel_bears_the_name_of_the_modality_and_its_own_values() -> None:
    series = np.linspace(2.0, 5.0, 16).reshape(1, 16).repeat(4, 0)
    inputs = {"flow": series, "age": np.ones((4, 1))}
    explanation = ml.explain(
        lambda flow, age: flow.sum(1) + age[:, 0],
        inputs,
        modalities={"flow": ml.Series(), "age": ml.Tabular()},
        baseline="zeros",
        output="raw",
        measures=[ml.Occlusion()],
        progress=False,
    )
    ax = plots.series(explanation, "flow")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["5", "2"]
    np.testing.assert_allclose(values_of(ax, 0), series[0])
    assert ax.get_title(loc="left") == "flow, sample 0"
    assert not ax.texts


def test_gaps_and_constant_channels_are_drawn_as_such() -> None:
    explanation = monitored()
    series = ragged()
    series[0][5, 0] = np.nan
    series[0][:, 1] = 7.0
    gappy = ml.Explanation(results=explanation.results, provenance=explanation.provenance, inputs={"ecg": series})
    ax = plots.series(gappy, "ecg", 0)
    drawn = np.asarray(ax.lines[0].get_ydata())
    assert np.isnan(drawn[5])
    assert np.isfinite(np.delete(drawn, 5)).all()
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), 1.0)
    assert [label.get_text() for label in ax.get_yticklabels()][-1] == "7"


def test_without_the_series_the_windows_stand_alone(tmp_path: Path) -> None:
    loaded = ml.load(monitored().save(tmp_path / "saved.nc", inputs=True))
    np.testing.assert_allclose(
        plots.series(loaded, "ecg", 3).lines[1].get_ydata(), plots.series(monitored(), "ecg", 3).lines[1].get_ydata()
    )
    bare = ml.load(monitored().save(tmp_path / "bare.nc"))
    ax = plots.series(bare, "ecg", 3)
    assert len(ax.lines) == 0
    assert len(shades(ax)) == 6
    assert ax.get_xlim() == (-0.5, 23.5)
    channels = ml.Explanation(results=monitored("channel").results, provenance=monitored("channel").provenance)
    assert len(shades(plots.series(channels, "ecg"))) == 2


def test_a_bundle_shows_its_values() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(4, 12, 2))
    inputs = {"icu": {"values": values, "observed": np.ones((4, 12, 2))}, "age": np.ones((4, 1))}
    explanation = ml.explain(
        lambda icu, age: icu["values"][:, :3].sum((1, 2)) + age[:, 0],
        inputs,
        modalities={"icu": ml.Series(window=3), "age": ml.Tabular()},
        baseline="zeros",
        output="raw",
        measures=[ml.Occlusion()],
        progress=False,
    )
    ax = plots.series(explanation, "icu", 2)
    np.testing.assert_allclose(values_of(ax, 1), values[2, :, 1], atol=0.01)
    assert len(shades(ax)) == 4


def test_a_series_that_changes_nothing_is_not_shaded() -> None:
    ax = plots.series(regression(), "ecg", 0)
    assert {shade.get_facecolor() for shade in shades(ax)} == {mpl.colormaps[PART_AMOUNTS](0.0)}
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(io.BytesIO(), format="svg")


def test_what_is_no_series_is_named() -> None:
    with pytest.raises(ml.InputError, match=r"the parts of 'blood' are neither windows of time nor channels"):
        plots.series(lesion(), "blood")
    with pytest.raises(ml.InputError, match=r"the parts of 'report' are neither windows"):
        plots.series(report(), "report")
    with pytest.raises(ml.InputError, match=r"channels: expected 2 names, one for each channel of 'ecg', came 3"):
        plots.series(monitored(), "ecg", channels=["I", "II", "III"])
    with pytest.raises(ml.InputError, match=r"sample=4 is not there"):
        plots.series(monitored(), "ecg", 4)
    with pytest.raises(ml.InputError, match=r"did you mean 'ecg'"):
        plots.series(monitored(), "ecgs")
