"""What happens when a batch does not fit into memory: it is halved, and the run goes on."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

import numpy as np

from modalens.errors import ModalensWarning
from modalens.models.split import Grid


def note_halving(rows: int) -> None:
    """Say that it happened, and give back what an accelerator holds in reserve."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    warnings.warn(
        f"{rows} rows at a time did not fit into memory and were halved; batch_size={max(rows // 2, 1)} avoids the attempt.",
        ModalensWarning,
        stacklevel=2,
    )


def rows_in(grid: Grid) -> int:
    """How many rows of the model a grid comes to."""
    return int(np.prod(np.broadcast_shapes(*(index.shape for index in grid.values()))))


def halved(grids: Sequence[Grid]) -> tuple[Sequence[Grid], ...]:
    """The same rows in two halves: some grids each, or of one grid some patients each, or some draws; none of a single
    row.
    """
    if len(grids) > 1:
        middle = len(grids) // 2
        return grids[:middle], grids[middle:]
    (grid,) = grids
    patients, draws = np.broadcast_shapes(*(index.shape for index in grid.values()))
    axis, length = (0, patients) if patients > 1 else (1, draws)
    if length < 2:
        return ()
    middle = length // 2

    def part(index: np.ndarray, rows: slice) -> np.ndarray:
        if index.shape[axis] == 1:
            return index
        return index[rows] if axis == 0 else index[:, rows]

    return tuple(
        [{name: part(index, rows) for name, index in grid.items()}]
        for rows in (slice(None, middle), slice(middle, None))
    )
