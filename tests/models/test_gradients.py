"""Gradients at the fusion point against captum, against a slow re-implementation, and against finite differences; the
places where they are taken, where there are none, and the model, which is left as it was.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradientXActivation, LayerIntegratedGradients
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import roots_legendre
from torch import Tensor, nn

import modalens as ml
from modalens.evaluation import slopes
from modalens.models.gradients import between, in_space, participation
from modalens.models.readout import Readout, decide

ESTIMATORS = ("gradient", "grouped", "covariance", "integrated", "expected")
EVERY = [ml.FusionGradient(estimator=name, name=name, draws=4, steps=3) for name in ESTIMATORS]  # type: ignore[arg-type]

Read = Callable[[Tensor], Tensor]


class Fused(nn.Module):
    """An image, a series and a table, each with an encoder, and a head over what they say. `last` ends the head."""

    def __init__(self, outputs: int, last: Read = lambda raw: raw, *, seed: int = 0, bias: bool = True) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.encoders = nn.ModuleDict(
            {
                "ct": nn.Sequential(nn.Flatten(), nn.Linear(9, 4, bias=bias), nn.Tanh()),
                "ecg": nn.Sequential(nn.Flatten(), nn.Linear(8, 3, bias=bias), nn.Tanh()),
                "labs": nn.Identity(),
            }
        )
        self.first, self.second = nn.Linear(9, 5), nn.Linear(5, outputs)
        self.last = last
        self.double()

    def forward(self, ct: Tensor, ecg: Tensor, labs: Tensor) -> Tensor:
        given = {"ct": ct, "ecg": ecg, "labs": labs}
        return self.head(torch.cat([encoder(given[name]) for name, encoder in self.encoders.items()], dim=1))

    def head(self, features: Tensor) -> Tensor:
        return self.last(self.second(torch.tanh(self.first(features))))


def patients(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: 0.3 + random.normal(size=(rows, *shape)) for name, shape in SHAPES.items()}


SHAPES = {"ct": (3, 3), "ecg": (4, 2), "labs": (2,)}
KINDS = {"ct": ml.Image(patch=3), "ecg": ml.Series(), "labs": ml.Tabular()}
MIXED = {"ct": "sample_mean", "ecg": "sample_mean", "labs": "zeros"}


def tensors(inputs: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values) for name, values in inputs.items()}


def explained(model: Any, inputs: Mapping[str, Any], *measures: ml.Measure, **settings: Any) -> ml.Explanation:
    """In the model's own units, without intervals, unless the settings say otherwise."""
    return ml.explain(
        model, inputs, measures=measures or EVERY, **{"output": "raw", "confidence": None, "progress": False} | settings
    )


def of_fused(model: nn.Module, inputs: Mapping[str, Any], *measures: ml.Measure, **settings: Any) -> ml.Explanation:
    return explained(model, inputs, *measures, **{"modalities": KINDS} | settings)


# A slow re-implementation --------------------------------------------------------------------------------------------------------


def softmax_logit(raw: Tensor) -> Tensor:
    return torch.log_softmax(raw, dim=1) - torch.log_softmax(raw, dim=1).mean(dim=1, keepdim=True)


def both(probability: Tensor) -> Tensor:
    return torch.cat([1 - probability, probability], dim=1)


def odds(probability: Tensor) -> Tensor:
    return torch.log(probability / (1 - probability))


READINGS: dict[str, tuple[int, Read, dict[str, Any], dict[str, Read]]] = {
    "softmax": (
        3,
        lambda raw: raw,
        {"link": "softmax"},
        {"probability": lambda raw: raw.softmax(1), "logit": softmax_logit, "raw": softmax_logit},
    ),
    "sigmoid": (
        1,
        lambda raw: raw,
        {"link": "sigmoid"},
        {
            "probability": lambda raw: both(raw.sigmoid()),
            "logit": lambda raw: torch.cat([-raw, raw], dim=1) / 2,
            "raw": lambda raw: raw,
        },
    ),
    "multilabel": (
        2,
        lambda raw: raw,
        {"link": "sigmoid", "task": "multilabel"},
        {"probability": torch.sigmoid, "logit": lambda raw: odds(raw.sigmoid()), "raw": lambda raw: raw},
    ),
    "probability of one class": (
        1,
        torch.sigmoid,
        {"task": "classification"},
        {
            "probability": both,
            "logit": lambda raw: torch.cat([-odds(raw), odds(raw)], dim=1) / 2,
            "raw": lambda raw: raw,
        },
    ),
    "probabilities of labels": (
        2,
        torch.sigmoid,
        {"task": "multilabel"},
        {"probability": lambda raw: raw, "logit": odds, "raw": lambda raw: raw},
    ),
    "probabilities of classes": (
        3,
        lambda raw: raw.softmax(1),
        {"link": "identity"},
        {
            "probability": lambda raw: raw,
            "logit": lambda raw: raw.log() - raw.log().mean(1, keepdim=True),
            "raw": lambda raw: raw,
        },
    ),
}
"""Outputs, how the head ends, what is said to explain, and the output in every space."""


@cache
def read(name: str) -> Fused:
    """The network of a reading: its fusion point is found once."""
    outputs, last, *_ = READINGS[name]
    return Fused(outputs, last)


def stand_ins(
    baseline: Any, inputs: dict[str, np.ndarray], others: dict[str, np.ndarray], row: int
) -> list[dict[str, np.ndarray]]:
    """What stands in for one sample, a patient a draw."""
    if baseline == "background":
        return [{name: values[draw : draw + 1] for name, values in others.items()} for draw in range(4)]
    by_name = baseline if isinstance(baseline, dict) else dict.fromkeys(inputs, baseline)
    own = {name: values[row : row + 1] for name, values in inputs.items()}
    fills = {
        "zeros": lambda name: 0 * own[name],
        "mean": lambda name: others[name].mean(axis=0, keepdims=True),
        "sample_mean": lambda name: np.broadcast_to(
            own[name].mean(axis=MEAN_OVER[name], keepdims=True), own[name].shape
        ),
    }
    return [{name: fills[kind](name).copy() for name, kind in by_name.items()}]


MEAN_OVER = {"ct": (1, 2), "ecg": (1,), "labs": ()}


def slope_at(model: Fused, features: Tensor, space: Read, output: int) -> np.ndarray:
    """The gradient of one output at one row of features."""
    leaf = features.detach().clone().requires_grad_()
    return torch.autograd.grad(space(model.head(leaf))[0, output], leaf)[0][0].numpy()


def slowly(
    model: Fused, space: Read, inputs: dict[str, np.ndarray], others: dict[str, np.ndarray], baseline: Any
) -> dict[str, np.ndarray]:
    """Every estimator's values (sample, modality, output), one row and one gradient at a time."""
    with torch.no_grad():
        outputs = space(model(**tensors(inputs))).shape[1]
    points, weights = roots_legendre(3)
    blocks = {"ct": slice(0, 4), "ecg": slice(4, 7), "labs": slice(7, 9)}
    found = {name: np.zeros((len(inputs["labs"]), 3, outputs)) for name in ESTIMATORS}
    for row in range(len(inputs["labs"])):
        here = features_of(model, {name: values[row : row + 1] for name, values in inputs.items()})
        starts = [features_of(model, one) for one in stand_ins(baseline, inputs, others, row)]
        rows = np.array([start[0].numpy() for start in starts])
        mean = torch.from_numpy(rows.mean(axis=0, keepdims=True))
        for output in range(outputs):
            slope = slope_at(model, here, space, output)

            def on_line(start: Tensor, output: int = output, here: Tensor = here) -> np.ndarray:
                """Each feature's integrated gradient."""
                total = sum(
                    weight / 2 * slope_at(model, start + (point + 1) / 2 * (here - start), space, output)
                    for point, weight in zip(points, weights, strict=True)
                )
                return total * (here - start)[0].numpy()

            each = {
                "gradient": np.abs(slope),
                "grouped": slope * (here - mean)[0].numpy(),
                "integrated": on_line(mean),
                "expected": np.mean([on_line(start) for start in starts], axis=0),
            }
            for place, block in enumerate(blocks.values()):
                for name, values in each.items():
                    found[name][row, place, output] = values[block].sum()
                covariance = (
                    np.atleast_2d(np.cov(rows[:, block].T)) if len(rows) > 1 else np.nan * np.eye(len(slope[block]))
                )
                found["covariance"][row, place, output] = np.sqrt(slope[block] @ covariance @ slope[block])
    return found


def features_of(model: Fused, inputs: Mapping[str, np.ndarray]) -> Tensor:
    with torch.no_grad():
        return torch.cat([model.encoders[name](values) for name, values in tensors(inputs).items()], dim=1)


CASES = [(reading, space, "background") for reading in READINGS for space in ("probability", "logit", "raw")]
CASES += [
    (reading, "probability", baseline)
    for reading in ("softmax", "multilabel")
    for baseline in ("mean", "zeros", "mixed")
]


@pytest.mark.parametrize(("reading", "space", "baseline"), CASES)
def test_every_estimator_against_a_slow_one(reading: str, space: str, baseline: str) -> None:
    model, inputs, others = read(reading), patients(3), patients(4, 1)
    said, spaces = READINGS[reading][2:]
    chosen: Any = MIXED if baseline == "mixed" else baseline
    found = of_fused(model, inputs, background=others, baseline=chosen, output=space, **said)
    expected = slowly(model, spaces[space], inputs, others, chosen)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name].values, values, rtol=0, atol=1e-12, err_msg=name)
        amounts = np.abs(values).mean(axis=0)
        if np.isfinite(amounts).all():
            np.testing.assert_allclose(found[name].contribution, amounts.sum(axis=1) / amounts.sum(), atol=1e-12)
            np.testing.assert_allclose(found[name].by_output, (amounts / amounts.sum(axis=0)).T, atol=1e-12)
        else:
            assert name == "covariance"
            assert baseline != "background"


def test_two_baselines_stand_beside_each_other() -> None:
    model, inputs, others = read("softmax"), patients(3), patients(4, 1)
    found = of_fused(model, inputs, background=others, link="softmax", output="probability")
    for baseline in ("background", "mean"):
        expected = slowly(model, READINGS["softmax"][3]["probability"], inputs, others, baseline)
        for name, values in expected.items():
            amounts = np.abs(values).mean(axis=0).sum(axis=1)
            shown = found[name].by_baseline.sel(baseline=baseline)
            np.testing.assert_allclose(shown, amounts / amounts.sum(), atol=1e-12, err_msg=f"{name} {baseline}")


class Met(nn.Module):
    """A product of features, and features that cross in several tensors of several axes, as attention has them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key, self.value = nn.Linear(2, 4), nn.Linear(3, 4), nn.Linear(3, 2)
        self.last = nn.Linear(2, 2)
        self.double()

    def forward(self, words: Tensor, patches: Tensor) -> Tensor:
        weights = torch.softmax(self.query(words) @ self.key(patches).transpose(1, 2), dim=2)
        return self.last((weights @ self.value(patches)).mean(dim=1))


def test_features_that_cross_in_several_tensors_are_all_counted() -> None:
    random = np.random.default_rng(0)
    inputs, others = (
        {"words": random.normal(size=(rows, 5, 2)), "patches": random.normal(size=(rows, 6, 3))} for rows in (3, 4)
    )
    kinds = {"words": ml.Series(), "patches": ml.Series()}
    model = Met()
    found = explained(model, inputs, background=others, modalities=kinds, encoders="graph")
    assert found["gradient"].width.values.tolist() == [20, 36]
    query, key, value = (torch.from_numpy(inputs[name]) for name in ("words", "patches", "patches"))
    for row in range(3):
        leaves = [
            layer(one[row : row + 1]).detach().requires_grad_()
            for layer, one in ((model.query, query), (model.key, key), (model.value, value))
        ]
        for output in range(2):
            mixed = torch.softmax(leaves[0] @ leaves[1].transpose(1, 2), dim=2) @ leaves[2]
            grads = [
                one.abs().sum().item() for one in torch.autograd.grad(model.last(mixed.mean(dim=1))[0, output], leaves)
            ]
            np.testing.assert_allclose(
                found["gradient"].values[row, :, output], [grads[0], grads[1] + grads[2]], rtol=1e-10
            )
    whole, background = (model(**tensors(one)).detach().numpy() for one in (inputs, others))
    exact = explained(
        model, inputs, ml.FusionGradient(steps=30), background=others, modalities=kinds, encoders="graph"
    ).fusion_gradient
    np.testing.assert_allclose(exact.values.sum("modality"), whole - background.mean(axis=0), atol=1e-8)


# captum --------------------------------------------------------------------------------------------------------------------------

LAYERS = ("ct", "ecg", "labs")


def summed(attributions: Any) -> np.ndarray:
    """What captum says of each modality: the sum over its features, (sample, modality)."""
    flat = [one[0] if isinstance(one, tuple) else one for one in attributions]
    return torch.stack([one.flatten(1).sum(dim=1) for one in flat], dim=1).detach().numpy()


@pytest.mark.filterwarnings("ignore:Multiple layers provided")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_integrated_gradients_against_captum_at_the_encoders(dtype: torch.dtype) -> None:
    model, inputs = (
        Fused(3, seed=1).to(dtype),
        {name: values.astype(np.float32) for name, values in patients(4).items()},
    )
    found = of_fused(
        model, inputs, ml.FusionGradient(estimator="integrated"), baseline="zeros", link="softmax", output="probability"
    ).fusion_gradient
    given = tuple(one.to(dtype) for one in tensors(inputs).values())
    oracle = LayerIntegratedGradients(lambda *args: model(*args).softmax(1), [model.encoders[name] for name in LAYERS])
    for output in range(3):
        expected = oracle.attribute(
            given, tuple(map(torch.zeros_like, given)), target=output, n_steps=50, method="gausslegendre"
        )
        np.testing.assert_allclose(found.values[:, :, output], summed(expected), rtol=0, atol=1e-5)


def test_grouped_and_plain_gradients_against_captum_at_the_encoders() -> None:
    # Without a bias the encoders say 0 of zeros, so that gradient x (feature - baseline's feature) is gradient x feature.
    model, inputs = Fused(3, seed=2, bias=False), patients(4)
    found = of_fused(model, inputs, baseline="zeros", link="softmax", output="probability")
    given = tuple(tensors(inputs).values())
    oracle = LayerGradientXActivation(lambda *args: model(*args).softmax(1), [model.encoders[name] for name in LAYERS])
    plain = LayerGradientXActivation(
        lambda *args: model(*args).softmax(1), [model.encoders[name] for name in LAYERS], multiply_by_inputs=False
    )
    for output in range(3):
        np.testing.assert_allclose(
            found["grouped"].values[:, :, output], summed(oracle.attribute(given, target=output)), rtol=0, atol=1e-10
        )
        slopes_of = [one[0] if isinstance(one, tuple) else one for one in plain.attribute(given, target=output)]
        np.testing.assert_allclose(
            found["gradient"].values[:, :, output], summed([one.abs() for one in slopes_of]), rtol=0, atol=1e-10
        )


class Branching(Fused):
    """The same network in a form that can't be exported: Python decides on the value of a tensor."""

    def forward(self, ct: Tensor, ecg: Tensor, labs: Tensor) -> Tensor:
        if float(labs.detach().sum()) > 1e9:
            labs = 2 * labs
        return super().forward(ct, ecg, labs)


def test_without_a_fusion_point_gradients_are_taken_at_the_inputs_as_captum_does() -> None:
    model, inputs = Branching(3), patients(4)
    explanation = of_fused(
        model, inputs, ml.FusionGradient(estimator="integrated"), baseline="zeros", link="softmax", output="probability"
    )
    given = tuple(tensors(inputs).values())
    oracle = IntegratedGradients(lambda *args: model(*args).softmax(1))
    for output in range(3):
        expected = oracle.attribute(
            given, tuple(map(torch.zeros_like, given)), target=output, n_steps=50, method="gausslegendre"
        )
        np.testing.assert_allclose(
            explanation.fusion_gradient.values[:, :, output], summed(expected), rtol=0, atol=1e-8
        )
    assert explanation.fusion_gradient.width.values.tolist() == [9, 8, 2]
    assert explanation.provenance["fusion_point"]["source"] == "none"
    said = [note for note in explanation.provenance["warnings"] if note.startswith("fusion_gradient")]
    assert len(said) == 1
    assert "gradients are taken at the model's inputs and not at its fusion point: it can't be exported" in said[0]


class Prescribed(nn.Module):
    """Token ids beside a table; Python looks at a value."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.table, self.head = nn.Embedding(9, 3, padding_idx=0), nn.Identity(), nn.Linear(5, 2)
        self.double()

    def forward(self, drugs: Tensor, labs: Tensor) -> Tensor:
        if float(labs.detach().sum()) > 1e9:
            labs = 2 * labs
        known = (drugs > 0).sum(dim=1, keepdim=True).clamp(min=1)
        words = torch.tanh(self.embedding(drugs)).sum(dim=1) / known
        return self.head(torch.tanh(torch.cat([words, self.table(labs)], dim=1)))


def prescriptions(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {"drugs": random.integers(1, 9, size=(rows, 4)), "labs": random.normal(size=(rows, 2))}


@pytest.mark.filterwarnings("ignore:Multiple layers provided")
def test_of_whole_numbers_gradients_are_taken_at_their_embedding_as_captum_does() -> None:
    model, inputs = Prescribed(), prescriptions(4)
    explanation = explained(
        model, inputs, ml.FusionGradient(estimator="integrated"), baseline="zeros", link="softmax", output="probability"
    )
    codes, labs = tensors(inputs).values()
    # The model sees which drugs a patient has, and captum moves what they are embedded as.
    oracle = LayerIntegratedGradients(
        lambda embedded, table: told(model, codes, embedded, table).softmax(1), [model.embedding, model.table]
    )
    for output in range(2):
        expected = oracle.attribute(
            (codes, labs),
            (torch.zeros_like(codes), torch.zeros_like(labs)),
            target=output,
            n_steps=50,
            method="gausslegendre",
        )
        np.testing.assert_allclose(
            explanation.fusion_gradient.values[:, :, output], summed(expected), rtol=0, atol=1e-8
        )
    assert explanation.fusion_gradient.width.values.tolist() == [12, 2]
    assert any(
        "at the model's inputs (at the embedding of 'drugs')" in note for note in explanation.provenance["warnings"]
    )


def told(model: Prescribed, codes: Tensor, drugs: Tensor, labs: Tensor) -> Tensor:
    """The model's output for drugs of which the number is that of `codes`, however many rows captum makes of them."""
    known = (codes > 0).sum(dim=1, keepdim=True).repeat(len(drugs) // len(codes), 1)
    words = torch.tanh(model.embedding(drugs)).sum(dim=1) / known
    return model.head(torch.tanh(torch.cat([words, model.table(labs)], dim=1)))


# Where there are none ------------------------------------------------------------------------------------------------------------


def refused(model: Any, inputs: Mapping[str, Any], *words: str, **settings: Any) -> None:
    """The measure is refused with a message that holds these words: what, what was expected, what came, what to do."""
    with pytest.raises(ml.InputError) as raised:
        explained(model, inputs, ml.FusionGradient(), **settings)
    for word in ("FusionGradient", *words):
        assert word in str(raised.value), str(raised.value)


class Looked(nn.Module):
    """Whole numbers that are looked up without an embedding."""

    def __init__(self, *, early: bool = False) -> None:
        super().__init__()
        self.early = early
        self.register_buffer("table", torch.linspace(0, 1, 9)[:, None].double())

    def forward(self, drugs: Tensor, labs: Tensor) -> Tensor:
        if self.early:
            return torch.cat([drugs, labs], dim=1).tanh().sum(dim=1)
        if float(labs.detach().sum()) > 1e9:
            labs = 2 * labs
        return self.table[drugs].sum(dim=(1, 2)) + labs.sum(dim=1)


def test_whole_numbers_that_no_embedding_takes_are_refused() -> None:
    refused(
        Looked(),
        prescriptions(4),
        "modality 'drugs' is whole numbers",
        "nn.Embedding",
        "encoders={",
        "use Shapley or Occlusion",
    )


def test_whole_numbers_that_cross_the_fusion_point_are_refused() -> None:
    """They would get 0, whatever the model makes of them."""
    words = ("modality 'drugs'", "whole numbers", "expected real numbers", "encoders={", "Shapley or Occlusion")
    refused(Looked(early=True), prescriptions(4), *words, encoders="graph")


def test_what_is_no_torch_module_is_refused() -> None:
    def model(ct: np.ndarray, ecg: np.ndarray, labs: np.ndarray) -> np.ndarray:
        return labs.sum(axis=1)

    refused(
        model,
        patients(4),
        "'model' is no torch module",
        "expected a torch.nn.Module",
        "use Shapley or Occlusion",
        modalities=KINDS,
    )


def test_a_function_of_the_output_is_refused() -> None:
    refused(
        read("softmax"),
        patients(4),
        "output=<a function>",
        "give output='probability', 'logit' or 'raw'",
        output=np.exp,
        modalities=KINDS,
    )


class Detached(nn.Module):
    """A sum whose gradient is lost on the way, of one modality or of both."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.weight = nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        if self.how == "no_grad":
            with torch.no_grad():
                return (a + b).sum(dim=1)
        if self.how == "no_grad before a weight":
            with torch.no_grad():
                total = (a + b).sum(dim=1)
            return total * self.weight
        if self.how == "compared":
            return ((a + b).sum(dim=1) > 0).double()
        first = {"frozen": a.detach(), "gated": (a > 0).double(), "heard": a}[self.how]
        return (first + b).sum(dim=1)


def pairs(rows: int = 6) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {"a": random.normal(size=(rows, 2)), "b": random.normal(size=(rows, 2))}


@pytest.mark.parametrize("how", ["no_grad", "no_grad before a weight", "compared"])
def test_an_output_without_gradients_is_refused(how: str) -> None:
    words = (
        "the output depends on 'a'",
        "torch.no_grad",
        "expected an output that can be differentiated",
        "use Shapley or Occlusion",
    )
    refused(Detached(how), pairs(), *words, encoders="whole")


def test_where_the_graph_is_cut_a_no_grad_inside_is_no_obstacle() -> None:
    found = explained(Detached("no_grad"), pairs(), encoders="graph")
    np.testing.assert_allclose(found["gradient"].contribution, [0.5, 0.5])


@pytest.mark.parametrize("how", ["frozen", "gated"])
def test_a_modality_whose_gradient_is_lost_is_not_called_ignored(how: str) -> None:
    lost = explained(Detached(how), pairs(), encoders="whole").provenance["warnings"]
    assert any("depends on 'a', and no gradient reaches it" in note and "Shapley" in note for note in lost)
    heard = explained(Detached("heard"), pairs(), encoders="whole").provenance["warnings"]
    assert not any("no gradient reaches" in note for note in heard)


def test_gradients_that_are_no_numbers_are_refused() -> None:
    class Rooted(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.sqrt((torch.cat([a, b], dim=1) ** 2).sum(dim=1))

    inputs = pairs()
    for values in inputs.values():
        values[0] = 0
    refused(
        Rooted(),
        inputs,
        "modality 'a' is NaN or infinite for 1 of 6 rows",
        "expected finite numbers",
        "add a small constant",
        background=pairs(),
    )


def test_a_saturated_probability_in_single_precision_is_finite() -> None:
    class Sure(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.sigmoid(40 * torch.stack([a.sum(dim=1) + b.sum(dim=1), a[:, 0] * b[:, 0]], dim=1))

    found = explained(Sure(), pairs(40), task="multilabel", output="logit")
    for name in ("gradient", "grouped", "expected"):
        assert found[name].contribution.notnull().all()
        assert np.isfinite(found[name].values).all()


# The output's spaces -------------------------------------------------------------------------------------------------------------

KEPT = [(reading, space) for reading in READINGS for space in ("probability", "logit", "raw")]


def readout_of(reading: str, space: str) -> Readout:
    outputs, last, said, _ = READINGS[reading]
    raw = last(torch.linspace(-1, 1, 4 * outputs, dtype=torch.float64).reshape(4, outputs)).numpy()
    return decide(raw, **{"link": None, "task": None, "classes": None, "output": space} | said)


@st.composite
def outputs_of(draw: st.DrawFn, reading: str) -> np.ndarray:
    """What a model returns, (row, raw output): logits, also extreme ones, or probabilities, also 0 and 1."""
    outputs, *_, said, _ = READINGS[reading]
    shape = (draw(st.integers(1, 4)), outputs)
    if said.get("link") in ("softmax", "sigmoid"):
        return draw(arrays.arrays(np.float64, shape, elements=st.floats(-800, 800, width=32)))
    return draw(
        arrays.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1e-14, 1e-6, 0.25, 0.5, 1 - 1e-6, 1.0]))
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("reading", "space"), KEPT)
@given(data=st.data())
@settings(max_examples=20)
def test_outputs_that_carry_gradients_are_read_as_all_others(
    reading: str, space: str, dtype: torch.dtype, data: st.DataObject
) -> None:
    readout = readout_of(reading, space)
    raw = torch.from_numpy(data.draw(outputs_of(reading))).to(dtype)
    found = in_space(raw, readout, readout.space)
    expected = readout(raw.numpy())[readout.space]
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("reading", "space"), KEPT)
def test_gradients_of_outputs_against_finite_differences(reading: str, space: str) -> None:
    readout = readout_of(reading, space)
    outputs, last, *_ = READINGS[reading]
    raw = last(torch.from_numpy(np.random.default_rng(0).normal(size=(5, outputs)))).requires_grad_()
    for output in range(len(readout.outputs)):
        (slope,) = torch.autograd.grad(in_space(raw, readout, readout.space)[:, output].sum(), raw)
        for place in range(outputs):
            step = np.zeros((5, outputs))
            step[:, place] = 1e-6
            above, below = (readout(raw.detach().numpy() + sign * step)[readout.space][:, output] for sign in (1, -1))
            np.testing.assert_allclose(slope[:, place], (above - below) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("space", ["probability", "logit"])
def test_the_papers_estimator_against_finite_differences_at_the_fusion_point(space: str) -> None:
    model, inputs = read("softmax"), patients(3)
    found = of_fused(model, inputs, link="softmax", output=space)["gradient"]
    features = features_of(model, inputs)
    function = READINGS["softmax"][3][space]
    slopes_of = []
    for place in range(9):
        step = torch.zeros(9, dtype=torch.float64)
        step[place] = 1e-6
        with torch.no_grad():
            slopes_of.append(
                ((function(model.head(features + step)) - function(model.head(features - step))) / 2e-6).abs()
            )
    expected = [sum(slopes_of[block]) for block in (slice(0, 4), slice(4, 7), slice(7, 9))]
    np.testing.assert_allclose(found.values.transpose("modality", "sample", "output"), torch.stack(expected), atol=1e-8)


def test_a_line_leads_from_its_start_to_its_end() -> None:
    start, end = {"a": (torch.zeros(3, 2), torch.tensor([7, 7, 7]))}, {"a": (torch.ones(3, 2), torch.tensor([1, 2, 3]))}
    at = between(start, end, torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64))
    assert at["a"][0].tolist() == [[0, 0], [0.25, 0.25], [1, 1]]
    assert at["a"][1].tolist() == [1, 2, 3]


# The participation ratio ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [3, 8, 200])
@pytest.mark.parametrize(("directions", "copies"), [(1, 10), (10, 1), (4, 5)])
def test_the_participation_ratio_of_few_rows_is_neither_too_high_nor_too_low(
    rows: int, directions: int, copies: int
) -> None:
    random = np.random.default_rng(0)
    drawn = [np.repeat(random.normal(size=(rows, directions)), copies, axis=1) for _ in range(40)]
    found = np.array([participation(torch.from_numpy(one)) for one in drawn])
    assert (found[:, 0] == directions * copies).all()
    assert np.median(found[:, 2]) == pytest.approx(directions, rel=1e-9 if directions == 1 else 1 / rows)
    np.testing.assert_allclose(found[:, 1], [np.sqrt(one.var(axis=0, ddof=1).mean()) for one in drawn], rtol=1e-9)


def test_the_participation_ratio_of_many_rows_is_that_of_the_eigenvalues() -> None:
    features = np.random.default_rng(0).normal(size=(5000, 6)) * np.arange(1.0, 7.0)
    eigenvalues = np.linalg.eigvalsh(np.cov(features.T))
    assert participation(torch.from_numpy(features))[2] == pytest.approx(
        eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=2e-3
    )


@pytest.mark.parametrize("features", [torch.zeros(5, 0), torch.ones(5, 3), torch.randn(2, 3), torch.randn(1, 3)])
def test_the_participation_ratio_of_nothing_is_unknown(features: Tensor) -> None:
    assert np.isnan(participation(features)[2])


# Runs ----------------------------------------------------------------------------------------------------------------------------


def test_batches_blocks_and_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, others = read("softmax"), patients(300), patients(9, 1)
    settings = {"background": others, "link": "softmax", "output": "probability"}
    everyone = of_fused(model, inputs, **settings)
    ends = [*range(3), *range(296, 300)]
    few = {name: values[ends] for name, values in inputs.items()}
    for budget, batch in ((slopes.POINTS_BUDGET, None), (1, 1), (2000, 7)):
        monkeypatch.setattr(slopes, "POINTS_BUDGET", budget)
        found = of_fused(model, few, **settings, batch_size=batch)
        for name in ESTIMATORS:
            np.testing.assert_allclose(found[name].values, everyone[name].values[ends], rtol=0, atol=1e-12)


def test_features_are_looked_at_of_patients_from_first_to_last() -> None:
    inputs = pairs(300)
    inputs["a"][:40] *= 10
    inputs["b"][-10:] *= 30
    found = explained(Early(), inputs, ml.FusionGradient(estimator="gradient"), background=pairs(9)).fusion_gradient
    expected = [np.sqrt(values.var(axis=0, ddof=1).mean()) for values in inputs.values()]
    np.testing.assert_allclose(found.spread, expected, rtol=0.15)


def test_single_precision_agrees_with_double() -> None:
    inputs, others = patients(5), patients(4, 1)
    single, double = (
        of_fused(Fused(3, seed=4).to(dtype), inputs, background=others, link="softmax", output="probability")
        for dtype in (torch.float32, torch.float64)
    )
    for name in ESTIMATORS:
        np.testing.assert_allclose(single[name].values, double[name].values, rtol=0, atol=1e-5)


class Early(nn.Module):
    """Modalities meet at once, so that the inputs are the fusion point."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).double()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.layers(torch.cat([a, b], dim=1))


class Affine(Early):
    """The same behind linear encoders."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 2).double(), nn.Linear(2, 2).double()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(self.a(a), self.b(b))


@pytest.mark.parametrize("fusion", [Early, Affine])
def test_split_and_whole_agree_where_gradients_mean_the_same(fusion: type[nn.Module]) -> None:
    """At the inputs as behind linear encoders, but for the paper's estimator, to which the place is everything."""
    model = fusion()
    split, whole = (
        explained(model, pairs(), background=pairs(9), encoders=encoders) for encoders in ("graph", "whole")
    )
    assert (split.provenance["fusion_point"]["source"], whole.provenance["fusion_point"]["source"]) == ("graph", "none")
    for name in ESTIMATORS if fusion is Early else ESTIMATORS[1:]:
        np.testing.assert_allclose(split[name].values, whole[name].values, rtol=0, atol=1e-12)


def test_wherever_they_are_taken_expected_gradients_add_up_to_the_same() -> None:
    model, inputs, others = Fused(3, seed=5), patients(5), patients(6, 1)
    measure = ml.FusionGradient(steps=30)
    sums = [
        of_fused(model, inputs, measure, background=others, encoders=encoders).fusion_gradient.values.sum("modality")
        for encoders in ("graph", "whole", {"ct": "encoders.ct", "ecg": "encoders.ecg"})
    ]
    for other in sums[1:]:
        np.testing.assert_allclose(other, sums[0], rtol=0, atol=1e-10)


def test_at_named_encoders_gradients_are_those_of_the_graph() -> None:
    model, inputs, others = read("softmax"), patients(5), patients(4, 1)
    graph, named = (
        of_fused(model, inputs, background=others, encoders=one)
        for one in ("graph", {name: f"encoders.{name}" for name in LAYERS})
    )
    for name in ESTIMATORS:
        np.testing.assert_allclose(named[name].values, graph[name].values, rtol=0, atol=1e-12)


# The model afterwards ------------------------------------------------------------------------------------------------------------


class Busy(nn.Module):
    """A network in the middle of somebody's work: half of it frozen, parts in training, hooks, gradients that wait."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Tanh())
        self.head = nn.Linear(6, 2)
        self.fails = fails
        self.double().train()
        self.encoder[1].eval()
        self.encoder[0].weight.requires_grad_(False)
        self.head.weight.grad = torch.ones_like(self.head.weight)
        self.head.register_forward_hook(lambda *_: None)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        found = self.head(torch.tanh(torch.cat([self.encoder(a), b], dim=1)))
        if self.fails and found.requires_grad and torch.is_grad_enabled() and a.requires_grad:
            raise RuntimeError("out of memory")
        return found


def state(model: Busy) -> dict[str, Any]:
    """Everything that an explanation might leave behind."""
    return {
        "values": {name: tensor.clone().numpy().tobytes() for name, tensor in model.state_dict().items()},
        "identity": [id(one) for one in (*model.parameters(), *model.buffers(), *model.modules())],
        "grad": {name: None if one.grad is None else one.grad.tolist() for name, one in model.named_parameters()},
        "requires_grad": [one.requires_grad for one in model.parameters()],
        "modes": [module.training for module in model.modules()],
        "hooks": [
            list(module._forward_hooks) + list(module._backward_hooks) + list(module._forward_pre_hooks)
            for module in model.modules()
        ],
        "random": (torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()),  # noqa: NPY002
        "grad enabled": torch.is_grad_enabled(),
    }


@pytest.mark.parametrize("encoders", ["graph", "whole", {"a": "encoder"}])
def test_the_model_is_left_as_it_was(encoders: Any) -> None:
    model, inputs = Busy(), pairs()
    before, given = state(model), {name: values.copy() for name, values in inputs.items()}
    explained(model, inputs, background=pairs(9), encoders=encoders)
    assert state(model) == before
    for name, values in inputs.items():
        np.testing.assert_array_equal(values, given[name])


def test_the_model_is_left_as_it_was_after_an_exception() -> None:
    model = Busy(fails=True)
    before = state(model)
    with pytest.raises(RuntimeError, match="out of memory"):
        explained(model, pairs(), background=pairs(9), encoders="whole")
    assert state(model) == before


@pytest.mark.parametrize("encoders", ["graph", "whole"])
def test_frozen_parameters_change_nothing(encoders: str) -> None:
    free, frozen = Fused(2), Fused(2).requires_grad_(False)
    found = [of_fused(model, patients(5), background=patients(4, 1), encoders=encoders) for model in (free, frozen)]
    for name in ESTIMATORS:
        np.testing.assert_array_equal(found[0][name].values, found[1][name].values)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("encoders", ["graph", "whole"])
def test_gradients_are_there_where_the_caller_has_turned_them_off(mode: Callable[[], Any], encoders: str) -> None:
    model = Fused(2, seed=6)
    with mode():
        off = of_fused(model, patients(5), background=patients(4, 1), encoders=encoders)
    on = of_fused(model, patients(5), background=patients(4, 1), encoders=encoders)
    for name in ESTIMATORS:
        np.testing.assert_array_equal(off[name].values, on[name].values)
