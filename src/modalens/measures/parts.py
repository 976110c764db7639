"""Parts as players: all of them, the masks without some, and their numbers with the names that users know them by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from modalens.measures.base import by_output
from modalens.problem import PRESENT, Absent, Mask, OwnParts, Problem

Part = tuple[str, int]


def players(problem: Problem) -> list[Part]:
    """All parts of all modalities; of those that differ between samples as many as the longest has."""
    return [(name, part) for name in problem.modalities for part in range(int(problem.part_count[name].max()))]


def has(problem: Problem, everyone: Sequence[Part]) -> np.ndarray:
    """Which samples have which of these parts, (samples, parts)."""
    return np.stack([problem.part_count[name] > part for name, part in everyone], axis=1)


def without(problem: Problem, gone: Iterable[Part]) -> Mask:
    """The mask in which these parts are absent."""
    by_modality: dict[str, list[int]] = {}
    for name, part in sorted(gone):
        by_modality.setdefault(name, []).append(part)
    absent = ((name, _of_samples(problem, name, parts)) for name, parts in by_modality.items())
    return Mask(tuple(absent)) if by_modality else PRESENT


def _of_samples(problem: Problem, modality: str, parts: Sequence[int]) -> Absent:
    """Parts of a modality; each sample's own, where some lack some of them."""
    counts = problem.part_count[modality]
    if parts[-1] < counts.min():
        return tuple(parts)
    return OwnParts(tuple(tuple(part for part in parts if part < count) for count in counts.tolist()))


def subsets(problem: Problem, everyone: Sequence[Part]) -> list[Mask]:
    """The masks of all subsets of these parts; bit i of a mask's place says that part i is there."""
    places = range(len(everyone))
    return [without(problem, [everyone[i] for i in places if not code >> i & 1]) for code in range(1 << len(everyone))]


def path(problem: Problem, everyone: Sequence[Part], order: np.ndarray) -> list[Mask]:
    """The masks from everything to nothing, one part fewer at a time, in this order."""
    return [without(problem, [everyone[i] for i in order[:gone]]) for gone in range(len(everyone) + 1)]


def amounts(problem: Problem, everyone: Sequence[Part], values: np.ndarray) -> np.ndarray:
    """The absolute values of parts (part, samples, outputs), NaN where a sample lacks one, added up by modality."""
    whose = np.array([problem.modalities.index(name) for name, _ in everyone])
    return np.stack([np.nansum(np.abs(values[whose == place]), axis=0) for place in range(len(problem.modalities))])


def floor(problem: Problem) -> float:
    """A sum of absolute values of parts that rounding alone could make."""
    return problem.resolution * len(players(problem)) * len(problem.outputs)


def of_parts(problem: Problem, modality: str, numbers: np.ndarray) -> xr.DataArray:
    """Numbers of one modality's parts (part, samples, outputs) as (sample, part, output): the coordinate `part` names
    parts that samples share, `word` a sample's own.
    """
    shared = problem.shared_parts(modality)
    names = problem.part_names[modality]
    labels = names[0] if shared else range(len(numbers))
    found = by_output(problem, numbers, ("part", labels)).transpose("sample", "part", "output")
    return found if shared else found.assign_coords(word=(("sample", "part"), _words(names, len(numbers))))


def part_count(problem: Problem) -> xr.DataArray:
    """How many parts every sample has, (sample, modality)."""
    return xr.DataArray(
        np.stack([problem.part_count[name] for name in problem.modalities], axis=1),
        dims=("sample", "modality"),
        coords={"modality": list(problem.modalities)},
    )


def _words(names: Sequence[Sequence[str]], longest: int) -> np.ndarray:
    """The names of every sample's own parts, such as words: (sample, part), empty where a sample has fewer."""
    return np.array([[*own, *[""] * (longest - len(own))] for own in names], dtype=object).reshape(len(names), longest)
