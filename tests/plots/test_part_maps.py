"""The maps of one sample equal the measure: amounts add up to it, signs are those of p0 - p_l."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.patches import Rectangle

import modalens as ml
from explained import REPORTS, lesion, pair, regression, report
from modalens import plots
from modalens.plots.style import PART_AMOUNTS, SIGNED
from modalens.reading import patches


def boxes(ax: object) -> dict[str, tuple[float, ...]]:
    """The colour behind each word."""
    return {patch.get_label(): patch.get_facecolor() for patch in ax.patches if isinstance(patch, Rectangle)}  # type: ignore[attr-defined]


def test_a_patch_map_is_the_summed_change_over_the_image() -> None:
    explanation = lesion()
    ax = plots.parts(explanation, "image", 3)
    beneath, layer = ax.images
    changes = abs(explanation.occlusion.parts["image"].isel(sample=3)).sum("output").values
    np.testing.assert_allclose(layer.get_array(), np.kron(changes.reshape(4, 4), np.ones((8, 8))))
    image = explanation.inputs["image"][3].mean(0)
    np.testing.assert_allclose(beneath.get_array(), (image - image.min()) / (image.max() - image.min()), rtol=1e-5)
    assert layer.norm.vmin == 0
    assert layer.norm.vmax == pytest.approx(changes.max())


def test_a_signed_map_is_centred_at_zero_and_white_there() -> None:
    explanation = lesion()
    layer = plots.parts(explanation, "image", 3, output="malignant").images[-1]
    changes = explanation.occlusion.parts["image"].isel(sample=3).sel(output="malignant").values
    np.testing.assert_allclose(layer.get_array(), np.kron(changes.reshape(4, 4), np.ones((8, 8))))
    assert layer.norm.vmin == -layer.norm.vmax == pytest.approx(-abs(changes).max())
    red, _, blue, _ = layer.cmap(layer.norm(layer.norm.vmax))
    assert red > blue
    assert layer.cmap(layer.norm(0.0))[3] < 0.1  # where nothing changes, the image is seen as it is


def test_the_maps_of_all_samples_add_up_to_the_measure() -> None:
    explanation = lesion()
    totals = {}
    for modality in explanation.modalities:
        sums = []
        for sample in range(explanation.provenance["samples"]):
            ax = plots.parts(explanation, modality, sample, top=99)
            if ax.images:
                sums.append(np.asarray(ax.images[-1].get_array()).sum() / 64)  # pixels of a patch
            else:
                sums.append(sum(bar.get_width() for bar in ax.containers[0]))
        totals[modality] = np.mean(sums)
    whole = sum(totals.values())
    for modality, total in totals.items():
        share = explanation.occlusion.contribution.sel(modality=modality).item()
        assert total / whole == pytest.approx(share, abs=1e-12)


def luminance(colours: np.ndarray) -> np.ndarray:
    """Of colours (..., 3), as a camera for grey pictures would see them."""
    return colours @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("output", [None, "malignant"])
def test_the_image_is_seen_through_every_patch(output: str | None) -> None:
    ax = plots.parts(lesion(), "image", 3, output=output)
    beneath, layer = (image.to_rgba(image.get_array()).astype(float) for image in ax.images)
    seen = layer[..., 3:] * layer[..., :3] + (1 - layer[..., 3:]) * beneath[..., :3]
    grey, shown = luminance(beneath[..., :3]), luminance(seen)
    for row, column in np.ndindex(4, 4):
        patch = (slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8))
        assert np.ptp(shown[patch]) > 0.3 * np.ptp(grey[patch])
        assert np.corrcoef(shown[patch].ravel(), grey[patch].ravel())[0, 1] > 0.999


def test_the_map_stands_alone_without_the_image() -> None:
    bare = ml.Explanation(results=lesion().results, provenance=lesion().provenance)
    assert len(plots.parts(bare, "image").images) == 1


def test_channels_last_and_none_are_found() -> None:
    random = np.random.default_rng(0)
    for shape in ((6, 8, 12, 3), (6, 8, 12)):
        images = random.uniform(size=shape)
        kinds = {"scan": ml.Image(patch=4), "age": ml.Tabular()}
        inputs = {"scan": images, "age": random.normal(size=(6, 1))}
        explanation = ml.explain(
            lambda scan, age: scan.reshape(len(scan), -1).mean(1) + age[:, 0],
            inputs,
            modalities=kinds,
            baseline="zeros",
            output="raw",
            progress=False,
        )
        beneath = plots.parts(explanation, "scan", 2).images[0].get_array()
        grey = images[2].mean(-1) if len(shape) == 4 else images[2]
        np.testing.assert_allclose(beneath, (grey - grey.min()) / (grey.max() - grey.min()))


def test_edges_that_do_not_divide_fill_the_image() -> None:
    random = np.random.default_rng(0)
    inputs = {"scan": random.normal(size=(6, 10, 7)), "age": random.normal(size=(6, 1))}
    kinds = {"scan": ml.Image(patch=4), "age": ml.Tabular()}
    explanation = ml.explain(
        lambda scan, age: scan.sum((1, 2)) + age[:, 0],
        inputs,
        modalities=kinds,
        baseline="zeros",
        output="raw",
        measures=[ml.Occlusion()],
        progress=False,
    )
    grid = plots.parts(explanation, "scan").images[-1].get_array()
    assert grid.shape == (10, 7)
    assert not np.isnan(np.asarray(grid)).any()
    assert float(grid[9, 6]) == pytest.approx(abs(inputs["scan"][0, 8:, 4:].sum()))


def test_words_are_coloured_by_their_change() -> None:
    explanation = report()
    sample = explanation.inputs["report"].index(REPORTS[0])
    drawn = boxes(plots.parts(explanation, "report", sample))
    assert list(drawn) == REPORTS[0].split()
    colours = mpl.colormaps[PART_AMOUNTS]
    changes = abs(explanation.occlusion.parts["report"].isel(sample=sample, part=slice(5))).sum("output").values
    assert list(drawn.values()) == [colours(change / changes.max()) for change in changes]


def test_the_decisive_word_has_the_colour_of_its_sign() -> None:
    explanation = report()
    sample = explanation.inputs["report"].index(REPORTS[0])
    ill, healthy = (boxes(plots.parts(explanation, "report", sample, output=output)) for output in ("ill", "healthy"))
    assert ill["effusion"][0] > ill["effusion"][2]  # red: it speaks for illness
    assert ill["no"][2] > ill["no"][0]
    assert healthy["no"][0] > healthy["no"][2]
    assert ill["heart"] == mpl.colormaps[SIGNED](0.5)


def test_words_of_a_saved_explanation_are_there_again(tmp_path: Path) -> None:
    loaded = ml.load(report().save(tmp_path / "saved.nc", inputs=True))
    sample = loaded.inputs["report"].index(REPORTS[3])
    assert list(boxes(plots.parts(loaded, "report", sample))) == REPORTS[3].split()
    bare = ml.load(report().save(tmp_path / "bare.nc"))
    assert list(boxes(plots.parts(bare, "report", sample))) == REPORTS[3].split()


def test_long_texts_run_over_several_lines() -> None:
    texts = [" ".join(f"word{place}" for place in range(40)), "short text"] * 3

    def model(note: list[str], age: np.ndarray) -> np.ndarray:
        return np.array([len(text.replace("[MASK]", "")) for text in note]) / 500 + 0 * age[:, 0]

    explanation = ml.explain(
        model,
        {"note": texts, "age": np.random.default_rng(0).normal(size=(6, 1))},
        measures=[ml.Occlusion()],
        progress=False,
    )
    ax = plots.parts(explanation, "note", 0)
    drawn = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    lines = {patch.get_y() for patch in drawn}
    assert len(drawn) == 40
    assert len(lines) > 4
    for line in lines:
        ends = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for patch in drawn if patch.get_y() == line)
        assert all(before[1] < after[0] for before, after in pairwise(ends))


def test_bars_of_a_table_are_sorted_and_signed() -> None:
    explanation = lesion()
    ax = plots.parts(explanation, "blood", 2, output="benign", top=2)
    changes = explanation.occlusion.parts["blood"].isel(sample=2).sel(output="benign")
    largest = abs(changes).sortby(abs(changes), ascending=False).part.values[:2]
    np.testing.assert_allclose([bar.get_width() for bar in ax.containers[0]], changes.sel(part=largest))
    assert [label.get_text().replace("\n", "") for label in ax.get_yticklabels()] == list(largest)


def test_windows_keep_their_order() -> None:
    ax = plots.parts(regression(), "ecg", 0)
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        f"steps {start}-{start + 1}" for start in range(0, 16, 2)
    ]
    assert ax.texts[0].get_text() == "no part changes the output"


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(ml.InputError, match=r"'imag' is no modality .*did you mean 'image'"):
        plots.parts(lesion(), "imag")
    with pytest.raises(ml.InputError, match="sample=30 is not there"):
        plots.parts(lesion(), "image", 30)
    with pytest.raises(ml.InputError, match="did you mean 'benign'"):
        plots.parts(lesion(), "image", output="bening")
    with pytest.raises(ml.InputError, match="needs the measure Occlusion"):
        plots.parts(pair(measures=[ml.Shapley()]), "a")


def test_only_patches_have_a_place() -> None:
    assert patches(["rows 0-3, columns 4-7"]) == [(0, 3, 4, 7)]
    assert patches(["rows 0-3, columns 4-7", "segment 1"]) is None
    assert patches([]) is None


def test_an_image_of_three_channels_keeps_its_colours_beside_the_map() -> None:
    random = np.random.default_rng(0)
    inputs = {"skin": random.uniform(size=(6, 3, 8, 8)), "age": random.normal(size=(6, 1))}
    explanation = ml.explain(
        lambda skin, age: skin[:, 0].mean((1, 2)) * age[:, 0],
        inputs,
        modalities={"skin": ml.Image(patch=4)},
        baseline="zeros",
        output="raw",
        measures=[ml.Occlusion()],
    )
    ax = plots.parts(explanation, "skin", 2, beside=True)
    beneath, _, beside = (np.asarray(image.get_array()) for image in ax.get_images())
    picture = np.moveaxis(inputs["skin"][2], 0, -1)
    np.testing.assert_allclose(beside, (picture - picture.min()) / np.ptp(picture), atol=1e-12)
    assert beneath.shape == (8, 8)
