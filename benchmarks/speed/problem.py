"""The model and the data of a case: the same for every rival, from the case's seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from .cases import Case

WIDTH = 64
"""Numbers in each modality's encoding."""
OUTPUTS = 3
PIXELS, PATCH = 64, 16
TOKENS, VOCABULARY = 32, 1000
COLUMNS, TABLE_COLUMNS = 32, 16


class Fusion(nn.Module):
    """One encoder a modality, concatenation, and a head; encoders are in the order of the modalities."""

    def __init__(self, encoders: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.head = nn.Sequential(nn.Linear(len(encoders) * WIDTH, 64), nn.ReLU(), nn.Linear(64, OUTPUTS))

    @property
    def first(self) -> nn.Linear:
        """The head's first layer, the only one that sees which modality a number came from."""
        return cast(nn.Linear, self.head[0])

    @property
    def last(self) -> nn.Linear:
        return cast(nn.Linear, self.head[-1])

    def fuse(self, given: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self.head(torch.cat([encoder(given[name]) for name, encoder in self.encoders.items()], dim=1))


class Patients(Fusion):
    """A CNN of half a million parameters over an image, a transformer over the token ids of a report, and an MLP over
    a table.
    """

    def __init__(self) -> None:
        super().__init__({"image": image_encoder(), "report": ReportEncoder(), "table": table_encoder(COLUMNS)})

    def forward(self, image: torch.Tensor, report: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return self.fuse({"image": image, "report": report, "table": table})


class Tables(Fusion):
    """An MLP over each of some tables."""

    def __init__(self, count: int) -> None:
        super().__init__({f"table_{place}": table_encoder(TABLE_COLUMNS) for place in range(count)})

    def forward(self, **tables: torch.Tensor) -> torch.Tensor:
        return self.fuse(tables)


def image_encoder() -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels, more in ((1, 16), (16, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(channels, more, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 192), nn.ReLU(), nn.Linear(192, WIDTH))


class ReportEncoder(nn.Module):
    """Token ids through an embedding and two transformer layers, averaged over the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, nhead=4, dim_feedforward=2 * WIDTH, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.layers(self.embedding(tokens)).mean(dim=1)


def table_encoder(columns: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(columns, 64), nn.ReLU(), nn.Linear(64, WIDTH))


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A case with its model and its data. `background` holds the rows that stand in for what is absent: those of other
    patients, or one row of zeros.
    """

    case: Case
    model: Fusion
    inputs: dict[str, torch.Tensor]
    background: dict[str, torch.Tensor]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.inputs)

    @property
    def rows(self) -> int:
        """How many rows stand in for what is absent."""
        return len(next(iter(self.background.values())))

    def whole(self, *given: torch.Tensor) -> torch.Tensor:
        """The model with its modalities by position, as captum wants them."""
        return self.model(**dict(zip(self.names, given, strict=True)))

    def parts(self) -> dict[str, torch.Tensor]:
        """Which part each feature belongs to, numbered within its modality, with leading axis 1."""
        along = torch.arange(PIXELS) // PATCH
        patches = along[:, None] * (PIXELS // PATCH) + along[None, :]
        return {
            "image": patches[None, None],
            "report": torch.arange(TOKENS)[None],
            "table": torch.arange(COLUMNS)[None],
        }


def network(case: Case) -> Fusion:
    """The model in evaluation mode, its parameters drawn from the seed."""
    torch.manual_seed(case.seed)
    return (Patients() if case.network == "patients" else Tables(case.modalities)).eval()


def pose(case: Case, model: Fusion) -> Problem:
    """Data for the model: the explained samples first, then the rows of background."""
    generator = torch.Generator().manual_seed(case.seed + 1)
    inputs = draw(case, case.samples, generator)
    background = (
        draw(case, case.background, generator)
        if case.background
        else {name: torch.zeros_like(values[:1]) for name, values in inputs.items()}
    )
    return Problem(case=case, model=model, inputs=inputs, background=background)


def draw(case: Case, rows: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Rows of data. Token 0 is kept for padding, which is what stands in where the baseline is zeros."""
    if case.network == "tables":
        return {
            f"table_{place}": torch.randn(rows, TABLE_COLUMNS, generator=generator) for place in range(case.modalities)
        }
    return {
        "image": torch.randn(rows, 1, PIXELS, PIXELS, generator=generator),
        "report": torch.randint(1, VOCABULARY, (rows, TOKENS), generator=generator),
        "table": torch.randn(rows, COLUMNS, generator=generator),
    }
