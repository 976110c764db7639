"""What patients of known latents look like: images that follow their latents, files of a user's own, nothing downloaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import modalens as ml
from modalens.validation import problem, sources


@pytest.mark.parametrize("factor", range(sources.FACTORS))
def test_every_latent_shows_in_both_kinds_of_image(factor: int) -> None:
    low, high = np.zeros((1, sources.FACTORS)), np.zeros((1, sources.FACTORS))
    low[0, factor], high[0, factor] = -1.5, 1.5
    for draw in (sources.shapes, sources.fields):
        assert np.abs(draw(high) - draw(low)).max() > 0.02
        assert draw(high).shape == (1, 1, sources.SIDE, sources.SIDE)


def test_shapes_stay_between_black_and_white() -> None:
    images = sources.shapes(np.random.default_rng(0).normal(size=(200, sources.FACTORS)))
    assert images.min() >= 0
    assert images.max() <= 1


def test_the_latents_of_textures_are_their_scores() -> None:
    latents = np.random.default_rng(0).normal(size=(50, sources.FACTORS))
    flat = sources.fields(latents).reshape(50, -1).astype(np.float64)
    basis = sources.fields(np.eye(sources.FACTORS)).reshape(sources.FACTORS, -1)
    np.testing.assert_allclose(flat @ basis.T / (basis**2).sum(axis=1), latents, atol=1e-5)
    assert flat.std() == pytest.approx(1, abs=0.1)


def test_a_users_medmnist_file(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    images[7] = 9  # an empty picture has no components
    path = tmp_path / "organamnist.npz"
    np.savez(path, train_images=images, train_labels=np.zeros((60, 1)))
    with pytest.warns(ml.ModalensWarning) as said:
        found, scores = sources.medmnist(path)
    assert ["1 images of one grey" in str(one.message) or "not the published file" in str(one.message) for one in said] == [True, True]  # fmt: skip
    np.testing.assert_allclose(found[:, 0], np.delete(images, 7, axis=0) / 255, atol=1e-6)
    np.testing.assert_allclose(np.cov(scores.T, ddof=0), np.eye(sources.FACTORS), atol=1e-5)
    with pytest.raises(ml.InputError, match="test_images"):
        sources.medmnist(path, "test")
    known = problem("F4", pictures=path, train=20, test=9)
    assert known.inputs["image_1"].shape == (9, 1, 28, 28)
    with pytest.raises(ml.InputError, match="at least 60 images for 30 patients"):
        problem("F4", pictures=path, train=20, test=10)
    with pytest.raises(ml.InputError, match="can't be read"):
        problem("F4", pictures=tmp_path / "absent.npz", train=20, test=10)


@pytest.mark.skipif(importlib.util.find_spec("nilearn") is None, reason="nilearn is not installed")
def test_patches_of_a_real_brain() -> None:
    images, scores = sources.brain_patches(120, seed=1)
    assert images.shape == (120, 1, sources.SIDE, sources.SIDE)
    assert images.mean(axis=(1, 2, 3)).min() > 0.3  # brain, and no air
    np.testing.assert_allclose(np.cov(scores.T, ddof=0), np.eye(sources.FACTORS), atol=1e-5)
    np.testing.assert_array_equal(images, sources.brain_patches(120, seed=1)[0])
    known = problem("F4", pictures="brain", train=80, test=20)
    assert known.inputs["image_1"].shape == (20, 1, sources.SIDE, sources.SIDE)
    assert set(known.train.labels) == {0, 1}


def test_brain_patches_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ml.InputError, match="pip install nilearn"):
        sources.brain_patches(3)
