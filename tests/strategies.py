"""What hypothesis draws: games of modalities, and inputs."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

EIGHTHS = st.integers(-16, 16).map(lambda whole: whole / 8)
"""Numbers whose sums are exact in floating point, with many ties and zeros."""


@st.composite
def games(
    draw: st.DrawFn,
    players: tuple[int, int] = (2, 4),
    samples: tuple[int, int] = (1, 4),
    outputs: tuple[int, int] = (1, 3),
) -> np.ndarray:
    """The values of all coalitions, shape (2^M, samples, outputs); nobody's coalition is the same in all samples."""
    shape = (1 << draw(st.integers(*players)), draw(st.integers(*samples)), draw(st.integers(*outputs)))
    return with_common_start(draw(arrays.arrays(np.float64, shape, elements=EIGHTHS)))


@st.composite
def pairs_of_games(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two games of the same players and samples."""
    first = draw(games())
    return first, with_common_start(draw(arrays.arrays(np.float64, first.shape, elements=EIGHTHS)))


def with_common_start(table: np.ndarray) -> np.ndarray:
    """The game with one value of the empty coalition for all samples: where everything is replaced by the same, samples can't differ."""
    table = table.copy()
    table[0] = table[0, :1]
    return table


@st.composite
def tables(
    draw: st.DrawFn, samples: tuple[int, int] = (2, 6), columns: tuple[int, int] = (1, 3)
) -> dict[str, np.ndarray]:
    """Inputs of two to four tables of the same samples, none of them zero."""
    count = draw(st.integers(*samples))
    shapes = [(count, draw(st.integers(*columns))) for _ in range(draw(st.integers(2, 4)))]
    nonzero = EIGHTHS.filter(bool)
    return {f"table_{i}": draw(arrays.arrays(np.float64, shape, elements=nonzero)) for i, shape in enumerate(shapes)}
