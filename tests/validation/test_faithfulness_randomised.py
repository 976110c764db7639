"""Models that know nothing: measures that follow the weights, and one that shows the input whatever the model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import modalens as ml
from modalens import statistics
from modalens.measures.base import Arrays
from modalens.problem import PRESENT, Outputs, Problem, Values
from modalens.validation import randomised
from modalens.validation.randomisation import Randomised, importances


class Net(nn.Module):
    """Uses a, its first columns most, and not b."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 2)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.weight[1, :6] = torch.tensor([3.0, -2.5, 2.0, 1.5, 1.0, 0.5])

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([a, b], dim=1))


def drawn(samples: int, seed: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {name: draw.normal(size=(samples, 6)).astype(np.float32) for name in "ab"}


@dataclass(frozen=True, kw_only=True)
class Fixed(ml.Measure):
    """Says something of every sample that has nothing to do with the model: the same numbers, or noise of its seed."""

    noise: bool = False
    default_name: ClassVar[str] = "fixed"
    title: ClassVar[str] = "Fixed"
    citation: ClassVar[str] = ""

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        return (Outputs(masks=(PRESENT,), baseline=problem.part_baselines[0], draws="part"),)

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        draw = np.random.default_rng(problem.seed if self.noise else 0)
        shares = draw.uniform(size=(problem.samples, len(problem.modalities)))
        coords = {"modality": list(problem.modalities)}
        return {"amount": xr.DataArray(shares, dims=("sample", "modality"), coords=coords)}

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        return {"contribution": statistics.share(statistics.average(samples["amount"], weights))}

    def details(
        self, problem: Problem, values: Values, samples: Arrays
    ) -> dict[str, xr.DataArray | Mapping[str, xr.DataArray]]:
        return {"by_sample": samples["amount"]}


def checked(measure: ml.Measure, **settings: Any) -> Randomised:
    defaults: dict[str, Any] = {"background": drawn(40, 1), "link": "softmax", "output": "logit"}
    return randomised(Net(), drawn(30, 0), measure, **(defaults | settings))


def test_occlusion_follows_the_weights_in_modalities_and_parts() -> None:
    found = checked(ml.Occlusion(), repeats=4)
    assert found.correlation.sizes == {"check": 1, "draw": 4, "view": 3}
    assert found.correlation.view.values.tolist() == ["modalities", "parts of a", "parts of b"]
    assert found.again.sel(view=["modalities", "parts of a"]).values == pytest.approx([1, 1])
    assert found.verdicts.sel(check="random weights").values.tolist()[:2] == ["follows the weights"] * 2
    assert found.verdicts.sel(view="parts of b").item().startswith("withheld: it ties everything")
    assert found.contribution.sel(model="as it is").values == pytest.approx([1, 0])
    assert (found.contribution.sel(modality="b")[1:] > 0.2).all()
    assert found.contribution.model.values.tolist()[1:] == [f"random weights {k}" for k in range(4)]
    np.testing.assert_allclose(found.spread, found.correlation.std("draw", ddof=1), atol=1e-12)


def test_a_measure_that_shows_the_input_is_found_out() -> None:
    found = checked(Fixed())
    assert found.correlation.values == pytest.approx(np.ones((1, 3, 1)))
    assert found.verdict == "does not follow the weights"
    assert "does not follow the weights" in str(found)


def of_views(**found: tuple[float, float]) -> Randomised:
    """What would be said of these mean correlations, with random weights and with the model itself."""
    views = list(found)
    return Randomised(
        measure="m",
        correlation=xr.DataArray([[[one for one, _ in found.values()]]], dims=("check", "draw", "view")).assign_coords(
            check=["random weights"], view=views
        ),
        again=xr.DataArray([again for _, again in found.values()], dims="view", coords={"view": views}),
        contribution=xr.DataArray(np.zeros((2, 2)), dims=("model", "modality")),
    )


def test_the_verdict_is_the_least_favourable_of_views_with_ranks() -> None:
    nan = float("nan")
    assert of_views(a=(0.1, 1), b=(nan, nan)).verdict == "follows the weights"
    assert of_views(a=(0.1, 1), b=(0.6, 1)).verdict == "follows the weights in part"
    assert of_views(a=(0.6, 1), b=(0.1, 0.4)).verdict.startswith("withheld: it does not agree with itself")
    assert of_views(a=(0.1, 0.4), b=(0.95, 1), c=(0.6, 1)).verdict == "does not follow the weights"
    assert of_views(a=(0.65, 0.7)).verdict == "does not follow the weights"
    assert of_views(a=(nan, nan)).verdict.startswith("withheld: it ties everything")


def test_noise_is_no_proof() -> None:
    found = checked(Fixed(noise=True, name="noise"), repeats=1)
    assert found.verdict.startswith("withheld: it does not agree with itself")
    assert np.isnan(found.spread).all()


def test_models_of_permuted_labels_are_trained_on_the_background() -> None:
    seen: list[tuple[int, np.ndarray]] = []
    train_labels = (drawn(40, 1)["a"][:, 0] > 0).astype(int)

    def train(inputs: dict[str, np.ndarray], labels: np.ndarray, seed: int) -> nn.Module:
        seen.append((len(inputs["a"]), labels))
        torch.manual_seed(seed)
        return _random_net()

    found = checked(ml.Shapley(), train=train, train_labels=train_labels, repeats=3)
    assert found.correlation.check.values.tolist() == ["random weights", "permuted labels"]
    assert [count for count, _ in seen] == [40] * 3
    assert all(sorted(labels) == sorted(train_labels) for _, labels in seen)
    assert not any(np.array_equal(labels, train_labels) for _, labels in seen)
    assert found.verdicts.sel(check="permuted labels").values.tolist() == ["follows the labels"]

    stubborn = checked(ml.Shapley(), train=lambda inputs, labels, seed: Net(), train_labels=train_labels, repeats=2)
    assert stubborn.verdicts.sel(check="permuted labels").item() == "does not follow the labels"
    assert stubborn.verdict == "does not follow the labels"


def _random_net() -> nn.Module:
    net = Net()
    net.head.reset_parameters()
    return net


def test_a_function_is_checked_by_its_labels_alone() -> None:
    settings: dict[str, Any] = {"background": drawn(40, 1), "link": "softmax"}
    labels = np.arange(40) % 2
    found = randomised(
        Net().forward, drawn(12, 0), ml.Shapley(), train=lambda inputs, labels, seed: _random_net(),
        train_labels=labels, repeats=1, forward=lambda model, inputs: model(**{k: torch.as_tensor(v) for k, v in inputs.items()}),
        **settings,
    )  # fmt: skip
    assert found.correlation.check.values.tolist() == ["permuted labels"]


def test_parts_are_compared_sample_by_sample() -> None:
    """Signs don't count, and outputs are added up."""
    parts = xr.DataArray([[[1.0, -1.0], [-3.0, 0.0]]], dims=("sample", "part", "output"))
    result = ml.Result(measure="m", title="", arrays={"parts": {"a": parts}})
    np.testing.assert_array_equal(importances(result)["parts of a"], [[2, 3]])


@pytest.mark.parametrize(
    ("model", "settings", "match"),
    [
        (lambda a, b: a[:, 0], {}, "can't be drawn anew"),
        (Net(), {"measures": []}, "measures="),
        (Net(), {"confidence": 0.9}, "confidence="),
        (Net(), {"repeats": 0}, "at least 1"),
        (Net(), {"train": lambda inputs, labels, seed: Net()}, "train_labels="),
    ],
)
def test_refused(model: Any, settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ml.InputError, match=match):
        randomised(model, drawn(6, 0), ml.Shapley(), **settings)
    with pytest.raises(ml.InputError, match="brackets"):
        randomised(model, drawn(6, 0), ml.Shapley, **settings)  # type: ignore[arg-type]


def test_a_measure_without_samples_is_refused() -> None:
    with pytest.raises(ml.InputError, match="no importance of single samples"):
        checked(ml.InterSHAP())
