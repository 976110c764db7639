"""Models that tell what contribution by occlusion does not: a network that never learned its image, and a model of two
copies of one finding.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from modalens.datasets import Cohort, Study, training
from modalens.errors import ModalensWarning
from modalens.explanation import Explanation
from modalens.measures import Occlusion, Reliance, Shapley
from modalens.modalities import Image, Tabular
from modalens.pipeline import explain
from modalens.reproductions.occlusion_trials import Trained, some
from modalens.validation.known import Schedule
from modalens.validation.learning import taught
from modalens.validation.networks import NETWORKS

WEAK = 1 / 255
"""Pixels from 0 to 1 that are divided by 255 once more."""

PLAIN = Schedule(epochs=25, rate=1e-3, decay=1e-2)
"""How the network without normalisation is taught: its weight decay keeps the large weights away that weak pixels need."""


def score_without(study: Study, name: str, seed: int) -> float:
    """The test score of a model that is trained without this modality: what it is good for."""
    others = [other for other in study.modalities if other != name]
    return training.score(training.train(study, modalities=others, seed=seed, progress=False), study)


def train_plain(study: Study, *, pixels: float, patients: int, seed: int) -> Trained:
    """A network without normalisation layers, a linear layer a modality and two that see both, on pixels multiplied by
    `pixels`: where they are weak, the image is never learned.
    """
    scaled = _with_pixels(study, pixels)
    given = {name: np.array(values, dtype=np.float32) for name, values in scaled.train.inputs.items()}
    model = taught(NETWORKS["intermediate"], given, scaled.train.labels, PLAIN, seed)
    return Trained(
        study=scaled, model=model, cohort=some(scaled.test, patients), score=training.score(model, scaled), seed=seed
    )


def _with_pixels(study: Study, factor: float) -> Study:
    images = [name for name, kind in study.modalities.items() if isinstance(kind, Image)]

    def scaled(cohort: Cohort) -> Cohort:
        weaker = {name: cohort.inputs[name] * np.float32(factor) for name in images}
        return replace(cohort, inputs=cohort.inputs | weaker)

    return replace(study, train=scaled(study.train), validation=scaled(study.validation), test=scaled(study.test))


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """How far a model has collapsed: the first modality's share as cut and as one part, the verdict on it, the AUC, and
    what of it is lost when the modality is replaced.
    """

    contribution: float
    anchor: float
    verdict: str
    auc: float
    lost: float


def collapse(trained: Trained) -> Collapse:
    found = trained.explain(Occlusion(), Reliance(), confidence=0.95)
    own = {"modality": trained.first}
    return Collapse(
        contribution=float(found["occlusion"].contribution.sel(own)),
        anchor=float(found["occlusion"].anchor.sel(own)),
        verdict=str(found["reliance"].verdict.sel(own).item()),
        auc=float(found["reliance"].everything),
        lost=float(found["reliance"].lost.sel(own)),
    )


def redundant(copies: int = 10) -> Explanation:
    """p = .1 + .7 max(scan, report) + .1 coin, where scan and report both hold the diagnosis and the coin nothing."""
    sick, coin = (np.tile(values, copies)[:, None] for values in ([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalensWarning)
        return explain(
            lambda scan, report, coin: 0.1 + 0.7 * np.maximum(scan, report)[:, 0] + 0.1 * coin[:, 0],
            {"scan": sick, "report": sick.copy(), "coin": coin},
            measures=[Occlusion(), Shapley(), Reliance()],
            modalities=dict.fromkeys(("scan", "report", "coin"), Tabular()),
            labels=sick[:, 0].astype(int),
            baseline="zeros",
            progress=False,
        )
