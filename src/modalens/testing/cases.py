"""The case on which measures are checked: a small network whose symmetries are known, and patients to explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from modalens.modalities import Image, Tabular, Vector

SAMPLES, PATIENTS = 24, 12


class Network(nn.Module):
    """P(yes) from an image and a table that are combined; `noise` is never read."""

    def __init__(self, factor: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.image, self.table = nn.Linear(16, 3), nn.Linear(4, 3)
        self.factor, self.shift = factor, shift
        weights = np.random.default_rng(0)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.from_numpy(weights.normal(size=tuple(parameter.shape))))

    def forward(self, image: torch.Tensor, table: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        one, other = torch.tanh(self.image(image.flatten(1))), torch.tanh(self.table(table))
        score = (one * other).sum(dim=1) + one[:, 0] - 0.5 * other[:, 1]
        return self.factor * torch.sigmoid(score) + self.shift


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model, patients, and the settings of `explain`. ignored: the modality that the model never reads. lacked: the one that
    some samples lack, `lacks` (samples,) says which.
    """

    model: Any
    inputs: Mapping[str, np.ndarray]
    settings: Mapping[str, Any]
    ignored: str = "noise"
    lacked: str = "table"

    @property
    def samples(self) -> int:
        return len(self.inputs["image"])

    @property
    def lacks(self) -> np.ndarray:
        return ~np.asarray(self.settings["present"][self.lacked])

    def reordered(self) -> Case:
        """The samples in another order."""
        return self._rows(np.random.default_rng(1).permutation(self.samples))

    def doubled(self) -> Case:
        """Every sample twice."""
        return self._rows(np.tile(np.arange(self.samples), 2))

    def turned(self) -> Case:
        """The modalities in another order."""
        return replace(self, inputs=dict(reversed(list(self.inputs.items()))))

    def valued(self, factor: float, shift: float) -> Case:
        """A model of a value: factor times the same, plus the shift; its labels likewise."""
        settings = {name: value for name, value in self.settings.items() if name != "target"}
        values = factor * self.settings["labels"] + shift
        settings |= {"output": "raw", "task": "regression", "labels": values}
        return replace(self, model=Network(factor, shift).double(), settings=settings)

    def constant(self) -> Case:
        """A model that says the same of everybody."""
        return replace(self, model=Network(0.0, 0.5).double())

    def lacking(self) -> Case:
        """A quarter of the samples lack a modality."""
        present = np.arange(self.samples) % 4 > 0
        return replace(self, settings=dict(self.settings) | {"present": {self.lacked: present}})

    def _rows(self, rows: np.ndarray) -> Case:
        of_samples = {name: self.settings[name][rows] for name in ("labels", "groups")}
        return replace(
            self,
            inputs={name: samples[rows] for name, samples in self.inputs.items()},
            settings=dict(self.settings) | of_samples,
        )


def standard() -> Case:
    """The case as it is."""
    random = np.random.default_rng(2)

    def patients(count: int) -> dict[str, np.ndarray]:
        return {
            "image": random.normal(size=(count, 4, 4)),
            "table": random.normal(size=(count, 4)),
            "noise": random.normal(size=(count, 2)),
        }

    inputs = patients(SAMPLES)
    model = Network().double()
    with torch.no_grad():
        probability = model(**{name: torch.from_numpy(values) for name, values in inputs.items()}).numpy()
    return Case(
        model=model,
        inputs=inputs,
        settings={
            "modalities": {"image": Image(patch=2), "table": Tabular(), "noise": Vector()},
            "background": patients(6),
            "labels": (probability > np.median(probability)).astype(int),
            "groups": np.arange(SAMPLES) // (SAMPLES // PATIENTS),
            "target": 1,
        },
    )
