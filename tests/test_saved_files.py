"""A saved explanation: damage is noticed, and only what can be compared is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modalens as ml


def explained(**settings: object) -> ml.Explanation:
    random = np.random.default_rng(0)
    inputs = {"a": random.normal(size=(20, 4)), "b": random.normal(size=(20, 3))}
    background = {"a": random.normal(size=(30, 4)), "b": random.normal(size=(30, 3))}
    return ml.explain(
        lambda a, b: 1 / (1 + np.exp(-a[:, 0] * b[:, 0])), inputs, **({"background": background} | settings)
    )


def test_any_damage_is_noticed(tmp_path: Path) -> None:
    explanation = explained(measures=[ml.Occlusion(), ml.Shapley()])
    path = explanation.save(tmp_path / "saved.nc")
    content = path.read_bytes()
    random = np.random.default_rng(1)
    noticed = 0
    for _ in range(40):
        damaged = bytearray(content)
        damaged[int(random.integers(len(content)))] ^= 0xFF
        path.write_bytes(damaged)
        try:
            loaded = ml.load(path)
        except ml.InputError:
            noticed += 1
        else:  # the byte belongs to no value: unused space of the file
            assert loaded.to_frame().equals(explanation.to_frame())
            assert loaded.provenance == explanation.provenance
    assert noticed > 10


def test_what_differs_in_more_than_the_model_is_not_compared(tmp_path: Path) -> None:
    one = explained()
    for what, other in {
        "space": explained(output="logit"),
        "modalities": explained(modalities={"a": ml.Tabular(parts=2)}),
        "background": explained(background=None),
        "baselines": explained(baseline="zeros"),
    }.items():
        with pytest.raises(ml.InputError, match=f"differ in their {what}"):
            ml.compare(one, other)
    with pytest.raises(ml.InputError, match="the second is a str"):
        ml.compare(one, "saved.nc")  # type: ignore[arg-type]


def test_tables_in_different_orders_are_refused() -> None:
    random = np.random.default_rng(0)
    genes = pd.DataFrame(random.normal(size=(10, 2)), columns=["x", "y"], index=[f"p{row}" for row in range(10)])
    clinical = pd.DataFrame(random.normal(size=(10, 1)), columns=["age"], index=genes.index)
    model = lambda genes, clinical: genes["x"].to_numpy() + clinical["age"].to_numpy()  # noqa: E731
    ml.explain(model, {"genes": genes, "clinical": clinical}, output="raw", baseline="zeros")
    with pytest.raises(
        ml.InputError, match=r"'genes' and 'clinical': their row labels differ .* clinical.loc\[genes.index\]"
    ):
        ml.explain(model, {"genes": genes, "clinical": clinical.iloc[::-1]}, output="raw", baseline="zeros")


def test_an_error_of_the_model_says_what_it_was_given() -> None:
    def model(a: np.ndarray) -> np.ndarray:
        raise RuntimeError("expected 1 channel")

    with pytest.raises(RuntimeError) as caught:
        ml.explain(model, {"a": np.zeros((3, 2))})
    assert "raised by the model 'model', which was given a: ndarray (3, 2) float64" in caught.value.__notes__[0]
