"""Small explanations of models that are known by heart, shared by the tests of tables, figures and pages."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

import modalens as ml

BLOOD = (
    "age", "creatinine", "albumin", "haemoglobin", "c_reactive_protein", "sodium", "potassium", "platelets", "bilirubin",
    "alt", "ast", "glucose", "hba1c", "bmi", "ldl", "hdl", "tsh",
)  # fmt: skip
REPORTS = (
    "heart size normal no effusion",
    "large left pleural effusion",
    "no acute disease",
    "right upper lobe opacity suspicious for pneumonia",
)


def sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


@cache
def lesion() -> ml.Explanation:
    """An image, of which the middle matters, and a table of 17 named columns, of which two do; they are multiplied."""
    random = np.random.default_rng(0)

    def draw(rows: int) -> dict[str, Any]:
        return {
            "image": random.uniform(size=(rows, 3, 32, 32)).astype(np.float32),
            "blood": pd.DataFrame(random.normal(size=(rows, len(BLOOD))), columns=BLOOD),
        }

    def model(image: np.ndarray, blood: pd.DataFrame) -> np.ndarray:
        shade = 40 * (image[:, :, 8:24, 8:24].mean((1, 2, 3)) - 0.5)
        malignant = sigmoid(3 * shade * blood["age"] - 1.2 * blood["albumin"])
        return np.stack([1 - malignant, malignant], 1)

    inputs = draw(30)
    labels = model(**inputs).argmax(1)
    labels[:4] = 1 - labels[:4]
    kinds = {"image": ml.Image(patch=8), "blood": ml.Tabular()}
    return ml.explain(
        model,
        inputs,
        background=draw(40),
        modalities=kinds,
        labels=labels,
        classes=["benign", "malignant"],
        progress=False,
    )


@cache
def report() -> ml.Explanation:
    """Texts and a table, added up on the log-odds."""
    random = np.random.default_rng(1)

    def draw(rows: int) -> dict[str, Any]:
        vitals = pd.DataFrame(random.normal(size=(rows, 3)), columns=["temperature", "heart_rate", "saturation"])
        return {"report": [REPORTS[which] for which in random.integers(0, 4, rows)], "vitals": vitals}

    def model(report: list[str], vitals: pd.DataFrame) -> np.ndarray:
        words = np.array(
            [
                ("effusion" in text.split()) * 2.0 + ("pneumonia" in text.split()) * 3.0 - ("no" in text.split()) * 3.0
                for text in report
            ]
        )
        return sigmoid(words + 0.3 * vitals["temperature"].to_numpy())

    return ml.explain(model, draw(20), background=draw(40), classes=["healthy", "ill"], progress=False)


@cache
def omics() -> ml.Explanation:
    """Four tables: two are multiplied, one adds, one is not used."""
    random = np.random.default_rng(2)
    widths = {"rna": 6, "mirna": 4, "methylation": 3, "clinical": 2}

    def draw(rows: int) -> dict[str, np.ndarray]:
        return {name: random.normal(size=(rows, width)) for name, width in widths.items()}

    def model(rna: np.ndarray, mirna: np.ndarray, methylation: np.ndarray, clinical: np.ndarray) -> np.ndarray:
        score = np.exp(np.stack([2 * rna[:, 0] * mirna[:, 0], methylation[:, 0], rna[:, 1]], 1))
        return score / score.sum(1, keepdims=True)

    inputs = draw(40)
    return ml.explain(
        model,
        inputs,
        background=draw(50),
        labels=model(**inputs).argmax(1),
        classes=["basal", "luminal", "normal"],
        progress=False,
    )


@cache
def multilabel() -> ml.Explanation:
    """Two labels by themselves: one is read off the image alone, the other needs both modalities."""
    random = np.random.default_rng(3)

    def draw(rows: int) -> dict[str, np.ndarray]:
        return {"xray": random.normal(size=(rows, 16, 16)), "history": random.normal(size=(rows, 4))}

    def model(xray: np.ndarray, history: np.ndarray) -> np.ndarray:
        opacity = 8 * xray.mean((1, 2)) * 2
        return sigmoid(np.stack([opacity, 3 * opacity * history[:, 0]], 1))

    inputs = draw(30)
    labels = (model(**inputs) > 0.5).astype(int)
    kinds = {"xray": ml.Image(patch=8)}
    return ml.explain(
        model,
        inputs,
        background=draw(40),
        labels=labels,
        task="multilabel",
        classes=["effusion", "nodule"],
        modalities=kinds,
        progress=False,
    )


@cache
def regression() -> ml.Explanation:
    """A volume and a series, of which the series is not used."""
    random = np.random.default_rng(4)

    def draw(rows: int) -> dict[str, np.ndarray]:
        return {"mri": random.normal(size=(rows, 4, 4, 4)), "ecg": random.normal(size=(rows, 16, 2))}

    inputs = draw(20)
    labels = inputs["mri"].mean((1, 2, 3))
    kinds = {"mri": ml.Volume(), "ecg": ml.Series()}
    return ml.explain(
        lambda mri, ecg: 60 + 10 * mri.mean((1, 2, 3)),
        inputs,
        background=draw(20),
        labels=60 + 10 * labels,
        output="raw",
        task="regression",
        modalities=kinds,
        progress=False,
    )


class Fused(nn.Module):
    """An image whose five features are copies of its mean, a table that is handed over as it is, and a text embedding
    that is taken and not used. The output is a sum.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(16, 5))
        self.head = nn.Linear(5 + 4, 2)
        with torch.no_grad():
            self.backbone[1].weight.copy_(torch.full((5, 16), 0.25))
            self.backbone[1].bias.zero_()
            self.head.weight.copy_(torch.tensor([[-0.4] * 5 + [-1.0] * 4, [0.4] * 5 + [1.0] * 4]))
            self.head.bias.zero_()

    def forward(self, ct: Tensor, labs: Tensor, report: Tensor) -> Tensor:
        return self.head(torch.cat([self.backbone(ct), labs], dim=1))


class Branching(Fused):
    """The same with a branch that Python takes, so that its graph can't be exported."""

    def forward(self, ct: Tensor, labs: Tensor, report: Tensor) -> Tensor:
        return super().forward(ct if float(ct.detach().sum()) < 1e9 else -ct, labs, report)


def followed(model: nn.Module | None = None, samples: int = 16, **settings: Any) -> ml.Explanation:
    """A torch model explained with these settings; by gradients, unless they say otherwise."""
    random = np.random.default_rng(6)

    def draw(rows: int) -> dict[str, np.ndarray]:
        found = {
            "ct": random.normal(size=(rows, 4, 4)),
            "labs": random.normal(size=(rows, 4)),
            "report": random.normal(size=(rows, 3)),
        }
        return {name: values.astype(np.float32) for name, values in found.items()}

    inputs, background = draw(samples), draw(20)
    defaults: dict[str, Any] = {"measures": [ml.FusionGradient()], "link": "softmax", "background": background}
    model = model or Fused()
    return ml.explain(model, inputs, progress=False, **(defaults | settings))


@cache
def fused() -> ml.Explanation:
    """A torch model, split at its fusion point, explained by occlusion, Shapley values and gradients, with labels that
    have nothing to do with it.
    """
    measures = [ml.Occlusion(), ml.Shapley(), ml.FusionGradient(), ml.Reliance()]
    kinds = {"ct": ml.Image(patch=2)}
    labels = np.arange(40) % 2
    return followed(samples=40, measures=measures, modalities=kinds, labels=labels, classes=["healthy", "ill"])


def pair(model: Any = None, samples: int = 12, **settings: Any) -> ml.Explanation:
    """Two tables whose first columns are multiplied, explained with these settings."""
    random = np.random.default_rng(5)
    inputs = {"a": random.normal(size=(samples, 2)), "b": random.normal(size=(samples, 2))}
    background = {"a": random.normal(size=(20, 2)), "b": random.normal(size=(20, 2))}
    model = model or (lambda a, b: sigmoid(2 * a[:, 0] * b[:, 0]))
    return ml.explain(model, inputs, background=background, progress=False, **settings)


EVERY = {
    "lesion": lesion,
    "report": report,
    "omics": omics,
    "multilabel": multilabel,
    "regression": regression,
    "fused": fused,
}
