"""Where words look: slow re-implementations of both attentions, what the published one can't do, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modalens.alignment.attention import Attention, local_attention, phrase_map
from modalens.errors import InputError

KINDS = (None, "gloria")
NUMBERS = st.integers(-24, 24).map(lambda whole: whole / 8)
REGIONS = 361
"""19 x 19, as published."""


@st.composite
def looks(draw: st.DrawFn) -> dict[str, Any]:
    """Words, regions, and padding that leaves one word or more."""
    count, cells, features = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    padding = draw(arrays.arrays(np.bool_, count))
    padding[draw(st.integers(0, count - 1))] = False
    return {
        "words": draw(arrays.arrays(np.float64, (count, features), elements=NUMBERS)),
        "regions": draw(arrays.arrays(np.float64, (cells, features), elements=NUMBERS)),
        "padding": draw(st.sampled_from([None, padding])),
        "temperature": draw(st.sampled_from([0.5, 4.0, 10.0])),
        "vector": draw(arrays.arrays(np.float64, features, elements=NUMBERS)),
    }


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# Slow re-implementations


def softmax(values: list[float]) -> list[float]:
    powers = [np.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0


def slow_single(words, regions, temperature, opt_out, padding) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    map, gone = np.zeros((len(words), len(regions))), np.zeros(len(words))
    for i, word in enumerate(words):
        if padding is not None and padding[i]:
            continue
        logits = [temperature * cosine(word, region) for region in regions]
        if opt_out is not None:
            logits.append(opt_out if np.ndim(opt_out) == 0 else temperature * cosine(word, opt_out))
        shares = softmax(logits)
        map[i], gone[i] = shares[: len(regions)], sum(shares[len(regions) :])
    return map, gone


def slow_published(words, regions, sharpness, opt_out, padding) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    map, gone = np.zeros((len(words), len(regions))), np.zeros(len(words))
    every = [*regions] if opt_out is None else [*regions, opt_out]
    real = [i for i in range(len(words)) if padding is None or not padding[i]]
    over_words = [softmax([float(words[i] @ region) for i in real]) for region in every]
    for place, i in enumerate(real):
        shares = softmax([sharpness * column[place] for column in over_words])
        map[i], gone[i] = shares[: len(regions)], sum(shares[len(regions) :])
    return map, gone


def check(found: Attention, expected: tuple[np.ndarray, np.ndarray], padding: np.ndarray | None) -> None:
    np.testing.assert_allclose(found.map, expected[0], atol=1e-12)
    np.testing.assert_allclose(found.opt_out, expected[1], atol=1e-12)
    words = np.ones(len(found.opt_out)) if padding is None else ~padding
    np.testing.assert_allclose(found.map.sum(-1) + found.opt_out, words, atol=1e-12)


@settings(max_examples=30)
@given(given_=looks(), opt_out=st.sampled_from(["none", "logit", "vector"]))
def test_single_softmax_equals_loops(given_: dict[str, Any], opt_out: str) -> None:
    nowhere = {"none": None, "logit": 1.5, "vector": given_.pop("vector")}[opt_out]
    found = local_attention(**given_, opt_out=nowhere)
    expected = slow_single(given_["words"], given_["regions"], given_["temperature"], nowhere, given_["padding"])
    check(found, expected, given_["padding"])


@settings(max_examples=30)
@given(given_=looks(), opt_out=st.booleans())
def test_published_attention_equals_loops(given_: dict[str, Any], opt_out: bool) -> None:
    vector = given_.pop("vector")
    nowhere = vector if opt_out else None
    found = local_attention(**given_, compat="gloria", opt_out=nowhere)
    expected = slow_published(given_["words"], given_["regions"], given_["temperature"], nowhere, given_["padding"])
    check(found, expected, given_["padding"])


def test_temperatures_by_default() -> None:
    words, regions = random(3, 4), random(5, 4, seed=1)
    np.testing.assert_allclose(local_attention(words, regions).map, slow_single(words, regions, 10, None, None)[0])
    published = local_attention(words, regions, "gloria").map
    np.testing.assert_allclose(published, slow_published(words, regions, 4, None, None)[0])


# What the published attention can't do


def test_one_word_is_spread_evenly_to_the_bit() -> None:
    found = local_attention(random(1, 8), random(REGIONS, 8, seed=1), "gloria").map
    assert (found == found[0, 0]).all()
    assert found[0, 0] == pytest.approx(1 / REGIONS, abs=1e-15)


def test_no_region_gets_more_than_the_bound_and_one_nearly_does() -> None:
    bound = np.exp(4) / (np.exp(4) + REGIONS - 1)
    assert bound == pytest.approx(0.1317, abs=5e-5)
    for scale in (1, 10, 100):
        assert local_attention(scale * random(6, 8), random(REGIONS, 8, seed=1), "gloria").map.max() <= bound
    # One region that one word alone wants, all others wanted by the other word alone.
    regions = np.tile([0.0, 100.0], (REGIONS, 1))
    regions[7] = [100.0, 0.0]
    assert local_attention(np.eye(2), regions, "gloria").map[0, 7] == pytest.approx(bound, abs=1e-12)


def test_a_word_can_hardly_opt_out() -> None:
    bound = np.exp(4) / (np.exp(4) + REGIONS)
    assert bound == pytest.approx(0.131, abs=5e-4)
    wanted = np.array([100.0, 0.0])  # by the first word alone, and nothing else is
    regions = np.tile([0.0, 100.0], (REGIONS, 1))
    opted = local_attention(np.eye(2), regions, "gloria", opt_out=wanted).opt_out
    assert opted[0] == pytest.approx(bound, abs=1e-12)
    drawn = local_attention(
        50 * random(6, 8), random(REGIONS, 8, seed=1), "gloria", opt_out=50 * random(8, seed=2)
    ).opt_out
    assert drawn.max() <= bound
    # The logit of the single softmax has no such bound.
    assert local_attention(np.eye(2), regions, opt_out=30.0).opt_out.min() > 0.99


@pytest.mark.parametrize("opt_out", [False, True])
def test_the_mean_over_words_is_even_to_first_order(opt_out: bool) -> None:
    words, regions = (torch.from_numpy(random(*shape, seed=seed)) for seed, shape in enumerate([(4, 8), (30, 8)]))
    sharpness = torch.zeros((), dtype=torch.float64, requires_grad=True)
    found = local_attention(
        words, regions, "gloria", temperature=sharpness, opt_out=random(8, seed=2) if opt_out else None
    )
    for share in found.map.mean(0):
        (slope,) = torch.autograd.grad(share, sharpness, retain_graph=True)
        assert abs(float(slope)) < 1e-15
    (slope,) = torch.autograd.grad(found.map[0, 0], sharpness)
    assert abs(float(slope)) > 1e-4  # a single word's is not


def test_the_same_vector_added_to_all_words_changes_nothing() -> None:
    words, regions, shift = random(4, 8), random(30, 8, seed=1), random(8, seed=2)
    nowhere = random(8, seed=3)
    before, after = (local_attention(some, regions, "gloria", opt_out=nowhere) for some in (words, words + 5 * shift))
    np.testing.assert_allclose(after.map, before.map, atol=1e-12)
    np.testing.assert_allclose(after.opt_out, before.opt_out, atol=1e-12)
    moved = local_attention(words + 5 * shift, regions).map
    assert np.abs(moved - local_attention(words, regions).map).max() > 0.1  # the single softmax does see it


def test_a_larger_word_changes_the_published_attention_only() -> None:
    words, regions = random(3, 8), random(10, 8, seed=1)
    single, published = (
        np.abs(local_attention(3 * words, regions, kind).map - local_attention(words, regions, kind).map).max()
        for kind in KINDS
    )
    assert single < 1e-12
    assert published > 0.01


# Arrays, tensors, axes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_give_arrays_and_tensors_give_tensors_of_the_same_numbers(kind: str | None, dtype: type) -> None:
    words, regions, nowhere = random(3, 4).astype(dtype), random(5, 4, seed=1).astype(dtype), random(4, seed=2)
    found = local_attention(words, regions, kind, opt_out=nowhere)
    tensors = local_attention(
        torch.from_numpy(words), torch.from_numpy(regions), kind, opt_out=torch.from_numpy(nowhere)
    )
    for array, tensor in zip(found, tensors, strict=True):
        assert isinstance(array, np.ndarray)
        assert isinstance(tensor, torch.Tensor)
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, tensor.numpy())
    exact = local_attention(words.astype(float), regions.astype(float), kind, opt_out=nowhere)
    np.testing.assert_allclose(found.map, exact.map, atol=1e-6)


def test_whole_numbers_and_mixed_precision_are_read() -> None:
    whole = local_attention(np.eye(2, dtype=int), [[1, 0], [0, 1]], temperature=np.log(3))
    np.testing.assert_allclose(whole.map, [[0.75, 0.25], [0.25, 0.75]])
    assert whole.map.dtype == np.float64
    assert local_attention(np.eye(2, dtype=np.float32), np.eye(2)).map.dtype == np.float64


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_everything_that_is_learned(kind: str | None) -> None:
    learned = [torch.from_numpy(random(*shape, seed=seed)) for seed, shape in enumerate([(3, 4), (5, 4), (4,), ()])]
    learned = [one.requires_grad_() for one in learned]
    words, regions, nowhere, temperature = learned
    found = local_attention(words, regions, kind, opt_out=nowhere, temperature=temperature)
    gradients = torch.autograd.grad(found.map[0, 0] + found.opt_out[1], learned)
    assert all(torch.isfinite(gradient).all() and gradient.abs().max() > 0 for gradient in gradients)


def test_a_learned_opt_out_beside_arrays_gives_tensors_with_its_gradient() -> None:
    nowhere = torch.zeros((), requires_grad=True)
    found = local_attention(np.eye(2), np.eye(2), opt_out=nowhere)
    (gradient,) = torch.autograd.grad(found.opt_out.sum(), nowhere)
    assert float(gradient) > 0


@pytest.mark.parametrize(
    ("kind", "opt_out"), [(None, "none"), (None, "vector"), (None, "logit"), ("gloria", "none"), ("gloria", "vector")]
)
def test_leading_axes_are_broadcast(kind: str | None, opt_out: str) -> None:
    """Every phrase in every picture is what each pair alone is."""
    words, regions = random(3, 4, 6), random(2, 5, 6, seed=1)
    padding = np.zeros((3, 4), dtype=bool)
    padding[1, 2:] = True
    nowhere = {"none": None, "vector": random(6, seed=2), "logit": 0.5}[opt_out]
    found = local_attention(words[None], regions[:, None], kind, opt_out=nowhere, padding=padding)
    assert found.map.shape == (2, 3, 4, 5)
    assert found.opt_out.shape == (2, 3, 4)
    for picture in range(2):
        for phrase in range(3):
            alone = local_attention(words[phrase], regions[picture], kind, opt_out=nowhere, padding=padding[phrase])
            np.testing.assert_allclose(found.map[picture, phrase], alone.map, atol=1e-12)
            np.testing.assert_allclose(found.opt_out[picture, phrase], alone.opt_out, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_nowhere_and_has_no_effect(kind: str | None) -> None:
    words, regions, nowhere = random(3, 4), random(5, 4, seed=1), random(4, seed=2)
    padded = np.concatenate([words, 9 * random(2, 4, seed=3)])
    padding = np.array([False, False, False, True, True])
    found, alone = (
        local_attention(padded, regions, kind, opt_out=nowhere, padding=padding),
        local_attention(words, regions, kind, opt_out=nowhere),
    )
    np.testing.assert_allclose(found.map[:3], alone.map, atol=1e-15)
    np.testing.assert_allclose(found.opt_out[:3], alone.opt_out, atol=1e-15)
    assert not found.map[3:].any()
    assert not found.opt_out[3:].any()
    whole, expected = phrase_map(found, padding), phrase_map(alone)
    np.testing.assert_allclose(whole.map, expected.map, atol=1e-15)
    np.testing.assert_allclose(whole.opt_out, expected.opt_out, atol=1e-15)
    assert whole.map.sum() + whole.opt_out == pytest.approx(1)


def test_phrase_map_is_the_mean_over_the_words_that_are_there() -> None:
    map = np.array([[[1.0, 0.0], [0.5, 0.3], [0.0, 0.0]]])
    opt_out, padding = np.array([[0.0, 0.2, 0.0]]), np.array([[False, False, True]])
    for kind in (np.asarray, torch.as_tensor):
        whole = phrase_map(Attention(kind(map), kind(opt_out)), kind(padding))
        np.testing.assert_allclose(whole.map, [[0.75, 0.15]])
        np.testing.assert_allclose(whole.opt_out, [0.1])
    nothing = phrase_map(Attention(np.zeros((2, 3)), np.zeros(2)), np.array([True, True]))
    assert not nothing.map.any()


# Refusals


@pytest.mark.parametrize(
    ("words", "regions", "message"),
    [
        ((3, 4), (5, 3), r"equally many features; words \(3, 4\) and regions \(5, 3\) came"),
        ((4,), (5, 4), r"words must be \(\.\.\., words, features\)"),
        ((3, 4), (4,), r"equally many features"),
        ((0, 4), (5, 4), r"words \(0, 4\)"),
        ((3, 4), (0, 4), r"regions \(0, 4\)"),
        ((3, 0), (5, 0), r"regions \(5, 0\)"),
        ((2, 3, 4), (3, 5, 4), r"leading axes .* as many phrases as pictures"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(words: tuple[int, ...], regions: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        local_attention(np.ones(words), np.ones(regions))


def test_what_else_is_refused() -> None:
    words, regions = random(3, 4), random(5, 4)
    with pytest.raises(InputError, match=r"compat='gloira' is not known.*gloria"):
        local_attention(words, regions, "gloira")
    with pytest.raises(InputError, match=r"no logit to opt out with: give opt_out as a vector \(D,\)"):
        local_attention(words, regions, "gloria", opt_out=0.0)
    with pytest.raises(InputError, match=r"opt_out is a number or a vector \(4,\).*\(3,\) came"):
        local_attention(words, regions, opt_out=np.ones(3))
    with pytest.raises(InputError, match=r"padding must be \(\.\.\., 3\).*\(2,\) came"):
        local_attention(words, regions, padding=[False, True])
