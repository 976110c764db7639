"""A MONAI network on volumes beside a table of laboratory values, explained straight from its DataLoader.

The volumes are phantoms and the weights random: what is shown is how little has to be said about such a model.
Needs: pip install monai
"""

from __future__ import annotations

import numpy as np
import torch
from monai.data import DataLoader, Dataset, MetaTensor, create_test_image_3d
from monai.networks.nets import DenseNet
from torch import Tensor, nn

import modalens as ml

SIDE = 32


class ImageAndTable(nn.Module):
    """A 3-D DenseNet for the volume, a small perceptron for the table, and a head on both."""

    def __init__(self) -> None:
        super().__init__()
        self.volume = DenseNet(
            spatial_dims=3, in_channels=1, out_channels=8, init_features=8, growth_rate=4, block_config=(2, 2)
        )
        self.table = nn.Sequential(nn.Linear(3, 8), nn.ReLU())
        self.head = nn.Linear(16, 2)

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        return self.head(torch.cat([self.volume(ct), self.table(labs)], dim=1))


def patient(number: int) -> dict[str, object]:
    """A phantom with some balls in it, as MONAI loads volumes, and three standardised laboratory values."""
    random = np.random.RandomState(number)
    image, _ = create_test_image_3d(
        SIDE, SIDE, SIDE, num_objs=4, rad_max=8, rad_min=3, random_state=random, channel_dim=0
    )
    return {
        "image": MetaTensor(torch.from_numpy(image)),
        "labs": random.normal(size=3).astype(np.float32),
        "name": f"patient {number}",
    }


def main() -> ml.Explanation:
    torch.manual_seed(0)
    model = ImageAndTable()
    loader = DataLoader(Dataset([patient(number) for number in range(24)]), batch_size=4)

    loaded = ml.from_batches(loader, inputs={"ct": "image", "labs": "labs"}, ids="name")
    explained = {name: samples[:8] for name, samples in loaded.inputs.items()}
    others = {name: samples[8:] for name, samples in loaded.inputs.items()}
    explanation = ml.explain(
        model,
        explained,
        background=others,
        modalities={"ct": ml.Volume(block=16), "labs": ml.Tabular()},
        groups=loaded.ids[:8],
        link="softmax",
    )
    print(explanation)
    return explanation


if __name__ == "__main__":
    main()
