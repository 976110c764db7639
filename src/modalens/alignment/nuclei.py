"""Nuclei of a real fluorescence image, and sentences that name one of them: by its place, its size or its brightness.

Every picture holds several nuclei, so that only the text can choose; the truth is the nucleus' own mask. A map of brightness,
which shows them all whatever is said, has a high AUROC already: it is the baseline to beat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal, cast

import numpy as np
import torch
from PIL import Image as Pictures
from scipy import ndimage
from torch import Tensor, nn

from modalens.alignment.attention import phrase_map
from modalens.alignment.contrast.learning import learn
from modalens.alignment.contrast.network import DualEncoder, Sentence, Vocabulary
from modalens.alignment.contrast.remedies import Batch, Remedy, cells_inside
from modalens.alignment.records import Record
from modalens.alignment.regions import Size
from modalens.datasets.packages import folder
from modalens.errors import InputError, choice

PACKAGE = "stardist"

WINDOW = 80
"""Pixels a side of a picture; a nucleus measures some 24."""

TRAINING, TEST = slice(0, 232), slice(272, 512)
"""Columns of the image. The gap is wider than any nucleus (39 columns), so that none has a pixel in both."""

BRIGHT = 128.0
"""What the image is divided by: most nuclei have 35 to 100 of 255, debris more."""

NEAR = 4.0
"""Pixels by which the middle of a nucleus must lie within its quarter of a picture, and those of all others outside it."""

APART = 8.0
"""Pixels by which the middle of the leftmost nucleus must lie further left than the next, and so on."""

CLEARLY = np.log(1.2)
"""How much larger, smaller, brighter or darker than the next a nucleus must be: 1.2 times."""

SEEN = 0.5
"""The share of a nucleus that a picture must show before a sentence names it."""

CELL = 8
"""Pixels a side of a cell of the encoder's maps."""

Kind = Literal["place", "size", "brightness"]


def nuclei(split: Literal["train", "test"] = "train", *, windows: int = 1500, seed: int = 0) -> list[Record]:
    """Pictures of several nuclei with sentences that name one: "The nucleus in the upper left.", "The largest nucleus.".

    One image of 512 x 512 pixels with 125 nuclei. Training pictures are windows of its left part, drawn anywhere, flipped,
    turned, and made brighter or darker; the sentences are made afterwards, of the picture as it then is. Test pictures are
    18 windows of its right part, side by side; of two nothing can be said. Between the two lies a gap: no nucleus has a pixel in both. It is still one
    image of one slide: scores say how well a model does on this image, not on others.

    Args:
        split: "train" or "test".
        windows: how many pictures are drawn for training; those in which nothing can be said without doubt are left out.
        seed: of the training pictures; the test pictures are always the same.

    Returns:
        A record a sentence: image (80, 80), `masks` with the nucleus (what the picture shows of it), labels ("place",), ("size",) or
        ("brightness",). A sentence is made only where it is true by a margin (`NEAR`, `APART`, `CLEARLY`). patient, study and image_id
        name the picture: test pictures share no pixel, so that drawing them anew is honest, while sentences of one picture are not
        independent. left and right are those of the *picture*, not a patient's: laterality is empty and frontal False, so that
        the audit leaves out the swap, the flip rate and the wrong-lung rate, which speak of a patient's sides.

    Raises:
        InputError: the package is not installed; the message says what to install.

    Source: the test image of stardist (BSD-3-Clause), read as a file; U. Schmidt et al., "Cell Detection with Star-convex Polygons",
    MICCAI 2018, arXiv:1806.03535.

    >>> from modalens.datasets.packages import absent
    >>> absent("stardist") != () or len({record.image_id for record in nuclei("test")}) == 16
    True
    """
    choice("split", split, ("train", "test"))
    if windows < 1:
        raise InputError(f"windows={windows}: give a number of pictures, at least 1.")
    slide = Slide.read()
    generator = np.random.default_rng(np.random.SeedSequence((seed, 31)))
    pictures = slide.drawn(windows, generator) if split == "train" else slide.tiles()
    return [record for number, picture in enumerate(pictures) for record in picture.records(f"nuclei-{split}-{number}")]


@dataclass(frozen=True, kw_only=True, eq=False)
class Slide:
    """The whole image: brightness (512, 512), and the number of the nucleus at each pixel, 0 where there is none."""

    image: np.ndarray
    numbers: np.ndarray

    @classmethod
    def read(cls) -> Slide:
        """Raises InputError where the package is not installed."""
        images = folder(PACKAGE) / "data" / "images"
        image, numbers = (np.asarray(Pictures.open(images / name)) for name in ("img2d.tif", "mask2d.tif"))
        return cls(image=(image / BRIGHT).astype(np.float32), numbers=numbers.astype(np.int64))

    def drawn(self, count: int, generator: np.random.Generator) -> Iterator[Picture]:
        """Windows of the training part, anywhere in it, in any of the eight orientations, brighter or darker."""
        for _ in range(count):
            row = int(generator.integers(self.image.shape[0] - WINDOW + 1))
            column = int(generator.integers(TRAINING.start, TRAINING.stop - WINDOW + 1))
            turns, flip, gain = int(generator.integers(4)), generator.random() < 0.5, generator.uniform(0.7, 1.4)
            yield self.window(row, column).turned(turns, flip=flip).brighter(gain)

    def tiles(self) -> Iterator[Picture]:
        """Windows of the test part, side by side, row by row; what is left over at the edges is cut off evenly."""
        top = self.image.shape[0] % WINDOW // 2
        for row in range(top, self.image.shape[0] - WINDOW + 1, WINDOW):
            for column in range(TEST.start, TEST.stop - WINDOW + 1, WINDOW):
                yield self.window(row, column)

    def window(self, row: int, column: int) -> Picture:
        """The window whose upper left corner is given."""
        seen = slice(row, row + WINDOW), slice(column, column + WINDOW)
        return Picture(image=self.image[seen], numbers=self.numbers[seen], sizes=self.sizes)

    @cached_property
    def sizes(self) -> np.ndarray:
        """How many pixels each nucleus has, by its number."""
        return np.bincount(self.numbers.ravel())


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A window: brightness and numbers of nuclei (height, width), and the `sizes` of whole nuclei, by number."""

    image: np.ndarray
    numbers: np.ndarray
    sizes: np.ndarray

    def turned(self, quarters: int, *, flip: bool) -> Picture:
        """Turned counter-clockwise by quarters, and then flipped left for right."""
        image, numbers = (np.rot90(one, quarters) for one in (self.image, self.numbers))
        return Picture(
            image=image[:, ::-1] if flip else image, numbers=numbers[:, ::-1] if flip else numbers, sizes=self.sizes
        )

    def brighter(self, times: float) -> Picture:
        return Picture(image=self.image * np.float32(times), numbers=self.numbers, sizes=self.sizes)

    def records(self, name: str) -> list[Record]:
        """A record for each sentence that is true without doubt."""
        image = np.ascontiguousarray(self.image)
        return [
            Record(
                phrase=phrase,
                image=image,
                masks=(self.numbers == number,),
                labels=(kind,),
                image_id=name,
                study=name,
                patient=name,
                frontal=False,
            )
            for phrase, kind, number in self.sentences()
        ]

    def sentences(self) -> list[tuple[str, Kind, int]]:
        """Phrase, kind and number of the nucleus for all that can be said of one nucleus and of no other."""
        if len(self._seen) < 2:
            return []
        said = [*self._quarters(), *self._outermost(), *self._sizes(), *self._shades()]
        shown = self._areas >= SEEN * self.sizes[self._seen]
        return [(phrase, kind, int(self._seen[one])) for phrase, kind, one in said if one is not None and shown[one]]

    def _quarters(self) -> Iterator[tuple[str, Kind, int | None]]:
        for down, row in ((-1, "upper"), (1, "lower")):
            for across, column in ((-1, "left"), (1, "right")):
                inside = np.minimum(down * self._middles[0], across * self._middles[1])
                first = _first(inside, 0.0)
                alone = (inside > -NEAR).sum() == 1 and inside.max() > NEAR
                yield f"The nucleus in the {row} {column}.", "place", first if alone else None

    def _outermost(self) -> Iterator[tuple[str, Kind, int | None]]:
        down, across = self._middles
        for word, outwards in (("uppermost", -down), ("lowermost", down), ("leftmost", -across), ("rightmost", across)):
            yield f"The {word} nucleus.", "place", _first(outwards, APART)

    def _sizes(self) -> Iterator[tuple[str, Kind, int | None]]:
        """By what is seen and by whole nuclei at once: of one that is cut off, the picture does not tell its size."""
        seen, whole = np.log(self._areas), np.log(self.sizes[self._seen])
        for word, sign in (("largest", 1), ("smallest", -1)):
            first = _first(sign * seen, CLEARLY)
            yield f"The {word} nucleus.", "size", first if first == _first(sign * whole, CLEARLY) else None

    def _shades(self) -> Iterator[tuple[str, Kind, int | None]]:
        shades = np.log(ndimage.mean(self.image, self.numbers, self._seen))
        for word, sign in (("brightest", 1), ("darkest", -1)):
            yield f"The {word} nucleus.", "brightness", _first(sign * shades, CLEARLY)

    @cached_property
    def _seen(self) -> np.ndarray:
        """The numbers of the nuclei that the picture shows, of some even only an edge."""
        found = np.unique(self.numbers)
        return found[found > 0]

    @cached_property
    def _areas(self) -> np.ndarray:
        """Pixels of each nucleus that are seen."""
        return np.bincount(self.numbers.ravel())[self._seen]

    @cached_property
    def _middles(self) -> np.ndarray:
        """Down and across from the middle of the picture to that of each nucleus, (2, nucleus)."""
        middles = np.array(ndimage.center_of_mass(self.numbers > 0, self.numbers, self._seen))
        return (middles - (np.array(self.numbers.shape) - 1) / 2).T


def _first(values: np.ndarray, margin: float) -> int | None:
    """Which value is the greatest; None where it does not exceed the next by the margin."""
    *_, second, first = np.argsort(values)
    return int(first) if values[first] - values[second] > margin else None


def brightness(images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[np.ndarray]:
    """The pictures themselves as heat maps: all nuclei, whatever the phrase. A baseline for `ml.audit`."""
    return list(images)


def nuclei_encoder(
    records: Sequence[Record] | None = None,
    *,
    masks: float = 4.0,
    steps: int = 400,
    seed: int = 0,
    progress: bool | None = None,
) -> DualEncoder:
    """A dual encoder of nuclei and sentences, trained on one CPU thread in about a minute.

    By its contrastive loss alone (masks=0) it did not learn where nuclei are: AUROC on the test pictures was below .4, that of a map
    that says nothing .5. "The brightest nucleus." is true of something in nearly every picture, so that pairs teach little. The masks
    of the training records say where to look.

    Args:
        records: of training; those of `nuclei("train", seed=seed)` by default.
        masks: the weight of the masks in the loss (`OwnRegion`).
        steps: of training, of 32 pictures each. seed: of weights, pictures and batches. progress: a progress bar.

    Returns:
        The encoder, in evaluation mode: maps of 10 x 10 cells.

    Raises:
        InputError: as `nuclei` and `learn` do.
    """
    records = nuclei("train", seed=seed) if records is None else records
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vocabulary = Vocabulary.of(record.phrase for record in records)
        model = DualEncoder(Neighbours(), Sentence(len(vocabulary)), vocabulary.encode)
    remedies = (OwnRegion(weight=masks),) if masks else ()
    return learn(model, records, remedies=remedies, steps=steps, seed=seed, progress=progress)


class Neighbours(nn.Module):
    """A picture (n, 80, 80) as regions (n, 100 cells, features): three convolutions of stride 2, a table of positions, and a
    transformer layer, by which cells see one another: no cell knows by itself whether its nucleus is the largest.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.grid = (WINDOW // CELL, WINDOW // CELL)
        channels = (1, 16, 32, width)
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(one, next_one, 5, stride=2, padding=2), nn.BatchNorm2d(next_one), nn.ReLU())
                for one, next_one in pairwise(channels)
            )
        )
        self.positions = nn.Parameter(0.5 * torch.randn(self.grid[0] * self.grid[1], width))
        self.first = nn.Linear(width, width)
        self.compared = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)

    def forward(self, images: Tensor) -> Tensor:
        cells = self.layers(images[:, None]).flatten(2).transpose(1, 2)
        return self.compared(self.first(cells + self.positions))


@dataclass(frozen=True, kw_only=True)
class OwnRegion(Remedy):
    """Every phrase's attention should fall into its own region: - log of the share that does, of a step's located records. Unlike
    `FewBoxes`, for when all training records have a region.
    """

    weight: float = 1.0

    def loss(self, model: DualEncoder, batch: Batch, generator: np.random.Generator) -> Tensor | float:
        located = [place for place, record in enumerate(batch.records) if record.located]
        if not located:
            return 0.0
        grid = cast(Size, model.regions.grid)
        inside = torch.tensor(np.stack([cells_inside(batch.records[place], grid) for place in located])).flatten(1)
        maps = phrase_map(batch.attention, batch.padding).map[located]
        return self.weight * -(maps * inside.to(maps)).sum(-1).clamp(min=1e-6).log().mean()
