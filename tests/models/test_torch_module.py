"""A torch module is run as it would be in use, and left as it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import modalens as ml

SAMPLES = 6


class Net(nn.Module):
    """An image and a table, with everything that behaves differently in training; it remembers what it was given."""

    def __init__(self, columns: int = 3) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5)
        )
        self.table = nn.Sequential(nn.Linear(columns, 2), nn.Dropout(0.5))
        self.head = nn.Linear(4, 2)
        self.seen: list[torch.Tensor] = []
        self.recorded: list[bool] = []

    def forward(self, image: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        self.seen += [image, lab]
        found = self.head(torch.cat([self.encoder(image[:, None]), self.table(lab)], dim=1)).softmax(dim=1)
        self.recorded.append(found.requires_grad)
        return found


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().train()


def inputs(dtype: Any = np.float64) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "image": generator.normal(size=(SAMPLES, 8, 8)).astype(dtype),
        "lab": generator.normal(size=(SAMPLES, 3)).astype(dtype),
    }


def explained(net: nn.Module, given: Any = None, **settings: Any) -> ml.Explanation:
    return ml.explain(
        net, given or inputs(), **{"measures": [ml.Occlusion(), ml.Shapley()], "baseline": "mean", **settings}
    )


def test_a_module_in_training_is_explained_in_evaluation_mode(net: Net) -> None:
    first, second = explained(net), explained(net)
    np.testing.assert_array_equal(first.shapley.values, second.shapley.values)
    net.eval()
    np.testing.assert_array_equal(first.shapley.values, explained(net).shapley.values)


def test_the_mode_of_every_submodule_is_restored(net: Net) -> None:
    net.encoder[1].eval()
    net.table.eval()
    net.table[1].train()
    before = {name: module.training for name, module in net.named_modules()}
    explained(net)
    assert {name: module.training for name, module in net.named_modules()} == before
    assert set(before.values()) == {True, False}


def test_the_mode_is_restored_after_an_exception(net: Net) -> None:
    net.table.eval()
    before = {name: module.training for name, module in net.named_modules()}
    net.head.register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory")))
    with pytest.raises(RuntimeError, match="out of memory"):
        explained(net)
    assert {name: module.training for name, module in net.named_modules()} == before
    assert torch.is_grad_enabled()


def global_state() -> tuple[Any, ...]:
    """Where the global random numbers of torch, NumPy and Python are."""
    return torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()  # noqa: NPY002


@pytest.mark.parametrize("verb", [ml.explain, ml.plan])
def test_parameters_buffers_and_random_numbers_are_untouched(net: Net, verb: Callable[..., Any]) -> None:
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    given = inputs()
    before = {name: values.copy() for name, values in given.items()}
    random_numbers = global_state()
    verb(net, given, measures=[ml.Occlusion(), ml.Shapley()])
    assert global_state() == random_numbers
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert all(parameter.grad is None for parameter in net.parameters())
    for name, values in given.items():
        np.testing.assert_array_equal(values, before[name])


class Noisy(nn.Module):
    """A module that draws from torch's random numbers and does not use them."""

    def forward(self, image: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        torch.rand(5)
        return torch.sigmoid(lab[:, 0] + image.mean(dim=(1, 2)))


def test_random_numbers_that_the_module_draws_are_given_back() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1).item()
    torch.manual_seed(3)
    explained(Noisy())
    assert torch.rand(1).item() == expected


def test_no_gradients_are_recorded(net: Net) -> None:
    explained(net)
    assert net.recorded
    assert not any(net.recorded)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_numpy_comes_in_the_modules_own_type(net: Net, dtype: torch.dtype) -> None:
    explained(net.to(dtype))
    assert {tensor.dtype for tensor in net.seen} == {dtype}
    assert {str(tensor.device) for tensor in net.seen} == {"cpu"}


def test_float32_and_float64_agree(net: Net) -> None:
    single = explained(net).shapley.values
    double = explained(net.double()).shapley.values
    np.testing.assert_allclose(single, double, atol=1e-5)


def test_tensors_are_given_back_as_tensors(net: Net) -> None:
    arrays = inputs(np.float32)
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    np.testing.assert_array_equal(explained(net, tensors).shapley.values, explained(net, arrays).shapley.values)


class Embedded(nn.Module):
    """Token ids beside a table."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 2)
        self.kinds: set[torch.dtype] = set()

    def forward(self, code: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        self.kinds.add(code.dtype)
        return torch.sigmoid(self.embedding(code).sum(dim=(1, 2)) + lab[:, 0])


@pytest.mark.parametrize("form", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
def test_integer_codes_stay_integers(form: Callable[[np.ndarray], Any]) -> None:
    torch.manual_seed(0)
    model = Embedded()
    lab = inputs(np.float32)["lab"]
    explained(model, {"code": form(np.arange(12).reshape(SAMPLES, 2) % 10), "lab": form(lab)})
    assert model.kinds == {torch.int64}


def test_a_frame_of_numbers_and_truth_values_becomes_a_tensor(net: Net) -> None:
    given = inputs()
    frame = pd.DataFrame(
        {"age": [50, 61, 47, 70, 33, 58], "smoker": [True, False, True, True, False, False], "crp": given["lab"][:, 0]}
    )
    explained(net, {"image": given["image"], "lab": frame})
    assert {tensor.dtype for tensor in net.seen} == {torch.float32}


def test_a_frame_with_categories_stays_a_frame() -> None:
    class Reader(nn.Module):
        def forward(self, lab: Any, dose: torch.Tensor) -> torch.Tensor:
            assert isinstance(lab, pd.DataFrame)
            return torch.sigmoid(torch.tensor((lab["sex"] == "f").to_numpy(float)) + dose[:, 0])

    frame = pd.DataFrame({"sex": pd.Categorical(list("fmfmfm"))})
    found = explained(Reader(), {"lab": frame, "dose": inputs()["lab"]})
    assert float(found.occlusion.contribution.sum()) == pytest.approx(1)


def test_the_fingerprint_is_of_the_parameters(net: Net) -> None:
    first = explained(net).provenance["model_fingerprint"]
    assert explained(net).provenance["model_fingerprint"] == first
    with torch.no_grad():
        net.head.bias[0] += 1e-3
    assert explained(net).provenance["model_fingerprint"] != first


def test_dropout_inside_a_function_is_found(net: Net) -> None:
    with pytest.raises(ml.InputError, match="random"):
        explained(lambda image, lab: net.train()(torch.from_numpy(image).float(), torch.from_numpy(lab).float()))
