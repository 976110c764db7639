"""The modalities held as arrays on a grid: Image, Volume, Series, Vector."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy.ndimage import gaussian_filter

from modalens.errors import InputError, choice
from modalens.modalities.base import (
    Modality,
    Parts,
    close_container,
    most_frequent,
    open_container,
    require_dimensions,
    require_finite,
    scaled_distances,
)

MOST_CHANNELS = 4
"""An axis longer than this, first or last, is taken as space and not as channels."""


def grid(sizes: Sequence[int], blocks: Sequence[int]) -> tuple[np.ndarray, list[tuple[tuple[int, int], ...]]]:
    """Cut a grid into blocks (the last ones smaller where sizes don't divide): the block of each cell, and each
    block's [start, stop) by axis.
    """
    coordinates = [np.arange(size) // block for size, block in zip(sizes, blocks, strict=True)]
    counts = [int(coordinate[-1]) + 1 for coordinate in coordinates]
    where = np.ravel_multi_index(np.meshgrid(*coordinates, indexing="ij"), counts)
    edges = [
        tuple(
            (int(i) * block, min((int(i) + 1) * block, size))
            for i, block, size in zip(cell, blocks, sizes, strict=True)
        )
        for cell in np.ndindex(*counts)
    ]
    return where.astype(np.int32), edges


def blocks_for(parts: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """Block lengths that cut a grid into at most this many blocks, equally often along each axis."""
    along = max(1, math.floor(parts ** (1 / len(sizes)) + 1e-9))
    return tuple(math.ceil(size / min(along, size)) for size in sizes)


@dataclass(frozen=True, kw_only=True)
class ArrayModality(Modality):
    """A modality whose samples are arrays of one shape."""

    dimensions: ClassVar[tuple[int, ...]] = ()
    shape: ClassVar[str] = ""

    def resolve(self, name: str, samples: Any) -> Self:
        container, values = open_container(samples)
        require_dimensions(name, type(self).__name__, values, self.dimensions, self.shape)
        return replace(self, container=container)

    def canonical(self, name: str, samples: Any) -> np.ndarray:
        _, values = open_container(samples)
        require_dimensions(name, type(self).__name__, values, self.dimensions, self.shape)
        require_finite(name, values)
        return values

    def restore(self, samples: np.ndarray) -> Any:
        return close_container(self.container, samples)

    def distances(self, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return scaled_distances(samples, background)

    def _own(self, samples: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Values in the samples' type; whole numbers are rounded, not cut off."""
        return (np.rint(values) if samples.dtype.kind in "iub" else values).astype(samples.dtype)

    def mean(self, background: np.ndarray) -> np.ndarray:
        return self._own(background, background.mean(axis=0, keepdims=True, dtype=np.float64))

    def mode(self, background: np.ndarray) -> np.ndarray:
        return most_frequent(background)

    def constant(self, samples: np.ndarray, value: Any) -> np.ndarray:
        if np.ndim(value) and np.shape(value) != samples.shape[1:]:
            raise InputError(
                f"Constant of shape {np.shape(value)} for samples of shape {samples.shape[1:]}: give one number, or an array of the samples' shape."
            )
        return self._own(samples, np.broadcast_to(np.asarray(value), (1, *samples.shape[1:])))

    def sample_mean(self, samples: np.ndarray) -> np.ndarray:
        means = samples.mean(axis=self.spatial(samples), keepdims=True, dtype=np.float64)
        return np.broadcast_to(self._own(samples, means), samples.shape)

    def blur(self, samples: np.ndarray, sigma: float | None) -> np.ndarray:
        axes = self.spatial(samples)
        widths = [
            (sigma if sigma is not None else samples.shape[axis] / 8) if axis in axes else 0
            for axis in range(samples.ndim)
        ]
        return self._own(samples, gaussian_filter(samples.astype(np.float64), widths, mode="nearest"))

    def outside(self, fill: np.ndarray, background: np.ndarray) -> float:
        margin = 1e-6 * (float(background.max()) - float(background.min()))
        return float(((fill < background.min() - margin) | (fill > background.max() + margin)).mean())

    def spatial(self, samples: np.ndarray) -> tuple[int, ...]:
        """The axes along which neighbours are alike: those that are cut and blurred."""
        return tuple(range(1, samples.ndim))


@dataclass(frozen=True, kw_only=True)
class GridModality(ArrayModality):
    """An array with spatial axes and perhaps a channel axis, cut into blocks."""

    channels: Literal["first", "last"] | None = None
    axes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels is not None:
            choice("channels", self.channels, ("first", "last"))

    def spatial(self, samples: np.ndarray) -> tuple[int, ...]:
        if samples.ndim == len(self.axes) + 1:
            return tuple(range(1, samples.ndim))
        return tuple(range(1, samples.ndim - 1)) if self._channels_last(samples) else tuple(range(2, samples.ndim))

    def _channels_last(self, samples: np.ndarray) -> bool:
        if self.channels is not None:
            return self.channels == "last"
        return samples.shape[-1] <= MOST_CHANNELS < samples.shape[1]

    @abstractmethod
    def block_sizes(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """The side of a block along each spatial axis, for axes of these sizes."""

    def cut(self, samples: np.ndarray) -> Parts:
        spatial = self.spatial(samples)
        sizes = [samples.shape[axis] for axis in spatial]
        where, edges = grid(sizes, blocks_for(self.parts, sizes) if self.parts else self.block_sizes(sizes))
        names = tuple(
            ", ".join(f"{axis} {start}-{stop - 1}" for axis, (start, stop) in zip(self.axes, edge, strict=True))
            for edge in edges
        )
        return Parts(names=(names,), where=self._spread(where[None], samples))

    def _spread(self, where: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Part indices over the spatial axes, with an axis of 1 where the channels are."""
        spatial = self.spatial(samples)
        return np.expand_dims(where, [axis for axis in range(1, samples.ndim) if axis not in spatial])

    def _block(self, block: int | Sequence[int] | None, sizes: Sequence[int], default: int) -> tuple[int, ...]:
        if block is None:
            return tuple(math.ceil(size / min(default, size)) for size in sizes)
        lengths = tuple(block) if isinstance(block, Sequence) else (block,) * len(sizes)
        if len(lengths) != len(sizes) or any(not isinstance(length, int) or length < 1 for length in lengths):
            raise InputError(
                f"{type(self).__name__}: blocks of {block!r} for {len(sizes)} spatial axes of sizes {tuple(sizes)}; give one length, or one for each axis, at least 1."
            )
        return lengths


@dataclass(frozen=True, kw_only=True)
class Image(GridModality):
    """An image: (samples, height, width), or with channels first or last; cut into patches or along a segment map.

    `patch` is a side in pixels or (height, width); without it the image is cut into at most 8 by 8 patches.
    `segments` is an integer map (height, width), or (samples, height, width) where segments differ, whose values from
    0 on number the parts; then parts need not be rectangles.
    """

    patch: int | tuple[int, int] | None = None
    segments: Any = None
    axes: ClassVar[tuple[str, ...]] = ("rows", "columns")
    dimensions: ClassVar[tuple[int, ...]] = (3, 4)
    shape: ClassVar[str] = "(samples, height, width), (samples, channels, height, width) or channels last"

    @property
    def noun(self) -> str:
        return "patch" if self.segments is None else "segment"

    def block_sizes(self, sizes: Sequence[int]) -> tuple[int, ...]:
        return self._block(self.patch, sizes, default=8)

    def cut(self, samples: np.ndarray) -> Parts:
        if self.segments is None or self.parts == 1:
            return super().cut(samples)
        where = self._segments(samples)
        names = tuple(tuple(f"segment {label}" for label in range(int(labels.max()) + 1)) for labels in where)
        return Parts(names=names, where=self._spread(where.astype(np.int32), samples))

    def _segments(self, samples: np.ndarray) -> np.ndarray:
        sizes = tuple(samples.shape[axis] for axis in self.spatial(samples))
        where = np.asarray(self.segments)
        where = where[None] if where.ndim == 2 else where
        if where.dtype.kind not in "iu" or where.shape[1:] != sizes or len(where) not in (1, len(samples)):
            raise InputError(
                f"Image(segments=...): expected whole numbers of shape {sizes} or {(len(samples), *sizes)}, came {where.dtype} of shape {np.shape(self.segments)}; "
                "give one segment a pixel, after any resize or crop."
            )
        for row, labels in enumerate(where):
            found = np.unique(labels)
            if found[0] < 0 or found[-1] != len(found) - 1:
                raise InputError(
                    f"Image(segments=...): the segments of sample {row} are numbered {found[:8].tolist()}...; every pixel must belong to exactly one segment, numbered 0, 1, 2, ... "
                    "(np.unique(segments, return_inverse=True)[1] renumbers them)."
                )
        return where


@dataclass(frozen=True, kw_only=True)
class Volume(GridModality):
    """A volume: (samples, depth, height, width), or with channels first or last; cut into blocks.

    `block` is a side in voxels or (depth, height, width); without it the volume is cut into 2 by 2 by 2 blocks.
    """

    block: int | tuple[int, int, int] | None = None
    axes: ClassVar[tuple[str, ...]] = ("slices", "rows", "columns")
    dimensions: ClassVar[tuple[int, ...]] = (4, 5)
    shape: ClassVar[str] = "(samples, depth, height, width), with channels first or last"

    @property
    def noun(self) -> str:
        return "block"

    def block_sizes(self, sizes: Sequence[int]) -> tuple[int, ...]:
        return self._block(self.block, sizes, default=2)


@dataclass(frozen=True, kw_only=True)
class Series(ArrayModality):
    """Measurements over time: (samples, time) or (samples, time, channels); cut into windows of time, or by channel.

    `window` is a number of time steps; without it the series is cut into at most 8 windows. `names` are the channels'
    names.
    """

    by: Literal["window", "channel"] = "window"
    window: int | None = None
    names: tuple[str, ...] | None = None
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    shape: ClassVar[str] = "(samples, time) or (samples, time, channels)"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("by", self.by, ("window", "channel"))
        if self.window is not None and (not isinstance(self.window, int) or self.window < 1):
            raise InputError(f"Series(window={self.window}): give a number of time steps, at least 1.")

    @property
    def noun(self) -> str:
        return self.by

    def spatial(self, samples: np.ndarray) -> tuple[int, ...]:
        return (1,)

    def outside(self, fill: np.ndarray, background: np.ndarray) -> float:
        return (
            columns_outside(fill.reshape(-1, fill.shape[-1]), background.reshape(-1, background.shape[-1]))
            if background.ndim == 3
            else super().outside(fill, background)
        )

    def cut(self, samples: np.ndarray) -> Parts:
        channels = samples.shape[2] if samples.ndim == 3 else 1
        if self.by == "channel" and self.parts != 1:
            known = self.names or tuple(f"channel {channel}" for channel in range(channels))
            if len(known) != channels:
                raise InputError(
                    f"Series(names={self.names!r}): {len(known)} names for {channels} channels; give one name a channel."
                )
            where, edges = grid([channels], blocks_for(self.parts, [channels]) if self.parts else [1])
            names = tuple(", ".join(known[start:stop]) for ((start, stop),) in edges)
            return Parts(
                names=(names,), where=where[None, None, :] if samples.ndim == 3 else np.zeros((1, 1), np.int32)
            )
        steps = samples.shape[1]
        block = blocks_for(self.parts, [steps]) if self.parts else [self.window or math.ceil(steps / min(8, steps))]
        where, edges = grid([steps], block)
        names = tuple(f"steps {start}-{stop - 1}" for ((start, stop),) in edges)
        return Parts(names=(names,), where=where[None, :, None] if samples.ndim == 3 else where[None, :])


@dataclass(frozen=True, kw_only=True)
class Vector(ArrayModality):
    """Numbers without names of their own, such as an embedding: (samples, entries); one part, or `parts` runs of
    neighbouring entries.
    """

    dimensions: ClassVar[tuple[int, ...]] = (2,)
    shape: ClassVar[str] = "(samples, entries)"

    def outside(self, fill: np.ndarray, background: np.ndarray) -> float:
        return columns_outside(fill, background)

    def cut(self, samples: np.ndarray) -> Parts:
        entries = samples.shape[1]
        where, edges = grid([entries], blocks_for(self.parts or 1, [entries]))
        return Parts(names=(tuple(f"entries {start}-{stop - 1}" for ((start, stop),) in edges),), where=where[None])


def columns_outside(fill: np.ndarray, background: np.ndarray) -> float:
    """The share of values outside their own column's range."""
    fill, background = fill.astype(np.float64), background.astype(np.float64)
    low, high = background.min(axis=0), background.max(axis=0)
    margin = 1e-6 * (high - low)
    return float(((fill < low - margin) | (fill > high + margin)).mean())
