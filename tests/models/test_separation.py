"""A split is remembered, no longer than it holds, and no longer than the model lives."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import modalens as ml


class Net(nn.Module):
    """An image and tokens, with a transformer layer, dropout, and a number that is no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Dropout(0.5))
        self.tokens = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, enable_nested_tensor=False
        )
        self.head = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
        self.scale = 1.0

    def forward(self, image: Tensor, tokens: Tensor) -> Tensor:
        return self.scale * self.head(torch.cat([self.image(image), self.tokens(tokens).mean(1)], dim=1))


def patients(rows: int, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "image": torch.randn(rows, 4, 4, generator=generator),
        "tokens": torch.randn(rows, 5, 8, generator=generator),
    }


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().train()


def values(net: nn.Module, **settings: Any) -> Any:
    given = {"measures": [ml.Shapley()], "output": "raw", "background": patients(6, 1), "encoders": "graph"}
    return ml.explain(net, patients(5), **{**given, "baseline": "background", **settings})


def assert_whole(net: nn.Module, found: Any) -> None:
    whole = values(net, encoders="whole").shapley.values
    np.testing.assert_allclose(found.shapley.values, whole, rtol=0, atol=1e-5 * float(abs(whole).max()))


def test_a_second_call_uses_what_the_first_has_found(net: Net) -> None:
    assert ml.fusion_point(net, patients(5)) is ml.fusion_point(net, patients(3, 2))
    known, other = values(net), values(Net().train())
    assert known.provenance["check_rows"] == 2 < other.provenance["check_rows"]
    assert known.provenance["encoder_rows"] == {"image": 11, "tokens": 11}


def test_a_written_parameter_is_seen(net: Net) -> None:
    before, first = values(net), ml.fusion_point(net, patients(5))
    with torch.no_grad():
        net.head[0].weight.mul_(2)
    assert ml.fusion_point(net, patients(5)) is not first
    after = values(net)
    assert float(abs(after.shapley.values - before.shapley.values).max()) > 1e-3
    assert_whole(net, after)


def test_a_changed_attribute_is_seen(net: Net) -> None:
    """No parameter tells it, so a few rows are compared at each call."""
    first = ml.fusion_point(net, patients(5))
    net.scale = 3.0
    assert_whole(net, values(net))
    assert ml.fusion_point(net, patients(5)) is not first


def test_a_replaced_layer_is_seen(net: Net) -> None:
    values(net)
    net.image[1] = nn.Linear(16, 8)
    assert_whole(net, values(net))


@pytest.mark.parametrize("encoders", ["graph", {"image": "image", "tokens": "tokens"}])
def test_a_model_is_let_go(encoders: Any) -> None:
    net = Net()
    assert ml.fusion_point(net, patients(5), encoders=encoders).exact
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("encoders", ["graph", {"image": "image", "tokens": "tokens"}])
def test_encoders_stay_in_evaluation_mode_when_the_model_trains(net: Net, encoders: Any) -> None:
    point = ml.fusion_point(net, patients(5), encoders=encoders)
    assert net.training
    assert net.image[3].training
    for name, samples in patients(4, 3).items():
        torch.testing.assert_close(point.encoders[name](samples), point.encoders[name](samples), rtol=0, atol=0)


def test_transformer_layers_stay_whole(net: Net) -> None:
    """Exporting takes torch's fused layer apart, into some thirty operations each."""
    assert ml.fusion_point(net, patients(5)).encoders["tokens"].operations <= 4


def test_given_back_batch_sizes_give_the_same_bits(net: Net) -> None:
    first = values(net)
    torch.manual_seed(0)
    again = values(Net(), batch_size=first.provenance["batch_size"])
    assert again.provenance["batch_size"] == first.provenance["batch_size"]
    np.testing.assert_array_equal(again.shapley.values, first.shapley.values)


def test_rows_of_what_is_no_modality_are_refused(net: Net) -> None:
    with pytest.raises(ml.InputError, match=r"batch_size names 'imag' \(did you mean 'image'\?\).*'head'"):
        values(net, batch_size={"imag": 8})


def test_a_split_is_made_where_it_pays(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = values(net, encoders="auto").provenance
    assert cheap["fusion_point"]["source"] == "none"
    assert "longer than running the whole model" in cheap["fusion_point"]["reason"]
    monkeypatch.setattr("modalens.evaluation.engine.WORTH_SPLITTING", 0)
    assert values(net, encoders="auto").provenance["fusion_point"]["source"] == "graph"


class Labelled(Net):
    """An output that holds a word and a number beside its tensors."""

    def forward(self, image: Tensor, tokens: Tensor) -> Any:
        return {"logits": super().forward(image, tokens), "version": 2, "name": "labelled"}


def test_what_is_no_tensor_passes_through_the_head() -> None:
    point = ml.fusion_point(Labelled(), patients(5))
    assert point.exact
    said = point.head({name: encoder(patients(3)[name]) for name, encoder in point.encoders.items()})
    assert (said["version"], said["name"], tuple(said["logits"].shape)) == (2, "labelled", (3, 2))
