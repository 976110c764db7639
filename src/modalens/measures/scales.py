"""The scale on which an additive model adds its modalities up, and the way back from there to probabilities."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, softmax

from modalens.problem import Problem


def adding_space(problem: Problem) -> str:
    """Log-odds, or the log hazard of a survival, where there are any; else the space that is scored."""
    return next((space for space in ("logit", "log-hazard") if space in problem.spaces), problem.space)


def probabilities(problem: Problem, outputs: np.ndarray) -> np.ndarray:
    """The probabilities that belong to log-odds, or to log cumulative hazards, outputs on the last axis."""
    match problem.task:
        case "survival":
            return np.asarray(np.exp(-np.exp(outputs)))
        case "multilabel":
            return np.asarray(expit(outputs))
        case _:
            return np.asarray(softmax(outputs, axis=-1))
