"""From what a model returns to named numbers: containers, spaces, tasks, targets."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

import modalens as ml
from modalens.models.readout import decide, read, targets

ROWS = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -2.0]])
ONE = np.array([[0.3], [-1.2]])
PROBABILITIES = softmax(ROWS, axis=1)
LABELS = expit(ROWS)


def log_odds(probability: np.ndarray) -> np.ndarray:
    return np.log(probability) - np.log(probability).mean(axis=1, keepdims=True)


def pair(probability: np.ndarray) -> np.ndarray:
    """One probability is two classes."""
    return np.concatenate([1 - probability, probability], axis=1)


CASES: list[Any] = [
    # raw, link, output, task -> task, space, outputs, expected by space
    pytest.param(
        ROWS,
        "softmax",
        "probability",
        None,
        "classification",
        3,
        {"probability": PROBABILITIES, "logit": log_odds(PROBABILITIES)},
        id="softmax",
    ),
    pytest.param(
        ROWS,
        "softmax",
        "logit",
        None,
        "classification",
        3,
        {"probability": PROBABILITIES, "logit": log_odds(PROBABILITIES)},
        id="softmax on logits",
    ),
    pytest.param(
        ROWS,
        "softmax",
        "raw",
        None,
        "classification",
        3,
        {"logit": ROWS - ROWS.mean(axis=1, keepdims=True)},
        id="several raw logits are centred",
    ),
    pytest.param(
        ROWS,
        "softmax",
        "probability",
        "classification",
        "classification",
        3,
        {"probability": PROBABILITIES},
        id="softmax, task given",
    ),
    pytest.param(
        ONE,
        "sigmoid",
        "probability",
        None,
        "classification",
        2,
        {"probability": pair(expit(ONE)), "logit": log_odds(pair(expit(ONE)))},
        id="one logit is two classes",
    ),
    pytest.param(ONE, "sigmoid", "raw", None, "classification", 1, {"raw": ONE}, id="one raw logit"),
    pytest.param(
        ONE,
        "sigmoid",
        "probability",
        "multilabel",
        "multilabel",
        1,
        {"probability": expit(ONE), "logit": ONE},
        id="one label",
    ),
    pytest.param(
        ROWS,
        "sigmoid",
        "probability",
        None,
        "multilabel",
        3,
        {"probability": LABELS, "logit": ROWS},
        id="several labels",
    ),
    pytest.param(ROWS, "sigmoid", "logit", "multilabel", "multilabel", 3, {"logit": ROWS}, id="labels on logits"),
    pytest.param(
        PROBABILITIES,
        None,
        "probability",
        None,
        "classification",
        3,
        {"probability": PROBABILITIES, "logit": log_odds(PROBABILITIES)},
        id="probabilities that sum to 1",
    ),
    pytest.param(
        PROBABILITIES,
        "identity",
        "logit",
        None,
        "classification",
        3,
        {"probability": PROBABILITIES, "logit": log_odds(PROBABILITIES)},
        id="probabilities, identity",
    ),
    pytest.param(
        expit(ONE),
        None,
        "probability",
        None,
        "classification",
        2,
        {"probability": pair(expit(ONE)), "logit": log_odds(pair(expit(ONE)))},
        id="one probability is two classes",
    ),
    pytest.param(
        expit(ONE),
        "identity",
        "probability",
        "multilabel",
        "multilabel",
        1,
        {"probability": expit(ONE), "logit": ONE},
        id="one probability is one label",
    ),
    pytest.param(
        LABELS,
        None,
        "probability",
        None,
        "multilabel",
        3,
        {"probability": LABELS, "logit": ROWS},
        id="probabilities that do not sum to 1",
    ),
    pytest.param(
        PROBABILITIES,
        None,
        "probability",
        "multilabel",
        "multilabel",
        3,
        {"probability": PROBABILITIES, "logit": np.log(PROBABILITIES / (1 - PROBABILITIES))},
        id="labels that happen to sum to 1",
    ),
    pytest.param(ROWS, None, "raw", None, "regression", 3, {"raw": ROWS}, id="as it comes"),
    pytest.param(ROWS, None, "probability", "regression", "regression", 3, {"raw": ROWS}, id="regression"),
    pytest.param(ONE, "identity", "raw", "regression", "regression", 1, {"raw": ONE}, id="one value"),
]


@pytest.mark.parametrize(("raw", "link", "output", "task", "decided", "width", "expected"), CASES)
def test_spaces_by_hand(
    raw: np.ndarray, link: Any, output: str, task: Any, decided: str, width: int, expected: dict[str, np.ndarray]
) -> None:
    readout = decide(raw, link=link, output=output, task=task, classes=None)
    assert readout.task == decided
    assert len(readout.outputs) == width
    spaces = readout(raw)
    assert readout.space in spaces
    for space, values in expected.items():
        np.testing.assert_allclose(spaces[space], values, rtol=0, atol=1e-12)
        assert spaces[space].dtype == np.float64
    assert (task is None) == any(said.startswith("task") for said in readout.said)


def test_logits_of_one_logit_are_half_of_it_either_way() -> None:
    spaces = decide(ONE, link="sigmoid", output="logit", task=None, classes=None)(ONE)
    np.testing.assert_allclose(spaces["logit"], np.concatenate([-ONE, ONE], axis=1) / 2)


def test_a_constant_added_to_all_logits_changes_nothing() -> None:
    for output in ("probability", "logit", "raw"):
        readout = decide(ROWS, link="softmax", output=output, task=None, classes=None)
        np.testing.assert_allclose(
            readout(ROWS + 17.0)[readout.space], readout(ROWS)[readout.space], rtol=0, atol=1e-12
        )


def test_certain_probabilities_have_finite_log_odds() -> None:
    certain = np.array([[0.0, 1.0], [1.0, 0.0]])
    spaces = decide(certain, link=None, output="logit", task=None, classes=None)(certain)
    assert np.isfinite(spaces["logit"]).all()
    np.testing.assert_array_equal(spaces["probability"], certain)
    assert spaces["logit"][0, 1] > 10
    labels = np.array([[0.0, 1.0, 1.0]])
    assert np.isfinite(decide(labels, link=None, output="logit", task=None, classes=None)(labels)["logit"]).all()


def test_probabilities_stay_as_they_come_but_for_rounding() -> None:
    rounded = np.array([[1.0 + 5e-7, -5e-7]])
    assert np.isfinite(decide(rounded, link=None, output="logit", task=None, classes=None)(rounded)["logit"]).all()


def test_an_output_function_is_a_space_of_its_own() -> None:
    def margin(raw: np.ndarray) -> np.ndarray:
        return raw[:, 0] - raw[:, 1]

    readout = decide(ROWS, link=None, output=margin, task=None, classes=None)
    assert (readout.space, readout.outputs) == ("margin", ("output",))
    np.testing.assert_allclose(readout(ROWS)["margin"], [[1.5], [3.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, bool])
def test_spaces_are_float64_whatever_comes(dtype: Any) -> None:
    raw = np.array([[0, 1], [1, 0]]).astype(dtype)
    assert decide(raw, link=None, output="probability", task=None, classes=None)(raw)["probability"].dtype == np.float64


class Holder:
    """An output with attributes, neither a dict nor a tuple."""

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits


Output = namedtuple("Output", "loss logits")


@pytest.mark.parametrize(
    ("output", "select"),
    [
        (ROWS, None),
        (ROWS.tolist(), None),
        (torch.from_numpy(ROWS), None),
        (torch.from_numpy(ROWS).requires_grad_(), None),
        (torch.from_numpy(ROWS).bfloat16(), None),
        ((ROWS,), None),
        ({"logits": ROWS}, None),
        (("features", ROWS), 1),
        ({"loss": 1.0, "logits": ROWS}, "logits"),
        (Output(1.0, ROWS), "logits"),
        (Output(1.0, ROWS), 1),
        (Holder(ROWS), "logits"),
        ({"layers": [0, ROWS]}, lambda output: output["layers"][1]),
    ],
    ids=[
        "array",
        "list",
        "tensor",
        "tensor with gradients",
        "bfloat16",
        "tuple of one",
        "dict of one",
        "tuple",
        "dict",
        "named tuple by name",
        "named tuple by place",
        "attribute",
        "function",
    ],
)
def test_read_from_any_container(output: Any, select: Any) -> None:
    np.testing.assert_allclose(
        read(output, 2, select), ROWS, atol=1e-2 if str(getattr(output, "dtype", "")) == "torch.bfloat16" else 0
    )


def test_read_from_a_model_output_of_transformers() -> None:
    modeling = pytest.importorskip("transformers.modeling_outputs")
    output = modeling.SequenceClassifierOutput(logits=torch.from_numpy(ROWS), hidden_states=(torch.zeros(2, 3),))
    np.testing.assert_array_equal(read(output, 2, "logits"), ROWS)
    with pytest.raises(ml.InputError, match=r"'logits', 'hidden_states'.*select='logits'"):
        read(output, 2)


def test_one_number_a_row_is_one_output() -> None:
    assert read(np.array([0.1, 0.2]), 2).shape == (2, 1)


def classified(**settings: Any) -> ml.Explanation:
    inputs = {"a": np.array([[2.0], [-2.0], [0.5], [-0.5], [3.0]]), "b": np.array([[1.0], [1.0], [-1.0], [0.5], [0.2]])}

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a, b, -a], axis=1)

    return ml.explain(
        model,
        inputs,
        **{
            "measures": [ml.Shapley()],
            "link": "softmax",
            "baseline": "zeros",
            "classes": ["up", "side", "down"],
            **settings,
        },
    )


def test_the_target_is_the_predicted_class_of_the_whole_input() -> None:
    found = classified().shapley
    predicted = [0, 2, 0, 1, 0]
    for sample, output in enumerate(predicted):
        np.testing.assert_array_equal(
            found.of_target.isel(sample=sample), found.values.isel(sample=sample, output=output)
        )


@pytest.mark.parametrize(
    ("target", "outputs"),
    [
        ("side", [1] * 5),
        (1, [1] * 5),
        ([0, 1, 2, 0, 1], [0, 1, 2, 0, 1]),
        (np.array(["up", "down", "up", "up", "side"]), [0, 2, 0, 0, 1]),
    ],
    ids=["name", "number", "numbers", "names"],
)
def test_targets_by_name_by_number_and_one_a_patient(target: Any, outputs: list[int]) -> None:
    found = classified(target=target).shapley
    for sample, output in enumerate(outputs):
        np.testing.assert_array_equal(
            found.of_target.isel(sample=sample), found.values.isel(sample=sample, output=output)
        )


def test_labels_are_scored_each_by_itself() -> None:
    found = classified(link="sigmoid").shapley
    assert found.of_target.dims == ("sample", "modality", "output")


@pytest.mark.parametrize("target", [3, "left", [0, 1], [0, 1, 2, 3, 0], True, 1.0, None])
def test_targets_that_are_no_outputs(target: Any) -> None:
    readout = decide(ROWS, link="softmax", output="probability", task=None, classes=None)
    with pytest.raises(ml.InputError, match="target"):
        targets(target, np.tile(PROBABILITIES, (5, 1))[:5], readout)
