"""Networks that fuse early, intermediate, late or both (hybrid), the decision function itself as a model, and the oracle
that sees the true latents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn


class Pixels(nn.Module):
    """Images (n, 1, 28, 28) to ten features: the encoder that both images of a patient share."""

    def __init__(self, features: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 64),
            nn.ReLU(),
            nn.Linear(64, features),
        )

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.layers(images))


def perceptron(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers of these widths, with ReLU between them."""
    layers: list[nn.Module] = []
    for one, other in pairwise(widths):
        layers += [nn.Linear(one, other), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Hybrid(nn.Module):
    """The gradient paper's network: both images through one encoder, clinical variables as they are, fused in R^40, and
    a head 40-100-50-10-2.
    """

    def __init__(self, clinical: int = 10, features: int = 10) -> None:
        super().__init__()
        self.encoder = Pixels(features)
        self.head = perceptron((2 * features + 2 * clinical, 100, 50, 10, 2))

    def forward(self, image_1: Tensor, image_2: Tensor, clinical_1: Tensor, clinical_2: Tensor) -> Tensor:
        fused = torch.cat([self.encoder(image_1), self.encoder(image_2), clinical_1, clinical_2], dim=1)
        return cast(Tensor, self.head(fused))


class Early(nn.Module):
    """Vectors by modality, joined before the first layer."""

    def __init__(self, widths: Mapping[str, int], hidden: int = 128, classes: int = 2) -> None:
        super().__init__()
        self.names = tuple(widths)
        self.layers = perceptron((sum(widths.values()), hidden, hidden // 2, classes))

    def forward(self, **inputs: Tensor) -> Tensor:
        return cast(Tensor, self.layers(torch.cat([inputs[name] for name in self.names], dim=1)))


class Intermediate(nn.Module):
    """A layer a modality, then joined."""

    def __init__(self, widths: Mapping[str, int], hidden: int = 128, classes: int = 2) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({name: perceptron((width, hidden // 2)) for name, width in widths.items()})
        self.head = perceptron((len(widths) * (hidden // 2), hidden // 2, classes))

    def forward(self, **inputs: Tensor) -> Tensor:
        return cast(
            Tensor, self.head(torch.cat([encode(inputs[name]).relu() for name, encode in self.encoders.items()], dim=1))
        )


class LateFusion(nn.Module):
    """A network a modality, whose logits are averaged: it can't let modalities interact on the log-odds."""

    def __init__(self, widths: Mapping[str, int], hidden: int = 128, classes: int = 2) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(
            {name: perceptron((width, hidden, hidden // 2, classes)) for name, width in widths.items()}
        )

    def forward(self, **inputs: Tensor) -> Tensor:
        return torch.stack([network(inputs[name]) for name, network in self.networks.items()]).mean(dim=0)
