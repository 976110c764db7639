"""Where problems with a known answer begin: latents in groups, one group a modality; Gaussian ones have conditional
distributions that are known in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

Latents = tuple[np.ndarray, ...]
"""(samples, width) by group."""


class Source(Protocol):
    """What latents are drawn from: groups of these widths, and what they become where only some groups are known."""

    @property
    def widths(self) -> tuple[int, ...]: ...

    def draw(self, samples: int, generator: np.random.Generator) -> Latents: ...


def mixed(latents: Latents, known: Sequence[int], others: Latents) -> Latents:
    """The known groups as they are, the rest from others, (samples, others, width) by group: what background rows do,
    whatever is known.
    """
    shape = (len(latents[0]), len(others[0]))
    return tuple(
        np.broadcast_to(own[:, None] if group in known else other[None], (*shape, own.shape[1]))
        for group, (own, other) in enumerate(zip(latents, others, strict=True))
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Gaussian:
    """Standard normal latents of these widths with this correlation."""

    widths: tuple[int, ...]
    correlation: np.ndarray

    @cached_property
    def edges(self) -> np.ndarray:
        """Where the groups begin and end."""
        return np.cumsum([0, *self.widths])

    def columns(self, groups: Sequence[int]) -> np.ndarray:
        """The columns of these groups."""
        return np.array([c for group in groups for c in range(self.edges[group], self.edges[group + 1])], dtype=int)

    def split(self, rows: np.ndarray) -> Latents:
        """(..., all columns) by group."""
        return tuple(np.split(rows, self.edges[1:-1], axis=-1))

    @property
    def separate(self) -> bool:
        """Whether no modality says anything of another."""
        return all(
            np.allclose(self.correlation[np.ix_(self.columns([a]), self.columns([b]))], 0)
            for a in range(len(self.widths))
            for b in range(a)
        )

    @property
    def spreads(self) -> np.ndarray:
        """The standard deviation of each group's sum."""
        blocks = (self.columns([group]) for group in range(len(self.widths)))
        return np.sqrt([self.correlation[np.ix_(block, block)].sum() for block in blocks])

    def draw(self, samples: int, generator: np.random.Generator) -> Latents:
        """Samples of all groups."""
        rows = generator.normal(size=(samples, self.edges[-1])) @ _root(self.correlation).T
        return self.split(rows)

    def given(self, latents: Latents, known: Sequence[int], draws: int, generator: np.random.Generator) -> Latents:
        """What the latents could be where only some groups are known, (samples, draws, width) by group: the known
        ones as they are, the others drawn from their conditional distribution.
        """
        rows = np.concatenate(latents, axis=1)
        everyone = np.broadcast_to(rows[:, None], (len(rows), draws, rows.shape[1])).copy()
        other = [group for group in range(len(self.widths)) if group not in known]
        if other:
            a, b = self.columns(other), self.columns(known)
            weights = np.linalg.solve(self.correlation[np.ix_(b, b)], self.correlation[np.ix_(b, a)])
            covariance = self.correlation[np.ix_(a, a)] - self.correlation[np.ix_(a, b)] @ weights
            noise = generator.normal(size=(len(rows), draws, len(a))) @ _root(covariance).T
            everyone[:, :, a] = (rows[:, b] @ weights)[:, None] + noise
        return self.split(everyone)


def independent(widths: Sequence[int]) -> Gaussian:
    """Latents without any correlation."""
    return Gaussian(widths=tuple(widths), correlation=np.eye(sum(widths)))


def _root(covariance: np.ndarray) -> np.ndarray:
    """A root of a covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)))
