"""Numbers of single parts, with the names that users know them by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modalens.measures.base import by_output
from modalens.problem import Problem


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
