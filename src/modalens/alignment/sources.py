"""What makes heat maps: anything that takes images and phrases, and gives a map for each pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from modalens.alignment.heatmaps import HeatMap, as_heat_map
from modalens.alignment.records import Record
from modalens.alignment.regions import Size
from modalens.errors import InputError


class Highlighter(Protocol):
    """A model as an audit sees it: images, each (height, width) or (channels, height, width), and as many phrases -> a map for
    each pair, a HeatMap or an array (rows, columns) over the whole image.
    """

    def __call__(self, images: Sequence[np.ndarray], phrases: Sequence[str]) -> Sequence[Any]: ...


def highlighter_of(model: Any) -> Highlighter:
    """A model's `heat_maps(images, phrases)` where it has one, else the model itself. Raises InputError for what can't be
    called.
    """
    if callable(getattr(model, "heat_maps", None)):
        return model.heat_maps
    if not callable(model):
        raise InputError(
            f"model must be callable as model(images, phrases) -> a heat map for each pair, or have heat_maps(images, phrases); {type(model).__name__} is neither."
        )
    return model


def pair_in_words(record: Record, phrase: str) -> str:
    """Which image and which phrase were shown, for messages; the phrase may be another one than the record's own."""
    return (
        f"image {record.name!r}, phrase {phrase!r}"
        if record.name
        else f"the image of {record.where}, phrase {phrase!r}"
    )


@dataclass(frozen=True, kw_only=True)
class PatchText:
    """The cosine of each patch and the phrase, for a dual encoder that gives features of patches and of texts.

    images: a list of images -> (n, rows, columns, features), or (n, patches, features) with `grid`. texts: a list of phrases -> (n,
    features). extent: the box (x1, y1, x2, y2) of the image that the patches cover; None is all of it. Raises InputError for features
    of other shapes.

    >>> maps = PatchText(images=lambda images: np.eye(4)[None, :, :], texts=lambda phrases: np.eye(4)[:1], grid=(2, 2))
    >>> maps([np.zeros((8, 8))], ["Opacity."])[0].values
    array([[1., 0.],
           [0., 0.]])
    """

    images: Callable[[Sequence[np.ndarray]], Any]
    texts: Callable[[Sequence[str]], Any]
    grid: Size | None = None
    extent: tuple[float, float, float, float] | None = None

    def __call__(self, images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[HeatMap]:
        patches, texts = _numbers(self.images(images)), _numbers(self.texts(phrases))
        if patches.ndim == 3 and self.grid is not None and patches.shape[1] == self.grid[0] * self.grid[1]:
            patches = patches.reshape(len(patches), *self.grid, -1)
        rows = (len(images), len(phrases)) == (len(patches), len(texts))
        if patches.ndim != 4 or texts.ndim != 2 or patches.shape[-1] != texts.shape[-1] or not rows:
            raise InputError(
                f"PatchText: for n = {len(images)} pairs, patches must be (n, rows, columns, features), or (n, patches, features) with grid=(rows, columns), "
                f"and texts (n, features) of equally many features; {patches.shape} and {texts.shape} came."
            )
        cosine = np.einsum("nrcd,nd->nrc", _unit(patches), _unit(texts))
        return [HeatMap(values=values, extent=self.extent) for values in cosine]


@dataclass(frozen=True, kw_only=True)
class Given:
    """Heat maps made elsewhere: a map for each (image_id, phrase). Of phrases that were not given there is none: give those of
    the perturbed phrases too, or audit without perturbations.
    """

    maps: Mapping[tuple[str, str], Any] = field(repr=False)

    def of(self, record: Record, phrase: str) -> HeatMap:
        """The map of a record's image for a phrase. Raises InputError where there is none, and where nothing names the image."""
        if not record.name:
            raise InputError(
                f"Given: maps are found by the name of their image, and {record.where} has none: give it an image_id."
            )
        key = (record.name, phrase)
        if key not in self.maps:
            raise InputError(
                f"Given: there is no heat map of image {record.name!r} for the phrase {phrase!r}; give it as maps[({record.name!r}, {phrase!r})], or audit with perturbations=()."
            )
        return as_heat_map(self.maps[key], pair_in_words(record, phrase))


@dataclass(frozen=True, kw_only=True)
class Occluded:
    """Occlusion maps of `ml.explain`: by how much the model's output falls where a patch is hidden.

    model: takes `image` and `text` by these keywords, images (n, ...) and a list of phrases -> (n,) or (n, outputs). patch: pixels
    a side. background: other images and phrases, {"image": ..., "text": ...}, whose mean stands in for a hidden patch; None is each
    image's own mean. neutral: phrases that say nothing of a place; with them,
    the map is that of the *interaction* of each patch with the text: the occlusion with the phrase, less the mean occlusion with a
    neutral one, which is all that an image alone explains. output: which one, its number. settings: what else `explain` takes.

    Raises InputError for images of unequal sizes in one batch.
    """

    model: Any
    patch: int = 8
    background: Mapping[str, Any] | None = None
    neutral: Sequence[str] = ()
    image: str = "image"
    text: str = "text"
    output: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[HeatMap]:
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            raise InputError(
                f"Occluded: images of one size are explained together; {sorted(shapes)} came: bring the records to one size with Resize, or audit with batch_size=1."
            )
        changes = self._changes(images, phrases)
        if self.neutral:
            changes = changes - np.mean(
                [self._changes(images, [phrase] * len(images)) for phrase in self.neutral], axis=0
            )
        height, width = images[0].shape[-2:]
        rows, columns = changes.shape[1:]
        # The last patches may reach over the edge; cells are all of one size.
        extent = (
            None
            if (rows * self.patch, columns * self.patch) == (height, width)
            else (0, 0, columns * self.patch, rows * self.patch)
        )
        return [HeatMap(values=one, extent=extent) for one in changes]

    def _changes(self, images: Sequence[np.ndarray], phrases: Sequence[str]) -> np.ndarray:
        """What hiding each patch takes away from the output, (image, row, column)."""
        from modalens.measures import Occlusion
        from modalens.modalities import Image, Text
        from modalens.pipeline import explain

        stacked = np.stack([image if image.ndim == 3 else image[None] for image in images]).astype(np.float32)
        settings: dict[str, Any] = {"background": self.background, "progress": False}
        if self.background is None:  # what stands in for a patch must not depend on who else is in the batch
            settings["baseline"] = {self.image: "sample_mean", self.text: "mask_token"}
        settings |= self.settings
        explanation = explain(
            self.model,
            {self.image: stacked, self.text: list(phrases)},
            measures=[Occlusion()],
            modalities={self.image: Image(patch=self.patch), self.text: Text()},
            **settings,
        )
        parts = explanation.occlusion.parts[self.image].isel(output=self.output).values
        rows, columns = -(-stacked.shape[-2] // self.patch), -(-stacked.shape[-1] // self.patch)
        return np.asarray(parts).reshape(len(images), rows, columns)


def _numbers(found: Any) -> np.ndarray:
    return np.asarray(found.detach().cpu().numpy() if hasattr(found, "detach") else found, dtype=float)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
