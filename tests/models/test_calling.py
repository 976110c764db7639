"""Models are called as they want to be, and left as they were: by dict, by position, a batch or a patient at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_sequence

import modalens as ml

PATIENTS, OTHERS = 7, 5


def explained(model: Any, inputs: Mapping[str, Any], others: Mapping[str, Any], **settings: Any) -> ml.Explanation:
    given = {"measures": [ml.Shapley(), ml.Occlusion()], "output": "raw", "task": "regression"}
    return ml.explain(model, inputs, background=others, **{**given, "progress": False, **settings})


def require_same(found: ml.Explanation, expected: ml.Explanation, atol: float = 1e-6) -> None:
    """The same numbers, and numbers that are not all zero."""
    assert float(abs(expected.shapley.values).min("sample").max()) > 1e-3
    np.testing.assert_allclose(found.shapley.values, expected.shapley.values, rtol=0, atol=atol)
    for name in expected.modalities:
        np.testing.assert_allclose(found.occlusion.parts[name], expected.occlusion.parts[name], rtol=0, atol=atol)


# by keyword, by dict, by position ------------------------------------------------------------------------------------------


class Net(nn.Module):
    """An image and a table; they are multiplied in the head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.Tanh())
        self.table = nn.Sequential(nn.Linear(3, 6), nn.Tanh())
        self.head = nn.Linear(6, 2)

    def forward(self, image: Tensor, labs: Tensor) -> Tensor:
        return self.head(self.backbone(image) * self.table(labs))


def tables(rows: int, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "image": torch.randn(rows, 4, 4, generator=generator).to(dtype),
        "labs": torch.randn(rows, 3, generator=generator).to(dtype),
    }


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


class TakesDict(nn.Module):
    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.net(batch["image"], batch["labs"])


class TakesPositions(TakesDict):
    def forward(self, first: Tensor, second: Tensor) -> Tensor:  # type: ignore[override]
        return self.net(second, first)


@pytest.mark.parametrize(
    ("wrapped", "forward"),
    [
        (TakesDict, lambda model, inputs: model(inputs)),
        (TakesPositions, lambda model, inputs: model(inputs["labs"], inputs["image"])),
    ],
    ids=["dict", "positions"],
)
@pytest.mark.parametrize("encoders", ["whole", "graph", {"image": "net.backbone", "labs": "net.table"}])
def test_forward_says_how_a_model_is_called(net: Net, wrapped: Any, forward: Any, encoders: Any) -> None:
    inputs, others = tables(PATIENTS, 0), tables(OTHERS, 1)
    found = explained(wrapped(net), inputs, others, forward=forward, encoders=encoders)
    require_same(found, explained(net, inputs, others, encoders="whole"))
    assert found.provenance["fusion_point"]["source"] == {"whole": "none", "graph": "graph"}.get(str(encoders), "names")


def test_forward_calls_what_is_no_function() -> None:
    """An object with a method, such as an R model behind a bridge."""

    class Scored:
        def score(self, rows: np.ndarray) -> np.ndarray:
            return rows[:, 0] * rows[:, 1]

    inputs = {"a": np.arange(1.0, 5), "b": np.arange(2.0, 6)}
    found = explained(
        Scored(),
        inputs,
        inputs,
        forward=lambda model, given: model.score(np.stack([given["a"], given["b"]], axis=1)),
        baseline="zeros",
        measures=[ml.Shapley()],
    )
    # Each of two factors gets half of the product.
    np.testing.assert_allclose(found.shapley.values.sel(modality="a").squeeze(), np.array([2, 6, 12, 20]) / 2)


def test_a_model_that_takes_one_dict_is_refused_without_forward(net: Net) -> None:
    with pytest.raises(ml.InputError, match="forward=lambda model, inputs"):
        explained(TakesDict(net), tables(PATIENTS, 0), tables(OTHERS, 1))


@pytest.mark.parametrize(
    ("collate", "said"),
    [
        ({"imagge": list}, r"collate names 'imagge'.*did you mean 'image'"),
        ({"image": 3}, r"collate\['image'\]=3.*function"),
        ("batch", r"collate='batch'.*'patient'"),
    ],
)
def test_what_collates_nothing_is_refused(net: Net, collate: Any, said: str) -> None:
    with pytest.raises(ml.InputError, match=said):
        explained(net, tables(PATIENTS, 0), tables(OTHERS, 1), collate=collate)


# a patient a call ----------------------------------------------------------------------------------------------------------


class OnePatient(Net):
    """The same network for one patient, without an axis for patients."""

    def forward(self, image: Tensor, labs: Tensor) -> Tensor:
        assert image.shape == (4, 4)
        assert labs.shape == (3,)
        return self.head(self.backbone(image[None])[0] * self.table(labs))


@pytest.mark.parametrize("encoders", ["whole", {"image": "backbone", "labs": "table"}])
def test_a_patient_a_call_equals_the_batch(net: Net, encoders: Any) -> None:
    single = OnePatient()
    single.load_state_dict(net.state_dict())
    inputs, others = tables(PATIENTS, 0), tables(OTHERS, 1)
    found = explained(single, inputs, others, collate="patient", encoders=encoders)
    require_same(found, explained(net, inputs, others, encoders="whole"))
    if encoders != "whole":
        assert found.provenance["encoder_rows"]["image"] <= PATIENTS * (1 + 4) + OTHERS + 1


def test_a_function_is_called_a_patient_at_a_time() -> None:
    seen: list[tuple[int, ...]] = []

    def model(image: np.ndarray, labs: np.ndarray) -> float:
        seen.append(image.shape)
        return float(image.mean() * labs[0])

    inputs, others = (
        {name: one.numpy() for name, one in tables(rows, seed).items()} for rows, seed in ((4, 0), (3, 1))
    )
    found = explained(model, inputs, others, collate="patient")
    expected = explained(lambda image, labs: image.mean((1, 2)) * labs[:, 0], inputs, others)
    assert set(seen) == {(4, 4)}
    require_same(found, expected)


# series and bags: models that can't be exported --------------------------------------------------------------------------


class LastState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 6)

    def forward(self, series: PackedSequence) -> Tensor:
        return self.lstm(series)[1][0][-1]


class Packed(nn.Module):
    """A packed LSTM beside a table."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = LastState()
        self.head = nn.Sequential(nn.Linear(6 + 3, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, items: PackedSequence, labs: Tensor) -> Tensor:
        return self.head(torch.cat([self.encoder(items), labs], dim=1))


class Pooling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.see, self.weigh = nn.Linear(2, 6), nn.Linear(6, 1)

    def forward(self, items: Tensor) -> Tensor:
        seen = torch.tanh(self.see(items))
        return (self.weigh(seen).softmax(dim=0) * seen).sum(dim=0)


class Bagged(nn.Module):
    """Attention pooling, one bag after the other, beside a table."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Pooling()
        self.head = nn.Sequential(nn.Linear(6 + 3, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, items: list[Tensor], labs: Tensor) -> Tensor:
        return self.head(torch.cat([torch.stack([self.encoder(bag) for bag in items]), labs], dim=1))


def pack(series: list[Tensor]) -> PackedSequence:
    return pack_sequence(series, enforce_sorted=False)


def items(rows: int, seed: int) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, 9, rows)
    return {
        "items": [generator.normal(size=(length, 2)).astype(np.float32) for length in lengths],
        "labs": generator.normal(size=(rows, 3)).astype(np.float32),
    }


UNEVEN = {
    "packed": (Packed, {"collate": {"items": pack}, "modalities": {"items": ml.Series()}}),
    "bag": (Bagged, {"modalities": {"items": ml.Bag(by="item")}}),
}


@pytest.fixture(params=UNEVEN)
def uneven(request: pytest.FixtureRequest) -> tuple[nn.Module, dict[str, Any]]:
    torch.manual_seed(0)
    kind, settings = UNEVEN[request.param]
    return kind(), settings


def test_uneven_samples_cached_equal_the_whole_model(uneven: tuple[nn.Module, dict[str, Any]]) -> None:
    model, settings = uneven
    inputs, others = items(PATIENTS, 0), items(OTHERS, 1)
    found = explained(model, inputs, others, encoders={"items": "encoder"}, **settings)
    require_same(found, explained(model, inputs, others, encoders="whole", **settings))
    assert found.provenance["fusion_point"]["source"] == "names"


def test_exact_shapley_values_encode_every_row_once(uneven: tuple[nn.Module, dict[str, Any]]) -> None:
    """N + K rows of each modality, as counted by the encoder itself."""
    model, settings = uneven
    seen: list[int] = []
    settings = settings | {"measures": [ml.Shapley()], "baseline": "background", "encoders": {"items": "encoder"}}
    found = explained(model, items(PATIENTS, 0), items(OTHERS, 1), **settings)
    assert found.provenance["encoder_rows"] == dict.fromkeys(("items", "labs"), PATIENTS + OTHERS)
    hook = model.encoder.register_forward_hook(lambda *call: seen.append(1 if call[2].dim() == 1 else len(call[2])))
    again = explained(model, items(PATIENTS, 0), items(OTHERS, 1), **settings)
    hook.remove()
    assert sum(seen) <= PATIENTS + OTHERS + again.provenance["check_rows"] + 2
    require_rows(again, found)


def require_rows(found: ml.Explanation, expected: ml.Explanation) -> None:
    np.testing.assert_array_equal(found.shapley.values, expected.shapley.values)


@pytest.mark.parametrize("encoders", ["whole", {"items": "encoder"}])
def test_a_series_of_which_nothing_is_left_is_told_as_such(encoders: Any) -> None:
    """torch can't pack what has no steps; with something in their place it can."""
    settings = {"baseline": {"items": "removed", "labs": "mean"}, "modalities": {"items": ml.Series()}}
    with pytest.raises(RuntimeError) as raised:
        explained(Packed(), items(9, 0), items(OTHERS, 1), encoders=encoders, collate={"items": pack}, **settings)
    assert any("'items' replaced by 'removed'" in note and "baseline" in note for note in raised.value.__notes__)

    def pack_all(series: list[Tensor]) -> PackedSequence:
        return pack([one if len(one) else torch.zeros(1, 2) for one in series])

    found = explained(
        Packed(), items(9, 0), items(OTHERS, 1), encoders=encoders, collate={"items": pack_all}, **settings
    )
    assert not found.shapley.values.isnull().any()


def test_an_uneven_model_has_no_graph(uneven: tuple[nn.Module, dict[str, Any]]) -> None:
    model, settings = uneven
    with pytest.raises(ml.InputError, match="differ in length"):
        explained(model, items(PATIENTS, 0), items(OTHERS, 1), encoders="graph", **settings)


def test_collate_gets_the_samples_and_gives_the_batch() -> None:
    """Padding, by hand: a function that sums padded series, and one that sums each."""
    inputs, others = items(PATIENTS, 0), items(OTHERS, 1)
    found = explained(
        lambda items, labs: items.sum((1, 2)).numpy() * labs[:, 0],
        inputs,
        others,
        collate={"items": lambda series: pad_sequence([torch.from_numpy(one) for one in series], batch_first=True)},
    )
    expected = explained(lambda items, labs: np.array([one.sum() for one in items]) * labs[:, 0], inputs, others)
    require_same(found, expected, atol=1e-5)


# bundles -------------------------------------------------------------------------------------------------------------------


class Masked(nn.Module):
    """Values where a mask is 1, and a table."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, values: Tensor, mask: Tensor, labs: Tensor) -> Tensor:
        return self.net(values * mask, labs)


class MaskedDict(Masked):
    def forward(self, image: dict[str, Tensor], labs: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(image["values"], image["mask"], labs)


def bundles(rows: int, seed: int) -> dict[str, Any]:
    given = tables(rows, seed)
    return {"image": {"values": given["image"], "mask": (given["image"] > -0.5).float()}, "labs": given["labs"]}


@pytest.mark.parametrize("encoders", ["whole", "graph", {"image": "net.backbone", "labs": "net.table"}])
def test_a_bundle_is_given_as_the_models_own_arguments(encoders: Any) -> None:
    torch.manual_seed(0)
    spread, whole = Masked(), MaskedDict()
    whole.load_state_dict(spread.state_dict())
    inputs, others = bundles(PATIENTS, 0), bundles(OTHERS, 1)
    found = explained(spread, inputs, others, encoders=encoders)
    require_same(found, explained(whole, inputs, others, encoders="whole"))


def test_a_hugging_face_model_takes_ids_and_mask_by_keyword() -> None:
    transformers = pytest.importorskip("transformers")
    from modalities.vocabularies import wordpiece

    torch.manual_seed(0)
    tokenizer = wordpiece()
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=2,
        initializer_range=0.5,
    )
    model = transformers.BertForSequenceClassification(config)
    texts = ["a b d", "b b", "d ac a b", "a"]
    tokens = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
    found = ml.explain(
        model,
        {"report": tokens},
        modalities={"report": ml.Text(tokenizer)},
        baseline="removed",
        link="softmax",
        measures=[ml.Occlusion()],
        progress=False,
    )

    @torch.no_grad()
    def probability(mask: Tensor) -> np.ndarray:
        return model.eval()(input_ids=tokens["input_ids"], attention_mask=mask).logits.softmax(dim=1).numpy()

    # This tokenizer adds nothing, and the first token of every text is a word.
    without = tokens["attention_mask"].clone()
    without[:, 0] = 0
    several = [row for row in range(len(texts)) if int(found.occlusion.part_count.sel(modality="report")[row]) > 1]
    expected = probability(tokens["attention_mask"]) - probability(without)
    parts = found.occlusion.parts["report"].isel(part=0).values
    np.testing.assert_allclose(parts[several], expected[several], atol=1e-6)
    assert np.abs(expected).max() > 1e-3


# what a model has ----------------------------------------------------------------------------------------------------------


class Wrapper(nn.Module):
    """Delegates, as a LightningModule does, and has hooks and a buffer of its own."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        self.calls = 0
        self.register_buffer("temperature", torch.tensor(2.0))
        self.dropout = nn.Dropout(0.5)
        self.net.backbone.register_forward_hook(lambda module, given, said: said * 3)
        self.register_forward_pre_hook(lambda module, given: self.count())

    def count(self) -> None:
        self.calls += 1

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.dropout(self.net(*args, **kwargs)) / self.temperature


@pytest.mark.parametrize("encoders", ["whole", {"image": "net.backbone", "labs": "net.table"}])
def test_hooks_and_buffers_of_a_wrapper_are_kept(net: Net, encoders: Any) -> None:
    model = Wrapper(net).train()
    model.net.table.eval()
    modes = {name: module.training for name, module in model.named_modules()}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    hooks = [len(module._forward_hooks) for module in model.modules()]
    inputs, others = tables(PATIENTS, 0), tables(OTHERS, 1)
    found = explained(model, inputs, others, encoders=encoders)
    assert model.calls > 0
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())

    def by_hand(image: np.ndarray, labs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            seen = net.backbone[2](net.backbone[1](torch.from_numpy(image).flatten(1))) * 3
            return (net.head(seen * net.table(torch.from_numpy(labs))) / 2).numpy()

    arrays = [{name: one.numpy() for name, one in each.items()} for each in (inputs, others)]
    require_same(found, explained(by_hand, *arrays))


# types and memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoders", ["whole", {"image": "backbone", "labs": "table"}])
def test_bfloat16_stays_bfloat16(net: Net, encoders: Any) -> None:
    seen: set[torch.dtype] = set()
    half = net.bfloat16()
    half.register_forward_pre_hook(
        lambda module, args, kwargs: seen.update(one.dtype for one in kwargs.values()), with_kwargs=True
    )
    inputs, others = (tables(rows, seed, torch.bfloat16) for rows, seed in ((PATIENTS, 0), (OTHERS, 1)))
    found = explained(half, inputs, others, encoders=encoders)
    assert seen == {torch.bfloat16}
    exact = {name: one.float() for name, one in inputs.items()}, {name: one.float() for name, one in others.items()}
    single = explained(Net().float(), *exact)
    assert single.shapley.values.shape == found.shapley.values.shape
    full = Net()
    full.load_state_dict({name: one.float() for name, one in half.state_dict().items()})
    require_same(found, explained(full, *exact), atol=2e-2)


class Small(Net):
    """A network that holds so many rows, and no more; `where` is what runs out."""

    def __init__(self, most: int, where: str) -> None:
        super().__init__()
        self.most, self.refused = most, 0
        module = self if where == "model" else self.get_submodule(where)
        module.register_forward_pre_hook(self.refuse, with_kwargs=True)

    def refuse(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        rows = len((*args, *kwargs.values())[0])
        if rows > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError(f"CUDA out of memory: {rows} rows.")


@pytest.mark.parametrize(
    ("where", "encoders"),
    [
        ("model", "whole"),
        ("backbone", {"image": "backbone", "labs": "table"}),
        ("head", {"image": "backbone", "labs": "table"}),
    ],
)
@pytest.mark.parametrize("batch_size", [None, 64])
def test_a_batch_that_does_not_fit_is_halved(net: Net, where: str, encoders: Any, batch_size: int | None) -> None:
    small = Small(most=5, where=where)
    small.load_state_dict(net.state_dict())
    inputs, others = tables(20, 0), tables(OTHERS, 1)
    with pytest.warns(ml.ModalensWarning, match=r"did not fit into memory and were halved; batch_size=\d+"):
        found = explained(small, inputs, others, encoders=encoders, batch_size=batch_size)
    assert small.refused > 0
    assert any("halved" in warning for warning in found.provenance["warnings"])
    require_same(found, explained(net, inputs, others, encoders="whole"))


def test_a_single_row_that_does_not_fit_is_an_error(net: Net) -> None:
    small = Small(most=0, where="model")
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        explained(small, tables(PATIENTS, 0), tables(OTHERS, 1), encoders="whole")


# exceptions ----------------------------------------------------------------------------------------------------------------


class Failing(Net):
    """Fails at its k-th call, after it has drawn random numbers and changed a mode."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def forward(self, image: Tensor, labs: Tensor) -> Tensor:
        self.calls += 1
        torch.rand(3)
        if self.calls == self.at:
            raise KeyError("image_2")
        return super().forward(image, labs)


def state_of(model: nn.Module) -> tuple[Any, ...]:
    """Modes, gradients, and where the random numbers of torch, NumPy and Python are."""
    modes = [module.training for module in model.modules()]
    numbers = torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()  # noqa: NPY002
    return modes, torch.is_grad_enabled(), *numbers


@pytest.mark.parametrize("at", [1, 2, 4, 5])
@pytest.mark.parametrize("verb", [ml.explain, ml.fusion_point], ids=["explain", "fusion_point"])
def test_an_exception_leaves_everything_as_it_was(at: int, verb: Callable[..., Any]) -> None:
    model = Failing(at).train()
    model.table.eval()
    before = state_of(model)
    if verb is ml.explain:
        with pytest.raises(KeyError, match="image_2") as raised:
            explained(model, tables(PATIENTS, 0), tables(OTHERS, 1), encoders="whole")
        assert any("raised by the model 'Failing'" in note for note in getattr(raised.value, "__notes__", []))
    else:
        names = {"image": "backbone", "labs": "table"}
        ml.fusion_point(model, tables(PATIENTS, 0), encoders=names)
    assert state_of(model) == before


def test_after_a_run_everything_is_as_it_was(net: Net) -> None:
    net.train()
    net.table.eval()
    before = state_of(net)
    explained(net, tables(PATIENTS, 0), tables(OTHERS, 1), encoders={"image": "backbone"})
    assert state_of(net) == before
