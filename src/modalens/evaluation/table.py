"""The table of values: what the model said under every mask, averaged over blocks of background rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import numpy as np

from modalens.evaluation.plan import Piece
from modalens.models import Readout
from modalens.problem import Features, Gradients, Slopes


@dataclass(kw_only=True)
class Table:
    """The values that have been evaluated: outputs by space, (blocks, patients or 1, outputs), and the rows in each
    block; gradients on lines; and `present`, the raw outputs on the inputs as they are.
    """

    values: dict[object, dict[str, np.ndarray]] = field(default_factory=dict)
    sizes: dict[object, np.ndarray] = field(default_factory=dict)
    lines: dict[Gradients, Slopes] = field(default_factory=dict)
    features: Features | None = None
    present: np.ndarray | None = None
    _open: dict[object, dict[str, np.ndarray]] = field(default_factory=dict, repr=False)

    def add(self, batch: Sequence[Piece], raw: np.ndarray, readout: Readout, blocks: int, patients: int) -> None:
        """Put the raw outputs of a batch where they belong."""
        spaces = {space: values for space, values in readout(raw).items() if space in readout.spaces}
        start = 0
        for piece in batch:
            rows = slice(start, start := start + piece.rows)
            if not piece.of.identity[0]:
                self._keep_present(piece, raw[rows], patients)
            for space, values in spaces.items():
                self._store(
                    piece, space, values[rows].reshape(len(piece.patients), len(piece.draws), -1), blocks, patients
                )

    def _keep_present(self, piece: Piece, raw: np.ndarray, patients: int) -> None:
        if self.present is None:
            self.present = np.empty((patients, raw.shape[1]), raw.dtype)
        self.present[piece.patients] = raw

    def _store(self, piece: Piece, space: str, rows: np.ndarray, blocks: int, patients: int) -> None:
        """Average the draws of each background block; patients that the mask does not concern are NaN."""
        one = piece.of
        count = min(one.draws, blocks)
        edges = _edges(one.draws, count)
        self.sizes[one.identity] = np.diff(edges)
        by_space = self.values.setdefault(one.identity, {})
        if space not in by_space:
            by_space[space] = np.full((count, 1 if one.shared else patients, rows.shape[2]), np.nan)
        whole = rows if len(piece.draws) == one.draws else self._gathered(piece, space, rows)
        if whole is not None:
            by_space[space][:, piece.patients] = block_means(whole, edges)

    def _gathered(self, piece: Piece, space: str, rows: np.ndarray) -> np.ndarray | None:
        """All draws of a patient that does not fit into one batch, once the last of them are there."""
        kept = self._open.setdefault(piece.of.identity, {}).setdefault(
            space, np.empty((len(rows), piece.of.draws, rows.shape[2]))
        )
        kept[:, piece.draws] = rows
        if piece.draws[-1] < piece.of.draws - 1:
            return None
        return self._open[piece.of.identity].pop(space)


@cache
def _edges(draws: int, blocks: int) -> np.ndarray:
    """Where blocks of draws begin and end, as equal in size as can be."""
    return np.linspace(0, draws, blocks + 1).astype(int)


def block_means(rows: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The mean over each block of draws, (blocks, patients, outputs), of (patients, draws, outputs)."""
    if len(edges) == rows.shape[1] + 1:
        return rows.transpose(1, 0, 2)
    first = rows[:, 0]
    # Added one row after another, as differences from the first: equal rows give equal means to the bit, whatever the shape.
    return np.stack(
        [
            first + sum(rows[:, draw] - first for draw in range(start, stop)) / (stop - start)
            for start, stop in pairwise(edges)
        ]
    )
