"""Slices show the volume as it is stored, and the changes of its blocks where they lie."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

import modalens as ml
from explained import lesion, regression
from modalens import plots
from modalens.plots.volume import blocks_of

SHAPE = (6, 8, 10)
BLOCK = (3, 4, 4)


def model(ct: Any, age: np.ndarray) -> np.ndarray:
    """The block of slices 3-5, rows 0-3 and columns 4-7 counts three times, others once."""
    ct = np.asarray(ct, dtype=float)
    return ct.sum((1, 2, 3)) + 2 * ct[:, 3:, :4, 4:8].sum((1, 2, 3)) + age[:, 0]


def scans() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.5, 1.0, size=(6, *SHAPE))


@cache
def scanned() -> ml.Explanation:
    return explained(scans())


def explained(ct: Any, run: Any = model) -> ml.Explanation:
    inputs = {"ct": ct, "age": np.random.default_rng(1).normal(size=(6, 1))}
    kinds = {"ct": ml.Volume(block=BLOCK), "age": ml.Tabular()}
    return ml.explain(
        run, inputs, modalities=kinds, baseline="zeros", output="raw", measures=[ml.Occlusion()], progress=False
    )


def layers(ax: Axes) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in ax.images]


def test_three_slices_through_the_middle_of_the_block_that_changes_most() -> None:
    ax = plots.volume(scanned(), "ct", 2)
    scan = scans()[2]
    grey = (scan - scan.min()) / (scan.max() - scan.min())
    assert {text.get_text() for text in ax.texts if "as stored" in text.get_text()} == {"slice 4\nrow 1\ncolumn 5\nas stored"}  # fmt: skip
    beneath = layers(ax)[::2]
    for drawn, expected in zip(beneath, (grey[4], grey[:, 1], grey[:, :, 5].T), strict=True):
        np.testing.assert_allclose(drawn, expected)


def test_the_colours_are_the_changes_of_the_blocks() -> None:
    scan, ax = scans()[2], plots.volume(scanned(), "ct", 2)
    expected = np.zeros(SHAPE)
    for first in (0, 3):
        for row in (0, 4):
            for column in (0, 4, 8):
                at = np.s_[first : first + 3, row : row + 4, column : column + 4]
                times = 3 if (first, row, column) == (3, 0, 4) else 1
                expected[at] = times * scan[at].sum()
    for drawn, cut in zip(layers(ax)[1::2], (expected[4], expected[:, 1], expected[:, :, 5].T), strict=True):
        np.testing.assert_allclose(drawn, cut)
    assert ax.images[1].norm.vmin == 0
    assert ax.images[1].norm.vmax == pytest.approx(expected.max())


def test_signed_changes_are_centred_at_zero() -> None:
    explanation = explained(-scans())
    (name,) = explanation.provenance["outputs"]
    ax = plots.volume(explanation, "ct", output=name)
    assert all(layer.max() < 0 for layer in layers(ax)[1::2])
    assert ax.images[1].norm.vmin == -ax.images[1].norm.vmax == pytest.approx(3 * -scans()[0][3:, :4, 4:8].sum())
    assert all(layer.min() > 0 for layer in layers(plots.volume(explanation, "ct"))[1::2])


def test_the_scale_can_be_that_of_the_patient() -> None:
    ax = plots.volume(scanned(), "ct", largest=1234.0, colour_bar=False)
    assert {image.norm.vmax for image in ax.images[1::2]} == {1234.0}
    figure = ax.get_figure(root=True)
    assert figure is not None
    assert len(figure.axes) == 1


def test_pictures_that_share_an_axis_lie_along_it_and_in_proportion() -> None:
    ax = plots.volume(scanned(), "ct", spacing=(5.0, 1.0, 2.0))
    one, below, beside = (image.get_extent() for image in ax.images[1::2])
    assert one == [0, 20, 8, 0]
    assert below[:2] == one[:2]
    assert below[2] - below[3] == 30
    assert below[3] > one[2]
    assert beside[2:] == one[2:]
    assert beside[1] - beside[0] == 30
    assert beside[0] > one[1]
    assert ax.get_aspect() == 1.0


def test_nothing_is_mirrored() -> None:
    """Index 0 of every axis is on top or on the left."""
    ax = plots.volume(scanned(), "ct")
    for image in ax.images:
        left, right, bottom, top = image.get_extent()
        assert image.origin == "upper"
        assert left < right
        assert top < bottom
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    said = [text.get_text() for text in ax.texts if "as stored" not in text.get_text()]
    assert said == ["columns →", "← rows", "columns →", "← slices", "slices →", "← rows"]


def test_the_lines_say_where_the_other_slices_are() -> None:
    ax = plots.volume(scanned(), "ct", 2)
    first_across, first_down = (line.get_xydata() for line in ax.lines[:2])
    np.testing.assert_allclose(first_across, [[0, 1.5], [10, 1.5]])
    np.testing.assert_allclose(first_down, [[5.5, 0], [5.5, 8]])


@pytest.mark.parametrize("axis", [1, 4])
def test_channels_are_averaged(axis: int) -> None:
    volumes = np.stack([scans(), scans()[::-1] ** 2], axis=axis)

    def run(ct: Any, age: np.ndarray) -> np.ndarray:
        return model(np.asarray(ct).mean(axis), age)

    scan = (scans()[0] + scans()[-1] ** 2) / 2
    drawn = layers(plots.volume(explained(volumes, run), "ct"))[0]
    np.testing.assert_allclose(drawn, (scan[4] - scan.min()) / (scan.max() - scan.min()))


def test_tensors_and_saved_volumes_lie_beneath_too(tmp_path: Path) -> None:
    tensors = explained(torch.from_numpy(scans()))
    loaded = ml.load(scanned().save(tmp_path / "saved.nc", inputs=True))
    for explanation in (tensors, loaded):
        for drawn, expected in zip(layers(plots.volume(explanation, "ct", 1)), layers(plots.volume(scanned(), "ct", 1)), strict=True):  # fmt: skip
            np.testing.assert_allclose(drawn, expected, atol=1e-6)


def test_without_the_volume_the_blocks_stand_alone() -> None:
    bare = ml.Explanation(results=scanned().results, provenance=scanned().provenance)
    assert len(plots.volume(bare, "ct").images) == 3
    assert len(plots.volume(regression(), "mri").images) == 6


def test_it_can_be_printed_as_vectors() -> None:
    ax = plots.volume(scanned(), "ct")
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(io.BytesIO(), format="pdf")


def test_what_is_no_volume_is_named() -> None:
    with pytest.raises(ml.InputError, match=r"the parts of 'age' are no blocks of a volume \(it is Tabular"):
        plots.volume(scanned(), "age")
    with pytest.raises(ml.InputError, match=r"the parts of 'image' are no blocks"):
        plots.volume(lesion(), "image")
    with pytest.raises(ml.InputError, match=r"'ctt' is no modality .*did you mean 'ct'"):
        plots.volume(scanned(), "ctt")
    with pytest.raises(ml.InputError, match=r"sample=6 is not there"):
        plots.volume(scanned(), "ct", 6)
    for spacing in ((1.0, 1.0), (0.0, 1.0, 1.0), (1.0, float("nan"), 1.0)):
        with pytest.raises(ml.InputError, match=r"expected the size of a voxel"):
            plots.volume(scanned(), "ct", spacing=spacing)


def test_only_blocks_have_a_place() -> None:
    assert blocks_of(["slices 0-1, rows 2-3, columns 4-4"]) == [np.s_[0:2, 2:4, 4:5]]
    assert blocks_of(["slices 0-1, rows 2-3, columns 4-4", "rows 2-3, columns 4-4"]) is None
    assert blocks_of([]) is None
