"""Images, volumes, series and vectors: cut without gaps or overlaps, replaced exactly, given back as they came."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modalens import Image, InputError, Series, Vector, Volume
from modalens.modalities import Modality, Parts

SIDES = st.integers(1, 9)


def cut(kind: Modality, samples: Any) -> tuple[Modality, np.ndarray, Parts]:
    resolved = kind.resolve("scan", samples)
    canonical = resolved.canonical("scan", samples)
    return resolved, canonical, resolved.cut(canonical)


def boxes(parts: Parts) -> list[tuple[slice, ...]]:
    """The blocks that the parts' names speak of, such as `rows 0-3, columns 4-7`."""
    return [
        tuple(slice(int(first), int(last) + 1) for first, last in re.findall(r"(\d+)-(\d+)", name))
        for name in parts.names[0]
    ]


def assert_tiles(parts: Parts, sizes: tuple[int, ...]) -> None:
    """Every cell belongs to exactly the one part whose name speaks of it."""
    where = parts.where[0].reshape(sizes)
    times = np.zeros(sizes, dtype=int)
    for part, box in enumerate(boxes(parts)):
        times[box] += 1
        assert (where[box] == part).all()
    assert (times == 1).all()


@given(
    sizes=st.tuples(SIDES, SIDES),
    patch=st.one_of(st.none(), st.integers(1, 11), st.tuples(st.integers(1, 11), st.integers(1, 11))),
)
def test_patches_tile_the_image(sizes: tuple[int, int], patch: Any) -> None:
    _, _, parts = cut(Image(patch=patch), np.zeros((2, *sizes)))
    assert_tiles(parts, sizes)
    lengths = (patch, patch) if isinstance(patch, int) else patch or tuple(-(-size // min(8, size)) for size in sizes)
    assert len(parts.names[0]) == np.prod([-(-size // length) for size, length in zip(sizes, lengths, strict=True)])


@given(
    sizes=st.tuples(SIDES, SIDES, SIDES),
    block=st.one_of(st.none(), st.integers(1, 10), st.tuples(*[st.integers(1, 10)] * 3)),
)
def test_blocks_tile_the_volume(sizes: tuple[int, int, int], block: Any) -> None:
    _, _, parts = cut(Volume(block=block), np.zeros((1, *sizes)))
    assert_tiles(parts, sizes)


@given(sizes=st.tuples(SIDES, SIDES), wanted=st.integers(1, 90))
def test_parts_are_at_most_as_many_as_asked_for(sizes: tuple[int, int], wanted: int) -> None:
    _, _, parts = cut(Image(parts=wanted, patch=1), np.zeros((1, *sizes)))
    assert_tiles(parts, sizes)
    assert 1 <= len(parts.names[0]) <= wanted
    if wanted == 1:
        assert len(parts.names[0]) == 1


@given(
    steps=st.integers(1, 30),
    window=st.one_of(st.none(), st.integers(1, 31)),
    wanted=st.one_of(st.none(), st.integers(1, 31)),
    channels=st.one_of(st.none(), st.integers(1, 3)),
)
def test_windows_tile_time(steps: int, window: int | None, wanted: int | None, channels: int | None) -> None:
    _, _, parts = cut(
        Series(window=window, parts=wanted), np.zeros((1, steps) if channels is None else (1, steps, channels))
    )
    assert_tiles(parts, (steps,))
    assert len(parts.names[0]) <= (wanted or 31)


@given(entries=st.integers(1, 30), wanted=st.one_of(st.none(), st.integers(1, 31)))
def test_runs_tile_a_vector(entries: int, wanted: int | None) -> None:
    _, _, parts = cut(Vector(parts=wanted), np.zeros((1, entries)))
    assert_tiles(parts, (entries,))
    assert len(parts.names[0]) <= (wanted or 1)


def test_edges_that_do_not_divide() -> None:
    _, _, parts = cut(Image(patch=4), np.zeros((1, 10, 9)))
    assert parts.names[0][0] == "rows 0-3, columns 0-3"
    assert parts.names[0][-1] == "rows 8-9, columns 8-8"
    assert np.bincount(parts.where.ravel()).tolist() == [16, 16, 4, 16, 16, 4, 8, 8, 2]


@pytest.mark.parametrize(
    ("shape", "channels", "cells"),
    [
        ((2, 6, 4), None, (6, 4)),
        ((2, 3, 6, 4), None, (6, 4)),
        ((2, 6, 8, 3), None, (6, 8)),
        ((2, 6, 8, 5), "last", (6, 8)),
        ((2, 3, 6, 3), "first", (6, 3)),
    ],
    ids=["none", "first", "last", "last by name", "first by name"],
)
def test_a_patch_covers_all_channels(shape: tuple[int, ...], channels: Any, cells: tuple[int, int]) -> None:
    samples = np.arange(np.prod(shape), dtype=float).reshape(shape)
    kind, canonical, parts = cut(Image(patch=2, channels=channels), samples)
    assert_tiles(parts, cells)
    changed = kind.replace(canonical, np.full_like(canonical, -1.0), parts, [0]) == -1
    corner = {"first": np.s_[:, :, :2, :2], "last": np.s_[:, :2, :2, :], "none": np.s_[:, :2, :2]}[
        "none" if len(shape) == 3 else channels or ("last" if shape[-1] == 3 else "first")
    ]
    assert changed[corner].all()
    assert changed.sum() == changed[corner].size


def test_a_volume_with_channels() -> None:
    _, _, parts = cut(Volume(block=(2, 3, 3)), np.zeros((1, 1, 4, 6, 6)))
    assert_tiles(parts, (4, 6, 6))
    assert parts.where.shape == (1, 1, 4, 6, 6)


def test_replace_changes_the_absent_parts_and_nothing_else() -> None:
    samples = np.random.default_rng(0).normal(size=(3, 2, 6, 6))
    before = samples.copy()
    kind, canonical, parts = cut(Image(patch=3), samples)
    others = np.random.default_rng(1).normal(size=samples.shape)
    masked = kind.replace(canonical, others, parts, [1, 2])
    np.testing.assert_array_equal(masked[:, :, :3, 3:], others[:, :, :3, 3:])
    np.testing.assert_array_equal(masked[:, :, 3:, :3], others[:, :, 3:, :3])
    np.testing.assert_array_equal(masked[:, :, :3, :3], before[:, :, :3, :3])
    np.testing.assert_array_equal(masked[:, :, 3:, 3:], before[:, :, 3:, 3:])
    np.testing.assert_array_equal(samples, before)


def test_segments_shared_by_all_samples() -> None:
    segments = np.array([[0, 0, 1], [2, 1, 1]])
    kind, canonical, parts = cut(Image(segments=segments), np.arange(12.0).reshape(2, 2, 3))
    assert parts.names == (("segment 0", "segment 1", "segment 2"),)
    masked = kind.replace(canonical, np.full_like(canonical, -1), parts, [1])
    np.testing.assert_array_equal(masked == -1, np.broadcast_to(segments == 1, (2, 2, 3)))


def test_segments_that_differ_between_samples() -> None:
    segments = np.array([[[0, 0], [1, 2]], [[0, 1], [1, 1]]])
    kind, canonical, parts = cut(Image(segments=segments), np.arange(8.0).reshape(2, 2, 2))
    assert parts.count(2).tolist() == [3, 2]
    masked = kind.replace(canonical, np.full_like(canonical, -1), parts, [1])
    np.testing.assert_array_equal(masked == -1, segments == 1)
    swapped = parts.take(np.array([1, 0]))
    assert swapped.count(2).tolist() == [2, 3]
    np.testing.assert_array_equal(swapped.where, parts.where[::-1])


def test_segments_cover_all_channels() -> None:
    kind, canonical, parts = cut(Image(segments=np.array([[0, 1], [1, 1]])), np.zeros((2, 3, 2, 2)))
    masked = kind.replace(canonical, np.ones_like(canonical), parts, [0])
    assert masked.sum(axis=(1, 2, 3)).tolist() == [3, 3]
    assert (masked[:, :, 0, 0] == 1).all()


def test_segments_as_one_part_are_the_whole_image() -> None:
    _, _, parts = cut(Image(segments=np.array([[0, 1], [1, 1]])).cut_into(1), np.zeros((2, 2, 2)))
    assert len(parts.names[0]) == 1
    assert (parts.where == 0).all()


def test_series_by_channel() -> None:
    samples = np.arange(24.0).reshape(2, 4, 3)
    kind, canonical, parts = cut(Series(by="channel", names=("heart rate", "pressure", "lactate")), samples)
    assert parts.names[0] == ("heart rate", "pressure", "lactate")
    masked = kind.replace(canonical, np.full_like(canonical, -1), parts, [2])
    np.testing.assert_array_equal(masked[..., 2], -1)
    np.testing.assert_array_equal(masked[..., :2], samples[..., :2])
    assert cut(Series(by="channel"), np.zeros((1, 5)))[2].names[0] == ("channel 0",)
    assert cut(Series(by="channel", parts=2), np.zeros((1, 5, 3)))[2].names[0] == ("channel 0, channel 1", "channel 2")


def test_series_by_window() -> None:
    _, _, parts = cut(Series(window=3), np.zeros((2, 7, 2)))
    assert parts.names[0] == ("steps 0-2", "steps 3-5", "steps 6-6")
    np.testing.assert_array_equal(parts.where[0, :, 0], [0, 0, 0, 1, 1, 1, 2])


CONTAINERS = {
    "float64": np.random.default_rng(0).normal(size=(3, 4, 4)),
    "float32": np.random.default_rng(0).normal(size=(3, 4, 4)).astype(np.float32),
    "uint8": np.random.default_rng(0).integers(0, 255, (3, 4, 4)).astype(np.uint8),
    "tensor": torch.randn(3, 4, 4),
    "double tensor": torch.randn(3, 4, 4).double(),
    "bfloat16 tensor": torch.randn(3, 4, 4).to(torch.bfloat16),
    "half tensor": torch.randn(3, 4, 4).half(),
    "integer tensor": torch.arange(48).reshape(3, 4, 4),
}


@pytest.mark.parametrize("samples", CONTAINERS.values(), ids=CONTAINERS)
def test_given_back_as_it_came(samples: Any) -> None:
    kind, canonical, _ = cut(Image(), samples)
    back = kind.restore(canonical)
    assert type(back) is type(samples)
    assert back.dtype == samples.dtype
    assert bool((back == samples).all())


def test_the_model_never_gets_the_users_own_memory() -> None:
    samples = torch.zeros(2, 4, 4)
    kind, canonical, _ = cut(Image(), samples)
    kind.restore(kind.take(canonical, np.array([0, 1]))).add_(1)
    assert (samples == 0).all()


def test_take_and_stack_are_inverse() -> None:
    kind, canonical, _ = cut(Volume(), np.random.default_rng(0).normal(size=(5, 2, 3, 4)))
    pieces = [
        kind.take(canonical, np.array([0, 1])),
        kind.take(canonical, np.array([2])),
        kind.take(canonical, np.array([3, 4])),
    ]
    np.testing.assert_array_equal(kind.stack(pieces), canonical)


def test_equal_data_has_an_equal_fingerprint() -> None:
    samples = np.random.default_rng(0).normal(size=(3, 4, 4))
    kind, canonical, _ = cut(Image(), samples)
    changed = samples.copy()
    changed[2, 3, 3] += 1e-9
    assert kind.digest(canonical) == kind.digest(samples.copy())
    assert kind.digest(canonical) != kind.digest(changed)
    assert kind.digest(canonical) != kind.digest(samples.astype(np.float32))


def test_distances_are_1_between_random_rows_and_0_to_oneself() -> None:
    rows = np.random.default_rng(0).normal(3.0, 7.0, size=(200, 4, 4))
    kind, canonical, _ = cut(Image(), rows)
    found = kind.distances(canonical, canonical)
    assert found[~np.eye(200, dtype=bool)].mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(np.diag(found), 0, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "samples", "says"),
    [
        (Image(), np.zeros((2, 3, 32, 32)), "Image 3x32x32, 64 patches"),
        (Image(segments=np.array([[[0, 1]], [[0, 0]]])), np.zeros((2, 1, 2)), "Image 1x2, 1 to 2 segments"),
        (Volume(), np.zeros((2, 4, 4, 4)), "Volume 4x4x4, 8 blocks"),
        (Series(), np.zeros((2, 24, 3)), "Series 24x3, 8 windows"),
        (Vector(), np.zeros((2, 384)), "Vector 384, 1 part"),
    ],
)
def test_described_in_one_line(kind: Modality, samples: np.ndarray, says: str) -> None:
    resolved, canonical, parts = cut(kind, samples)
    assert resolved.describe(canonical, parts) == says


def test_a_table_is_refused_as_an_image() -> None:
    with pytest.raises(InputError, match=r"'scan'.*Image expects"):
        Image().resolve("scan", pd.DataFrame(np.zeros((3, 4))))
