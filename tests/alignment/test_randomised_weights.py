"""Weights drawn anew layer by layer, and given back to the bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

import modalens as ml
from audited import SIZE, bilateral, half
from modalens.alignment import Given
from modalens.alignment.randomisation import MOST, levels, network_of, randomised_from
from modalens.errors import InputError


class Net(nn.Module):
    def __init__(self, depth: int = 2, breaks: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[one for _ in range(depth) for one in (nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1))])  # fmt: skip
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
        self.breaks = breaks
        self.asked = 0

    def heat_maps(self, images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[torch.Tensor]:
        self.asked += 1
        if self.breaks and self.asked > 1:
            raise RuntimeError("no memory")
        pixels = torch.as_tensor(np.stack(images), dtype=torch.float32)[:, None]
        return list(self.layers(pixels)[:, 0] * self.scale.sum())  # in train mode, so that buffers move


def state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_levels_go_from_the_output_down_to_everything() -> None:
    assert levels(Net(1)) == ["layers.1", "layers.0", ""]
    many = levels(Net(12))
    assert len(many) == MOST
    assert many[-1] == ""
    assert [int(one.split(".")[1]) for one in many[:-1]] == sorted((int(one.split(".")[1]) for one in many[:-1]), reverse=True)  # fmt: skip
    assert levels(nn.ReLU()) == []


def test_from_a_level_on_and_no_further() -> None:
    network = Net(2)
    before = state(network)
    with randomised_from(network, "layers.2", seed=0):
        changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"layers.2.weight", "layers.2.bias"}
    assert same(state(network), before)
    with randomised_from(network, "", seed=0):
        assert not torch.equal(network.layers[0].weight, before["layers.0.weight"])
        assert sorted(network.scale.tolist()) == [1, 2, 3]


def test_the_network_comes_back_also_after_an_exception() -> None:
    network = Net(2)
    before = state(network)

    def stop() -> None:
        with randomised_from(network, "", seed=1):
            network.layers[1].running_mean += 7
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop()
    assert same(state(network), before)


def test_the_same_seed_draws_the_same_and_torchs_own_state_stays() -> None:
    network = Net(2)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    drawn = []
    for seed in (1, 1, 2):
        with randomised_from(network, "", seed):
            drawn.append(state(network))
    assert same(drawn[0], drawn[1])
    assert not same(drawn[0], drawn[2])
    assert torch.equal(torch.rand(3), expected)


def test_an_audit_gives_the_network_back() -> None:
    network = Net(2).eval()
    before = state(network)
    audit = ml.audit(network, bilateral(5), perturbations=[])
    assert same(state(network), before)
    assert audit.data.level.values.tolist() == levels(network)
    assert audit.randomised is not None
    assert audit.randomised.level.values.tolist() == ["as trained", *levels(network)]
    np.testing.assert_allclose(audit.randomised.isel(level=0).sel(score="auroc"), audit.scores.sel(subset="all", score="auroc"))  # fmt: skip
    assert "all weights drawn anew" in str(audit)


def test_an_audit_whose_model_raises_gives_the_network_back() -> None:
    network = Net(2, breaks=True).eval()
    before = state(network)
    with pytest.raises(RuntimeError, match="no memory"):
        ml.audit(network, bilateral(2), perturbations=[])
    assert network.asked == 2
    assert same(state(network), before)


def test_a_closures_network_is_given() -> None:
    network = Net(2).eval()
    audit = ml.audit(lambda images, phrases: network.heat_maps(images, phrases), bilateral(5), network=network, perturbations=[])  # fmt: skip
    direct = ml.audit(network, bilateral(5), perturbations=[])
    assert audit.data.identical(direct.data)
    assert ml.audit(lambda images, phrases: [half("left")] * len(images), bilateral(5), perturbations=[]).randomised is None  # fmt: skip


def test_where_the_network_is_found() -> None:
    network = Net()
    assert network_of(network, None) is network
    assert network_of(network.heat_maps, None) is network
    assert network_of(lambda images, phrases: [], None) is None
    assert network_of(len, network) is network
    with pytest.raises(InputError, match=r"str came"):
        network_of(network, "network")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"maps made elsewhere"):
        ml.audit(Given(maps={("p0", bilateral(1)[0].phrase): np.ones(SIZE)}), bilateral(1), network=network)


def test_of_many_records_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modalens.alignment.run.RANDOMISED", 4)
    audit = ml.audit(Net(1).eval(), bilateral(6), perturbations=[])
    assert (audit.data.randomised_value.sel(score="auroc").notnull().sum("record") == 4).all()
    assert audit.settings["randomised"] == 4


def test_a_network_in_train_mode_is_asked_in_evaluation_mode_and_given_back() -> None:
    network = Net(1)
    records = bilateral(6)
    before = state(network)
    network.train()
    found = ml.audit(network, records, progress=False)
    assert network.training
    assert network.layers[1].training
    assert same(state(network), before)  # buffers too, which train mode would have moved
    network.eval()
    assert str(ml.audit(network, records, progress=False)) == str(found)
