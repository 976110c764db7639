"""What the model says of each patient, what is true, and how it is resampled: read once, for all that looks at patients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from modalens import statistics
from modalens.errors import InputError
from modalens.explanation import Explanation
from modalens.reading import space_of

CONFIDENCE = 0.95
"""Of intervals, where the explanation has no measure that says it."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The outputs that are held against labels: probabilities where there are any, else the space that is scored.

    values (sample, output); labels as measures take them, None where none were given; cluster (sample), the resampling unit.
    """

    task: str
    outputs: tuple[str, ...]
    space: str
    values: np.ndarray
    labels: np.ndarray | None
    cluster: np.ndarray
    seed: int
    confidence: float | None

    @property
    def samples(self) -> int:
        return len(self.values)

    @property
    def of_probability(self) -> bool:
        """Whether the outputs are probabilities of classes or labels."""
        return self.space == "probability" and self.task in ("classification", "multilabel")

    @property
    def named(self) -> np.ndarray | None:
        """The position of the class that the model names, (sample,); None where it names none."""
        several = self.task == "classification" and len(self.outputs) > 1
        return self.values.argmax(axis=1) if several else None

    @property
    def risk(self) -> np.ndarray:
        """Of a survival, (sample,): the log-risk, or of several times the mean of 1 - S."""
        return self.values[:, 0] if self.values.shape[1] == 1 else 1 - self.values.mean(axis=1)

    @property
    def why_no_interval(self) -> str:
        """Why there are no intervals; empty where there are."""
        clusters = int(self.cluster.max()) + 1
        if self.confidence is None:
            return "intervals were turned off"
        if clusters < statistics.MIN_CLUSTERS:
            return f"{clusters} resampling units are too few for an interval; at least {statistics.MIN_CLUSTERS} are needed"
        return ""

    @cached_property
    def bootstrap(self) -> np.ndarray:
        """Weights (draw, sample) of the explanation's own bootstrap by patient."""
        return np.ascontiguousarray(statistics.bootstrap_weights(self.cluster, self.samples, self.seed).values)


def predictions_of(explanation: Explanation) -> Predictions:
    """The predictions of an explanation. Raises InputError where it holds none."""
    held, about = explanation.cohort, explanation.provenance
    if "prediction" not in held:
        raise InputError(
            "this needs the model's predictions for the patients, and the explanation holds none: make it with ml.explain(...), which keeps them."
        )
    spaces = list(map(str, held.space.values))
    space = "probability" if "probability" in spaces else space_of(explanation)
    return Predictions(
        task=str(about["task"]),
        outputs=tuple(map(str, held.output.values)),
        space=space,
        values=np.asarray(held.prediction.sel(space=space).transpose("sample", "output").values, dtype=float),
        labels=np.asarray(held["label"].values) if "label" in held else None,
        cluster=statistics.cluster_of(held["group"].values if "group" in held else None, held.sizes["sample"]),
        seed=int(about.get("seed", 0)),
        confidence=next((result.confidence for result in explanation.results.values()), CONFIDENCE),
    )
