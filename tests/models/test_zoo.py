"""Every kind of fusion in docs/zoo.py: the fusion point is found where it is, nothing of the model is changed by the
search, and an explanation is the same whether encodings are kept or the model is run whole.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import ZOO, Specimen

import modalens as ml

Orders = Mapping[str, np.ndarray] | None
NAMED = [name for name, specimen in ZOO.items() if specimen.encoders is not None]
FOUND = [name for name in ZOO if name not in NAMED]
SAMPLES, ROWS = 5, 3
MEASURES = [ml.Occlusion(), ml.Shapley(), ml.InterSHAP()]


def find(specimen: Specimen, model: nn.Module, **settings: Any) -> ml.FusionPoint:
    return ml.fusion_point(model, specimen.inputs(4), **{"encoders": specimen.encoders or "graph", **settings})


@dataclass(frozen=True, kw_only=True)
class Found:
    """A specimen in the middle of somebody's work, the fusion point found in it, and how the search left it."""

    model: nn.Module
    point: ml.FusionPoint
    before: dict[str, Any]
    after: dict[str, Any]


@cache
def found(name: str) -> Found:
    """Found once for all tests: that takes most of their time."""
    specimen = ZOO[name]
    model = in_use(specimen)
    before = state(model)
    point = find(specimen, model)
    return Found(model=model, point=point, before=before, after=state(model))


def whole(specimen: Specimen, inputs: Mapping[str, np.ndarray]) -> Tensor:
    """What the whole model gives, a fresh one with the same weights."""
    return specimen.output(specimen.model(), inputs)


def split(specimen: Specimen, point: ml.FusionPoint, inputs: Mapping[str, np.ndarray], order: Orders = None) -> Tensor:
    """What encoders and head give; each modality is encoded for all patients, and then handed out in its order."""
    encodings = {name: encoder(torch.from_numpy(inputs[name])) for name, encoder in point.encoders.items()}
    if order is not None:
        encodings = {name: tuple(one[order[name]] for one in encoded) for name, encoded in encodings.items()}
    assert point.head is not None
    return specimen.selected(point.head(encodings)).detach()


def tensors(inputs: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values) for name, values in inputs.items()}


def assert_close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * float(expected.abs().max()))


def weights_of(model: nn.Module, names: tuple[str, ...]) -> int:
    """How many numbers the submodules and parameters of these names have learned."""
    return sum(one.numel() for name, one in model.named_parameters() if name.startswith(names)) if names else 0


# --- What is found -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ZOO)
def test_the_fusion_point_lies_where_it_must(name: str) -> None:
    specimen, model, point = ZOO[name], found(name).model, found(name).point
    assert point.exact
    assert point.reason == ""
    assert point.source == ("names" if specimen.encoders else "graph")
    assert {one: encoder.widths for one, encoder in point.encoders.items()} == {
        one: crossing.widths for one, crossing in specimen.expected.items()
    }
    assert list(point.encoders) == list(specimen.expected)
    assert {one: encoder.parameters for one, encoder in point.encoders.items()} == {
        one: weights_of(model, crossing.weights) for one, crossing in specimen.expected.items()
    }
    assert point.head is not None
    assert point.head.parameters == weights_of(model, specimen.head)
    assert {one for one, encoder in point.encoders.items() if encoder.operations == 0} == {
        one for one, crossing in specimen.expected.items() if crossing.empty
    }


@pytest.mark.parametrize(
    ("name", "operations"),
    {"concatenation": 4, "sum": 5, "bilinear": 1, "siamese": 5, "early": 4, "late": 2, "hierarchy": 7}.items(),
)
def test_the_head_begins_where_modalities_meet_and_no_earlier(name: str, operations: int) -> None:
    """Concatenation, for one, is a joining, two linear layers and what lies between them."""
    head = found(name).point.head
    assert head is not None
    assert head.operations == operations


@pytest.mark.parametrize("name", ZOO)
def test_what_is_found_is_shown(name: str) -> None:
    point = found(name).point
    shown = str(point)
    for modality, encoder in point.encoders.items():
        assert modality in shown
        assert f"{encoder.parameters:,}" in shown


@pytest.mark.parametrize("name", NAMED)
def test_where_there_is_none_the_reason_is_given(name: str) -> None:
    specimen = ZOO[name]
    point = find(specimen, specimen.model(), encoders="graph")
    assert (point.source, point.exact, point.head, dict(point.encoders)) == ("none", False, None, {})
    assert "export" in point.reason
    assert "".join(point.reason.split()) in "".join(str(point).split())


def test_the_search_keeps_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    """What torch.export would print, and warn of, is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("routed", "gru"):
            find(ZOO[name], ZOO[name].model(), encoders="graph")
    assert capfd.readouterr() == ("", "")


# --- Split = whole -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_the_split_model_is_the_whole_model_on_fresh_rows(name: str, rows: int) -> None:
    specimen, point = ZOO[name], found(name).point
    inputs = specimen.inputs(rows, seed=10 + rows)
    for one, encoder in point.encoders.items():
        shapes = tuple(tuple(tensor.shape) for tensor in encoder(torch.from_numpy(inputs[one])))
        assert shapes == tuple((rows, *width) for width in encoder.widths)
    assert_close(split(specimen, point, inputs), whole(specimen, inputs), specimen.tolerance)


@pytest.mark.parametrize("name", ZOO)
def test_encodings_of_different_patients_can_be_combined(name: str) -> None:
    """Each modality is encoded for all patients at once and handed out to others, as masked evaluations do."""
    specimen, point = ZOO[name], found(name).point
    inputs = specimen.inputs(6, seed=20)
    order = {one: np.roll(np.arange(6), 2 * place + 1)[:5] for place, one in enumerate(inputs)}
    order[next(iter(order))] = np.array([3, 3, 3, 0, 1])
    mixed = {one: values[order[one]] for one, values in inputs.items()}
    assert_close(split(specimen, point, inputs, order), whole(specimen, mixed), specimen.tolerance)


@pytest.mark.parametrize("name", ZOO)
def test_encodings_are_not_changed_by_the_head(name: str) -> None:
    assert_kept(ZOO[name], found(name).point)


def assert_kept(specimen: Specimen, point: ml.FusionPoint) -> None:
    """Encodings are used again and again, so the head must not write into them."""
    inputs = specimen.inputs(3)
    encodings = {one: encoder(torch.from_numpy(inputs[one])) for one, encoder in point.encoders.items()}
    before = {one: [tensor.clone() for tensor in encoded] for one, encoded in encodings.items()}
    assert point.head is not None
    first, again = (specimen.selected(point.head(encodings)) for _ in range(2))
    assert torch.equal(first, again)
    for one, encoded in encodings.items():
        assert all(torch.equal(tensor, old) for tensor, old in zip(encoded, before[one], strict=True)), one


# --- Nothing is changed ------------------------------------------------------------------------------------------


def in_use(specimen: Specimen) -> nn.Module:
    """A model as it lies about in the middle of somebody's work: some parts in training, some frozen, with gradients
    and a hook.
    """
    model = specimen.model().train()
    for place, module in enumerate(model.modules()):
        module.training = place % 3 != 1
    for place, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(place % 2 == 0)
        parameter.grad = torch.ones_like(parameter) if place % 4 == 0 else None
    next(model.children()).register_forward_hook(_look)
    return model


def _look(module: nn.Module, given: tuple[Tensor, ...], output: Any) -> None:
    """A hook that changes nothing."""


def state(model: nn.Module) -> dict[str, Any]:
    """All that the search and an explanation could leave changed, as things that can be compared."""
    kept: dict[str, Any] = {
        "torch's random numbers": torch.get_rng_state().tolist(),
        "numpy's random numbers": repr(np.random.get_state()),  # noqa: NPY002
        "python's random numbers": random.getstate(),
        "whether gradients are recorded": torch.is_grad_enabled(),
        "default type": torch.get_default_dtype(),
    }
    for name, module in model.named_modules():
        kept[f"{name}: mode"] = module.training
        kept[f"{name}: attributes"] = {one: _comparable(value) for one, value in vars(module).items()}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        gradient = None if tensor.grad is None else tensor.grad.tolist()
        kept[f"{name}: tensor"] = (id(tensor), type(tensor), tensor.tolist(), tensor.requires_grad, gradient)
    return kept


def _comparable(value: Any) -> Any:
    """Hooks, submodules and whatever else an attribute holds: by identity, inside containers too."""
    if isinstance(value, dict):
        return {key: _comparable(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_comparable(one) for one in value]
    return value if isinstance(value, bool | int | float | str | None) else id(value)


def assert_unchanged(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert after.keys() == before.keys()
    changed = [name for name in before if before[name] != after[name]]
    assert not changed


@pytest.mark.parametrize("name", ZOO)
def test_the_search_leaves_everything_as_it_was(name: str) -> None:
    assert_unchanged(found(name).before, found(name).after)


@pytest.mark.parametrize("name", ZOO)
def test_explaining_leaves_everything_as_it_was(name: str) -> None:
    model, inputs = found(name).model, ZOO[name].inputs(SAMPLES)
    given = {one: values.copy() for one, values in inputs.items()}
    before = state(model)
    explained(name, model, inputs=inputs, measures=[ml.Shapley()])
    assert_unchanged(before, state(model))
    for one, values in given.items():
        np.testing.assert_array_equal(inputs[one], values)


def failing(model: nn.Module, call: int) -> list[int]:
    """Makes the model raise when it is called for the k-th time; the calls so far."""
    calls: list[int] = []

    def count(module: nn.Module, given: tuple[Any, ...]) -> None:
        calls.append(len(calls) + 1)
        if calls[-1] == call:
            raise RuntimeError("out of memory")

    model.register_forward_pre_hook(count)
    return calls


def search(model: nn.Module) -> None:
    ml.fusion_point(model, ZOO["dropout"].inputs(4))


def explain_split(model: nn.Module) -> None:
    explained("dropout", model, measures=[ml.Shapley()])


def explain_named(model: nn.Module) -> None:
    explained("dropout", model, measures=[ml.Shapley()], encoders=NAMES["dropout"])


def explain_whole(model: nn.Module) -> None:
    explained("dropout", model, measures=[ml.Shapley()], encoders="whole")


@pytest.mark.parametrize("verb", [search, explain_split, explain_named, explain_whole])
def test_everything_is_as_it_was_after_the_model_has_raised(verb: Callable[[nn.Module], None]) -> None:
    """At whichever call: while it is exported, while it is compared, while it is measured."""
    call, calls = 0, [0]
    while len(calls) >= call:
        call += 1
        model = in_use(ZOO["dropout"])
        calls = failing(model, call)
        before = state(model)
        with suppress(RuntimeError, ml.InputError):
            verb(model)
        assert_unchanged(before, state(model))
    assert call > 3


@pytest.mark.parametrize("name", ["batch_norm", "gru", "bert"])
def test_a_model_can_be_trained_on_afterwards(name: str) -> None:
    specimen = ZOO[name]
    model = specimen.model()
    find(specimen, model)
    specimen.selected(model.train()(**tensors(specimen.inputs(4)))).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


# --- An explanation is the same either way -----------------------------------------------------------------------


def explained(name: str, model: nn.Module | None = None, **settings: Any) -> ml.Explanation:
    specimen = ZOO[name]
    defaults = {
        "inputs": specimen.inputs(SAMPLES),
        "measures": MEASURES,
        "background": specimen.inputs(ROWS + 3, seed=1),
        "baseline": ml.Background(rows=ROWS, part_rows=ROWS),
        "output": "raw",
        "select": specimen.select,
        "encoders": specimen.encoders or "graph",
        "confidence": None,
        "progress": False,
    }
    return ml.explain(model or specimen.model(), **{**defaults, **settings})


def arrays(explanation: ml.Explanation) -> Iterator[tuple[str, np.ndarray]]:
    """What the three measures found, in the output's units where they have one."""
    yield "values", explanation.shapley.values.values
    yield "interactions", explanation.intershap.matrix.values
    for modality, found in explanation.occlusion.parts.items():
        yield f"parts of {modality}", found.values


def assert_same(found: ml.Explanation, expected: ml.Explanation, tolerance: float) -> None:
    scale = max(np.abs(values).max() for _, values in arrays(expected))
    for (what, ours), (_, theirs) in zip(arrays(found), arrays(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale, err_msg=what)


def single(name: str) -> str:
    """One value that stands in for all: zeros and means by turns; a report of padding has no words to average."""
    return "mean" if "report" in ZOO[name].expected or list(ZOO).index(name) % 2 else "zeros"


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("rows", [True, False], ids=["background rows", "one value"])
def test_an_explanation_with_kept_encodings_is_that_of_the_whole_model(name: str, rows: bool) -> None:
    specimen, model = ZOO[name], found(name).model
    settings = {} if rows else {"baseline": single(name)}
    kept, by_itself = explained(name, model, **settings), explained(name, encoders="whole", **settings)
    assert_same(kept, by_itself, specimen.tolerance)


def test_a_modality_that_is_ignored_counts_exactly_nothing() -> None:
    explanation = explained("ignored")
    assert not explanation.shapley.values.sel(modality="history").any()
    assert explanation.occlusion.contribution.sel(modality="history") == 0
    assert not explanation.occlusion.parts["history"].any()


@pytest.mark.parametrize("name", FOUND)
def test_a_game_of_modalities_costs_each_encoder_the_patients_and_the_background(name: str) -> None:
    """M (N + K) encoder rows in all, however many coalitions there are."""
    counted = explained(name, found(name).model, measures=[ml.Shapley(), ml.InterSHAP()]).provenance
    assert counted["encoder_rows"] == {
        one: SAMPLES + ROWS if crossing.widths else 0 for one, crossing in ZOO[name].expected.items()
    }


@pytest.mark.parametrize("name", ["concatenation", "tensor", "siamese", "bert"])
def test_a_part_costs_the_encoder_of_its_own_modality_only(name: str) -> None:
    """And a fill is encoded once for all patients."""
    explanation = explained(name, found(name).model, measures=[ml.Occlusion()], baseline="mean")
    parts = {one: found.sizes["part"] for one, found in explanation.occlusion.parts.items()}
    assert explanation.provenance["encoder_rows"] == {
        one: SAMPLES + 1 + (SAMPLES * parts[one] if parts[one] > 1 else 0) for one in ZOO[name].expected
    }


def test_the_rows_that_are_told_are_those_that_are_run() -> None:
    """Counted at the encoders themselves, in runs that differ in their background rows and in nothing else."""
    model, run = ZOO["concatenation"].model(), {"image": 0, "table": 0}
    for encoder in run:
        getattr(model, encoder).register_forward_hook(
            lambda _, given, __, encoder=encoder: run.update({encoder: run[encoder] + len(given[0])})
        )
    found = []
    for rows in (4, 2, 5):  # the first finds the encoders too
        run.update(image=0, table=0)
        settings = {
            "measures": [ml.Shapley()],
            "baseline": ml.Background(rows=rows),
            "encoders": NAMES["concatenation"],
        }
        told = explained("concatenation", model, **settings).provenance["encoder_rows"]
        found.append((dict(run), told))
    (_, _), (fewer, told_fewer), (more, told_more) = found
    assert {name: more[name] - fewer[name] for name in run} == {"image": 3, "table": 3}
    assert {name: told_more[name] - told_fewer[name] for name in told_more} == {"ct": 3, "labs": 3}


def test_the_whole_model_costs_every_encoder_every_row() -> None:
    counted = explained("concatenation", encoders="whole", measures=[ml.Shapley()]).provenance
    assert set(counted["encoder_rows"].values()) == {counted["head_rows"]}
    assert counted["head_rows"] == SAMPLES + 2 * SAMPLES * ROWS + ROWS


# --- Where it can't be split -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED)
def test_a_model_that_cannot_be_split_warns_and_runs_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modalens.evaluation.engine.WORTH_SPLITTING", 0)
    with pytest.warns(ml.ModalensWarning, match="export"):
        explanation = explained(name, encoders="auto")
    assert explanation.provenance["fusion_point"]["source"] == "none"
    assert "export" in explanation.provenance["fusion_point"]["reason"]
    assert_same(explanation, explained(name, encoders="whole"), 0)


@pytest.mark.parametrize("name", NAMED)
def test_a_split_that_is_demanded_and_impossible_is_an_error(name: str) -> None:
    with pytest.raises(ml.InputError, match="export"):
        explained(name, encoders="graph")


@pytest.mark.parametrize("encoders", ["auto", "whole", "graph"])
def test_a_model_that_can_be_split_does_not_warn(encoders: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explained("concatenation", encoders=encoders)


# --- Encoders that are named -------------------------------------------------------------------------------------

NAMES: dict[str, dict[str, str]] = {
    "concatenation": {"ct": "image", "labs": "table"},
    "in_place": {"ct": "image", "labs": "table"},
    "film": {"ct": "stem", "labs": "film"},
    "siamese": {"before": "encoder", "after": "encoder"},
    "bert": {"xray": "image", "report": "bert.encoder"},
    "batch_norm": {"ct": "image", "labs": "table"},
    "dropout": {"ct": "image", "labs": "table"},
    "volume": {"mri": "volume"},
    "hierarchy": {"ct": "ct", "labs": "table", "pet": "pet"},
    "model_output": {"labs": "table", "ct": "image"},
}
"""Where encoders could be named, although there is no need."""


@pytest.mark.parametrize("name", NAMES)
def test_named_encoders_give_the_whole_model(name: str) -> None:
    """Also when the model has gone back to training; a modality without a name enters the head as it is."""
    specimen = ZOO[name]
    model = in_use(specimen)
    before = state(model)
    point = find(specimen, model, encoders=NAMES[name])
    assert (point.source, point.exact, point.reason) == ("names", True, "")
    inputs = specimen.inputs(5, seed=30)
    order = {one: np.roll(np.arange(5), place) for place, one in enumerate(inputs)}
    mixed = {one: values[order[one]] for one, values in inputs.items()}
    assert_close(split(specimen, point, inputs, order), whole(specimen, mixed), specimen.tolerance)
    assert_kept(specimen, point)
    explained(name, model, measures=[ml.Shapley()], encoders=NAMES[name])
    assert_unchanged(before, state(model))


def test_a_named_encoder_that_does_not_keep_patients_apart_is_told() -> None:
    """A GRU returns its last state with the layer first."""
    point = find(ZOO["gru"], ZOO["gru"].model(), encoders={"vitals": "series", "labs": "table"})
    assert (point.source, point.exact) == ("none", False)
    assert "vitals" in point.reason
    assert "axis" in point.reason
