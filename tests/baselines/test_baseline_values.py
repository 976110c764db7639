"""What each baseline puts in the place of a sample, by hand, for every kind of modality that has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

import modalens as ml
from modalens.baselines import Fill, named

IMAGES = np.array([[[0.0, 2.0], [4.0, 6.0]], [[1.0, 1.0], [1.0, 5.0]]])
BACKGROUND = np.array([[[1.0, 1.0], [1.0, 1.0]], [[3.0, 1.0], [1.0, 1.0]], [[5.0, 1.0], [4.0, 1.0]]])


def fill(baseline: Fill, kind: ml.Modality, samples: Any, background: Any) -> np.ndarray:
    resolved = kind.resolve("x", samples)
    return baseline.fill(resolved, resolved.canonical("x", samples), resolved.canonical("x", background))


def test_mean_is_of_the_background() -> None:
    np.testing.assert_array_equal(fill(ml.Mean(), ml.Image(), IMAGES, BACKGROUND), [[[3.0, 1.0], [2.0, 1.0]]])


def test_mean_of_whole_numbers_is_rounded() -> None:
    codes = np.array([[0, 10], [1, 20], [1, 21]])
    found = fill(ml.Mean(), ml.Tabular(), codes, codes)
    assert found.tolist() == [[1, 17]]
    assert found.dtype == codes.dtype
    pixels = np.array([[[0, 255]], [[1, 254]], [[1, 255]]], dtype=np.uint8)
    found = fill(ml.Mean(), ml.Image(), pixels, pixels)
    assert found.tolist() == [[[1, 255]]]
    assert found.dtype == np.uint8


def test_mode_is_the_most_frequent_value_and_the_smaller_of_two() -> None:
    np.testing.assert_array_equal(fill(ml.Mode(), ml.Image(), IMAGES, BACKGROUND), [[[1.0, 1.0], [1.0, 1.0]]])
    frame = pd.DataFrame({"stage": ["I", "II", "II", "I"], "age": [50, 50, 61, 80]})
    assert fill(ml.Mode(), ml.Tabular(), frame, frame).tolist() == [["I", 50]]


@pytest.mark.parametrize(
    ("kind", "samples"),
    [
        (ml.Image(), IMAGES),
        (ml.Volume(), IMAGES[:, None]),
        (ml.Series(), IMAGES),
        (ml.Vector(), IMAGES[:, 0]),
        (ml.Tabular(), IMAGES[:, 0]),
    ],
)
def test_zeros_and_constants(kind: ml.Modality, samples: np.ndarray) -> None:
    np.testing.assert_array_equal(fill(ml.Zeros(), kind, samples, samples), np.zeros((1, *samples.shape[1:])))
    np.testing.assert_array_equal(
        fill(ml.Constant(value=-2.5), kind, samples, samples), np.full((1, *samples.shape[1:]), -2.5)
    )
    own = np.arange(float(samples[0].size)).reshape(samples.shape[1:])
    np.testing.assert_array_equal(fill(ml.Constant(value=own), kind, samples, samples), own[None])


def test_sample_mean_is_over_space_by_channel() -> None:
    np.testing.assert_array_equal(
        fill(ml.SampleMean(), ml.Image(), IMAGES, BACKGROUND), np.stack([np.full((2, 2), 3.0), np.full((2, 2), 2.0)])
    )
    colour = np.stack([IMAGES, 10 * IMAGES], axis=1)
    found = fill(ml.SampleMean(), ml.Image(channels="first"), colour, colour)
    assert found[:, :, 0, 0].tolist() == [[3.0, 30.0], [2.0, 20.0]]
    volume = np.arange(8.0).reshape(1, 2, 2, 2)
    assert (fill(ml.SampleMean(), ml.Volume(), volume, volume) == 3.5).all()


def test_sample_mean_of_a_series_is_over_time_by_channel() -> None:
    series = np.array([[[1.0, 10.0], [3.0, 30.0]]])
    np.testing.assert_array_equal(fill(ml.SampleMean(), ml.Series(), series, series), [[[2.0, 20.0], [2.0, 20.0]]])


def test_blur_is_over_space_only() -> None:
    image = np.random.default_rng(0).normal(size=(2, 3, 16, 16))
    expected = np.stack([[gaussian_filter(channel, 2.0, mode="nearest") for channel in sample] for sample in image])
    np.testing.assert_allclose(fill(ml.Blur(), ml.Image(), image, image), expected, rtol=0, atol=1e-12)
    sharper = np.stack([[gaussian_filter(channel, 0.5, mode="nearest") for channel in sample] for sample in image])
    np.testing.assert_allclose(fill(ml.Blur(sigma=0.5), ml.Image(), image, image), sharper, rtol=0, atol=1e-12)
    series = np.random.default_rng(0).normal(size=(1, 9, 2))
    np.testing.assert_allclose(
        fill(ml.Blur(sigma=1.0), ml.Series(), series, series)[0, :, 1],
        gaussian_filter(series[0, :, 1], 1.0, mode="nearest"),
        rtol=0,
        atol=1e-12,
    )


def test_mask_token_and_words_of_ones_own() -> None:
    kind = ml.Text().resolve("x", ["no effusion"])
    samples = kind.canonical("x", ["no effusion"])
    for baseline, expected in (
        (ml.MaskToken(), "[MASK] [MASK]"),
        (ml.MaskToken(token="..."), "... ..."),
        (ml.Constant(value="word"), "word word"),
        (ml.MaskToken(token=""), " "),
    ):
        assert kind.restore(baseline.fill(kind, samples, samples)) == [expected]


@pytest.mark.parametrize(
    ("baseline", "kind", "samples"),
    [
        ("mean", ml.Text(), ["a b"]),
        ("mode", ml.Text(), ["a b"]),
        ("zeros", ml.Text(), ["a b"]),
        ("blur", ml.Text(), ["a b"]),
        ("sample_mean", ml.Tabular(), np.ones((1, 2))),
        ("blur", ml.Tabular(), np.ones((1, 2))),
        ("mask_token", ml.Image(), IMAGES),
        ("mask_token", ml.Tabular(), np.ones((1, 2))),
    ],
)
def test_refused_where_it_has_no_meaning(baseline: str, kind: ml.Modality, samples: Any) -> None:
    with pytest.raises(ml.InputError, match=f"{kind.typical}|background"):
        fill(named(baseline), kind, samples, samples)


def test_two_baselines_of_a_kind_have_two_names() -> None:
    assert ml.Background().label == "background"
    assert ml.Background(rows=10).label == "background (rows=10)"
    assert ml.Blur().label != ml.Blur(sigma=2.0).label != ml.Blur(sigma=3.0).label
    assert ml.MaskToken(token="...").label != ml.MaskToken().label
    assert ml.Constant(value=1).label == "constant 1"
