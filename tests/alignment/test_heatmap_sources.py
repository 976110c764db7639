"""What makes heat maps: patches beside a phrase, maps made elsewhere, occlusion."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import modalens as ml
from audited import SIZE, bilateral, obedient
from modalens.alignment import Given, Occluded, PatchText
from modalens.alignment.sources import highlighter_of
from modalens.errors import InputError

RNG = np.random.default_rng(0)
PATCHES, TEXTS = RNG.normal(size=(3, 2, 4, 5)), RNG.normal(size=(3, 5))
IMAGES, PHRASES = [np.zeros(SIZE)] * 3, ["a", "b", "c"]


@pytest.mark.parametrize("flat", [False, True])
def test_the_cosine_of_each_patch_and_the_phrase(flat: bool) -> None:
    patches = torch.as_tensor(PATCHES.reshape(3, 8, 5) if flat else PATCHES).requires_grad_()
    maps = PatchText(images=lambda images: patches, texts=lambda phrases: TEXTS, grid=(2, 4) if flat else None, extent=(0, 0, 4, 8))(IMAGES, PHRASES)  # fmt: skip
    for n, found in enumerate(maps):
        assert found.extent == (0, 0, 4, 8)
        for row in range(2):
            for column in range(4):
                one, text = PATCHES[n, row, column], TEXTS[n]
                expected = sum(one * text) / (sum(one**2) ** 0.5 * sum(text**2) ** 0.5)
                assert found.values[row, column] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("patches", "texts"),
    [(PATCHES[:1], TEXTS), (PATCHES, TEXTS[:1]), (PATCHES[..., :4], TEXTS), (PATCHES.reshape(3, 8, 5), TEXTS)],
)
def test_features_that_do_not_fit_are_refused(patches: np.ndarray, texts: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"PatchText: for n = 3 pairs"):
        PatchText(images=lambda images: patches, texts=lambda phrases: texts)(IMAGES, PHRASES)


def test_a_model_is_called_or_has_heat_maps() -> None:
    assert highlighter_of(obedient) is obedient
    with pytest.raises(InputError, match=r"Given is neither"):
        highlighter_of(Given(maps={}))


def scorer(image: np.ndarray, text: list[str]) -> np.ndarray:
    """The lung that is named and, whatever is said, the first row; between 0 and 1."""
    named = np.where(np.array(["right" in one for one in text]), image[..., :4].mean((1, 2, 3)), image[..., 4:].mean((1, 2, 3)))  # fmt: skip
    return 0.5 * named + 0.4 * image[:, 0, 0].mean(1)


BACKGROUND = {"image": np.random.default_rng(1).random((6, 1, 8, 8)).astype(np.float32), "text": ["x y"] * 6}


def test_occlusion_is_that_of_explain() -> None:
    records = bilateral(2)
    images, phrases = [one.pixels() for one in records], [one.phrase for one in records]
    explanation = ml.explain(
        scorer,
        {"image": np.stack(images)[:, None].astype(np.float32), "text": phrases},
        measures=[ml.Occlusion()],
        modalities={"image": ml.Image(patch=4), "text": ml.Text()},
        background=BACKGROUND,
    )
    expected = explanation.occlusion.parts["image"].isel(output=0).values.reshape(4, 2, 2)
    maps = Occluded(model=scorer, patch=4, background=BACKGROUND)(images, phrases)
    np.testing.assert_allclose([one.values for one in maps], expected)
    assert np.ptp(expected) > 0


def test_with_a_neutral_phrase_what_the_image_alone_explains_is_gone() -> None:
    images, phrases = [one.pixels() for one in bilateral(1)], [one.phrase for one in bilateral(1)]
    alone, with_neutral = (Occluded(model=scorer, patch=4, neutral=neutral)(images, phrases) for neutral in ((), ("No side.", "Nothing on the right.")))  # fmt: skip
    whole = [Occluded(model=scorer, patch=4)(images, [phrase] * 2) for phrase in ("No side.", "Nothing on the right.")]
    for place in range(2):
        expected = alone[place].values - (whole[0][place].values + whole[1][place].values) / 2
        np.testing.assert_allclose(with_neutral[place].values, expected, atol=1e-12)
    # the right lung's phrase: its own half less the mean over both halves, so opposite in the two halves
    assert not np.allclose(with_neutral[0].values, alone[0].values)


@pytest.mark.parametrize("background", [None, BACKGROUND])
def test_an_occlusion_map_does_not_depend_on_who_else_is_in_the_batch(background: object) -> None:
    source = Occluded(model=scorer, patch=4, background=background)  # type: ignore[arg-type]
    images, phrases = [one.pixels() for one in bilateral(2)], [one.phrase for one in bilateral(2)]
    together, alone = source(images, phrases), [source([image], [phrase])[0] for image, phrase in zip(images, phrases, strict=True)]  # fmt: skip
    np.testing.assert_allclose([one.values for one in together], [one.values for one in alone], atol=1e-6)


def test_patches_that_reach_over_the_edge_keep_their_size() -> None:
    found = Occluded(model=lambda image, text: image[:, 0, :3, :3].mean((1, 2)), patch=3)([np.random.default_rng(2).random(SIZE)], ["x"])[0]  # fmt: skip
    assert found.extent == (0, 0, 9, 9)
    shown = found.on(SIZE, smooth=False)
    assert (shown[:3, :3] != 0).all()
    assert (shown[3:] == 0).all()
    assert (shown[:, 3:] == 0).all()


def test_occlusion_audits() -> None:
    audit = ml.audit(Occluded(model=scorer, patch=4), bilateral(5), perturbations=["swap left/right"], scores=[])
    assert audit.data.value.sel(score="auroc").notnull().all()
    with pytest.raises(InputError, match=r"images of one size are explained together"):
        Occluded(model=scorer)([np.zeros((8, 8)), np.zeros((8, 9))], ["a", "b"])
