"""The kind of a modality, guessed from its samples, and said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import modalens as ml
from modalens.modalities import infer


@pytest.mark.parametrize(
    ("samples", "kind"),
    [
        (["clear", "large effusion"], ml.Text),
        (("clear", "large effusion"), ml.Text),
        (np.array(["clear", "large effusion"]), ml.Text),
        (np.array(["clear", "large effusion"], dtype=object), ml.Text),
        (pd.Series(["clear", "large effusion"]), ml.Text),
        (pd.Series(pd.Categorical(["I", "II"])), ml.Tabular),
        (pd.DataFrame({"age": [1, 2]}), ml.Tabular),
        (np.zeros(4), ml.Tabular),
        (np.zeros((4, 3)), ml.Tabular),
        ([[1.0, 2.0], [3.0, 4.0]], ml.Tabular),
        (torch.zeros(4, 3), ml.Tabular),
        (np.zeros((4, 32, 32)), ml.Image),
        (np.zeros((4, 24, 3)), ml.Series),
        (np.zeros((4, 3, 32, 32)), ml.Image),
        (torch.zeros(4, 32, 32, 3), ml.Image),
        (np.zeros((2, 1, 8, 8, 8)), ml.Volume),
    ],
)
def test_the_kind_that_samples_most_likely_are(samples: Any, kind: type[ml.Modality]) -> None:
    assert type(infer("scan", samples)) is kind


@pytest.mark.parametrize(
    "samples",
    [np.zeros((1,) * 6), 3.0, {}, {"input_ids": np.ones((2, 3), int)}],
    ids=["six axes", "a number", "a bundle of nothing", "token ids"],
)
def test_what_is_no_kind_is_refused_by_name(samples: Any) -> None:
    with pytest.raises(ml.InputError, match="'scan'"):
        infer("scan", samples)


def test_what_was_inferred_is_said() -> None:
    inputs = {
        "image": np.random.default_rng(0).normal(size=(6, 16, 16)),
        "lab": np.random.default_rng(1).normal(size=(6, 2)),
    }
    explanation = ml.explain(
        lambda image, lab: image.mean(axis=(1, 2)) + lab[:, 0],
        inputs,
        modalities={"lab": ml.Vector()},
        measures=[ml.Occlusion()],
        output="raw",
    )
    said = " ".join(explanation.provenance["said"])
    assert "'image' is taken as Image" in said
    assert "'lab'" not in said
