"""The figure of a sweep holds the contributions by the numbers of parts."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

import modalens as ml
from modalens import plots
from modalens.plots.style import AMOUNTS, ink_on


def swept(*cut: str) -> xr.DataArray:
    """Shares of three modalities that add up to 1, over numbers of parts."""
    counts = {"image": [1, 16, 4], "report": [1, 8], "age": [1, 2]}
    sizes = [len(counts[name]) for name in cut]
    shares = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], size=sizes)
    return xr.DataArray(
        shares,
        dims=[*(f"{name}_parts" for name in cut), "modality"],
        coords={**{f"{name}_parts": counts[name] for name in cut}, "modality": list(counts)},
    )


def test_two_modalities_are_a_surface_over_both_numbers_of_parts() -> None:
    found = swept("image", "report")
    ax = plots.sweep(found)
    image = ax.images[0]
    expected = 100 * found.sel(modality="image").sel(image_parts=[1, 4, 16]).values
    np.testing.assert_allclose(image.get_array(), expected)
    assert image.origin == "lower"
    assert (image.norm.vmin, image.norm.vmax) == (0, 100)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "4", "16"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "8"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("number of parts of report", "number of parts of image")
    assert len(ax.texts) == 6
    for text in ax.texts:
        column, row = map(int, text.get_position())
        assert float(text.get_text()) == pytest.approx(expected[row, column], abs=0.51)
        assert text.get_color() == ink_on(mpl.colormaps[AMOUNTS](expected[row, column] / 100))


def test_the_surface_of_another_modality() -> None:
    found = swept("image", "report")
    ax = plots.sweep(found, modality="age")
    np.testing.assert_allclose(ax.images[0].get_array()[0], 100 * found.sel(modality="age").sel(image_parts=1))
    assert ax.get_title(loc="left") == "Contribution of age (%)"


def test_the_axes_of_a_surface_follow_their_names_not_their_order() -> None:
    found = swept("image", "report")
    turned = found.transpose("modality", "report_parts", "image_parts")
    one, other = (plots.sweep(array, modality="age").images[0].get_array() for array in (found, turned))
    np.testing.assert_array_equal(one, np.transpose(other))


def test_one_modality_is_a_line_a_modality() -> None:
    found = swept("image")
    ax = plots.sweep(found)
    assert ax.get_xscale() == "log"
    assert [line.get_label() for line in ax.lines] == ["image", "report", "age"]
    for line in ax.lines:
        np.testing.assert_array_equal(line.get_xdata(), [1, 4, 16])
        share = found.sel(modality=line.get_label()).sel(image_parts=[1, 4, 16])
        np.testing.assert_allclose(line.get_ydata(), 100 * share)
    np.testing.assert_allclose(np.sum([line.get_ydata() for line in ax.lines], axis=0), 100)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "4", "16"]
    assert len({line.get_marker() for line in ax.lines}) == 3


def test_a_real_sweep_is_drawn_as_it_is() -> None:
    random = np.random.default_rng(0)
    inputs = {"a": random.normal(size=(200, 16)), "b": random.normal(size=(200, 16))}
    found = ml.sweep(
        lambda a, b: a.sum(1) + b.sum(1), inputs, parts={"a": (1, 16), "b": (1, 16)}, baseline="zeros", output="raw"
    )
    drawn = plots.sweep(found).images[0].get_array()
    np.testing.assert_allclose(drawn, 100 * found.sel(modality="a"))
    np.testing.assert_allclose(drawn, [[50, 20], [80, 50]], atol=5)  # sqrt(h) : sqrt(h)


def test_undefined_shares_are_said() -> None:
    found = swept("image", "report")
    found[0, 0] = np.nan
    ax = plots.sweep(found)
    assert np.ma.getmaskarray(ax.images[0].get_array())[0, 0]
    assert [text.get_text() for text in ax.texts].count("n/a") == 1
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(io.BytesIO(), format="pdf")


def test_what_is_no_sweep_is_named() -> None:
    with pytest.raises(ml.InputError, match=r"expected what ml.sweep\(...\) returns, came dict"):
        plots.sweep({"a": 1})  # type: ignore[arg-type]
    with pytest.raises(ml.InputError, match=r"one modality or two, came the axes .*found.isel\(age_parts=0\)"):
        plots.sweep(swept("image", "report", "age"))
    with pytest.raises(ml.InputError, match=r"one modality or two"):
        plots.sweep(swept("image").isel(image_parts=0))
    with pytest.raises(ml.InputError, match=r"'imag' is no modality of the sweep \(did you mean 'image'\?\)"):
        plots.sweep(swept("image"), modality="imag")
    assert plots.sweep(swept("image", "report", "age").isel(age_parts=0)).images
