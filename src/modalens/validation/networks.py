"""Networks that fuse early, between, late, or as the gradient paper's hybrid does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import cast

import torch
from torch import Tensor, nn

Shapes = Mapping[str, tuple[int, ...]]
"""The shape of one patient's samples, by modality."""

CLASSES = 2


def perceptron(widths: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers of these widths, with ReLU between them, and dropout after it where some is asked for."""
    layers: list[nn.Module] = []
    between = [nn.Dropout(dropout)] if dropout else []
    for one, other in pairwise(widths):
        layers += [nn.Linear(one, other), nn.ReLU(), *between]
    return nn.Sequential(*layers[: -1 - len(between)])


class Pixels(nn.Module):
    """Images (n, 1, 28, 28) to ten features: the encoder that both images of a patient share. Its features are normalised,
    as clinical variables are, since sums of |gradient| compare modalities only where their features have one scale.
    """

    def __init__(self, features: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 7 * 7, 64),
            nn.ReLU(),
            nn.Linear(64, features),
            nn.BatchNorm1d(features),
        )

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.layers(images))


class Hybrid(nn.Module):
    """The gradient paper's network: all images through one encoder, clinical variables as they are, joined (R^40), and a
    head 40-100-50-10-2.
    """

    def __init__(self, shapes: Shapes, features: int = 10) -> None:
        super().__init__()
        self.images = tuple(name for name, shape in shapes.items() if len(shape) == 3)
        self.names = tuple(shapes)
        self.encoder = Pixels(features)
        width = sum(features if name in self.images else prod(shape) for name, shape in shapes.items())
        self.head = perceptron((width, 100, 50, 10, CLASSES))

    def forward(self, **inputs: Tensor) -> Tensor:
        fused = [self.encoder(inputs[name]) if name in self.images else inputs[name] for name in self.names]
        return cast(Tensor, self.head(torch.cat(fused, dim=1)))


class Early(nn.Module):
    """Everything joined before the first of three layers."""

    def __init__(self, shapes: Shapes, hidden: int = 128, dropout: float = 0.0) -> None:
        super().__init__()
        self.names = tuple(shapes)
        self.layers = perceptron((sum(map(prod, shapes.values())), hidden, hidden // 2, CLASSES), dropout)

    def forward(self, **inputs: Tensor) -> Tensor:
        return cast(Tensor, self.layers(torch.cat([inputs[name].flatten(1) for name in self.names], dim=1)))


class Intermediate(nn.Module):
    """A layer a modality, then two that see all."""

    def __init__(self, shapes: Shapes, hidden: int = 128) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({name: nn.Linear(prod(shape), hidden // 2) for name, shape in shapes.items()})
        self.head = perceptron((len(shapes) * (hidden // 2), hidden // 2, CLASSES))

    def forward(self, **inputs: Tensor) -> Tensor:
        encoded = [encode(inputs[name].flatten(1)).relu() for name, encode in self.encoders.items()]
        return cast(Tensor, self.head(torch.cat(encoded, dim=1)))


class Late(nn.Module):
    """A network of three layers a modality, whose logits are averaged: nothing interacts on the log-odds."""

    def __init__(self, shapes: Shapes, hidden: int = 128) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(
            {name: perceptron((prod(shape), hidden, hidden // 2, CLASSES)) for name, shape in shapes.items()}
        )

    def forward(self, **inputs: Tensor) -> Tensor:
        logits = [network(inputs[name].flatten(1)) for name, network in self.networks.items()]
        return torch.stack(logits).mean(dim=0)


NETWORKS: Mapping[str, Callable[[Shapes], nn.Module]] = {
    "hybrid": Hybrid,
    "early": Early,
    "intermediate": Intermediate,
    "late": Late,
}
"""By name; each is made for the shapes of its modalities."""
