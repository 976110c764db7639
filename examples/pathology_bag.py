"""A bag of tiles beside a gene table, one patient a call: attention pooling explained by clusters and by regions.

Tiles are cut from a real stained section, at places that differ between patients. The illness is made up: tiles of the
ill lie where the tissue is dark more often, and one of their genes is raised.
Needs: pip install --no-deps stardist==0.9.2
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import modalens as ml

TILE = 16
GENES = ("proliferation", "receptor", "housekeeping")
TRAINED, EXPLAINED = 200, 20


class AttentionPooling(nn.Module):
    """Tiles and where they lie, (tiles, ...), as one vector: the mean of what is seen, weighted by attention."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.see = nn.Sequential(nn.Flatten(), nn.Linear(3 * TILE**2, width), nn.ReLU())
        self.place = nn.Linear(2, width)
        self.weigh = nn.Linear(width, 1)

    def forward(self, tiles: Tensor, coordinates: Tensor) -> Tensor:
        seen = self.see(tiles) + 0.1 * self.place(coordinates)
        return (self.weigh(seen).softmax(dim=0) * seen).sum(dim=0)


class SlideAndGenes(nn.Module):
    """One patient a call: no axis for patients, any number of tiles."""

    def __init__(self) -> None:
        super().__init__()
        self.pooling = AttentionPooling()
        self.head = nn.Sequential(nn.Linear(32 + len(GENES), 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, slide: dict[str, Tensor], genes: Tensor) -> Tensor:
        return self.head(torch.cat([self.pooling(slide["tiles"], slide["coordinates"]), genes]))


def histology() -> np.ndarray:
    """The section, (rows, columns, 3) in [0, 1]."""
    package = find_spec("stardist")
    folder = Path(next(iter((package and package.submodule_search_locations) or ())))
    return np.asarray(Image.open(folder / "data" / "images" / "histo.jpg"), dtype=np.float32) / 255


def draw(patients: int, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """Slides of 6 to 20 tiles with their coordinates in millimetres, gene values, and who is ill."""
    random = np.random.default_rng(seed)
    section = histology()
    corners = [(row, column) for row in range(0, 300 - TILE, TILE) for column in range(0, 500 - TILE, TILE)]
    tiles = np.stack([section[row : row + TILE, column : column + TILE].transpose(2, 0, 1) for row, column in corners])
    darkness = -tiles.mean((1, 2, 3))
    ill = random.random(patients) < 0.5
    slides: dict[str, list[np.ndarray]] = {"tiles": [], "coordinates": []}
    for one in ill:
        weight = np.exp(darkness / darkness.std() * (0.3 if one else -0.3))
        chosen = random.choice(len(corners), random.integers(6, 21), replace=False, p=weight / weight.sum())
        slides["tiles"].append((tiles[chosen] - tiles.mean()) / tiles.std())
        slides["coordinates"].append(np.array(corners, dtype=np.float32)[chosen] / 500)
    genes = random.normal(size=(patients, len(GENES))) + 1.5 * ill[:, None] * np.eye(len(GENES))[0]
    return {"slide": slides, "genes": genes.astype(np.float32)}, ill.astype(int)


def main() -> ml.Explanation:
    model = trained(*draw(TRAINED, seed=0))
    inputs, ill = draw(EXPLAINED, seed=1)
    others, _ = draw(20, seed=2)

    def explained(slide: ml.Bag, measures: list[ml.Measure] | None = None) -> ml.Explanation:
        return ml.explain(
            model,
            inputs,
            background=others,
            modalities={"slide": slide, "genes": ml.Tabular(columns=GENES)},
            collate="patient",
            encoders={"slide": "pooling"},
            labels=ill,
            measures=measures,
            classes=("healthy", "ill"),
            link="softmax",
        )

    by_cluster = explained(ml.Bag(by="cluster", parts=4))
    by_region = explained(ml.Bag(by="region", region=0.25), [ml.Occlusion()])
    print(by_cluster)
    print("\nWhat tiles that look alike, and tiles that lie together, do to the first patient:")
    for explanation in (by_cluster, by_region):
        changes = explanation.occlusion.by_modality("parts")["slide"].isel(sample=0, output=1).dropna("part")
        names = changes.part.values if changes.part.dtype.kind == "U" else changes.word.values
        print("\n".join(f"  {name:<28} {change:+.3f}" for name, change in zip(names, changes.values, strict=True)))
    return by_cluster


def trained(inputs: dict[str, Any], ill: np.ndarray) -> nn.Module:
    """The network after a few passes, patient by patient."""
    torch.manual_seed(0)
    model = SlideAndGenes()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    tiles, coordinates = ([torch.from_numpy(one) for one in each] for each in inputs["slide"].values())
    genes, target = torch.from_numpy(inputs["genes"]), torch.from_numpy(ill)
    for _ in range(4):
        for rows in torch.randperm(len(target)).split(8):
            optimizer.zero_grad()
            said = [model({"tiles": tiles[row], "coordinates": coordinates[row]}, genes[row]) for row in rows.tolist()]
            cross_entropy(torch.stack(said), target[rows]).backward()
            optimizer.step()
    return model


if __name__ == "__main__":
    main()
