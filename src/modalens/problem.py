"""The words that measures and evaluation share: masks, needs, the problem that is measured, and the table of values.

A measure sees a `Problem`, asks for `Outputs`, and reads `Values`. It never sees a model or a patient's data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
import xarray as xr

from modalens.errors import InputError, listed

Task = Literal["classification", "multilabel", "regression", "survival"]
Draws = Literal["coalition", "part"]

MEAN_BUDGET = 16 * 2**20
"""Bytes of values that are averaged at a time."""

EXACT_LIMIT = 12
"""Most modalities for which all 2^M coalitions are evaluated."""


@dataclass(frozen=True)
class OwnParts:
    """The absent parts of every sample, where each loses its own: those of sample k in place k, none for some."""

    of: tuple[tuple[int, ...], ...]


Absent = tuple[int, ...] | OwnParts | None
"""Indices of the absent parts of a modality, the same in every sample or its own; `None` for all of them."""


@dataclass(frozen=True)
class Mask:
    """What is absent in one evaluation: pairs of a modality and its absent parts."""

    absent: tuple[tuple[str, Absent], ...] = ()

    @classmethod
    def without(cls, *modalities: str) -> Mask:
        """The mask in which these modalities are absent as a whole; without arguments, everything is present."""
        return cls(tuple((name, None) for name in sorted(modalities)))

    @classmethod
    def part(cls, modality: str, part: int) -> Mask:
        """The mask in which one part of one modality is absent."""
        return cls(((modality, (part,)),))

    def __str__(self) -> str:
        def text(name: str, parts: Absent) -> str:
            if isinstance(parts, OwnParts):
                return f"{name}[each sample's own]"
            return name if parts is None else f"{name}[{', '.join(map(str, parts))}]"

        return "without " + " and ".join(text(*pair) for pair in self.absent) if self.absent else "everything present"


PRESENT = Mask()
"""Nothing is absent."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """A need: the model's outputs under these masks, what is absent replaced by one of the problem's baselines.

    `draws` says how many background rows stand in, where the baseline takes rows: as for coalitions, or the fewer as
    for parts.
    """

    masks: tuple[Mask, ...]
    baseline: str
    draws: Draws = "coalition"


@dataclass(frozen=True, kw_only=True)
class Gradients:
    """A need: the outputs' gradients at the fusion point, on straight lines that lead to each sample from what the
    baseline says there.

    `start` is where a line begins: at each of `draws` background rows (all that stand in for coalitions, unless
    given), or at their mean; a baseline that fills by one value has one start. `positions` are the points on the
    line, 0 the start and 1 the sample.
    """

    baseline: str
    space: str
    positions: tuple[float, ...]
    start: Literal["rows", "mean"] = "rows"
    draws: int | None = None


Need = Outputs | Gradients


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """What gradients on lines come to, in the problem's space.

    `along` is sum_j g_j (h_j - b_j) over the features j of a modality, (draw, position, sample, modality, output);
    `size` is sum_j |g_j| at the sample itself, (sample, modality, output). `outputs` are the outputs at the samples,
    (sample, output), `starts` those at the starts, (draw, sample, output).
    """

    along: np.ndarray
    size: np.ndarray
    outputs: np.ndarray
    starts: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Features:
    """What crosses the fusion point, each (modality,): `width` the number of features, `spread` the root of their mean
    variance over samples, `participation` the number of directions that they really use, (sum of eigenvalues)^2 / sum
    of their squares. `note` says where gradients are taken if that is not the fusion point.
    """

    width: np.ndarray
    spread: np.ndarray
    participation: np.ndarray
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """All that a measure may know of what it measures.

    `target` is the output that counts for each sample, shape (samples,), or None where every output is scored by
    itself; `predicted` says that the target is the class predicted on the whole input. `space` is the output space
    asked for, `spaces` all that are kept. The first of the baselines is the one reported, the others tell whether it
    matters.
    """

    modalities: tuple[str, ...]
    samples: int
    outputs: tuple[str, ...]
    task: Task
    space: str
    spaces: tuple[str, ...]
    part_count: Mapping[str, np.ndarray]
    part_names: Mapping[str, tuple[tuple[str, ...], ...]]
    coalition_baselines: tuple[str, ...]
    part_baselines: tuple[str, ...]
    target: np.ndarray | None
    predicted: bool
    labels: np.ndarray | None = None
    groups: np.ndarray | None = None
    seed: int = 0
    confidence: float | None = 0.95
    available: np.ndarray | None = None
    """Which samples have which modality, (samples, modalities); None where all have all."""
    resolution: float = 0.0

    @property
    def sample_index(self) -> np.ndarray:
        return np.arange(self.samples)

    def shared_parts(self, modality: str) -> bool:
        """Whether part l is the same part in every sample (a column, a patch), unlike the words of reports."""
        return len(self.part_names[modality]) == 1

    @cached_property
    def coalitions(self) -> tuple[tuple[str, ...], ...]:
        """All subsets of the modalities; the position of a subset, read in binary, says who is in it (bit i is
        modality i).
        """
        players = range(len(self.modalities))
        return tuple(
            tuple(self.modalities[i] for i in players if code >> i & 1) for code in range(1 << len(self.modalities))
        )

    @cached_property
    def coalition_masks(self) -> tuple[Mask, ...]:
        """The mask of each of `coalitions`: the modalities outside it are absent."""
        return tuple(Mask.without(*(set(self.modalities) - set(inside))) for inside in self.coalitions)

    @cached_property
    def sets(self) -> tuple[tuple[tuple[str, ...], np.ndarray], ...]:
        """The sets of modalities that samples have, largest first, and which samples have just these."""
        if self.available is None:
            return ((self.modalities, np.ones(self.samples, dtype=bool)),)
        kinds = np.unique(self.available, axis=0)
        kinds = kinds[np.argsort(-kinds.sum(axis=1), kind="stable")]
        names = np.array(self.modalities, dtype=object)
        return tuple((tuple(names[kind]), np.asarray((self.available == kind).all(axis=1))) for kind in kinds)

    def effective(self, mask: Mask) -> Iterator[tuple[Mask, np.ndarray]]:
        """What a mask of whole modalities comes to for the samples that lack some of them: nothing can be taken from
        them that they have not, so they are players of the smaller game.
        """
        gone = {name for name, parts in mask.absent if parts is None}
        for names, members in self.sets:
            if gone and not gone <= set(names) and len(gone) == len(mask.absent):
                yield Mask.without(*(gone & set(names))), members

    def require_exact(self, measure: str) -> None:
        """Refuse a game with one player, or with more than can be enumerated."""
        self.require_several(measure)
        players = len(self.modalities)
        if players > EXACT_LIMIT:
            raise InputError(
                f"{measure} evaluates all 2^M coalitions exactly, for at most {EXACT_LIMIT} modalities; {players} were given ({2**players:,} coalitions). "
                "Join modalities that belong together (Tabular groups become parts), or use Occlusion, which grows linearly."
            )

    def require_several(self, measure: str) -> None:
        """Refuse a single modality, which nothing can be compared or combined with."""
        if len(self.modalities) < 2:
            raise InputError(
                f"{measure} needs at least two modalities, and {listed(self.modalities)} is one: use Occlusion for the parts of a single modality."
            )

    def require_complete(self, measure: str) -> None:
        """Refuse samples that differ in the modalities that they have."""
        if self.available is not None:
            raise InputError(
                f"{measure} needs every modality of every patient, and some lack some: leave these patients out, or use Shapley or Occlusion, which know of players that are missing."
            )

    def of_target(self, scores: xr.DataArray) -> xr.DataArray:
        """The scores of each sample's target output; all outputs where each is scored by itself."""
        if self.target is None:
            return scores
        chosen = scores.isel(
            sample=xr.DataArray(self.sample_index, dims="sample"), output=xr.DataArray(self.target, dims="sample")
        )
        return chosen.drop_vars("output", errors="ignore")

    def subsets(self, order: int) -> tuple[tuple[str, ...], ...]:
        """All sets of one to `order` modalities, small ones first."""
        return tuple(names for size in range(1, order + 1) for names in combinations(self.modalities, size))


Key = tuple[tuple[str, Absent, str], ...]


@dataclass(frozen=True, kw_only=True)
class Values:
    """The model's outputs under masks: float64, by space, with axes (mask, block, sample, output).

    A block is a run of background rows whose outputs were averaged; blocks are kept apart so that the Monte-Carlo
    error of drawing them can be had. `key` turns (mask, baseline, draws) into the identity under which an evaluation
    is stored, so that one that two measures ask for stands here once.
    """

    table: Mapping[object, Mapping[str, np.ndarray]]
    sizes: Mapping[object, np.ndarray]
    key: Callable[[Mask, str, Draws], object]
    problem: Problem
    lines: Mapping[Gradients, Slopes] = field(default_factory=dict)
    features: Features | None = None
    left_out: tuple[int, int] | None = field(default=None)

    def without_block(self, block: int, of: int) -> Values:
        """The same values with the rows of one block, out of `of` equal ones, left out: what the jackknife needs."""
        return replace(self, left_out=(block, of))

    def slopes(self, need: Gradients) -> Slopes:
        """The gradients of a need; those of left-out background rows are left out."""
        found = self.lines[need]
        if self.left_out is None or len(found.along) < 2:
            return found
        kept = self._kept(np.ones(len(found.along))) > 0
        return replace(found, along=found.along[kept], starts=found.starts[kept])

    @property
    def blocks(self) -> int:
        """The largest number of background blocks kept apart for any mask."""
        return max((len(size) for size in self.sizes.values()), default=1)

    def blocks_in(self, needs: Iterable[Need]) -> int:
        """The largest number of background blocks kept apart for any mask or line of these needs."""
        needs = list(needs)
        masks = [
            len(self._sizes(mask, need.baseline, need.draws))
            for need in needs
            if isinstance(need, Outputs)
            for mask in need.masks
        ]
        lines = [len(self.lines[need].along) for need in needs if isinstance(need, Gradients)]
        return max([*masks, *lines], default=1)

    def blocks_of(
        self, masks: Sequence[Mask], baseline: str, *, space: str | None = None, single: bool = False
    ) -> np.ndarray | None:
        """Values with the blocks apart, shape (masks, blocks, samples, outputs), less those left out; with `single`,
        None unless every block is a single row.
        """
        known = self._with_smaller(masks)
        rows = {mask: self._blocks(mask, baseline, "coalition", space) for mask in known}
        sizes = [self._sizes(mask, baseline, "coalition") for mask in known]
        deepest = max(sizes, key=len)
        if single and any(size.max() > 1 or len(size) not in (1, len(deepest)) for size in sizes):
            return None
        shape = (len(deepest), self.problem.samples, len(self.problem.outputs))
        whole = np.stack([np.broadcast_to(rows[mask], shape) for mask in masks])
        for place, smaller, members in self._of_smaller(masks):
            whole[place][:, members] = np.broadcast_to(rows[smaller], shape)[:, members]
        return whole[:, self._kept(deepest) > 0]

    def mean(
        self, masks: Sequence[Mask], baseline: str, *, space: str | None = None, draws: Draws = "coalition"
    ) -> np.ndarray:
        """v(mask): the mean output over background rows, shape (masks, samples, outputs); NaN where a sample has no
        such part.
        """
        known = self._with_smaller(masks)
        rows = [self._blocks(mask, baseline, draws, space) for mask in known]
        sizes = [self._kept(self._sizes(mask, baseline, draws)) for mask in known]
        means = np.empty((len(known), self.problem.samples, len(self.problem.outputs)))
        for alike in _runs([len(blocks) for blocks in rows], max(1, MEAN_BUDGET // (8 * max(map(np.size, rows))))):
            means[alike] = self._means(rows[alike], np.stack(sizes[alike]))
        found = means[: len(masks)]
        place_of = {mask: place for place, mask in enumerate(known)}
        for place, smaller, members in self._of_smaller(masks):
            found[place, members] = means[place_of[smaller], members]
        return found

    def _with_smaller(self, masks: Sequence[Mask]) -> list[Mask]:
        """The masks, and behind them those that they come to for samples that lack some of what is absent."""
        asked = set(masks)
        smaller = dict.fromkeys(smaller for _, smaller, _ in self._of_smaller(masks))
        return [*masks, *(mask for mask in smaller if mask not in asked)]

    def _of_smaller(self, masks: Sequence[Mask]) -> list[tuple[int, Mask, np.ndarray]]:
        """The place of a mask, what it comes to for samples that lack some of what is absent, and which these are."""
        if self.problem.available is None:
            return []
        return [(place, *one) for place, mask in enumerate(masks) for one in self.problem.effective(mask)]

    def _blocks(self, mask: Mask, baseline: str, draws: Draws, space: str | None) -> np.ndarray:
        """The values of a mask, block by block; NaN where there was nobody to evaluate."""
        found = self.table.get(self.key(mask, baseline, draws), {}).get(space or self.problem.space)
        if found is not None:
            return found
        return np.full((1, self.problem.samples, len(self.problem.outputs)), np.nan)

    def _sizes(self, mask: Mask, baseline: str, draws: Draws) -> np.ndarray:
        return self.sizes.get(self.key(mask, baseline, draws), np.ones(1, dtype=np.int64))

    def _means(self, rows: Sequence[np.ndarray], sizes: np.ndarray) -> np.ndarray:
        """The means over blocks of several masks, each (blocks, samples, outputs)."""
        shape = (len(rows[0]), self.problem.samples, rows[0].shape[-1])
        blocks = np.stack([np.broadcast_to(one, shape) for one in rows])
        # Averaged as differences from one of them, added one after another: equal rows give equal means to the bit, so that what a model ignores is exactly 0.
        first, shares = blocks[:, 0], sizes / sizes.sum(axis=1, keepdims=True)
        total = np.zeros_like(first)
        for block in range(1, shape[0]):
            total += shares[:, block, None, None] * (blocks[:, block] - first)
        return np.asarray(first + total)

    def _kept(self, sizes: np.ndarray) -> np.ndarray:
        """The rows of each block, 0 for those left out."""
        kept = sizes.astype(float)
        if self.left_out is not None and len(sizes) > 1:
            block, of = self.left_out
            edges = np.linspace(0, len(sizes), min(of, len(sizes)) + 1).astype(int)
            if block < len(edges) - 1:
                kept[edges[block] : edges[block + 1]] = 0
        return kept


def _runs(lengths: Sequence[int], most: int) -> Iterator[slice]:
    """Slices over neighbours of equal length, of at most so many."""
    start = 0
    for stop in range(1, len(lengths) + 1):
        if stop == len(lengths) or lengths[stop] != lengths[start] or stop - start == most:
            yield slice(start, stop)
            start = stop
