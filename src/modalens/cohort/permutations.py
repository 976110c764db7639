"""Dealing subgroups out among patients anew, and what p-values that gives for many differences at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modalens.cohort.divisions import Division
from modalens.statistics import MIN_CLUSTERS

CHUNK = 2**17
"""Numbers in an array of draws that is worked on at a time: few enough to stay near the processor."""

EXCHANGED = (
    "Where samples of a patient are in several subgroups, they exchange them in the test, as if their order told nothing, "
    "and so do patients with as many samples"
)


def permuted(division: Division, cluster: np.ndarray, count: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """The subgroup of each sample, dealt out anew among patients, `count` times: arrays (draws, sample), a few at a time.

    Where all samples of a patient are in the same subgroup, the patient is dealt one. Else the samples of a patient exchange
    theirs, and patients with as many samples exchange those of all their samples. Samples in no subgroup stay there.
    """
    rows, own, place = _known(division, cluster)
    first = place[np.unique(own, return_index=True)[1]]
    alike = bool((first[own] == place).all())
    blocks = [] if alike else _blocks(own)
    for size in _chunk_sizes(count, len(division.place)):
        dealt = np.full((size, len(division.place)), -1, dtype=np.int16)
        if alike:
            dealt[:, rows] = random.permuted(np.tile(first, (size, 1)), axis=1)[:, own]
        for block in blocks:
            order = random.permuted(np.tile(np.arange(len(block)), (size, 1)), axis=1)
            dealt[:, rows[block]] = random.permuted(place[block][order], axis=2)
        yield dealt


def exchange_words(division: Division, cluster: np.ndarray) -> tuple[tuple[str, ...], bool]:
    """What a reader must know of how subgroups are dealt out, and whether enough patients can be dealt another one.

    Where samples of a patient are in different subgroups, a patient whose samples are all in one can exchange only with somebody
    who has as many samples, in other subgroups.
    """
    _, own, place = _known(division, cluster)
    blocks = _blocks(own)
    if all((place[block] == place[block][:, :1]).all() for block in blocks):
        return (), True
    patients, moved = int(own.max()) + 1, sum(_moved(np.sort(place[block], axis=1)) for block in blocks)
    if moved < MIN_CLUSTERS:
        few = f"only {moved} of {patients} patients can exchange subgroups, and a test needs {MIN_CLUSTERS}"
        return (
            f"{division.name}: no difference is tested: {few}. The others have nobody with as many samples to exchange with",
        ), False
    kept = f"{division.name}: {patients - moved} of {patients} patients have nobody with as many samples to exchange with, and keep their subgroup in the test"
    return (EXCHANGED, *([kept] if moved < patients else [])), True


def step_down(differences: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Westfall and Young's (1993) adjusted p-values: how often, by chance, the largest of all differences is as large.

    differences (test,); chance (draw, test), the same by chance; NaN is never large. Each test is first divided by the root mean
    square of all its differences, the observed one among them. The largest difference is held against the largest of all tests,
    the next against the largest of the others, and so on: (b + 1) / (B + 1), never below one before it.

    Example
    -------
    >>> step_down(np.array([3.0, 0.5]), np.array([[1.0, 0.5], [-1.0, 0.2], [0.5, -0.5]]))
    array([0.25, 0.75])
    """
    together = np.abs(np.concatenate([differences[None], chance]))
    squares, known = np.nansum(together**2, axis=0), (~np.isnan(together)).sum(axis=0)
    scale = np.sqrt(squares / np.maximum(known, 1))
    sizes = np.where(np.isnan(together), 0.0, together) / np.where(scale > 1e-12, scale, np.inf)
    order = np.argsort(-sizes[0], kind="stable")
    largest = np.maximum.accumulate(sizes[1:, order[::-1]], axis=1)[:, ::-1]
    # What differs by rounding only is as large.
    exceeded = (largest >= sizes[0, order] - 1e-9).sum(axis=0)
    adjusted = np.empty(len(differences))
    adjusted[order] = np.maximum.accumulate((exceeded + 1) / (len(chance) + 1))
    return adjusted


def chunks(weights: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of an array (draw, sample), a few at a time."""
    size = max(1, CHUNK // weights.shape[1])
    for start in range(0, len(weights), size):
        yield weights[start : start + size]


def _known(division: Division, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The samples that are in a subgroup, whose they are (numbered from 0), and in which."""
    rows = np.flatnonzero(division.place >= 0)
    own = np.asarray(np.unique(cluster[rows], return_inverse=True)[1]).reshape(-1)
    return rows, own, division.place[rows].astype(np.int16)


def _blocks(own: np.ndarray) -> list[np.ndarray]:
    """The rows of each patient, (patient, row), for each number of rows that patients have."""
    order, sizes = np.argsort(own, kind="stable"), np.bincount(own)
    starts = np.cumsum(sizes) - sizes
    return [order[starts[sizes == size][:, None] + np.arange(size)] for size in np.unique(sizes)]


def _moved(ordered: np.ndarray) -> int:
    """How many patients with as many samples, (patient, subgroup of each sample in order), can be dealt something else."""
    if (ordered != ordered[:1]).any():
        return len(ordered)
    return len(ordered) if (ordered[0] != ordered[0, 0]).any() else 0


def _chunk_sizes(count: int, samples: int) -> list[int]:
    size = max(1, CHUNK // samples)
    return [min(size, count - start) for start in range(0, count, size)]
