"""Small models for the studies: an encoder a modality, and two ways to join what they say.

`Fused` lets the modalities interact, `Late` can't by construction, so the two bracket what an explanation should
find. Both take modalities by keyword, return logits (n, classes), and export with a dynamic batch. (torch.export
takes dynamic shapes of named arguments only, so a caller wraps the model in a module whose `forward` has one
argument, the dictionary of modalities.)
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from modalens.errors import InputError, listed

WIDTH = 32
"""Length of every encoding."""


class ImageEncoder(nn.Module):
    """Images (n, channels, height, width), at least 4 x 4, to (n, WIDTH).

    Mean activations of two scales: what colours and fine textures there are, wherever they are. Comparing two patches
        of skin needs no places.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.Conv2d(channels, WIDTH, 3, stride=2, padding=1),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 1),
            nn.ReLU(),
        )
        self.coarse = nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU())
        self.out = perceptron(2 * WIDTH, 2 * WIDTH, WIDTH)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.fine(images)
        return cast(Tensor, self.out(torch.cat([fine.mean((2, 3)), self.coarse(fine).mean((2, 3))], dim=1)))


class SeriesEncoder(nn.Module):
    """Regular series (n, time, channels) to (n, WIDTH): convolutions along time, of which the mean and the last step
    are kept.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv1d(channels, WIDTH, 3, padding=1), nn.ReLU(), nn.Conv1d(WIDTH, WIDTH, 3, padding=1), nn.ReLU()
        )
        self.out = perceptron(2 * WIDTH, 2 * WIDTH, WIDTH)

    def forward(self, series: Tensor) -> Tensor:
        steps = self.local(series.transpose(1, 2))
        return cast(Tensor, self.out(torch.cat([steps.mean(2), steps[:, :, -1]], dim=1)))


class SentenceEncoder(nn.Module):
    """Token ids (n, length), padded with 0, to (n, 384): MiniLM, frozen, the mean of its last states over all that is
    not padding.

    Raises:
        InputError: the encoder's package or transformers is not installed; the message says what to install.
    """

    def __init__(self) -> None:
        super().__init__()
        from modalens.datasets.openi import encoder_folder

        path = encoder_folder()
        from transformers import AutoModel
        from transformers.utils import logging

        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            self.transformer = (
                AutoModel.from_pretrained(path, local_files_only=True, dtype=torch.float32).requires_grad_(False).eval()
            )
        finally:
            if shown:
                logging.enable_progress_bar()  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> SentenceEncoder:
        """Frozen: dropout stays off while the rest of a model is trained."""
        super().train(mode)
        self.transformer.eval()
        return self

    def forward(self, tokens: Tensor) -> Tensor:
        present = tokens != 0
        states = self.transformer(input_ids=tokens, attention_mask=present.long()).last_hidden_state
        weights = present.unsqueeze(-1).to(states.dtype)
        return cast(Tensor, (states * weights).sum(1) / weights.sum(1).clamp(min=1.0))

    def embed(self, tokens: Tensor, *, batch_size: int = 64) -> Tensor:
        """The same for many texts, several times faster: those of like length together, without the padding that none
        of them needs.
        """
        lengths = (tokens != 0).sum(1)
        embeddings = tokens.new_empty((len(tokens), self.transformer.config.hidden_size), dtype=torch.float32)
        with torch.no_grad():
            for rows in torch.split(lengths.argsort(stable=True), batch_size):
                embeddings[rows] = self(tokens[rows, : int(lengths[rows].max())])
        return embeddings


class Multimodal(nn.Module):
    """A model that encodes each modality by itself.

    Attributes:
        modalities: the keywords that it takes.
        encoders: a module for each, to (n, WIDTH).
    """

    def __init__(self, encoders: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.modalities = tuple(encoders)
        self.encoders = nn.ModuleDict(dict(encoders))

    def encode(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The encodings (n, WIDTH) of the modalities, in their order.

        Raises:
            InputError: a modality is absent, or one was given that the model doesn't take (it would be ignored in
                silence).
        """
        if set(inputs) != set(self.modalities):
            raise InputError(
                f"The model takes the modalities {listed(self.modalities)}, and {listed(inputs)} were given."
            )
        return [self.encoders[name](inputs[name]) for name in self.modalities]


class Fused(Multimodal):
    """The encodings side by side, then a perceptron: modalities may interact in any way.

    >>> model = Fused({"ct": ImageEncoder(1), "labs": perceptron(12, 64, WIDTH)}, classes=2)
    >>> model(ct=torch.rand(5, 1, 32, 32), labs=torch.rand(5, 12)).shape
    torch.Size([5, 2])
    """

    def __init__(self, encoders: Mapping[str, nn.Module], classes: int, dropout: float = 0.2) -> None:
        super().__init__(encoders)
        self.head = perceptron(len(encoders) * WIDTH, 128, 64, classes, dropout=dropout)

    def forward(self, **inputs: Tensor) -> Tensor:
        return cast(Tensor, self.head(torch.cat(self.encode(inputs), dim=1)))


class Late(Multimodal):
    """A vector of logits for each modality, summed: additive on the log-odds, so that no modality can change what
    another one says.

    >>> model = Late({"ct": ImageEncoder(1), "labs": perceptron(12, 64, WIDTH)}, classes=2)
    >>> model(ct=torch.rand(5, 1, 32, 32), labs=torch.rand(5, 12)).shape
    torch.Size([5, 2])
    """

    def __init__(self, encoders: Mapping[str, nn.Module], classes: int, dropout: float = 0.2) -> None:
        super().__init__(encoders)
        self.heads = nn.ModuleDict({name: perceptron(WIDTH, 128, 64, classes, dropout=dropout) for name in encoders})

    def forward(self, **inputs: Tensor) -> Tensor:
        votes = [
            self.heads[name](encoding) for name, encoding in zip(self.modalities, self.encode(inputs), strict=True)
        ]
        return torch.stack(votes).sum(0)


def perceptron(*widths: int, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers of these widths, the input's first, with a rectifier (and dropout) between them."""
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        layers += [nn.ReLU(), nn.Dropout(dropout)] if layers else []
        layers.append(nn.Linear(wide, narrow))
    return nn.Sequential(*layers)
