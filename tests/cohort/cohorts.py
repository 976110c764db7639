"""Small cohorts whose numbers are known by heart, shared by the tests of what is said about patients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import modalens as ml

ZEROS: dict[str, Any] = {"baseline": "zeros", "progress": False}
OCCLUSION: dict[str, Any] = {"measures": [ml.Occlusion()], **ZEROS}


def stated(probabilities: Any, **settings: Any) -> ml.Explanation:
    """A model that says just these probabilities, (n,), (n, classes); what it reads beside them changes nothing."""
    said = np.asarray(probabilities, dtype=float).reshape(len(probabilities), -1)
    inputs = {"said": said, "unread": np.ones((len(said), 1))}
    return ml.explain(lambda said, unread: said, inputs, baseline={"said": "mean", "unread": "zeros"}, progress=False, **({"measures": [ml.Occlusion()]} | settings))  # fmt: skip


def summed(
    a: Any,
    b: Any,
    measures: list[ml.Measure] | None = None,
    characteristics: dict[str, Any] | None = None,
    **settings: Any,
) -> ml.Explanation:
    """A model that adds two numbers up, held against zeros: the change of each is its own value."""
    inputs = {name: np.asarray(values, dtype=float)[:, None] for name, values in (("a", a), ("b", b))}
    known = None if characteristics is None else pd.DataFrame(characteristics)
    defaults: dict[str, Any] = {"output": "raw", "task": "regression", **ZEROS}
    return ml.explain(
        lambda a, b: np.nan_to_num(a[:, 0]) + np.nan_to_num(b[:, 0]),
        inputs,
        measures=measures or [ml.Occlusion()],
        characteristics=known,
        **(defaults | settings),
    )


def combined(samples: int = 40, seed: int = 0, **settings: Any) -> ml.Explanation:
    """Three numbers of which two are multiplied; the probability of the second class, with labels drawn from it."""
    random = np.random.default_rng(seed)
    inputs = {name: random.normal(1.0, 1.0, size=(samples, 1)) for name in "abc"}
    labels = (random.random(samples) < multiplied(**inputs)).astype(int)
    measures = [ml.Occlusion(), ml.Shapley(), ml.InterSHAP()]
    return ml.explain(multiplied, inputs, **({"labels": labels, "measures": measures, **ZEROS} | settings))


def multiplied(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(np.nan_to_num(a)[:, 0] + np.nan_to_num(b)[:, 0] * np.nan_to_num(c)[:, 0] - 1)))
