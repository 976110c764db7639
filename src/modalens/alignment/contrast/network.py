"""A small dual encoder: a picture becomes regions, a phrase becomes words, and words attend to regions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from modalens.alignment.attention import Attention, local_attention, phrase_map
from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.regions import Size
from modalens.errors import InputError, choice

Published = Literal["published", "single"]

POSITION, WORD = 0.5, 0.05
"""The spread of first weights: positions as large as features, so that they count from the start; words so small that two of them
stay alike until something in the pictures tells them apart.
"""

PADDING, UNKNOWN, MASKED = "<padding>", "<unknown>", "<mask>"


class Words(NamedTuple):
    """Phrases as numbers: ids (phrase, word), padding (phrase, word) True where there is no word."""

    ids: Tensor
    padding: Tensor


@dataclass(frozen=True)
class Vocabulary:
    """The words of a set of phrases, lower case, without punctuation."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, phrases: Iterable[str]) -> Vocabulary:
        return cls((PADDING, UNKNOWN, MASKED, *sorted({word for phrase in phrases for word in split(phrase)})))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, phrases: Sequence[str]) -> Words:
        """Raises InputError for a phrase without a word."""
        known = {word: number for number, word in enumerate(self.words)}
        rows = [[known.get(word, 1) for word in split(phrase)] for phrase in phrases]
        for phrase, row in zip(phrases, rows, strict=True):
            if not row:
                raise InputError(f"the phrase {phrase!r} holds no word.")
        ids = torch.zeros(len(rows), max(map(len, rows), default=0), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row)
        return Words(ids, ids == 0)


def split(phrase: str) -> list[str]:
    """The words of a phrase; `<mask>` is one."""
    return re.findall(r"<mask>|\w+", phrase.lower())


class Regions(nn.Module):
    """A picture (n, 64, 64) as regions (n, 64 cells, features): three convolutions of 2 x 2 pixels without overlap or padding,
    and a table of positions. A cell sees its own 8 x 8 pixels only, so that without positions nothing tells left from right.
    """

    def __init__(self, width: int = 64, *, positions: bool = True, grid: Size = (8, 8)) -> None:
        super().__init__()
        self.grid = grid
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 2, stride=2), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 2, stride=2), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, width, 2, stride=2), nn.BatchNorm2d(width), nn.ReLU(),
        )  # fmt: skip
        self.positions = nn.Parameter(POSITION * torch.randn(grid[0] * grid[1], width)) if positions else None
        self.last = nn.Linear(width, width)

    def forward(self, images: Tensor) -> Tensor:
        cells = self.layers(images[:, None] if images.ndim == 3 else images).flatten(2).transpose(1, 2)
        if self.positions is not None:
            cells = cells + self.positions
        return self.last(cells)


class Sentence(nn.Module):
    """Phrases as words (n, words, features): one transformer layer over word embeddings."""

    def __init__(self, vocabulary: int, width: int = 64, longest: int = 32) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        nn.init.normal_(self.words.weight, std=WORD)
        self.places = nn.Parameter(WORD * torch.randn(longest, width))
        self.layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.last = nn.Linear(width, width)

    def forward(self, words: Words) -> Tensor:
        length = words.ids.shape[1]
        if length > len(self.places):
            raise InputError(
                f"a phrase of {length} words is longer than the {len(self.places)} that this encoder reads."
            )
        return self.last(self.layer(self.words(words.ids) + self.places[:length], src_key_padding_mask=words.padding))


class DualEncoder(nn.Module):
    """Words that attend to regions.

    regions: a module, images -> (n, cells, features), with `grid`, the (rows, columns) of the cells. sentence: a module, Words
    -> (n, words, features). encode: phrases -> Words. attention: "published" (double softmax) or "single". opt_out: None, a
    "vector" (an extra region, as published) or a "logit" of its own (single attention only).
    """

    def __init__(
        self,
        regions: nn.Module,
        sentence: nn.Module,
        encode: Callable[[Sequence[str]], Words],
        *,
        width: int = 64,
        attention: Published = "single",
        opt_out: Literal["vector", "logit"] | None = None,
        temperature: float | None = None,
    ) -> None:
        super().__init__()
        choice("attention", attention, ("published", "single"))
        choice("opt_out", opt_out or "vector", ("vector", "logit"))
        if opt_out == "logit" and attention == "published":
            raise InputError(
                'the published attention can opt out by a "vector" only; a "logit" needs attention="single".'
            )
        self.regions, self.sentence, self.encode = regions, sentence, encode
        self.attention, self.temperature = attention, temperature
        # The global loss has projections of its own: what a whole picture shows is no mean of what its regions are.
        self.whole_phrase, self.whole_picture = nn.Linear(width, width), nn.Linear(width, width)
        self.nowhere = None
        if opt_out is not None:
            self.nowhere = nn.Parameter(0.1 * torch.randn(width) if opt_out == "vector" else torch.zeros(()))

    @property
    def grid(self) -> Size:
        """Rows and columns of the regions."""
        rows, columns = cast(Size, self.regions.grid)
        return rows, columns

    def attend(self, words: Tensor, regions: Tensor, padding: Tensor) -> Attention:
        """Where each word looks, (..., words, cells)."""
        compat = "gloria" if self.attention == "published" else None
        return local_attention(
            words, regions, compat, opt_out=self.nowhere, padding=padding, temperature=self.temperature
        )

    def looks(self, images: Tensor, phrases: Sequence[str]) -> tuple[Attention, Words]:
        """Where each phrase looks in its own image: each word's attention, and the phrases as numbers."""
        words = self.encode(phrases)
        return self.attend(self.sentence(words), self.regions(images), words.padding), words

    def forward(self, images: Tensor, phrases: Sequence[str]) -> Attention:
        """The map (n, cells) and the opt-out (n) of each phrase in its own image."""
        attention, words = self.looks(images, phrases)
        return phrase_map(attention, words.padding)

    @torch.no_grad()
    def heat_maps(self, images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[HeatMap]:
        """The heat map of each phrase in its own image, in evaluation mode; what `ml.audit` asks for."""
        was_training = self.training
        self.eval()
        try:
            pixels = torch.from_numpy(np.stack([np.asarray(image, dtype=np.float32) for image in images]))
            attention, words = self.looks(pixels, phrases)
            whole = phrase_map(attention, words.padding)
        finally:
            self.train(was_training)
        rows, columns = self.grid
        return [
            HeatMap(
                values=whole.map[place].reshape(rows, columns).numpy(),
                opt_out=float("nan") if self.nowhere is None else float(whole.opt_out[place]),
                words=attention.map[place][~words.padding[place]].reshape(-1, rows, columns).numpy(),
            )
            for place in range(len(phrases))
        ]


def small_dual_encoder(
    vocabulary: Vocabulary,
    *,
    positions: bool = True,
    attention: Published = "single",
    opt_out: Literal["vector", "logit"] | None = None,
    width: int = 64,
) -> DualEncoder:
    """The dual encoder of the phantom: some 0.1 million parameters, 8 x 8 regions of a 64 x 64 picture."""
    return DualEncoder(
        Regions(width, positions=positions),
        Sentence(len(vocabulary), width),
        vocabulary.encode,
        width=width,
        attention=attention,
        opt_out=opt_out,
    )
